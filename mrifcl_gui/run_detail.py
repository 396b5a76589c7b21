"""Curves and settings of one run, below the table of runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QHeaderView,
    QLabel,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core import config
from core.config import SettingField
from core.errors import MriFclError
from core.figure import Table
from core.run_folder import Run
from mrifcl_gui.config_form import AlertLabel, choice_title, value_text
from mrifcl_gui.curves_view import CurvesView
from mrifcl_gui.export import SpeakingExporter
from mrifcl_gui.queue_list import RoomyDelegate
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.run_cells import MISSING


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
        self.exporter = SpeakingExporter(self.settings_table, self)
        self._run: Run | None = None
        columns = RememberedSplitter("run", (800, 360), Qt.Orientation.Horizontal, self)
        columns.setChildrenCollapsible(False)
        columns.fill(self.curves, self.settings)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self.warning)
        layout.addWidget(columns, 1)
        self._columns = columns

    def show_run(self, run: Run | None, n_selected: int = 0) -> None:
        """Show ``run``; None says what to do."""
        self._run = run
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

    def settings_table(self) -> Table | None:
        """Return the settings of the run that is shown; None where there is none."""
        if self._run is None:
            return None
        return Table(
            name="run_settings",
            title=self.tr("Settings of {0}").format(self._run.name),
            columns=("setting", "value", "unit"),
            rows=tuple((field.title, value, field.unit) for field, value in _values_of(self._run)),
        )

    def build_menu(self) -> QMenu:
        """Return a new context menu of the settings."""
        menu = QMenu(self)
        self.exporter.add_actions(menu)
        return menu

    def _build_settings(self) -> QTreeWidget:
        view = QTreeWidget(self)
        view.setColumnCount(2)
        view.setHeaderLabels([self.tr("Setting"), self.tr("Value")])
        view.setRootIsDecorated(False)
        view.setUniformRowHeights(True)
        view.setAlternatingRowColors(True)
        view.setItemDelegate(RoomyDelegate(view))
        view.setAccessibleName(self.tr("Settings of the run"))
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._on_menu_requested)
        view.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        return view

    def _fill_settings(self, run: Run) -> None:
        for field, value in _values_of(run):
            words = "" if value is None else f"{self._value_words(field, value)} {field.unit}"
            item = QTreeWidgetItem([field.title, words.strip() or MISSING])
            item.setToolTip(0, field.help)
            self.settings.addTopLevelItem(item)

    def _value_words(self, field: SettingField, value: Any) -> str:  # noqa: ANN401 - any setting
        if field.kind is bool:
            return self.tr("yes") if value else self.tr("no")
        return choice_title(value) if field.choices else value_text(value)

    def _on_menu_requested(self, place: QPoint) -> None:
        if self.exporter.has_content:
            menu = self.build_menu()
            menu.aboutToHide.connect(menu.deleteLater)
            menu.popup(self.settings.viewport().mapToGlobal(place))


def _values_of(run: Run) -> Iterator[tuple[SettingField, Any]]:
    """Yield each setting with the value that was used; None where it means none."""
    for field in config.setting_fields():
        value = getattr(getattr(run.settings, field.group), field.name)
        if value is None:
            # Empty epochs and learning rate mean the paper's: what was used. Other empty
            # settings mean none.
            value = getattr(run.settings, field.name, None)
        yield field, value
