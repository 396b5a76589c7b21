"""Joins the session to the cohort's place: opening, changing, auditing, looking at scans."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from core import config
from core.config import Cut, RunSettings
from core.data.cohort import Scan
from core.data.folder_look import FolderLook
from core.data.leakage_audit import LeakageAudit
from core.data.scan_folder import expected_slices
from core.data.volume import Volume
from core.errors import CohortError, SettingsError
from core.tasks import ScannedCohort, ScanStrip
from mrifcl_gui import preferences
from mrifcl_gui.audit_page import AuditWindow
from mrifcl_gui.cohort_panel import CohortPanel
from mrifcl_gui.cut_words import slices_text, split_text
from mrifcl_gui.messages import show_error, text_of
from mrifcl_gui.open_folder_dialog import OpenFolderDialog
from mrifcl_gui.session import Session
from mrifcl_gui.training_panel import TrainingPanel

SETTLE_MS = 500


class CohortLink(QObject):
    """Answers the cohort panel from the session, and tells the others of the cohort.

    Parameters
    ----------
    window : QWidget
        What dialogs lie above.
    session : Session
    panel : CohortPanel
    training : TrainingPanel
        Says how slices are cut and split; told which classes there are.
    audit_window : AuditWindow
    """

    place_wanted = Signal(str)
    cohort_said = Signal(str)  # the open cohort in one line
    audit_requested = Signal()

    def __init__(
        self,
        window: QWidget,
        session: Session,
        *,
        panel: CohortPanel,
        training: TrainingPanel,
        audit_window: AuditWindow,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._panel = panel
        self._training = training
        self._audit_window = audit_window
        self._moved: ScannedCohort | None = None
        self._awaits_slices = False
        self._strip_cut: Cut | None = None
        self._form_settled = QTimer(self)
        self._form_settled.setSingleShot(True)
        self._form_settled.setInterval(SETTLE_MS)
        self._connect()

    def close(self) -> None:
        """Take over nothing more from the form."""
        self._form_settled.stop()

    def _connect(self) -> None:
        panel, session = self._panel, self._session
        panel.scan_selected.connect(self._on_scan_selected)
        panel.cohort_changed.connect(session.change_cohort)
        panel.cohort_changed.connect(self._on_cohort_changed)
        panel.train_requested.connect(self._on_train_requested)
        panel.viewer.set_radiological(preferences.is_radiological())
        panel.viewer.orientation_changed.connect(preferences.set_radiological)
        session.settings_changed.connect(self._on_settings_changed)
        session.settings_suggested.connect(self._on_settings_suggested)
        session.cohort_opened.connect(self._on_cohort_opened)
        session.data_missing.connect(self._on_data_missing)
        session.folder_looked.connect(self._on_folder_looked)
        panel.compare_requested.connect(session.read_compared)
        panel.thumbnails_wanted.connect(session.read_thumbnails)
        panel.check_requested.connect(session.check_voxels)
        session.thumbnails_read.connect(panel.show_thumbnails)
        session.checking_changed.connect(panel.set_checking)
        session.voxels_checked.connect(panel.show_checked)
        session.noticed.connect(panel.show_notice)
        session.scan_read.connect(self._on_scan_read)
        session.compared_read.connect(self._on_compared_read)
        session.strip_read.connect(self._on_strip_read)
        session.audit_done.connect(self._on_audit)
        session.audit_failed.connect(self._on_audit_failed)
        panel.audit_requested.connect(self.audit_requested)
        self._audit_window.page.audited.connect(self._write_audit)
        self._audit_window.page.problem.connect(self._on_audit_problem)
        self._audit_window.page.split_file_chosen.connect(self._on_split_file_chosen)
        session.training_ended.connect(self._on_training_ended)
        self._training.settings_changed.connect(self._form_settled.start)
        self._form_settled.timeout.connect(self.take_settings)

    def _on_folder_looked(self, look: FolderLook) -> None:
        """Ask whether a folder is read rightly, or show its reading anew where that is asked."""
        dialog = next((shown for shown in self._dialogs() if shown.isVisible()), None)
        if dialog is not None and dialog.takes(look):
            dialog.show_look(look)
            return
        if dialog is not None:
            dialog.reject()
        dialog = OpenFolderDialog(look, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.layout_changed.connect(self._session.look_again)
        dialog.table_chosen.connect(self._on_table_chosen)
        dialog.confirmed.connect(self._session.scan)
        dialog.open()

    def _dialogs(self) -> list[OpenFolderDialog]:
        return self._window.findChildren(OpenFolderDialog)

    def _on_table_chosen(self, look: FolderLook, table: Path) -> None:
        self._session.look_again(look, look.layout, labels=table)

    def _on_cohort_opened(self, opened: ScannedCohort) -> None:
        self._panel.show_cohort(opened.cohort)
        self._panel.show_recent()
        self._on_cohort_changed(opened.cohort)
        self.place_wanted.emit("cohort")

    def _on_data_missing(self, opened: ScannedCohort) -> None:
        self._moved = opened
        self._ask_where(
            self.tr(
                "The folder '{0}' of the cohort '{1}' was moved or its drive is not connected. "
                "Show me where it is now: each scan is checked before it is taken."
            ).format(opened.cohort.root.name, opened.folder.stem)
        )

    def _ask_where(self, text: str) -> None:
        box = QMessageBox(
            QMessageBox.Icon.Question,
            self.tr("The scans are not where they were"),
            text,
            QMessageBox.StandardButton.Cancel,
            self._window,
        )
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        show = box.addButton(self.tr("Show me where…"), QMessageBox.ButtonRole.AcceptRole)
        show.clicked.connect(self._on_show_where)
        box.open()

    def _on_show_where(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self._window, self.tr("Where the scans are now"))
        if chosen and self._moved is not None:
            job = self._session.relocate(self._moved.folder, Path(chosen))
            job.failed.connect(self._on_not_there)

    def _on_not_there(self, error: BaseException) -> None:
        """Ask once more, as one easily points at a folder too many or too few."""
        self._ask_where(text_of(error))

    def _on_cohort_changed(self, _cohort: object) -> None:
        if self._session.opened is None:
            return
        self._write_cohort(self._session.opened)
        self._audit_split()

    def _audit_split(self) -> None:
        if self._session.opened is None:
            return
        try:
            self._session.opened.cohort.require_trainable()
        except CohortError:
            # The panel says why it cannot be trained, and there is no split to audit.
            self._audit_window.page.set_target(None, self._session.settings)
            return
        self._session.audit()

    def _write_cohort(self, opened: ScannedCohort) -> None:
        cohort, cut = opened.cohort, self._session.settings.cut
        settings = self._session.settings
        if settings.sees_cubes and not cohort.n_pictures:
            items = self.tr("{0} whole scans").format(len(cohort.included_scans))
        else:
            n_slices = expected_slices(cohort, settings.slices.count)
            items = self.tr("about {0} slices").format(n_slices)
        said = self.tr("{0}: {1} subjects, {2}, {3}").format(
            opened.folder.stem, len(cohort.subjects), items, " / ".join(cohort.classes)
        )
        self.cohort_said.emit(said)
        self._training.queue.set_cohort(opened.folder, cohort.classes)
        self._training.set_cohort(
            cohort.classes,
            said,
            cubes_refused=self.tr(
                "The 3-D CNN needs whole volumes; this cohort holds ready-made slices."
            )
            if cohort.n_pictures
            else "",
        )
        self._panel.show_slice_settings(slices_text(cut, cohort))

    def _on_settings_changed(self, settings: RunSettings) -> None:
        if self._session.opened is None:
            return
        self._write_cohort(self._session.opened)
        shown = self._panel.scan_list.selected_scan
        if shown is not None and settings.cut != self._strip_cut:
            self._session.read_scan(shown)

    def _on_settings_suggested(self, settings: RunSettings) -> None:
        self._training.set_settings(settings)
        self.take_settings()

    def take_settings(self) -> None:
        """Take over what the form says, at once; a form with a wrong field changes nothing."""
        self._form_settled.stop()
        try:
            settings = self._training.settings()
        except SettingsError:
            return  # the form says what is wrong
        self._session.change_settings(settings)

    def _on_audit(self, audit: LeakageAudit) -> None:
        if self._session.opened is None:
            return
        self._audit_window.page.set_target(
            self._session.opened.folder, self._session.settings, audit
        )
        self._write_audit(audit)

    def _write_audit(self, audit: LeakageAudit) -> None:
        self._awaits_slices = not audit.is_compared
        self._panel.show_split(
            self.tr("Split: {0}").format(audit.words), audit.leaks, is_compared=audit.is_compared
        )

    def _on_audit_failed(self, error: BaseException) -> None:
        if self._session.opened is not None:
            page = self._audit_window.page
            page.set_target(self._session.opened.folder, self._session.settings)
            page.show_fault(error)
        text = split_text(self._session.settings)
        self._panel.show_split_fault(text, text_of(error))

    def _on_split_file_chosen(self, file: str) -> None:
        # The form says how runs are split; the audit follows it.
        changed = config.change(self._session.settings, {"split_file": file})
        self._on_settings_suggested(changed)

    def _on_audit_problem(self, error: BaseException) -> None:
        show_error(self._audit_window, error)

    def _on_scan_selected(self, scan: Scan) -> None:
        self._panel.show_busy(self.tr("Reading {0}…").format(scan.key))
        self._session.read_scan(scan)

    def _on_compared_read(self, scan: Scan, shown: object) -> None:
        if isinstance(shown, Volume):
            self._panel.show_compared(shown, scan)
        else:
            self._panel.show_problem(
                self.tr("{0} holds ready-made slices; only volumes are compared.").format(scan.key)
            )

    def _on_scan_read(self, scan: Scan, shown: object) -> None:
        if isinstance(shown, Volume):
            self._panel.show_volume(shown, scan)
        else:
            self._panel.show_pictures(shown, scan)

    def _on_strip_read(self, scan: Scan, strip: ScanStrip) -> None:
        settings = self._session.settings
        self._strip_cut = settings.cut
        self._panel.show_strip(
            strip.pixels,
            [int(number) for number in strip.numbers],
            scan,
            plane="axial" if settings.sees_cubes else settings.slices.plane,
            are_layers=settings.sees_cubes and scan.kind == "volume",
        )

    def _on_train_requested(self) -> None:
        self.place_wanted.emit("train")

    def _on_training_ended(self, state: str, _text: str) -> None:
        if state == "finished" and self._awaits_slices:
            # They are cut now, and can be compared.
            self._audit_split()
