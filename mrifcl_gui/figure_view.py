"""Show a Figure on screen: the same panels and layers as on paper, in the window's colours."""

from __future__ import annotations

import html
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetricsF,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QGraphicsPathItem,
    QGraphicsTextItem,
    QLabel,
    QMenu,
    QSizePolicy,
    QStackedWidget,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from core import figure_file
from core.figure import Band, Bars, Curve, Figure, HeatMap, Image, Layer, Panel, Scatter
from mrifcl_gui.export import Exporter

Floats = NDArray[np.float64]

_SYMBOLS = {"circle": "o", "square": "s", "triangle": "t1", "diamond": "d", "cross": "x"}
_PEN_STYLES = {
    "solid": Qt.PenStyle.SolidLine,
    "dashed": Qt.PenStyle.DashLine,
    "dotted": Qt.PenStyle.DotLine,
    "dashdot": Qt.PenStyle.DashDotLine,
}
_REACH = 6.0  # pixels around a marker that still count as on it
_LEAST_CONTRAST = 3.0  # of marks against the ground, WCAG 2.1 criterion 1.4.11
_LEAST_PANEL = (200, 170)  # pixels; smaller panels scroll no more than they help
_CELLS_WITH_NUMBERS = 400
_SAMPLE_WIDTH, _ENTRY_HEIGHT, _ENTRY_GAP = 22, 18, 18  # pixels, in legends
_NAME_ANGLE = 35  # degrees


class Colours:
    """The colours of plots under a palette."""

    def __init__(self, palette: QPalette) -> None:
        self.ground = palette.color(QPalette.ColorRole.Base)
        self.is_dark = self.ground.lightness() < 128
        self.ink = QColor("#E6E6E6" if self.is_dark else "#222222")
        self.frame = QColor("#8C8C8C" if self.is_dark else "#888888")
        self.box = QColor(self.ground)
        self.box.setAlpha(215)
        self.box_edge = QColor("#666666" if self.is_dark else "#CCCCCC")
        self.warning = QColor("#FF7B72" if self.is_dark else "#C00000")

    def mark(self, colour: str, opacity: float = 1.0) -> QColor:
        """Return a layer's colour; under dark colours lighter, until it stands off the ground."""
        wanted = QColor(colour)
        if self.is_dark:
            # The ground swallows what shines through; on paper it is white and does not.
            opacity = max(opacity, 0.8)
            tries = (_mixed(wanted, self.ink, step / 10) for step in range(11))
            seen = (
                (tried, _contrast(_mixed(self.ground, tried, opacity), self.ground))
                for tried in tries
            )
            wanted = next((tried for tried, c in seen if c >= _LEAST_CONTRAST), self.ink)
        result = QColor(wanted)
        result.setAlphaF(opacity)
        return result


