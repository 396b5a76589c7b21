"""Audits a cohort's split or a run's in the background and shows it; also in a window by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QFileDialog, QVBoxLayout, QWidget

from core import tasks
from core.config import RunSettings
from core.data.leakage_audit import LeakageAudit, LeakingPair
from core.data.split import SplitFileError
from core.errors import MriFclError
from core.progress import Operation, Progress
from mrifcl_gui.audit_view import AuditView
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of


class AuditPage(QWidget):
    """The audit of one cohort or run; nothing is computed while it is not on screen.

    Signals
    -------
    job_started(Job)
        Long work to show in the task dock.
    audited(LeakageAudit)
        All slices were compared.
    problem(object)
        An exception to tell.
    split_file_chosen(str)
        A split file to take, or none where it is empty; only where ``takes_files``.
    """

    job_started = Signal(object)
    audited = Signal(object)
    problem = Signal(object)
    split_file_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, takes_files: bool = False) -> None:
        super().__init__(parent)
        self._takes_files = takes_files
        self._path: Path | None = None
        self._settings = RunSettings()
        self._auditing: Job | None = None
        self._looking: Job | None = None
        self._given: LeakageAudit | None = None
        self._is_active = False
        self._is_stale = False
        self.view = AuditView(self)
        self.view.compare_requested.connect(self.compare_slices)
        self.view.stop_requested.connect(self._on_stop)
        self.view.keep_requested.connect(self.ask_and_keep)
        self.view.bring_requested.connect(self.ask_split_file)
        self.view.draw_requested.connect(self._on_draw_requested)
        self.view.pair_chosen.connect(self._on_pair_chosen)
        self.view.failed.connect(self._on_export_failed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)

    def set_target(
        self, path: Path | None, settings: RunSettings, audit: LeakageAudit | None = None
    ) -> None:
        """Audit the cohort or run at ``path`` from now on, once it is on screen.

        ``audit`` is shown in place of one of our own where it was made elsewhere.
        """
        self._cancel()
        self._path, self._settings = path, settings
        self._is_stale = path is not None and audit is None
        self._given = audit
        takes_files = self._takes_files and path is not None
        self.view.set_items(settings.items)
        self.view.set_takes_files(takes_files, has_file=bool(settings.split.split_file))
        if path is None:
            self.view.clear(self.tr("No split to audit yet."))
        self._audit_if_needed()

    def set_active(self, is_active: bool) -> None:
        """Say whether it is on screen."""
        self._is_active = is_active
        self._audit_if_needed()

    def show_fault(self, error: BaseException) -> None:
        """Say why the target's split cannot be audited."""
        self._is_stale, self._given = False, None
        unfit = error.unfit if isinstance(error, SplitFileError) else ()
        self.view.show_fault(text_of(error), unfit)

    def compare_slices(self) -> None:
        """Compare all slices; those not cut yet are cut first."""
        if self._path is None:
            return
        self._cancel()
        path, settings = self._path, self._settings
        job = self._start(
            self.tr("Comparing slices"), lambda: tasks.audit(path, settings), self._on_compared
        )
        job.failed.connect(self._on_compare_failed)
        job.progressed.connect(self._on_progressed)
        job.finished.connect(self._on_audit_finished)
        self._auditing = job
        self.view.show_work(self.tr("Comparing slices…"))
        self.job_started.emit(job)
        job.start()

    def ask_and_keep(self) -> None:
        """Ask for a file name and keep the split there."""
        chosen, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save split as CSV"), "split.csv", self.tr("CSV (*.csv)")
        )
        if chosen:
            path = Path(chosen)
            self.keep_split(path if path.suffix else path.with_suffix(".csv"))

    def ask_split_file(self) -> None:
        """Ask for a split file."""
        chosen, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Split file"),
            str(Path(self._settings.split.split_file).parent),
            self.tr("Tables (*.csv *.tsv *.txt)"),
        )
        if chosen:
            self.split_file_chosen.emit(chosen)

    def _on_draw_requested(self) -> None:
        self.split_file_chosen.emit("")

    def keep_split(self, out: Path) -> None:
        """Write the split to ``out``, to be brought again."""
        if self._path is None:
            return
        path, settings = self._path, self._settings
        job = self._start(
            self.tr("Saving the split"),
            lambda: tasks.keep_split(path, settings, out),
            self._on_kept,
        )
        job.failed.connect(self.problem)
        self.job_started.emit(job)
        job.start()

    def _audit_if_needed(self) -> None:
        if self._is_active and self._given is not None:
            # Drawn only now: panels of plots take a moment to build.
            self.view.show_audit(self._given)
            self._given = None
        if not self._is_active or not self._is_stale or self._path is None:
            return
        self._is_stale = False
        # What an earlier target shared must not be taken for this one's.
        self.view.clear(self.tr("Auditing the split…"))
        path, settings = self._path, self._settings
        job = self._start(
            self.tr("Auditing the split"),
            lambda: tasks.audit_quickly(path, settings),
            self._on_audited,
        )
        job.failed.connect(self._on_failed)
        job.progressed.connect(self._on_progressed)
        job.finished.connect(self._on_audit_finished)
        self._auditing = job
        job.start()

    def _start(
        self, title: str, operation: Callable[[], Operation[Any]], on_success: Callable[[Any], None]
    ) -> Job:
        job = Job(title, operation, self)
        job.succeeded.connect(on_success)
        job.finished.connect(job.deleteLater)
        return job

    def _cancel(self) -> None:
        for job in (self._auditing, self._looking):
            if job is not None:
                job.cancel()
        self._auditing = self._looking = None
        self.view.show_work("")

    # Slots: what an earlier target's job gives is passed over

    def _on_audited(self, audit: LeakageAudit) -> None:
        if self.sender() is self._auditing:
            self.view.show_audit(audit)

    def _on_compared(self, audit: LeakageAudit) -> None:
        if self.sender() is self._auditing:
            self.view.show_audit(audit)
            self.audited.emit(audit)

    def _on_progressed(self, event: object) -> None:
        if self.sender() is self._auditing and isinstance(event, Progress):
            share = f" {100 * event.done // event.total} %" if event.total else ""
            self.view.show_work(f"{event.what}{share}")

    def _on_failed(self, error: BaseException) -> None:
        if self.sender() is not self._auditing:
            return
        self.show_fault(error)
        if not isinstance(error, MriFclError):
            self.problem.emit(error)

    def _on_compare_failed(self, error: BaseException) -> None:
        # What is known without the slices stays on screen.
        if self.sender() is self._auditing:
            self.problem.emit(error)

    def _on_audit_finished(self) -> None:
        if self.sender() is self._auditing:
            self._auditing = None
            self.view.show_work("")

    def _on_stop(self) -> None:
        if self._auditing is not None:
            self._auditing.cancel()

    def _on_kept(self, kept: tasks.KeptSplit) -> None:
        self.view.say(self.tr("Split saved as {0}").format(kept.path.name))

    def _on_pair_chosen(self, pair: LeakingPair) -> None:
        if self._path is None:
            return
        if self._looking is not None:
            self._looking.cancel()
        path, settings = self._path, self._settings
        job = self._start(
            self.tr("Reading slices"),
            lambda: tasks.read_pair(path, settings, pair),
            self._on_pair_read,
        )
        job.failed.connect(self._on_pair_failed)
        self._looking = job
        job.start()

    def _on_pair_read(self, seen: tasks.SeenPair) -> None:
        if self.sender() is self._looking:
            self._looking = None
            self.view.show_pair(seen)

    def _on_pair_failed(self, error: BaseException) -> None:
        if self.sender() is self._looking:
            self._looking = None
            self.view.show_no_pair(text_of(error))

    def _on_export_failed(self, text: str) -> None:
        self.problem.emit(MriFclError(text))


class AuditWindow(QDialog):
    """The audit of the open cohort in a window of its own, beside the main one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Audit of the split – research use only"))
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.page = AuditPage(self, takes_files=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.page)
        self.resize(1120, 760)

    def showEvent(self, event: QShowEvent) -> None:
        """Audit what has changed meanwhile."""
        super().showEvent(event)
        self.page.set_active(True)

    def done(self, result: int) -> None:
        """Compute nothing while closed."""
        self.page.set_active(False)
        super().done(result)
