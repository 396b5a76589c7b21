"""A run whose folder is no longer to be written goes on elsewhere and says where (faults P4)."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from core import atomic_file, tasks
from core.errors import RunError, TrainingError
from core.progress import EpochMetrics, Notice, RunMoved, run_to_end
from core.run_folder import Run
from core.run_log import read_log
from core.user_folder import rescued_runs, user_data_folder
from tests.core.training.faulty_disk import FaultyDisk
from tests.core.training.test_train import train


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    # As Linux, macOS and Windows find it.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "home" / "data"))


def after_epoch(operation, number, *, runs):
    """Train up to an epoch; return the run folder."""
    next(event for event in operation if isinstance(event, EpochMetrics) and event.epoch == number)
    (folder,) = runs.iterdir()
    return folder


class HeldFolder(FaultyDisk):
    """Refuses every change in one folder; elsewhere all is well."""

    def _fsync(self, handle):
        pass


def refuse_below(patch, folder, *, code=errno.EACCES):
    """Let every change below ``folder`` be refused, as by a virus scanner that holds it."""
    HeldFolder(patch, folder, code=code, fails_at=1)
    patch.setattr(atomic_file.time, "sleep", lambda _: None)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_that_a_run_goes_on_elsewhere_and_gives_the_bits_of_an_undisturbed_one(
    cohort, small, tmp_path, code
):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        operation = tasks.train(cohort.folder, small, tmp_path / "runs")
        old = after_epoch(operation, 1, runs=tmp_path / "runs")
        refuse_below(patch, old, code=code)
        events = []
        while True:
            try:
                events.append(next(operation))
            except StopIteration as end:
                new = end.value
                break
    assert new.parent == rescued_runs()
    assert [event.path for event in events if isinstance(event, RunMoved)] == [new]
    (said,) = [event.text for event in events if isinstance(event, Notice)]
    assert f"'{old.name}' can no longer be written ({os.strerror(code)})" in said
    assert str(new) in said
    moved = Run(new)
    assert moved.state == "finished"
    assert moved.history.epoch.tolist() == whole.history.epoch.tolist()
    np.testing.assert_array_equal(moved.fc_history.weight, whole.fc_history.weight)
    np.testing.assert_array_equal(moved.features.logits, whole.features.logits)
    assert any("the run goes on in" in line for line in read_log(new))
    assert str(Path.home()) not in (new / "log.txt").read_text()
    # What it had stays where it was, and is read.
    assert Run(old).history.epoch[0] == 1


def test_that_a_run_moved_and_stopped_is_resumed_from_there(cohort, small, tmp_path):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        operation = tasks.train(cohort.folder, small, tmp_path / "runs")
        refuse_below(patch, after_epoch(operation, 1, runs=tmp_path / "runs"))
        new = after_epoch(operation, 2, runs=rescued_runs())
        operation.close()
    assert new.parent == rescued_runs()
    assert Run(new).state == "stopped"
    run_to_end(tasks.resume(new))
    np.testing.assert_array_equal(Run(new).features.logits, whole.features.logits)


def test_that_files_held_three_times_are_written_a_little_later(
    cohort, small, tmp_path, monkeypatch
):
    waits, real, held = [], Path.replace, []

    def replace(source, target):
        if Path(target).name == "resume.ckpt" and len(held) < 3:
            held.append(target)
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(source, target)

    monkeypatch.setattr(atomic_file.time, "sleep", waits.append)
    monkeypatch.setattr(Path, "replace", replace)
    run = Run(train(cohort, small, tmp_path / "runs"))
    assert run.path.parent == tmp_path / "runs"
    assert waits == [0.1, 0.2, 0.5]
    assert run.state == "finished"


def test_that_a_history_held_for_a_moment_gets_its_line(cohort, small, tmp_path, monkeypatch):
    real, held, waits = io.open, [], []

    def open_held(file, mode="r", *args, **kwargs):
        if str(file).endswith("history.csv") and mode == "a" and len(held) < 3:
            held.append(file)
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(file, mode, *args, **kwargs)

    monkeypatch.setattr(atomic_file.time, "sleep", waits.append)
    monkeypatch.setattr(io, "open", open_held)
    run = Run(train(cohort, small, tmp_path / "runs"))
    assert run.path.parent == tmp_path / "runs"
    assert len(held) == 3
    assert run.history.epoch.tolist() == list(range(1, small.epochs + 1))


def test_that_a_run_that_nothing_takes_is_told_with_its_folder(
    cohort, small, tmp_path, monkeypatch
):
    rescued_runs().parent.mkdir(parents=True)
    rescued_runs().write_text("in the way")
    with pytest.MonkeyPatch.context() as patch:
        operation = tasks.train(cohort.folder, small, tmp_path / "runs")
        old = after_epoch(operation, 1, runs=tmp_path / "runs")
        refuse_below(patch, old)
        with pytest.raises(TrainingError, match=r"cannot be written \(Permission denied\)") as told:
            run_to_end(operation)
    assert old.name in str(told.value)
    assert Run(old).record["epochs_done"] == 1


def test_that_a_folder_that_is_not_to_be_written_is_said_at_the_start(
    cohort, small, tmp_path, monkeypatch
):
    # chmod binds no superuser, so the refusal is put in the system's mouth.
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(RunError, match=r"No run can be stored in .*: Permission denied\. Choose"):
        train(cohort, small, tmp_path / "runs")
    assert not (cohort.folder / "slices").exists()


def test_that_the_data_folder_is_the_users_own():
    assert user_data_folder().is_absolute()
    assert user_data_folder().name == "MRI-FCL"
    assert Path.home() in rescued_runs().parents
