"""A view of a panel in which a drag with Shift draws around points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QColor, QPainterPath, QPolygonF
from PySide6.QtWidgets import QGraphicsPathItem

from mrifcl_gui.theme import ACCENT

_ABOVE_ALL = 950


class LassoViewBox(pg.ViewBox):
    """Moves and zooms as usual; a left drag with Shift is a lasso.

    Signals
    -------
    lassoed(object)
        The drawn outline, shape (n, 2), in the units of the axes.
    """

    lassoed = Signal(object)

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - pyqtgraph's own
        super().__init__(*args, **options)
        self._outline: list[QPointF] = []
        self._line = QGraphicsPathItem(self)
        self._line.setZValue(_ABOVE_ALL)
        self._line.setPen(pg.mkPen(ACCENT, width=1.5, style=Qt.PenStyle.DashLine))
        inside = QColor(ACCENT)
        inside.setAlpha(40)
        self._line.setBrush(inside)
        self._line.setVisible(False)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:  # noqa: D102, ANN401
        is_ours = bool(self._outline) or (
            ev.isStart()
            and ev.button() == Qt.MouseButton.LeftButton
            and bool(ev.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        )
        if not is_ours:
            super().mouseDragEvent(ev, axis)
            return
        ev.accept()
        if ev.isStart():
            self._outline = [ev.buttonDownPos()]
        self._outline.append(ev.pos())
        path = QPainterPath()
        path.addPolygon(QPolygonF(self._outline))
        self._line.setPath(path)
        self._line.setVisible(not ev.isFinish())
        if ev.isFinish():
            drawn, self._outline = self._outline, []
            places = [self.mapToView(point) for point in drawn]
            self.lassoed.emit(np.array([[place.x(), place.y()] for place in places]))


def inside(outline: NDArray[np.float64], x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which points lie inside a closed outline (n, 2), by the even-odd rule."""
    result = np.zeros(len(x), dtype=bool)
    ends = np.roll(outline, -1, axis=0)
    for (x0, y0), (x1, y1) in zip(outline.tolist(), ends.tolist(), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        result ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return result
