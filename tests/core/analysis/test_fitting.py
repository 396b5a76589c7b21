from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from core.analysis.fitting import (
    PolynomialFit,
    centring_text,
    degree_name,
    fit_polynomial,
    fit_polynomials,
    fit_series,
    holm,
)
from core.errors import AnalysisError


def fit_with(*coefficients):
    return PolynomialFit(
        degree=len(coefficients) - 1,
        coefficients=coefficients,
        centre=0,
        scale=1,
        norm_of_residuals=0,
        r_squared=1,
        adjusted_r_squared=1,
        rmse=0,
        leave_one_out_rmse=0,
        aicc=0,
        bic=0,
        n=9,
        is_exact=False,
        root=np.eye(len(coefficients)),
    )


# Khagi & Kwon (2022), JMIS 9(3), Fig. 3, as printed.
@pytest.mark.parametrize(
    ("coefficients", "printed"),
    [
        ((-0.00022, -0.105, 0.00042), "Quadratic: y = -0.00022*z^2 - 0.105*z + 0.00042"),
        (
            (0.000311, -0.000269, -0.106, 0.000475),
            "Cubic: y = 0.000311*z^3 - 0.000269*z^2 - 0.106*z + 0.000475",
        ),
        (
            (-0.000125, 0.000412, 0.000671, -0.107, -3.51e-05),
            "4th degree: y = -0.000125*z^4 + 0.000412*z^3 + 0.000671*z^2 - 0.107*z - 3.51e-05",
        ),
    ],
)
def test_that_equations_have_the_paper_s_form(coefficients, printed):
    assert fit_with(*coefficients).equation() == printed


def test_that_the_paper_s_centring_is_printed_in_its_form():
    assert centring_text(0.000927, 0.113) == "where z = (x - 0.000927)/0.113"


def test_that_a_negative_mean_is_printed_with_a_plus():
    assert centring_text(-0.000927, 0.113) == "where z = (x + 0.000927)/0.113"


def test_that_a_line_and_higher_degrees_have_names():
    assert fit_with(0.5, -1.0).equation() == "Linear: y = 0.5*z - 1"
    assert degree_name(5) == "5th degree"


def test_that_a_zero_coefficient_is_printed_without_sign():
    assert fit_with(1.0, -0.0, 2.0).equation() == "Quadratic: y = 1*z^2 + 0*z + 2"


def test_that_a_fit_equals_a_hand_calculation():
    # x = 0, 1, 2, 3, 4: mean 2, deviation sqrt(10/4). Least-squares line through
    # y = 1, 2, 2, 4, 6: slope 12/10 on x, so 1.2 sqrt(2.5) on z; mean 3;
    # residuals 0.4, 0.2, -1, -0.2, 0.6: their squares sum to 1.6; total 16.
    fit = fit_polynomial([0, 1, 2, 3, 4], [1, 2, 2, 4, 6], 1)
    assert fit.centre == 2
    assert fit.scale == pytest.approx(math.sqrt(2.5))
    assert fit.coefficients == pytest.approx((1.2 * math.sqrt(2.5), 3.0))
    assert fit.norm_of_residuals == pytest.approx(math.sqrt(1.6))
    assert fit.rmse == pytest.approx(math.sqrt(0.32))
    assert fit.r_squared == pytest.approx(0.9)
    assert fit.adjusted_r_squared == pytest.approx(1 - 0.1 * 4 / 3)
    # 5 points, 3 parameters (two coefficients, one variance).
    assert fit.aicc == pytest.approx(5 * math.log(0.32) + 6 + 24)
    assert fit.n == 5


def test_that_an_exact_quadratic_is_recovered():
    x = np.array([-3.0, -1.0, 0.0, 2.0, 5.0])
    fit = fit_polynomial(x, 2 * x**2 - x + 7, 2)
    assert fit.predict(x) == pytest.approx(2 * x**2 - x + 7)
    assert fit.norm_of_residuals == pytest.approx(0, abs=1e-12)
    assert fit.r_squared == pytest.approx(1)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_that_fits_equal_numpy_polyfit(degree):
    random = np.random.default_rng(0)
    x = 0.113 * random.normal(size=1024) + 0.000927
    y = -0.93 * x + 0.04 * random.normal(size=1024)
    z = (x - x.mean()) / x.std(ddof=1)
    expected, (squares,), *_ = np.polyfit(z, y, degree, full=True)
    fit = fit_polynomial(x, y, degree)
    assert fit.coefficients == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12)
    assert fit.norm_of_residuals == pytest.approx(math.sqrt(squares))


def test_that_a_fit_far_from_zero_keeps_its_digits():
    x = 1e6 + np.linspace(0, 1, 50)
    fit = fit_polynomial(x, (x - 1e6) ** 4, 4)
    assert fit.norm_of_residuals < 1e-8


