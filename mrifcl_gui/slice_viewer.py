"""Three linked planes of a volume, or ready-made slices, always on a dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.data.volume import Volume
from mrifcl_gui.histogram_view import HistogramView
from mrifcl_gui.plane_view import ACCENT, BACKGROUND, FAINT_TEXT, TEXT, PlaneView
from mrifcl_gui.slice_strip import SliceStrip

Voxel = tuple[int, int, int]

# Contrast comes from a sample: percentiles of 256^3 voxels would take a second.
_SAMPLE_SIZE = 200_000
_AUTO_PERCENTILES = (2.0, 98.0)
_BIG_STEP = 10
# A drag over this many pixels changes the window by the whole intensity range.
_WINDOW_DRAG = 400.0
_WARNING = "#f2b84b"

_STYLE = f"""
SliceViewer {{ background: {BACKGROUND.name()}; }}
SliceViewer QWidget {{ background: transparent; }}
SliceViewer QLabel {{ background: transparent; color: {TEXT.name()}; }}
SliceViewer QLabel#badge {{ border: 1px solid {_WARNING}; border-radius: 3px;
    color: {_WARNING}; padding: 1px 6px; }}
SliceViewer QLabel#faint {{ color: {FAINT_TEXT.name()}; }}
SliceViewer QToolButton {{ background: #24272b; color: {TEXT.name()};
    border: 1px solid #3c4043; border-radius: 3px; padding: 3px 8px; }}
SliceViewer QToolButton:checked {{ border-color: {ACCENT.name()}; }}
SliceViewer QToolButton:hover {{ background: #303438; }}
SliceViewer QToolButton:focus {{ border: 1px solid {TEXT.name()}; }}
SliceViewer QDoubleSpinBox {{ background: #24272b; color: {TEXT.name()};
    border: 1px solid #3c4043; border-radius: 3px; padding: 2px 4px; }}
SliceViewer QDoubleSpinBox:focus {{ border-color: {ACCENT.name()}; }}
SliceViewer QToolTip {{ background: #24272b; color: {TEXT.name()}; border: 1px solid #3c4043; }}
"""


@dataclass(frozen=True)
class _Plane:
    """Which volume axes a plane runs through (``along``), across and up the screen."""

    name: str
    along: int
    across: int
    up: int


_PLANES = (
    _Plane("axial", along=2, across=0, up=1),
    _Plane("coronal", along=1, across=0, up=2),
    _Plane("sagittal", along=0, across=1, up=2),
)
# Letters at the low and the high end of the volume's axes (RAS+).
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))


class SliceViewer(QWidget):
    """Shows a volume as three linked planes, or ready-made slices as one.

    Keys: arrows and PgUp/PgDn slice, Home/End first and last, 1/2/3 enlarge a plane,
    R reset, X crosshair, A auto contrast, O orientation convention.
    """

    crosshair_moved = Signal(tuple)  # voxel (i, j, k)
    picture_changed = Signal(int)  # position of the ready-made slice
    orientation_changed = Signal(bool)  # True for radiological

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._volume: Volume | None = None
        self._pictures: NDArray[np.uint8] | None = None
        self._numbers: tuple[int, ...] = ()
        self._picture = 0
        self._sample: NDArray[Any] = np.zeros(1)
        self._voxel: Voxel = (0, 0, 0)
        self._point = (0, 0)  # column, row in a ready-made slice
        self._low, self._high = 0.0, 1.0
        self._is_radiological = True
        self._has_crosshair = True
        self._active = "axial"
        self._enlarged: str | None = None
        self._title = ""
        self._darken()
        self._stack = QStackedWidget()
        self._stack.addWidget(self._build_message())
        self._stack.addWidget(self._build_planes())
        self._stack.addWidget(self._build_pictures())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addLayout(self._build_bar())
        layout.addWidget(self._stack, 1)
        layout.addLayout(self._build_read_out())
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMinimumSize(360, 320)
        self.show_empty(self.tr("No scan chosen"))

    @property
    def is_radiological(self) -> bool:
        """Whether the patient's right is at the left of the picture."""
        return self._is_radiological

    @property
    def title(self) -> str:
        """What is shown."""
        return self._title

    @property
    def is_strip_visible(self) -> bool:
        """Whether ready-made slices have their strip below."""
        return not self._strip.isHidden()

    def show_volume(self, volume: Volume, title: str) -> None:
        """Show a volume with the crosshair in its middle and automatic contrast."""
        self._volume, self._pictures = volume, None
        self._set_title(title, volume.warnings)
        self._sample = _sample_of(volume.voxels)
        self._show_histogram()
        self._badge.setText(self.tr("left/right unverified"))
        self._badge.setToolTip("\n".join(volume.warnings))
        self._badge.setVisible(not volume.sides_certain)
        self._set_tools_enabled(True, has_sides=True)
        sizes = [
            (
                volume.voxels.shape[plane.across] * volume.spacing_mm[plane.across],
                volume.voxels.shape[plane.up] * volume.spacing_mm[plane.up],
            )
            for plane in _PLANES
        ]
        # One scale for all planes of the grid: they then line up with each other.
        self._common_mm = (max(size[0] for size in sizes), max(size[1] for size in sizes))
        self._stack.setCurrentIndex(1)
        self.reset()

    def show_pictures(self, pixels: NDArray[np.uint8], numbers: Sequence[int], title: str) -> None:
        """Show ready-made slices, opened at the middle one.

        Parameters
        ----------
        pixels : ndarray, shape (n, h, w), uint8
        numbers : sequence of int
            The number of each slice.
        title : str
        """
        if len(pixels) == 0:
            self.show_empty(self.tr("This scan has no slices"))
            return
        self._volume, self._pictures, self._numbers = None, pixels, tuple(numbers)
        self._set_title(title, ())
        self._sample = _sample_of(pixels)
        self._badge.setText(self.tr("orientation not known"))
        self._badge.setToolTip(
            self.tr("Pictures do not store which side is left. They are shown as they are.")
        )
        self._badge.setVisible(True)
        self._set_tools_enabled(True, has_sides=False)
        self._picture = len(pixels) // 2
        self._strip.show_slices(pixels, numbers, FAINT_TEXT.name(), self._picture)
        self._stack.setCurrentIndex(2)
        self.reset()

    def show_empty(self, text: str) -> None:
        """Show a sentence instead of a scan."""
        self._volume = self._pictures = None
        self._set_title("", ())
        self._message.setText(text)
        self._badge.setVisible(False)
        self._read_out.setText("")
        self._set_tools_enabled(False, has_sides=True)
        self._stack.setCurrentIndex(0)

    def show_busy(self, text: str) -> None:
        """Show what is being loaded; the last scan must not pass for the new one."""
        self.show_empty(text)

    def set_title(self, title: str) -> None:
        """Change the title of what is shown (its class was changed)."""
        self._title = title
        self._title_label.setText(title)

    def picture_number(self) -> int | None:
        """Return the number of the ready-made slice that is shown."""
        return self._numbers[self._picture] if self._pictures is not None else None

    def set_picture_number(self, number: int) -> None:
        """Go to the ready-made slice with this number, if there is one."""
        if number in self._numbers:
            self._set_picture(self._numbers.index(number))

    def set_strip_visible(self, visible: bool) -> None:
        """Show or hide the strip below ready-made slices."""
        self._strip.setVisible(visible)

    def set_radiological(self, is_radiological: bool) -> None:
        """Choose the side of the patient's right: left of the picture (radiological) or right."""
        if is_radiological == self._is_radiological:
            return
        self._is_radiological = is_radiological
        self._write_orientation()
        self._draw_all()
        self.orientation_changed.emit(is_radiological)

    def position_mm(self) -> tuple[float, float, float]:
        """Return where the crosshair is: mm to the right, anterior, superior."""
        if self._volume is None:
            return 0.0, 0.0, 0.0
        return self._volume.position_mm(self._voxel)

    def voxel(self) -> Voxel:
        """Return the voxel index at the crosshair."""
        return self._voxel

    def set_crosshair(self, voxel: Sequence[int]) -> None:
        """Move the crosshair to a voxel index; indices outside are clipped."""
        if self._volume is None:
            return
        clipped = [
            min(max(int(index), 0), size - 1)
            for index, size in zip(voxel, self._volume.voxels.shape, strict=True)
        ]
        new: Voxel = (clipped[0], clipped[1], clipped[2])
        if new == self._voxel:
            return
        old, self._voxel = self._voxel, new
        for plane in _PLANES:
            if old[plane.along] != new[plane.along]:
                self._draw_plane(plane)
        self._place_crosshairs()
        self._write_read_out()
        self.crosshair_moved.emit(new)

    def slice_index(self, plane: str) -> int:
        """Return the index of the slice of ``axial``, ``coronal``, ``sagittal`` or ``picture``."""
        if plane == "picture":
            return self._picture
        return self._voxel[_plane_called(plane).along]

    def set_slice(self, plane: str, index: int) -> None:
        """Go to a slice of a plane, or of the ready-made slices (``picture``)."""
        if plane == "picture":
            self._set_picture(index)
            return
        voxel = list(self._voxel)
        voxel[_plane_called(plane).along] = index
        self.set_crosshair(voxel)

    def window_level(self) -> tuple[float, float]:
        """Return width and centre of the intensities that run from black to white."""
        return self._high - self._low, (self._high + self._low) / 2

    def set_window_level(self, window: float, level: float) -> None:
        """Set width and centre of the intensities that run from black to white."""
        window = max(window, self._intensity_range() / 1000)
        self._set_limits(level - window / 2, level + window / 2)

    def plane_view(self, name: str) -> PlaneView:
        """Return the view of a plane, or of the ready-made slices (``picture``)."""
        return self._views[name]

    def reset(self) -> None:
        """Whole planes, crosshair in the middle, automatic contrast (pictures: as they are)."""
        for view in self._views.values():
            view.reset_view()
        self._enlarge(None)
        if self._volume is not None:
            shape = self._volume.voxels.shape
            self._voxel = (shape[0] // 2, shape[1] // 2, shape[2] // 2)
            self.auto_contrast()
            self.crosshair_moved.emit(self._voxel)
        elif self._pictures is not None:
            self._point = (self._pictures.shape[2] // 2, self._pictures.shape[1] // 2)
            self._set_limits(0.0, 255.0)

    def auto_contrast(self) -> None:
        """Window from the 2nd to the 98th percentile; the padding about the head does not count."""
        low, high = _contrast_limits(self._sample)
        self._set_limits(low, high)

    # Building

    def _darken(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Window, BACKGROUND)
        palette.setColor(QPalette.ColorRole.WindowText, TEXT)
        self.setPalette(palette)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        # A widget's own style sheet wins over the light one of the application.
        self.setStyleSheet(_STYLE)

    def _build_message(self) -> QWidget:
        self._message = QLabel()
        self._message.setObjectName("faint")
        self._message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._message.setWordWrap(True)
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        return self._message

    def _build_planes(self) -> QWidget:
        names = {
            "axial": self.tr("Axial plane"),
            "coronal": self.tr("Coronal plane"),
            "sagittal": self.tr("Sagittal plane"),
        }
        self._views = {name: _PlaneOfViewer(name, title) for name, title in names.items()}
        self._common_mm = (1.0, 1.0)
        page = QWidget()
        self._grid = QGridLayout(page)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        for number, view in enumerate(self._views.values()):
            self._connect_view(view)
            self._grid.addWidget(view, number // 2, number % 2)
        self._intensities = self._build_intensities()
        self._grid.addWidget(self._intensities, 1, 1)
        self._share_grid_equally(True)
        return page

    def _build_intensities(self) -> QWidget:
        panel = QWidget()
        self._histogram = HistogramView()
        self._histogram.window_changed.connect(self._set_limits)
        self._window_box = self._build_number_box(self.tr("Window"))
        self._level_box = self._build_number_box(self.tr("Level"))
        numbers = QHBoxLayout()
        for box in (self._window_box, self._level_box):
            label = QLabel(box.accessibleName())
            label.setBuddy(box)
            numbers.addWidget(label)
            numbers.addWidget(box, 1)
        layout = QVBoxLayout(panel)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self._histogram, 1)
        layout.addLayout(numbers)
        return panel

    def _build_number_box(self, name: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setAccessibleName(name)
        box.setToolTip(self.tr("Also by dragging with the right button in a plane"))
        box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        box.setKeyboardTracking(False)
        box.setRange(-1e9, 1e9)
        # A file dropped on it belongs to the panel.
        box.lineEdit().setAcceptDrops(False)
        box.setAcceptDrops(False)
        box.valueChanged.connect(self._on_number_entered)
        return box

    def _build_pictures(self) -> QWidget:
        view = _PlaneOfViewer("picture", self.tr("Slice"))
        self._connect_view(view)
        self._views["picture"] = view
        self._strip = SliceStrip()
        self._strip.slice_chosen.connect(self._set_picture)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(view, 1)
        layout.addWidget(self._strip)
        return page

    def _build_bar(self) -> QHBoxLayout:
        self._title_label = ElidedLabel()
        self._badge = QLabel()
        self._badge.setObjectName("badge")
        self._orientation_button = self._build_tool("", "")
        self._orientation_button.clicked.connect(self._on_orientation_clicked)
        self._crosshair_button = self._build_tool(
            self.tr("Crosshair"), self.tr("Show or hide the crosshair (X)")
        )
        self._crosshair_button.setCheckable(True)
        self._crosshair_button.setChecked(True)
        self._crosshair_button.toggled.connect(self._on_crosshair_toggled)
        self._contrast_button = self._build_tool(
            self.tr("Auto contrast"), self.tr("Window from the 2nd to the 98th percentile (A)")
        )
        self._contrast_button.clicked.connect(self.auto_contrast)
        self._reset_button = self._build_tool(
            self.tr("Reset"), self.tr("Whole planes, middle slice, automatic contrast (R)")
        )
        self._reset_button.clicked.connect(self.reset)
        self._write_orientation()
        bar = QHBoxLayout()
        bar.setSpacing(8)
        bar.addWidget(self._title_label, 1)
        bar.addWidget(self._badge)
        for tool in self._tools():
            bar.addWidget(tool)
        return bar

    def _build_tool(self, text: str, tip: str) -> QToolButton:
        tool = QToolButton()
        tool.setText(text)
        tool.setToolTip(tip)
        tool.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return tool

    def _build_read_out(self) -> QHBoxLayout:
        self._read_out = ElidedLabel()
        self._read_out.setAccessibleName(self.tr("Position and value at the crosshair"))
        row = QHBoxLayout()
        row.addWidget(self._read_out, 1)
        return row

    def _connect_view(self, view: _PlaneOfViewer) -> None:
        view.step_asked.connect(self._on_step_asked)
        view.pointed_in.connect(self._on_pointed)
        view.window_dragged.connect(self._on_window_dragged)
        view.activated_in.connect(self._on_activated)
        view.enlarge_asked.connect(self._toggle_enlarged)

    def _tools(self) -> tuple[QToolButton, ...]:
        return (
            self._orientation_button,
            self._crosshair_button,
            self._contrast_button,
            self._reset_button,
        )

    # Drawing

    def _draw_all(self) -> None:
        if self._volume is not None:
            for plane in _PLANES:
                self._draw_plane(plane)
        elif self._pictures is not None:
            self._draw_picture()
        self._place_crosshairs()
        self._write_read_out()

    def _draw_plane(self, plane: _Plane) -> None:
        assert self._volume is not None
        index = self._voxel[plane.along]
        section: NDArray[np.float32] = np.take(self._volume.voxels, index, axis=plane.along)
        # Axes come out as (across, up); pictures have rows first, from the top down.
        grey = _to_grey(section, self._low, self._high).T[::-1]
        if self._is_mirrored(plane):
            grey = grey[:, ::-1]
        view = self._views[plane.name]
        spacing = self._volume.spacing_mm
        view.show_pixels(grey, (spacing[plane.across], spacing[plane.up]))
        view.set_letters(*self._letters(plane))
        count = self._volume.voxels.shape[plane.along]
        view.set_caption(f"{self._plane_title(plane.name)}  {index + 1} / {count}")

    def _draw_picture(self) -> None:
        assert self._pictures is not None
        view = self._views["picture"]
        view.show_pixels(_to_grey(self._pictures[self._picture], self._low, self._high), (1.0, 1.0))
        view.set_caption(
            self.tr("slice {number}  ({place} of {count})").format(
                number=self._numbers[self._picture],
                place=self._picture + 1,
                count=len(self._pictures),
            )
        )

    def _plane_title(self, name: str) -> str:
        titles = {
            "axial": self.tr("axial"),
            "coronal": self.tr("coronal"),
            "sagittal": self.tr("sagittal"),
        }
        return titles[name]

    def _letters(self, plane: _Plane) -> tuple[str, str, str, str]:
        assert self._volume is not None
        left, right = _ENDS[plane.across]
        if self._is_mirrored(plane):
            left, right = right, left
        if plane.across == 0 and not self._volume.sides_certain:
            left = right = "?"
        bottom, top = _ENDS[plane.up]
        return left, right, top, bottom

    def _is_mirrored(self, plane: _Plane) -> bool:
        """Tell whether the volume's first axis (to the patient's right) runs to the left."""
        return plane.across == 0 and self._is_radiological

    def _place_crosshairs(self) -> None:
        shown = self._has_crosshair
        if self._volume is not None:
            for plane in _PLANES:
                position = self._picture_position(plane) if shown else None
                self._views[plane.name].set_crosshair(position)
        elif self._pictures is not None:
            column, row = self._point
            self._views["picture"].set_crosshair((column + 0.5, row + 0.5) if shown else None)

    def _picture_position(self, plane: _Plane) -> tuple[float, float]:
        assert self._volume is not None
        shape = self._volume.voxels.shape
        column: float = self._voxel[plane.across] + 0.5
        if self._is_mirrored(plane):
            column = shape[plane.across] - column
        return column, shape[plane.up] - self._voxel[plane.up] - 0.5

    def _write_read_out(self) -> None:
        if self._volume is not None:
            right, anterior, superior = (_signed(value) for value in self.position_mm())
            i, j, k = self._voxel
            side = "R" if self._volume.sides_certain else "R?"
            value = float(self._volume.voxels[self._voxel])
            self._read_out.setText(
                self.tr(
                    "{side} {x}   A {y}   S {z} mm      voxel {i}, {j}, {k}      value {value}"
                ).format(
                    side=side, x=right, y=anterior, z=superior, i=i, j=j, k=k, value=f"{value:.6g}"
                )
            )
        elif self._pictures is not None:
            column, row = self._point
            self._read_out.setText(
                self.tr("column {column}, row {row}      value {value}").format(
                    column=column, row=row, value=int(self._pictures[self._picture, row, column])
                )
            )

    def _write_orientation(self) -> None:
        if self._is_radiological:
            text = self.tr("Radiological")
            tip = self.tr("Patient's right is at the left of the picture. Switch with O.")
        else:
            text = self.tr("Neurological")
            tip = self.tr("Patient's right is at the right of the picture. Switch with O.")
        self._orientation_button.setText(text)
        self._orientation_button.setToolTip(tip)

    def _set_title(self, title: str, warnings: Sequence[str]) -> None:
        self.set_title(title)
        self._title_label.setToolTip("\n".join((title, *warnings)))

    def _set_tools_enabled(self, enabled: bool, *, has_sides: bool) -> None:
        for tool in self._tools():
            tool.setVisible(enabled)
        self._orientation_button.setVisible(enabled and has_sides)

    # Intensities

    def _show_histogram(self) -> None:
        self._histogram.show_values(self._sample)
        decimals = 0 if self._intensity_range() >= 100 else 3
        for box in (self._window_box, self._level_box):
            with QSignalBlocker(box):
                box.setDecimals(decimals)
                box.setSingleStep(self._intensity_range() / 100)

    def _intensity_range(self) -> float:
        low, high = float(self._sample.min()), float(self._sample.max())
        return high - low if high > low else 1.0

    def _set_limits(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        window, level = self.window_level()
        self._histogram.set_window(low, high)
        for box, value in ((self._window_box, window), (self._level_box, level)):
            with QSignalBlocker(box):
                box.setValue(value)
        self._draw_all()

    def _on_number_entered(self) -> None:
        self.set_window_level(self._window_box.value(), self._level_box.value())

    def _on_window_dragged(self, right: float, up: float) -> None:
        window, level = self.window_level()
        per_pixel = self._intensity_range() / _WINDOW_DRAG
        self.set_window_level(window + right * per_pixel, level + up * per_pixel)

    # Places

    def _on_pointed(self, name: str, column: float, row: float) -> None:
        if name == "picture":
            self._point_in_picture(column, row)
        elif self._volume is not None:
            plane = _plane_called(name)
            shape = self._volume.voxels.shape
            across, up = int(np.floor(column)), shape[plane.up] - 1 - int(np.floor(row))
            if self._is_mirrored(plane):
                across = shape[plane.across] - 1 - across
            voxel = list(self._voxel)
            voxel[plane.across], voxel[plane.up] = across, up
            self.set_crosshair(voxel)

    def _point_in_picture(self, column: float, row: float) -> None:
        if self._pictures is None:
            return
        _, rows, columns = self._pictures.shape
        self._point = (
            min(max(int(column), 0), columns - 1),
            min(max(int(row), 0), rows - 1),
        )
        self._place_crosshairs()
        self._write_read_out()

    def _set_picture(self, position: int) -> None:
        if self._pictures is None:
            return
        position = min(max(position, 0), len(self._pictures) - 1)
        if position == self._picture:
            return
        self._picture = position
        self._strip.set_current(position)
        self._draw_picture()
        self._write_read_out()
        self.picture_changed.emit(position)

    def _on_step_asked(self, name: str, steps: int) -> None:
        self.set_slice(name, self.slice_index(name) + steps)

    def _on_activated(self, name: str) -> None:
        if name != "picture":
            self._active = name

    def _toggle_enlarged(self, name: str) -> None:
        if name != "picture":
            self._enlarge(None if self._enlarged == name else name)

    def _enlarge(self, name: str | None) -> None:
        """Show one plane alone, or all (None)."""
        self._enlarged = name
        for plane in _PLANES:
            view = self._views[plane.name]
            view.setVisible(name in (None, plane.name))
            view.set_fit_extent(self._common_mm if name is None else None)
        self._intensities.setVisible(name is None)
        self._share_grid_equally(name is None)
        if name is not None:
            self._active = name
            self._views[name].setFocus()

    def _share_grid_equally(self, equally: bool) -> None:
        # Without this a hidden row would keep its half of the room.
        for line in (0, 1):
            self._grid.setRowStretch(line, 1 if equally else 0)
            self._grid.setColumnStretch(line, 1 if equally else 0)

    def _on_orientation_clicked(self) -> None:
        self.set_radiological(not self._is_radiological)

    def _on_crosshair_toggled(self, shown: bool) -> None:
        self._has_crosshair = shown
        self._place_crosshairs()

    def _step_by_key(self, key: int) -> bool:
        """Go to another slice of the active plane; tell whether the key is for that."""
        name = "picture" if self._pictures is not None else self._active
        steps = {
            Qt.Key.Key_Up: 1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Down: -1,
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_PageUp: _BIG_STEP,
            Qt.Key.Key_PageDown: -_BIG_STEP,
        }
        if key in steps:
            self.set_slice(name, self.slice_index(name) + steps[Qt.Key(key)])
        elif key == Qt.Key.Key_Home:
            self.set_slice(name, 0)
        elif key == Qt.Key.Key_End:
            self.set_slice(name, 2**30)
        else:
            return False
        return True

    def _act_by_key(self, key: int) -> bool:
        """Do what a letter or digit stands for; tell whether the key is known."""
        plane_keys = {Qt.Key.Key_1: "axial", Qt.Key.Key_2: "coronal", Qt.Key.Key_3: "sagittal"}
        actions = {
            Qt.Key.Key_R: self.reset,
            Qt.Key.Key_X: self._crosshair_button.toggle,
            Qt.Key.Key_A: self.auto_contrast,
        }
        if key in plane_keys and self._volume is not None:
            self._toggle_enlarged(plane_keys[Qt.Key(key)])
        elif key == Qt.Key.Key_O and self._volume is not None:
            self._on_orientation_clicked()
        elif key in actions:
            actions[Qt.Key(key)]()
        else:
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on the viewer's keys; planes pass theirs on to here."""
        ours = Qt.KeyboardModifier.NoModifier | Qt.KeyboardModifier.KeypadModifier
        is_plain = not (event.modifiers() & ~ours)
        has_scan = self._volume is not None or self._pictures is not None
        key = event.key()
        if not (is_plain and has_scan and (self._step_by_key(key) or self._act_by_key(key))):
            super().keyPressEvent(event)


class _PlaneOfViewer(PlaneView):
    """A plane view whose signals say which plane they come from."""

    step_asked = Signal(str, int)
    pointed_in = Signal(str, float, float)
    activated_in = Signal(str)
    enlarge_asked = Signal(str)

    def __init__(self, key: str, title: str) -> None:
        super().__init__(title)
        self._key = key
        self.slice_scrolled.connect(self._on_slice_scrolled)
        self.pointed.connect(self._on_pointed)
        self.activated.connect(self._on_activated)
        self.enlarge_requested.connect(self._on_enlarge_requested)

    def _on_slice_scrolled(self, steps: int) -> None:
        self.step_asked.emit(self._key, steps)

    def _on_pointed(self, column: float, row: float) -> None:
        self.pointed_in.emit(self._key, column, row)

    def _on_activated(self) -> None:
        self.activated_in.emit(self._key)

    def _on_enlarge_requested(self) -> None:
        self.enlarge_asked.emit(self._key)


class ElidedLabel(QLabel):
    """A line of text that ends in … where there is no room, instead of widening the window."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        """Allow any width."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as much of the text as fits."""
        del event
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width()
        )
        painter.setPen(QColor(self.palette().color(QPalette.ColorRole.WindowText)))
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(self.contentsRect(), int(flags), text)
        painter.end()


def _plane_called(name: str) -> _Plane:
    for plane in _PLANES:
        if plane.name == name:
            return plane
    raise ValueError(f"there is no plane called '{name}'")


def _sample_of(values: NDArray[Any]) -> NDArray[Any]:
    """Return at most about ``_SAMPLE_SIZE`` values of a 3-D array, evenly spread."""
    step = max(1, int(np.ceil((values.size / _SAMPLE_SIZE) ** (1 / 3))))
    return values[::step, ::step, ::step].ravel()


def _contrast_limits(sample: NDArray[Any]) -> tuple[float, float]:
    darkest = sample.min()
    inside = sample[sample > darkest]
    if inside.size == 0:
        return float(darkest), float(darkest) + 1.0
    low, high = (float(value) for value in np.percentile(inside, _AUTO_PERCENTILES))
    return (low, high) if high > low else (float(darkest), high)


def _to_grey(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map ``low`` to black and ``high`` to white."""
    grey = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    return np.clip(grey, 0.0, 255.0, out=grey).astype(np.uint8)


def _signed(value: float) -> str:
    """Return mm with one decimal and a true minus sign, of even width for common heads."""
    return f"{value:.1f}".replace("-", "−")
