"""The FCL's rows against each other, beside what softmax and the start alone would give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.features import Pair, class_pairs
from core.analysis.fitting import PolynomialFit, centring_text, degree_name, fit_polynomial
from core.errors import AnalysisError
from core.figure import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    Axis,
    Band,
    Curve,
    Figure,
    Layer,
    LineStyle,
    Panel,
    Scatter,
    Table,
)
from core.run_folder import Run

Array = NDArray[np.float64]

_FIT_LOOKS: dict[int, tuple[str, LineStyle]] = {
    1: (ORANGE, "solid"),
    2: (BLACK, "solid"),
    3: (GREEN, "dotted"),
    4: (PURPLE, "dashdot"),
}
_CURVE_POINTS = 200
# Half-width of a 95 % interval in standard deviations.
_TWO_SIDED_95 = 1.959964
# Rounding of float32 over thousands of steps stays far below this share of a weight's deviation.
_DRIFT_TOLERANCE = 1e-3
_NULL_SOURCE = (
    "The gradients of the rows sum to zero under softmax, so SGD without weight decay keeps "
    "their sum at its initial value."
)


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
        are equal: ``-(1 - v0 / var_w) / (K - 1)``, for K = 2 ``-1 + v0 / var_w``.
    sampling_sd : float
        Standard deviation of a measured slope about it: ``sqrt((1 - r**2) / (N - 2))``.
    measured_slope, measured_correlation : float
    learned_fraction : float
        ``L = Var(d/2) / (Var(d/2) + Var(S/2))`` with d and S the rows' difference and sum;
        with equal variances the correlation is 1 - 2 L.
    row_sum_drift : float
        Largest change, over the features, of the sum of all K rows since the start.
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
    row_sum_drift: float
    conserved: str


def fcl_scatter(
    run: Run,
    *,
    pair: Pair | None = None,
    epoch: int | None = None,
    degrees: Sequence[int] = (2, 3, 4),
    show_null: bool = True,
) -> Figure:
    """Return the scatter of two FCL rows with polynomial fits: the paper's Fig. 3.

    Parameters
    ----------
    run : Run
    pair : tuple of str, optional
        Classes on x and y; without it one panel for each pair of classes.
    epoch : int, optional
        0 is before training; without it the last.
    degrees : sequence of int
        Degrees of the fits.
    show_null : bool
        Draw the straight line, with its 95 % band, that needs no class information.

    Raises
    ------
    AnalysisError
        If the pair is unknown, or the weights are not finite or all equal.
    RunError
        If the epoch is not stored.
    """
    weight, shown = _weight_at(run, epoch)
    k, n = weight.shape
    panels = tuple(
        _scatter_panel(run, item, shown, degrees=degrees, show_null=show_null)
        for item in class_pairs(run, pair)
    )
    caption = (
        f"{run.regime_title}, after epoch {shown}; one dot a feature. "
        "After Khagi & Kwon (2022), JMIS 9(3), Fig. 3."
    )
    if show_null:
        caption += (
            " Dashed grey: the straight line that softmax and the initial weights give without "
            "any class information, with its 95 % band."
        )
    return Figure(
        name="fcl_weights_plot",
        title=f"FCL weights ({n}*{k}) plot of {run.network_title} model for MRI classification",
        panels=panels,
        columns=min(len(panels), 3),
        caption=caption,
        warning=run.warning,
    )


def fcl_null(run: Run, *, pair: Pair | None = None, epoch: int | None = None) -> Figure:
    """Return the rows' difference against their sum, and the null's prediction over the epochs.

    For each pair of classes two panels: d = w_i - w_j against S = w_i + w_j with the state
    before training behind it, and the measured slope of the scatter beside the predicted.

    Raises
    ------
    AnalysisError
        If the pair is unknown, or the weights are not finite or all equal.
    RunError
        If the epoch is not stored.
    """
    _, shown = _weight_at(run, epoch)
    panels: list[Panel] = []
    for item in class_pairs(run, pair):
        panels += [_difference_panel(run, item, shown), _null_course_panel(run, item)]
    return Figure(
        name="fcl_null",
        title=f"What the start alone explains: FCL of {run.network_title}, epoch {shown}",
        panels=tuple(panels),
        columns=2,
        caption=f"{_NULL_SOURCE} For two classes only the difference is learned, and only it "
        "affects the predictions. The learned fraction is Var(d/2) / (Var(d/2) + Var(S/2)).",
        warning=run.warning,
    )


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
    (v0 - Var(w))/(K - 1). For K = 2 nothing has to be assumed about the classes.
    """
    chosen = class_pairs(run, pair)[0]
    weight, shown = _weight_at(run, epoch)
    start, _ = _weight_at(run, int(run.fc_history.epoch[0]))
    rows = [run.classes.index(label) for label in chosen]
    x, y = weight[rows]
    k, n = weight.shape
    if n < 3:
        raise AnalysisError(f"The FCL has {n} features; the scatter of its rows needs 3 or more.")
    v0 = float(start[rows].var(axis=1, ddof=1).mean())
    variances = weight[rows].var(axis=1, ddof=1)
    var_w, covariance = float(variances.mean()), float(np.cov(x, y)[0, 1])
    if variances.min() <= 0:
        raise AnalysisError(
            f"A row of the FCL of run '{run.name}' has {n} equal weights: it has no scatter."
        )
    predicted = (v0 / var_w - 1) / (k - 1)
    half_difference, half_sum = ((x - y) / 2).var(), ((x + y) / 2).var()
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
        learned_fraction=float(half_difference / (half_difference + half_sum)),
        row_sum_drift=drift,
        conserved=_conserved_text(run, drift, math.sqrt(v0)),
    )


