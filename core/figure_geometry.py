"""Where things of a figure are, the same on screen and on paper: limits, names, free places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.figure import Axis, Band, Bars, Curve, Figure, HeatMap, Image, Layer, Panel, Scatter

Floats = NDArray[np.float64]

# The share of what is drawn that a box may hide; past it the box goes below its panel.
HIDDEN_AT_MOST = 0.05

_MARGIN = 0.05  # of the data's span, free on each side
_GAP = 0.02  # of the axes, between a box and what is beside it
_SHORT_LINE = 30  # letters
_DOTS_LOOKED_AT = 20_000  # to find a free place: more would only take longer


def has_equations(panel: Panel) -> bool:
    """Tell whether the text of a panel has lines too long for a narrow panel."""
    return any(len(line) > _SHORT_LINE for line in panel.text.splitlines())


def fitting_columns(figure: Figure, most: int) -> int:
    """Return how many panels lie side by side where only ``most`` can be read.

    Panels in several rows stay as they are, since their rows and columns mean something; a
    single row of panels with equations is broken, where it would be too narrow for them.
    """
    columns = max(1, min(figure.columns, len(figure.panels) or 1))
    is_row = len(figure.panels) <= columns
    if is_row and any(has_equations(panel) for panel in figure.panels):
        return max(1, min(columns, most))
    return columns


def panel_limits(panel: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return ``(x_low, x_high), (y_low, y_high)`` of a panel, the same on screen and on paper.

    Fixed limits of an axis are kept; free ones hold all finite data and a margin. With
    ``equal_aspect`` free limits are widened to the same span about their middle, so that
    the panel is square.
    """
    x, y = _extent(panel, 0), _extent(panel, 1)
    if panel.equal_aspect and not any(isinstance(s, HeatMap | Image) for s in panel.layers):
        span = max(x[1] - x[0], y[1] - y[0])
        x, y = _widened(x, span, panel.x), _widened(y, span, panel.y)
    return x, y


def is_row_zero_on_top(panel: Panel) -> bool:
    """Tell whether y runs downwards, as in matrices and pictures."""
    return any(isinstance(layer, HeatMap | Image) for layer in panel.layers)


def legend_layers(panel: Panel) -> list[Layer]:
    """Return the layers that a legend names: one per name, none if the only one says no more."""
    named: dict[str, Layer] = {}
    for layer in panel.layers:
        is_named = not isinstance(layer, Band) or layer.in_legend
        if layer.name and is_named and not isinstance(layer, HeatMap | Image):
            named.setdefault(layer.name, layer)
    if len(named) == 1 and next(iter(named)) in (panel.title, panel.x.label, panel.y.label):
        return []
    return list(named.values())