class FigureView(QWidget):
    """A figure with its title above, caption and warning below.

    The wheel zooms, a left drag moves, a double click resets; the mouse's place is read out
    below. A figure of the same structure (panels, kinds and names of layers) only replaces
    the data, so that a slider over epochs is smooth and the zoom stays.

    Signals
    -------
    point_clicked(str)
        The id of a clicked point of a Scatter with ids.
    saved(Path), copied(), failed(str)
        The end of an export from the context menu.
    """

    point_clicked = Signal(str)
    saved = Signal(object)
    copied = Signal()
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._figure: Figure | None = None
        self._structure: tuple[Any, ...] | None = None
        self._panels: list[_PanelItems] = []
        self._selected: frozenset[str] = frozenset()
        self._colours = Colours(self.palette())
        self._build_labels()
        self._legend_row = _LegendRow(self)
        self._graphics = self._build_graphics()
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._graphics)
        self._build_layout()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(60)
        self._settle.timeout.connect(self._on_settled)
        self._exporter = Exporter(self.figure, self)
        self._exporter.saved.connect(self.saved)
        self._exporter.copied.connect(self.copied)
        self._exporter.failed.connect(self.failed)

    def figure(self) -> Figure | None:
        """Return the figure shown now, None without one."""
        return self._figure

    def show_figure(self, figure: Figure) -> None:
        """Show ``figure``; items are kept where its structure is that of the one before."""
        self._figure = figure
        structure = _structure_of(figure)
        if structure == self._structure:
            for items, panel in zip(self._panels, figure.panels, strict=True):
                items.update(panel, self._colours)
        else:
            self._structure = structure
            self._rebuild(figure)
        self._show_selected()
        self._legend_row.show_layers(_shared_legend(figure), self._colours)
        for label, text in (
            (self._title, figure.title),
            (self._caption, figure.caption),
            (self._warning, figure.warning),
        ):
            label.setText(text)
            label.setVisible(bool(text))
        self._readout.setVisible(True)
        self._stack.setCurrentWidget(self._graphics)

    def clear_figure(self, empty_text: str) -> None:
        """Show ``empty_text`` and no figure."""
        self._figure, self._structure = None, None
        self._remove_panels()
        for label in (self._title, self._caption, self._warning, self._readout):
            label.clear()
            label.setVisible(False)
        self._legend_row.show_layers([], self._colours)
        self._empty.setText(empty_text)
        self._stack.setCurrentWidget(self._empty)

    def select_points(self, ids: Collection[str]) -> None:
        """Ring the points with these ids; it lasts until other ids are given."""
        self._selected = frozenset(ids)
        self._show_selected()

    def reset_ranges(self) -> None:
        """Show every panel in full."""
        for items in self._panels:
            items.reset_range()

    def build_menu(self) -> QMenu:
        """Return a new context menu."""
        menu = QMenu(self)
        self._exporter.add_actions(menu)
        menu.addSeparator()
        menu.addAction(self.tr("Show all")).triggered.connect(self.reset_ranges)
        return menu

    def _build_labels(self) -> None:
        self._title, self._caption, self._warning = _label(), _label(), _label()
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        font = QFont(self._title.font())
        font.setBold(True)
        self._title.setFont(font)
        self._readout = _label()
        self._readout.setAccessibleName(self.tr("Place of the mouse"))
        self._readout.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._readout.setWordWrap(False)
        # A long id must not widen the window while the mouse moves.
        self._readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._empty = _label()
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setVisible(True)

    def _build_graphics(self) -> pg.GraphicsLayoutWidget:
        graphics = pg.GraphicsLayoutWidget(self)
        graphics.setBackground(self._colours.ground)
        graphics.setAntialiasing(True)
        graphics.ci.setContentsMargins(4, 4, 4, 4)
        graphics.ci.setSpacing(8)
        # Right drags zoom; the menu opens on a right click without a drag.
        graphics.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        graphics.setAccessibleName(self.tr("Figure"))
        graphics.scene().sigMouseMoved.connect(self._on_mouse_moved)
        graphics.scene().sigMouseClicked.connect(self._on_mouse_clicked)
        return graphics

    def _build_layout(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._legend_row)
        for label in (self._readout, self._warning, self._caption):
            layout.addWidget(label)
        self._recolour_labels()

    def _rebuild(self, figure: Figure) -> None:
        self._remove_panels()
        columns = max(1, figure.columns)
        has_legend = not _shared_legend(figure)
        for number, panel in enumerate(figure.panels):
            axes = {side: _Axis(side) for side in ("bottom", "left")}
            plot = self._graphics.addPlot(
                row=number // columns, col=number % columns, axisItems=axes
            )
            plot.setMinimumSize(*_LEAST_PANEL)
            plot.vb.sigResized.connect(self._on_panel_resized)
            self._panels.append(_PanelItems(plot, panel, self._colours, has_legend=has_legend))
        self._settle.start()

    def _remove_panels(self) -> None:
        self._panels = []
        self._graphics.clear()

    def _show_selected(self) -> None:
        for items in self._panels:
            items.ring(self._selected)

    def _recolour_labels(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.WindowText, self._colours.warning)
        self._warning.setPalette(palette)

    def _panel_at(self, place: QPointF) -> _PanelItems | None:
        for items in self._panels:
            if items.plot.vb.sceneBoundingRect().contains(place):
                return items
        return None

    def _on_panel_resized(self, _box: object) -> None:
        self._settle.start()

    def _on_settled(self) -> None:
        for items in self._panels:
            items.settle()

    def _on_mouse_moved(self, place: QPointF) -> None:
        under = self._panel_at(place)
        for items in self._panels:
            items.show_cross(place if items is under else None)
        if under is None:
            self._readout.setText(" ")
            QToolTip.hideText()
            return
        found = under.point_at(place)
        self._readout.setText(under.read_out(place) + (f"    {found}" if found else ""))
        if found:
            on_screen = self._graphics.mapToGlobal(self._graphics.mapFromScene(place))
            QToolTip.showText(on_screen, html.escape(found), self._graphics)
        else:
            QToolTip.hideText()

    def _on_mouse_clicked(self, event: Any) -> None:  # noqa: ANN401 - pyqtgraph's own event
        under = self._panel_at(event.scenePos())
        if event.button() == Qt.MouseButton.RightButton:
            self._open_menu(event.screenPos().toPoint())
        elif under is not None and event.button() == Qt.MouseButton.LeftButton:
            if event.double():
                under.reset_range()
                return
            found = under.point_at(event.scenePos())
            if found:
                self.point_clicked.emit(found)

    def _open_menu(self, place: QPoint) -> None:
        menu = self.build_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def changeEvent(self, event: QEvent) -> None:  # noqa: D102
        super().changeEvent(event)
        # Qt sends this also while the base class is being built.
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_stack"):
            self._colours = Colours(self.palette())
            self._graphics.setBackground(self._colours.ground)
            self._recolour_labels()
            if self._figure is not None:
                self.show_figure(self._figure)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: D102
        if self._figure is not None and event.reason() != QContextMenuEvent.Reason.Mouse:
            self._open_menu(self.mapToGlobal(self.rect().center()))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102
        super().resizeEvent(event)
        self._settle.start()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: D102
        super().showEvent(event)
        self._settle.start()


