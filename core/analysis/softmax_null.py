"""What softmax and the initial weights alone make of the FCL's rows: the null of every scatter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.analysis.fc_rows import TWO_SIDED_95, correlation_interval, first_epoch, weight_at
from core.analysis.features import Pair, class_pairs
from core.errors import AnalysisError
from core.figure import Badge
from core.run_folder import Run

Array = NDArray[np.float64]

NULL_SOURCE = (
    "The gradients of the rows sum to zero under softmax, so SGD without weight decay keeps "
    "their sum at its initial value."
)
# Rounding of float32 over thousands of steps stays far below this share of a weight's deviation.
_DRIFT_TOLERANCE = 1e-3
# Adam scales gradients up as they vanish, and with them what rounding makes of opposite ones.
_DRIFT_TOLERANCE_ADAM = 1e-2


@dataclass(frozen=True)
class SoftmaxNull:
    """What softmax and the initial weights alone make of the scatter of two rows.

    Attributes
    ----------
    pair : tuple of str
        Classes on x and y.
    epoch : int
    n_features : int
    v0_measured, v0_theory : float
        Variance of a weight before training: of this run's two rows, and of its initialisation.
    var_w : float
        Mean of the two rows' variances at ``epoch``.
    predicted_slope : float
        Of the straight line of y on x, equal to the correlation where the rows' variances
        are equal: ``-(1 - c**2 v0 / var_w) / (K - 1)``, for K = 2 ``-1 + c**2 v0 / var_w``,
        with c the share of the rows' sum that weight decay has left, 1 without it.
    sampling_sd : float
        Standard deviation of a measured slope about it: ``sqrt((1 - r**2) / (N - 2))``.
    measured_slope, measured_correlation : float
    learned_fraction : float
        ``L = Var(e) / (Var(e) + Var(S/K))`` with S the sum of all K rows and e what is left
        of a row when S/K is taken away, its variance the mean over the rows. For K = 2 e is
        half the difference of the rows, and with equal variances the correlation is 1 - 2 L.
    learned_fraction_start : float
        The same before training, about (K - 1)/K.
    row_sum_drift : float
        Largest change, over the features, of the sum of all K rows since the start.
    row_sum_left : float
        c: the sum now as a multiple of the sum at the start, by least squares.
    is_proportional : bool
        Whether the sum is c times that of the start, to rounding: then the null holds.
    conserved : str
        Whether that sum was conserved, in words.
    """

    pair: Pair
    epoch: int
    n_features: int
    v0_measured: float
    v0_theory: float
    var_w: float
    predicted_slope: float
    sampling_sd: float
    measured_slope: float
    measured_correlation: float
    learned_fraction: float
    learned_fraction_start: float
    row_sum_drift: float
    row_sum_left: float
    is_proportional: bool
    conserved: str

    @property
    def is_conserved(self) -> bool:
        """Whether the sum of the rows is that of the start, to rounding."""
        return self.conserved.startswith("conserved")

    @property
    def slope_band(self) -> tuple[float, float]:
        """The 95 % sampling band of the slope about the predicted one."""
        half_width = TWO_SIDED_95 * self.sampling_sd
        return self.predicted_slope - half_width, self.predicted_slope + half_width

    @property
    def correlation_band(self) -> tuple[float, float]:
        """The 95 % sampling band of the correlation about the predicted one."""
        return correlation_interval(self.predicted_slope, self.n_features)

    @property
    def is_inside(self) -> bool:
        """Whether the measured slope lies in its band: no class information is needed for it."""
        low, high = self.slope_band
        return low <= self.measured_slope <= high


def softmax_null(run: Run, pair: Pair | None = None, *, epoch: int | None = None) -> SoftmaxNull:
    """Return the null of a pair of rows (without ``pair`` the first two), predicted and measured.

    Raises
    ------
    AnalysisError
        If the pair is unknown, or the weights are not finite or all equal.
    RunError
        If the epoch is not stored.

    Notes
    -----
    Softmax cross-entropy gives gradients that sum to zero over the K rows for every sample.
    With S = sum of rows kept, w_k = S/K + e_k and symmetric classes, Cov(e_i, e_j) =
    -Var(e)/(K - 1); with Var(w) = v0/K + Var(e) the covariance of two rows is
    (v0 - Var(w))/(K - 1). For K = 2 nothing has to be assumed about the classes. Weight decay
    multiplies the sum of every feature alike, so that only v0 shrinks, by c squared.
    """
    chosen = class_pairs(run, pair)[0]
    weight, shown = weight_at(run, epoch)
    start, _ = weight_at(run, first_epoch(run))
    rows = [run.classes.index(label) for label in chosen]
    k, n = weight.shape
    if n < 3:
        raise AnalysisError(f"The FCL has {n} features; the scatter of its rows needs 3 or more.")
    variances = weight[rows].var(axis=1, ddof=1)
    if variances.min() <= 0:
        raise AnalysisError(
            f"A row of the FCL of run '{run.name}' has {n} equal weights: it has no scatter."
        )
    v0 = float(start[rows].var(axis=1, ddof=1).mean())
    var_w, covariance = float(variances.mean()), float(np.cov(*weight[rows])[0, 1])
    left, is_proportional = _sum_left(start.sum(axis=0), weight.sum(axis=0))
    decays = run.settings.training.weight_decay > 0
    predicted = ((left**2 if decays else 1.0) * v0 / var_w - 1) / (k - 1)
    drift = float(np.abs(weight.sum(axis=0) - start.sum(axis=0)).max())
    return SoftmaxNull(
        pair=chosen,
        epoch=shown,
        n_features=n,
        v0_measured=v0,
        v0_theory=initial_variance(run.settings.training.fc_init, n, classes=k),
        var_w=var_w,
        predicted_slope=predicted,
        sampling_sd=slope_sampling_sd(predicted, n),
        measured_slope=covariance / float(variances[0]),
        measured_correlation=covariance / math.sqrt(float(variances[0]) * float(variances[1])),
        learned_fraction=learned_fraction(weight),
        learned_fraction_start=learned_fraction(start),
        row_sum_drift=drift,
        row_sum_left=left,
        is_proportional=is_proportional,
        conserved=_conserved_text(run, drift, math.sqrt(v0)),
    )


def learned_fraction(weight: Array) -> float:
    """Return L of the rows ``weight`` (K, N); see :class:`SoftmaxNull`."""
    mean_row = weight.mean(axis=0)
    learned = float((weight - mean_row).var(axis=1).mean())
    whole = learned + float(mean_row.var())
    return learned / whole if whole > 0 else math.nan


def _sum_left(start: Array, now: Array) -> tuple[float, bool]:
    """Return c of ``now = c * start``, and whether the rest is no more than rounding."""
    squares = float(start @ start)
    if squares == 0:
        return math.nan, False
    left = float(now @ start) / squares
    rest = float(np.linalg.norm(now - left * start))
    return left, rest <= _DRIFT_TOLERANCE * math.sqrt(squares)


def initial_variance(fc_init: str, features: int, *, classes: int) -> float:
    """Return the variance of a weight that an initialisation of the FCL gives.

    ``glorot`` is uniform with variance 2/(N + K) (Glorot & Bengio 2010); ``torch`` is
    PyTorch's default for Linear, uniform on +-1/sqrt(N), with variance 1/(3 N).
    """
    return 2 / (features + classes) if fc_init == "glorot" else 1 / (3 * features)


def slope_sampling_sd(slope: float, n: int) -> float:
    """Return the standard error of a least-squares slope between rows of equal variance."""
    return math.sqrt(max(0.0, 1 - slope**2) / (n - 2))


def null_text(null: SoftmaxNull, n_classes: int) -> str:
    """Return the null in words: measured against predicted, learned fraction, sum of rows."""
    half_width = TWO_SIDED_95 * null.sampling_sd
    low, high = null.correlation_band
    # Short lines: the box stands inside a narrow panel.
    lines = [
        f"Slope {null.measured_slope:.3f}, null {null.predicted_slope:.3f} ± {half_width:.3f}",
        f"Correlation {null.measured_correlation:.3f}, null {low:.3f} to {high:.3f}",
        "no class information needed" if null.is_inside else "outside of the null",
        f"Learned fraction {null.learned_fraction:.3f} (start {null.learned_fraction_start:.3f})",
        f"Sum of rows {null.conserved}",
    ]
    if not null.is_conserved:
        lines.append(
            f"(it shrank to {null.row_sum_left:.3f}; the null counts that)"
            if null.is_proportional
            else "(the null is approximate)"
        )
    if n_classes > 2:
        lines.append("(null: classes symmetric)")
    return "\n".join(lines)


def conserved_badge(run: Run, *, epoch: int | None = None) -> Badge:
    """Return whether training kept the sum of the rows, to be seen beside every null."""
    null = softmax_null(run, epoch=epoch)
    words = null.conserved
    if not null.is_conserved and null.is_proportional:
        words += f" (it shrank to {null.row_sum_left:.3g} of its start, which the null counts)"
    return Badge(f"Sum of the rows {words}", null.is_conserved)


def _conserved_text(run: Run, drift: float, deviation: float) -> str:
    if drift == 0:
        return "conserved exactly"
    if run.settings.training.weight_decay > 0:
        return "not conserved: weight decay"
    is_adam = run.settings.training.optimiser == "adam"
    is_pair = len(run.classes) == 2
    # For K = 2 the two gradients are opposite, and so are Adam's steps.
    tolerance = _DRIFT_TOLERANCE_ADAM if is_adam and is_pair else _DRIFT_TOLERANCE
    if drift <= tolerance * deviation:
        # Rounded up to a power of ten, so that the sentence is a bound.
        return f"conserved to 1e{math.ceil(math.log10(drift))}"
    if is_adam and not is_pair:
        # Each weight's step is its gradient over its own size: K steps no longer sum to zero.
        return f"not conserved: Adam, K = {len(run.classes)}"
    return f"not conserved: it moved by up to {drift:.2g}"
