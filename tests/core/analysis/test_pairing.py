from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.analysis.correlation import correlate
from core.analysis.pairing import common_slices, mcnemar, paired_test, run_words, side_by_side
from core.analysis.scan_correlation import weight_scan_correlation
from core.errors import AnalysisError


def rows_of(table):
    return {row[:2]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 0), (5, 1), (10, 10), (40, 75), (900, 1000)])
def test_that_mcnemar_equals_the_exact_binomial_test(b, c):
    first = np.r_[np.ones(b, bool), np.zeros(c, bool), np.ones(7, bool)]
    second = np.r_[np.zeros(b, bool), np.ones(c, bool), np.ones(7, bool)]
    test = mcnemar(first, second)
    assert (test.only_first, test.only_second) == (b, c)
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert test.p_value == pytest.approx(expected)


@pytest.fixture
def pair(build_run):
    """Two runs of which the second is wrong on two of eight subjects, and nowhere else."""
    first = build_run(network="cnn2d", activation="relu", right=1.0)
    second = build_run(network="cnn2d", activation="leaky-relu", right=1.0)
    wrong = np.isin(second.features.subject, ["S004", "S105"])
    second.features.logits[wrong] *= -1
    return first, second


def test_that_two_runs_are_tested_on_the_same_slices(pair):
    table = paired_test(*pair)
    rows = rows_of(table)
    slices = rows["McNemar, exact", "slice"]
    assert (slices["n"], slices["first"], slices["second"]) == (32, 1, 0.75)
    assert (slices["only_first_right"], slices["only_second_right"]) == (8, 0)
    assert slices["p_value"] == pytest.approx(2 / 2**8)
    subjects = rows["McNemar, exact", "subject"]
    assert (subjects["n"], subjects["only_first_right"]) == (8, 2)
    assert subjects["p_value"] == pytest.approx(0.5)
    assert "leaky ReLU against Custom CNN, ReLU" in table.title


def test_that_the_bootstrap_resamples_whole_subjects(pair):
    row = rows_of(paired_test(*pair))["bootstrap over subjects", "slice"]
    assert row["difference"] == -0.25
    # Two of eight subjects: the deviation is that of a mean of 8.
    half = (row["high"] - row["low"]) / 2
    assert half == pytest.approx(1.96 * np.sqrt(0.25 * 0.75 / 8), rel=0.25)


def test_that_swaps_equal_scipy_s_sign_flips(pair):
    row = rows_of(paired_test(*pair))["swaps of whole subjects", "slice"]
    gain = np.array([-4.0, -4, 0, 0, 0, 0, 0, 0])
    expected = stats.permutation_test(
        (gain, np.zeros(8)), lambda a, b: np.sum(a - b), permutation_type="samples"
    )
    assert row["p_value"] == pytest.approx(expected.pvalue, abs=0.02)


def test_that_the_order_of_the_slices_does_not_matter(pair):
    first, second = pair
    expected = paired_test(first, second).rows
    order = np.random.default_rng(0).permutation(len(second.features.label))
    for values in vars(second.features).values():
        values[:] = values[order]
    assert paired_test(first, second).rows == expected


def test_that_only_common_slices_are_compared(pair):
    first, second = pair
    second.features.part[second.features.subject == "S004"] = "train"
    one, two = common_slices(first, second)
    assert "S004" not in one.subject
    assert (one.subject == two.subject).all()
    assert len(one.label) == 28
    second.features.part[:] = np.where(first.features.part == "test", "train", "test")
    with pytest.raises(AnalysisError, match="in common"):
        paired_test(first, second)


def test_that_runs_that_cannot_be_paired_are_refused(pair, build_run):
    first, second = pair
    with pytest.raises(AnalysisError, match="split differently"):
        paired_test(first, build_run(mode="slice"))
    with pytest.raises(AnalysisError, match="different classes"):
        paired_test(first, build_run(("AD", "MCI", "NC")))
    second.features.label[:] = 1 - second.features.label
    with pytest.raises(AnalysisError, match="shuffled labels"):
        paired_test(first, second)


def test_that_correlation_tables_stand_side_by_side(pair):
    figure = side_by_side(pair, method="spearman")
    assert [panel.title for panel in figure.panels] == [
        "(a) Custom CNN, ReLU: rows",
        "(b) Custom CNN, leaky ReLU: rows",
        "(a) rows and test scans",
        "(b) rows and test scans",
    ]
    assert figure.columns == 2
    for run, above, below in zip(pair, figure.panels[:2], figure.panels[2:], strict=True):
        weight = run.fc_history.at()[0]
        assert above.layers[0].values == pytest.approx(correlate(weight, weight, method="spearman"))
        own = weight_scan_correlation(run, method="spearman").panels[0].layers[0]
        assert below.layers[0].values == pytest.approx(own.values)


def test_that_one_run_alone_or_other_classes_are_refused(pair, build_run):
    with pytest.raises(AnalysisError, match="2 to 4 runs"):
        side_by_side(pair[:1])
    with pytest.raises(AnalysisError, match="different classes"):
        side_by_side((pair[0], build_run(("AD", "MCI", "NC"))))


def test_that_other_networks_are_named_by_their_regime(build_run):
    assert run_words(build_run(regime="frozen")) == "GoogLeNet, frozen"


def test_that_a_leak_is_said_beside_the_test(build_run):
    runs = [build_run(record={"shared_subjects": 3}), build_run()]
    assert runs[0].name in paired_test(*runs).warning
    assert runs[0].name in side_by_side(runs).warning