class _PanelItems:
    """The items of one panel: made once, then given new data."""

    def __init__(
        self, plot: pg.PlotItem, panel: Panel, colours: Colours, *, has_legend: bool
    ) -> None:
        self.plot = plot
        self._panel = panel
        self._limits: Any = None
        self._points: list[tuple[Scatter, Floats, Floats]] = []
        self._zoomed = False
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.vb.sigRangeChangedManually.connect(self._on_range_changed_by_hand)
        plot.vb.invertY(figure_file.is_row_zero_on_top(panel))
        plot.vb.setAspectLocked(panel.equal_aspect)
        plot.vb.disableAutoRange()
        self._layers = [_ITEMS[type(layer)](plot) for layer in panel.layers]
        entries = figure_file.legend_layers(panel) if has_legend else []
        self._legend = _Legend(plot.vb, entries, plot.font()) if entries else None
        self._box = _TextBox(plot.vb) if panel.text else None
        self._cross = [pg.InfiniteLine(angle=angle, movable=False) for angle in (90, 0)]
        self._rings = pg.ScatterPlotItem(pxMode=True, symbol="o", brush=None)
        for item in (*self._cross, self._rings):
            plot.addItem(item, ignoreBounds=True)
        self._rings.setZValue(900)
        for line in self._cross:
            line.setZValue(800)
            line.setVisible(False)
        self.update(panel, colours)

    def update(self, panel: Panel, colours: Colours) -> None:
        """Show the data of ``panel``, which has the structure of the one before."""
        self._panel = panel
        self._colour(panel, colours)
        self._points = []
        for number, (item, layer) in enumerate(zip(self._layers, panel.layers, strict=True)):
            item.update(layer, colours)
            item.set_order(10 + number)
            if isinstance(layer, Scatter) and len(layer.ids):
                x, y = np.asarray(layer.x, dtype=float), np.asarray(layer.y, dtype=float)
                self._points.append((layer, x, y))
        if self._legend is not None:
            self._legend.show_layers(figure_file.legend_layers(panel))
        if self._box is not None:
            self._box.set_text(panel.text)
        limits = figure_file.panel_limits(panel)
        if limits != self._limits and not self._zoomed:
            self._limits = limits
            self.reset_range()
        self._limits = limits

    def reset_range(self) -> None:
        """Show all of it."""
        self._zoomed = False
        (x_low, x_high), (y_low, y_high) = figure_file.panel_limits(self._panel)
        self.plot.vb.setRange(xRange=(x_low, x_high), yRange=(y_low, y_high), padding=0)

    def settle(self) -> None:
        """Fit what depends on the size in pixels: range, place of boxes, size of numbers."""
        if not self._zoomed:
            self.reset_range()
        for item in self._layers:
            item.settle()
        names = figure_file.tick_names(self._panel)[0]
        left = self.plot.getAxis("left")
        needed = self.plot.getAxis("bottom").fit_names(names)
        left.setWidth(needed if needed > left.minimumWidth() else None)
        self._place_boxes()

    def ring(self, ids: frozenset[str]) -> None:
        """Ring the points with these ids."""
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
        columns, rows = figure_file.tick_names(self._panel)
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

    def _place_boxes(self) -> None:
        """Put text and legend where they hide least; what somebody dragged stays."""
        boxes: list[_Box] = [box for box in (self._box, self._legend) if box is not None]
        boxes = [box for box in boxes if not box.was_moved]
        wide, high = self.plot.vb.rect().width(), self.plot.vb.rect().height()
        if not boxes or wide < 1 or high < 1:
            return
        panel = self._as_seen()
        tries = []
        for rank, share in enumerate((0.94, 0.7, 0.5) if self._box in boxes else (1.0,)):
            if self._box is not None and self._box in boxes:
                self._box.fit(share * wide)
            sizes = [(box.size()[0] / wide, box.size()[1] / high) for box in boxes]
            places = figure_file.choose_places(panel, sizes)
            tries.append((sum(place[2] for place in places) + 0.01 * rank, share, places))
        _, share, places = min(tries, key=lambda tried: tried[0])
        if self._box is not None and self._box in boxes:
            self._box.fit(share * wide)
        for box, (left, bottom, _) in zip(boxes, places, strict=True):
            y = (1 - bottom) * high - box.size()[1]
            box.setPos(max(left * wide, 2.0), max(y, 2.0))

    def _colour(self, panel: Panel, colours: Colours) -> None:
        columns, rows = figure_file.tick_names(panel)
        is_grid = not figure_file.is_row_zero_on_top(panel)
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
        title = html.escape(panel.title) if panel.title else None
        self.plot.setTitle(title, color=colours.ink.name(), size="10pt")
        for line in self._cross:
            line.setPen(pg.mkPen(colours.frame, width=1, style=Qt.PenStyle.DashLine))
        self._rings.setPen(pg.mkPen(colours.ink, width=2))
        for box in (self._legend, self._box):
            if box is not None:
                box.recolour(colours)

    def _as_seen(self) -> Panel:
        """Return the panel with the limits that the view has, which an equal aspect widens."""
        (x_low, x_high), (y_low, y_high) = self.plot.vb.viewRange()
        return replace(
            self._panel,
            x=replace(self._panel.x, low=x_low, high=x_high),
            y=replace(self._panel.y, low=y_low, high=y_high),
            equal_aspect=False,
        )

    def _read_cell(self, layer: HeatMap | Image, at: QPointF) -> str:
        values = np.atleast_2d(
            np.asarray(layer.values if isinstance(layer, HeatMap) else layer.pixels)
        )
        row, column = round(at.y()), round(at.x())
        if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
            return " "
        columns, rows = figure_file.tick_names(self._panel)
        row_name = _named(rows, row) or f"row {row}"
        column_name = _named(columns, column) or f"column {column}"
        return f"{row_name}, {column_name}: {float(values[row, column]):.4g}"

    def _on_range_changed_by_hand(self, _axes: object) -> None:
        self._zoomed = True


