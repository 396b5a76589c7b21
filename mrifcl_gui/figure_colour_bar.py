"""The colour bar of a heat map on screen."""

from __future__ import annotations

import html

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QLinearGradient, QPainter

from core.figure import HeatMap
from core.figure_heat_map import colour_scale, heat_map_range
from mrifcl_gui.figure_axis import NumberAxis
from mrifcl_gui.figure_colours import Colours

_GAP, _WIDTH = 10, 12  # pixels between the panel and the bar, and of the bar
_STOPS = 41  # at each of the 9 and of the 11 stops of the colour maps, and between
_PLOT_ROW = 2  # of pyqtgraph's PlotItem, where the view is


class ColourBar:
    """The colours of a heat map with their values, right of its panel and as high as it."""

    def __init__(self, plot: pg.PlotItem) -> None:
        self.axis = NumberAxis("right")
        self._strip = _Strip()
        for item in (self._strip, self.axis):
            plot.layout.addItem(item, _PLOT_ROW, plot.layout.columnCount())

    def update(self, layer: HeatMap, colours: Colours) -> None:
        """Show the colours, the range and the name of ``layer``; nothing if it has no scale."""
        self._strip.setFixedWidth(_GAP + _WIDTH if layer.has_scale else 0)
        for item in (self._strip, self.axis):
            item.setVisible(layer.has_scale)
        if not layer.has_scale:
            return
        self._strip.show_colours(colour_scale(_STOPS, diverging=layer.diverging).tolist(), colours)
        self.axis.setRange(*heat_map_range(layer))
        self.axis.setPen(colours.frame)
        self.axis.setTextPen(colours.ink)
        self.axis.setLabel(html.escape(layer.name), color=colours.ink.name())


class _Strip(pg.GraphicsWidget):
    """The colours from the lowest value below to the highest above."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(_GAP + _WIDTH)
        self._rows: list[list[int]] = []
        self._edge = QColor()

    def show_colours(self, rows: list[list[int]], colours: Colours) -> None:
        """Show these colours (red, green, blue), the first at the bottom."""
        self._rows, self._edge = rows, colours.frame
        self.update()

    def paint(self, painter: QPainter, *_: object) -> None:
        if not self._rows:
            return
        area = QRectF(_GAP, 0, _WIDTH, self.rect().height())
        gradient = QLinearGradient(area.bottomLeft(), QPointF(area.left(), area.top()))
        for number, row in enumerate(self._rows):
            gradient.setColorAt(number / (len(self._rows) - 1), QColor(*row))
        painter.setPen(self._edge)
        painter.setBrush(gradient)
        painter.drawRect(area)
