from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as known
from scipy import stats

from core.analysis import metrics
from core.analysis.metrics import cases_of, class_numbers, draw_subjects, measure, subject_sums
from core.analysis.scores import (
    accuracy_sentence,
    calibration,
    calibration_table,
    class_scores_table,
    roc,
    scores_figure,
    scores_table,
)
from core.errors import AnalysisError
from core.run_folder import softmax


def value_of(table, metric, column="value"):
    (row,) = [row for row in table.rows if row[0] == metric]
    return row[table.columns.index(column)]


def scatter_logits(run, seed=0, scale=1.0):
    """Give the run noisy logits, with ties, that are right more often than not."""
    features = run.features
    random = np.random.default_rng(seed)
    k = len(run.classes)
    logits = scale * np.eye(k)[features.label] + random.normal(size=(len(features.label), k))
    features.logits[:] = np.round(logits, 1)
    return features.of_part("test")


@pytest.fixture(params=["two_class_run", "three_class_run"])
def any_run(request):
    run = request.getfixturevalue(request.param)
    scatter_logits(run)
    return run


def test_that_every_number_equals_scikit_learn(any_run):
    features = any_run.features.of_part("test")
    probability, predicted = softmax(features.logits), features.logits.argmax(axis=1)
    table = scores_table(any_run)
    label, k = features.label, len(any_run.classes)
    truth = np.eye(k)[label]
    auc = np.mean([known.roc_auc_score(label == c, probability[:, c]) for c in range(k)])
    for metric, expected in (
        ("accuracy", known.accuracy_score(label, predicted)),
        ("balanced_accuracy", known.balanced_accuracy_score(label, predicted)),
        ("auc", auc),
        ("mcc", known.matthews_corrcoef(label, predicted)),
        ("brier", np.mean(np.sum((probability - truth) ** 2, axis=1))),
    ):
        assert value_of(table, metric) == pytest.approx(expected), metric


def test_that_three_classes_have_scikit_learn_s_macro_auc(three_class_run):
    features = scatter_logits(three_class_run)
    expected = known.roc_auc_score(
        features.label, softmax(features.logits), multi_class="ovr", average="macro"
    )
    assert value_of(scores_table(three_class_run), "auc") == pytest.approx(expected)


def test_that_sensitivity_and_specificity_are_of_the_chosen_class(two_class_run):
    features = scatter_logits(two_class_run)
    predicted = features.logits.argmax(axis=1)
    of_nc = known.recall_score(features.label, predicted, pos_label=1)
    of_ad = known.recall_score(features.label, predicted, pos_label=0)
    assert of_nc != of_ad
    table = scores_table(two_class_run, positive="NC")
    assert value_of(table, "sensitivity") == pytest.approx(of_nc)
    assert value_of(table, "specificity") == pytest.approx(of_ad)
    assert "Sensitivity is of NC, specificity of AD." in table.caption
    first = scores_table(two_class_run)
    assert value_of(first, "sensitivity") == pytest.approx(of_ad)
    with pytest.raises(AnalysisError, match="no class 'MCI'"):
        scores_table(two_class_run, positive="MCI")


def test_that_three_classes_are_each_measured_against_all_others(three_class_run):
    features = scatter_logits(three_class_run)
    predicted, probability = features.logits.argmax(axis=1), softmax(features.logits)
    rows = {row[:3]: row[3] for row in class_scores_table(three_class_run).rows}
    for c, name in enumerate(three_class_run.classes):
        own, called = features.label == c, predicted == c
        assert rows[name, 16, "sensitivity"] == pytest.approx(known.recall_score(own, called))
        assert rows[name, 16, "specificity"] == pytest.approx(known.recall_score(~own, ~called))
        assert rows[name, 16, "precision"] == pytest.approx(known.precision_score(own, called))
        auc = known.roc_auc_score(own, probability[:, c])
        assert rows[name, 16, "auc"] == pytest.approx(auc)
    mean = np.mean([rows[name, 16, "specificity"] for name in three_class_run.classes])
    assert value_of(scores_table(three_class_run), "specificity") == pytest.approx(mean)


def test_that_auc_equals_the_rank_sum_with_ties(two_class_run):
    features = scatter_logits(two_class_run)
    score = features.logits[:, 0].astype(float) - features.logits[:, 1]
    own = features.label == 0
    u = stats.mannwhitneyu(score[own], score[~own]).statistic
    auc = value_of(scores_table(two_class_run), "auc")
    assert auc == pytest.approx(u / own.sum() / (~own).sum())


