from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from core.analysis.softmax_null import initial_variance
from core.analysis.weight_rows import (
    histogram_of,
    moments,
    rows_by_epoch_table,
    rows_figure,
    rows_table,
)
from core.analysis.weights import fcl_scatter, fits_table_with_permutations, pair_matrix
from core.figure import Band, Bars, Curve
from core.progress import run_to_end


def test_that_moments_are_those_of_scipy():
    row = np.random.default_rng(0).gamma(2, size=300)
    mean, sd, skewness, kurtosis, least, median, largest, length = moments(row)
    found = stats.describe(row)
    assert (mean, sd**2) == pytest.approx((found.mean, found.variance))
    assert (skewness, kurtosis) == pytest.approx((found.skewness, found.kurtosis))
    assert (least, largest) == found.minmax
    assert median == np.median(row)
    assert length == pytest.approx(math.sqrt(np.sum(row**2)))
    assert np.isnan(moments(np.ones(5))[2:4]).all()


def test_that_a_histogram_counts_every_weight():
    row = np.random.default_rng(0).normal(size=777)
    bars = histogram_of("AD", row)
    assert bars.y.sum() == 777
    edges = np.append(bars.x - bars.width / 2, bars.x[-1] + bars.width / 2)
    assert (edges[0], edges[-1]) == pytest.approx((row.min(), row.max()))
    assert histogram_of("AD", np.full(4, 2.0)).y.tolist() == [4]


def test_that_each_class_has_its_distribution_and_all_share_the_courses(three_class_run):
    figure = rows_figure(three_class_run)
    assert [panel.title for panel in figure.panels[:3]] == ["AD", "MCI", "NC"]
    for panel in figure.panels[:3]:
        assert next(s for s in panel.layers if isinstance(s, Bars)).y.sum() == 64
    spread, bias = figure.panels[3:]
    weight = three_class_run.fc_history.weight.astype(float)
    for k, layer in enumerate(spread.layers[:3]):
        assert layer.y == pytest.approx(weight[:, k].std(axis=1, ddof=1))
    expected = math.sqrt(initial_variance("glorot", 64, classes=3))
    assert spread.layers[3].y == pytest.approx([expected] * 2)
    assert bias.layers[2].y == pytest.approx(three_class_run.fc_history.bias[:, 2])


def test_that_the_tables_have_each_class_before_and_after(two_class_run):
    table = rows_table(two_class_run, epoch=2)
    assert [row[:2] for row in table.rows] == [("AD", 0), ("NC", 0), ("AD", 2), ("NC", 2)]
    assert table.rows[2][-1] == two_class_run.fc_history.at(2)[1][0]
    assert len(rows_table(two_class_run, epoch=0).rows) == 2
    by_epoch = rows_by_epoch_table(two_class_run)
    assert len(by_epoch.rows) == 8
    assert by_epoch.rows[0][4] == two_class_run.fc_history.bias[0, 0]


def test_that_the_matrix_shows_each_pair_as_scatter_and_turned(three_class_run):
    figure = pair_matrix(three_class_run)
    weight = three_class_run.fc_history.at()[0].astype(float)
    assert (len(figure.panels), figure.columns) == (9, 3)
    below, above, diagonal = figure.panels[3], figure.panels[1], figure.panels[4]
    assert below.layers[0].x == pytest.approx(weight[0])
    assert below.layers[0].y == pytest.approx(weight[1])
    assert above.layers[0].x == pytest.approx(weight[0] + weight[1])
    assert above.layers[0].y == pytest.approx(weight[0] - weight[1])
    assert isinstance(diagonal.layers[0], Bars)
    assert f"r = {np.corrcoef(weight)[0, 1]:.3f}" in below.text


def test_that_bands_are_drawn_about_each_fit_when_asked_for(two_class_run):
    def bands(**options):
        panel = fcl_scatter(two_class_run, degrees=(1, 3), show_null=False, **options).panels[0]
        return {layer.name: layer for layer in panel.layers if isinstance(layer, Band)}, panel

    assert bands()[0] == {}
    shown, panel = bands(bands=("confidence", "prediction"))
    assert set(shown) == {
        f"{name}, 95 % {kind}"
        for name in ("Linear", "Cubic")
        for kind in ("confidence", "prediction")
    }
    line = next(s for s in panel.layers if isinstance(s, Curve) and s.name == "Cubic")
    inner, outer = shown["Cubic, 95 % confidence"], shown["Cubic, 95 % prediction"]
    assert (outer.low < inner.low).all()
    assert (inner.low < line.y).all()
    assert (line.y < inner.high).all()
    assert (inner.high < outer.high).all()


def test_that_the_words_stand_below_the_scatter_and_the_table(two_class_run, three_class_run):
    from core.analysis.fit_choice import choose_fit
    from core.analysis.fitting import fit_series

    words = choose_fit(fit_series(*two_class_run.fc_history.at()[0])).words
    assert words in fcl_scatter(two_class_run).caption
    caption = fcl_scatter(three_class_run).caption
    assert all(f"{pair}: " in caption for pair in ("AD and MCI", "AD and NC", "MCI and NC"))


def test_that_permutation_tests_are_added_to_the_table(three_class_run):
    table = run_to_end(fits_table_with_permutations(three_class_run, permutations=99))
    place = table.columns.index("permutation_p")
    assert table.columns[place + 1] == "step_permutation_p"
    values = [row[place] for row in table.rows]
    assert len(values) == 12
    assert all(0.01 <= value <= 1 for value in values)
    assert "99 shuffles, seed 0" in table.caption
