"""ANALYSE draws every view with every option of real runs, exports it, compares, reports."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton

from core import report
from core.errors import AnalysisError
from core.figure import Scatter
from core.run_folder import Run, reopen_run
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.analysis_views import TABS
from tests.tiny_cohort import wait_until_idle

LIMIT_MS = 20_000
VIEWS = [(t, v) for t, tab in enumerate(TABS) for v in range(len(tab.views))]
VIEW_NAMES = [f"{TABS[t].title}-{TABS[t].views[v].title}" for t, v in VIEWS]


@pytest.fixture
def tabs(qtbot):
    widget = AnalysisTabs()
    widget.problems = []
    widget.problem.connect(widget.problems.append)
    qtbot.addWidget(widget)
    widget.resize(1100, 700)
    widget.show()
    yield widget
    wait_until_idle(qtbot)


@pytest.fixture
def shown(qtbot, tabs, trained):
    tabs.show_runs([Run(trained.by_subject), Run(trained.by_slice)])
    wait_until_idle(qtbot)
    return tabs


def open_view(qtbot, tabs, number, view=0):
    """Bring a view to the front and wait for its figure."""
    tab = tabs.figure_tabs[number]
    tabs.tabs.setCurrentWidget(tab)
    tab.view_choice.setCurrentIndex(view)
    settle(qtbot)
    return tab


def settle(qtbot):
    qtbot.wait(1)
    wait_until_idle(qtbot)


def points(figure):
    return [
        layer for panel in figure.panels for layer in panel.layers if isinstance(layer, Scatter)
    ]


def test_that_without_a_run_it_is_said_where_to_find_one(qtbot, tabs):
    button = next(b for b in tabs.findChildren(QPushButton) if b.text() == "Choose a run")
    assert button.isVisible()
    with qtbot.waitSignal(tabs.runs_requested):
        button.click()


@pytest.mark.parametrize(
    ("which", "tab", "view"),
    [
        *(("by_subject", tab, view) for tab, view in VIEWS),
        *(("three_classes", tab, 0) for tab in range(len(TABS))),
    ],
)
def test_that_every_view_gives_a_figure_with_each_of_its_options(
    qtbot, tabs, trained, which, tab, view
):
    tabs.show_runs([Run(getattr(trained, which))])
    shown = open_view(qtbot, tabs, tab, view)
    assert shown.figure_view.figure() is not None
    for name, control in list(shown._controls.items()):
        if isinstance(control, QCheckBox):
            control.toggle()
            settle(qtbot)
            assert shown.figure_view.figure() is not None, name
            continue
        for index in range(control.count()):
            control.setCurrentIndex(index)
            settle(qtbot)
            assert shown.figure_view.figure() is not None, f"{name}: {control.itemText(index)}"
    assert not tabs.problems
    assert shown._help.text()


@pytest.mark.parametrize(("tab", "view"), VIEWS, ids=VIEW_NAMES)
def test_that_every_figure_is_exported_as_png_svg_and_csv(qtbot, shown, tmp_path, tab, view):
    figure_tab = open_view(qtbot, shown, tab, view)
    for suffix in ("png", "svg", "csv"):
        path = tmp_path / f"figure.{suffix}"
        with qtbot.waitSignal(figure_tab.export.saved, timeout=LIMIT_MS):
            assert figure_tab.export.save_to(path)
    with Image.open(tmp_path / "figure.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 0
    assert "<svg" in (tmp_path / "figure.svg").read_text(encoding="utf-8")[:2000]
    with (tmp_path / "figure.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 2
    assert not shown.problems


def test_that_the_scatter_exported_as_csv_holds_the_weights_of_the_run(qtbot, shown, tmp_path):
    tab = open_view(qtbot, shown, 0)
    path = tmp_path / "scatter.csv"
    with qtbot.waitSignal(tab.export.saved, timeout=LIMIT_MS):
        tab.export.save_to(path)
    weight = shown.run.fc_history.weight[-1]
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    numbers = []
    for cell in cells:
        try:
            numbers.append(float(cell))
        except ValueError:
            continue
    for value in weight.ravel():
        assert np.isclose(numbers, value, rtol=1e-5).any()


def test_that_the_epoch_slider_moves_the_scatter(qtbot, shown):
    tab = open_view(qtbot, shown, 0)
    history = shown.run.fc_history
    assert (tab.epochs.slider.minimum(), tab.epochs.slider.maximum()) == (0, 2)
    drawn = []
    for place in (0, 1, 2):
        tab.epochs.slider.setValue(place)
        settle(qtbot)
        drawn.append(points(tab.figure_view.figure())[0].x)
        assert np.allclose(drawn[-1], history.weight[place, 0])
        assert tab.epochs._text.text() == f"{place} of 2"
    assert not np.allclose(drawn[0], drawn[2])


def test_that_a_slider_dragged_fast_ends_on_its_last_place(qtbot, shown):
    tab = open_view(qtbot, shown, 0)
    for place in (0, 1, 2, 0, 1, 0):
        tab.epochs.slider.setValue(place)
    settle(qtbot)
    assert np.allclose(points(tab.figure_view.figure())[0].x, shown.run.fc_history.weight[0, 0])


def test_that_pairs_are_offered_for_three_classes_only(qtbot, tabs, trained):
    tabs.show_runs([Run(trained.three_classes), Run(trained.by_subject)])
    tab = open_view(qtbot, tabs, 0)
    pair = tab._controls["pair"]
    assert [pair.itemText(i) for i in range(pair.count())] == [
        "All pairs",
        "AD and MCI",
        "AD and NC",
        "MCI and NC",
    ]
    assert len(tab.figure_view.figure().panels) == 3
    pair.setCurrentIndex(3)
    settle(qtbot)
    (panel,) = tab.figure_view.figure().panels
    assert "MCI" in panel.x.label
    assert "NC" in panel.y.label
    tabs._choice.setCurrentIndex(1)
    settle(qtbot)
    assert "pair" not in tab._controls
    assert len(tab.figure_view.figure().panels) == 1


def test_that_options_stay_when_another_run_or_view_is_chosen(qtbot, shown):
    tab = open_view(qtbot, shown, 1)
    part = tab._controls["part"]
    part.setCurrentIndex(2)
    tab._controls["paper_colours"].setChecked(True)
    shown._choice.setCurrentIndex(1)
    settle(qtbot)
    assert tab.options()["part"] == "train"
    assert tab.options()["paper_colours"] is True


def test_that_only_the_tab_in_front_computes(qtbot, shown):
    open_view(qtbot, shown, 0)
    assert shown.figure_tabs[1].figure_view.figure() is None
    open_view(qtbot, shown, 1)
    assert shown.figure_tabs[1].figure_view.figure() is not None


def test_that_the_run_in_front_is_told_in_a_line(shown):
    assert "2 epochs, split by subject" in shown._facts.text()
    assert "% of slices" in shown._facts.text()


def test_that_a_warning_stands_once_beside_figure_and_table(qtbot, shown):
    shown._choice.setCurrentIndex(1)
    tab = open_view(qtbot, shown, 0)
    warning = shown.run.warning
    assert "Leaking" in warning
    told = [
        label for label in tab.findChildren(QLabel) if label.isVisible() and label.text() == warning
    ]
    assert len(told) == 1


def test_that_tables_have_words_and_not_column_names(qtbot, shown):
    tab = open_view(qtbot, shown, 3)
    header = tab.table_view.view.model()
    words = [header.headerData(i, Qt.Orientation.Horizontal) for i in range(header.columnCount())]
    assert "balanced accuracy" in words
    assert not any("_" in word for word in words)


def test_that_two_runs_are_compared_in_the_form_of_table_2(qtbot, shown):
    shown.show_comparison()
    settle(qtbot)
    table = shown.comparison.table.table()
    assert len(table.rows) == 2
    assert {row[table.columns.index("split")] for row in table.rows} == {"subject", "slice"}
    assert len(shown.comparison.claims.table().rows) == 9
    assert "Leaking" in table.warning


def test_that_runs_shown_while_others_are_compared_come_last(qtbot, tabs, trained):
    runs = [Run(trained.by_subject), Run(trained.by_slice)]
    for shown in ([runs[0]], runs, [runs[1]]):
        tabs.show_runs(shown)
    settle(qtbot)
    assert len(tabs.comparison.table.table().rows) == 1
    tabs.show_runs([])
    settle(qtbot)
    assert tabs.comparison.table.table() is None


def test_that_the_report_and_all_files_are_written(qtbot, shown, trained, monkeypatch):
    every = report.run_figures
    # One figure is enough here; each is tested above, and drawing takes its time.
    monkeypatch.setattr(report, "run_figures", lambda run: itertools.islice(every(run), 1))
    shown.tabs.setCurrentWidget(shown._report)
    jobs = []
    shown.job_started.connect(jobs.append)
    for text, wanted in (
        ("Write the report page", trained.by_subject / "report.html"),
        ("Write all figures and tables", trained.by_subject / "tables" / "fits.csv"),
    ):
        button = next(b for b in shown._report.findChildren(QPushButton) if b.text() == text)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: bool(shown._report._words.text()), timeout=LIMIT_MS)
        wait_until_idle(qtbot)
        assert str(trained.by_subject) in shown._report._words.text()
        assert wanted.parent.is_dir()
        shown._report._words.clear()
    assert "Research use only" in (trained.by_subject / "report.html").read_text(encoding="utf-8")
    assert list((trained.by_subject / "figures").glob("*.png"))
    assert list((trained.by_subject / "tables").glob("*.csv"))
    assert len(jobs) == 2
    assert not shown.problems


def test_that_a_run_without_features_says_what_to_do(qtbot, tabs, trained):
    (trained.by_subject / "features.npz").unlink()
    tabs.show_runs([Run(trained.by_subject)])
    tab = open_view(qtbot, tabs, 0)
    assert tab.figure_view.figure() is None
    assert not tabs.problems


@pytest.mark.parametrize("file", ["features.npz", "fc_history.npz"])
def test_that_damaged_arrays_are_told_in_place_of_the_figure(qtbot, tabs, trained, file):
    (trained.by_subject / file).write_bytes(b"not an archive")
    tabs.show_runs([Run(trained.by_subject)])
    for number in range(len(TABS)):
        open_view(qtbot, tabs, number)
    assert not [error for error in tabs.problems if isinstance(error, AnalysisError)]
    texts = [
        label.text()
        for tab in tabs.figure_tabs
        for label in tab.findChildren(QLabel)
        if "damaged" in label.text()
    ]
    assert texts
    assert all(file in text for text in texts)


def test_that_a_run_of_an_old_program_without_accuracy_can_be_shown(qtbot, tabs, trained):
    reopen_run(trained.by_subject).update(accuracy={})
    tabs.show_runs([Run(trained.by_subject)])
    settle(qtbot)
    assert "2 epochs" in tabs._facts.text()


def test_that_every_box_of_options_can_be_named_by_a_screen_reader(qtbot, shown):
    for tab, view in VIEWS:
        figure_tab = open_view(qtbot, shown, tab, view)
        for box in figure_tab.findChildren(QComboBox):
            assert box.accessibleName()


def test_that_names_of_options_are_unique_in_a_view():
    for _, tab in enumerate(TABS):
        for view in tab.views:
            names = [choice.name for choice in view.choices]
            assert all(a != b for a, b in itertools.combinations(names, 2))
