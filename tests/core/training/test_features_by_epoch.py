"""Features of chosen epochs are kept beside the run, and change nothing about it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from core import tasks
from core.analysis.collapse import collapse_history
from core.config import change
from core.errors import RunError
from core.progress import EpochMetrics, run_to_end
from core.run_folder import Run
from tests.tiny_cohort import make_cohort, tiny


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def kept(scanned, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return Run(run_to_end(tasks.train(scanned.folder, tiny(epochs=5, features_every=2), runs)))


def test_that_features_are_there_before_training_every_so_often_and_at_the_end(kept):
    assert kept.feature_epochs == (0, 2, 4, 5)
    for epoch in kept.feature_epochs:
        features, (weight, bias) = kept.features_at(epoch), kept.fc_history.at(epoch)
        logits = features.penultimate @ weight.T + bias
        # Half precision has eleven bits.
        np.testing.assert_allclose(logits, features.logits, rtol=2e-3, atol=2e-3)
    assert kept.features_at() is kept.features
    assert kept.features_at(5) is kept.features


def test_that_keeping_features_changes_no_number_of_the_run(kept, scanned, tmp_path):
    plain = Run(run_to_end(tasks.train(scanned.folder, tiny(epochs=5), tmp_path)))
    np.testing.assert_array_equal(plain.fc_history.weight, kept.fc_history.weight)
    np.testing.assert_array_equal(plain.features.logits, kept.features.logits)
    assert plain.feature_epochs == (5,)
    assert not (plain.path / "features_by_epoch").exists()


def test_that_an_epoch_without_features_says_how_to_keep_them(kept):
    with pytest.raises(RunError, match=r"no features of epoch 3.*Keep features every"):
        kept.features_at(3)


def test_that_a_resumed_run_has_the_features_of_one_that_was_not_stopped(kept, scanned, tmp_path):
    operation = tasks.train(scanned.folder, tiny(epochs=5, features_every=2), tmp_path)
    for event in operation:
        if isinstance(event, EpochMetrics) and event.epoch == 2:
            break
    operation.close()
    (folder,) = tmp_path.iterdir()
    assert Run(folder).feature_epochs == (0, 2)
    run = Run(run_to_end(tasks.resume(folder)))
    assert run.feature_epochs == kept.feature_epochs
    for epoch in (0, 4):
        np.testing.assert_array_equal(
            run.features_at(epoch).penultimate, kept.features_at(epoch).penultimate
        )


def test_that_a_frozen_network_keeps_them_too(kept, scanned, tmp_path):
    settings = change(
        tiny(epochs=2, features_every=1), {"regime": "frozen", "weights": str(kept.path)}
    )
    run = Run(run_to_end(tasks.train(scanned.folder, settings, tmp_path)))
    assert run.feature_epochs == (0, 1, 2)
    # Nothing but the FCL changes, so that what enters it stays.
    np.testing.assert_allclose(
        run.features_at(0).penultimate, run.features.penultimate, rtol=1e-3, atol=1e-3
    )


def test_that_neural_collapse_is_measured_at_each_of_them(kept):
    history = collapse_history(kept)
    assert history.epochs == (0, 2, 4, 5)
    assert history.parts == ("train", "test")
    assert all(np.isfinite(measured.nc1) for measured in history.measured["test"])


def test_that_a_damaged_file_or_one_of_other_slices_is_told(kept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(kept.path, folder)
    file = folder / "features_by_epoch" / "epoch_00002.npz"
    np.savez(file, penultimate=np.zeros((2, 8)), logits=np.zeros((2, 2)))
    with pytest.raises(RunError, match="of other slices"):
        Run(folder).features_at(2)
    file.write_bytes(b"cut")
    with pytest.raises(RunError, match=r"epoch_00002.npz' of run 'copy' is damaged"):
        Run(folder).features_at(2)


def test_that_values_beyond_half_precision_stay_finite(kept, tmp_path):
    from dataclasses import replace

    from core.run_folder import reopen_run

    folder = tmp_path / "copy"
    shutil.copytree(kept.path, folder)
    writer = reopen_run(folder)
    large = replace(kept.features, penultimate=kept.features.penultimate + 1e6)
    writer.write_epoch_features(2, large)
    writer.close()
    assert np.isfinite(Run(folder).features_at(2).penultimate).all()


def test_that_a_disk_without_room_for_them_is_told_before_training(scanned, tmp_path, monkeypatch):
    from core import disk_space

    # Room for the networks, but not for 10 000 times 48 slices of 8 features.
    monkeypatch.setattr(disk_space, "free_bytes", lambda _folder: 202 * 10**6)
    settings = tiny(epochs=10_000, features_every=1)
    with pytest.raises(RunError, match="GB left"):
        run_to_end(tasks.train(scanned.folder, settings, tmp_path))
    assert not list(tmp_path.iterdir())
