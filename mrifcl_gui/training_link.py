"""Joins the session to the training place: the queue, the run that is trained, how it ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMainWindow

from core.config import NETWORK_TITLES, RunSettings
from core.errors import MriFclError
from core.run_folder import Run
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.notification import tell_of
from mrifcl_gui.queue_memory import QueueMemory
from mrifcl_gui.queue_window import QueueWindow
from mrifcl_gui.runs_panel import RunsPanel
from mrifcl_gui.session import Session
from mrifcl_gui.training_panel import TrainingPanel
from mrifcl_gui.weights_gate import WeightsGate


class TrainingLink(QObject):
    """Starts what the training panel asks for and shows it how the run gets on.

    Parameters
    ----------
    window : QMainWindow
        Its status bar tells of the end of a run.
    session : Session
    panel : TrainingPanel
    runs : RunsPanel
    analysis : AnalysisTabs
        Both are told while a run is trained.
    """

    place_wanted = Signal(str)
    run_said = Signal(str)  # what is being trained, in short; empty when nothing is

    def __init__(
        self,
        window: QMainWindow,
        session: Session,
        *,
        panel: TrainingPanel,
        runs: RunsPanel,
        analysis: AnalysisTabs,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._panel = panel
        self._runs = runs
        self._analysis = analysis
        self._queue_window: QueueWindow | None = None
        self._gate = WeightsGate(window, session, panel.queue)
        self._connect_training()
        self._connect_queue()

    def close(self) -> None:
        """Store the queue for the next start."""
        self._queue_memory.close()

    def _connect_training(self) -> None:
        panel, session = self._panel, self._session
        panel.start_requested.connect(self._on_start_training)
        panel.stop_requested.connect(session.stop_training)
        self._gate.opened.connect(self._on_gate_opened)
        self._gate.given_up.connect(panel.take_back_asked)
        self._gate.waits.connect(panel.set_waiting)
        self._gate.said.connect(self._on_gate_said)
        panel.cohort_requested.connect(self._on_cohort_place)
        panel.queue_changed.connect(self._on_queue_changed)
        panel.analyse_requested.connect(self._on_analyse_trained)
        session.training_started.connect(self._on_training_started)
        session.training_event.connect(panel.show_event)
        session.training_ended.connect(self._on_training_ended)
        panel.measure_requested.connect(session.precision.measure)
        session.precision.measured.connect(panel.show_precision)
        session.precision.ended.connect(panel.end_measuring)
        panel.weights_asked.connect(session.weights.look_up)
        panel.weights_states.fetch_requested.connect(session.weights.fetch)
        panel.weights_states.cancel_requested.connect(session.weights.cancel)
        session.weights.known.connect(panel.weights_states.show_states)
        session.weights.progressed.connect(panel.weights_states.show_progress)
        session.weights.ended.connect(panel.weights_states.show_ended)
        session.weights.ended.connect(panel.ask_for_weights)

    def _connect_queue(self) -> None:
        queue, session = self._panel.queue, self._session
        memory = self._queue_memory = QueueMemory(session.data_folder / "queue", self)
        queue.added.connect(memory.note_added)
        queue.removed.connect(memory.note_removed)
        queue.ordered.connect(memory.note_order)
        queue.moved.connect(memory.note_moved)
        queue.pause_toggled.connect(session.set_paused)
        queue.skip_requested.connect(session.skip_run)
        queue.table_requested.connect(self._on_queue_table)
        session.runs_changed.connect(queue.show_runs)
        session.queue_ended.connect(self._on_queue_ended)
        memory.restored.connect(queue.restore)
        memory.problem.connect(session.problem)
        memory.restore()

    def _on_start_training(self) -> None:
        queue = self._panel.queue
        if self._session.opened is None and not queue.has_cohorts():
            self.place_wanted.emit("cohort")
            return
        self._gate.ask()

    def _on_gate_opened(self) -> None:
        queue = self._panel.queue
        queue.set_paused(False)
        self._session.train(queue.queued())

    def _on_gate_said(self, text: str) -> None:
        self._window.statusBar().showMessage(text, 10_000)

    def _on_queue_changed(self) -> None:
        self._session.set_queue(self._panel.queue.queued())

    def _on_queue_table(self) -> None:
        if self._queue_window is None:
            self._queue_window = QueueWindow(self._window)
        self._queue_window.open_on(self._panel.queue)

    def _on_queue_ended(self) -> None:
        queue = self._panel.queue
        queue.set_paused(False)
        if len(queue.states()) > 1 or not self._window.isActiveWindow():
            tell_of(self._window, self.tr("MRI-FCL"), queue.summary())

    def _on_training_started(
        self, settings: RunSettings, classes: tuple[str, ...], resumed: Run | None
    ) -> None:
        history = None
        if resumed is not None:
            with contextlib.suppress(MriFclError, OSError):
                history = resumed.history
            self.place_wanted.emit("train")
        self._panel.start_run(
            settings,
            classes,
            history=history,
            queued=self._session.started_key,
            path=resumed.path if resumed is not None else None,
        )
        self._runs.set_training(True)
        self._analysis.honesty.set_busy(True)
        self.run_said.emit(
            self.tr("Training {0}").format(NETWORK_TITLES[settings.training.network])
        )

    def _on_training_ended(self, state: str, text: str) -> None:
        self._panel.run_ended(state, text)
        self._runs.set_training(False)
        self._analysis.honesty.set_busy(False)
        self.run_said.emit("")
        if state == "finished":
            self._window.statusBar().showMessage(text, 10_000)

    def _on_analyse_trained(self, path: Path) -> None:
        self._session.open_runs([path])

    def _on_cohort_place(self) -> None:
        self.place_wanted.emit("cohort")
