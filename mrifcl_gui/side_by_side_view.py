"""Two to four runs beside each other: correlation tables, and a paired test of two of them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.analysis import pairing
from core.analysis.correlation import Method
from core.errors import MriFclError
from core.figure import Figure, Table
from core.progress import Operation, Progress
from core.run_folder import Run
from mrifcl_gui.class_mark import CLASS_MARKS
from mrifcl_gui.export import ExportButton
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.table_view import TableView

_PARTS = ("test", "validation", "train")
_METHODS: tuple[Method, ...] = ("pearson", "spearman")


class SideBySideView(QWidget):
    """Correlation tables of runs, a column each, and whether two of them differ by chance.

    Nothing is computed while it is not on screen.
    """

    problem = Signal(object)
    drawn = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: list[Run] = []
        self._job: Job | None = None
        self._is_active = False
        self._is_stale = False
        self.first = self._build_choice(self.tr("First run"))
        self.second = self._build_choice(self.tr("Second run"))
        self.part = self._build_choice(self.tr("Part"), ("Test", "Validation", "Training"))
        self.method = self._build_choice(self.tr("Correlation"), ("Pearson", "Spearman"))
        self.figure_view = FigureView(self)
        self.table_view = TableView(self)
        export = ExportButton(self)
        export.set_source(self.figure_view.figure)
        export.failed.connect(self._on_export_failed)
        row = QHBoxLayout()
        for box in (self.first, self.second, self.part, self.method):
            label = QLabel(box.accessibleName(), self)
            label.setBuddy(box)
            row.addWidget(label)
            row.addWidget(box, 1 if box in (self.first, self.second) else 0)
        row.addWidget(export)
        splitter = RememberedSplitter("side by side", (420, 200), Qt.Orientation.Vertical, self)
        splitter.fill(self.figure_view, self.table_view)
        splitter.setStretchFactor(0, 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(row)
        layout.addWidget(splitter, 1)
        CLASS_MARKS.changed.connect(self._wish)

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Offer ``runs``; the first two are compared."""
        self._runs = [run for run in runs if run.has_features]
        for box, chosen in ((self.first, 0), (self.second, 1)):
            box.blockSignals(True)
            box.clear()
            box.addItems([f"{pairing.run_words(run)}  –  {run.name}" for run in self._runs])
            box.setCurrentIndex(chosen if chosen < len(self._runs) else -1)
            box.blockSignals(False)
        self._wish()

    def set_active(self, is_active: bool) -> None:
        """Say whether it is on screen."""
        self._is_active = is_active
        self._compute()

    def _build_choice(self, title: str, words: Sequence[str] = ()) -> QComboBox:
        box = QComboBox(self)
        box.setAccessibleName(title)
        box.addItems(words)
        box.setMinimumContentsLength(8)
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        box.setSizeAdjustPolicy(policy)
        box.currentIndexChanged.connect(self._wish)
        return box

    def _wish(self) -> None:
        self._is_stale = True
        self._compute()

    def _compute(self) -> None:
        if not self._is_active or not self._is_stale or self._job is not None:
            return
        self._is_stale = False
        chosen = [self.first.currentIndex(), self.second.currentIndex()]
        if len(self._runs) < 2 or min(chosen) < 0 or chosen[0] == chosen[1]:
            self.figure_view.clear_figure(
                self.tr(
                    "Choose two runs, such as one with ReLU and one with leaky ReLU: mark them "
                    "in Runs and press Compare."
                ),
                button=self.tr("Choose two runs"),
            )
            self.table_view.clear_table("")
            return
        first, second = (self._runs[index] for index in chosen)
        part, method = _PARTS[self.part.currentIndex()], _METHODS[self.method.currentIndex()]
        job = Job(
            self.tr("Comparing two runs"),
            lambda: _make(first, second, part=part, method=method),
            self,
        )
        job.succeeded.connect(self._on_made)
        job.failed.connect(self._on_failed)
        job.finished.connect(self._on_finished)
        self._job = job
        job.start()

    def _on_made(self, made: tuple[Figure, Table | MriFclError]) -> None:
        figure, tested = made
        self.figure_view.show_figure(figure)
        if isinstance(tested, Table):
            shows = tested.warning not in ("", figure.warning)
            self.table_view.show_table(tested, shows_warning=shows)
        else:
            self.table_view.clear_table(text_of(tested))
        self.drawn.emit()

    def _on_failed(self, error: BaseException) -> None:
        self.figure_view.clear_figure(text_of(error))
        self.table_view.clear_table("")
        if not isinstance(error, MriFclError):
            self.problem.emit(error)

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        self._compute()

    def _on_export_failed(self, text: str) -> None:
        self.problem.emit(MriFclError(text))


def _make(
    first: Run, second: Run, *, part: str, method: Method
) -> Operation[tuple[Figure, Table | MriFclError]]:
    yield Progress("Comparing two runs")
    figure = pairing.side_by_side((first, second), part=part, method=method)
    yield Progress("Comparing two runs")
    try:
        return figure, pairing.paired_test(first, second, part=part)
    except MriFclError as error:
        # Their tables can be looked at all the same.
        return figure, error
