"""Figures and tables of the softmax null: difference and sum, drift, nulls, many classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.fc_rows import (
    TWO_SIDED_95,
    correlation_interval,
    correlation_of,
    feature_ids,
    first_epoch,
    rows_of,
    weight_at,
)
from core.analysis.features import Pair, class_pairs, joint_warning
from core.analysis.softmax_null import (
    NULL_SOURCE,
    SoftmaxNull,
    conserved_badge,
    null_text,
    softmax_null,
)
from core.colours import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION
from core.figure import Axis, Band, Curve, Figure, HeatMap, Layer, Panel, Scatter, Symbol, Table
from core.run_folder import Run

Array = NDArray[np.float64]

SHUFFLES = 999
_SEED = 0
_PAIR_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)


def fcl_null(
    run: Run,
    *,
    pair: Pair | None = None,
    epoch: int | None = None,
    show_start: bool = True,
    show_permuted: bool = False,
    controls: Sequence[Run] = (),
) -> Figure:
    """Return the rows' difference against their sum, and the null's prediction over the epochs.

    For each pair of classes two panels: d = w_i - w_j against the sum S of all rows, and the
    measured slope of the scatter beside the predicted.

    Parameters
    ----------
    run : Run
    pair : tuple of str, optional
    epoch : int, optional
    show_start : bool
        Draw the state before training behind it.
    show_permuted : bool
        Draw it with the second row's features shuffled: what two rows give that know nothing
        of each other.
    controls : sequence of Run
        Runs of shuffled labels, drawn behind it after their last epoch.

    Raises
    ------
    AnalysisError
        If the pair is unknown, or the weights are not finite or all equal.
    RunError
        If the epoch is not stored.
    """
    _, shown = weight_at(run, epoch)
    panels: list[Panel] = []
    for item in class_pairs(run, pair):
        layers: list[Layer] = []
        if show_permuted:
            layers.append(_permuted_layer(run, item, shown))
        for number, control in enumerate(controls):
            layers.append(_control_layer(control, item, number))
        panels += [
            _difference_panel(run, item, shown, behind=layers, show_start=show_start),
            _null_course_panel(run, item),
        ]
    return Figure(
        name="fcl_null",
        title=f"What the start alone explains: FCL of {run.network_title}, epoch {shown}",
        panels=tuple(panels),
        columns=2,
        caption=f"{NULL_SOURCE} Only differences of rows are learned, and only they affect the "
        "predictions. The learned fraction is Var(e) / (Var(e) + Var(S/K)), e a row less the "
        "mean row; it starts at (K - 1)/K.",
        warning=joint_warning([run, *controls]) if controls else run.warning,
        badges=(conserved_badge(run, epoch=epoch),),
    )


def row_sum_drift_figure(run: Run) -> Figure:
    """Return how far the sum of the FCL's rows has moved from its start, over the epochs."""
    history = run.fc_history
    sums = history.weight.astype(np.float64).sum(axis=1)
    change = np.abs(sums - sums[0])
    null = softmax_null(run)
    epochs = history.epoch.astype(np.float64)
    text = f"Sum of rows {null.conserved}."
    if null.is_proportional and not null.is_conserved:
        text += f"\nIt shrank to {null.row_sum_left:.4f} of its start, all features alike."
    return Figure(
        name="row_sum_drift",
        title=f"Sum of the FCL's rows, {run.network_title}",
        panels=(
            Panel(
                x=Axis("Epoch"),
                y=Axis("Change of the sum of rows since the start", low=0.0),
                layers=(
                    Curve("largest of all features", epochs, change.max(axis=1), colour=BLUE),
                    Curve(
                        "root mean square",
                        epochs,
                        np.sqrt((change**2).mean(axis=1)),
                        colour=GREEN,
                        style="dashed",
                    ),
                ),
                title="Change of the sum of rows",
                text=text,
            ),
        ),
        caption=f"{NULL_SOURCE} Weight decay shrinks it; Adam moves it for three classes or more.",
        warning=run.warning,
        badges=(conserved_badge(run),),
    )


