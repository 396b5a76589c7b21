"""The run that learns now: curves, weights and features as they move, pace, and a log."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from core import config
from core.config import RunSettings
from core.figure import Figure
from core.progress import (
    BatchDone,
    EpochMetrics,
    Logged,
    Notice,
    Progress,
    RunMoved,
    RunStarted,
)
from core.run_folder import FcHistory, History
from core.run_log import STOPPED, dated
from mrifcl_gui.class_mark import CLASS_MARKS
from mrifcl_gui.config_form import AlertLabel
from mrifcl_gui.curves_view import CurvesView
from mrifcl_gui.icons import put_icon
from mrifcl_gui.live_figures import features_figure, weights_figure
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.run_log_view import RunLogView
from mrifcl_gui.run_queue import run_text
from mrifcl_gui.task_dock import duration_text
from mrifcl_gui.wrapped_label import WrappedLabel

REDRAW_MS = 100
MOST_EPOCHS_KEPT = 400


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
        self._items = "slices"
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
        put_icon(self.stop_button, "square")
        self.analyse_button = QPushButton(self.tr("Analyse this run"), self)
        put_icon(self.analyse_button, "chart-scatter")
        self.curves = CurvesView(self)
        # A figure view is a widget with show_figure and clear_figure; Any spares a protocol.
        self.weights_view = cast(Any, make_figure_view())
        self.features_view = cast(Any, make_figure_view())
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider_text = QLabel(self)
        self.newest_button = QPushButton(self.tr("Newest"), self)
        self.pace = WrappedLabel("", self)
        self.log = RunLogView(self)
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
        self._items = settings.items
        self._path = None
        self._kept.clear()
        self._is_following, self._shown_epoch = True, None
        self._batch, self._progress, self._left = None, "", float("nan")
        self.title.setText(run_text(settings))
        self.log.clear(run_text(settings))
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
            case FcHistory():
                self._keep_past(event)
            case Logged(line=line):
                self.log.add_lines([line])
            case RunStarted(path=path, epochs=epochs):
                self._path = path
                self.log.set_name(path.name)
                if epochs != self._epochs:
                    self._epochs = epochs
                    self.curves.start(epochs)
            case RunMoved(path=path):
                self._path = path
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
        if state == "stopped":
            # The last line of the file too; a run that was closed can tell no more itself.
            self.log.add_lines([dated(STOPPED)])
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
        splitter = RememberedSplitter("live", (300, 340, 72), Qt.Orientation.Vertical, self)
        splitter.setChildrenCollapsible(False)
        splitter.fill(self.curves, self._build_figures(), self.log)
        layout.addWidget(splitter, 1)

    def _build_head(self) -> QGridLayout:
        layout = QGridLayout()
        layout.setHorizontalSpacing(16)
        layout.setVerticalSpacing(2)
        layout.addWidget(self.title, 0, 0)
        layout.addWidget(self.pace, 1, 0)
        layout.addWidget(self.message, 2, 0, 1, 2)
        for button in (self.stop_button, self.analyse_button):
            layout.addWidget(button, 0, 1, 2, 1, Qt.AlignmentFlag.AlignVCenter)
        layout.setColumnStretch(0, 1)
        self.pace.setAccessibleName(self.tr("Pace and time left"))
        self.stop_button.setToolTip(
            self.tr("The run ends after this batch; everything up to the last epoch is kept.")
        )
        return layout

    def _build_figures(self) -> QWidget:
        figures = QWidget(self)
        column = QVBoxLayout(figures)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        layout = QHBoxLayout()
        layout.setSpacing(8)
        column.addLayout(layout, 1)
        column.addLayout(self._build_slider())
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
        CLASS_MARKS.changed.connect(self._on_class_colours)

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

    def _keep_past(self, history: FcHistory) -> None:
        """Keep the weights of the epochs before a run went on; their slices are not stored."""
        past = [
            _past_epoch(int(epoch), weight)
            for epoch, weight in zip(history.epoch, history.weight, strict=True)
        ]
        for event in past[-MOST_EPOCHS_KEPT:]:
            self._keep(event)
        self._update_slider()

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

    def _on_class_colours(self) -> None:
        self._shown_epoch = None
        self._mark_dirty()

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
        self.log.show_waiting()
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
            self._draw(self.features_view, features_figure(shown, self._classes, self._items))

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
        batch = self._batch
        return self.tr(
            "epoch {n} of {all}   {left} left   {rate} {items}/s   learning rate {step}   "
            "{memory} memory"
        ).format(
            n=batch.epoch,
            all=self._epochs,
            left=duration_text(self._left),
            items=self._items,
            rate=_rate_text(batch.slices_per_second),
            step=f"{batch.learning_rate:g}" if math.isfinite(batch.learning_rate) else "–",
            memory=_bytes_text(batch.device_bytes),
        )


def _past_epoch(epoch: int, weight: Any) -> EpochMetrics:  # noqa: ANN401 - an array
    none = np.zeros((0, len(weight)), np.float32)
    unknown = math.nan
    return EpochMetrics(
        epoch=epoch,
        train_loss=unknown,
        train_accuracy=unknown,
        validation_loss=unknown,
        validation_accuracy=unknown,
        learning_rate=unknown,
        seconds=unknown,
        fc_weight=weight,
        logits=none,
        labels=np.zeros(0, np.int64),
        seconds_left=unknown,
    )


def _rate_text(rate: float) -> str:
    if not math.isfinite(rate):
        return "–"
    return f"{rate:.1f}" if rate < 10 else f"{rate:.0f}"


def _bytes_text(n_bytes: float) -> str:
    if not math.isfinite(n_bytes):
        return "–"
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _heading(text: str, parent: QWidget) -> QLabel:
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