def test_that_a_higher_degree_never_leaves_more():
    random = np.random.default_rng(3)
    fits = fit_polynomials(random.normal(size=40), random.normal(size=40))
    assert [fit.degree for fit in fits] == [2, 3, 4]
    norms = [fit.norm_of_residuals for fit in fits]
    assert norms == sorted(norms, reverse=True)


def test_that_a_constant_y_has_no_explained_share():
    fit = fit_polynomial([1, 2, 3, 4], [5, 5, 5, 5], 1)
    assert math.isnan(fit.r_squared)


def test_that_statistics_without_freedom_are_not_numbers():
    fit = fit_polynomial([1, 2, 3], [1, 0, 5], 2)
    assert math.isnan(fit.adjusted_r_squared)
    assert math.isnan(fit.aicc)


def test_that_a_perfect_fit_has_the_lowest_criterion():
    assert fit_polynomial([-2, -1, 0, 1, 2, 3], [0] * 6, 1).aicc == -math.inf


@pytest.mark.parametrize(
    ("x", "y", "degree", "said"),
    [
        ([1, 1, 2, 2], [1, 2, 3, 4], 2, "3 distinct x values; there are 2"),
        ([1, 2, np.nan], [1, 2, 3], 1, "not a finite number"),
        ([1, 2, 3], [1, np.inf, 3], 1, "not a finite number"),
        ([1, 2, 3], [1, 2], 1, "3 and 2 values"),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], 1, "equal length"),
        ([1, 2, 3], [1, 2, 3], 0, "Degree 0"),
        ([1.7e308, -1.7e308, 1.7e308], [1, 2, 3], 1, "x values are too large"),
        ([1, 2, 3], [1.7e308, -1.7e308, 1.7e308], 1, "y values are too large"),
        ([0, 1, 1 + 1e-14, 1 + 2e-14], [1, 2, 3, 4], 3, "too close together"),
    ],
)
def test_that_impossible_fits_are_refused_in_words(x, y, degree, said):
    with pytest.raises(AnalysisError, match=said):
        fit_polynomial(x, y, degree)


def curve_with_noise(n=60, seed=0):
    random = np.random.default_rng(seed)
    x = 0.1 * random.normal(size=n) + 0.003
    return x, 0.4 - 0.9 * x + 2 * x**2 + 0.05 * random.normal(size=n)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_that_leave_one_out_equals_fits_without_each_point(degree):
    x, y = curve_with_noise(25)
    errors = []
    for left_out in range(len(x)):
        rest = np.arange(len(x)) != left_out
        coefficients = np.polyfit(x[rest], y[rest], degree)
        errors.append(y[left_out] - np.polyval(coefficients, x[left_out]))
    expected = math.sqrt(np.mean(np.square(errors)))
    assert fit_polynomial(x, y, degree).leave_one_out_rmse == pytest.approx(expected, rel=1e-8)


def test_that_steps_are_the_f_tests_of_nested_models():
    x, y = curve_with_noise()
    squares = [np.sum((y - np.polyval(np.polyfit(x, y, degree), x)) ** 2) for degree in range(5)]
    for step in fit_series(x, y).steps:
        freedom = len(x) - step.degree - 1
        f = (squares[step.degree - 1] - squares[step.degree]) / (squares[step.degree] / freedom)
        assert step.f == pytest.approx(f, rel=1e-6, abs=1e-8)
        assert step.p == pytest.approx(stats.f.sf(f, 1, freedom), rel=1e-6)


def test_that_the_first_step_is_the_test_of_the_correlation():
    x, y = curve_with_noise()
    series = fit_series(x, y)
    expected = stats.pearsonr(x, y)
    assert series.correlation == pytest.approx(expected.statistic)
    assert series.steps[0].p == pytest.approx(expected.pvalue)


def test_that_p_values_are_corrected_as_holm_says():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    corrected = holm([0.5, math.nan, 0.9])
    assert corrected[0] == 1.0
    assert math.isnan(corrected[1])


def test_that_criteria_are_those_of_the_likelihood():
    x, y = curve_with_noise()
    for fit in fit_series(x, y).fits:
        residuals = y - fit.predict(x)
        likelihood = stats.norm.logpdf(residuals, scale=residuals.std()).sum()
        k, n = fit.degree + 2, len(x)
        # Both leave out the same constant of the normal density.
        constant = n * (1 + math.log(2 * math.pi))
        assert fit.bic + constant == pytest.approx(k * math.log(n) - 2 * likelihood)
        aicc = 2 * k - 2 * likelihood + 2 * k * (k + 1) / (n - k - 1)
        assert fit.aicc + constant == pytest.approx(aicc)


