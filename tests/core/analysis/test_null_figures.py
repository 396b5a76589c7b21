from __future__ import annotations

import numpy as np
import pytest

from core.analysis.control_runs import chosen_controls, shuffled_label_runs
from core.analysis.null_figures import (
    centred_rows_figure,
    centred_rows_table,
    fcl_null,
    nulls_figure,
    nulls_table,
)
from core.analysis.softmax_null import softmax_null
from core.errors import AnalysisError, RunError
from core.figure import Scatter


def dots(panel):
    return {layer.name: layer for layer in panel.layers if isinstance(layer, Scatter)}


def row_of(table, source):
    row = next(row for row in table.rows if row[2] == source)
    return dict(zip(table.columns, row, strict=True))


@pytest.fixture
def control(build_run, two_class_run):
    return build_run(shuffled_labels=True, weight_seed=5)


def test_that_each_null_is_switched_by_itself(two_class_run, control):
    def names(**options):
        return set(dots(fcl_null(two_class_run, **options).panels[0]))

    assert names() == {"before training", "epoch 3"}
    assert names(show_start=False) == {"epoch 3"}
    assert names(show_start=False, show_permuted=True) == {"permuted rows", "epoch 3"}
    assert names(show_start=False, controls=[control]) == {"shuffled labels 1", "epoch 3"}


def test_that_permuted_rows_keep_each_row_and_undo_the_pairing(build_run):
    run = build_run(n_features=512)
    layer = dots(fcl_null(run, show_permuted=True).panels[0])["permuted rows"]
    x, y = (layer.x + layer.y) / 2, (layer.x - layer.y) / 2
    weight, _ = run.fc_history.at()
    assert x == pytest.approx(weight[0], abs=1e-6)
    assert np.sort(y) == pytest.approx(np.sort(weight[1]), abs=1e-6)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.15 < abs(np.corrcoef(*weight)[0, 1])


def test_that_dots_of_other_runs_are_no_features_of_this_one(two_class_run, control):
    shown = dots(fcl_null(two_class_run, show_permuted=True, controls=[control]).panels[0])
    assert not shown["shuffled labels 1"].ids
    assert not shown["permuted rows"].ids
    assert shown["epoch 3"].ids[7] == "feature 7"


def test_that_every_null_stands_beside_the_run(two_class_run, control):
    table = nulls_table(two_class_run, controls=[control])
    assert [row[2] for row in table.rows] == [
        "this run",
        "softmax null",
        "its epoch 0",
        "permuted rows",
        "shuffled labels 1",
    ]
    null = softmax_null(two_class_run)
    assert row_of(table, "this run")["correlation"] == null.measured_correlation
    assert row_of(table, "softmax null")["slope_low"] == null.slope_band[0]
    start, _ = two_class_run.fc_history.at(0)
    assert row_of(table, "its epoch 0")["correlation"] == pytest.approx(np.corrcoef(start)[0, 1])
    shuffled = softmax_null(control).measured_correlation
    assert row_of(table, "shuffled labels 1")["correlation"] == shuffled
    assert control.name in table.caption
    assert "labels were shuffled" in table.warning


def test_that_permuted_rows_spread_as_independent_columns_do(build_run):
    row = row_of(nulls_table(build_run(n_features=400)), "permuted rows")
    # The correlation of n shuffled pairs has variance 1 / (n - 1) exactly.
    assert row["correlation"] == pytest.approx(0, abs=0.01)
    assert row["correlation_high"] == pytest.approx(1.96 / np.sqrt(399), rel=0.15)
    assert row == row_of(nulls_table(build_run(n_features=400)), "permuted rows")


def test_that_the_figure_draws_the_table(two_class_run):
    table, figure = nulls_table(two_class_run), nulls_figure(two_class_run)
    assert [panel.title for panel in figure.panels] == [
        "Correlation, AD and NC",
        "Slope, AD and NC",
    ]
    shown = dots(figure.panels[0])
    assert shown["this run"].y.tolist() == [table.rows[0][3]]
    assert shown["nulls"].y.tolist() == [row[3] for row in table.rows[1:]]
    assert figure.panels[0].x.categories == tuple(row[2] for row in table.rows)


def test_that_runs_of_shuffled_labels_beside_it_are_found(build_run, two_class_run, control):
    build_run(("AD", "MCI", "NC"), shuffled_labels=True)
    build_run(network="resnet101", shuffled_labels=True)
    build_run()
    assert [run.name for run in shuffled_label_runs(two_class_run)] == [control.name]
    assert shuffled_label_runs(control) == ()


def test_that_a_run_that_is_no_null_is_refused_in_words(build_run, two_class_run, tmp_path):
    for other, said in (
        (two_class_run, "the same run"),
        (build_run(), "labels were not shuffled"),
        (build_run(("AD", "MCI"), shuffled_labels=True), "classes are AD, MCI"),
        (build_run(network="vgg19", shuffled_labels=True), "network is VGG-19"),
    ):
        with pytest.raises(AnalysisError, match=said):
            chosen_controls(two_class_run, [other.path])
    with pytest.raises(RunError, match="no run folder"):
        chosen_controls(two_class_run, [tmp_path])


def test_that_rows_without_their_mean_meet_numpy(three_class_run):
    weight = three_class_run.fc_history.at()[0].astype(float)
    expected = np.corrcoef(weight - weight.mean(axis=0))
    heat = centred_rows_figure(three_class_run).panels[0].layers[0]
    assert heat.values == pytest.approx(expected)
    table = centred_rows_table(three_class_run)
    assert [row[2] for row in table.rows] == pytest.approx(expected[np.triu_indices(3, 1)])
    assert {row[3] for row in table.rows} == {-0.5}


def test_that_symmetric_classes_do_not_depart(build_run):
    from core.run_folder import FcHistory, Run, reopen_run

    run = build_run(("AD", "MCI", "NC"))
    weight = np.random.default_rng(0).normal(size=(2, 3, 5000)).astype(np.float32)
    weight += 10  # a mean row that would hide all else
    reopen_run(run.path).write_fc_history(
        FcHistory(np.arange(2), weight, np.zeros((2, 3), np.float32))
    )
    for row in centred_rows_table(Run(run.path)).rows:
        assert row[2] == pytest.approx(-0.5, abs=0.04)
        assert abs(row[5]) < 4


def test_that_with_two_classes_it_is_said_to_say_nothing(two_class_run):
    figure = centred_rows_figure(two_class_run)
    assert figure.panels[0].layers[0].values[0, 1] == pytest.approx(-1)
    assert "says nothing" in figure.caption
    assert centred_rows_table(two_class_run).rows[0][5] is None


def test_that_a_leak_is_carried_by_figures_of_nulls(build_run):
    run = build_run(("AD", "MCI", "NC"), record={"shared_subjects": 4})
    for item in (
        nulls_figure(run),
        nulls_table(run),
        centred_rows_figure(run),
        centred_rows_table(run),
    ):
        assert "Leaking split: 4 subjects" in item.warning
