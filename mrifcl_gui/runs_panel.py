"""The RUNS place: a table of all runs, and curves and settings of the chosen one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QAction,
    QKeySequence,
    QPalette,
    QStandardItem,
    QStandardItemModel,
    QUndoStack,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedWidget,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from core.data.findings import counted
from core.data.split import split_name
from core.figure import Table
from core.run_folder import Run
from mrifcl_gui.config_form import alert_colour
from mrifcl_gui.export import SpeakingExporter
from mrifcl_gui.icons import put_icon
from mrifcl_gui.queue_list import RoomyDelegate
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.run_cells import cells_of, is_resumable, minutes, per_cent
from mrifcl_gui.run_detail import RunDetail
from mrifcl_gui.run_marks import RunMarks
from mrifcl_gui.scrolling_page import scrolling
from mrifcl_gui.theme import TITLE, set_type

# (network, regime, whether trained longer) -> train, validation, test (fractions), seconds.
PaperRows = Mapping[tuple[str, str, bool], tuple[float, float, float, float]]

SORT_ROLE = Qt.ItemDataRole.UserRole + 1
PATH_ROLE = Qt.ItemDataRole.UserRole + 2
_COLUMNS = (
    "Network",
    "Regime",
    "Split",
    "State",
    "Epochs",
    "Train (%)",
    "Validation (%)",
    "Test (%)",
    "Test by subject (%)",
    "Time (min:s)",
    "Tag",
    "Date",
)
_TEXT_COLUMNS = ("Network", "Regime", "Split", "Tag", "State")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class RunsPanel(QWidget):
    """All runs of the open folder, to sort, filter, compare and analyse."""

    analyse_requested = Signal(list)
    compare_requested = Signal(list)
    folder_requested = Signal(object)
    train_requested = Signal()
    resume_requested = Signal(object)  # Run

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_training = False
        self._is_filling = False
        self._all: list[Run] = []
        self._runs: dict[Path, Run] = {}
        self.marks = RunMarks(self)
        self.exporter = SpeakingExporter(self._shown_table, self)
        self._paper: PaperRows = {}
        self._model = QStandardItemModel(0, len(_COLUMNS), self)
        self._proxy = _RunFilter(self)
        self._proxy.setSourceModel(self._model)
        # Built in reading order, which is then the order of Tab.
        head = self._build_head()
        self.table = self._build_table()
        self.detail = RunDetail(self)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._build_empty())
        self._stack.addWidget(self._build_full())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(scrolling(self._stack, width=720, height=440), 1)
        self.show_runs([])
        self.marks.changed.connect(self._on_marks_changed)

    @property
    def undo_stack(self) -> QUndoStack:
        """The changes of tags and of the list, for a window that undoes them."""
        return self.marks.undo_stack

    def find(self) -> None:
        """Put the cursor into the filter."""
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Show ``runs``; order, filter and choice stay as they were."""
        chosen = self.selected_paths()
        self._all = list(runs)
        self._runs = {run.path: run for run in runs if not self.marks.is_removed(run.path)}
        self._fill()
        self._stack.setCurrentIndex(1 if self._runs else 0)
        self._bring_back.setVisible(len(self._runs) < len(runs))
        self.filter.setEnabled(bool(self._runs))
        self._select([path for path in chosen if path in self._runs])
        self._on_selection_changed()

    def set_paper_rows(self, rows: PaperRows) -> None:
        """Show the paper's numbers in grey under the runs that they belong to."""
        self._paper = rows
        self.show_runs(self._all)

    def set_training(self, is_training: bool) -> None:
        """Say whether a run is being trained: meanwhile none can be resumed."""
        self._is_training = is_training
        self._update_resume()

    def selected_paths(self) -> list[Path]:
        """Return the folders of the chosen runs, as they stand in the table."""
        rows = sorted(self.table.selectionModel().selectedRows(), key=QModelIndex.row)
        return [index.data(PATH_ROLE) for index in rows if index.data(PATH_ROLE) is not None]

    def select_run(self, path: Path) -> None:
        """Choose the run in the folder ``path``."""
        self._select([path])

    def cell(self, row: int, column: str) -> str:
        """Return the text of the table's ``row`` (runs only) as shown."""
        return str(self._proxy.index(row, _COLUMNS.index(column)).data())

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_stack"):
            self.show_runs(self._all)

    def _build_head(self) -> QHBoxLayout:
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(self.tr("Filter: network, regime, split, state, name…"))
        self.filter.setAccessibleName(self.tr("Filter runs"))
        self.filter.setToolTip(self.tr("Show only runs with all these words (Ctrl+F)"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._on_filter_changed)
        self._count = QLabel(self)
        self.analyse_button = QPushButton(self.tr("Analyse"), self)
        self.analyse_button.setProperty("primary", True)
        put_icon(self.analyse_button, "chart-scatter")
        self.analyse_button.setToolTip(self.tr("Open the figures of the selected runs (Enter)"))
        self.analyse_button.clicked.connect(self._on_analyse)
        self.compare_button = QPushButton(self.tr("Compare selected"), self)
        put_icon(self.compare_button, "columns-2")
        self.compare_button.setToolTip(self.tr("Select two or more runs, then compare them"))
        self.compare_button.clicked.connect(self._on_compare)
        self.folder_button = QPushButton(self.tr("Open folder"), self)
        put_icon(self.folder_button, "folder-open")
        self.folder_button.setToolTip(self.tr("Show the files of the selected run"))
        self.folder_button.clicked.connect(self._on_folder)
        self.resume_button = QPushButton(self.tr("Resume"), self)
        put_icon(self.resume_button, "play")
        self.resume_button.clicked.connect(self._on_resume)
        layout = QHBoxLayout()
        layout.setSpacing(8)
        layout.addWidget(self.filter, 1)
        layout.addWidget(self._count)
        self._bring_back = QPushButton(self.tr("List removed runs again"), self)
        put_icon(self._bring_back, "undo-2")
        self._bring_back.setToolTip(self.tr("Show all runs of the folder, also those removed"))
        self._bring_back.clicked.connect(self.marks.bring_back)
        for button in (
            self._bring_back,
            self.folder_button,
            self.resume_button,
            self.compare_button,
            self.analyse_button,
        ):
            layout.addWidget(button)
        return layout

    def _build_table(self) -> QTreeView:
        table = QTreeView(self)
        table.setModel(self._proxy)
        table.setAccessibleName(self.tr("Runs"))
        table.setRootIsDecorated(False)
        table.setItemsExpandable(False)
        table.setIndentation(0)
        table.setUniformRowHeights(True)
        table.setItemDelegate(RoomyDelegate(table))
        table.setAllColumnsShowFocus(True)
        table.setSortingEnabled(True)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = table.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        # Newest first.
        table.sortByColumn(_COLUMNS.index("Date"), Qt.SortOrder.DescendingOrder)
        table.selectionModel().selectionChanged.connect(self._on_selection_changed)
        table.activated.connect(self._on_analyse)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._on_menu_requested)
        self._tag_action = self._action(table, self.tr("Change the tag"), "F2", self._on_tag)
        self._remove_action = self._action(
            table, self.tr("Remove from the list (files stay)"), "Del", self._on_remove
        )
        put_icon(self._tag_action, "tag")
        put_icon(self._remove_action, "trash-2")
        self._model.itemChanged.connect(self._on_item_changed)
        return table

    def _action(self, table: QTreeView, text: str, keys: str, slot: Callable[[], None]) -> QAction:
        action = QAction(text, table)
        action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(slot)
        table.addAction(action)
        return action

    def build_menu(self) -> QMenu:
        """Return a new context menu for the selected runs."""
        menu = QMenu(self)
        for button in (
            self.analyse_button,
            self.compare_button,
            self.resume_button,
            self.folder_button,
        ):
            action = menu.addAction(button.icon(), button.text(), button.click)
            action.setEnabled(button.isEnabled())
        menu.addSeparator()
        for action in (self._tag_action, self._remove_action):
            action.setEnabled(bool(self.selected_paths()))
            menu.addAction(action)
        menu.addSeparator()
        self.exporter.add_actions(menu)
        return menu

    def _on_menu_requested(self, place: QPoint) -> None:
        menu = self.build_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.table.viewport().mapToGlobal(place))

    def _on_tag(self) -> None:
        """Let the tag of the run with the cursor be typed; all selected runs get it."""
        index = self.table.currentIndex()
        if index.isValid() and index.data(PATH_ROLE) is not None:
            self.table.setColumnHidden(_COLUMNS.index("Tag"), False)
            cell = index.siblingAtColumn(_COLUMNS.index("Tag"))
            self.table.scrollTo(cell)
            self.table.edit(cell)

    def _on_item_changed(self, item: QStandardItem) -> None:
        path = item.data(PATH_ROLE)
        if not self._is_filling and item.column() == _COLUMNS.index("Tag") and path is not None:
            chosen = self.selected_paths()
            self.marks.tag(chosen if path in chosen else [path], item.text())

    def _on_remove(self) -> None:
        self.marks.remove(self.selected_paths())

    def _on_marks_changed(self) -> None:
        # Later: the cell that was edited must be done with before the rows are made anew.
        QTimer.singleShot(0, self, self._show_again)

    def _show_again(self) -> None:
        self.show_runs(self._all)

    def _shown_table(self) -> Table | None:
        """Return the rows as they are shown, the paper's left out."""
        rows = tuple(
            tuple(str(self._proxy.index(row, c).data() or "") for c in range(len(_COLUMNS)))
            for row in range(self._proxy.rowCount())
        )
        return Table("runs", self.tr("Runs"), _COLUMNS, rows) if rows else None

    def _build_full(self) -> QWidget:
        splitter = RememberedSplitter("runs", (320, 320), Qt.Orientation.Vertical, self)
        splitter.setChildrenCollapsible(False)
        splitter.fill(self.table, self.detail)
        return splitter

    def _build_empty(self) -> QWidget:
        page = QWidget(self)
        title = QLabel(self.tr("No runs yet"), page)
        set_type(title, TITLE)
        text = QLabel(
            self.tr("Train a network first, or drop the folder of an earlier run here."), page
        )
        button = QPushButton(self.tr("Go to training"), page)
        button.setProperty("primary", True)
        put_icon(button, "brain-circuit")
        button.setToolTip(self.tr("Choose networks and train them (Ctrl+2)"))
        button.clicked.connect(self.train_requested)
        layout = QVBoxLayout(page)
        layout.setSpacing(8)
        layout.addStretch(1)
        for widget in (title, text, button):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        return page

    def _fill(self) -> None:
        self._is_filling = True
        # Sorted once at the end, not after each row.
        self._proxy.setDynamicSortFilter(False)
        self._model.removeRows(0, self._model.rowCount())
        self._model.setHorizontalHeaderLabels([self.tr(name) for name in _COLUMNS])
        for column, name in enumerate(_COLUMNS):
            alignment = _LEFT if name in _TEXT_COLUMNS else _RIGHT
            self._model.horizontalHeaderItem(column).setTextAlignment(alignment)
        for run in self._runs.values():
            items = self._items_of(run)
            paper = self._paper.get(_paper_key(run))
            if paper is not None:
                items[0].appendRow(self._paper_items(items, paper))
            self._model.appendRow(items)
        self._proxy.setDynamicSortFilter(True)
        self._proxy.sort(self._proxy.sortColumn(), self._proxy.sortOrder())
        self.table.expandAll()
        for column in range(len(_COLUMNS) - 1):
            self.table.resizeColumnToContents(column)
            self.table.setColumnWidth(column, self.table.columnWidth(column) + 6)
        # A column of its own only where there is something in it.
        has_tags = any(self.marks.tag_of(path) for path in self._runs)
        self.table.setColumnHidden(_COLUMNS.index("Tag"), not has_tags)
        self._update_count()
        self._is_filling = False

    def _items_of(self, run: Run) -> list[QStandardItem]:
        cells = cells_of(run)
        items = [_item(name, *cells[name]) for name in _COLUMNS]
        for item in items:
            item.setData(run.path, PATH_ROLE)
        items[0].setToolTip(run.name)
        tag = items[_COLUMNS.index("Tag")]
        tag.setText(self.marks.tag_of(run.path))
        tag.setData(tag.text(), SORT_ROLE)
        tag.setEditable(True)
        tag.setToolTip(self.tr("A word of your own; change it with F2"))
        split = items[_COLUMNS.index("Split")]
        split.setToolTip(self.tr("Split {0}").format(run.split_text))
        if run.leaks or split_name(run.settings.split) == "slice":
            split.setText(f"● {split.text()}")
            split.setForeground(alert_colour(self))
            split.setToolTip(run.warning or self.tr("Split by slice: accuracies are inflated."))
        state = items[_COLUMNS.index("State")]
        state.setToolTip(self._state_words(run))
        if run.state in ("failed", "interrupted"):
            state.setForeground(alert_colour(self))
        return items

    def _state_words(self, run: Run) -> str:
        if run.state == "interrupted":
            return self.tr(
                "The program ended while it trained this run (a crash, a power cut). Everything "
                "up to its last whole epoch is kept: press Resume to go on."
            )
        if run.holder is not None:
            return self.tr("Being trained here") if run.holder.is_here else run.holder.words()
        return str(run.record.get("error", ""))

    def _paper_items(
        self, ours: list[QStandardItem], paper: tuple[float, float, float, float]
    ) -> list[QStandardItem]:
        train, validation, test, seconds = paper
        cells: dict[str, tuple[str, Any]] = dict.fromkeys(_COLUMNS, ("", None))
        cells["Network"] = (self.tr("  as in the paper"), "")
        cells["Train (%)"] = (per_cent(train), train)
        cells["Validation (%)"] = (per_cent(validation), validation)
        cells["Test (%)"] = (per_cent(test), test)
        cells["Time (min:s)"] = (minutes(seconds), seconds)
        items = [_item(name, *value) for name, value in cells.items()]
        grey = self.palette().color(QPalette.ColorRole.PlaceholderText)
        for item in items:
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            item.setForeground(grey)
            item.setToolTip(
                self.tr(
                    "Khagi & Kwon (2022), Table 2, for {run}: split by slice, so subjects are "
                    "on both sides."
                ).format(run=f"{ours[0].text()}, {ours[1].text()}")
            )
        return items

    def _select(self, paths: Sequence[Path]) -> None:
        selection = QItemSelection()
        wanted = set(paths)
        first = QModelIndex()
        for row in range(self._proxy.rowCount()):
            index = self._proxy.index(row, 0)
            if index.data(PATH_ROLE) in wanted:
                selection.select(index, self._proxy.index(row, len(_COLUMNS) - 1))
                first = first if first.isValid() else index
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self.table.selectionModel().select(selection, flags)
        if first.isValid():
            self.table.selectionModel().setCurrentIndex(
                first, QItemSelectionModel.SelectionFlag.NoUpdate
            )

    def _on_filter_changed(self, text: str) -> None:
        self._proxy.set_words(text)
        self.table.expandAll()
        self._update_count()

    def _update_count(self) -> None:
        n_shown, n_all = self._proxy.rowCount(), len(self._runs)
        self._count.setText(
            counted(n_all, "run")
            if n_shown == n_all
            else self.tr("{n} of {all} runs").format(n=n_shown, all=n_all)
        )

    def _on_selection_changed(self) -> None:
        paths = self.selected_paths()
        self.analyse_button.setEnabled(bool(paths))
        self.compare_button.setEnabled(len(paths) > 1)
        self.folder_button.setEnabled(len(paths) == 1)
        self._update_resume()
        self.detail.show_run(self._runs[paths[0]] if len(paths) == 1 else None, len(paths))

    def _update_resume(self) -> None:
        paths = self.selected_paths()
        run = self._runs[paths[0]] if len(paths) == 1 else None
        can_resume = run is not None and not self._is_training and is_resumable(run)
        self.resume_button.setEnabled(can_resume)
        if can_resume:
            text = self.tr("Go on with the selected run from its last whole epoch")
        elif run is not None and run.holder is not None and not run.holder.is_here:
            text = self.tr("This run is {0}: it can only be read here").format(run.holder.words())
        elif run is not None and is_resumable(run):
            text = self.tr("A run is being trained; when it has ended, this one can go on")
        else:
            text = self.tr("Select one run that ended early, after its first epoch")
        self.resume_button.setToolTip(text)

    def _on_resume(self) -> None:
        paths = self.selected_paths()
        if len(paths) == 1:
            self.resume_requested.emit(self._runs[paths[0]])

    def _on_analyse(self) -> None:
        if paths := self.selected_paths():
            self.analyse_requested.emit(paths)

    def _on_compare(self) -> None:
        self.compare_requested.emit(self.selected_paths())

    def _on_folder(self) -> None:
        self.folder_requested.emit(self.selected_paths()[0])


