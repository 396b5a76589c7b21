"""Tell of something that took long to a person who looks elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow, QSystemTrayIcon

from mrifcl_gui import preferences

SHOWN_MS = 10_000


def tell_of(window: QMainWindow, title: str, text: str) -> None:
    """Say ``text`` in the status bar; ask for attention where the window is not in front.

    Asking for attention can be switched off in the preferences.
    """
    window.statusBar().showMessage(text, SHOWN_MS)
    if window.isActiveWindow() or not preferences.notifies():
        return
    QApplication.alert(window)
    if not QSystemTrayIcon.isSystemTrayAvailable() or not QSystemTrayIcon.supportsMessages():
        return
    icon = QSystemTrayIcon(window.windowIcon(), window)
    icon.show()
    icon.showMessage(title, text, window.windowIcon(), SHOWN_MS)
    icon.messageClicked.connect(window.activateWindow)
    QTimer.singleShot(SHOWN_MS, icon.deleteLater)
