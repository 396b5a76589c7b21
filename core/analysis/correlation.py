"""Correlation among the FCL's rows, and of the rows with the features of scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.analysis.features import class_pairs, features_of
from core.analysis.weights import softmax_null
from core.errors import AnalysisError
from core.figure import Axis, Figure, HeatMap, Panel, Table
from core.run_folder import Run

Array = NDArray[np.float64]
Method = Literal["pearson", "spearman"]

_PERMUTATIONS = 999
# Rows permuted at once: bounds the memory at 4096 features to about 8 MB.
_PERMUTATION_BLOCK = 256
_METHOD_TITLES = {"pearson": "Pearson", "spearman": "Spearman"}
_SOURCE = "After Khagi & Kwon (2022), Alzheimer's & Dementia 18 (S1)."


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
    for begin in range(0, _PERMUTATIONS, _PERMUTATION_BLOCK):
        count = min(_PERMUTATION_BLOCK, _PERMUTATIONS - begin)
        shuffled = random.permuted(np.tile(second, (count, 1)), axis=1)
        # Rounding must not make an equal correlation a smaller one.
        as_far += int(np.sum(np.abs(shuffled @ first) >= measured - 1e-12))
    return (as_far + 1) / (_PERMUTATIONS + 1)


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
    panels = [_matrix_panel("rows as they are", correlate(weight, weight, method=method), run)]
    caption = f"{_METHOD_TITLES[method]} correlation of the FCL's rows. {_SOURCE}"
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
        caption += " A strong negative value arises without class information: see the null."
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
        title=f"{_METHOD_TITLES[method]} correlation of the FCL's rows",
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
        caption=f"p-values from {_PERMUTATIONS} permutations test correlation 0; the column "
        "null is expected without any class information.",
        warning=run.warning,
    )


def weight_scan_correlation(
    run: Run, *, part: str = "test", method: Method = "pearson", scans: Sequence[str] | None = None
) -> Figure:
    """Return the correlation of each FCL row with the penultimate features, by true class.

    Each slice's features are correlated with each row; the correlations are averaged over
    the slices of a scan, then over the scans of a class.

    Parameters
    ----------
    run : Run
    part : {"train", "validation", "test", "all"}
    method : {"pearson", "spearman"}
    scans : sequence of str, optional
        Only these scans; without it all of the part.

    Raises
    ------
    AnalysisError
        If no scan is left.
    """
    labels, subjects, values = _by_scan(run, part=part, method=method, scans=scans)[1:4]
    k = len(run.classes)
    means = np.array(
        [
            values[labels == true].mean(axis=0) if (labels == true).any() else np.full(k, np.nan)
            for true in range(k)
        ]
    )
    names = [f"{label} scans" for label in run.classes]
    bias = run.fc_history.at()[1]
    biases = ", ".join(f"{name} {b:.3g}" for name, b in zip(run.classes, bias, strict=True))
    panel = Panel(
        x=Axis("FCL row", categories=run.classes),
        y=Axis("True class", categories=tuple(names)),
        layers=(
            HeatMap("correlation", means, tuple(names), run.classes, -1.0, 1.0, diverging=True),
        ),
        title="mean over scans",
    )
    return Figure(
        name=f"weight_scan_correlation_{part}",
        title=f"FCL rows and scans, {run.network_title}, {part} part",
        panels=(panel,),
        caption=f"{_METHOD_TITLES[method]} correlation of each FCL row with the features that "
        f"enter the FCL, averaged over slices, then scans. Biases: {biases}. "
        f"{_own_class_text(run, labels, subjects, values)}{_SOURCE}",
        warning=run.warning,
    )


def weight_scan_correlation_table(
    run: Run, *, part: str = "test", method: Method = "pearson", scans: Sequence[str] | None = None
) -> Table:
    """Return the correlation of each FCL row with each scan's features, mean over its slices.

    Raises
    ------
    AnalysisError
        If no scan is left.
    """
    names, labels, subjects, values, counts = _by_scan(run, part=part, method=method, scans=scans)
    return Table(
        name=f"weight_scan_correlation_by_scan_{part}",
        title=f"{_METHOD_TITLES[method]} correlation of the FCL's rows with scans",
        columns=("scan", "subject", "class", "slices", *(f"row_{name}" for name in run.classes)),
        rows=tuple(
            (names[i], subjects[i], run.classes[labels[i]], counts[i], *values[i])
            for i in range(len(names))
        ),
        caption="Each value is the mean over the scan's slices.",
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


def _by_scan(
    run: Run, *, part: str, method: Method, scans: Sequence[str] | None
) -> tuple[list[str], NDArray[np.int64], list[str], Array, list[int]]:
    """Return names, labels, subjects, correlations (scans, K) and slice counts of the scans."""
    features = features_of(run, part=part)
    weight = run.fc_history.at()[0]
    by_slice = correlate(features.penultimate, weight, method=method)
    names = [name for name in dict.fromkeys(features.scan.tolist()) if _is_asked(name, scans)]
    if not names:
        raise AnalysisError(f"None of the chosen scans is in the {part} part of '{run.name}'.")
    # A slice without any active feature has no correlation; it must not void its scan.
    values = np.array([_mean_without_nan(by_slice[features.scan == name]) for name in names])
    first = [int(np.flatnonzero(features.scan == name)[0]) for name in names]
    return (
        names,
        features.label[first],
        [str(features.subject[i]) for i in first],
        values,
        [int(np.sum(features.scan == name)) for name in names],
    )


def _is_asked(name: str, scans: Sequence[str] | None) -> bool:
    return scans is None or name in scans


def _mean_without_nan(values: Array) -> Array:
    kept = values[np.isfinite(values).all(axis=1)]
    return np.asarray(kept.mean(axis=0)) if len(kept) else np.full(values.shape[1], np.nan)


def _own_class_text(
    run: Run, labels: NDArray[np.int64], subjects: Sequence[str], values: Array
) -> str:
    """Say for each row how much more it correlates with scans of its class than with others."""
    by_subject, subject_labels = _subject_values(labels, subjects, values)
    random = np.random.default_rng(0)
    orders = np.array([random.permutation(subject_labels) for _ in range(_PERMUTATIONS)])
    parts = []
    for k, name in enumerate(run.classes):
        own = subject_labels == k
        column = by_subject[:, k]
        if not own.any() or own.all() or not np.isfinite(column).all():
            continue
        measured = column[own].mean() - column[~own].mean()
        n_own, n_other = int(own.sum()), int((~own).sum())
        own_sums = (orders == k) @ column
        shuffled = own_sums / n_own - (column.sum() - own_sums) / n_other
        as_far = int(np.sum(np.abs(shuffled) >= abs(measured) - 1e-12))
        p_value = (as_far + 1) / (_PERMUTATIONS + 1)
        parts.append(f"row {name} {measured:+.3f} (p = {p_value:.3f})")
    if not parts:
        return ""
    return (
        f"Own class above the others: {', '.join(parts)}; p by permuting the labels of "
        f"{len(subject_labels)} subjects. "
    )


def _subject_values(
    labels: NDArray[np.int64], subjects: Sequence[str], values: Array
) -> tuple[Array, NDArray[np.int64]]:
    # Scans of one subject are alike: labels are exchangeable between subjects only.
    keys = list(zip(subjects, labels.tolist(), strict=True))
    distinct = list(dict.fromkeys(keys))
    means = np.array([values[[key == other for other in keys]].mean(axis=0) for key in distinct])
    return means, np.array([label for _, label in distinct], dtype=np.int64)
