"""The list that shows the queue: rows to drag, and keys for what is done most."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QDropEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QWidget,
)

ROW_HEIGHT = 22
_LEAST_ROWS, _MOST_ROWS = 3, 8


class RoomyDelegate(QStyledItemDelegate):
    """Rows high enough to hit and read."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Return the usual size, but at least ``ROW_HEIGHT`` pixels high."""
        return super().sizeHint(option, index).expandedTo(QSize(0, ROW_HEIGHT))


class QueueList(QTreeWidget):
    """Three columns: the run, its split, its state. It moves nothing itself, it only asks.

    Signals
    -------
    remove_asked(), undo_asked(), step_asked(int)
        Delete, Ctrl+Z, Alt+Up (-1) and Alt+Down (+1).
    dropped_at(int)
        The selected rows were dropped before this row.
    """

    remove_asked = Signal()
    undo_asked = Signal()
    step_asked = Signal(int)
    dropped_at = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setColumnCount(3)
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setItemDelegate(RoomyDelegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setMinimumHeight(72)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        for changed in (self.model().rowsInserted, self.model().rowsRemoved):
            changed.connect(self._on_rows_changed)
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)

    def sizeHint(self) -> QSize:
        """Return room for the runs, up to a fifth of a small window: the form needs the rest."""
        rows = min(max(self.topLevelItemCount(), _LEAST_ROWS), _MOST_ROWS)
        return QSize(super().sizeHint().width(), rows * ROW_HEIGHT + 2 * self.frameWidth())

    def _on_rows_changed(self) -> None:
        self.updateGeometry()

    def event(self, event: QEvent) -> bool:
        """Keep Ctrl+Z for the queue while it has the keyboard; the window undoes other things."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.matches(QKeySequence.StandardKey.Undo)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Turn keys into what they ask for."""
        is_alt = event.modifiers() == Qt.KeyboardModifier.AltModifier
        if event.matches(QKeySequence.StandardKey.Delete):
            self.remove_asked.emit()
        elif event.matches(QKeySequence.StandardKey.Undo):
            self.undo_asked.emit()
        elif is_alt and event.key() == Qt.Key.Key_Up:
            self.step_asked.emit(-1)
        elif is_alt and event.key() == Qt.Key.Key_Down:
            self.step_asked.emit(1)
        else:
            super().keyPressEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Ask for the new order; Qt must not move the rows itself."""
        if event.source() is not self:
            event.ignore()
            return
        place = event.position().toPoint()
        index = self.indexAt(place)
        row = index.row() if index.isValid() else self.topLevelItemCount()
        if index.isValid() and place.y() > self.visualRect(index).center().y():
            row += 1
        # As a copy: after a move Qt would remove the dragged rows.
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.dropped_at.emit(row)
