"""What is drawn over a slice: letters, crosshair, lines of other slices, scale bar."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QLine, QLineF, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPen
from PySide6.QtWidgets import QStyle

from mrifcl_gui.theme import VIEWER, scaled

BACKGROUND = QColor(VIEWER.ground)
TEXT = QColor(VIEWER.text)
FAINT_TEXT = QColor(VIEWER.faint)
ACCENT = QColor(VIEWER.accent)
# Room for the letters around the picture, logical pixels.
GUTTER = 20
# Closer lines would cover the picture: only their ends are drawn then.
_CLOSEST_LINES = 5.0
_TICK = 9.0
# Heights of letters and of other texts, logical pixels.
_LETTER, _SMALL = 14, 11
# Of texts from the edges of the view.
_TEXT_MARGIN = QPoint(5, 2)
# What the dark outline of a text adds to its width and height.
_OUTLINE = 2
_PIECES = re.compile(r"[0-9]|[^0-9]+")
_CROSS = QColor(VIEWER.cross)
_GAP = 6
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
    ratio = painter.device().devicePixelRatioF()
    family = painter.font().family()
    size = scaled(_LETTER)
    for place, image in _placed_letters(rect.width(), rect.height(), letters, family, size, ratio):
        painter.drawImage(place, image)


# Placed once for a size: four letters are in each frame.
@lru_cache(maxsize=64)
def _placed_letters(
    width: int,
    height: int,
    letters: tuple[str, str, str, str],
    family: str,
    size: int,
    ratio: float,
) -> tuple[tuple[QPoint, QImage], ...]:
    align = Qt.AlignmentFlag
    sides = (
        align.AlignVCenter | align.AlignLeft,
        align.AlignVCenter | align.AlignRight,
        align.AlignHCenter | align.AlignTop,
        align.AlignHCenter | align.AlignBottom,
    )
    rect = QRect(0, 0, width, height)
    images = [
        _outlined(letter, size, TEXT.name(), family, ratio, is_bold=True) for letter in letters
    ]
    return tuple(
        (_text_box(rect, flags, image).topLeft(), image)
        for flags, image, letter in zip(sides, images, letters, strict=True)
        if letter
    )


def draw_caption(painter: QPainter, rect: QRect, caption: str, colour: QColor) -> None:
    """Draw the small text of the upper left corner."""
    ratio = painter.device().devicePixelRatioF()
    family, name = painter.font().family(), colour.name()
    x, y = rect.left() + _TEXT_MARGIN.x(), rect.top() + _TEXT_MARGIN.y()
    # Each slice has another number: laid out digit by digit, nothing is laid out anew.
    pieces = _PIECES.findall(caption)
    images = [_outlined(piece, scaled(_SMALL), name, family, ratio) for piece in pieces]
    widths = [round(image.width() / ratio) - _OUTLINE for image in images]
    # In a small view the words go, so that the numbers leave the letter above its place.
    first = 0 if x + sum(widths) < rect.width() / 2 - scaled(_LETTER) else 1
    for image, width in zip(images[first:], widths[first:], strict=True):
        painter.drawImage(x, y, image)
        x += width


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
    image = _outlined(text, scaled(size), colour.name(), painter.font().family(), ratio)
    painter.drawImage(_text_box(rect, flags, image).topLeft(), image)


def _text_box(rect: QRect, flags: Qt.AlignmentFlag, image: QImage) -> QRect:
    x, y = _TEXT_MARGIN.x(), _TEXT_MARGIN.y()
    extent = image.deviceIndependentSize().toSize()
    inner = rect.adjusted(x, y, -x, -y)
    return QStyle.alignedRect(Qt.LayoutDirection.LeftToRight, flags, extent, inner)


# Laying text out takes longer than painting the slice.
@lru_cache(maxsize=2000)
def _outlined(
    text: str, size: int, colour: str, family: str, ratio: float, *, is_bold: bool = False
) -> QImage:
    font = QFont(family)
    font.setPixelSize(size)
    font.setBold(is_bold)
    metrics = QFontMetrics(font)
    extent = QSize(metrics.horizontalAdvance(text) + _OUTLINE, metrics.height() + _OUTLINE)
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
    left, right, top, bottom = inner.left(), inner.right(), inner.top(), inner.bottom()
    arms = []
    if top <= y <= bottom:
        arms += [(left, y, min(x - _GAP, right), y), (max(x + _GAP, left), y, right, y)]
    if left <= x <= right:
        arms += [(x, top, x, min(y - _GAP, bottom)), (x, max(y + _GAP, top), x, bottom)]
    # Opaque: to blend an upright line takes Qt longer than to paint the whole slice.
    painter.setPen(_CROSS)
    painter.drawLines([QLine(*arm) for arm in arms if arm[0] <= arm[2] and arm[1] <= arm[3]])


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
