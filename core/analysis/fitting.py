"""Polynomial fits of one column by another: coefficients, equations and their statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import AnalysisError

Array = NDArray[np.float64]
BandKind = Literal["confidence", "prediction"]

HIGHEST_DEGREE = 4
_DEGREE_NAMES = {0: "Constant", 1: "Linear", 2: "Quadratic", 3: "Cubic"}
_TOO_LARGE = "The {0} values are too large or too close together to be fitted. Scale them."


@dataclass(frozen=True)
class PolynomialFit:
    """A least-squares polynomial in ``z = (x - centre) / scale``.

    Attributes
    ----------
    degree : int
    coefficients : tuple of float
        Highest power of z first, ``degree + 1`` of them, in units of y.
    centre, scale : float
        Mean of x and its standard deviation with n - 1.
    norm_of_residuals : float
        Square root of the sum of squared residuals, in units of y.
    r_squared, adjusted_r_squared : float
        Share of y's variance that the fit explains; NaN where y is constant.
    rmse : float
        ``norm_of_residuals / sqrt(n)``.
    leave_one_out_rmse : float
        Root mean square of the errors at points that were left out of the fit one by one;
        NaN where one point alone decides a coefficient.
    aicc, bic : float
        Akaike's criterion for small samples and Schwarz's, both with the error variance
        counted as a parameter; lower is better. Minus infinity for an exact fit; ``aicc`` is
        NaN where n is too small.
    n : int
        Points.
    is_exact : bool
        Whether the residuals are no more than the rounding of y.
    root : ndarray, shape (degree + 1, degree + 1)
        ``v @ root`` squared and summed is the leverage of a point whose powers of z, lowest
        first, are ``v``.
    """

    degree: int
    coefficients: tuple[float, ...]
    centre: float
    scale: float
    norm_of_residuals: float
    r_squared: float
    adjusted_r_squared: float
    rmse: float
    leave_one_out_rmse: float
    aicc: float
    bic: float
    n: int
    is_exact: bool
    root: Array = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Name of the degree as in Khagi & Kwon (2022), Fig. 3: Quadratic, Cubic, 4th degree."""
        return degree_name(self.degree)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the residuals."""
        return self.n - self.degree - 1

    def predict(self, x: ArrayLike) -> Array:
        """Return the fitted y at ``x``, same shape."""
        return np.asarray(np.polyval(np.asarray(self.coefficients), self._z(x)), dtype=np.float64)

    def band(
        self, x: ArrayLike, *, kind: BandKind = "confidence", level: float = 0.95
    ) -> tuple[Array, Array]:
        """Return the lower and the upper edge of a pointwise band at ``x``, same shape.

        ``confidence`` holds the curve's mean, ``prediction`` a further point; both take
        independent errors of equal variance. NaN where no degree of freedom is left.
        """
        from scipy import special

        middle = self.predict(x)
        if self.freedom < 1:
            return np.full_like(middle, np.nan), np.full_like(middle, np.nan)
        powers = np.vander(np.ravel(self._z(x)), self.degree + 1, increasing=True)
        leverage = np.sum((powers @ self.root) ** 2, axis=1).reshape(middle.shape)
        deviation = self.norm_of_residuals / math.sqrt(self.freedom)
        variance = leverage if kind == "confidence" else 1 + leverage
        quantile = float(special.stdtrit(self.freedom, (1 + level) / 2))
        half_width = quantile * deviation * np.sqrt(variance)
        return middle - half_width, middle + half_width

    def equation(self) -> str:
        """Return the equation in z in the form of Khagi & Kwon (2022), Fig. 3."""
        return f"{self.name}: y = {_polynomial_text(self.coefficients)}"

    def _z(self, x: ArrayLike) -> Array:
        return (np.asarray(x, dtype=np.float64) - self.centre) / self.scale


@dataclass(frozen=True)
class Step:
    """The F test of one degree against the next lower one.

    Attributes
    ----------
    degree : int
        The higher of the two.
    f : float
        Gain in the sum of squares over the mean square of the higher degree's residuals, with
        1 and n - degree - 1 degrees of freedom.
    p : float
        Its p-value; NaN where the lower degree is exact or no freedom is left.
    p_holm : float
        The same, corrected for the number of steps by Holm's (1979) method.
    """

    degree: int
    f: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class FitSeries:
    """The fits of all degrees that the points allow, from one factorisation.

    Attributes
    ----------
    fits : tuple of PolynomialFit
        Of degree 0, 1, 2, … in order.
    steps : tuple of Step
        Of degree 1, 2, … against the degree before it.
    correlation : float
        Pearson's, of x and y; NaN where y is constant.
    limit : str
        Why there is no higher degree; empty where all were fitted.
    basis, residuals : ndarray, shape (n, highest + 1)
        Orthonormal polynomials at the points, and what each degree leaves of y.
    """

    fits: tuple[PolynomialFit, ...]
    steps: tuple[Step, ...]
    correlation: float
    limit: str
    basis: Array = field(repr=False, compare=False)
    residuals: Array = field(repr=False, compare=False)

    @property
    def highest(self) -> int:
        """The highest degree that was fitted."""
        return len(self.fits) - 1

    def of(self, degree: int) -> PolynomialFit:
        """Return the fit of one degree.

        Raises
        ------
        AnalysisError
            If the points do not allow it.
        """
        if 0 <= degree <= self.highest:
            return self.fits[degree]
        raise AnalysisError(self.limit or f"Degree {degree} was not fitted.")


def degree_name(degree: int) -> str:
    """Return the name of a polynomial's degree: Linear, Quadratic, Cubic, 4th degree."""
    return _DEGREE_NAMES.get(degree, f"{degree}th degree")


