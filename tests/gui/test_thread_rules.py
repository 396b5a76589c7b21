"""Nothing of the window is touched from another thread: how jobs are connected, and floods."""

from __future__ import annotations

import ast
import gc
import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QObject

from core.progress import BatchDone
from mrifcl_gui.job import Job

SOURCES = sorted((Path(__file__).resolve().parents[2] / "mrifcl_gui").glob("*.py"))
JOB_SIGNALS = {"progressed", "succeeded", "failed", "cancelled", "finished", "started"}


def connections(tree):
    """Yield the signal's name and what it is connected to, of each ``x.signal.connect(y)``."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "connect"
            and isinstance(node.func.value, ast.Attribute)
        ):
            yield node.func.value.attr, node.args[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_that_signals_of_jobs_go_to_bound_methods_only(path):
    # Qt calls a lambda, a plain function or a partial in the thread that emits.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for signal, target in connections(tree):
        if signal in JOB_SIGNALS:
            assert not isinstance(target, ast.Lambda | ast.Call), f"line {target.lineno}"
            assert not (isinstance(target, ast.Name) and target.id in plain), (
                f"line {target.lineno}"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_that_threads_are_jobs_and_the_event_loop_is_not_driven_by_hand(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("processEvents", "terminate", "moveToThread"), node.lineno
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            assert called not in ("Thread", "QThread", "ThreadPoolExecutor", "QRunnable")


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class Counter(QObject):
    def __init__(self):
        super().__init__()
        self.count, self.threads = 0, set()

    def on_event(self, _event):
        self.count += 1
        self.threads.add(threading.current_thread())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_that_a_hundred_thousand_events_pile_up_nowhere(qtbot):
    n = 100_000

    def operation():
        for i in range(n):
            yield BatchDone(1, i + 1, n, 0.5, 100.0, 1.0)

    job, counter = Job("training", operation), Counter()
    job.progressed.connect(counter.on_event)
    gc.collect()
    before, began = resident_bytes(), time.monotonic()
    with qtbot.waitSignal(job.finished, timeout=60_000):
        job.start()
    seconds = time.monotonic() - began
    cpu = time.thread_time()
    qtbot.wait(1)
    told = counter.count
    qtbot.wait(50)
    assert counter.count == told, "the queue was empty at once"
    assert time.thread_time() - cpu < 1.0
    assert 1 <= told <= 20 * seconds + 2
    assert resident_bytes() - before < 20e6
    assert counter.threads == {threading.main_thread()}
