"""Look for pretrained weights, and fetch them when the user asks: jobs of the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from core import tasks
from core.progress import Operation
from mrifcl_gui.job import Job

StartJob = Callable[[str, Callable[[], Operation[Any]], Callable[[Any], None]], Job]


class WeightsJobs(QObject):
    """Answers what is here, and drives at most one download of a file at a time.

    Parameters
    ----------
    start_job : callable
        :meth:`mrifcl_gui.session.Session.start`.
    """

    known = Signal(list)  # of WeightsState, for the newest question only
    progressed = Signal(str, object)  # name of the entry, Progress
    ended = Signal(str)  # name of the entry: fetched, cancelled or failed

    def __init__(self, start_job: StartJob, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._start_job = start_job
        self._looking: _Named | None = None
        self._fetching: dict[str, _Named] = {}

    def look_up(self, networks: Sequence[str], asked: str) -> None:
        """Ask for the weights of ``networks``; the answer comes by ``known``."""
        if self._looking is not None:
            self._looking.drop()
        wanted = list(networks)
        self._looking = _Named("", self)
        self._looking.succeeded.connect(self.known)
        self._looking.start(
            self._start_job,
            self.tr("Looking for weights"),
            lambda: tasks.look_up_weights(wanted, asked),
        )

    def fetch(self, name: str) -> None:
        """Download one of torchvision's files; the user has asked for it."""
        if name in self._fetching:
            return
        fetching = self._fetching[name] = _Named(name, self)
        fetching.progressed.connect(self.progressed)
        fetching.ended.connect(self._on_ended)
        fetching.start(
            self._start_job,
            self.tr("Downloading weights"),
            lambda: tasks.download_weights(name),
        )

    def cancel(self, name: str) -> None:
        """Stop a download; what has come is kept."""
        if name in self._fetching:
            self._fetching[name].cancel()

    def _on_ended(self, name: str) -> None:
        self._fetching.pop(name).deleteLater()
        self.ended.emit(name)


class _Named(QObject):
    """One job and its name: when it has ended Qt no longer tells who it was."""

    succeeded = Signal(list)
    progressed = Signal(str, object)
    ended = Signal(str)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._name = name
        self._job: Job | None = None
        self._is_dropped = False

    def start(
        self, start_job: StartJob, title: str, operation: Callable[[], Operation[Any]]
    ) -> None:
        """Start the job."""
        self._job = start_job(title, operation, self._on_succeeded)
        self._job.progressed.connect(self._on_progressed)
        self._job.finished.connect(self._on_finished)

    def cancel(self) -> None:
        """Ask the job to end."""
        if self._job is not None and isValid(self._job):
            self._job.cancel()

    def drop(self) -> None:
        """Ask it to end; its answer is wanted no more, even if it has come already."""
        self._is_dropped = True
        self.cancel()
        if self._job is None:
            self.deleteLater()

    def _on_succeeded(self, result: object) -> None:
        if isinstance(result, list) and not self._is_dropped:
            self.succeeded.emit(result)

    def _on_progressed(self, event: object) -> None:
        self.progressed.emit(self._name, event)

    def _on_finished(self) -> None:
        self._job = None
        self.ended.emit(self._name)
        if self._is_dropped:
            self.deleteLater()
