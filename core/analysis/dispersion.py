"""How far the dots of each class are dispersed, in numbers with intervals over subjects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
from core.colours import BLACK, GREEN, PURPLE
from core.errors import AnalysisError
from core.figure import (
    Axis,
    Curve,
    Figure,
    Panel,
    Scatter,
    Symbol,
    Table,
    class_colour,
    class_symbol,
)
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
# Panels of a figure: the scale-free numbers that say most.
_DRAWN = ("mean_distance", "neighbour_density", "participation_ratio", "silhouette")
_PAIR_COLOURS = (BLACK, PURPLE, GREEN)
_CHI_SQUARED_95 = 5.991464547  # quantile of chi squared, 2 degrees of freedom
_GRID = 256
_DRAWS_AT_ONCE = 50
# Above this the distances of all pairs would not fit in memory.
MOST_ROWS = 4000
_MOST_DIMENSIONS = 64

Key = tuple[str, str]
Values = dict[Key, Floats]


@dataclass(frozen=True)
class Cloud:
    """Dots with class and subject.

    Attributes
    ----------
    points : ndarray, shape (n, d), float64
    label : ndarray, shape (n,), int
        Index into ``classes``.
    subject : ndarray, shape (n,), str
    classes : tuple of str
    """

    points: Floats
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    classes: tuple[str, ...]

    @property
    def present(self) -> tuple[int, ...]:
        """The classes that have dots."""
        return tuple(k for k in range(len(self.classes)) if (self.label == k).any())


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
    ruler = _Ruler(cloud)
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


def dispersion_figure(
    runs: Sequence[Run],
    *,
    part: str = "test",
    by: By = "slice",
    space: Space = "logits",
    draws: int = DRAWS,
) -> Operation[Figure]:
    """Return the scale-free measures of one run, or of several side by side, with intervals.

    Raises
    ------
    AnalysisError
        If a part has no slices or too many, or the runs' classes differ.
    """
    _require_same_classes(runs)
    found = []
    for run in runs:
        cloud = cloud_of(run, part=part, by=by, space=space)
        found.append((yield from measure(cloud, draws=draws)))
    names = [run_letter(place, len(runs)) for place in range(len(runs))]
    panels = [_class_panel(name, runs[0].classes, names, found) for name in _DRAWN]
    panels += [_pair_panel(name, names, found) for name in ("fisher_ratio", "overlap")]
    return Figure(
        name=f"dispersion_{space}_{part}_by_{by}",
        title=f"Dispersion of the {SPACE_WORDS[space]}, {part_words(part)}",
        panels=tuple(panels),
        columns=3,
        caption=f"Each dot is the number of one class or pair, its line the 95 % interval of "
        f"{draws} draws of subjects. Distances and densities are in units of the distance to the "
        "nearest other class's centre, so that runs can be compared."
        + "".join(
            f" {name}: {regime_text(run)}, {run.name}."
            for name, run in zip(names, runs, strict=True)
            if name
        ),
        warning=joint_warning(runs),
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
    _require_same_classes([first, second])
    clouds = _common_clouds(first, second, part=part, by=by, space=space)
    rulers = [_Ruler(cloud) for cloud in clouds]

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


def run_letter(place: int, count: int) -> str:
    """Return what one of several runs is called in a figure, ``(a)``; empty for a single one."""
    return f"({'abcdefgh'[place % 8]})" if count > 1 else ""


class _Ruler:
    """Measures a cloud for many draws at once: the geometry is worked out only once."""

    def __init__(self, cloud: Cloud) -> None:
        from scipy.spatial import distance

        self.cloud = cloud
        points = cloud.points - cloud.points.mean(axis=0)
        self.distances = distance.squareform(distance.pdist(points))
        self.rows = {k: np.flatnonzero(cloud.label == k) for k in cloud.present}
        self.points = points
        # Inner products about each class's own centre: small numbers, so nothing is lost.
        self.own = {k: points[rows] - points[rows].mean(axis=0) for k, rows in self.rows.items()}
        self.gram = {k: own @ own.T for k, own in self.own.items()}
        self.planes = {k: own @ _principal_plane(own) for k, own in self.own.items()}
        self.nearest = {k: self._nearest(k) for k in cloud.present}
        self.pairs = tuple(combinations(cloud.present, 2))
        self.kernels = {pair: self._kernels(*pair) for pair in self.pairs}

    def values(self, counts: Floats) -> Values:
        """Return every measure for each row of ``counts`` (draws, n), each of shape (draws,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._values(counts)

    def _values(self, counts: Floats) -> Values:
        names = self.cloud.classes
        of_class = {k: counts[:, rows] for k, rows in self.rows.items()}
        found: Values = {}
        traces: dict[int, Floats] = {}
        for k, own in of_class.items():
            trace, ratio = _trace_and_participation(self.gram[k], own)
            traces[k] = trace
            found["trace", names[k]] = trace
            found["dimensions", names[k]] = np.full(len(own), float(self.points.shape[1]))
            found["log_determinant", names[k]] = _log_determinant(self.own[k], own)
            area = np.exp(_log_determinant(self.planes[k], own) / 2)
            found["ellipse_area_95", names[k]] = np.pi * _CHI_SQUARED_95 * area
            total = own.sum(axis=1)
            inside = self.distances[np.ix_(self.rows[k], self.rows[k])]
            found["mean_distance", names[k]] = _form(own, inside, own) / (total * (total - 1))
            found["neighbour_density", names[k]] = 1 / self._neighbour_distance(k, own)
            found["participation_ratio", names[k]] = ratio
        found |= {("silhouette", names[k]): s for k, s in self._silhouettes(of_class).items()}
        return found | self._pair_values(of_class, traces)

    def _pair_values(self, of_class: Mapping[int, Floats], traces: Mapping[int, Floats]) -> Values:
        names, found = self.cloud.classes, Values()
        centres = {
            k: own @ self.points[self.rows[k]] / own.sum(axis=1)[:, None]
            for k, own in of_class.items()
        }
        apart: dict[int, list[Floats]] = {k: [] for k in of_class}
        for i, j in self.pairs:
            name = _pair_name(names[i], names[j])
            length = np.linalg.norm(centres[i] - centres[j], axis=1)
            apart[i].append(length)
            apart[j].append(length)
            found["centre_distance", name] = length
            found["fisher_ratio", name] = length**2 / (traces[i] + traces[j])
            densities = [
                own @ kernel / own.sum(axis=1)[:, None]
                for own, kernel in zip(
                    (of_class[i], of_class[j]), self.kernels[i, j][:2], strict=True
                )
            ]
            found["overlap", name] = np.minimum(*densities).sum(axis=1) * self.kernels[i, j][2]
        for k, lengths in apart.items():
            if lengths:
                found["nearest_centre", names[k]] = np.min(lengths, axis=0)
        return found

    def _silhouettes(self, of_class: Mapping[int, Floats]) -> dict[int, Floats]:
        """Return the mean silhouette of each class (Rousseeuw 1987)."""
        if len(of_class) < 2:
            return {k: np.full(len(own), np.nan) for k, own in of_class.items()}
        sums = {k: self.distances[:, self.rows[k]] @ own.T for k, own in of_class.items()}
        totals = {k: own.sum(axis=1) for k, own in of_class.items()}
        found = {}
        for k, own in of_class.items():
            rows = self.rows[k]
            inside = sums[k][rows] / (totals[k] - 1)
            outside = np.min([sums[j][rows] / totals[j] for j in of_class if j != k], axis=0)
            widest = np.maximum(inside, outside)
            each = np.where(widest > 0, (outside - inside) / np.where(widest > 0, widest, 1), 0.0)
            each = np.where(totals[k] > 1, each, 0.0)
            found[k] = (each * own.T).sum(axis=0) / totals[k]
        return found

    def _nearest(self, k: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return each row's distance to each other subject (n_k, m), and the rows' subjects."""
        rows = self.rows[k]
        _, of_row = np.unique(self.cloud.subject[rows], return_inverse=True)
        inside = self.distances[np.ix_(rows, rows)]
        each = [inside[:, of_row == s].min(axis=1) for s in range(of_row.max() + 1)]
        table = np.stack(each, axis=1)
        table[np.arange(len(rows)), of_row] = np.inf
        return table, of_row

    def _neighbour_distance(self, k: int, own: Floats) -> Floats:
        table, of_row = self.nearest[k]
        result = np.full(len(own), np.nan)
        for draw, counts in enumerate(own):
            is_drawn = np.bincount(of_row, weights=counts, minlength=table.shape[1]) > 0
            if is_drawn.sum() > 1:
                rows = counts > 0
                nearest = table[np.ix_(rows, is_drawn)].min(axis=1)
                result[draw] = np.average(nearest, weights=counts[rows])
        return result

    def _kernels(self, i: int, j: int) -> tuple[Floats, Floats, float]:
        """Return the kernels of the rows of two classes on a grid, and the grid's step."""
        from scipy import special

        first, second = self.points[self.rows[i]], self.points[self.rows[j]]
        line = second.mean(axis=0) - first.mean(axis=0)
        length = float(np.linalg.norm(line))
        line = line / length if length else np.eye(1, len(line))[0]
        along = first @ line, second @ line
        widths = [_bandwidth(values) for values in along]
        margin = 5 * max(widths)
        low, high = min(a.min() for a in along) - margin, max(a.max() for a in along) + margin
        if not high > low:
            return np.ones((len(first), 1)), np.ones((len(second), 1)), 1.0
        # Fine enough for the narrower of the two kernels.
        steps = int(min(max(_GRID, 4 * (high - low) / max(min(widths), 1e-300)), 4096))
        grid, step = np.linspace(low, high, steps, retstep=True)
        kernels = []
        for values, width in zip(along, widths, strict=True):
            edges = special.ndtr(
                (np.append(grid, high + step) - step / 2 - values[:, None]) / max(width, step / 4)
            )
            kernels.append(np.diff(edges, axis=1) / step)
        return kernels[0], kernels[1], float(step)


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


def _require_same_classes(runs: Sequence[Run]) -> None:
    if len({run.classes for run in runs}) > 1:
        raise AnalysisError(
            "The chosen runs have different classes, so their dispersion cannot be compared. "
            "Choose runs of one cohort."
        )


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
    return counts | {_pair_name(*pair): min(counts[name] for name in pair) for pair in pairs}


def _pair_name(first: str, second: str) -> str:
    return f"{first} and {second}"


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


def _trace_and_participation(gram: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return trace and participation ratio of weighted covariances, from inner products.

    Notes
    -----
    With u the weighted means of the rows of the Gram matrix and v that of u, the centred
    products have the squared sum  c'(G∘G)c - 2 n Σ c u² + n² v², which is the sum of the
    squared eigenvalues: no eigenvalue is needed, however many dimensions there are.
    """
    n = counts.sum(axis=1)
    means = counts @ gram / n[:, None]
    mean = (means * counts).sum(axis=1) / n
    spread = counts @ np.diag(gram) - n * mean
    squares = (
        _form(counts, gram**2, counts) - 2 * n * (counts * means**2).sum(axis=1) + (n * mean) ** 2
    )
    return np.where(n > 1, spread / (n - 1), np.nan), np.where(
        squares > 0, spread**2 / squares, np.nan
    )


def _log_determinant(points: Floats, counts: Floats) -> Floats:
    """Return ln det of weighted covariances; NaN where dots are too few for the dimensions."""
    n, size = counts.sum(axis=1), points.shape[1]
    if size > _MOST_DIMENSIONS or len(points) <= size:
        return np.full(len(counts), np.nan)
    mean = counts @ points / n[:, None]
    products = (points[:, :, None] * points[:, None, :]).reshape(len(points), -1)
    second = (counts @ products).reshape(-1, size, size)
    covariance = (second - n[:, None, None] * mean[:, :, None] * mean[:, None, :]) / (n - 1)[
        :, None, None
    ]
    sign, value = np.linalg.slogdet(covariance)
    return np.where(sign > 0, value, np.nan)


def _principal_plane(centred: Floats) -> Floats:
    """Return the two main axes of centred points (n, d) as columns (d, 2)."""
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(axes[:2].T)


def _form(left: Floats, matrix: Floats, right: Floats) -> Floats:
    return np.asarray(((left @ matrix) * right).sum(axis=1))


def _bandwidth(values: Floats) -> float:
    """Return Silverman's (1986) bandwidth, eq. 3.31."""
    if len(values) < 2:
        return 0.0
    quartiles = np.subtract(*np.percentile(values, [75, 25])) / 1.349
    deviation = values.std(ddof=1)
    return float(0.9 * (min(deviation, quartiles) or deviation) * len(values) ** -0.2)


def _in_order(values: Values) -> list[Key]:
    """Return the measures of ``values``, without what only serves to make them relative."""
    names = list(MEASURE_WORDS)
    return sorted((key for key in values if key[0] in names), key=lambda key: names.index(key[0]))


def _class_panel(
    name: str,
    classes: tuple[str, ...],
    names: Sequence[str],
    found: Sequence[tuple[Measured, ...]],
) -> Panel:
    layers: list[Scatter | Curve] = []
    for k, label in enumerate(classes):
        colour = class_colour(label, k)
        places = [place + 0.12 * (2 * k - len(classes) + 1) for place in range(len(names))]
        own = [_one(measured, name, label) for measured in found]
        layers += _with_intervals(places, own, label, colour, class_symbol(label, k))
    unit = "" if name in SCALE_FREE else "in distances of the centres"
    return _number_panel(name, unit, names, layers)


def _pair_panel(name: str, names: Sequence[str], found: Sequence[tuple[Measured, ...]]) -> Panel:
    pairs = list(dict.fromkeys(m.of for measured in found for m in measured if m.measure == name))
    layers: list[Scatter | Curve] = []
    for number, pair in enumerate(pairs):
        places = [place + 0.12 * (2 * number - len(pairs) + 1) for place in range(len(names))]
        own = [_one(measured, name, pair) for measured in found]
        colour = _PAIR_COLOURS[number % len(_PAIR_COLOURS)]
        layers += _with_intervals(places, own, pair, colour, "diamond")
    panel = _number_panel(name, "", names, layers)
    # A single pair is named on the axis and needs no legend.
    return replace(panel, x=replace(panel.x, label=pairs[0])) if len(pairs) == 1 else panel


def _number_panel(
    name: str, unit: str, names: Sequence[str], layers: Sequence[Scatter | Curve]
) -> Panel:
    # The title says what it is; an overlap of nothing must not fill the axis with rounding.
    low, high = (-0.02, 1.02) if name == "overlap" else (None, None)
    return Panel(
        x=Axis("", low=-0.5, high=len(names) - 0.5, categories=tuple(names)),
        y=Axis(unit, low=low, high=high),
        layers=tuple(layers),
        title=MEASURE_WORDS[name],
    )


def _with_intervals(
    places: Sequence[float],
    measured: Sequence[Measured | None],
    name: str,
    colour: str,
    symbol: Symbol,
) -> list[Scatter | Curve]:
    rows = [
        (x, m.relative, m.relative_low, m.relative_high)
        for x, m in zip(places, measured, strict=True)
        if m is not None and math.isfinite(m.relative)
    ]
    x, value, low, high = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    gap = np.full(len(x), np.nan)
    return [
        Scatter(name, x, value, colour=colour, symbol=symbol, size=8.0, opacity=1.0),
        Curve(
            "",
            np.stack([x, x, gap], 1).ravel(),
            np.stack([low, high, gap], 1).ravel(),
            colour=colour,
        ),
    ]


def _one(measured: Sequence[Measured], name: str, of: str) -> Measured | None:
    return next((m for m in measured if (m.measure, m.of) == (name, of)), None)


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
