"""A GPU that is missing, hidden, hangs or dies is said, and training runs (faults T4)."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from core import tasks
from core.child_process import ChildError, ChildResult, run_in_child
from core.errors import TrainingError
from core.progress import EpochMetrics, Notice, run_to_end
from core.run_folder import Run
from core.training import gpu_check, loop
from core.training.devices import choose_device, passed_over
from tests.core.training.test_train import train


@pytest.fixture(autouse=True)
def ask_anew(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu_check._ask.cache_clear()
    yield
    gpu_check._ask.cache_clear()


@pytest.fixture
def child(monkeypatch):
    """Make this a CUDA build of torch; return what its child is to answer, and its calls."""
    answer, calls = [], []

    def run(task, payload, **limits):
        calls.append((task, limits["seconds"]))
        if isinstance(answer[0], Exception):
            raise answer[0]
        return ChildResult({"fault": answer[0]})

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(gpu_check, "run_in_child", run)
    return answer, calls


@pytest.mark.parametrize("shown", ["", "-1", " "])
def test_that_a_hidden_gpu_means_the_cpu(monkeypatch, shown, child):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert choose_device("auto") == torch.device("cpu")
    assert passed_over("auto") == ""
    with pytest.raises(TrainingError, match=r"CUDA_VISIBLE_DEVICES is empty.*Choose the device"):
        choose_device("cuda")
    assert child[1] == [], "nothing is started to find that out"


def test_that_a_cpu_build_is_told_without_a_child(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(gpu_check, "run_in_child", None)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(TrainingError, match="this is a CPU build of torch"):
        choose_device("cuda")


def test_that_a_gpu_that_works_is_used_and_asked_once(child):
    answer, calls = child
    answer.append("")
    assert [choose_device("auto").type for _ in range(3)] == ["cuda"] * 3
    assert calls == [("check-gpu", 20.0)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ChildError("timeout"), "it did not answer within 20 s"),
        (ChildError("crashed"), "its driver crashed"),
        ("it cannot be used (no kernel image).", r"it cannot be used (no kernel image)"),
    ],
)
def test_that_training_runs_on_the_cpu_and_says_why(cohort, small, tmp_path, child, fault, words):
    child[0].append(fault)
    events = list(tasks.train(cohort.folder, small, tmp_path / "runs"))
    said = [event.text for event in events if isinstance(event, Notice)]
    assert any(f"Training runs on the CPU. There is a GPU, but {words}" in text for text in said)
    run = Run(next((tmp_path / "runs").iterdir()))
    assert run.state == "finished"
    assert run.record["device"].startswith("CPU")
    with pytest.raises(TrainingError, match=re.escape(words)):
        choose_device("cuda")


def test_that_no_gpu_at_all_is_nothing_to_talk_about(child):
    child[0].append(gpu_check.NO_GPU)
    assert choose_device("auto") == torch.device("cpu")
    assert passed_over("auto") == ""


def test_that_the_real_child_answers():
    result = run_in_child(gpu_check.TASK, {}, seconds=120, memory_bytes=0, is_foreign=False)
    if torch.version.cuda is None:
        assert result.values["fault"] == gpu_check.NO_GPU
    else:
        assert isinstance(result.values["fault"], str)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RuntimeError("CUDA error: no kernel image is available\nmore"), "no kernel image"),
        (AssertionError("Torch not compiled with CUDA enabled"), "not compiled"),
    ],
)
def test_that_a_fault_of_the_driver_comes_back_in_one_sentence(monkeypatch, fault, words):
    def broken(*_, **__):
        raise fault

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", broken)
    said = gpu_check.check_in_child({}).values["fault"]
    assert said.startswith("it cannot be used (")
    assert words in said
    assert "more" not in said


def test_that_a_gpu_that_calculates_wrongly_is_not_used(monkeypatch):
    ones = torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", lambda *size, device: ones(*size) * 2)
    assert "calculates wrongly" in gpu_check.check_in_child({}).values["fault"]


def test_that_a_gpu_that_dies_leaves_a_run_for_a_fresh_start(cohort, small, tmp_path, monkeypatch):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == 1)

    def dead(*_, **__):
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_step", dead)
        with pytest.raises(TrainingError, match=r"The GPU stopped working.*start it again") as told:
            run_to_end(operation)
    assert "CUDA" not in str(told.value)
    (path,) = (tmp_path / "runs").iterdir()
    assert (Run(path).state, Run(path).record["epochs_done"]) == ("failed", 1)
    run_to_end(tasks.resume(path))
    np.testing.assert_array_equal(Run(path).features.logits, whole.features.logits)