def tick_names(panel: Panel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names at the positions 0, 1, 2, … of x and y; empty for an axis of numbers."""
    columns, rows = panel.x.categories, panel.y.categories
    for layer in panel.layers:
        if isinstance(layer, HeatMap):
            columns, rows = columns or layer.columns, rows or layer.rows
    return columns, rows


def grid_shape(layer: HeatMap | Image) -> tuple[int, int]:
    """Return the number of rows and of columns of a layer of cells or pixels."""
    array = np.atleast_2d(np.asarray(layer.values if isinstance(layer, HeatMap) else layer.pixels))
    return array.shape[0], array.shape[1]


@dataclass(frozen=True)
class Drawn:
    """Where things are drawn: places (n,) as fractions of the axes, and what each weighs.

    Each layer weighs 1 in all, a band less.
    """

    x: Floats
    y: Floats
    weight: Floats

    def under(self, left: float, bottom: float, width: float, height: float) -> float:
        """Return what a box hides, and what stands so close to it that it seems hidden."""
        x, y = self.x, self.y
        hidden = (x > left - _GAP) & (x < left + width + _GAP)
        hidden &= (y > bottom - _GAP) & (y < bottom + height + _GAP)
        return float(self.weight[hidden].sum())


def choose_places(
    panel: Panel | Drawn, sizes: Sequence[tuple[float, float]]
) -> list[tuple[float, float, float]]:
    """Place boxes inside a panel where they hide least and not each other.

    Parameters
    ----------
    panel : Panel or Drawn
        What is drawn, where several sizes are tried.
    sizes : sequence of (width, height)
        Of at most two boxes, as fractions of the panel's axes.

    Returns
    -------
    list of (left, bottom, hidden)
        The corner of each box, as fractions of the axes from the lower left, and the share
        of the drawn things under it.
    """
    drawn = panel if isinstance(panel, Drawn) else drawn_places(panel)
    options = [_box_options(size, drawn) for size in sizes]
    if len(options) == 1:
        best = min(options[0], key=lambda option: option[2])
        return [best]
    if not options:
        return []
    pairs = (
        (a[2] + b[2] + (10.0 if _overlap(a, sizes[0], b, sizes[1]) else 0.0), [a, b])
        for a in options[0]
        for b in options[1]
    )
    return min(pairs, key=lambda pair: pair[0])[1]


def _extent(panel: Panel, axis: int) -> tuple[float, float]:
    spec = panel.y if axis else panel.x
    grids = [layer for layer in panel.layers if isinstance(layer, HeatMap | Image)]
    if grids or spec.categories:
        n = max([len(spec.categories), *(grid_shape(layer)[1 - axis] for layer in grids)])
        low, high = -0.5, n - 0.5
    else:
        low, high = _data_extent(panel, axis)
    low = spec.low if spec.low is not None else low
    high = spec.high if spec.high is not None else high
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _data_extent(panel: Panel, axis: int) -> tuple[float, float]:
    arrays = [array for layer in panel.layers for array in _coordinates(layer)[axis]]
    spans = [span for array in arrays if (span := _finite_span(array)) is not None]
    if not spans:
        return 0.0, 1.0
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    margin = _MARGIN * (high - low) or 0.05 * abs(high) or 0.5
    stands_on_zero = axis == 1 and any(isinstance(layer, Bars) for layer in panel.layers)
    return (
        low if stands_on_zero and low == 0 else low - margin,
        high if stands_on_zero and high == 0 else high + margin,
    )


def _finite_span(array: Any) -> tuple[float, float] | None:  # noqa: ANN401 - any array
    values = np.asarray(array, dtype=np.float64).ravel()
    if values.size and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


def _coordinates(layer: Layer) -> tuple[list[Any], list[Any]]:
    if isinstance(layer, Scatter | Curve):
        return [layer.x], [layer.y]
    if isinstance(layer, Band):
        return [layer.x], [layer.low, layer.high]
    if isinstance(layer, Bars):
        x = np.asarray(layer.x, dtype=np.float64)
        return [x - layer.width / 2, x + layer.width / 2], [layer.y, [0.0]]
    return [], []


def _widened(limits: tuple[float, float], span: float, spec: Axis) -> tuple[float, float]:
    if spec.low is not None or spec.high is not None or spec.categories:
        return limits
    middle = (limits[0] + limits[1]) / 2
    return middle - span / 2, middle + span / 2


def drawn_places(panel: Panel) -> Drawn:
    """Return where the layers of a panel are drawn within its limits."""
    (x_low, x_high), (y_low, y_high) = panel_limits(panel)
    parts: list[tuple[Floats, Floats, Floats]] = []
    for layer in panel.layers:
        x, y = _sampled(layer)
        x, y = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        n = int(inside.sum())
        # A band is a ground: hiding a part of it costs less than hiding a point or a line.
        weight = 0.2 if isinstance(layer, Band) else 1.0
        parts.append((x[inside], y[inside], np.full(n, weight / max(n, 1))))
    if not parts:
        return Drawn(np.zeros(0), np.zeros(0), np.zeros(0))
    return Drawn(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _sampled(layer: Layer) -> tuple[Floats, Floats]:
    if isinstance(layer, Scatter):
        step = 1 + len(layer.x) // _DOTS_LOOKED_AT
        x = np.asarray(layer.x[::step], dtype=np.float64)
        y = np.asarray(layer.y[::step], dtype=np.float64)
    elif isinstance(layer, Curve):
        x, y = _along(layer.x, layer.y)
    elif isinstance(layer, Band):
        (x, low), (_, high) = _along(layer.x, layer.low), _along(layer.x, layer.high)
        x, y = np.concatenate([x, x, x]), np.concatenate([low, (low + high) / 2, high])
    elif isinstance(layer, Bars):
        # The end of a bar is what is read off it.
        steps = np.concatenate([np.linspace(0.05, 1, 10), np.full(30, 1.0)])
        tops, middles = np.asarray(layer.y, dtype=np.float64), np.asarray(layer.x, dtype=float)
        x = np.concatenate(
            [np.repeat(middles + part * layer.width, len(steps)) for part in (-0.45, 0, 0.45)]
        )
        y = np.tile(np.outer(tops, steps).ravel(), 3)
    else:
        return np.zeros(0), np.zeros(0)
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]


def _along(x: Any, y: Any) -> tuple[Floats, Floats]:  # noqa: ANN401 - any array
    """Return places along the line through the points, close together also on long pieces."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.size < 2:
        return x, y
    pieces = max(1, 200 // (x.size - 1))
    place = np.linspace(0, x.size - 1, (x.size - 1) * pieces + 1)
    steps = np.arange(x.size)
    return np.interp(place, steps, x), np.interp(place, steps, y)


def _box_options(size: tuple[float, float], drawn: Drawn) -> list[tuple[float, float, float]]:
    """Return (left, bottom, cost) of a box at nine places; corners are dearest to us."""
    width, height = size
    options = []
    for column, left in enumerate((_GAP, (1 - width) / 2, 1 - _GAP - width)):
        for row, bottom in enumerate((1 - _GAP - height, (1 - height) / 2, _GAP)):
            cost = drawn.under(left, bottom, width, height)
            cost += 0.004 * ((column == 1) + (row == 1)) + 0.0005 * (row == 2) - 1e-5 * column
            options.append((left, bottom, cost))
    return options


def _overlap(
    a: tuple[float, float, float],
    a_size: tuple[float, float],
    b: tuple[float, float, float],
    b_size: tuple[float, float],
) -> bool:
    return (
        a[0] < b[0] + b_size[0] + 0.01
        and b[0] < a[0] + a_size[0] + 0.01
        and a[1] < b[1] + b_size[1] + 0.01
        and b[1] < a[1] + a_size[1] + 0.01
    )
