"""Look for pretrained weights, and fetch them when the user asks: jobs of the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal

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
        self._looking: Job | None = None
        self._fetching: dict[str, Job] = {}

    def look_up(self, networks: Sequence[str], asked: str) -> None:
        """Ask for the weights of ``networks``; the answer comes by ``known``."""
        if self._looking is not None:
            self._looking.cancel()
        wanted = list(networks)
        job = self._start_job(
            self.tr("Looking for weights"),
            lambda: tasks.look_up_weights(wanted, asked),
            self._on_known,
        )
        job.finished.connect(self._on_looked)
        self._looking = job

    def fetch(self, name: str) -> None:
        """Download one of torchvision's files; the user has asked for it."""
        if name in self._fetching:
            return
        job = self._start_job(
            self.tr("Downloading weights"), lambda: tasks.download_weights(name), self._on_fetched
        )
        job.setObjectName(name)
        job.progressed.connect(self._on_progressed)
        job.finished.connect(self._on_ended)
        self._fetching[name] = job

    def cancel(self, name: str) -> None:
        """Stop a download; what has come is kept."""
        if name in self._fetching:
            self._fetching[name].cancel()

    def _on_known(self, states: list[object]) -> None:
        # Of two questions that overlap only the newer one is still open.
        if self.sender() is self._looking:
            self.known.emit(states)

    def _on_looked(self) -> None:
        if self.sender() is self._looking:
            self._looking = None

    def _on_progressed(self, event: object) -> None:
        self.progressed.emit(self.sender().objectName(), event)

    def _on_fetched(self, path: object) -> None:
        del path  # a look at what is here now follows its end

    def _on_ended(self) -> None:
        name = self.sender().objectName()
        self._fetching.pop(name, None)
        self.ended.emit(name)
