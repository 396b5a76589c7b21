"""Which classes to take, each with its mark and counts."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from core.data.findings import counted
from core.data.folder_look import ClassCount
from mrifcl_gui.class_mark import class_icon

_MOST_ROWS = 7
_ROW_HEIGHT = 24


class ClassChoice(QListWidget):
    """A list of classes with check boxes; all are taken at first."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Classes to take"))
        self._classes: tuple[ClassCount, ...] = ()
        self._left: set[str] = set()
        self.setIconSize(QSize(13, 13))
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(self._on_item)

    @property
    def chosen(self) -> tuple[ClassCount, ...]:
        """The classes to take, in their order."""
        return tuple(item for item in self._classes if item.label not in self._left)

    @property
    def are_all_chosen(self) -> bool:
        """Whether no class is left out."""
        return len(self.chosen) == len(self._classes)

    def show_classes(self, classes: Sequence[ClassCount]) -> None:
        """List the classes; those that the user left out before stay so."""
        self._classes = tuple(classes)
        with QSignalBlocker(self):
            self.clear()
            for order, found in enumerate(self._classes):
                text = f"{found.label}: {counts_text(found)}"
                item = QListWidgetItem(class_icon(found.label, order), text)
                is_left = found.label in self._left
                item.setCheckState(Qt.CheckState.Unchecked if is_left else Qt.CheckState.Checked)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                item.setToolTip(text)
                item.setSizeHint(QSize(0, _ROW_HEIGHT))
                self.addItem(item)
        # As high as its classes, so that what is left out has the rest.
        rows = min(max(self.count(), 2), _MOST_ROWS)
        self.setFixedHeight(rows * _ROW_HEIGHT + 2 * self.frameWidth())

    def _on_item(self, item: QListWidgetItem) -> None:
        label = self._classes[self.row(item)].label
        if item.checkState() == Qt.CheckState.Checked:
            self._left.discard(label)
        else:
            self._left.add(label)
        self.changed.emit()


def counts_text(found: ClassCount) -> str:
    """Say how many subjects and files a class has."""
    files = counted(found.n_files, "file")
    if not found.n_unnamed:
        return f"{counted(len(found.subjects), 'subject')}, {files}"
    if found.subjects:
        return f"{counted(len(found.subjects), 'subject')} and others by header, {files}"
    return f"{files}, subjects by header"
