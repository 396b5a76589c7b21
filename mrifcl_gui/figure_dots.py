"""Many equal dots on screen: stamped one by one, or counted into a raster where too many."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.graphicsItems.ScatterPlotItem import renderSymbol
from pyqtgraph.Qt.internals import PrimitiveArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

Floats = NDArray[np.float64]

# More dots than these in a panel are shown by their density.
CROWD = 50_000
_CELL = 2  # pixels, of the raster: one of a single dot must still be seen
_LEAST_ALPHA, _MOST_ALPHA = 0.3, 0.95
_FRAGMENT_FIELDS = 10  # of QPainter.PixmapFragment, all doubles


class Dots(pg.GraphicsObject):
    """Dots of one symbol, size and colour.

    A ``ScatterPlotItem`` keeps symbol, size, pen and brush of each dot; with one for all of
    them, new data and every frame cost a fraction.
    """

    def __init__(self) -> None:
        super().__init__()
        self._x, self._y = np.zeros(0), np.zeros(0)
        self._look: tuple[str, float, QColor] = ("o", 5.0, QColor())
        self._stamp: QPixmap | None = None
        self._fragments = PrimitiveArray(QPainter.PixmapFragment, _FRAGMENT_FIELDS)
        self._is_crowd = False
        self._spare: list[Floats] = []

    def set_dots(
        self,
        x: Floats,
        y: Floats,
        *,
        symbol: str,
        size: float,
        colour: QColor,
        is_crowd: bool,
    ) -> None:
        """Show finite ``x``, ``y`` (n,); a crowd is shown by its density, whatever the symbol."""
        look = (symbol, size, colour)
        if look != self._look:
            self._look, self._stamp = look, None
        if len(x) != len(self._x):
            self._fragments = PrimitiveArray(QPainter.PixmapFragment, _FRAGMENT_FIELDS)
            self._stamp, self._spare = None, []
        self._x, self._y, self._is_crowd = x, y, is_crowd
        self.update()

    def getData(self) -> tuple[Floats, Floats]:
        """Return the places of the dots."""
        return self._x, self._y

    def boundingRect(self) -> QRectF:  # noqa: D102
        return QRectF(self.viewRect())

    def viewTransformChanged(self) -> None:  # noqa: D102
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(  # noqa: D102
        self, p: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        if not self._x.size:
            return
        # Views neither turn nor shear: two products and two sums place every dot.
        transform = p.transform()
        scale_x, scale_y = transform.m11(), transform.m22()
        shift_x, shift_y = transform.dx(), transform.dy()
        frame = transform.mapRect(self.viewRect())
        if not all(map(math.isfinite, (scale_x, scale_y, shift_x, shift_y))):
            return
        p.resetTransform()
        if self._is_crowd:
            self._paint_density(p, frame, (scale_x, shift_x), (scale_y, shift_y))
            return
        ratio = widget.devicePixelRatioF() if widget is not None else 1.0
        reach = self._look[1] + 1
        wide = frame.adjusted(-reach, -reach, reach, reach)
        x, y = self._x * scale_x + shift_x, self._y * scale_y + shift_y
        seen = (x > wide.left()) & (x < wide.right()) & (y > wide.top()) & (y < wide.bottom())
        if not seen.all():
            x, y = x[seen], y[seen]
        stamp = self._stamp_of(ratio)
        self._fragments.resize(len(x))
        table = self._fragments.ndarray()
        table[:, 0], table[:, 1] = x, y
        p.drawPixmapFragments(*self._fragments.drawargs(), stamp)

    def _stamp_of(self, ratio: float) -> QPixmap:
        """Return the picture of one dot; with a new one the table of fragments is filled."""
        if self._stamp is None or self._stamp.devicePixelRatio() != ratio:
            symbol, size, colour = self._look
            image = renderSymbol(symbol, size, pg.mkPen(None), pg.mkBrush(colour), dpr=ratio)
            self._stamp = QPixmap.fromImage(image)
            self._fragments.resize(len(self._x))
            table = self._fragments.ndarray()
            table[:, 2:6] = (0, 0, image.width(), image.height())
            table[:, 6:10] = (1 / ratio, 1 / ratio, 0.0, 1.0)
        return self._stamp

    def _paint_density(
        self, p: QPainter, frame: QRectF, x_map: tuple[float, float], y_map: tuple[float, float]
    ) -> None:
        left, top = math.floor(frame.left()), math.floor(frame.top())
        columns = math.ceil((frame.right() - left) / _CELL)
        rows = math.ceil((frame.bottom() - top) / _CELL)
        if columns < 1 or rows < 1:
            return
        counts = self._counts(
            (x_map[0] / _CELL, (x_map[1] - left) / _CELL, columns),
            (y_map[0] / _CELL, (y_map[1] - top) / _CELL, rows),
        )
        pixels = density_pixels(counts, self._look[2])
        image = QImage(
            pixels.data, columns, rows, 4 * columns, QImage.Format.Format_ARGB32_Premultiplied
        )
        p.drawImage(QRectF(left, top, columns * _CELL, rows * _CELL), image)

    def _counts(
        self, x_map: tuple[float, float, int], y_map: tuple[float, float, int]
    ) -> NDArray[np.int64]:
        """Return how many dots fall into each cell, (rows, columns)."""
        if not self._spare:
            self._spare = [np.empty(len(self._x)), np.empty(len(self._x))]
        for values, (scale, shift, cells), out in zip(
            (self._x, self._y), (x_map, y_map), self._spare, strict=True
        ):
            np.multiply(values, scale, out=out)
            # Cell 0 and the last one take what is outside and are thrown away.
            out += shift + 1
            np.clip(out, 0, cells + 1, out=out)
        (_, _, columns), (_, _, rows) = x_map, y_map
        place = self._spare[1].astype(np.int64)
        place *= columns + 2
        place += self._spare[0].astype(np.int64)
        counts = np.bincount(place, minlength=(columns + 2) * (rows + 2))
        return counts.reshape(rows + 2, columns + 2)[1:-1, 1:-1]


def density_pixels(counts: NDArray[np.int64], colour: QColor) -> NDArray[np.uint32]:
    """Return the picture of a density, ARGB premultiplied, in the shape of ``counts``.

    Empty cells are clear, a single dot is seen, and the opacity grows with the logarithm of
    the count up to the fullest cell.
    """
    most = int(counts.max(initial=0))
    levels = np.log1p(np.arange(most + 1)) / math.log1p(max(most, 1))
    alpha = _LEAST_ALPHA + (_MOST_ALPHA - _LEAST_ALPHA) * levels
    alpha[0] = 0
    table = np.round(alpha * 255).astype(np.uint32) << 24
    for part, shift in ((colour.red(), 16), (colour.green(), 8), (colour.blue(), 0)):
        table |= np.round(alpha * part).astype(np.uint32) << shift
    pixels: NDArray[np.uint32] = np.ascontiguousarray(table[counts])
    return pixels