def nulls_figure(
    run: Run, *, pair: Pair | None = None, epoch: int | None = None, controls: Sequence[Run] = ()
) -> Figure:
    """Return correlation and slope of two rows beside those of every null.

    The nulls are the prediction from softmax and the start, this run's own start, rows whose
    features are shuffled against each other, and ``controls``, runs of shuffled labels.

    Raises
    ------
    AnalysisError
        As :func:`core.analysis.softmax_null.softmax_null`.
    """
    table = nulls_table(run, pair=pair, epoch=epoch, controls=controls)
    panels: list[Panel] = []
    for item in class_pairs(run, pair):
        rows = [row for row in table.rows if row[:2] == item]
        for name, first in (("Correlation", 3), ("Slope", 6)):
            panels.append(_nulls_panel(rows, first, f"{name}, {item[0]} and {item[1]}", name))
    return Figure(
        name="fcl_nulls",
        title=f"The scatter's line beside its nulls: FCL of {run.network_title}",
        panels=tuple(panels),
        columns=2,
        caption="Bars are 95 % intervals over the features. Where a run of shuffled labels comes "
        f"as far as this one, the scatter says nothing of the classes.{_names_of(controls)}",
        warning=table.warning,
        badges=(conserved_badge(run, epoch=epoch),),
    )


def nulls_table(
    run: Run, *, pair: Pair | None = None, epoch: int | None = None, controls: Sequence[Run] = ()
) -> Table:
    """Return what :func:`nulls_figure` draws: one row a pair of classes and source."""
    rows: list[tuple[Any, ...]] = []
    for item in class_pairs(run, pair):
        null = softmax_null(run, item, epoch=epoch)
        start = softmax_null(run, item, epoch=first_epoch(run))
        rows += [
            (*item, "this run", *_measured(null)),
            (*item, "softmax null", *_predicted(null)),
            (*item, "its epoch 0", *_measured(start)),
            (*item, "permuted rows", *_permuted(run, item, null.epoch)),
        ]
        rows += [
            (*item, f"shuffled labels {n}", *_measured(softmax_null(control, item)))
            for n, control in enumerate(controls, start=1)
        ]
    return Table(
        name="fcl_nulls",
        title="The rows' correlation and slope beside every null",
        columns=(
            "x",
            "y",
            "source",
            "correlation",
            "correlation_low",
            "correlation_high",
            "slope",
            "slope_low",
            "slope_high",
            "learned_fraction",
        ),
        rows=tuple(rows),
        caption="Low and high are 95 % intervals over the features; of permuted rows the middle "
        f"95 % of {SHUFFLES} shuffles. Permuted rows know nothing of each other: every trained "
        f"run leaves them.{_names_of(controls)}",
        warning=joint_warning([run, *controls]) if controls else run.warning,
    )


def _names_of(controls: Sequence[Run]) -> str:
    named = ", ".join(f"{n} = {control.name}" for n, control in enumerate(controls, start=1))
    return f" Shuffled labels: {named}." if named else ""


def centred_rows_figure(run: Run, *, epoch: int | None = None) -> Figure:
    """Return the correlations of the rows with the mean row removed, now and over the epochs.

    Symmetric classes sit at -1/(K - 1), whatever was learned of them; only departures from it
    inform.
    """
    weight, shown = weight_at(run, epoch)
    k = len(weight)
    reference = -1 / (k - 1)
    values = np.array([[correlation_of(a, b) for b in _centred(weight)] for a in _centred(weight)])
    return Figure(
        name="fcl_centred_rows",
        title=f"Rows without their mean row: FCL of {run.network_title}, epoch {shown}",
        panels=(
            Panel(
                x=Axis("Class"),
                y=Axis("Class"),
                layers=(
                    HeatMap("Correlation", values, run.classes, run.classes, -1, 1, diverging=True),
                ),
                title=f"Epoch {shown}; symmetric classes: {reference:.2f}",
                equal_aspect=True,
            ),
            _centred_course(run, reference),
        ),
        columns=2,
        caption=_centred_caption(k),
        warning=run.warning,
    )


def centred_rows_table(run: Run, *, epoch: int | None = None) -> Table:
    """Return the rows' correlations with the mean row removed, and how far they depart.

    ``departure_in_sd`` is the difference of Fisher's transforms over 1/sqrt(N - 3); it is
    left out for K = 2, where the correlation is -1 by definition.
    """
    weight, _ = weight_at(run, epoch)
    centred, (k, n) = _centred(weight), weight.shape
    reference = -1 / (k - 1)
    rows = []
    for pair in class_pairs(run):
        value = correlation_of(*rows_of(run, pair, centred))
        distance = None
        if k > 2 and n > 3 and abs(value) < 1:
            distance = float((np.arctanh(value) - np.arctanh(reference)) * np.sqrt(n - 3))
        rows.append((*pair, value, reference, value - reference, distance))
    return Table(
        name="fcl_centred_rows",
        title="Correlation of the rows with the mean row removed",
        columns=("x", "y", "correlation", "symmetric", "departure", "departure_in_sd"),
        rows=tuple(rows),
        caption=f"Symmetric is -1/(K - 1) = {reference:.3g}; departures in standard deviations are "
        "by Fisher's transform, for K > 2.",
        warning=run.warning,
    )


