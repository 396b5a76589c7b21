"""The disk fills up, fails or refuses: what was acknowledged stays, and words say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess

import numpy as np
import pytest

from core import disk_space, tasks
from core.errors import RunError, TrainingError
from core.progress import EpochMetrics, run_to_end
from core.run_folder import Run
from core.training import checkpoint, loop
from core.training import train as training
from tests.core.training.faulty_disk import FaultyDisk, folder_copy, put_back
from tests.core.training.test_train import stop_after, train

PLAIN_WORDS = ("Errno", "Error", "Traceback", "<class")


def under_way(cohort, settings, runs):
    """Train one epoch; return the generator and its training."""
    operation = training.train(cohort.cohort, cohort.folder, settings, runs)
    for event in operation:
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    inner = operation
    while "training" not in inner.gi_frame.f_locals or inner.gi_yieldfrom is not None:
        inner = inner.gi_yieldfrom
    return operation, inner.gi_frame.f_locals["training"], event


def epoch_on_disk(path):
    """Return the epoch that would be resumed from, having read all else that a resume reads."""
    run = Run(path)
    found = checkpoint._find_checkpoint(path, run.record)
    epoch = int(found.state["epoch"])
    assert not found.notices
    assert epoch >= run.record["epochs_done"]
    assert set(range(epoch + 1)) <= set(run.fc_history.epoch.tolist())
    assert run.history.epoch.tolist()[:epoch] == list(range(1, epoch + 1))
    return epoch


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_that_whichever_call_fails_the_old_or_the_new_state_loads(cohort, small, tmp_path, code):
    operation, under, metrics = under_way(cohort, small, tmp_path / "runs")
    path = under.writer.path
    files, record = folder_copy(path), dict(under.writer.record)
    history = (list(under.fc_epochs), list(under.fc_weights), list(under.fc_biases))
    epochs, kinds = [], set()
    for fails_at in range(1, 400):
        put_back(path, files)
        under.writer.record = dict(record)
        under.fc_epochs, under.fc_weights, under.fc_biases = map(list, history)
        under.epoch, under.best_accuracy = 2, -1.0
        second = EpochMetrics(**{**vars(metrics), "epoch": 2})
        with pytest.MonkeyPatch.context() as patch:
            disk = FaultyDisk(patch, path, code=code, fails_at=fails_at)
            try:
                loop._keep_epoch(under, second)
            except OSError as error:
                assert error.errno == code  # noqa: PT017 - one of several outcomes
        epochs.append(epoch_on_disk(path))
        if not disk.has_failed:
            break
        kinds.add(disk.calls[-1])
    else:
        raise AssertionError("the save never succeeds")
    under.epoch = 1
    operation.close()
    assert len(epochs) > 40, "few calls were tried"
    assert kinds == {"open", "write", "fsync", "replace", "chmod", "mkstemp"}
    assert epochs == sorted(epochs), "once the new state is there it stays"
    assert set(epochs) == {1, 2}


@pytest.mark.parametrize("fails_at", [25, 60, 95])
def test_that_a_full_disk_stops_the_run_in_words_and_it_resumes(cohort, small, tmp_path, fails_at):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    runs = tmp_path / "runs"
    operation = tasks.train(cohort.folder, small, runs)
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == 1)
    path = next(runs.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        FaultyDisk(patch, path, code=errno.ENOSPC, fails_at=fails_at)
        with pytest.raises(
            TrainingError, match=r"is full\. Free 0.[2-9] GB on it and resume"
        ) as told:
            run_to_end(operation)
    assert disk_space.drive_of(path) in str(told.value)
    assert not any(word in str(told.value) for word in PLAIN_WORDS)
    # Nothing could be written, not even the state: nobody holds the run, so that shows.
    assert Run(path).state == "interrupted"
    run_to_end(tasks.resume(path))
    np.testing.assert_array_equal(Run(path).features.logits, whole.features.logits)


def test_that_a_disk_that_fills_up_for_large_files_only_leaves_a_stopped_run(
    cohort, small, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == 2)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_write_checkpoint", full)
        with pytest.raises(TrainingError, match="is full"):
            run_to_end(operation)
    run = Run(next((tmp_path / "runs").iterdir()))
    assert run.state == "stopped"
    assert "is full" in run.record["error"]
    assert run.record["epochs_done"] == 2
    assert str(tmp_path) not in run.record["error"]
    run_to_end(tasks.resume(run.path))
    assert Run(run.path).state == "finished"
    assert Run(run.path).record["error"] == ""


def test_that_too_little_room_is_said_with_numbers_before_the_start(
    cohort, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: 100_000_000)
    with pytest.raises(RunError, match=r"has 0.1 GB left .* may need 0.3 GB. Free 0.2 GB on it"):
        train(cohort, small, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_that_too_little_room_is_said_before_a_run_goes_on(cohort, small, tmp_path, monkeypatch):
    path = stop_after(cohort, small, tmp_path / "runs", epoch=1, batch=1)
    with monkeypatch.context() as patch:
        patch.setattr(disk_space, "free_bytes", lambda _: 100_000_000)
        with pytest.raises(RunError, match=r"has 0\.1 GB left"):
            run_to_end(tasks.resume(path))
    run_to_end(tasks.resume(path))
    assert Run(path).state == "finished"


def test_that_the_room_for_a_run_counts_what_it_writes():
    # Two of each and one more while it is written, and 200 MB.
    assert disk_space.room_for_run(checkpoint_bytes=10**9, network_bytes=0) == 3_200_000_000


def test_that_a_folder_that_takes_no_run_is_said_before_any_slice_is_cut(cohort, small, tmp_path):
    (tmp_path / "file").write_text("in the way")
    operation = tasks.train(cohort.folder, small, tmp_path / "file" / "runs")
    events = []
    with pytest.raises(RunError, match="No run can be stored in"):
        events.extend(operation)
    assert not (cohort.folder / "slices").exists()


@pytest.fixture
def small_drive(tmp_path):
    """A drive of 600 kB of its own; skips where none can be mounted."""
    place = tmp_path / "drive"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    if shutil.which("mount") is None or os.name == "nt":
        pytest.skip("no drive can be mounted here")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no drive can be mounted here: that needs rights")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill_up(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass
    assert shutil.disk_usage(path.parent).free < 1024


def test_that_a_real_drive_that_fills_up_loses_nothing(
    cohort, small, tmp_path, small_drive, monkeypatch
):
    monkeypatch.setattr("core.training.train.require_room", lambda *_: None)
    whole = Run(train(cohort, small, tmp_path / "whole"))
    operation = tasks.train(cohort.folder, small, small_drive / "runs")
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == 1)
    ballast = small_drive / "ballast"
    fill_up(ballast)
    with pytest.raises(TrainingError, match=r"The disk 'drive' is full\. Free 0\.[2-9] GB"):
        run_to_end(operation)
    path = next((small_drive / "runs").iterdir())
    assert epoch_on_disk(path) >= 1
    ballast.unlink()
    run_to_end(tasks.resume(path))
    np.testing.assert_array_equal(Run(path).features.logits, whole.features.logits)


def test_that_a_read_only_run_is_said_at_the_start_of_resume(cohort, small, tmp_path, monkeypatch):
    path = stop_after(cohort, small, tmp_path / "runs", epoch=1, batch=1)
    real = os.open

    def read_only(place, flags, *args, **kwargs):
        if str(place).startswith(str(path)) and flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(place, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(RunError, match=r"cannot be written: Read-only file system\. Copy"):
        run_to_end(tasks.resume(path))
