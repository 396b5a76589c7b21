"""What the viewer has in its middle: a sentence, the planes of a volume, or ready-made slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QLabel, QStackedWidget, QWidget

from core.data.volume import Volume
from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.grey_volume import contrast_limits, sample_of
from mrifcl_gui.picture_page import PICTURE_KEY, PicturePage
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.slice_planes import plane_called
from mrifcl_gui.volume_page import VolumePage

# A drag over this many pixels changes the window by the whole intensity range.
_WINDOW_DRAG = 400.0


class ViewerPages(QStackedWidget):
    """Shows one of three pages and keeps their window and level.

    Attributes
    ----------
    volumes : VolumePage
    pictures : PicturePage
    """

    read_out_changed = Signal()
    pointer_moved = Signal(str)  # what is under it; empty outside
    menu_requested = Signal(str, QPoint)  # key of a view, place on the screen

    def __init__(self, clock: FrameClock, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._auto_limits = (0.0, 1.0)
        self._low, self._high = 0.0, 1.0
        self._message = self._build_message()
        self.volumes = VolumePage(clock)
        self.volumes.intensities.limits_asked.connect(self._set_limits)
        self.pictures = PicturePage(clock)
        for page in (self.volumes, self.pictures):
            page.read_out_changed.connect(self.read_out_changed)
            page.pointer_moved.connect(self.pointer_moved)
            page.window_dragged.connect(self._on_window_dragged)
            page.menu_requested.connect(self.menu_requested)
        for part in (self._message, self.volumes, self.pictures):
            self.addWidget(part)

    @property
    def message(self) -> str:
        """The sentence that stands for a scan; empty while there is one."""
        return self._message.text() if self.is_empty else ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing but a sentence is shown."""
        return self.currentWidget() is self._message

    @property
    def has_volume(self) -> bool:
        """Whether a volume is shown."""
        return self.currentWidget() is self.volumes

    def show_message(self, text: str) -> None:
        """Show a sentence instead of a scan."""
        self._forget()
        self._message.setText(text)
        self.setCurrentWidget(self._message)
        self.read_out_changed.emit()

    def show_volume(self, volume: Volume) -> None:
        """Show the planes of a volume through its middle, with automatic contrast."""
        self._forget()
        self._show_sample(sample_of(volume.voxels))
        self.volumes.show_volume(volume, self._auto_limits)
        self.setCurrentWidget(self.volumes)
        self.open()

    def show_pictures(self, pixels: NDArray[np.uint8], numbers: Sequence[int]) -> None:
        """Show ready-made slices, shape (n, h, w), n > 0, from the middle one on."""
        self._forget()
        self.pictures.show_pictures(pixels, numbers)
        self._show_sample(sample_of(pixels))
        self.setCurrentWidget(self.pictures)
        self.open()

    def compare_with(self, volume: Volume) -> None:
        """Show the planes of another volume beside those of the first."""
        self.volumes.compare_with(volume)
        self.volumes.set_limits(self._low, self._high)
        self.read_out_changed.emit()

    def open(self) -> None:
        """Go to the middle: whole planes, automatic contrast (pictures: as they are)."""
        self.volumes.open()
        self.pictures.view.reset_view()
        self.pictures.centre()
        if self.has_volume:
            self.auto_contrast()
        elif not self.is_empty:
            self._set_limits(0.0, 255.0)
        self.read_out_changed.emit()

    def auto_contrast(self) -> None:
        """Window from the 2nd to the 98th percentile; the padding about the head does not count."""
        self._set_limits(*self._auto_limits)

    def window_level(self) -> tuple[float, float]:
        """Return width and centre of the intensities that run from black to white."""
        return self._high - self._low, (self._high + self._low) / 2

    def set_window_level(self, window: float, level: float) -> None:
        """Set width and centre of the intensities that run from black to white."""
        window = max(window, self.volumes.intensities.intensity_range / 1000)
        self._set_limits(level - window / 2, level + window / 2)

    def view(self, name: str) -> PlaneView:
        """Return the view of a plane, or of the ready-made slices (``picture``)."""
        return self.pictures.view if name == PICTURE_KEY else self.volumes.views[name]

    def shown_views(self) -> list[PlaneView]:
        """Return the views that can be seen, row by row."""
        return self.volumes.shown_views() if self.has_volume else [self.pictures.view]

    def slice_index(self, name: str) -> int:
        """Return the index of the slice of a plane, or of the ready-made slices."""
        if name == PICTURE_KEY:
            return self.pictures.position
        return self.volumes.voxel[plane_called(name).along]

    def set_slice(self, name: str, index: int) -> None:
        """Go to a slice of a plane, or of the ready-made slices."""
        if name == PICTURE_KEY:
            self.pictures.set_position(index)
        else:
            self.volumes.step(name, index - self.slice_index(name))

    def step_active(self, steps: int) -> None:
        """Go some slices on in the plane that keys act on."""
        name = self.volumes.active if self.has_volume else PICTURE_KEY
        self.set_slice(name, self.slice_index(name) + steps)

    def read_out(self) -> str:
        """Say where the crosshair is and what is there."""
        return self.volumes.read_out() if self.has_volume else self.pictures.read_out()

    def _build_message(self) -> QLabel:
        message = QLabel()
        message.setObjectName("faint")
        message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        message.setWordWrap(True)
        message.setTextFormat(Qt.TextFormat.PlainText)
        return message

    def _forget(self) -> None:
        self.volumes.clear()
        self.pictures.clear()
        self.pointer_moved.emit("")

    def _show_sample(self, sample: NDArray[Any]) -> None:
        self._auto_limits = contrast_limits(sample)
        self.volumes.intensities.show_values(sample)

    def _set_limits(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self.volumes.intensities.set_limits(low, high)
        self.volumes.set_limits(low, high)
        self.pictures.set_limits(low, high)

    def _on_window_dragged(self, key: str, right: float, up: float) -> None:
        del key
        window, level = self.window_level()
        per_pixel = self.volumes.intensities.intensity_range / _WINDOW_DRAG
        self.set_window_level(window + right * per_pixel, level + up * per_pixel)
