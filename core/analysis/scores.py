"""How well a run predicts, in every usual number, with intervals over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import metrics
from core.analysis.evaluation import wilson_interval
from core.analysis.metrics import METRIC_TITLES, Cases, Unit, cases_of, items_word, unit_words
from core.colours import BLACK, BLUE, GREY
from core.errors import AnalysisError
from core.figure import (
    Axis,
    Band,
    Bars,
    Curve,
    Figure,
    Layer,
    Panel,
    Scatter,
    Table,
    class_colour,
    class_symbol,
)
from core.run_folder import Run

Array = NDArray[np.float64]

# With fewer subjects a bootstrap interval is too narrow, and none where all are right.
FEW_SUBJECTS = 30
_BAND_RESAMPLES = 400
_GRID = np.linspace(0, 1, 101)


def scores_table(
    run: Run, *, part: str = "test", unit: Unit = "slice", positive: str | None = None
) -> Table:
    """Return every number of a part with its 95 % interval by bootstrap over subjects.

    Columns: metric, value, low, high (bootstrap), and, for accuracy, sensitivity and
    specificity of two classes, Wilson's interval with one case a subject.

    Parameters
    ----------
    run : Run
    part : {"train", "validation", "test", "all"}
    unit : {"slice", "subject", "majority"}
    positive : str, optional
        The class that sensitivity is of, where there are two; without it the first.

    Raises
    ------
    AnalysisError
        If the part is empty or there is no such class.
    """
    cases, values, resampled = _measured(run, part=part, unit=unit, positive=positive)
    rows: list[tuple[Any, ...]] = []
    for name in METRIC_TITLES:
        low, high = metrics.interval(resampled[name])
        value = float(values[name][0])
        rows.append((name, value, low, high, *_wilson(cases, name, value, positive)))
    title = f"Evaluation of {run.network_title}, {part} part, {unit_words(run, unit)}"
    return Table(
        name=f"scores_{part}_by_{unit}",
        title=title,
        columns=("metric", "value", "low", "high", "wilson_low", "wilson_high"),
        rows=tuple(rows),
        caption=_caption(run, cases, unit=unit, part=part, positive=positive),
        warning=run.warning,
    )


def class_scores_table(run: Run, *, part: str = "test", unit: Unit = "slice") -> Table:
    """Return sensitivity, specificity, precision and AUC of each class against all others.

    Raises
    ------
    AnalysisError
        If the part is empty.
    """
    cases = cases_of(run, part=part, unit=unit)
    sums = metrics.subject_sums(cases)
    values = metrics.class_numbers(sums, np.ones((1, len(cases.names))))
    resampled = metrics.class_numbers(sums, metrics.draw_subjects(cases))
    rows: list[tuple[Any, ...]] = []
    for k, label in enumerate(run.classes):
        for name in values:
            interval = metrics.interval(resampled[name][:, k])
            n = int(np.sum(cases.label == k))
            rows.append((label, n, name, float(values[name][0, k]), *interval))
    return Table(
        name=f"class_scores_{part}_by_{unit}",
        title=f"Each class against all others, {part} part, {unit_words(run, unit)}",
        columns=("class", "n", "metric", "value", "low", "high"),
        rows=tuple(rows),
        caption=f"low to high is the 95 % interval of {metrics.RESAMPLES} bootstraps over "
        f"{len(cases.names)} subjects.",
        warning=run.warning,
    )


def scores_figure(
    run: Run, *, part: str = "test", unit: Unit = "slice", positive: str | None = None
) -> Figure:
    """Return the numbers of :func:`scores_table` as dots with their intervals.

    Raises
    ------
    AnalysisError
        As :func:`scores_table`.
    """
    table = scores_table(run, part=part, unit=unit, positive=positive)
    shown = [row for row in table.rows if row[0] in metrics.METRICS]
    place = np.arange(len(shown), dtype=np.float64)
    layers: list[Layer] = [
        _intervals("95 %, bootstrap over subjects", place - 0.08, shown, (2, 3), colour=BLUE),
        _intervals("95 %, Wilson, one case a subject", place + 0.08, shown, (4, 5), colour=GREY),
        Scatter(
            "value", place, np.array([row[1] for row in shown]), colour=BLACK, size=7, opacity=1
        ),
    ]
    ends = np.array([-0.5, len(shown) - 0.5])
    chance = np.full(2, 1 / len(run.classes))
    layers.append(
        Curve(
            f"1 of {len(run.classes)} classes", ends, chance, colour=GREY, style="dotted", width=1.0
        )
    )
    panel = Panel(
        x=Axis("", categories=tuple(METRIC_TITLES[row[0]] for row in shown)),
        y=Axis("Value", low=min(0.0, _lowest(shown)), high=1.02),
        layers=tuple(layers),
    )
    return Figure(
        name=f"scores_plot_{part}_by_{unit}",
        title=table.title,
        panels=(panel,),
        caption=f"{accuracy_sentence(run, part=part)} Balanced: balanced accuracy; MCC: Matthews' "
        "correlation, 0 at chance.",
        warning=run.warning,
    )


def roc(
    run: Run, *, part: str = "test", unit: Unit = "slice", positive: str | None = None
) -> Figure:
    """Return the ROC curve of the positive class, or of each class against all others (K > 2).

    For two classes a band holds the middle 95 % of the curves of resampled subjects.

    Raises
    ------
    AnalysisError
        If the part is empty, has one class only, or there is no such class.
    """
    cases = cases_of(run, part=part, unit=unit)
    if len(np.unique(cases.label)) < 2:
        raise AnalysisError(
            f"The {part} part of run '{run.name}' has slices of one class only: there is no ROC "
            "curve. Choose another part."
        )
    shown = [_positive(run, positive)] if len(run.classes) == 2 else range(len(run.classes))
    sums = metrics.subject_sums(cases)
    weights = metrics.draw_subjects(cases)
    area = metrics.class_auc(sums, np.ones((1, len(cases.names))))[0]
    resampled = metrics.class_auc(sums, weights)
    layers: list[Layer] = []
    lines = []
    for k in shown:
        name = run.classes[k]
        if not np.isfinite(area[k]):
            continue
        colour = class_colour(name, k)
        curve = _RocCurve(cases, k)
        if len(run.classes) == 2:
            count = min(_BAND_RESAMPLES, max(20, 4_000_000 // len(cases.label)))
            low, high = curve.band(weights[:count])
            layers.append(Band("95 % band over subjects", _GRID, low, high, colour=colour))
        false, true = curve.points()
        layers.append(Curve(f"{name} against {_others(run, k)}", false, true, colour=colour))
        low_area, high_area = metrics.interval(resampled[:, k])
        lines.append(f"AUC {name} {area[k]:.3f} (95 % {low_area:.3f} to {high_area:.3f})")
        called, own = cases.predicted == k, cases.label == k
        layers.append(
            Scatter(
                f"decision of the network, {name}",
                np.array([np.mean(called[~own])]),
                np.array([np.mean(called[own])]),
                colour=colour,
                symbol=class_symbol(name, k),
                size=9,
                opacity=1,
            )
        )
    ends = np.array([0.0, 1.0])
    layers.append(Curve("chance", ends, ends, colour=GREY, style="dashed", width=1.0))
    if len(run.classes) > 2:
        macro = metrics.interval(np.nanmean(resampled, axis=1))
        lines.append(f"macro {np.nanmean(area):.3f} (95 % {macro[0]:.3f} to {macro[1]:.3f})")
    panel = Panel(
        x=Axis("False positive rate (1 − specificity)", low=0.0, high=1.0),
        y=Axis("True positive rate (sensitivity)", low=0.0, high=1.005),
        layers=tuple(layers),
        text="\n".join(lines),
        equal_aspect=True,
    )
    return Figure(
        name=f"roc_{part}_by_{unit}",
        title=f"ROC of {run.network_title}, {part} part, {unit_words(run, unit)}",
        panels=(panel,),
        caption=f"Intervals by bootstrap over {len(cases.names)} subjects. The symbol is where "
        "the network itself decides.",
        warning=run.warning,
    )


def calibration(run: Run, *, part: str = "test", unit: Unit = "slice") -> Figure:
    """Return the reliability diagram of the predicted class, and how sure the network is.

    Raises
    ------
    AnalysisError
        If the part is empty.
    """
    cases, values, resampled = _measured(run, part=part, unit=unit, positive=None)
    sums = metrics.subject_sums(cases)
    weights = metrics.draw_subjects(cases)
    n, confidence, right = sums.bins.sum(axis=0)
    filled = n > 0
    share, sure = right[filled] / n[filled], confidence[filled] / n[filled]
    drawn = np.tensordot(weights, sums.bins[:, [0, 2]], axes=1)[:, :, filled]
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.array([metrics.interval(column) for column in (drawn[:, 1] / drawn[:, 0]).T])
    ends, middle = np.array([0.0, 1.0]), (np.arange(len(n)) + 0.5) / len(n)
    ece, brier = (
        f"{float(values[name][0]):.3f} (95 % {low:.3f} to {high:.3f})"
        for name in ("ece", "brier")
        for low, high in [metrics.interval(resampled[name])]
    )
    spread = [(x, low, high) for x, (low, high) in zip(sure, bounds, strict=True)]
    reliability = Panel(
        x=Axis("Probability of the predicted class", low=0.0, high=1.0),
        y=Axis("Share that is right", low=0.0, high=1.02),
        layers=(
            Curve("perfectly calibrated", ends, ends, colour=GREY, style="dashed", width=1.0),
            _intervals("95 %, bootstrap over subjects", sure, spread, (1, 2), colour=BLUE),
            Scatter("bins of probability", sure, share, colour=BLUE, size=7, opacity=1),
        ),
        title="Reliability",
        text=f"ECE {ece}\nBrier {brier}",
    )
    width = 0.92 / len(n)
    counts = Panel(
        x=Axis("Probability of the predicted class", low=0.0, high=1.0),
        y=Axis(f"Number of {items_word(run, unit)}", low=0.0),
        layers=(
            Bars("all", middle, n, colour=GREY, width=width),
            Bars("right", middle, right, colour=BLUE, width=width),
        ),
        title="How sure",
    )
    return Figure(
        name=f"calibration_{part}_by_{unit}",
        title=f"Calibration of {run.network_title}, {part} part, {unit_words(run, unit)}",
        panels=(reliability, counts),
        columns=2,
        caption=f"Dots below the dashed line: the network is surer than it is right. "
        f"{metrics.CALIBRATION_BINS} equal bins; ECE as Guo et al. (2017), Brier's score summed "
        f"over the classes. {len(cases.names)} subjects.",
        warning=run.warning,
    )


def calibration_table(run: Run, *, part: str = "test", unit: Unit = "slice") -> Table:
    """Return the bins of :func:`calibration`.

    Raises
    ------
    AnalysisError
        If the part is empty.
    """
    cases = cases_of(run, part=part, unit=unit)
    n, confidence, right = metrics.subject_sums(cases).bins.sum(axis=0)
    rows = [
        (
            place / len(n),
            (place + 1) / len(n),
            int(n[place]),
            float(confidence[place] / n[place]) if n[place] else None,
            float(right[place] / n[place]) if n[place] else None,
        )
        for place in range(len(n))
    ]
    return Table(
        name=f"calibration_bins_{part}_by_{unit}",
        title=f"Calibration by probability, {part} part, {unit_words(run, unit)}",
        columns=("from", "to", "n", "mean_probability", "share_right"),
        rows=tuple(rows),
        caption="Probability of the predicted class.",
        warning=run.warning,
    )


def accuracy_sentence(run: Run, *, part: str = "test") -> str:
    """Say the accuracy by slice, and beside it by subject with Wilson's interval.

    Raises
    ------
    AnalysisError
        If the part is empty.
    """
    slices, subjects = (cases_of(run, part=part, unit=unit) for unit in ("slice", "subject"))
    right = [int(np.sum(item.predicted == item.label)) for item in (slices, subjects)]
    n = [len(item.label) for item in (slices, subjects)]
    low, high = wilson_interval(right[1], n[1])
    return (
        f"{_percent(right[0] / n[0])} of {n[0]} {run.settings.items} are right; {right[1]} of "
        f"{n[1]} subjects "
        f"({_percent(right[1] / n[1])}, Wilson's 95 % interval {_percent(low)} to "
        f"{_percent(high)})."
    )


class _RocCurve:
    """The ROC curve of one class, for any number of times that each subject counts."""

    def __init__(self, cases: Cases, k: int) -> None:
        order = np.argsort(-cases.score[:, k], kind="stable")
        score = cases.score[order, k]
        # Equal scores are passed together: only the last of them is a point of the curve.
        self._last = np.flatnonzero(np.r_[np.diff(score) != 0, True])
        self._own = cases.label[order] == k
        self._subject = cases.subject[order]

    def points(self, weights: Array | None = None) -> tuple[Array, Array]:
        """Return false and true positive rates from (0, 0) to (1, 1)."""
        weight = np.ones(len(self._own)) if weights is None else weights[self._subject]
        true = np.cumsum(weight * self._own)[self._last]
        false = np.cumsum(weight * ~self._own)[self._last]
        return np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]]

    def band(self, weights: Array) -> tuple[Array, Array]:
        """Return the middle 95 % of the true positive rates on a grid of false ones."""
        curves = []
        for row in weights:
            false, true = self.points(row)
            # np.interp wants rising places: of a vertical step its top counts.
            place = np.searchsorted(false, _GRID + 1e-12, side="right") - 1
            following = np.minimum(place + 1, len(false) - 1)
            span = false[following] - false[place]
            share = np.where(span > 0, (_GRID - false[place]) / np.where(span > 0, span, 1), 0)
            curves.append(true[place] + np.clip(share, 0, 1) * (true[following] - true[place]))
        low, high = np.percentile(curves, [2.5, 97.5], axis=0)
        return np.asarray(low), np.asarray(high)


def _measured(
    run: Run, *, part: str, unit: Unit, positive: str | None
) -> tuple[Cases, dict[str, Array], dict[str, Array]]:
    """Return the cases, the numbers, and the numbers of resampled subjects."""
    cases = cases_of(run, part=part, unit=unit)
    sums = metrics.subject_sums(cases)
    k = _positive(run, positive)
    once = np.ones((1, len(cases.names)))
    return (
        cases,
        metrics.measure(sums, once, positive=k),
        metrics.measure(sums, metrics.draw_subjects(cases), positive=k),
    )


def _positive(run: Run, name: str | None) -> int:
    if name is None:
        return 0
    if name not in run.classes:
        raise AnalysisError(
            f"Run '{run.name}' has no class '{name}'. Choose one of: {', '.join(run.classes)}."
        )
    return run.classes.index(name)


def _wilson(cases: Cases, name: str, value: float, positive: str | None) -> tuple[float, float]:
    """Return Wilson's interval of a share with as many cases as it has subjects; else NaN."""
    own = cases.classes.index(positive) if positive is not None else 0
    if name == "accuracy":
        chosen = np.ones(len(cases.label), dtype=bool)
    elif len(cases.classes) == 2 and name in ("sensitivity", "specificity"):
        chosen = (cases.label == own) == (name == "sensitivity")
    else:
        return float("nan"), float("nan")
    n = len(np.unique(cases.subject[chosen]))
    # Slices of one subject are alike, so a share of slices is taken as one of its subjects.
    return wilson_interval(value * n, n)


