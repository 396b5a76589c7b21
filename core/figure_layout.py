"""Lay out a figure on paper: measured margins, ticks that stand clear, the lines around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.colours import ON_GROUND
from core.figure import Figure, Image, Panel
from core.figure_boxes import PanelBoxes
from core.figure_geometry import panel_limits, tick_names
from core.figure_ruler import LAYOUT_DPI, MM, Ruler

FOOTER = "Research use only, not a medical device"

_PAD, _GAP = 2.5 * MM, 4 * MM  # free at the edges of the page, and between panels
_PANEL_RATIO = 2.6 / 3  # height by width of the axes
_INK, _SOFT_INK, _RED = "#222222", "#555555", "#C00000"


def arrange_panels(
    drawing: Any,  # noqa: ANN401 - matplotlib is untyped here
    axes: list[Any],
    figure: Figure,
    *,
    columns: int,
    size: float,
    ruler: Ruler,
) -> None:
    """Give every panel its room: measured margins, equal widths, height as the panels ask."""
    width = float(drawing.get_figwidth())
    blocks = _TextBlocks(figure, width=width - 2 * _PAD, size=size, ruler=ruler)
    grid = _fitted_grid(drawing, axes, figure, columns=columns, size=size, ruler=ruler)
    for number, item in enumerate(axes):
        _set_box(drawing, item, 0, 0, grid.width, grid.heights[number])
    boxes = PanelBoxes(axes, figure, size=size, ruler=ruler)
    rows = [slice(start, start + columns) for start in range(0, len(axes), columns)]
    above = [max(m[2] for m in grid.margins[row]) for row in rows]
    below = [max(m[3] for m in grid.margins[row]) for row in rows]
    under = [max(boxes.below[row]) for row in rows]
    tall = [max(grid.heights[row]) for row in rows]
    panels_height = sum(above) + sum(below) + sum(under) + sum(tall) + _GAP * max(len(rows) - 1, 0)
    height = 2 * _PAD + blocks.above + panels_height + boxes.shared_height + blocks.below
    drawing.set_size_inches(width, height)
    top = height - _PAD - blocks.above
    for number, item in enumerate(axes):
        row, column = divmod(number, columns)
        y = top - sum(above[: row + 1]) - sum(below[:row]) - sum(under[:row]) - sum(tall[:row])
        y -= row * _GAP + grid.heights[number]
        _set_box(drawing, item, grid.left_of(column), y, grid.width, grid.heights[number])
        boxes.put_below(number, depth=tall[row] - grid.heights[number] + below[row])
    boxes.put_shared(drawing, top=top - panels_height)
    blocks.draw(drawing)


@dataclass(frozen=True)
class _Grid:
    """The room of the panels (inch): one width for all axes, a height for each.

    ``margins`` are what a panel's labels need left, right, above and below its axes; ``left``
    and ``right`` are the widest of each column.
    """

    width: float
    heights: list[float]
    margins: list[tuple[float, float, float, float]]
    left: list[float]
    right: list[float]

    def left_of(self, column: int) -> float:
        """Return where the axes of a column begin."""
        labels = sum(self.left[: column + 1]) + sum(self.right[:column])
        return _PAD + labels + column * (self.width + _GAP)


def _fitted_grid(
    drawing: Any,  # noqa: ANN401 - matplotlib is untyped here
    axes: list[Any],
    figure: Figure,
    *,
    columns: int,
    size: float,
    ruler: Ruler,
) -> _Grid:
    """Label the panels and share the width of the page among them."""
    page = float(drawing.get_figwidth())
    width = 0.7 * page / columns
    heights = [width * _ratio(panel, width) for panel in figure.panels]
    left, right = [0.0] * columns, [0.0] * columns
    margins: list[tuple[float, float, float, float]] = []
    # Twice: labels are wrapped and ticks chosen for the room that the first round found.
    for _ in range(2):
        for item, panel, height in zip(axes, figure.panels, heights, strict=True):
            _set_box(drawing, item, 0, 0, width, height)
            _add_labels(item, panel, room=(width, height), size=size, ruler=ruler)
        margins = [_margins(drawing, item) for item in axes]
        left = [max((m[0] for m in margins[c::columns]), default=0.0) for c in range(columns)]
        right = [max((m[1] for m in margins[c::columns]), default=0.0) for c in range(columns)]
        used = sum(left) + sum(right) + _GAP * (columns - 1) + 2 * _PAD
        width = max((page - used) / columns, 0.15 * page / columns)
        heights = [width * _ratio(panel, width) for panel in figure.panels]
    return _Grid(width=width, heights=heights, margins=margins, left=left, right=right)


def _ratio(panel: Panel, width: float) -> float:
    """Return height by width of a panel's axes."""
    x, y = panel_limits(panel)
    if panel.equal_aspect:
        return float(np.clip((y[1] - y[0]) / (x[1] - x[0]), 0.3, 2.5))
    names = len(tick_names(panel)[1])
    return max(_PANEL_RATIO, min(names * 4.5 * MM / width, 2.5))


def _set_box(
    drawing: Any,  # noqa: ANN401 - matplotlib is untyped here
    axes: Any,  # noqa: ANN401
    x: float,
    y: float,
    width: float,
    height: float,
) -> None:
    wide, high = drawing.get_size_inches()
    axes.set_position((x / wide, y / high, width / wide, height / high))


