"""Clouds with everything on them: groups of dots, densities, ellipses, projections, more runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.dot_groups import COLOUR_WORDS, ColourBy, group_dots, scatters
from core.analysis.features import (
    By,
    Pair,
    class_pairs,
    feature_cloud,
    feature_clouds,
    features_of,
    part_words,
    regime_text,
)
from core.analysis.projection import METHOD_TITLES, Method, Neighbours, project
from core.figure import Axis, Curve, Figure, Panel, class_colour
from core.progress import Operation
from core.run_folder import Features, Run, list_runs

Floats = NDArray[np.float64]

_CHI_SQUARED_95 = 5.991464547
_GRID = 90
# Shares of a class's dots that lie inside the lines of density.
_INSIDE = ((0.5, "solid"), (0.9, "dotted"))


@dataclass(frozen=True)
class CloudStyle:
    """What a cloud shows beside its dots.

    Attributes
    ----------
    colour_by : str
        See :data:`core.analysis.dot_groups.ColourBy`.
    densities : bool
        Lines around 50 % and 90 % of each class's dots, by a kernel density.
    ellipses : bool
        The normal 95 % ellipse of each class.
    paper_colours : bool
        AD blue and NC red.
    """

    colour_by: ColourBy = "class"
    densities: bool = False
    ellipses: bool = False
    paper_colours: bool = False


def logit_cloud(
    run: Run,
    *,
    part: str = "test",
    by: By = "slice",
    style: CloudStyle = CloudStyle(),
    epoch: int | None = None,
) -> Figure:
    """Return the cloud of FCL outputs with the groups and outlines of ``style``.

    ``epoch`` is one of ``run.epochs_of(part)``; without it the last epoch's network.

    Raises
    ------
    AnalysisError
        If the part has no slices, or nothing is known to colour by.
    """
    figure = feature_cloud(run, part=part, by=by, paper_colours=style.paper_colours, epoch=epoch)
    features = features_of(run, part=part, by=by, epoch=epoch)
    panels = [
        _styled(panel, run, features, pair, style)
        for panel, pair in zip(figure.panels, class_pairs(run), strict=True)
    ]
    return replace(
        figure,
        name=f"{figure.name}{_suffix(style)}",
        panels=tuple(panels),
        caption=f"{figure.caption} {_style_words(style, by)}".strip(),
    )


def logit_clouds(
    runs: Sequence[Run],
    *,
    part: str = "test",
    by: By = "slice",
    pair: Pair | None = None,
    style: CloudStyle = CloudStyle(),
) -> Figure:
    """Return the clouds of up to four runs as panels (a) to (d) on common axes.

    Raises
    ------
    AnalysisError
        As :func:`core.analysis.features.feature_clouds`.
    """
    figure = feature_clouds(runs, part=part, by=by, pair=pair, paper_colours=style.paper_colours)
    chosen = class_pairs(runs[0], pair)[0]
    panels = [
        _styled(panel, run, features_of(run, part=part, by=by), chosen, style)
        for panel, run in zip(figure.panels, runs, strict=True)
    ]
    return replace(
        figure,
        panels=tuple(panels),
        caption=f"{figure.caption} {_style_words(style, by)}".strip(),
    )


def projected_cloud(
    run: Run,
    method: Method,
    *,
    part: str = "test",
    by: By = "slice",
    seed: int = 0,
    neighbours: Neighbours = "usual",
    style: CloudStyle = CloudStyle(),
) -> Operation[Figure]:
    """Return the penultimate features of one part in the plane of :func:`project`.

    Raises
    ------
    AnalysisError
        As :func:`core.analysis.projection.project`, or if the part is empty.
    """
    features_of(run, part=part)  # refuses an unknown or empty part
    plane = yield from project(run, method, by=by, seed=seed, neighbours=neighbours)
    shown = np.ones(len(plane.points), bool) if part == "all" else plane.features.part == part
    features = _rows_of(plane.features, shown)
    x, y = plane.points[shown].T
    groups = group_dots(run, features, style.colour_by, paper_colours=style.paper_colours)
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    panel = Panel(
        # Of all parts: the axes stay where they are when another part is chosen.
        x=Axis(plane.axes[0], low=float(low[0] - margin[0]), high=float(high[0] + margin[0])),
        y=Axis(plane.axes[1], low=float(low[1] - margin[1]), high=float(high[1] + margin[1])),
        layers=(*scatters(groups, features, x, y), *_outlines(run, features, x, y, style)),
        equal_aspect=method != "lda",
    )
    title = METHOD_TITLES[method]
    return Figure(
        name=f"projection_{method}_{part}_by_{by}{_suffix(style)}",
        title=f"Penultimate features of {run.network_title}, {regime_text(run)}: {title}, "
        f"{part_words(part)}",
        panels=(panel,),
        caption=f"{plane.words} One dot a {by}. {_style_words(style, by)}".strip(),
        warning=run.warning,
    )


def runs_beside(run: Run) -> tuple[Run, ...]:
    """Return the other runs of the same folder with the same classes and with features."""
    here = run.path.resolve()
    return tuple(
        other
        for other in list_runs(run.path.parent)
        if other.path.resolve() != here and other.classes == run.classes and other.has_features
    )


def _styled(panel: Panel, run: Run, features: Features, pair: Pair, style: CloudStyle) -> Panel:
    i, j = (run.classes.index(label) for label in pair)
    x, y = features.logits[:, i], features.logits[:, j]
    groups = group_dots(run, features, style.colour_by, paper_colours=style.paper_colours)
    decision = [layer for layer in panel.layers if isinstance(layer, Curve)]
    outlines = _outlines(run, features, x.astype(np.float64), y.astype(np.float64), style)
    return replace(panel, layers=(*scatters(groups, features, x, y), *outlines, *decision))


def _outlines(
    run: Run, features: Features, x: Floats, y: Floats, style: CloudStyle
) -> Iterator[Curve]:
    for k, label in enumerate(run.classes):
        own = features.label == k
        colour = class_colour(label, k, paper=style.paper_colours)
        if own.sum() < 3:
            continue
        points = np.stack([x[own], y[own]])
        if style.densities:
            yield from _density_lines(label, points, colour)
        if style.ellipses:
            yield from _ellipse(label, points, colour)


def _density_lines(label: str, points: Floats, colour: str) -> Iterator[Curve]:
    """Yield lines of equal density that hold 50 % and 90 % of the dots."""
    from contourpy import contour_generator
    from scipy.stats import gaussian_kde

    # Dots on one line have no density in the plane.
    with contextlib.suppress(np.linalg.LinAlgError, ValueError):
        density = gaussian_kde(points)
        low, high = points.min(axis=1), points.max(axis=1)
        reach = 3 * np.sqrt(np.diag(density.covariance))
        grid_x, grid_y = (
            np.linspace(a - r, b + r, _GRID) for a, b, r in zip(low, high, reach, strict=True)
        )
        mesh = np.stack(np.meshgrid(grid_x, grid_y)).reshape(2, -1)
        lines = contour_generator(grid_x, grid_y, density(mesh).reshape(_GRID, _GRID))
        at_dots = density(points)
        for share, line_style in _INSIDE:
            found = _joined(lines.lines(float(np.quantile(at_dots, 1 - share))))
            name = f"{label}, {100 * share:.0f} % inside"
            yield Curve(name, *found, colour=colour, style=line_style, width=1.5)  # type: ignore[arg-type]


def _joined(lines: Sequence[Any]) -> tuple[Floats, Floats]:
    """Return several lines as one, broken by NaN."""
    gap = np.full((1, 2), np.nan)
    pieces = [piece for line in lines for piece in (np.asarray(line, np.float64), gap)]
    whole = np.concatenate(pieces[:-1]) if pieces else np.zeros((0, 2))
    return whole[:, 0], whole[:, 1]


def _ellipse(label: str, points: Floats, colour: str) -> Iterator[Curve]:
    values, axes = np.linalg.eigh(np.cov(points))
    if not (values > 0).all():
        return
    turn = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    outline = axes @ (np.sqrt(values * _CHI_SQUARED_95)[:, None] * circle)
    x, y = points.mean(axis=1)[:, None] + outline
    yield Curve(f"{label}, 95 % ellipse", x, y, colour=colour, style="dashdot", width=1.5)


def _rows_of(features: Features, rows: NDArray[np.bool_]) -> Features:
    return Features(**{name: value[rows] for name, value in vars(features).items()})


def _suffix(style: CloudStyle) -> str:
    return "" if style.colour_by == "class" else f"_by_{style.colour_by}"


def _style_words(style: CloudStyle, by: By) -> str:
    words = []
    if style.colour_by == "subject":
        words.append("One colour a subject (twenty colours, then again), one symbol a class.")
    elif style.colour_by != "class":
        words.append(f"Coloured by {COLOUR_WORDS[style.colour_by]}, one symbol a class.")
    if style.densities:
        words.append("Lines hold 50 % and 90 % of a class's dots by a Gaussian kernel density.")
    if style.ellipses:
        words.append("Ellipses would hold 95 % of a normal distribution.")
    if by == "slice" and (style.densities or style.ellipses):
        words.append("Slices of one subject are alike: the lines tell of fewer cases than dots.")
    return " ".join(words)
