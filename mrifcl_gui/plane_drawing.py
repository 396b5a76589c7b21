"""What is drawn over a slice: letters, crosshair, lines of other slices, scale bar."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QLineF, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPen
from PySide6.QtWidgets import QStyle

BACKGROUND = QColor("#101214")
TEXT = QColor("#e8eaed")
FAINT_TEXT = QColor("#9aa0a6")
ACCENT = QColor("#56b4e9")
# Room for the letters around the picture, logical pixels.
GUTTER = 20
# Closer lines would cover the picture: only their ends are drawn then.
_CLOSEST_LINES = 5.0
_TICK = 9.0
# Heights of letters and of other texts, logical pixels.
_LETTER, _SMALL = 14, 11
_BAR_LENGTHS_MM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class SliceLines:
    """Where other slices cut a picture.

    Attributes
    ----------
    is_vertical : bool
        Whether the lines run up the picture.
    positions : tuple of float
        Columns (vertical lines) or rows, in pixels of the picture.
    numbers : tuple of int
        Of the slices, counted as the captions count; the first and the last are written.
    colour : str
        ``#RRGGBB``.
    """

    is_vertical: bool
    positions: tuple[float, ...]
    numbers: tuple[int, ...]
    colour: str


def draw_letters(painter: QPainter, rect: QRect, letters: tuple[str, str, str, str]) -> None:
    """Draw the letters of the left, right, top and bottom side."""
    vertical, horizontal = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignHCenter
    left, right, top, bottom = letters
    _draw_outlined(painter, rect, vertical | Qt.AlignmentFlag.AlignLeft, left, _LETTER)
    _draw_outlined(painter, rect, vertical | Qt.AlignmentFlag.AlignRight, right, _LETTER)
    _draw_outlined(painter, rect, horizontal | Qt.AlignmentFlag.AlignTop, top, _LETTER)
    _draw_outlined(painter, rect, horizontal | Qt.AlignmentFlag.AlignBottom, bottom, _LETTER)


def draw_caption(painter: QPainter, rect: QRect, caption: str, colour: QColor) -> None:
    """Draw the small text of the upper left corner."""
    corner = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
    _draw_outlined(painter, rect, corner, caption, _SMALL, colour)


def _draw_outlined(
    painter: QPainter,
    rect: QRect,
    flags: Qt.AlignmentFlag,
    text: str,
    size: int,
    colour: QColor = TEXT,
) -> None:
    """Draw a text that stays legible on white matter: a dark shadow on four sides."""
    if not text:
        return
    ratio = painter.device().devicePixelRatioF()
    image = _outlined(text, size, colour.name(), painter.font().family(), ratio)
    extent = image.deviceIndependentSize().toSize()
    box = QStyle.alignedRect(
        Qt.LayoutDirection.LeftToRight, flags, extent, rect.adjusted(5, 2, -5, -2)
    )
    painter.drawImage(box.topLeft(), image)


# Laying text out takes longer than painting the slice; captions come back as one scrolls.
@lru_cache(maxsize=2000)
def _outlined(text: str, size: int, colour: str, family: str, ratio: float) -> QImage:
    font = QFont(family)
    font.setPixelSize(size)
    font.setBold(size == _LETTER)
    metrics = QFontMetrics(font)
    extent = QSize(metrics.horizontalAdvance(text) + 2, metrics.height() + 2)
    image = QImage(extent * ratio, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setFont(font)
    base = QPoint(1, 1 + metrics.ascent())
    painter.setPen(BACKGROUND)
    for shift in (QPoint(1, 0), QPoint(-1, 0), QPoint(0, 1), QPoint(0, -1)):
        painter.drawText(base + shift, text)
    painter.setPen(QColor(colour))
    painter.drawText(base, text)
    painter.end()
    return image


def draw_crosshair(painter: QPainter, rect: QRect, centre: QPointF) -> None:
    """Draw a cross that leaves its voxel and the gutters, which belong to the letters, free."""
    x, y = round(centre.x()), round(centre.y())
    inner = rect.adjusted(GUTTER, GUTTER, -GUTTER, -GUTTER)
    colour = QColor(ACCENT)
    colour.setAlpha(190)
    gap = 6
    if inner.top() <= y <= inner.bottom():
        left, right = QPoint(inner.left(), y), QPoint(inner.right(), y)
        painter.fillRect(QRect(left, QPoint(min(x - gap, right.x()), y)), colour)
        painter.fillRect(QRect(QPoint(max(x + gap, left.x()), y), right), colour)
    if inner.left() <= x <= inner.right():
        top, bottom = QPoint(x, inner.top()), QPoint(x, inner.bottom())
        painter.fillRect(QRect(top, QPoint(x, min(y - gap, bottom.y()))), colour)
        painter.fillRect(QRect(QPoint(x, max(y + gap, top.y())), bottom), colour)


def draw_slice_lines(painter: QPainter, lines: SliceLines, picture: QRectF, scale: float) -> None:
    """Draw where other slices cut the picture.

    Parameters
    ----------
    painter : QPainter
    lines : SliceLines
    picture : QRectF
        Where the picture lies.
    scale : float
        Logical pixels per pixel of the picture, across the lines.
    """
    origin = picture.left() if lines.is_vertical else picture.top()
    places = [origin + position * scale for position in lines.positions]
    if not places:
        return
    ends = {min(places), max(places)}
    gaps = [abs(b - a) for a, b in itertools.pairwise(places)]
    is_dense = bool(gaps) and min(gaps) < _CLOSEST_LINES
    faint, strong = QColor(lines.colour), QColor(lines.colour)
    faint.setAlpha(150)
    painter.setPen(QPen(faint, 1))
    middle = [place for place in places if place not in ends]
    painter.drawLines([line for at in middle for line in _line(lines, picture, at, is_dense)])
    painter.setPen(QPen(strong, 1.4))
    painter.drawLines([line for at in sorted(ends) for line in _line(lines, picture, at, False)])
    _draw_numbers(painter, lines, picture, places)


def _line(lines: SliceLines, picture: QRectF, at: float, only_ends: bool) -> list[QLineF]:
    if lines.is_vertical:
        whole = QLineF(at, picture.top(), at, picture.bottom())
    else:
        whole = QLineF(picture.left(), at, picture.right(), at)
    if not only_ends or whole.length() <= 2 * _TICK:
        return [whole]
    start, end = QLineF(whole), QLineF(whole.p2(), whole.p1())
    start.setLength(_TICK)
    end.setLength(_TICK)
    return [start, end]


def _draw_numbers(
    painter: QPainter, lines: SliceLines, picture: QRectF, places: list[float]
) -> None:
    """Write the numbers of the two outermost lines on their outer sides."""
    low, high = places.index(min(places)), places.index(max(places))
    align = Qt.AlignmentFlag
    for which, is_low in {low: True, high: low == high}.items():
        at, text = places[which], str(lines.numbers[which])
        width = 60.0
        if lines.is_vertical:
            box = QRectF(at - width if is_low else at, picture.top(), width, 18)
            flags = align.AlignTop | (align.AlignRight if is_low else align.AlignLeft)
        else:
            box = QRectF(picture.left(), at - 18 if is_low else at, width, 18)
            flags = align.AlignLeft | (align.AlignBottom if is_low else align.AlignTop)
        _draw_outlined(
            painter, box.toRect(), flags, text, _SMALL, QColor(lines.colour).lighter(140)
        )


def scale_bar_mm(pixels_per_mm: float, widest: float) -> int:
    """Return the longest round length in mm that takes at most ``widest`` pixels."""
    fitting = [length for length in _BAR_LENGTHS_MM if length * pixels_per_mm <= widest]
    return fitting[-1] if fitting else _BAR_LENGTHS_MM[0]


def draw_scale_bar(painter: QPainter, rect: QRect, pixels_per_mm: float) -> None:
    """Draw a bar with its length in mm into the lower right corner."""
    length = scale_bar_mm(pixels_per_mm, rect.width() / 3)
    width = length * pixels_per_mm
    right, y = rect.right() - 8.0, rect.bottom() - 6.0
    for colour, breadth in ((BACKGROUND, 5.0), (TEXT, 2.0)):
        painter.setPen(QPen(colour, breadth, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawLine(QPointF(right - width, y), QPointF(right, y))
    box = rect.adjusted(0, 0, -2, -6)
    flags = Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignRight
    _draw_outlined(painter, box, flags, f"{length} mm", _SMALL)
