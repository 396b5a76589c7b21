"""Light and dark, the scale of spacing and type, contrast, focus, icons."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

import mrifcl_gui
from mrifcl_gui import preferences, theme
from mrifcl_gui.figure_colours import contrast
from mrifcl_gui.icons import icon_file, put_icon
from mrifcl_gui.preferences_dialog import PreferencesDialog
from mrifcl_gui.theme import ACCENT, BODY, DARK, LIGHT, alarm_colour, palette_of, scaled
from tests.tiny_cohort import wait_until_idle

ROLE = QPalette.ColorRole
TEXTS_ON_GROUNDS = [
    (ROLE.WindowText, ROLE.Window),
    (ROLE.Text, ROLE.Base),
    (ROLE.Text, ROLE.AlternateBase),
    (ROLE.ButtonText, ROLE.Button),
    (ROLE.PlaceholderText, ROLE.Base),
    (ROLE.PlaceholderText, ROLE.Window),
    (ROLE.PlaceholderText, ROLE.AlternateBase),
    (ROLE.HighlightedText, ROLE.Highlight),
    (ROLE.ToolTipText, ROLE.ToolTipBase),
    (ROLE.Link, ROLE.Window),
    (ROLE.Link, ROLE.Base),
]


def colours_in(image):
    return {
        image.pixelColor(x, y).name()
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).alpha() == 255
    }


# Colours


@pytest.mark.parametrize("shades", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("group", [QPalette.ColorGroup.Active, QPalette.ColorGroup.Disabled])
@pytest.mark.parametrize(
    "pair", TEXTS_ON_GROUNDS, ids=lambda pair: f"{pair[0].name} {pair[1].name}"
)
def test_that_texts_stand_off_their_ground(shades, group, pair):
    palette = palette_of(shades)
    text, ground = (palette.color(group, role) for role in pair)
    assert contrast(text, ground) >= 4.5


@pytest.mark.parametrize("shades", [LIGHT, DARK], ids=["light", "dark"])
def test_that_alarms_and_axes_of_figures_can_be_read(shades):
    palette = palette_of(shades)
    for ground in (shades.window, shades.base, shades.alternate):
        assert contrast(alarm_colour(palette), QColor(ground)) >= 4.5
        assert contrast(QColor(shades.ink), QColor(ground)) >= 4.5
        assert contrast(QColor(shades.accent), QColor(ground)) >= 3, "a mark, not a text"
    assert contrast(QColor(theme.ON_ACCENT), QColor(ACCENT)) >= 4.5


def test_that_texts_about_scans_can_be_read():
    viewer = theme.VIEWER
    for text in (viewer.text, viewer.faint, viewer.warning, viewer.accent):
        for ground in (viewer.ground, viewer.control):
            assert contrast(QColor(text), QColor(ground)) >= 4.5


_COLOUR = re.compile(
    r"""\#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?\b | \brgba?\( | QColor\(\s*["'\d] """
    r"""| GlobalColor\.(?!transparent) """
    r"""| \bmk(?:Pen|Brush|Color)\(\s*["'\d] | \bcolou?r:\s*[a-z]+\s*; """,
    re.VERBOSE,
)


def test_that_no_other_module_names_a_colour():
    folder = Path(mrifcl_gui.__file__).parent
    found = [
        f"{file.name}:{number}: {line.strip()}"
        for file in sorted(folder.glob("*.py"))
        if file.name != "theme.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if _COLOUR.search(line) and not line.lstrip().startswith("#")
    ]
    assert found == []


# Light and dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_that_the_window_and_its_icons_are_light_or_dark_as_asked(qtbot, window, look, scheme):
    look(scheme)
    shades = LIGHT if scheme == "light" else DARK
    assert window.palette().color(ROLE.Window) == QColor(shades.window)
    icon = window.rail.buttons[0].icon().pixmap(QSize(24, 24), 2.0).toImage()
    assert QColor(shades.text).name() in colours_in(icon)
    assert QColor(shades.window).name() in colours_in(window.grab().toImage().scaled(160, 100))
    wait_until_idle(qtbot)


def test_that_no_icon_of_the_window_is_forgotten_when_the_theme_changes(qtbot, window, look):
    look("dark")
    gc.collect()
    widgets = [window, *window.findChildren(QWidget)]
    buttons = [widget for widget in widgets if isinstance(widget, QAbstractButton)]
    targets = {*buttons, *(action for widget in widgets for action in widget.actions())}
    shown = [target for target in targets if target.property("iconName")]
    assert len(shown) > 50
    for target in shown:
        if isinstance(target, QAbstractButton) and not target.property("primary"):
            image = target.icon().pixmap(target.iconSize(), 2.0).toImage()
            assert QColor(DARK.text).name() in colours_in(image), target.property("iconName")
    wait_until_idle(qtbot)


def test_that_the_system_is_followed_until_another_theme_is_chosen(qtbot, look):
    app = QApplication.instance()
    kept = look("system")
    told = []
    kept.changed.connect(lambda: told.append(app.palette().color(ROLE.Window).name()))
    hints = app.styleHints()
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert told == [DARK.window, LIGHT.window]
    kept.set_scheme("dark")
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert app.palette().color(ROLE.Window) == QColor(DARK.window)