# -- layers --------------------------------------------------------------------------------


class _LayerItems:
    """The items of one layer."""

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


class _ScatterItems(_LayerItems):
    def _build(self) -> list[Any]:
        return [pg.ScatterPlotItem(pxMode=True, pen=None)]

    def update(self, layer: Scatter, colours: Colours) -> None:
        x, y = _finite(layer.x, layer.y)
        brush = colours.mark(layer.colour, layer.opacity)
        self._items[0].setData(
            x=x, y=y, size=layer.size, symbol=_SYMBOLS[layer.symbol], brush=brush, pen=None
        )


class _CurveItems(_LayerItems):
    def _build(self) -> list[Any]:
        return [pg.PlotDataItem(antialias=True)]

    def update(self, layer: Curve, colours: Colours) -> None:
        x, y, connect = _unbroken(layer.x, layer.y)
        self._items[0].setData(x=x, y=y, connect=connect, pen=_pen_of(layer, colours))


class _BandItems(_LayerItems):
    def _build(self) -> list[Any]:
        return [QGraphicsPathItem()]

    def update(self, layer: Band, colours: Colours) -> None:
        x, low, high = _finite(layer.x, layer.low, layer.high)
        outline = np.concatenate([np.stack([x, low], 1), np.stack([x, high], 1)[::-1]])
        path = QPainterPath()
        path.addPolygon(QPolygonF([QPointF(*point) for point in outline.tolist()]))
        self._items[0].setPath(path)
        self._items[0].setBrush(_fill_of(layer, colours))
        self._items[0].setPen(QColor(0, 0, 0, 0))


