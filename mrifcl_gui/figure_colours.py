"""The colours, pens and symbols of figures on screen; marks are lighter in a dark window."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette, QPen

from core.figure import Band, Bars, Curve
from core.figure_heat_map import relative_luminance
from mrifcl_gui.theme import DARK, LIGHT

# pyqtgraph's names.
SYMBOLS = {"circle": "o", "square": "s", "triangle": "t1", "diamond": "d", "cross": "x"}

_PEN_STYLES = {
    "solid": Qt.PenStyle.SolidLine,
    "dashed": Qt.PenStyle.DashLine,
    "dotted": Qt.PenStyle.DotLine,
    "dashdot": Qt.PenStyle.DashDotLine,
}
_LEAST_CONTRAST = 3.0  # of marks against the ground, WCAG 2.1 criterion 1.4.11


class Colours:
    """The colours of plots under a palette."""

    def __init__(self, palette: QPalette) -> None:
        self.ground = palette.color(QPalette.ColorRole.Base)
        self.is_dark = self.ground.lightness() < 128
        theme = DARK if self.is_dark else LIGHT
        self.ink = QColor(theme.ink)
        self.frame = QColor(theme.frame)
        self.box = QColor(self.ground)
        self.box.setAlpha(215)
        self.box_edge = QColor(theme.box_edge)
        self.warning = QColor(theme.alarm)

    def mark(self, colour: str, opacity: float = 1.0) -> QColor:
        """Return a layer's colour; under dark colours lighter, until it stands off the ground."""
        wanted = QColor(colour)
        if self.is_dark:
            # The ground swallows what shines through; on paper it is white and does not.
            opacity = max(opacity, 0.8)
            tries = (mixed(wanted, self.ink, step / 10) for step in range(11))
            seen = (
                (tried, contrast(mixed(self.ground, tried, opacity), self.ground))
                for tried in tries
            )
            wanted = next((tried for tried, c in seen if c >= _LEAST_CONTRAST), self.ink)
        result = QColor(wanted)
        result.setAlphaF(opacity)
        return result


def pen_of(layer: Curve, colours: Colours) -> QPen:
    """Return the pen of a line."""
    style = _PEN_STYLES[layer.style]
    pen: QPen = pg.mkPen(colours.mark(layer.colour), width=layer.width, style=style)
    return pen


def fill_of(layer: Band | Bars, colours: Colours) -> QColor:
    """Return the colour of an area."""
    if isinstance(layer, Bars):
        return colours.mark(layer.colour)
    # A band is a ground and may be faint.
    fill = QColor(layer.colour)
    fill.setAlphaF(min(1.0, layer.opacity * (1.5 if colours.is_dark else 1.0)))
    return fill


def mixed(one: QColor, other: QColor, part: float) -> QColor:
    """Return ``part`` of ``other`` and the rest of ``one``."""
    pairs = zip(_rgb(one), _rgb(other), strict=True)
    return QColor(*(round((1 - part) * a + part * b) for a, b in pairs))


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.1)."""
    light = sorted(relative_luminance(_rgb(colour)) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def _rgb(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()
