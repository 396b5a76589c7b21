"""A row of thumbnails of slices, framed in the colour of their class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QWidget

from mrifcl_gui.plane_drawing import BACKGROUND, FAINT_TEXT, TEXT
from mrifcl_gui.theme import SMALL, VIEWER, typeface

_SIDE = 64
_FRAME = 3
_GAP = 6
_NUMBER_HEIGHT = 15
_BAR_HEIGHT = 10
_STYLE = f"""
QScrollArea {{ background: {BACKGROUND.name()}; }}
QScrollBar:horizontal {{ background: {BACKGROUND.name()}; height: {_BAR_HEIGHT}px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {VIEWER.thumb}; border-radius: 4px; min-width: 24px; }}
QScrollBar::handle:horizontal:hover {{ background: {VIEWER.thumb_hover}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: none; }}
"""


class SliceStrip(QWidget):
    """Shows slices side by side and says which one was chosen.

    ``slice_chosen`` carries the position in the strip, 0 for the first.
    """

    slice_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = _ThumbnailRow()
        self._row.setAccessibleName(self.tr("Slices"))
        self._row.setToolTip(self.tr("Click a slice, or use the left and right keys."))
        self._row.chosen.connect(self._on_chosen)
        self._scroll = QScrollArea()
        self._scroll.setWidget(self._row)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Always there, so that the row does not jump when more slices come.
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self._scroll.setStyleSheet(_STYLE)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll)
        self.setFixedHeight(self._row.sizeHint().height() + _BAR_HEIGHT)
        self.setFocusProxy(self._row)

    @property
    def current(self) -> int | None:
        """Position of the marked slice, or None."""
        return self._row.current

    @property
    def count(self) -> int:
        """How many slices are shown."""
        return self._row.count

    def show_slices(
        self,
        pixels: NDArray[np.uint8],
        numbers: Sequence[int],
        colour: str,
        current: int | None = None,
    ) -> None:
        """Show slices.

        Parameters
        ----------
        pixels : ndarray, shape (n, h, w), uint8
        numbers : sequence of int
            The number of each slice, printed below it.
        colour : str
            Of the frames, ``#RRGGBB``.
        current : int or None
            Position of the slice to mark.
        """
        if len(pixels) != len(numbers):
            raise ValueError(f"{len(pixels)} slices but {len(numbers)} numbers")
        self._row.show_slices(pixels, numbers, colour)
        self.set_current(current)

    def set_current(self, current: int | None) -> None:
        """Mark a slice and bring it into sight, without a signal."""
        self._row.set_current(current)
        if current is not None and self._row.count:
            box = self._row.box_of(current)
            self._scroll.ensureVisible(box.center().x(), box.center().y(), 2 * box.width(), 0)

    def clear(self) -> None:
        """Show nothing."""
        self._row.show_slices(np.zeros((0, 1, 1), dtype=np.uint8), (), FAINT_TEXT.name())

    def _on_chosen(self, position: int) -> None:
        self.set_current(position)
        self.slice_chosen.emit(position)


class _ThumbnailRow(QWidget):
    """The row itself, as wide as all thumbnails; paints only what is in sight."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._thumbnails: list[QImage] = []
        self._numbers: tuple[int, ...] = ()
        self._colour = FAINT_TEXT
        self.current: int | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    @property
    def count(self) -> int:
        return len(self._thumbnails)

    def show_slices(self, pixels: NDArray[np.uint8], numbers: Sequence[int], colour: str) -> None:
        ratio = self.devicePixelRatioF()
        self._thumbnails = [_thumbnail(picture, ratio) for picture in pixels]
        self._numbers = tuple(numbers)
        self._colour = QColor(colour)
        self.current = None
        self.resize(self.sizeHint())
        self.update()

    def set_current(self, current: int | None) -> None:
        self.current = current
        if current is not None and self._numbers:
            self.setAccessibleDescription(self.tr("slice %n", "", self._numbers[current]))
        self.update()

    def box_of(self, position: int) -> QRect:
        """Return the square of one thumbnail, its frame included."""
        side = _SIDE + 2 * _FRAME
        return QRect(_GAP + position * (side + _GAP), _GAP, side, side)

    def sizeHint(self) -> QSize:
        side = _SIDE + 2 * _FRAME
        return QSize(_GAP + max(self.count, 1) * (side + _GAP), side + _NUMBER_HEIGHT + 2 * _GAP)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        step = _SIDE + 2 * _FRAME + _GAP
        position = int((event.position().x() - _GAP / 2) // step)
        if 0 <= position < self.count:
            self.chosen.emit(position)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = self.count - 1
        current = -1 if self.current is None else self.current
        targets = {
            Qt.Key.Key_Left: max(current - 1, 0),
            Qt.Key.Key_Right: min(current + 1, last),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        target = targets.get(Qt.Key(event.key()))
        if target is None or last < 0:
            super().keyPressEvent(event)
        elif target != self.current:
            self.chosen.emit(target)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(event.rect(), BACKGROUND)
        painter.setFont(typeface(self.font(), SMALL))
        for position in range(self.count):
            if self.box_of(position).intersects(event.rect()):
                self._paint_thumbnail(painter, position)
        painter.end()

    def _paint_thumbnail(self, painter: QPainter, position: int) -> None:
        box = self.box_of(position)
        painter.fillRect(box, self._colour)
        inner = QRectF(box.adjusted(_FRAME, _FRAME, -_FRAME, -_FRAME))
        painter.fillRect(inner, QColor(VIEWER.empty))
        image = self._thumbnails[position]
        size = image.deviceIndependentSize()
        target = QRectF(
            inner.center().x() - size.width() / 2,
            inner.center().y() - size.height() / 2,
            size.width(),
            size.height(),
        )
        painter.drawImage(target, image)
        is_current = position == self.current
        if is_current:
            painter.setPen(QPen(TEXT, 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(-2, -2, 2, 2))
        painter.setPen(TEXT if is_current else FAINT_TEXT)
        below = QRect(box.left(), box.bottom() + 4, box.width(), _NUMBER_HEIGHT)
        text = str(self._numbers[position])
        painter.drawText(below, int(Qt.AlignmentFlag.AlignCenter), text)


def _thumbnail(picture: NDArray[np.uint8], ratio: float) -> QImage:
    picture = np.ascontiguousarray(picture)
    rows, columns = picture.shape
    image = QImage(picture.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    side = round(_SIDE * ratio)
    # Scaling makes a copy, so the array may go.
    scaled = image.scaled(
        side,
        side,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    ).copy()
    scaled.setDevicePixelRatio(ratio)
    return scaled
