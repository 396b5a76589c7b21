from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from core.analysis.evaluation import (
    BATCH_NORM_NOTE,
    accuracy,
    accuracy_by_subject,
    accuracy_table,
    confusion,
    confusion_table,
    curves,
    wilson_interval,
)
from core.errors import AnalysisError


def row_of(table, *key):
    return dict(
        zip(table.columns, next(row for row in table.rows if row[: len(key)] == key), strict=True)
    )


@pytest.mark.parametrize(("correct", "n"), [(0, 8), (3, 8), (8, 8), (480, 504), (1, 1)])
def test_that_wilson_s_interval_equals_scipy(correct, n):
    expected = stats.binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_that_no_cases_have_no_interval():
    assert all(math.isnan(value) for value in wilson_interval(0, 0))


def test_that_scores_equal_a_hand_calculation(two_class_run):
    features = two_class_run.features.of_part("test")
    # 16 slices a class, 4 subjects each: AD right in 3 of 4 slices, NC in 1 of 4.
    right = np.where(features.label == 0, features.slice < 43, features.slice < 41)
    named = np.where(right, features.label, 1 - features.label)
    features.logits[:] = np.eye(2)[named]
    score = accuracy(features)
    assert (score.n, score.correct, score.accuracy) == (32, 16, 0.5)
    assert (score.balanced_accuracy, score.chance) == (0.5, 0.5)
    assert math.isnan(score.low)
    by_subject = accuracy_by_subject(features)
    assert (by_subject.n, by_subject.correct) == (8, 4)
    assert (by_subject.low, by_subject.high) == pytest.approx(
        tuple(stats.binomtest(4, 8).proportion_ci(method="wilson")), abs=1e-7
    )


def test_that_balanced_accuracy_and_chance_heed_unequal_classes(two_class_run):
    features = two_class_run.features.of_part("test")
    kept = np.r_[0:4, 16:32]
    few = type(features)(**{name: value[kept] for name, value in vars(features).items()})
    few.logits[:] = [0, 1]  # always names NC
    score = accuracy(few)
    assert score.accuracy == score.chance == 0.8
    assert score.balanced_accuracy == 0.5


def test_that_a_subject_is_named_by_its_mean_logits(two_class_run):
    features = two_class_run.features.of_part("test")
    # One sure slice outvotes three unsure wrong ones.
    features.logits[:] = np.eye(2)[1 - features.label]
    first = features.slice == 40
    features.logits[first] = 10 * np.eye(2)[features.label[first]]
    assert accuracy(features).accuracy == 0.25
    assert accuracy_by_subject(features).accuracy == 1


def test_that_the_table_has_intervals_for_subjects_only(two_class_run):
    table = accuracy_table(two_class_run)
    assert table.name == "accuracy"
    assert [row[:3] for row in table.rows] == [
        ("train", "slice", 24),
        ("train", "subject", 6),
        ("validation", "slice", 8),
        ("validation", "subject", 2),
        ("test", "slice", 32),
        ("test", "subject", 8),
    ]
    assert math.isnan(row_of(table, "test", "slice")["low"])
    by_subject = row_of(table, "test", "subject")
    assert by_subject["low"] <= by_subject["accuracy"] <= by_subject["high"]


def test_that_empty_parts_are_left_out_and_broken_ones_refused(two_class_run):
    features = two_class_run.features
    features.part[features.part == "validation"] = "train"
    assert {row[0] for row in accuracy_table(two_class_run).rows} == {"train", "test"}
    features.logits[-1] = np.inf
    with pytest.raises(AnalysisError, match="diverged"):
        accuracy_table(two_class_run)


def test_that_confusion_counts_true_by_predicted(three_class_run):
    features = three_class_run.features
    named = np.where(features.label == 2, 1, features.label)  # NC is taken for MCI
    features.logits[:] = np.eye(3)[named]
    heat = confusion(three_class_run).panels[0].layers[0]
    assert heat.values.tolist() == [[16, 0, 0], [0, 16, 0], [0, 16, 0]]
    assert heat.format == ".0f"
    by_subject = confusion(three_class_run, by="subject").panels[0]
    assert by_subject.title == "8 of 12 subjects right"
    by_majority = confusion(three_class_run, by="majority")
    assert by_majority.panels[0].title == "8 of 12 subjects right"
    assert by_majority.title.endswith("by subject, majority of slices")
    table = confusion_table(three_class_run)
    assert row_of(table, "NC") == {
        "true": "NC",
        "predicted_AD": 0,
        "predicted_MCI": 16,
        "predicted_NC": 0,
        "n": 16,
        "recall": 0,
    }


def test_that_a_class_without_cases_has_no_recall(two_class_run):
    features = two_class_run.features
    features.part[features.label == 1] = "train"
    assert math.isnan(row_of(confusion_table(two_class_run), "NC")["recall"])


def test_that_curves_show_training_and_validation(two_class_run):
    loss, share = curves(two_class_run).panels
    assert [item.name for item in loss.layers] == ["training", "validation"]
    assert loss.layers[1].y == pytest.approx([1.1, 0.55, 1.1 / 3])
    assert (share.y.low, share.y.high) == (0, 1)
    assert share.layers[2].y.tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("network", "regime", "is_said"),
    [
        ("googlenet", "scratch", True),
        ("resnet101", "scratch", True),
        ("cnn2d", "scratch", True),
        ("vgg19", "scratch", False),
        ("googlenet", "frozen", False),
    ],
)
def test_that_swings_of_batch_norm_are_explained_beside_the_curve(
    build_run, network, regime, is_said
):
    caption = curves(build_run(network=network, regime=regime)).caption
    assert (BATCH_NORM_NOTE in caption) is is_said


def test_that_a_run_without_epochs_has_no_curves(two_class_run):
    (two_class_run.path / "history.csv").unlink()
    with pytest.raises(AnalysisError, match="no finished epoch"):
        curves(two_class_run)


def test_that_a_leak_is_carried_by_every_figure(build_run):
    run = build_run(record={"shared_subjects": 4})
    for item in (accuracy_table(run), confusion(run), confusion_table(run), curves(run)):
        assert item.warning.startswith("Leaking split")
