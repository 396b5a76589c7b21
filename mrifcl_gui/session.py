"""What is open and what runs: the window's model. Starts jobs, keeps nothing on screen."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from core import tasks
from core.config import RunSettings
from core.data import cohort as cohort_file
from core.data.cohort import COHORT_FILE, Cohort, Scan
from core.data.folder_look import FolderLook
from core.data.layout import Layout
from core.errors import MriFclError, RunError
from core.progress import Logged, Notice, Operation, Progress, finished
from core.run_folder import Run, list_runs
from core.run_log import read_log
from core.user_folder import rescued_runs
from mrifcl_gui import preferences
from mrifcl_gui.garbage import keep_what_is_loaded
from mrifcl_gui.job import Job
from mrifcl_gui.late_writer import LateWriter
from mrifcl_gui.messages import text_of
from mrifcl_gui.openable import Openable, find_openable
from mrifcl_gui.precision_job import PrecisionJob
from mrifcl_gui.run_queue import QueuedRun
from mrifcl_gui.until_drawn import nothing_to_draw, until_drawn
from mrifcl_gui.weights_jobs import WeightsJobs

# A job that is done sooner is not worth a row in the task dock: it would only flicker.
QUIET_MS = 400
# Few, so that the list can say soon what is in sight now.
_THUMBNAILS_AT_ONCE = 8
MOST_DROPPED = 200


class Session(QObject):
    """The open cohort, the known runs, and the jobs under way.

    Parameters
    ----------
    data_folder : Path, optional
        Where cohorts and runs are kept; by default as the preferences say.
    """

    job_started = Signal(object)  # Job, whose failure the task dock keeps
    job_lasts = Signal(object)  # Job that takes long; ``problem`` tells of its failure
    cohort_opened = Signal(object)  # tasks.ScannedCohort
    folder_looked = Signal(object)  # FolderLook, to be confirmed with :meth:`scan`
    noticed = Signal(str)  # what a scan has to say
    data_missing = Signal(object)  # tasks.ScannedCohort whose scans are not where they were
    runs_changed = Signal(list)  # of Run
    runs_opened = Signal(list)  # of Run, to analyse
    settings_changed = Signal(object)  # RunSettings, of split and slices
    settings_suggested = Signal(object)  # RunSettings that suit what was opened
    scan_read = Signal(object, object)  # Scan, Volume or pictures
    compared_read = Signal(object, object)  # Scan, Volume or pictures
    strip_read = Signal(object, object)  # Scan, tasks.ScanStrip
    thumbnails_read = Signal(object, object)  # list of Scan; small pictures, or None, by key
    checking_changed = Signal(bool)  # whether all voxels are being checked
    voxels_checked = Signal(object)  # Cohort with what was found
    audit_done = Signal(object)  # LeakageAudit
    audit_failed = Signal(object)  # exception, told as a problem too
    training_started = Signal(object, tuple, object)  # RunSettings, classes, Run if resumed
    training_event = Signal(object)
    training_ended = Signal(str, str)  # state, text
    queue_ended = Signal()  # the last run has ended, and none follows
    problem = Signal(object)  # exception

    def __init__(self, parent: QObject | None = None, *, data_folder: Path | None = None) -> None:
        super().__init__(parent)
        self.data_folder = data_folder or preferences.data_folder()
        self.opened: tasks.ScannedCohort | None = None
        self.settings = RunSettings()
        self.started_key = ""  # of the queue's run that is trained
        self._queue: list[QueuedRun] = []
        self._goes_on = False
        self._training: Job | None = None
        self._train_on: tasks.ScannedCohort | None = None
        self._looking: Job | None = None
        self._notices: list[str] = []
        self._reading: Job | None = None
        self._auditing: Job | None = None
        self._checking: Job | None = None
        self._picturing: Job | None = None
        self._extra_runs: list[Path] = []
        self._is_closed = False
        self._drawn: Callable[[], Operation[None]] = nothing_to_draw
        # Which request to open something was the last one made, and the last one answered.
        self._asked = self._answered = 0
        self._held: list[Job] | None = None
        self._writer = LateWriter(self)
        self._writer.failed.connect(self._on_not_kept)
        self.weights = WeightsJobs(self.start, self)
        self.precision = PrecisionJob(self.start, self)

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
        announcement = QTimer(job)
        announcement.setSingleShot(True)
        announcement.setInterval(QUIET_MS)
        announcement.timeout.connect(self._on_job_lasts)
        job.started.connect(announcement.start)
        job.finished.connect(announcement.stop)
        if self._held is not None:
            self._held.append(job)
        elif not self._is_closed:
            job.start()
        return job

    def hold(self) -> None:
        """Let what is asked for wait until :meth:`release`, when all are there to hear of it."""
        self._held = []

    def release(self) -> None:
        """Start what was asked for meanwhile, and from now on at once."""
        held, self._held = self._held or [], None
        for job in held:
            if not self._is_closed:
                job.start()

    def warm_up(self) -> None:
        """Load heavy packages in the background, so that no first click waits for them."""
        if self._is_closed:
            return
        # Not told to the task dock: nobody waits for it.
        job = Job(self.tr("Loading torch"), tasks.load_packages, self)
        job.loses_nothing = True
        job.finished.connect(self._on_warm)
        job.finished.connect(job.deleteLater)
        job.start()

    @property
    def is_closed(self) -> bool:
        """Whether the window has been closed, so that nothing is begun any more."""
        return self._is_closed

    def close(self) -> None:
        """Start nothing any more; what runs is for the caller to cancel and wait for."""
        self._is_closed = True
        self._goes_on = False

    # Opening

    def open_paths(self, paths: list[Path]) -> None:
        """Open what was chosen: runs, a cohort (or both); look at folders of scans.

        In a job: a drive that is gone may take a minute to say so.
        """
        paths = paths[:MOST_DROPPED]
        self._asked += 1
        number, title = self._asked, self.tr("Looking for {0}").format(paths[0].name)
        job = self.start(title, lambda: finished((number, find_openable(paths))), self._on_found)
        job.loses_nothing = True

    def _on_found(self, answer: tuple[int, Openable]) -> None:
        number, found = answer
        if self._is_closed:
            return  # what a job found in the moment in which the window was closed
        if found.fault:
            self.problem.emit(MriFclError(found.fault))
        if number < self._answered:
            return  # a drive that woke up late must not take away what was opened meanwhile
        self._answered = number
        if found.cohort is not None:
            self.open_cohort(found.cohort)
        if found.runs:
            self.open_runs(found.runs)
        if found.scans:
            self.look(found.scans)

    def look(self, folders: Sequence[Path], *, labels: Path | None = None) -> None:
        """Look at folders of scans; ``folder_looked`` asks to confirm what was recognised."""
        pattern = preferences.folder_pattern(folders[0])
        cohorts = self.data_folder / "cohorts"
        self._start_looking(
            lambda: tasks.look(folders, labels=labels, subject_pattern=pattern, cohorts=cohorts),
            folders[0].name,
        )

    def look_again(self, look: FolderLook, layout: Layout, *, labels: Path | None = None) -> None:
        """Look at the same files with another layout, or with a table of labels."""
        self._start_looking(lambda: tasks.look_again(look, layout, labels=labels), look.root.name)

    def scan(self, choices: tasks.ScanChoices) -> None:
        """Scan folders into a cohort as the user confirmed."""
        names = [folder.resolve().name or "scans" for folder in choices.folders]
        name = "-".join(names[:3])
        self._notices = []
        preferences.set_folder_pattern(choices.folders[0], choices.layout.subject_pattern)
        cohorts = self.data_folder / "cohorts"

        def operation() -> Operation[tasks.ScannedCohort]:
            out = choices.into or tasks.free_cohort_folder(cohorts, name)
            return tasks.scan_chosen(choices, out=out)

        job = self.start(self.tr("Scanning {0}").format(name), operation, self._on_cohort)
        job.progressed.connect(self._on_scanning_event)

    def open_cohort(self, folder: Path) -> None:
        """Open a stored cohort."""
        self.start(
            self.tr("Opening {0}").format(folder.name),
            lambda: _with_root(tasks.open_cohort(folder)),
            self._on_stored,
        )

    def relocate(self, folder: Path, new_root: Path) -> Job:
        """Look for the scans of the cohort in ``folder`` below ``new_root``, then open it."""
        return self.start(
            self.tr("Checking the scans"),
            lambda: tasks.relocate_cohort(folder, new_root),
            self._on_cohort,
        )

    def open_demo(self) -> None:
        """Simulate the demo cohort (once) and open it."""

        def operation() -> Operation[tasks.ScannedCohort]:
            from core.demo import prepare_cohort

            return prepare_cohort(self.data_folder / "demo")

        self.start(self.tr("Making the demo cohort"), operation, self._on_demo)

    def open_runs(self, paths: list[Path]) -> None:
        """Open runs to analyse."""
        for path in paths:
            whole = path.absolute()
            if whole.parent != self.runs_folder.absolute() and whole not in self._extra_runs:
                self._extra_runs.append(whole)

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
        folder = self.opened.folder
        self.opened = tasks.ScannedCohort(cohort, folder)
        self._writer.write(folder / COHORT_FILE, lambda: _save_cohort(cohort, folder))

    # Reading scans

    def read_scan(self, scan: Scan) -> None:
        """Read one scan to look at, and its slices as the network will see them."""
        if self.opened is None:
            return
        if self._reading is not None:
            self._reading.cancel()
        cohort, drawn = self.opened.cohort, self._drawn
        # Ready-made slices have no cube; they are shown as other networks see them.
        settings = self.settings.cut if scan.kind == "volume" else self.settings.slices

        def operation() -> Operation[tuple[Scan, Any, Any]]:
            yield from drawn()
            shown = yield from tasks.read_scan(cohort, scan)
            try:
                strip = yield from tasks.read_strip(cohort, scan, settings)
            except MriFclError as error:
                return scan, shown, error
            return scan, shown, strip

        job = self.start(self.tr("Reading {0}").format(scan.key), operation, self._on_scan_read)
        job.finished.connect(self._on_reading_finished)
        self._reading = job

    def read_thumbnails(self, scans: list[Scan]) -> None:
        """Read small pictures of the first of ``scans``, unless some are being read.

        Whoever wants them asks again for the rest, when it knows what is still in sight.
        """
        if self.opened is None or self._is_closed or self._picturing is not None:
            return
        opened, scans, drawn = self.opened, scans[:_THUMBNAILS_AT_ONCE], self._drawn

        def operation() -> Operation[tuple[list[Scan], dict[str, Any]]]:
            yield from drawn()
            made = yield from tasks.read_thumbnails(opened.cohort, opened.folder, scans)
            return scans, made

        # Not told to the task dock: the list is of use without them.
        job = Job(self.tr("Making small pictures"), operation, self)
        job.succeeded.connect(self._on_thumbnails)
        job.finished.connect(self._on_picturing_finished)
        job.finished.connect(job.deleteLater)
        self._picturing = job
        job.start()

    def check_voxels(self) -> None:
        """Read all scans of the open cohort in full and tell what is doubtful about them."""
        if self.opened is None or self._is_closed or self._checking is not None:
            return
        cohort = self.opened.cohort
        job = self.start(
            self.tr("Checking all voxels"), lambda: tasks.check_voxels(cohort), self._on_checked
        )
        job.finished.connect(self._on_checking_finished)
        self._checking = job
        self.checking_changed.emit(True)

    def read_compared(self, scan: Scan) -> None:
        """Read one scan to show beside the one that is shown."""
        if self.opened is None:
            return
        cohort = self.opened.cohort

        def operation() -> Operation[tuple[Scan, Any]]:
            shown = yield from tasks.read_scan(cohort, scan)
            return scan, shown

        self.start(self.tr("Reading {0}").format(scan.key), operation, self._on_compared_read)

    def change_settings(self, settings: RunSettings) -> None:
        """Take over how slices are cut and split, as the form now says."""
        before, self.settings = self.settings, settings
        is_split = before.split == settings.split and before.training.seed == settings.training.seed
        is_cut = before.slices == settings.slices and before.cut == settings.cut
        if is_cut and is_split:
            return
        self.settings_changed.emit(settings)
        self.audit()

    def audit(self) -> None:
        """Audit the split that the settings give the open cohort.

        Scans are not cut for it: slices are compared where they are cut already.
        """
        if self._auditing is not None:
            self._auditing.cancel()
        if self.opened is None:
            return
        opened, settings, drawn = self.opened, self.settings, self._drawn

        def operation() -> Operation[Any]:
            yield from drawn()
            return (yield from tasks.audit_quickly(opened.folder, settings, cohort=opened.cohort))

        job = self.start(self.tr("Auditing the split"), operation, self._on_audit)
        job.failed.connect(self._on_audit_failed)
        job.progressed.connect(self._on_scan_event)
        job.finished.connect(self._on_auditing_finished)
        self._auditing = job

    # Training

    def train(self, queue: Sequence[RunSettings | QueuedRun]) -> None:
        """Train the runs one after the other.

        Those that know no cohort of their own are trained on the one that is open now.
        """
        if self._training is not None:
            self._queue += _queued(queue)
            return
        self._queue, self._train_on, self._goes_on = _queued(queue), self.opened, True
        self._start_next()

    def set_queue(self, queue: Sequence[RunSettings | QueuedRun]) -> None:
        """Train these, and no others, after the run under way."""
        self._queue = _queued(queue)

    def set_paused(self, is_paused: bool) -> None:
        """Start no other run after the one under way, or do so again."""
        if self._training is not None:
            self._goes_on = not is_paused

    def skip_run(self) -> None:
        """Stop the running run after its batch and go on with the next."""
        if self._training is not None:
            self._training.cancel()

    def resume(self, run: Run) -> None:
        """Go on with a stopped run."""
        if self._training is not None:
            self.problem.emit(
                RunError("A run is being trained. Stop it or let it end, then resume this one.")
            )
            return
        self._queue, self._goes_on, self.started_key = [], False, ""
        self._start_training(lambda: _with_past(run), run.settings, run.classes, resumed=run)

    def stop_training(self) -> None:
        """Stop the running run after its batch; the waiting ones are not started."""
        self._goes_on = False
        if self._training is not None:
            self._training.cancel()

    def refresh_runs(self) -> None:
        """Read the list of runs again."""
        if self._is_closed:
            return
        folder, extra = self.runs_folder, list(self._extra_runs)

        def operation() -> Operation[list[Run]]:
            yield Progress("Reading runs")
            # Runs whose own folder could no longer be written went on there.
            rescued = rescued_runs()
            found = [*list_runs(folder), *list_runs(rescued)]
            for path in extra:
                if path.parent == rescued.absolute():
                    continue
                # One that has gone must not hide the others.
                with contextlib.suppress(MriFclError):
                    found.append(Run(path))
            return found

        job = Job(self.tr("Reading runs"), operation, self)
        job.succeeded.connect(self._on_runs)
        job.failed.connect(self._on_failed)
        job.finished.connect(job.deleteLater)
        job.start()

    def _start_looking(self, operation: Callable[[], Operation[FolderLook]], name: str) -> None:
        if self._looking is not None:
            self._looking.cancel()
        job = self.start(self.tr("Looking at {0}").format(name), operation, self._on_looked)
        job.finished.connect(self._on_looking_finished)
        self._looking = job

    def _start_next(self) -> bool:
        """Start the next run of the queue; tell whether there is one to start."""
        if not self._goes_on or not self._queue:
            return False
        queued = self._queue[0]
        opened = self._train_on
        folder = queued.cohort or (opened.folder if opened is not None else None)
        if folder is None:
            return False
        self._queue.pop(0)
        self.started_key = queued.key
        runs, begun = self.runs_folder, queued.begun
        classes = queued.classes or (opened.cohort.classes if opened is not None else ())
        self._start_training(
            lambda: _train_queued(folder, queued.settings, runs, begun),
            queued.settings,
            classes,
            resumed=begun,
        )
        return True

    def _start_training(
        self,
        operation: Callable[[], Operation[Path]],
        settings: RunSettings,
        classes: tuple[str, ...],
        *,
        resumed: Run | None = None,
    ) -> None:
        begin = self.precision.before(operation)
        job = Job(self.tr("Training"), lambda: _read_at_end(begin()), self)
        job.progressed.connect(self._on_training_event)
        job.succeeded.connect(self._on_training_succeeded)
        job.cancelled.connect(self._on_training_cancelled)
        job.failed.connect(self._on_training_failed)
        job.finished.connect(self._on_training_finished)
        self._training = job
        self.job_started.emit(job)
        self.training_started.emit(settings, classes, resumed)
        job.start()

    # Slots

    def _on_warm(self) -> None:
        keep_what_is_loaded()

    def _on_stored(self, read: tuple[tasks.ScannedCohort, bool]) -> None:
        opened, has_scans = read
        if self._is_closed:
            return
        if has_scans:
            self._on_cohort(opened)
        else:
            self.data_missing.emit(opened)

    def _on_cohort(self, opened: tasks.ScannedCohort) -> None:
        if self._is_closed:
            return
        self.opened = opened
        preferences.add_recent(opened.folder)
        # The jobs that this sets off begin when the window has drawn the cohort.
        self._drawn = until_drawn(self)
        self.cohort_opened.emit(opened)
        # After it, as what is said of the cohort before goes with that.
        for text in self._notices:
            self.noticed.emit(text)
        self._notices = []

    def _on_looked(self, look: FolderLook) -> None:
        # One that was cancelled a moment too late shows what is no longer asked for.
        if self.sender() is self._looking and not self._is_closed:
            self.folder_looked.emit(look)

    def _on_looking_finished(self) -> None:
        if self.sender() is self._looking:
            self._looking = None

    def _on_scan_event(self, event: object) -> None:
        if isinstance(event, Notice):
            self.noticed.emit(event.text)

    def _on_scanning_event(self, event: object) -> None:
        """Keep what a scan has to say until its cohort is open."""
        if isinstance(event, Notice):
            self._notices.append(event.text)

    def _on_demo(self, opened: tasks.ScannedCohort) -> None:
        from core.demo import DEMO_SETTINGS  # imported by now; it is heavy

        self.settings_suggested.emit(DEMO_SETTINGS)
        self._on_cohort(opened)

    def _on_job_lasts(self) -> None:
        """Tell of a job that takes long enough to be seen."""
        job = self.sender().parent()
        if isinstance(job, Job) and job.isRunning():
            self.job_lasts.emit(job)

    def _on_runs_opened(self, runs: list[Run]) -> None:
        if self._is_closed:
            return
        preferences.add_recent(runs[0].path)
        self.runs_opened.emit(runs)
        self.refresh_runs()

    def _on_runs(self, runs: list[Run]) -> None:
        self.runs_changed.emit(runs)

    def _on_compared_read(self, read: tuple[Scan, Any]) -> None:
        self.compared_read.emit(*read)

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

    def _on_auditing_finished(self) -> None:
        if self.sender() is self._auditing:
            self._auditing = None

    def _on_thumbnails(self, read: tuple[list[Scan], dict[str, Any]]) -> None:
        self._picturing = None
        self.thumbnails_read.emit(*read)

    def _on_picturing_finished(self) -> None:
        if self.sender() is self._picturing:
            self._picturing = None

    def _on_checked(self, checked: Cohort) -> None:
        self.voxels_checked.emit(checked)

    def _on_checking_finished(self) -> None:
        self._checking = None
        self.checking_changed.emit(False)

    def _on_audit(self, audit: object) -> None:
        self.audit_done.emit(audit)

    def _on_audit_failed(self, error: BaseException) -> None:
        if self.sender() is self._auditing:
            self.audit_failed.emit(error)

    def _on_failed(self, error: BaseException) -> None:
        if not self._is_closed:  # a dialog would keep a program alive whose window has gone
            self.problem.emit(error)

    def _on_not_kept(self, error: OSError) -> None:
        self.problem.emit(MriFclError(f"The change cannot be stored: {error.strerror}."))

    def _on_training_event(self, event: object) -> None:
        self.training_event.emit(event)

    def _on_training_succeeded(self, run: Run) -> None:
        self.training_ended.emit("finished", self._accuracy_text(run))

    def _accuracy_text(self, run: Run) -> str:
        measured = run.record.get("accuracy", {})
        return self.tr("Finished: {slices:.1f} % of the test {items} right, {subjects}").format(
            items=run.settings.items,
            slices=100 * measured.get("test", math.nan),
            subjects=self.tr("{0:.1f} % of the test subjects").format(
                100 * measured.get("test_by_subject", math.nan)
            ),
        )

    def _on_training_cancelled(self) -> None:
        self.training_ended.emit(
            "stopped", self.tr("Everything up to its last whole epoch is kept.")
        )

    def _on_training_failed(self, error: BaseException) -> None:
        self.training_ended.emit("failed", text_of(error))

    def _on_training_finished(self) -> None:
        if self._training is not None:
            self._training.deleteLater()
        self._training = None
        self.refresh_runs()
        if not self._start_next():
            self.queue_ended.emit()


def _queued(runs: Sequence[RunSettings | QueuedRun]) -> list[QueuedRun]:
    return [run if isinstance(run, QueuedRun) else QueuedRun(run, key="") for run in runs]


def _train_queued(
    folder: Path, settings: RunSettings, runs: Path, begun: Run | None
) -> Operation[Path]:
    """Train a run of the queue; one that was begun goes on, after what it already has."""
    if begun is None:
        return (yield from tasks.train(folder, settings, runs))
    from core.sweep import train_or_resume

    yield from _past(begun)
    return (yield from train_or_resume(folder, settings, runs, begun.path))


def _with_past(run: Run) -> Operation[Path]:
    """Go on with a run; first tell what it already has, read away from the window's thread."""
    yield from _past(run)
    return (yield from tasks.resume(run.path))


def _past(run: Run) -> Operation[None]:
    """Tell what a run has from before."""
    with contextlib.suppress(MriFclError):
        yield run.fc_history
    for line in read_log(run.path):
        yield Logged(line)


def _read_at_end(training: Operation[Path]) -> Operation[Run]:
    """Train, then read the run, away from the window's thread."""
    return Run((yield from training))


def _save_cohort(cohort: Cohort, folder: Path) -> None:
    cohort_file.save_cohort(cohort, folder)


def _with_root(
    opening: Operation[tasks.ScannedCohort],
) -> Operation[tuple[tasks.ScannedCohort, bool]]:
    """Tell of a cohort whether the folder of its scans is there."""
    opened = yield from opening
    return opened, opened.cohort.root.is_dir()