def initial_variance(fc_init: str, features: int, *, classes: int) -> float:
    """Return the variance of a weight that an initialisation of the FCL gives.

    ``glorot`` is uniform with variance 2/(N + K) (Glorot & Bengio 2010); ``torch`` is
    PyTorch's default for Linear, uniform on +-1/sqrt(N), with variance 1/(3 N).
    """
    return 2 / (features + classes) if fc_init == "glorot" else 1 / (3 * features)


def slope_sampling_sd(slope: float, n: int) -> float:
    """Return the standard error of a least-squares slope between rows of equal variance."""
    return math.sqrt(max(0.0, 1 - slope**2) / (n - 2))


def row_sum_drift_figure(run: Run) -> Figure:
    """Return how far the sum of the FCL's rows has moved from its start, over the epochs."""
    history = run.fc_history
    sums = history.weight.astype(np.float64).sum(axis=1)
    change = np.abs(sums - sums[0])
    null = softmax_null(run)
    epochs = history.epoch.astype(np.float64)
    return Figure(
        name="row_sum_drift",
        title=f"Sum of the FCL's rows, {run.network_title}",
        panels=(
            Panel(
                x=Axis("Epoch"),
                y=Axis("Change of the sum of rows since the start", low=0.0),
                layers=(
                    Curve("largest of all features", epochs, change.max(axis=1), colour=BLUE),
                    Curve(
                        "root mean square",
                        epochs,
                        np.sqrt((change**2).mean(axis=1)),
                        colour=GREEN,
                        style="dashed",
                    ),
                ),
                title="Change of the sum of rows",
                text=f"Sum of rows {null.conserved}.",
            ),
        ),
        caption=f"{_NULL_SOURCE} Weight decay shrinks it.",
        warning=run.warning,
    )


def fcl_weights_table(run: Run, *, epoch: int | None = None) -> Table:
    """Return the FCL's weights: one row a feature, one column a class."""
    weight, shown = _weight_at(run, epoch, check=False)
    return Table(
        name="fcl_weights",
        title=f"FCL weights of {run.network_title}, epoch {shown}",
        columns=("feature", *run.classes),
        rows=tuple((number, *column) for number, column in enumerate(weight.T)),
        caption="One row an input feature of the final fully connected layer.",
        warning=run.warning,
    )


def null_table(run: Run, *, epoch: int | None = None) -> Table:
    """Return the null of every pair of classes; see :class:`SoftmaxNull`."""
    names = tuple(
        name for name in SoftmaxNull.__dataclass_fields__ if name not in ("pair", "conserved")
    )
    rows = []
    for pair in class_pairs(run):
        null = softmax_null(run, pair, epoch=epoch)
        rows.append((*pair, *(getattr(null, name) for name in names), null.conserved))
    return Table(
        name="softmax_null",
        title="What softmax and the initial weights alone predict for the FCL's rows",
        columns=("x", "y", *names, "conserved"),
        rows=tuple(rows),
        caption=_NULL_SOURCE,
        warning=run.warning,
    )