class _RunFilter(QSortFilterProxyModel):
    """Runs that hold every typed word in some column or in the folder's name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.setSortRole(SORT_ROLE)

    def set_words(self, text: str) -> None:
        """Keep the runs with every word of ``text``."""
        self.beginFilterChange()
        self._words = text.casefold().split()
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Accept a run with all words, and the paper's row below it."""
        if parent.isValid() or not self._words:
            return True
        model = self.sourceModel()
        cells = [str(model.index(row, c).data() or "") for c in range(model.columnCount())]
        path = model.index(row, 0).data(PATH_ROLE)
        text = " ".join([*cells, path.name if path is not None else ""]).casefold()
        return all(word in text for word in self._words)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Compare by the sort role; what is missing comes first."""
        a, b = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if a is None or b is None:
            return a is None and b is not None
        return bool(a < b)


def _item(column: str, text: str, sort_value: Any) -> QStandardItem:  # noqa: ANN401 - text, number
    item = QStandardItem(text)
    item.setEditable(False)
    item.setData(sort_value, SORT_ROLE)
    item.setTextAlignment(_LEFT if column in _TEXT_COLUMNS else _RIGHT)
    return item


def _paper_key(run: Run) -> tuple[str, str, bool]:
    network, regime = run.settings.training.network, run.settings.training.regime
    # As in core.analysis.comparison: the paper's longer rows are those from scratch with
    # more epochs than its usual number.
    unasked = dataclasses.replace(run.settings.training, epochs=None)
    usual = dataclasses.replace(run.settings, training=unasked).epochs
    return network, regime, regime == "scratch" and run.settings.epochs > usual