def _margins(drawing: Any, axes: Any) -> tuple[float, float, float, float]:  # noqa: ANN401
    """Return what a panel's labels need left, right, above and below its axes (inch)."""
    # Of what is inside only the colour scale has labels that stand out.
    outer = axes.get_tightbbox(
        drawing.canvas.get_renderer(), bbox_extra_artists=list(axes.child_axes)
    )
    inner = axes.get_window_extent()
    needs = (inner.x0 - outer.x0, outer.x1 - inner.x1, outer.y1 - inner.y1, inner.y0 - outer.y0)
    left, right, above, below = (max(0.0, float(need)) / LAYOUT_DPI for need in needs)
    return left, right, above, below


def _add_labels(
    axes: Any,  # noqa: ANN401 - matplotlib is untyped here
    panel: Panel,
    *,
    room: tuple[float, float],
    size: float,
    ruler: Ruler,
) -> None:
    width, height = room
    axes.set_xlabel(ruler.wrap(panel.x.title, width, size), fontsize=size)
    axes.set_ylabel(ruler.wrap(panel.y.title, height, size), fontsize=size)
    axes.set_title(ruler.wrap(panel.title, width, size + 0.5), fontsize=size + 0.5, pad=5)
    columns, rows = tick_names(panel)
    _choose_ticks(axes, room=room, size=size, ruler=ruler)
    if columns:
        slot = width / len(columns)
        turned = max(ruler.width(name, size - 1) for name in columns) > 0.92 * slot
        axes.set_xticks(range(len(columns)), columns)
        for label in axes.get_xticklabels():
            label.set(rotation=35 if turned else 0, ha="right" if turned else "center")
            label.set_rotation_mode("anchor" if turned else "default")
    if rows:
        axes.set_yticks(
            range(len(rows)), [ruler.wrap(name, 0.5 * width, size - 1) for name in rows]
        )
    _drop_bare_ticks(axes, panel)


def _choose_ticks(
    axes: Any,  # noqa: ANN401 - matplotlib is untyped here
    *,
    room: tuple[float, float],
    size: float,
    ruler: Ruler,
) -> None:
    """Take only as many round numbers as stand clear of each other."""
    from matplotlib.ticker import MaxNLocator

    # Five digits' width for a number and its distance to the next, three lines for its height.
    numbers = room[0] / ruler.width("−0.000", size), room[1] / (3 * size / 72)
    if axes.get_aspect() == 1:
        numbers = min(numbers), min(numbers)
    for axis, count in zip((axes.xaxis, axes.yaxis), numbers, strict=True):
        bins = int(np.clip(count, 1, 8))
        fewest = 2 if count >= 2 else 1
        axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 5, 10], min_n_ticks=fewest))


def _drop_bare_ticks(axes: Any, panel: Panel) -> None:  # noqa: ANN401
    """Pixel numbers under a picture say nothing unless the axis has a title."""
    if any(isinstance(layer, Image) for layer in panel.layers):
        if not panel.x.title and not panel.x.categories:
            axes.set_xticks([])
        if not panel.y.title and not panel.y.categories:
            axes.set_yticks([])


class _TextBlocks:
    """The lines above and below the panels: title; warning, caption and footer."""

    def __init__(self, figure: Figure, *, width: float, size: float, ruler: Ruler) -> None:
        def block(text: str, points: float, **style: Any) -> tuple[str, float, dict[str, Any]]:  # noqa: ANN401
            return (ruler.wrap(text, width, points * 1.02), points, style) if text else ("", 0, {})

        self._title = block(figure.title, size + 2)
        self._badges = figure.badges
        self._badge_size = size
        self._foot = [
            block(figure.warning, size, color=_RED),
            block(figure.caption, size - 0.5, color=_INK),
            block(FOOTER, max(size - 2, 5.5), color=_SOFT_INK),
        ]
        self._foot = [item for item in self._foot if item[0]]
        self._below_title = _height(self._title) + (2.5 * MM if self._title[0] else 0)
        self.above = self._below_title + len(figure.badges) * self._badge_height
        self.below = sum(_height(item) + 1.5 * MM for item in self._foot) + 1 * MM

    @property
    def _badge_height(self) -> float:
        return 1.9 * self._badge_size / 72 + 1.5 * MM

    def draw(self, drawing: Any) -> None:  # noqa: ANN401
        width, height = drawing.get_size_inches()
        self._draw_badges(drawing)
        text, points, _ = self._title
        if text:
            drawing.text(
                0.5,
                1 - _PAD / height,
                text,
                fontsize=points,
                ha="center",
                va="top",
                linespacing=1.2,
            )
        y = _PAD + self.below - 2.5 * MM
        for text, points, style in self._foot:
            drawing.text(
                _PAD / width, y / height, text, fontsize=points, va="top", linespacing=1.2, **style
            )
            y -= _height((text, points, style)) + 1.5 * MM

    def _draw_badges(self, drawing: Any) -> None:  # noqa: ANN401
        height = float(drawing.get_figheight())
        y = height - _PAD - self._below_title
        for badge in self._badges:
            drawing.text(
                0.5,
                (y - self._badge_height / 2 + 0.75 * MM) / height,
                badge.text,
                fontsize=self._badge_size,
                color=ON_GROUND,
                ha="center",
                va="center",
                bbox={"boxstyle": "round,pad=0.35", "facecolor": badge.colour, "linewidth": 0},
            )
            y -= self._badge_height


def _height(block: tuple[str, float, dict[str, Any]]) -> float:
    text, points, _ = block
    return (text.count("\n") + 1) * points * 1.42 / 72 if text else 0.0
