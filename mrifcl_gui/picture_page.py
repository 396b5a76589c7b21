"""Ready-made slices: one large, all in a strip below."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.grey_volume import GREYS, to_grey
from mrifcl_gui.map_overlay import MapOverlay
from mrifcl_gui.plane_drawing import FAINT_TEXT
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.slice_strip import SliceStrip

PICTURE_KEY = "picture"


class PicturePage(QWidget):
    """Shows ready-made slices as they are stored.

    ``position_changed`` carries the position of the slice among all, ``read_out_changed``
    tells that :meth:`read_out` has another text.
    """

    position_changed = Signal(int)
    read_out_changed = Signal()
    pointer_moved = Signal(str)  # what is under it; empty outside
    window_dragged = Signal(str, float, float)
    menu_requested = Signal(str, QPoint)

    def __init__(self, clock: FrameClock, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixels: NDArray[np.uint8] | None = None
        self._numbers: tuple[int, ...] = ()
        self._position = 0
        self._point = (0, 0)  # column, row
        self._limits = (0.0, 255.0)
        self._has_crosshair = True
        self._overlay: MapOverlay | None = None
        self._has_overlay = True
        self.view = PlaneView(PICTURE_KEY, self.tr("Slice"), clock)
        self.view.pointed.connect(self._on_pointed)
        self.view.slice_scrolled.connect(self._on_scrolled)
        self.view.hovered.connect(self._on_hovered)
        self.view.pointer_left.connect(self._on_pointer_left)
        self.view.window_dragged.connect(self.window_dragged)
        self.view.menu_requested.connect(self.menu_requested)
        self.strip = SliceStrip()
        self.strip.slice_chosen.connect(self.set_position)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.strip)

    @property
    def position(self) -> int:
        """Position of the shown slice, 0 for the first."""
        return self._position

    @property
    def number(self) -> int:
        """Number of the shown slice."""
        return self._numbers[self._position]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of all slices, in their order."""
        return self._numbers

    def show_pictures(self, pixels: NDArray[np.uint8], numbers: Sequence[int]) -> None:
        """Show slices (n, h, w), uint8, from the middle one on."""
        self._pixels, self._numbers = pixels, tuple(numbers)
        self._overlay = None
        self._position = len(pixels) // 2
        self.strip.show_slices(pixels, numbers, FAINT_TEXT.name(), self._position)
        _, rows, columns = pixels.shape
        self.view.set_picture(self._fill, (rows, columns), None)
        self.centre()
        self._write_caption()

    def clear(self) -> None:
        """Let the slices go."""
        self._pixels, self._numbers = None, ()
        self._overlay = None

    def centre(self) -> None:
        """Point at the middle."""
        if self._pixels is not None:
            self._point = (self._pixels.shape[2] // 2, self._pixels.shape[1] // 2)
            self._place_crosshair()

    def set_position(self, position: int) -> None:
        """Go to a slice; positions outside are clipped."""
        if self._pixels is None:
            return
        position = min(max(position, 0), len(self._pixels) - 1)
        if position == self._position:
            return
        self._position = position
        self.strip.set_current(position)
        self.view.refresh()
        self._write_caption()
        self.read_out_changed.emit()
        self.position_changed.emit(position)

    def set_limits(self, low: float, high: float) -> None:
        """Set the grey levels that are black and white."""
        self._limits = (low, high)
        self.view.refresh()

    @property
    def overlay(self) -> MapOverlay | None:
        """The map over the slices."""
        return self._overlay

    def set_overlay(self, overlay: MapOverlay | None) -> None:
        """Lay a map over the slices, or take it away; one of another shape is not taken."""
        fits = overlay is None or (self._pixels is not None and overlay.shape == self._pixels.shape)
        self._overlay = overlay if fits else None
        self.view.refresh()

    def set_overlay_shown(self, shown: bool) -> None:
        """Show or hide the map."""
        self._has_overlay = shown
        self.view.refresh()

    def set_crosshair_shown(self, shown: bool) -> None:
        """Show or hide the crosshair."""
        self._has_crosshair = shown
        self._place_crosshair()

    def read_out(self) -> str:
        """Say what is at the crosshair."""
        return self._text_at(*self._point)

    def _text_at(self, column: int, row: int) -> str:
        if self._pixels is None:
            return ""
        _, rows, columns = self._pixels.shape
        if not (0 <= column < columns and 0 <= row < rows):
            return ""
        return self.tr("column {column}, row {row}      value {value}").format(
            column=column, row=row, value=int(self._pixels[self._position, row, column])
        )

    def _fill(self, out: NDArray[np.uint32]) -> None:
        if self._pixels is not None:
            np.take(
                GREYS, to_grey(self._pixels[self._position], *self._limits), out=out, mode="clip"
            )
            if self._overlay is not None and self._has_overlay:
                self._overlay.mix_picture(out, self._position)

    def _write_caption(self) -> None:
        self.view.set_caption(
            self.tr("slice {number}  ({place} of {count})").format(
                number=self.number, place=self._position + 1, count=len(self._numbers)
            )
        )

    def _place_crosshair(self) -> None:
        column, row = self._point
        shown = self._has_crosshair
        self.view.set_crosshair((column + 0.5, row + 0.5) if shown else None)

    def _on_scrolled(self, key: str, steps: int) -> None:
        del key
        self.set_position(self._position + steps)

    def _on_pointed(self, key: str, column: float, row: float) -> None:
        del key
        if self._pixels is None:
            return
        _, rows, columns = self._pixels.shape
        self._point = (min(max(int(column), 0), columns - 1), min(max(int(row), 0), rows - 1))
        self._place_crosshair()
        self.read_out_changed.emit()

    def _on_hovered(self, key: str, column: float, row: float) -> None:
        del key
        self.pointer_moved.emit(self._text_at(math.floor(column), math.floor(row)))

    def _on_pointer_left(self, key: str) -> None:
        del key
        self.pointer_moved.emit("")
