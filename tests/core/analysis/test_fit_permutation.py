from __future__ import annotations

import itertools

import numpy as np
import pytest

from core.analysis.fit_permutation import permutation_test
from core.analysis.fitting import fit_series
from core.progress import Progress, run_to_end


def test_that_p_is_that_of_every_order_of_few_points():
    # All 5040 orders of seven points, by numpy.
    random = np.random.default_rng(1)
    x, y = random.normal(size=7), random.normal(size=7)

    def r_squared(order):
        coefficients = np.polyfit(x, y[list(order)], 2)
        return 1 - np.var(y[list(order)] - np.polyval(coefficients, x)) / np.var(y)

    measured = r_squared(range(7)) - 1e-12
    exact = np.mean([r_squared(order) >= measured for order in itertools.permutations(range(7))])
    test = run_to_end(permutation_test(x, y, permutations=20_000))
    assert test.overall[1] == pytest.approx(exact, abs=0.01)


def test_that_p_meets_the_f_test_where_errors_are_normal():
    random = np.random.default_rng(4)
    x = random.normal(size=120)
    y = x + 0.12 * x**2 + random.normal(size=120)
    test = run_to_end(permutation_test(x, y, permutations=9999))
    for step, p in zip(fit_series(x, y).steps, test.step, strict=True):
        assert p == pytest.approx(step.p, abs=0.02)


def test_that_a_shuffle_by_hand_gives_the_same_p():
    # Freedman & Lane: the line's residuals are shuffled, put back on the line, fitted again.
    random = np.random.default_rng(2)
    x = random.normal(size=30)
    y = x + 0.3 * x**2 + random.normal(size=30)
    line = np.polyval(np.polyfit(x, y, 1), x)

    def f_of_bend(values):
        left = [
            np.sum((values - np.polyval(np.polyfit(x, values, degree), x)) ** 2)
            for degree in (1, 2)
        ]
        return (left[0] - left[1]) / left[1]

    shuffled = [f_of_bend(line + random.permutation(y - line)) for _ in range(3000)]
    expected = (1 + np.sum(np.array(shuffled) >= f_of_bend(y))) / 3001
    test = run_to_end(permutation_test(x, y, permutations=9999))
    assert test.step[1] == pytest.approx(expected, abs=0.015)


def test_that_a_seed_gives_the_same_p_again():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 40))
    tests = [run_to_end(permutation_test(x, y, permutations=200, seed=s)) for s in (1, 1, 2)]
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]


def test_that_p_is_never_zero():
    x = np.linspace(-1, 1, 50)
    y = x + 0.01 * np.random.default_rng(0).normal(size=50)
    test = run_to_end(permutation_test(x, y, permutations=99))
    assert test.overall == (0.01,) * 4
    assert test.step[0] == 0.01


def test_that_it_can_be_cancelled_and_tells_how_far_it_is():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 4096))
    operation = permutation_test(x, y, permutations=500)
    events = [next(operation) for _ in range(4)]
    operation.close()
    assert all(isinstance(event, Progress) and event.total == 500 for event in events)
    assert events[-1].done > events[1].done
