"""A page that scrolls where the window is too small, or texts too large, to show all of it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from mrifcl_gui.theme import scaled


def scrolling(page: QWidget, *, width: int, height: int) -> QScrollArea:
    """Return a place for ``page`` that scrolls below a size.

    Parameters
    ----------
    page : QWidget
    width, height : int
        The least size at which the page shows all of itself with texts of 100 %, logical pixels.
    """
    page.setMinimumSize(QSize(scaled(width), scaled(height)))
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setWidget(page)
    # The window's colour, not that of fields.
    scroll.viewport().setAutoFillBackground(False)
    page.setAutoFillBackground(False)
    return scroll
