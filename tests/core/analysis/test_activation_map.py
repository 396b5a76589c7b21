"""Which slices are chosen, what is said of them, and how figures of maps are put together."""

from __future__ import annotations

import numpy as np
import pytest

from core.analysis import activation_map, map_figures
from core.analysis.activation_map import SliceMaps
from core.errors import AnalysisError
from core.run_folder import softmax


def some_maps(run, rows, *, method="CAM", remark=""):
    rng = np.random.default_rng(0)
    n = len(rows)
    return SliceMaps(
        rows=np.array(rows),
        pixels=rng.integers(0, 256, (n, 16, 16)).astype(np.uint8),
        maps=rng.normal(size=(n, len(run.classes), 4, 4)).astype(np.float32),
        logits=run.features.logits[rows],
        method=method,
        letters=(("R", "L", "A", "P"),) * n,
        remark=remark,
    )


def test_that_the_names_of_dots_lead_back_to_their_rows(two_class_run):
    features = two_class_run.features
    names = activation_map.row_ids(features)
    assert names[5] == f"{features.subject[5]} {features.slice[5]}"
    rows = activation_map.rows_of_ids(two_class_run, [names[9], names[2], "no such dot"])
    assert rows.tolist() == [9, 2]
    subject = str(features.subject[0])
    assert activation_map.rows_of_ids(two_class_run, [subject]).tolist() == [0, 1, 2, 3]
    assert activation_map.channel_of_id("feature 12") == 12
    assert activation_map.channel_of_id(names[0]) is None


def test_that_the_nearest_slice_of_a_scan_is_found(two_class_run):
    features = two_class_run.features
    scan = str(features.scan[8])
    assert activation_map.row_of_slice(two_class_run, scan, 999) == 11
    assert activation_map.row_of_slice(two_class_run, scan, 41) == 9
    assert activation_map.row_of_slice(two_class_run, "other", 41) is None


@pytest.mark.parametrize("which", ["certain right", "certain wrong", "uncertain"])
@pytest.mark.parametrize("classes", [("AD", "NC"), ("AD", "MCI", "NC")])
def test_that_telling_slices_are_those_of_extreme_probability(build_run, which, classes):
    run = build_run(classes, separation=0.2)
    features = run.features
    rows = activation_map.choose_rows(run, which, part="test", count=99)
    sure = softmax(features.logits).max(axis=1)
    is_right = features.logits.argmax(axis=1) == features.label
    assert set(features.part[rows]) == {"test"}
    if which != "uncertain":
        assert (is_right[rows] == (which == "certain right")).all()
    meant = features.part == "test"
    if which != "uncertain":
        meant &= is_right == (which == "certain right")
    assert sorted(rows.tolist()) == np.flatnonzero(meant).tolist()
    best = max if which.startswith("certain") else min
    assert sure[rows[0]] == best(sure[meant])
    # The best slice of each subject comes before a second one of any.
    first = features.subject[rows][: len(set(features.subject[rows]))]
    assert len(set(first)) == len(first)


def test_that_slices_that_are_not_there_are_said_in_words(build_run):
    run = build_run(right=1.0)
    with pytest.raises(AnalysisError, match="Choose another part"):
        activation_map.choose_rows(run, "certain wrong")


def test_that_contributions_of_all_features_and_the_bias_are_the_logit(three_class_run):
    run = three_class_run
    n = run.features.penultimate.shape[1]
    total = sum(activation_map.contributions(run, 7, j) for j in range(n))
    _, bias = run.fc_history.at()
    np.testing.assert_allclose(total + bias, run.features.logits[7], rtol=1e-4, atol=1e-4)
    with pytest.raises(AnalysisError, match="there is no feature"):
        activation_map.contributions(run, 0, n)


@pytest.mark.parametrize("shown", ["predicted", "true", "NC"])
def test_that_a_grid_shows_the_map_of_the_class_asked_for_on_one_scale(three_class_run, shown):
    run, rows = three_class_run, [0, 20, 40, 60, 80]
    maps = some_maps(run, rows)
    figure = map_figures.maps_grid(run, maps, shown=shown)
    layers = [panel.layers[0] for panel in figure.panels]
    assert len({layer.reach for layer in layers}) == 1
    for i, layer in enumerate(layers):
        k = {
            "predicted": int(run.features.logits[rows[i]].argmax()),
            "true": int(run.features.label[rows[i]]),
            "NC": 2,
        }[shown]
        np.testing.assert_array_equal(layer.overlay, maps.maps[i, k])
        assert layer.letters == ("R", "L", "A", "P")
    assert "exact" in figure.caption


def test_that_a_figure_says_its_method_and_its_warnings(build_run):
    run = build_run(record={"shared_subjects": 3})
    maps = some_maps(run, [0], method="Grad-CAM", remark="The scans were flipped.")
    figure = map_figures.slice_figure(run, maps)
    assert "Grad-CAM" in figure.caption
    assert "approximation" in figure.caption
    assert "Leaking split" in figure.warning
    assert "flipped" in figure.warning
    with pytest.raises(AnalysisError, match="has no class"):
        map_figures.slice_figure(run, maps, shown="XX")


def test_that_the_facts_of_slices_make_a_table(two_class_run):
    table = activation_map.facts_table(two_class_run, [3, 1])
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["subject"] == two_class_run.features.subject[3]
    assert row["prob_AD"] + row["prob_NC"] == pytest.approx(1)
    assert row["logit_AD"] == pytest.approx(float(two_class_run.features.logits[3, 0]))