def test_that_sure_networks_do_not_tie(two_class_run):
    features = two_class_run.features
    # Probabilities of 1 exactly; the logits still rank the slices.
    features.logits[:, 0] = 1000 + np.arange(len(features.label))
    features.logits[:, 1] = 0
    own = features.of_part("test").label == 0
    expected = known.roc_auc_score(own, np.flatnonzero(features.part == "test"))
    assert value_of(scores_table(two_class_run), "auc") == pytest.approx(expected)


def test_that_calibration_error_equals_a_hand_calculation(two_class_run):
    features = two_class_run.features
    # All sure to 0.9 or 0.6; of the sure half are right, of the others three of four.
    logit = np.log([9.0, 1.5])[(features.slice % 2)]
    right = np.where(features.slice % 2 == 0, features.slice == 40, features.subject != "S004")
    named = np.where(right, features.label, 1 - features.label)
    features.logits[:] = 0
    features.logits[np.arange(len(named)), named] = logit
    own = features.of_part("test")
    share = [np.mean(right[features.part == "test"][own.slice % 2 == odd]) for odd in (0, 1)]
    expected = 0.5 * abs(0.9 - share[0]) + 0.5 * abs(0.6 - share[1])
    assert value_of(scores_table(two_class_run), "ece") == pytest.approx(expected, abs=1e-6)
    bins = [row for row in calibration_table(two_class_run).rows if row[2]]
    assert [row[2] for row in bins] == [16, 16]
    assert [row[4] for row in bins] == pytest.approx([share[1], share[0]])
    figure = calibration(two_class_run)
    dots = figure.panels[0].layers[2]
    assert dots.x == pytest.approx([0.6, 0.9], abs=1e-6)
    assert f"ECE {expected:.3f}" in figure.panels[0].text
    assert figure.panels[1].layers[0].y.sum() == 32


def test_that_a_subject_goes_where_most_of_its_slices_go(two_class_run):
    features = two_class_run.features
    # One sure slice of four: the mean of logits follows it, the majority does not.
    features.logits[:] = np.eye(2)[1 - features.label]
    features.logits[features.slice == 40] = 9 * np.eye(2)[features.label[features.slice == 40]]
    assert value_of(scores_table(two_class_run, unit="subject"), "accuracy") == 1
    assert value_of(scores_table(two_class_run, unit="majority"), "accuracy") == 0
    cases = cases_of(two_class_run, unit="majority")
    assert sorted(set(cases.probability.ravel().tolist())) == [0.25, 0.75]


def test_that_equal_votes_are_decided_by_the_mean_logits(two_class_run):
    features = two_class_run.features
    for_it = features.slice < 42
    named = np.where(for_it, features.label, 1 - features.label)
    features.logits[:] = np.eye(2)[named]
    features.logits[features.slice == 40] *= 3
    assert value_of(scores_table(two_class_run, unit="majority"), "accuracy") == 1


def test_that_the_interval_is_that_of_subjects_not_of_slices(two_class_run):
    features = two_class_run.features
    wrong = np.isin(features.subject, ["S004", "S005", "S104", "S105"])
    named = np.where(wrong, 1 - features.label, features.label)
    features.logits[:] = np.eye(2)[named]
    table = scores_table(two_class_run)
    half = (value_of(table, "accuracy", "high") - value_of(table, "accuracy", "low")) / 2
    # Of 8 subjects half are wrong: the deviation of a mean of 8, not of 32.
    assert half == pytest.approx(1.96 * np.sqrt(0.25 / 8), rel=0.15)
    expected = stats.binomtest(4, 8).proportion_ci(method="wilson")
    wilson = [value_of(table, "accuracy", name) for name in ("wilson_low", "wilson_high")]
    assert wilson == pytest.approx([expected.low, expected.high], abs=1e-6)
    assert "fewer than 30" in table.caption
    assert accuracy_sentence(two_class_run) in table.caption
    assert "4 of 8 subjects (50.0 %, Wilson's 95 % interval 21.5 % to 78.5 %)" in table.caption


