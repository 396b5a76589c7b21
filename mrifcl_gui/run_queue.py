"""The list of runs to do: waiting, running, done, failed; in an order that can be changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtWidgets import QLabel, QMenu, QPushButton, QTreeWidgetItem, QVBoxLayout, QWidget

from core.config import NETWORK_TITLES, REGIME_TITLES, RunSettings
from core.progress import BatchDone, EpochMetrics, RunMoved, RunStarted
from core.run_folder import Run
from core.sweep import SweepRun
from mrifcl_gui.config_form import alert_colour, choice_title
from mrifcl_gui.icons import put_icon
from mrifcl_gui.queue_list import QueueList
from mrifcl_gui.task_dock import duration_text
from mrifcl_gui.wrapping_row import WrappingRow

RunState = Literal["waiting", "running", "done", "stopped", "failed"]
STATE_SYMBOLS: dict[RunState, str] = {
    "waiting": "○",
    "running": "▶",
    "done": "✓",
    "stopped": "■",
    "failed": "✕",
}
_ENDED: tuple[RunState, ...] = ("done", "stopped", "failed")
_SECONDS_BETWEEN = 1.0


def run_text(settings: RunSettings) -> str:
    """Return network and regime of a run in words."""
    training = settings.training
    return f"{NETWORK_TITLES[training.network]} × {REGIME_TITLES[training.regime]}"


def split_short(settings: RunSettings) -> str:
    """Return split and seed of a run, short enough for a narrow column."""
    split, seed = settings.split, settings.training.seed
    if split.split_file:
        return f"file, seed {seed}"
    how = f"fold {split.fold}/{split.folds}" if split.mode == "kfold" else split.mode
    return f"{how}, seed {seed}"


@dataclass
class QueuedRun:
    """One run of the queue.

    Attributes
    ----------
    settings : RunSettings
    state : {"waiting", "running", "done", "stopped", "failed"}
    text : str
        Why it failed, or what it gave.
    key : str
        Its name in the file that remembers the queue.
    cohort : Path or None
        Its cohort's folder; None: the one that is open when it is started.
    classes : tuple of str
        The cohort's, where that is known.
    path : Path or None
        Its run folder, once there is one.
    run : Run or None
        That folder as it was read last.
    epoch : int
        Epochs done while it runs.
    """

    settings: RunSettings
    state: RunState = "waiting"
    text: str = ""
    key: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    cohort: Path | None = None
    classes: tuple[str, ...] = ()
    path: Path | None = None
    run: Run | None = None
    epoch: int = 0

    @property
    def begun(self) -> Run | None:
        """What there is to go on from; None where it starts from nothing."""
        run = self.run
        if run is None or run.state == "finished" or not run.record.get("epochs_done"):
            return None
        return run

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be trained."""
        begun = self.begun
        done = self.epoch or (int(begun.record["epochs_done"]) if begun is not None else 0)
        return max(0, self.settings.epochs - done)


