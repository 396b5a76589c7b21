"""The first files as they will be read: file, subject, session, slice, class."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from core.data.cohort import order_classes
from core.data.folder_look import ReadFile
from mrifcl_gui.class_mark import class_icon


class NamePreview(QTableWidget):
    """A table to look at; what no class or subject is found for is said in its cell."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 5, parent)
        self.setAccessibleName(self.tr("Files as they will be read"))
        self.setHorizontalHeaderLabels(
            [
                self.tr("File"),
                self.tr("Subject"),
                self.tr("Session"),
                self.tr("Slice"),
                self.tr("Class"),
            ]
        )
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_rows(self, rows: Sequence[ReadFile], *, has_pattern: bool) -> None:
        """Show how files are read; what a pattern of the user's told is bold."""
        order = {label: place for place, label in enumerate(order_classes(r.label for r in rows))}
        has_slices = any(row.slice_number is not None for row in rows)
        self.setColumnHidden(2, not any(row.session for row in rows))
        self.setColumnHidden(3, not has_slices)
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            number_text = "" if row.slice_number is None else str(row.slice_number)
            file = self._cell(number, 0, row.file)
            file.setToolTip(row.file)
            subject = self._cell(
                number, 1, row.subject or self.tr("by header"), faint=not row.subject
            )
            if has_pattern and row.by_pattern:
                font = QFont(self.font())
                font.setBold(True)
                subject.setFont(font)
            self._cell(number, 2, row.session)
            self._cell(number, 3, number_text).setTextAlignment(
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            )
            label = self._cell(
                number, 4, row.label or self.tr("none, left out"), faint=not row.label
            )
            if row.label:
                label.setIcon(class_icon(row.label, order[row.label]))

    def _cell(self, row: int, column: int, text: str, *, faint: bool = False) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        if faint:
            item.setForeground(self.palette().color(QPalette.ColorRole.PlaceholderText))
        self.setItem(row, column, item)
        return item
