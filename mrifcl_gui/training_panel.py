"""The TRAIN place: what to run on the left, the run as it learns on the right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPalette, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import config
from core.config import RunSettings
from core.errors import SettingsError
from core.figure import BLACK, GREY, Axis, Curve, Figure, Panel, Scatter, class_colour, class_symbol
from core.progress import BatchDone, EpochMetrics, Notice, Progress, RunStarted
from core.run_folder import History
from mrifcl_gui.config_form import AlertLabel, Chip, ConfigForm
from mrifcl_gui.curves_view import CurvesView
from mrifcl_gui.run_queue import RunQueueView, RunState, run_text
from mrifcl_gui.task_dock import duration_text
from mrifcl_gui.weights_field import WeightsStates, dropped_weights

LEFT_WIDTH = 376
EMPTY_WIDTH = 440
REDRAW_MS = 100
SETTLE_MS = 300
MOST_EPOCHS_KEPT = 400
FRONT_FIELDS = ("epochs", "mode", "seed", "learning_rate", "batch", "weights")
_QUEUE_STATES: dict[str, RunState] = {
    "finished": "done",
    "done": "done",
    "stopped": "stopped",
    "cancelled": "stopped",
    "failed": "failed",
}


class TrainingPanel(QWidget):
    """Choose networks x regimes, queue them, and watch the running one.

    The owner runs them: at ``start_requested`` it starts a job for the first of
    :meth:`waiting_runs`, calls :meth:`start_run`, passes on each event and the end, and
    goes on with the next.

    Parameters
    ----------
    make_figure_view : callable, optional
        Makes the widget for one live figure, with ``show_figure`` and ``clear_figure``;
        by default :class:`mrifcl_gui.figure_view.FigureView`.
    """

    start_requested = Signal(list)
    stop_requested = Signal()
    cohort_requested = Signal()
    settings_changed = Signal()
    queue_changed = Signal(list)
    analyse_requested = Signal(object)
    weights_asked = Signal(list, str)  # networks that start from weights, and what was asked for

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        make_figure_view: Callable[[], QWidget] | None = None,
    ) -> None:
        super().__init__(parent)
        self._has_cohort = False
        self._cubes_refused = ""
        self._is_running = False
        self._n_asked = 0
        self._starts_from_cubes = False
        self._networks: dict[str, Chip] = {}
        self._regimes: dict[str, Chip] = {}
        self._asked_weights: tuple[list[str], str] = ([], "")
        self._weights_settled = QTimer(self)
        self._weights_settled.setSingleShot(True)
        self._weights_settled.setInterval(SETTLE_MS)
        self._weights_settled.timeout.connect(self._on_weights_settled)
        self._cohort_text = QLabel(self)
        self._network_notes = QLabel(self)
        self._refused = AlertLabel(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(16)
        # Built in reading order, which is then the order of Tab.
        layout.addWidget(self._build_left())
        self.live = LiveRunView(self, make_figure_view=make_figure_view or _make_figure_view)
        self._right = QStackedWidget(self)
        self._right.addWidget(self._build_empty())
        self._right.addWidget(self.live)
        layout.addWidget(self._right, 1)
        self.form.settings_changed.connect(self._on_choice_changed)
        self.form.settings_changed.connect(self.settings_changed)
        self.queue.changed.connect(self._on_queue_changed)
        self.live.stop_requested.connect(self.stop_requested)
        self.live.analyse_requested.connect(self.analyse_requested)
        self._check_chips({"googlenet"}, {"scratch"})
        self.set_no_cohort()
        self.setAcceptDrops(True)

    def set_cohort(self, classes: tuple[str, ...], text: str, *, cubes_refused: str = "") -> None:
        """Allow training on a cohort of ``classes``; ``text`` says what is in it.

        ``cubes_refused`` says why the 3-D CNN cannot be trained on it; empty where it can.
        """
        self._has_cohort = True
        self._cubes_refused = cubes_refused
        self._on_choice_changed()
        self._cohort_text.setText(text or ", ".join(classes))
        self._show_empty(
            self.tr("Ready to train"),
            self.tr(
                "Choose networks and regimes on the left: each pair is one run. Then press "
                "Train; curves, weights and features appear here as they move."
            ),
        )

    def set_no_cohort(self) -> None:
        """Say that a cohort is needed first."""
        self._has_cohort = False
        self._cubes_refused = ""
        self._cohort_text.setText(self.tr("No cohort is open"))
        self._show_empty(
            self.tr("No cohort yet"),
            self.tr("Open or drop a folder of MRI scans first; then choose here what to train."),
        )

    def settings(self) -> RunSettings:
        """Return the form's settings with the first chosen network and regime that can be.

        Networks for slices come first: what is cut and audited is then what most runs see.

        Raises
        ------
        SettingsError
            If a field is wrong.
        """
        return self.form.settings()

    def set_settings(self, settings: RunSettings) -> None:
        """Show ``settings``, for training a run once more."""
        self.form.set_settings(settings)
        self._check_chips({settings.training.network}, {settings.training.regime})
        self.settings_changed.emit()

    def waiting_runs(self) -> list[RunSettings]:
        """Return the runs that wait in the queue."""
        return self.queue.waiting()

    def start_run(
        self, settings: RunSettings, classes: Sequence[str], *, history: History | None = None
    ) -> None:
        """Clear the right side for a run that begins now, or goes on from ``history``."""
        self._is_running = True
        self.queue.mark_running(settings)
        self.live.start(settings, tuple(classes), history=history)
        self._right.setCurrentWidget(self.live)
        self._update_buttons()

    def show_event(self, event: object) -> None:
        """Show any event of :mod:`core.progress`."""
        self.live.show_event(event)

    def run_ended(self, state: str, text: str = "") -> None:
        """Say how the run ended: finished, stopped or failed, and ``text`` in words."""
        self._is_running = False
        self.queue.mark_ended(_QUEUE_STATES.get(state, "failed"), text)
        self.live.end(state, text)
        self._update_buttons()

    def ask_for_weights(self) -> None:
        """Ask once more whether the weights are here: a file may have come or gone."""
        networks, asked = self._asked_weights
        if networks:
            self.weights_asked.emit(networks, asked)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept a weights file; anything else is for the window."""
        if dropped_weights(event.mimeData()):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take a dropped weights file over into the form."""
        self.form.editor("weights").setText(dropped_weights(event.mimeData()))
        event.acceptProposedAction()

    def set_queue_state(self, index: int, state: RunState, text: str = "") -> None:
        """Set the state of one entry of the queue."""
        self.queue.set_state(index, state, text)

    def _build_left(self) -> QWidget:
        left = QWidget(self)
        left.setFixedWidth(LEFT_WIDTH)
        layout = QVBoxLayout(left)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._build_choice(), 3)
        self.queue = RunQueueView(self)
        layout.addWidget(self.queue, 1)
        layout.addLayout(self._build_buttons())
        return left

    def _build_choice(self) -> QScrollArea:
        inside = QWidget(self)
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 8, 0)
        layout.setSpacing(8)
        self._cohort_text.setTextFormat(Qt.TextFormat.PlainText)
        self._cohort_text.setWordWrap(True)
        layout.addWidget(self._cohort_text)
        layout.addWidget(_heading(self.tr("Networks"), inside))
        layout.addLayout(self._build_chips(config.NETWORK_TITLES, self._networks, "network", 2))
        self._network_notes.setTextFormat(Qt.TextFormat.PlainText)
        self._network_notes.setWordWrap(True)
        self._network_notes.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        layout.addWidget(self._network_notes)
        layout.addWidget(_heading(self.tr("Regimes"), inside))
        layout.addLayout(self._build_chips(config.REGIME_TITLES, self._regimes, "regime", 3))
        layout.addWidget(self._refused)
        # Here, not below its field: the button must be seen without scrolling.
        self.weights_states = WeightsStates(self)
        layout.addWidget(self.weights_states)
        layout.addSpacing(8)
        self.form = ConfigForm(self, hidden=("network", "regime"), front=FRONT_FIELDS)
        layout.addWidget(self.form)
        layout.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        return scroll

    def _build_chips(
        self, titles: dict[str, str], chips: dict[str, Chip], setting: str, columns: int
    ) -> QGridLayout:
        layout = QGridLayout()
        layout.setSpacing(8)
        for place, (name, title) in enumerate(titles.items()):
            help_text = config.find_field(setting).help
            if setting == "network":
                help_text = f"{title}: {config.NETWORK_NOTES[name]}"
            chip = Chip(title, help_text, self)
            chip.toggled.connect(self._on_choice_changed)
            chips[name] = chip
            layout.addWidget(chip, place // columns, place % columns)
        return layout

    def _build_buttons(self) -> QHBoxLayout:
        self.add_button = QPushButton(self.tr("+ Add to queue"), self)
        self.add_button.setAccessibleName(self.tr("Add to queue"))
        self.add_button.setToolTip(self.tr("Put the chosen runs at the end of the queue"))
        self.add_button.clicked.connect(self._on_add)
        self.train_button = QPushButton(self)
        self.train_button.setProperty("primary", True)
        self.train_button.clicked.connect(self._on_train)
        layout = QHBoxLayout()
        layout.setSpacing(8)
        layout.addWidget(self.add_button)
        layout.addWidget(self.train_button, 1)
        return layout

    def _build_empty(self) -> QWidget:
        page = QWidget(self)
        self._empty_title = QLabel(page)
        font = self._empty_title.font()
        font.setPixelSize(20)
        self._empty_title.setFont(font)
        self._empty_text = QLabel(page)
        self._empty_text.setWordWrap(True)
        self._empty_text.setFixedWidth(EMPTY_WIDTH)
        self._cohort_button = QPushButton(self.tr("Go to the cohort"), page)
        self._cohort_button.clicked.connect(self.cohort_requested)
        layout = QVBoxLayout(page)
        layout.setSpacing(8)
        layout.addStretch(1)
        for widget in (self._empty_title, self._empty_text, self._cohort_button):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        for label in (self._empty_title, self._empty_text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addStretch(2)
        return page

    def _show_empty(self, title: str, text: str) -> None:
        self._empty_title.setText(title)
        self._empty_text.setText(text)
        # A centred label is not asked for its height at this width; it would be cut.
        self._empty_text.setMinimumHeight(self._empty_text.heightForWidth(EMPTY_WIDTH))
        self._cohort_button.setVisible(not self._has_cohort)
        if not self._is_running:
            self._right.setCurrentIndex(0)
        self._update_buttons()

    def _check_chips(self, networks: set[str], regimes: set[str]) -> None:
        for chips, wanted in ((self._networks, networks), (self._regimes, regimes)):
            for name, chip in chips.items():
                chip.setChecked(name in wanted)

    def _on_choice_changed(self) -> None:
        networks = [name for name, chip in self._networks.items() if chip.isChecked()]
        self._start_from(networks)
        self.form.show_for(networks, [name for name, c in self._regimes.items() if c.isChecked()])
        self._network_notes.setText(self._notes_on(networks))
        self._network_notes.setVisible(bool(networks))
        runs, refusal = self._product(RunSettings())
        self._n_asked = len(runs)
        self._refused.show_text(refusal)
        self._update_buttons()
        self._weights_settled.start()

    def _start_from(self, networks: Sequence[str]) -> None:
        """Let the form's settings be those of the first chosen network."""
        if not networks:
            return
        first = sorted(networks, key=lambda name: name == "cnn3d")[0]
        regimes = [name for name, chip in self._regimes.items() if chip.isChecked()]
        # The custom CNNs start from scratch unless a run is named.
        is_any = first not in config.CUSTOM_CNNS or self.form.editor("weights").text().strip()
        before = self._starts_from_cubes
        self._starts_from_cubes = first == "cnn3d"
        self.form.set_start(first, regimes[0] if regimes and is_any else "scratch")
        if before != self._starts_from_cubes:
            self.settings_changed.emit()

    def _notes_on(self, networks: Sequence[str]) -> str:
        """Say of each chosen network which layer its FCL is."""
        return "\n".join(
            f"{config.NETWORK_TITLES[name]}: {config.NETWORK_NOTES[name]}" for name in networks
        )

    def _on_weights_settled(self) -> None:
        """Ask for the weights once typing has come to rest, where the answer may be another."""
        pretrained = any(
            chip.isChecked() for name, chip in self._regimes.items() if name != "scratch"
        )
        asked = self.form.editor("weights").text().strip()
        # The custom CNNs have no weights but those that are named.
        networks = [
            name
            for name, chip in self._networks.items()
            if chip.isChecked() and pretrained and (asked or name not in config.CUSTOM_CNNS)
        ]
        if (networks, asked) == self._asked_weights:
            return
        self._asked_weights = networks, asked
        if networks:
            self.weights_asked.emit(networks, asked)
        else:
            self.weights_states.show_states([])

    def _product(self, base: RunSettings) -> tuple[list[RunSettings], str]:
        """Return every checked network x regime that can be, and why some cannot."""
        runs, refusal = [], ""
        weights = self.form.editor("weights").text().strip()
        for network, regime in itertools.product(self._networks, self._regimes):
            if not (self._networks[network].isChecked() and self._regimes[regime].isChecked()):
                continue
            if network == "cnn3d" and self._cubes_refused:
                refusal = self._cubes_refused
                continue
            try:
                values = {"network": network, "regime": regime, "weights": weights}
                runs.append(config.change(base, values))
            except SettingsError as error:
                refusal = str(error)
        return runs, refusal

    def _asked_runs(self) -> list[RunSettings]:
        """Return the runs of chips and form; empty where a field is wrong, which is then red."""
        try:
            base = self.form.settings()
        except SettingsError:
            self.form.focus_first_fault()
            return []
        runs, refusal = self._product(base)
        self._refused.show_text(refusal)
        return runs

    def _on_add(self) -> None:
        self.queue.add(self._asked_runs())

    def _on_queue_changed(self) -> None:
        self._update_buttons()
        self.queue_changed.emit(self.queue.waiting())

    def _on_train(self) -> None:
        if not self.queue.waiting():
            self._on_add()
        runs = self.queue.waiting()
        if runs:
            self.start_requested.emit(runs)

    def _update_buttons(self) -> None:
        n_waiting = len(self.queue.waiting())
        n_runs = n_waiting or self._n_asked
        self.add_button.setEnabled(self._n_asked > 0)
        self.train_button.setEnabled(self._has_cohort and n_runs > 0 and not self._is_running)
        if self._is_running:
            text = self.tr("Training…")
            reason = self.tr("A run is training; what you add to the queue comes after it.")
        else:
            text = self.tr("Train 1 run") if n_runs == 1 else self.tr("Train {n} runs")
            text = text.format(n=n_runs)
            reason = self.tr("Train the waiting runs one after the other")
        if not self._has_cohort:
            reason = self.tr("Open a cohort first")
        elif not n_runs:
            reason = self.tr("Choose at least one network and one regime")
        self.train_button.setText(text)
        self.train_button.setToolTip(reason)


