"""Several processes, short memory and precision: the same training, whatever it runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core import tasks
from core.config import change
from core.errors import TrainingError
from core.progress import EpochMetrics, Notice, RunStarted, run_to_end
from core.run_folder import Run
from core.training import loop
from core.training.custom_cnn import CustomCnn2d
from core.training.devices import bytes_in_use, describe_device
from core.training.engine import Engine
from core.training.launch import Launch, outer_launch

MAIN = Path(__file__).parents[3] / "main.py"


def train(cohort, settings, runs):
    return Run(run_to_end(tasks.train(cohort.folder, settings, runs)))


def largest_difference(first, second):
    return np.abs(first.fc_history.weight - second.fc_history.weight).max()


def test_that_two_processes_give_what_one_gives(cohort, small, tmp_path):
    one = train(cohort, small, tmp_path / "one")
    two = train(cohort, change(small, {"devices": 2, "device": "cpu"}), tmp_path / "two")
    assert np.abs(one.fc_history.weight[-1] - one.fc_history.weight[0]).max() > 0.01
    assert largest_difference(one, two) < 1e-5
    np.testing.assert_allclose(one.features.logits, two.features.logits, atol=1e-4)
    np.testing.assert_allclose(one.history.train_loss, two.history.train_loss, atol=1e-5)
    np.testing.assert_allclose(one.history.validation_loss, two.history.validation_loss, atol=1e-5)
    assert two.record["device"].startswith("2 x CPU")


def test_that_a_stopped_run_of_two_processes_resumes(cohort, small, tmp_path):
    settings = change(small, {"devices": 2, "device": "cpu"})
    operation = tasks.train(cohort.folder, settings, tmp_path / "runs")
    path = None
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    operation.close()
    assert Run(path).state == "stopped"
    resumed = Run(run_to_end(tasks.resume(path)))
    whole = train(cohort, settings, tmp_path / "whole")
    assert resumed.state == "finished"
    assert largest_difference(resumed, whole) < 1e-6


def test_that_more_machines_than_one_need_a_launcher(cohort, small, tmp_path):
    settings = change(small, {"devices": 2, "nodes": 2, "device": "cpu"})
    with pytest.raises(TrainingError, match="torchrun or SLURM"):
        train(cohort, settings, tmp_path / "runs")


@pytest.fixture
def short_memory(monkeypatch):
    """A network whose device holds at most so many images at once."""

    def limit(most, error):
        forward = CustomCnn2d.forward

        def refuse(self, images):
            # What is needed is estimated on "meta", where nothing is allocated.
            if self.training and len(images) > most and images.device.type != "meta":
                raise error
            return forward(self, images)

        monkeypatch.setattr(CustomCnn2d, "forward", refuse)

    return limit


CPU_ERROR = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")


MPS_ERROR = RuntimeError("MPS backend out of memory (MPS allocated: 9.1 GB, other: 1 GB)")
CUDNN_ERROR = RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), CPU_ERROR, MPS_ERROR, CUDNN_ERROR]
)
def test_that_short_memory_halves_what_goes_through_at_once(
    cohort, small, tmp_path, short_memory, error
):
    short_memory(3, error)
    events = list(tasks.train(cohort.folder, small, tmp_path / "runs"))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert any("with 4 slices at a time" in text for text in notices)
    assert any("with 2 slices at a time; a batch is still 8 slices" in text for text in notices)
    run = Run(next((tmp_path / "runs").iterdir()))
    assert run.state == "finished"
    assert run.record["micro_batch"] == 2


def test_that_added_up_gradients_are_those_of_the_whole_batch(
    cohort, small, tmp_path, short_memory, monkeypatch
):
    # Without batch norm the pieces of a batch do not see each other, so both ways agree.
    monkeypatch.setattr(torch.nn, "BatchNorm2d", lambda _channels: torch.nn.Identity())
    whole = train(cohort, small, tmp_path / "whole")
    short_memory(3, torch.OutOfMemoryError("CUDA out of memory"))
    pieces = train(cohort, small, tmp_path / "pieces")
    assert np.abs(whole.fc_history.weight[-1] - whole.fc_history.weight[0]).max() > 1e-3
    assert largest_difference(whole, pieces) < 1e-5


def test_that_memory_too_short_for_two_slices_ends_the_run_in_words(
    cohort, small, tmp_path, short_memory
):
    short_memory(1, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(TrainingError, match="smaller batch or a smaller network"):
        train(cohort, small, tmp_path / "runs")
    assert Run(next((tmp_path / "runs").iterdir())).state == "failed"


def test_that_losses_looked_at_together_name_the_batch_that_went_wrong(
    cohort, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "_Tally", _LateTally)
    forward, calls = CustomCnn2d.forward, []

    def spoil(self, images):
        calls.append(self.training and images.device.type != "meta")
        logits = forward(self, images)
        # 24 training slices in batches of 4: the eighth is the second of epoch 2.
        return logits * float("nan") if calls[-1] and sum(calls) == 8 else logits

    monkeypatch.setattr(CustomCnn2d, "forward", spoil)
    with pytest.raises(TrainingError, match=r"in epoch 2, batch 2 \(OAS1_\d+.* slice \d"):
        train(cohort, change(small, {"batch": 4}), tmp_path / "runs")
    run = Run(next((tmp_path / "runs").iterdir()))
    assert run.state == "failed"
    assert run.record["epochs_done"] == 1
    assert np.isfinite(run.fc_history.weight).all()


class _LateTally(loop._Tally):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.look_every = 3


def test_that_half_precision_trains_and_is_recorded(cohort, small, tmp_path):
    run = train(cohort, change(small, {"precision": "bf16", "epochs": 1}), tmp_path / "runs")
    assert run.state == "finished"
    assert run.settings.training.precision == "bf16"
    assert run.fc_history.weight.dtype == np.float32
    exact = train(cohort, change(small, {"epochs": 1}), tmp_path / "exact")
    assert 0 < largest_difference(run, exact) < 0.05


def test_that_another_fault_of_torch_halves_nothing(cohort, small, tmp_path, short_memory):
    short_memory(3, RuntimeError("device-side assert triggered"))
    events = []
    with pytest.raises(TrainingError, match="device-side assert triggered"):
        events.extend(tasks.train(cohort.folder, small, tmp_path / "runs"))
    assert "micro_batch" not in Run(next((tmp_path / "runs").iterdir())).record


def test_that_16_bit_is_refused_on_a_cpu_before_there_is_a_run(cohort, small, tmp_path):
    settings = change(small, {"precision": "16", "device": "cpu"})
    with pytest.raises(TrainingError, match="16 bit is for GPUs"):
        train(cohort, settings, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


class _GpuEngine(Engine):
    """An engine that says of itself what it would on a GPU."""

    def __init__(self, settings, kind):
        super().__init__(settings)
        self._kind = kind

    @property
    def device(self):
        return torch.device(self._kind)


@pytest.mark.parametrize(
    ("kind", "asked", "expected"),
    [("cpu", False, True), ("cuda", False, False), ("cuda", True, True), ("mps", True, False)],
)
def test_that_the_record_promises_the_same_bits_only_where_they_are_given(
    small, kind, asked, expected
):
    training = change(small, {"device": "cpu", "deterministic": asked}).training
    assert _GpuEngine(training, kind).is_deterministic is expected


def test_that_the_record_tells_of_rounded_convolutions_on_an_nvidia_gpu(small, monkeypatch):
    training = change(small, {"device": "cpu"}).training
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert _GpuEngine(training, "cuda").uses_tf32
    assert not _GpuEngine(training, "cpu").uses_tf32


def test_that_an_apple_gpu_is_not_called_a_cpu():
    assert describe_device(torch.device("mps")) == "Apple GPU"
    assert describe_device(torch.device("cpu")).startswith("CPU, ")


@pytest.mark.parametrize(
    ("kind", "module", "reader"),
    [("cuda", torch.cuda, "memory_reserved"), ("mps", torch.mps, "driver_allocated_memory")],
)
def test_that_the_memory_of_a_gpu_is_what_torch_holds_of_it(monkeypatch, kind, module, reader):
    monkeypatch.setattr(module, reader, lambda *_: 3 * 1024**3)
    assert bytes_in_use(torch.device(kind)) == 3 * 1024**3


def test_that_the_scale_of_gradients_goes_into_a_checkpoint_and_out_of_it(
    cohort, small, tmp_path, monkeypatch
):
    taken = []
    monkeypatch.setattr(Engine, "scaling", property(lambda _: {"scale": 1024.0}))
    monkeypatch.setattr(Engine, "set_scaling", lambda _, state: taken.append(state))
    path = None
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    operation.close()
    run_to_end(tasks.resume(path))
    assert taken == [{"scale": 1024.0}]


@pytest.mark.slow
def test_that_torchrun_starts_one_run_and_gives_what_one_process_gives(cohort, small, tmp_path):
    one = train(cohort, change(small, {"epochs": 2}), tmp_path / "one")
    options = ["--network", "cnn2d", "--epochs", "2", "--size", "32", "--batch", "8"]
    options += ["--cnn-width", "2", "--cnn-features", "8", "--learning-rate", "0.05"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launcher, str(MAIN), "train", str(cohort.folder)]
    done = subprocess.run(
        [*command, *options, "--device", "cpu", "--out", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs").iterdir()
    assert largest_difference(one, Run(path)) < 1e-5
    assert Run(path).state == "finished"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, None),
        (
            {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_NNODES": "2"},
            Launch(rank=5, count=8, nodes=2),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "bash"}, None),
        (
            {
                "TORCHELASTIC_RUN_ID": "x",
                "RANK": "3",
                "WORLD_SIZE": "4",
                "LOCAL_WORLD_SIZE": "2",
            },
            Launch(rank=3, count=4, nodes=2),
        ),
    ],
)
def test_that_a_launcher_is_recognised(monkeypatch, environment, expected):
    for name in list(os.environ):
        if name.startswith(("SLURM", "TORCHELASTIC")) or name in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert outer_launch() == expected
