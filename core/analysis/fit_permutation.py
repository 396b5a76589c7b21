"""Permutation tests of polynomial fits: p-values that take no normal errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.analysis.fitting import HIGHEST_DEGREE, fit_series
from core.progress import Operation, Progress

Array = NDArray[np.float64]

PERMUTATIONS = 9999
_CELLS_AT_ONCE = 200_000  # stays in the processor's cache


@dataclass(frozen=True)
class PermutationTest:
    """P-values of the fits of degree 1, 2, … in order.

    Attributes
    ----------
    permutations, seed : int
    overall : tuple of float
        Of the fit's R2, where y is shuffled against x: is there any dependence?
    step : tuple of float
        Of what the degree adds to the one before it, where the residuals of that one are
        shuffled (Freedman & Lane 1983): is the further bend needed?
    """

    permutations: int
    seed: int
    overall: tuple[float, ...]
    step: tuple[float, ...]


def permutation_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    highest: int = HIGHEST_DEGREE,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Operation[PermutationTest]:
    """Test the fits of degree 1 to ``highest`` by shuffling.

    The smallest p is 1 / (permutations + 1): what was measured counts as one shuffle
    (Phipson & Smyth 2010).

    Raises
    ------
    AnalysisError
        As :func:`core.analysis.fitting.fit_series`.
    """
    yield Progress("Shuffling", 0, permutations)
    series = fit_series(x, y, highest=highest)
    bends, rests = series.basis[:, 1:], series.residuals[:, :-1]
    n, degrees = rests.shape
    measured = _shares(bends, rests[None])
    counts = np.zeros((2, degrees), dtype=np.int64)
    random = np.random.default_rng(seed)
    rows = np.ascontiguousarray(rests)
    batch = max(1, _CELLS_AT_ONCE // max(1, n * degrees))
    done = 0
    while done < permutations:
        count = min(batch, permutations - done)
        order = random.permuted(np.tile(np.arange(n), (count, 1)), axis=1)
        shares = _shares(bends, rows[order])
        # A shuffle that gives the same order must count, whatever the rounding.
        counts += (shares >= measured * (1 - 1e-10)).sum(axis=1)
        done += count
        yield Progress("Shuffling", done, permutations)
    p = (counts + 1) / (permutations + 1)
    p[:, [fit.is_exact for fit in series.fits[:-1]]] = np.nan
    return PermutationTest(
        permutations, seed, tuple(float(v) for v in p[0]), tuple(float(v) for v in p[1])
    )


def _shares(bends: Array, rests: Array) -> Array:
    """Return R2 of each degree, and each step's share of what was left, (2, B, D).

    ``rests`` (B, n, D) is shuffled alike for all degrees; column 0 is y about its mean.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.matmul(bends.T, rests) ** 2  # (B, bend, rest)
        totals = np.einsum("bnd,bnd->bd", rests, rests)
        overall = np.cumsum(squares[:, :, 0], axis=1) / totals[:, :1]
        explained = np.cumsum(squares, axis=1)
        last = np.arange(bends.shape[1])
        gains = squares[:, last, last]
        # Of the shuffled rest, what the lower degrees take is no longer there to be explained.
        left = totals - (explained[:, last, last] - gains)
        return np.stack([overall, gains / left])
