"""The look of the window in one place: colours of light and dark, spacing, type.

No other module of the window names a colour (a test looks), and texts take their size here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QWidget

import resources
from core.colours import BLUE, SKY

# Spacing, logical pixels: a grid of 8, and half of it inside what belongs together.
TIGHT, GAP, MARGIN, WIDE = 4, 8, 16, 24
# Type, logical pixels at 100 %.
SMALL, BODY, HEADING, TITLE = 11, 13, 16, 20

SCHEMES = ("system", "light", "dark")
TEXT_SCALES = (1.0, 1.25, 1.5, 2.0)

ACCENT = BLUE
ON_ACCENT = "#ffffff"
# Fusion draws the box of a tick in a shade of the window that is not seen in the dark.
_CHECK = Path(next(iter(resources.__path__))) / "icons" / "check-white.svg"
_ACCENT_HOVER, _ACCENT_PRESSED = "#0069a6", "#005a8f"
# Of a report page, which is white in both themes.
PAPER_ALARM, PAPER_FAINT = "#b00020", "#555555"
# Behind the mark of a class in a selected row, whatever the theme.
MARK_GROUND = "#ffffff"


@dataclass(frozen=True)
class Shades:
    """The colours of a theme, ``#RRGGBB``.

    ``faint`` is for hints, ``line`` for edges, ``accent`` for what is chosen or in focus, with
    ``on_accent`` for words on it, ``frame`` and ``ink`` for the axes of figures, ``alarm`` for
    leaks, failures and loss of data.
    """

    window: str
    base: str
    alternate: str
    text: str
    faint: str
    off: str
    button: str
    line: str
    raised: str
    sunk: str
    link: str
    accent: str
    on_accent: str
    alarm: str
    ink: str
    frame: str
    box_edge: str


LIGHT = Shades(
    window="#f3f4f6",
    base="#ffffff",
    alternate="#eceef1",
    text="#1b1e22",
    faint="#565d66",
    off="#626972",
    button="#e9ebee",
    line="#b9bec4",
    raised="#dde1e6",
    sunk="#8a9097",
    link="#005a8f",
    accent=BLUE,
    on_accent=ON_ACCENT,
    alarm="#b3261e",
    ink="#222222",
    frame="#888888",
    box_edge="#cccccc",
)
DARK = Shades(
    window="#26282b",
    base="#1c1e20",
    alternate="#232528",
    text="#e8eaed",
    faint="#aab0b7",
    off="#9ca3ab",
    button="#34373b",
    line="#565b61",
    raised="#3c4044",
    sunk="#17181a",
    link="#6cb8ff",
    accent=SKY,
    on_accent="#101214",
    alarm="#ff8a80",
    ink="#e6e6e6",
    frame="#8c8c8c",
    box_edge="#666666",
)


@dataclass(frozen=True)
class _ViewerShades:
    """The colours about scans, which are looked at in the dark whatever the theme."""

    ground: str = "#101214"
    text: str = "#e8eaed"
    faint: str = "#9aa0a6"
    accent: str = SKY
    # Darker than the accent, so that the anatomy beside it stands out.
    cross: str = "#458cb4"
    warning: str = "#f2b84b"
    control: str = "#24272b"
    control_hover: str = "#303438"
    edge: str = "#3c4043"
    bars: str = "#5f6368"
    thumb: str = "#4a4e53"
    thumb_hover: str = "#6a6e73"
    empty: str = "#000000"
    # Of a small example: a map (viridis) in a head of outline, brain, folds and chambers.
    glow: tuple[str, str, str] = ("#fde725", "#21918c", "#440154")
    head: tuple[str, str, str, str] = ("#777777", "#9a9a9a", "#6a6a6a", "#3a3a3a")


VIEWER = _ViewerShades()


def shades(palette: QPalette) -> Shades:
    """Return the colours of the theme that a palette belongs to."""
    return DARK if palette.color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def alarm_colour(palette: QPalette) -> QColor:
    """Return a red that can be read on the window's colour."""
    return QColor(shades(palette).alarm)


def palette_of(theme: Shades) -> QPalette:
    """Return the palette of a theme."""
    palette = QPalette()
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.base,
        role.AlternateBase: theme.alternate,
        role.ToolTipBase: theme.base,
        role.ToolTipText: theme.text,
        role.PlaceholderText: theme.faint,
        role.Text: theme.text,
        role.Button: theme.button,
        role.ButtonText: theme.text,
        role.BrightText: theme.alarm,
        role.Light: theme.raised,
        role.Midlight: theme.raised,
        role.Mid: theme.line,
        role.Dark: theme.sunk,
        role.Shadow: theme.sunk,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.Accent: theme.accent,
        role.Link: theme.link,
        role.LinkVisited: theme.link,
    }
    for one, colour in colours.items():
        palette.setColor(one, QColor(colour))
    for one in (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText):
        palette.setColor(QPalette.ColorGroup.Disabled, one, QColor(theme.off))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(theme.raised))
    palette.setColor(QPalette.ColorGroup.Disabled, role.HighlightedText, QColor(theme.text))
    return palette


