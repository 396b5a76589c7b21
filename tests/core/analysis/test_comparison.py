from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from core.analysis.comparison import (
    PAPER_TABLE_2,
    accuracy_difference,
    claims,
    paper_row,
    row_regime,
    table_2,
)

# Khagi & Kwon (2022), JMIS 9(3), Table 2, copied from its text: accuracies in per cent of
# training, validation and test, then min:sec.
PRINTED_TABLE_2 = """
resnet101 frozen 20 100 92.6 93.2 4:04
resnet101 fine-tuned 20 100 97.2 98.1 7:48
resnet101 scratch 20 100 95.8 96.5 8:29
resnet101 scratch_long 50 100 97.8 98.2 22:48
googlenet frozen 30 82 76.5 78.6 2:12
googlenet fine-tuned 30 100 96.7 97.2 3:21
googlenet scratch 30 99 96.4 96.8 3:10
googlenet scratch_long 60 100 97.6 97.6 6:27
vgg19 frozen 30 80 79.46 76.59 2:24
vgg19 fine-tuned 30 100 98.21 99.12 3:55
vgg19 scratch 30 88 83.63 88.69 3:52
vgg19 scratch_long 60 99 96.43 97.82 7:46
"""


def rows_of(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def verdicts(table, network="GoogLeNet"):
    return [row["verdict"] for row in rows_of(table) if row["network"] == network]


@pytest.fixture
def four_runs(build_run):
    """The four rows of GoogLeNet: every subject right in the given share of its slices."""
    return [
        build_run(regime="frozen", epochs=30, right=0.25),
        build_run(regime="fine-tuned", epochs=30, right=1.0),
        build_run(regime="scratch", epochs=30, right=0.5),
        build_run(regime="scratch", epochs=60, right=0.75),
    ]


def test_that_the_paper_s_table_is_as_printed():
    read = []
    for line in PRINTED_TABLE_2.strip().splitlines():
        network, regime, epochs, *shares, time = line.split()
        minutes, seconds = time.split(":")
        read.append(
            (
                network,
                regime.replace("_", " "),
                int(epochs),
                *(float(share) / 100 for share in shares),
                60 * int(minutes) + int(seconds),
            )
        )
    ours = [dataclasses.astuple(row) for row in PAPER_TABLE_2]
    assert [row[:3] for row in ours] == [row[:3] for row in read]
    assert [row[3:] for row in ours] == [pytest.approx(row[3:]) for row in read]


@pytest.mark.parametrize(
    ("network", "epochs", "regime"),
    [
        ("resnet101", 20, "scratch"),
        ("resnet101", 50, "scratch long"),
        ("googlenet", 30, "scratch"),
        ("googlenet", 60, "scratch long"),
        ("vgg19", 31, "scratch long"),
        ("cnn2d", 50, "scratch"),
    ],
)
def test_that_more_epochs_than_the_short_row_are_the_long_row(build_run, network, epochs, regime):
    run = build_run(network=network, epochs=epochs)
    assert row_regime(run) == regime
    assert (paper_row(run) is None) == (network == "cnn2d")


def test_that_table_2_sets_the_paper_beside_ours(four_runs):
    table = table_2(four_runs[::-1])
    assert table.name == "table_2"
    rows = rows_of(table)
    assert [row["regime"] for row in rows] == ["frozen", "fine-tuned", "scratch", "scratch long"]
    assert [row["test_accuracy"] for row in rows] == [0.25, 1, 0.5, 0.75]
    tuned = rows[1]
    assert tuned["network"] == "GoogLeNet"
    assert (tuned["epochs"], tuned["split"], tuned["seconds"]) == (30, "subject", 60.0)
    assert (tuned["paper_train"], tuned["paper_validation"]) == (1.0, 0.967)
    assert (tuned["paper_test"], tuned["paper_seconds"]) == (0.972, 201)
    assert tuned["difference_test"] == pytest.approx(0.028)
    assert tuned["test_accuracy_by_subject"] == 1
    assert tuned["run"] == four_runs[1].name


def test_that_a_run_without_a_paper_row_has_empty_cells(three_class_run):
    (row,) = rows_of(table_2([three_class_run]))
    assert row["network"] == "Custom CNN"
    assert row["paper_test"] is None
    assert row["difference_test"] is None


def test_that_a_run_without_features_shows_its_last_curves(build_run):
    (row,) = rows_of(table_2([build_run(with_features=False)]))
    assert row["train_accuracy"] == pytest.approx(1 - 0.5 / 3)
    assert row["test_accuracy"] is None
    assert row["test_accuracy_by_subject"] is None


def test_that_a_run_without_an_epoch_is_an_empty_row(build_run):
    run = build_run(with_features=False)
    (run.path / "history.csv").unlink()
    (row,) = rows_of(table_2([run]))
    assert (row["epochs"], row["seconds"], row["train_accuracy"]) == (0, None, None)
    assert row["warning"] == "Only 0 of 3 epochs were trained."


def test_that_a_run_without_test_slices_has_no_test_accuracy(build_run):
    run = build_run()
    run.features.part[:] = "train"
    (row,) = rows_of(table_2([run]))
    assert row["test_accuracy"] is None
    assert row["difference_test"] is None


def test_that_a_leak_stands_in_its_row_and_over_the_table(build_run):
    leaking = build_run(record={"shared_subjects": 3})
    table = table_2([build_run(regime="frozen"), leaking])
    assert [bool(row["warning"]) for row in rows_of(table)] == [False, True]
    assert leaking.name in table.warning
    assert leaking.name in claims([build_run(), leaking]).warning


def test_that_clear_differences_hold(four_runs):
    table = claims(four_runs)
    assert len(table.rows) == 9
    assert verdicts(table) == ["holds"] * 3
    numbers = rows_of(table)[3]["numbers"]
    assert "fine-tuned 100.0 % against frozen 25.0 %: +75.0 points" in numbers
    assert "8 subjects" in numbers
    assert rows_of(table)[3]["paper"].startswith("fine-tuned 97.2 % against frozen 78.6 %")


def test_that_reversed_differences_are_refuted(build_run):
    runs = [
        build_run(regime="frozen", epochs=30, right=1.0),
        build_run(regime="fine-tuned", epochs=30, right=0.25),
        build_run(regime="scratch", epochs=30, right=0.75),
        build_run(regime="scratch", epochs=60, right=0.5),
    ]
    assert verdicts(claims(runs)) == ["refuted"] * 3


def test_that_equal_runs_are_at_least_as_good_but_not_the_highest(build_run):
    runs = [
        build_run(regime=regime, epochs=epochs, right=0.75)
        for regime, epochs in (
            ("frozen", 30),
            ("fine-tuned", 30),
            ("scratch", 30),
            ("scratch", 60),
        )
    ]
    assert verdicts(claims(runs)) == ["cannot be told", "cannot be told", "holds"]


def test_that_missing_rows_leave_a_claim_open(four_runs):
    table = claims(four_runs[2:])
    assert verdicts(table) == ["cannot be told", "cannot be told", "holds"]
    assert "no finished run: frozen, fine-tuned" in rows_of(table)[3]["numbers"]
    assert verdicts(table, "VGG-19") == ["cannot be told"] * 3


def test_that_unfinished_and_control_runs_judge_nothing(build_run):
    runs = [
        build_run(regime="scratch", epochs=30, right=0.5, state="stopped"),
        build_run(regime="scratch", epochs=60, right=0.75, shuffled_labels=True),
    ]
    assert verdicts(claims(runs)) == ["cannot be told"] * 3


def test_that_runs_split_differently_are_not_compared(build_run):
    runs = [
        build_run(epochs=30, right=0.5),
        build_run(epochs=60, right=0.75, mode="slice"),
    ]
    table = claims(runs)
    assert verdicts(table)[2] == "cannot be told"
    assert "split differently: slice, subject" in rows_of(table)[5]["numbers"]


def test_that_few_subjects_tell_nothing(four_runs):
    for run in four_runs:
        few = np.isin(run.features.subject, ["S004", "S104"])
        run.features.part[~few] = "train"
    assert verdicts(claims(four_runs)) == ["cannot be told"] * 3


def test_that_the_interval_of_a_difference_resamples_whole_subjects(build_run):
    first, second = build_run(right=1.0), build_run(right=1.0)
    features = second.features
    # Four of eight test subjects wholly wrong: the difference is 0.5 with the deviation of
    # a mean of 8, not of 32: sqrt(0.25 / 8) = 0.177.
    wrong = np.isin(features.subject, ["S004", "S005", "S104", "S105"])
    features.logits[wrong] *= -1
    difference = accuracy_difference(first, second)
    assert difference.value == 0.5
    assert (difference.high - difference.low) / 2 == pytest.approx(1.96 * 0.177, rel=0.15)
    assert difference.subjects == 8


def test_that_other_test_subjects_are_resampled_on_their_own(build_run):
    first, second = build_run(right=1.0), build_run(right=0.5)
    second.features.part[second.features.subject == "S004"] = "train"
    difference = accuracy_difference(first, second)
    assert difference.value == 0.5
    assert difference.subjects == 7
