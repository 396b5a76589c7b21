"""The legend and the text box over a panel on screen, and the legend that panels share."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlockFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QGraphicsTextItem, QSizePolicy, QWidget

from core.figure import Band, Bars, Curve, Layer, Scatter
from core.figure_ruler import whole_terms
from mrifcl_gui.figure_colours import SYMBOLS, Colours, fill_of, pen_of
from mrifcl_gui.theme import SMALL, scaled, typeface

_SAMPLE_WIDTH, _ENTRY_HEIGHT, _ENTRY_GAP = 22, 18, 18  # pixels, in legends
_EDGE = 8.0  # pixels, inside a legend
_HANG = 14  # pixels by which the further lines of an equation stand back


class Box(pg.GraphicsObject):
    """A box over a panel, on a light ground; the left button drags it."""

    def __init__(self, parent: pg.ViewBox) -> None:
        super().__init__(parent)
        self.was_moved = False
        self._colours: Colours | None = None
        self.setZValue(1000)
        self.setCursor(Qt.CursorShape.SizeAllCursor)

    def recolour(self, colours: Colours) -> None:
        """Take the colours of the palette."""
        self._colours = colours
        self.update()

    def size(self) -> tuple[float, float]:
        """Return width and height in pixels."""
        return self.boundingRect().width(), self.boundingRect().height()

    def fit(self, width: float) -> None:
        """Take a shape no wider than ``width`` pixels, for a place inside a panel."""

    def fit_below(self, width: float) -> None:
        """Take a shape no wider than ``width`` pixels, for a place below a panel."""
        self.fit(width)

    def paint(self, painter: QPainter, *_: object) -> None:  # noqa: D102
        if self._colours is not None:
            painter.setPen(self._colours.box_edge)
            painter.setBrush(self._colours.box)
            painter.drawRect(self.boundingRect())

    def mouseDragEvent(self, ev: Any) -> None:  # noqa: ANN401, D102
        if ev.button() != Qt.MouseButton.LeftButton:
            ev.ignore()
            return
        ev.accept()
        self.was_moved = True
        self.setPos(self.pos() + self.mapToParent(ev.pos()) - self.mapToParent(ev.lastPos()))


class TextBox(Box):
    """A panel's text."""

    def __init__(self, parent: pg.ViewBox) -> None:
        super().__init__(parent)
        self._text = QGraphicsTextItem(self)
        self._text.setFont(typeface(self._text.font(), SMALL))
        self._text.document().setDocumentMargin(5)
        self._shown = ""

    def set_text(self, text: str) -> None:
        """Show ``text``, an equation a line; what goes on in a further line stands back."""
        if text == self._shown:
            return
        self._shown = text
        self.prepareGeometryChange()
        # A word joiner, as Qt would break a line after a hyphen, whatever follows.
        self._text.setPlainText(whole_terms(text).replace("-\u00a0", "-\u2060\u00a0"))
        hanging = QTextBlockFormat()
        hanging.setLeftMargin(scaled(_HANG))
        hanging.setTextIndent(-scaled(_HANG))
        cursor = QTextCursor(self._text.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(hanging)

    def fit(self, width: float) -> None:
        """Wrap the lines that are longer than ``width`` pixels."""
        self.prepareGeometryChange()
        self._text.setTextWidth(-1)
        if self._text.boundingRect().width() > width:
            self._text.setTextWidth(max(width, 80.0))
            self._text.setTextWidth(self._text.document().idealWidth())

    def recolour(self, colours: Colours) -> None:
        """Take the colours of the palette."""
        super().recolour(colours)
        self._text.setDefaultTextColor(colours.ink)

    def boundingRect(self) -> QRectF:  # noqa: D102
        return self._text.boundingRect()


class Legend(Box):
    """A panel's legend: one entry a line."""

    def __init__(self, parent: pg.ViewBox, layers: list[Layer], font: QFont) -> None:
        super().__init__(parent)
        self._layers = layers
        self._font = font
        self._entry_widths = [_entry_width(layer, font) for layer in layers]
        self._lines = [[number] for number in range(len(layers))]
        self._width = 2 * _EDGE + max(self._entry_widths)

    def show_layers(self, layers: list[Layer]) -> None:
        """Show the colours of ``layers``, whose names are those of before."""
        self._layers = layers
        self.update()

    def fit(self, width: float) -> None:
        """Show one entry a line; names that are wider are shortened."""
        self._arrange([[number] for number in range(len(self._layers))], width)

    def fit_below(self, width: float) -> None:
        """Show as many entries in a line as there is room for."""
        self._arrange(_flowed(self._entry_widths, width - 2 * _EDGE), width)

    def _arrange(self, lines: list[list[int]], width: float) -> None:
        self.prepareGeometryChange()
        self._lines = lines
        needed = max(
            sum(self._entry_widths[number] + _ENTRY_GAP for number in line) - _ENTRY_GAP
            for line in lines
        )
        self._width = min(needed + 2 * _EDGE, max(width, 4 * _SAMPLE_WIDTH))

    def boundingRect(self) -> QRectF:  # noqa: D102
        return QRectF(0, 0, self._width, _EDGE + scaled(_ENTRY_HEIGHT) * len(self._lines))

    def paint(self, painter: QPainter, *options: object) -> None:  # noqa: D102
        super().paint(painter, *options)
        painter.setFont(self._font)
        if self._colours is None:
            return
        for row, line in enumerate(self._lines):
            place = QPointF(_EDGE, _EDGE / 2 + row * scaled(_ENTRY_HEIGHT))
            for number in line:
                room = self._width - _EDGE - place.x()
                _paint_entry(painter, place, self._layers[number], self._colours, room=room)
                place += QPointF(self._entry_widths[number] + _ENTRY_GAP, 0)


class LegendRow(QWidget):
    """The legend that all panels share, below them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers: list[Layer] = []
        self._colours: Colours | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setVisible(False)

    def show_layers(self, layers: list[Layer], colours: Colours) -> None:
        """Show these layers; none hides it."""
        self._layers, self._colours = layers, colours
        self.setVisible(bool(layers))
        self._fit_height()
        self.update()

    def _lines(self) -> list[list[Layer]]:
        widths = [_entry_width(layer, self.font()) for layer in self._layers]
        flowed = _flowed(widths, float(self.width()))
        return [[self._layers[number] for number in line] for line in flowed]

    def _fit_height(self) -> None:
        self.setFixedHeight(scaled(_ENTRY_HEIGHT) * len(self._lines()) + 4)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, line in enumerate(self._lines()):
            widths = [_entry_width(layer, self.font()) + _ENTRY_GAP for layer in line]
            x = (self.width() - sum(widths) + _ENTRY_GAP) / 2
            for layer, width in zip(line, widths, strict=True):
                if self._colours is not None:
                    place = QPointF(x, 2 + number * scaled(_ENTRY_HEIGHT))
                    _paint_entry(painter, place, layer, self._colours)
                x += width
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102
        super().resizeEvent(event)
        self._fit_height()


def _flowed(widths: list[float], room: float) -> list[list[int]]:
    """Return the numbers of entries line by line, each line within ``room`` if that can be."""
    lines: list[list[int]] = [[]]
    used = 0.0
    for number, width in enumerate(widths):
        if lines[-1] and used + width > room:
            lines.append([])
            used = 0.0
        lines[-1].append(number)
        used += width + _ENTRY_GAP
    return lines


def _entry_width(layer: Layer, font: QFont) -> float:
    return _SAMPLE_WIDTH + 6.0 + QFontMetricsF(font).horizontalAdvance(layer.name)


def _paint_entry(
    painter: QPainter,
    place: QPointF,
    layer: Layer,
    colours: Colours,
    *,
    room: float = float("inf"),
) -> None:
    """Paint a layer's sample and name, the upper left corner at ``place``; it ends in ``room``."""
    middle = place + QPointF(_SAMPLE_WIDTH / 2, scaled(_ENTRY_HEIGHT) / 2)
    if isinstance(layer, Curve):
        painter.setPen(pen_of(layer, colours))
        half = QPointF(_SAMPLE_WIDTH / 2, 0)
        painter.drawLine(middle - half, middle + half)
    elif isinstance(layer, Scatter):
        painter.save()
        painter.translate(middle)
        painter.scale(max(layer.size, 5.0), max(layer.size, 5.0))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.mark(layer.colour, layer.opacity))
        painter.drawPath(pg.graphicsItems.ScatterPlotItem.Symbols[SYMBOLS[layer.symbol]])
        painter.restore()
    elif isinstance(layer, Band | Bars):
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill_of(layer, colours))
        painter.drawRect(QRectF(middle.x() - _SAMPLE_WIDTH / 2, middle.y() - 5, _SAMPLE_WIDTH, 10))
    painter.setPen(colours.ink)
    left = place.x() + _SAMPLE_WIDTH + 6
    name = layer.name
    if _entry_width(layer, painter.font()) > room + 1:
        metrics = painter.fontMetrics()
        name = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(room) - _SAMPLE_WIDTH - 6)
    painter.drawText(
        QRectF(left, place.y(), 4000, scaled(_ENTRY_HEIGHT)), Qt.AlignmentFlag.AlignVCenter, name
    )
