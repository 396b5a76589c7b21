"""The planes of a scan, alone or beside those of another one, and its histogram."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.data.volume import Volume
from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.grey_volume import contrast_limits, sample_of
from mrifcl_gui.intensity_panel import IntensityPanel
from mrifcl_gui.map_overlay import MapOverlay
from mrifcl_gui.plane_grid import PlaneGrid
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.slice_planes import PLANES, Voxel, clip_voxel, plane_called
from mrifcl_gui.volume_planes import VolumePlanes, middle_of

_SECOND = "second "
Place = tuple[float, float, float]


class VolumePage(QWidget):
    """Keeps the planes of one or two volumes on one place, in mm, and one convention."""

    crosshair_moved = Signal(tuple)  # voxel (i, j, k)
    read_out_changed = Signal()
    pointer_moved = Signal(str)  # what is under it; empty outside
    window_dragged = Signal(str, float, float)
    enlarged_changed = Signal()
    menu_requested = Signal(str, QPoint)

    def __init__(self, clock: FrameClock, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first = VolumePlanes(clock, parent=self)
        self._second = VolumePlanes(clock, _SECOND, parent=self)
        self._auto_limits = self._second_auto_limits = (0.0, 1.0)
        # From a place of the first volume to the same place of the second.
        self._shift_mm: Place = (0.0, 0.0, 0.0)
        self._active = PLANES[0].name
        self._overlay: MapOverlay | None = None
        self._enlarged: str | None = None
        self.intensities = IntensityPanel()
        self._grid = PlaneGrid(self._first.views, self._second.views, self.intensities)
        for view in (*self._first.views.values(), *self._second.views.values()):
            self._connect_view(view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._grid)
        self._arrange()

    @property
    def volume(self) -> Volume | None:
        """What is shown."""
        return self._first.volume

    @property
    def voxel(self) -> Voxel:
        """The voxel at the crosshair."""
        return self._first.voxel

    @property
    def enlarged(self) -> str | None:
        """The plane that is shown alone."""
        return self._enlarged

    @property
    def active(self) -> str:
        """The plane that keys act on."""
        return self._active

    @property
    def views(self) -> dict[str, PlaneView]:
        """The views of the first volume by plane."""
        return self._first.views

    @property
    def compared_views(self) -> dict[str, PlaneView]:
        """The views of the second volume by plane."""
        return self._second.views

    def shown_views(self) -> list[PlaneView]:
        """Return the views that can be seen."""
        return self._grid.shown_views()

    def show_volume(self, volume: Volume, auto_limits: tuple[float, float]) -> None:
        """Show a volume alone; ``auto_limits`` are the intensities of its automatic contrast."""
        self._auto_limits = auto_limits
        self._overlay = None
        self._first.show(volume)
        self._second.clear()
        self._arrange()

    def clear(self) -> None:
        """Let the volumes go."""
        self._overlay = None
        self._first.clear()
        self._second.clear()

    def compare_with(self, volume: Volume) -> None:
        """Show another volume beside the first one."""
        self._second.show(volume)
        self._shift_mm = self._needed_shift()
        self._second_auto_limits = contrast_limits(sample_of(volume.voxels))
        self._arrange()
        self._follow()

    @property
    def is_shifted(self) -> bool:
        """Whether two scans without a common place were laid middle on middle."""
        return any(self._shift_mm)

    def clear_compare(self) -> None:
        """Show the first volume alone."""
        self._second.clear()
        self._arrange()

    def set_network_slices(self, plane: str, indices: Sequence[int], colour: str) -> None:
        """Draw slices of the first volume as lines on its other planes."""
        self._first.set_slice_lines(plane, indices, colour)

    def set_network_slices_shown(self, shown: bool) -> None:
        """Show or hide these lines."""
        self._first.set_slice_lines_shown(shown)

    @property
    def overlay(self) -> MapOverlay | None:
        """The map over the first volume."""
        return self._overlay

    def set_overlay(self, overlay: MapOverlay | None) -> None:
        """Lay a map over the first volume, or take it away."""
        self._overlay = overlay
        self._first.set_overlay(overlay)
        self.read_out_changed.emit()

    def set_overlay_shown(self, shown: bool) -> None:
        """Show or hide the map."""
        self._first.set_overlay_shown(shown)

    def set_crosshair_shown(self, shown: bool) -> None:
        """Show or hide the crosshair."""
        for planes in (self._first, self._second):
            planes.set_crosshair_shown(shown)

    def set_radiological(self, is_radiological: bool) -> None:
        """Choose the side of the patient's right."""
        for planes in (self._first, self._second):
            planes.set_radiological(is_radiological)

    def set_limits(self, low: float, high: float) -> None:
        """Set what is black and white; the second volume moves from its own contrast.

        Intensities of two scans have no common unit: what is linked is the window's place
        and width in terms of each scan's automatic contrast.
        """
        self._first.set_limits(low, high)
        auto_low, auto_high = self._auto_limits
        second_low, second_high = self._second_auto_limits
        ratio = (second_high - second_low) / (auto_high - auto_low)
        self._second.set_limits(
            second_low + (low - auto_low) * ratio, second_low + (high - auto_low) * ratio
        )

    def set_voxel(self, voxel: Sequence[int]) -> None:
        """Move the crosshair to a voxel index; indices outside are clipped."""
        volume = self._first.volume
        if volume is None:
            return
        new = clip_voxel(tuple(voxel), volume.voxels.shape)
        if new == self._first.voxel:
            return
        self._first.set_voxel(new)
        self._follow()
        self.read_out_changed.emit()
        self.crosshair_moved.emit(new)

    def step(self, plane: str, steps: int) -> None:
        """Go some slices on."""
        voxel = list(self._first.voxel)
        voxel[plane_called(plane).along] += steps
        self.set_voxel(voxel)

    def open(self) -> None:
        """Go to the middle with whole planes."""
        for view in (*self._first.views.values(), *self._second.views.values()):
            view.reset_view()
        if self._first.volume is not None:
            self._first.set_voxel(middle_of(self._first.volume))
            self._follow()
            self.read_out_changed.emit()
            self.crosshair_moved.emit(self._first.voxel)

    def enlarge(self, name: str | None) -> None:
        """Show one plane alone, or all (None)."""
        if name == self._enlarged:
            return
        self._enlarged = name
        self._arrange()
        if name is not None:
            self._active = name
            self._first.views[name].setFocus()
        self.enlarged_changed.emit()

    def toggle_enlarged(self, key: str) -> None:
        """Show a plane alone, or all if it is alone already."""
        name = key.removeprefix(_SECOND)
        self.enlarge(None if self._enlarged == name else name)

    def read_out(self) -> str:
        """Say where the crosshair is and what is there."""
        volume = self._first.volume
        if volume is None:
            return ""
        text = _volume_text(self, volume, self._first.voxel)
        if self._overlay is not None:
            value = f"{self._overlay.value_at(self._first.voxel):.3g}".replace("-", "−")
            text += self.tr("   map {value}").format(value=value)
        second = self._second.volume
        if second is not None:
            value = "–" if self._second.is_outside else _number(second, self._second.voxel)
            text += self.tr(" | {value}").format(value=value)
        return text

    def _connect_view(self, view: PlaneView) -> None:
        view.slice_scrolled.connect(self._on_scrolled)
        view.pointed.connect(self._on_pointed)
        view.hovered.connect(self._on_hovered)
        view.pointer_left.connect(self._on_pointer_left)
        view.window_dragged.connect(self.window_dragged)
        view.activated.connect(self._on_activated)
        view.enlarge_requested.connect(self.toggle_enlarged)
        view.menu_requested.connect(self.menu_requested)

    def _arrange(self) -> None:
        is_compared = self._second.volume is not None
        self._grid.arrange(enlarged=self._enlarged, is_compared=is_compared)
        shown = [planes for planes in (self._first, self._second) if planes.volume is not None]
        if shown:
            # One scale for all planes and scans: they then line up with each other.
            sizes = [planes.size_mm(self._enlarged) for planes in shown]
            extent = max(size[0] for size in sizes), max(size[1] for size in sizes)
            for planes in shown:
                planes.set_fit_extent(extent)

    def _follow(self) -> None:
        """Bring the second volume to the place of the first one."""
        if self._first.volume is None or self._second.volume is None:
            return
        place = _moved(self._first.volume.position_mm(self._first.voxel), self._shift_mm)
        voxel, is_outside = self._second.voxel_nearest(place)
        self._second.set_voxel(voxel, is_outside=is_outside)

    def _needed_shift(self) -> Place:
        """Return no shift, or that from middle to middle where the volumes lie apart."""
        first, second = self._first.volume, self._second.volume
        assert first is not None
        assert second is not None
        place = first.position_mm(middle_of(first))
        if not self._second.voxel_nearest(place)[1]:
            return 0.0, 0.0, 0.0
        x, y, z = place
        return _moved(second.position_mm(middle_of(second)), (-x, -y, -z))

    def _planes_of(self, key: str) -> VolumePlanes:
        return self._second if key.startswith(_SECOND) else self._first

    def _on_scrolled(self, key: str, steps: int) -> None:
        self.step(key.removeprefix(_SECOND), steps)

    def _on_pointed(self, key: str, column: float, row: float) -> None:
        planes = self._planes_of(key)
        if planes.volume is None:
            return
        voxel = planes.voxel_at(plane_called(key.removeprefix(_SECOND)), column, row)
        if planes is self._second:
            i, j, k = voxel
            x, y, z = self._shift_mm
            place = _moved(planes.volume.position_mm((i, j, k)), (-x, -y, -z))
            voxel, _ = self._first.voxel_nearest(place)
        self.set_voxel(voxel)

    def _on_hovered(self, key: str, column: float, row: float) -> None:
        planes = self._planes_of(key)
        volume = planes.volume
        if volume is None:
            return
        voxel = planes.voxel_at(plane_called(key.removeprefix(_SECOND)), column, row)
        clipped = clip_voxel(voxel, volume.voxels.shape)
        self.pointer_moved.emit(_volume_text(self, volume, clipped) if clipped == voxel else "")

    def _on_pointer_left(self, key: str) -> None:
        del key
        self.pointer_moved.emit("")

    def _on_activated(self, key: str) -> None:
        self._active = key.removeprefix(_SECOND)


def _volume_text(page: QWidget, volume: Volume, voxel: Voxel) -> str:
    right, anterior, superior = (_signed(value) for value in volume.position_mm(voxel))
    i, j, k = voxel
    return page.tr(
        "{side} {x}   A {y}   S {z} mm      voxel {i}, {j}, {k}      value {value}"
    ).format(
        side="R" if volume.sides_certain else "R?",
        x=right,
        y=anterior,
        z=superior,
        i=i,
        j=j,
        k=k,
        value=_number(volume, voxel),
    )


def _number(volume: Volume, voxel: Voxel) -> str:
    return f"{float(volume.voxels[voxel]):.6g}"


def _moved(place: Place, shift: Place) -> Place:
    return place[0] + shift[0], place[1] + shift[1], place[2] + shift[2]


def _signed(value: float) -> str:
    """Return mm with one decimal and a true minus sign."""
    return f"{value:.1f}".replace("-", "−")
