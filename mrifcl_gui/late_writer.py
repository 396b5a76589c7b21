"""Writes to disk away from the window's thread: the newest of what goes to one place, and soon.

A disk may take a second to say that it has something; the window must not wait for that.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from shiboken6 import isValid

from core.progress import Operation, Progress
from mrifcl_gui.job import Job, run_before_each

logger = logging.getLogger(__name__)

# Ten changes in a row (a splitter that is dragged) are one write.
DELAY_MS = 150

_writers: weakref.WeakSet[LateWriter] = weakref.WeakSet()


class LateWriter(QObject):
    """Keeps what is to be written, one thing a place, and writes it in a job.

    A job that starts later finds it written; whoever else reads a place calls :meth:`flush`.
    """

    failed = Signal(object)  # OSError

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pending: dict[Path, Callable[[], None]] = {}
        # Held while one writes, so that an older state never comes after a newer one.
        self._writing = threading.Lock()
        self._job: Job | None = None
        self._delay = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._delay.timeout.connect(self._on_due)
        _writers.add(self)

    def write(self, path: Path, action: Callable[[], None]) -> None:
        """Call ``action`` soon, in another thread, unless a newer one comes for ``path``.

        It may raise `OSError`, which ``failed`` then tells.
        """
        self._pending[path] = action
        if self._job is None and not self._delay.isActive():
            self._delay.start()

    def flush(self) -> None:
        """Return when all that was asked for is on the disk; from any thread."""
        with self._writing:
            while self._pending:
                try:
                    # In one step, as another thread may be adding.
                    self._pending.popitem()[1]()
                except OSError as error:
                    logger.warning("a change could not be kept: %s", error.strerror)
                    self.failed.emit(error)

    def close(self) -> None:
        """Write the rest here and now."""
        self._delay.stop()
        self.flush()
        if self._job is not None:
            self._job.wait()

    def _write(self) -> Operation[None]:
        yield Progress("Keeping changes")
        self.flush()

    def _on_due(self) -> None:
        self._job = Job(self.tr("Keeping changes"), self._write, self)
        self._job.finished.connect(self._on_finished)
        self._job.start()

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        if self._pending:
            self._delay.start()


def flush_all() -> None:
    """Write what any writer still has to write; from any thread."""
    for writer in list(_writers):
        if isValid(writer):
            writer.flush()


def close_all() -> None:
    """Write the rest of every writer, here and now."""
    for writer in list(_writers):
        if isValid(writer):
            writer.close()


run_before_each(flush_all)
