"""A figure as plain arrays: panels, axes and layers, drawn by others on screen and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core import text_file
from core.colours import (
    BAD_GROUND,
    BLACK,
    BLUE,
    CLASS_COLOURS,
    GOOD_GROUND,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
)

Array = NDArray[Any]
Symbol = Literal["circle", "square", "triangle", "diamond", "cross"]
LineStyle = Literal["solid", "dashed", "dotted", "dashdot"]

_CLASS_COLOURS = {"AD": VERMILLION, "MCI": ORANGE, "NC": BLUE}
_CLASS_SYMBOLS: dict[str, Symbol] = {"AD": "circle", "MCI": "triangle", "NC": "square"}
_PAPER_COLOURS = {"AD": "#0000FF", "NC": "#FF0000"}
# Index = order of further classes.
_OTHER_COLOURS = (GREEN, PURPLE, SKY, "#F0E442", BLACK)
_OTHER_SYMBOLS: tuple[Symbol, ...] = ("diamond", "cross", "circle", "square", "triangle")


_preset = CLASS_COLOURS[0]


def use_class_colours(preset: str) -> None:
    """Draw classes in the colours of ``preset`` from now on, in every figure of this process.

    Parameters
    ----------
    preset : {"okabe-ito", "paper"}
        ``paper``: AD blue, NC red, as in Khagi & Kwon (2022), Fig. 2. Classes that the paper
        does not have, such as MCI, keep their colours; symbols stay as they are.
    """
    global _preset
    if preset not in CLASS_COLOURS:
        raise ValueError(f"no class colours are called '{preset}'")
    _preset = preset


def class_colour(label: str, order: int = 0, *, paper: bool = False) -> str:
    """Return the colour of a class; ``order`` tells apart classes without a fixed colour.

    ``paper`` gives the colours of Khagi & Kwon (2022), Fig. 2, whatever the preset: AD blue,
    NC red.
    """
    if (paper or _preset == "paper") and label in _PAPER_COLOURS:
        return _PAPER_COLOURS[label]
    return _CLASS_COLOURS.get(label, _OTHER_COLOURS[order % len(_OTHER_COLOURS)])


def class_symbol(label: str, order: int = 0) -> Symbol:
    """Return the marker of a class, so that colour is never alone."""
    return _CLASS_SYMBOLS.get(label, _OTHER_SYMBOLS[order % len(_OTHER_SYMBOLS)])


@dataclass(frozen=True)
class Axis:
    """One axis: its title with unit, and its limits where they are not free.

    ``categories`` names the positions 0, 1, 2, … of an axis of classes.
    """

    label: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The label with its unit in brackets."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class Scatter:
    """Points: ``x``, ``y`` of shape (n,); ``ids`` names each (subject and slice), if known.

    ``size`` is the marker's diameter in points (1/72 inch on paper, pixels at 100 % on screen).
    """

    name: str
    x: Array
    y: Array
    colour: str = BLUE
    symbol: Symbol = "circle"
    size: float = 5.0
    opacity: float = 0.6
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curve:
    """A line through ``x``, ``y`` of shape (n,); NaN breaks it."""

    name: str
    x: Array
    y: Array
    colour: str = BLACK
    style: LineStyle = "solid"
    width: float = 1.5


@dataclass(frozen=True)
class Band:
    """An area between ``low`` and ``high`` over ``x``, each of shape (n,).

    ``in_legend`` False leaves it out of the legend: its curve is named there.
    """

    name: str
    x: Array
    low: Array
    high: Array
    colour: str = GREY
    opacity: float = 0.2
    in_legend: bool = True


@dataclass(frozen=True)
class Bars:
    """Vertical bars of height ``y`` about ``x``, ``width`` wide (axis units)."""

    name: str
    x: Array
    y: Array
    colour: str = BLUE
    width: float = 0.8


@dataclass(frozen=True)
class HeatMap:
    """A matrix with names: ``values`` (R, C), row 0 at the top, each cell printed by ``format``.

    ``diverging`` centres the colours at 0 between ``low`` and ``high``. ``texts`` is printed
    in place of the values where it is given; ``has_scale`` False leaves out the colour scale.
    """

    name: str
    values: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    diverging: bool = False
    format: str = ".2f"
    texts: tuple[tuple[str, ...], ...] = ()
    has_scale: bool = True


@dataclass(frozen=True)
class Image:
    """A grey picture: ``pixels`` (H, W), row 0 at the top.

    ``overlay`` (h, w), of any size, is a signed map over the whole picture, which must then
    be grey levels 0..255; its colours are centred at 0 and end at ``reach`` (None: at its
    largest value). ``letters`` stand at the left, right, top and bottom side.
    """

    name: str
    pixels: Array
    overlay: Array | None = None
    overlay_name: str = ""
    reach: float | None = None
    opacity: float = 0.6
    letters: tuple[str, str, str, str] = ("", "", "", "")
    has_scale: bool = True


Layer = Scatter | Curve | Band | Bars | HeatMap | Image


@dataclass(frozen=True)
class Panel:
    """One pair of axes with its layers; ``text`` is printed in a box inside it."""

    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    title: str = ""
    text: str = ""
    equal_aspect: bool = False


@dataclass(frozen=True)
class Badge:
    """A verdict that is always seen beside a figure: a sign and words, and a colour with them."""

    words: str
    is_good: bool

    @property
    def text(self) -> str:
        """The sign and the words."""
        return f"{'✓' if self.is_good else '✗'} {self.words}"

    @property
    def colour(self) -> str:
        """The ground below its white letters."""
        return GOOD_GROUND if self.is_good else BAD_GROUND


@dataclass(frozen=True)
class Figure:
    """A figure of one or more panels.

    Attributes
    ----------
    name : str
        Stem of its files, letters, digits and ``_`` only.
    title : str
        Printed above the panels.
    panels : tuple of Panel
        In reading order.
    columns : int
        Panels in a row.
    caption : str
        What is seen, in one or two sentences, with the source.
    warning : str
        Printed in red where the numbers must not be taken at face value (a leaking split).
    badges : tuple of Badge
        Printed below the title.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    columns: int = 1
    caption: str = ""
    warning: str = ""
    badges: tuple[Badge, ...] = ()

    def table(self) -> Table:
        """Return every drawn point as one long table: the CSV of the picture."""
        columns = ("panel", "layer", "kind", "id", "x", "y", "low", "high")
        rows: list[tuple[Any, ...]] = []
        for number, panel in enumerate(self.panels, start=1):
            label = panel.title or str(number)
            for layer in panel.layers:
                rows += [
                    (label, layer.name, type(layer).__name__.lower(), *row)
                    for row in _rows_of(layer)
                ]
        return Table(
            name=self.name,
            title=self.title,
            columns=columns,
            rows=tuple(rows),
            caption=self.caption,
        )


