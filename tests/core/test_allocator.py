"""Freed memory: kept while a process works, given back afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core import allocator

_WORK = """
import resource, sys
from core import allocator

if sys.argv[1] == "keep":
    print(allocator.keep_freed_memory())
import threading
import numpy as np

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    kept = [np.ones(8 << 20, np.uint8) for _ in range(40)]

def work():
    step()
    before = faults()
    for _ in range(3):
        step()
    print("faults", faults() - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
high = allocator._resident()
print("looked", allocator.give_back_memory())
print("given", (high - allocator._resident()) >> 20)
print("again", allocator.give_back_memory())
"""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux needs this")


def said(how: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _WORK, how],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"},  # pages of one size, to count them
    )
    return dict(line.split() for line in done.stdout.splitlines() if " " in line)


@linux_only
def test_that_freed_blocks_are_used_again_by_the_next_step_of_any_thread():
    pages_of_a_step = 40 * (8 << 20) // 4096
    assert int(said("plain")["faults"]) > 2 * pages_of_a_step
    assert int(said("keep")["faults"]) < 0.1 * pages_of_a_step


@linux_only
def test_that_after_the_work_memory_is_given_back_once():
    kept = said("keep")
    assert kept["looked"] == "True"
    assert int(kept["given"]) > 280
    assert kept["again"] == "False"


def test_that_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert not allocator.keep_freed_memory()


def test_that_a_system_that_does_not_tell_how_much_it_holds_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path
):
    monkeypatch.setattr(allocator, "_STATM", tmp_path / "missing")
    assert not allocator.give_back_memory()
