"""Draws what the viewer shows as a picture to keep: letters, scale bar, what it is."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QImage, QPainter

from mrifcl_gui.plane_drawing import BACKGROUND, FAINT_TEXT, TEXT
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.theme import SMALL, typeface

# For print: two pixels for one of the screen.
_RATIO = 2
_LINE = 18
_MARGIN = 8


def draw_views(views: Sequence[PlaneView], lines: Sequence[str]) -> QImage:
    """Return the views as they lie in the window, with lines of text below.

    Parameters
    ----------
    views : sequence of PlaneView
        Of one parent.
    lines : sequence of str
        The first in full colour, the others faint.
    """
    area = QRect()
    for view in views:
        area = area.united(view.geometry())
    height = area.height() + _LINE * len(lines) + 2 * _MARGIN
    image = QImage(area.width() * _RATIO, height * _RATIO, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(_RATIO)
    image.fill(BACKGROUND)
    painter = QPainter(image)
    for view in views:
        painter.save()
        painter.translate(view.pos() - area.topLeft())
        painter.setClipRect(view.rect())
        painter.setFont(view.font())
        view.draw(painter, for_export=True)
        painter.restore()
    _draw_lines(painter, lines, QRect(0, area.height() + _MARGIN, area.width(), _LINE))
    painter.end()
    return image


def _draw_lines(painter: QPainter, lines: Sequence[str], box: QRect) -> None:
    painter.setFont(typeface(painter.font(), SMALL))
    for number, line in enumerate(lines):
        painter.setPen(FAINT_TEXT if number else TEXT)
        place = box.translated(0, number * _LINE).adjusted(_MARGIN, 0, -_MARGIN, 0)
        text = painter.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), text)
