"""The ANALYSE place: one tab a question, each with a figure, its options and its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core.analysis.activation_map import row_of_slice
from core.config import RunSettings
from core.run_folder import Run
from mrifcl_gui.analysis_views import TABS
from mrifcl_gui.audit_page import AuditPage
from mrifcl_gui.comparison_view import ComparisonView
from mrifcl_gui.figure_tab import FigureTab
from mrifcl_gui.honesty_view import HonestyView
from mrifcl_gui.icons import put_icon
from mrifcl_gui.map_views import FEATURE_VIEW, MAPS
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.report_view import ReportView
from mrifcl_gui.scrolling_page import scrolling
from mrifcl_gui.selection import Selection
from mrifcl_gui.slice_panel import SlicePanel
from mrifcl_gui.theme import TITLE, scaled, set_type

# Where a click on a dot or a picture chooses a slice or a feature.
_TABS_OF_SLICES = ("FCL weights", "Features", "Maps")


class AnalysisTabs(QWidget):
    """Figures and tables of one run, and of several side by side.

    Signals
    -------
    job_started(Job)
        Long work to show in the task dock.
    problem(object)
        An exception to tell.
    runs_requested()
        The user wants to choose a run.
    runs_made()
        The leakage meter has trained runs.
    """

    job_started = Signal(object)
    problem = Signal(object)
    runs_requested = Signal()
    runs_made = Signal()
    maths_requested = Signal(str)  # heading of docs/maths.md

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: list[Run] = []
        self.figure_tabs: list[FigureTab] = []
        self._choice = QComboBox(self)
        self._choice.setAccessibleName(self.tr("Run to analyse"))
        self._choice.setMinimumContentsLength(24)
        self._choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._choice.currentIndexChanged.connect(self._on_run_chosen)
        self._facts = QLabel(self)
        self._facts.setWordWrap(True)
        self._facts.setMinimumWidth(scaled(240))
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.selection = Selection(self)
        self.slice_panel = SlicePanel(self.selection, self)
        self.slice_panel.job_started.connect(self.job_started)
        self.slice_panel.problem.connect(self.problem)
        self.slice_panel.feature_requested.connect(self._on_feature_requested)
        self.selection.changed.connect(self._on_selection)
        self.comparison = ComparisonView(self)
        self.honesty = HonestyView(self)
        self.audit = AuditPage(self)
        self._build_tabs()
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._build_empty())
        # Only what needs the room scrolls: the words of the empty page stay in sight.
        self._stack.addWidget(scrolling(self._build_full(), width=896, height=560))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.addWidget(self._stack)

    @property
    def run(self) -> Run | None:
        """The run on screen."""
        index = self._choice.currentIndex()
        return self._runs[index] if 0 <= index < len(self._runs) else None

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Show ``runs``: the first one in the tabs, all of them in Table 2."""
        self._runs = list(runs)
        self._choice.blockSignals(True)
        self._choice.clear()
        for run in self._runs:
            self._choice.addItem(f"{run.network_title}, {run.regime_title.lower()}  –  {run.name}")
        self._choice.blockSignals(False)
        self._stack.setCurrentIndex(1 if self._runs else 0)
        self.comparison.show_runs(self._runs)
        self._on_run_chosen()

    def choose_tab(self, title: str) -> None:
        """Bring the tab with this title to the front."""
        for place in range(self.tabs.count()):
            if self.tabs.tabText(place) == title:
                self.tabs.setCurrentIndex(place)

    def show_comparison(self) -> None:
        """Bring Table 2 to the front."""
        self.tabs.setCurrentWidget(self.comparison)

    def _build_tabs(self) -> None:
        for spec in (*TABS, MAPS):
            tab = FigureTab(spec, self)
            tab.problem.connect(self.problem)
            tab.job_started.connect(self.job_started)
            tab.figure_view.point_clicked.connect(self._on_point_clicked)
            tab.figure_view.points_lassoed.connect(self.selection.choose)
            tab.drawn.connect(self._on_tab_drawn)
            tab.epoch_chosen.connect(self._on_epoch_chosen)
            tab.runs_requested.connect(self.runs_requested)
            tab.tab_requested.connect(self.choose_tab)
            tab.maths_requested.connect(self.maths_requested)
            self.figure_tabs.append(tab)
            self.tabs.addTab(tab, spec.title)
        self.tabs.addTab(self.comparison, self.tr("Table 2"))
        self.comparison.problem.connect(self.problem)
        self.comparison.runs_requested.connect(self.runs_requested)
        self.tabs.addTab(self.honesty, self.tr("Honesty"))
        self.honesty.problem.connect(self.problem)
        self.honesty.job_started.connect(self.job_started)
        self.honesty.runs_made.connect(self.runs_made)
        self.tabs.addTab(self.audit, self.tr("Audit"))
        self.audit.problem.connect(self.problem)
        self.audit.job_started.connect(self.job_started)
        self._report = ReportView(self)
        self._report.job_started.connect(self.job_started)
        self._report.problem.connect(self.problem)
        self.tabs.addTab(self._report, self.tr("Report"))
        self.tabs.currentChanged.connect(self._on_tab_changed)

    def _build_empty(self) -> QWidget:
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.addStretch(1)
        title = QLabel(self.tr("No run is open"), page)
        set_type(title, TITLE)
        words = QLabel(
            self.tr(
                "Train one, or choose a run in Runs and press Analyse: its weights, features and "
                "accuracy appear here."
            ),
            page,
        )
        words.setWordWrap(True)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words.setMinimumWidth(scaled(400))
        button = QPushButton(self.tr("Choose a run"), page)
        button.setProperty("primary", True)
        put_icon(button, "list")
        button.setToolTip(self.tr("Go to the list of runs (Ctrl+3)"))
        button.clicked.connect(self.runs_requested)
        for widget in (title, words, button):
            row = QHBoxLayout()
            row.addStretch(1)
            row.addWidget(widget)
            row.addStretch(1)
            layout.addLayout(row)
        layout.addStretch(1)
        return page

    def _build_full(self) -> QWidget:
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        head = QHBoxLayout()
        label = QLabel(self.tr("&Run"), page)
        label.setBuddy(self._choice)
        head.addWidget(label)
        head.addWidget(self._choice)
        head.addWidget(self._facts, 1)
        layout.addLayout(head)
        splitter = RememberedSplitter("slice", (900, 260), Qt.Orientation.Horizontal, page)
        splitter.fill(self.tabs, self.slice_panel)
        splitter.setStretchFactor(0, 1)
        splitter.setCollapsible(0, False)
        layout.addWidget(splitter, 1)
        self._build_shortcuts(page)
        return page

    def _build_shortcuts(self, page: QWidget) -> None:
        steps = (
            ("Alt+Right", self.slice_panel.step_on, self.tr("Next chosen slice")),
            ("Alt+Left", self.slice_panel.step_back, self.tr("Chosen slice before")),
        )
        for keys, slot, words in steps:
            shortcut = QShortcut(QKeySequence(keys), page)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(slot)
            shortcut.setWhatsThis(words)

    def _on_run_chosen(self) -> None:
        run = self.run
        self._facts.setText(_facts(run) if run else "")
        self.selection.set_run(run)
        for tab in self.figure_tabs:
            tab.show_run(run)
        others = [other for other in self._runs if other is not run]
        self._report.show_runs([run, *others] if run is not None else [])
        self.honesty.show_run(run)
        self.audit.set_target(run.path if run else None, run.settings if run else RunSettings())
        self._on_tab_changed()

    def choose_slice(self, scan: str, number: int) -> bool:
        """Choose the slice of a scan nearest to ``number`` in the run on screen.

        It lights up in the feature cloud, which comes to the front. Return whether the run has
        seen the scan.
        """
        run = self.run
        row = row_of_slice(run, scan, number) if run is not None and run.has_features else None
        if row is None:
            return False
        self._bring_cloud_to_front()
        self.selection.choose_row(row)
        return True

    def _bring_cloud_to_front(self) -> None:
        for tab in self.figure_tabs:
            if tab.title == "Features":
                self.tabs.setCurrentWidget(tab)

    def _on_point_clicked(self, name: str) -> None:
        self.selection.choose([name])

    def _on_selection(self) -> None:
        for tab in self.figure_tabs:
            tab.show_selection(self.selection)
        self._show_slice_panel()

    def _on_tab_drawn(self) -> None:
        tab = self.sender()
        if isinstance(tab, FigureTab):
            tab.show_selection(self.selection)

    def _on_epoch_chosen(self, epoch: int) -> None:
        for tab in self.figure_tabs:
            if tab is not self.sender():
                tab.show_epoch(epoch)

    def _on_feature_requested(self) -> None:
        for tab in self.figure_tabs:
            if tab.title == MAPS.title:
                tab.choose_view(FEATURE_VIEW)
                self.tabs.setCurrentWidget(tab)

    def _on_tab_changed(self) -> None:
        current = self.tabs.currentWidget()
        for tab in self.figure_tabs:
            tab.set_active(tab is current)
        self.audit.set_active(current is self.audit)
        self.comparison.set_active(current is self.comparison)
        self.honesty.set_active(current is self.honesty)
        self._show_slice_panel()

    def _show_slice_panel(self) -> None:
        """Give the slice its room only where something on screen can choose one."""
        has_dots = self.tabs.currentWidget() in self.figure_tabs
        is_chosen = self.selection.row is not None or self.selection.channel is not None
        self.slice_panel.setVisible(has_dots and (is_chosen or self._is_empty_panel_useful()))

    def _is_empty_panel_useful(self) -> bool:
        current = self.tabs.currentWidget()
        return isinstance(current, FigureTab) and current.title in _TABS_OF_SLICES


def _facts(run: Run) -> str:
    measured = run.record.get("accuracy", {})
    test = measured.get("test")
    parts = [f"{run.record.get('epochs_done', 0)} epochs", f"split {run.split_text}"]
    if test is not None:
        parts.append(f"test {100 * test:.1f} % of {run.settings.items}")
    by_subject = measured.get("test_by_subject")
    if by_subject is not None:
        parts.append(f"{100 * by_subject:.1f} % of subjects")
    return ", ".join(parts)
