"""A page that scrolls where the window is too small, or texts too large, to show all of it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
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


class DownwardsScroll(QScrollArea):
    """Scrolls its page up and down only, and is never narrower than the page."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """Leave room for the page and the bar beside it."""
        least, page = super().minimumSizeHint(), self.widget()
        if page is None:
            return least
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(page.minimumSizeHint().width() + bar, least.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the page: what it shows may need more room than before."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)
