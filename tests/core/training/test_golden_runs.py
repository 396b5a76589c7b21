"""Run folders of every format and of early versions are read, analysed, gone on from (P11)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core import tasks
from core.atomic_file import sha256_of
from core.progress import run_to_end
from core.run_folder import FORMAT_VERSION, Run, recorded_sums
from core.training import checkpoint
from core.training.network import build_network

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
FOLDERS = sorted(GOLDEN.glob("run-*"))


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def golden(request, tmp_path):
    """A copy that may be written to, far from its cohort."""
    return shutil.copytree(request.param, tmp_path / "elsewhere" / request.param.name)


def test_that_there_is_one_of_the_present_format():
    assert f"run-format-{FORMAT_VERSION}" in [path.name for path in FOLDERS]


def test_that_a_golden_run_reads_whole(golden):
    run = Run(golden)
    assert (run.state, run.classes, run.remarks) == ("finished", ("AD", "NC"), ())
    assert run.settings.training.network == "cnn2d"
    assert run.settings.learning_rate == 0.05
    assert run.split_text == "by subject 5:2:3, seed 0"
    assert run.history.epoch.tolist() == [1, 2, 3]
    assert run.fc_history.weight.shape == (4, 2, run.settings.training.cnn_features)
    assert set(run.features.part) == {"train", "validation", "test"}
    weight, bias = run.fc_history.at()
    np.testing.assert_allclose(
        run.features.penultimate @ weight.T + bias, run.features.logits, atol=1e-5
    )


def folder_sums(folder):
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file()}


def test_that_a_golden_run_is_analysed_without_its_cohort_and_stays_as_it_is(golden, tmp_path):
    before = folder_sums(golden)
    files = run_to_end(tasks.analyse(golden, tmp_path / "out"))
    assert folder_sums(golden) == before
    assert len(files.figures) > 10
    assert all(path.stat().st_size for path in (*files.figures, *files.tables))


def test_that_a_golden_runs_network_and_checkpoint_are_loaded(golden):
    run = Run(golden)
    settings = run.settings.training
    network = build_network(settings, 2, transform_input=bool(run.record["transform_input"]))
    checkpoint.load_network(network, run)
    weight, _ = run.fc_history.at()
    np.testing.assert_array_equal(network.get_submodule("fc").weight.detach().numpy(), weight)
    torch.nn.init.zeros_(network.get_submodule("fc").weight)
    checkpoint.put_last_epoch_into(network, checkpoint.RunWriter(golden, run.record))
    np.testing.assert_array_equal(network.get_submodule("fc").weight.detach().numpy(), weight)


def test_that_a_golden_runs_files_are_as_they_were_written(golden):
    run = Run(golden)
    # Versions before the sums were kept have none.
    assert ("sha256" in run.record) != golden.name.endswith("-early")
    for name in run.record.get("sha256", ()):
        assert sha256_of(golden / name) in recorded_sums(run.record, name)


def test_that_a_run_stopped_by_an_early_version_goes_on_in_this_one(tmp_path):
    # As it stood on disk; those names are not kept in a repository.
    for part, place in (("scans", "tiny"), ("cohort", "cohorts/tiny.mrifcl"), ("run", "runs/old")):
        shutil.copytree(GOLDEN / "early-study" / part, tmp_path / place)
    path = tmp_path / "runs" / "old"
    before = Run(path)
    history, weights = before.history, before.fc_history
    assert before.state == "stopped"
    run_to_end(tasks.resume(path))
    after = Run(path)
    assert (after.state, after.record["format_version"]) == ("finished", FORMAT_VERSION)
    assert after.history.epoch.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(after.history.train_loss[:2], history.train_loss)
    np.testing.assert_array_equal(after.fc_history.weight[:3], weights.weight)
    assert set(after.features.part) == {"train", "validation", "test"}
