from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.analysis.correlation import (
    correlate,
    permutation_p_value,
    row_correlation,
    row_correlation_table,
)
from core.analysis.scan_correlation import (
    MOST_SCANS_SHOWN,
    scan_map,
    weight_class_correlation_table,
    weight_scan_correlation,
    weight_scan_correlation_table,
)
from core.analysis.weights import softmax_null
from core.errors import AnalysisError


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


@pytest.mark.parametrize(
    ("method", "second"), [("pearson", stats.pearsonr), ("spearman", stats.spearmanr)]
)
def test_that_correlations_equal_scipy(method, second):
    random = np.random.default_rng(0)
    a, b = random.integers(0, 9, (2, 30)), random.normal(size=(3, 30))
    values = correlate(a, b, method=method)
    assert values.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            assert values[i, j] == pytest.approx(second(a[i], b[j]).statistic)


def test_that_a_constant_row_has_no_correlation():
    values = correlate([[0.1, 0.1, 0.1], [1, 2, 3]], [[1, 2, 4]])
    assert np.isnan(values[0, 0])
    assert np.isnan(permutation_p_value([0.1, 0.1, 0.1], [1, 2, 4]))


def test_that_permutation_p_values_equal_scipy():
    random = np.random.default_rng(0)
    x = random.normal(size=25)
    y = 0.3 * x + random.normal(size=25)
    expected = stats.permutation_test(
        (x,),
        lambda shuffled: stats.pearsonr(shuffled, y).statistic,
        permutation_type="pairings",
        n_resamples=4000,
        rng=np.random.default_rng(1),
    ).pvalue
    assert permutation_p_value(x, y) == pytest.approx(expected, abs=0.04)


def test_that_a_p_value_is_never_zero_and_the_same_each_time():
    x = np.arange(50.0)
    assert permutation_p_value(x, -x) == 1 / 1000
    assert permutation_p_value(x, np.sin(x)) == permutation_p_value(x, np.sin(x))


def test_that_two_rows_are_one_heat_map(two_class_run):
    figure = row_correlation(two_class_run)
    heat = figure.panels[0].layers[0]
    weight, _ = two_class_run.fc_history.at()
    assert len(figure.panels) == 1
    assert heat.values == pytest.approx(np.corrcoef(weight.astype(float)))
    assert (heat.low, heat.high, heat.diverging) == (-1, 1, True)
    assert heat.rows == heat.columns == ("AD", "NC")


def test_that_three_rows_also_show_the_mean_row_removed(three_class_run):
    figure = row_correlation(three_class_run, epoch=2, method="spearman")
    assert len(figure.panels) == 2
    assert "-0.50" in figure.panels[1].title
    weight = three_class_run.fc_history.at(2)[0].astype(float)
    centred = weight - weight.mean(axis=0)
    assert figure.panels[1].layers[0].values == pytest.approx(stats.spearmanr(centred.T).statistic)


def test_that_the_row_table_sets_the_null_beside(three_class_run):
    table = row_correlation_table(three_class_run)
    assert len(table.rows) == 3
    assert column(table, "null")[1] == softmax_null(three_class_run, ("AD", "NC")).predicted_slope
    assert column(table, "mean_row_removed_symmetric") == [-0.5] * 3
    assert column(table, "bias_x")[0] == pytest.approx(three_class_run.fc_history.bias[-1, 0])
    assert all(0 < value <= 1 for value in column(table, "p_value"))


def test_that_the_mean_row_removed_is_minus_one_for_two_classes(two_class_run):
    assert column(row_correlation_table(two_class_run), "mean_row_removed") == pytest.approx([-1])


def test_that_scans_are_averaged_over_slices_then_scans(two_class_run):
    features = two_class_run.features
    weight, _ = two_class_run.fc_history.at()
    table = weight_scan_correlation_table(two_class_run)
    assert len(table.rows) == 8
    assert column(table, "slices") == [4] * 8
    own = np.flatnonzero(features.scan == table.rows[0][0])
    by_hand = np.mean([stats.pearsonr(features.penultimate[i], weight[1])[0] for i in own])
    assert column(table, "row_NC")[0] == pytest.approx(by_hand)
    heat = weight_scan_correlation(two_class_run).panels[0].layers[0]
    of_nc = [row[-2:] for row in table.rows if row[2] == "NC"]
    assert heat.values[1] == pytest.approx(np.mean(of_nc, axis=0))
    assert heat.rows == ("AD scans", "NC scans")


def test_that_rows_correlate_more_with_their_own_class(build_run):
    run = build_run(separation=3.0, epochs=8)
    figure = weight_scan_correlation(run, part="all")
    values = figure.panels[0].layers[0].values
    assert values[0, 0] > values[1, 0]
    assert values[1, 1] > values[0, 1]
    assert "Own class above the others: row AD +" in figure.caption
    assert "(p = 0.001)" in figure.caption
    assert "16 subjects" in figure.caption
    assert "Biases: AD " in figure.caption