def fits_table(
    run: Run,
    *,
    pair: Pair | None = None,
    epoch: int | None = None,
    degrees: Sequence[int] = (2, 3, 4),
) -> Table:
    """Return the fits of every pair of rows with their statistics.

    ``coefficient_p`` belongs to z to the power p; degrees that cannot be fitted are left out.
    """
    weight, shown = _weight_at(run, epoch)
    powers = range(max(degrees, default=0), -1, -1)
    rows: list[tuple[Any, ...]] = []
    for x_label, y_label in class_pairs(run, pair):
        x, y = (weight[run.classes.index(label)] for label in (x_label, y_label))
        for fit in _possible_fits(x, y, degrees)[0]:
            by_power = dict(zip(range(fit.degree, -1, -1), fit.coefficients, strict=True))
            rows.append(
                (
                    x_label,
                    y_label,
                    fit.degree,
                    fit.equation(),
                    *(by_power.get(power) for power in powers),
                    fit.centre,
                    fit.scale,
                    fit.norm_of_residuals,
                    fit.r_squared,
                    fit.adjusted_r_squared,
                    fit.rmse,
                    fit.aicc,
                    fit.n,
                )
            )
    return Table(
        name="fcl_fits",
        title=f"Polynomial fits of the FCL's rows, epoch {shown}",
        columns=(
            "x",
            "y",
            "degree",
            "equation",
            *(f"coefficient_{power}" for power in powers),
            "centre",
            "scale",
            "norm_of_residuals",
            "r_squared",
            "adjusted_r_squared",
            "rmse",
            "aicc",
            "n",
        ),
        rows=tuple(rows),
        caption="y is a polynomial in z = (x - centre)/scale, scale with n - 1.",
        warning=run.warning,
    )


def _weight_at(run: Run, epoch: int | None, *, check: bool = True) -> tuple[Array, int]:
    """Return the weights (K, N) after ``epoch`` and which epoch that is."""
    weight = run.fc_history.at(epoch)[0].astype(np.float64)
    if check and not np.isfinite(weight).all():
        raise AnalysisError(
            f"The FCL of run '{run.name}' has weights that are not finite: its training "
            "diverged. Choose an earlier epoch, or train again with a lower learning rate."
        )
    return weight, int(run.fc_history.epoch[-1]) if epoch is None else epoch


def _scatter_panel(
    run: Run, pair: Pair, epoch: int, *, degrees: Sequence[int], show_null: bool
) -> Panel:
    weight, _ = _weight_at(run, epoch)
    x, y = (weight[run.classes.index(label)] for label in pair)
    fits, impossible = _possible_fits(x, y, degrees)
    line = np.linspace(x.min(), x.max(), _CURVE_POINTS)
    layers: list[Layer] = [
        Scatter(
            "weights",
            x,
            y,
            colour=SKY,
            size=4.0,
            ids=tuple(f"feature {number}" for number in range(len(x))),
        )
    ]
    if show_null:
        layers += _null_layers(softmax_null(run, pair, epoch=epoch), x, y)
    for fit in fits:
        colour, style = _FIT_LOOKS.get(fit.degree, (BLUE, "dotted"))
        layers.append(Curve(fit.name, line, fit.predict(line), colour=colour, style=style))
    lines = [fit.equation() for fit in fits] + impossible
    if fits:
        lines.append(centring_text(fits[0].centre, fits[0].scale))
    return Panel(
        x=Axis(f"FCL weight, {pair[0]}"),
        y=Axis(f"FCL weight, {pair[1]}"),
        layers=tuple(layers),
        title=f"{pair[0]} and {pair[1]}",
        text="\n".join(lines),
    )


def _possible_fits(
    x: Array, y: Array, degrees: Sequence[int]
) -> tuple[list[PolynomialFit], list[str]]:
    """Return the fits that the points allow, and a line on each that they do not."""
    fits, impossible = [], []
    for degree in degrees:
        try:
            fits.append(fit_polynomial(x, y, degree))
        except AnalysisError:
            impossible.append(f"{degree_name(degree)}: too few distinct weights")
    return fits, impossible