def centring_text(mean: float, std: float) -> str:
    """Return what z is, as in Khagi & Kwon (2022), Fig. 3.

    Examples
    --------
    >>> centring_text(0.000927, 0.113)
    'where z = (x - 0.000927)/0.113'
    """
    sign = "+" if mean < 0 else "-"
    return f"where z = (x {sign} {abs(mean):.3g})/{std:.3g}"


def fit_polynomial(x: ArrayLike, y: ArrayLike, degree: int) -> PolynomialFit:
    """Fit ``y`` by a polynomial in the standardised ``x``.

    Parameters
    ----------
    x, y : array_like, shape (n,), float
        One pair a point, such as the FCL weights of two classes for one feature.
    degree : int
        1 or more; 2, 3 and 4 in the paper.

    Returns
    -------
    PolynomialFit
        Coefficients, highest power first, in ``z = (x - centre) / scale``.

    Raises
    ------
    AnalysisError
        If the lengths differ, a value is not finite, or ``x`` has fewer than ``degree + 1``
        distinct values.
    """
    if degree < 1:
        raise AnalysisError(f"Degree {degree} cannot be fitted. Give 1 or more.")
    return fit_series(x, y, highest=degree).of(degree)


def fit_polynomials(
    x: ArrayLike, y: ArrayLike, degrees: Sequence[int] = (2, 3, 4)
) -> tuple[PolynomialFit, ...]:
    """Return one fit for each of ``degrees``; raises as :func:`fit_polynomial`."""
    if min(degrees, default=1) < 1:
        raise AnalysisError(f"Degree {min(degrees)} cannot be fitted. Give 1 or more.")
    series = fit_series(x, y, highest=max(degrees, default=1))
    return tuple(series.of(degree) for degree in degrees)


