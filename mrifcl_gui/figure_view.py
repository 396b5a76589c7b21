"""Show a Figure on screen: the same panels and layers as on paper, in the window's colours."""

from __future__ import annotations

import html
from collections.abc import Collection
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QContextMenuEvent, QFont, QPalette, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsScene,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from core.colours import ON_GROUND
from core.figure import Figure, Image, Layer, Panel
from core.figure_geometry import fitting_columns, has_equations, legend_layers, tick_names
from mrifcl_gui.box_places import TRIES
from mrifcl_gui.export import Exporter
from mrifcl_gui.figure_axis import NumberAxis
from mrifcl_gui.figure_boxes import LegendRow
from mrifcl_gui.figure_colours import Colours
from mrifcl_gui.figure_lasso import LassoViewBox
from mrifcl_gui.figure_panel import PanelItems
from mrifcl_gui.icons import put_icon
from mrifcl_gui.theme import scaled
from mrifcl_gui.wrapped_label import WrappedLabel

_LEAST_TITLED = 140  # pixels of a picture with a line that names it
_LEAST_PICTURE = (90, 70)  # pixels; without axes there is room for more of them
_LEAST_NAMED_PICTURE = (120, 150)  # pixels; two lines above it
_LEAST_PANEL = (190, 170)  # pixels; smaller panels scroll no more than they help
_LEAST_WITH_EQUATIONS = (330, 230)
_NAME_HEIGHT, _AROUND_NAMES = 16, 64  # pixels: a name beside the axis; title, numbers, label
_MARGIN, _SPACING = 4, 8
_REST_MS = 400  # after the last new data, before a box that is in the way moves