def _null_layers(null: SoftmaxNull, x: Array, y: Array) -> list[Layer]:
    # Distinct, sorted x so that the band's edges are lines from end to end.
    line = np.linspace(x.min(), x.max(), _CURVE_POINTS)
    from_centre = line - x.mean()
    middle = y.mean() + null.predicted_slope * from_centre
    half_width = _TWO_SIDED_95 * null.sampling_sd * np.abs(from_centre)
    return [
        Band("null, 95 %", line, middle - half_width, middle + half_width, colour=GREY),
        Curve("null (no class information)", line, middle, colour=GREY, style="dashed"),
    ]


def _difference_panel(run: Run, pair: Pair, epoch: int) -> Panel:
    start, _ = _weight_at(run, int(run.fc_history.epoch[0]))
    weight, _ = _weight_at(run, epoch)
    i, j = (run.classes.index(label) for label in pair)
    ids = tuple(f"feature {number}" for number in range(weight.shape[1]))
    return Panel(
        x=Axis(f"Sum S = {pair[0]} + {pair[1]}"),
        y=Axis(f"Difference d = {pair[0]} - {pair[1]}"),
        layers=(
            Scatter(
                "before training",
                start[i] + start[j],
                start[i] - start[j],
                colour=GREY,
                symbol="diamond",
                size=4.0,
                opacity=0.35,
                ids=ids,
            ),
            Scatter(
                f"epoch {epoch}",
                weight[i] + weight[j],
                weight[i] - weight[j],
                colour=BLUE,
                size=4.0,
                ids=ids,
            ),
        ),
        title=f"{pair[0]} and {pair[1]}: difference and sum",
        text=null_text(softmax_null(run, pair, epoch=epoch), len(run.classes)),
        equal_aspect=True,
    )


def null_text(null: SoftmaxNull, n_classes: int) -> str:
    """Return the null in words: measured against predicted, learned fraction, sum of rows."""
    half_width = _TWO_SIDED_95 * null.sampling_sd
    inside = abs(null.measured_slope - null.predicted_slope) <= half_width
    # Short lines: the box stands inside a narrow panel.
    lines = [
        f"Slope measured {null.measured_slope:.3f}",
        f"null {null.predicted_slope:.3f} ± {half_width:.3f}",
        "no class information needed" if inside else "outside of the null",
        f"Correlation {null.measured_correlation:.3f}",
        f"Learned fraction {null.learned_fraction:.3f}",
        f"Sum of rows {null.conserved}",
    ]
    if not null.conserved.startswith("conserved"):
        lines.append("(the null is approximate)")
    if n_classes > 2:
        lines.append("(null: classes symmetric)")
    return "\n".join(lines)


def _null_course_panel(run: Run, pair: Pair) -> Panel:
    nulls = [softmax_null(run, pair, epoch=int(epoch)) for epoch in run.fc_history.epoch]
    epochs = np.array([null.epoch for null in nulls], dtype=np.float64)
    predicted = np.array([null.predicted_slope for null in nulls])
    half_width = _TWO_SIDED_95 * np.array([null.sampling_sd for null in nulls])
    return Panel(
        x=Axis("Epoch"),
        y=Axis(f"Slope of {pair[1]} on {pair[0]}"),
        layers=(
            Band("null, 95 %", epochs, predicted - half_width, predicted + half_width),
            Curve("null (no class information)", epochs, predicted, colour=GREY, style="dashed"),
            Curve(
                "measured",
                epochs,
                np.array([null.measured_slope for null in nulls]),
                colour=BLUE,
            ),
        ),
        title=f"{pair[0]} and {pair[1]}: over the epochs",
    )


def _conserved_text(run: Run, drift: float, deviation: float) -> str:
    if run.settings.training.weight_decay > 0:
        return "not conserved: weight decay"
    if drift == 0:
        return "conserved exactly"
    if drift <= _DRIFT_TOLERANCE * deviation:
        # Rounded up to a power of ten, so that the sentence is a bound.
        return f"conserved to {10.0 ** math.ceil(math.log10(drift)):.0e}"
    return f"not conserved: it moved by up to {drift:.2g}"
