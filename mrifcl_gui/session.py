"""What is open and what runs: the window's model. Starts jobs, keeps nothing on screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from core import tasks
from core.config import RunSettings
from core.data import cohort as cohort_file
from core.data.cohort import COHORT_FILE, Cohort, Scan
from core.errors import MriFclError
from core.progress import Operation
from core.run_folder import Run, is_run, list_runs
from mrifcl_gui import preferences
from mrifcl_gui.job import Job


class Session(QObject):
    """The open cohort, the known runs, and the jobs under way.

    Parameters
    ----------
    data_folder : Path, optional
        Where cohorts and runs are kept; by default as the preferences say.
    """

    job_started = Signal(object)  # Job
    cohort_opened = Signal(object)  # tasks.ScannedCohort
    runs_changed = Signal(list)  # of Run
    runs_opened = Signal(list)  # of Run, to analyse
    scan_read = Signal(object, object)  # Scan, Volume or pictures
    strip_read = Signal(object, object)  # Scan, tasks.ScanStrip
    audit_done = Signal(object)  # LeakageAudit
    training_started = Signal(object)  # RunSettings
    training_event = Signal(object)
    training_ended = Signal(str, str)  # state, text
    problem = Signal(object)  # exception

    def __init__(self, parent: QObject | None = None, *, data_folder: Path | None = None) -> None:
        super().__init__(parent)
        self.data_folder = data_folder or preferences.data_folder()
        self.opened: tasks.ScannedCohort | None = None
        self.settings = RunSettings()
        self._queue: list[RunSettings] = []
        self._training: Job | None = None
        self._trained: RunSettings | None = None
        self._reading: Job | None = None
        self._extra_runs: list[Path] = []

    @property
    def runs_folder(self) -> Path:
        """Where new runs are made."""
        return self.data_folder / "runs"

    @property
    def is_training(self) -> bool:
        """Whether a run is being trained."""
        return self._training is not None

    def start(
        self, title: str, operation: Callable[[], Operation[Any]], on_success: Callable[[Any], None]
    ) -> Job:
        """Start one background job; ``on_success`` is a bound method of a QObject."""
        job = Job(title, operation, self)
        job.succeeded.connect(on_success)
        job.failed.connect(self._on_failed)
        job.finished.connect(job.deleteLater)
        self.job_started.emit(job)
        job.start()
        return job

    # Opening

    def open_paths(self, paths: list[Path]) -> None:
        """Open what was dropped: a run, a cohort, a folder of scans, or its class folders."""
        runs = [path for path in paths if is_run(path)]
        if runs:
            self.open_runs(runs)
            return
        folders = [path for path in paths if path.is_dir()]
        if not folders:
            names = ", ".join(path.name for path in paths[:3])
            self.problem.emit(
                MriFclError(f"'{names}' is no folder. Drop the folder that holds the scans.")
            )
        elif (folders[0] / COHORT_FILE).is_file():
            self.open_cohort(folders[0])
        elif len(folders) == 1:
            self.scan_folder(folders[0])
        elif len({folder.parent for folder in folders}) == 1:
            self.scan_folder(folders[0].parent, classes=[folder.name for folder in folders])
        else:
            self.problem.emit(
                MriFclError(
                    "The folders lie in different places. Put the class "
                    "folders into one folder and drop that."
                )
            )

    def scan_folder(
        self, folder: Path, *, classes: list[str] | None = None, labels: Path | None = None
    ) -> None:
        """Scan a folder into a new cohort."""
        name = folder.resolve().name or "scans"
        pattern = preferences.subject_pattern()

        def operation() -> Operation[tasks.ScannedCohort]:
            out = tasks.free_cohort_folder(self.data_folder / "cohorts", name)
            return tasks.scan(
                folder, out=out, classes=classes or [], labels=labels, subject_pattern=pattern
            )

        self.start(self.tr("Scanning {0}").format(name), operation, self._on_cohort)

    def open_cohort(self, folder: Path) -> None:
        """Open a stored cohort."""
        self.start(
            self.tr("Opening {0}").format(folder.name),
            lambda: tasks.open_cohort(folder),
            self._on_cohort,
        )

    def open_demo(self) -> None:
        """Simulate the demo cohort (once) and open it."""

        def operation() -> Operation[tasks.ScannedCohort]:
            from core.demo import prepare_cohort

            return prepare_cohort(self.data_folder / "demo")

        self.start(self.tr("Making the demo cohort"), operation, self._on_cohort)

    def open_runs(self, paths: list[Path]) -> None:
        """Open runs to analyse."""
        for path in paths:
            if path.parent != self.runs_folder and path not in self._extra_runs:
                self._extra_runs.append(path)

        def operation() -> Operation[list[Run]]:
            runs = []
            for path in paths:
                runs.append((yield from tasks.open_run(path)))
            return runs

        self.start(self.tr("Opening runs"), operation, self._on_runs_opened)

    def change_cohort(self, cohort: Cohort) -> None:
        """Store a cohort whose scans were relabelled or left out."""
        if self.opened is None:
            return
        self.opened = tasks.ScannedCohort(cohort, self.opened.folder)
        try:
            cohort_file.save_cohort(cohort, self.opened.folder)
        except OSError as error:
            self.problem.emit(MriFclError(f"The change cannot be stored: {error.strerror}."))

    # Reading scans

    def read_scan(self, scan: Scan) -> None:
        """Read one scan to look at, and its slices as the network will see them."""
        if self.opened is None:
            return
        if self._reading is not None:
            self._reading.cancel()
        cohort, settings = self.opened.cohort, self.settings.slices

        def operation() -> Operation[tuple[Scan, Any, Any]]:
            shown = yield from tasks.read_scan(cohort, scan)
            try:
                strip = yield from tasks.read_strip(cohort, scan, settings)
            except MriFclError as error:
                return scan, shown, error
            return scan, shown, strip

        job = self.start(self.tr("Reading {0}").format(scan.key), operation, self._on_scan_read)
        job.finished.connect(self._on_reading_finished)
        self._reading = job

    def audit(self) -> None:
        """Audit the split that the settings give the open cohort."""
        if self.opened is None:
            return
        folder, settings = self.opened.folder, self.settings
        self.start(
            self.tr("Auditing the split"), lambda: tasks.audit(folder, settings), self._on_audit
        )

    # Training

    def train(self, queue: list[RunSettings]) -> None:
        """Train the runs one after the other."""
        self._queue += queue
        if self._training is None:
            self._start_next()

    def stop_training(self) -> None:
        """Stop the running run after its batch; the waiting ones are not started."""
        self._queue.clear()
        if self._training is not None:
            self._training.cancel()

    def refresh_runs(self) -> None:
        """Read the list of runs again."""
        folder, extra = self.runs_folder, list(self._extra_runs)

        def operation() -> Operation[list[Run]]:
            from core.progress import Progress

            yield Progress("Reading runs")
            found = list(list_runs(folder))
            for path in extra:
                found.append(Run(path))
            return found

        job = Job(self.tr("Reading runs"), operation, self)
        job.succeeded.connect(self._on_runs)
        job.finished.connect(job.deleteLater)
        job.start()

    def _start_next(self) -> None:
        if not self._queue or self.opened is None:
            return
        settings = self._queue.pop(0)
        folder, runs = self.opened.folder, self.runs_folder
        job = Job(self.tr("Training"), lambda: tasks.train(folder, settings, runs), self)
        job.progressed.connect(self._on_training_event)
        job.succeeded.connect(self._on_training_succeeded)
        job.cancelled.connect(self._on_training_cancelled)
        job.failed.connect(self._on_training_failed)
        job.finished.connect(self._on_training_finished)
        self._training, self._trained = job, settings
        self.job_started.emit(job)
        self.training_started.emit(settings)
        job.start()

    # Slots

    def _on_cohort(self, opened: tasks.ScannedCohort) -> None:
        self.opened = opened
        preferences.add_recent(opened.folder)
        self.cohort_opened.emit(opened)

    def _on_runs_opened(self, runs: list[Run]) -> None:
        self.runs_opened.emit(runs)
        self.refresh_runs()

    def _on_runs(self, runs: list[Run]) -> None:
        self.runs_changed.emit(runs)

    def _on_scan_read(self, read: tuple[Scan, Any, Any]) -> None:
        scan, shown, strip = read
        self.scan_read.emit(scan, shown)
        if isinstance(strip, MriFclError):
            self.problem.emit(strip)
        else:
            self.strip_read.emit(scan, strip)

    def _on_reading_finished(self) -> None:
        if self.sender() is self._reading:
            self._reading = None

    def _on_audit(self, audit: object) -> None:
        self.audit_done.emit(audit)

    def _on_failed(self, error: BaseException) -> None:
        self.problem.emit(error)

    def _on_training_event(self, event: object) -> None:
        self.training_event.emit(event)

    def _on_training_succeeded(self, path: Path) -> None:
        self.training_ended.emit("finished", path.name)

    def _on_training_cancelled(self) -> None:
        self.training_ended.emit(
            "stopped", self.tr("Everything up to its last whole epoch is kept.")
        )

    def _on_training_failed(self, error: BaseException) -> None:
        from mrifcl_gui.messages import text_of

        self.training_ended.emit("failed", text_of(error))

    def _on_training_finished(self) -> None:
        if self._training is not None:
            self._training.deleteLater()
        self._training = None
        self.refresh_runs()
        self._start_next()
