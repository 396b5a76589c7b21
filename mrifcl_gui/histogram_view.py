"""How often each intensity occurs, with the window that is shown as grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QMenu, QWidget

from core.colours import BLACK, BLUE
from core.figure import Axis, Bars, Curve, Figure, Panel
from mrifcl_gui.export import SpeakingExporter
from mrifcl_gui.plane_drawing import ACCENT, BACKGROUND, FAINT_TEXT
from mrifcl_gui.theme import SMALL, VIEWER, typeface

_BINS = 128
_MARGIN = 14


class HistogramView(QWidget):
    """Bars of log counts; the window's two edges can be dragged. Its menu copies and exports."""

    window_changed = Signal(float, float)  # low, high

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: NDArray[np.int64] = np.zeros(_BINS, dtype=np.int64)
        self._heights: NDArray[np.float64] = np.zeros(_BINS)
        self._range = (0.0, 1.0)
        self._window = (0.0, 1.0)
        self._dragged_edge: int | None = None
        self._title = ""
        self.exporter = SpeakingExporter(self.figure, self)
        self.setAccessibleName(self.tr("Intensity histogram"))
        self.setToolTip(self.tr("Voxels per intensity (log scale). Drag the edges of the window."))
        self.setMinimumHeight(70)

    def show_values(self, values: NDArray[Any]) -> None:
        """Count ``values`` (any shape, finite); the top 0.1 % is left out of the axis."""
        low, high = float(values.min()), float(np.percentile(values, 99.9))
        if high <= low:
            high = max(float(values.max()), low + 1.0)
        counts, _ = np.histogram(values, bins=_BINS, range=(low, high))
        self._counts = counts
        # The background would dwarf everything on a linear scale.
        heights = np.log1p(counts)
        self._heights = heights / max(heights.max(), 1.0)
        self._range = (low, high)
        self.update()

    def set_title(self, title: str) -> None:
        """Say which scan it is, for what is exported."""
        self._title = title

    def set_window(self, low: float, high: float) -> None:
        """Show which intensities run from black to white."""
        self._window = (low, high)
        self.update()

    def figure(self) -> Figure | None:
        """Return the counts and the window as a figure; None before anything was counted."""
        if not self._counts.any():
            return None
        low, high = self._range
        width = (high - low) / _BINS
        heights = np.log10(self._counts + 1)
        black, white = self._window
        return Figure(
            name="intensities",
            title=self._title or self.tr("How often each intensity occurs"),
            panels=(
                Panel(
                    x=Axis(self.tr("Intensity")),
                    y=Axis(self.tr("Voxels, log10 (n + 1)"), low=0),
                    layers=(
                        Bars(
                            self.tr("Voxels"),
                            low + (np.arange(_BINS) + 0.5) * width,
                            heights,
                            colour=BLUE,
                            width=width,
                        ),
                        Curve(
                            self.tr("From black to white"),
                            np.array([black, white]),
                            np.array([0.0, heights.max()]),
                            colour=BLACK,
                        ),
                    ),
                ),
            ),
            caption=self.tr(
                "How often each intensity occurs, counted over an even sample of the scan; the "
                "highest 0.1 % of intensities are left out. The line runs from what is shown "
                "black to what is shown white."
            ),
        )

    def build_menu(self) -> QMenu:
        """Return a new context menu."""
        menu = QMenu(self)
        self.exporter.add_actions(menu)
        return menu

    def x_of(self, value: float) -> float:
        """Return the x of an intensity in the widget."""
        low, high = self._range
        return _MARGIN + (value - low) / (high - low) * (self.width() - 2 * _MARGIN)

    def value_at(self, x: float) -> float:
        """Return the intensity at an x of the widget."""
        low, high = self._range
        return low + (x - _MARGIN) / max(self.width() - 2 * _MARGIN, 1) * (high - low)

    def _plot_area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, 8, -_MARGIN, -22)

    def _outline(self) -> QPolygonF:
        area = self._plot_area()
        step = area.width() / _BINS
        points = [QPointF(area.left(), area.bottom())]
        for number, height in enumerate(self._heights):
            y = area.bottom() - height * area.height()
            points.append(QPointF(area.left() + number * step, y))
            points.append(QPointF(area.left() + (number + 1) * step, y))
        points.append(QPointF(area.right(), area.bottom()))
        return QPolygonF(points)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the nearer edge of the window."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        x = event.position().x()
        distances = [abs(self.x_of(edge) - x) for edge in self._window]
        self._dragged_edge = int(np.argmin(distances))
        self._drag_edge_to(x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the taken edge."""
        if self._dragged_edge is not None:
            self._drag_edge_to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let the edge go."""
        self._dragged_edge = None

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer to copy and export what is shown."""
        if self.exporter.has_content:
            menu = self.build_menu()
            menu.aboutToHide.connect(menu.deleteLater)
            menu.popup(event.globalPos())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars, the window and the axis."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), BACKGROUND)
        area = self._plot_area()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(VIEWER.bars))
        painter.drawPolygon(self._outline())
        left = min(max(self.x_of(self._window[0]), area.left()), area.right())
        right = min(max(self.x_of(self._window[1]), area.left()), area.right())
        shade = QColor(ACCENT)
        shade.setAlpha(45)
        painter.setBrush(shade)
        painter.drawRect(QRectF(left, area.top(), right - left, area.height()))
        painter.setPen(QPen(ACCENT, 1.5))
        # The ramp from black to white is the window itself.
        painter.drawLine(QPointF(left, area.bottom()), QPointF(right, area.top()))
        for x in (left, right):
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        self._paint_axis(painter, area)
        painter.end()

    def _paint_axis(self, painter: QPainter, area: QRectF) -> None:
        painter.setFont(typeface(self.font(), SMALL))
        painter.setPen(FAINT_TEXT)
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        box = QRectF(area.left(), area.bottom() + 3, area.width(), 16)
        low, high = self._range
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, f"{low:.4g}")
        painter.drawText(box, Qt.AlignmentFlag.AlignRight, f"{high:.4g}")
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, self.tr("intensity"))

    def _drag_edge_to(self, x: float) -> None:
        low, high = self._window
        value = self.value_at(x)
        gap = (self._range[1] - self._range[0]) / 1000
        if self._dragged_edge == 0:
            self.window_changed.emit(min(value, high - gap), high)
        else:
            self.window_changed.emit(low, max(value, low + gap))