def test_that_preferences_hold_at_once_and_at_the_next_start(qtbot, look):
    look("light")
    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    dialog.scheme.setCurrentText("Dark")
    assert QApplication.palette().color(ROLE.Window) == QColor(DARK.window)
    assert preferences.scheme() == "dark"
    assert not dialog.said.isVisibleTo(dialog)
    dialog.text_scale.setCurrentText("150 %")
    assert preferences.text_scale() == 1.5
    assert dialog.said.isVisibleTo(dialog)
    again = PreferencesDialog()
    qtbot.addWidget(again)
    assert again.scheme.currentText() == "Dark"
    assert again.text_scale.currentText() == "150 %"


@pytest.mark.parametrize("stored", ["", "purple", "DARK"])
def test_that_an_unknown_theme_is_that_of_the_system(stored):
    preferences.store().setValue("look/scheme", stored)
    assert preferences.scheme() == "system"


# Type


@pytest.mark.parametrize("text_scale", [1.0, 2.0])
def test_that_texts_are_as_large_as_asked(qtbot, look, text_scale):
    look("light", text_scale=text_scale)
    button = QPushButton("Train")
    qtbot.addWidget(button)
    assert button.font().pixelSize() == BODY * text_scale
    assert scaled(100) == 100 * text_scale
    theme.set_type(button, theme.TITLE, bold=True)
    assert button.font().pixelSize() == 20 * text_scale
    assert button.font().bold()


def test_that_spacing_is_on_a_grid_of_eight_and_type_on_its_scale():
    assert (theme.GAP, theme.MARGIN, theme.WIDE) == (8, 16, 24)
    assert (theme.SMALL, theme.BODY, theme.HEADING, theme.TITLE) == (11, 13, 16, 20)


_SPACING = re.compile(r"set(?:Horizontal|Vertical)?Spacing\(\s*(\d+)|setContentsMargins\(([^)]*)\)")
_SIZE = re.compile(r"set(?:PixelSize|PointSizeF?)\(")
# A printed page and numbers that fill their cells have sizes of their own.
_OWN_SIZES = {"theme.py", "report_pdf.py", "figure_items.py", "plane_drawing.py"}


def test_that_all_spacing_is_on_the_grid():
    folder = Path(mrifcl_gui.__file__).parent
    allowed = {0, 2, 4, 8, 16, 24, 32}
    off = []
    for file in sorted(folder.glob("*.py")):
        for match in _SPACING.finditer(file.read_text(encoding="utf-8")):
            numbers = re.findall(r"\b\d+\b", match.group(1) or match.group(2) or "")
            off += [f"{file.name}: {match.group()}" for n in numbers if int(n) not in allowed]
    assert off == []


def test_that_no_other_module_sizes_a_text():
    folder = Path(mrifcl_gui.__file__).parent
    found = [
        file.name
        for file in sorted(folder.glob("*.py"))
        if file.name not in _OWN_SIZES and _SIZE.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []


# Focus


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: QPushButton("Add"),
        lambda: _primary(),
        lambda: QToolButton(text="Fold"),
        lambda: QCheckBox("Tick"),
        lambda: QComboBox(),
        lambda: QLineEdit("12"),
    ],
    ids=["button", "primary", "tool button", "check box", "combo box", "line edit"],
)
def test_that_the_control_in_focus_is_marked(qtbot, look, make, scheme):
    look(scheme)
    page = QWidget()
    qtbot.addWidget(page)
    control, other = make(), QPushButton("Other")
    column = QVBoxLayout(page)
    column.addWidget(other)
    column.addWidget(control)
    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    page.show()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    other.setFocus(Qt.FocusReason.TabFocusReason)
    plain = control.grab().toImage()
    qtbot.keyClick(other, Qt.Key.Key_Tab)
    assert control.hasFocus()
    focused = control.grab().toImage()
    ground = QColor((LIGHT if scheme == "light" else DARK).window)
    marked = [
        QColor(focused.pixelColor(x, y))
        for x in range(focused.width())
        for y in range(focused.height())
        if focused.pixelColor(x, y) != plain.pixelColor(x, y)
    ]
    assert sum(contrast(colour, ground) >= 3 for colour in marked) >= 12


def _primary():
    button = QPushButton("Train")
    button.setProperty("primary", True)
    return button


# Icons


def test_that_icons_are_drawn_for_dense_screens(qtbot, look):
    look("light")
    button = QPushButton("Play")
    qtbot.addWidget(button)
    put_icon(button, "play")
    assert button.icon().pixmap(QSize(16, 16), 1.0).width() == 16
    assert button.icon().pixmap(QSize(16, 16), 2.0).width() == 32
    off = button.icon().pixmap(QSize(16, 16), 1.0, button.icon().Mode.Disabled).toImage()
    assert colours_in(off) == {QColor(LIGHT.off).name()}


def test_that_every_icon_asked_for_is_there_with_its_licence():
    folder = Path(mrifcl_gui.__file__).parent
    asked = {
        name
        for file in folder.glob("*.py")
        for name in re.findall(r"put_icon\([^,\n]+, \"([a-z0-9-]+)\"", file.read_text("utf-8"))
    }
    assert asked
    for name in asked:
        assert "currentColor" in icon_file(name).read_text(encoding="utf-8")
    licence = icon_file("play").with_name("LICENSE").read_text(encoding="utf-8")
    assert "ISC License" in licence
