"""Help: every key and gesture, read from what the window really has, so never out of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLineEdit,
    QMenu,
    QMenuBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from mrifcl_gui.viewer_keys import key_words

_TEXT = QKeySequence.SequenceFormat.NativeText
# Where an action acts that is no action of the whole window: its widget says it.
_PLACES = {
    "CohortPanel": "Cohort",
    "RunsPanel": "Runs",
    "AnalysisTabs": "Analyse",
}
# Of keys that a list takes by itself, and of the mouse.
_GESTURES = (
    ("Viewer", "Wheel", "Slice"),
    ("Viewer", "Ctrl+wheel", "Zoom at the pointer"),
    ("Viewer", "Left drag", "Crosshair"),
    ("Viewer", "Right drag", "Window (across) and level (up)"),
    ("Viewer", "Middle drag", "Move the picture"),
    ("Viewer", "Double click", "Enlarge a plane, or show all"),
    ("Viewer", "Right click", "Menu: save, copy, compare"),
    ("Figures", "Drag", "Move"),
    ("Figures", "Wheel", "Zoom at the pointer"),
    ("Figures", "Double click", "Whole figure"),
    ("Figures", "Right click", "Copy, export"),
    ("Figures", "Click a dot", "Its slice, or its feature"),
    ("Figures", "Shift+drag", "Draw around dots"),
    ("Queue", "Del", "Take a run out of the queue"),
    ("Queue", "Ctrl+Z", "Put it back"),
    ("Queue", "Alt+Up, Alt+Down", "Earlier, later"),
    ("Tables", "Ctrl+C", "Copy the selected rows"),
)


@dataclass(frozen=True)
class Shortcut:
    """One line of the list."""

    where: str
    keys: str
    words: str


def shortcuts_of(window: QWidget) -> list[Shortcut]:
    """Return all keys of ``window``: of its actions and shortcuts, then viewer and gestures."""
    found = [
        Shortcut(_where(action), _keys(action.shortcuts()), _plain(action.text()))
        for action in window.findChildren(QAction)
        if action.shortcuts() and not _is_of_passing_menu(action)
    ]
    found += [
        Shortcut(_where(shortcut), _keys([shortcut.key()]), shortcut.whatsThis())
        for shortcut in window.findChildren(QShortcut)
        if _is_of(shortcut, window)
    ]
    found += [
        Shortcut("Viewer", QKeySequence(key).toString(_TEXT), words)
        for key, words in key_words().items()
    ]
    found += [Shortcut(*gesture) for gesture in _GESTURES]
    # What holds everywhere comes first, the rest as it was found.
    found.sort(key=lambda line: line.where != _everywhere())
    return list(dict.fromkeys(found))


class ShortcutWindow(QDialog):
    """The list, with a filter."""

    def __init__(self, shortcuts: Sequence[Shortcut], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts – MRI-FCL"))
        self._shortcuts = tuple(shortcuts)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(self.tr("Filter: a key or a word"))
        self.filter.setAccessibleName(self.tr("Filter the shortcuts"))
        self.filter.setToolTip(self.tr("Show only lines with these words"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._on_filter)
        self.table = self._build_table()
        column = QVBoxLayout(self)
        column.addWidget(self.filter)
        column.addWidget(self.table, 1)
        self.resize(620, 640)

    def lines(self) -> list[Shortcut]:
        """Return the lines that are shown."""
        rows = range(self.table.rowCount())
        return [self._shortcuts[row] for row in rows if not self.table.isRowHidden(row)]

    def _build_table(self) -> QTableWidget:
        titles = [self.tr("Where"), self.tr("Keys"), self.tr("What they do")]
        table = QTableWidget(len(self._shortcuts), len(titles), self)
        table.setHorizontalHeaderLabels(titles)
        table.setAccessibleName(self.tr("Keyboard shortcuts"))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setAlternatingRowColors(True)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.verticalHeader().hide()
        for row, line in enumerate(self._shortcuts):
            for place, text in enumerate((line.where, line.keys, line.words)):
                table.setItem(row, place, QTableWidgetItem(text))
        table.resizeColumnsToContents()
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        table.horizontalHeader().setDefaultAlignment(left)
        table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        return table

    def _on_filter(self, text: str) -> None:
        words = text.casefold().split()
        for row, line in enumerate(self._shortcuts):
            whole = f"{line.where} {line.keys} {line.words}".casefold()
            self.table.setRowHidden(row, not all(word in whole for word in words))


def _where(thing: QAction | QShortcut) -> str:
    context = thing.context() if isinstance(thing, QShortcut) else thing.shortcutContext()
    if context in (Qt.ShortcutContext.WindowShortcut, Qt.ShortcutContext.ApplicationShortcut):
        return _everywhere()
    owner = thing.parent()
    name = owner.accessibleName() if isinstance(owner, QWidget) else ""
    while not name and isinstance(owner, QWidget):
        name = _PLACES.get(type(owner).__name__, "")
        owner = owner.parent()
    return name


def _everywhere() -> str:
    return QCoreApplication.translate("Shortcuts", "Everywhere")


def _is_of(shortcut: QShortcut, window: QWidget) -> bool:
    """Tell whether a shortcut acts in ``window`` and not in a dialog above it."""
    owner = shortcut.parent()
    return isinstance(owner, QWidget) and owner.window() is window


def _is_of_passing_menu(action: QAction) -> bool:
    """Tell whether an action lies in a context menu only, which shows a key but takes none."""
    parent = action.parent()
    return isinstance(parent, QMenu) and not isinstance(parent.parent(), QMenuBar)


def _keys(keys: Sequence[QKeySequence]) -> str:
    return ", ".join(dict.fromkeys(key.toString(_TEXT) for key in keys))


def _plain(text: str) -> str:
    return text.replace("&", "").rstrip("…")