@pytest.mark.parametrize("kind", ["confidence", "prediction"])
def test_that_the_line_s_bands_are_those_of_scipy_and_the_textbook(kind):
    x, y = curve_with_noise()
    low, high = fit_polynomial(x, y, 1).band(np.array([0.05]), kind=kind)
    line = stats.linregress(x, y)
    residuals = y - line.intercept - line.slope * x
    leverage = 1 / len(x) + (0.05 - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2)
    deviation = math.sqrt(np.sum(residuals**2) / (len(x) - 2))
    width = math.sqrt(leverage + (kind == "prediction"))
    half = stats.t.ppf(0.975, len(x) - 2) * deviation * width
    middle = line.intercept + line.slope * 0.05
    assert (low[0], high[0]) == pytest.approx((middle - half, middle + half))


def test_that_95_percent_bands_hold_what_they_promise():
    random = np.random.default_rng(0)
    x, at = np.linspace(-1, 1, 40), np.array([0.7])
    inside = np.zeros(2)
    for _ in range(1500):
        y = x - x**3 + 0.3 * random.normal(size=40)
        new = 0.7 - 0.7**3 + 0.3 * random.normal()
        fit = fit_polynomial(x, y, 3)
        low, high = fit.band(at, kind="confidence")
        inside[0] += low[0] <= 0.7 - 0.7**3 <= high[0]
        low, high = fit.band(at, kind="prediction")
        inside[1] += low[0] <= new <= high[0]
    assert inside / 1500 == pytest.approx([0.95, 0.95], abs=0.02)


def test_that_a_band_without_freedom_is_no_number():
    low, high = fit_polynomial([0, 1, 2], [0, 5, 1], 2).band(np.array([0.5]))
    assert np.isnan([low, high]).all()


def test_that_degrees_the_points_do_not_allow_are_left_out_and_named():
    series = fit_series([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 4])
    assert series.highest == 2
    assert "3 distinct" in series.limit or "needs at least 4" in series.limit
    with pytest.raises(AnalysisError, match="needs at least 4 distinct"):
        series.of(3)


points = st.lists(
    st.tuples(st.floats(-3, 3, width=32), st.floats(-3, 3, width=32)), min_size=12, max_size=60
)


@settings(max_examples=80, deadline=None)
@given(points, st.sampled_from([0.0, 1e-3, 1.0, 1e6, -1e8]), st.sampled_from([1e-6, 1.0, 1e5]))
def test_that_fits_equal_exact_arithmetic_whatever_offset_and_scale(rows, offset, scale):
    x, y = np.array(rows).T
    # The offset eats digits of x before any program sees it: both get the same rounded x.
    x = offset + scale * x
    y = 1e3 * offset + y
    assume(len(np.unique(x)) >= 8)
    assume(np.ptp(x) > 1e-9 * max(abs(x).max(), 1e-9))
    z = (x - x.mean()) / x.std(ddof=1)
    assume(np.min(np.diff(np.unique(z))) > 1e-4)
    series = fit_series(x, y)
    for degree in range(1, series.highest + 1):
        left = exact_residuals(z, y, degree)
        tolerance = 1e-9 * max(np.abs(y - y.mean()).max(), 1e-12) + 1e-12 * np.abs(y).max()
        assert np.abs(y - series.of(degree).predict(x) - left).max() < 100 * tolerance


def exact_residuals(z, y, degree):
    """Least squares in rational numbers: the normal equations without any rounding."""
    z, y = [Fraction(v) for v in z.tolist()], [Fraction(v) for v in y.tolist()]
    size = degree + 1
    sums = [sum(v**power for v in z) for power in range(2 * size)]
    rows = [
        [sums[i + j] for j in range(size)] + [sum(v**i * w for v, w in zip(z, y, strict=True))]
        for i in range(size)
    ]
    for i in range(size):
        pivot = next(k for k in range(i, size) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(size):
            if k != i and rows[k][i]:
                factor = rows[k][i] / rows[i][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    coefficients = [rows[i][-1] / rows[i][i] for i in range(size)]
    return np.array(
        [
            float(w - sum(c * v**power for power, c in enumerate(coefficients)))
            for v, w in zip(z, y, strict=True)
        ]
    )


def test_that_almost_equal_x_far_from_zero_are_fitted():
    x = 1e9 + np.arange(40) * 1e-6
    y = np.random.default_rng(0).normal(size=40)
    fit = fit_polynomial(x, y, 2)
    expected = np.polyfit(x - 1e9, y, 2)
    assert fit.predict(x) == pytest.approx(np.polyval(expected, x - 1e9), abs=1e-6)


def test_that_an_offset_of_y_keeps_the_statistics():
    x, y = curve_with_noise()
    near, far = fit_series(x, y), fit_series(x, y + 1e6)
    for one, other in zip(near.fits, far.fits, strict=True):
        assert other.r_squared == pytest.approx(one.r_squared, abs=1e-8)
        assert other.norm_of_residuals == pytest.approx(one.norm_of_residuals, rel=1e-7)


def test_that_tiny_and_huge_numbers_have_the_same_shares():
    x, y = curve_with_noise()
    shares = [fit_polynomial(x * s, y * s, 3).r_squared for s in (1e-280, 1.0, 1e200)]
    assert shares == pytest.approx([shares[1]] * 3)
