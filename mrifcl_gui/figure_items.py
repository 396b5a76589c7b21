"""The items that show the layers of a panel on screen, one class for each kind of layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFont, QPainter
from PySide6.QtWidgets import QGraphicsPathItem

from core.figure import Band, Bars, Curve, HeatMap, Image, Scatter
from core.figure_heat_map import heat_map_colours, heat_map_texts, ink_on
from core.figure_overlay import overlaid, overlay_scale
from mrifcl_gui.figure_colour_bar import ColourBar
from mrifcl_gui.figure_colours import SYMBOLS, Colours, fill_of, pen_of
from mrifcl_gui.figure_dots import CROWD, Dots
from mrifcl_gui.theme import scaled

Floats = NDArray[np.float64]

_CELLS_WITH_NUMBERS = 400
_LARGEST_NUMBER = 18  # pixels at 100 %
_LONG_CURVE = 2000  # points; shorter lines are drawn as they are


class LayerItems:
    """The items of one layer.

    Attributes
    ----------
    n_dots : int
        Dots in the whole panel: a crowd of them is shown by its density.
    """

    n_dots = 0

    def __init__(self, plot: pg.PlotItem) -> None:
        self._plot = plot
        self._items = self._build()
        for item in self._items:
            plot.addItem(item, ignoreBounds=True)

    def _build(self) -> list[Any]:
        raise NotImplementedError

    def update(self, layer: Any, colours: Colours) -> None:  # noqa: ANN401 - its own kind of layer
        """Show the data of ``layer``."""
        raise NotImplementedError

    def set_order(self, order: int) -> None:
        """Draw above the layers of a lower order."""
        for item in self._items:
            item.setZValue(order)

    def settle(self) -> None:
        """Fit what depends on the size in pixels."""


class _ScatterItems(LayerItems):
    def _build(self) -> list[Any]:
        return [Dots()]

    def update(self, layer: Scatter, colours: Colours) -> None:
        x, y = _finite(layer.x, layer.y)
        self._items[0].set_dots(
            x,
            y,
            symbol=SYMBOLS[layer.symbol],
            size=layer.size,
            colour=colours.mark(layer.colour, layer.opacity),
            is_crowd=self.n_dots > CROWD,
        )


class _CurveItems(LayerItems):
    def _build(self) -> list[Any]:
        return [pg.PlotDataItem(antialias=True)]

    def update(self, layer: Curve, colours: Colours) -> None:
        x, y, connect = _unbroken(layer.x, layer.y)
        steps = np.diff(x)
        # pyqtgraph thins and clips only lines that run evenly from left to right.
        is_even = len(x) > _LONG_CURVE and 0 < steps.max() < 2 * steps.min()
        self._items[0].setDownsampling(auto=bool(is_even), method="peak")
        self._items[0].setClipToView(bool(is_even))
        joined = "all" if connect[:-1].all() else connect
        self._items[0].setData(x=x, y=y, connect=joined, pen=pen_of(layer, colours))


class _Area(QGraphicsPathItem):
    """An area whose edges are not smoothed: it is faint, and smoothing takes half a redraw."""

    def paint(self, painter: QPainter, *options: Any) -> None:  # noqa: ANN401
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        super().paint(painter, *options)


class _BandItems(LayerItems):
    def _build(self) -> list[Any]:
        return [_Area()]

    def update(self, layer: Band, colours: Colours) -> None:
        x, low, high = _finite(layer.x, layer.low, layer.high)
        outline_x, outline_y = np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])
        self._items[0].setPath(pg.arrayToQPath(outline_x, outline_y, finiteCheck=False))
        self._items[0].setBrush(fill_of(layer, colours))
        self._items[0].setPen(Qt.PenStyle.NoPen)


class _BarItems(LayerItems):
    def _build(self) -> list[Any]:
        return [pg.BarGraphItem(x=[0.0], height=[0.0], width=1.0)]

    def update(self, layer: Bars, colours: Colours) -> None:
        x, y = _finite(layer.x, layer.y)
        self._items[0].setVisible(bool(x.size))
        if x.size:
            brush = fill_of(layer, colours)
            self._items[0].setOpts(x=x, height=y, width=layer.width, brush=brush, pen=None)


class _HeatMapItems(LayerItems):
    def _build(self) -> list[Any]:
        self._numbers: list[pg.TextItem] = []
        self._shape = (1, 1)
        self.colour_bar = ColourBar(self._plot)
        return [pg.ImageItem(axisOrder="row-major")]

    def update(self, layer: HeatMap, colours: Colours) -> None:
        self.colour_bar.update(layer, colours)
        cells = heat_map_colours(layer)
        self._shape = cells.shape[:2]
        self._items[0].setImage(cells, autoLevels=False, levels=(0, 255))
        self._items[0].setRect(QRectF(-0.5, -0.5, cells.shape[1], cells.shape[0]))
        texts = [text for row in heat_map_texts(layer) for text in row]
        self._fit_numbers(len(texts) if len(texts) <= _CELLS_WITH_NUMBERS else 0)
        inks = [ink_on(cell) for cell in cells.reshape(-1, 3)]
        for place, (number, text, ink) in enumerate(zip(self._numbers, texts, inks, strict=False)):
            number.setColor(ink)
            number.setPlainText(text)
            number.setPos(place % self._shape[1], place // self._shape[1])

    def set_order(self, order: int) -> None:
        super().set_order(order)
        for number in self._numbers:
            number.setZValue(order + 0.5)

    def settle(self) -> None:
        """Print the numbers as large as the cells allow, none where they would not be read."""
        if not self._numbers:
            return
        step_x, step_y = self._plot.vb.viewPixelSize()
        widest = max(len(number.toPlainText()) for number in self._numbers)
        room = (
            min(0.5 / step_y, 0.9 / step_x / (0.65 * max(widest, 1))) if step_x and step_y else 0.0
        )
        font = QFont(self._plot.font())
        font.setPixelSize(int(np.clip(room, 1, scaled(_LARGEST_NUMBER))))
        for number in self._numbers:
            number.setVisible(room >= 6)
            number.setFont(font)

    def _fit_numbers(self, count: int) -> None:
        while len(self._numbers) > count:
            self._plot.removeItem(self._numbers.pop())
        while len(self._numbers) < count:
            self._numbers.append(pg.TextItem(anchor=(0.5, 0.5)))
            self._plot.addItem(self._numbers[-1], ignoreBounds=True)


class _ImageItems(LayerItems):
    def _build(self) -> list[Any]:
        self.colour_bar = ColourBar(self._plot)
        anchors = ((0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0))
        self._letters = [pg.TextItem(anchor=anchor, color="w") for anchor in anchors]
        for letter in self._letters:
            self._plot.addItem(letter, ignoreBounds=True)
        return [pg.ImageItem(axisOrder="row-major")]

    def set_order(self, order: int) -> None:
        super().set_order(order)
        for letter in self._letters:
            letter.setZValue(order + 0.5)

    def _write_letters(self, letters: tuple[str, ...], height: int, width: int) -> None:
        x, y = (width - 1) / 2, (height - 1) / 2
        places = ((-0.5, y), (width - 0.5, y), (x, -0.5), (x, height - 0.5))
        for item, letter, place in zip(self._letters, letters, places, strict=True):
            item.setPlainText(letter)
            item.setPos(*place)

    def update(self, layer: Image, colours: Colours) -> None:
        self.colour_bar.update(overlay_scale(layer), colours)
        pixels = np.atleast_2d(np.asarray(layer.pixels, dtype=np.float32))
        self._write_letters(layer.letters, *pixels.shape)
        if layer.overlay is not None:
            self._items[0].setImage(overlaid(layer), autoLevels=False, levels=(0, 255))
            self._items[0].setRect(QRectF(-0.5, -0.5, pixels.shape[1], pixels.shape[0]))
            return
        finite = pixels[np.isfinite(pixels)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        clean = np.nan_to_num(pixels, nan=low, posinf=high, neginf=low)
        self._items[0].setImage(
            clean, autoLevels=False, levels=(low, high if high > low else low + 1)
        )
        self._items[0].setRect(QRectF(-0.5, -0.5, pixels.shape[1], pixels.shape[0]))


ITEMS: dict[type, type[LayerItems]] = {
    Scatter: _ScatterItems,
    Curve: _CurveItems,
    Band: _BandItems,
    Bars: _BarItems,
    HeatMap: _HeatMapItems,
    Image: _ImageItems,
}


def _finite(*arrays: Any) -> tuple[Floats, ...]:  # noqa: ANN401 - any arrays
    """Return the arrays without the places where any is NaN or infinite."""
    clean = [np.asarray(array, dtype=np.float64).ravel() for array in arrays]
    keep = np.logical_and.reduce([np.isfinite(array) for array in clean])
    return tuple(clean) if keep.all() else tuple(array[keep] for array in clean)


def _unbroken(x: Any, y: Any) -> tuple[Floats, Floats, NDArray[np.int32]]:  # noqa: ANN401
    """Return the finite points of a line and whether each is joined to the next.

    pyqtgraph's own ``connect="finite"`` fails for some arrays of NaN (pyqtgraph #2486).
    """
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    keep = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    joined = np.zeros(keep.size, dtype=np.int32)
    joined[:-1] = np.diff(keep) == 1
    return x[keep], y[keep], joined
