"""The FCL's rows against each other with polynomial fits: the paper's Fig. 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.fc_rows import CURVE_POINTS, FIT_LOOKS, feature_ids, rows_of, weight_at
from core.analysis.features import Pair, class_pairs
from core.analysis.fit_choice import choose_fit
from core.analysis.fit_permutation import PERMUTATIONS, PermutationTest, permutation_test
from core.analysis.fit_table import fit_columns, fit_row
from core.analysis.fitting import (
    HIGHEST_DEGREE,
    BandKind,
    FitSeries,
    PolynomialFit,
    centring_text,
    degree_name,
    fit_series,
)
from core.analysis.softmax_null import SoftmaxNull, conserved_badge, softmax_null
from core.analysis.weight_rows import histogram_of
from core.colours import BLUE, GREY, SKY
from core.figure import Axis, Band, Curve, Figure, Layer, Panel, Scatter, Table
from core.progress import Operation
from core.run_folder import Run

Array = NDArray[np.float64]

_BAND_OPACITY: dict[BandKind, float] = {"confidence": 0.25, "prediction": 0.05}


def fcl_scatter(
    run: Run,
    *,
    pair: Pair | None = None,
    epoch: int | None = None,
    degrees: Sequence[int] = (2, 3, 4),
    bands: Sequence[BandKind] = (),
    show_null: bool = True,
) -> Figure:
    """Return the scatter of two FCL rows with polynomial fits: the paper's Fig. 3.

    Parameters
    ----------
    run : Run
    pair : tuple of str, optional
        Classes on x and y; without it one panel for each pair of classes.
    epoch : int, optional
        0 is before training; without it the last.
    degrees : sequence of int
        Degrees of the fits.
    bands : sequence of {"confidence", "prediction"}
        95 % bands to draw about each fit.
    show_null : bool
        Draw the straight line, with its 95 % band, that needs no class information.

    Raises
    ------
    AnalysisError
        If the pair is unknown, or the weights are not finite or all equal.
    RunError
        If the epoch is not stored.
    """
    weight, shown = weight_at(run, epoch)
    k, n = weight.shape
    panels, verdicts = [], []
    for item in class_pairs(run, pair):
        x, y = rows_of(run, item, weight)
        series = fit_series(x, y)
        null = softmax_null(run, item, epoch=epoch) if show_null else None
        panels.append(_scatter_panel(item, x, y, series, degrees=degrees, bands=bands, null=null))
        verdicts.append((item, choose_fit(series).words))
    caption = f"Epoch {shown}. {_said(verdicts)}"
    if bands:
        caption += f" Shaded: 95 % {' (dark) and '.join(bands)} band{'s' * (len(bands) > 1)} of "
        caption += "each fit." if len(bands) == 1 else "each fit (light)."
    if show_null:
        caption += (
            " Dashed: the straight line, with its 95 % band, that softmax and the initial weights "
            "alone give, without any class information."
        )
    return Figure(
        name="fcl_weights_plot",
        title=f"FCL weights ({n}*{k}) plot of {run.network_title} model for MRI classification",
        panels=tuple(panels),
        columns=min(len(panels), 3),
        caption=caption,
        warning=run.warning,
        badges=(conserved_badge(run, epoch=epoch),) if show_null else (),
    )


def pair_matrix(run: Run, *, epoch: int | None = None) -> Figure:
    """Return every pair of rows at once, K x K panels.

    Below the diagonal the row of one class against that of another with the fit that the
    statistics support; above it the same two turned, difference against sum; on the diagonal
    the distribution of each row.
    """
    weight, shown = weight_at(run, epoch)
    panels = []
    for i, below in enumerate(run.classes):
        for j, above in enumerate(run.classes):
            if i == j:
                panels.append(_distribution_panel(below, weight[i]))
            elif i > j:
                panels.append(_small_scatter(above, below, weight[j], weight[i]))
            else:
                panels.append(_small_difference(below, above, weight[i], weight[j]))
    return Figure(
        name="fcl_pair_matrix",
        title=f"Every pair of FCL rows, {run.network_title}, epoch {shown}",
        panels=tuple(panels),
        columns=len(run.classes),
        caption="Below the diagonal: weights for one class against those for another, with the "
        "fit that the statistics support (see the table of fits). Above it: their difference "
        "against their sum. On it: each row's weights, counted.",
        warning=run.warning,
    )


def fcl_weights_table(run: Run, *, epoch: int | None = None) -> Table:
    """Return the FCL's weights: one row a feature, one column a class."""
    weight, shown = weight_at(run, epoch, check=False)
    return Table(
        name="fcl_weights",
        title=f"FCL weights of {run.network_title}, epoch {shown}",
        columns=("feature", *run.classes),
        rows=tuple((number, *column) for number, column in enumerate(weight.T)),
        caption="One row an input feature of the final fully connected layer.",
        warning=run.warning,
    )