def fit_series(x: ArrayLike, y: ArrayLike, *, highest: int = HIGHEST_DEGREE) -> FitSeries:
    """Fit polynomials of degree 0 to ``highest``, as far as the points allow.

    Parameters
    ----------
    x, y : array_like, shape (n,), float

    Returns
    -------
    FitSeries

    Raises
    ------
    AnalysisError
        If the lengths differ, a value is not finite, or fewer than two x values are distinct.

    Notes
    -----
    Standardising as in Khagi & Kwon (2022), JMIS 9(3), Fig. 3; ``scale`` is the sample
    deviation (n - 1): our choice, the paper does not say. One QR factorisation of the powers
    of z, each of unit length: its leading columns are those of the lower degrees, so all
    degrees cost one, and no normal equations are formed. Leave-one-out errors are
    ``e / (1 - h)`` with the leverages h (Cook & Weisberg 1982, section 2.2).
    """
    x, y = _checked_points(x, y)
    centre, scale = _centre_and_scale(x, "x")
    with np.errstate(over="ignore", invalid="ignore"):
        z = (x - centre) / scale
        y_mean, y_scale = _mean_and_largest(y)
        rest = (y - y_mean) / y_scale
        powers = np.vander(z, highest + 1, increasing=True)
        lengths = np.linalg.norm(powers, axis=0)
    if not (np.isfinite(rest).all() and np.isfinite(lengths).all()):
        raise AnalysisError(_TOO_LARGE.format("y" if np.isfinite(lengths).all() else "x"))
    basis, triangle = np.linalg.qr(powers / lengths)
    possible, limit = _possible_degree(x, triangle, highest)
    basis, triangle, lengths = (
        basis[:, : possible + 1],
        triangle[: possible + 1, : possible + 1],
        lengths[: possible + 1],
    )
    residuals, shares = _residuals(basis, rest)
    norms = np.linalg.norm(residuals, axis=0)
    # What is left of y when it is rounded to double precision.
    rounding = 8 * np.finfo(np.float64).eps * math.sqrt(len(y)) * np.abs(y).max() / y_scale
    total = norms[0] if norms[0] > rounding else math.nan
    leverage = np.cumsum(basis**2, axis=1)
    inverse = np.linalg.inv(triangle) / lengths[:, None]
    fits = []
    for degree in range(possible + 1):
        root = inverse[: degree + 1, : degree + 1]
        coefficients = y_scale * (root @ shares[: degree + 1])
        coefficients[0] += y_mean
        errors = _left_out(residuals[:, degree], leverage[:, degree])
        fits.append(
            _fit_of(
                coefficients,
                centre=centre,
                scale=scale,
                norm=norms[degree] * y_scale,
                share_left=float(norms[degree] / total) ** 2,
                left_out=y_scale * math.sqrt(np.mean(errors**2)),
                n=len(x),
                is_exact=bool(norms[degree] <= rounding),
                root=root,
            )
        )
    return FitSeries(
        fits=tuple(fits),
        steps=_steps(norms, shares, n=len(x), rounding=rounding),
        correlation=_correlation(shares / total, triangle),
        limit=limit,
        basis=basis,
        residuals=residuals * y_scale,
    )


def _polynomial_text(coefficients: Sequence[float]) -> str:
    text = ""
    for power, value in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        number = f"{abs(value):.3g}"
        factor = "" if power == 0 else "*z" if power == 1 else f"*z^{power}"
        if text:
            text += " - " if value < 0 else " + "
        elif value < 0:
            text = "-"
        text += number + factor
    return text