class FigureView(QWidget):
    """A figure with its title above, caption and warning below.

    The wheel zooms, a left drag moves, a double click resets; the mouse's place is read out
    below. A figure of the same structure (panels, kinds and names of layers) only replaces
    the data, so that a slider over epochs is smooth and the zoom stays.

    Signals
    -------
    point_clicked(str)
        The id of a clicked point of a Scatter with ids.
    points_lassoed(list)
        The ids of the points that were drawn around with Shift held down.
    saved(Path), copied(), failed(str)
        The end of an export from the context menu.
    """

    point_clicked = Signal(str)
    points_lassoed = Signal(list)
    saved = Signal(object)
    copied = Signal()
    failed = Signal(str)
    next_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._figure: Figure | None = None
        self._structure: tuple[Any, ...] | None = None
        self._columns = 1
        self._panels: list[PanelItems] = []
        self._selected: frozenset[str] = frozenset()
        self._current = ""
        self._colours = Colours(self.palette())
        self._build_labels()
        self._legend_row = LegendRow(self)
        self._graphics = self._build_graphics()
        self._stack = QStackedWidget(self)
        self._empty_page = self._build_empty()
        self._stack.addWidget(self._empty_page)
        self._scroll = self._build_scroll()
        self._stack.addWidget(self._scroll)
        self._build_layout()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(60)
        self._settle.timeout.connect(self._on_settled)
        # Which boxes lie inside the panels of each row; chosen once for a size of the view.
        self._inside: dict[int, tuple[str, ...]] = {}
        self._inside_for = QSize()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._on_rested)
        self.exporter = Exporter(self.figure, self)
        self.exporter.saved.connect(self.saved)
        self.exporter.copied.connect(self.copied)
        self.exporter.failed.connect(self.failed)

    def figure(self) -> Figure | None:
        """Return the figure shown now, None without one."""
        return self._figure

    def show_figure(self, figure: Figure) -> None:
        """Show ``figure``; items are kept where its structure is that of the one before."""
        self._figure = figure
        self._legend_row.show_layers(_shared_legend(figure), self._colours)
        for label, text in (
            (self._title, figure.title),
            (self._caption, figure.caption),
            (self._warning, figure.warning),
            (self._badges, _badges_html(figure)),
        ):
            label.setText(text)
            label.setVisible(bool(text))
        self._readout.setVisible(True)
        self._stack.setCurrentWidget(self._scroll)
        structure = _structure_of(figure)
        if structure == self._structure:
            for items, panel in zip(self._panels, figure.panels, strict=True):
                items.update(panel, self._colours)
            self._rest.start()
        else:
            self._structure = structure
            self._rebuild(figure)
        self._show_selected()

    def clear_figure(self, empty_text: str, *, button: str = "") -> None:
        """Show ``empty_text`` and no figure, and a button for what to do next.

        A click on the button emits ``next_asked``.
        """
        self._figure, self._structure = None, None
        self._remove_panels()
        for label in (self._title, self._badges, self._caption, self._warning, self._readout):
            label.clear()
            label.setVisible(False)
        self._legend_row.show_layers([], self._colours)
        self._empty.setText(empty_text)
        self.next_button.setText(button)
        self.next_button.setAccessibleName(button or self.tr("What to do next"))
        self.next_button.setVisible(bool(button))
        self._stack.setCurrentWidget(self._empty_page)

    def select_points(self, ids: Collection[str], *, current: str = "") -> None:
        """Ring the points with these ids, ``current`` wider, until other ids are given."""
        self._selected, self._current = frozenset(ids), current
        self._show_selected()

    def reset_ranges(self) -> None:
        """Show every panel in full."""
        for items in self._panels:
            items.reset_range()

    def build_menu(self) -> QMenu:
        """Return a new context menu."""
        menu = QMenu(self)
        self.exporter.add_actions(menu)
        menu.addSeparator()
        whole = menu.addAction(self.tr("Show all"))
        whole.triggered.connect(self.reset_ranges)
        put_icon(whole, "maximize")
        return menu

    def _build_labels(self) -> None:
        self._title, self._caption, self._warning = _label(), _label(), _label()
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        font = QFont(self._title.font())
        font.setBold(True)
        self._title.setFont(font)
        self._badges = _label()
        self._badges.setTextFormat(Qt.TextFormat.RichText)
        self._badges.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._readout = _label()
        self._readout.setAccessibleName(self.tr("Place of the mouse"))
        self._readout.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._readout.setWordWrap(False)
        # A long id must not widen the window while the mouse moves.
        self._readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._empty = _label()
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setVisible(True)

    def _build_empty(self) -> QWidget:
        page = QWidget(self)
        self.next_button = QPushButton(page)
        self.next_button.setToolTip(self.tr("Do what is said above"))
        self.next_button.setAccessibleName(self.tr("What to do next"))
        self.next_button.clicked.connect(self.next_asked)
        self.next_button.hide()
        column = QVBoxLayout(page)
        column.addStretch(1)
        column.addWidget(self._empty)
        column.addWidget(self.next_button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        return page

    def _build_graphics(self) -> pg.GraphicsLayoutWidget:
        graphics = pg.GraphicsLayoutWidget(self)
        graphics.setBackground(self._colours.ground)
        graphics.setAntialiasing(True)
        graphics.ci.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        graphics.ci.setSpacing(_SPACING)
        # Right drags zoom; the menu opens on a right click without a drag.
        graphics.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        graphics.setAccessibleName(self.tr("Figure"))
        # Texts change their extent while they are painted; an index of places would then keep
        # items that are gone, and crash.
        graphics.scene().setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        graphics.scene().sigMouseMoved.connect(self._on_mouse_moved)
        graphics.scene().sigMouseClicked.connect(self._on_mouse_clicked)
        return graphics

    def _build_scroll(self) -> QScrollArea:
        """Return the place of the panels, which scrolls where they would become too small."""
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(self._graphics)
        return scroll

    def _build_layout(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self._badges)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._legend_row)
        for label in (self._readout, self._warning, self._caption):
            layout.addWidget(label)
        self._recolour_labels()

    def _rebuild(self, figure: Figure) -> None:
        # The words around them first: panels that change their size are painted twice.
        layout = self.layout()
        if layout is not None:
            layout.activate()
        self._remove_panels()
        columns = self._columns = self._columns_of(figure)
        has_legend = not _shared_legend(figure)
        for number, panel in enumerate(figure.panels):
            axes = {side: NumberAxis(side) for side in ("bottom", "left")}
            plot = self._graphics.addPlot(
                row=number // columns,
                col=number % columns,
                axisItems=axes,
                viewBox=LassoViewBox(enableMenu=False),
            )
            plot.vb.lassoed.connect(self._on_lassoed)
            plot.vb.sigResized.connect(self._on_panel_resized)
            self._panels.append(PanelItems(plot, panel, self._colours, has_legend=has_legend))
        for column in range(columns):
            # Alike, whatever stands beside the axes of each.
            self._graphics.ci.layout.setColumnPreferredWidth(column, 1.0)
            self._graphics.ci.layout.setColumnStretchFactor(column, 1)
        self._fit_least_size()
        self._graphics.ci.layout.activate()
        if self.isVisible():
            # At once, so that nothing is seen to jump; the timer follows what Qt changes later.
            self._on_settled()
        self._settle.start()

    def _columns_of(self, figure: Figure) -> int:
        """Return how many panels lie beside each other: of some, as many as there is room."""
        # Of the whole place: its bar, which comes and goes with the rows, must not count.
        room = self._scroll.width()
        if all(_is_picture(panel) for panel in figure.panels):
            columns = max(1, figure.columns)
            return min(columns, max(2, room // scaled(_LEAST_TITLED)))
        return fitting_columns(figure, room // (scaled(_LEAST_WITH_EQUATIONS[0]) + _SPACING))

    def _fit_least_size(self) -> None:
        """Give each column and each row the room that its largest panel needs."""
        layout = self._graphics.ci.layout
        for items in self._panels:
            # Axes, names and scales may need more than is usual.
            wide, high = items.least_size()
            usual = [scaled(side) for side in _least_size(items.panel)]
            high = max(high, usual[1] + items.room_below)
            items.plot.setMinimumSize(max(wide, usual[0]), high)
        least = [panel.plot.minimumSize() for panel in self._panels]
        wide = layout.columnCount() * max((size.width() for size in least), default=0.0)
        high = layout.rowCount() * max((size.height() for size in least), default=0.0)
        margins = 2 * _MARGIN
        # Titles and names may need more than the panels themselves.
        whole = layout.effectiveSizeHint(Qt.SizeHint.MinimumSize)
        wide = max(wide + _SPACING * (layout.columnCount() - 1) + margins, whole.width())
        high = max(high + _SPACING * (layout.rowCount() - 1) + margins, whole.height())
        self._graphics.setMinimumSize(round(wide), round(high))

    def _rows(self) -> list[list[PanelItems]]:
        """Return the panels row by row."""
        columns = self._columns
        return [
            self._panels[start : start + columns] for start in range(0, len(self._panels), columns)
        ]

    def _place_boxes(self) -> None:
        """Put texts and legends where they hide little: inside, or below all panels of a row."""
        # Of the place that scrolls, not of what is in it: boxes below make that taller.
        if self._scroll.size() != self._inside_for:
            self._inside, self._inside_for = {}, self._scroll.size()
        is_new = False
        for number, row in enumerate(self._rows()):
            if number not in self._inside:
                self._inside[number] = next(
                    kinds for kinds in TRIES if all(items.hides_little(kinds) for items in row)
                )
            below = max(items.height_below(self._inside[number]) for items in row)
            is_new |= any([items.keep_below(below) for items in row])
        if is_new:
            self._fit_least_size()
            self._graphics.ci.layout.activate()
            for items in self._panels:
                items.settle()
        for number, row in enumerate(self._rows()):
            for items in row:
                items.place_boxes(self._inside[number])

    def _remove_panels(self) -> None:
        self._inside = {}
        self._panels = []
        self._graphics.clear()

    def _show_selected(self) -> None:
        for items in self._panels:
            items.ring(self._selected, self._current)

    def _recolour_labels(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.WindowText, self._colours.warning)
        self._warning.setPalette(palette)

    def _panel_at(self, place: QPointF) -> PanelItems | None:
        for items in self._panels:
            if items.plot.vb.sceneBoundingRect().contains(place):
                return items
        return None

    def _on_panel_resized(self, _box: object) -> None:
        self._settle.start()

    def _on_settled(self) -> None:
        if self._figure is not None and self._columns_of(self._figure) != self._columns:
            self._rebuild(self._figure)
            self._show_selected()
            return
        for items in self._panels:
            items.settle()
        self._fit_least_size()
        self._place_boxes()

    def _on_rested(self) -> None:
        """Look for other places once the data rest, should a box hide them now."""
        if any(items.has_box_in_the_way() for items in self._panels):
            self._inside = {}
            self._place_boxes()

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

    def _on_lassoed(self, outline: Any) -> None:  # noqa: ANN401 - an array
        for items in self._panels:
            if items.plot.vb is self.sender():
                self.points_lassoed.emit(items.ids_inside(outline))

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


def _least_size(panel: Panel) -> tuple[int, int]:
    """Return the pixels that a panel needs; below them the figure scrolls."""
    if _is_picture(panel):
        return _LEAST_NAMED_PICTURE if "\n" in panel.title else _LEAST_PICTURE
    wide, high = _LEAST_WITH_EQUATIONS if has_equations(panel) else _LEAST_PANEL
    names = len(tick_names(panel)[1])
    return wide, max(high, names * _NAME_HEIGHT + _AROUND_NAMES)


def _is_picture(panel: Panel) -> bool:
    return all(isinstance(layer, Image) for layer in panel.layers)


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


def _badges_html(figure: Figure) -> str:
    """Return the verdicts as filled boxes; on their own ground they are read in any theme."""
    return "&ensp;".join(
        f"<span style='background-color: {badge.colour}; color: {ON_GROUND}'>"
        f"&nbsp;{html.escape(badge.text)}&nbsp;</span>"
        for badge in figure.badges
    )


def _shared_legend(figure: Figure) -> list[Layer]:
    """Return the entries that all of several panels have, empty where they differ."""
    entries = [legend_layers(panel) for panel in figure.panels]
    looks = [[(layer.name, getattr(layer, "colour", "")) for layer in entry] for entry in entries]
    is_shared = len(looks) > 1 and all(look == looks[0] for look in looks)
    return entries[0] if is_shared else []


def _label() -> QLabel:
    label = WrappedLabel()
    label.setVisible(False)
    return label
