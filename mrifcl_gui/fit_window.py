"""Two columns of a table that was dropped, fitted as the FCL weights are."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.figure import Figure, Table
from core.progress import Operation, Progress
from mrifcl_gui.export import ExportButton
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.table_view import TableView


class FitWindow(QDialog):
    """Shows the scatter of a table's first two columns of numbers, with fits and statistics."""

    job_started = Signal(object)  # Job

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Fit of a table – MRI-FCL, research use only"))
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self._job: Job | None = None
        self.figure_view = FigureView(self)
        self.table_view = TableView(self)
        self.export = ExportButton(self)
        self.export.set_source(self.figure_view.figure)
        self.state = QLabel(self)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self.state.setWordWrap(True)
        for part in (self.export, self.figure_view, self.table_view):
            part.failed.connect(self.state.setText)
        head = QHBoxLayout()
        head.addWidget(self.state, 1)
        head.addWidget(self.export)
        splitter = RememberedSplitter("fit", (440, 200), Qt.Orientation.Vertical, self)
        splitter.fill(self.figure_view, self.table_view)
        column = QVBoxLayout(self)
        column.addLayout(head)
        column.addWidget(splitter, 1)
        self.resize(820, 760)

    def fit(self, path: Path) -> None:
        """Read ``path`` and fit its first two columns of numbers; what is wrong is said here."""
        if self._job is not None:
            self._job.cancel()
        self.state.setText(self.tr("Fitting '{0}'…").format(path.name))
        self.figure_view.clear_figure("")
        self.table_view.clear_table("")
        job = Job(self.tr("Fitting {0}").format(path.name), lambda: _fit(path), self)
        job.succeeded.connect(self._on_fitted)
        job.failed.connect(self._on_failed)
        job.finished.connect(job.deleteLater)
        self._job = job
        job.finished.connect(self._on_finished)
        self.job_started.emit(job)
        job.start()

    def _on_fitted(self, made: tuple[Figure, Table]) -> None:
        figure, table = made
        self.state.setText("")
        self.figure_view.show_figure(figure)
        self.table_view.show_table(table)

    def _on_failed(self, error: BaseException) -> None:
        self.state.setText(text_of(error))

    def _on_finished(self) -> None:
        if self.sender() is self._job:
            self._job = None


def _fit(path: Path) -> Operation[tuple[Figure, Table]]:
    yield Progress("Fitting")
    from core.analysis.table_fit import table_fit

    return table_fit(path)
