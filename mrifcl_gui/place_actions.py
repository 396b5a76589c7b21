"""What Save, Copy, Export, Find and Refresh mean in the place that is in front."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QCursor, QKeySequence, QUndoGroup
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.cohort_panel import CohortPanel
from mrifcl_gui.curves_view import CurvesView
from mrifcl_gui.export import Exporter
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.icons import name_icon
from mrifcl_gui.runs_panel import RunsPanel
from mrifcl_gui.session import Session
from mrifcl_gui.table_view import TableView
from mrifcl_gui.training_panel import TrainingPanel

Place = CohortPanel | TrainingPanel | RunsPanel | AnalysisTabs


class PlaceActions(QObject):
    """One action each for the whole window; what it does depends on the place in front.

    Undo and Redo are of what was changed there.

    Parameters
    ----------
    session : Session
        Is asked to look again at folders and runs.
    parent : QWidget
        The window.
    """

    said = Signal(str)

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._place: QWidget | None = None
        keys = QKeySequence.StandardKey
        self.save = self._action(self.tr("&Save"), keys.Save, self._on_save)
        self.export = self._action(self.tr("&Export what is shown…"), "Ctrl+E", self._on_export)
        self.copy = self._action(self.tr("&Copy what is shown"), keys.Copy, self._on_copy)
        self._undo_group = QUndoGroup(self)
        self.undo = self._undo_group.createUndoAction(self.parent(), self.tr("&Undo"))
        self.undo.setShortcut(QKeySequence("Ctrl+Z"))
        self.redo = self._undo_group.createRedoAction(self.parent(), self.tr("&Redo"))
        self.redo.setShortcuts([QKeySequence("Ctrl+Shift+Z"), QKeySequence("Ctrl+Y")])
        self.find = self._action(self.tr("&Find…"), keys.Find, self._on_find)
        self.refresh = self._action(self.tr("Re&fresh"), "F5", self._on_refresh)
        self.refresh.setToolTip(self.tr("Read the folder of scans, or the list of runs, again"))
        self._name_icons()

    def set_place(self, place: QWidget) -> None:
        """Let the actions be for ``place``."""
        self._place = place
        has_list = isinstance(place, CohortPanel | RunsPanel)
        self.find.setEnabled(has_list)
        if has_list:
            self._undo_group.addStack(place.undo_stack)
        self._undo_group.setActiveStack(place.undo_stack if has_list else None)

    def _name_icons(self) -> None:
        for action, name in (
            (self.save, "save"),
            (self.export, "download"),
            (self.copy, "copy"),
            (self.undo, "undo-2"),
            (self.redo, "redo-2"),
            (self.find, "search"),
            (self.refresh, "refresh-cw"),
        ):
            name_icon(action, name)

    def _action(self, text: str, keys: QKeySequence.StandardKey | str, slot: object) -> QAction:
        action = QAction(text, self.parent())
        action.setShortcut(QKeySequence(keys))
        action.triggered.connect(slot)
        return action

    def _on_save(self) -> None:
        """Say that there is nothing to save by hand, and where all is kept."""
        opened = self._session.opened
        runs = self.tr("runs in {0}").format(self._session.runs_folder)
        if opened is None:
            self.said.emit(self.tr("Everything is kept as you go: {0}.").format(runs))
        else:
            self.said.emit(
                self.tr("Everything is kept as you go: the cohort in {0}, {1}.").format(
                    opened.folder, runs
                )
            )

    def _on_export(self) -> None:
        if isinstance(self._place, CohortPanel):
            if self._place.cohort is not None:
                self._place.viewer.ask_and_save()
                return
        elif exporter := self._exporter():
            menu = QMenu(self._place)
            exporter.add_actions(menu)
            menu.aboutToHide.connect(menu.deleteLater)
            menu.popup(QCursor.pos() if self._is_pointed_at() else self._middle())
            return
        self.said.emit(self.tr("There is nothing to export here yet."))

    def _on_copy(self) -> None:
        if isinstance(self._place, CohortPanel):
            if self._place.cohort is not None:
                self._place.viewer.copy_screenshot()
                self.said.emit(self.tr("The picture is copied."))
                return
        elif exporter := self._exporter():
            exporter.copy()
            self.said.emit(self.tr("What is shown is copied."))
            return
        self.said.emit(self.tr("There is nothing to copy here yet."))

    def _on_find(self) -> None:
        if isinstance(self._place, CohortPanel):
            self._place.scan_list.find()
        elif isinstance(self._place, RunsPanel):
            self._place.find()

    def _on_refresh(self) -> None:
        opened = self._session.opened
        if isinstance(self._place, CohortPanel) and opened is not None:
            self._session.look([opened.cohort.root])
        else:
            self._session.refresh_runs()
            self.said.emit(self.tr("The list of runs is read again."))

    def _exporter(self) -> Exporter | None:
        """Return that of the plot or table with the keyboard, else of the first that is seen."""
        if self._place is None:
            return None
        if isinstance(self._place, RunsPanel) and self._place.exporter.has_content:
            return self._place.exporter
        kinds = (FigureView, CurvesView, TableView)
        shown = [
            view
            for kind in kinds
            for view in self._place.findChildren(kind)
            if view.isVisible() and view.exporter.has_content
        ]
        focus = QApplication.focusWidget()
        for view in shown:
            if focus is not None and (view is focus or view.isAncestorOf(focus)):
                return view.exporter
        return shown[0].exporter if shown else None

    def _is_pointed_at(self) -> bool:
        assert self._place is not None
        return self._place.rect().contains(self._place.mapFromGlobal(QCursor.pos()))

    def _middle(self) -> object:
        assert self._place is not None
        return self._place.mapToGlobal(self._place.rect().center())
