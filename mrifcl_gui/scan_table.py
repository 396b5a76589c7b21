"""The scans of a cohort as a table: which take part, and of which class they are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QBrush, QColor, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from core.data.cohort import Cohort, Scan, order_classes
from core.data.cohort_checks import refreshed
from mrifcl_gui.class_mark import class_icon
from mrifcl_gui.thumbnails import Thumbnails

Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()
_MARK_SIZE = QSize(16, 16)
_MOST_MEASURED = 300


class Column(IntEnum):
    """The columns, from left to right."""

    INCLUDE = 0
    SUBJECT = 1
    SESSION = 2
    CLASS = 3
    KIND = 4
    WARNINGS = 5
    SHAPE = 6
    SPACING = 7
    ORIENTATION = 8
    DATATYPE = 9


# Counting an enumeration's members is slow, and Qt asks thousands of times.
_N_COLUMNS = len(Column)


def class_labels(cohort: Cohort) -> tuple[str, ...]:
    """Return all classes of the scans, those left out too, in the order of the FCL's rows."""
    return order_classes((*cohort.classes, *(scan.label for scan in cohort.scans)))


def with_included(cohort: Cohort, keys: Collection[str], included: bool) -> Cohort:
    """Return the cohort with these scans taken in or left out."""
    return _with_scans(
        cohort,
        (
            dataclasses.replace(scan, included=included) if scan.key in keys else scan
            for scan in cohort.scans
        ),
    )


def with_label(cohort: Cohort, keys: Collection[str], label: str) -> Cohort:
    """Return the cohort with the subjects of these scans in another class.

    All scans of a subject go together: a class belongs to a person, and a subject of
    two classes could not be split.
    """
    subjects = {scan.subject for scan in cohort.scans if scan.key in keys}
    return _with_scans(
        cohort,
        (
            dataclasses.replace(scan, label=label) if scan.subject in subjects else scan
            for scan in cohort.scans
        ),
    )


def _with_scans(cohort: Cohort, scans: Any) -> Cohort:  # noqa: ANN401 - an iterable of Scan
    changed = cohort.with_scans(scans)
    # A class of which nobody is left would only be in the way of training.
    labels = order_classes(scan.label for scan in changed.included_scans)
    # What is doubtful about the scans together depends on which take part.
    return refreshed(dataclasses.replace(changed, classes=labels))


