"""One panel of a figure on screen: its layers, boxes, cross-hair and range."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt

from core.figure import HeatMap, Image, Panel, Scatter
from core.figure_geometry import (
    is_row_zero_on_top,
    legend_layers,
    panel_limits,
    tick_names,
)
from mrifcl_gui.box_places import BoxPlaces, seen_panel
from mrifcl_gui.figure_boxes import Legend, TextBox
from mrifcl_gui.figure_colours import Colours
from mrifcl_gui.figure_items import ITEMS
from mrifcl_gui.figure_lasso import inside
from mrifcl_gui.theme import BODY, scaled

Floats = NDArray[np.float64]

_TWO_LINES = 42  # pixels
_REACH = 6.0  # pixels around a marker that still count as on it


class PanelItems:
    """The items of one panel: made once, then given new data."""

    def __init__(
        self, plot: pg.PlotItem, panel: Panel, colours: Colours, *, has_legend: bool
    ) -> None:
        self.plot = plot
        self._panel = panel
        self._limits: Any = None
        self._points: list[tuple[Scatter, Floats, Floats]] = []
        self._zoomed = False
        self._look: Any = None
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.vb.sigRangeChangedManually.connect(self._on_range_changed_by_hand)
        plot.vb.invertY(is_row_zero_on_top(panel))
        plot.vb.setAspectLocked(panel.equal_aspect)
        plot.vb.disableAutoRange()
        self._layers = [ITEMS[type(layer)](plot) for layer in panel.layers]
        entries = legend_layers(panel) if has_legend else []
        self._legend = Legend(plot.vb, entries, plot.font()) if entries else None
        self._box = TextBox(plot.vb) if panel.text else None
        self._places = BoxPlaces(plot, self._box, self._legend)
        self._cross = [pg.InfiniteLine(angle=angle, movable=False) for angle in (90, 0)]
        self._rings = pg.ScatterPlotItem(pxMode=True, symbol="o", brush=None)
        self._target = pg.ScatterPlotItem(pxMode=True, symbol="o", brush=None)
        for item in (*self._cross, self._rings, self._target):
            plot.addItem(item, ignoreBounds=True)
        self._rings.setZValue(900)
        self._target.setZValue(901)
        for line in self._cross:
            line.setZValue(800)
            line.setVisible(False)
        self.update(panel, colours)

    def update(self, panel: Panel, colours: Colours) -> None:
        """Show the data of ``panel``, which has the structure of the one before."""
        self._panel = panel
        self._colour_once(panel, colours)
        self._points = []
        n_dots = sum(np.size(layer.x) for layer in panel.layers if isinstance(layer, Scatter))
        for number, (item, layer) in enumerate(zip(self._layers, panel.layers, strict=True)):
            item.n_dots = n_dots
            item.update(layer, colours)
            item.set_order(10 + number)
            if isinstance(layer, Scatter) and len(layer.ids):
                x, y = np.asarray(layer.x, dtype=float), np.asarray(layer.y, dtype=float)
                self._points.append((layer, x, y))
        if self._legend is not None:
            self._legend.show_layers(legend_layers(panel))
        if self._box is not None:
            self._box.set_text(panel.text)
        limits = panel_limits(panel)
        if limits != self._limits and not self._zoomed:
            self._limits = limits
            self.reset_range()
        self._limits = limits

    def reset_range(self) -> None:
        """Show all of it."""
        self._zoomed = False
        (x_low, x_high), (y_low, y_high) = panel_limits(self._panel)
        self.plot.vb.setRange(xRange=(x_low, x_high), yRange=(y_low, y_high), padding=0)

    def settle(self) -> None:
        """Fit what depends on the size in pixels: shape, range, boxes, size of numbers."""
        names = tick_names(self._panel)[0]
        left = self.plot.getAxis("left")
        for axis in (left, self.plot.getAxis("bottom")):
            axis.fit_label()
        needed = self.plot.getAxis("bottom").fit_names(names)
        left.setWidth(needed if needed > left.minimumWidth() else None)
        if not self._zoomed:
            self.reset_range()
        for axis in (left, self.plot.getAxis("bottom")):
            axis.fit_numbers()
        # At once, so that all below is fitted to the room that the axes leave.
        self._give_margins_back()
        self.plot.layout.activate()
        if self._panel.equal_aspect:
            self._fit_shape()
        if not self._zoomed:
            self.reset_range()
        for item in self._layers:
            item.settle()
        # What changes while it is painted would be painted twice.
        self.plot.vb.prepareForPaint()

    @property
    def panel(self) -> Panel:
        """The panel shown now."""
        return self._panel

    def least_size(self) -> tuple[float, float]:
        """Return the pixels that axes, names and scales need, without what is left free."""
        layout = self.plot.layout
        left, top, right, bottom = layout.getContentsMargins()
        needed = layout.effectiveSizeHint(Qt.SizeHint.MinimumSize)
        return needed.width() - left - right, needed.height() - top - bottom

    @property
    def room_below(self) -> float:
        """Height that the boxes below the axes take (pixels)."""
        return self._places.room_below

    def hides_little(self, inside: Sequence[str]) -> bool:
        """Tell whether the boxes ``inside`` ("text", "legend") have free places in the axes."""
        return self._places.hides_little(self._panel, inside)

    def height_below(self, inside: Sequence[str]) -> float:
        """Return the height (pixels) of all boxes but those ``inside``."""
        return self._places.height_below(inside)

    def keep_below(self, height: float) -> bool:
        """Keep ``height`` pixels free below the axes; tell whether that is new."""
        return self._places.keep_below(height)

    def place_boxes(self, inside: Sequence[str]) -> None:
        """Put the boxes ``inside`` where they hide least, the others below the axes."""
        self._places.place(seen_panel(self._panel, self.plot.vb.viewRange()), inside)

    def has_box_in_the_way(self) -> bool:
        """Tell whether a box hides much, or does not fit, since the data have changed."""
        seen = seen_panel(self._panel, self.plot.vb.viewRange())
        return not self._zoomed and self._places.is_in_the_way(seen)

    def ring(self, ids: frozenset[str], current: str = "") -> None:
        """Ring the points with these ids, and wider the one that is looked at."""
        x: list[float] = []
        y: list[float] = []
        size = 0.0
        for layer, xs, ys in self._points:
            for number, name in enumerate(layer.ids) if ids else ():
                if name in ids and np.isfinite(xs[number]) and np.isfinite(ys[number]):
                    x.append(xs[number])
                    y.append(ys[number])
                    size = max(size, layer.size)
        self._rings.setData(x=x, y=y, size=size + 7)
        places = [
            (xs[number], ys[number])
            for layer, xs, ys in self._points
            for number, name in enumerate(layer.ids if current else ())
            if name == current and np.isfinite(xs[number]) and np.isfinite(ys[number])
        ]
        self._target.setData(
            x=[place[0] for place in places], y=[place[1] for place in places], size=size + 14
        )

    def ids_inside(self, outline: Floats) -> list[str]:
        """Return the ids of the points inside an outline (n, 2) in units of the axes."""
        return [
            layer.ids[number]
            for layer, x, y in self._points
            for number in np.flatnonzero(inside(outline, x, y))
        ]

    def show_cross(self, place: QPointF | None) -> None:
        """Put the cross-hair at a place of the scene; None hides it."""
        for line in self._cross:
            line.setVisible(place is not None)
        if place is not None:
            at = self.plot.vb.mapSceneToView(place)
            self._cross[0].setPos(at.x())
            self._cross[1].setPos(at.y())

    def read_out(self, place: QPointF) -> str:
        """Return the values at a place of the scene, with as many digits as pixels can tell."""
        at = self.plot.vb.mapSceneToView(place)
        for layer in self._panel.layers:
            if isinstance(layer, HeatMap | Image):
                return self._read_cell(layer, at)
        columns, rows = tick_names(self._panel)
        step_x, step_y = self.plot.vb.viewPixelSize()
        x = _named(columns, at.x()) or _rounded(at.x(), step_x)
        y = _named(rows, at.y()) or _rounded(at.y(), step_y)
        return f"{self._panel.x.label or 'x'} {x}    {self._panel.y.label or 'y'} {y}"

    def point_at(self, place: QPointF) -> str:
        """Return the id of the nearest point on which the place of the scene lies, or ""."""
        at = self.plot.vb.mapSceneToView(place)
        step_x, step_y = self.plot.vb.viewPixelSize()
        best, found = np.inf, ""
        for layer, x, y in self._points:
            if not x.size or not step_x or not step_y:
                continue
            far = np.hypot((x - at.x()) / step_x, (y - at.y()) / step_y)
            if np.all(np.isnan(far)):
                continue
            nearest = int(np.nanargmin(far))
            if far[nearest] < min(best, _REACH + layer.size / 2):
                best, found = float(far[nearest]), layer.ids[nearest]
        return found

    def _give_margins_back(self) -> None:
        """Start without margins where they, or the title, no longer fit into the panel."""
        layout, room = self.plot.layout, self.plot.contentsRect()
        needed = layout.effectiveSizeHint(Qt.SizeHint.MinimumSize)
        if needed.width() > room.width() or needed.height() > room.height():
            layout.setContentsMargins(0, 0, 0, 0)
            layout.activate()
            layout.setGeometry(room)

    def _fit_shape(self) -> None:
        """Leave free what an equal aspect has no use for, or the range would be widened."""
        (x_low, x_high), (y_low, y_high) = panel_limits(self._panel)
        ratio = (x_high - x_low) / (y_high - y_low)
        layout = self.plot.layout
        left, top, right, bottom = layout.getContentsMargins()
        wide = self.plot.vb.rect().width() + left + right
        high = self.plot.vb.rect().height() + top + bottom
        # A title may be wider than what is below it.
        shape = max(high * ratio, self.plot.titleLabel.minimumWidth())
        beside = max(0.0, wide - shape) / 2
        above = max(0.0, high - wide / ratio) / 2
        if abs(beside - left) >= 1 or abs(above - top) >= 1:
            layout.setContentsMargins(beside, above, beside, above)
            layout.activate()

    def _colour_once(self, panel: Panel, colours: Colours) -> None:
        """Label and colour the axes, unless they are so: a slider only moves the data."""
        look = (panel.title, panel.x, panel.y, tick_names(panel), id(colours))
        if look != self._look:
            self._look = look
            self._colour(panel, colours)

    def _colour(self, panel: Panel, colours: Colours) -> None:
        columns, rows = tick_names(panel)
        is_grid = not is_row_zero_on_top(panel)
        for side, axis, names in (("bottom", panel.x, columns), ("left", panel.y, rows)):
            item = self.plot.getAxis(side)
            item.setPen(colours.frame)
            item.setTextPen(colours.ink)
            item.setLabel(html.escape(axis.title), color=colours.ink.name())
            item.setTicks([list(enumerate(names))] if names else None)
            item.setGrid(30 if is_grid and not names else False)
            item.setStyle(hideOverlappingLabels=False)
            is_bare_picture = not axis.title and any(isinstance(s, Image) for s in panel.layers)
            self.plot.showAxis(side, not is_bare_picture)
        title = html.escape(panel.title).replace("\n", "<br>") if panel.title else None
        if "\n" in panel.title:
            title = f"<div align='center'>{title}</div>"
        self.plot.setTitle(title, color=colours.ink.name(), size=f"{scaled(BODY)}px")
        if "\n" in panel.title:
            # Lines are centred in a width of their own only.
            item = self.plot.titleLabel.item
            item.setTextWidth(-1)
            item.setTextWidth(item.boundingRect().width())
            self.plot.titleLabel.updateMin()
            self.plot.titleLabel.resizeEvent(None)
            # pyqtgraph leaves room for one line.
            self.plot.titleLabel.setMaximumHeight(scaled(_TWO_LINES))
            self.plot.layout.setRowFixedHeight(0, scaled(_TWO_LINES))
        for line in self._cross:
            line.setPen(pg.mkPen(colours.frame, width=1, style=Qt.PenStyle.DashLine))
        self._rings.setPen(pg.mkPen(colours.ink, width=2))
        self._target.setPen(pg.mkPen(colours.ink, width=2))
        for box in (self._legend, self._box):
            if box is not None:
                box.recolour(colours)

    def _read_cell(self, layer: HeatMap | Image, at: QPointF) -> str:
        values = np.atleast_2d(
            np.asarray(layer.values if isinstance(layer, HeatMap) else layer.pixels)
        )
        row, column = round(at.y()), round(at.x())
        if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
            return " "
        columns, rows = tick_names(self._panel)
        row_name = _named(rows, row) or f"row {row}"
        column_name = _named(columns, column) or f"column {column}"
        return f"{row_name}, {column_name}: {float(values[row, column]):.4g}"

    def _on_range_changed_by_hand(self, _axes: object) -> None:
        self._zoomed = True


def _rounded(value: float, step: float) -> str:
    digits = int(np.clip(np.ceil(-np.log10(step)), 0, 8)) if step > 0 else 4
    return f"{value:.{digits}f}".replace("-", "−")


def _named(names: tuple[str, ...], place: float) -> str:
    return names[round(place)] if names and 0 <= round(place) < len(names) else ""
