"""The statistics of a polynomial fit as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.analysis.fit_permutation import PermutationTest
from core.analysis.fitting import FitSeries


def fit_columns(powers: Sequence[int], *, with_permutations: bool) -> tuple[str, ...]:
    """Return the names of what :func:`fit_row` gives."""
    tested = ("permutation_p", "step_permutation_p") if with_permutations else ()
    return (
        "degree",
        "equation",
        "r_squared",
        "adjusted_r_squared",
        "norm_of_residuals",
        "rmse",
        "leave_one_out_rmse",
        "aicc",
        "bic",
        "step_f",
        "step_p",
        "step_p_holm",
        *tested,
        *(f"coefficient_{power}" for power in powers),
        "centre",
        "scale",
        "correlation",
        "n",
    )


def fit_row(
    series: FitSeries, degree: int, powers: Sequence[int], test: PermutationTest | None
) -> tuple[Any, ...]:
    """Return the statistics of one degree, in the order of :func:`fit_columns`."""
    fit, step = series.of(degree), series.steps[degree - 1]
    by_power = dict(zip(range(degree, -1, -1), fit.coefficients, strict=True))
    tested = (test.overall[degree - 1], test.step[degree - 1]) if test else ()
    return (
        fit.degree,
        fit.equation(),
        fit.r_squared,
        fit.adjusted_r_squared,
        fit.norm_of_residuals,
        fit.rmse,
        fit.leave_one_out_rmse,
        fit.aicc,
        fit.bic,
        step.f,
        step.p,
        step.p_holm,
        *tested,
        *(by_power.get(power) for power in powers),
        fit.centre,
        fit.scale,
        series.correlation,
        fit.n,
    )
