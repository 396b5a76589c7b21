from __future__ import annotations

import math
import re

import numpy as np
import pytest

from core.analysis.null_figures import fcl_null, null_table, nulls_figure, row_sum_drift_figure
from core.analysis.softmax_null import (
    initial_variance,
    null_text,
    slope_sampling_sd,
    softmax_null,
)
from core.analysis.weights import fcl_scatter, fcl_weights_table, fits_table
from core.errors import AnalysisError, RunError
from core.figure import Band, Curve, Scatter
from core.run_folder import FcHistory, reopen_run


def layer(panel, name):
    return next(item for item in panel.layers if item.name == name)


def replace_history(run, weight):
    epochs = np.arange(len(weight))
    bias = np.zeros(weight.shape[:2], dtype=np.float32)
    reopen_run(run.path).write_fc_history(FcHistory(epochs, weight.astype(np.float32), bias))
    return type(run)(run.path)


def test_that_the_scatter_has_the_paper_s_title(two_class_run):
    title = fcl_scatter(two_class_run).title
    assert title == "FCL weights (64*2) plot of GoogLeNet model for MRI classification"


def test_that_the_scatter_shows_the_first_class_on_x(two_class_run):
    weight, _ = two_class_run.fc_history.at()
    panel = fcl_scatter(two_class_run).panels[0]
    points = layer(panel, "weights")
    assert isinstance(points, Scatter)
    assert np.array_equal(points.x, weight[0].astype(float))
    assert np.array_equal(points.y, weight[1].astype(float))
    assert (panel.x.label, panel.y.label) == ("FCL weight, AD", "FCL weight, NC")
    assert points.ids[3] == "feature 3"


def test_that_the_equations_end_with_what_z_is(two_class_run):
    lines = fcl_scatter(two_class_run).panels[0].text.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["Quadratic", "Cubic", "4th degree"]
    assert lines[-1].startswith("where z = (x ")


def test_that_fit_curves_differ_in_colour_and_style(two_class_run):
    curves = [
        item for item in fcl_scatter(two_class_run).panels[0].layers if isinstance(item, Curve)
    ]
    assert len(curves) == 4
    assert len({curve.colour for curve in curves}) == 4
    assert len({curve.style for curve in curves}) == 4


def test_that_the_null_line_has_its_band_and_can_be_left_out(two_class_run):
    panel = fcl_scatter(two_class_run).panels[0]
    null = layer(panel, "null (no class information)")
    assert (null.style, null.colour) == ("dashed", "#777777")
    slope = (null.y[-1] - null.y[0]) / (null.x[-1] - null.x[0])
    assert slope == pytest.approx(softmax_null(two_class_run).predicted_slope)
    band = layer(panel, "null, 95 %")
    assert isinstance(band, Band)
    assert (band.low <= null.y).all()
    assert (null.y <= band.high).all()
    bare = fcl_scatter(two_class_run, show_null=False)
    assert not any(isinstance(item, Band) for item in bare.panels[0].layers)
    assert "Dashed" not in bare.caption


def test_that_three_classes_give_a_panel_for_each_pair(three_class_run):
    figure = fcl_scatter(three_class_run)
    assert [panel.title for panel in figure.panels] == ["AD and MCI", "AD and NC", "MCI and NC"]
    assert figure.title.startswith("FCL weights (64*3) plot of Custom CNN model")
    one = fcl_scatter(three_class_run, pair=("NC", "AD"))
    assert one.panels[0].x.label == "FCL weight, NC"


def test_that_an_unknown_pair_or_epoch_is_refused(two_class_run):
    with pytest.raises(AnalysisError, match="no pair of classes"):
        fcl_scatter(two_class_run, pair=("AD", "AD"))
    with pytest.raises(RunError, match="Epoch 9"):
        fcl_scatter(two_class_run, epoch=9)


def test_that_a_tiny_layer_lists_the_fits_it_cannot_have(build_run):
    figure = fcl_scatter(build_run(n_features=4))
    assert "4th degree: too few distinct weights" in figure.panels[0].text


