"""The left side of the cohort's place: classes, filter, table of scans, what was skipped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QTableView,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.data.cohort import Cohort, Scan
from core.data.findings import counted
from mrifcl_gui.class_mark import CLASS_MARKS, class_pixmap
from mrifcl_gui.scan_table import (
    ClassDelegate,
    Column,
    ScanFilter,
    ScanTableModel,
    class_labels,
    with_included,
    with_label,
)
from mrifcl_gui.theme import scaled
from mrifcl_gui.thumbnails import SIDE, Thumbnails
from mrifcl_gui.wrapping_row import WrappingRow

# Long enough that a held arrow key loads one scan and not all it passes.
_SELECT_DELAY_MS = 80
# The same for small pictures while the list is scrolled.
_LOOK_DELAY_MS = 60
_ROW_HEIGHT = 24
_WARNINGS_WIDTH = 180
_MOST_WARNING_LINES = 6


class ScanList(QWidget):
    """Shows the scans of a cohort and asks for changes of it.

    ``scan_selected`` carries the Scan to look at; ``change_asked`` what was done, in
    words, and the Cohort as it would be.
    """

    scan_selected = Signal(object)
    change_asked = Signal(str, object)
    compare_asked = Signal(object)  # Scan, to be shown beside the shown one
    thumbnails_wanted = Signal(list)  # of Scan, to be answered with show_thumbnails
    thumbnails_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cohort: Cohort | None = None
        self._menu_keys: set[str] = set()
        self._thumbnails = Thumbnails()
        self._look_timer = QTimer(self)
        self._look_timer.setSingleShot(True)
        self._look_timer.setInterval(_LOOK_DELAY_MS)
        self._look_timer.timeout.connect(self._ask_for_thumbnails)
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
        column.addWidget(self._build_notes())
        column.addWidget(self._build_skipped())
        self._build_actions()
        self.set_thumbnails_shown(True)
        CLASS_MARKS.changed.connect(self._on_class_colours)

    @property
    def table(self) -> QTableView:
        """The table of scans."""
        return self._table

    @property
    def selected_scan(self) -> Scan | None:
        """The scan that is looked at."""
        index = self._filter.mapToSource(self._table.currentIndex())
        return self._model.scan_at(index.row()) if index.isValid() else None

    @property
    def check_button(self) -> QToolButton:
        """The place for the action that has all voxels checked."""
        return self._check_button

    def set_thumbnails_shown(self, shown: bool) -> None:
        """Show a small picture of each scan, or not."""
        self._pictures_button.setChecked(shown)
        self._table.verticalHeader().setDefaultSectionSize(SIDE + 4 if shown else _ROW_HEIGHT)
        self._model.show_thumbnails(self._thumbnails if shown else None)
        self._table.setIconSize(QSize(SIDE, SIDE) if shown else QSize(16, 16))
        self._table.resizeColumnToContents(Column.SUBJECT)
        self._look_timer.start()

    def show_thumbnails(
        self, scans: Sequence[Scan], pixels_of: Mapping[str, NDArray[np.uint8] | None]
    ) -> None:
        """Show small pictures of ``scans``, by key; None where a scan cannot be read."""
        self._thumbnails.take(scans, pixels_of)
        self._table.viewport().update()
        self._look_timer.start()

    def show_notes(self, texts: Sequence[str]) -> None:
        """Say what came of work on the scans; nothing takes it away."""
        self._notes.setText("\n".join(texts))
        self._notes.setVisible(bool(texts))

    def show_cohort(self, cohort: Cohort | None) -> None:
        """Show a cohort; of another one the first scan is chosen."""
        self._cohort = cohort
        before = self.selected_scan
        self._model.show_cohort(cohort)
        self._write_header()
        self._write_count()
        self._write_warnings()
        self._write_skipped()
        self._look_timer.start()
        row = None if before is None else self._model.row_of(before.key)
        if row is None:
            self.filter_box.clear()
            self._select_timer.stop()
            if cohort is not None:
                self._set_column_widths(cohort.scans)
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
        self._pictures_button = QToolButton()
        self._pictures_button.setText(self.tr("Pictures"))
        self._pictures_button.setToolTip(self.tr("Show a small picture of each scan"))
        self._pictures_button.setCheckable(True)
        self._pictures_button.toggled.connect(self._on_pictures_toggled)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.filter_box, 1)
        row.addWidget(self._count)
        row.addWidget(self._pictures_button)
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
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(28)
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        header.setSectionResizeMode(Column.INCLUDE, QHeaderView.ResizeMode.Fixed)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._on_menu_requested)
        table.selectionModel().currentRowChanged.connect(self._on_current_changed)
        table.viewport().installEventFilter(self)
        table.verticalScrollBar().valueChanged.connect(self._look_timer.start)
        self._filter.layoutChanged.connect(self._look_timer.start)
        self._build_nothing_found(table)
        return table

    def _build_nothing_found(self, table: QTableView) -> None:
        """Lay over the table what is said where the filter leaves no row."""
        self._nothing = QWidget(table.viewport())
        self._nothing_text = QLabel()
        self._nothing_text.setTextFormat(Qt.TextFormat.PlainText)
        self._nothing_text.setWordWrap(True)
        self._nothing_text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        show_all = QPushButton(self.tr("Show all scans"))
        show_all.clicked.connect(self.filter_box.clear)
        column = QVBoxLayout(self._nothing)
        column.addStretch(1)
        column.addWidget(self._nothing_text)
        column.addWidget(show_all, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(2)
        self._nothing.hide()

    def _build_warnings(self) -> QScrollArea:
        self._warnings = QLabel()
        self._warnings.setTextFormat(Qt.TextFormat.PlainText)
        self._warnings.setWordWrap(True)
        self._warnings.setProperty("warning", True)
        self._warnings.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._warnings.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Many findings must not take the place of the table.
        self._warnings_box = QScrollArea()
        self._warnings_box.setAccessibleName(self.tr("Warnings about the cohort"))
        self._warnings_box.setFrameShape(QScrollArea.Shape.NoFrame)
        self._warnings_box.setWidgetResizable(True)
        self._warnings_box.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._warnings_box.setWidget(self._warnings)
        return self._warnings_box

    def _build_notes(self) -> QLabel:
        self._notes = QLabel()
        self._notes.setTextFormat(Qt.TextFormat.PlainText)
        self._notes.setWordWrap(True)
        self._notes.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._notes.hide()
        return self._notes

    def _build_skipped(self) -> QWidget:
        self._check_button = QToolButton()
        self._check_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
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
        row = QHBoxLayout()
        row.addWidget(self._skipped_button)
        row.addStretch(1)
        row.addWidget(self._check_button)
        foot = QWidget()
        column = QVBoxLayout(foot)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._skipped_list)
        self._skipped_button.toggled.connect(self._on_skipped_toggled)
        self._on_skipped_toggled(False)
        return foot

    def _build_actions(self) -> None:
        self._relabel_action = QAction(self.tr("Change the class"), self._table)
        self._relabel_action.setShortcut(QKeySequence(Qt.Key.Key_F2))
        self._relabel_action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self._relabel_action.triggered.connect(self._on_class_edit_asked)
        self._table.addAction(self._relabel_action)
        self.filter_box.installEventFilter(self)
        self._toggle_action = QAction(self.tr("Include or leave out"), self._table)
        self._toggle_action.setShortcut(QKeySequence(Qt.Key.Key_Space))
        self._toggle_action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self._toggle_action.triggered.connect(self._on_toggle_asked)
        self._table.addAction(self._toggle_action)

    # Writing

    def _on_class_colours(self) -> None:
        self._write_header()
        self._table.viewport().update()

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
        # Qt shows them only later, and until then the row would have no height.
        for place in range(self._header.count()):
            self._header.itemAt(place).widget().show()
        self._header.invalidate()
        self.layout().invalidate()

    def _summary(self, cohort: Cohort) -> str:
        parts = [
            counted(len(cohort.subjects), "subject"),
            counted(len(cohort.included_scans), "scan"),
        ]
        if cohort.n_pictures:
            parts.append(counted(cohort.n_pictures, "slice"))
        return ", ".join(parts)

    def _write_count(self) -> None:
        shown, count = self._filter.rowCount(), self._model.rowCount()
        text = self.tr("{shown} of {count} shown").format(shown=shown, count=count)
        self._count.setText(text)
        self._count.setVisible(shown < count)
        if shown == 0 and count:
            words = self.filter_box.text().strip()
            self._nothing_text.setText(
                self.tr("None of the {count} scans has “{words}”.").format(count=count, words=words)
            )
        self._nothing.setVisible(shown == 0 and count > 0)

    def _write_warnings(self) -> None:
        texts = self._cohort.warnings if self._cohort is not None else ()
        self._warnings.setText("\n".join(f"! {text}" for text in texts))
        self._warnings_box.setVisible(bool(texts))
        self._fit_warnings()

    def _fit_warnings(self) -> None:
        """Give the warnings the height they need, up to some lines."""
        line = self._warnings.fontMetrics().lineSpacing()
        width = self._warnings_box.viewport().width()
        needed = max(self._warnings.heightForWidth(width), line)
        self._warnings_box.setFixedHeight(min(needed, _MOST_WARNING_LINES * line) + 2)

    def _write_skipped(self) -> None:
        skipped = self._cohort.skipped if self._cohort is not None else ()
        self._skipped_button.setVisible(bool(skipped))
        if not skipped:
            self._skipped_button.setChecked(False)
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

    def _set_column_widths(self, scans: Sequence[Scan]) -> None:
        is_empty = {
            Column.SESSION: not any(scan.session for scan in scans),
            Column.WARNINGS: not any(scan.warnings for scan in scans),
            Column.SPACING: not any(scan.spacing_mm for scan in scans),
            Column.ORIENTATION: not any(scan.kind == "volume" for scan in scans),
            Column.DATATYPE: not any(scan.datatype for scan in scans),
        }
        for column, hidden in is_empty.items():
            self._table.setColumnHidden(column, hidden)
        # Qt's own way measures each cell of many rows, with eight questions to the model each.
        header, width_of = (
            self._table.horizontalHeader(),
            self._table.fontMetrics().horizontalAdvance,
        )
        for column in Column:
            row = self._model.row_of_widest(column, width_of)
            cell = self._filter.mapFromSource(self._model.index(row, column))
            width = self._table.sizeHintForIndex(cell).width() + 1  # and the line between cells
            self._table.setColumnWidth(column, max(width, header.sectionSizeHint(column)))
        self._table.setColumnWidth(Column.INCLUDE, max(28, scaled(14) + 14))
        # The full text is in the tip; the other columns must stay in reach.
        if not is_empty[Column.WARNINGS]:
            self._table.setColumnWidth(Column.WARNINGS, _WARNINGS_WIDTH)
        # Qt forgets which section is the last where others were hidden and sized.
        for stretches in (False, True):
            self._table.horizontalHeader().setStretchLastSection(stretches)

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

    def _on_class_edit_asked(self) -> None:
        current = self._table.currentIndex()
        if current.isValid():
            # The class may be scrolled out of sight, and an editor there too.
            index = current.siblingAtColumn(Column.CLASS)
            selection = self._table.selectionModel()
            selection.setCurrentIndex(index, selection.SelectionFlag.NoUpdate)
            self._table.scrollTo(index)
            self._table.edit(index)

    def find(self) -> None:
        """Put the cursor into the filter."""
        self.filter_box.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter_box.selectAll()

    def _on_pictures_toggled(self, shown: bool) -> None:
        self.set_thumbnails_shown(shown)
        self.thumbnails_toggled.emit(shown)

    def _ask_for_thumbnails(self) -> None:
        """Ask for the small pictures of the rows in sight that have none yet."""
        if not self._pictures_button.isChecked() or not self._table.isVisible():
            return
        first = self._table.rowAt(0)
        if first < 0:
            return
        last = self._table.rowAt(self._table.viewport().height() - 1)
        rows = range(first, (last if last >= 0 else self._filter.rowCount() - 1) + 1)
        in_sight = [
            self._model.scan_at(self._filter.mapToSource(self._filter.index(row, 0)).row())
            for row in rows
        ]
        missing = self._thumbnails.missing(in_sight)
        if missing:
            self.thumbnails_wanted.emit(missing)

    def _on_filter_changed(self, text: str) -> None:
        self._filter.set_text(text)
        self._write_count()
        self._look_timer.start()

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
        menu.addSeparator()
        self._add_sorting(menu)
        menu.triggered.connect(self._on_menu_chosen)
        return menu

    def _add_sorting(self, menu: QMenu) -> None:
        """Offer what clicks on the headers do, for the keyboard."""
        sorting = menu.addMenu(self.tr("Sort by"))
        group = QActionGroup(sorting)
        now = self._filter.sortColumn()
        columns = [column for column in Column if not self._table.isColumnHidden(column)]
        titles = {column: self._model.header(column) for column in columns}
        titles[Column.INCLUDE] = self.tr("Takes part")
        for column, title in ((None, self.tr("Class and name")), *titles.items()):
            action = sorting.addAction(title)
            action.setCheckable(True)
            action.setChecked(now == (-1 if column is None else column))
            action.setData(_SortBy(-1 if column is None else int(column)))
            group.addAction(action)

    def _on_menu_chosen(self, action: QAction) -> None:
        value = action.data()
        if isinstance(value, _SortBy):
            order = Qt.SortOrder.AscendingOrder
            if value.column == self._filter.sortColumn():
                order = Qt.SortOrder(1 - self._filter.sortOrder().value)
            self._table.sortByColumn(value.column, order)
        elif isinstance(value, bool):
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
        """Keep the shown scan when another row is clicked for its menu; lead on from the filter."""
        if watched is self.filter_box:
            return event.type() == QEvent.Type.KeyPress and self._leads_on(event)
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._nothing.setGeometry(self._table.viewport().rect())
            self._look_timer.start()
        presses = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease)
        if event.type() in presses and isinstance(event, QMouseEvent):
            return event.button() == Qt.MouseButton.RightButton
        return super().eventFilter(watched, event)

    def _leads_on(self, event: QEvent) -> bool:
        """Take Escape, which clears the filter, and Down, which goes to the table."""
        key = event.key() if isinstance(event, QKeyEvent) else None
        if key == Qt.Key.Key_Escape and self.filter_box.text():
            self.filter_box.clear()
            return True
        if key == Qt.Key.Key_Down and self._filter.rowCount():
            if not self._table.currentIndex().isValid():
                self._table.setCurrentIndex(self._filter.index(0, Column.SUBJECT))
            self._table.setFocus(Qt.FocusReason.OtherFocusReason)
            return True
        return False

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let the warnings have the height that they need in the new width."""
        super().resizeEvent(event)
        self._fit_warnings()


@dataclass(frozen=True)
class _SortBy:
    """What a menu entry sorts by; -1 is the order of the cohort."""

    column: int


class _ClassCount(QWidget):
    """Symbol, class and number of subjects."""

    def __init__(self, label: str, order: int, count: int) -> None:
        super().__init__()
        mark = QLabel()
        mark.setPixmap(class_pixmap(label, order, size=14))
        text = QLabel(f"{label} {count}")
        subjects = counted(count, "subject")
        text.setToolTip(
            self.tr("{subjects} of class {label}").format(subjects=subjects, label=label)
        )
        font = text.font()
        font.setBold(True)
        text.setFont(font)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(mark)
        row.addWidget(text)