class LiveRunView(QWidget):
    """The running run: curves, weights and features as they move, pace and time left.

    However fast events come, figures and texts change at most ten times a second.
    """

    stop_requested = Signal()
    analyse_requested = Signal(object)  # Path

    def __init__(self, parent: QWidget | None, *, make_figure_view: Callable[[], QWidget]) -> None:
        super().__init__(parent)
        self._classes: tuple[str, ...] = ()
        self._epochs = 1
        self._path: Path | None = None
        self._first_epoch = 0
        self._kept: list[EpochMetrics] = []
        self._is_following = True
        self._shown_epoch: int | None = None
        self._batch: BatchDone | None = None
        self._progress = ""
        self._left = float("nan")
        self._is_dirty = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._on_redraw_due)
        self.title = _heading("", self)
        self.stop_button = QPushButton(self.tr("Stop after this batch"), self)
        self.analyse_button = QPushButton(self.tr("Analyse this run"), self)
        self.curves = CurvesView(self)
        # A figure view is a widget with show_figure and clear_figure; Any spares a protocol.
        self.weights_view = cast(Any, make_figure_view())
        self.features_view = cast(Any, make_figure_view())
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider_text = QLabel(self)
        self.newest_button = QPushButton(self.tr("Newest"), self)
        self.pace = QLabel(self)
        self.message = QLabel(self)
        self.alert = AlertLabel(self)
        self._build_layout()
        self._connect()

    def start(
        self, settings: RunSettings, classes: tuple[str, ...], *, history: History | None = None
    ) -> None:
        """Clear everything for a run with ``settings`` on ``classes``.

        A run that goes on starts with the curves of its ``history``.
        """
        self._classes = classes
        self._path = None
        self._kept.clear()
        self._is_following, self._shown_epoch = True, None
        self._batch, self._progress, self._left = None, "", float("nan")
        self.title.setText(run_text(settings))
        self.curves.set_note(self._swing_note(settings))
        self._epochs = settings.epochs
        self._first_epoch = int(history.epoch.max(initial=0)) if history is not None else 0
        self.curves.start(settings.epochs)
        if history is not None:
            self.curves.add_history(history)
        self.alert.show_text(
            self.tr("Leaking split: accuracies of this run are inflated.")
            if settings.split.mode == "slice"
            else ""
        )
        self.message.setText(self.tr("Everything up to the last epoch is kept when you stop."))
        self.stop_button.setText(self.tr("Stop after this batch"))
        self.stop_button.setEnabled(True)
        self.stop_button.show()
        self.analyse_button.hide()
        self._update_slider()
        waiting = self.tr("Drawn after the first epoch")
        self.weights_view.clear_figure(waiting)
        self.features_view.clear_figure(waiting)
        self._mark_dirty()

    def show_event(self, event: object) -> None:
        """Take in one event; what it changes is drawn a little later."""
        match event:
            case BatchDone():
                self.curves.add_batch(event)
                self._batch, self._left, self._progress = event, event.seconds_left, ""
            case EpochMetrics(epoch=epoch):
                if epoch > self._first_epoch or not self._first_epoch:
                    self.curves.add_epoch(event)
                elif epoch < self._first_epoch:
                    return  # a run that goes on is past it
                self._left = event.seconds_left
                self._keep(event)
                self._update_slider()
            case RunStarted(path=path, epochs=epochs):
                self._path = path
                if epochs != self._epochs:
                    self._epochs = epochs
                    self.curves.start(epochs)
            case Progress(what=what, done=done, total=total):
                self._progress = f"{what}  {done}/{total}" if total else what
            case Notice(text=text):
                self.message.setText(text)
        self._mark_dirty()

    def end(self, state: str, text: str) -> None:
        """Show how it ended; figures and slider stay."""
        self.stop_button.setEnabled(False)
        self.stop_button.setText(self.tr("Stop after this batch"))
        can_analyse = state != "failed" and self._path is not None
        self.analyse_button.setVisible(can_analyse)
        self.stop_button.setVisible(not can_analyse)
        self._batch, self._progress, self._left = None, "", float("nan")
        if state == "failed":
            self.message.setText("")
            self.alert.show_text(text or self.tr("The run failed."))
        else:
            words = {"finished": self.tr("Finished."), "stopped": self.tr("Stopped.")}
            self.message.setText(text or words.get(state, state.capitalize()))
        self._mark_dirty()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw at once what came while it was hidden."""
        super().showEvent(event)
        if self._is_dirty:
            self._redraw()

    def _build_layout(self) -> None:
        for label in (self.pace, self.message, self.slider_text):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(self._build_head())
        layout.addWidget(self.alert)
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.curves)
        splitter.addWidget(self._build_figures())
        splitter.setSizes([400, 400])
        layout.addWidget(splitter, 1)
        layout.addLayout(self._build_slider())

    def _build_head(self) -> QGridLayout:
        layout = QGridLayout()
        layout.setHorizontalSpacing(16)
        layout.setVerticalSpacing(2)
        layout.addWidget(self.title, 0, 0)
        layout.addWidget(self.pace, 0, 1, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self.message, 1, 0, 1, 2)
        for button in (self.stop_button, self.analyse_button):
            layout.addWidget(button, 0, 2, 2, 1, Qt.AlignmentFlag.AlignVCenter)
        layout.setColumnStretch(0, 1)
        self.pace.setAccessibleName(self.tr("Pace and time left"))
        self.stop_button.setToolTip(
            self.tr("The run ends after this batch; everything up to the last epoch is kept.")
        )
        return layout

    def _build_figures(self) -> QWidget:
        figures = QWidget(self)
        layout = QHBoxLayout(figures)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for view, name in (
            (self.weights_view, self.tr("FCL weights")),
            (self.features_view, self.tr("Feature cloud")),
        ):
            view.setAccessibleName(name)
            layout.addWidget(view, 1)
        return figures

    def _build_slider(self) -> QHBoxLayout:
        self.slider.setAccessibleName(self.tr("Epoch of weights and features"))
        self.slider.setToolTip(self.tr("Epoch that the two figures show; arrows go one by one"))
        self.slider_text.setFixedWidth(self.fontMetrics().horizontalAdvance("Epoch 0000 of 0000 "))
        self.newest_button.setToolTip(self.tr("Follow the newest epoch again"))
        layout = QHBoxLayout()
        layout.setSpacing(8)
        layout.addWidget(self.slider_text)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.newest_button)
        return layout

    def _connect(self) -> None:
        self.slider.valueChanged.connect(self._on_slider_moved)
        self.newest_button.clicked.connect(self._on_newest)
        self.stop_button.clicked.connect(self._on_stop)
        self.analyse_button.clicked.connect(self._on_analyse)
        self.analyse_button.setToolTip(self.tr("Open its weights, features and accuracy"))
        self.analyse_button.hide()

    def _swing_note(self, settings: RunSettings) -> str:
        has_lag = (
            settings.training.network in config.BATCH_NORM_NETWORKS
            and settings.training.regime != "frozen"
        )
        return (
            self.tr(
                "Validation accuracy may swing from epoch to epoch while the loss falls: batch "
                "norm's running statistics lag behind the weights. It is no fault; the best "
                "epoch is kept beside the last."
            )
            if has_lag
            else ""
        )

    def _keep(self, event: EpochMetrics) -> None:
        self._kept.append(event)
        if len(self._kept) > MOST_EPOCHS_KEPT:
            # Every second epoch is enough to see the motion; memory stays bounded.
            del self._kept[1:-1:2]

    def _update_slider(self) -> None:
        last = max(0, len(self._kept) - 1)
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, last)
            if self._is_following:
                self.slider.setValue(last)
        self.slider.setEnabled(last > 0)
        self.newest_button.setEnabled(not self._is_following)

    def _on_slider_moved(self, place: int) -> None:
        self._is_following = place == self.slider.maximum()
        self.newest_button.setEnabled(not self._is_following)
        self._mark_dirty()

    def _on_newest(self) -> None:
        self.slider.setValue(self.slider.maximum())

    def _on_analyse(self) -> None:
        if self._path is not None:
            self.analyse_requested.emit(self._path)

    def _on_stop(self) -> None:
        self.stop_button.setEnabled(False)
        self.stop_button.setText(self.tr("Stopping…"))
        self.message.setText(
            self.tr("Stopping after this batch. Everything up to the last epoch is kept.")
        )
        self.stop_requested.emit()

    def _mark_dirty(self) -> None:
        self._is_dirty = True
        if not self._timer.isActive():
            self._timer.start()

    def _on_redraw_due(self) -> None:
        if self._is_dirty and self.isVisible():
            self._redraw()

    def _redraw(self) -> None:
        self._is_dirty = False
        self.pace.setText(self._pace_text())
        if not self._kept:
            self.slider_text.setText("")
            return
        shown = self._kept[min(self.slider.value(), len(self._kept) - 1)]
        self.slider_text.setText(
            self.tr("Epoch {n} of {all}").format(n=shown.epoch, all=self._epochs)
        )
        if shown.epoch != self._shown_epoch:
            self._shown_epoch = shown.epoch
            self._draw(self.weights_view, weights_figure(shown, self._classes))
            self._draw(self.features_view, features_figure(shown, self._classes))

    def _draw(self, view: Any, figure: Figure | None) -> None:  # noqa: ANN401 - a figure view
        if figure is None:
            view.clear_figure(self.tr("Nothing to draw for this epoch"))
        else:
            view.show_figure(figure)

    def _pace_text(self) -> str:
        if self._progress:
            return self._progress
        if self._batch is None:
            return ""
        return self.tr("{rate:.0f} slices/s   {left} left   epoch {n} of {all}").format(
            rate=self._batch.slices_per_second,
            left=duration_text(self._left),
            n=self._batch.epoch,
            all=self._epochs,
        )


def weights_figure(event: EpochMetrics, classes: tuple[str, ...]) -> Figure | None:
    """Return the FCL's weights of two classes against each other; None without two rows."""
    if event.fc_weight.ndim != 2 or event.fc_weight.shape[0] < 2 or len(classes) < 2:
        return None
    x, y = _finite_pair(event.fc_weight[0], event.fc_weight[1])
    panel = Panel(
        x=Axis(f"FCL weight, {classes[0]}"),
        y=Axis(f"FCL weight, {classes[1]}"),
        layers=(Scatter("", x, y, colour=GREY, size=4.0),),
        title=f"FCL weights, epoch {event.epoch}",
    )
    return Figure(
        name="live_fcl_weights",
        title="",
        panels=(panel,),
        # Beside every weight scatter, lest the slope be read as something learned.
        caption="A slope towards −1 comes from softmax alone (see Analyse).",
    )