class Theme(QObject):
    """Keeps an application in light or dark, as asked or as the system is.

    Parameters
    ----------
    app : QApplication
    """

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._app = app
        self._scheme = ""
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._on_system_changed)

    def set_scheme(self, scheme: str) -> None:
        """Follow the system (``system``), or be ``light`` or ``dark`` whatever it is."""
        self._scheme = scheme
        asked = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
        # The system draws title bars and its own dialogs to match.
        self._app.styleHints().setColorScheme(asked.get(scheme, Qt.ColorScheme.Unknown))
        self._paint(asked.get(scheme, self._app.styleHints().colorScheme()))

    def _on_system_changed(self, scheme: Qt.ColorScheme) -> None:
        if self._scheme == "system":
            self._paint(scheme)

    def _paint(self, scheme: Qt.ColorScheme) -> None:
        theme = DARK if scheme is Qt.ColorScheme.Dark else LIGHT
        sheet = _style(theme)
        if self._app.styleSheet() == sheet and self._app.palette() == palette_of(theme):
            return
        self._app.setPalette(palette_of(theme))
        self._app.setStyleSheet(sheet)
        # Late: icons take their colours from here.
        from mrifcl_gui.icons import recolour_icons

        recolour_icons()
        self.changed.emit()


_text_scale = 1.0


def apply_theme(
    app: QApplication, scheme: str = "system", *, text_scale: float | None = None
) -> Theme:
    """Give the application Fusion, our type scale, and the colours of a scheme.

    Parameters
    ----------
    app : QApplication
    scheme : {"system", "light", "dark"}
    text_scale : float, optional
        Size of texts, 1 for 100 %; by default as the system has it. It holds for what is built
        from now on.
    """
    global _text_scale
    _text_scale = system_text_scale(app) if text_scale is None else text_scale
    theme = app.findChild(Theme) or Theme(app)
    font = app.font()
    font.setPixelSize(scaled(BODY))
    app.setFont(font)
    theme.set_scheme(scheme)
    return theme


def system_text_scale(app: QApplication) -> float:
    """Return how large the system wants texts, 1 for 100 %."""
    usual = 72.0 if app.platformName() == "cocoa" else 96.0
    dots = app.primaryScreen().logicalDotsPerInch()
    return min(max(dots / usual, TEXT_SCALES[0]), TEXT_SCALES[-1])


def scaled(pixels: float) -> int:
    """Return a length that grows with the size of texts."""
    return round(pixels * _text_scale)


def set_type(widget: QWidget, size: int, *, bold: bool = False) -> None:
    """Give a widget a size of the type scale."""
    widget.setFont(typeface(widget.font(), size, bold=bold))


def typeface(font: QFont, size: int, *, bold: bool = False) -> QFont:
    """Return a font in a size of the type scale."""
    made = QFont(font)
    made.setPixelSize(scaled(size))
    made.setBold(bold)
    return made


def _style(theme: Shades) -> str:
    return f"""
QPushButton[primary="true"] {{
    background: {ACCENT}; color: {ON_ACCENT}; border: 1px solid {ACCENT}; border-radius: 4px;
    padding: 6px 16px; font-weight: 600;
}}
QPushButton[primary="true"]:hover {{ background: {_ACCENT_HOVER}; }}
QPushButton[primary="true"]:pressed {{ background: {_ACCENT_PRESSED}; }}
QPushButton[primary="true"]:focus {{ border: 2px solid {theme.text}; padding: 5px 15px; }}
QPushButton[primary="true"]:disabled {{
    background: {theme.raised}; border-color: {theme.raised}; color: {theme.off};
}}
QWidget#rail {{ background: {theme.alternate}; border-right: 1px solid {theme.line}; }}
QWidget#rail QToolButton {{
    border: none; border-left: 3px solid transparent; padding: 8px 4px; border-radius: 0;
}}
QWidget#rail QToolButton:hover {{ background: {theme.raised}; }}
QWidget#rail QToolButton:checked {{
    border-left: 3px solid {theme.accent}; background: {theme.base};
}}
QWidget#rail QToolButton:focus {{ border: 2px solid {theme.accent}; padding: 6px 2px; }}
QCheckBox::indicator, QAbstractItemView::indicator {{
    width: {scaled(14)}px; height: {scaled(14)}px; border: 1px solid {theme.faint};
    border-radius: 3px; background: {theme.base};
}}
QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{
    border-color: {ACCENT}; background: {ACCENT}; image: url("{_CHECK.as_posix()}");
}}
QCheckBox::indicator:disabled {{ border-color: {theme.line}; background: {theme.window}; }}
QCheckBox::indicator:checked:disabled {{ background: {theme.off}; }}
QLineEdit {{
    border: 1px solid {theme.line}; border-radius: 3px; background: {theme.base}; padding: 2px 3px;
}}
QLineEdit:focus {{ border-color: {theme.accent}; }}
QLineEdit:disabled {{ background: {theme.window}; border-color: {theme.line}; }}
QComboBox QLineEdit, QAbstractSpinBox QLineEdit {{
    border: none; padding: 0; background: transparent;
}}
QAbstractItemView QLineEdit {{ border: none; padding: 0; }}
QToolButton::menu-indicator {{ image: none; width: 0; }}
QToolTip {{
    background: {theme.base}; color: {theme.text}; border: 1px solid {theme.line}; padding: 4px;
}}
"""
