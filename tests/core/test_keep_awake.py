"""The computer stays awake while it trains, and clocks that jump change nothing (faults T5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core import keep_awake, tasks
from core.keep_awake import kept_awake
from core.progress import BatchDone, EpochMetrics
from core.run_folder import Run
from tests.tiny_cohort import drive, make_cohort, tiny, train_run

REPOSITORY = Path(__file__).resolve().parents[2]
FIND_TOOL = keep_awake.find_tool  # each test is given one that finds none
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="no such tools and signals there")
# As systemd-inhibit does: holds the wish for as long as the command behind it runs.
TOOL = """#!{python}
import os, pathlib, subprocess, sys
place = pathlib.Path(__file__).parent
command = [word for word in sys.argv[1:] if not word.startswith("-")]
(place / "begun").write_text(" ".join(sys.argv[1:]))
subprocess.run(command)
(place / "ended").touch()
"""
HOLD = """
import sys, time
from core.keep_awake import kept_awake
with kept_awake():
    print("awake", flush=True)
    time.sleep(60)
"""
TRAIN = """
import sys, pathlib
from core import tasks
from core.progress import BatchDone
from tests.tiny_cohort import tiny
for event in tasks.train(pathlib.Path(sys.argv[1]), tiny(epochs=3), pathlib.Path(sys.argv[2])):
    if isinstance(event, BatchDone):
        print("batch", flush=True)
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A tool that notes when it is begun and ended, as the only one there is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "systemd-inhibit"
    path.write_text(TOOL.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setattr(keep_awake, "find_tool", FIND_TOOL)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(keep_awake.sys, "platform", "linux")
    return folder


def commands_below(pid):
    """Return the names of all processes that ``pid`` and those below it started."""
    done = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    below, names = {str(pid)}, []
    for _ in range(4):
        found = [row for row in rows if row[1] in below and row[0] not in below]
        below |= {row[0] for row in found}
        names += [row[2].strip() for row in found]
    return names


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@needs_posix
def test_that_the_tool_runs_for_as_long_as_the_block(tool):
    with kept_awake():
        wait_for(lambda: (tool / "begun").exists() and (tool / "begun").read_text())
        assert "--what=sleep:idle" in (tool / "begun").read_text()
        assert "cat" in commands_below(os.getpid())
    assert "cat" not in commands_below(os.getpid())


@needs_posix
def test_that_training_keeps_awake_unless_it_is_switched_off(tool, tmp_path):
    scanned = make_cohort(tmp_path)
    drive(tasks.train(scanned.folder, tiny(epochs=1, keep_awake=False), tmp_path / "runs"))
    assert not (tool / "begun").exists()
    operation = tasks.train(scanned.folder, tiny(epochs=1), tmp_path / "runs")
    next(event for event in operation if isinstance(event, BatchDone))
    wait_for((tool / "begun").exists)
    operation.close()


@needs_posix
def test_that_the_wish_of_a_killed_program_ends_with_it(tool):
    holder = subprocess.Popen(
        [sys.executable, "-B", "-c", HOLD], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "awake\n"
    wait_for((tool / "begun").exists)
    holder.kill()
    holder.communicate()
    wait_for((tool / "ended").exists)


@pytest.mark.parametrize("command", [None, ("/no/such/tool",), (sys.executable, "-c", "1/0")])
def test_that_nothing_happens_where_no_tool_helps(command, monkeypatch):
    monkeypatch.setattr(keep_awake, "find_tool", lambda: command)
    with kept_awake():
        pass


def test_that_an_unknown_system_has_no_tool(monkeypatch):
    monkeypatch.setattr(keep_awake.sys, "platform", "plan9")
    assert FIND_TOOL() is None


def test_that_a_clock_that_jumps_by_a_day_changes_no_time_and_no_bit(tmp_path, monkeypatch):
    scanned = make_cohort(tmp_path)
    steady = Run(train_run(scanned, tmp_path / "steady", epochs=3))
    jumps, real = [86_400.0, -172_800.0, 86_400.0], time.time
    shift = [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    events = []
    for event in tasks.train(scanned.folder, tiny(epochs=3), tmp_path / "runs"):
        events.append(event)
        if isinstance(event, EpochMetrics) and jumps:
            shift[0] += jumps.pop()
    told = [event for event in events if isinstance(event, EpochMetrics) and event.epoch]
    assert [event.epoch for event in told] == [1, 2, 3]
    assert not jumps
    for event in told:
        assert 0 < event.seconds < 600
        assert 0 <= event.seconds_left < 600
    assert all(0 <= event.seconds_left < 600 for event in events if isinstance(event, BatchDone))
    (path,) = (tmp_path / "runs").iterdir()
    jumped = Run(path)
    assert 0 < jumped.record["seconds"] < 600
    assert jumped.record["started"].endswith("+00:00"), "in UTC"
    np.testing.assert_array_equal(jumped.features.logits, steady.features.logits)


@needs_posix
def test_that_a_computer_that_slept_within_an_epoch_goes_on_to_the_same_bits(tmp_path):
    scanned = make_cohort(tmp_path)
    steady = Run(train_run(scanned, tmp_path / "steady", epochs=3))
    process = subprocess.Popen(
        [sys.executable, "-B", "-c", TRAIN, str(scanned.folder), str(tmp_path / "runs")],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "batch\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGCONT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    (path,) = (tmp_path / "runs").iterdir()
    assert Run(path).state == "finished"
    np.testing.assert_array_equal(Run(path).features.logits, steady.features.logits)
