from __future__ import annotations

import numpy as np
import pytest

from core.analysis.leakage_meter import (
    inflation,
    inflation_figure,
    inflation_table,
    meter_warning,
    meters_of,
)
from core.errors import AnalysisError


@pytest.fixture
def two_runs(build_run):
    """By subject half of each test subject's slices are right, by slice three of four."""
    return build_run(right=0.5), build_run(right=0.75, mode="slice", record={"shared_subjects": 8})


def test_that_the_inflation_is_the_difference_of_the_accuracies(two_runs):
    by_subject, by_slice = two_runs
    found = inflation([by_subject], [by_slice])
    assert (found.by_subject, found.by_slice, found.value) == (0.5, 0.75, 0.25)
    # Every subject has the same share: resampling subjects changes nothing.
    assert (found.low, found.high) == (0.25, 0.25)
    assert (found.subjects, found.chance, found.shuffled) == (8, 0.5, False)
    assert "75.0 %" in found.sentence()
    assert "leakage adds +25.0 points (95 % +25.0 to +25.0, 8 test subjects)" in found.sentence()


def test_that_the_interval_is_that_of_subjects(two_runs):
    by_subject, by_slice = two_runs
    features = by_subject.features
    # Half of the eight subjects wholly right, the others wholly wrong.
    is_right = np.isin(features.subject, ["S004", "S005", "S104", "S105"])
    features.logits[:] = np.eye(2)[np.where(is_right, features.label, 1 - features.label)]
    found = inflation([by_subject], [by_slice])
    assert found.value == 0.25
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 / 8), rel=0.15)


def test_that_subjects_tested_under_both_splits_count_alike_in_both(two_runs):
    by_subject, by_slice = two_runs
    right = ["S004", "S005", "S104", "S105"]
    for run in two_runs:
        features = run.features
        is_right = np.isin(features.subject, right)
        features.logits[:] = np.eye(2)[np.where(is_right, features.label, 1 - features.label)]
    found = inflation([by_subject], [by_slice])
    # The same subjects are easy under both: whichever are drawn, there is no difference.
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_that_seeds_are_averaged_and_their_spread_is_told(build_run):
    by_subject = [build_run(right=right, seed=seed) for seed, right in enumerate((0.25, 0.75))]
    by_slice = [build_run(right=1.0, mode="slice", seed=seed) for seed in (0, 1)]
    found = inflation(by_subject, by_slice)
    assert (found.by_subject, found.value) == (0.5, 0.5)
    assert found.subject_runs == (0.25, 0.75)
    row = dict(zip(inflation_table([found]).columns, inflation_table([found]).rows[0], strict=True))
    assert row["by_subject_sd"] == pytest.approx(np.std([0.25, 0.75], ddof=1))
    assert (row["inflation_points"], row["runs_by_slice"], row["labels"]) == (50, 2, "true")
    seeds = [x for x in inflation_figure([found]).panels[0].layers if "each seed" in x.name]
    assert seeds[1].y.tolist() == [0.25, 0.75]


def test_that_runs_that_differ_in_more_than_the_split_are_refused(two_runs, build_run):
    other = build_run(mode="slice", learning_rate=0.5)
    with pytest.raises(AnalysisError, match="differ in more than split and seed"):
        inflation([two_runs[0]], [other])
    with pytest.raises(AnalysisError, match="differ in more"):
        inflation([two_runs[0]], [build_run(mode="slice", shuffled_labels=True)])
    with pytest.raises(AnalysisError, match="needs a run"):
        inflation([two_runs[0]], [])


def test_that_runs_of_the_same_settings_are_found_among_others(two_runs, build_run):
    control = [
        build_run(right=0.5, shuffled_labels=True),
        build_run(right=1.0, shuffled_labels=True, mode="slice"),
    ]
    others = [
        build_run(learning_rate=0.5),
        build_run(learning_rate=0.5, mode="slice"),
        build_run(state="stopped"),
        build_run(mode="kfold"),
        build_run(with_features=False),
    ]
    true, shuffled = meters_of([*others, *control, *two_runs], two_runs[0].settings)
    assert (true.value, true.shuffled) == (0.25, False)
    assert (shuffled.value, shuffled.shuffled) == (0.5, True)
    assert "50.0 % is chance" in shuffled.sentence()
    assert len(inflation_table([true, shuffled]).rows) == 2
    names = inflation_figure([true, shuffled]).panels[0].x.categories
    assert names == ("by slice", "by subject", "by slice, shuffled", "by subject, shuffled")


def test_that_one_split_alone_measures_nothing(two_runs):
    assert meters_of(two_runs[:1], two_runs[0].settings) == ()
    with pytest.raises(AnalysisError, match="no two runs"):
        inflation_figure(())


def test_that_the_same_seed_trained_twice_counts_once(two_runs, build_run):
    again = build_run(right=1.0)
    (found,) = meters_of([*two_runs, again], again.settings)
    assert found.subject_runs == (1.0,)


def test_that_three_classes_are_measured(build_run):
    runs = [
        build_run(("AD", "MCI", "NC"), network="cnn2d"),
        build_run(("AD", "MCI", "NC"), network="cnn2d", mode="slice"),
    ]
    found = inflation(runs[:1], runs[1:])
    assert found.chance == pytest.approx(1 / 3)
    assert found.value == 0


def test_that_the_meter_s_own_leak_is_no_warning_but_others_are(two_runs, build_run):
    assert meter_warning(two_runs) == ""
    odd = build_run(record={"duplicate_slices": 2})
    assert "2 slices have an equal one" in meter_warning([*two_runs, odd])
