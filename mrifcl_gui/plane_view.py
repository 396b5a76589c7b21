"""One grey picture at its true aspect: zoom, pan, crosshair, orientation letters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

BACKGROUND = QColor("#101214")
TEXT = QColor("#e8eaed")
FAINT_TEXT = QColor("#9aa0a6")
ACCENT = QColor("#56b4e9")
# Room for the letters around the picture, logical pixels.
_GUTTER = 20
_ZOOM_RANGE = (0.5, 40.0)
# From this many screen pixels a voxel on, voxels are drawn as blocks: one may want to see them.
_BLOCK_SCALE = 6.0
_WHEEL_STEP = 120


class PlaneView(QWidget):
    """Draws one picture and says in signals what the mouse asks for.

    Positions inside the picture are (column, row) in pixels, counted from the upper left
    corner, so that the centre of the first pixel is (0.5, 0.5).

    Parameters
    ----------
    name : str
        What it shows, for assistive technology and the caption.
    """

    slice_scrolled = Signal(int)  # steps, positive away from the user
    pointed = Signal(float, float)  # column, row
    window_dragged = Signal(float, float)  # logical pixels to the right, upwards
    activated = Signal()
    enlarge_requested = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._caption = ""
        self._letters = ("", "", "", "")
        self._pixels: NDArray[np.uint8] | None = None
        self._image: QImage | None = None
        self._pixel_mm = (1.0, 1.0)
        self._fit_mm: tuple[float, float] | None = None
        self._crosshair: tuple[float, float] | None = None
        self._zoom = 1.0
        self._pan = QPointF()
        self._drag_from: QPointF | None = None
        self._drag_button = Qt.MouseButton.NoButton
        self._wheel_rest = 0
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # The right button drags here; a menu would cover the picture.
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setMinimumSize(120, 100)

    @property
    def zoom(self) -> float:
        """Magnification; 1 fits the picture into the view."""
        return self._zoom

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """The letters at the left, right, top and bottom; empty where there is none."""
        return self._letters

    @property
    def caption(self) -> str:
        """The small text in the upper left corner."""
        return self._caption

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """The picture as drawn, shape (rows, columns), row 0 at the top."""
        return self._pixels

    @property
    def crosshair(self) -> tuple[float, float] | None:
        """Column and row of the crosshair, or None while it is hidden."""
        return self._crosshair

    def show_pixels(self, pixels: NDArray[np.uint8], pixel_mm: tuple[float, float]) -> None:
        """Show a picture.

        Parameters
        ----------
        pixels : ndarray, shape (rows, columns), uint8
            Row 0 at the top.
        pixel_mm : tuple of float
            Width and height of a pixel; only their ratio is seen.
        """
        self._pixels = np.ascontiguousarray(pixels)
        rows, columns = self._pixels.shape
        # The image shares the array's memory, which `_pixels` keeps alive.
        self._image = QImage(
            self._pixels.data, columns, rows, columns, QImage.Format.Format_Grayscale8
        )
        self._pixel_mm = pixel_mm
        self.update()

    def set_fit_extent(self, extent_mm: tuple[float, float] | None) -> None:
        """Fit this width and height instead of the picture's: planes then share one scale."""
        self._fit_mm = extent_mm
        self.update()

    def set_letters(self, left: str, right: str, top: str, bottom: str) -> None:
        """Set the orientation letters of the four sides."""
        self._letters = (left, right, top, bottom)
        self.update()

    def set_caption(self, caption: str) -> None:
        """Set the small text in the upper left corner."""
        if caption != self._caption:
            self._caption = caption
            self.setAccessibleDescription(caption)
            self.update()

    def set_crosshair(self, position: tuple[float, float] | None) -> None:
        """Move the crosshair to (column, row), or hide it."""
        if position != self._crosshair:
            self._crosshair = position
            self.update()

    def reset_view(self) -> None:
        """Fit the picture into the view again."""
        self._zoom = 1.0
        self._pan = QPointF()
        self.update()

    def point_of(self, column: float, row: float) -> QPointF:
        """Return where in the widget a position of the picture lies."""
        return self._transform().map(QPointF(column, row))

    def position_at(self, point: QPointF) -> tuple[float, float]:
        """Return the (column, row) under a point of the widget; may lie outside the picture."""
        inverse, possible = self._transform().inverted()
        if not possible:
            return 0.0, 0.0
        position = inverse.map(point)
        return position.x(), position.y()

    def zoom_at(self, point: QPointF, factor: float) -> None:
        """Magnify by ``factor``; what lies under ``point`` stays there."""
        column, row = self.position_at(point)
        low, high = _ZOOM_RANGE
        self._zoom = min(max(self._zoom * factor, low), high)
        self._pan += point - self.point_of(column, row)
        self.update()

    def _transform(self) -> QTransform:
        """Return the way from picture positions to widget points."""
        if self._image is None:
            return QTransform()
        scale = self._fit_scale() * self._zoom
        x_scale, y_scale = scale * self._pixel_mm[0], scale * self._pixel_mm[1]
        centre = QPointF(self.width() / 2, self.height() / 2) + self._pan
        return QTransform(
            x_scale,
            0.0,
            0.0,
            y_scale,
            centre.x() - x_scale * self._image.width() / 2,
            centre.y() - y_scale * self._image.height() / 2,
        )

    def _fit_scale(self) -> float:
        """Return the logical pixels per mm at which all of the extent is seen."""
        assert self._image is not None
        width_mm, height_mm = self._fit_mm or (
            self._image.width() * self._pixel_mm[0],
            self._image.height() * self._pixel_mm[1],
        )
        width, height = self.width() - 2 * _GUTTER, self.height() - 2 * _GUTTER
        return max(min(width / width_mm, height / height_mm), 1e-3)

    def _paint_picture(self, painter: QPainter) -> None:
        assert self._image is not None
        transform = self._transform()
        corner = QPointF(self._image.width(), self._image.height())
        target = QRectF(transform.map(QPointF(0, 0)), transform.map(corner))
        smooth = max(transform.m11(), transform.m22()) < _BLOCK_SCALE
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawImage(target, self._image, QRectF(self._image.rect()))

    def _paint_crosshair(self, painter: QPainter) -> None:
        if self._crosshair is None:
            return
        centre = self.point_of(*self._crosshair)
        x, y = round(centre.x()), round(centre.y())
        colour = QColor(ACCENT)
        colour.setAlpha(190)
        painter.setPen(QPen(colour, 1))
        gap = 6  # the voxel itself stays free
        right, bottom = self.width() - _GUTTER, self.height() - _GUTTER
        # The gutters belong to the letters.
        painter.setClipRect(_GUTTER, _GUTTER, right - _GUTTER, bottom - _GUTTER)
        painter.drawLine(_GUTTER, y, x - gap, y)
        painter.drawLine(x + gap, y, right, y)
        painter.drawLine(x, _GUTTER, x, y - gap)
        painter.drawLine(x, y + gap, x, bottom)
        painter.setClipping(False)

    def _paint_texts(self, painter: QPainter) -> None:
        font = QFont(self.font())
        font.setPixelSize(14)
        font.setBold(True)
        painter.setFont(font)
        left, right, top, bottom = self._letters
        vertical, horizontal = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignHCenter
        _draw_outlined(painter, self.rect(), vertical | Qt.AlignmentFlag.AlignLeft, left)
        _draw_outlined(painter, self.rect(), vertical | Qt.AlignmentFlag.AlignRight, right)
        _draw_outlined(painter, self.rect(), horizontal | Qt.AlignmentFlag.AlignTop, top)
        _draw_outlined(painter, self.rect(), horizontal | Qt.AlignmentFlag.AlignBottom, bottom)
        font.setPixelSize(11)
        font.setBold(False)
        painter.setFont(font)
        corner = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
        colour = ACCENT if self.hasFocus() else FAINT_TEXT
        _draw_outlined(painter, self.rect(), corner, self._caption, colour)

    def _scroll(self, angle: int) -> None:
        """Turn wheel angle (eighths of a degree) into whole steps; touchpads send fractions."""
        self._wheel_rest += angle
        steps = int(self._wheel_rest / _WHEEL_STEP)
        self._wheel_rest -= steps * _WHEEL_STEP
        if steps:
            self.slice_scrolled.emit(steps)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the slices, or zoom with Ctrl."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_at(event.position(), 1.2 ** (event.angleDelta().y() / _WHEEL_STEP))
        else:
            self._scroll(event.angleDelta().y())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a drag; the left button points at once."""
        self.activated.emit()
        if self._drag_button != Qt.MouseButton.NoButton:
            return  # a second button does not change what the first one drags
        self._drag_button = event.button()
        self._drag_from = event.position()
        if event.button() == Qt.MouseButton.LeftButton:
            self.pointed.emit(*self.position_at(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move crosshair, window or picture."""
        if self._drag_from is None:
            return
        moved = event.position() - self._drag_from
        self._drag_from = event.position()
        if self._drag_button == Qt.MouseButton.LeftButton:
            self.pointed.emit(*self.position_at(event.position()))
        elif self._drag_button == Qt.MouseButton.RightButton:
            self.window_dragged.emit(moved.x(), -moved.y())
        elif self._drag_button == Qt.MouseButton.MiddleButton:
            self._pan += moved
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag."""
        if event.button() == self._drag_button:
            self._drag_button = Qt.MouseButton.NoButton
            self._drag_from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask to be enlarged."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.enlarge_requested.emit()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Become the plane that keys act on."""
        super().focusInEvent(event)
        self.activated.emit()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw picture, crosshair and texts."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), BACKGROUND)
        if self._image is not None:
            self._paint_picture(painter)
            self._paint_crosshair(painter)
        self._paint_texts(painter)
        if self.hasFocus():
            painter.setPen(QPen(ACCENT, 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()


def _draw_outlined(
    painter: QPainter,
    rect: QRect,
    flags: Qt.AlignmentFlag,
    text: str,
    colour: QColor = TEXT,
) -> None:
    """Draw a text that stays legible on white matter: a dark shadow on four sides."""
    if not text:
        return
    box = rect.adjusted(6, 3, -6, -3)
    painter.setPen(BACKGROUND)
    for shift in (QPoint(1, 0), QPoint(-1, 0), QPoint(0, 1), QPoint(0, -1)):
        painter.drawText(box.translated(shift), int(flags), text)
    painter.setPen(colour)
    painter.drawText(box, int(flags), text)
