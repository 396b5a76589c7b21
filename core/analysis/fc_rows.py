"""The rows of the FCL of a run, and what figures of them share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.analysis.features import Pair
from core.colours import BLACK, GREEN, ORANGE, PURPLE
from core.errors import AnalysisError
from core.figure import LineStyle
from core.run_folder import Run

Array = NDArray[np.float64]

# Colour and style of the fit of each degree.
FIT_LOOKS: dict[int, tuple[str, LineStyle]] = {
    1: (ORANGE, "solid"),
    2: (BLACK, "solid"),
    3: (GREEN, "dotted"),
    4: (PURPLE, "dashdot"),
}
CURVE_POINTS = 200
# Half-width of a 95 % interval in standard deviations.
TWO_SIDED_95 = 1.959964


def weight_at(run: Run, epoch: int | None = None, *, check: bool = True) -> tuple[Array, int]:
    """Return the weights (K, N) after ``epoch`` (None: the last) and which epoch that is.

    Raises
    ------
    AnalysisError
        If ``check`` and a weight is not finite.
    RunError
        If the epoch is not stored.
    """
    weight = run.fc_history.at(epoch)[0].astype(np.float64)
    if check and not np.isfinite(weight).all():
        raise AnalysisError(
            f"The FCL of run '{run.name}' has weights that are not finite: its training "
            "diverged. Choose an earlier epoch, or train again with a lower learning rate."
        )
    return weight, int(run.fc_history.epoch[-1]) if epoch is None else epoch


def first_epoch(run: Run) -> int:
    """Return the number of the earliest stored epoch, 0 for the state before training."""
    return int(run.fc_history.epoch[0])


def rows_of(run: Run, pair: Pair, weight: Array) -> Array:
    """Return the two rows (2, N) of a pair of classes."""
    return weight[[run.classes.index(label) for label in pair]]


def feature_ids(n: int) -> tuple[str, ...]:
    """Return the id of each of ``n`` dots: ``feature 0``, ``feature 1`` and on."""
    return tuple(f"feature {number}" for number in range(n))


def correlation_of(x: Array, y: Array) -> float:
    """Return Pearson's correlation; NaN where one of the columns is constant."""
    x, y = x - x.mean(), y - y.mean()
    product = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.clip(x @ y / product, -1, 1)) if product > 0 else float("nan")


def correlation_interval(correlation: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a correlation of ``n`` pairs by Fisher's (1915) transform."""
    if n < 4 or not abs(correlation) < 1:
        return (correlation, correlation) if abs(correlation) == 1 else (float("nan"),) * 2
    middle, half_width = np.arctanh(correlation), TWO_SIDED_95 / np.sqrt(n - 3)
    return float(np.tanh(middle - half_width)), float(np.tanh(middle + half_width))
