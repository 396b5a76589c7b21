"""The runs of the queue as one table that fills as they end, in a window of its own."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from core.figure import Table
from core.progress import Operation, Progress
from core.sweep import SweepRun, results_table
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of
from mrifcl_gui.run_queue import RunQueueView
from mrifcl_gui.table_view import TableView

SETTLE_MS = 300


class QueueWindow(QDialog):
    """Shows every run of a queue with its accuracies; they are read away from the window."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Runs of the queue – research use only"))
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.table = TableView(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.addWidget(self.table)
        self.resize(1120, 480)
        self._queue: RunQueueView | None = None
        self._job: Job | None = None
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self._read)

    def open_on(self, queue: RunQueueView) -> None:
        """Show the runs of ``queue``, and follow it."""
        if self._queue is None:
            queue.changed.connect(self._settled.start)
            queue.filled.connect(self._settled.start)
        self._queue = queue
        self.show()
        self.raise_()
        self._read()

    def _read(self) -> None:
        if self._queue is None or not self.isVisible():
            return
        if self._job is not None:
            self._settled.start()  # once more when it has ended
            return
        rows = self._queue.results()
        job = Job(self.tr("Reading the runs of the queue"), lambda: _table(rows), self)
        job.succeeded.connect(self._on_table)
        job.failed.connect(self._on_failed)
        job.finished.connect(self._on_finished)
        self._job = job
        job.start()

    def _on_table(self, table: Table) -> None:
        self.table.show_table(table)

    def _on_failed(self, error: BaseException) -> None:
        self.table.clear_table(text_of(error))

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None


def _table(rows: list[SweepRun]) -> Operation[Table]:
    yield Progress("Reading runs", 0, len(rows))
    return results_table(rows)
