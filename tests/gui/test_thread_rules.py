"""Nothing of the window is touched from another thread: how jobs are connected, and floods."""

from __future__ import annotations

import ast
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QPushButton

from core.progress import BatchDone, finished
from mrifcl_gui import thread_check
from mrifcl_gui.job import Job
from mrifcl_gui.problem_bar import ProblemBar

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


def run_job(qtbot, operation, slot):
    job = Job("answering", operation)
    job.succeeded.connect(slot)
    job.failed.connect(slot)
    with qtbot.waitSignal(job.finished):
        job.start()
    qtbot.wait(1)


def test_that_a_widget_called_from_a_thread_refuses_and_is_told(qtbot):
    bar, told = ProblemBar(), []
    qtbot.addWidget(bar)

    def operation():
        bar.show_text("done")
        yield from finished(None)

    run_job(qtbot, operation, told.append)
    assert [type(error) for error in told] == [thread_check.WrongThreadError]
    assert bar.text() == "", "it was not touched"
    (words,) = thread_check.wrong
    assert words.startswith("mrifcl_gui.problem_bar.ProblemBar.show_text was called in the thread")
    thread_check.wrong.clear()


def test_that_a_method_of_a_widget_is_called_in_the_windows_thread(qtbot):
    bar = ProblemBar()
    qtbot.addWidget(bar)
    run_job(qtbot, lambda: finished("done"), bar.show_text)
    assert bar.text() == "done"
    assert not thread_check.wrong


def test_that_slots_of_all_parts_of_the_window_are_watched(window):
    watched = {
        f"{kind.__name__}.{name}"
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("mrifcl_gui.")
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, QObject)
        for name, member in vars(kind).items()
        if hasattr(member, "__wrapped__")
    }
    assert {
        "Session._on_cohort",
        "MainWindow._on_problem",
        "CohortPanel.show_cohort",
        "QueueMemory._on_read",
        "SliceViewer.show_volume",
        "_Waiter.on_succeeded",
    } <= watched
    assert len(watched) > 800
    assert not {name for name in watched if name.endswith((".paintEvent", ".run", ".__init__"))}


def make_taker():
    class Taker(QObject):
        def __init__(self):
            super().__init__()
            self.got = []

        def _on_none(self):
            self.got.append(())

        def _on_one(self, first, second=7):
            self.got.append((first, second))

        def _on_all(self, *rest):
            self.got.append(rest)

        def _on_named(self, first=1, *, named=2, **others):
            self.got.append((first, named, others))

    return Taker


def got_by(qtbot, kind):
    taker, button = kind(), QPushButton()
    qtbot.addWidget(button)
    for slot in (taker._on_none, taker._on_one, taker._on_all, taker._on_named):
        button.clicked.connect(slot)
    button.click()
    taker._on_named(5, named=6, other=7)
    return taker.got


def test_that_a_watched_slot_takes_what_it_took_before(qtbot):
    plain, watched = make_taker(), make_taker()
    thread_check.watch_class(watched)
    assert got_by(qtbot, watched) == got_by(qtbot, plain)
    assert got_by(qtbot, watched)[0] == ()
    with pytest.raises(TypeError):
        watched()._on_none(1)


def test_that_the_program_is_not_watched_unless_asked(tmp_path):
    # In a process of its own: this one is watched.
    found = [
        subprocess.run(
            [sys.executable, "-c", LOOK],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).resolve().parents[2],
        ).stdout.strip()
        for environment in ({}, {thread_check.SWITCH: "1"})
    ]
    assert found == ["False", "True"]


LOOK = """
from PySide6.QtCore import QTimer
from mrifcl_gui import app, main_window
opened = app.MainWindow.show
def show(window):
    opened(window)
    QTimer.singleShot(0, window.close)
app.MainWindow.show = show
app.run_window([])
print(hasattr(main_window.MainWindow._on_problem, "__wrapped__"))
"""