def test_that_two_features_are_no_scatter(build_run):
    with pytest.raises(AnalysisError, match="3 or more"):
        softmax_null(build_run(n_features=2))


def test_that_initial_variances_are_those_of_the_initialisations():
    random = np.random.default_rng(0)
    bound = math.sqrt(6 / 1026)
    glorot = random.uniform(-bound, bound, 400_000).var()
    assert initial_variance("glorot", 1024, classes=2) == pytest.approx(glorot, rel=0.01)
    torch = random.uniform(-1 / 32, 1 / 32, 400_000).var()
    assert initial_variance("torch", 1024, classes=2) == pytest.approx(torch, rel=0.01)


def test_that_the_null_reaches_the_paper_s_printed_line():
    # domain.md, section 4: the paper prints -0.105 on z with std 0.113, a slope of -0.929.
    # Glorot with N = 2048, K = 2 gives -0.1044 (-0.1043 if the deviation is 0.1129 unrounded).
    assert round(-0.105 / 0.113, 3) == -0.929
    slope = -1 + initial_variance("glorot", 2048, classes=2) / 0.113**2
    assert slope * 0.113 == pytest.approx(-0.1043, abs=1e-4)
    # The printed coefficient lies within its own rounding plus one sampling deviation.
    sampling = slope_sampling_sd(slope, 2048) * 0.113
    assert abs(slope * 0.113 + 0.105) < 0.0005 + sampling


def test_that_the_sampling_deviation_is_that_of_simulated_rows():
    random = np.random.default_rng(0)
    n, v0, learned = 400, 0.001, 0.1
    slopes = []
    for _ in range(2000):
        start = random.uniform(-1, 1, (2, n)) * math.sqrt(3 * v0)
        change = learned * random.normal(size=n)
        x, y = start[0] + change, start[1] - change
        slopes.append(np.cov(x, y)[0, 1] / x.var(ddof=1))
    slope = -1 + v0 / (v0 + learned**2)
    assert np.mean(slopes) == pytest.approx(slope, abs=0.002)
    assert np.std(slopes) == pytest.approx(slope_sampling_sd(slope, n), rel=0.1)


def test_that_sgd_without_decay_conserves_the_sum_and_meets_the_prediction(build_run):
    run = build_run(n_features=1024)
    null = softmax_null(run)
    assert null.conserved.startswith("conserved to 1e-")
    assert null.row_sum_drift < 1e-6
    assert float(null.conserved.split()[-1]) >= null.row_sum_drift
    assert null.measured_slope == pytest.approx(null.predicted_slope, abs=4 * null.sampling_sd)
    assert null.v0_measured == pytest.approx(null.v0_theory, rel=0.1)
    assert null.n_features == 1024


def test_that_the_learned_fraction_gives_the_correlation(build_run):
    null = softmax_null(build_run(n_features=1024))
    assert null.measured_correlation == pytest.approx(1 - 2 * null.learned_fraction, abs=0.01)


def test_that_slope_and_correlation_equal_a_second_method(two_class_run):
    weight, _ = two_class_run.fc_history.at()
    null = softmax_null(two_class_run)
    x, y = weight.astype(float)
    assert null.measured_slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert null.measured_correlation == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_that_before_training_nothing_is_predicted(two_class_run):
    null = softmax_null(two_class_run, epoch=0)
    assert null.predicted_slope == pytest.approx(0)
    assert null.row_sum_drift == 0
    assert null.conserved == "conserved exactly"


def test_that_weight_decay_is_said_not_to_conserve(build_run):
    null = softmax_null(build_run(weight_decay=0.01))
    assert null.conserved == "not conserved: weight decay"
    assert null.row_sum_drift > 1e-5