class _BarItems(_LayerItems):
    def _build(self) -> list[Any]:
        return [pg.BarGraphItem(x=[0.0], height=[0.0], width=1.0)]

    def update(self, layer: Bars, colours: Colours) -> None:
        x, y = _finite(layer.x, layer.y)
        self._items[0].setVisible(bool(x.size))
        if x.size:
            brush = _fill_of(layer, colours)
            self._items[0].setOpts(x=x, height=y, width=layer.width, brush=brush, pen=None)


class _HeatMapItems(_LayerItems):
    def _build(self) -> list[Any]:
        self._numbers: list[pg.TextItem] = []
        self._shape = (1, 1)
        return [pg.ImageItem(axisOrder="row-major")]

    def update(self, layer: HeatMap, colours: Colours) -> None:
        cells = figure_file.heat_map_colours(layer)
        self._shape = cells.shape[:2]
        self._items[0].setImage(cells, autoLevels=False, levels=(0, 255))
        self._items[0].setRect(QRectF(-0.5, -0.5, cells.shape[1], cells.shape[0]))
        texts = [text for row in figure_file.heat_map_texts(layer) for text in row]
        self._fit_numbers(len(texts) if len(texts) <= _CELLS_WITH_NUMBERS else 0)
        inks = [figure_file.ink_on(cell) for cell in cells.reshape(-1, 3)]
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
        room = min(0.5 / step_y, 0.9 / step_x / (0.65 * max(widest, 1))) if step_x else 0.0
        font = QFont(self._plot.font())
        font.setPixelSize(int(np.clip(room, 1, 18)))
        for number in self._numbers:
            number.setVisible(room >= 6)
            number.setFont(font)

    def _fit_numbers(self, count: int) -> None:
        while len(self._numbers) > count:
            self._plot.removeItem(self._numbers.pop())
        while len(self._numbers) < count:
            self._numbers.append(pg.TextItem(anchor=(0.5, 0.5)))
            self._plot.addItem(self._numbers[-1], ignoreBounds=True)


class _ImageItems(_LayerItems):
    def _build(self) -> list[Any]:
        return [pg.ImageItem(axisOrder="row-major")]

    def update(self, layer: Image, colours: Colours) -> None:
        pixels = np.atleast_2d(np.asarray(layer.pixels, dtype=np.float32))
        finite = pixels[np.isfinite(pixels)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        clean = np.nan_to_num(pixels, nan=low, posinf=high, neginf=low)
        self._items[0].setImage(
            clean, autoLevels=False, levels=(low, high if high > low else low + 1)
        )
        self._items[0].setRect(QRectF(-0.5, -0.5, pixels.shape[1], pixels.shape[0]))


_ITEMS: dict[type, type[_LayerItems]] = {
    Scatter: _ScatterItems,
    Curve: _CurveItems,
    Band: _BandItems,
    Bars: _BarItems,
    HeatMap: _HeatMapItems,
    Image: _ImageItems,
}


# -- boxes ---------------------------------------------------------------------------------


class _Box(pg.GraphicsObject):
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

    def paint(self, painter: QPainter, *_: object) -> None:
        if self._colours is not None:
            painter.setPen(self._colours.box_edge)
            painter.setBrush(self._colours.box)
            painter.drawRect(self.boundingRect())

    def mouseDragEvent(self, ev: Any) -> None:  # noqa: ANN401
        if ev.button() != Qt.MouseButton.LeftButton:
            ev.ignore()
            return
        ev.accept()
        self.was_moved = True
        self.setPos(self.pos() + self.mapToParent(ev.pos()) - self.mapToParent(ev.lastPos()))


class _TextBox(_Box):
    """A panel's text."""

    def __init__(self, parent: pg.ViewBox) -> None:
        super().__init__(parent)
        self._text = QGraphicsTextItem(self)
        font = QFont(self._text.font())
        font.setPointSizeF(8.5)
        self._text.setFont(font)
        self._text.document().setDocumentMargin(5)

    def set_text(self, text: str) -> None:
        """Show ``text`` as it is."""
        if text != self._text.toPlainText():
            self.prepareGeometryChange()
            self._text.setPlainText(text)

    def fit(self, width: float) -> None:
        """Wrap the lines that are longer than ``width`` pixels."""
        self.prepareGeometryChange()
        self._text.setTextWidth(-1)
        if self._text.boundingRect().width() > width:
            self._text.setTextWidth(max(width, 80.0))
            self._text.setTextWidth(self._text.document().idealWidth())

    def recolour(self, colours: Colours) -> None:
        super().recolour(colours)
        self._text.setDefaultTextColor(colours.ink)

    def boundingRect(self) -> QRectF:
        return self._text.boundingRect()


class _Legend(_Box):
    """A panel's legend: one entry a line."""

    def __init__(self, parent: pg.ViewBox, layers: list[Layer], font: QFont) -> None:
        super().__init__(parent)
        self._layers = layers
        self._font = font
        self._width = 16 + max(_entry_width(layer, font) for layer in layers)

    def show_layers(self, layers: list[Layer]) -> None:
        """Show the colours of ``layers``, whose names are those of before."""
        self._layers = layers
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self._width, 8 + _ENTRY_HEIGHT * len(self._layers))

    def paint(self, painter: QPainter, *options: object) -> None:
        super().paint(painter, *options)
        painter.setFont(self._font)
        for number, layer in enumerate(self._layers):
            if self._colours is not None:
                place = QPointF(8, 4 + number * _ENTRY_HEIGHT)
                _paint_entry(painter, place, layer, self._colours)


