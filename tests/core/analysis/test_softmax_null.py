from __future__ import annotations

import numpy as np
import pytest

from core.analysis.fc_rows import correlation_interval
from core.analysis.features import class_pairs
from core.analysis.softmax_null import learned_fraction, softmax_null
from core.run_folder import FcHistory, Run, reopen_run


@pytest.mark.parametrize("fc_init", ["glorot", "torch"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_that_simulated_softmax_regression_has_the_predicted_slope(
    build_run, fc_init, weight_decay
):
    run = build_run(n_features=16_384, fc_init=fc_init, weight_decay=weight_decay, epochs=4)
    slopes = []
    for epoch in (1, 2, 3, 4):
        null = softmax_null(run, epoch=epoch)
        assert null.measured_slope == pytest.approx(null.predicted_slope, abs=0.01)
        assert null.measured_correlation == pytest.approx(null.predicted_slope, abs=0.01)
        assert null.is_inside
        slopes.append(null.predicted_slope)
    # It does go somewhere: the line appears by training alone.
    assert slopes[-1] < -0.15


def test_that_the_mean_over_pairs_of_three_classes_is_predicted(build_run):
    run = build_run(("AD", "MCI", "NC"), network="cnn2d", n_features=16_384, epochs=4)
    # Whatever the classes are, the mean covariance of the pairs is what softmax leaves;
    # single pairs depart from it by what tells the classes apart.
    covariance = np.cov(run.fc_history.at()[0].astype(float))
    measured = covariance[np.triu_indices(3, 1)].mean() / np.trace(covariance) * 3
    nulls = [softmax_null(run, pair) for pair in class_pairs(run)]
    v0 = np.mean([null.v0_measured for null in nulls])
    predicted = (v0 / np.mean([null.var_w for null in nulls]) - 1) / 2
    assert measured == pytest.approx(predicted, abs=0.01)
    assert predicted < -0.1


def test_that_the_band_holds_95_percent_of_runs_of_no_information(build_run):
    # Rows of a common sum and of random differences: nothing of any class.
    random = np.random.default_rng(0)
    path = build_run(n_features=4).path
    inside = 0
    for _ in range(60):
        start = random.uniform(-1, 1, (2, 300))
        push = random.normal(size=300)
        weight = np.array([start, start + np.array([push, -push])]).astype(np.float32)
        bias = np.zeros((2, 2), np.float32)
        reopen_run(path).write_fc_history(FcHistory(np.arange(2), weight, bias))
        null = softmax_null(Run(path))
        inside += null.is_inside
        low, high = null.correlation_band
        assert low < null.predicted_slope < high
    assert inside >= 54


def test_that_the_learned_fraction_gives_the_correlation_of_many_classes():
    random = np.random.default_rng(0)
    for k in (2, 3, 5):
        pushes = random.normal(size=(k, 50_000))
        weight = 0.3 * random.normal(size=50_000) + pushes - pushes.mean(axis=0)
        r = np.corrcoef(weight)[0, 1]
        assert r == pytest.approx(1 - learned_fraction(weight) * k / (k - 1), abs=0.01)


def test_that_it_starts_at_k_minus_1_over_k():
    start = np.random.default_rng(0).uniform(-1, 1, (3, 30_000))
    assert learned_fraction(start) == pytest.approx(2 / 3, abs=0.01)


def test_that_the_badge_is_a_power_of_ten(build_run):
    null = softmax_null(build_run(n_features=1024))
    word, power = null.conserved.split(" 1e-")
    assert word == "conserved to"
    assert 10 ** -int(power) >= null.row_sum_drift > 10 ** -(int(power) + 1)


def test_that_the_interval_of_a_correlation_is_that_of_scipy():
    from scipy import stats

    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 50))
    found = stats.pearsonr(x, y)
    expected = found.confidence_interval()
    assert correlation_interval(found.statistic, 50) == pytest.approx(tuple(expected), rel=1e-5)
    assert correlation_interval(-1.0, 50) == (-1.0, -1.0)
