"""The RUNS place: a table of all runs, and curves and settings of the chosen one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QDragEnterEvent,
    QDropEvent,
    QPalette,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTreeView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core import config, run_folder
from core.config import SettingField
from core.data.split import split_name
from core.errors import MriFclError
from core.run_folder import Run
from mrifcl_gui.config_form import AlertLabel, alert_colour, choice_title, value_text
from mrifcl_gui.curves_view import CurvesView
from mrifcl_gui.queue_list import RoomyDelegate

# (network, regime, whether trained longer) -> train, validation, test (fractions), seconds.
PaperRows = Mapping[tuple[str, str, bool], tuple[float, float, float, float]]

SORT_ROLE = Qt.ItemDataRole.UserRole + 1
PATH_ROLE = Qt.ItemDataRole.UserRole + 2
MOST_DROPPED = 200
_MISSING = "–"
_COLUMNS = (
    "Network",
    "Regime",
    "Split",
    "Epochs",
    "Train (%)",
    "Validation (%)",
    "Test (%)",
    "Test by subject (%)",
    "Time (min:s)",
    "Date",
    "State",
)
_SPLIT_TITLES = {"subject": "Subject", "slice": "Slice", "kfold": "k-fold"}
_TEXT_COLUMNS = ("Network", "Regime", "Split", "State")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class RunsPanel(QWidget):
    """All runs of the open folder, to sort, filter, compare and analyse.

    Run folders can be dropped on it.
    """

    analyse_requested = Signal(list)
    compare_requested = Signal(list)
    folder_requested = Signal(object)
    run_dropped = Signal(object)
    train_requested = Signal()
    resume_requested = Signal(object)  # Run

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_training = False
        self._runs: dict[Path, Run] = {}
        self._paper: PaperRows = {}
        self.setAcceptDrops(True)
        self.message = AlertLabel(self)
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
        layout.addWidget(self.message)
        layout.addWidget(self._stack, 1)
        self.show_runs([])

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Show ``runs``; order, filter and choice stay as they were."""
        chosen = self.selected_paths()
        self._runs = {run.path: run for run in runs}
        self._fill()
        self._stack.setCurrentIndex(1 if runs else 0)
        self.filter.setEnabled(bool(runs))
        self._select([path for path in chosen if path in self._runs])
        self._on_selection_changed()

    def set_paper_rows(self, rows: PaperRows) -> None:
        """Show the paper's numbers in grey under the runs that they belong to."""
        self._paper = rows
        self.show_runs(list(self._runs.values()))

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
            self.show_runs(list(self._runs.values()))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept local files; which of them are runs is looked at after the drop."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Give out each dropped run folder; say which were none."""
        event.acceptProposedAction()
        urls = [url for url in event.mimeData().urls() if url.isLocalFile()]
        paths = [Path(url.toLocalFile()) for url in urls[:MOST_DROPPED]]
        others = []
        for path in paths:
            folder = path.parent if path.name == run_folder.RECORD_FILE else path
            if run_folder.is_run(folder):
                self.run_dropped.emit(folder)
            else:
                others.append(path.name)
        self.message.show_text(self._refusal(others, len(urls) - len(paths)))

    def _refusal(self, others: list[str], n_left_out: int) -> str:
        text = ""
        if others:
            named = ", ".join(f"'{name}'" for name in others[:3])
            more = self.tr(" and {n} more").format(n=len(others) - 3) if len(others) > 3 else ""
            text = self.tr(
                "No run folder: {names}{more}. Drop a folder that holds a run.json."
            ).format(names=named, more=more)
        if n_left_out:
            text += self.tr(" {n} items were left out: drop fewer at once.").format(n=n_left_out)
        return text.strip()

    def _build_head(self) -> QHBoxLayout:
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(self.tr("Filter: network, regime, split, state, name…"))
        self.filter.setAccessibleName(self.tr("Filter runs"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._on_filter_changed)
        self._count = QLabel(self)
        self.analyse_button = QPushButton(self.tr("Analyse"), self)
        self.analyse_button.setProperty("primary", True)
        self.analyse_button.setToolTip(self.tr("Open the figures of the selected runs (Enter)"))
        self.analyse_button.clicked.connect(self._on_analyse)
        self.compare_button = QPushButton(self.tr("Compare selected"), self)
        self.compare_button.setToolTip(self.tr("Select two or more runs, then compare them"))
        self.compare_button.clicked.connect(self._on_compare)
        self.folder_button = QPushButton(self.tr("Open folder"), self)
        self.folder_button.setToolTip(self.tr("Show the files of the selected run"))
        self.folder_button.clicked.connect(self._on_folder)
        self.resume_button = QPushButton(self.tr("Resume"), self)
        self.resume_button.clicked.connect(self._on_resume)
        layout = QHBoxLayout()
        layout.setSpacing(8)
        layout.addWidget(self.filter, 1)
        layout.addWidget(self._count)
        for button in (
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
        return table

    def _build_full(self) -> QSplitter:
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.table)
        splitter.addWidget(self.detail)
        splitter.setSizes([320, 320])
        return splitter

    def _build_empty(self) -> QWidget:
        page = QWidget(self)
        title = QLabel(self.tr("No runs yet"), page)
        font = title.font()
        font.setPixelSize(20)
        title.setFont(font)
        text = QLabel(
            self.tr("Train a network first, or drop the folder of an earlier run here."), page
        )
        button = QPushButton(self.tr("Go to training"), page)
        button.clicked.connect(self.train_requested)
        layout = QVBoxLayout(page)
        layout.setSpacing(8)
        layout.addStretch(1)
        for widget in (title, text, button):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        return page

    def _fill(self) -> None:
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
        self._update_count()

    def _items_of(self, run: Run) -> list[QStandardItem]:
        items = [_item(name, *value) for name, value in _cells_of(run).items()]
        for item in items:
            item.setData(run.path, PATH_ROLE)
        items[0].setToolTip(run.name)
        split = items[_COLUMNS.index("Split")]
        split.setToolTip(self.tr("Split {0}").format(run.split_text))
        if run.leaks or split_name(run.settings.split) == "slice":
            split.setText(f"● {split.text()}")
            split.setForeground(alert_colour(self))
            split.setToolTip(run.warning or self.tr("Split by slice: accuracies are inflated."))
        items[-1].setToolTip(self._state_words(run))
        if run.state in ("failed", "interrupted"):
            items[-1].setForeground(alert_colour(self))
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
        cells["Train (%)"] = (_per_cent(train), train)
        cells["Validation (%)"] = (_per_cent(validation), validation)
        cells["Test (%)"] = (_per_cent(test), test)
        cells["Time (min:s)"] = (_minutes(seconds), seconds)
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
            self.tr("{n} runs").format(n=n_all)
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


class RunDetail(QWidget):
    """Curves and settings of one run."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = QLabel(self)
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.warning = AlertLabel(self)
        self.curves = CurvesView(self)
        self.settings = self._build_settings()
        columns = QSplitter(Qt.Orientation.Horizontal, self)
        columns.setChildrenCollapsible(False)
        columns.addWidget(self.curves)
        columns.addWidget(self.settings)
        columns.setSizes([800, 360])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self.warning)
        layout.addWidget(columns, 1)
        self._columns = columns

    def show_run(self, run: Run | None, n_selected: int = 0) -> None:
        """Show ``run``; None says what to do."""
        self._columns.setVisible(run is not None)
        self.settings.clear()
        if run is None:
            self.warning.show_text("")
            self._title.setText(
                self.tr("{n} runs are selected: analyse or compare them.").format(n=n_selected)
                if n_selected
                else self.tr("Select a run to see its curves and settings.")
            )
            return
        self._title.setText(run.name)
        warning = run.warning
        try:
            self.curves.show_history(run.history)
        except (MriFclError, OSError) as error:
            self.curves.start(1)
            warning = f"{warning} {error}".strip()
        if run.holder is not None and not run.holder.is_here:
            words = self.tr("This run is {0}: it can only be read here.")
            warning = f"{warning} {words.format(run.holder.words())}"
        self.warning.show_text(" ".join([warning, *run.remarks]).strip())
        self._fill_settings(run)

    def _build_settings(self) -> QTreeWidget:
        view = QTreeWidget(self)
        view.setColumnCount(2)
        view.setHeaderLabels([self.tr("Setting"), self.tr("Value")])
        view.setRootIsDecorated(False)
        view.setUniformRowHeights(True)
        view.setAlternatingRowColors(True)
        view.setItemDelegate(RoomyDelegate(view))
        view.setAccessibleName(self.tr("Settings of the run"))
        view.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        return view

    def _fill_settings(self, run: Run) -> None:
        for field in config.setting_fields():
            value = getattr(getattr(run.settings, field.group), field.name)
            if value is None:
                # Empty epochs and learning rate mean the paper's: show what was used. Other
                # empty settings mean none.
                value = getattr(run.settings, field.name, None)
            words = "" if value is None else f"{self._value_words(field, value)} {field.unit}"
            item = QTreeWidgetItem([field.title, words.strip() or _MISSING])
            item.setToolTip(0, field.help)
            self.settings.addTopLevelItem(item)

    def _value_words(self, field: SettingField, value: Any) -> str:  # noqa: ANN401 - any setting
        if field.kind is bool:
            return self.tr("yes") if value else self.tr("no")
        return choice_title(value) if field.choices else value_text(value)


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


def is_resumable(run: Run) -> bool:
    """Tell whether a run ended early with something to go on from.

    A run that is being trained, here or elsewhere, cannot be resumed.
    """
    done = _number(run.record.get("epochs_done"))
    return run.state in ("stopped", "failed", "interrupted") and done > 0


def _split_title(run: Run) -> str:
    split = run.settings.split
    if split.split_file:
        return split.split_file
    title = _SPLIT_TITLES[split.mode]
    return f"{title} {split.fold}/{split.folds}" if split.mode == "kfold" else title


def _cells_of(run: Run) -> dict[str, tuple[str, Any]]:
    """Return text and sort value of each column."""
    record = run.record
    accuracy = record.get("accuracy")
    accuracy = accuracy if isinstance(accuracy, Mapping) else {}
    done = _number(record.get("epochs_done"))
    seconds = _number(record.get("seconds"))
    started = _date(record.get("started"))
    cells: dict[str, tuple[str, Any]] = {
        "Network": (run.network_title, run.network_title),
        "Regime": (run.regime_title, run.regime_title),
        "Split": (_split_title(run), split_name(run.settings.split)),
        "Epochs": (_epochs_text(done, run.settings.epochs), _sortable(done)),
    }
    for title, key in (
        ("Train (%)", "train"),
        ("Validation (%)", "validation"),
        ("Test (%)", "test"),
        ("Test by subject (%)", "test_by_subject"),
    ):
        value = _number(accuracy.get(key))
        cells[title] = (_per_cent(value), _sortable(value))
    cells["Time (min:s)"] = (_minutes(seconds), _sortable(seconds))
    cells["Date"] = (
        f"{started:%Y-%m-%d %H:%M}" if started else _MISSING,
        started.timestamp() if started else None,
    )
    is_elsewhere = run.holder is not None and not run.holder.is_here
    cells["State"] = ("running elsewhere" if is_elsewhere else run.state, run.state)
    return cells


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


def _number(value: Any) -> float:  # noqa: ANN401 - anything a JSON file may hold
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def _sortable(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _per_cent(value: float) -> str:
    return f"{value * 100:.1f}" if math.isfinite(value) else _MISSING


def _minutes(seconds: float) -> str:
    if not math.isfinite(seconds):
        return _MISSING
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _epochs_text(done: float, asked: int) -> str:
    if not math.isfinite(done):
        return _MISSING
    return f"{done:.0f}" if done >= asked else f"{done:.0f} of {asked}"


def _date(value: Any) -> datetime | None:  # noqa: ANN401 - anything a JSON file may hold
    try:
        return datetime.fromisoformat(str(value)).astimezone()
    except ValueError:
        return None
