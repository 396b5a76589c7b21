from __future__ import annotations

import math

import numpy as np
import pytest

from core.analysis.fit_choice import choose_fit
from core.analysis.fitting import fit_series


def noisy(curve, n=400, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return x, curve(x) + random.normal(size=n)


def said_by(series):
    """Which degree each criterion chooses, from the numbers that the tables show."""
    fits = series.fits
    found = {
        name: min(fits, key=lambda fit: getattr(fit, key)).degree
        for name, key in (("AICc", "aicc"), ("BIC", "bic"), ("the leave", "leave_one_out_rmse"))
    }
    significant = [step.degree for step in series.steps if step.p_holm < 0.05]
    found["the F tests"] = max(significant, default=0)
    return found


@pytest.mark.parametrize(
    ("curve", "degree", "words"),
    [
        (lambda x: 0 * x, 0, "No straight line or curve is supported"),
        (lambda x: 2 - x, 1, "A straight line is enough"),
        (lambda x: x + 0.5 * x**2, 2, "Degree 2 is supported by AICc, BIC"),
        (lambda x: x - 0.5 * x**3, 3, "Degree 3 is supported by AICc, BIC"),
        (lambda x: x + x**4, 4, "Degree 4 is supported by AICc, BIC"),
    ],
)
def test_that_the_true_degree_is_chosen(curve, degree, words):
    choice = choose_fit(fit_series(*noisy(curve)))
    assert choice.degree == degree
    assert choice.words.startswith(words)


@pytest.mark.parametrize("seed", range(40))
def test_that_the_words_agree_with_the_statistics_shown(seed):
    # Few points and a weak bend, so that the criteria often differ.
    series = fit_series(*noisy(lambda x: 0.4 * x + 0.25 * x**2, n=25, seed=seed))
    choice = choose_fit(series)
    expected = said_by(series)
    votes = list(expected.values())
    most = max(votes.count(vote) for vote in votes)
    assert choice.degree == min(vote for vote in votes if votes.count(vote) == most)
    named = {0: "a constant", 1: "the line"}
    for name, degree in expected.items():
        assert name in choice.words
        if degree != choice.degree:
            against = choice.words.split(";", 1)[1]
            assert f"{name}" in against
            assert named.get(degree, f"degree {degree}") in against


def test_that_the_gain_over_the_line_is_said_in_percent():
    series = fit_series(*noisy(lambda x: x + x**2))
    gain = 100 * (1 - series.of(2).rmse / series.of(1).rmse)
    assert f"its error is {gain:.2g} % below the straight line's" in choose_fit(series).words


def test_that_exact_points_are_said_to_be_met():
    x = np.arange(8.0)
    assert choose_fit(fit_series(x, 3 * x - 1)).words.startswith("The points lie on a straight")
    assert "Degree 3 meets the points exactly" in choose_fit(fit_series(x, x**3)).words
    assert choose_fit(fit_series(x, 0 * x + 0.1)).degree == 0


def test_that_two_points_are_a_line_and_no_more():
    series = fit_series([0.0, 1.0], [3.0, 5.0])
    assert (series.highest, choose_fit(series).degree) == (1, 1)
    assert math.isnan(series.steps[0].p)
