"""Tags of runs, and runs taken off the list: undone, kept, and never touching a run's files."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLineEdit

from core.run_folder import Run
from mrifcl_gui.run_marks import MARKS_FILE, RunMarks
from mrifcl_gui.runs_panel import RunsPanel


@pytest.fixture
def panel(qtbot, trained):
    panel = RunsPanel()
    qtbot.addWidget(panel)
    panel.resize(1200, 700)
    panel.show()
    panel.show_runs([Run(trained.by_subject), Run(trained.by_slice)])
    return panel


def tags(panel):
    rows = range(panel.table.model().rowCount())
    return [panel.cell(row, "Tag") for row in rows]


def test_that_f2_lets_a_tag_be_typed_and_undo_takes_it_away(qtbot, panel, trained):
    panel.select_run(trained.by_subject)
    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_F2)
    editor = panel.table.findChild(QLineEdit)
    qtbot.keyClicks(editor, "best so far")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "best so far" in tags(panel))
    assert panel.marks.tag_of(trained.by_subject) == "best so far"
    panel.filter.setText("best")
    assert panel.table.model().rowCount() == 1
    panel.filter.setText("")
    panel.undo_stack.undo()
    qtbot.waitUntil(lambda: tags(panel) == ["", ""])


def test_that_del_takes_a_run_off_the_list_leaves_its_files_and_is_undone(qtbot, panel, trained):
    panel.select_run(trained.by_slice)
    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: panel.table.model().rowCount() == 1)
    assert (trained.by_slice / "run.json").is_file()
    assert panel._bring_back.isVisible()
    panel.undo_stack.undo()
    qtbot.waitUntil(lambda: panel.table.model().rowCount() == 2)
    assert not panel._bring_back.isVisible()


def test_that_removed_runs_are_listed_again_by_a_button(qtbot, panel, trained):
    panel.marks.remove([trained.by_slice, trained.by_subject])
    qtbot.waitUntil(lambda: panel.table.model().rowCount() == 0)
    qtbot.mouseClick(panel._bring_back, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.table.model().rowCount() == 2)


def test_that_marks_survive_a_restart(qtbot, tmp_path):
    file = tmp_path / MARKS_FILE
    marks = RunMarks()
    marks.open(file)
    marks.tag([tmp_path / "a"], "  two \n words ")
    marks.remove([tmp_path / "b"])
    qtbot.waitUntil(lambda: file.is_file() and "removed" in file.read_text())
    again = RunMarks()
    again.open(file)
    assert again.tag_of(tmp_path / "a") == "two words"
    assert again.is_removed(tmp_path / "b")
    assert not again.undo_stack.canUndo()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tags": 3, "removed": []}', '{"tags": {}}'])
def test_that_a_damaged_list_hides_no_run(tmp_path, text):
    file = tmp_path / MARKS_FILE
    file.write_text(text)
    marks = RunMarks()
    marks.open(file)
    assert not marks.is_removed(tmp_path / "a")
    assert marks.tag_of(tmp_path / "a") == ""


def test_that_the_menu_of_runs_copies_and_exports_the_table(qtbot, panel, tmp_path):
    texts = [action.text() for action in panel.build_menu().actions()]
    assert {"Copy table", "Export CSV…", "Change the tag"} <= set(texts)
    with qtbot.waitSignal(panel.exporter.saved, timeout=30_000):
        panel.exporter.save_to(tmp_path / "runs.csv")
    text = (tmp_path / "runs.csv").read_text()
    assert text.startswith("Network,Regime,Split")
    assert len(text.splitlines()) == 3


def test_that_undo_in_runs_leaves_the_cohort_alone(qtbot, window, trained):
    window.runs_panel.marks.tag([trained.by_subject], "first")
    window.go_to("cohort")
    (undo,) = [a for a in window.findChildren(QAction) if a.text().startswith("&Undo")]
    assert not undo.isEnabled()
    window.go_to("runs")
    assert undo.isEnabled()
    undo.trigger()
    assert window.runs_panel.marks.tag_of(trained.by_subject) == ""
