"""Which degree of fit the statistics support, in words that agree with them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from core.analysis.fitting import FitSeries, PolynomialFit

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class FitChoice:
    """The degree that most criteria choose.

    Attributes
    ----------
    degree : int
        0 where not even a straight line is supported.
    chosen : tuple of (str, int)
        Each criterion and the degree it chooses.
    words : str
        One or two sentences.
    """

    degree: int
    chosen: tuple[tuple[str, int], ...]
    words: str


def choose_fit(series: FitSeries) -> FitChoice:
    """Return the degree that most of AICc, BIC, leave-one-out error and F tests choose.

    The first three choose their lowest value, the F tests the highest degree whose step from
    the degree before it has a corrected p below 0.05. Of equally often chosen degrees the
    lower is taken: a curve has to earn its bends.
    """
    exact = next((fit.degree for fit in series.fits if fit.is_exact), None)
    if exact is not None:
        return FitChoice(exact, (), _exact_words(exact))
    chosen = tuple(
        (name, degree)
        for name, degree in (
            ("AICc", _lowest(series.fits, "aicc")),
            ("BIC", _lowest(series.fits, "bic")),
            ("the leave-one-out error", _lowest(series.fits, "leave_one_out_rmse")),
            ("the F tests", _highest_significant(series)),
        )
        if degree is not None
    )
    counts = Counter(degree for _, degree in chosen)
    degree = min(counts, key=lambda item: (-counts[item], item), default=0)
    return FitChoice(degree, chosen, _words(series, degree, chosen))


def _lowest(fits: tuple[PolynomialFit, ...], name: str) -> int | None:
    known = [(getattr(fit, name), fit.degree) for fit in fits]
    known = [item for item in known if not math.isnan(item[0])]
    return min(known)[1] if known else None


def _highest_significant(series: FitSeries) -> int | None:
    known = [step for step in series.steps if not math.isnan(step.p_holm)]
    if not known:
        return None
    return max((step.degree for step in known if step.p_holm < SIGNIFICANT), default=0)


def _exact_words(degree: int) -> str:
    if degree == 0:
        return "All y are equal: a constant meets them exactly."
    if degree == 1:
        return "The points lie on a straight line: it is enough, and meets them exactly."
    return f"Degree {degree} meets the points exactly, no lower degree does."


def _words(series: FitSeries, degree: int, chosen: tuple[tuple[str, int], ...]) -> str:
    if not chosen:
        return "There are too few points to choose a degree."
    for_it = _listed([name for name, item in chosen if item == degree])
    against = [
        f"{name} {'choose' if name.endswith('s') else 'chooses'} {_named(item)}"
        for name, item in chosen
        if item != degree
    ]
    if degree == 0:
        first = f"No straight line or curve is supported: {for_it} prefer a constant"
        first = first if for_it.count(" and ") else first.replace("prefer", "prefers")
    elif degree == 1:
        first = f"A straight line is enough, by {for_it}"
    else:
        line = series.of(1)
        gain = 1 - series.of(degree).rmse / line.rmse
        first = (
            f"Degree {degree} is supported by {for_it}; its error is {100 * gain:.2g} % below the "
            "straight line's"
        )
    return f"{first}; {_listed(against)}." if against else f"{first}."


def _named(degree: int) -> str:
    return "a constant" if degree == 0 else "the line" if degree == 1 else f"degree {degree}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