def null_table(run: Run, *, epoch: int | None = None) -> Table:
    """Return the null of every pair of classes; see :class:`SoftmaxNull`."""
    names = tuple(
        name for name in SoftmaxNull.__dataclass_fields__ if name not in ("pair", "conserved")
    )
    rows = []
    for pair in class_pairs(run):
        null = softmax_null(run, pair, epoch=epoch)
        rows.append(
            (
                *pair,
                *(getattr(null, name) for name in names),
                *null.slope_band,
                *null.correlation_band,
                null.is_inside,
                null.conserved,
            )
        )
    return Table(
        name="softmax_null",
        title="What softmax and the initial weights alone predict for the FCL's rows",
        columns=(
            "x",
            "y",
            *names,
            "slope_low",
            "slope_high",
            "correlation_low",
            "correlation_high",
            "is_inside",
            "conserved",
        ),
        rows=tuple(rows),
        caption=NULL_SOURCE,
        warning=run.warning,
    )


def _difference_panel(
    run: Run, pair: Pair, epoch: int, *, behind: Sequence[Layer], show_start: bool
) -> Panel:
    layers = list(behind)
    if show_start:
        layers.append(
            _difference_layer(
                run,
                pair,
                first_epoch(run),
                name="before training",
                colour=GREY,
                opacity=0.35,
                symbol="diamond",
            )
        )
    # Lighter where something is to be seen through it.
    opacity = 0.35 if behind else 0.6
    layers.append(
        _difference_layer(run, pair, epoch, name=f"epoch {epoch}", colour=BLUE, opacity=opacity)
    )
    of_all = f"{pair[0]} + {pair[1]}" if len(run.classes) == 2 else "sum of all rows"
    return Panel(
        x=Axis(f"Sum S = {of_all}"),
        y=Axis(f"Difference d = {pair[0]} - {pair[1]}"),
        layers=tuple(layers),
        title=f"{pair[0]} and {pair[1]}: difference and sum",
        text=null_text(softmax_null(run, pair, epoch=epoch), len(run.classes)),
        equal_aspect=True,
    )


def _difference_layer(
    run: Run,
    pair: Pair,
    epoch: int,
    *,
    name: str,
    colour: str,
    opacity: float,
    symbol: Symbol = "circle",
) -> Scatter:
    weight, _ = weight_at(run, epoch)
    x, y = rows_of(run, pair, weight)
    return Scatter(
        name,
        weight.sum(axis=0),
        x - y,
        colour=colour,
        symbol=symbol,
        size=4.0,
        opacity=opacity,
        ids=feature_ids(len(x)),
    )


def _permuted_layer(run: Run, pair: Pair, epoch: int) -> Scatter:
    weight, _ = weight_at(run, epoch)
    x, y = rows_of(run, pair, weight)
    shuffled = np.random.default_rng(_SEED).permutation(y)
    return Scatter(
        "permuted rows",
        weight.sum(axis=0) - y + shuffled,
        x - shuffled,
        colour=ORANGE,
        symbol="triangle",
        size=4.0,
        opacity=0.4,
    )


def _control_layer(control: Run, pair: Pair, number: int) -> Scatter:
    layer = _difference_layer(
        control,
        class_pairs(control, pair)[0],
        int(control.fc_history.epoch[-1]),
        name=f"shuffled labels {number + 1}",
        colour=(PURPLE, GREEN, VERMILLION)[number % 3],
        opacity=0.6,
        symbol="square",
    )
    # Its features are not those of the run: a click must not take them for these.
    return replace(layer, ids=())


def _null_course_panel(run: Run, pair: Pair) -> Panel:
    nulls = [softmax_null(run, pair, epoch=int(epoch)) for epoch in run.fc_history.epoch]
    epochs = np.array([null.epoch for null in nulls], dtype=np.float64)
    bands = np.array([null.slope_band for null in nulls])
    predicted = np.array([null.predicted_slope for null in nulls])
    return Panel(
        x=Axis("Epoch"),
        y=Axis(f"Slope of {pair[1]} on {pair[0]}"),
        layers=(
            Band("null, 95 %", epochs, bands[:, 0], bands[:, 1]),
            Curve("null (no class information)", epochs, predicted, colour=GREY, style="dashed"),
            Curve(
                "measured",
                epochs,
                np.array([null.measured_slope for null in nulls]),
                colour=BLUE,
            ),
        ),
        title=f"{pair[0]} and {pair[1]}: over the epochs",
    )


