from __future__ import annotations

import numpy as np
import pytest

from core.analysis.comparison import PAPER_TABLE_2, claims, pooled_difference
from core.analysis.paper_table import paper_figure, paper_table


def rows_of(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def row_of(table, network, regime, split=None):
    (row,) = [
        row
        for row in rows_of(table)
        if (row["network"], row["regime"]) == (network, regime) and split in (None, row["split"])
    ]
    return row


def test_that_all_twelve_rows_stand_in_the_paper_s_order(build_run):
    table = paper_table([build_run(epochs=30, right=0.5)])
    assert [(row["paper_test"], row["paper_epochs"]) for row in rows_of(table)] == [
        (row.test, row.epochs) for row in PAPER_TABLE_2
    ]
    assert [row["runs"] for row in rows_of(table)] == [0] * 6 + [1] + [0] * 5


def test_that_seeds_are_averaged_with_their_deviation(build_run):
    runs = [build_run(epochs=30, right=right, seed=i) for i, right in enumerate((0.5, 0.75, 1.0))]
    row = row_of(paper_table(runs), "GoogLeNet", "scratch")
    assert (row["runs"], row["split"], row["test"]) == (3, "subject", 0.75)
    assert row["test_sd"] == pytest.approx(np.std([0.5, 0.75, 1.0], ddof=1))
    assert row["difference_test"] == pytest.approx(0.75 - 0.968)
    assert row["seconds"] == 60
    assert row["warning"] == ""
    one = row_of(paper_table(runs[:1]), "GoogLeNet", "scratch")
    assert one["test_sd"] is None


def test_that_splits_are_never_averaged_together(build_run):
    runs = [
        build_run(epochs=30, right=0.5),
        build_run(epochs=30, right=1.0, mode="slice", record={"shared_subjects": 8}),
    ]
    table = paper_table(runs)
    assert len(table.rows) == 13
    assert row_of(table, "GoogLeNet", "scratch", "subject")["test"] == 0.5
    by_slice = row_of(table, "GoogLeNet", "scratch", "slice")
    assert by_slice["test"] == 1
    assert by_slice["warning"].startswith("Leaking split")
    assert runs[1].name in table.warning


def test_that_unfinished_control_and_other_runs_fill_no_row(build_run):
    runs = [
        build_run(state="stopped"),
        build_run(shuffled_labels=True),
        build_run(network="cnn2d"),
        build_run(with_features=False),
    ]
    assert [row["runs"] for row in rows_of(paper_table(runs))] == [0] * 12


def test_that_other_epochs_than_the_paper_s_are_said(build_run):
    row = row_of(paper_table([build_run(epochs=3)]), "GoogLeNet", "scratch")
    assert row["warning"] == "Trained 3 epochs, the paper 30."


def test_that_ours_are_drawn_by_split_beside_the_paper_s(build_run):
    runs = [
        build_run(epochs=30, right=0.5, seed=0),
        build_run(epochs=30, right=1.0, seed=1),
        build_run(epochs=60, right=1.0, mode="slice"),
    ]
    panel = paper_figure(runs).panels[0]
    paper, by_subject, deviation, by_slice = panel.layers
    assert paper.x.tolist() == [row.test for row in PAPER_TABLE_2]
    assert panel.y.categories[int(by_subject.y[0])] == "GoogLeNet, scratch"
    assert by_subject.x.tolist() == [0.75]
    half = np.std([0.5, 1.0], ddof=1)
    assert deviation.x[:2] == pytest.approx([0.75 - half, 0.75 + half])
    assert panel.y.categories[int(by_slice.y[0])] == "GoogLeNet, scratch long"
    assert panel.x.low < 0.5


def test_that_a_claim_is_judged_on_all_seeds(build_run):
    shares = {30: (1.0, 0.25), 60: (0.75, 1.0)}
    runs = [
        build_run(regime="scratch", epochs=epochs, right=right, seed=seed)
        for epochs, of_seed in shares.items()
        for seed, right in enumerate(of_seed)
    ]
    (row,) = [
        row
        for row in rows_of(claims(runs))
        if row["network"] == "GoogLeNet" and row["claim"].startswith("longer")
    ]
    assert row["verdict"] == "holds"
    assert "scratch long 87.5 % against scratch 62.5 %: +25.0 points" in row["numbers"]
    assert pooled_difference(runs[2:], runs[:2]).value == 0.25
