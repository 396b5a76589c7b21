"""The one door to background work: a thread that drives one operation of core."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal
from shiboken6 import isValid

from core.allocator import give_back_memory
from core.errors import MriFclError
from core.progress import BatchDone, Operation, Progress
from mrifcl_gui.garbage import collector

logger = logging.getLogger(__name__)

# How long a busy job's Python may keep the window's waiting, each time. Drawing lets go of Python
# and takes it back hundreds of times: with 0.5 ms, opening 20,000 scans held it up for 0.39 s at
# once, with 0.1 ms for 0.2 s (Python's own is 5 ms). Less would slow the jobs by a quarter.
_SECONDS_OF_A_TURN = 0.0001

# At most twenty replaceable events a second reach the window.
_SECONDS_BETWEEN = 0.05

_alive: weakref.WeakSet[Job] = weakref.WeakSet()
# Qt aborts the process when a thread's object goes before the thread has ended.
_held: set[Job] = set()
_before: list[Callable[[], None]] = []
_leaves = False


class Job(QThread):
    """Runs one operation (a generator of events) away from the window's thread.

    Exactly one of ``succeeded``, ``failed`` and ``cancelled`` comes, then ``finished``.
    Connect bound methods of widgets only: Qt then calls them in the window's thread.

    Parameters
    ----------
    title : str
        What it does, for the task dock.
    start_operation : callable
        Makes the generator; called in the thread, so that imports are paid there.

    Attributes
    ----------
    loses_nothing : bool
        Whether the program may end while it runs, as it writes nothing.
    """

    progressed = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()

    def __init__(
        self,
        title: str,
        start_operation: Callable[[], Operation[Any]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.title = title
        self.loses_nothing = False
        self._start_operation = start_operation
        self._cancel = threading.Event()
        self._last_told = 0.0
        self._outcome: tuple[str, Any] | None = None
        self.finished.connect(self._on_finished)
        _alive.add(self)

    def start(self, priority: QThread.Priority = QThread.Priority.InheritPriority) -> None:
        """Begin; the job is held until its thread has ended, whoever lets go of it."""
        _held.add(self)
        collector().begin()
        sys.setswitchinterval(_SECONDS_OF_A_TURN)
        super().start(priority)

    def cancel(self) -> None:
        """Ask it to end at its next yield; returns at once."""
        self._cancel.set()

    @property
    def is_cancelling(self) -> bool:
        """Whether cancel was asked for."""
        return self._cancel.is_set()

    @property
    def has_outcome(self) -> bool:
        """Whether it is through; its thread may take a moment more to end."""
        return self._outcome is not None

    async def result(self) -> Any:  # noqa: ANN401 - the operation's result
        """Wait for the end from qasync code; start it if nobody has.

        Cancelling the task that waits cancels the job.

        Raises
        ------
        MriFclError
            As the operation gave it.
        asyncio.CancelledError
            If it was cancelled.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(future, self)
        self.succeeded.connect(waiter.on_succeeded)
        self.failed.connect(waiter.on_failed)
        self.cancelled.connect(waiter.on_cancelled)
        # The end may have come before the connections; it would then never be heard.
        if self._outcome is not None:
            waiter.settle(*self._outcome)
        elif not self.isRunning():
            self.start()
        try:
            return await future
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            if self._outcome is not None:
                self.wait()  # for its last few instructions

    def run(self) -> None:
        """Drive the operation; the only code of this class that is not in the window's thread."""
        try:
            try:
                result = self._drive()
            finally:
                give_back_memory()  # before anybody hears of the end
        except MriFclError as error:
            self._outcome = ("failed", error)
            self.failed.emit(error)
        except BaseException as error:
            logger.exception("%s failed", self.title)
            self._outcome = ("failed", error)
            self.failed.emit(error)
        else:
            if result is _CANCELLED:
                self._outcome = ("cancelled", None)
                self.cancelled.emit()
            else:
                self._outcome = ("succeeded", result)
                self.succeeded.emit(result)

    def _on_finished(self) -> None:
        _held.discard(self)
        # Not those whose threads run: this one's may take a moment more, and nobody asks again.
        if not any(isValid(job) for job in _held):
            collector().end()

    def _drive(self) -> Any:  # noqa: ANN401 - the operation's result
        for action in _before:
            action()
        operation = self._start_operation()
        try:
            while True:
                if self._cancel.is_set():
                    return _CANCELLED
                try:
                    event = next(operation)
                except StopIteration as stop:
                    return stop.value
                self._tell(event)
        finally:
            operation.close()

    def _tell(self, event: object) -> None:
        """Pass an event on; of those that a newer one replaces, only some."""
        if isinstance(event, Progress | BatchDone):
            now = time.monotonic()
            # Qt works off its whole queue before any timer, so a flood would freeze the window.
            if now - self._last_told < _SECONDS_BETWEEN:
                return
            self._last_told = now
        self.progressed.emit(event)


class _Waiter(QObject):
    """Puts a job's end into a future; lives in the window's thread."""

    def __init__(self, future: asyncio.Future[Any], parent: QObject) -> None:
        super().__init__(parent)
        self._future = future

    def settle(self, outcome: str, value: Any) -> None:  # noqa: ANN401 - result or exception
        if outcome == "succeeded":
            self.on_succeeded(value)
        elif outcome == "failed":
            self.on_failed(value)
        else:
            self.on_cancelled()

    def on_succeeded(self, result: object) -> None:
        if not self._future.done():
            self._future.set_result(result)

    def on_failed(self, error: BaseException) -> None:
        if not self._future.done():
            self._future.set_exception(error)

    def on_cancelled(self) -> None:
        self._future.cancel()


_CANCELLED = object()


def run_before_each(action: Callable[[], None]) -> None:
    """Call ``action`` from now on before each operation, in the thread of its job."""
    _before.append(action)


def running_jobs() -> list[Job]:
    """Return the jobs whose threads run now."""
    # Qt may have deleted a job whose Python side somebody still holds.
    return [job for job in list(_alive) if isValid(job) and job.isRunning()]


def leave_without_waiting() -> None:
    """Wait no more for jobs that lose nothing: the process ends without taking them down."""
    global _leaves
    _leaves = True


def cancel_and_wait(limit_ms: int = 30_000) -> bool:
    """Cancel every running job and wait for all; tell whether all ended in time."""
    jobs = running_jobs()
    for job in jobs:
        job.cancel()
    return all([job.wait(limit_ms) for job in jobs if not (_leaves and job.loses_nothing)])
