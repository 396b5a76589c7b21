"""A line of text that changes many times a second."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.plane_drawing import BACKGROUND


class ReadOutLine(QWidget):
    """Draws its text on the viewer's ground and never asks for another size.

    A label would have the whole window laid out again with each text.

    Parameters
    ----------
    colour : QColor
    clock : FrameClock
        That of the planes, so that text and planes are one frame.
    """

    def __init__(self, colour: QColor, clock: FrameClock, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._clock = clock
        self._text = ""
        self._colour = colour
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        metrics = self.fontMetrics()
        self._baseline = 1 + metrics.ascent()
        self._wide_character = metrics.horizontalAdvance("W")
        self.setFixedHeight(metrics.height() + 2)

    def text(self) -> str:
        """Return what is written."""
        return self._text

    def setText(self, text: str) -> None:  # as QLabel has it
        """Write a text."""
        if text != self._text:
            self._text = text
            self._clock.move(self)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as much of the text as fits."""
        del event
        painter = QPainter(self)
        painter.fillRect(self.rect(), BACKGROUND)
        painter.setPen(self._colour)
        text = self._text
        # To measure a text takes as long as to draw it; most are far from filling the line.
        if len(text) * self._wide_character > self.width():
            metrics = self.fontMetrics()
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(0, self._baseline, text)
        painter.end()
        if not self._clock.is_moving(self):
            # Not with each position that goes by: nobody could listen to them.
            self.setAccessibleDescription(self._text)
