"""The self-test's look at the window tells a window from an empty one."""

from __future__ import annotations

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMessageBox

from mrifcl_gui import guide_window, self_test_window


def test_that_an_unpainted_window_is_a_problem():
    empty = QImage(640, 480, QImage.Format.Format_RGB32)
    empty.fill(0xFFFFFF)
    assert "only 1 colours" in self_test_window.problems_of(empty)[0]


def test_that_the_real_window_is_none(window):
    assert self_test_window.problems_of(window.grab().toImage()) == []


def test_that_icon_and_help_are_there(qtbot, monkeypatch, tmp_path):
    assert self_test_window.missing_files() == []
    monkeypatch.setattr(guide_window, "docs_folder", lambda: tmp_path)
    assert self_test_window.missing_files() == ["'user-guide.md' is missing."]


def test_that_a_fault_that_the_window_tells_is_a_problem(qtbot):
    box = QMessageBox()
    qtbot.addWidget(box)
    box.setText("The settings cannot be read.")
    assert self_test_window.told_faults() == []
    box.open()
    assert self_test_window.told_faults() == ["The window says: The settings cannot be read."]
