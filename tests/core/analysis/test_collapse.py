from __future__ import annotations

import numpy as np
import pytest

from core.analysis.collapse import (
    TWO_CLASSES_NOTE,
    class_means,
    collapse_figure,
    collapse_history,
    collapse_of,
    collapse_table,
)
from core.errors import AnalysisError
from core.figure import Curve, Scatter
from core.run_folder import Features, Run, reopen_run


def features_around(means, *, noise=0.0, n=20, seed=0, weight=None):
    random = np.random.default_rng(seed)
    k, width = means.shape
    label = np.repeat(np.arange(k), n)
    points = means[label] + noise * random.normal(size=(k * n, width))
    weight = means - means.mean(axis=0) if weight is None else weight
    names = np.arange(k * n).astype(str)
    return Features(
        penultimate=points.astype(np.float32),
        logits=((points - means.mean(axis=0)) @ weight.T).astype(np.float32),
        label=label,
        part=np.full(k * n, "train"),
        subject=names,
        session=names,
        scan=names,
        slice=np.zeros(k * n, np.int64),
    )


def frame(k, width, *, seed=0, scale=3.0):
    """Return an equiangular tight frame of k vectors in a random subspace, off the origin."""
    random = np.random.default_rng(seed)
    axes = np.linalg.qr(random.normal(size=(width, k)))[0]
    vectors = scale * (np.eye(k) - 1 / k) @ axes.T
    return vectors + random.normal(size=width)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_that_an_equiangular_tight_frame_is_complete_collapse(k):
    means = frame(k, 40)
    rows = 0.2 * (means - means.mean(axis=0))
    found = collapse_of(features_around(means), rows)
    assert found.nc1 == pytest.approx(0, abs=1e-10)
    assert found.nc2 == pytest.approx(0, abs=1e-5)
    assert found.equal_norms == pytest.approx(0, abs=1e-5)
    assert found.equal_angles == pytest.approx(0, abs=1e-5)
    assert found.nc3 == pytest.approx(0, abs=1e-9)
    assert found.nc3_centred == pytest.approx(0, abs=1e-9)
    assert found.nc4 == 1.0


@pytest.mark.parametrize("k", [2, 4])
def test_that_nc1_equals_papyans_matrices(k):
    random = np.random.default_rng(1)
    features = features_around(random.normal(size=(k, 12)), noise=0.7)
    x, label = features.penultimate.astype(np.float64), features.label
    means = np.array([x[label == c].mean(axis=0) for c in range(k)])
    within = sum(np.outer(h - means[c], h - means[c]) for h, c in zip(x, label, strict=True))
    centred = means - means.mean(axis=0)
    between = centred.T @ centred / k
    # The true rank is k - 1; rounding must not make more of it.
    expected = np.trace(within / len(x) @ np.linalg.pinv(between, rcond=1e-10)) / k
    assert collapse_of(features, random.normal(size=(k, 12))).nc1 == pytest.approx(expected)


def test_that_a_common_part_of_the_rows_hides_the_duality_until_it_is_removed():
    means = frame(3, 30)
    rows = (means - means.mean(axis=0)) + np.random.default_rng(3).normal(size=30)
    found = collapse_of(features_around(means), rows)
    assert found.nc3 > 0.3
    assert found.nc3_centred == pytest.approx(0, abs=1e-9)
    assert found.nc2_rows == pytest.approx(0, abs=1e-9)


def test_that_two_classes_are_a_frame_whatever_the_network():
    random = np.random.default_rng(4)
    found = collapse_of(
        features_around(random.normal(size=(2, 9)), noise=2.0), random.normal(size=(2, 9))
    )
    assert found.nc2 == pytest.approx(0, abs=1e-6)
    rows = random.normal(size=(2, 9))
    features = features_around(random.normal(size=(2, 9)), noise=0.5)
    means = class_means(features, 2)
    d, m = rows[0] - rows[1], means[0] - means[1]
    cosine = d @ m / np.linalg.norm(d) / np.linalg.norm(m)
    assert collapse_of(features, rows).nc3_centred == pytest.approx(2 - 2 * cosine)


