"""The TRAIN place: what to run on the left, the run as it learns on the right."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPalette, QResizeEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import config
from core.config import RunSettings
from core.errors import SettingsError
from core.run_folder import History
from core.training.probe_result import ProbeResult
from mrifcl_gui.config_form import AlertLabel, Chip, ConfigForm
from mrifcl_gui.grid_choice import GridChoice
from mrifcl_gui.icons import put_icon, redraw_icon
from mrifcl_gui.live_run_view import LiveRunView
from mrifcl_gui.precision_field import PrecisionField
from mrifcl_gui.run_queue import RunQueueView, RunState
from mrifcl_gui.scrolling_page import DownwardsScroll, scrolling
from mrifcl_gui.theme import TITLE, scaled, set_type
from mrifcl_gui.weights_field import WeightsStates, dropped_weights
from mrifcl_gui.wrapped_label import WrappedLabel

LEFT_WIDTH = 384
EMPTY_WIDTH = 440
# Least size of the page at 100 %, with a run and with words in its place.
_WIDTH, _HEIGHT, _WIDTH_WITH_WORDS = 864, 560, 556
_ANY_WIDTH = (1 << 24) - 1  # QWIDGETSIZE_MAX
SETTLE_MS = 300
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
    measure_requested = Signal(object)  # RunSettings whose precision is to be measured
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
        self._waits_for = ""
        self._added_to_train: list[str] = []
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
        page = QWidget(self)
        layout = QHBoxLayout(page)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(16)
        # Built in reading order, which is then the order of Tab.
        layout.addWidget(self._build_left())
        self.live = LiveRunView(self, make_figure_view=make_figure_view or _make_figure_view)
        self._right = QStackedWidget(self)
        self._right.addWidget(self._build_empty())
        self._right.addWidget(self.live)
        layout.addWidget(self._right, 1)
        self._page = page
        self._scroll = scrolling(page, width=_WIDTH, height=_HEIGHT)
        self._whole = QVBoxLayout(self)
        self._whole.setContentsMargins(0, 0, 0, 0)
        self._whole.addWidget(self._scroll)
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

    def set_waiting(self, text: str) -> None:
        """Say what a training waits for that was asked for; empty when it is over."""
        self._waits_for = text
        self._update_buttons()

    def take_back_asked(self) -> None:
        """Undo the press of Train: what it put into the queue by itself waits no more."""
        self.queue.take_back(self._added_to_train)

    def start_run(
        self,
        settings: RunSettings,
        classes: Sequence[str],
        *,
        history: History | None = None,
        queued: str = "",
        path: Path | None = None,
    ) -> None:
        """Clear the right side for a run that begins now, or goes on from ``history``.

        ``queued`` is its key in the queue, ``path`` its folder where it goes on.
        """
        self._is_running = True
        self.precision.set_training(True)
        self.queue.mark_running(settings, queued, path)
        self.live.start(settings, tuple(classes), history=history)
        self._show_right(1)
        self._update_buttons()
        QTimer.singleShot(0, self, self._show_live)

    def _show_live(self) -> None:
        """Bring the run into sight, where the page scrolls."""
        bar = self._scroll.horizontalScrollBar()
        bar.setValue(bar.maximum())

    def show_event(self, event: object) -> None:
        """Show any event of :mod:`core.progress`."""
        self.queue.show_event(event)
        self.live.show_event(event)

    def run_ended(self, state: str, text: str = "") -> None:
        """Say how the run ended: finished, stopped or failed, and ``text`` in words."""
        self._is_running = False
        # What is next is to look at what came out, until something else is chosen.
        self._show_next(self.live.analyse_button if state == "finished" else self.train_button)
        self.precision.set_training(False)
        self.queue.mark_ended(_QUEUE_STATES.get(state, "failed"), text)
        self.live.end(state, text)
        self._update_buttons()

    def show_precision(self, result: ProbeResult) -> None:
        """Say which precision is fastest here, and offer it."""
        self.precision.show_result(result)
        self._update_precision()

    def end_measuring(self) -> None:
        """Allow another measurement: the one asked for is over, however it ended."""
        self.precision.set_measuring(False)

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

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the buttons in sight."""
        super().resizeEvent(event)
        self._place_actions()

    def set_queue_state(self, index: int, state: RunState, text: str = "") -> None:
        """Set the state of one entry of the queue."""
        self.queue.set_state(index, state, text)

    def _build_left(self) -> QWidget:
        left = QWidget(self)
        left.setFixedWidth(scaled(LEFT_WIDTH))
        layout = QVBoxLayout(left)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._build_choice(), 1)
        self.queue = RunQueueView(self)
        layout.addWidget(self.queue)
        layout.addWidget(self._build_actions())
        self._left = layout
        return left

    def _build_actions(self) -> QWidget:
        """Return what must be in sight: why something cannot be trained, and the buttons."""
        self._actions = QWidget(self)
        column = QVBoxLayout(self._actions)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._refused)
        column.addLayout(self._build_buttons())
        return self._actions

    def _place_actions(self) -> None:
        """Keep the buttons in sight where the page is larger than the window, and scrolls."""
        least = self._page.minimumSize()
        scrolls = self.height() < least.height() or self.width() < least.width()
        if scrolls == (self._actions.parentWidget() is self):
            return
        if scrolls:
            self._actions.setFixedWidth(scaled(LEFT_WIDTH))
            self._actions.setContentsMargins(16, 0, 0, 8)
            self._whole.addWidget(self._actions)
        else:
            self._actions.setMinimumWidth(0)
            self._actions.setMaximumWidth(_ANY_WIDTH)
            self._actions.setContentsMargins(0, 0, 0, 0)
            self._left.addWidget(self._actions)

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
        self._network_notes.setToolTip(
            self.tr(
                "FCL: the final fully connected layer. Its weights and what enters it are what "
                "Analyse shows."
            )
        )
        layout.addWidget(self._network_notes)
        layout.addWidget(_heading(self.tr("Regimes"), inside))
        layout.addLayout(self._build_chips(config.REGIME_TITLES, self._regimes, "regime", 3))
        self.grid = GridChoice(self)
        self.grid.changed.connect(self._on_choice_changed)
        layout.addWidget(self.grid)
        # Here, not below its field: the button must be seen without scrolling.
        self.weights_states = WeightsStates(self)
        layout.addWidget(self.weights_states)
        layout.addSpacing(8)
        self.form = ConfigForm(self, hidden=("network", "regime"), front=FRONT_FIELDS)
        self.precision = PrecisionField(self)
        self.precision.measure_requested.connect(self._on_measure)
        self.form.add_below("precision", self.precision)
        layout.addWidget(self.form)
        layout.addStretch(1)
        scroll = DownwardsScroll(self)
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
        self.add_button = QPushButton(self.tr("Add to queue"), self)
        self.add_button.setAccessibleName(self.tr("Add to queue"))
        self.add_button.setToolTip(self.tr("Put the chosen runs at the end of the queue"))
        self.add_button.clicked.connect(self._on_add)
        put_icon(self.add_button, "plus")
        self.train_button = QPushButton(self)
        self.train_button.setProperty("primary", True)
        put_icon(self.train_button, "play")
        self.train_button.clicked.connect(self._on_train)
        layout = QHBoxLayout()
        layout.setSpacing(8)
        layout.addWidget(self.add_button)
        layout.addWidget(self.train_button, 1)
        return layout

    def _build_empty(self) -> QWidget:
        page = QWidget(self)
        self._empty_title = QLabel(page)
        set_type(self._empty_title, TITLE)
        self._empty_text = WrappedLabel("", page)
        self._empty_text.setMaximumWidth(scaled(EMPTY_WIDTH))
        expanding = QSizePolicy.Policy.Expanding
        self._empty_text.setSizePolicy(expanding, QSizePolicy.Policy.Preferred)
        self._cohort_button = QPushButton(self.tr("Go to the cohort"), page)
        self._cohort_button.setProperty("primary", True)
        self._cohort_button.setToolTip(self.tr("Open scans first (Ctrl+1)"))
        self._cohort_button.clicked.connect(self.cohort_requested)
        layout = QVBoxLayout(page)
        layout.setSpacing(8)
        layout.addStretch(1)
        words = QHBoxLayout()
        words.addStretch(1)
        words.addWidget(self._empty_text, EMPTY_WIDTH)
        words.addStretch(1)
        layout.addWidget(self._empty_title, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addLayout(words)
        layout.addWidget(self._cohort_button, 0, Qt.AlignmentFlag.AlignHCenter)
        for label in (self._empty_title, self._empty_text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addStretch(2)
        return page

    def _show_empty(self, title: str, text: str) -> None:
        self._empty_title.setText(title)
        self._empty_text.setText(text)
        self._cohort_button.setVisible(not self._has_cohort)
        if not self._is_running:
            self._show_right(0)
        self._update_buttons()

    def _show_right(self, index: int) -> None:
        """Show the words (0) or the run (1); only the run needs much room."""
        self._right.setCurrentIndex(index)
        ignored, usual = QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        policy = usual if index else ignored
        self.live.setSizePolicy(policy, policy)
        self._page.setMinimumWidth(scaled(_WIDTH if index else _WIDTH_WITH_WORDS))
        self._place_actions()

    def _check_chips(self, networks: set[str], regimes: set[str]) -> None:
        for chips, wanted in ((self._networks, networks), (self._regimes, regimes)):
            for name, chip in chips.items():
                chip.setChecked(name in wanted)

    def _show_next(self, button: QPushButton) -> None:
        """Fill one button with colour: the next step."""
        for other in (self.train_button, self.live.analyse_button):
            if bool(other.property("primary")) != (other is button):
                other.setProperty("primary", other is button)
                other.style().unpolish(other)
                other.style().polish(other)
                redraw_icon(other)

    def _on_choice_changed(self) -> None:
        if hasattr(self, "live"):  # not yet while the choices are built
            self._show_next(self.train_button)
        networks = [name for name, chip in self._networks.items() if chip.isChecked()]
        self._start_from(networks)
        self.form.show_for(networks, [name for name, c in self._regimes.items() if c.isChecked()])
        self._network_notes.setText(self._notes_on(networks))
        self._network_notes.setVisible(bool(networks))
        runs, refusal = self._product(RunSettings())
        self._n_asked = len(runs) * len(self._variants())
        self._refused.show_text(refusal)
        self._update_buttons()
        self._update_precision()
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

    def _variants(self) -> list[dict[str, Any]]:
        """Return what the grid of splits and seeds makes of each pair of network and regime."""
        folds = RunSettings().split.folds
        # Read as typed: the form leaves folds out where its own split has none.
        with contextlib.suppress(SettingsError):
            folds = config.find_field("folds").parse(self.form.editor("folds").text() or folds)
        return self.grid.variants(folds)

    def _asked_runs(self) -> list[RunSettings]:
        """Return the runs of chips and form; empty where a field is wrong, which is then red."""
        try:
            base = self.form.settings()
        except SettingsError:
            self.form.focus_first_fault()
            return []
        runs, refusal = self._product(base)
        self._refused.show_text(refusal)
        return [config.change(run, values) for values in self._variants() for run in runs]

    def _on_measure(self) -> None:
        try:
            settings = self.form.settings()
        except SettingsError:
            self.form.focus_first_fault()
            return
        self.precision.set_measuring(True)
        self.measure_requested.emit(settings)

    def _update_precision(self) -> None:
        """Offer half precision only where it was measured to be faster with these settings."""
        self.precision.follow(self.form.settings_if_right())
        box = cast(QComboBox, self.form.editor("precision"))
        model = cast(QStandardItemModel, box.model())
        for place in range(box.count()):
            model.item(place).setEnabled(self.precision.is_offered(box.itemData(place)))
        self.form.set_warning("precision", self.precision.warning_on(box.currentData()))

    def _on_add(self) -> None:
        self.queue.add(self._asked_runs())

    def _on_queue_changed(self) -> None:
        self._update_buttons()
        self.queue_changed.emit(self.queue.waiting())

    def _on_train(self) -> None:
        self._added_to_train = []
        if not self.queue.waiting():
            self._on_add()
            self._added_to_train = [entry.key for entry in self.queue.queued()]
        runs = self.queue.waiting()
        if runs:
            self.start_requested.emit(runs)

    def _update_buttons(self) -> None:
        n_waiting = len(self.queue.waiting())
        n_runs = n_waiting or self._n_asked
        self.add_button.setEnabled(self._n_asked > 0)
        self.add_button.setText(
            self.tr("Add {n} runs").format(n=self._n_asked)
            if self._n_asked > 1
            else self.tr("Add to queue")
        )
        has_cohort = self._has_cohort or self.queue.has_cohorts()
        is_busy = self._is_running or bool(self._waits_for)
        self.train_button.setEnabled(has_cohort and n_runs > 0 and not is_busy)
        if self._is_running:
            text = self.tr("Training…")
            reason = self.tr("A run is training; what you add to the queue comes after it.")
        elif self._waits_for:
            text, reason = self.tr("Waiting for weights…"), self._waits_for
        else:
            text = self.tr("Train 1 run") if n_runs == 1 else self.tr("Train {n} runs")
            text = text.format(n=n_runs)
            reason = self.tr("Train the waiting runs one after the other")
        if not has_cohort:
            reason = self.tr("Open a cohort first")
        elif not n_runs:
            reason = self.tr("Choose at least one network and one regime")
        self.train_button.setText(text)
        self.train_button.setToolTip(reason)


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
