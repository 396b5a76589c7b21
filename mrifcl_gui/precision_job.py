"""Measure in which precision training is fastest here: a job of the session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

from core import tasks
from core.config import RunSettings
from core.progress import Operation, Progress
from mrifcl_gui.job import Job

T = TypeVar("T")
StartJob = Callable[[str, Callable[[], Operation[Any]], Callable[[Any], None]], Job]
_LOOK_SECONDS = 0.05


class PrecisionJob(QObject):
    """Drives at most one probe, and lets a training begin only after it.

    Both draw from torch's random numbers, of which a program has one row: a probe beside
    a training would change what that gives.

    Parameters
    ----------
    start_job : callable
        :meth:`mrifcl_gui.session.Session.start`.
    """

    measured = Signal(object)  # ProbeResult
    ended = Signal()  # measured, cancelled or failed

    def __init__(self, start_job: StartJob, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._start_job = start_job
        self._job: Job | None = None
        self._is_free = threading.Event()
        self._is_free.set()

    def measure(self, settings: RunSettings) -> None:
        """Start a probe, unless one runs."""
        if self._job is not None:
            return
        is_free = self._is_free

        def operation() -> Operation[Any]:
            is_free.clear()
            try:
                return (yield from tasks.probe_precision(settings))
            finally:
                is_free.set()

        job = self._start_job(self.tr("Measuring precision"), operation, self._on_measured)
        job.finished.connect(self._on_finished)
        self._job = job

    def before(self, training: Callable[[], Operation[T]]) -> Callable[[], Operation[T]]:
        """Return ``training`` so that it begins after the probe under way, which is cancelled."""
        if self._job is not None:
            self._job.cancel()
        is_free = self._is_free

        def operation() -> Operation[T]:
            while not is_free.wait(_LOOK_SECONDS):
                yield Progress("Waiting for the measurement to end")
            return (yield from training())

        return operation

    def _on_measured(self, result: object) -> None:
        self.measured.emit(result)

    def _on_finished(self) -> None:
        self._job = None
        self.ended.emit()
