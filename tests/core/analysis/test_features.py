from __future__ import annotations

import numpy as np
import pytest

from core.analysis.features import (
    dispersion_table,
    feature_cloud,
    feature_clouds,
    features_of,
    joint_warning,
    subject_means,
)
from core.errors import AnalysisError
from core.figure import Scatter


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_that_axes_are_the_logits_of_the_two_classes(two_class_run):
    panel = feature_cloud(two_class_run).panels[0]
    assert panel.x.title == "FC output, AD (logit)"
    assert panel.y.title == "FC output, NC (logit)"
    assert (panel.x.low, panel.x.high) == (panel.y.low, panel.y.high)
    assert panel.equal_aspect


def test_that_each_slice_is_a_dot_with_subject_and_slice(two_class_run):
    panel = feature_cloud(two_class_run).panels[0]
    features = two_class_run.features.of_part("test")
    dots = panel.layers[1]
    assert dots.name == "NC"
    assert np.array_equal(dots.x, features.logits[features.label == 1, 0])
    assert np.array_equal(dots.y, features.logits[features.label == 1, 1])
    assert dots.ids[0] == "S104 40"
    assert len(dots.ids) == 16


def test_that_every_dot_and_the_decision_line_lie_within_the_axes(two_class_run):
    panel = feature_cloud(two_class_run, part="all").panels[0]
    for item in panel.layers:
        assert item.x.min() >= panel.x.low
        assert item.y.max() <= panel.y.high
    line = panel.layers[-1]
    assert line.style == "dashed"
    assert np.array_equal(line.x, line.y)


def test_that_subject_means_are_the_means_of_their_slices(two_class_run):
    dots = feature_cloud(two_class_run, by="subject").panels[0].layers[0]
    assert dots.ids == ("S004", "S005", "S006", "S007")
    features = two_class_run.features
    own = features.logits[features.subject == "S006"]
    assert dots.x[2] == pytest.approx(own[:, 0].mean(), rel=1e-6)


def test_that_a_shared_subject_stays_apart_by_part(two_class_run):
    features = two_class_run.features
    features.part[0] = "test"
    means = subject_means(features)
    assert len(means.label) == 17
    assert sorted(means.part[means.subject == "S000"]) == ["test", "train"]
    assert means.logits[0] == pytest.approx(features.logits[0])
    assert (means.slice == -1).all()


def test_that_classes_have_their_colour_and_symbol(two_class_run):
    ours = feature_cloud(two_class_run).panels[0].layers
    assert [(dots.colour, dots.symbol) for dots in ours[:2]] == [
        ("#D55E00", "circle"),
        ("#0072B2", "square"),
    ]
    paper = feature_cloud(two_class_run, paper_colours=True).panels[0].layers
    assert [dots.colour for dots in paper[:2]] == ["#0000FF", "#FF0000"]


def test_that_three_classes_give_a_panel_for_each_pair(three_class_run):
    panels = feature_cloud(three_class_run).panels
    assert [panel.title for panel in panels] == ["AD and MCI", "AD and NC", "MCI and NC"]
    # All classes are shown in each panel: the third lies somewhere too.
    assert all(sum(isinstance(item, Scatter) for item in panel.layers) == 3 for panel in panels)


def test_that_an_empty_or_unknown_part_is_refused(two_class_run):
    with pytest.raises(AnalysisError, match="no part 'tests'"):
        features_of(two_class_run, part="tests")
    two_class_run.features.part[:] = "train"
    with pytest.raises(AnalysisError, match=r"test part of run .* has no slices"):
        feature_cloud(two_class_run)


def test_that_diverged_outputs_are_refused(two_class_run):
    two_class_run.features.logits[:] = np.nan
    with pytest.raises(AnalysisError, match="diverged"):
        feature_cloud(two_class_run)


def test_that_equal_logits_still_have_an_axis(two_class_run):
    two_class_run.features.logits[:] = 2
    panel = feature_cloud(two_class_run).panels[0]
    assert (panel.x.low, panel.x.high) == (1.5, 2.5)


