"""How far the dots of each class are dispersed, in numbers with intervals over subjects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.analysis.cloud_ruler import Cloud, Key, Ruler, Values, pair_name
from core.analysis.features import By, features_of, joint_warning, part_words, regime_text
from core.analysis.resampling import (
    DRAWS,
    FEW_SUBJECTS,
    Floats,
    counts_of_rows,
    draw_subjects,
    interval,
    p_value,
)
from core.errors import AnalysisError
from core.figure import Table
from core.progress import Operation, Progress
from core.run_folder import Features, Run

Space = Literal["logits", "penultimate"]

# These do not change when all outputs are scaled up, which longer training does.
SCALE_FREE = ("participation_ratio", "silhouette", "fisher_ratio", "overlap")
# Numbers that are no sizes, and what they lie between.
_BOUNDS = {
    "log_determinant": (-math.inf, math.inf),
    "silhouette": (-1.0, 1.0),
    "overlap": (0.0, 1.0),
}
# In the order of the tables; the last three are of pairs of classes.
MEASURE_WORDS = {
    "trace": "Trace of the covariance",
    "log_determinant": "Log-determinant of the covariance",
    "ellipse_area_95": "Area of the 95 % ellipse",
    "mean_distance": "Mean distance of two dots",
    "neighbour_density": "Nearest-neighbour density",
    "participation_ratio": "Participation ratio",
    "silhouette": "Silhouette",
    "centre_distance": "Distance of the centres",
    "fisher_ratio": "Fisher ratio",
    "overlap": "Overlap",
}
SPACE_WORDS = {"logits": "FCL output", "penultimate": "penultimate features"}
_VALUE_COLUMNS = ("value", "low", "high", "relative", "relative_low", "relative_high")
_DRAWS_AT_ONCE = 50
# Above this the distances of all pairs would not fit in memory.
MOST_ROWS = 4000


@dataclass(frozen=True)
class Measured:
    """A measure of one class or pair: its value, and that divided by the distance of centres.

    ``relative`` is the value itself where it is scale-free; bounds are of 95 % intervals.
    """

    measure: str
    of: str
    value: float
    low: float
    high: float
    relative: float
    relative_low: float
    relative_high: float


def cloud_of(run: Run, *, part: str = "test", by: By = "slice", space: Space = "logits") -> Cloud:
    """Return the cloud of one part of a run.

    Raises
    ------
    AnalysisError
        If the part is empty or too large, or something in it is not finite.
    """
    return _cloud_from(features_of(run, part=part, by=by), run, space)


def measure(cloud: Cloud, *, draws: int = DRAWS, seed: int = 0) -> Operation[tuple[Measured, ...]]:
    """Measure how far a cloud is dispersed, with intervals by bootstrap over subjects.

    Returns
    -------
    tuple of Measured
        For each class: trace and log-determinant of its covariance (n - 1), area of its 95 %
        normal ellipse in the plane of its two principal axes, mean distance of two dots,
        nearest-neighbour density (1 / mean distance of a dot to the nearest one of another
        subject of the class), participation ratio (sum of eigenvalues)² / sum of their squares
        and mean silhouette. For each pair of classes: distance of the centres, Fisher ratio
        |difference of centres|² / (sum of the traces), and overlap of the two densities along
        the line through the centres (1: equal, 0: apart).

    Notes
    -----
    The relative values are divided by the distance to the nearest other class's centre (areas
    and traces by its square), so that runs can be compared although longer training scales
    all outputs up. In the draws axes and bandwidths stay those of the data.
    """
    ruler = Ruler(cloud)
    whole = ruler.values(np.ones((1, len(cloud.label))))
    drawn = yield from _drawn(
        cloud, draws, seed, lambda counts: ruler.values(counts_of_rows(cloud.subject, counts))
    )
    people = _people(cloud)
    return tuple(_measured(key, whole, drawn, people[key[1]]) for key in _in_order(whole))


def measures_table(
    run: Run,
    *,
    part: str = "test",
    by: By = "slice",
    space: Space = "logits",
    draws: int = DRAWS,
) -> Operation[Table]:
    """Return :func:`measure` of one part of a run as a table.

    Raises
    ------
    AnalysisError
        If the part has no slices or too many.
    """
    cloud = cloud_of(run, part=part, by=by, space=space)
    found = yield from measure(cloud, draws=draws)
    return Table(
        name=f"dispersion_{space}_{part}_by_{by}",
        title=f"Dispersion of the {SPACE_WORDS[space]}, {part_words(part)}",
        columns=("measure", "of", *_VALUE_COLUMNS),
        rows=tuple(
            (m.measure, m.of, *(getattr(m, column) for column in _VALUE_COLUMNS)) for m in found
        ),
        caption=_caption(cloud, draws),
        warning=run.warning,
    )


def difference_table(
    first: Run,
    second: Run,
    *,
    part: str = "test",
    by: By = "slice",
    space: Space = "logits",
    draws: int = DRAWS,
) -> Operation[Table]:
    """Test the difference in dispersion of two runs by a paired bootstrap over common subjects.

    Both are measured on the subjects that stand in ``part`` of both, and in each draw on the
    same subjects. Only scale-free numbers are compared.

    Raises
    ------
    AnalysisError
        If the classes differ, or no two subjects of a class are common.
    """
    require_same_classes([first, second])
    clouds = _common_clouds(first, second, part=part, by=by, space=space)
    rulers = [Ruler(cloud) for cloud in clouds]

    def difference(counts: dict[str, NDArray[np.int64]]) -> Values:
        one, other = (
            _relative(ruler.values(counts_of_rows(cloud.subject, counts)))
            for ruler, cloud in zip(rulers, clouds, strict=True)
        )
        return {key: one[key] - other[key] for key in one}

    values = [
        _relative(r.values(np.ones((1, len(c.label))))) for r, c in zip(rulers, clouds, strict=True)
    ]
    drawn = yield from _drawn(clouds[0], draws, 0, difference)
    rows, people = [], _people(clouds[0])
    for key in _in_order(values[0]):
        one, other = (float(value[key][0]) for value in values)
        low, high = interval(one - other, drawn[key], people[key[1]])
        p = p_value(one - other, drawn[key], people[key[1]])
        rows.append((*key, one, other, one - other, low, high, p))
    counts = _subject_counts(clouds[0])
    return Table(
        name=f"dispersion_difference_{space}_{part}_by_{by}",
        title=f"Dispersion of two runs, {SPACE_WORDS[space]}, {part_words(part)}",
        columns=("measure", "of", "first", "second", "difference", "low", "high", "p"),
        rows=tuple(rows),
        caption=f"First: {regime_text(first)} ({first.name}). Second: {regime_text(second)} "
        f"({second.name}). Scale-free numbers of the common subjects ({counts}); low to high is "
        f"the 95 % interval of the difference over {draws} paired draws of subjects, p that of no "
        "difference. No correction for the number of rows." + _few_note(clouds[0]),
        warning=joint_warning([first, second]),
    )


def require_same_classes(runs: Sequence[Run]) -> None:
    """Check that runs have the same classes, in the same order.

    Raises
    ------
    AnalysisError
        If they do not.
    """
    if len({run.classes for run in runs}) > 1:
        raise AnalysisError(
            "The chosen runs have different classes, so their dispersion cannot be compared. "
            "Choose runs of one cohort."
        )


def _cloud_from(features: Features, run: Run, space: Space) -> Cloud:
    points = features.logits if space == "logits" else features.penultimate
    if len(points) > MOST_ROWS:
        raise AnalysisError(
            f"{len(points)} dots are too many to compare each with each (at most {MOST_ROWS}). "
            "Choose a smaller part, or one dot a subject."
        )
    if not np.isfinite(points).all():
        raise AnalysisError(
            f"The penultimate features of run '{run.name}' are not finite: its training diverged. "
            "Train again with a lower learning rate."
        )
    return Cloud(points.astype(np.float64), features.label, features.subject, run.classes)


def _common_clouds(
    first: Run, second: Run, *, part: str, by: By, space: Space
) -> tuple[Cloud, Cloud]:
    clouds = [cloud_of(run, part=part, by=by, space=space) for run in (first, second)]
    people = [set(zip(c.subject.tolist(), c.label.tolist(), strict=True)) for c in clouds]
    common = people[0] & people[1]
    kept = []
    for cloud in clouds:
        pairs = zip(cloud.subject.tolist(), cloud.label.tolist(), strict=True)
        rows = np.array([pair in common for pair in pairs])
        kept.append(
            replace(
                cloud,
                points=cloud.points[rows],
                label=cloud.label[rows],
                subject=cloud.subject[rows],
            )
        )
    few = [
        name for k, name in enumerate(first.classes) if sum(label == k for _, label in common) < 2
    ]
    if few:
        raise AnalysisError(
            f"Runs '{first.name}' and '{second.name}' have fewer than two common subjects of "
            f"{' and '.join(few)} in the {part_words(part)}. Choose runs with the same split, "
            "or another part."
        )
    return kept[0], kept[1]


def _drawn(
    cloud: Cloud,
    draws: int,
    seed: int,
    values: Callable[[dict[str, NDArray[np.int64]]], Values],
) -> Operation[Values]:
    counts = draw_subjects(cloud.subject, cloud.label, draws, np.random.default_rng(seed))
    found: list[Values] = []
    for start in range(0, draws, _DRAWS_AT_ONCE):
        yield Progress("Drawing subjects", start, draws)
        piece = {name: drawn[start : start + _DRAWS_AT_ONCE] for name, drawn in counts.items()}
        found.append(values(piece))
    return {key: np.concatenate([part[key] for part in found]) for key in found[0]}


def _measured(key: Key, whole: Values, drawn: Values, subjects: int) -> Measured:
    plain = _with_interval(key[0], whole[key], drawn[key], subjects)
    relative = _relative_of(key, whole), _relative_of(key, drawn)
    return Measured(*key, *plain, *_with_interval(key[0], *relative, subjects))


def _with_interval(
    name: str, whole: Floats, drawn: Floats, subjects: int
) -> tuple[float, float, float]:
    value = float(whole[0])
    low, high = interval(value, drawn, subjects, is_positive=name not in _BOUNDS)
    least, most = _BOUNDS.get(name, (0.0, math.inf))
    # Not np.clip: an interval that cannot be told stays NaN.
    return value, max(low, least) if low == low else low, min(high, most) if high == high else high


def _people(cloud: Cloud) -> dict[str, int]:
    """Return the subjects of each class, and of each pair those of the smaller class."""
    counts = {
        cloud.classes[k]: len(set(cloud.subject[cloud.label == k].tolist())) for k in cloud.present
    }
    pairs = combinations(counts, 2)
    return counts | {pair_name(*pair): min(counts[name] for name in pair) for pair in pairs}


def _relative(values: Values) -> Values:
    """Return the scale-free form of every measure that has one."""
    kept = [key for key in values if key[0] in MEASURE_WORDS and key[0] != "centre_distance"]
    return {key: _relative_of(key, values) for key in kept}


def _relative_of(key: Key, values: Values) -> Floats:
    name, of = key
    value = values[key]
    if name in SCALE_FREE:
        return value
    unit = values.get(("nearest_centre", of))
    if unit is None:
        return np.full(len(value), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if name in ("trace", "ellipse_area_95"):
            return value / unit**2
        if name == "log_determinant":
            return (
                value - 2 * values["dimensions", of] * np.log(unit)
                if ("dimensions", of) in values
                else np.full(len(value), np.nan)
            )
        return value * unit if name == "neighbour_density" else value / unit


def _in_order(values: Values) -> list[Key]:
    """Return the measures of ``values``, without what only serves to make them relative."""
    names = list(MEASURE_WORDS)
    return sorted((key for key in values if key[0] in names), key=lambda key: names.index(key[0]))


def _subject_counts(cloud: Cloud) -> str:
    people = _people(cloud)
    return ", ".join(f"{cloud.classes[k]} {people[cloud.classes[k]]}" for k in cloud.present)


def _few_note(cloud: Cloud) -> str:
    if min(_people(cloud).values()) >= FEW_SUBJECTS:
        return ""
    return f" With fewer than {FEW_SUBJECTS} subjects of a class an interval is only a rough guide."


def _caption(cloud: Cloud, draws: int) -> str:
    return (
        f"low to high is the 95 % interval over {draws} draws of subjects ({_subject_counts(cloud)}"
        f").{_few_note(cloud)} Lengths and areas grow as training scales outputs "
        "up: compare runs by relative, which divides by the distance to the nearest other class's "
        "centre (areas by its square). Neighbours are those of other subjects, as slices of one "
        "subject are alike. Empty: not defined (a determinant needs more dots than dimensions)."
    )
