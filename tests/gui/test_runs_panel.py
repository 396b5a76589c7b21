"""The RUNS place: the table says what the run folders say."""

import pytest
from PySide6.QtCore import Qt

from core import run_folder
from core.config import RunSettings, change
from core.run_folder import Run
from mrifcl_gui.runs_panel import RunsPanel


def make_run(
    folder, *, network="googlenet", regime="scratch", mode="subject", epochs=None, **record
):
    settings = change(
        RunSettings(), {"network": network, "regime": regime, "mode": mode, "epochs": epochs}
    )
    writer = run_folder.create_run(folder, settings, {"classes": ["AD", "NC"]})
    writer.update(state="finished", **record)
    return writer


def append_epochs(writer, n):
    for epoch in range(1, n + 1):
        row = dict.fromkeys(run_folder.HISTORY_COLUMNS, 0.5)
        writer.append_epoch({**row, "epoch": epoch})


HORIZONTAL = Qt.Orientation.Horizontal


@pytest.fixture
def panel(qtbot):
    widget = RunsPanel()
    qtbot.addWidget(widget)
    widget.resize(1280, 800)
    widget.show()
    return widget


@pytest.fixture
def runs(tmp_path):
    first = make_run(
        tmp_path,
        network="resnet101",
        regime="frozen",
        epochs_done=20,
        seconds=244.4,
        started="2026-01-02T10:00:00+00:00",
        accuracy={"train": 1.0, "validation": 0.926, "test": 0.71, "test_by_subject": 0.75},
    )
    append_epochs(first, 20)
    second = make_run(
        tmp_path,
        mode="slice",
        epochs_done=7,
        seconds=59.6,
        started="2026-01-03T10:00:00+00:00",
        shared_subjects=12,
        accuracy={"train": 0.9},
    )
    return [Run(first.path), Run(second.path)]


def column(panel, title):
    titles = [panel._model.headerData(n, HORIZONTAL) for n in range(panel._model.columnCount())]
    return titles.index(title)


def test_that_no_runs_say_what_to_do(panel):
    assert panel._stack.currentIndex() == 0
    assert not panel.analyse_button.isEnabled()


def test_that_the_newest_run_is_on_top_with_its_numbers(panel, runs):
    panel.show_runs(runs)
    assert panel.cell(0, "Network") == "GoogLeNet"
    assert panel.cell(1, "Network") == "ResNet-101"
    assert panel.cell(1, "Validation (%)") == "92.6"
    assert panel.cell(1, "Test by subject (%)") == "75.0"
    assert panel.cell(1, "Time (min:s)") == "4:04"
    assert panel.cell(1, "Epochs") == "20"


def test_that_missing_numbers_are_dashes_not_zeros(panel, runs):
    panel.show_runs(runs)
    assert panel.cell(0, "Test (%)") == "–"
    assert panel.cell(0, "Epochs") == "7 of 30"
    assert panel.cell(0, "Time (min:s)") == "1:00"


def test_that_a_damaged_record_is_shown_as_far_as_it_goes(panel, tmp_path):
    writer = make_run(tmp_path, accuracy="gone", seconds=None, epochs_done="x", started="never")
    panel.show_runs([Run(writer.path)])
    assert panel.cell(0, "Train (%)") == "–"
    assert panel.cell(0, "Date") == "–"


def test_that_a_leaking_split_is_marked_with_its_reason(panel, runs):
    panel.show_runs(runs)
    index = panel._proxy.index(0, 2)
    assert index.data().startswith("●")
    assert "12 subjects" in index.data(Qt.ItemDataRole.ToolTipRole)
    assert index.data(Qt.ItemDataRole.ForegroundRole) is not None
    assert not panel.cell(1, "Split").startswith("●")


def test_that_numbers_sort_as_numbers_with_missing_ones_last_when_falling(panel, runs, tmp_path):
    third = make_run(tmp_path, accuracy={"train": 0.085, "test": 0.08})
    panel.show_runs([*runs, Run(third.path)])
    panel.table.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    assert [panel.cell(row, "Train (%)") for row in range(3)] == ["8.5", "90.0", "100.0"]
    panel.table.sortByColumn(6, Qt.SortOrder.DescendingOrder)
    assert [panel.cell(row, "Test (%)") for row in range(3)] == ["71.0", "8.0", "–"]


def test_that_the_filter_keeps_runs_with_every_word(panel, runs):
    panel.show_runs(runs)
    panel.filter.setText("resnet froz")
    assert panel._proxy.rowCount() == 1
    assert panel.cell(0, "Network") == "ResNet-101"
    panel.filter.clear()
    assert panel._proxy.rowCount() == 2


def test_that_the_papers_row_stands_below_ours_and_cannot_be_chosen(panel, runs):
    panel.show_runs(runs)
    panel.set_paper_rows({("resnet101", "frozen", False): (1.0, 0.926, 0.932, 244.0)})
    panel.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    ours = panel._proxy.index(0, 0)
    assert panel._proxy.rowCount(ours) == 1
    paper = panel._proxy.index(0, column(panel, "Test (%)"), ours)
    assert paper.data() == "93.2"
    assert not paper.flags() & Qt.ItemFlag.ItemIsSelectable
    assert panel._proxy.rowCount(panel._proxy.index(1, 0)) == 0
    panel.table.selectAll()
    assert len(panel.selected_paths()) == 2


