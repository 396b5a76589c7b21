"""Lets a training begin once the pretrained weights it starts from are here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from core import config, tasks
from core.training.weights_entry import WeightsState
from mrifcl_gui.run_queue import RunQueueView
from mrifcl_gui.session import Session
from mrifcl_gui.weights_dialog import WeightsDialog


class WeightsGate(QObject):
    """Asks for what is missing, has it fetched, and opens.

    Parameters
    ----------
    window : QWidget
        What the dialog lies above.
    session : Session
        Its jobs look for the weights and fetch them; the task dock shows those.
    queue : RunQueueView
        What waits there is to be trained; a chosen file goes into its settings.

    Signals
    -------
    opened()
        All that waits has its weights.
    given_up()
        The user left the question.
    waits(str)
        What is waited for, in words; empty when it is over.
    said(str)
        Why nothing was started.
    """

    opened = Signal()
    given_up = Signal()
    waits = Signal(str)
    said = Signal(str)

    def __init__(self, window: QWidget, session: Session, queue: RunQueueView) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._queue = queue
        self._dialog: WeightsDialog | None = None
        self._fetching: set[str] = set()
        self._is_looking = False
        self._asked_file: tuple[str, Path] | None = None
        session.weights.ended.connect(self._on_fetched)

    @property
    def is_waiting(self) -> bool:
        """Whether it looks, asks or waits for a download."""
        return self._is_looking or self._dialog is not None or bool(self._fetching)

    def ask(self) -> None:
        """Open at once where nothing that waits needs weights; else look whether they are here."""
        if self.is_waiting:
            return
        if not self._runs():
            self.opened.emit()
            return
        self._look(self._on_known)

    def _runs(self) -> list[config.RunSettings]:
        """Return the waiting runs that start from weights; what was begun has its own."""
        return [
            entry.settings
            for entry in self._queue.queued()
            if entry.settings.training.regime != "scratch" and entry.begun is None
        ]

    def _look(self, answer: Callable[[list[WeightsState]], None]) -> None:
        runs = self._runs()
        self._is_looking = True
        self.waits.emit(self.tr("Looking for the pretrained weights"))
        job = self._session.start(
            self.tr("Looking for weights"), lambda: tasks.missing_weights(runs), answer
        )
        job.finished.connect(self._on_looked)

    def _on_looked(self) -> None:
        self._is_looking = False
        if not self.is_waiting:
            self.waits.emit("")

    def _on_known(self, missing: list[WeightsState]) -> None:
        if not missing:
            self._open()
            return
        dialog = self._dialog = WeightsDialog(missing, self._window)
        dialog.file_chosen.connect(self._on_file_chosen)
        dialog.accepted.connect(self._on_accepted)
        dialog.rejected.connect(self._on_rejected)
        dialog.open()

    def _open(self) -> None:
        self._is_looking = False
        self.waits.emit("")
        self.opened.emit()

    # The dialog's answers

    def _on_file_chosen(self, network: str, path: Path) -> None:
        self._asked_file = network, path
        self._session.start(
            self.tr("Looking for weights"),
            lambda: tasks.look_up_weights([network], str(path)),
            self._on_file_known,
        )

    def _on_file_known(self, states: list[WeightsState]) -> None:
        if self._dialog is None or self._asked_file is None:
            return
        (network, path), state = self._asked_file, states[0]
        if state.kind == "refused":
            self._dialog.refuse_file(state.text)
            return
        self._queue.change_waiting(
            {
                entry.key: config.change(entry.settings, {"weights": str(path)})
                for entry in self._queue.queued()
                if entry.settings.training.network == network
                and entry.settings.training.regime != "scratch"
            }
        )
        self._dialog.take_file(state)

    def _on_accepted(self) -> None:
        names = [entry.name for entry in self._take_dialog().entries()]
        if not names:
            self._open()
            return
        self._fetching = set(names)
        self.waits.emit(self.tr("Training begins when the pretrained weights are here"))
        for name in names:
            self._session.weights.fetch(name)

    def _on_rejected(self) -> None:
        self._take_dialog()
        self.waits.emit("")
        self.given_up.emit()

    def _take_dialog(self) -> WeightsDialog:
        dialog, self._dialog = self._dialog, None
        assert dialog is not None
        dialog.deleteLater()
        return dialog

    # The downloads

    def _on_fetched(self, name: str) -> None:
        if name not in self._fetching:
            return
        self._fetching.discard(name)
        if not self._fetching:
            self._look(self._on_known_again)

    def _on_known_again(self, missing: list[WeightsState]) -> None:
        """Open if the downloads brought what they should; what failed was said by its job."""
        if not missing:
            self._open()
            return
        titles = [state.entry.title for state in missing if state.entry is not None]
        self.said.emit(
            self.tr("Not trained: the weights of {0} are not here. Press Train to go on.").format(
                ", ".join(titles)
            )
        )
