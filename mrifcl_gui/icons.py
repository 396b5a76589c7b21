"""The program's icons: those of Lucide, in the colours of the theme and sharp at any scale."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QAbstractButton, QApplication, QPushButton, QToolButton
from shiboken6 import isValid

import resources
from mrifcl_gui.theme import ON_ACCENT, scaled

_NAME = "iconName"
# Each also for screens of twice the density.
_RATIOS = (1, 2)
_BESIDE_WORDS = 16  # logical pixels: before the words of buttons and menus
# Kept here, as to ask Qt for all its widgets wraps each of them for Python: the process was once
# seen to end in there, in a window beside the remains of a hundred others.
_with_icon: weakref.WeakSet[QAbstractButton | QAction] = weakref.WeakSet()


def icon_file(name: str) -> Path:
    """Return the SVG of an icon: our own (``app``) or one of Lucide."""
    folder = Path(next(iter(resources.__path__))) / "icons"
    own = folder / f"{name}.svg"
    return own if own.exists() else folder / "lucide" / f"{name}.svg"


def put_icon(target: QAbstractButton | QAction, name: str) -> None:
    """Give a button or a menu entry an icon; :func:`recolour_icons` keeps it in the theme.

    On a button with words it stands before them, and grows with them.
    """
    target.setProperty(_NAME, name)
    _with_icon.add(target)
    if isinstance(target, QPushButton):
        target.setIconSize(QSize(scaled(_BESIDE_WORDS), scaled(_BESIDE_WORDS)))
    _draw(target, name)


def put_icon_beside(button: QToolButton, name: str) -> None:
    """Give a tool button an icon that leaves its words to be seen."""
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setIconSize(QSize(scaled(_BESIDE_WORDS), scaled(_BESIDE_WORDS)))
    put_icon(button, name)


def name_icon(action: QAction, name: str) -> QAction:
    """Say which icon a menu entry has; :func:`draw_named` draws it when the menu is opened.

    Drawing those of all menus before the first window is on screen would delay it.
    """
    action.setProperty(_NAME, name)
    _with_icon.add(action)
    return action


def draw_named(actions: Iterable[QAction]) -> None:
    """Draw the icons that menu entries were given by name and do not show yet."""
    for action in actions:
        name = action.property(_NAME)
        if name and action.icon().isNull():
            _draw(action, name)


def redraw_icon(button: QAbstractButton) -> None:
    """Draw a button's icon anew, where it has one: its ground has changed."""
    if name := button.property(_NAME):
        _draw(button, name)


def recolour_icons() -> None:
    """Draw all icons anew in the colours of the theme that holds now."""
    for target in list(_with_icon):
        if isValid(target):  # what Qt has deleted may live on in Python for a while
            _draw(target, target.property(_NAME))


def _draw(target: QAbstractButton | QAction, name: str) -> None:
    # Only the size that is shown: drawing all takes longer than the rest of a small window.
    # Menus keep theirs at one size, whatever that of texts.
    own = target.iconSize().width() if isinstance(target, QAbstractButton) else _BESIDE_WORDS
    target.setIcon(themed_icon(name, _palette_of(target), (own,)))


def themed_icon(name: str, palette: QPalette, sizes: Sequence[int]) -> QIcon:
    """Return an icon in the colours of a palette, faint where its control is disabled."""
    role = QPalette.ColorRole.ButtonText
    usual = palette.color(QPalette.ColorGroup.Active, role)
    off = palette.color(QPalette.ColorGroup.Disabled, role)
    chosen = palette.color(QPalette.ColorGroup.Active, QPalette.ColorRole.HighlightedText)
    icon = QIcon()
    for mode, colour in (
        (QIcon.Mode.Normal, usual),
        (QIcon.Mode.Disabled, off),
        (QIcon.Mode.Selected, chosen),
    ):
        for size in sizes:
            for ratio in _RATIOS:
                icon.addPixmap(_drawn(name, colour.name(), size, ratio), mode)
    return icon


def _palette_of(target: QAbstractButton | QAction) -> QPalette:
    if isinstance(target, QAction):
        return QApplication.palette()
    palette = QPalette(target.palette())
    if target.property("primary"):
        # Its style sheet gives it words on the accent colour.
        active, role = QPalette.ColorGroup.Active, QPalette.ColorRole.ButtonText
        palette.setColor(active, role, QColor(ON_ACCENT))
    return palette


@lru_cache(maxsize=512)
def _drawn(name: str, colour: str, size: int, ratio: int) -> QPixmap:
    # Late: it is needed at the first icon only, and takes its time to load.
    from PySide6.QtSvg import QSvgRenderer

    picture = QPixmap(QSize(size * ratio, size * ratio))
    picture.fill(Qt.GlobalColor.transparent)
    svg = _svg(name).replace("currentColor", colour)
    painter = QPainter(picture)
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    renderer.render(painter, QRectF(0, 0, size * ratio, size * ratio))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


@lru_cache(maxsize=128)
def _svg(name: str) -> str:
    return icon_file(name).read_text(encoding="utf-8")