def features_figure(event: EpochMetrics, classes: tuple[str, ...]) -> Figure | None:
    """Return the validation slices by the FCL's first two outputs; None where there are none."""
    logits = event.logits
    if logits.ndim != 2 or logits.shape[1] < 2 or not len(logits) or len(classes) < 2:
        return None
    layers: list[Scatter | Curve] = []
    for k, name in enumerate(classes):
        of_class = event.labels == k
        x, y = _finite_pair(logits[of_class, 0], logits[of_class, 1])
        layers.append(
            Scatter(name, x, y, colour=class_colour(name, k), symbol=class_symbol(name, k))
        )
    ends = _decision_ends(logits[:, :2])
    layers.append(Curve("decision y = x", ends, ends, colour=BLACK, style="dashed", width=1.0))
    panel = Panel(
        x=Axis(f"FC output, {classes[0]}", "logit"),
        y=Axis(f"FC output, {classes[1]}", "logit"),
        layers=tuple(layers),
        title=f"Validation slices, epoch {event.epoch}",
    )
    return Figure(
        name="live_feature_cloud",
        title="",
        panels=(panel,),
        caption=f"Below the dashed line a slice is called {classes[0]}.",
    )


def _decision_ends(logits: NDArray[Any]) -> NDArray[Any]:
    """Return where y = x enters and leaves the cloud, so that it stretches no axis."""
    finite = logits[np.isfinite(logits).all(axis=1)]
    if not len(finite):
        return np.array([])
    low, high = finite.min(axis=0).max(), finite.max(axis=0).min()
    return np.array([low, high]) if low < high else np.array([])


def _finite_pair(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def _heading(text: str, parent: QWidget) -> QLabel:
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _make_figure_view() -> QWidget:
    # Late, so that this panel can be built and tested without the drawing of figures.
    from mrifcl_gui.figure_view import FigureView

    return FigureView()