def test_that_clouds_of_runs_share_their_axes(build_run):
    runs = [
        build_run(regime="frozen"),
        build_run(regime="fine-tuned", separation=3.0),
        build_run(epochs=1),
    ]
    figure = feature_clouds(runs)
    assert [panel.title for panel in figure.panels] == [
        "(a) GoogLeNet, frozen, 3 epochs",
        "(b) GoogLeNet, fine-tuned, 3 epochs",
        "(c) GoogLeNet, from scratch, 1 epoch",
    ]
    assert len({(panel.x.low, panel.y.high) for panel in figure.panels}) == 1


def test_that_clouds_of_three_classes_show_one_pair(three_class_run):
    figure = feature_clouds([three_class_run], pair=("MCI", "NC"))
    assert figure.panels[0].x.label == "FC output, MCI"


def test_that_clouds_without_common_axes_are_refused(two_class_run, three_class_run):
    with pytest.raises(AnalysisError, match="different classes"):
        feature_clouds([two_class_run, three_class_run])
    with pytest.raises(AnalysisError, match="0 are chosen"):
        feature_clouds([])
    with pytest.raises(AnalysisError, match="5 are chosen"):
        feature_clouds([two_class_run] * 5)


def test_that_a_warning_of_some_runs_names_them(build_run):
    clean, leaking = build_run(), build_run(record={"shared_subjects": 2})
    assert joint_warning([clean]) == ""
    assert joint_warning([leaking, leaking]) == leaking.warning
    assert joint_warning([clean, leaking]) == f"{leaking.name}: {leaking.warning}"
    assert feature_clouds([clean, leaking]).warning.startswith(leaking.name)
    assert feature_cloud(leaking).warning == leaking.warning


def test_that_the_dispersion_equals_a_hand_calculation(two_class_run):
    features = two_class_run.features
    chosen = np.flatnonzero(features.part == "test")
    features.part[:] = "train"
    four = np.concatenate([chosen[:2], chosen[-2:]])
    features.part[four] = "test"
    features.logits[four] = [[3, 0], [5, 0], [0, 3], [0, 5]]
    table = dispersion_table(two_class_run)
    # Centres (4, 0) and (0, 4); each slice is 1 from its centre; centres 4 sqrt(2) apart.
    assert column(table, "mean_AD") == [4, 0]
    assert column(table, "std_NC") == pytest.approx([0, 2**0.5])
    assert column(table, "spread") == pytest.approx([1, 1])
    assert column(table, "nearest_centre") == pytest.approx([32**0.5] * 2)
    assert column(table, "relative_spread") == pytest.approx([1 / 32**0.5] * 2)
    assert column(table, "subjects") == [1, 1]


def test_that_a_lone_class_has_no_nearest_centre(two_class_run):
    features = two_class_run.features
    features.part[:] = "train"
    features.part[0] = "test"
    table = dispersion_table(two_class_run)
    assert len(table.rows) == 1
    assert np.isnan(column(table, "nearest_centre")[0])
    assert np.isnan(column(table, "std_AD")[0])
    assert len(feature_cloud(two_class_run).panels[0].layers) == 2


def test_that_no_slices_give_no_subjects(two_class_run):
    two_class_run.features.part[:] = "train"
    means = subject_means(two_class_run.features.of_part("test"))
    assert means.logits.shape == (0, 2)


def test_that_mixed_rows_are_grouped_as_ordered_ones(two_class_run):
    features = two_class_run.features
    order = np.random.default_rng(0).permutation(len(features.label))
    mixed = type(features)(**{name: value[order] for name, value in vars(features).items()})
    means = subject_means(mixed)
    for i, name in enumerate(means.subject):
        own = features.subject == name
        assert means.penultimate[i] == pytest.approx(features.penultimate[own].mean(axis=0))
        assert means.label[i] == features.label[own][0]
