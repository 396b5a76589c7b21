"""Where the window lies and how it is divided: as left, on a screen that is there."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from mrifcl_gui import preferences
from mrifcl_gui.remembered_splitter import RememberedSplitter

USUAL_SIZE = QSize(1280, 800)


def restore_place(window: QWidget) -> None:
    """Put a window where it was left, or where it can be seen."""
    kept = preferences.geometry()
    if kept is None or not window.restoreGeometry(kept):
        window.resize(USUAL_SIZE)
    keep_on_screen(window)


def keep_on_screen(window: QWidget) -> None:
    """Move and shrink a window onto the screens that are there now."""
    window.setGeometry(place_on_screen(window.geometry(), *_screens()))


def reset_layout(window: QWidget) -> None:
    """Give a window, and all parts that can be pulled wider, their usual sizes again."""
    preferences.forget_layout()
    for splitter in window.findChildren(RememberedSplitter):
        splitter.reset()
    window.showNormal()
    usual = QRect(window.pos(), USUAL_SIZE)
    usual.moveCenter(window.screen().availableGeometry().center())
    window.setGeometry(usual)
    keep_on_screen(window)


def place_on_screen(window: QRect, screens: Sequence[QRect], primary: QRect) -> QRect:
    """Return where a window may lie: as it is, or moved and shrunk onto a screen that is there."""
    overlaps = [(_area(screen.intersected(window)), screen) for screen in screens]
    most, screen = max(overlaps, key=lambda item: item[0], default=(0, primary))
    if most == 0:
        screen = primary
    size = window.size().boundedTo(screen.size())
    left = min(max(window.left(), screen.left()), screen.right() + 1 - size.width())
    top = min(max(window.top(), screen.top()), screen.bottom() + 1 - size.height())
    return QRect(left, top, size.width(), size.height())


def _screens() -> tuple[list[QRect], QRect]:
    """Return what windows may lie on: of each screen, and of the first."""
    screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
    return screens, QGuiApplication.primaryScreen().availableGeometry()


def _area(rectangle: QRect) -> int:
    return max(0, rectangle.width()) * max(0, rectangle.height())
