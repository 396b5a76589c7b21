"""The statistics once more by statsmodels, scipy and scikit-learn, which share no code with us."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import linalg, stats
from sklearn.calibration import calibration_curve
from sklearn.covariance import ledoit_wolf
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from core.analysis import scores
from core.analysis.cloud_ruler import Cloud
from core.analysis.dispersion import measure
from core.analysis.evaluation import wilson_interval
from core.analysis.fit_permutation import permutation_test
from core.analysis.fitting import fit_series
from core.analysis.pairing import mcnemar
from core.analysis.projection import project
from core.analysis.softmax_null import initial_variance, softmax_null
from core.progress import run_to_end


@pytest.fixture(scope="module")
def points():
    random = np.random.default_rng(4)
    x = random.normal(3, 0.2, 60)
    return x, 0.3 * x - 0.4 * (x - 3) ** 2 + 0.1 * random.normal(size=60)


@pytest.fixture(scope="module")
def theirs(points):
    """Return statsmodels' least-squares fit of each degree in our z."""
    x, y = points
    z = (x - x.mean()) / x.std(ddof=1)
    return [OLS(y, np.vander(z, degree + 1, increasing=True)).fit() for degree in range(5)]


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_that_a_fit_and_its_statistics_are_those_of_statsmodels(points, theirs, degree):
    x, y = points
    ours, their = fit_series(x, y).of(degree), theirs[degree]
    assert ours.coefficients[::-1] == pytest.approx(their.params)
    assert ours.norm_of_residuals == pytest.approx(np.sqrt(their.ssr))
    assert ours.r_squared == pytest.approx(their.rsquared)
    assert ours.adjusted_r_squared == pytest.approx(their.rsquared_adj)
    assert ours.rmse == pytest.approx(np.sqrt(np.mean(their.resid**2)))
    left_out = their.get_influence().resid_press
    assert ours.leave_one_out_rmse == pytest.approx(np.sqrt(np.mean(left_out**2)))


def test_that_differences_of_the_criteria_are_those_of_statsmodels(points, theirs):
    # Constants and the variance as a parameter are alike in all degrees.
    x, y = points
    fits, n = fit_series(x, y).fits, len(x)
    for ours, their in zip(fits[1:], theirs[1:], strict=True):
        assert ours.bic - fits[0].bic == pytest.approx(their.bic - theirs[0].bic)
        k = ours.degree + 2
        corrected = their.aic + 2 * k * (k + 1) / (n - k - 1)
        first = theirs[0].aic + 2 * 2 * 3 / (n - 3)
        assert ours.aicc - fits[0].aicc == pytest.approx(corrected - first)


def test_that_steps_are_the_f_tests_and_holm_of_statsmodels(points, theirs):
    x, y = points
    steps = fit_series(x, y).steps
    for step, (lower, higher) in zip(steps, itertools.pairwise(theirs), strict=True):
        f, p, freedom = higher.compare_f_test(lower)
        assert (step.f, step.p, freedom) == (pytest.approx(f), pytest.approx(p), 1)
    _, corrected, _, _ = multipletests([step.p for step in steps], method="holm")
    assert [step.p_holm for step in steps] == pytest.approx(corrected)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_that_bands_of_every_degree_are_those_of_statsmodels(points, theirs, degree):
    x, y = points
    ours = fit_series(x, y).of(degree)
    at = np.linspace(x.min() - 0.1, x.max() + 0.1, 11)
    z = (at - x.mean()) / x.std(ddof=1)
    frame = theirs[degree].get_prediction(np.vander(z, degree + 1, increasing=True))
    frame = frame.summary_frame(alpha=0.05)
    for kind, name in (("confidence", "mean_ci"), ("prediction", "obs_ci")):
        low, high = ours.band(at, kind=kind)
        assert low == pytest.approx(frame[f"{name}_lower"].to_numpy())
        assert high == pytest.approx(frame[f"{name}_upper"].to_numpy())


def test_that_permutation_p_meets_scipy_s_over_all_orders():
    x, y = np.array([0.1, 0.5, 0.9, 1.7, 2.0, 3.1]), np.array([1.0, 0.2, 1.5, 1.1, 2.4, 2.2])
    exact = stats.permutation_test(
        (y,), lambda order: stats.pearsonr(x, order).statistic ** 2, permutation_type="pairings",
        alternative="greater", n_resamples=10_000,
    )  # fmt: skip
    ours = run_to_end(permutation_test(x, y, permutations=9999, seed=1))
    assert ours.overall[0] == pytest.approx(exact.pvalue, abs=0.02)