def test_that_resampled_numbers_equal_those_of_copied_slices(any_run):
    cases = cases_of(any_run)
    features = any_run.features.of_part("test")
    weights = draw_subjects(cases, resamples=5, seed=3)
    measured = measure(subject_sums(cases), weights)
    for row, weight in enumerate(weights):
        copies = np.repeat(np.arange(len(cases.label)), weight[cases.subject].astype(int))
        label, logits = features.label[copies], features.logits[copies]
        named, probability = logits.argmax(axis=1), softmax(logits)
        auc = [known.roc_auc_score(label == c, probability[:, c]) for c in set(label.tolist())]
        assert measured["auc"][row] == pytest.approx(np.mean(auc))
        assert measured["mcc"][row] == pytest.approx(known.matthews_corrcoef(label, named))
        assert measured["accuracy"][row] == pytest.approx(np.mean(label == named))


def test_that_resamples_keep_the_subjects_of_each_class(three_class_run):
    cases = cases_of(three_class_run)
    weights = draw_subjects(cases, resamples=50)
    label = np.array([cases.label[cases.subject == s][0] for s in range(len(cases.names))])
    for c in range(3):
        assert (weights[:, label == c].sum(axis=1) == 4).all()
    assert (draw_subjects(cases, resamples=50) == weights).all()


def test_that_one_class_alone_has_no_auc_and_no_roc(two_class_run):
    features = two_class_run.features
    features.part[features.label == 1] = "train"
    table = scores_table(two_class_run)
    assert np.isnan(value_of(table, "auc"))
    assert np.isnan(value_of(table, "specificity"))
    assert np.isfinite(value_of(table, "accuracy"))
    with pytest.raises(AnalysisError, match="one class only"):
        roc(two_class_run)


def test_that_the_roc_curve_equals_scikit_learn(two_class_run):
    features = scatter_logits(two_class_run)
    figure = roc(two_class_run)
    curve = next(layer for layer in figure.panels[0].layers if "against" in layer.name)
    score = features.logits[:, 0].astype(float) - features.logits[:, 1]
    false, true, _ = known.roc_curve(features.label == 0, score, drop_intermediate=False)
    assert curve.x == pytest.approx(false)
    assert curve.y == pytest.approx(true)
    assert curve.name == "AD against NC"
    area = known.roc_auc_score(features.label == 0, score)
    assert figure.panels[0].text.startswith(f"AUC AD {area:.3f} (95 % ")


def test_that_the_roc_band_holds_the_curve(two_class_run):
    scatter_logits(two_class_run)
    band, curve, decision, _ = roc(two_class_run).panels[0].layers
    on_grid = np.array([curve.y[curve.x <= x + 1e-9].max() for x in band.x])
    assert np.mean((band.low <= on_grid + 0.05) & (on_grid <= band.high + 0.05)) > 0.9
    assert band.high[50] - band.low[50] > 0.02
    features = two_class_run.features.of_part("test")
    called = features.logits.argmax(axis=1) == 0
    assert decision.y[0] == pytest.approx(called[features.label == 0].mean())


def test_that_three_classes_have_three_roc_curves(three_class_run):
    scatter_logits(three_class_run)
    panel = roc(three_class_run).panels[0]
    assert sum("against all others" in layer.name for layer in panel.layers) == 3
    assert panel.text.splitlines()[-1].startswith("macro ")


def test_that_scores_are_drawn_as_in_their_table(any_run):
    figure = scores_figure(any_run, unit="subject")
    dots = figure.panels[0].layers[2]
    table = scores_table(any_run, unit="subject")
    assert dots.y.tolist() == [value_of(table, name) for name in metrics.METRICS]
    intervals = figure.panels[0].layers[0]
    assert intervals.y[0] == value_of(table, "accuracy", "low")
    assert intervals.y[1] == value_of(table, "accuracy", "high")


def test_that_empty_parts_are_refused(two_class_run):
    two_class_run.features.part[:] = "train"
    with pytest.raises(AnalysisError, match="no slices"):
        scores_table(two_class_run)


def test_that_class_numbers_are_undefined_where_nothing_is_named(two_class_run):
    two_class_run.features.logits[:] = [1, 0]
    cases = cases_of(two_class_run)
    numbers = class_numbers(subject_sums(cases), np.ones((1, len(cases.names))))
    assert np.isnan(numbers["precision"][0, 1])
    assert value_of(scores_table(two_class_run), "mcc") == 0


def test_that_a_leak_is_carried_by_every_score(build_run):
    run = build_run(record={"shared_subjects": 4})
    for make in (scores_table, class_scores_table, scores_figure, roc, calibration):
        assert make(run).warning.startswith("Leaking split")
    assert calibration_table(run).warning.startswith("Leaking split")
