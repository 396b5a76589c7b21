from __future__ import annotations

import math

import numpy as np
import pytest

from core.analysis.fitting import (
    PolynomialFit,
    centring_text,
    degree_name,
    fit_polynomial,
    fit_polynomials,
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
