"""How many points of accuracy come from slices of one subject on both sides of the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.comparison import right_by_subject
from core.analysis.features import joint_warning
from core.colours import BLUE, GREY, VERMILLION
from core.config import RunSettings
from core.errors import AnalysisError
from core.figure import Axis, Curve, Figure, Panel, Scatter, Table
from core.run_folder import Run

Array = NDArray[np.float64]

_RESAMPLES = 4000
_YAGIS = (
    "On OASIS a split by slice added about 30 points, and reached about 96 % even with random "
    "labels (Yagis et al. 2021, Sci Rep 11:22544)."
)


@dataclass(frozen=True)
class Inflation:
    """Test accuracy by slice, of the same settings under both splits.

    Attributes
    ----------
    shuffled : bool
        Whether the labels were shuffled: a control, in which there is nothing to learn.
    by_subject, by_slice : float
        Mean test accuracy of the runs split by subject, and of those split by slice; 0..1.
    subject_runs, slice_runs : tuple of float
        That of each run.
    low, high : float
        95 % interval of the inflation by bootstrap over subjects.
    subject_interval, slice_interval : tuple of float
        Likewise of the two accuracies.
    subjects : int
        Test subjects of the runs split by subject.
    chance : float
        1 by the number of classes.
    """

    shuffled: bool
    by_subject: float
    by_slice: float
    subject_runs: tuple[float, ...]
    slice_runs: tuple[float, ...]
    low: float
    high: float
    subject_interval: tuple[float, float]
    slice_interval: tuple[float, float]
    subjects: int
    chance: float

    @property
    def value(self) -> float:
        """Accuracy by slice minus by subject."""
        return self.by_slice - self.by_subject

    def sentence(self) -> str:
        """Say it in words."""
        labels = "With shuffled labels" if self.shuffled else "With the same settings"
        end = (
            f" There is nothing to learn: {_percent(self.chance)} is chance."
            if self.shuffled
            else ""
        )
        return (
            f"{labels} {_percent(self.by_slice)} of the test slices are right when split by slice "
            f"and {_percent(self.by_subject)} when split by subject: leakage adds "
            f"{100 * self.value:+.1f} points (95 % {100 * self.low:+.1f} to "
            f"{100 * self.high:+.1f}, {self.subjects} test subjects).{end}"
        )


def inflation(by_subject: Sequence[Run], by_slice: Sequence[Run]) -> Inflation:
    """Return how much accuracy a split by slice adds to that by subject.

    Subjects are resampled: one that is tested under both splits counts as often in both.
    The interval says how far the choice of subjects moves the number, not how far another
    seed would: give several runs, whose spread is told beside it.

    Raises
    ------
    AnalysisError
        If a side has no finished run, or the runs are not alike apart from split and seed.
    """
    runs = [*by_subject, *by_slice]
    _require_alike(by_subject, by_slice)
    sides = [right_by_subject(by_subject), right_by_subject(by_slice)]
    names = sorted({*sides[0], *sides[1]})
    counts = np.array([[side.get(name, (0, 0)) for name in names] for side in sides], float)
    weights = _draw(counts, _classes_of(runs, names))
    shares = weights @ counts[..., 0].T / (weights @ counts[..., 1].T)
    measured = counts[..., 0].sum(axis=1) / counts[..., 1].sum(axis=1)
    low, high = np.percentile(shares[:, 1] - shares[:, 0], [2.5, 97.5])
    return Inflation(
        shuffled=runs[0].settings.split.shuffled_labels,
        by_subject=float(measured[0]),
        by_slice=float(measured[1]),
        subject_runs=tuple(_accuracy(run) for run in by_subject),
        slice_runs=tuple(_accuracy(run) for run in by_slice),
        low=float(low),
        high=float(high),
        subject_interval=_interval(shares[:, 0]),
        slice_interval=_interval(shares[:, 1]),
        subjects=len(sides[0]),
        chance=1 / len(runs[0].classes),
    )


def meters_of(runs: Sequence[Run], like: RunSettings) -> tuple[Inflation, ...]:
    """Return the inflation that finished runs of the same settings show, true labels first.

    Runs count that differ from ``like`` in split by subject or slice, seed and shuffling alone.
    Empty where one of the two splits was not trained.
    """
    found = []
    for shuffled in (False, True):
        sides: dict[str, dict[int, Run]] = {"subject": {}, "slice": {}}
        for run in runs:
            if _is_usable(run) and _common(run.settings) == _common(like):
                split = run.settings.split
                if split.shuffled_labels == shuffled and split.mode in sides:
                    # Of equal runs the last: the earlier ones would weigh their seed twice.
                    sides[split.mode][run.settings.training.seed] = run
        if sides["subject"] and sides["slice"]:
            found.append(
                inflation(tuple(sides["subject"].values()), tuple(sides["slice"].values()))
            )
    return tuple(found)


def inflation_table(found: Sequence[Inflation], warning: str = "") -> Table:
    """Return accuracies and inflation, one row for the true and one for shuffled labels."""
    return Table(
        name="leakage_meter_numbers",
        title="Leakage meter: the same settings split by slice and by subject",
        columns=(
            "labels",
            "by_slice",
            "by_slice_sd",
            "by_subject",
            "by_subject_sd",
            "inflation_points",
            "low",
            "high",
            "runs_by_slice",
            "runs_by_subject",
            "test_subjects",
            "chance",
        ),
        rows=tuple(_row(item) for item in found),
        caption="Test accuracy over slices, 0..1; inflation in percentage points with its 95 % "
        "interval by bootstrap over subjects; sd over seeds where there are several. "
        f"{_YAGIS}",
        warning=warning,
    )


def inflation_figure(found: Sequence[Inflation], warning: str = "") -> Figure:
    """Return the accuracies under both splits as dots with their intervals.

    Raises
    ------
    AnalysisError
        If there is nothing to show.
    """
    if not found:
        raise AnalysisError(
            "There are no two runs of the same settings, one split by subject and one by slice. "
            "Train both with the leakage meter."
        )
    names, layers, x_all = list[str](), list[Any](), 2 * len(found)
    for split, colour in (("slice", VERMILLION), ("subject", BLUE)):
        places, values, intervals, each = [], [], [], []
        for number, item in enumerate(found):
            place = 2 * number + (split == "subject")
            places.append(place)
            values.append(item.by_slice if split == "slice" else item.by_subject)
            intervals.append(item.slice_interval if split == "slice" else item.subject_interval)
            of_runs = item.slice_runs if split == "slice" else item.subject_runs
            each += [(place + 0.12, value) for value in of_runs] if len(of_runs) > 1 else []
        layers.append(_intervals(f"95 %, split by {split}", places, intervals, colour))
        layers.append(
            Scatter(
                f"split by {split}",
                np.array(places, float),
                np.array(values),
                colour=colour,
                symbol="square" if split == "slice" else "circle",
                size=9,
                opacity=1,
            )
        )
        if each:
            x, y = np.array(each).T
            layers.append(Scatter(f"each seed, by {split}", x, y, colour=GREY, size=4, opacity=1))
    for item in found:
        labels = ", shuffled" if item.shuffled else ""
        names += [f"by slice{labels}", f"by subject{labels}"]
    ends = np.array([-0.5, x_all - 0.5])
    chance = np.full(2, found[0].chance)
    layers.append(Curve("chance", ends, chance, colour=GREY, style="dotted", width=1.0))
    return Figure(
        name="leakage_meter",
        title="Leakage meter: the same settings split by slice and by subject",
        panels=(
            Panel(
                x=Axis("", low=-0.5, high=x_all - 0.5, categories=tuple(names)),
                y=Axis("Test accuracy", "fraction", 0.0, 1.02),
                layers=tuple(layers),
            ),
        ),
        caption=f"{' '.join(item.sentence() for item in found)} {_YAGIS}",
        warning=warning,
    )


def meter_warning(runs: Sequence[Run]) -> str:
    """Return what must stand in red beside the meter: a leak is its subject, not its fault."""
    honest = [run for run in runs if run.settings.split.mode != "slice"]
    return joint_warning([run for run in honest if not run.settings.split.shuffled_labels])


def _row(item: Inflation) -> tuple[Any, ...]:
    return (
        "shuffled" if item.shuffled else "true",
        item.by_slice,
        _sd(item.slice_runs),
        item.by_subject,
        _sd(item.subject_runs),
        100 * item.value,
        100 * item.low,
        100 * item.high,
        len(item.slice_runs),
        len(item.subject_runs),
        item.subjects,
        item.chance,
    )


def _sd(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _is_usable(run: Run) -> bool:
    return (
        run.state == "finished"
        and run.has_features
        and not run.settings.split.split_file
        and bool((run.features.part == "test").any())
    )


def _common(settings: RunSettings) -> RunSettings:
    """Return settings without what the meter varies."""
    split = replace(settings.split, mode="subject", shuffled_labels=False, split_file="", fold=1)
    return replace(settings, split=split, training=replace(settings.training, seed=0))


def _require_alike(by_subject: Sequence[Run], by_slice: Sequence[Run]) -> None:
    if not by_subject or not by_slice:
        raise AnalysisError("The leakage meter needs a run split by subject and one by slice.")
    first = by_subject[0]
    for run in (*by_subject, *by_slice):
        is_alike = (
            run.classes == first.classes
            and _common(run.settings) == _common(first.settings)
            and run.settings.split.shuffled_labels == first.settings.split.shuffled_labels
        )
        if not is_alike:
            raise AnalysisError(
                f"Runs '{first.name}' and '{run.name}' differ in more than split and seed, so "
                "their difference is not leakage alone."
            )


def _classes_of(runs: Sequence[Run], names: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each subject, by the first run that has it."""
    known: dict[str, int] = {}
    for run in runs:
        for subject, label in zip(run.features.subject, run.features.label, strict=True):
            known.setdefault(str(subject), int(label))
    return np.array([known[name] for name in names], dtype=np.int64)


def _draw(counts: Array, classes: NDArray[np.int64]) -> Array:
    """Return how often each subject is drawn, (B, S): within its class and the sides it is on."""
    is_tested = (counts[..., 1] > 0).astype(np.int64)
    strata = classes * 4 + is_tested[0] * 2 + is_tested[1]
    random = np.random.default_rng(0)
    weights = np.zeros((_RESAMPLES, counts.shape[1]))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        share = np.full(len(members), 1 / len(members))
        weights[:, members] = random.multinomial(len(members), share, size=_RESAMPLES)
    return weights


def _accuracy(run: Run) -> float:
    features = run.features.of_part("test")
    return float(np.mean(features.logits.argmax(axis=1) == features.label))


def _interval(values: Array) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _intervals(
    name: str, places: Sequence[int], intervals: Sequence[tuple[float, float]], colour: str
) -> Curve:
    x = [value for place in places for value in (place, place, np.nan)]
    y = [value for interval in intervals for value in (*interval, np.nan)]
    return Curve(name, np.array(x, float), np.array(y), colour=colour, width=2.5)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
