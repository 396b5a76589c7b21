"""Cohorts and runs that were opened before; those that are gone are grey and can be taken off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from mrifcl_gui.elided_label import ElidedLabel
from mrifcl_gui.theme import BODY, GAP, SMALL, set_type

MOST_SHOWN = 6
COHORT_SUFFIX = ".mrifcl"


class RecentList(QWidget):
    """One line each, the newest first; hidden where there is none."""

    chosen = Signal(object)  # Path
    removed = Signal(object)  # Path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        heading = QLabel(self.tr("Recent cohorts and runs"), self)
        set_type(heading, BODY, bold=True)
        self._lines = QVBoxLayout()
        self._lines.setSpacing(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addWidget(heading)
        column.addLayout(self._lines)

    def show_paths(self, paths: Sequence[Path], *, gone: Collection[Path] = ()) -> None:
        """List ``paths``; those in ``gone`` are not where they were."""
        while item := self._lines.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for path in paths[:MOST_SHOWN]:
            line = _RecentLine(path)
            line.mark_gone(path in gone)
            line.chosen.connect(self.chosen)
            line.removed.connect(self.removed)
            self._lines.addWidget(line)
        self.setVisible(bool(paths))

    def mark_gone(self, path: Path, is_gone: bool) -> None:
        """Say of the line of ``path``, where there is one, whether it is where it was."""
        for number in range(self._lines.count()):
            line = self._lines.itemAt(number).widget()
            if isinstance(line, _RecentLine) and line.path == path:
                line.mark_gone(is_gone)


class _RecentLine(QWidget):
    """The name opens it; beside it what and where it is, or that it is gone."""

    chosen = Signal(object)
    removed = Signal(object)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        name = self._name = QPushButton(path.name, self)
        name.setFlat(True)
        name.setCursor(Qt.CursorShape.PointingHandCursor)
        name.setToolTip(str(path))
        name.setAccessibleName(self.tr("Open {name}").format(name=path.name))
        name.setStyleSheet("text-align: left; padding: 3px 6px;")
        name.clicked.connect(self._on_chosen)
        self._place = ElidedLabel(parent=self)
        self._place.setEnabled(False)  # grey
        set_type(self._place, SMALL)
        self._remove = self._build_remove()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        row.addWidget(name)
        row.addWidget(self._place, 1)
        row.addWidget(self._remove)
        self.mark_gone(False)

    def mark_gone(self, is_gone: bool) -> None:
        """Turn grey what is no longer where it was, and offer to forget it."""
        self._name.setEnabled(not is_gone)
        kind = self.tr("cohort") if self.path.suffix == COHORT_SUFFIX else self.tr("run")
        where = self.tr("not found any more in") if is_gone else self.tr("in")
        self._place.setText(f"{kind} {where} {self.path.parent}")
        self._remove.setVisible(is_gone)

    def _build_remove(self) -> QPushButton:
        remove = QPushButton(self.tr("Remove from list"), self)
        remove.setToolTip(self.tr("Forget it here; nothing on the disk is changed"))
        remove.setAccessibleName(self.tr("Remove {name} from the list").format(name=self.path.name))
        remove.clicked.connect(self._on_removed)
        return remove

    def _on_chosen(self) -> None:
        self.chosen.emit(self.path)

    def _on_removed(self) -> None:
        self.removed.emit(self.path)
