"""The honesty tools in the window: leakage meter, control, table check, two runs side by side."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from core.run_folder import Run, list_runs
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.honesty_view import HonestyView
from tests.tiny_cohort import train_run, wait_until_idle

TRAIN_MS = 120_000


@pytest.fixture
def view(qtbot):
    widget = HonestyView()
    widget.problems = []
    widget.problem.connect(widget.problems.append)
    qtbot.addWidget(widget)
    widget.resize(1000, 700)
    widget.show()
    widget.set_active(True)
    return widget


def show(qtbot, view, path):
    """Show a run and wait until the runs beside it were looked for."""
    view.show_run(Run(path))
    wait_until_idle(qtbot)


def test_that_runs_that_are_there_are_measured_at_once(qtbot, view, trained):
    show(qtbot, view, trained.by_subject)
    table = view.table_view.table()
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["by_subject"] == pytest.approx(Run(trained.by_subject).test_accuracy)
    assert row["by_slice"] == pytest.approx(Run(trained.by_slice).test_accuracy)
    assert "leakage adds" in view.figure_view.figure().caption
    assert not view.problems


def test_that_one_click_trains_what_is_missing_and_measures(qtbot, view, trained):
    run = Run(trained.three_classes)
    show(qtbot, view, run.path)
    assert view.figure_view.figure() is None
    with qtbot.waitSignal(view.runs_made, timeout=TRAIN_MS):
        qtbot.mouseClick(view.measure, Qt.MouseButton.LeftButton)
        assert not view.measure.isEnabled()
    wait_until_idle(qtbot)
    assert not view.problems
    runs = list(list_runs(run.path.parent))
    assert sorted(item.settings.split.mode for item in runs) == ["slice", "subject"]
    table = view.table_view.table()
    assert table.rows[0][table.columns.index("by_subject")] == pytest.approx(run.test_accuracy)
    assert view.measure.isEnabled()


def test_that_the_control_and_more_seeds_are_more_runs(qtbot, view, trained):
    show(qtbot, view, trained.by_subject)
    assert view.measure.text() == "Train and measure (2 runs)"
    view.seeds.setValue(3)
    view.shuffled.setChecked(True)
    assert view.measure.text() == "Train and measure (12 runs)"


def test_that_measuring_waits_for_another_training(qtbot, view, trained):
    show(qtbot, view, trained.by_subject)
    view.set_busy(True)
    assert not view.measure.isEnabled()
    assert "being trained" in view.state.text()
    view.set_busy(False)
    assert view.measure.isEnabled()


def test_that_a_run_without_its_cohort_is_told(qtbot, view, trained):
    run = Run(trained.by_subject)
    (trained.scanned.folder / "cohort.json").unlink()
    show(qtbot, view, run.path)
    view.start_measuring()
    assert "no longer beside it" in str(view.problems[0])


def test_that_a_typed_percentage_is_checked_as_it_is_typed(qtbot, view):
    qtbot.keyClicks(view.percentage, "98.1")
    assert view.verdict.text().startswith("✗ 98.1 % of 504 is not possible")
    view.cases.setValue(1000)
    assert view.verdict.text() == "✓ 98.1 % of 1000 is possible: 981 of 1000."
    qtbot.keyClicks(view.percentage, "x")
    assert "no percentage" in view.verdict.text()
    view.percentage.clear()
    assert view.verdict.text() == ""


def test_that_the_paper_s_table_is_checked(view):
    view.show_paper_check()
    assert view.paper_table.isVisible()
    assert len(view.paper_table.table().rows) == 36


@pytest.fixture
def tabs(qtbot):
    widget = AnalysisTabs()
    widget.problems = []
    widget.problem.connect(widget.problems.append)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_that_two_runs_stand_side_by_side_with_their_test(qtbot, tabs, trained):
    folder = trained.by_subject.parent
    leaky = train_run(trained.scanned, folder, activation="leaky-relu")
    tabs.show_runs([Run(trained.by_subject), Run(leaky), Run(trained.by_slice)])
    comparison = tabs.comparison
    tabs.tabs.setCurrentWidget(comparison)
    comparison.tabs.setCurrentWidget(comparison.side_by_side)
    view = comparison.side_by_side
    with qtbot.waitSignal(view.drawn, timeout=20_000):
        view.method.setCurrentIndex(1)
    wait_until_idle(qtbot)
    figure = view.figure_view.figure()
    assert [panel.title for panel in figure.panels[:2]] == [
        "(a) Custom CNN, ReLU: rows",
        "(b) Custom CNN, leaky ReLU: rows",
    ]
    assert figure.caption.startswith("Spearman")
    assert view.table_view.table().name == "paired_test"
    with qtbot.waitSignal(view.drawn, timeout=20_000):
        view.second.setCurrentIndex(2)
    wait_until_idle(qtbot)
    # The tables can be looked at; the test would compare what one was trained on.
    assert view.table_view.table() is None
    assert not tabs.problems


def test_that_one_run_alone_asks_for_a_second(qtbot, tabs, trained):
    tabs.show_runs([Run(trained.by_subject)])
    tabs.tabs.setCurrentWidget(tabs.comparison)
    tabs.comparison.tabs.setCurrentWidget(tabs.comparison.side_by_side)
    wait_until_idle(qtbot)
    assert tabs.comparison.side_by_side.figure_view.figure() is None


def test_that_the_paper_s_rows_and_ticks_are_shown(qtbot, tabs, trained):
    tabs.show_runs([Run(trained.by_subject)])
    tabs.show_comparison()
    wait_until_idle(qtbot)
    comparison = tabs.comparison
    assert len(comparison.paper_rows.table().rows) == 12
    assert comparison.paper_figure.figure().name == "paper_table"
    verdicts = {row[2] for row in comparison.claims.table().rows}
    assert verdicts == {"? cannot be told"}
