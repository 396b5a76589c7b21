"""Run folders of every released format are read, analysed, and can be gone on from."""

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
FOLDERS = sorted(path for path in GOLDEN.iterdir() if path.is_dir())


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
    assert run.fc_history.weight.shape == (4, 2, 4)
    assert set(run.features.part) == {"train", "validation", "test"}
    weight, bias = run.fc_history.at()
    np.testing.assert_allclose(
        run.features.penultimate @ weight.T + bias, run.features.logits, atol=1e-5
    )


def test_that_a_golden_run_is_analysed_without_its_cohort(golden, tmp_path):
    files = run_to_end(tasks.analyse(golden, tmp_path / "out"))
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
    for name in run.record["sha256"]:
        assert sha256_of(golden / name) in recorded_sums(run.record, name)