class _LegendRow(QWidget):
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
        lines: list[list[Layer]] = [[]]
        room = float(self.width())
        for layer in self._layers:
            needed = _entry_width(layer, self.font()) + _ENTRY_GAP
            if lines[-1] and needed > room:
                lines.append([])
                room = float(self.width())
            lines[-1].append(layer)
            room -= needed
        return lines

    def _fit_height(self) -> None:
        self.setFixedHeight(_ENTRY_HEIGHT * len(self._lines()) + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, line in enumerate(self._lines()):
            widths = [_entry_width(layer, self.font()) + _ENTRY_GAP for layer in line]
            x = (self.width() - sum(widths) + _ENTRY_GAP) / 2
            for layer, width in zip(line, widths, strict=True):
                if self._colours is not None:
                    place = QPointF(x, 2 + number * _ENTRY_HEIGHT)
                    _paint_entry(painter, place, layer, self._colours)
                x += width
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_height()


def _entry_width(layer: Layer, font: QFont) -> float:
    return _SAMPLE_WIDTH + 6.0 + QFontMetricsF(font).horizontalAdvance(layer.name)


def _paint_entry(painter: QPainter, place: QPointF, layer: Layer, colours: Colours) -> None:
    """Paint a layer's sample and name, the upper left corner at ``place``."""
    middle = place + QPointF(_SAMPLE_WIDTH / 2, _ENTRY_HEIGHT / 2)
    if isinstance(layer, Curve):
        painter.setPen(_pen_of(layer, colours))
        half = QPointF(_SAMPLE_WIDTH / 2, 0)
        painter.drawLine(middle - half, middle + half)
    elif isinstance(layer, Scatter):
        painter.save()
        painter.translate(middle)
        painter.scale(max(layer.size, 5.0), max(layer.size, 5.0))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.mark(layer.colour, layer.opacity))
        painter.drawPath(pg.graphicsItems.ScatterPlotItem.Symbols[_SYMBOLS[layer.symbol]])
        painter.restore()
    elif isinstance(layer, Band | Bars):
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_fill_of(layer, colours))
        painter.drawRect(QRectF(middle.x() - _SAMPLE_WIDTH / 2, middle.y() - 5, _SAMPLE_WIDTH, 10))
    painter.setPen(colours.ink)
    left = place.x() + _SAMPLE_WIDTH + 6
    painter.drawText(
        QRectF(left, place.y(), 4000, _ENTRY_HEIGHT), Qt.AlignmentFlag.AlignVCenter, layer.name
    )