def test_that_chosen_scans_alone_can_be_shown(two_class_run):
    table = weight_scan_correlation_table(two_class_run, scans=["S004_MR1", "S104_MR1"])
    assert [row[0] for row in table.rows] == ["S004_MR1", "S104_MR1"]
    one_class = weight_scan_correlation(two_class_run, scans=["S004_MR1"])
    assert np.isnan(one_class.panels[0].layers[0].values[1]).all()
    assert "Own class" not in one_class.caption
    with pytest.raises(AnalysisError, match="None of the chosen scans"):
        weight_scan_correlation_table(two_class_run, scans=["S000_MR1"])


def test_that_a_slice_without_active_features_does_not_void_its_scan(two_class_run):
    features = two_class_run.features
    first = np.flatnonzero(features.scan == "S004_MR1")
    features.penultimate[first[0]] = 0
    table = weight_scan_correlation_table(two_class_run)
    assert np.isfinite(table.rows[0][-1])
    features.penultimate[first] = 0
    assert np.isnan(weight_scan_correlation_table(two_class_run).rows[0][-1])


def test_that_a_leak_is_carried_by_every_figure(build_run):
    run = build_run(record={"shared_subjects": 4})
    for item in (
        row_correlation(run),
        row_correlation_table(run),
        weight_scan_correlation(run),
        weight_scan_correlation_table(run),
        weight_class_correlation_table(run),
        scan_map(run),
    ):
        assert item.warning.startswith("Leaking split")


def test_that_two_rows_name_the_null_and_the_biases(two_class_run):
    figure = row_correlation(two_class_run)
    null = softmax_null(two_class_run, ("AD", "NC")).predicted_slope
    assert figure.panels[0].title == f"null, without class information: {null:.2f}".replace(
        "-", "−"
    )
    bias = two_class_run.fc_history.bias[-1]
    assert f"Biases: AD {bias[0]:.3g}, NC {bias[1]:.3g}." in figure.caption


def test_that_each_cell_by_class_has_an_interval_and_a_p_value(three_class_run):
    by_scan = weight_scan_correlation_table(three_class_run)
    table = weight_class_correlation_table(three_class_run)
    assert [row[:2] for row in table.rows][:3] == [("AD", "AD"), ("AD", "MCI"), ("AD", "NC")]
    heat = weight_scan_correlation(three_class_run).panels[0].layers[0]
    assert column(table, "correlation") == pytest.approx(heat.values.ravel().tolist())
    for row in table.rows:
        cell = dict(zip(table.columns, row, strict=True))
        assert cell["low"] < cell["correlation"] < cell["high"]
        of_row = np.array([r[-3:][("AD", "MCI", "NC").index(cell["row"])] for r in by_scan.rows])
        is_own = np.array([r[2] == cell["true_class"] for r in by_scan.rows])
        expected = stats.permutation_test(
            (of_row[is_own], of_row[~is_own]),
            lambda a, b: np.mean(a) - np.mean(b),
            n_resamples=np.inf,
        )
        assert cell["above_others"] == pytest.approx(expected.statistic)
        assert cell["p_value"] == pytest.approx(expected.pvalue, abs=0.05)
        assert (cell["scans"], cell["subjects"]) == (4, 4)


def test_that_a_class_of_one_subject_has_no_interval(two_class_run):
    table = weight_class_correlation_table(two_class_run, scans=["S004_MR1"])
    assert column(table, "low") == [None] * 4
    assert column(table, "p_value") == [None] * 4
    assert column(table, "correlation")[2:] == [None, None]


def test_that_each_scan_is_a_line_under_its_class(three_class_run):
    figure = scan_map(three_class_run)
    table = weight_scan_correlation_table(three_class_run)
    values = {f"{row[2]}  {row[0]}": row[-3:] for row in table.rows}
    heat = figure.panels[0].layers[0]
    assert [name.split()[0] for name in heat.rows] == ["AD"] * 4 + ["MCI"] * 4 + ["NC"] * 4
    assert [values[name] for name in heat.rows] == [tuple(row) for row in heat.values]
    for k in range(3):
        own = heat.values[4 * k : 4 * k + 4, k].tolist()
        assert own == sorted(own, reverse=True)


def test_that_too_many_scans_are_shown_in_part(two_class_run, monkeypatch):
    monkeypatch.setattr("core.analysis.scan_correlation.MOST_SCANS_SHOWN", 4)
    figure = scan_map(two_class_run)
    assert [name.split()[0] for name in figure.panels[0].layers[0].rows] == ["AD"] * 2 + ["NC"] * 2
    assert "4 of 8 scans are shown" in figure.caption
    assert MOST_SCANS_SHOWN == 40