def _checked_points(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise AnalysisError(
            f"x and y must be two columns of equal length; they have {x.size} and {y.size} values."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise AnalysisError("A value to be fitted is not a finite number (NaN or infinite).")
    if not x.size or x.min() == x.max():
        raise AnalysisError(_too_few(1, min(len(x), 1)))
    return x, y


def _too_few(degree: int, distinct: int) -> str:
    return (
        f"A fit of degree {degree} needs at least {degree + 1} distinct x values; there "
        f"{'is' if distinct == 1 else 'are'} {distinct}. Choose a lower degree."
    )


def _mean_and_largest(values: Array) -> tuple[float, float]:
    """Return the mean and the largest distance from it, 1 where there is none."""
    # Halves: the sum of two large values must not overflow.
    mean = float(2 * np.mean(values / 2)) if np.abs(values).max() > 1e300 else float(values.mean())
    return mean, float(np.abs(values - mean).max()) or 1.0


def _centre_and_scale(values: Array, name: str) -> tuple[float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, largest = _mean_and_largest(values)
        # Divided first, so that no square of a tiny or of a huge number is taken.
        scale = largest * float(((values - mean) / largest).std(ddof=1))
    if not (math.isfinite(mean) and math.isfinite(scale)) or scale <= 0:
        raise AnalysisError(_TOO_LARGE.format(name))
    return mean, scale


def _possible_degree(x: Array, triangle: Array, highest: int) -> tuple[int, str]:
    """Return the highest degree that the x values determine, and why it is not higher."""
    distinct = len(np.unique(x))
    if distinct < highest + 1:
        highest, limit = distinct - 1, _too_few(distinct, distinct)
    else:
        limit = ""
    pivots = np.abs(np.diag(triangle))[: highest + 1]
    weak = np.flatnonzero(pivots <= np.finfo(np.float64).eps * len(x) * pivots.max())
    if len(weak):
        return int(weak[0]) - 1, (
            f"The x values lie too close together for a fit of degree {weak[0]}. "
            "Choose a lower degree."
        )
    return highest, limit


def _residuals(basis: Array, y: Array) -> tuple[Array, Array]:
    """Return what each degree leaves of y, (n, D + 1), and y's shares in the basis, (D + 1,)."""
    left, shares = np.empty(basis.shape, order="F"), np.empty(basis.shape[1])
    rest = y
    for column in range(basis.shape[1]):
        shares[column] = basis[:, column] @ rest
        rest = rest - shares[column] * basis[:, column]
        left[:, column] = rest
    return left, shares


def _left_out(residuals: Array, leverage: Array) -> Array:
    free = 1 - leverage
    # A point of leverage 1 is always met: nothing can be said of the fit without it.
    free[free < 1e-10] = np.nan
    return residuals / free


def _fit_of(
    coefficients: Array,
    *,
    centre: float,
    scale: float,
    norm: float,
    share_left: float,
    left_out: float,
    n: int,
    is_exact: bool,
    root: Array,
) -> PolynomialFit:
    degree = len(coefficients) - 1
    freedom = n - degree - 1
    if not (np.isfinite(coefficients).all() and math.isfinite(norm)):
        raise AnalysisError(_TOO_LARGE.format("y"))
    return PolynomialFit(
        degree=degree,
        coefficients=tuple(float(value) for value in coefficients[::-1]),
        centre=centre,
        scale=scale,
        norm_of_residuals=float(norm),
        r_squared=1 - share_left,
        adjusted_r_squared=1 - share_left * (n - 1) / freedom if freedom else math.nan,
        rmse=float(norm) / math.sqrt(n),
        leave_one_out_rmse=left_out,
        aicc=-math.inf if is_exact and n - degree - 3 > 0 else _aicc(norm, n, degree + 2),
        bic=-math.inf if is_exact else _deviance(norm, n) + (degree + 2) * math.log(n),
        n=n,
        is_exact=is_exact,
        root=root,
    )


def _deviance(norm: float, n: int) -> float:
    return n * (2 * math.log(norm) - math.log(n))


def _aicc(norm: float, n: int, parameters: int) -> float:
    if n - parameters - 1 <= 0:
        return math.nan
    correction = 2 * parameters * (parameters + 1) / (n - parameters - 1)
    return _deviance(norm, n) + 2 * parameters + correction


def _steps(norms: Array, shares: Array, *, n: int, rounding: float) -> tuple[Step, ...]:
    from scipy import special

    found: list[tuple[float, float]] = []
    for degree in range(1, len(norms)):
        freedom = n - degree - 1
        if freedom < 1 or norms[degree - 1] <= rounding:
            found.append((math.nan, math.nan))
        elif norms[degree] <= rounding:
            found.append((math.inf, 0.0))
        else:
            f = float((shares[degree] / norms[degree]) ** 2 * freedom)
            found.append((f, float(special.fdtrc(1, freedom, f))))
    corrected = holm([p for _, p in found])
    return tuple(
        Step(degree, f, p, p_holm)
        for degree, ((f, p), p_holm) in enumerate(zip(found, corrected, strict=True), start=1)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's method (Scand. J. Stat. 6, 1979); NaN stays NaN."""
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[place] = largest
    return corrected


def _correlation(shares: Array, triangle: Array) -> float:
    if len(shares) < 2:
        return math.nan
    # The sign of a column of the basis is free; the triangle's undoes it.
    return float(np.clip(shares[1] * np.sign(triangle[1, 1]), -1.0, 1.0))