def test_that_wilson_s_interval_is_that_of_statsmodels():
    for correct, n in ((0, 5), (7, 8), (12, 12), (211, 504)):
        assert wilson_interval(correct, n) == pytest.approx(
            proportion_confint(correct, n, alpha=0.05, method="wilson"), abs=1e-6
        )


def test_that_mcnemar_is_the_exact_test_of_statsmodels():
    random = np.random.default_rng(2)
    first, second = random.random(60) < 0.8, random.random(60) < 0.6
    table = [[np.sum(a & b) for b in (second, ~second)] for a in (first, ~first)]
    assert mcnemar(first, second).p_value == pytest.approx(their_mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize("fc_init", ["glorot", "torch"])
def test_that_simulated_softmax_regression_has_the_slope_of_the_null_to_a_hundredth(
    build_run, fc_init
):
    measured, predicted = [], []
    for seed in range(6):
        run = build_run(n_features=4096, epochs=8, weight_seed=seed, fc_init=fc_init)
        null = softmax_null(run)
        # From the initialisation alone: neither the classes nor the start were looked at.
        v0 = initial_variance(fc_init, 4096, classes=2)
        measured.append(null.measured_slope)
        predicted.append(v0 / null.var_w - 1)
    assert np.mean(predicted) < -0.05
    assert np.mean(measured) == pytest.approx(np.mean(predicted), abs=0.01)


def test_that_the_discriminant_solves_fisher_s_equation(build_run):
    run = build_run(separation=2.0)
    features = run.features
    train = features.part == "train"
    plane = run_to_end(project(run, "lda")).points
    points = features.penultimate.astype(float)
    middle = points[train].mean(axis=0)
    _, _, axes = np.linalg.svd(points[train] - middle, full_matrices=False)
    score = (points - middle) @ axes[: min(50, train.sum() - 1)].T
    own = [score[train & (features.label == k)] for k in range(2)]
    within = 0
    for rows in own:
        # As scikit-learn: shrunk on standardised columns, each class by itself.
        sd = rows.std(axis=0)
        shrunk, _ = ledoit_wolf((rows - rows.mean(axis=0)) / sd)
        within = within + 0.5 * sd[:, None] * shrunk * sd
    line = linalg.solve(within, own[1].mean(axis=0) - own[0].mean(axis=0))
    along = score @ line
    assert abs(np.corrcoef(along, plane[:, 0])[0, 1]) == pytest.approx(1, abs=1e-6)


def test_that_the_ellipse_holds_95_percent_of_a_normal_cloud_and_has_its_area():
    random = np.random.default_rng(0)
    mix = np.array([[2.0, 0.0], [1.2, 0.7]])
    dots = random.normal(size=(1000, 2)) @ mix.T
    subject = np.array([f"S{n % 25}" for n in range(1000)])
    two = Cloud(
        np.concatenate([dots, dots + 9]),
        np.repeat([0, 1], 1000)[::2],
        subject,
        ("A", "B"),
    )
    two = Cloud(two.points[::2], two.label, subject, two.classes)
    found = {(m.measure, m.of): m.value for m in run_to_end(measure(two, draws=20))}
    covariance = np.cov(two.points[two.label == 0].T)
    inverse = np.linalg.inv(covariance)
    away = two.points[two.label == 0] - two.points[two.label == 0].mean(axis=0)
    distance = np.einsum("ni,ij,nj->n", away, inverse, away)
    assert np.mean(distance < stats.chi2.ppf(0.95, 2)) == pytest.approx(0.95, abs=0.02)
    # Monte Carlo: the share of a box that the ellipse covers, times the area of the box.
    reach = 12.0
    grid = random.uniform(-reach, reach, (400_000, 2))
    inside = np.einsum("ni,ij,nj->n", grid, inverse, grid) < stats.chi2.ppf(0.95, 2)
    assert found["ellipse_area_95", "A"] == pytest.approx(inside.mean() * 4 * reach**2, rel=0.02)
    values = np.linalg.eigvalsh(covariance)
    assert found["participation_ratio", "A"] == pytest.approx(values.sum() ** 2 / (values**2).sum())


def test_that_calibration_is_that_of_scikit_learn(build_run):
    run = build_run(separation=0.3, n_features=16)
    table = scores.calibration_table(run, part="all")
    chosen = run.features
    probability = np.exp(chosen.logits.astype(float))
    probability /= probability.sum(axis=1, keepdims=True)
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == chosen.label
    shares, means = calibration_curve(right, sure, n_bins=10)
    columns = {name: number for number, name in enumerate(table.columns)}
    rows = [row for row in table.rows if row[columns["n"]]]
    assert [row[columns["share_right"]] for row in rows] == pytest.approx(shares)
    assert [row[columns["mean_probability"]] for row in rows] == pytest.approx(means)
