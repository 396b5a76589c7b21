"""Runs side by side: Table 2 of the paper beside ours, and its claims ticked or refuted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QSplitter, QTabWidget, QVBoxLayout, QWidget

from core.analysis import comparison, paper_table
from core.errors import MriFclError
from core.figure import Figure, Table
from core.progress import Operation, Progress
from core.run_folder import Run
from mrifcl_gui.export import ExportButton
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.job import Job
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.side_by_side_view import SideBySideView
from mrifcl_gui.table_view import TableView

_TICKS = {"holds": "✓", "refuted": "✗", "cannot be told": "?"}


class ComparisonView(QWidget):
    """The shown runs as in Table 2 with the paper's claims, row by row, and two by two."""

    problem = Signal(object)
    runs_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._waiting: list[Run] | None = None
        self._is_active = False
        self.table = TableView(self)
        self.claims = TableView(self)
        words = QLabel(
            self.tr(
                "Your runs in the form of Table 2 of Khagi & Kwon (2022), with the paper's figures "
                "beside them. The paper's accuracies come from a split by slice, which leaks. "
                "Choose several runs in Runs and press Compare to see them together."
            ),
            self,
        )
        words.setWordWrap(True)
        self.paper_figure = FigureView(self)
        self.paper_rows = TableView(self)
        self.side_by_side = SideBySideView(self)
        self.side_by_side.problem.connect(self.problem)
        self.side_by_side.figure_view.next_asked.connect(self.runs_requested)
        self.tabs = QTabWidget(self)
        claims = _stacked(self.table, self.claims)
        claims.setContentsMargins(8, 8, 8, 8)
        self.tabs.addTab(claims, self.tr("Runs and claims"))
        self.tabs.addTab(self._build_paper(), self.tr("Row by row"))
        self.tabs.addTab(self.side_by_side, self.tr("Two runs"))
        self.tabs.currentChanged.connect(self._on_tab_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(words)
        layout.addWidget(self.tabs, 1)

    def set_active(self, is_active: bool) -> None:
        """Say whether it is on screen."""
        self._is_active = is_active
        self._on_tab_changed()

    def _build_paper(self) -> QWidget:
        page = QWidget(self)
        export = ExportButton(page)
        export.set_source(self.paper_figure.figure)
        export.failed.connect(self._on_export_failed)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(export, 0, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(_stacked(self.paper_figure, self.paper_rows), 1)
        return page

    def _on_tab_changed(self) -> None:
        is_shown = self.tabs.currentWidget() is self.side_by_side
        self.side_by_side.set_active(self._is_active and is_shown)

    def _on_export_failed(self, text: str) -> None:
        self.problem.emit(MriFclError(text))

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Compare ``runs``."""
        self.side_by_side.show_runs(runs)
        if self._job is not None:
            self._waiting = list(runs)
            return
        if not runs:
            self.table.clear_table(self.tr("No runs to compare."))
            self.claims.clear_table("")
            self.paper_rows.clear_table("")
            self.paper_figure.clear_figure(self.tr("No runs to compare."))
            return
        wanted = list(runs)
        job = Job(self.tr("Comparing runs"), lambda: _compare(wanted), self)
        job.succeeded.connect(self._on_compared)
        job.failed.connect(self.problem)
        job.finished.connect(self._on_finished)
        self._job = job
        job.start()

    def _on_compared(self, compared: tuple[Table, Table, Table, Figure]) -> None:
        table, claims, rows, figure = compared
        self.table.show_table(table)
        self.claims.show_table(claims, shows_warning=claims.warning not in ("", table.warning))
        self.paper_figure.show_figure(figure)
        self.paper_rows.show_table(rows, shows_warning=rows.warning not in ("", figure.warning))

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        if self._waiting is not None:
            runs, self._waiting = self._waiting, None
            self.show_runs(runs)


def _stacked(above: QWidget, below: QWidget) -> QSplitter:
    splitter = RememberedSplitter("comparison", (360, 240), Qt.Orientation.Vertical)
    splitter.fill(above, below)
    return splitter


def _compare(runs: list[Run]) -> Operation[tuple[Table, Table, Table, Figure]]:
    yield Progress("Comparing runs")
    table = comparison.table_2(runs)
    yield Progress("Judging the paper's claims")
    claims = _with_ticks(comparison.claims(runs))
    yield Progress("Comparing runs")
    return table, claims, paper_table.paper_table(runs), paper_table.paper_figure(runs)


def _with_ticks(claims: Table) -> Table:
    """Put a tick or a cross before each verdict, to be seen at a glance."""
    place = claims.columns.index("verdict")
    rows = tuple(
        (*row[:place], f"{_TICKS[row[place]]} {row[place]}", *row[place + 1 :])
        for row in claims.rows
    )
    return dataclasses.replace(claims, rows=rows)