def _caption(run: Run, cases: Cases, *, unit: Unit, part: str, positive: str | None) -> str:
    n = len(cases.names)
    k = _positive(run, positive)
    of = (
        f"Sensitivity is of {run.classes[k]}, specificity of {_others(run, k)}. "
        if len(run.classes) == 2
        else "Sensitivity, specificity and AUC are means over the classes, each against all "
        "others. "
    )
    few = (
        f" With {n} subjects (fewer than {FEW_SUBJECTS}) bootstrap intervals are too narrow: "
        "take Wilson's."
        if n < FEW_SUBJECTS
        else ""
    )
    beside = f"{accuracy_sentence(run, part=part)} " if unit == "slice" else ""
    return (
        f"{beside}{of}low to high is the 95 % interval of {metrics.RESAMPLES} bootstraps over "
        f"{n} subjects.{few}"
    )


def _others(run: Run, k: int) -> str:
    others = [name for name in run.classes if name != run.classes[k]]
    return others[0] if len(others) == 1 else "all others"


def _intervals(
    name: str,
    place: Array,
    rows: Sequence[Sequence[Any]],
    columns: tuple[int, int],
    *,
    colour: str,
) -> Curve:
    """Return upright lines from low to high, with gaps between them."""
    x, y = [], []
    for at, row in zip(place, rows, strict=True):
        low, high = row[columns[0]], row[columns[1]]
        x += [at, at, np.nan]
        y += [low, high, np.nan]
    return Curve(name, np.array(x), np.array(y), colour=colour, width=2.5)


def _lowest(rows: Sequence[Sequence[Any]]) -> float:
    known = [value for row in rows for value in row[1:4] if np.isfinite(value)]
    return float(np.floor(10 * min(known, default=0.0)) / 10)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
