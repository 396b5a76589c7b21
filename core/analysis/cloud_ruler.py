"""The ruler of a cloud: every measure of its dispersion, for many draws of its dots at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.analysis.resampling import Floats

_CHI_SQUARED_95 = 5.991464547  # quantile of chi squared, 2 degrees of freedom
_GRID = 256
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


class Ruler:
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
            name = pair_name(names[i], names[j])
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


def pair_name(first: str, second: str) -> str:
    """Return what the pair of two classes is called in the tables, ``AD and NC``."""
    return f"{first} and {second}"


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