class RunQueueView(QWidget):
    """The queue: what waits can be moved, removed and brought back; what failed, tried again.

    Signals
    -------
    changed()
        What waits, or its order.
    added(list of QueuedRun), removed(list of str), ordered(list of str), moved(QueuedRun)
        For the file that remembers it: runs, keys, all keys, a run in another state.
    pause_toggled(bool), skip_requested(), table_requested()
    filled()
        Numbers of ended runs were read.
    """

    changed = Signal()
    added = Signal(list)
    removed = Signal(list)
    ordered = Signal(list)
    moved = Signal(object)
    pause_toggled = Signal(bool)
    skip_requested = Signal()
    table_requested = Signal()
    filled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[QueuedRun] = []
        self._cohort: tuple[Path | None, tuple[str, ...]] = (None, ())
        self._gone: list[tuple[int, QueuedRun]] = []
        self._pace: dict[tuple[str, str], float] = {}
        self._left = float("nan")
        self._left_at = 0.0
        self._list = QueueList(self)
        self._count = QLabel(self)
        self._count.setWordWrap(True)
        self._build_buttons()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._count)
        layout.addWidget(self._list, 1)
        layout.addLayout(self._button_row)
        self._connect_list()
        self._refill()

    # What the owner asks for

    def set_cohort(self, folder: Path | None, classes: Sequence[str] = ()) -> None:
        """Let what is added from now on belong to a cohort."""
        self._cohort = folder, tuple(classes)

    def add(self, runs: Sequence[RunSettings]) -> None:
        """Append ``runs`` as waiting."""
        folder, classes = self._cohort
        new = [QueuedRun(settings, cohort=folder, classes=classes) for settings in runs]
        self._entries += new
        self._refill()
        if new:
            self.added.emit(new)
        self.changed.emit()

    def take_back(self, keys: Collection[str]) -> None:
        """Take waiting runs off the queue that were only put there to be trained at once."""
        gone = [entry.key for entry in self.queued() if entry.key in keys]
        if not gone:
            return
        self._entries = [entry for entry in self._entries if entry.key not in gone]
        self._refill()
        self.removed.emit(gone)
        self.changed.emit()

    def change_waiting(self, changed: Mapping[str, RunSettings]) -> None:
        """Give waiting runs other settings, by their keys."""
        entries = [entry for entry in self.queued() if entry.key in changed]
        for entry in entries:
            entry.settings = changed[entry.key]
        self._refill()
        self.removed.emit([entry.key for entry in entries])
        self.added.emit(entries)
        self.ordered.emit([entry.key for entry in self._entries])
        self.changed.emit()

    def restore(self, entries: Sequence[QueuedRun]) -> None:
        """Put in front what was remembered from last time."""
        self._entries = [*entries, *self._entries]
        self._refill()
        self.changed.emit()

    def queued(self) -> list[QueuedRun]:
        """Return what waits, in order."""
        return [entry for entry in self._entries if entry.state == "waiting"]

    def waiting(self) -> list[RunSettings]:
        """Return the settings of the waiting runs in order."""
        return [entry.settings for entry in self.queued()]

    def states(self) -> list[RunState]:
        """Return the state of every entry."""
        return [entry.state for entry in self._entries]

    def has_cohorts(self) -> bool:
        """Tell whether all that waits knows its cohort, so that none need be open."""
        waiting = self.queued()
        return bool(waiting) and all(entry.cohort is not None for entry in waiting)

    def set_state(self, index: int, state: RunState, text: str = "") -> None:
        """Set the state of one entry; ``text`` says why it failed or what it gave."""
        entry = self._entries[index]
        entry.state, entry.text = state, text
        self._refill()
        self.moved.emit(entry)
        self.changed.emit()

    def mark_running(self, settings: RunSettings, key: str = "", path: Path | None = None) -> None:
        """Mark a run as running: the one of ``key`` or ``path``, else the first that waits so.

        One that is not in the list is appended.
        """
        self._left, self._left_at = float("nan"), 0.0
        for index, entry in enumerate(self._entries):
            is_it = (
                entry.key == key
                if key
                else entry.path is not None and entry.path.resolve() == path.resolve()
                if path is not None
                else entry.state == "waiting" and entry.settings == settings
            )
            if is_it:
                entry.epoch = 0
                self.set_state(index, "running")
                return
        folder, classes = (None, ()) if path is not None else self._cohort
        entry = QueuedRun(settings, "running", cohort=folder, classes=classes, path=path)
        self._entries.append(entry)
        self._refill()
        self.added.emit([entry])
        self.changed.emit()

    def mark_ended(self, state: RunState, text: str = "") -> None:
        """Give the running entry its last state."""
        index = self._running()
        if index is not None:
            self.set_state(index, state, text)

    def show_event(self, event: object) -> None:
        """Follow the running run: its folder, its epochs, the time that is left."""
        index = self._running()
        if index is None:
            return
        entry = self._entries[index]
        if isinstance(event, RunStarted | RunMoved):
            entry.path = event.path
            self.moved.emit(entry)
        elif isinstance(event, EpochMetrics) and event.epoch:
            entry.epoch = event.epoch
            training = entry.settings.training
            self._pace[training.network, training.regime] = event.seconds
            self._left = event.seconds_left
            self._write_state(index)
            self._write_count()
        elif isinstance(event, BatchDone) and time.monotonic() - self._left_at > _SECONDS_BETWEEN:
            self._left, self._left_at = event.seconds_left, time.monotonic()
            self._write_count()

    def show_runs(self, runs: Iterable[Run]) -> None:
        """Fill in what the runs on disk gave."""
        by_path = {run.path.resolve(): run for run in runs}
        for index, entry in enumerate(self._entries):
            run = by_path.get(entry.path.resolve()) if entry.path is not None else None
            if run is None:
                continue
            entry.run = run
            if entry.state == "stopped" and run.state == "finished":
                entry.state, entry.text = "done", ""
            seconds = run.record.get("seconds")
            done = run.record.get("epochs_done")
            if isinstance(seconds, int | float) and isinstance(done, int) and done:
                training = entry.settings.training
                self._pace.setdefault((training.network, training.regime), seconds / done)
            self._write_state(index)
        self._write_count()
        self.filled.emit()

    def results(self) -> list[SweepRun]:
        """Return all runs for :func:`core.sweep.results_table`."""
        return [
            SweepRun(
                entry.key,
                entry.settings,
                "finished" if entry.state == "done" else entry.state,
                entry.path,
                entry.text if entry.state == "failed" else "",
            )
            for entry in self._entries
        ]

    def seconds_left(self) -> tuple[float, bool]:
        """Return the time that running and waiting runs still take, and whether that is all.

        Runs of a network and regime that was not trained yet are left out of it.
        """
        index = self._running()
        seconds = self._left if index is not None and self._left == self._left else 0.0
        is_all = index is None or self._left == self._left
        for entry in self.queued():
            training = entry.settings.training
            pace = self._pace.get((training.network, training.regime))
            is_all = is_all and pace is not None
            seconds += entry.epochs_left * (pace or 0.0)
        return seconds, is_all

    def summary(self) -> str:
        """Return how the runs of this list ended."""
        words = {"done": "trained", "stopped": "stopped", "failed": "failed"}
        counts = [(self.states().count(state), self.tr(words[state])) for state in words]
        told = ", ".join(f"{n} {word}" for n, word in counts if n)
        told = told or self.tr("nothing was trained")
        n_waiting = len(self.queued())
        if n_waiting:
            return self.tr("Queue halted: {0}, {1} waiting").format(told, n_waiting)
        return self.tr("Queue done: {0}").format(told)

    # What the user does

    def remove_selected(self) -> None:
        """Take the selected waiting runs off the queue; :meth:`undo_remove` brings them back."""
        doomed = [i for i in self._selected() if self._entries[i].state == "waiting"]
        if not doomed:
            return
        self._gone = [(index, self._entries[index]) for index in sorted(doomed)]
        gone = {index for index, _ in self._gone}
        self._entries = [e for i, e in enumerate(self._entries) if i not in gone]
        self._refill()
        self.removed.emit([entry.key for _, entry in self._gone])
        self.changed.emit()

    def undo_remove(self) -> None:
        """Bring back what was removed last, where it was."""
        if not self._gone:
            return
        back, self._gone = self._gone, []
        for index, entry in back:
            self._entries.insert(min(index, len(self._entries)), entry)
        self._refill([index for index, _ in back])
        self.added.emit([entry for _, entry in back])
        self.ordered.emit([entry.key for entry in self._entries])
        self.changed.emit()

    def retry_selected(self) -> None:
        """Let failed and stopped runs wait once more, at the end; begun ones then go on."""
        again = [self._entries[i] for i in self._selected()]
        again = [entry for entry in again if entry.state in ("failed", "stopped")]
        if not again:
            return
        keys = {entry.key for entry in again}
        self._entries = [e for e in self._entries if e.key not in keys] + again
        for entry in again:
            entry.state, entry.text, entry.epoch = "waiting", "", 0
            self.moved.emit(entry)
        first = len(self._entries) - len(again)
        self._refill(range(first, len(self._entries)))
        self.ordered.emit([entry.key for entry in self._entries])
        self.changed.emit()

    def move_selected(self, step: int) -> None:
        """Move the selected waiting runs one place up (-1) or down (+1) among those that wait."""
        places = [i for i, entry in enumerate(self._entries) if entry.state == "waiting"]
        chosen = [places.index(i) for i in self._selected() if i in places]
        order = [self._entries[place] for place in places]
        if not chosen or min(chosen) + step < 0 or max(chosen) + step >= len(order):
            return
        for rank in sorted(chosen, reverse=step > 0):
            order[rank], order[rank + step] = order[rank + step], order[rank]
        self._set_order(places, order, [places[rank + step] for rank in chosen])

    def drop_selected(self, row: int) -> None:
        """Move the selected waiting runs before the run of ``row``."""
        places = [i for i, entry in enumerate(self._entries) if entry.state == "waiting"]
        dragged = [i for i in sorted(self._selected()) if i in places]
        if not dragged:
            return
        before = [i for i in places if i < row and i not in dragged]
        after = [i for i in places if i >= row and i not in dragged]
        order = [self._entries[i] for i in (*before, *dragged, *after)]
        first = len(before)
        self._set_order(places, order, places[first : first + len(dragged)])

    def clear_ended(self) -> None:
        """Take done, stopped and failed runs off the list."""
        gone = [entry.key for entry in self._entries if entry.state in _ENDED]
        self._entries = [e for e in self._entries if e.state not in _ENDED]
        self._refill()
        if gone:
            self.removed.emit(gone)
        self.changed.emit()

    def set_paused(self, is_paused: bool) -> None:
        """Show whether the queue halts after the run under way."""
        self.pause_button.setChecked(is_paused)

    def build_menu(self) -> QMenu:
        """Return what can be done with the selected runs."""
        menu = QMenu(self)
        for button, keys in (
            (self._up, "Alt+Up"),
            (self._down, "Alt+Down"),
            (self._remove, "Del"),
            (self._undo, "Ctrl+Z"),
            (self._retry, ""),
            (self._clear, ""),
            (self._table, ""),
        ):
            words = f"{button.text()}\t{keys}" if keys else button.text()
            action = menu.addAction(button.icon(), words)
            action.setEnabled(button.isEnabled())
            action.triggered.connect(button.click)
        return menu

    # Qt

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_clear"):
            self._refill()

    # Inside

    def _build_buttons(self) -> None:
        tr = self.tr
        self.pause_button = self._button(
            tr("Pause after this run"), tr("Let the run under way end, then wait"), None
        )
        self.pause_button.setCheckable(True)
        self.pause_button.toggled.connect(self.pause_toggled)
        self.skip_button = self._button(
            tr("Skip"), tr("Stop the run under way and go on with the next"), None
        )
        self.skip_button.clicked.connect(self.skip_requested)
        self._up = self._button(
            tr("Up"), tr("Train the selected runs earlier (Alt+Up)"), self._on_up
        )
        self._down = self._button(
            tr("Down"), tr("Train the selected runs later (Alt+Down)"), self._on_down
        )
        self._remove = self._button(
            tr("Remove"),
            tr("Take the selected waiting runs off the queue (Delete)"),
            self.remove_selected,
        )
        self._undo = self._button(
            tr("Undo remove"), tr("Bring back what was removed last (Ctrl+Z)"), self.undo_remove
        )
        self._retry = self._button(
            tr("Try again"),
            tr("Let the selected failed or stopped runs wait once more; begun ones go on"),
            self.retry_selected,
        )
        self._clear = self._button(
            tr("Clear ended"),
            tr("Take ended runs off this list; they stay on disk"),
            self.clear_ended,
        )
        self._table = self._button(
            tr("Table…"), tr("All runs of the queue with their accuracies, to copy or save"), None
        )
        self._table.clicked.connect(self.table_requested)
        for button, name in (
            (self.pause_button, "pause"),
            (self.skip_button, "skip-forward"),
            (self._up, "arrow-up"),
            (self._down, "arrow-down"),
            (self._remove, "trash-2"),
            (self._undo, "undo-2"),
            (self._retry, "rotate-ccw"),
            (self._clear, "eraser"),
            (self._table, "table"),
        ):
            put_icon(button, name)
        self._button_row = WrappingRow(spacing=4)
        for button in (
            self.pause_button,
            self.skip_button,
            self._up,
            self._down,
            self._remove,
            self._undo,
            self._retry,
            self._clear,
            self._table,
        ):
            self._button_row.addWidget(button)

    def _button(self, text: str, help_text: str, slot: object) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(help_text)
        if slot is not None:
            button.clicked.connect(slot)
        return button

    def _connect_list(self) -> None:
        self._list.itemSelectionChanged.connect(self._update_buttons)
        self._list.customContextMenuRequested.connect(self._on_menu)
        self._list.remove_asked.connect(self.remove_selected)
        self._list.undo_asked.connect(self.undo_remove)
        self._list.step_asked.connect(self.move_selected)
        self._list.dropped_at.connect(self.drop_selected)
        self._list.setAccessibleName(self.tr("Queue of runs"))
        self._list.setToolTip(
            self.tr("Drag waiting runs, or press Alt+Up and Alt+Down, to change their order")
        )

    def _set_order(
        self, places: Sequence[int], order: Sequence[QueuedRun], selected: Iterable[int]
    ) -> None:
        """Put the waiting runs at their places in a new order; others stay where they are."""
        for place, entry in zip(places, order, strict=True):
            self._entries[place] = entry
        self._refill(selected)
        self.ordered.emit([entry.key for entry in self._entries])
        self.changed.emit()

    def _running(self) -> int | None:
        return next((i for i, e in enumerate(self._entries) if e.state == "running"), None)

    def _refill(self, selected: Iterable[int] = ()) -> None:
        chosen = set(selected)
        self._list.clear()
        for index, entry in enumerate(self._entries):
            settings = entry.settings
            item = QTreeWidgetItem([run_text(settings), split_short(settings), ""])
            item.setFlags(_flags(entry))
            self._list.addTopLevelItem(item)
            self._write_state(index)
            item.setSelected(index in chosen)
            if entry.state == "running":
                self._list.scrollToItem(item)
        self._write_count()
        self._update_buttons()

    def _write_state(self, index: int) -> None:
        entry, item = self._entries[index], self._list.topLevelItem(index)
        item.setText(2, f"{STATE_SYMBOLS[entry.state]} {self._state_text(entry)}")
        for column in range(3):
            item.setToolTip(column, self._details(entry))
        is_leaking = entry.state == "done" and entry.run is not None and entry.run.leaks
        if entry.state == "failed" or is_leaking:
            item.setForeground(2, alert_colour(self))

    def _state_text(self, entry: QueuedRun) -> str:
        if entry.state == "running" and entry.epoch:
            return f"{entry.epoch}/{entry.settings.epochs}"
        if entry.state == "done" and entry.run is not None:
            accuracy = entry.run.test_accuracy
            text = "–" if accuracy is None else f"{100 * accuracy:.1f} %"
            return self.tr("{0}, leaks").format(text) if entry.run.leaks else f"test {text}"
        if entry.state == "waiting":
            return self.tr("{n} epochs").format(n=entry.epochs_left)
        return self.tr(entry.state)

    def _details(self, entry: QueuedRun) -> str:
        settings = entry.settings
        lines = [
            self.tr(
                "{run}, {n} epochs, split by {split}, seed {seed}, learning rate {rate:g}"
            ).format(
                run=run_text(settings),
                n=settings.epochs,
                split=choice_title(settings.split.mode).lower(),
                seed=settings.training.seed,
                rate=settings.learning_rate,
            )
        ]
        if entry.cohort is not None:
            lines.append(self.tr("Cohort {0}").format(entry.cohort.stem))
        run = entry.run if entry.state == "done" else None
        lines += filter(None, (entry.text, run.warning if run is not None else ""))
        return "\n".join(lines)

    def _write_count(self) -> None:
        n_waiting = len(self.queued())
        if not self._entries:
            self._count.setText(self.tr("Queue: empty. Add to queue puts runs here."))
            return
        text = self.tr("Queue: {n} waiting").format(n=n_waiting)
        seconds, is_all = self.seconds_left()
        if seconds:
            left = duration_text(seconds)
            words = self.tr("{0} left") if is_all else self.tr("more than {0} left")
            text += ", " + words.format(left)
        self._count.setText(text)

    def _selected(self) -> list[int]:
        return [self._list.indexOfTopLevelItem(item) for item in self._list.selectedItems()]

    def _update_buttons(self) -> None:
        """Show the buttons that can do something now; the others only cost room."""
        chosen = [self._entries[index].state for index in self._selected()]
        states = self.states()
        is_running = "running" in states
        can = {
            self.pause_button: is_running,
            self.skip_button: is_running,
            self._up: "waiting" in chosen and states.count("waiting") > 1,
            self._down: "waiting" in chosen and states.count("waiting") > 1,
            self._remove: "waiting" in chosen,
            self._undo: bool(self._gone),
            self._retry: "failed" in chosen or "stopped" in chosen,
            self._clear: any(state in _ENDED for state in states),
            self._table: bool(states),
        }
        for button, is_able in can.items():
            button.setEnabled(is_able)
            button.setVisible(is_able)

    def _on_up(self) -> None:
        self.move_selected(-1)

    def _on_down(self) -> None:
        self.move_selected(1)

    def _on_menu(self, place: QPoint) -> None:
        self.build_menu().exec(self._list.viewport().mapToGlobal(place))


def _flags(entry: QueuedRun) -> Qt.ItemFlag:
    flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
    return flags | Qt.ItemFlag.ItemIsDragEnabled if entry.state == "waiting" else flags