@dataclass(frozen=True)
class Table:
    """A table of a run: columns and rows, with what it shows in ``caption``.

    ``name`` is the stem of its file. Fractions stay 0..1, times seconds, lengths mm.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    warning: str = field(default="")

    def write(self, path: Path) -> None:
        """Write it as CSV to ``path``, atomically."""
        text_file.write_csv(path, self.columns, self.rows)


def _rows_of(layer: Layer) -> Sequence[tuple[Any, ...]]:
    if isinstance(layer, Scatter):
        ids = layer.ids or ("",) * len(layer.x)
        points = zip(ids, _plain(layer.x), _plain(layer.y), strict=True)
        return [(name, x, y, None, None) for name, x, y in points]
    if isinstance(layer, Curve | Bars):
        ends = zip(_plain(layer.x), _plain(layer.y), strict=True)
        return [("", x, y, None, None) for x, y in ends]
    if isinstance(layer, Band):
        sides = zip(_plain(layer.x), _plain(layer.low), _plain(layer.high), strict=True)
        return [("", x, None, low, high) for x, low, high in sides]
    if isinstance(layer, HeatMap):
        return [
            (f"{row} / {column}", j, value, None, None)
            for row, values in zip(layer.rows, _plain(layer.values), strict=True)
            for j, (column, value) in enumerate(zip(layer.columns, values, strict=True))
        ]
    return [*_cells(layer.pixels, "row"), *_cells(layer.overlay, layer.overlay_name + ", row")]


def _cells(values: Array | None, word: str) -> list[tuple[Any, ...]]:
    """Return a row for each cell of a picture or of the map over it, at its own size."""
    if values is None:
        return []
    rows: list[tuple[Any, ...]] = []
    for i, line in enumerate(_plain(values)):
        name = f"{word} {i}"
        rows += [(name, j, value, None, None) for j, value in enumerate(line)]
    return rows


def _plain(values: Any) -> list[Any]:  # noqa: ANN401 - an array, or what makes one
    """Return numbers of Python: numpy's own, taken one by one, cost ten times as much."""
    return list(np.asarray(values).tolist())
