"""The left side of the cohort's place: classes, filter, table of scans, what was skipped."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeySequence, QMouseEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QTableView,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.data.cohort import Cohort, Scan
from mrifcl_gui.class_mark import class_pixmap
from mrifcl_gui.scan_table import (
    ClassDelegate,
    Column,
    ScanFilter,
    ScanTableModel,
    class_labels,
    with_included,
    with_label,
)
from mrifcl_gui.wrapping_row import WrappingRow

# Long enough that a held arrow key loads one scan and not all it passes.
_SELECT_DELAY_MS = 80


class ScanList(QWidget):
    """Shows the scans of a cohort and asks for changes of it.

    ``scan_selected`` carries the Scan to look at; ``change_asked`` what was done, in
    words, and the Cohort as it would be.
    """

    scan_selected = Signal(object)
    change_asked = Signal(str, object)
    compare_asked = Signal(object)  # Scan, to be shown beside the shown one

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cohort: Cohort | None = None
        self._menu_keys: set[str] = set()
        self._select_timer = QTimer(self)
        self._select_timer.setSingleShot(True)
        self._select_timer.setInterval(_SELECT_DELAY_MS)
        self._select_timer.timeout.connect(self._tell_selected)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        column.addLayout(self._build_header())
        column.addLayout(self._build_filter())
        column.addWidget(self._build_table(), 1)
        column.addWidget(self._build_warnings())
        column.addWidget(self._build_skipped())
        self._build_actions()

    @property
    def table(self) -> QTableView:
        """The table of scans."""
        return self._table

    @property
    def selected_scan(self) -> Scan | None:
        """The scan that is looked at."""
        index = self._filter.mapToSource(self._table.currentIndex())
        return self._model.scan_at(index.row()) if index.isValid() else None

    def show_cohort(self, cohort: Cohort | None) -> None:
        """Show a cohort; of another one the first scan is chosen."""
        self._cohort = cohort
        before = self.selected_scan
        self._model.show_cohort(cohort)
        self._write_header()
        self._write_count()
        self._write_warnings()
        self._write_skipped()
        row = None if before is None else self._model.row_of(before.key)
        if row is None:
            self.filter_box.clear()
            self._select_timer.stop()
            self._set_column_widths()
            self._table.setCurrentIndex(self._filter.index(0, Column.SUBJECT))

    def select(self, key: str) -> None:
        """Look at the scan called ``key``."""
        row = self._model.row_of(key)
        if row is not None:
            index = self._filter.mapFromSource(self._model.index(row, Column.SUBJECT))
            self._table.setCurrentIndex(index)

    def include(self, keys: Collection[str], included: bool) -> None:
        """Ask to take scans in or leave them out."""
        if self._cohort is None or not keys:
            return
        verb = self.tr("Include") if included else self.tr("Leave out")
        self._ask(f"{verb} {self._named(keys)}", with_included(self._cohort, keys, included))

    def relabel(self, keys: Collection[str], label: str) -> None:
        """Ask to put the subjects of scans into another class."""
        if self._cohort is None or not keys:
            return
        text = self.tr("Move {scans} to {label}").format(scans=self._named(keys), label=label)
        self._ask(text, with_label(self._cohort, keys, label))

    # Building

    def _build_header(self) -> WrappingRow:
        self._header = WrappingRow(spacing=16)
        return self._header

    def _build_filter(self) -> QHBoxLayout:
        self.filter_box = QLineEdit()
        self.filter_box.setPlaceholderText(self.tr("Filter: subject, class, warning…"))
        self.filter_box.setAccessibleName(self.tr("Filter the scans"))
        self.filter_box.setToolTip(self.tr("Shows the scans in which every word occurs"))
        self.filter_box.setClearButtonEnabled(True)
        # A folder dropped on it belongs to the panel.
        self.filter_box.setAcceptDrops(False)
        self.filter_box.textChanged.connect(self._on_filter_changed)
        self._count = QLabel()
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.filter_box, 1)
        row.addWidget(self._count)
        return row

    def _build_table(self) -> QTableView:
        self._model = ScanTableModel(self)
        self._model.include_asked.connect(self._on_include_asked)
        self._model.label_asked.connect(self._on_label_asked)
        self._filter = ScanFilter(self)
        self._filter.setSourceModel(self._model)
        self._table = table = QTableView()
        table.setAccessibleName(self.tr("Scans"))
        table.setModel(self._filter)
        table.setItemDelegateForColumn(Column.CLASS, ClassDelegate(table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        triggers = QAbstractItemView.EditTrigger
        table.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
        table.setTabKeyNavigation(False)  # Tab leads on to the next control
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.setWordWrap(False)
        table.setSortingEnabled(True)
        # As the cohort has them, by class and key, until a header is clicked.
        self._filter.sort(-1)
        table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(24)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(28)
        # It takes what the others leave; its full text is in the tip.
        header.setSectionResizeMode(Column.WARNINGS, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        header.setSectionResizeMode(Column.INCLUDE, QHeaderView.ResizeMode.Fixed)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._on_menu_requested)
        table.selectionModel().currentRowChanged.connect(self._on_current_changed)
        table.viewport().installEventFilter(self)
        return table

    def _build_warnings(self) -> QLabel:
        self._warnings = QLabel()
        self._warnings.setTextFormat(Qt.TextFormat.PlainText)
        self._warnings.setWordWrap(True)
        self._warnings.setProperty("warning", True)
        return self._warnings

    def _build_skipped(self) -> QWidget:
        self._skipped_button = QToolButton()
        self._skipped_button.setCheckable(True)
        self._skipped_button.setAutoRaise(True)
        self._skipped_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._skipped_button.setToolTip(self.tr("Files that were left out, and why"))
        self._skipped_list = QTreeWidget()
        self._skipped_list.setAccessibleName(self.tr("Skipped files"))
        self._skipped_list.setHeaderLabels([self.tr("File"), self.tr("Why")])
        self._skipped_list.setRootIsDecorated(False)
        self._skipped_list.setUniformRowHeights(True)
        self._skipped_list.setFixedHeight(140)
        self._skipped = QWidget()
        column = QVBoxLayout(self._skipped)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._skipped_button)
        column.addWidget(self._skipped_list)
        self._skipped_button.toggled.connect(self._on_skipped_toggled)
        self._on_skipped_toggled(False)
        return self._skipped

    def _build_actions(self) -> None:
        self._toggle_action = QAction(self.tr("Include or leave out"), self._table)
        self._toggle_action.setShortcut(QKeySequence(Qt.Key.Key_Space))
        self._toggle_action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self._toggle_action.triggered.connect(self._on_toggle_asked)
        self._table.addAction(self._toggle_action)

    # Writing

    def _write_header(self) -> None:
        while item := self._header.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        if self._cohort is None:
            return
        counts = self._cohort.counts()
        for order, label in enumerate(class_labels(self._cohort)):
            count = counts.get(label, {}).get("subjects", 0)
            self._header.addWidget(_ClassCount(label, order, count))
        if self._cohort.simulated:
            badge = QLabel(self.tr("simulated"))
            badge.setProperty("badge", True)
            badge.setToolTip(self.tr("These scans are simulated, not of patients."))
            self._header.addWidget(badge)
        self._header.addWidget(QLabel(self._summary(self._cohort)))

    def _summary(self, cohort: Cohort) -> str:
        parts = [
            self.tr("{n} subjects").format(n=len(cohort.subjects)),
            self.tr("{n} scans").format(n=len(cohort.included_scans)),
        ]
        if cohort.n_pictures:
            parts.append(self.tr("{n} slices").format(n=cohort.n_pictures))
        return ", ".join(parts)

    def _write_count(self) -> None:
        shown, count = self._filter.rowCount(), self._model.rowCount()
        text = self.tr("{shown} of {count} shown").format(shown=shown, count=count)
        self._count.setText(text)
        self._count.setVisible(shown < count)

    def _write_warnings(self) -> None:
        texts = self._cohort.warnings if self._cohort is not None else ()
        self._warnings.setText("\n".join(f"! {text}" for text in texts))
        self._warnings.setVisible(bool(texts))

    def _write_skipped(self) -> None:
        skipped = self._cohort.skipped if self._cohort is not None else ()
        self._skipped.setVisible(bool(skipped))
        self._skipped_button.setText(self.tr("Skipped files ({n})").format(n=len(skipped)))
        self._skipped_list.clear()
        items = []
        for entry in skipped:
            item = QTreeWidgetItem([entry.file, entry.reason])
            item.setToolTip(0, entry.file)
            item.setToolTip(1, entry.reason)
            items.append(item)
        self._skipped_list.addTopLevelItems(items)
        self._skipped_list.setColumnWidth(0, 170)

    def _set_column_widths(self) -> None:
        # Resizing by contents looks at every row of a large cohort; the first ones will do.
        self._table.horizontalHeader().setResizeContentsPrecision(50)
        self._table.resizeColumnsToContents()
        self._table.setColumnWidth(Column.INCLUDE, 28)
        scans = self._cohort.scans if self._cohort is not None else ()
        self._table.setColumnHidden(Column.SESSION, not any(scan.session for scan in scans))
        self._table.setColumnHidden(Column.SPACING, not any(scan.spacing_mm for scan in scans))

    # Events

    def _ask(self, text: str, changed: Cohort) -> None:
        if changed != self._cohort:
            self.change_asked.emit(text, changed)

    def _named(self, keys: Collection[str]) -> str:
        if len(keys) == 1:
            return next(iter(keys))
        return self.tr("{n} scans").format(n=len(keys))

    def _selected_keys(self) -> set[str]:
        rows = self._table.selectionModel().selectedRows()
        return {self._model.scan_at(self._filter.mapToSource(index).row()).key for index in rows}

    def _meant(self, key: str) -> set[str]:
        """Return all selected scans if the one that was touched is among them."""
        selected = self._selected_keys()
        return selected if key in selected else {key}

    def _on_include_asked(self, key: str, included: bool) -> None:
        self.include(self._meant(key), included)

    def _on_label_asked(self, key: str, label: str) -> None:
        self.relabel(self._meant(key), label)

    def _on_toggle_asked(self) -> None:
        scan = self.selected_scan
        if scan is not None:
            self.include(self._meant(scan.key), not scan.included)

    def _on_filter_changed(self, text: str) -> None:
        self._filter.set_text(text)
        self._write_count()

    def _on_skipped_toggled(self, shown: bool) -> None:
        self._skipped_list.setVisible(shown)
        arrow = Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow
        self._skipped_button.setArrowType(arrow)

    def _on_current_changed(self, current: QModelIndex, previous: QModelIndex) -> None:
        del previous
        if current.isValid():
            self._select_timer.start()

    def _tell_selected(self) -> None:
        scan = self.selected_scan
        if scan is not None:
            self.scan_selected.emit(scan)

    def _on_menu_requested(self, point: QPoint) -> None:
        index = self._filter.mapToSource(self._table.indexAt(point))
        scan = self._model.scan_at(index.row()) if index.isValid() else None
        menu = self.build_menu(scan)
        if menu is not None:
            menu.exec(self._table.viewport().mapToGlobal(point))
            menu.deleteLater()

    def build_menu(self, scan: Scan | None = None) -> QMenu | None:
        """Return the menu for ``scan``, or for the selected ones if it is one of them or None."""
        keys = self._selected_keys() if scan is None else self._meant(scan.key)
        self._menu_keys = keys
        if not keys:
            return None
        menu = QMenu(self)
        if len(keys) == 1:
            self._add_comparison(menu, next(iter(keys)))
        menu.addAction(self.tr("Include")).setData(True)
        menu.addAction(self.tr("Leave out")).setData(False)
        classes = menu.addMenu(self.tr("Class"))
        for order, label in enumerate(self._model.labels):
            action = classes.addAction(class_pixmap(label, order), label)
            action.setData(label)
        menu.triggered.connect(self._on_menu_chosen)
        return menu

    def _on_menu_chosen(self, action: QAction) -> None:
        value = action.data()
        if isinstance(value, bool):
            self.include(self._menu_keys, value)
        elif isinstance(value, str):
            self.relabel(self._menu_keys, value)
        elif isinstance(value, Scan):
            self.compare_asked.emit(value)

    def _add_comparison(self, menu: QMenu, key: str) -> None:
        row, shown = self._model.row_of(key), self.selected_scan
        scan = None if row is None else self._model.scan_at(row)
        if scan is None or scan.kind != "volume" or shown is None or shown.key == key:
            return
        menu.addAction(self.tr("Compare with the shown scan")).setData(scan)
        menu.addSeparator()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the shown scan when another row is clicked for its menu."""
        presses = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease)
        if event.type() in presses and isinstance(event, QMouseEvent):
            return event.button() == Qt.MouseButton.RightButton
        return super().eventFilter(watched, event)


class _ClassCount(QWidget):
    """Symbol, class and number of subjects."""

    def __init__(self, label: str, order: int, count: int) -> None:
        super().__init__()
        mark = QLabel()
        mark.setPixmap(class_pixmap(label, order, size=14))
        text = QLabel(f"{label} {count}")
        text.setToolTip(self.tr("{n} subjects of class {label}").format(n=count, label=label))
        font = text.font()
        font.setBold(True)
        text.setFont(font)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(mark)
        row.addWidget(text)