def test_that_a_long_run_from_scratch_meets_the_papers_long_row(panel, tmp_path):
    rows = {("googlenet", "scratch", True): (1.0, 0.976, 0.976, 387.0)}
    panel.show_runs([Run(make_run(tmp_path, epochs=n).path) for n in (30, 60)])
    panel.set_paper_rows(rows)
    counts = [panel._proxy.rowCount(panel._proxy.index(row, 0)) for row in range(2)]
    assert sorted(counts) == [0, 1]


def test_that_the_detail_shows_curves_and_settings_of_the_chosen_run(panel, runs, qtbot):
    panel.show_runs(runs)
    panel.select_run(runs[0].path)
    qtbot.waitUntil(lambda: len(panel.detail.curves.curve("train_loss")[0]) == 20)
    tree = panel.detail.settings
    shown = {
        tree.topLevelItem(i).text(0): tree.topLevelItem(i).text(1)
        for i in range(tree.topLevelItemCount())
    }
    assert shown["Network"] == "ResNet-101"
    assert shown["Epochs"] == "20"
    assert shown["Learning rate"] == "0.001"
    assert shown["Batch"] == "32 slices"


def test_that_the_detail_warns_of_a_leaking_run(panel, runs):
    panel.show_runs(runs)
    panel.select_run(runs[1].path)
    assert "Leaking" in panel.detail.warning.text()


def test_that_buttons_speak_of_the_chosen_runs(panel, runs, qtbot):
    panel.show_runs(runs)
    panel.select_run(runs[0].path)
    assert not panel.compare_button.isEnabled()
    with qtbot.waitSignal(panel.analyse_requested) as signal:
        panel.analyse_button.click()
    assert signal.args == [[runs[0].path]]
    with qtbot.waitSignal(panel.folder_requested) as signal:
        panel.folder_button.click()
    assert signal.args == [runs[0].path]
    panel.table.selectAll()
    with qtbot.waitSignal(panel.compare_requested) as signal:
        panel.compare_button.click()
    assert signal.args == [[runs[1].path, runs[0].path]]
    assert not panel.folder_button.isEnabled()


def test_that_the_choice_outlives_a_reload(panel, runs):
    panel.show_runs(runs)
    panel.select_run(runs[0].path)
    panel.show_runs([Run(run.path) for run in runs])
    assert panel.selected_paths() == [runs[0].path]
    panel.show_runs([runs[1]])
    assert panel.selected_paths() == []


def test_that_a_damaged_history_is_no_end(panel, tmp_path, qtbot):
    writer = make_run(tmp_path)
    (writer.path / "history.csv").write_bytes(b"epoch\n\x00\xff,1\n1,2,3\n")
    run = Run(writer.path)
    panel.show_runs([run])
    panel.select_run(run.path)
    assert panel.detail.settings.topLevelItemCount() > 10


def state_cell(panel):
    return panel._proxy.index(0, column(panel, "State"))


def test_that_a_run_that_is_trained_elsewhere_is_told_and_cannot_be_resumed(panel, tmp_path):
    writer = make_run(tmp_path, epochs_done=2)
    append_epochs(writer, 2)
    writer.update(state="running")
    lock = writer.path / "run.lock"
    lock.write_text('{"host": "PC-7", "pid": 1, "since": "2026-01-02T10:00:00+00:00"}')
    panel.show_runs([Run(writer.path)])
    panel.select_run(writer.path)
    assert panel.cell(0, "State") == "running elsewhere"
    assert "open in another window since 2026-01-02" in state_cell(panel).data(
        Qt.ItemDataRole.ToolTipRole
    )
    assert not panel.resume_button.isEnabled()
    assert "on PC-7: it can only be read here" in panel.resume_button.toolTip()
    assert "on PC-7: it can only be read here." in panel.detail.warning.text()


def test_that_a_run_whose_program_died_is_shown_as_interrupted_and_can_be_resumed(panel, tmp_path):
    writer = make_run(tmp_path, epochs_done=2)
    append_epochs(writer, 2)
    writer.update(state="running")
    writer.close()
    panel.show_runs([Run(writer.path)])
    panel.select_run(writer.path)
    assert panel.cell(0, "State") == "interrupted"
    assert "press Resume" in state_cell(panel).data(Qt.ItemDataRole.ToolTipRole)
    assert panel.resume_button.isEnabled()


def test_that_what_could_be_read_around_is_said_beside_the_run(panel, tmp_path):
    writer = make_run(tmp_path, epochs_done=2)
    append_epochs(writer, 2)
    with (writer.path / "history.csv").open("ab") as file:
        file.write(bytes(40))
    panel.show_runs([Run(writer.path)])
    panel.select_run(writer.path)
    assert "1 damaged line of 'history.csv' passed over." in panel.detail.warning.text()
