"""Show a Table: sortable, numbers aligned, copied and exported as it is."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionHeader,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from core.figure import Table
from mrifcl_gui.config_form import AlertLabel
from mrifcl_gui.export import Exporter, rows_as_text
from mrifcl_gui.icons import put_icon
from mrifcl_gui.theme import MARGIN, scaled
from mrifcl_gui.wrapped_label import WrappedLabel

Index = QModelIndex | QPersistentModelIndex
EMPTY_CELL = "–"
_ROW_HEIGHT = 24
_GAP = "\u2002"  # after a number, half as wide as letters are high
_MEASURED = 8  # of the longest texts of a column: one of fewer letters may be wider
_SORT_ROLE = Qt.ItemDataRole.UserRole


def cell_text(value: Any) -> str:  # noqa: ANN401 - any cell value
    """Return what a cell shows: floats with four significant digits, ``–`` where empty."""
    if _is_empty(value):
        return EMPTY_CELL
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return _float_text(float(value))
    return str(value)


def column_words(name: str) -> str:
    """Return a column's name for people: ``train_accuracy`` is shown as "train accuracy"."""
    return name.replace("_", " ")


class TableModel(QAbstractTableModel):
    """The rows of a Table for Qt's table views."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table: Table | None = None
        self._numeric: tuple[bool, ...] = ()

    @property
    def table(self) -> Table | None:
        """The table shown now."""
        return self._table

    def set_table(self, table: Table | None) -> None:
        """Show ``table``; None for nothing."""
        self.beginResetModel()
        self._table = table
        columns = zip(*table.rows, strict=True) if table is not None else ()
        self._numeric = tuple(any(_is_number(cell) for cell in column) for column in columns)
        self.endResetModel()

    def texts(self) -> Iterator[list[str]]:
        """Yield what the cells of each column show."""
        if self._table is not None:
            for column in range(len(self._table.columns)):
                yield [cell_text(row[column]) for row in self._table.rows]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() or self._table is None else len(self._table.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() or self._table is None else len(self._table.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401, D102
        if self._table is None or not index.isValid():
            return None
        value = self._table.rows[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(value)
        if role == Qt.ItemDataRole.ToolTipRole:
            return None if _is_empty(value) else str(value)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(index.column())
        if role == _SORT_ROLE:
            return value
        return None

    def headerData(  # noqa: D102
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:  # noqa: ANN401
        if self._table is None or orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return column_words(self._table.columns[section])
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._table.columns[section]  # as in the CSV
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(section)
        return None

    def _alignment(self, column: int) -> Qt.AlignmentFlag:
        is_numeric = column < len(self._numeric) and self._numeric[column]
        side = Qt.AlignmentFlag.AlignRight if is_numeric else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter


class TableView(QWidget):
    """A table with its title, caption and warning; Ctrl+C copies the selection.

    Signals
    -------
    saved(Path), failed(str)
        The end of an export from the context menu.
    row_chosen(int)
        A row was double-clicked or Return was pressed; its index in the Table.
    """

    saved = Signal(object)
    failed = Signal(str)
    row_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = TableModel(self)
        self._sorted = _SortedRows(self)
        self._sorted.setSourceModel(self._model)
        self._title = _label(bold=True)
        self._caption, self._warning = _label(), AlertLabel(self)
        self.view = self._build_view()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._title)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._caption)
        layout.addWidget(self._warning)
        self.exporter = Exporter(self.table, self)
        self.exporter.saved.connect(self.saved)
        self.exporter.failed.connect(self.failed)

    def table(self) -> Table | None:
        """Return the table shown now."""
        return self._model.table

    def show_table(self, table: Table, *, shows_warning: bool = True) -> None:
        """Show ``table``; the sorting stays where the columns are the same.

        ``shows_warning`` False is for a table beside something that shows the same warning.
        """
        self.view.show()
        same_columns = self._model.table is not None and self._model.table.columns == table.columns
        if not same_columns:
            # Before there are rows, which would be put in the order of the last table first.
            self._sorted.sort(-1)
            self.view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._model.set_table(table)
        if not same_columns:
            self._fit_columns()
        self._set_texts(table.title, table.caption, table.warning if shows_warning else "")

    def clear_table(self, empty_text: str) -> None:
        """Show no rows and ``empty_text``."""
        self._model.set_table(None)
        # An empty frame would look like something that is missing.
        self.view.hide()
        self._set_texts("", empty_text, "")

    def copy_selection(self) -> None:
        """Copy the selected cells, with their headings where whole rows are selected."""
        table = self._model.table
        chosen = self.view.selectionModel().selectedIndexes()
        if table is None or not chosen:
            return
        columns = sorted({index.column() for index in chosen})
        rows = sorted({index.row() for index in chosen})
        source = [self._sorted.mapToSource(self._sorted.index(row, 0)).row() for row in rows]
        cells = {(index.row(), index.column()) for index in chosen}
        text_rows: list[tuple[object, ...]] = [
            tuple(
                table.rows[origin][column] if (row, column) in cells else "" for column in columns
            )
            for row, origin in zip(rows, source, strict=True)
        ]
        if len(columns) == len(table.columns):
            text_rows.insert(0, table.columns)
        QGuiApplication.clipboard().setText(rows_as_text(text_rows))

    def build_menu(self) -> QMenu:
        """Return a new context menu."""
        menu = QMenu(self)
        action = menu.addAction(self.tr("Copy selection"))
        action.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        action.triggered.connect(self.copy_selection)
        put_icon(action, "copy")
        self.exporter.add_actions(menu)
        return menu

    def _build_view(self) -> QTableView:
        view = QTableView(self)
        view.setModel(self._sorted)
        view.setSortingEnabled(True)
        view.setAlternatingRowColors(True)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setTabKeyNavigation(False)
        view.setAccessibleName(self.tr("Table"))
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(scaled(_ROW_HEIGHT))
        view.setItemDelegate(_GappedCells(view))
        view.setHorizontalHeader(_GappedHeader(Qt.Orientation.Horizontal, view))
        view.horizontalHeader().setSectionsClickable(True)
        view.horizontalHeader().setHighlightSections(False)
        view.horizontalHeader().setStretchLastSection(False)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._on_menu_requested)
        view.activated.connect(self._on_activated)
        view.installEventFilter(self)
        return view

    def _fit_columns(self) -> None:
        """Make each column as wide as it needs, with a gap, so that neighbours stay apart."""
        header, metrics = self.view.horizontalHeader(), self.view.fontMetrics()
        for column, cells in enumerate(self._model.texts()):
            # Qt would ask for each cell a dozen times: a third of a second for a thousand rows.
            longest = heapq.nlargest(_MEASURED, cells, key=len)
            text = max((metrics.horizontalAdvance(cell + _GAP) for cell in longest), default=0)
            header.resizeSection(column, max(header.sectionSizeHint(column), text) + MARGIN)

    def _set_texts(self, title: str, caption: str, warning: str) -> None:
        for label, text in ((self._title, title), (self._caption, caption)):
            label.setText(text)
            label.setVisible(bool(text))
        self._warning.show_text(warning)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep Ctrl+C for the table that has the keyboard; the window copies figures with it."""
        if isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Copy):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self.copy_selection()
                return True
        return super().eventFilter(watched, event)

    def _on_menu_requested(self, place: QPoint) -> None:
        menu = self.build_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(place))

    def _on_activated(self, index: QModelIndex) -> None:
        self.row_chosen.emit(self._sorted.mapToSource(index).row())


