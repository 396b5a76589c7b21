"""A real process is closed at random moments: status 0, in time, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKS = "start,scan,change,analyse,slice,train,queue,export"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies a process with fork")


def close_at_random(*arguments, seconds):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.closing", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        check=False,
    )
    # The clock of a busy computer is no judge; the benchmark tells the times.
    assert "ended with status 0 and all kept" in done.stdout, done.stderr
    said = next(line for line in done.stdout.splitlines() if "moments:" in line)
    assert said.split()[0] == said.split()[2], f"{done.stdout}\n{done.stderr}"


def test_that_a_window_closed_at_a_random_moment_ends_well_and_loses_nothing():
    close_at_random("--count", "3", "--seed", "7", "--only", "start,scan,change", seconds=300)


@pytest.mark.slow
def test_that_a_window_closed_at_any_of_a_hundred_moments_ends_well_and_loses_nothing():
    close_at_random("--count", "100", "--seed", "2", "--only", WORKS, seconds=3600)
