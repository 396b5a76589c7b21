"""Frozen layers that run once give the same bits as frozen layers that run each time."""

from __future__ import annotations

import numpy as np
import pytest

from core import tasks
from core.config import change
from core.progress import Progress, run_to_end
from core.run_folder import Run
from tests.core.training.test_regime import random_weights, settings_for


def train(cohort, settings, runs):
    return Run(run_to_end(tasks.train(cohort.folder, settings, runs)))


def stored_features(cohort):
    return sorted((cohort.folder / "features").glob("*.npz"))


@pytest.fixture
def frozen(cohort, small, tmp_path):
    """Settings of a frozen custom CNN that starts from an earlier run."""
    earlier = train(cohort, change(small, {"epochs": 1}), tmp_path / "earlier")
    # 24 training slices in batches of 10: the last batch is smaller than the others.
    return change(
        small, {"regime": "frozen", "weights": str(earlier.path), "batch": 10, "epochs": 4}
    )


def same_bits(first, second):
    np.testing.assert_array_equal(first.fc_history.weight, second.fc_history.weight)
    np.testing.assert_array_equal(first.features.penultimate, second.features.penultimate)
    np.testing.assert_array_equal(first.features.logits, second.features.logits)
    np.testing.assert_array_equal(first.history.validation_loss, second.history.validation_loss)


def test_that_kept_features_give_the_same_bits(cohort, frozen, tmp_path):
    live = train(cohort, change(frozen, {"cache_features": False}), tmp_path / "live")
    assert not stored_features(cohort)
    kept = train(cohort, frozen, tmp_path / "kept")
    assert len(stored_features(cohort)) == 1
    again = train(cohort, frozen, tmp_path / "again")
    assert len(stored_features(cohort)) == 1
    same_bits(live, kept)
    same_bits(live, again)
    assert np.abs(live.fc_history.weight[-1] - live.fc_history.weight[0]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet101", "googlenet", "vgg19"])
def test_that_the_paper_networks_give_the_same_bits(cohort, tmp_path, network):
    weights = random_weights(tmp_path / f"{network}.safetensors", network)
    settings = settings_for(network, "frozen", weights, epochs=3)
    live = train(cohort, change(settings, {"cache_features": False}), tmp_path / "live")
    same_bits(live, train(cohort, settings, tmp_path / "kept"))
    same_bits(live, train(cohort, settings, tmp_path / "again"))


def runs_layers(cohort, settings, runs):
    """Train; tell whether the frozen layers were run to keep their features."""
    events = list(tasks.train(cohort.folder, settings, runs))
    return any(
        isinstance(event, Progress) and "frozen layers once" in event.what for event in events
    )


def test_that_features_are_kept_for_each_network_and_data_by_themselves(cohort, frozen, tmp_path):
    assert runs_layers(cohort, frozen, tmp_path / "a")
    assert not runs_layers(cohort, change(frozen, {"learning_rate": 0.01}), tmp_path / "b")
    assert runs_layers(cohort, change(frozen, {"size": 48}), tmp_path / "c")
    other = train(cohort, change(frozen, {"regime": "scratch", "weights": ""}), tmp_path / "other")
    assert runs_layers(cohort, change(frozen, {"weights": str(other.path)}), tmp_path / "d")


def test_that_damaged_features_are_computed_again(cohort, frozen, tmp_path):
    first = train(cohort, frozen, tmp_path / "a")
    (path,) = stored_features(cohort)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    assert runs_layers(cohort, frozen, tmp_path / "b")
    same_bits(first, train(cohort, frozen, tmp_path / "c"))


def test_that_augmented_slices_are_not_kept(cohort, frozen, tmp_path):
    turned = change(frozen, {"augment_degrees": 20.0})
    run = train(cohort, turned, tmp_path / "turned")
    assert run.state == "finished"
    assert not stored_features(cohort)
    plain = train(cohort, frozen, tmp_path / "plain")
    assert np.abs(run.fc_history.weight - plain.fc_history.weight).max() > 1e-4
