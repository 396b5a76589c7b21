"""Correlation of the FCL's rows with the features of scans: by true class, and scan by scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.analysis.correlation import METHOD_TITLES, P2_SOURCE, PERMUTATIONS, Method, correlate
from core.analysis.features import features_of
from core.errors import AnalysisError
from core.figure import Axis, Figure, HeatMap, Panel, Table
from core.run_folder import Run

Array = NDArray[np.float64]

# More rows than these cannot be read on one page.
MOST_SCANS_SHOWN = 40
_RESAMPLES = 2000


@dataclass(frozen=True)
class ScanCorrelations:
    """The correlation of each FCL row with each scan: the mean over its slices.

    Attributes
    ----------
    scans, subjects : tuple of str
        One a scan.
    labels : ndarray, shape (n,), int
        True class of each scan.
    values : ndarray, shape (n, K)
        NaN where no slice of the scan has an active feature.
    slices : tuple of int
        Slices of each scan.
    """

    scans: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: NDArray[np.int64]
    values: Array
    slices: tuple[int, ...]


def scan_correlations(
    run: Run, *, part: str = "test", method: Method = "pearson", scans: Sequence[str] | None = None
) -> ScanCorrelations:
    """Return the correlation of each FCL row with the features of each scan.

    Raises
    ------
    AnalysisError
        If none of the chosen ``scans`` is in the part.
    """
    features = features_of(run, part=part)
    by_slice = correlate(features.penultimate, run.fc_history.at()[0], method=method)
    names = [
        name for name in dict.fromkeys(features.scan.tolist()) if scans is None or name in scans
    ]
    if not names:
        raise AnalysisError(f"None of the chosen scans is in the {part} part of '{run.name}'.")
    rows = [np.flatnonzero(features.scan == name) for name in names]
    return ScanCorrelations(
        scans=tuple(names),
        subjects=tuple(str(features.subject[own[0]]) for own in rows),
        labels=features.label[[own[0] for own in rows]].astype(np.int64),
        # A slice without any active feature has no correlation; it must not void its scan.
        values=np.array([_mean_without_nan(by_slice[own]) for own in rows]),
        slices=tuple(len(own) for own in rows),
    )


def class_means(found: ScanCorrelations) -> Array:
    """Return the mean over the scans of each true class, shape (K, K): class by FCL row."""
    k = found.values.shape[1]
    rows = [found.values[found.labels == true] for true in range(k)]
    return np.array([own.mean(axis=0) if len(own) else np.full(k, np.nan) for own in rows])


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
    found = scan_correlations(run, part=part, method=method, scans=scans)
    names = tuple(f"{label} scans" for label in run.classes)
    panel = Panel(
        x=Axis("FCL row", categories=run.classes),
        y=Axis("True class", categories=names),
        layers=(_heat_map(class_means(found), names, run.classes),),
        title="mean over scans",
    )
    return Figure(
        name=f"weight_scan_correlation_{part}",
        title=f"FCL rows and scans, {run.network_title}, {part} part",
        panels=(panel,),
        caption=f"{METHOD_TITLES[method]} correlation of each FCL row with the features that "
        f"enter the FCL, averaged over {_over(run)}. {_biases_text(run)} "
        f"{_own_class_text(run, found)}{P2_SOURCE}",
        warning=run.warning,
    )


def _over(run: Run) -> str:
    """Return over what correlations are averaged; the 3-D CNN sees a scan at once."""
    return "scans" if run.settings.sees_cubes else "slices, then scans"


def _mean_words(run: Run) -> str:
    return "" if run.settings.sees_cubes else ", mean over its slices"


def scan_map(
    run: Run, *, part: str = "test", method: Method = "pearson", scans: Sequence[str] | None = None
) -> Figure:
    """Return the correlation of each FCL row with each scan, one line a scan, by true class.

    Of more than 40 scans some of each class are shown, evenly from the lowest to the highest
    correlation with their own row; the table has all.

    Raises
    ------
    AnalysisError
        If no scan is left.
    """
    found = scan_correlations(run, part=part, method=method, scans=scans)
    present = [true for true in range(len(run.classes)) if (found.labels == true).any()]
    shown: list[int] = []
    for true in present:
        own = np.flatnonzero(found.labels == true)
        order = own[np.argsort(-np.nan_to_num(found.values[own, true], nan=-2.0), kind="stable")]
        if len(found.labels) > MOST_SCANS_SHOWN:
            room = min(MOST_SCANS_SHOWN // len(present), len(order))
            order = order[np.linspace(0, len(order) - 1, room).astype(int)]
        shown += order.tolist()
    names = tuple(f"{run.classes[found.labels[i]]}  {found.scans[i]}" for i in shown)
    panel = Panel(
        x=Axis("FCL row", categories=run.classes),
        y=Axis("Scan, by true class", categories=names),
        layers=(_heat_map(found.values[shown], names, run.classes),),
    )
    some = (
        f" {len(shown)} of {len(found.scans)} scans are shown, evenly from the highest to the "
        "lowest correlation with their own class's row."
        if len(shown) < len(found.scans)
        else ""
    )
    return Figure(
        name=f"scan_correlation_{part}",
        title=f"FCL rows and each scan, {run.network_title}, {part} part",
        panels=(panel,),
        caption=f"{METHOD_TITLES[method]} correlation of each FCL row with the features of a "
        f"scan{_mean_words(run)}.{some} {_biases_text(run)} {P2_SOURCE}",
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
    found = scan_correlations(run, part=part, method=method, scans=scans)
    return Table(
        name=f"weight_scan_correlation_by_scan_{part}",
        title=f"{METHOD_TITLES[method]} correlation of the FCL's rows with scans",
        columns=(
            "scan",
            "subject",
            "class",
            run.settings.items,
            *(f"row_{name}" for name in run.classes),
        ),
        rows=tuple(
            (name, subject, run.classes[label], slices, *values)
            for name, subject, label, slices, values in zip(
                found.scans, found.subjects, found.labels, found.slices, found.values, strict=True
            )
        ),
        caption=f"Each value is that of the scan{_mean_words(run)}.",
        warning=run.warning,
    )


def weight_class_correlation_table(
    run: Run, *, part: str = "test", method: Method = "pearson", scans: Sequence[str] | None = None
) -> Table:
    """Return the K x K means of :func:`weight_scan_correlation` with intervals and p-values.

    ``low`` and ``high`` are the 95 % interval of 2000 bootstraps over the class's subjects.
    ``above_others`` is the mean over subjects of the class minus that of all others;
    ``p_value`` is two-sided, from permuting the classes of the subjects.

    Raises
    ------
    AnalysisError
        If no scan is left.
    """
    found = scan_correlations(run, part=part, method=method, scans=scans)
    bias = run.fc_history.at()[1]
    by_subject, subject_labels = _subject_values(found)
    rows = []
    for true, true_name in enumerate(run.classes):
        own = found.labels == true
        for row, row_name in enumerate(run.classes):
            column = found.values[own, row]
            subjects = np.array(found.subjects)[own]
            contrast = _contrast(by_subject[:, row], subject_labels == true)
            rows.append(
                (
                    true_name,
                    row_name,
                    float(column.mean()) if len(column) else None,
                    *_bootstrap(column, subjects),
                    *(contrast or (None, None)),
                    int(own.sum()),
                    len(set(subjects.tolist())),
                    float(bias[row]),
                )
            )
    return Table(
        name=f"weight_scan_correlation_by_class_{part}",
        title=f"{METHOD_TITLES[method]} correlation of the FCL's rows with scans, by true class",
        columns=(
            "true_class",
            "row",
            "correlation",
            "low",
            "high",
            "above_others",
            "p_value",
            "scans",
            "subjects",
            "bias_of_row",
        ),
        rows=tuple(rows),
        caption=f"low to high: 95 % bootstrap over the class's subjects. p-values of the "
        f"difference to the other classes, from {PERMUTATIONS} permutations of the subjects' "
        "classes. On training scans they only say that training fitted them.",
        warning=run.warning,
    )


def _heat_map(values: Array, rows: tuple[str, ...], columns: tuple[str, ...]) -> HeatMap:
    return HeatMap("correlation", values, rows, columns, -1.0, 1.0, diverging=True)


def _biases_text(run: Run) -> str:
    bias = run.fc_history.at()[1]
    listed = ", ".join(f"{name} {b:.3g}" for name, b in zip(run.classes, bias, strict=True))
    return f"Biases: {listed}."


def _mean_without_nan(values: Array) -> Array:
    kept = values[np.isfinite(values).all(axis=1)]
    return np.asarray(kept.mean(axis=0)) if len(kept) else np.full(values.shape[1], np.nan)


def _own_class_text(run: Run, found: ScanCorrelations) -> str:
    """Say for each row how much more it correlates with scans of its class than with others."""
    by_subject, labels = _subject_values(found)
    parts = []
    for k, name in enumerate(run.classes):
        contrast = _contrast(by_subject[:, k], labels == k)
        if contrast is not None:
            parts.append(f"row {name} {contrast[0]:+.3f} (p = {contrast[1]:.3f})")
    if not parts:
        return ""
    return (
        f"Own class above the others: {', '.join(parts)}; p by permuting the labels of "
        f"{len(labels)} subjects. "
    )


def _contrast(values: Array, own: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return the mean of own minus others (n,), and its p-value by permuting who is own."""
    if not own.any() or own.all() or not np.isfinite(values).all():
        return None
    n_own, n_other = int(own.sum()), int((~own).sum())
    random = np.random.default_rng(0)
    orders = random.permuted(np.tile(own, (PERMUTATIONS, 1)), axis=1)
    measured = float(values[own].mean() - values[~own].mean())
    own_sums = orders @ values
    shuffled = own_sums / n_own - (values.sum() - own_sums) / n_other
    as_far = int(np.sum(np.abs(shuffled) >= abs(measured) - 1e-12))
    return measured, (as_far + 1) / (PERMUTATIONS + 1)


def _bootstrap(values: Array, subjects: NDArray[np.str_]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean of scans (n,) over resampled subjects."""
    names, group = np.unique(subjects, return_inverse=True)
    if len(names) < 2 or not np.isfinite(values).all():
        return None, None
    sums, counts = np.bincount(group, values), np.bincount(group)
    draws = np.random.default_rng(0).integers(len(names), size=(_RESAMPLES, len(names)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _subject_values(found: ScanCorrelations) -> tuple[Array, NDArray[np.int64]]:
    # Scans of one subject are alike: labels are exchangeable between subjects only.
    keys = list(zip(found.subjects, found.labels.tolist(), strict=True))
    distinct = list(dict.fromkeys(keys))
    means = np.array([found.values[[key == one for key in keys]].mean(axis=0) for one in distinct])
    return means, np.array([label for _, label in distinct], dtype=np.int64)
