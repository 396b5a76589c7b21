"""The axis of a panel on screen."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPicture

_NAME_ANGLE = 35  # degrees
_LABEL_NUDGE = 5.0  # pixels by which pyqtgraph pushes a label over the axis's edge


class NumberAxis(pg.AxisItem):
    """An axis that prints plain numbers, and turns names that do not fit beside each other."""

    # Of the class, as the base asks for the label while it is being built.
    _label_room = 0.0

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        # While the label is hidden, or the factor of the prefix would stay.
        self.enableAutoSIPrefix(False)
        # The finest of pyqtgraph's three levels has no numbers, only dozens of lines.
        self.setStyle(maxTickLevel=1)
        self._is_turned = False

    def _updateWidth(self) -> None:
        super()._updateWidth()
        self._leave_room_for_label(self.minimumWidth(), self.fixedWidth, self._set_width)

    def _updateHeight(self) -> None:
        super()._updateHeight()
        self._leave_room_for_label(self.minimumHeight(), self.fixedHeight, self._set_height)

    def _leave_room_for_label(
        self, length: float, fixed: float | None, set_length: Callable[[float], None]
    ) -> None:
        # pyqtgraph takes a fifth off the label's height, which is too much for several lines.
        if self.label is not None and self.label.isVisible() and fixed is None:
            set_length(length + max(0.0, 0.2 * self.label.boundingRect().height() - _LABEL_NUDGE))

    def _set_width(self, width: float) -> None:
        self.setMaximumWidth(width)
        self.setMinimumWidth(width)

    def _set_height(self, height: float) -> None:
        self.setMaximumHeight(height)
        self.setMinimumHeight(height)

    def fit_label(self) -> None:
        """Write the label in as many lines as the length of the axis asks for."""
        room = self.height() if self.orientation == "left" else self.width()
        before = self.labelString()
        self._label_room = room
        if self.labelString() != before:
            self.label.setTextWidth(-1)
            self.label.setHtml(self.labelString())
            # Lines are centred in a width of their own only.
            self.label.setTextWidth(self.label.boundingRect().width())
            self.showLabel(self.label.isVisible())
            self.resizeEvent()

    def labelString(self) -> str:
        """Return the label as HTML, lines broken where it is longer than the axis."""
        whole = super().labelString()
        metrics = QFontMetricsF(self.label.font())
        words = html.unescape(self.labelText)  # units are part of it
        lines = wrapped(words, self._label_room, metrics)
        if len(lines) < 2:
            return whole
        style = whole[: whole.index(">") + 1]
        text = "<br>".join(html.escape(line) for line in lines)
        return f"<div align='center'>{style}{text}</span></div>"

    def fit_names(self, names: tuple[str, ...]) -> float:
        """Turn ``names`` where they are wider than their places.

        Returns what the first of them then needs to the left of the axis (pixels).
        """
        metrics = QFontMetricsF(self.font())
        widest = max((metrics.horizontalAdvance(name) for name in names), default=0.0)
        self._is_turned = bool(names) and widest + 6 > self.width() / len(names)
        sine = np.sin(np.radians(_NAME_ANGLE))
        turned_height = widest * sine + 2 * metrics.height() + 12
        self.setHeight(turned_height if self._is_turned else None)
        self.picture = None
        self.update()
        if not self._is_turned:
            return 0.0
        cosine = float(np.cos(np.radians(_NAME_ANGLE)))
        return metrics.horizontalAdvance(names[0]) * cosine - self.width() / len(names) / 2

    def fit_numbers(self) -> None:
        """Take the room that the numbers need now, not while they are painted the first time.

        Else the layout would change under the painter, and all be painted twice.
        """
        nowhere = QPicture()
        painter = QPainter(nowhere)
        if self.style["tickFont"]:
            painter.setFont(self.style["tickFont"])
        self.generateDrawSpecs(painter)
        painter.end()

    def boundingRect(self) -> QRectF:  # noqa: D102
        # WORKAROUND: with a grid pyqtgraph 0.14.0 leaves no room at the ends
        # (AxisItem.boundingRect) and drops the first and the last number.
        room = 120.0 if getattr(self, "_is_turned", False) else 20.0
        if self.orientation == "bottom":
            return super().boundingRect().adjusted(-room, 0, room, 0)
        return super().boundingRect().adjusted(0, -room, 0, room)

    def paint(self, p: QPainter, *_: object) -> None:  # noqa: D102
        # Drawn directly: a QPicture looks up the font of every number anew at each frame.
        if self.picture is None:
            if self.style["tickFont"]:
                p.setFont(self.style["tickFont"])
            self.picture = self.generateDrawSpecs(p) or ()
        if self.picture:
            p.save()
            self.drawPicture(p, *self.picture)
            p.restore()

    def drawPicture(  # noqa: D102
        self,
        p: QPainter,
        axisSpec: Any,  # noqa: ANN401 - pyqtgraph's names
        tickSpecs: Any,  # noqa: ANN401
        textSpecs: Any,  # noqa: ANN401
    ) -> None:
        p.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        # Filled: Qt strokes lines across a whole figure a hundred times more slowly.
        for pen, start, end in (axisSpec, *tickSpecs):
            p.fillRect(_line_rect(start, end), pen.color())
        if not self._is_turned:
            self._draw_numbers(p, textSpecs)
            return
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setClipping(False)
        height = p.fontMetrics().height() + 2
        for place, _flags, text in textSpecs:
            p.save()
            p.translate(place.center().x() + 4, place.top() + 2)
            p.rotate(-_NAME_ANGLE)
            p.drawText(QRectF(-600, 0, 600, height), Qt.AlignmentFlag.AlignRight, text)
            p.restore()

    def _draw_numbers(self, p: QPainter, specs: Any) -> None:  # noqa: ANN401
        if self.style["tickFont"] is not None:
            p.setFont(self.style["tickFont"])
        p.setPen(self.textPen())
        for rect, flags, text in specs:
            p.drawText(rect, int(flags), text)


def wrapped(words: str, room: float, metrics: QFontMetricsF) -> list[str]:
    """Return ``words`` in lines of about the same length, each within ``room`` if that can be."""
    whole = metrics.horizontalAdvance(words)
    if room <= 0 or whole <= room:
        return [words]
    aim = whole / math.ceil(whole / room) * 1.15
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and metrics.horizontalAdvance(longer) > min(aim, room):
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _line_rect(start: QPointF, end: QPointF) -> QRectF:
    """Return a level or upright line as an area one pixel wide."""
    if start.x() == end.x():
        return QRectF(start.x() - 0.5, min(start.y(), end.y()), 1, abs(end.y() - start.y()))
    return QRectF(min(start.x(), end.x()), start.y() - 0.5, abs(end.x() - start.x()), 1)