def test_that_unequal_norms_and_angles_are_measured():
    means = np.array([[2.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    found = collapse_of(features_around(means), means)
    centred = means - means.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1)
    assert found.equal_norms == pytest.approx(norms.std() / norms.mean(), rel=1e-5)
    gram = centred @ centred.T
    ideal = (np.eye(3) - 1 / 3) / np.sqrt(2)
    assert found.nc2 == pytest.approx(np.linalg.norm(gram / np.linalg.norm(gram) - ideal), rel=1e-5)
    assert found.equal_angles > 0.05


def test_that_nc4_goes_by_the_means_that_are_given():
    means = frame(2, 10)
    features = features_around(means)
    assert collapse_of(features, means, means=means[::-1]).nc4 == 0.0


def test_that_equal_means_have_no_ratio_and_no_fault():
    found = collapse_of(features_around(np.ones((2, 5)), noise=0.0), np.zeros((2, 5)))
    assert np.isnan([found.nc1, found.nc2, found.nc3, found.equal_norms, found.equal_angles]).all()


def test_that_a_part_without_a_class_is_refused(two_class_run):
    features = two_class_run.features
    features.part[(features.part == "test") & (features.label == 0)] = "validation"
    with pytest.raises(AnalysisError, match="slices of every class"):
        collapse_history(two_class_run)


def test_that_a_run_with_its_last_features_alone_says_how_to_get_more(two_class_run):
    figure = collapse_figure(two_class_run)
    assert [panel.title[:3] for panel in figure.panels] == ["NC1", "NC2", "NC3", "NC4"]
    assert "Keep features every" in figure.caption
    assert TWO_CLASSES_NOTE in figure.caption
    assert all(isinstance(item, Scatter) for item in figure.panels[0].layers)
    rows = figure.panels[1].layers[-1]
    assert len(rows.x) == len(two_class_run.fc_history.epoch)


def with_epochs(run, *, spread=(2.0, 1.0, 0.2)):
    """Store features of epochs 0 to 2 whose classes draw together."""
    writer = reopen_run(run.path)
    features = run.features
    means = frame(len(run.classes), features.penultimate.shape[1])
    noise = np.random.default_rng(5).normal(size=features.penultimate.shape)
    for epoch, width in enumerate(spread):
        features.penultimate[:] = means[features.label] + width * noise
        weight, bias = run.fc_history.at(epoch)
        features.logits[:] = features.penultimate @ weight.T + bias
        writer.write_epoch_features(epoch, features)
    writer.update(epochs_done=3)
    writer.close()
    return Run(run.path)


def test_that_every_stored_epoch_is_measured_on_both_parts(three_class_run):
    run = with_epochs(three_class_run)
    assert run.feature_epochs == (0, 1, 2, 3)
    history = collapse_history(run)
    nc1 = [measured.nc1 for measured in history.measured["train"]]
    assert nc1[0] > nc1[1] > nc1[2]
    figure = collapse_figure(run)
    lines = [item for item in figure.panels[0].layers if isinstance(item, Curve)]
    assert [line.name for line in lines] == ["training", "test"]
    assert np.allclose(lines[0].y, np.log10(nc1))
    assert TWO_CLASSES_NOTE not in figure.caption
    names = [item.name for item in figure.panels[2].layers]
    assert names == [
        "training, raw",
        "training, mean row removed",
        "test, raw",
        "test, mean row removed",
    ]


def test_that_the_table_holds_the_same_numbers(three_class_run):
    run = with_epochs(three_class_run)
    table = collapse_table(run)
    assert len(table.rows) == 8
    row = dict(zip(table.columns, table.rows[3], strict=True))
    assert (row["epoch"], row["part"]) == (1, "test")
    assert row["nc1"] == collapse_history(run).measured["test"][1].nc1
    assert 0 <= row["nc4"] <= 1


def test_that_a_split_without_test_slices_has_one_line(two_class_run):
    two_class_run.features.part[two_class_run.features.part == "test"] = "train"
    assert collapse_history(two_class_run).parts == ("train",)
    two_class_run.features.part[:] = "validation"
    with pytest.raises(AnalysisError, match="no slices in its training or test part"):
        collapse_history(two_class_run)
