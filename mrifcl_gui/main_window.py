"""The window: four places on a rail, a task dock, a status bar; links join them to the session."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMessageBox,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import CohortError, ScanError, SettingsError
from mrifcl_gui import preferences
from mrifcl_gui.dropped_paths import drop_words, local_paths
from mrifcl_gui.elided_label import ElidedLabel
from mrifcl_gui.messages import show_error
from mrifcl_gui.place_rail import PLACES, PlaceRail
from mrifcl_gui.viewer_layout import ViewerLayout
from mrifcl_gui.window_placement import keep_on_screen, reset_layout, restore_place

# The frame of the window is on screen before any of these is loaded: the methods that build
# a part import it.
if TYPE_CHECKING:
    from mrifcl_gui.analysis_tabs import AnalysisTabs
    from mrifcl_gui.audit_page import AuditWindow
    from mrifcl_gui.cohort_panel import CohortPanel
    from mrifcl_gui.drop_frame import DropFrame
    from mrifcl_gui.fit_window import FitWindow
    from mrifcl_gui.job import Job
    from mrifcl_gui.place_actions import PlaceActions
    from mrifcl_gui.runs_panel import RunsPanel
    from mrifcl_gui.session import Session
    from mrifcl_gui.task_dock import TaskDock
    from mrifcl_gui.training_panel import TrainingPanel
    from mrifcl_gui.window_drops import WindowDrops
    from mrifcl_gui.window_menus import WindowMenus
    from mrifcl_gui.window_questions import WindowQuestions

SAID_MS = 10_000

logger = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """Joins the session to its four places.

    Parameters
    ----------
    session : Session, optional
        What is open; the window asks it for everything. Without one only the frame is built,
        to be on screen at once; :meth:`build_cohort` and :meth:`build_rest` follow.
    """

    painted = Signal()  # for the first time

    session: Session
    questions: WindowQuestions
    menus: WindowMenus
    cohort_panel: CohortPanel
    training_panel: TrainingPanel
    runs_panel: RunsPanel
    analysis_tabs: AnalysisTabs
    audit_window: AuditWindow
    task_dock: TaskDock
    drops: WindowDrops
    actions_here: PlaceActions

    def __init__(self, session: Session | None = None) -> None:
        super().__init__()
        self.is_complete = False
        self.leaves = False  # the process ends with the window
        self._was_painted = False
        self._dropped_early: list[Path] = []
        self._drop_frame: DropFrame | None = None
        self._fit_window: FitWindow | None = None
        self._place_asked = PLACES[0]
        self.rail = PlaceRail(self)
        self._places = QStackedWidget(self)
        self._build_frame()
        restore_place(self)
        if session is not None:
            self.build_cohort(session)
            for _ in self.build_rest():
                pass

    def build_cohort(self, session: Session) -> None:
        """Build the place in front, which can be used from now on.

        What is asked for before the rest is built starts as soon as it is.
        """
        self.session = session
        session.hold()
        with _unstyled(self):
            self._build_cohort()

    def build_rest(self) -> Iterator[None]:
        """Build the other places and join them all; each step takes about a tenth of a second."""
        with _unstyled(self):
            for build in (
                self._build_training,
                self._build_runs,
                self._build_analysis,
                self._build_audit,
                self._build_menus,
                self._join,
            ):
                build()
                yield
        self.is_complete = True
        self.go_to(self._place_asked)
        self.session.release()
        self.session.refresh_runs()
        if self._dropped_early:
            self.drops.take(self._dropped_early)

    def show_audit(self) -> None:
        """Open the audit of the split that the settings give the open cohort."""
        if not self.is_complete:
            return
        self.audit_window.show()
        self.audit_window.raise_()
        self.audit_window.activateWindow()

    def show_fit(self, path: Path) -> None:
        """Open the fits of a table's columns."""
        from mrifcl_gui.fit_window import FitWindow

        if self._fit_window is None:
            self._fit_window = FitWindow(self)
            self._fit_window.job_started.connect(self.task_dock.add_job)
        self._fit_window.show()
        self._fit_window.raise_()
        self._fit_window.activateWindow()
        self._fit_window.fit(path)

    def show_drop(self, words: str) -> None:
        """Say over the window what a drop will do; nothing where ``words`` is empty."""
        if self._drop_frame is None:
            if not words:
                return
            from mrifcl_gui.drop_frame import DropFrame

            self._drop_frame = DropFrame(self)
        if words:
            self._drop_frame.show_words(words)
        else:
            self._drop_frame.hide()

    def go_to(self, place: str) -> None:
        """Bring a place to the front; one that is not built yet, as soon as it is."""
        self._place_asked = place
        if self.is_complete:
            self._places.setCurrentIndex(PLACES.index(place))
            self.actions_here.set_place(self._places.currentWidget())
        self.rail.mark(place)

    def end(self) -> None:
        """Stop what runs, and keep on the disk what is to be kept."""
        if not self.is_complete:
            return
        from mrifcl_gui.job import cancel_and_wait, leave_without_waiting, running_jobs
        from mrifcl_gui.late_writer import close_all

        preferences.set_geometry(self.saveGeometry())
        self.session.close()
        self.cohort_link.close()
        if self.leaves:
            leave_without_waiting()
        cancel_and_wait()
        self.training_link.close()
        close_all()
        if late := [job.title for job in running_jobs() if not job.loses_nothing]:
            logger.warning("closed while jobs run: %s", late)

    def reset_layout(self) -> None:
        """Lay window, parts and viewer out as at the first start."""
        reset_layout(self)
        self.cohort_panel.viewer.set_viewer_layout(ViewerLayout(*preferences.viewer_layout()))

    # Building

    def _build_frame(self) -> None:
        self.rail.place_chosen.connect(self.go_to)
        body = QWidget(self)
        self._column = QVBoxLayout(body)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.rail)
        row.addWidget(self._places, 1)
        self._column.addLayout(row, 1)
        self.setCentralWidget(body)
        self.setWindowTitle(self.tr("MRI-FCL – research use only"))
        screen = QGuiApplication.primaryScreen().availableSize()
        self.setMinimumSize(QSize(960, 620).boundedTo(screen))
        self.setAcceptDrops(True)
        # Qt would give the keyboard to the rail, whose first place then looks chosen twice.
        self._places.setFocus()
        # Both are there from the start, so that nothing moves when they are filled.
        self.menuBar()
        self.statusBar()
        QGuiApplication.instance().screenRemoved.connect(self._on_screen_removed)

    def _build_cohort(self) -> None:
        from mrifcl_gui.cohort_panel import CohortPanel
        from mrifcl_gui.task_dock import TaskDock
        from mrifcl_gui.window_questions import WindowQuestions

        panel = self.cohort_panel = CohortPanel(self)
        self._places.addWidget(panel)
        self.questions = WindowQuestions(self, self.session)
        panel.open_folder_requested.connect(self.questions.ask_folder)
        panel.paths_dropped.connect(self._on_paths_dropped)
        panel.recent_chosen.connect(self._on_recent)
        panel.demo_requested.connect(self.session.open_demo)
        panel.show_recent()
        self.session.problem.connect(self._on_problem)
        self.task_dock = TaskDock(self)
        self._column.addWidget(self.task_dock)

    def _build_training(self) -> None:
        from mrifcl_gui.training_panel import TrainingPanel

        self.training_panel = TrainingPanel(self)
        self._places.addWidget(self.training_panel)

    def _build_runs(self) -> None:
        from mrifcl_gui.runs_panel import RunsPanel

        self.runs_panel = RunsPanel(self)
        self._places.addWidget(self.runs_panel)

    def _build_analysis(self) -> None:
        from mrifcl_gui.analysis_tabs import AnalysisTabs

        self.analysis_tabs = AnalysisTabs(self)
        self._places.addWidget(self.analysis_tabs)

    def _build_audit(self) -> None:
        from mrifcl_gui.audit_page import AuditWindow

        self.audit_window = AuditWindow(self)

    def _build_menus(self) -> None:
        from mrifcl_gui.place_actions import PlaceActions
        from mrifcl_gui.window_menus import WindowMenus

        self.menus = WindowMenus(self)
        self.actions_here = PlaceActions(self.session, self)
        here = self.actions_here
        here.said.connect(self._say)
        panel = self.cohort_panel
        # The panel's own would take the same keys.
        for action in (panel.undo_action, panel.redo_action):
            action.setShortcuts([])
        here.set_place(panel)
        edits = (here.undo, here.redo, None, here.copy, here.find, panel.check_action)
        self.menus.build(
            self.questions,
            files=(here.save, here.export),
            edits=edits,
            views=(here.refresh,),
            places=self.rail.titles,
        )
        self.menus.place_chosen.connect(self.go_to)
        self.analysis_tabs.maths_requested.connect(self.menus.show_maths)
        self.menus.demo_requested.connect(self.session.open_demo)
        self.menus.audit_requested.connect(self.show_audit)
        self.menus.layout_reset.connect(self.reset_layout)
        self._build_status()

    def _build_status(self) -> None:
        from mrifcl_gui.about import device_text

        self._cohort_status = ElidedLabel(self.tr("No cohort"), self)
        usual = QSizePolicy.Policy.Preferred
        self._cohort_status.setSizePolicy(usual, usual)
        self._run_status = QLabel(self)
        # In one short phrase; what to do about it is said in full on pointing.
        whole = device_text()
        self._device_status = QLabel(whole.partition(". ")[0], self)
        self._device_status.setToolTip(whole)
        for label in (self._run_status, self._cohort_status, self._device_status):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setContentsMargins(8, 0, 8, 0)
            self.statusBar().addPermanentWidget(label)

    def _join(self) -> None:
        self._connect_jobs()
        self._connect_cohort()
        self._connect_training()
        self._connect_runs()
        self._connect_drops()
        QTimer.singleShot(0, self, self._tell_of_settings)

    def _connect_jobs(self) -> None:
        self.session.job_started.connect(self.task_dock.add_job)
        self.session.job_lasts.connect(self._on_job_lasts)
        self.audit_window.page.job_started.connect(self.task_dock.add_job)
        self.analysis_tabs.job_started.connect(self.task_dock.add_job)

    def _connect_cohort(self) -> None:
        from mrifcl_gui.cohort_link import CohortLink

        self.cohort_link = CohortLink(
            self,
            self.session,
            panel=self.cohort_panel,
            training=self.training_panel,
            audit_window=self.audit_window,
        )
        self.cohort_link.place_wanted.connect(self.go_to)
        self.cohort_link.cohort_said.connect(self._cohort_status.setText)
        self.cohort_link.audit_requested.connect(self.show_audit)

    def _connect_training(self) -> None:
        from mrifcl_gui.training_link import TrainingLink

        self.training_link = TrainingLink(
            self,
            self.session,
            panel=self.training_panel,
            runs=self.runs_panel,
            analysis=self.analysis_tabs,
        )
        self.training_link.place_wanted.connect(self.go_to)
        self.training_link.run_said.connect(self._run_status.setText)

    def _connect_runs(self) -> None:
        from mrifcl_gui.runs_link import RunsLink

        self.runs_link = RunsLink(
            self,
            self.session,
            panel=self.runs_panel,
            analysis=self.analysis_tabs,
            cohort=self.cohort_panel,
        )
        self.runs_link.place_wanted.connect(self.go_to)

    def _connect_drops(self) -> None:
        from mrifcl_gui.window_drops import WindowDrops

        self.drops = WindowDrops(self.session, self.training_panel, self)
        self.drops.place_wanted.connect(self.go_to)
        self.drops.said.connect(self._say)
        self.drops.fit_wanted.connect(self.show_fit)
        self.drops.audit_wanted.connect(self.show_audit)
        self.cohort_panel.dragged_over.connect(self.show_drop)

    def _tell_of_settings(self) -> None:
        """Say what was wrong with the settings file, once the window is there to say it in."""
        if said := preferences.problem():
            self.session.problem.emit(SettingsError(said))

    # Slots

    def _say(self, text: str) -> None:
        self.statusBar().showMessage(text, SAID_MS)

    def _on_recent(self, path: Path) -> None:
        self.session.open_paths([path])

    def _on_paths_dropped(self, paths: list[Path]) -> None:
        if self.is_complete:
            self.drops.take(paths)
        else:
            self._dropped_early = paths

    def _on_screen_removed(self) -> None:
        keep_on_screen(self)

    def _on_job_lasts(self, job: Job) -> None:
        self.task_dock.add_job(job, keeps_failure=False)

    def _on_problem(self, error: BaseException) -> None:
        is_here = self._places.currentWidget() is self.cohort_panel
        if is_here and isinstance(error, CohortError | ScanError):
            self.cohort_panel.show_problem(str(error))
            return
        show_error(self, error)

    # Qt

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take local files and folders, whichever place is in front."""
        if paths := local_paths(event.mimeData()):
            event.acceptProposedAction()
            self.show_drop(drop_words(paths))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: D102
        self.show_drop("")
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.show_drop("")
        if paths := local_paths(event.mimeData()):
            event.acceptProposedAction()
            self._on_paths_dropped(paths)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let Enter press the button that has the keyboard, as Space does on every desktop.

        Esc, where nothing else takes it, closes the bar that says what went wrong.
        """
        if event.key() == Qt.Key.Key_Escape and self.is_complete and self.cohort_panel.has_problem:
            self.cohort_panel.dismiss_problem()
            return
        button = self.focusWidget()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(
            button, QAbstractButton
        ):
            button.click()
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            QTimer.singleShot(0, self, self.painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        if self.is_complete and self.session.is_training and not self._confirms_stop():
            event.ignore()
            return
        # Gone for the user at once, while the threads end at their next step.
        self.hide()
        self.end()
        # A message that is still open would keep the program running, without a window.
        for other in QApplication.topLevelWidgets():
            if other is not self and other.isVisible():
                other.close()
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


@contextlib.contextmanager
def _unstyled(window: QWidget) -> Iterator[None]:
    """Take the style sheet off the application while parts of a window are built.

    With it each part is polished anew whenever it is put into another, which takes as long
    as all the rest. The window is not painted meanwhile.
    """
    app = QApplication.instance()
    sheet = app.styleSheet()
    app.setStyleSheet("")
    window.setUpdatesEnabled(False)
    try:
        yield
    finally:
        if not app.styleSheet():
            app.setStyleSheet(sheet)
        window.setUpdatesEnabled(True)
