"""On a drive of several computers a run has one writer, told by its sign of life (faults P9)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core import run_heartbeat
from core.config import RunSettings
from core.run_folder import Run, create_run, reopen_run
from core.run_heartbeat import HEARTBEAT_FILE
from core.run_lock import LOCK_FILE, RunInUseError, holder_of

REPOSITORY = Path(__file__).resolve().parents[2]
# A process as it would be on a computer of another name, on a drive that knows no locks.
HOLD = """
import sys, socket, pathlib
from core import run_heartbeat, run_lock
name, folder = sys.argv[1:]
if name:
    socket.gethostname = lambda: name
def refuse(*_):
    raise OSError(95, "Operation not supported")
if hasattr(run_lock, "fcntl"):
    run_lock.fcntl.flock = refuse
run_heartbeat.BEAT_SECONDS = 0.05
from core.run_folder import reopen_run
writer = reopen_run(pathlib.Path(folder))
print("held", flush=True)
sys.stdin.readline()
writer.close()
print("free", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def run(tmp_path):
    writer = create_run(tmp_path, RunSettings(), {"classes": ["AD", "NC"]})
    writer.close()
    return writer.path


@pytest.fixture
def no_locks(monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows knows no drive without locks")

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def hold(run):
    """Return a function that starts another process which holds the run."""
    started = []

    def start(name=""):
        process = subprocess.Popen(
            [sys.executable, "-B", "-c", HOLD, name, str(run)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_that_a_run_that_another_computer_writes_is_told_though_its_lock_is_not(run, hold):
    # Our own locks work here, as on many network drives: they just know nothing of PC-7.
    other = hold("PC-7")
    with pytest.raises(RunInUseError, match=r"is open in another window since \d\d:\d\d on PC-7"):
        reopen_run(run)
    seen = Run(run)
    assert seen.state == "running"
    assert (seen.holder.host, seen.holder.pid) == ("PC-7", other.pid)


def test_that_two_processes_exclude_each_other_where_the_drive_knows_no_locks(run, hold, no_locks):
    other = hold()
    with pytest.raises(RunInUseError, match=f"on {socket.gethostname()}"):
        reopen_run(run)
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "free\n"
    assert not {HEARTBEAT_FILE, LOCK_FILE} & {path.name for path in run.iterdir()}
    reopen_run(run).close()


def test_that_the_run_of_a_process_killed_here_is_taken_over_at_once(run, hold, no_locks):
    other = hold()
    assert Run(run).state == "running"
    os.kill(other.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    other.wait()
    assert (run / HEARTBEAT_FILE).exists()
    assert Run(run).state == "interrupted"
    reopen_run(run).close()


def test_that_the_run_of_a_computer_that_went_away_is_taken_over_after_a_while(
    run, hold, monkeypatch
):
    other = hold("PC-7")
    other.kill()
    other.wait()
    # The others cannot know at once: PC-7 may only be slow.
    with pytest.raises(RunInUseError):
        reopen_run(run)
    monkeypatch.setattr(run_heartbeat, "DEAD_AFTER_SECONDS", 0.2)
    time.sleep(0.3)
    assert Run(run).state == "interrupted"
    writer = reopen_run(run)
    assert json.loads((run / HEARTBEAT_FILE).read_text())["pid"] == os.getpid()
    writer.close()


def test_that_a_long_training_goes_on_giving_signs(run, hold, monkeypatch):
    hold("PC-7")
    monkeypatch.setattr(run_heartbeat, "DEAD_AFTER_SECONDS", 0.5)
    for _ in range(4):
        time.sleep(0.25)
        assert holder_of(run) is not None


def test_that_a_computer_that_slept_does_not_write_into_a_run_taken_over(run, monkeypatch):
    ours = reopen_run(run)
    record = json.loads((run / HEARTBEAT_FILE).read_text())
    taken = record | {"host": "PC-8", "machine": "", "token": "another"}
    (run / HEARTBEAT_FILE).write_text(json.dumps(taken))
    before = (run / "run.json").read_bytes()
    with pytest.raises(RunInUseError, match=r"was taken over.* on PC-8"):
        ours.update(state="finished")
    assert (run / "run.json").read_bytes() == before
    ours.close()
    assert json.loads((run / HEARTBEAT_FILE).read_text()) == taken


@pytest.mark.parametrize("text", [b"", b"[" * 5000, b"\0" * 90, b'{"host": 3}'])
def test_that_a_damaged_sign_keeps_nobody_out(run, text):
    (run / HEARTBEAT_FILE).write_bytes(text)
    assert holder_of(run) is None
    reopen_run(run).close()


def test_that_no_thread_is_left_when_a_run_is_let_go(run):
    before = threading.active_count()
    for _ in range(20):
        reopen_run(run).close()
    assert threading.active_count() == before


def test_that_a_full_disk_takes_no_sign_and_stops_no_run(run, monkeypatch):
    real = os.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith(HEARTBEAT_FILE):
            raise OSError(28, "No space left on device")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    writer = reopen_run(run)
    writer.update(state="stopped")
    writer.close()
    assert Run(run).state == "stopped"