class _GappedCells(QStyledItemDelegate):
    """Keeps numbers, which end at the right, apart from the words of the next column."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        if option.displayAlignment & Qt.AlignmentFlag.AlignRight:
            option.text += _GAP


class _GappedHeader(QHeaderView):
    """Keeps the headings of numbers above them."""

    def initStyleOptionForIndex(self, option: QStyleOptionHeader, section: int) -> None:
        super().initStyleOptionForIndex(option, section)
        if option.textAlignment & Qt.AlignmentFlag.AlignRight:
            option.text += _GAP


class _SortedRows(QSortFilterProxyModel):
    """Sorts numbers as numbers and keeps empty cells at the end in both directions."""

    def lessThan(self, left: Index, right: Index) -> bool:
        a, b = left.data(_SORT_ROLE), right.data(_SORT_ROLE)
        if _is_empty(a) or _is_empty(b):
            is_upward = self.sortOrder() == Qt.SortOrder.AscendingOrder
            return is_upward != _is_empty(a) and _is_empty(a) != _is_empty(b)
        if _is_number(a) and _is_number(b):
            return bool(a < b)
        return str(a).casefold() < str(b).casefold()


def _label(*, bold: bool = False) -> QLabel:
    label = WrappedLabel()
    label.setVisible(False)
    if bold:
        font = label.font()
        font.setBold(True)
        label.setFont(font)
    return label


def _float_text(value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.4g}"
    # 1.0 and not 1, so that a fraction is seen to be one.
    return text if any(mark in text for mark in ".e") else f"{value:.1f}"


def _is_empty(value: object) -> bool:
    if value is None or value == "":
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