def fits_table(
    run: Run,
    *,
    pair: Pair | None = None,
    epoch: int | None = None,
    degrees: Sequence[int] = (1, 2, 3, 4),
    tests: Sequence[PermutationTest] = (),
) -> Table:
    """Return the fits of every pair of rows with their statistics.

    ``coefficient_p`` belongs to z to the power p; degrees that cannot be fitted are left out.
    ``tests`` are the permutation tests of the pairs in order, if they were made.
    """
    weight, shown = weight_at(run, epoch)
    powers = range(max(degrees, default=0), -1, -1)
    rows: list[tuple[Any, ...]] = []
    for number, item in enumerate(class_pairs(run, pair)):
        series = fit_series(*rows_of(run, item, weight))
        test = tests[number] if number < len(tests) else None
        rows += [
            (*item, *fit_row(series, degree, powers, test))
            for degree in degrees
            if degree <= series.highest
        ]
    caption = (
        "y is a polynomial in z = (x - centre)/scale, scale with n - 1. Each step is the F test "
        "against the degree before; Holm's correction counts the steps. Supported is what most "
        "of AICc, BIC, leave-one-out error and F tests choose."
    )
    if tests:
        caption += f" Permutation p by {tests[0].permutations} shuffles, seed {tests[0].seed}."
    return Table(
        name="fcl_fits",
        title=f"Polynomial fits of the FCL's rows, epoch {shown}",
        columns=("x", "y", *fit_columns(powers, with_permutations=bool(tests))),
        rows=tuple(rows),
        caption=caption,
        warning=run.warning,
    )


def fits_table_with_permutations(
    run: Run,
    *,
    pair: Pair | None = None,
    epoch: int | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Operation[Table]:
    """Return :func:`fits_table` with permutation tests, which take seconds."""
    weight, _ = weight_at(run, epoch)
    tests = []
    for item in class_pairs(run, pair):
        x, y = rows_of(run, item, weight)
        tests.append((yield from permutation_test(x, y, permutations=permutations, seed=seed)))
    return fits_table(run, pair=pair, epoch=epoch, tests=tests)


def _said(verdicts: Sequence[tuple[Pair, str]]) -> str:
    """Return the verdict of each pair; the pair is named where there are several."""
    if len(verdicts) == 1:
        return verdicts[0][1]
    return " ".join(f"{pair[0]} and {pair[1]}: {words}" for pair, words in verdicts)


def _scatter_panel(
    pair: Pair,
    x: Array,
    y: Array,
    series: FitSeries,
    *,
    degrees: Sequence[int],
    bands: Sequence[BandKind],
    null: SoftmaxNull | None,
) -> Panel:
    fits = [series.of(degree) for degree in degrees if degree <= series.highest]
    line = np.linspace(x.min(), x.max(), CURVE_POINTS)
    points = Scatter("weights", x, y, colour=SKY, size=4.0, ids=feature_ids(len(x)))
    layers: list[Layer] = []
    if "prediction" in bands:
        layers += [_band(fit, line, "prediction") for fit in fits]
    layers.append(points)
    if null is not None:
        layers += _null_layers(null, x, y)
    if "confidence" in bands:
        layers += [_band(fit, line, "confidence") for fit in fits]
    for fit in fits:
        colour, style = FIT_LOOKS.get(fit.degree, (BLUE, "dotted"))
        layers.append(Curve(fit.name, line, fit.predict(line), colour=colour, style=style))
    lines = [fit.equation() for fit in fits]
    lines += [
        f"{degree_name(degree)}: too few distinct weights"
        for degree in degrees
        if degree > series.highest
    ]
    if fits:
        lines.append(centring_text(fits[0].centre, fits[0].scale))
    return Panel(
        x=Axis(f"FCL weight, {pair[0]}"),
        y=Axis(f"FCL weight, {pair[1]}"),
        layers=tuple(layers),
        title=f"{pair[0]} and {pair[1]}",
        text="\n".join(lines),
    )


def _band(fit: PolynomialFit, line: Array, kind: BandKind) -> Band:
    low, high = fit.band(line, kind=kind)
    colour, _ = FIT_LOOKS.get(fit.degree, (BLUE, "dotted"))
    name = f"{fit.name}, 95 % {kind}"
    return Band(name, line, low, high, colour, _BAND_OPACITY[kind], in_legend=False)


def _null_layers(null: SoftmaxNull, x: Array, y: Array) -> list[Layer]:
    # Distinct, sorted x so that the band's edges are lines from end to end.
    line = np.linspace(x.min(), x.max(), CURVE_POINTS)
    low, high = null.slope_band
    from_centre = line - x.mean()
    edges = np.sort([low * from_centre, high * from_centre], axis=0) + y.mean()
    middle = y.mean() + null.predicted_slope * from_centre
    return [
        Band("null, 95 %", line, edges[0], edges[1], colour=GREY),
        Curve("null (no class information)", line, middle, colour=GREY, style="dashed"),
    ]


def _small_scatter(x_label: str, y_label: str, x: Array, y: Array) -> Panel:
    """Return a scatter without legend: its only named layer has the panel's title."""
    series = fit_series(x, y)
    fit = series.of(min(max(choose_fit(series).degree, 1), HIGHEST_DEGREE))
    line = np.linspace(x.min(), x.max(), CURVE_POINTS)
    colour, _ = FIT_LOOKS[fit.degree]
    title = f"{y_label} on {x_label}"
    return Panel(
        x=Axis(f"weight, {x_label}"),
        y=Axis(f"weight, {y_label}"),
        layers=(
            Scatter(title, x, y, colour=SKY, size=3.0, ids=feature_ids(len(x))),
            Curve("", line, fit.predict(line), colour=colour),
        ),
        title=title,
        text=f"{fit.name}, r = {series.correlation:.3f}",
    )


def _small_difference(first: str, second: str, x: Array, y: Array) -> Panel:
    title = f"{first} and {second}, turned"
    return Panel(
        x=Axis(f"{first} + {second}"),
        y=Axis(f"{first} - {second}"),
        layers=(Scatter(title, x + y, x - y, colour=BLUE, size=3.0, ids=feature_ids(len(x))),),
        title=title,
    )


def _distribution_panel(label: str, row: Array) -> Panel:
    return Panel(
        x=Axis(f"weight, {label}"),
        y=Axis("weights"),
        layers=(histogram_of(label, row),),
        title=label,
    )