def _measured(null: SoftmaxNull) -> tuple[float, ...]:
    half_width = TWO_SIDED_95 * _slope_error(null)
    return (
        null.measured_correlation,
        *correlation_interval(null.measured_correlation, null.n_features),
        null.measured_slope,
        null.measured_slope - half_width,
        null.measured_slope + half_width,
        null.learned_fraction,
    )


def _slope_error(null: SoftmaxNull) -> float:
    """Return the standard error of the measured slope."""
    if null.measured_correlation == 0:
        return null.sampling_sd
    ratio = abs(null.measured_slope / null.measured_correlation)
    return float(ratio * np.sqrt((1 - null.measured_correlation**2) / (null.n_features - 2)))


def _predicted(null: SoftmaxNull) -> tuple[float | None, ...]:
    predicted = null.predicted_slope
    return (predicted, *null.correlation_band, predicted, *null.slope_band, None)


def _permuted(run: Run, pair: Pair, epoch: int) -> tuple[float | None, ...]:
    """Return the median and the middle 95 % of shuffled rows' correlations and slopes."""
    x, y = rows_of(run, pair, weight_at(run, epoch)[0])
    x, y = x - x.mean(), y - y.mean()
    random = np.random.default_rng(_SEED)
    products = np.array([x @ random.permutation(y) for _ in range(SHUFFLES)])
    found: list[float | None] = []
    for divisor in (np.linalg.norm(x) * np.linalg.norm(y), x @ x):
        low, middle, high = np.quantile(products / divisor, (0.025, 0.5, 0.975))
        found += [float(middle), float(low), float(high)]
    return (*found, None)


def _nulls_panel(rows: Sequence[tuple[Any, ...]], first: int, title: str, name: str) -> Panel:
    places = np.arange(len(rows), dtype=np.float64)
    middle, low, high = (
        np.array([row[column] for row in rows], dtype=np.float64)
        for column in range(first, first + 3)
    )
    gap = np.full(len(rows), np.nan)
    is_run = places == 0
    return Panel(
        x=Axis("", categories=tuple(row[2] for row in rows)),
        y=Axis(name),
        layers=(
            Curve(
                "95 % interval",
                np.stack([places, places, gap], axis=1).ravel(),
                np.stack([low, high, gap], axis=1).ravel(),
                colour=GREY,
                width=2.0,
            ),
            Curve("", np.array([-0.5, len(rows) - 0.5]), np.zeros(2), GREY, "dotted", 1.0),
            Scatter("nulls", places[~is_run], middle[~is_run], GREY, "diamond", 8.0, 1.0),
            Scatter("this run", places[is_run], middle[is_run], BLUE, "circle", 8.0, 1.0),
        ),
        title=title,
    )


def _centred(weight: Array) -> Array:
    centred: Array = weight - weight.mean(axis=0)
    return centred


def _centred_course(run: Run, reference: float) -> Panel:
    history = run.fc_history
    epochs = history.epoch.astype(np.float64)
    layers: list[Layer] = [
        Curve(
            f"symmetric classes, {reference:.2f}",
            epochs[[0, -1]],
            np.full(2, reference),
            colour=GREY,
            style="dashed",
        )
    ]
    if len(run.classes) > 2:
        low, high = correlation_interval(reference, history.weight.shape[2])
        layers.insert(0, Band("95 %", epochs[[0, -1]], np.full(2, low), np.full(2, high)))
    for number, pair in enumerate(class_pairs(run)):
        values = [
            correlation_of(*rows_of(run, pair, _centred(weight.astype(np.float64))))
            for weight in history.weight
        ]
        colour = _PAIR_COLOURS[number % len(_PAIR_COLOURS)]
        layers.append(Curve(f"{pair[0]} and {pair[1]}", epochs, np.array(values), colour=colour))
    return Panel(
        x=Axis("Epoch"), y=Axis("Correlation"), layers=tuple(layers), title="Over the epochs"
    )


def _centred_caption(k: int) -> str:
    if k == 2:
        return (
            "With two classes the rows without their mean are each other's negative: their "
            "correlation is -1 by definition and says nothing."
        )
    return (
        f"The mean row is common to all classes and does not affect the predictions. Without it "
        f"{k} symmetric classes sit at -1/(K - 1) = {-1 / (k - 1):.3g}; only departures inform."
    )