def test_that_a_moved_sum_is_said_not_to_be_conserved(two_class_run):
    weight = two_class_run.fc_history.weight.copy()
    weight[-1] += 0.25
    null = softmax_null(replace_history(two_class_run, weight))
    assert null.conserved == "not conserved: it moved by up to 0.5"


def test_that_rounding_under_adam_may_be_ten_times_that_under_sgd(build_run):
    words = {}
    for optimiser in ("sgd", "adam"):
        run = build_run(optimiser=optimiser)
        moved = run.fc_history.weight.copy()
        deviation = moved[0].std()
        for share in (5e-4, 5e-3, 5e-2):
            moved[-1] = moved[0]
            moved[-1, 0, 0] += share * deviation
            null = softmax_null(replace_history(run, moved))
            words[optimiser, share] = null.conserved.split(" to ")[0]
    assert words["sgd", 5e-4] == words["adam", 5e-4] == words["adam", 5e-3] == "conserved"
    assert words["sgd", 5e-3] == words["adam", 5e-2] == "not conserved: it moved by up"


def test_that_a_badge_beside_every_scatter_says_whether_the_sum_is_conserved(build_run):
    kept, shrunk = build_run(), build_run(weight_decay=0.01)
    moved = kept.fc_history.weight.copy()
    moved[-1] += 0.25
    for figure in (fcl_scatter(kept), fcl_null(kept), nulls_figure(kept)):
        (badge,) = figure.badges
        assert badge.is_good
        assert re.fullmatch(r"✓ Sum of the rows conserved to 1e-\d+", badge.text)
    (badge,) = fcl_null(shrunk).badges
    assert badge.text.startswith("✗ Sum of the rows not conserved: weight decay (it shrank to 0.")
    assert row_sum_drift_figure(shrunk).badges == (badge,)
    (badge,) = fcl_null(replace_history(kept, moved)).badges
    assert badge.text == "✗ Sum of the rows not conserved: it moved by up to 0.5"
    assert fcl_null(shrunk, epoch=0).badges[0].is_good
    assert fcl_scatter(shrunk, show_null=False).badges == ()


def test_that_symmetric_classes_meet_the_prediction_for_three_classes(two_class_run, build_run):
    # Rows S/3 + e_k with e summing to zero and independent of S.
    random = np.random.default_rng(0)
    start = 0.02 * random.normal(size=(3, 20_000))
    pushes = random.normal(size=(3, 20_000))
    moved = start + 0.1 * (pushes - pushes.mean(axis=0))
    run = replace_history(build_run(("AD", "MCI", "NC")), np.array([start, moved]))
    null = softmax_null(run, ("AD", "NC"))
    assert null.measured_slope == pytest.approx(null.predicted_slope, abs=4 * null.sampling_sd)
    assert null.predicted_slope == pytest.approx(-0.47, abs=0.01)
    assert null.conserved.startswith("conserved")


def test_that_equal_or_broken_weights_are_refused(two_class_run):
    weight = two_class_run.fc_history.weight.copy()
    weight[-1, 0] = 0.5
    with pytest.raises(AnalysisError, match="equal weights"):
        softmax_null(replace_history(two_class_run, weight))
    weight[-1, 0] = np.nan
    with pytest.raises(AnalysisError, match="diverged"):
        fcl_scatter(replace_history(two_class_run, weight))


def test_that_the_null_figure_shows_difference_against_sum(two_class_run):
    weight, _ = two_class_run.fc_history.at()
    difference, course = fcl_null(two_class_run).panels
    points = layer(difference, "epoch 3")
    assert points.x == pytest.approx(weight[0] + weight[1], abs=1e-6)
    assert points.y == pytest.approx(weight[0] - weight[1], abs=1e-6)
    assert layer(difference, "before training").x == pytest.approx(points.x, abs=1e-6)
    for word in (
        "Slope -",
        "Correlation -",
        "Learned fraction 0.",
        "Sum of rows conserved",
    ):
        assert word in difference.text
    assert layer(course, "measured").x.tolist() == [0, 1, 2, 3]


