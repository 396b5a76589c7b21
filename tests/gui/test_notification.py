"""The end of long work is told to a person who looks elsewhere, unless that is switched off."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMainWindow, QSystemTrayIcon

from mrifcl_gui import notification, preferences
from mrifcl_gui.preferences_dialog import PreferencesDialog


@pytest.fixture
def told(monkeypatch):
    """What reaches the desktop: alerts, and messages of the tray."""
    said = []
    monkeypatch.setattr(QApplication, "alert", staticmethod(lambda _: said.append("alert")))
    for name in ("isSystemTrayAvailable", "supportsMessages"):
        monkeypatch.setattr(QSystemTrayIcon, name, staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "show", lambda _: None)
    monkeypatch.setattr(
        QSystemTrayIcon, "showMessage", lambda _self, title, text, *_: said.append((title, text))
    )
    monkeypatch.setattr(notification, "SHOWN_MS", 10)
    return said


@pytest.fixture
def plain(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()
    return window


@pytest.mark.parametrize(
    ("is_in_front", "is_on", "expected"),
    [
        (False, True, ["alert", ("MRI-FCL", "3 runs have ended")]),
        (False, False, []),
        (True, True, []),
    ],
)
def test_that_only_one_who_looks_elsewhere_is_called(
    qtbot, plain, told, monkeypatch, is_in_front, is_on, expected
):
    monkeypatch.setattr(plain, "isActiveWindow", lambda: is_in_front, raising=False)
    preferences.set_notifies(is_on)
    notification.tell_of(plain, "MRI-FCL", "3 runs have ended")
    assert told == expected
    assert plain.statusBar().currentMessage() == "3 runs have ended"
    qtbot.wait(40)


def test_that_it_is_switched_off_in_the_preferences(qtbot):
    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.notifies.isChecked()
    qtbot.keyClick(dialog.notifies, Qt.Key.Key_Space)
    assert not preferences.notifies()
