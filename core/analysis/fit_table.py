"""The statistics of a polynomial fit as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.analysis.fit_choice import choose_fit
from core.analysis.fit_permutation import PermutationTest
from core.analysis.fitting import FitSeries
from core.figure import Table


def fit_columns(powers: Sequence[int], *, with_permutations: bool) -> tuple[str, ...]:
    """Return the names of what :func:`fit_row` gives."""
    tested = ("permutation_p", "step_permutation_p") if with_permutations else ()
    return (
        "degree",
        "supported",
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
        choose_fit(series).degree == degree,
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


def fit_record(series: FitSeries, degree: int, test: PermutationTest | None) -> dict[str, Any]:
    """Return one degree as a record for JSON; its coefficients in one list, highest power first."""
    columns = fit_columns((), with_permutations=test is not None)
    record = dict(zip(columns, fit_row(series, degree, (), test), strict=True))
    for name in ("centre", "scale", "correlation", "n"):
        del record[name]
    return {**record, "coefficients": list(series.of(degree).coefficients)}


def fit_statistics(series: FitSeries, test: PermutationTest | None = None) -> Table:
    """Return the statistics of every degree from 1, without equations and coefficients."""
    records = [fit_record(series, fit.degree, test) for fit in series.fits[1:]]
    hidden = ("equation", "coefficients")
    columns = tuple(name for name in records[0] if name not in hidden)
    return Table(
        name="fits",
        title="Polynomial fits in z",
        columns=columns,
        rows=tuple(tuple(record[name] for name in columns) for record in records),
        caption="Each step is the F test against the degree before.",
    )
