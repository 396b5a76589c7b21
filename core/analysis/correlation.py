"""Correlation among the FCL's rows, with its permutation p-value and the softmax null."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.analysis.features import class_pairs
from core.analysis.softmax_null import softmax_null
from core.figure import Axis, Figure, HeatMap, Panel, Table
from core.run_folder import Run

Array = NDArray[np.float64]
Method = Literal["pearson", "spearman"]

PERMUTATIONS = 999
# Rows permuted at once: bounds the memory at 4096 features to about 8 MB.
_PERMUTATION_BLOCK = 256
METHOD_TITLES = {"pearson": "Pearson", "spearman": "Spearman"}
P2_SOURCE = "After Khagi & Kwon (2022), Alzheimer's & Dementia 18 (S1)."


def correlate(a: ArrayLike, b: ArrayLike, *, method: Method = "pearson") -> Array:
    """Return the correlation (A, B) of each row of ``a`` (A, N) with each of ``b`` (B, N).

    NaN where a row is constant.
    """
    first, second = (_standardised_rows(np.asarray(rows), method) for rows in (a, b))
    return np.clip(first @ second.T, -1.0, 1.0)


def permutation_p_value(
    x: ArrayLike, y: ArrayLike, *, method: Method = "pearson", seed: int = 0
) -> float:
    """Return the two-sided permutation p-value of the correlation of ``x`` and ``y`` (N,).

    999 random orders of ``y`` and the given one (Phipson & Smyth 2010), so it is never 0.
    NaN where a side is constant. It tests correlation 0, not the softmax null.
    """
    first = _standardised_rows(np.asarray(x)[None], method)[0]
    second = _standardised_rows(np.asarray(y)[None], method)[0]
    measured = abs(float(first @ second))
    if not np.isfinite(measured):
        return float("nan")
    random = np.random.default_rng(seed)
    as_far = 0
    for begin in range(0, PERMUTATIONS, _PERMUTATION_BLOCK):
        count = min(_PERMUTATION_BLOCK, PERMUTATIONS - begin)
        shuffled = random.permuted(np.tile(second, (count, 1)), axis=1)
        # Rounding must not make an equal correlation a smaller one.
        as_far += int(np.sum(np.abs(shuffled @ first) >= measured - 1e-12))
    return (as_far + 1) / (PERMUTATIONS + 1)


def row_correlation(run: Run, *, epoch: int | None = None, method: Method = "pearson") -> Figure:
    """Return the K x K correlation of the FCL's rows.

    For more than two classes a second panel has the mean row removed; symmetric classes then
    sit at -1/(K - 1), and only departures from it inform.

    Raises
    ------
    RunError
        If the epoch is not stored.
    """
    weight = run.fc_history.at(epoch)[0].astype(np.float64)
    k = len(run.classes)
    title = "rows as they are"
    if k == 2:
        null = softmax_null(run, (run.classes[0], run.classes[1]), epoch=epoch).predicted_slope
        title = f"null, without class information: {null:.2f}".replace("-", "−")
    panels = [_matrix_panel(title, correlate(weight, weight, method=method), run)]
    caption = f"{METHOD_TITLES[method]} correlation of the FCL's rows. {P2_SOURCE}"
    if k > 2:
        centred = weight - weight.mean(axis=0)
        panels.append(
            _matrix_panel(
                f"mean row removed; symmetric classes: {-1 / (k - 1):.2f}",
                correlate(centred, centred, method=method),
                run,
            )
        )
        caption += f" With the mean row removed only departures from {-1 / (k - 1):.2f} inform."
    else:
        caption += (
            " A strong negative value arises without class information: the panel's title has "
            "what softmax and the initial weights alone predict."
        )
    bias = run.fc_history.at(epoch)[1]
    listed = ", ".join(f"{name} {b:.3g}" for name, b in zip(run.classes, bias, strict=True))
    caption += f" Biases: {listed}."
    return Figure(
        name="row_correlation",
        title=f"Correlation of the FCL's rows, {run.network_title}",
        panels=tuple(panels),
        columns=len(panels),
        caption=caption,
        warning=run.warning,
    )


def row_correlation_table(
    run: Run, *, epoch: int | None = None, method: Method = "pearson"
) -> Table:
    """Return the correlation of each pair of rows, its permutation p-value and its null.

    ``null`` is what softmax and the initial weights alone predict; ``p_value`` tests
    against 0 and is small even there. ``mean_row_removed`` is always -1 for two classes.
    """
    weight, bias = run.fc_history.at(epoch)
    rows_as_are = correlate(weight, weight, method=method)
    centred = weight.astype(np.float64) - weight.astype(np.float64).mean(axis=0)
    removed = correlate(centred, centred, method=method)
    rows = []
    for x, y in class_pairs(run):
        i, j = run.classes.index(x), run.classes.index(y)
        rows.append(
            (
                x,
                y,
                rows_as_are[i, j],
                permutation_p_value(weight[i], weight[j], method=method),
                softmax_null(run, (x, y), epoch=epoch).predicted_slope,
                removed[i, j],
                -1 / (len(run.classes) - 1),
                float(bias[i]),
                float(bias[j]),
            )
        )
    return Table(
        name="row_correlation_pairs",
        title=f"{METHOD_TITLES[method]} correlation of the FCL's rows",
        columns=(
            "x",
            "y",
            "correlation",
            "p_value",
            "null",
            "mean_row_removed",
            "mean_row_removed_symmetric",
            "bias_x",
            "bias_y",
        ),
        rows=tuple(rows),
        caption=f"p-values from {PERMUTATIONS} permutations test correlation 0; the column "
        "null is expected without any class information.",
        warning=run.warning,
    )


def _standardised_rows(rows: NDArray[Any], method: Method) -> Array:
    """Return rows with mean 0 and length 1; NaN where a row is constant."""
    values = rows.astype(np.float64)
    if method == "spearman":
        # Here, not above: it takes a second to load, and the window must be on screen first.
        from scipy.stats import rankdata

        values = rankdata(values, axis=1)
    # A constant row keeps rounding dust after centring: it is told by its range.
    constant = np.ptp(values, axis=1) == 0
    values = values - values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    lengths[constant] = np.nan
    return np.asarray(values / lengths)


def _matrix_panel(title: str, values: Array, run: Run) -> Panel:
    return Panel(
        x=Axis("FCL row", categories=run.classes),
        y=Axis("FCL row", categories=run.classes),
        layers=(
            HeatMap("correlation", values, run.classes, run.classes, -1.0, 1.0, diverging=True),
        ),
        title=title,
    )
