"""Remembers the queue over a restart: a log beside the runs, written away from the window."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core.errors import MriFclError
from core.plan_log import LoggedRun, PlanLog, PlannedState
from core.progress import Operation, Progress
from core.run_folder import Run
from core.run_lock import RunLock, take_lock
from mrifcl_gui.job import Job
from mrifcl_gui.run_queue import QueuedRun, RunState

logger = logging.getLogger(__name__)

LOG_FILE = "queue.jsonl"
_LOGGED: dict[RunState, PlannedState] = {
    "waiting": "waiting",
    "running": "running",
    "done": "finished",
    "stopped": "stopped",
    "failed": "failed",
}
_SHOWN: dict[str, RunState] = {logged: shown for shown, logged in _LOGGED.items()}


class QueueMemory(QObject):
    """Writes down what happens to the queue, and reads it back at the next start.

    Of two windows on one folder the second remembers nothing, so that no run is trained
    twice.

    Parameters
    ----------
    folder : Path
        Where the log lies.

    Signals
    -------
    restored(list of QueuedRun)
    """

    restored = Signal(list)
    problem = Signal(object)

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._log = PlanLog(folder / LOG_FILE)
        self._lock: RunLock | None = None
        self._pending: deque[Callable[[], None]] = deque()
        self._job: Job | None = None
        self._has_failed = False
        self._is_closed = False

    def restore(self) -> None:
        """Read what was remembered; ``restored`` follows."""
        self._start(self._read_all, self._on_read)

    def note_added(self, entries: Sequence[QueuedRun]) -> None:
        """Remember runs that were added."""
        runs = [
            LoggedRun(entry.key, entry.settings, self._from_here(entry.cohort), entry.classes)
            for entry in entries
        ]
        self._note(lambda: self._log.add(runs))
        for entry in entries:
            if entry.state != "waiting" or entry.path is not None:
                self.note_moved(entry)

    def note_removed(self, keys: Sequence[str]) -> None:
        """Forget runs."""
        self._note(lambda: self._log.remove(keys))

    def note_order(self, keys: Sequence[str]) -> None:
        """Remember the order of all runs."""
        self._note(lambda: self._log.order(keys))

    def note_moved(self, entry: QueuedRun) -> None:
        """Remember a run's state, and its folder once it has one."""
        key, state, text = entry.key, _LOGGED[entry.state], entry.text
        if state != "running":
            self._note(lambda: self._log.end(key, state, text))
        elif entry.path is not None:
            run = self._from_here(entry.path)
            self._note(lambda: self._log.start(key, run))

    def close(self) -> None:
        """Write the rest, and let another window have the queue."""
        self._is_closed = True
        if self._job is not None:
            self._job.wait()
            self._job = None
        with contextlib.suppress(MriFclError):
            self._write_pending()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _from_here(self, path: Path | None) -> str:
        """Return a path as seen from the log, so that all can move together."""
        if path is None:
            return ""
        try:
            return os.path.relpath(path.resolve(), self._folder.resolve()).replace(os.sep, "/")
        except ValueError:  # another drive on Windows
            return path.resolve().as_posix()

    def _note(self, write: Callable[[], None]) -> None:
        self._pending.append(write)
        if self._job is None and not self._is_closed:
            self._start(self._write_all, self._on_written)

    def _start(self, operation: Callable[[], Operation[object]], slot: object) -> None:
        job = Job(self.tr("Remembering the queue"), operation, self)
        job.succeeded.connect(slot)
        job.failed.connect(self._on_failed)
        job.finished.connect(self._on_finished)
        self._job = job
        job.start()

    def _read_all(self) -> Operation[list[QueuedRun]]:
        yield Progress("Reading the queue")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self._folder)
        except (OSError, MriFclError) as error:
            logger.info("the queue is not remembered: %s", error)
            return []
        entries = [self._entry(logged) for logged in self._log.entries()]
        # Those that were started from the Runs place and ended there are not the queue's.
        return [entry for entry in entries if entry is not None]

    def _entry(self, logged: LoggedRun) -> QueuedRun | None:
        path = (self._folder / logged.run).resolve() if logged.run else None
        run = None
        if path is not None:
            with contextlib.suppress(MriFclError):
                run = Run(path)
        entry = QueuedRun(
            logged.settings,
            _SHOWN[logged.state],
            logged.text,
            logged.key,
            (self._folder / logged.cohort).resolve() if logged.cohort else None,
            logged.classes,
            path,
            run,
        )
        if entry.state == "running":
            # The program ended without a last word.
            entry.state, entry.text = "stopped", self.tr("It was interrupted.")
        if run is not None and run.state == "finished":
            entry.state, entry.text = "done", ""
        return entry

    def _write_all(self) -> Operation[None]:
        yield Progress("Remembering the queue")
        self._write_pending()

    def _write_pending(self) -> None:
        while self._pending:
            write = self._pending.popleft()
            if self._lock is not None:
                write()

    # Slots

    def _on_read(self, entries: list[QueuedRun]) -> None:
        if entries:
            self.restored.emit(entries)

    def _on_written(self, _: object) -> None:
        self._has_failed = False

    def _on_failed(self, error: BaseException) -> None:
        # Said once: a full disk would say it at every epoch.
        if not self._has_failed:
            self.problem.emit(error)
        self._has_failed = True

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        if self._pending and not self._is_closed:
            self._start(self._write_all, self._on_written)
