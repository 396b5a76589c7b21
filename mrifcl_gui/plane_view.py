"""One grey picture at its true aspect: zoom, pan, crosshair, orientation letters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from mrifcl_gui import plane_drawing
from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.plane_drawing import ACCENT, BACKGROUND, FAINT_TEXT, GUTTER, SliceLines

Fill = Callable[[NDArray[np.uint32]], None]

_ZOOM_RANGE = (0.5, 40.0)
# From this many screen pixels a voxel on, voxels are drawn as blocks: one may want to see them.
_BLOCK_SCALE = 6.0
_WHEEL_STEP = 120
# A right button that moved less was a click.
_CLICK_PIXELS = 4


class PlaneView(QWidget):
    """Draws one picture and says in signals what the mouse asks for.

    Positions inside the picture are (column, row) in pixels, counted from the upper left
    corner, so that the centre of the first pixel is (0.5, 0.5). Each signal carries the
    view's key first.

    Parameters
    ----------
    key : str
        Which of several views it is.
    name : str
        What it shows, for assistive technology.
    clock : FrameClock
        Says when to paint; views that change together share one.
    """

    slice_scrolled = Signal(str, int)  # steps, positive away from the user
    pointed = Signal(str, float, float)  # column, row
    hovered = Signal(str, float, float)  # column, row
    pointer_left = Signal(str)
    window_dragged = Signal(str, float, float)  # logical pixels to the right, upwards
    activated = Signal(str)
    enlarge_requested = Signal(str)
    menu_requested = Signal(str, QPoint)  # on the screen

    def __init__(
        self, key: str, name: str, clock: FrameClock, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._key = key
        self._clock = clock
        self._caption = ""
        self._letters = ("", "", "", "")
        self._fill: Fill | None = None
        self._buffer: NDArray[np.uint32] = np.zeros((1, 1), np.uint32)
        self._image: QImage | None = None
        self._is_stale = False
        self._pixel_mm: tuple[float, float] | None = None
        self._fit_mm: tuple[float, float] | None = None
        self._crosshair: tuple[float, float] | None = None
        self._lines: SliceLines | None = None
        self._zoom = 1.0
        self._pan = QPointF()
        self._drag_from: QPointF | None = None
        self._drag_length = 0.0
        self._drag_button = Qt.MouseButton.NoButton
        self._wheel_rest = 0
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setMinimumSize(120, 100)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)

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
        if self._image is None:
            return None
        self._refill()
        return (self._buffer & 0xFF).astype(np.uint8)

    @property
    def crosshair(self) -> tuple[float, float] | None:
        """Column and row of the crosshair, or None while it is hidden."""
        return self._crosshair

    @property
    def slice_lines(self) -> SliceLines | None:
        """Where other slices are drawn as lines, or None."""
        return self._lines

    def set_picture(
        self, fill: Fill, shape: tuple[int, int], pixel_mm: tuple[float, float] | None
    ) -> None:
        """Show a picture.

        Parameters
        ----------
        fill : callable
            Fills an array (rows, columns), uint32, with opaque RGB pixels, row 0 at the
            top. It is called when the picture is painted, not before.
        shape : tuple of int
            Rows and columns.
        pixel_mm : tuple of float or None
            Width and height of a pixel; None where they are not known (square then).
        """
        self._fill = fill
        self._pixel_mm = pixel_mm
        if self._image is None or self._buffer.shape != shape:
            self._buffer = np.zeros(shape, np.uint32)
            rows, columns = shape
            # The image shares the memory of the buffer, which outlives it.
            self._image = QImage(
                self._buffer.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32
            )
        self.refresh()

    def refresh(self) -> None:
        """Have the picture filled anew and painted with the next frame."""
        self._is_stale = True
        self._clock.move(self)

    def set_fit_extent(self, extent_mm: tuple[float, float] | None) -> None:
        """Fit this width and height instead of the picture's: planes then share one scale."""
        self._fit_mm = extent_mm
        self._clock.ask(self)

    def set_letters(self, left: str, right: str, top: str, bottom: str) -> None:
        """Set the orientation letters of the four sides."""
        self._letters = (left, right, top, bottom)
        self._clock.ask(self)

    def set_caption(self, caption: str) -> None:
        """Set the small text in the upper left corner."""
        if caption != self._caption:
            self._caption = caption
            self._clock.ask(self)

    def set_crosshair(self, position: tuple[float, float] | None) -> None:
        """Move the crosshair to (column, row), or hide it."""
        if position != self._crosshair:
            self._crosshair = position
            self._clock.ask(self)

    def set_slice_lines(self, lines: SliceLines | None) -> None:
        """Draw where other slices cut this one, or nothing."""
        if lines != self._lines:
            self._lines = lines
            self._clock.ask(self)

    def reset_view(self) -> None:
        """Fit the picture into the view again."""
        self._zoom = 1.0
        self._pan = QPointF()
        self._clock.ask(self)

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
        self._clock.ask(self)

    def draw(self, painter: QPainter, *, for_export: bool = False) -> None:
        """Draw all; an export has a scale bar and no mark of the focus."""
        rect = self.rect()
        if self._image is None:
            painter.fillRect(rect, BACKGROUND)
        else:
            self._refill()
            # Slices that go by are drawn unsmoothed: that takes a third of the time.
            is_at_rest = for_export or not self._clock.is_moving(self)
            self._draw_picture(painter, self._image, is_at_rest=is_at_rest)
            if for_export and self._pixel_mm is not None:
                pixels_per_mm = self._transform().m11() / self._pixel_mm[0]
                plane_drawing.draw_scale_bar(painter, rect, pixels_per_mm)
        marks_focus = self.hasFocus() and not for_export
        plane_drawing.draw_letters(painter, rect, self._letters)
        colour = ACCENT if marks_focus else FAINT_TEXT
        plane_drawing.draw_caption(painter, rect, self._caption, colour)
        if marks_focus:
            painter.setPen(QPen(ACCENT, 1))
            painter.drawRect(rect.adjusted(0, 0, -1, -1))

    def _draw_picture(self, painter: QPainter, image: QImage, *, is_at_rest: bool) -> None:
        """Draw the slice with the lines of other slices and the crosshair on it."""
        transform = self._transform()
        x_scale, y_scale = transform.m11(), transform.m22()
        size = QSizeF(image.width() * x_scale, image.height() * y_scale)
        target = QRectF(QPointF(transform.dx(), transform.dy()), size)
        if is_at_rest and max(x_scale, y_scale) < _BLOCK_SCALE:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        # Between whole pixels Qt would take thrice the time for what nobody sees.
        place = target.toRect()
        painter.drawImage(place, image)
        # To paint the ground below the picture too would take as long as the picture.
        for part in QRegion(self.rect()).subtracted(QRegion(place)):
            painter.fillRect(part, BACKGROUND)
        if self._lines is not None:
            scale = x_scale if self._lines.is_vertical else y_scale
            plane_drawing.draw_slice_lines(painter, self._lines, target, scale)
        if self._crosshair is not None:
            centre = transform.map(QPointF(*self._crosshair))
            plane_drawing.draw_crosshair(painter, self.rect(), centre)

    def _refill(self) -> None:
        if self._is_stale and self._fill is not None:
            self._fill(self._buffer)
            self._is_stale = False

    def _transform(self) -> QTransform:
        """Return the way from picture positions to widget points."""
        if self._image is None:
            return QTransform()
        width_mm, height_mm = self._pixel_mm or (1.0, 1.0)
        scale = self._fit_scale() * self._zoom
        x_scale, y_scale = scale * width_mm, scale * height_mm
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
        pixel_width, pixel_height = self._pixel_mm or (1.0, 1.0)
        width_mm, height_mm = self._fit_mm or (
            self._image.width() * pixel_width,
            self._image.height() * pixel_height,
        )
        width, height = self.width() - 2 * GUTTER, self.height() - 2 * GUTTER
        return max(min(width / width_mm, height / height_mm), 1e-3)

    def _scroll(self, angle: int) -> None:
        """Turn wheel angle (eighths of a degree) into whole steps; touchpads send fractions."""
        self._wheel_rest += angle
        steps = int(self._wheel_rest / _WHEEL_STEP)
        self._wheel_rest -= steps * _WHEEL_STEP
        if steps:
            self.slice_scrolled.emit(self._key, steps)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the slices, or zoom with Ctrl."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_at(event.position(), 1.2 ** (event.angleDelta().y() / _WHEEL_STEP))
        else:
            self._scroll(event.angleDelta().y())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a drag; the left button points at once."""
        self.activated.emit(self._key)
        if self._drag_button != Qt.MouseButton.NoButton:
            return  # a second button does not change what the first one drags
        self._drag_button = event.button()
        self._drag_from = event.position()
        self._drag_length = 0.0
        if event.button() == Qt.MouseButton.LeftButton:
            self.pointed.emit(self._key, *self.position_at(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move crosshair, window or picture; tell where the pointer is."""
        self.hovered.emit(self._key, *self.position_at(event.position()))
        if self._drag_from is None:
            return
        moved = event.position() - self._drag_from
        self._drag_from = event.position()
        self._drag_length += moved.manhattanLength()
        if self._drag_button == Qt.MouseButton.LeftButton:
            self.pointed.emit(self._key, *self.position_at(event.position()))
        elif self._drag_button == Qt.MouseButton.RightButton:
            self.window_dragged.emit(self._key, moved.x(), -moved.y())
        elif self._drag_button == Qt.MouseButton.MiddleButton:
            self._pan += moved
            self._clock.ask(self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag; a right click that dragged nothing asks for the menu."""
        if event.button() != self._drag_button:
            return
        self._drag_button = Qt.MouseButton.NoButton
        self._drag_from = None
        if event.button() == Qt.MouseButton.RightButton and self._drag_length < _CLICK_PIXELS:
            self.menu_requested.emit(self._key, event.globalPosition().toPoint())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask to be enlarged."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.enlarge_requested.emit(self._key)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu by key; the mouse asks when its button is released."""
        if event.reason() != QContextMenuEvent.Reason.Mouse:
            self.menu_requested.emit(self._key, self.mapToGlobal(self.rect().center()))
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """Tell that nothing is pointed at."""
        super().leaveEvent(event)
        self.pointer_left.emit(self._key)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Become the plane that keys act on."""
        super().focusInEvent(event)
        self.activated.emit(self._key)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw picture, crosshair and texts."""
        del event
        painter = QPainter(self)
        self.draw(painter)
        painter.end()
        if not self._clock.is_moving(self):
            # Not with each slice that goes by: nobody could listen to them.
            self.setAccessibleDescription(self._caption)
