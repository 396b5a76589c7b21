"""One program writes to a run at a time; a dead one holds nothing."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from core.config import RunSettings
from core.errors import RunError
from core.run_folder import Run, create_run, reopen_run
from core.run_lock import LOCK_FILE, Holder, RunInUseError, holder_of, take_lock

REPOSITORY = Path(__file__).resolve().parents[2]
HOLD = (
    "import sys, pathlib; from core.run_folder import reopen_run; "
    "writer = reopen_run(pathlib.Path(sys.argv[1])); print('held', flush=True); "
    "sys.stdin.readline(); writer.close(); print('free', flush=True); sys.stdin.readline()"
)


@pytest.fixture
def run(tmp_path):
    writer = create_run(tmp_path, RunSettings(), {"classes": ["AD", "NC"]})
    writer.close()
    return writer.path


@pytest.fixture
def other(run):
    """Another process that holds the run."""
    process = subprocess.Popen(
        [sys.executable, "-B", "-c", HOLD, str(run)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_that_a_second_process_is_told_since_when_and_where(run, other):
    with pytest.raises(RunInUseError) as caught:
        reopen_run(run)
    text = str(caught.value)
    assert f"Run '{run.name}' is open in another window since " in text
    assert f" on {socket.gethostname()}. It can be read here" in text
    record = json.loads((run / LOCK_FILE).read_text())
    assert record["pid"] == other.pid
    assert record["since"].endswith("+00:00")


def test_that_a_held_run_can_be_read_and_says_who_holds_it(run, other):
    seen = Run(run)
    assert seen.state == "running"
    assert seen.holder.pid == other.pid


def test_that_a_released_run_is_free_again_and_leaves_no_file(run, other):
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "free\n"
    assert not (run / LOCK_FILE).exists()
    reopen_run(run).close()


def test_that_the_run_of_a_killed_process_is_taken_over(run, other):
    os.kill(other.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    other.wait()
    assert (run / LOCK_FILE).exists()
    assert Run(run).state == "interrupted"
    writer = reopen_run(run)
    assert holder_of(run).pid == os.getpid()
    writer.close()
    assert holder_of(run) is None


@pytest.mark.parametrize("text", [b"", b"999999\nMRI-FCL\noldhost\n", b"\0" * 90, b"[" * 5000])
def test_that_a_lock_file_without_a_holder_holds_nothing(run, text):
    (run / LOCK_FILE).write_bytes(text)
    assert holder_of(run) is None
    assert Run(run).state == "interrupted"
    reopen_run(run).close()


def test_that_two_windows_of_one_program_exclude_each_other(run):
    first = reopen_run(run)
    with pytest.raises(RunError, match="open in another window"):
        reopen_run(run)
    first.close()
    reopen_run(run).close()


def test_that_looking_does_not_keep_others_from_writing(run):
    for _ in range(200):
        assert holder_of(run) is None
        lock = take_lock(run)
        assert holder_of(run) is not None
        lock.release()


def test_that_a_forgotten_writer_holds_nothing(run):
    writer = reopen_run(run)
    del writer
    gc.collect()
    assert holder_of(run) is None


def test_that_a_lock_file_on_a_drive_without_locks_keeps_nobody_out(run, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    reopen_run(run).close()


def test_that_holders_are_told_as_precisely_as_they_are_known():
    assert Holder().words() == "open in another window"
    now = datetime.now().astimezone()
    today = Holder("PC-7", 1, now.replace(hour=14, minute=2))
    assert today.words() == "open in another window since 14:02 on PC-7"
    earlier = Holder("PC-7", 1, now.replace(year=2020, month=3, day=1, hour=14, minute=2))
    assert earlier.words() == "open in another window since 2020-03-01 14:02 on PC-7"
