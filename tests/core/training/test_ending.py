"""However a training ends, its run says how, in words, and is free for others."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

from core import tasks
from core.errors import RunError, TrainingError
from core.progress import BatchDone, EpochMetrics, Progress, RunStarted, run_to_end
from core.run_folder import Run
from core.run_lock import holder_of
from core.training import loop
from core.training import train as training
from tests.core.training.test_train import stop_after, train
from tests.tiny_cohort import tiny


def only_run(runs):
    (path,) = runs.iterdir()
    return Run(path)


FAULTS = [
    RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be later"),
    ValueError("Expected more than 1 value per channel"),
    ZeroDivisionError("division by zero"),
    MemoryError(),
    OSError(5, "Input/output error"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (training, "_begin"),
        (training, "split_rows"),
        (training, "train_epochs"),
        (loop, "_step"),
        (loop, "evaluate"),
        (loop, "_keep_epoch"),
        (training, "extract_features"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_that_a_fault_at_any_stage_leaves_a_failed_run_with_a_sentence(
    cohort, small, tmp_path, monkeypatch, caplog, fault, module, name
):
    def fail(*_, **__):
        raise fault

    caplog.set_level("INFO")
    monkeypatch.setattr(module, name, fail)
    with pytest.raises(TrainingError) as told:
        train(cohort, small, tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    assert run.state == "failed"
    assert run.record["error"] == str(told.value)
    assert run.name in str(told.value)
    assert "esume the run" in str(told.value)
    assert str(told.value).endswith(".")
    assert not any(word in str(told.value) for word in ("Traceback", type(fault).__name__))
    assert holder_of(run.path) is None
    assert "Traceback" in caplog.text, "the details are in the log"
    assert "in fail" in caplog.text


def test_that_a_run_that_failed_in_a_later_epoch_keeps_what_was_and_resumes(
    cohort, small, tmp_path, monkeypatch
):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == 2)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_step", lambda *_: (_ for _ in ()).throw(RuntimeError("cuDNN died")))
        with pytest.raises(TrainingError, match=r"broke off: cuDNN died\. Resume the run"):
            run_to_end(operation)
    run = only_run(tmp_path / "runs")
    assert (run.state, run.record["epochs_done"]) == ("failed", 2)
    run_to_end(tasks.resume(run.path))
    again = Run(run.path)
    assert (again.state, again.record["error"]) == ("finished", "")
    np.testing.assert_array_equal(again.features.logits, whole.features.logits)


def test_that_a_stop_before_the_first_batch_leaves_no_run_that_seems_to_run(
    cohort, tmp_path, monkeypatch
):
    # A frozen backbone runs over all slices before the first epoch: a user may stop there.
    operation = tasks.train(cohort.folder, tiny(regime="scratch"), tmp_path / "runs")
    real = training._begin

    def slow(*given):
        yield Progress("Running the frozen layers")
        return (yield from real(*given))

    monkeypatch.setattr(training, "_begin", slow)
    next(event for event in operation if getattr(event, "what", "").startswith("Running the"))
    operation.close()
    run = only_run(tmp_path / "runs")
    assert run.state == "stopped"
    assert holder_of(run.path) is None


def test_that_a_run_under_way_is_held_and_told_to_whoever_resumes(cohort, small, tmp_path):
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == 1)
    run = only_run(tmp_path / "runs")
    assert run.state == "running"
    assert run.state_text.startswith("running, open in another window since ")
    with pytest.raises(RunError, match="open in another window since"):
        run_to_end(tasks.resume(run.path))
    assert Run(run.path).state == "running", "whoever was refused has changed nothing"
    run_to_end(operation)
    assert Run(run.path).state == "finished"
    assert holder_of(run.path) is None


def test_that_a_run_that_ended_elsewhere_meanwhile_is_not_trained_on(
    cohort, small, tmp_path, monkeypatch
):
    path = stop_after(cohort, small, tmp_path / "runs", epoch=1, batch=1)
    late = tasks.resume(path)
    real = training._data_again

    def while_another_ends_it(*given):
        monkeypatch.setattr(training, "_data_again", real)
        run_to_end(tasks.resume(path))
        return (yield from real(*given))

    monkeypatch.setattr(training, "_data_again", while_another_ends_it)
    with pytest.raises(RunError, match="is finished"):
        run_to_end(late)
    assert Run(path).state == "finished"


def test_that_a_clock_that_jumps_changes_no_duration(cohort, small, tmp_path, monkeypatch):
    began = time.monotonic()
    jumps = iter([86_400.0, -86_400.0] * 10_000)
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + next(jumps))
    events = list(tasks.train(cohort.folder, small, tmp_path / "runs"))
    most = time.monotonic() - began
    run = only_run(tmp_path / "runs")
    assert 0 < run.history.seconds.sum() <= most
    assert 0 < run.record["seconds"] <= most
    left = [event.seconds_left for event in events if isinstance(event, BatchDone)]
    assert 0 <= min(left) <= max(left) < 3600


def test_that_times_in_files_are_utc(cohort, small, tmp_path):
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    next(event for event in operation if isinstance(event, RunStarted))
    run = only_run(tmp_path / "runs")
    operation.close()
    assert datetime.fromisoformat(run.record["started"]).utcoffset() == timedelta(0)


def test_that_a_stop_acts_within_one_batch(cohort, small, tmp_path):
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    batches = []
    for event in operation:
        batches += [event] if isinstance(event, BatchDone) else []
        if len(batches) == 2:
            break
    steps = []
    real = torch.optim.SGD.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", lambda *a, **k: steps.append(1) or real(*a, **k))
        operation.close()
    assert steps == []
    assert only_run(tmp_path / "runs").state == "stopped"
