"""Looks which of the cohorts and runs opened before are gone, away from the window's thread.

A drive that is no longer connected can take a minute to say so: until then all are offered.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from mrifcl_gui import preferences
from mrifcl_gui.job import Job


@dataclass(frozen=True)
class Looked:
    """Whether one of them is gone."""

    path: Path
    is_gone: bool


class RecentCheck(QObject):
    """One look at a time, so that a drive that does not answer holds one thread and no more.

    Signals
    -------
    looked(Looked)
        For each path, as soon as it is known.
    """

    looked = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._gone: set[Path] = set()
        self._wanted: tuple[Path, ...] = ()
        self._job: Job | None = None

    @property
    def gone(self) -> frozenset[Path]:
        """Those that were gone when they were last looked for."""
        return frozenset(self._gone)

    def look_for(self, paths: Sequence[Path]) -> None:
        """Look for ``paths``; what is still being looked for first is given up."""
        self._wanted = tuple(paths)
        if self._job is not None:
            self._job.cancel()
        elif self._wanted:
            self._start()

    def _start(self) -> None:
        paths, self._wanted = self._wanted, ()
        # Without a parent: it may outlive the window, waiting for the drive.
        job = Job(self.tr("Looking for recent cohorts and runs"), lambda: _look_for(paths))
        job.loses_nothing = True
        job.progressed.connect(self._on_looked)
        job.finished.connect(self._on_finished)
        self._job = job
        job.start()

    def _on_looked(self, looked: Looked) -> None:
        (self._gone.add if looked.is_gone else self._gone.discard)(looked.path)
        self.looked.emit(looked)

    def _on_finished(self) -> None:
        self._job = None
        if self._wanted:
            self._start()


def _look_for(paths: Sequence[Path]) -> Generator[Looked]:
    for path in paths:
        try:
            is_gone = preferences.is_gone(path)
        except OSError:  # a drive that is there and cannot be read is of no more use
            is_gone = True
        yield Looked(path, is_gone)
