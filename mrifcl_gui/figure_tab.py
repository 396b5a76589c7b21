"""One tab of ANALYSE: a large figure, a narrow side with its options, its numbers and words."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.errors import MriFclError
from core.figure import Figure, Table
from core.progress import Operation, Progress, finished
from core.run_folder import Run
from mrifcl_gui.analysis_views import Choice, Options, Tab, Values, View
from mrifcl_gui.class_mark import CLASS_MARKS
from mrifcl_gui.epoch_bar import EpochBar
from mrifcl_gui.export import ExportButton
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.icons import put_icon
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.selection import Selection
from mrifcl_gui.table_view import TableView
from mrifcl_gui.task_dock import TELLS_FAILURE
from mrifcl_gui.theme import scaled
from mrifcl_gui.time_lapse_files import TimeLapse, TimeLapseFiles

_SIDE_WIDTH = 240


class FigureTab(QWidget):
    """Draws the chosen view of a run whenever run, view or options change.

    The figure is computed in a job; while one is under way, only the last wish is kept.
    Nothing is computed while the tab is not on screen.
    """

    problem = Signal(object)
    drawn = Signal()
    job_started = Signal(object)  # Job that may take long
    epoch_chosen = Signal(int)
    runs_requested = Signal()
    tab_requested = Signal(str)  # title of the tab where what is lacking is chosen
    maths_requested = Signal(str)  # heading of the formulas

    def __init__(self, tab: Tab, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tab = tab
        self._run: Run | None = None
        self._job: Job | None = None
        self._is_active = False
        self._is_stale = True
        self._is_stopped = False
        self._long = False
        self._selected: dict[str, Any] = {"rows": (), "channel": None}
        self._controls: dict[str, QWidget] = {}
        self._values: dict[str, Values] = {}
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._compute)
        self.figure_view = FigureView(self)
        self.table_view = TableView(self)
        self.export = ExportButton(self)
        self.export.set_source(self.figure_view.figure)
        self.export.failed.connect(self._on_export_failed)
        self.figure_view.failed.connect(self._on_export_failed)
        self.figure_view.next_asked.connect(self._on_next_asked)
        self.epochs = EpochBar(self)
        self.epochs.moved.connect(self._on_epoch_moved)
        self.epochs.file_asked.connect(self._on_time_lapse_asked)
        self.time_lapse = TimeLapseFiles(self)
        self.time_lapse.job_started.connect(self.job_started)
        self.time_lapse.problem.connect(self.problem)
        self._wanted_epoch: int | None = None
        self._no_epochs = QLabel(self)
        self._no_epochs.setWordWrap(True)
        self.view_choice = QComboBox(self)
        self.view_choice.setAccessibleName(self.tr("Figure"))
        self.view_choice.setToolTip(self.tr("Which figure of this tab is shown"))
        self._options = QFormLayout()
        self._help = QLabel(self)
        self._source = QLabel(self)
        self.maths_button = QPushButton(self.tr("Formulas of this figure"), self)
        put_icon(self.maths_button, "sigma")
        self._build()
        self._on_view_chosen()
        CLASS_MARKS.changed.connect(self._wish)

    @property
    def title(self) -> str:
        """What the tab is called."""
        return self._tab.title

    @property
    def view(self) -> View:
        """The view on screen."""
        return self._tab.views[max(0, self.view_choice.currentIndex())]

    @property
    def is_busy(self) -> bool:
        """Whether a figure is still to come."""
        return self._is_active and (self._is_stale or self._job is not None)

    def show_run(self, run: Run | None) -> None:
        """Draw another run."""
        self._run = run
        self._wanted_epoch = None
        self._fill_options()
        self._fit_epochs()
        self._wish()

    def set_active(self, is_active: bool) -> None:
        """Say whether the tab is on screen."""
        self._is_active = is_active
        if not is_active:
            self.epochs.pause()
        if is_active and self._is_stale:
            self._later.start(0)

    def show_selection(self, selection: Selection) -> None:
        """Ring the chosen slices; a view of them is drawn anew."""
        before = self._selected
        self._selected = {"rows": selection.rows, "channel": selection.channel}
        if self._run is not None:
            marked, current = selection.marked_ids(), selection.current_id
            self.figure_view.select_points(marked, current=current)
        if self.view.follows_selection and self._selected != before:
            self._wish()

    def choose_view(self, title: str) -> None:
        """Bring the view with this title to the front, if there is one."""
        titles = [view.title for view in self._tab.views]
        if title in titles:
            self.view_choice.setCurrentIndex(titles.index(title))

    def options(self) -> dict[str, Any]:
        """Return the chosen options of the view, and what is selected."""
        chosen: dict[str, Any] = {"epoch": None, **self._selected}
        for choice in self.view.choices:
            # An option that this run leaves no choice in keeps its default.
            chosen[choice.name] = (
                self._chosen(choice.name) if choice.name in self._controls else None
            )
        if self.view.has_epochs:
            chosen["epoch"] = self.epochs.epoch
        return chosen

    def show_epoch(self, epoch: int) -> None:
        """Show the state after ``epoch``, or the last known before it, as another tab does."""
        self._wanted_epoch = epoch
        if self.view.has_epochs and self.epochs.show_epoch(epoch):
            self._wish()

    def time_lapse_of_view(self) -> TimeLapse | None:
        """Return the figure shown now over all its epochs; None where it has none."""
        run, view, options = self._run, self.view, self.options()
        shown = self.figure_view.figure()
        if run is None or shown is None or len(self.epochs.epochs) < 2:
            return None
        return TimeLapse(
            shown.name,
            lambda epoch: view.figure(run, {**options, "epoch": epoch}),
            self.epochs.epochs,
            self.epochs.epochs_per_second,
        )

    def _build(self) -> None:
        for view in self._tab.views:
            self.view_choice.addItem(view.title)
        self.view_choice.setVisible(len(self._tab.views) > 1)
        self.view_choice.currentIndexChanged.connect(self._on_view_chosen)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._build_side())
        layout.addWidget(self._build_middle(), 1)

    def _build_side(self) -> QWidget:
        side = QWidget(self)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 8, 0)
        layout.setSpacing(8)
        layout.addWidget(self.view_choice)
        layout.addLayout(self._options)
        layout.addWidget(self.export)
        heading = QLabel(self.tr("What is this?"), side)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self._help.setWordWrap(True)
        self._help.setTextFormat(Qt.TextFormat.PlainText)
        layout.addSpacing(8)
        layout.addWidget(heading)
        layout.addWidget(self._help)
        self._source.setWordWrap(True)
        self._source.setTextFormat(Qt.TextFormat.PlainText)
        self._source.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self._source)
        self.maths_button.setToolTip(self.tr("The formulas of this figure, in the guide"))
        self.maths_button.clicked.connect(self._on_maths)
        layout.addWidget(self.maths_button)
        layout.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setFixedWidth(scaled(_SIDE_WIDTH))
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(side)
        # The tab's own colour, not the window's.
        scroll.viewport().setAutoFillBackground(False)
        side.setAutoFillBackground(False)
        return scroll

    def _build_middle(self) -> QWidget:
        above = QWidget(self)
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.figure_view, 1)
        column.addWidget(self._no_epochs)
        column.addWidget(self.epochs)
        name = f"figure {self.title}"
        splitter = RememberedSplitter(name, (440, 160), Qt.Orientation.Vertical, self)
        splitter.fill(above, self.table_view)
        splitter.setStretchFactor(0, 4)
        splitter.setStretchFactor(1, 1)
        return splitter

    def _on_view_chosen(self) -> None:
        self._fill_options()
        self._help.setText(self.view.help)
        self._source.setText(self.tr("Source: {0}").format(self.view.source))
        self._source.setVisible(bool(self.view.source))
        self.maths_button.setVisible(bool(self.view.maths))
        self._fit_epochs()
        self._wish()

    def _fill_options(self) -> None:
        """Offer the options of view and run; what was chosen stays where it can."""
        before = {name: self._chosen(name) for name in self._controls}
        while self._options.rowCount():
            self._options.removeRow(0)
        self._controls, self._values = {}, {}
        for choice in self.view.choices:
            if callable(choice.values):
                values = choice.values(self._run) if self._run is not None else ()
                if len(values) > 1:
                    self._add_box(choice, values, before.get(choice.name))
            elif choice.values:
                self._add_box(choice, choice.values, before.get(choice.name))
            else:
                self._add_tick(choice, before.get(choice.name, choice.ticked))

    def _add_tick(self, choice: Choice, is_ticked: bool) -> None:
        tick = QCheckBox(choice.title, self)
        tick.setChecked(is_ticked)
        usual = self.tr("Show it in the figure, or leave it out")
        tick.setToolTip(choice.help or usual)
        tick.toggled.connect(self._on_option_changed)
        self._options.addRow(tick)
        self._controls[choice.name] = tick

    def _add_box(self, choice: Choice, values: Values, chosen: object) -> None:
        box = QComboBox(self)
        box.setAccessibleName(choice.title)
        box.setToolTip(choice.help)
        # Long words must not push the side wider than it is.
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(8)
        box.addItems([words for _, words in values])
        known = [value for value, _ in values]
        box.setCurrentIndex(known.index(chosen) if chosen in known else 0)
        box.currentIndexChanged.connect(self._on_option_changed)
        self._options.addRow(choice.title, box)
        self._controls[choice.name], self._values[choice.name] = box, values

    def _chosen(self, name: str) -> Any:  # noqa: ANN401 - the value of any option
        control = self._controls[name]
        if isinstance(control, QComboBox):
            return self._values[name][control.currentIndex()][0]
        assert isinstance(control, QCheckBox)
        return control.isChecked()

    def _fit_epochs(self) -> None:
        known: Sequence[int] = ()
        run, view = self._run, self.view
        if run is not None and view.has_epochs and run.has_features:
            # Damaged arrays are told when the figure is computed.
            with contextlib.suppress(MriFclError):
                options = self.options()
                known = view.epochs(run, options) if view.epochs else run.fc_history.epoch.tolist()
        self.epochs.setVisible(len(known) > 1)
        self._no_epochs.setText(view.no_epochs)
        self._no_epochs.setVisible(bool(view.no_epochs) and len(known) == 1)
        self.epochs.set_epochs(known, wanted=self._wanted_epoch)

    def _on_option_changed(self) -> None:
        if self.view.epochs is not None:
            self._fit_epochs()
        self._wish()

    def _on_epoch_moved(self, epoch: int) -> None:
        self._wanted_epoch = epoch
        self.epoch_chosen.emit(epoch)
        self._wish()

    def _on_time_lapse_asked(self, kind: str) -> None:
        self.epochs.pause()
        lapse = self.time_lapse_of_view()
        if lapse is not None:
            self.time_lapse.ask_and_save(lapse, kind)

    def _wish(self) -> None:
        self._is_stale = True
        if self._job is not None and self._long:
            # What nobody waits for any more is not computed to its end.
            self._job.cancel()
        if self._is_active:
            self._later.start(0)

    def _compute(self) -> None:
        if not self._is_active or not self._is_stale or self._job is not None:
            return
        run, view = self._run, self.view
        self._is_stale = self._is_stopped = False
        if run is None or not run.has_features:
            self._show_empty(
                self.tr("This run has no features yet: let its training end, or resume it."),
                self.tr("Choose another run"),
            )
            self.table_view.clear_table("")
            return
        options = self.options()
        job = Job(view.title, lambda: _make(run, view, options), self)
        job.succeeded.connect(self._on_made)
        job.failed.connect(self._on_failed)
        job.cancelled.connect(self._on_cancelled)
        job.finished.connect(self._on_finished)
        self._job = job
        self._long = view.is_long
        if view.is_long:
            job.setProperty(TELLS_FAILURE, True)
            self.figure_view.clear_figure(self.tr("Drawing…"))
            self.job_started.emit(job)
        job.start()

    def _show_empty(self, text: str, button: str) -> None:
        self.figure_view.clear_figure(text, button=button)

    def _on_next_asked(self) -> None:
        """Go where what the figure lacks is to be had; one that was stopped is drawn."""
        if self._is_stopped:
            self._wish()
        elif self.view.next_tab and self._run is not None and self._run.has_features:
            self.tab_requested.emit(self.view.next_tab)
        else:
            self.runs_requested.emit()

    def _on_maths(self) -> None:
        self.maths_requested.emit(self.view.maths)

    def _on_made(self, made: tuple[Figure, Table | None]) -> None:
        figure, table = made
        self.figure_view.show_figure(figure)
        if table is None:
            self.table_view.clear_table("")
        else:
            self.table_view.show_table(
                table, shows_warning=table.warning not in ("", figure.warning)
            )
        self.table_view.setVisible(table is not None)
        self.drawn.emit()

    def _on_failed(self, error: BaseException) -> None:
        next_tab = self.view.next_tab
        self._show_empty(
            text_of(error),
            self.tr("Go to {0}").format(next_tab) if next_tab else self.tr("Choose another run"),
        )
        self.table_view.clear_table("")
        # What the run's own arrays do not allow is said in place of the figure; that is enough.
        if not isinstance(error, MriFclError):
            self.problem.emit(error)

    def _on_cancelled(self) -> None:
        if not self._is_stale:
            self._is_stopped = True
            self.figure_view.clear_figure(
                self.tr("Stopped. Change an option to have the figure drawn again."),
                button=self.tr("Draw it now"),
            )
            self.table_view.clear_table("")

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        if self._is_stale and self._is_active:
            self._later.start(0)
        else:
            self.epochs.show_drawn()

    def _on_export_failed(self, text: str) -> None:
        self.problem.emit(MriFclError(text))


def _make(run: Run, view: View, options: Options) -> Operation[tuple[Figure, Table | None]]:
    yield Progress(view.title)
    figure = yield from finished(view.figure(run, options))
    yield Progress(view.title)
    table = (yield from finished(view.table(run, options))) if view.table else None
    return figure, table
