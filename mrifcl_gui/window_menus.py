"""The menus of the window: every action with its words and its shortcut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Qt, Signal, SignalInstance
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from mrifcl_gui.about import show_about
from mrifcl_gui.guide_window import GUIDE, MATHS, TUTORIAL, GuideWindow, anchor_of
from mrifcl_gui.icons import draw_named, name_icon
from mrifcl_gui.place_rail import PLACE_ICONS, PLACES
from mrifcl_gui.preferences_dialog import PreferencesDialog
from mrifcl_gui.shortcut_window import ShortcutWindow, shortcuts_of
from mrifcl_gui.window_questions import WindowQuestions

Keys = QKeySequence.StandardKey | str | None


class WindowMenus(QObject):
    """Builds the menus and keeps what only they open.

    Parameters
    ----------
    window : QMainWindow
        Has the menu bar.
    """

    place_chosen = Signal(str)
    demo_requested = Signal()
    audit_requested = Signal()
    layout_reset = Signal()

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._guide: GuideWindow | None = None

    def build(
        self,
        questions: WindowQuestions,
        *,
        files: Sequence[QAction],
        edits: Sequence[QAction | None],
        views: Sequence[QAction],
        places: Sequence[str],
    ) -> None:
        """Fill the menu bar.

        Parameters
        ----------
        questions : WindowQuestions
            What the file menu asks.
        files : sequence of QAction
            What else the file menu has.
        edits : sequence of QAction or None
            The edit menu; None is a separator.
        views : sequence of QAction
            What else the view menu has.
        places : sequence of str
            Title of each place.
        """
        self._build_file(questions, files)
        edit_menu = self._menu(self.tr("&Edit"))
        for action in edits:
            if action is None:
                edit_menu.addSeparator()
            else:
                edit_menu.addAction(action)
        edit_menu.addSeparator()
        settings = self._add(edit_menu, self.tr("Prefere&nces…"), self._on_preferences, "Ctrl+,")
        name_icon(settings, "settings")
        self._build_view(places, views)
        self._build_help()

    def _build_file(self, questions: WindowQuestions, files: Sequence[QAction]) -> None:
        menu, add = self._menu(self.tr("&File")), self._add
        opening = QKeySequence.StandardKey.Open
        scans = add(menu, self.tr("&Open folder of scans…"), questions.ask_folder, opening)
        labels = self.tr("Open folder with a &table of labels…")
        labelled = add(menu, labels, questions.ask_labelled)
        existing = self.tr("Open &cohort or run…")
        kept = add(menu, existing, questions.ask_existing, "Ctrl+Shift+O")
        demo = add(menu, self.tr("Open the &demo cohort"), self.demo_requested)
        menu.addSeparator()
        menu.addActions(files)
        menu.addSeparator()
        pattern = add(menu, self.tr("&Subject pattern…"), questions.ask_pattern)
        place = add(menu, self.tr("Folder for cohorts and &runs…"), questions.ask_data_folder)
        menu.addSeparator()
        leave = add(menu, self.tr("&Quit"), self._window.close, "Ctrl+Q")
        _name_icons(
            (scans, "folder-open"),
            (labelled, "table"),
            (kept, "folder"),
            (demo, "flask-conical"),
            (pattern, "regex"),
            (place, "folder-cog"),
            (leave, "log-out"),
        )

    def _build_view(self, places: Sequence[str], views: Sequence[QAction]) -> None:
        menu = self._menu(self.tr("&View"))
        group = QActionGroup(self)
        for number, title in enumerate(places):
            action = self._add(menu, title, self._on_place, f"Ctrl+{number + 1}")
            action.setData(number)
            name_icon(action, PLACE_ICONS[number])
            group.addAction(action)
        menu.addSeparator()
        menu.addActions(views)
        audit = self.tr("&Audit of the split")
        audited = self._add(menu, audit, self.audit_requested, "Ctrl+Shift+A")
        menu.addSeparator()
        reset = self._add(menu, self.tr("&Reset layout"), self.layout_reset)
        _name_icons((audited, "shield-check"), (reset, "panels-top-left"))

    def _build_help(self) -> None:
        menu, add = self._menu(self.tr("&Help")), self._add
        guide_key = QKeySequence.StandardKey.HelpContents
        guide = add(menu, self.tr("&User guide"), self._on_guide, guide_key)
        tutorial = add(menu, self.tr("&Tutorial"), self._on_tutorial)
        maths = add(menu, self.tr("&Maths of the figures"), self._on_maths)
        menu.addSeparator()
        keys = add(menu, self.tr("&Keyboard shortcuts"), self._on_shortcuts, "Ctrl+F1")
        about = add(menu, self.tr("&About MRI-FCL"), self._on_about)
        _name_icons(
            (guide, "circle-question-mark"),
            (tutorial, "graduation-cap"),
            (maths, "sigma"),
            (keys, "keyboard"),
            (about, "info"),
        )

    def _menu(self, title: str) -> QMenu:
        menu = self._window.menuBar().addMenu(title)
        menu.aboutToShow.connect(self._on_menu_opened)
        return menu

    def _add(
        self,
        menu: QMenu,
        title: str,
        slot: Callable[[], object] | SignalInstance,
        keys: Keys = None,
    ) -> QAction:
        action = QAction(title, self._window)
        action.triggered.connect(slot)
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
        menu.addAction(action)
        return action

    def _on_menu_opened(self) -> None:
        menu = self.sender()
        if isinstance(menu, QMenu):
            draw_named(menu.actions())

    def _on_place(self) -> None:
        sender = self.sender()
        if isinstance(sender, QAction):
            self.place_chosen.emit(PLACES[int(sender.data())])

    def _on_preferences(self) -> None:
        dialog = PreferencesDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _on_about(self) -> None:
        show_about(self._window)

    def _on_shortcuts(self) -> None:
        shown = ShortcutWindow(shortcuts_of(self._window), self._window)
        shown.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        shown.show()

    def _on_guide(self) -> None:
        self._show_guide(GUIDE)

    def _on_tutorial(self) -> None:
        self._show_guide(TUTORIAL)

    def _on_maths(self) -> None:
        self._show_guide(MATHS)

    def show_maths(self, heading: str) -> None:
        """Open the guide at the formulas below a heading."""
        self._show_guide(MATHS, heading=heading)

    def _show_guide(self, file: str, *, heading: str = "") -> None:
        if self._guide is None:
            self._guide = GuideWindow(self._window)
        self._guide.show_page(file, anchor=anchor_of(heading))


def _name_icons(*pairs: tuple[QAction, str]) -> None:
    for action, name in pairs:
        name_icon(action, name)
