"""The frame over the window while something is held above it: where it falls, what it does."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from mrifcl_gui.theme import HEADING, TIGHT, set_type, shades

_EDGE = 3
_VEIL = 40  # of 255


class DropFrame(QWidget):
    """Lies over its parent, as large as it is, and lets every event through to it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._words = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        set_type(self, HEADING, bold=True)
        parent.installEventFilter(self)
        self.hide()

    @property
    def words(self) -> str:
        """What is said while it is seen."""
        return self._words

    def show_words(self, words: str) -> None:
        """Say what a drop will do."""
        self._words = words
        self.setGeometry(self.parentWidget().rect())
        self.raise_()
        self.show()
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: D102
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self.setGeometry(self.parentWidget().rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = shades(self.palette())
        accent = QColor(theme.accent)
        veil = QColor(accent)
        veil.setAlpha(_VEIL)
        area = QRectF(self.rect()).adjusted(_EDGE, _EDGE, -_EDGE, -_EDGE)
        painter.setPen(QPen(accent, _EDGE, Qt.PenStyle.DashLine))
        painter.setBrush(veil)
        painter.drawRoundedRect(area, 2 * TIGHT, 2 * TIGHT)
        self._paint_words(painter, area, QColor(theme.base))
        painter.end()

    def _paint_words(self, painter: QPainter, area: QRectF, ground: QColor) -> None:
        centre = Qt.AlignmentFlag.AlignCenter
        needed = painter.boundingRect(area, centre, self._words)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ground)
        around = needed.adjusted(-6 * TIGHT, -3 * TIGHT, 6 * TIGHT, 3 * TIGHT)
        painter.drawRoundedRect(around, 2 * TIGHT, 2 * TIGHT)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(area, centre, self._words)
