"""Where the text and the legend of a panel on screen lie: inside it, or below its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF

from core.figure import Panel
from core.figure_geometry import (
    HIDDEN_AT_MOST,
    Drawn,
    choose_places,
    drawn_places,
    panel_limits,
)
from mrifcl_gui.figure_boxes import Box, Legend, TextBox

# Which boxes may lie inside, in the order in which that is tried.
TRIES = (("text", "legend"), ("legend",), ("text",), ())

_ROW_BELOW = 4  # of the layout of pyqtgraph's PlotItem, under the lower axis
_SPACING = 4  # pixels, between boxes below the axes
# Shares of the width that a text may take inside, the widest first.
_SHARES = (0.94, 0.7, 0.5)
_RANK_COST = 0.08
# Boxes, size of the axes, limits, the text's share of the width, places.
_Found = tuple[list[Box], tuple[float, float], Any, float, list[tuple[float, float, float]]]


class BoxPlaces:
    """Places the boxes of one panel.

    Those that hide too much go below the axes, into room that is taken from the panel; what
    somebody dragged stays where it was put.

    Parameters
    ----------
    plot : pyqtgraph.PlotItem
    text : TextBox or None
    legend : Legend or None
    """

    def __init__(self, plot: pg.PlotItem, text: TextBox | None, legend: Legend | None) -> None:
        self._plot = plot
        self._text = text
        self._legend = legend
        self._below: pg.GraphicsWidget | None = None
        self._room_below = 0.0
        self._found: _Found | None = None

    @property
    def room_below(self) -> float:
        """Height that is kept free below the axes (pixels)."""
        return self._room_below

    def hides_little(self, panel: Panel, kinds: Sequence[str]) -> bool:
        """Tell whether the boxes of ``kinds`` can lie inside ``panel``.

        The panel is taken to have all the room that it has where nothing lies below it.
        """
        boxes = self._boxes(kinds)
        wide, high = self._whole_room(panel)
        if not boxes or wide < 1 or high < 1:
            return True
        share, places = self._best(boxes, drawn_places(panel), wide, high)
        self._found = boxes, (wide, high), panel_limits(panel), share, places
        return _cost(places) <= HIDDEN_AT_MOST * len(boxes)

    def height_below(self, inside: Sequence[str]) -> float:
        """Return the height (pixels) that all boxes but those ``inside`` need below the axes."""
        boxes = self._outside(inside)
        wide = self._width_below()
        for box in boxes:
            box.fit_below(wide)
        return sum(box.size()[1] + _SPACING for box in boxes)

    def keep_below(self, height: float) -> bool:
        """Keep ``height`` pixels free below the axes; tell whether that is new."""
        if abs(height - self._room_below) < 1:
            return False
        self._room_below = height
        if self._below is None:
            self._below = pg.GraphicsWidget()
            self._plot.layout.addItem(self._below, _ROW_BELOW, 1)
        self._below.setMinimumHeight(height)
        self._below.setMaximumHeight(height)
        self._plot.layout.setRowFixedHeight(_ROW_BELOW, height)
        self._plot.layout.activate()
        return True

    def place(self, panel: Panel, inside: Sequence[str]) -> None:
        """Put the boxes ``inside`` where they hide least, and the others below the axes."""
        self._place_inside(panel, self._boxes(inside))
        self._place_below(self._outside(inside))

    def is_in_the_way(self, panel: Panel) -> bool:
        """Tell whether a box hides too much where it lies now, or leaves its room."""
        boxes = self._boxes(TRIES[0])
        area = self._plot.vb.rect()
        if not boxes or area.width() < 1 or area.height() < 1:
            return False
        hidden = 0.0
        drawn = drawn_places(panel)
        for box in boxes:
            if box.parentItem() is not self._plot.vb:
                continue
            here = QRectF(box.pos(), box.boundingRect().size())
            if not area.adjusted(-1, -1, 1, 1).contains(here):
                return True
            hidden += drawn.under(
                here.left() / area.width(),
                1 - here.bottom() / area.height(),
                here.width() / area.width(),
                here.height() / area.height(),
            )
        return hidden > HIDDEN_AT_MOST * len(boxes) or self._overflows(boxes)

    def _overflows(self, boxes: Sequence[Box]) -> bool:
        low = [box for box in boxes if box.parentItem() is not self._plot.vb]
        return sum(box.size()[1] + _SPACING for box in low) > self._room_below + 1

    def _boxes(self, kinds: Sequence[str]) -> list[Box]:
        named: dict[str, Box | None] = {"text": self._text, "legend": self._legend}
        boxes = [named[kind] for kind in kinds]
        return [box for box in boxes if box is not None and not box.was_moved]

    def _outside(self, inside: Sequence[str]) -> list[Box]:
        return self._boxes([kind for kind in ("legend", "text") if kind not in inside])

    def _whole_room(self, panel: Panel) -> tuple[float, float]:
        """Return the size of the axes if nothing lay below them."""
        left, top, right, bottom = self._plot.layout.getContentsMargins()
        area = self._plot.vb.rect()
        wide, high = area.width(), area.height() + self._room_below
        if not panel.equal_aspect:
            return wide, high
        (x_low, x_high), (y_low, y_high) = panel_limits(panel)
        ratio = (x_high - x_low) / (y_high - y_low)
        wide, high = wide + left + right, high + top + bottom
        return min(wide, high * ratio), min(high, wide / ratio)

    def _width_below(self) -> float:
        # Also below the numbers of the axis, as narrow panels have little room.
        return float(self._plot.vb.geometry().right())

    def _best(
        self, boxes: Sequence[Box], drawn: Drawn, wide: float, high: float
    ) -> tuple[float, list[tuple[float, float, float]]]:
        """Return how wide a text is best (a share of the axes) and the places of all boxes."""
        tries = []
        for rank, share in enumerate(_SHARES if self._text in boxes else (1.0,)):
            for box in boxes:
                box.fit(share * wide if box is self._text else wide)
            sizes = [(box.size()[0] / wide, box.size()[1] / high) for box in boxes]
            places = choose_places(drawn, sizes)
            tries.append((_cost(places) + _RANK_COST * rank, share, places))
            if _cost(places) < 0.01:
                break
        _, share, places = min(tries, key=lambda tried: tried[0])
        if self._text in boxes:
            self._text.fit(share * wide)
        return share, places

    def _found_places(
        self, panel: Panel, boxes: Sequence[Box]
    ) -> list[tuple[float, float, float]] | None:
        """Return the places found a moment ago, if they are of the same boxes and axes."""
        if self._found is None:
            return None
        (tried, room, limits, share, places), self._found = self._found, None
        area = self._plot.vb.rect()
        same = list(boxes) == tried and np.allclose(room, (area.width(), area.height()), atol=1)
        if not same or not np.allclose(limits, panel_limits(panel)):
            return None
        for box in boxes:
            box.fit(share * room[0] if box is self._text else room[0])
        return places

    def _place_inside(self, panel: Panel, boxes: Sequence[Box]) -> None:
        area = self._plot.vb.rect()
        wide, high = area.width(), area.height()
        if not boxes or wide < 1 or high < 1:
            return
        places = (
            self._found_places(panel, boxes)
            or self._best(boxes, drawn_places(panel), wide, high)[1]
        )
        for box, (left, bottom, _) in zip(boxes, places, strict=True):
            y = (1 - bottom) * high - box.size()[1]
            box.setParentItem(self._plot.vb)
            box.setPos(max(left * wide, 2.0), max(y, 2.0))

    def _place_below(self, boxes: Sequence[Box]) -> None:
        if not boxes or self._below is None:
            return
        wide = self._width_below()
        top = self._below.geometry().top() + _SPACING
        for box in boxes:
            box.fit_below(wide)
            box.setParentItem(self._plot)
            box.setPos(QPointF(max(wide - box.size()[0], 0.0) / 2, top))
            top += box.size()[1] + _SPACING


def _cost(places: Sequence[tuple[float, float, float]]) -> float:
    return sum(place[2] for place in places)


def seen_panel(panel: Panel, view_range: Sequence[Sequence[float]]) -> Panel:
    """Return ``panel`` with the limits that are seen, which an equal aspect widens."""
    (x_low, x_high), (y_low, y_high) = view_range
    return replace(
        panel,
        x=replace(panel.x, low=x_low, high=x_high),
        y=replace(panel.y, low=y_low, high=y_high),
        equal_aspect=False,
    )