class _Axis(pg.AxisItem):
    """An axis that prints plain numbers, and turns names that do not fit beside each other."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        # While the label is hidden, or the factor of the prefix would stay.
        self.enableAutoSIPrefix(False)
        self._is_turned = False

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

    def boundingRect(self) -> QRectF:
        # WORKAROUND: with a grid pyqtgraph 0.14.0 leaves no room at the ends
        # (AxisItem.boundingRect) and drops the first and the last number.
        room = 120.0 if getattr(self, "_is_turned", False) else 20.0
        if self.orientation == "bottom":
            return super().boundingRect().adjusted(-room, 0, room, 0)
        return super().boundingRect().adjusted(0, -room, 0, room)

    def drawPicture(
        self,
        p: QPainter,
        axisSpec: Any,  # noqa: ANN401 - pyqtgraph's names
        tickSpecs: Any,  # noqa: ANN401
        textSpecs: Any,  # noqa: ANN401
    ) -> None:
        super().drawPicture(p, axisSpec, tickSpecs, [] if self._is_turned else textSpecs)
        if not self._is_turned:
            return
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setClipping(False)
        for place, _flags, text in textSpecs:
            p.save()
            p.translate(place.center().x() + 4, place.top() + 2)
            p.rotate(-_NAME_ANGLE)
            p.drawText(QRectF(-600, 0, 600, 20), Qt.AlignmentFlag.AlignRight, text)
            p.restore()


# -- small things --------------------------------------------------------------------------


def _structure_of(figure: Figure) -> tuple[Any, ...]:
    return (
        figure.columns,
        bool(_shared_legend(figure)),
        tuple(
            (
                panel.equal_aspect,
                bool(panel.text),
                tuple((type(layer), layer.name) for layer in panel.layers),
            )
            for panel in figure.panels
        ),
    )


def _shared_legend(figure: Figure) -> list[Layer]:
    """Return the entries that all of several panels have, empty where they differ."""
    entries = [figure_file.legend_layers(panel) for panel in figure.panels]
    looks = [[(layer.name, getattr(layer, "colour", "")) for layer in entry] for entry in entries]
    is_shared = len(looks) > 1 and all(look == looks[0] for look in looks)
    return entries[0] if is_shared else []


def _label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setVisible(False)
    return label


def _finite(*arrays: Any) -> tuple[Floats, ...]:  # noqa: ANN401 - any arrays
    """Return the arrays without the places where any is NaN or infinite."""
    clean = [np.asarray(array, dtype=np.float64).ravel() for array in arrays]
    keep = np.logical_and.reduce([np.isfinite(array) for array in clean])
    return tuple(array[keep] for array in clean)


def _unbroken(x: Any, y: Any) -> tuple[Floats, Floats, NDArray[np.int32]]:  # noqa: ANN401
    """Return the finite points of a line and whether each is joined to the next.

    pyqtgraph's own ``connect="finite"`` fails for some arrays of NaN (pyqtgraph #2486).
    """
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    keep = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    joined = np.zeros(keep.size, dtype=np.int32)
    joined[:-1] = np.diff(keep) == 1
    return x[keep], y[keep], joined


def _rounded(value: float, step: float) -> str:
    digits = int(np.clip(np.ceil(-np.log10(step)), 0, 8)) if step > 0 else 4
    return f"{value:.{digits}f}".replace("-", "−")


def _named(names: tuple[str, ...], place: float) -> str:
    return names[round(place)] if names and 0 <= round(place) < len(names) else ""


def _pen_of(layer: Curve, colours: Colours) -> QPen:
    style = _PEN_STYLES[layer.style]
    pen: QPen = pg.mkPen(colours.mark(layer.colour), width=layer.width, style=style)
    return pen


def _fill_of(layer: Band | Bars, colours: Colours) -> QColor:
    if isinstance(layer, Bars):
        return colours.mark(layer.colour)
    # A band is a ground and may be faint.
    fill = QColor(layer.colour)
    fill.setAlphaF(min(1.0, layer.opacity * (1.5 if colours.is_dark else 1.0)))
    return fill


def _mixed(one: QColor, other: QColor, part: float) -> QColor:
    """Return ``part`` of ``other`` and the rest of ``one``."""
    pairs = zip(_rgb(one), _rgb(other), strict=True)
    return QColor(*(round((1 - part) * a + part * b) for a, b in pairs))


def _rgb(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()


def _contrast(one: QColor, other: QColor) -> float:
    light = sorted(figure_file.relative_luminance(_rgb(colour)) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)
