"""The program's icons: those of Lucide, in the colours of the theme and sharp at any scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QAbstractButton, QApplication

import resources
from mrifcl_gui.theme import ON_ACCENT

_NAME = "iconName"
# Logical sizes of rail, buttons and menus, each also for screens of twice the density.
_SIZES = (16, 20, 24)
_RATIOS = (1, 2)


def icon_file(name: str) -> Path:
    """Return the SVG of an icon: our own (``app``) or one of Lucide."""
    folder = Path(next(iter(resources.__path__))) / "icons"
    own = folder / f"{name}.svg"
    return own if own.exists() else folder / "lucide" / f"{name}.svg"


def put_icon(target: QAbstractButton | QAction, name: str) -> None:
    """Give a button or a menu entry an icon; :func:`recolour_icons` keeps it in the theme."""
    target.setProperty(_NAME, name)
    _draw(target, name)


def recolour_icons() -> None:
    """Draw all icons anew in the colours of the theme that holds now."""
    seen: set[int] = set()
    for widget in QApplication.allWidgets():
        targets: list[QAbstractButton | QAction] = [*widget.actions()]
        if isinstance(widget, QAbstractButton):
            targets.append(widget)
        for target in targets:
            name = target.property(_NAME)
            if name and id(target) not in seen:
                seen.add(id(target))
                _draw(target, name)


def _draw(target: QAbstractButton | QAction, name: str) -> None:
    # Only the size that is shown: drawing all takes longer than the rest of a small window.
    own = (target.iconSize().width(),) if isinstance(target, QAbstractButton) else _SIZES
    target.setIcon(themed_icon(name, _palette_of(target), own))


def themed_icon(name: str, palette: QPalette, sizes: Sequence[int] = _SIZES) -> QIcon:
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