class ScanTableModel(QAbstractTableModel):
    """The scans of a cohort, one a row; asks for changes but does not make them.

    ``include_asked`` carries the key of a scan and whether it shall take part,
    ``label_asked`` a key and a class. Whoever owns the cohort answers with
    :meth:`show_cohort`.
    """

    include_asked = Signal(str, bool)
    label_asked = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cohort: Cohort | None = None
        self._labels: tuple[str, ...] = ()
        self._thumbnails: Thumbnails | None = None
        self._headers = (
            "",
            self.tr("Subject"),
            self.tr("Session"),
            self.tr("Class"),
            self.tr("Scans"),
            self.tr("Warnings"),
            self.tr("Shape"),
            self.tr("Voxel, mm"),
            self.tr("Axes"),
            self.tr("Type"),
        )
        self._header_tips = {
            Column.INCLUDE: self.tr("Takes part in training"),
            Column.CLASS: self.tr("F2 or double click changes the class of a subject"),
            Column.SHAPE: self.tr("Voxels of a volume; rows × columns of ready-made slices"),
            Column.ORIENTATION: self.tr(
                "Where the stored axes point to: Left, Right, Anterior, Posterior, Inferior, "
                "Superior; ? where left and right are not certain"
            ),
            Column.DATATYPE: self.tr("Kind of number that is stored"),
        }

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes in the table."""
        return self._labels

    def header(self, column: int) -> str:
        """Return the title of a column; empty for the tick box."""
        return self._headers[column]

    def show_thumbnails(self, thumbnails: Thumbnails | None) -> None:
        """Show small pictures beside the subjects, or none."""
        self._thumbnails = thumbnails
        if rows := self.rowCount():
            last = self.index(rows - 1, Column.SUBJECT)
            roles = [Qt.ItemDataRole.DecorationRole]
            self.dataChanged.emit(self.index(0, Column.SUBJECT), last, roles)

    def show_cohort(self, cohort: Cohort | None) -> None:
        """Show the scans of ``cohort``; the selection stays where the same scans are shown."""
        old = self._cohort
        self._labels = class_labels(cohort) if cohort is not None else ()
        if old is not None and cohort is not None and _keys(old) == _keys(cohort):
            self._cohort = cohort
            last = self.index(len(cohort.scans) - 1, self.columnCount() - 1)
            self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._cohort = cohort
        self.endResetModel()

    def scan_at(self, row: int) -> Scan:
        """Return the scan of a row."""
        assert self._cohort is not None
        return self._cohort.scans[row]

    def row_of(self, key: str) -> int | None:
        """Return the row of a scan, or None if it is not in the table."""
        scans = self._cohort.scans if self._cohort is not None else ()
        return next((row for row, scan in enumerate(scans) if scan.key == key), None)

    def text(self, scan: Scan, column: int) -> str:
        """Return what a cell says."""
        match column:
            case Column.SUBJECT:
                return scan.subject
            case Column.SESSION:
                return scan.session
            case Column.CLASS:
                return scan.label
            case Column.KIND:
                return self._kind(scan)
            case Column.SHAPE:
                return "×".join(map(str, scan.shape))
            case Column.SPACING:
                return _spacing_text(scan.spacing_mm)
            case Column.ORIENTATION:
                return _orientation_text(scan)
            case Column.DATATYPE:
                return scan.datatype
            case Column.WARNINGS:
                return self._warning(scan)
        return ""

    def row_of_widest(self, column: int, width_of: Callable[[str], int]) -> int:
        """Return the row whose text in ``column`` is the widest of the first few hundred."""
        scans = self._cohort.scans[:_MOST_MEASURED] if self._cohort is not None else ()
        rows = {self.text(scan, column): row for row, scan in enumerate(scans)}
        return rows[max(rows, key=width_of)] if rows else 0

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        """Return the number of scans."""
        return 0 if parent.isValid() or self._cohort is None else len(self._cohort.scans)

    def columnCount(self, parent: Index = _NO_INDEX) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else _N_COLUMNS

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:  # noqa: ANN401 - as Qt has it
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._headers[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._header_tips.get(Column(section))
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Return what a cell shows in a role."""
        if not index.isValid() or self._cohort is None:
            return None
        scan, column = self._cohort.scans[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self.text(scan, column)
        if role == Qt.ItemDataRole.CheckStateRole and column == Column.INCLUDE:
            return Qt.CheckState.Checked if scan.included else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole and column == Column.CLASS:
            return class_icon(scan.label, self._labels.index(scan.label))
        if role == Qt.ItemDataRole.DecorationRole and column == Column.SUBJECT:
            return None if self._thumbnails is None else self._thumbnails.icon_of(scan)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(scan, column)
        if role == Qt.ItemDataRole.AccessibleTextRole and column == Column.INCLUDE:
            return self.tr("takes part") if scan.included else self.tr("left out")
        return self._look(scan, column, role)

    def setData(
        self,
        index: Index,
        value: Any,  # noqa: ANN401 - as Qt has it
        role: int = Qt.ItemDataRole.EditRole,
    ) -> bool:
        """Ask for a change; the cell follows when the cohort has changed."""
        scan = self.scan_at(index.row())
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == Column.INCLUDE:
            # Views send the state as a plain number.
            included = Qt.CheckState(value) == Qt.CheckState.Checked
            if included != scan.included:
                self.include_asked.emit(scan.key, included)
            return True
        if role == Qt.ItemDataRole.EditRole and index.column() == Column.CLASS:
            label = str(value).strip()
            if label and label != scan.label:
                self.label_asked.emit(scan.key, label)
            return bool(label)
        return False

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Make the first column checkable and the class editable."""
        flags = super().flags(index)
        if index.column() == Column.INCLUDE:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        elif index.column() == Column.CLASS:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def _kind(self, scan: Scan) -> str:
        if scan.kind == "volume":
            return self.tr("volume")
        return self.tr("{count} slices").format(count=len(scan.files))

    def _warning(self, scan: Scan) -> str:
        if not scan.warnings:
            return ""
        more = f" (+{len(scan.warnings) - 1})" if len(scan.warnings) > 1 else ""
        return f"! {scan.warnings[0]}{more}"

    def _tip(self, scan: Scan, column: int) -> str:
        if column == Column.WARNINGS:
            return "\n".join(scan.warnings)
        if column == Column.INCLUDE:
            return self.tr("Takes part in training")
        if column == Column.SUBJECT:
            first = scan.files[0] if scan.files else ""
            return f"{scan.key}\n{first}"
        if column == Column.ORIENTATION and _orientation_text(scan) == "?":
            return self.tr("Left and right are not certain")
        return self.text(scan, column)

    def _look(self, scan: Scan, column: int, role: int) -> Any:  # noqa: ANN401 - as Qt has it
        numbers = (Column.KIND, Column.SHAPE, Column.SPACING)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in numbers:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ForegroundRole and not scan.included:
            faint = QApplication.palette().color(QPalette.ColorRole.PlaceholderText)
            return QBrush(QColor(faint))
        return None


class ScanFilter(QSortFilterProxyModel):
    """Sorts by what is meant, not by its letters, and keeps the rows with all words typed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words: tuple[str, ...] = ()
        # What is searched of each scan, by key: a thousand rows are looked at on every letter.
        self._searched: dict[str, tuple[Scan, str]] = {}

    def set_text(self, text: str) -> None:
        """Keep the scans in which every word of ``text`` occurs."""
        self.beginFilterChange()
        self._words = tuple(text.casefold().split())
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        """Tell whether every word occurs somewhere in the row."""
        del parent
        if not self._words:
            return True
        text = self._searched_text(self._model().scan_at(row))
        return all(word in text for word in self._words)

    def _searched_text(self, scan: Scan) -> str:
        known = self._searched.get(scan.key)
        if known is not None and known[0] is scan:
            return known[1]
        cells = [self._model().text(scan, column) for column in Column]
        state = "" if scan.included else self.tr("left out")
        text = " ".join([scan.key, state, *cells, *scan.warnings]).casefold()
        self._searched[scan.key] = scan, text
        return text

    def lessThan(self, left: Index, right: Index) -> bool:
        """Compare two scans by a column's value, then by key."""
        model = self._model()
        first, second = model.scan_at(left.row()), model.scan_at(right.row())
        column = left.column()
        return _sort_key(first, column) < _sort_key(second, column)

    def _model(self) -> ScanTableModel:
        model = self.sourceModel()
        assert isinstance(model, ScanTableModel)
        return model


class ClassDelegate(QStyledItemDelegate):
    """Edits a class with a list of those that are there; another name may be typed."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Keep the mark small where rows are as high as small pictures."""
        super().initStyleOption(option, index)
        option.decorationSize = _MARK_SIZE

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """Return the list of classes."""
        del option
        box = QComboBox(parent)
        box.setEditable(True)
        box.setAccessibleName(self.tr("Class"))
        model = index.model()
        source = model.sourceModel() if isinstance(model, QSortFilterProxyModel) else model
        if isinstance(source, ScanTableModel):
            box.addItems(source.labels)
        return box

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        """Start from the present class."""
        assert isinstance(editor, QComboBox)
        editor.setCurrentText(str(index.data(Qt.ItemDataRole.EditRole)))

    def setModelData(self, editor: QWidget, model: Any, index: Index) -> None:  # noqa: ANN401
        """Hand the class on."""
        assert isinstance(editor, QComboBox)
        model.setData(index, editor.currentText(), Qt.ItemDataRole.EditRole)


def _keys(cohort: Cohort) -> tuple[str, ...]:
    return tuple(scan.key for scan in cohort.scans)


def _sort_key(scan: Scan, column: int) -> tuple[Any, str]:
    values: dict[int, Any] = {
        Column.INCLUDE: not scan.included,
        Column.SUBJECT: _natural(scan.subject),
        Column.SESSION: _natural(scan.session),
        Column.CLASS: scan.label,
        Column.KIND: (scan.kind, len(scan.files)),
        Column.SHAPE: scan.shape,
        Column.SPACING: scan.spacing_mm,
        Column.ORIENTATION: _orientation_text(scan),
        Column.DATATYPE: _natural(scan.datatype),
        # Most warnings first where one sorts downwards, and same texts together.
        Column.WARNINGS: (len(scan.warnings), scan.warnings),
    }
    return values[column], scan.key


def _natural(text: str) -> list[Any]:
    """Return a key by which 'sub-9' comes before 'sub-10'."""
    parts = re.split(r"(\d+)", text.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def _orientation_text(scan: Scan) -> str:
    """Return the letters of a volume's stored axes; nothing for pictures, which have none."""
    if scan.kind != "volume":
        return ""
    return scan.orientation or "?"


def _spacing_text(spacing_mm: tuple[float, ...]) -> str:
    """Return one number for cubes, three for other boxes."""
    sizes = [f"{size:.3g}" for size in spacing_mm]
    return "×".join(sizes[:1] if len(set(sizes)) == 1 else sizes)
