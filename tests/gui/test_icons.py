"""Menus and buttons have icons, in the colours of the theme, drawn no sooner than needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon
from PySide6.QtWidgets import QAbstractButton, QMenu, QPushButton, QToolButton

import mrifcl_gui
from core.figure import Axis, Curve, Figure, Panel
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.icons import (
    draw_named,
    icon_file,
    name_icon,
    put_icon,
    put_icon_beside,
    redraw_icon,
)
from mrifcl_gui.theme import DARK, LIGHT, ON_ACCENT
from tests.gui.test_theme import colours_in


def plain(text):
    return text.replace("&", "").split("\t")[0]


def opened(menu):
    """Return the entries of a menu as somebody sees them."""
    menu.aboutToShow.emit()
    return [entry for entry in menu.actions() if not entry.isSeparator()]


def test_that_every_entry_of_the_menu_bar_has_an_icon_once_it_is_opened(window):
    entries = []
    menus = [menu for menu in window.menuBar().findChildren(QMenu) if menu.title()]
    assert [plain(menu.title()) for menu in menus] == ["File", "Edit", "View", "Help"]
    for menu in menus:
        named = [entry for entry in menu.actions() if not entry.isSeparator()]
        assert all(entry.icon().isNull() for entry in named)
        entries += opened(menu)
    assert len(entries) > 20
    assert [plain(entry.text()) for entry in entries if entry.icon().isNull()] == []


def test_that_an_icon_of_a_menu_follows_the_theme(qtbot, look):
    look("light")
    menu = QMenu()
    qtbot.addWidget(menu)
    entry = name_icon(menu.addAction("Copy"), "copy")
    assert entry.icon().isNull()
    draw_named(menu.actions())
    for scheme, shades in (("light", LIGHT), ("dark", DARK)):
        look(scheme)
        picture = entry.icon().pixmap(QSize(16, 16), 1.0).toImage()
        assert colours_in(picture) == {QColor(shades.text).name()}


def test_that_every_icon_in_the_window_is_one_of_the_set(window):
    names = set()
    for button in window.findChildren(QAbstractButton):
        names.add(button.property("iconName"))
    for menu in window.findChildren(QMenu):
        names |= {entry.property("iconName") for entry in menu.actions()}
    names -= {None, ""}
    assert {"play", "square", "folder-open", "download", "settings", "undo-2"} <= names
    assert all(icon_file(name).is_file() for name in names)


def test_that_no_icon_is_kept_that_nothing_shows():
    files = Path(mrifcl_gui.__file__).parent.glob("*.py")
    words = "".join(file.read_text("utf-8") for file in files)
    kept = [file.stem for file in icon_file("play").parent.glob("*.svg")]
    assert [name for name in kept if f'"{name}"' not in words] == []


def test_that_the_main_actions_have_icons(window):
    panel = window.training_panel
    for button in (
        panel.train_button,
        panel.add_button,
        panel.live.stop_button,
        panel.live.analyse_button,
        window.runs_panel.resume_button,
        window.runs_panel.folder_button,
    ):
        assert not button.icon().isNull(), button.text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_that_the_icon_of_the_filled_button_has_the_colour_of_its_words(qtbot, look, scheme):
    look(scheme)
    button = QPushButton("Train")
    qtbot.addWidget(button)
    put_icon(button, "play")
    shades = LIGHT if scheme == "light" else DARK
    for is_primary, colour in ((False, shades.text), (True, ON_ACCENT)):
        button.setProperty("primary", is_primary)
        redraw_icon(button)
        picture = button.icon().pixmap(QSize(16, 16), 1.0, QIcon.Mode.Normal).toImage()
        assert colours_in(picture) == {QColor(colour).name()}


def test_that_icons_beside_words_grow_with_them(qtbot, look):
    look("light", 2.0)
    button, tool = QPushButton("Train"), QToolButton()
    tool.setText("Export")
    for widget in (button, tool):
        qtbot.addWidget(widget)
    put_icon(button, "play")
    put_icon_beside(tool, "download")
    for widget in (button, tool):
        assert widget.iconSize() == QSize(32, 32)
        assert widget.icon().pixmap(QSize(32, 32), 1.0).width() == 32
    assert tool.sizeHint().width() > tool.fontMetrics().horizontalAdvance("Export") + 32


def test_that_copy_and_export_of_a_plot_have_icons(qtbot):
    view = FigureView()
    qtbot.addWidget(view)
    view.show_figure(
        Figure("f", "F", (Panel(Axis("x"), Axis("y"), (Curve("c", [0, 1], [0, 1]),)),))
    )
    menu = view.build_menu()
    entries = [entry for entry in menu.actions() if not entry.isSeparator()]
    assert [entry.text() for entry in entries if entry.icon().isNull()] == []
    menu.deleteLater()
