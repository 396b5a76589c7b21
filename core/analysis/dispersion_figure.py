"""The figure of the dispersion of one run, or of several side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.analysis.dispersion import (
    MEASURE_WORDS,
    SCALE_FREE,
    SPACE_WORDS,
    Measured,
    Space,
    cloud_of,
    measure,
    require_same_classes,
)
from core.analysis.features import By, joint_warning, part_words, regime_text
from core.analysis.resampling import DRAWS
from core.colours import BLACK, GREEN, PURPLE
from core.figure import (
    Axis,
    Curve,
    Figure,
    Panel,
    Scatter,
    Symbol,
    class_colour,
    class_symbol,
)
from core.progress import Operation
from core.run_folder import Run

# Panels of a figure: the scale-free numbers that say most.
_DRAWN = ("mean_distance", "neighbour_density", "participation_ratio", "silhouette")
_PAIR_COLOURS = (BLACK, PURPLE, GREEN)


def dispersion_figure(
    runs: Sequence[Run],
    *,
    part: str = "test",
    by: By = "slice",
    space: Space = "logits",
    draws: int = DRAWS,
) -> Operation[Figure]:
    """Return the scale-free measures of one run, or of several side by side, with intervals.

    Raises
    ------
    AnalysisError
        If a part has no slices or too many, or the runs' classes differ.
    """
    require_same_classes(runs)
    found = []
    for run in runs:
        cloud = cloud_of(run, part=part, by=by, space=space)
        found.append((yield from measure(cloud, draws=draws)))
    names = [_run_letter(place, len(runs)) for place in range(len(runs))]
    panels = [_class_panel(name, runs[0].classes, names, found) for name in _DRAWN]
    panels += [_pair_panel(name, names, found) for name in ("fisher_ratio", "overlap")]
    return Figure(
        name=f"dispersion_{space}_{part}_by_{by}",
        title=f"Dispersion of the {SPACE_WORDS[space]}, {part_words(part)}",
        panels=tuple(panels),
        columns=3,
        caption=f"Each dot is the number of one class or pair, its line the 95 % interval of "
        f"{draws} draws of subjects. Distances and densities are in units of the distance to the "
        "nearest other class's centre, so that runs can be compared."
        + "".join(
            f" {name}: {regime_text(run)}, {run.name}."
            for name, run in zip(names, runs, strict=True)
            if name
        ),
        warning=joint_warning(runs),
    )


def _run_letter(place: int, count: int) -> str:
    """Return what one of several runs is called in a figure, ``(a)``; empty for a single one."""
    return f"({'abcdefgh'[place % 8]})" if count > 1 else ""


def _class_panel(
    name: str,
    classes: tuple[str, ...],
    names: Sequence[str],
    found: Sequence[tuple[Measured, ...]],
) -> Panel:
    layers: list[Scatter | Curve] = []
    for k, label in enumerate(classes):
        colour = class_colour(label, k)
        places = [place + 0.12 * (2 * k - len(classes) + 1) for place in range(len(names))]
        own = [_one(measured, name, label) for measured in found]
        layers += _with_intervals(places, own, label, colour, class_symbol(label, k))
    unit = "" if name in SCALE_FREE else "in distances of the centres"
    return _number_panel(name, unit, names, layers)


def _pair_panel(name: str, names: Sequence[str], found: Sequence[tuple[Measured, ...]]) -> Panel:
    pairs = list(dict.fromkeys(m.of for measured in found for m in measured if m.measure == name))
    layers: list[Scatter | Curve] = []
    for number, pair in enumerate(pairs):
        places = [place + 0.12 * (2 * number - len(pairs) + 1) for place in range(len(names))]
        own = [_one(measured, name, pair) for measured in found]
        colour = _PAIR_COLOURS[number % len(_PAIR_COLOURS)]
        layers += _with_intervals(places, own, pair, colour, "diamond")
    panel = _number_panel(name, "", names, layers)
    # A single pair is named on the axis and needs no legend.
    return replace(panel, x=replace(panel.x, label=pairs[0])) if len(pairs) == 1 else panel


def _number_panel(
    name: str, unit: str, names: Sequence[str], layers: Sequence[Scatter | Curve]
) -> Panel:
    # The title says what it is; an overlap of nothing must not fill the axis with rounding.
    low, high = (-0.02, 1.02) if name == "overlap" else (None, None)
    return Panel(
        x=Axis("", low=-0.5, high=len(names) - 0.5, categories=tuple(names)),
        y=Axis(unit, low=low, high=high),
        layers=tuple(layers),
        title=MEASURE_WORDS[name],
    )


def _with_intervals(
    places: Sequence[float],
    measured: Sequence[Measured | None],
    name: str,
    colour: str,
    symbol: Symbol,
) -> list[Scatter | Curve]:
    rows = [
        (x, m.relative, m.relative_low, m.relative_high)
        for x, m in zip(places, measured, strict=True)
        if m is not None and math.isfinite(m.relative)
    ]
    x, value, low, high = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    gap = np.full(len(x), np.nan)
    return [
        Scatter(name, x, value, colour=colour, symbol=symbol, size=8.0, opacity=1.0),
        Curve(
            "",
            np.stack([x, x, gap], 1).ravel(),
            np.stack([low, high, gap], 1).ravel(),
            colour=colour,
        ),
    ]


def _one(measured: Sequence[Measured], name: str, of: str) -> Measured | None:
    return next((m for m in measured if (m.measure, m.of) == (name, of)), None)
