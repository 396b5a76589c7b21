"""Each row of the FCL by itself: distribution, moments, bias and spread over the epochs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.analysis.fc_rows import first_epoch, weight_at
from core.analysis.softmax_null import initial_variance
from core.colours import GREY
from core.figure import Axis, Bars, Curve, Figure, Layer, LineStyle, Panel, Table, class_colour
from core.run_folder import Run

Array = NDArray[np.float64]

_MOST_BINS = 60
_STYLES: tuple[LineStyle, ...] = ("solid", "dashed", "dashdot", "dotted")


def rows_figure(run: Run, *, epoch: int | None = None) -> Figure:
    """Return the distribution of each row, and bias and spread of the rows over the epochs.

    Raises
    ------
    AnalysisError
        If a weight is not finite.
    RunError
        If the epoch is not stored.
    """
    weight, shown = weight_at(run, epoch)
    start, _ = weight_at(run, first_epoch(run))
    panels = [
        _row_panel(label, weight[k], start[k], colour=class_colour(label, k))
        for k, label in enumerate(run.classes)
    ]
    spread = run.fc_history.weight.astype(np.float64).std(axis=2, ddof=1)
    bias = run.fc_history.bias.astype(np.float64)
    start_sd = math.sqrt(
        initial_variance(run.settings.training.fc_init, weight.shape[1], classes=len(run.classes))
    )
    panels += [
        _course_panel(run, "Spread (sd)", spread, level=start_sd),
        _course_panel(run, "Bias", bias, level=None),
    ]
    return Figure(
        name="fcl_rows",
        title=f"Rows of the FCL one by one, {run.network_title}, epoch {shown}",
        panels=tuple(panels),
        columns=2 if len(panels) in (2, 4) else 3,
        caption="Bars: weights of a class, counted; line: the same before training. Below: spread "
        "and bias of each row over the epochs; dotted: the spread its initialisation gives.",
        warning=run.warning,
    )


def rows_table(run: Run, *, epoch: int | None = None) -> Table:
    """Return bias and moments of each row, before training and after ``epoch``.

    Skewness and excess kurtosis are those of the sample, without correction for its size.
    """
    weight, shown = weight_at(run, epoch)
    rows = []
    for number in dict.fromkeys((first_epoch(run), shown)):
        values, bias = run.fc_history.at(number)
        rows += [
            (label, number, *moments(values[k].astype(np.float64)), float(bias[k]))
            for k, label in enumerate(run.classes)
        ]
    return Table(
        name="fcl_rows",
        title=f"Moments of the FCL's rows, epoch {shown}",
        columns=(
            "class",
            "epoch",
            "mean",
            "sd",
            "skewness",
            "excess_kurtosis",
            "least",
            "median",
            "largest",
            "length",
            "bias",
        ),
        rows=tuple(rows),
        caption=f"{weight.shape[1]} weights a row; sd with n - 1. Uniform weights, as before "
        "training, have excess kurtosis -1.2, normal ones 0.",
        warning=run.warning,
    )


def rows_by_epoch_table(run: Run) -> Table:
    """Return mean, spread and bias of each row after every epoch."""
    history = run.fc_history
    weight = history.weight.astype(np.float64)
    return Table(
        name="fcl_rows_by_epoch",
        title="Rows of the FCL over the epochs",
        columns=("epoch", "class", "mean", "sd", "bias"),
        rows=tuple(
            (
                int(epoch),
                label,
                float(weight[place, k].mean()),
                float(weight[place, k].std(ddof=1)),
                float(history.bias[place, k]),
            )
            for place, epoch in enumerate(history.epoch)
            for k, label in enumerate(run.classes)
        ),
        caption="Epoch 0 is before training; sd with n - 1.",
        warning=run.warning,
    )


def moments(row: Array) -> tuple[float, ...]:
    """Return mean, sd, skewness, excess kurtosis, least, median, largest and length of a row."""
    mean, sd = float(row.mean()), float(row.std(ddof=1))
    away = row - mean
    variance = float(np.mean(away**2))
    if variance > 0:
        skewness = float(np.mean(away**3)) / variance**1.5
        kurtosis = float(np.mean(away**4)) / variance**2 - 3
    else:
        skewness = kurtosis = math.nan
    return (
        mean,
        sd,
        skewness,
        kurtosis,
        float(row.min()),
        float(np.median(row)),
        float(row.max()),
        float(np.linalg.norm(row)),
    )


def histogram_of(name: str, row: Array, *, colour: str = GREY) -> Bars:
    """Return the counts of a row in equal bins: Freedman & Diaconis (1981), at most 60."""
    edges = _edges(row)
    counts, _ = np.histogram(row, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    return Bars(name, middles, counts.astype(float), colour, float(edges[1] - edges[0]))


def _edges(*rows: Array) -> Array:
    """Return equal bins that hold all the rows."""
    low, high = min(row.min() for row in rows), max(row.max() for row in rows)
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    quarter, three_quarters = np.quantile(rows[0], (0.25, 0.75))
    width = 2 * (three_quarters - quarter) / len(rows[0]) ** (1 / 3)
    count = math.ceil((high - low) / width) if width > 0 else _MOST_BINS
    return np.linspace(low, high, min(max(count, 5), _MOST_BINS) + 1)


def _row_panel(label: str, row: Array, start: Array, *, colour: str) -> Panel:
    edges = _edges(row, start)
    middles = (edges[:-1] + edges[1:]) / 2
    counts, before = (np.histogram(values, edges)[0].astype(float) for values in (row, start))
    return Panel(
        x=Axis(f"FCL weight, {label}"),
        y=Axis("Weights"),
        layers=(
            Bars(label, middles, counts, colour, float(edges[1] - edges[0])),
            # Steps, so that the line says counts in bins as the bars do.
            # Without a name there is no legend on the bars; the caption says what it is.
            Curve("", np.repeat(edges, 2)[1:-1], np.repeat(before, 2), width=1.2),
        ),
        title=label,
    )


def _course_panel(run: Run, title: str, values: Array, *, level: float | None) -> Panel:
    epochs = run.fc_history.epoch.astype(np.float64)
    layers: list[Layer] = [
        Curve(label, epochs, values[:, k], class_colour(label, k), _STYLES[k % len(_STYLES)])
        for k, label in enumerate(run.classes)
    ]
    if level is not None:
        layers.append(
            Curve("its initialisation", epochs[[0, -1]], np.full(2, level), GREY, "dotted")
        )
    return Panel(x=Axis("Epoch"), y=Axis(title), layers=tuple(layers), title=f"{title} by epoch")