def test_that_three_classes_say_that_symmetry_is_taken(three_class_run):
    figure = fcl_null(three_class_run)
    assert len(figure.panels) == 6
    assert "symmetric" in figure.panels[0].text


def test_that_a_line_off_the_null_is_said_so(two_class_run):
    random = np.random.default_rng(0)
    start = random.normal(size=(2, 500))
    run = replace_history(two_class_run, np.array([start, start[:1] + 0 * start]))
    assert "outside" in null_text(softmax_null(run), 2)


def test_that_the_drift_is_drawn_over_the_epochs(build_run):
    panel = row_sum_drift_figure(build_run(weight_decay=0.01)).panels[0]
    largest = layer(panel, "largest of all features")
    assert largest.x.tolist() == [0, 1, 2, 3]
    assert largest.y[0] == 0
    assert (np.diff(largest.y) > 0).all()
    assert "weight decay" in panel.text


def test_that_the_null_counts_what_weight_decay_takes_from_the_sum(build_run):
    run = build_run(n_features=1024, weight_decay=0.5)
    null = softmax_null(run)
    weight = run.fc_history.weight.astype(float).sum(axis=1)
    assert null.is_proportional
    assert null.row_sum_left == pytest.approx(np.median(weight[-1] / weight[0]), rel=1e-3)
    assert null.row_sum_left < 0.95
    # v0 uncorrected would put the line off by more than the sampling deviation.
    naive = null.v0_measured / null.var_w - 1
    assert abs(null.measured_slope - null.predicted_slope) < 3 * null.sampling_sd
    assert null.predicted_slope == pytest.approx(
        null.row_sum_left**2 * null.v0_measured / null.var_w - 1
    )
    assert naive - null.predicted_slope > 0.01
    text = fcl_null(run).panels[0].text
    assert f"not conserved: weight decay\n(it shrank to {null.row_sum_left:.3f}; the null" in text


def test_that_a_sum_that_moved_by_itself_makes_the_null_approximate(two_class_run):
    weight = two_class_run.fc_history.weight.copy()
    weight[-1] += np.random.default_rng(0).normal(size=weight[-1].shape)
    null = softmax_null(replace_history(two_class_run, weight))
    assert not null.is_proportional
    assert "(the null is approximate)" in null_text(null, 2)


def test_that_the_weights_table_holds_every_weight(three_class_run):
    table = fcl_weights_table(three_class_run, epoch=1)
    assert (table.name, table.columns) == ("fcl_weights", ("feature", "AD", "MCI", "NC"))
    stored, _ = three_class_run.fc_history.at(1)
    assert np.array_equal(np.array(table.rows)[:, 1:].T, stored.astype(float))
    assert [row[0] for row in table.rows] == list(range(64))


def test_that_tables_have_a_row_for_each_pair(three_class_run):
    table = null_table(three_class_run)
    assert [row[:2] for row in table.rows] == [("AD", "MCI"), ("AD", "NC"), ("MCI", "NC")]
    assert len(table.columns) == len(table.rows[0])
    fits = fits_table(three_class_run)
    assert len(fits.rows) == 12
    assert all(len(row) == len(fits.columns) for row in fits.rows)


def test_that_the_fits_table_gives_the_drawn_equations(two_class_run):
    table = fits_table(two_class_run)
    equations = [row[table.columns.index("equation")] for row in table.rows]
    assert equations[1:] == fcl_scatter(two_class_run).panels[0].text.splitlines()[:3]
    assert equations[0].startswith("Linear: y = ")
    assert table.rows[0][table.columns.index("coefficient_4")] is None


def test_that_a_leak_is_carried_by_every_figure(build_run):
    run = build_run(record={"shared_subjects": 4})
    for item in (
        fcl_scatter(run),
        fcl_null(run),
        row_sum_drift_figure(run),
        fcl_weights_table(run),
        null_table(run),
        fits_table(run),
    ):
        assert item.warning.startswith("Leaking split: 4 subjects")
