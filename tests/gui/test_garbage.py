"""Cyclic garbage is collected in the window's thread, also that of a job."""

from __future__ import annotations

import gc
import threading

from core.progress import Progress
from mrifcl_gui.job import Job
from tests.tiny_cohort import wait_until_idle


class Cyclic:
    """Notes in which thread it was collected."""

    def __init__(self, seen):
        self.itself, self.seen = self, seen

    def __del__(self):
        self.seen.append(threading.current_thread())


def test_that_garbage_of_a_job_is_collected_in_the_windows_thread(qtbot):
    seen = []

    def operation():
        for _ in range(5_000):  # many times what Python's own collector waits for
            Cyclic(seen)
        yield Progress("Making garbage")
        assert not gc.isenabled()

    job = Job("Garbage", operation)
    with qtbot.waitSignal(job.succeeded, timeout=10_000):
        job.start()
    wait_until_idle(qtbot)
    qtbot.waitUntil(gc.isenabled, timeout=5_000)
    assert len(seen) == 5_000
    assert set(seen) == {threading.main_thread()}
