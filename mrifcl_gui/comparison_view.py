"""Runs side by side: Table 2 of the paper beside ours, and its claims ticked or refuted."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QSplitter, QVBoxLayout, QWidget

from core.analysis import comparison
from core.figure import Table
from core.progress import Operation, Progress
from core.run_folder import Run
from mrifcl_gui.job import Job
from mrifcl_gui.table_view import TableView


class ComparisonView(QWidget):
    """Table 2 of the shown runs above, the paper's claims below."""

    problem = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._waiting: list[Run] | None = None
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
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.addWidget(self.table)
        splitter.addWidget(self.claims)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(words)
        layout.addWidget(splitter, 1)

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Compare ``runs``."""
        if self._job is not None:
            self._waiting = list(runs)
            return
        if not runs:
            self.table.clear_table(self.tr("No runs to compare."))
            self.claims.clear_table("")
            return
        wanted = list(runs)
        job = Job(self.tr("Comparing runs"), lambda: _compare(wanted), self)
        job.succeeded.connect(self._on_compared)
        job.failed.connect(self.problem)
        job.finished.connect(self._on_finished)
        self._job = job
        job.start()

    def _on_compared(self, tables: tuple[Table, Table]) -> None:
        self.table.show_table(tables[0])
        self.claims.show_table(
            tables[1], shows_warning=tables[1].warning not in ("", tables[0].warning)
        )

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        if self._waiting is not None:
            runs, self._waiting = self._waiting, None
            self.show_runs(runs)


def _compare(runs: list[Run]) -> Operation[tuple[Table, Table]]:
    yield Progress("Comparing runs")
    return comparison.table_2(runs), comparison.claims(runs)
