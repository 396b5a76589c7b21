"""Draws one volume in its three planes, all through one voxel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from PySide6.QtCore import QCoreApplication, QObject, QTimer

from core.data.volume import Volume
from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.grey_volume import GreyVolume
from mrifcl_gui.map_overlay import MapOverlay
from mrifcl_gui.plane_drawing import FAINT_TEXT, SliceLines
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.slice_planes import PLANES, SlicePlane, Voxel, clip_voxel, plane_called

# After this long without a change, window and level are taken as chosen.
_SETTLED_MS = 200


class VolumePlanes(QObject):
    """Holds three views and keeps them on one voxel, one window and one convention.

    Parameters
    ----------
    clock : FrameClock
        Paints the views together.
    key_prefix : str
        Comes before the planes' names in the keys of the views.
    """

    def __init__(
        self, clock: FrameClock, key_prefix: str = "", parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        names = {
            "axial": self.tr("Axial plane"),
            "coronal": self.tr("Coronal plane"),
            "sagittal": self.tr("Sagittal plane"),
        }
        self.views = {
            name: PlaneView(key_prefix + name, title, clock) for name, title in names.items()
        }
        self._titles = {name: plane_title(name) for name in names}
        self._volume: Volume | None = None
        self._grey: GreyVolume | None = None
        self._voxel: Voxel = (0, 0, 0)
        self._is_outside = False
        self._is_radiological = True
        self._has_crosshair = True
        self._lines_of: tuple[SlicePlane, tuple[int, ...], str] | None = None
        self._has_lines = True
        self._overlay: MapOverlay | None = None
        self._has_overlay = True
        # Slab by slab between the events of the window, which is never held up by more.
        self._preparing = QTimer(self)
        self._preparing.timeout.connect(self._prepare_part)

    @property
    def volume(self) -> Volume | None:
        """What is shown."""
        return self._volume

    @property
    def voxel(self) -> Voxel:
        """The voxel that all planes go through."""
        return self._voxel

    @property
    def is_outside(self) -> bool:
        """Whether the voxel only is the nearest to a place outside the volume."""
        return self._is_outside

    def size_mm(self, name: str | None = None) -> tuple[float, float]:
        """Return width and height of a plane, or (None) what holds all three planes."""
        assert self._volume is not None
        x, y, z = (
            size * mm
            for size, mm in zip(self._volume.voxels.shape, self._volume.spacing_mm, strict=True)
        )
        sizes = {"axial": (x, y), "coronal": (x, z), "sagittal": (y, z)}
        return sizes[name] if name else (max(x, y), max(y, z))

    def show(self, volume: Volume) -> None:
        """Show a volume at its middle voxel; the lines of another one go."""
        self._volume = volume
        self._grey = GreyVolume(volume.voxels)
        self._lines_of = self._overlay = None
        self._voxel = middle_of(volume)
        self._is_outside = False
        if not self._grey.is_ready:
            self._preparing.start(0)
        for plane in PLANES:
            shape, spacing = volume.voxels.shape, volume.spacing_mm
            self.views[plane.name].set_picture(
                partial(self._fill, plane),
                (shape[plane.up], shape[plane.across]),
                (spacing[plane.across], spacing[plane.up]),
            )
        self._write_all()

    def clear(self) -> None:
        """Let the volume go."""
        self._preparing.stop()
        self._volume = self._grey = self._lines_of = self._overlay = None

    def set_voxel(self, voxel: Voxel, *, is_outside: bool = False) -> None:
        """Go to a voxel; ``is_outside`` says that it only is the nearest to a place outside."""
        old, self._voxel = self._voxel, voxel
        changed = is_outside != self._is_outside
        self._is_outside = is_outside
        for plane in PLANES:
            if changed or old[plane.along] != voxel[plane.along]:
                self.views[plane.name].refresh()
                self._write_caption(plane)
            self._place_crosshair(plane)

    def set_limits(self, low: float, high: float) -> None:
        """Set the intensities that are black and white."""
        if self._grey is not None:
            self._grey.set_limits(low, high)
            if self._grey.has_levels:
                # Not while the window is dragged: each move would make the greys of the last vain.
                self._preparing.start(_SETTLED_MS)
            for view in self.views.values():
                view.refresh()

    def set_radiological(self, is_radiological: bool) -> None:
        """Choose the side of the subject's right: left of the picture (radiological) or right."""
        self._is_radiological = is_radiological
        if self._volume is not None:
            self._write_all()

    def set_crosshair_shown(self, shown: bool) -> None:
        """Show or hide the crosshair."""
        self._has_crosshair = shown
        for plane in PLANES:
            self._place_crosshair(plane)

    def set_slice_lines(self, plane: str, indices: Sequence[int], colour: str) -> None:
        """Draw these slices of a plane as lines on the two others."""
        kept = tuple(int(index) for index in indices)
        self._lines_of = (plane_called(plane), kept, colour) if kept else None
        self._place_lines()

    def set_slice_lines_shown(self, shown: bool) -> None:
        """Show or hide the lines."""
        self._has_lines = shown
        self._place_lines()

    def set_overlay(self, overlay: MapOverlay | None) -> None:
        """Lay a map on the volume's grid over its planes, or take it away."""
        self._overlay = overlay
        self._refresh()

    def set_overlay_shown(self, shown: bool) -> None:
        """Show or hide the map."""
        self._has_overlay = shown
        self._refresh()

    def _refresh(self) -> None:
        for view in self.views.values():
            view.refresh()

    def set_fit_extent(self, extent_mm: tuple[float, float] | None) -> None:
        """Fit this width and height into each view, or (None) each plane's own."""
        for view in self.views.values():
            view.set_fit_extent(extent_mm)

    def voxel_at(self, plane: SlicePlane, column: float, row: float) -> tuple[int, ...]:
        """Return the voxel index at a position of a plane; may lie outside the volume."""
        assert self._volume is not None
        voxel = list(self._voxel)
        voxel[plane.across], voxel[plane.up] = plane.indices_at(
            column, row, self._volume.voxels.shape, is_mirrored=self._is_mirrored(plane)
        )
        return tuple(voxel)

    def voxel_nearest(self, position_mm: tuple[float, float, float]) -> tuple[Voxel, bool]:
        """Return the voxel nearest to a place, and whether the place is outside the volume."""
        assert self._volume is not None
        exact = np.linalg.solve(self._volume.affine, np.array([*position_mm, 1.0]))[:3]
        index = tuple(int(value) for value in np.rint(exact))
        voxel = clip_voxel(index, self._volume.voxels.shape)
        return voxel, voxel != index

    def _fill(self, plane: SlicePlane, out: np.ndarray) -> None:
        if self._grey is not None:
            index = self._voxel[plane.along]
            self._grey.paint(out, plane, index, is_mirrored=self._is_mirrored(plane))
            if self._overlay is not None and self._has_overlay:
                self._overlay.mix(out, plane, index, is_mirrored=self._is_mirrored(plane))

    def _prepare_part(self) -> None:
        if self._grey is None or self._grey.is_ready:
            self._preparing.stop()
        else:
            self._preparing.setInterval(0)
            self._grey.prepare_part()

    def _is_mirrored(self, plane: SlicePlane) -> bool:
        return plane.is_mirrored(is_radiological=self._is_radiological)

    def _write_all(self) -> None:
        assert self._volume is not None
        for plane in PLANES:
            view = self.views[plane.name]
            view.refresh()
            view.set_letters(
                *plane.letters(
                    is_mirrored=self._is_mirrored(plane), sides_certain=self._volume.sides_certain
                )
            )
            self._write_caption(plane)
            self._place_crosshair(plane)
        self._place_lines()

    def _write_caption(self, plane: SlicePlane) -> None:
        assert self._volume is not None
        count = self._volume.voxels.shape[plane.along]
        caption = f"{self._titles[plane.name]}  {self._voxel[plane.along] + 1} / {count}"
        if self._is_outside:
            caption += self.tr("  (outside)")
        self.views[plane.name].set_caption(caption)

    def _place_crosshair(self, plane: SlicePlane) -> None:
        position = None
        if self._has_crosshair and self._volume is not None and not self._is_outside:
            shape, is_mirrored = self._volume.voxels.shape, self._is_mirrored(plane)
            position = plane.position_of(self._voxel, shape, is_mirrored=is_mirrored)
        self.views[plane.name].set_crosshair(position)

    def _place_lines(self) -> None:
        for plane in PLANES:
            self.views[plane.name].set_slice_lines(self._lines_on(plane))

    def _lines_on(self, plane: SlicePlane) -> SliceLines | None:
        if self._volume is None or self._lines_of is None or not self._has_lines:
            return None
        cut, indices, colour = self._lines_of
        if cut.name == plane.name:
            return None
        shape, is_mirrored = self._volume.voxels.shape, self._is_mirrored(plane)
        is_vertical = plane.across == cut.along
        positions = []
        for index in indices:
            voxel = [0, 0, 0]
            voxel[cut.along] = index
            column, row = plane.position_of(tuple(voxel), shape, is_mirrored=is_mirrored)
            positions.append(column if is_vertical else row)
        # As the captions count, from 1.
        numbers = tuple(index + 1 for index in indices)
        return SliceLines(is_vertical, tuple(positions), numbers, colour or FAINT_TEXT.name())


def middle_of(volume: Volume) -> Voxel:
    """Return the middle voxel of a volume."""
    i, j, k = volume.voxels.shape
    return i // 2, j // 2, k // 2


def plane_title(name: str) -> str:
    """Return the name of a plane in the language of the window."""
    titles = {
        "axial": QCoreApplication.translate("VolumePlanes", "axial"),
        "coronal": QCoreApplication.translate("VolumePlanes", "coronal"),
        "sagittal": QCoreApplication.translate("VolumePlanes", "sagittal"),
    }
    return titles[name]
