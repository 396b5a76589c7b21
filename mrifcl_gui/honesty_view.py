"""Honesty tools: the leakage meter, its shuffled-label control, and the table check."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core import honesty, tasks
from core.analysis import table_check
from core.errors import MriFclError
from core.progress import BatchDone, EpochMetrics, Notice
from core.run_folder import Run
from mrifcl_gui.export import ExportButton
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.icons import put_icon
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of
from mrifcl_gui.number_box import WholeNumberBox
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.table_view import TableView
from mrifcl_gui.theme import scaled

_SIDE_WIDTH = 300


class HonestyView(QWidget):
    """How much of a run's accuracy is leakage; whether a printed percentage can be.

    Signals
    -------
    job_started(Job)
        Long work to show in the task dock.
    problem(object)
        An exception to tell.
    runs_made()
        New runs are in the folder of the shown one.
    """

    job_started = Signal(object)
    problem = Signal(object)
    runs_made = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: Run | None = None
        self._looking: Job | None = None
        self._training: Job | None = None
        self._is_active = False
        self._is_stale = False
        self._is_busy = False
        self.seeds = WholeNumberBox(self)
        self.shuffled = QCheckBox(self.tr("Also with shuffled labels (control)"), self)
        self.shuffled.setToolTip(
            self.tr("Train once more with labels dealt at random: what is left is leakage")
        )
        self.measure = QPushButton(self)
        put_icon(self.measure, "play")
        self.state = QLabel(self)
        self.percentage = QLineEdit(self)
        self.cases = WholeNumberBox(self)
        self.verdict = QLabel(self)
        self.figure_view = FigureView(self)
        self.table_view = TableView(self)
        self.paper_table = TableView(self)
        self.paper_table.setContentsMargins(8, 8, 8, 8)
        self.paper_table.show_table(table_check.paper_check())
        self.results = QTabWidget(self)
        side = QWidget(self)
        side.setFixedWidth(scaled(_SIDE_WIDTH))
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 8, 0)
        column.addWidget(self._build_meter())
        column.addWidget(self._build_check())
        column.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(side)
        self.results.addTab(self._build_result(), self.tr("Leakage meter"))
        self.results.addTab(self.paper_table, self.tr("The paper's table"))
        layout.addWidget(self.results, 1)
        self.show_run(None)

    def show_run(self, run: Run | None) -> None:
        """Measure the settings of another run."""
        self._run = run
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._is_stale = True
        self._follow()
        self._look_if_needed()

    def set_active(self, is_active: bool) -> None:
        """Say whether it is on screen."""
        self._is_active = is_active
        self._look_if_needed()

    def set_busy(self, is_busy: bool) -> None:
        """Say whether another run is being trained: two at once would only hold each other up."""
        self._is_busy = is_busy
        self._follow()

    def start_measuring(self) -> None:
        """Train what is missing and measure."""
        run = self._run
        if run is None or self._training is not None:
            return
        try:
            cohort = tasks.cohort_folder_of(run)
        except MriFclError as error:
            self.problem.emit(error)
            return
        folder, settings = run.path.parent, run.settings
        seeds, shuffled = self.seeds.value(), self.shuffled.isChecked()
        job = Job(
            self.tr("Leakage meter"),
            lambda: honesty.leakage_meter(
                cohort, settings, folder, seeds=seeds, with_shuffled=shuffled
            ),
            self,
        )
        job.progressed.connect(self._on_progressed)
        job.succeeded.connect(self._on_measured)
        job.failed.connect(self.problem)
        job.finished.connect(self._on_training_finished)
        self._training = job
        self._follow()
        self.job_started.emit(job)
        job.start()

    def check_percentage(self) -> None:
        """Say whether the typed percentage can be."""
        if not self.percentage.text().strip():
            self.verdict.clear()
            return
        try:
            check = table_check.check_percentage(self.percentage.text(), self.cases.value())
        except MriFclError as error:
            self.verdict.setText(text_of(error))
            return
        self.verdict.setText(f"{'✓' if check.is_possible else '✗'} {check.sentence()}")

    def show_paper_check(self) -> None:
        """Show the check of every percentage in the paper's Table 2."""
        self.results.setCurrentWidget(self.paper_table)

    # Building

    def _build_meter(self) -> QWidget:
        box = QGroupBox(self.tr("Leakage meter"), self)
        words = QLabel(
            self.tr(
                "Trains the settings of this run twice, split by slice as in the paper and split "
                "by subject. The difference is what comes from seeing the same people in "
                "training. With shuffled labels there is nothing to learn: what is above chance "
                "then is leakage alone."
            ),
            box,
        )
        words.setWordWrap(True)
        self.seeds.setRange(1, honesty.MOST_SEEDS)
        self.seeds.setToolTip(self.tr("Runs of each split; several show the luck of one training"))
        self.seeds.setAccessibleName(self.tr("Runs of each split"))
        self.seeds.valueChanged.connect(self._follow)
        self.shuffled.toggled.connect(self._follow)
        self.measure.setToolTip(
            self.tr("Train the runs that are missing, by subject and by slice, and compare them")
        )
        self.measure.clicked.connect(self.start_measuring)
        self.state.setWordWrap(True)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout()
        form.addRow(self.tr("Runs of each split"), self.seeds)
        layout = QVBoxLayout(box)
        layout.addWidget(words)
        layout.addLayout(form)
        layout.addWidget(self.shuffled)
        layout.addWidget(self.measure)
        layout.addWidget(self.state)
        return box

    def _build_check(self) -> QWidget:
        box = QGroupBox(self.tr("Table check"), self)
        words = QLabel(self.tr("Can a printed percentage be a whole number of cases?"), box)
        words.setWordWrap(True)
        self.percentage.setPlaceholderText("93.2")
        self.percentage.setAccessibleName(self.tr("Percentage"))
        self.cases.setAccessibleName(self.tr("Number of cases"))
        self.percentage.textChanged.connect(self.check_percentage)
        self.cases.setRange(1, 10_000_000)
        self.cases.setValue(table_check.PAPER_SLICES["test"])
        self.cases.valueChanged.connect(self.check_percentage)
        self.verdict.setWordWrap(True)
        self.verdict.setTextFormat(Qt.TextFormat.PlainText)
        paper = QPushButton(self.tr("Check the paper's table"), box)
        put_icon(paper, "table")
        paper.setToolTip(self.tr("Which of the paper's percentages its numbers of slices allow"))
        paper.clicked.connect(self.show_paper_check)
        form = QFormLayout()
        form.addRow(self.tr("Percentage"), self.percentage)
        form.addRow(self.tr("of cases"), self.cases)
        layout = QVBoxLayout(box)
        layout.addWidget(words)
        layout.addLayout(form)
        layout.addWidget(self.verdict)
        layout.addWidget(paper)
        return box

    def _build_result(self) -> QWidget:
        page = QWidget(self)
        export = ExportButton(page)
        export.set_source(self.figure_view.figure)
        export.failed.connect(self._on_export_failed)
        splitter = RememberedSplitter("honesty", (440, 200), Qt.Orientation.Vertical, page)
        splitter.fill(self.figure_view, self.table_view)
        splitter.setStretchFactor(0, 3)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(export, 0, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(splitter, 1)
        return page

    def _follow(self) -> None:
        n = 2 * self.seeds.value() * (2 if self.shuffled.isChecked() else 1)
        self.measure.setText(self.tr("Train and measure ({0} runs)").format(n))
        is_idle = self._run is not None and self._training is None and not self._is_busy
        self.measure.setEnabled(is_idle)
        if self._training is None:
            self.state.setText(
                self.tr("A run is being trained; measure when it has ended.")
                if self._is_busy
                else self.tr("Finished runs of these settings are not trained again.")
            )

    # What is there already

    def _look_if_needed(self) -> None:
        if not self._is_active or not self._is_stale:
            return
        self._is_stale = False
        run = self._run
        if run is None:
            self._show_nothing(self.tr("No run is open."))
            return
        path = run.path
        job = Job(self.tr("Looking for runs"), lambda: honesty.look_for_meter(path), self)
        job.succeeded.connect(self._on_looked)
        job.failed.connect(self._on_look_failed)
        job.finished.connect(job.deleteLater)
        self._looking = job
        job.start()

    def _show_nothing(self, text: str) -> None:
        self.figure_view.clear_figure(text)
        self.table_view.clear_table("")

    def _show(self, meter: honesty.LeakageMeter) -> None:
        if not meter.found:
            self._show_nothing(
                self.tr(
                    "The settings of this run were not trained under both splits yet. Press "
                    "Train and measure: the run that is there is not trained again."
                )
            )
            return
        figure = meter.figure()
        self.results.setCurrentIndex(0)
        self.figure_view.show_figure(figure)
        self.table_view.show_table(meter.table(), shows_warning=False)

    # Slots

    def _on_looked(self, meter: honesty.LeakageMeter) -> None:
        # What an earlier run's search gives is passed over.
        if self.sender() is self._looking:
            self._looking = None
            self._show(meter)

    def _on_look_failed(self, error: BaseException) -> None:
        if self.sender() is self._looking:
            self._looking = None
            self._show_nothing(text_of(error))
            if not isinstance(error, MriFclError):
                self.problem.emit(error)

    def _on_progressed(self, event: object) -> None:
        if isinstance(event, Notice):
            self.state.setText(event.text)
        elif isinstance(event, BatchDone | EpochMetrics):
            first = self.state.text().partition("\n")[0]
            self.state.setText(self.tr("{0}\nEpoch {1}").format(first, event.epoch))

    def _on_measured(self, meter: honesty.LeakageMeter) -> None:
        run = self._run
        # The user may have gone on to another run meanwhile.
        if run is not None and meter.runs and meter.runs[0].parent == run.path.parent:
            self._show(meter)

    def _on_training_finished(self) -> None:
        if self._training is not None:
            self._training.deleteLater()
        self._training = None
        self._follow()
        self.runs_made.emit()

    def _on_export_failed(self, text: str) -> None:
        self.problem.emit(MriFclError(text))
