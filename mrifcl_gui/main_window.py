"""The window: four places on a rail, a task dock, a status bar; it joins session and panels."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QRect, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core import config
from core.analysis.comparison import PAPER_TABLE_2
from core.analysis.map_volume import MapPictures, MapVolume
from core.config import NETWORK_TITLES, CubeSettings, Cut, RunSettings
from core.data.cohort import Cohort, Scan
from core.data.folder_look import FolderLook
from core.data.leakage import LeakageAudit
from core.data.scan_folder import compile_pattern, expected_slices
from core.data.split import split_words
from core.data.volume import Volume
from core.errors import CohortError, MriFclError, RunError, ScanError, SettingsError
from core.run_folder import Run
from core.tasks import ScannedCohort, ScanStrip
from mrifcl_gui import preferences
from mrifcl_gui.about import device_text, show_about, show_shortcuts
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.audit_page import AuditWindow
from mrifcl_gui.cohort_panel import CohortPanel
from mrifcl_gui.guide_window import GUIDE, MATHS, TUTORIAL, GuideWindow
from mrifcl_gui.job import Job, cancel_and_wait, running_jobs
from mrifcl_gui.messages import show_error, text_of
from mrifcl_gui.notification import tell_of
from mrifcl_gui.open_folder_dialog import OpenFolderDialog
from mrifcl_gui.queue_memory import QueueMemory
from mrifcl_gui.queue_window import QueueWindow
from mrifcl_gui.runs_panel import RunsPanel
from mrifcl_gui.session import Session
from mrifcl_gui.task_dock import TaskDock
from mrifcl_gui.theme import rail_icon
from mrifcl_gui.training_panel import TrainingPanel

logger = logging.getLogger(__name__)

PLACES = ("cohort", "train", "runs", "analyse")
SETTLE_MS = 500


class MainWindow(QMainWindow):
    """Joins the session to its four places.

    Parameters
    ----------
    session : Session
        What is open; the window asks it for everything.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.cohort_panel = CohortPanel(self)
        self.training_panel = TrainingPanel(self)
        self.runs_panel = RunsPanel(self)
        self.analysis_tabs = AnalysisTabs(self)
        self.audit_window = AuditWindow(self)
        self.task_dock = TaskDock(self)
        self._places = QStackedWidget(self)
        self._rail: list[QToolButton] = []
        self._queue_window: QueueWindow | None = None
        self._guide: GuideWindow | None = None
        self._moved: ScannedCohort | None = None
        self._comparing = False
        self._awaits_slices = False
        self._strip_cut: Cut | None = None
        self._place_titles = (
            self.tr("Cohort"),
            self.tr("Train"),
            self.tr("Runs"),
            self.tr("Analyse"),
        )
        self._build_body()
        self._build_menus()
        self._build_status()
        self._form_settled = QTimer(self)
        self._form_settled.setSingleShot(True)
        self._form_settled.setInterval(SETTLE_MS)
        self._connect_cohort()
        self._connect_training()
        self._connect_runs()
        self._connect_queue()
        self._restore()
        QTimer.singleShot(0, self._tell_of_settings)
        session.refresh_runs()

    # Building

    def _build_body(self) -> None:
        for panel in (self.cohort_panel, self.training_panel, self.runs_panel, self.analysis_tabs):
            self._places.addWidget(panel)
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self._build_rail())
        row.addWidget(self._places, 1)
        column.addLayout(row, 1)
        column.addWidget(self.task_dock)
        self.setCentralWidget(body)
        self.setWindowTitle(self.tr("MRI-FCL – research use only"))
        screen = QGuiApplication.primaryScreen().availableSize()
        self.setMinimumSize(QSize(960, 620).boundedTo(screen))
        self.setAcceptDrops(True)

    def _build_rail(self) -> QWidget:
        rail = QWidget(self)
        rail.setObjectName("rail")
        rail.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QVBoxLayout(rail)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(4)
        for number, title in enumerate(self._place_titles):
            button = QToolButton(rail)
            button.setText(title)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(24, 24))
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.setFixedWidth(80)
            button.setToolTip(self.tr("{0} (Ctrl+{1})").format(title, number + 1))
            button.clicked.connect(self._on_rail_clicked)
            layout.addWidget(button)
            self._rail.append(button)
        layout.addStretch(1)
        self._rail[0].setChecked(True)
        self._colour_rail()
        return rail

    def _colour_rail(self) -> None:
        for button, name in zip(self._rail, PLACES, strict=True):
            button.setIcon(rail_icon(name, self.palette().windowText().color()))

    def _build_menus(self) -> None:
        bar = self.menuBar()
        file_menu = bar.addMenu(self.tr("&File"))
        self._add(
            file_menu,
            self.tr("&Open folder of scans…"),
            self.ask_folder,
            QKeySequence.StandardKey.Open,
        )
        self._add(file_menu, self.tr("Open folder with a &table of labels…"), self.ask_labelled)
        self._add(file_menu, self.tr("Open &cohort or run…"), self.ask_existing, "Ctrl+Shift+O")
        self._add(file_menu, self.tr("Open the &demo cohort"), self.session.open_demo)
        file_menu.addSeparator()
        self._add(file_menu, self.tr("&Subject pattern…"), self.ask_pattern)
        self._add(file_menu, self.tr("Folder for cohorts and &runs…"), self.ask_data_folder)
        file_menu.addSeparator()
        self._add(file_menu, self.tr("&Quit"), self.close, QKeySequence.StandardKey.Quit)
        edit_menu = bar.addMenu(self.tr("&Edit"))
        edit_menu.addAction(self.cohort_panel.undo_action)
        edit_menu.addAction(self.cohort_panel.redo_action)
        edit_menu.addSeparator()
        edit_menu.addAction(self.cohort_panel.check_action)
        view_menu = bar.addMenu(self.tr("&View"))
        places = QActionGroup(self)
        for number, title in enumerate(self._place_titles):
            action = self._add(view_menu, title, self._on_place_action, f"Ctrl+{number + 1}")
            action.setData(number)
            places.addAction(action)
        view_menu.addSeparator()
        self._add(view_menu, self.tr("&Audit of the split"), self.show_audit, "Ctrl+Shift+A")
        help_menu = bar.addMenu(self.tr("&Help"))
        self._add(
            help_menu,
            self.tr("&User guide"),
            self._on_guide,
            QKeySequence.StandardKey.HelpContents,
        )
        self._add(help_menu, self.tr("&Tutorial"), self._on_tutorial)
        self._add(help_menu, self.tr("&Maths of the figures"), self._on_maths)
        help_menu.addSeparator()
        self._add(help_menu, self.tr("&Shortcuts"), self._on_shortcuts, "Ctrl+F1")
        self._add(help_menu, self.tr("&About MRI-FCL"), self._on_about)

    def _add(
        self,
        menu: object,
        title: str,
        slot: object,
        shortcut: QKeySequence.StandardKey | str | None = None,
    ) -> QAction:
        action = QAction(title, self)
        action.triggered.connect(slot)
        if shortcut is not None:
            action.setShortcut(QKeySequence(shortcut))
        menu.addAction(action)  # type: ignore[attr-defined]
        return action

    def _build_status(self) -> None:
        self._cohort_status = QLabel(self.tr("No cohort"), self)
        self._run_status = QLabel(self)
        # In one short phrase; what to do about it is said in full on pointing.
        whole = device_text()
        self._device_status = QLabel(whole.partition(". ")[0], self)
        self._device_status.setToolTip(whole)
        for label in (self._run_status, self._cohort_status, self._device_status):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setContentsMargins(8, 0, 8, 0)
            self.statusBar().addPermanentWidget(label)

    def _connect_cohort(self) -> None:
        panel, session = self.cohort_panel, self.session
        panel.scan_selected.connect(self._on_scan_selected)
        panel.cohort_changed.connect(session.change_cohort)
        panel.cohort_changed.connect(self._on_cohort_changed)
        panel.paths_dropped.connect(session.open_paths)
        panel.open_folder_requested.connect(self.ask_folder)
        panel.demo_requested.connect(session.open_demo)
        panel.recent_chosen.connect(self._on_recent)
        panel.train_requested.connect(self._on_train_place)
        panel.set_recent(preferences.recent())
        panel.viewer.set_radiological(preferences.is_radiological())
        panel.viewer.orientation_changed.connect(preferences.set_radiological)
        session.job_started.connect(self.task_dock.add_job)
        session.job_lasts.connect(self._on_job_lasts)
        session.settings_changed.connect(self._on_settings_changed)
        session.settings_suggested.connect(self._on_settings_suggested)
        session.cohort_opened.connect(self._on_cohort_opened)
        session.data_missing.connect(self._on_data_missing)
        session.folder_looked.connect(self._on_folder_looked)
        panel.compare_requested.connect(session.read_compared)
        panel.thumbnails_wanted.connect(session.read_thumbnails)
        panel.check_requested.connect(session.check_voxels)
        panel.cloud_requested.connect(self._on_cloud_requested)
        session.thumbnails_read.connect(panel.show_thumbnails)
        session.checking_changed.connect(panel.set_checking)
        session.voxels_checked.connect(panel.show_checked)
        session.noticed.connect(panel.show_notice)
        session.scan_read.connect(self._on_scan_read)
        session.compared_read.connect(self._on_compared_read)
        session.strip_read.connect(self._on_strip_read)
        session.audit_done.connect(self._on_audit)
        session.audit_failed.connect(self._on_audit_failed)
        panel.audit_requested.connect(self.show_audit)
        self.audit_window.page.audited.connect(self._write_audit)
        self.audit_window.page.job_started.connect(self.task_dock.add_job)
        self.audit_window.page.problem.connect(self._on_audit_problem)
        self.audit_window.page.split_file_chosen.connect(self._on_split_file_chosen)
        session.problem.connect(self._on_problem)

    def _connect_training(self) -> None:
        panel, session = self.training_panel, self.session
        panel.start_requested.connect(self._on_start_training)
        panel.stop_requested.connect(session.stop_training)
        panel.cohort_requested.connect(self._on_cohort_place)
        panel.queue_changed.connect(self._on_queue_changed)
        panel.analyse_requested.connect(self._on_analyse_trained)
        panel.settings_changed.connect(self._form_settled.start)
        self._form_settled.timeout.connect(self._on_form_settled)
        session.training_started.connect(self._on_training_started)
        session.training_event.connect(panel.show_event)
        session.training_ended.connect(self._on_training_ended)
        panel.measure_requested.connect(session.precision.measure)
        session.precision.measured.connect(panel.show_precision)
        session.precision.ended.connect(panel.end_measuring)
        panel.weights_asked.connect(session.weights.look_up)
        panel.weights_states.fetch_requested.connect(session.weights.fetch)
        panel.weights_states.cancel_requested.connect(session.weights.cancel)
        session.weights.known.connect(panel.weights_states.show_states)
        session.weights.progressed.connect(panel.weights_states.show_progress)
        session.weights.ended.connect(panel.weights_states.show_ended)
        session.weights.ended.connect(panel.ask_for_weights)

    def _connect_queue(self) -> None:
        queue, session = self.training_panel.queue, self.session
        memory = self._queue_memory = QueueMemory(session.data_folder / "queue", self)
        queue.added.connect(memory.note_added)
        queue.removed.connect(memory.note_removed)
        queue.ordered.connect(memory.note_order)
        queue.moved.connect(memory.note_moved)
        queue.pause_toggled.connect(session.set_paused)
        queue.skip_requested.connect(session.skip_run)
        queue.table_requested.connect(self._on_queue_table)
        session.runs_changed.connect(queue.show_runs)
        session.queue_ended.connect(self._on_queue_ended)
        memory.restored.connect(queue.restore)
        memory.problem.connect(self._on_problem)
        memory.restore()

    def _connect_runs(self) -> None:
        panel, session = self.runs_panel, self.session
        panel.set_paper_rows(
            {
                (row.network, row.regime.removesuffix(" long"), row.regime.endswith("long")): (
                    row.train,
                    row.validation,
                    row.test,
                    row.seconds,
                )
                for row in PAPER_TABLE_2
            }
        )
        panel.analyse_requested.connect(session.open_runs)
        panel.compare_requested.connect(self._on_compare)
        panel.folder_requested.connect(self._on_folder)
        panel.run_dropped.connect(self._on_run_dropped)
        panel.train_requested.connect(self._on_train_place)
        panel.resume_requested.connect(session.resume)
        session.runs_changed.connect(panel.show_runs)
        session.runs_opened.connect(self._on_runs_opened)
        self.analysis_tabs.job_started.connect(self.task_dock.add_job)
        self.analysis_tabs.problem.connect(self._on_problem)
        self.analysis_tabs.runs_requested.connect(self._on_runs_place)
        self.analysis_tabs.runs_made.connect(session.refresh_runs)
        self.analysis_tabs.slice_panel.viewer_requested.connect(self._on_viewer_requested)
        self.analysis_tabs.slice_panel.overlay_requested.connect(self._on_overlay_requested)

    def _restore(self) -> None:
        kept = preferences.geometry()
        if kept is None or not self.restoreGeometry(kept):
            self.resize(1280, 800)
        screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
        primary = QGuiApplication.primaryScreen().availableGeometry()
        self.setGeometry(place_on_screen(self.geometry(), screens, primary))

    def _tell_of_settings(self) -> None:
        """Say what was wrong with the settings file, once the window is there to say it in."""
        if said := preferences.problem():
            self.session.problem.emit(SettingsError(said))

    # Asking

    def ask_folder(self) -> None:
        """Let the user choose a folder of scans."""
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Folder of scans"))
        if chosen:
            self.session.open_paths([Path(chosen)])

    def ask_labelled(self) -> None:
        """Let the user choose a folder of scans and the table that says their classes."""
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of scans"))
        if not folder:
            return
        table, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Table with a subject and a class column"),
            folder,
            self.tr("Tables (*.csv *.tsv *.txt)"),
        )
        if table:
            self.session.look([Path(folder)], labels=Path(table))

    def ask_existing(self) -> None:
        """Let the user choose a stored cohort or a run folder."""
        chosen = QFileDialog.getExistingDirectory(
            self, self.tr("A NAME.mrifcl cohort or a run folder"), str(self.session.data_folder)
        )
        if chosen:
            self.session.open_paths([Path(chosen)])

    def ask_pattern(self) -> None:
        """Let the user give the regular expression that tells subjects from file names."""
        text, given = QInputDialog.getText(
            self,
            self.tr("Subject pattern"),
            self.tr(
                "Regular expression with a group subject (and session, slice), tried on each "
                "file name.\nEmpty: OASIS, BIDS and ADNI names are recognised by themselves.\n"
                "Example: (?P<subject>P[0-9]+)_(?P<session>V[0-9])"
            ),
            QLineEdit.EchoMode.Normal,
            preferences.subject_pattern(),
        )
        if not given:
            return
        try:
            if text:
                compile_pattern(text)
        except CohortError as error:
            self._on_problem(error)
            return
        preferences.set_subject_pattern(text)

    def ask_data_folder(self) -> None:
        """Let the user choose where cohorts and runs are kept."""
        chosen = QFileDialog.getExistingDirectory(
            self, self.tr("Folder for cohorts and runs"), str(self.session.data_folder)
        )
        if chosen:
            preferences.set_data_folder(Path(chosen))
            self.session.data_folder = Path(chosen)
            self.session.refresh_runs()

    def show_audit(self) -> None:
        """Open the audit of the split that the settings give the open cohort."""
        self.audit_window.show()
        self.audit_window.raise_()
        self.audit_window.activateWindow()

    def go_to(self, place: str) -> None:
        """Bring a place to the front."""
        number = PLACES.index(place)
        self._places.setCurrentIndex(number)
        self._rail[number].setChecked(True)

    # Slots: places

    def _on_rail_clicked(self) -> None:
        sender = self.sender()
        if isinstance(sender, QToolButton):
            self._places.setCurrentIndex(self._rail.index(sender))

    def _on_place_action(self) -> None:
        sender = self.sender()
        if isinstance(sender, QAction):
            self.go_to(PLACES[int(sender.data())])

    def _on_cohort_place(self) -> None:
        self.go_to("cohort")

    def _on_train_place(self) -> None:
        self.go_to("train")

    def _on_runs_place(self) -> None:
        self.go_to("runs")

    # Slots: cohort

    def _on_folder_looked(self, look: FolderLook) -> None:
        """Ask whether a folder is read rightly, or show its reading anew where that is asked."""
        dialog = next((shown for shown in self._dialogs() if shown.isVisible()), None)
        if dialog is not None and dialog.takes(look):
            dialog.show_look(look)
            return
        if dialog is not None:
            dialog.reject()
        dialog = OpenFolderDialog(look, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.layout_changed.connect(self.session.look_again)
        dialog.table_chosen.connect(self._on_table_chosen)
        dialog.confirmed.connect(self.session.scan)
        dialog.open()

    def _dialogs(self) -> list[OpenFolderDialog]:
        return self.findChildren(OpenFolderDialog)

    def _on_table_chosen(self, look: FolderLook, table: Path) -> None:
        self.session.look_again(look, look.layout, labels=table)

    def _on_cohort_opened(self, opened: ScannedCohort) -> None:
        self.cohort_panel.show_cohort(opened.cohort)
        self.cohort_panel.set_recent(preferences.recent())
        self._on_cohort_changed(opened.cohort)
        self.go_to("cohort")

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
            self,
        )
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        show = box.addButton(self.tr("Show me where…"), QMessageBox.ButtonRole.AcceptRole)
        show.clicked.connect(self._on_show_where)
        box.open()

    def _on_show_where(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Where the scans are now"))
        if chosen and self._moved is not None:
            job = self.session.relocate(self._moved.folder, Path(chosen))
            job.failed.connect(self._on_not_there)

    def _on_not_there(self, error: BaseException) -> None:
        """Ask once more, as one easily points at a folder too many or too few."""
        self._ask_where(text_of(error))

    def _on_cohort_changed(self, _cohort: object) -> None:
        if self.session.opened is None:
            return
        self._write_cohort(self.session.opened)
        self._audit_split()

    def _audit_split(self) -> None:
        if self.session.opened is None:
            return
        try:
            self.session.opened.cohort.require_trainable()
        except CohortError:
            # The panel says why it cannot be trained, and there is no split to audit.
            self.audit_window.page.set_target(None, self.session.settings)
            return
        self.session.audit()

    def _write_cohort(self, opened: ScannedCohort) -> None:
        cohort, cut = opened.cohort, self.session.settings.cut
        settings = self.session.settings
        if settings.sees_cubes and not cohort.n_pictures:
            items = self.tr("{0} cubes").format(len(cohort.included_scans))
        else:
            n_slices = expected_slices(cohort, settings.slices.count)
            items = self.tr("about {0} slices").format(n_slices)
        said = self.tr("{0}: {1} subjects, {2}, {3}").format(
            opened.folder.stem, len(cohort.subjects), items, " / ".join(cohort.classes)
        )
        self._cohort_status.setText(said)
        self.training_panel.queue.set_cohort(opened.folder, cohort.classes)
        self.training_panel.set_cohort(
            cohort.classes,
            said,
            cubes_refused=self.tr(
                "The 3-D CNN needs whole volumes; this cohort holds ready-made slices."
            )
            if cohort.n_pictures
            else "",
        )
        self.cohort_panel.show_slice_settings(slices_text(cut, cohort))

    def _on_settings_changed(self, settings: RunSettings) -> None:
        if self.session.opened is None:
            return
        self._write_cohort(self.session.opened)
        shown = self.cohort_panel.scan_list.selected_scan
        if shown is not None and settings.cut != self._strip_cut:
            self.session.read_scan(shown)

    def _on_settings_suggested(self, settings: RunSettings) -> None:
        self.training_panel.set_settings(settings)
        self._on_form_settled()

    def _on_form_settled(self) -> None:
        self._form_settled.stop()
        try:
            settings = self.training_panel.settings()
        except SettingsError:
            return  # the form says what is wrong
        self.session.change_settings(settings)

    def _on_audit(self, audit: LeakageAudit) -> None:
        if self.session.opened is None:
            return
        self.audit_window.page.set_target(self.session.opened.folder, self.session.settings, audit)
        self._write_audit(audit)

    def _write_audit(self, audit: LeakageAudit) -> None:
        self._awaits_slices = not audit.is_compared
        self.cohort_panel.show_split(
            self.tr("Split: {0}").format(audit.words), audit.leaks, is_compared=audit.is_compared
        )

    def _on_audit_failed(self, error: BaseException) -> None:
        if self.session.opened is not None:
            page = self.audit_window.page
            page.set_target(self.session.opened.folder, self.session.settings)
            page.show_fault(error)
        text = split_text(self.session.settings)
        self.cohort_panel.show_split_fault(text, text_of(error))

    def _on_split_file_chosen(self, file: str) -> None:
        # The form says how runs are split; the audit follows it.
        changed = config.change(self.session.settings, {"split_file": file})
        self._on_settings_suggested(changed)

    def _on_audit_problem(self, error: BaseException) -> None:
        show_error(self.audit_window, error)

    def _on_job_lasts(self, job: Job) -> None:
        self.task_dock.add_job(job, keeps_failure=False)

    def _on_scan_selected(self, scan: Scan) -> None:
        self.cohort_panel.show_busy(self.tr("Reading {0}…").format(scan.key))
        self.session.read_scan(scan)

    def _on_compared_read(self, scan: Scan, shown: object) -> None:
        if isinstance(shown, Volume):
            self.cohort_panel.show_compared(shown, scan)
        else:
            self.cohort_panel.show_problem(
                self.tr("{0} holds ready-made slices; only volumes are compared.").format(scan.key)
            )

    def _on_scan_read(self, scan: Scan, shown: object) -> None:
        if isinstance(shown, Volume):
            self.cohort_panel.show_volume(shown, scan)
        else:
            self.cohort_panel.show_pictures(shown, scan)

    def _on_strip_read(self, scan: Scan, strip: ScanStrip) -> None:
        settings = self.session.settings
        self._strip_cut = settings.cut
        self.cohort_panel.show_strip(
            strip.pixels,
            [int(number) for number in strip.numbers],
            scan,
            plane="axial" if settings.sees_cubes else settings.slices.plane,
            are_layers=settings.sees_cubes and scan.kind == "volume",
        )

    def _on_recent(self, path: Path) -> None:
        self.session.open_paths([path])

    # Slots: training

    def _on_start_training(self) -> None:
        queue = self.training_panel.queue
        if self.session.opened is None and not queue.has_cohorts():
            self.go_to("cohort")
            return
        queue.set_paused(False)
        self.session.train(queue.queued())

    def _on_queue_changed(self) -> None:
        self.session.set_queue(self.training_panel.queue.queued())

    def _on_queue_table(self) -> None:
        if self._queue_window is None:
            self._queue_window = QueueWindow(self)
        self._queue_window.open_on(self.training_panel.queue)

    def _on_queue_ended(self) -> None:
        queue = self.training_panel.queue
        queue.set_paused(False)
        if len(queue.states()) > 1 or not self.isActiveWindow():
            tell_of(self, self.tr("MRI-FCL"), queue.summary())

    def _on_training_started(
        self, settings: RunSettings, classes: tuple[str, ...], resumed: Run | None
    ) -> None:
        history = None
        if resumed is not None:
            with contextlib.suppress(MriFclError, OSError):
                history = resumed.history
            self.go_to("train")
        self.training_panel.start_run(
            settings,
            classes,
            history=history,
            queued=self.session.started_key,
            path=resumed.path if resumed is not None else None,
        )
        self.runs_panel.set_training(True)
        self.analysis_tabs.honesty.set_busy(True)
        self._run_status.setText(
            self.tr("Training {0}").format(NETWORK_TITLES[settings.training.network])
        )

    def _on_training_ended(self, state: str, text: str) -> None:
        self.training_panel.run_ended(state, text)
        self.runs_panel.set_training(False)
        self.analysis_tabs.honesty.set_busy(False)
        self._run_status.setText("")
        if state == "finished":
            self.statusBar().showMessage(text, 10_000)
            if self._awaits_slices:
                # They are cut now, and can be compared.
                self._audit_split()

    def _on_analyse_trained(self, path: Path) -> None:
        self.session.open_runs([path])

    # Slots: runs

    def _on_runs_opened(self, runs: list[Run]) -> None:
        self.analysis_tabs.show_runs(runs)
        if self._comparing:
            self.analysis_tabs.show_comparison()
            self._comparing = False
        self.go_to("analyse")

    def _on_compare(self, paths: list[Path]) -> None:
        self._comparing = True
        self.session.open_runs(paths)

    def _on_run_dropped(self, path: Path) -> None:
        self.session.open_runs([path])

    def _on_folder(self, path: Path) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    # Slots: from a dot to the brain and back

    def _on_cloud_requested(self, scan: Scan) -> None:
        run, viewer = self.analysis_tabs.run, self.cohort_panel.viewer
        if run is None:
            self.cohort_panel.show_problem(
                self.tr("No run is open. Choose one in Runs and press Analyse, then try again.")
            )
            return
        is_volume = scan.kind == "volume"
        plane = run.settings.slices.plane
        number = viewer.slice_index(plane) if is_volume else viewer.picture_number()
        if self.analysis_tabs.choose_slice(scan.key, number or 0):
            self.go_to("analyse")
            return
        self.cohort_panel.show_problem(
            self.tr(
                "Run '{0}' has not seen the scan {1}. Open a run of this cohort in Analyse."
            ).format(run.name, scan.key)
        )

    def _on_viewer_requested(self, scan: str, number: int) -> None:
        if self.cohort_panel.show_slice(scan, number, plane=self._plane_of_run()):
            self.go_to("cohort")
        else:
            self._tell_other_cohort(scan)

    def _on_overlay_requested(self, stacked: MapVolume | MapPictures, number: int) -> None:
        words = self.tr("{0} of {1}, {2}").format(stacked.method, stacked.label, stacked.scan)
        is_there = self.cohort_panel.show_map(
            stacked.scan, number, stacked.values, words, plane=self._plane_of_run()
        )
        if is_there:
            self.go_to("cohort")
        else:
            self._tell_other_cohort(stacked.scan)

    def _plane_of_run(self) -> str:
        run = self.analysis_tabs.run
        return run.settings.slices.plane if run is not None else "axial"

    def _tell_other_cohort(self, scan: str) -> None:
        run = self.analysis_tabs.run
        name = run.record["cohort"]["name"] if run is not None else ""
        show_error(
            self,
            RunError(
                self.tr(
                    "The scan {0} is not in the cohort that is open. Open the cohort '{1}' of "
                    "the run first (File, Open cohort or run)."
                ).format(scan, name)
            ),
        )

    # Slots: the rest

    def _on_problem(self, error: BaseException) -> None:
        self._comparing = False
        is_here = self._places.currentWidget() is self.cohort_panel
        if is_here and isinstance(error, CohortError | ScanError):
            self.cohort_panel.show_problem(str(error))
            return
        show_error(self, error)

    def _on_about(self) -> None:
        show_about(self)

    def _on_shortcuts(self) -> None:
        show_shortcuts(self)

    def _on_guide(self) -> None:
        self._show_guide(GUIDE)

    def _on_tutorial(self) -> None:
        self._show_guide(TUTORIAL)

    def _on_maths(self) -> None:
        self._show_guide(MATHS)

    def _show_guide(self, file: str) -> None:
        if self._guide is None:
            self._guide = GuideWindow(self)
        self._guide.show_page(file)

    # Qt

    def changeEvent(self, event: QEvent) -> None:  # noqa: D102
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._rail:
            self._colour_rail()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take local files and folders, whichever place is in front."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        urls = event.mimeData().urls()
        paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.session.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        if self.session.is_training and not self._confirms_stop():
            event.ignore()
            return
        preferences.set_geometry(self.saveGeometry())
        self.session.close()
        # Gone for the user at once, while the threads end at their next step.
        self.hide()
        cancel_and_wait()
        self._queue_memory.close()
        if running_jobs():
            logger.warning("closed while jobs run: %s", [job.title for job in running_jobs()])
        event.accept()

    def _confirms_stop(self) -> bool:
        """Ask before a training is stopped, unless nobody can see the question."""
        if QGuiApplication.platformName() in ("offscreen", "minimal"):
            return True
        answer = QMessageBox.question(
            self,
            self.tr("A run is being trained"),
            self.tr(
                "Stop it and close? Everything up to its last whole epoch is kept, and it can "
                "be resumed."
            ),
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
        )
        return answer == QMessageBox.StandardButton.Yes


def place_on_screen(window: QRect, screens: Sequence[QRect], primary: QRect) -> QRect:
    """Return where a window may lie: as it is, or moved and shrunk onto a screen that is there."""
    overlaps = [(_area(screen.intersected(window)), screen) for screen in screens]
    most, screen = max(overlaps, key=lambda item: item[0], default=(0, primary))
    if most == 0:
        screen = primary
    size = window.size().boundedTo(screen.size())
    left = min(max(window.left(), screen.left()), screen.right() + 1 - size.width())
    top = min(max(window.top(), screen.top()), screen.bottom() + 1 - size.height())
    return QRect(left, top, size.width(), size.height())


def slices_text(cut: Cut, cohort: Cohort) -> str:
    """Say in one line which slices, or cubes, are taken."""
    if isinstance(cut, CubeSettings):
        side = f"{cut.side_mm:g} mm a side, " if cut.side_mm is not None else ""
        about = "about the brain" if cut.centre == "brain" else "of the whole volume"
        return f"Cubes: one a scan, {side}{about}, {cut.size} × {cut.size} × {cut.size} voxels"
    size = f"{cut.size} × {cut.size} pixels"
    if all(scan.kind == "slices" for scan in cohort.included_scans):
        return f"Slices: as they are in the folder, {size}"
    step = "each" if cut.step == 1 else f"every {cut.step}"
    return f"Slices: {cut.count} {cut.plane}, {step}, middle of the {cut.centre}, {size}"


def split_text(settings: RunSettings) -> str:
    """Say in one line how the split is made."""
    item = "scan" if settings.sees_cubes else "slice"
    return f"Split: {split_words(settings.split, settings.training.seed, item=item)}"


def _area(rectangle: QRect) -> int:
    return max(0, rectangle.width()) * max(0, rectangle.height())
