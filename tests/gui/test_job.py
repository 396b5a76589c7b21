"""A job ends in exactly one way, tells little enough, and never outlives the window."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time

import pytest
from PySide6.QtCore import QObject, QTimer
from qasync import QEventLoop

from core.errors import TrainingError
from core.progress import BatchDone, EpochMetrics, Notice, Progress
from mrifcl_gui.job import Job, cancel_and_wait, running_jobs

STAGES = ("start", "first", "middle", "last", "cleanup")


class Listener(QObject):
    """Notes what a job says, in order."""

    def __init__(self, job):
        super().__init__()
        self.events, self.ends, self.payloads = [], [], []
        job.progressed.connect(self.events.append)
        job.succeeded.connect(self.on_succeeded)
        job.failed.connect(self.on_failed)
        job.cancelled.connect(self.on_cancelled)
        job.finished.connect(self.on_finished)

    def on_succeeded(self, result):
        self.ends.append("succeeded")
        self.payloads.append(result)

    def on_failed(self, error):
        self.ends.append("failed")
        self.payloads.append(error)

    def on_cancelled(self):
        self.ends.append("cancelled")

    def on_finished(self):
        self.ends.append("finished")


def run(qtbot, job):
    listener = Listener(job)
    with qtbot.waitSignal(job.finished, timeout=5000):
        job.start()
    qtbot.waitUntil(lambda: "finished" in listener.ends)
    return listener


def counting(n=3, *, fails_at="", cleaned=None):
    def operation():
        if fails_at == "first":
            raise TrainingError("first")
        try:
            for i in range(n):
                yield Progress("counting", i + 1, n)
                if fails_at == "middle" and i == n // 2:
                    raise TrainingError("middle")
            if fails_at == "last":
                raise TrainingError("last")
            return n
        finally:
            if cleaned is not None:
                cleaned.append(True)
            if fails_at == "cleanup":
                raise TrainingError("cleanup")

    def start():
        if fails_at == "start":
            raise TrainingError("start")
        return operation()

    return start


def test_that_a_job_succeeds_once_with_its_result_and_then_finishes(qtbot):
    listener = run(qtbot, Job("counting", counting()))
    assert listener.ends == ["succeeded", "finished"]
    assert listener.payloads == [3]


@pytest.mark.parametrize("stage", STAGES)
def test_that_a_fault_at_any_stage_fails_the_job_exactly_once(qtbot, stage):
    listener = run(qtbot, Job("failing", counting(fails_at=stage)))
    assert listener.ends == ["failed", "finished"]
    assert str(listener.payloads[0]) == stage


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), KeyboardInterrupt()])
def test_that_an_unforeseen_fault_comes_out_as_it_is(qtbot, error):
    def operation():
        yield Progress("about to fail")
        raise error

    listener = run(qtbot, Job("failing", operation))
    assert listener.ends == ["failed", "finished"]
    assert listener.payloads[0] is error


def test_that_a_job_cancelled_before_its_start_runs_nothing(qtbot):
    cleaned = []
    job = Job("counting", counting(cleaned=cleaned))
    job.cancel()
    assert job.is_cancelling
    listener = run(qtbot, job)
    assert listener.ends == ["cancelled", "finished"]
    assert not cleaned


@pytest.mark.parametrize("at", [1, 2, 5, 10])
def test_that_a_job_can_be_cancelled_at_every_step_and_cleans_up(qtbot, at):
    reached, go_on, cleaned = threading.Event(), threading.Event(), []

    def operation():
        try:
            for step in range(1, 11):
                if step == at:
                    reached.set()
                    go_on.wait(5)
                yield Progress("stepping", step, 10)
        finally:
            cleaned.append(threading.current_thread() is not threading.main_thread())

    job = Job("stepping", operation)
    listener = Listener(job)
    job.start()
    assert reached.wait(5)
    job.cancel()
    go_on.set()
    qtbot.waitUntil(lambda: "finished" in listener.ends, timeout=5000)
    assert listener.ends == ["cancelled", "finished"]
    assert cleaned == [True]


def test_that_a_fault_while_cleaning_up_after_cancel_is_a_failure(qtbot):
    reached = threading.Event()

    def operation():
        try:
            while True:
                reached.set()
                time.sleep(0.001)
                yield Progress("going")
        finally:
            raise TrainingError("disk full")

    job = Job("going", operation)
    listener = Listener(job)
    job.start()
    assert reached.wait(5)
    job.cancel()
    qtbot.waitUntil(lambda: "finished" in listener.ends, timeout=5000)
    assert listener.ends == ["failed", "finished"]


def test_that_slots_are_called_in_the_thread_of_the_window(qtbot):
    threads = []

    class Receiver(QObject):
        def on_event(self, _event):
            threads.append(threading.current_thread())

    receiver = Receiver()
    job = Job("counting", counting())
    job.progressed.connect(receiver.on_event)
    run(qtbot, job)
    assert set(threads) == {threading.main_thread()}


@pytest.mark.slow  # a clock is no judge on a busy machine
def test_that_a_flood_of_batches_leaves_the_window_responsive(qtbot):
    n = 100_000

    def operation():
        for i in range(n):
            yield BatchDone(1, i + 1, n, 0.5, 100.0, 1.0)
        return n

    job = Job("training", operation)
    listener = Listener(job)
    beats = [time.monotonic()]
    heartbeat = QTimer()
    heartbeat.setInterval(10)
    heartbeat.timeout.connect(lambda: beats.append(time.monotonic()))
    heartbeat.start()
    job.start()
    qtbot.waitUntil(lambda: "finished" in listener.ends, timeout=20_000)
    beats.append(time.monotonic())
    seconds = beats[-1] - beats[0]
    heartbeat.stop()
    assert max(b - a for a, b in itertools.pairwise(beats)) < 0.25
    # Told at most twenty times a second: nothing piles up behind the window's back.
    assert len(listener.events) <= 20 * seconds + 2
    told = len(listener.events)
    qtbot.wait(100)
    assert len(listener.events) == told


def test_that_only_events_that_a_newer_one_replaces_are_left_out(qtbot):
    epoch = EpochMetrics(1, 1.0, 0.5, 1.0, 0.5, 0.1, 1.0, None, None, None, 0.0)
    kept = [Notice("one"), epoch, Notice("two")]

    def operation():
        for event in kept:
            for i in range(100):
                yield Progress("between", i, 100)
            yield event

    listener = run(qtbot, Job("mixed", operation))
    assert [event for event in listener.events if not isinstance(event, Progress)] == kept


def test_that_running_jobs_lists_only_what_runs(qtbot):
    go_on = threading.Event()

    def operation():
        yield Progress("waiting")
        while not go_on.wait(0.005):
            yield Progress("waiting")

    job = Job("waiting", operation)
    assert job not in running_jobs()
    job.start()
    qtbot.waitUntil(lambda: job in running_jobs())
    assert cancel_and_wait()
    assert job not in running_jobs()


def test_that_a_deleted_job_that_somebody_holds_does_no_harm(qtbot):
    job = Job("counting", counting())
    with qtbot.waitSignal(job.destroyed, timeout=5000):
        job.finished.connect(job.deleteLater)
        job.start()
    assert running_jobs() == []
    assert cancel_and_wait()


def test_that_twenty_jobs_ended_at_any_moment_leave_no_thread(qtbot):
    def operation():
        while True:
            time.sleep(0.0005)
            yield Progress("going")

    jobs = [Job("going", operation) for _ in range(20)]
    for i, job in enumerate(jobs):
        job.start()
        if i % 3 == 0:
            qtbot.wait(1)
    assert cancel_and_wait(5000)
    assert not any(job.isRunning() for job in jobs)
    gc.collect()


@pytest.fixture
def loop(qapp):
    loop = QEventLoop(qapp)
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


def test_that_awaiting_a_job_gives_its_result(loop):
    assert loop.run_until_complete(Job("counting", counting()).result()) == 3


def test_that_awaiting_a_job_raises_its_fault(loop):
    with pytest.raises(TrainingError, match="middle"):
        loop.run_until_complete(Job("failing", counting(fails_at="middle")).result())


def test_that_awaiting_a_cancelled_job_is_cancelled(loop):
    job = Job("counting", counting())
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(job.result())


def test_that_awaiting_a_job_that_has_ended_returns_at_once(loop):
    async def twice():
        job = Job("counting", counting())
        return await job.result(), await job.result()

    assert loop.run_until_complete(twice()) == (3, 3)


def test_that_cancelling_the_waiting_task_cancels_the_job(loop):
    def operation():
        while True:
            time.sleep(0.001)
            yield Progress("going")

    job = Job("going", operation)

    async def wait_and_cancel():
        task = asyncio.ensure_future(job.result())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run_until_complete(wait_and_cancel())
    assert job.is_cancelling
    assert job.wait(5000)
