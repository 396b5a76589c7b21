"""The list of runs to do: waiting, running, done, failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.config import NETWORK_TITLES, REGIME_TITLES, RunSettings
from mrifcl_gui.config_form import alert_colour, choice_title

ROW_HEIGHT = 22
RunState = Literal["waiting", "running", "done", "stopped", "failed"]
STATE_SYMBOLS: dict[RunState, str] = {
    "waiting": "○",
    "running": "▶",
    "done": "✓",
    "stopped": "■",
    "failed": "✕",
}


def run_text(settings: RunSettings) -> str:
    """Return network and regime of a run in words."""
    training = settings.training
    return f"{NETWORK_TITLES[training.network]} × {REGIME_TITLES[training.regime]}"


@dataclass
class _Entry:
    settings: RunSettings
    state: RunState = "waiting"
    text: str = ""


class RoomyDelegate(QStyledItemDelegate):
    """Rows high enough to hit and read."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Return the usual size, but at least ``ROW_HEIGHT`` pixels high."""
        return super().sizeHint(option, index).expandedTo(QSize(0, ROW_HEIGHT))


class RunQueueView(QWidget):
    """The queue; it keeps the order of adding, and only what waits can be removed."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[_Entry] = []
        self._list = self._build_list()
        self._count = QLabel(self)
        self._remove = QPushButton(self.tr("Remove"), self)
        self._remove.setToolTip(self.tr("Take the selected waiting runs off the queue (Delete)"))
        self._remove.clicked.connect(self.remove_selected)
        self._clear = QPushButton(self.tr("Clear done"), self)
        self._clear.setToolTip(self.tr("Take ended runs off this list; they stay on disk"))
        self._clear.clicked.connect(self.clear_ended)
        self._list.itemSelectionChanged.connect(self._update_buttons)
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self._list)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self.remove_selected)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._count, 1)
        top.addWidget(self._remove)
        top.addWidget(self._clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self._list, 1)
        self._refill()

    def add(self, runs: Sequence[RunSettings]) -> None:
        """Append ``runs`` as waiting."""
        self._entries += [_Entry(settings) for settings in runs]
        self._refill()
        self.changed.emit()

    def waiting(self) -> list[RunSettings]:
        """Return the waiting runs in order."""
        return [entry.settings for entry in self._entries if entry.state == "waiting"]

    def states(self) -> list[RunState]:
        """Return the state of every entry."""
        return [entry.state for entry in self._entries]

    def set_state(self, index: int, state: RunState, text: str = "") -> None:
        """Set the state of one entry; ``text`` says why it failed or what it gave."""
        self._entries[index].state = state
        self._entries[index].text = text
        self._refill()
        self.changed.emit()

    def mark_running(self, settings: RunSettings) -> None:
        """Mark the first waiting run with these ``settings``; append one where there is none."""
        for index, entry in enumerate(self._entries):
            if entry.state == "waiting" and entry.settings == settings:
                self.set_state(index, "running")
                return
        self._entries.append(_Entry(settings, "running"))
        self._refill()
        self.changed.emit()

    def mark_ended(self, state: RunState, text: str = "") -> None:
        """Give the running entry its last state."""
        for index, entry in enumerate(self._entries):
            if entry.state == "running":
                self.set_state(index, state, text)
                return

    def remove_selected(self) -> None:
        """Take the selected waiting runs off the queue."""
        doomed = {index for index in self._selected() if self._entries[index].state == "waiting"}
        self._entries = [e for i, e in enumerate(self._entries) if i not in doomed]
        self._refill()
        if doomed:
            self.changed.emit()

    def clear_ended(self) -> None:
        """Take done, stopped and failed runs off the list."""
        self._entries = [e for e in self._entries if e.state in ("waiting", "running")]
        self._refill()
        self.changed.emit()

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_clear"):
            self._refill()

    def _build_list(self) -> QTreeWidget:
        view = QTreeWidget(self)
        view.setColumnCount(3)
        view.setHeaderHidden(True)
        view.setRootIsDecorated(False)
        view.setUniformRowHeights(True)
        view.setItemDelegate(RoomyDelegate(view))
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setAccessibleName(self.tr("Queue of runs"))
        view.setMinimumHeight(72)
        header = view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        return view

    def _refill(self) -> None:
        self._list.clear()
        for entry in self._entries:
            settings = entry.settings
            item = QTreeWidgetItem(
                [
                    run_text(settings),
                    self.tr("{n} epochs").format(n=settings.epochs),
                    f"{STATE_SYMBOLS[entry.state]} {self.tr(entry.state)}",
                ]
            )
            item.setToolTip(0, self._details(entry))
            item.setToolTip(2, entry.text)
            if entry.state == "failed":
                item.setForeground(2, alert_colour(self))
            self._list.addTopLevelItem(item)
            if entry.state == "running":
                self._list.scrollToItem(item)
        n_waiting = len(self.waiting())
        self._count.setText(
            self.tr("Queue: {n} waiting").format(n=n_waiting)
            if self._entries
            else self.tr("Queue: empty")
        )
        self._update_buttons()

    def _details(self, entry: _Entry) -> str:
        settings = entry.settings
        text = self.tr("Split by {split}, seed {seed}, learning rate {rate:g}").format(
            split=choice_title(settings.split.mode).lower(),
            seed=settings.training.seed,
            rate=settings.learning_rate,
        )
        return f"{text}\n{entry.text}" if entry.text else text

    def _selected(self) -> list[int]:
        return [self._list.indexOfTopLevelItem(item) for item in self._list.selectedItems()]

    def _update_buttons(self) -> None:
        states = [self._entries[index].state for index in self._selected()]
        self._remove.setEnabled("waiting" in states)
        ended = [e for e in self._entries if e.state in ("done", "stopped", "failed")]
        self._clear.setEnabled(bool(ended))
