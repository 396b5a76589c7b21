"""Three linked planes of a volume, or ready-made slices, always on a dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPalette
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from core.data.volume import Volume
from mrifcl_gui import viewer_picture, viewer_screenshots
from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.icons import put_icon
from mrifcl_gui.map_overlay import MapOverlay
from mrifcl_gui.picture_page import PicturePage
from mrifcl_gui.plane_drawing import BACKGROUND, FAINT_TEXT, TEXT
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.read_out_line import ReadOutLine
from mrifcl_gui.slice_planes import PLANES, Voxel
from mrifcl_gui.viewer_bar import ViewerBar
from mrifcl_gui.viewer_keys import PLANE_KEYS, STEPS, is_plain, plane_key
from mrifcl_gui.viewer_layout import ViewerLayout
from mrifcl_gui.viewer_pages import ViewerPages
from mrifcl_gui.viewer_screenshots import ScreenshotError
from mrifcl_gui.viewer_style import VIEWER_STYLE
from mrifcl_gui.volume_page import VolumePage


class SliceViewer(QWidget):
    """Shows a volume as three linked planes, or ready-made slices as one.

    Keys: arrows and PgUp/PgDn slice, Home/End first and last, 1/2/3 enlarge a plane,
    R reset, X crosshair, A auto contrast, O orientation convention, C show in cloud, Space
    the map over the planes, or else the slices that the network sees.
    """

    crosshair_moved = Signal(tuple)  # voxel (i, j, k)
    picture_changed = Signal(int)  # position of the ready-made slice
    orientation_changed = Signal(bool)  # True for radiological
    layout_changed = Signal(object)  # ViewerLayout
    cloud_requested = Signal()
    flip_requested = Signal(bool)  # whether left and right shall be exchanged
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_radiological = True
        self._title = self._compared_title = ""
        self._clock = FrameClock(self)
        self._darken()
        self._build_bar()
        read_out = self._build_read_out()
        self._build_pages()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._bar)
        layout.addWidget(self._pages, 1)
        layout.addLayout(read_out)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMinimumSize(400, 370)
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
    def compared_title(self) -> str:
        """What is shown beside it; empty while nothing is compared."""
        return self._compared_title

    @property
    def is_strip_visible(self) -> bool:
        """Whether ready-made slices have their strip below."""
        return not self._pictures.strip.isHidden()

    @property
    def message(self) -> str:
        """The sentence that stands for a scan; empty while there is one."""
        return self._pages.message

    @property
    def viewer_layout(self) -> ViewerLayout:
        """What is kept from scan to scan."""
        return ViewerLayout(
            self._page.enlarged or "", self._bar.crosshair.isChecked(), self._bar.lines.isChecked()
        )

    def show_volume(self, volume: Volume, title: str, *, is_flipped: bool = False) -> None:
        """Show a volume with the crosshair in its middle and automatic contrast.

        ``is_flipped`` says that its left and right were exchanged as the user chose.
        """
        self._end_comparison()
        self._pages.show_volume(volume)
        self._set_title(title, volume.warnings)
        self._bar.show_tools(has_planes=True, has_pictures=False)
        if volume.sides_certain and not is_flipped:
            self._bar.show_certain()
        else:
            self._bar.show_unverified(is_flipped=is_flipped, reasons="\n".join(volume.warnings))

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
        self._end_comparison()
        self._pages.show_pictures(pixels, numbers)
        self._set_title(title, ())
        self._bar.show_tools(has_planes=False, has_pictures=True)
        self._bar.show_badge(
            self.tr("orientation not known"),
            self.tr("Pictures do not store which side is left. They are shown as they are."),
        )

    def show_empty(self, text: str) -> None:
        """Show a sentence instead of a scan."""
        self._end_comparison()
        self._pages.show_message(text)
        self._set_title("", ())
        self._bar.show_certain()
        self._bar.show_tools(has_planes=False, has_pictures=False)

    def show_busy(self, text: str) -> None:
        """Show what is being loaded; the last scan must not pass for the new one."""
        self.show_empty(text)

    def set_title(self, title: str) -> None:
        """Change the title of what is shown (its class was changed)."""
        self._title = title
        self._bar.title.setText(title)
        self._page.intensities.histogram.set_title(title)

    def compare_with(self, volume: Volume, title: str) -> None:
        """Show the planes of another scan beside those of the shown volume.

        Both follow one position in mm. Intensities of two scans have no common unit: the
        second one's window starts from its own automatic contrast and is changed as the
        first one's is.
        """
        if not self._pages.has_volume:
            return
        self._compared_title = title
        self._pages.compare_with(volume)
        self._bar.show_comparison(title, is_shifted=self._page.is_shifted)

    def clear_compare(self) -> None:
        """Show the first scan alone again."""
        self._end_comparison()
        self._page.clear_compare()
        self._write_read_out()

    def set_network_slices(
        self, plane: str, indices: Sequence[int], colour: str = FAINT_TEXT.name()
    ) -> None:
        """Draw the slices that the network sees as lines on the two other planes.

        Parameters
        ----------
        plane : {"axial", "coronal", "sagittal"}
        indices : sequence of int
            Voxel indices along the plane's axis; none takes the lines away.
        colour : str
            ``#RRGGBB``, that of the scan's class.
        """
        if self._pages.has_volume:
            self._page.set_network_slices(plane, indices, colour)
            self._bar.lines.setVisible(len(indices) > 0)

    def set_map(self, values: NDArray[np.float32] | None, words: str = "") -> None:
        """Lay a signed map over what is shown, or (None) take it away.

        Parameters
        ----------
        values : ndarray, shape (X, Y, Z), float32
            On the grid of the volume, in RAS+, or (n, rows, columns) of ready-made slices; 0
            where nothing is known.
        words : str
            What it is, for its tip.
        """
        if self._pages.is_empty:
            return
        overlay = None if values is None else MapOverlay(values, self._map_opacity())
        self._mapped_page().set_overlay(overlay)
        self._bar.map_tool.setChecked(True)
        self._bar.show_map_tools(is_shown=self.has_map, words=words)

    def _mapped_page(self) -> VolumePage | PicturePage:
        return self._page if self._pages.has_volume else self._pictures

    @property
    def has_map(self) -> bool:
        """Whether a map lies over the planes, shown or hidden."""
        return self._mapped_page().overlay is not None

    def _map_opacity(self) -> float:
        return self._bar.map_opacity.value() / 100

    def picture_number(self) -> int | None:
        """Return the number of the ready-made slice that is shown."""
        return self._pictures.number if self._pictures.numbers else None

    def set_picture_number(self, number: int) -> None:
        """Go to the ready-made slice with this number, if there is one."""
        if number in self._pictures.numbers:
            self._pictures.set_position(self._pictures.numbers.index(number))

    def set_strip_visible(self, visible: bool) -> None:
        """Show or hide the strip below ready-made slices."""
        self._pictures.strip.setVisible(visible)

    def set_radiological(self, is_radiological: bool) -> None:
        """Choose the side of the patient's right: left of the picture (radiological) or right."""
        if is_radiological == self._is_radiological:
            return
        self._is_radiological = is_radiological
        self._bar.show_convention(is_radiological=is_radiological)
        self._page.set_radiological(is_radiological)
        self.orientation_changed.emit(is_radiological)

    def set_viewer_layout(self, layout: ViewerLayout) -> None:
        """Take over what was kept, without a signal that it changed."""
        self.blockSignals(True)
        self._bar.crosshair.setChecked(layout.crosshair)
        self._bar.lines.setChecked(layout.network_slices)
        known = {plane.name for plane in PLANES}
        self._page.enlarge(layout.enlarged if layout.enlarged in known else None)
        self.blockSignals(False)

    def position_mm(self) -> tuple[float, float, float]:
        """Return where the crosshair is: mm to the right, anterior, superior."""
        volume = self._page.volume
        return (0.0, 0.0, 0.0) if volume is None else volume.position_mm(self.voxel())

    def voxel(self) -> Voxel:
        """Return the voxel index at the crosshair."""
        return self._page.voxel

    def set_crosshair(self, voxel: Sequence[int]) -> None:
        """Move the crosshair to a voxel index; indices outside are clipped."""
        self._page.set_voxel(voxel)

    def slice_index(self, plane: str) -> int:
        """Return the index of the slice of ``axial``, ``coronal``, ``sagittal`` or ``picture``."""
        return self._pages.slice_index(plane)

    def set_slice(self, plane: str, index: int) -> None:
        """Go to a slice of a plane, or of the ready-made slices (``picture``)."""
        self._pages.set_slice(plane, index)

    def window_level(self) -> tuple[float, float]:
        """Return width and centre of the intensities that run from black to white."""
        return self._pages.window_level()

    def set_window_level(self, window: float, level: float) -> None:
        """Set width and centre of the intensities that run from black to white."""
        self._pages.set_window_level(window, level)

    def plane_view(self, name: str) -> PlaneView:
        """Return the view of a plane, or of the ready-made slices (``picture``)."""
        return self._pages.view(name)

    def compared_view(self, name: str) -> PlaneView:
        """Return the view of a plane of the scan that is compared."""
        return self._page.compared_views[name]

    def reset(self) -> None:
        """Whole planes, crosshair in the middle, automatic contrast (pictures: as they are)."""
        self._page.enlarge(None)
        self._pages.open()

    def auto_contrast(self) -> None:
        """Window from the 2nd to the 98th percentile; the padding about the head does not count."""
        self._pages.auto_contrast()

    def picture(self) -> QImage:
        """Return what is shown as a picture to keep: scale bar, letters, title, no control."""
        lines = [self._title]
        if self._compared_title:
            # No word of left and right here: they are the subject's.
            text = self.tr("{first} (first of each pair), compared with {second} (second)")
            lines = [text.format(first=self._title, second=self._compared_title)]
        if self._pages.has_volume:
            lines.append(self._orientation_text())
        lines.append(self.tr("Research use only, not a medical device"))
        return viewer_picture.draw_views(self._pages.shown_views(), lines)

    def save_screenshot(self, path: Path) -> bool:
        """Save what is shown as PNG; tell whether it was possible, else ``failed`` says why."""
        if self._pages.is_empty:
            self.failed.emit(self.tr("There is no scan to save a picture of."))
            return False
        try:
            viewer_screenshots.save_picture(self.picture(), path)
        except ScreenshotError as error:
            self.failed.emit(str(error))
            return False
        return True

    def copy_screenshot(self) -> None:
        """Put what is shown into the clipboard."""
        if not self._pages.is_empty:
            viewer_screenshots.copy_picture(self.picture())

    def ask_and_save(self) -> None:
        """Ask for a file name and save what is shown there."""
        path = viewer_screenshots.ask_for_file(self, self._title)
        if path is not None:
            self.save_screenshot(path)

    # Building

    def _darken(self) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Window, BACKGROUND)
        palette.setColor(QPalette.ColorRole.WindowText, TEXT)
        self.setPalette(palette)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        # A widget's own style sheet wins over the light one of the application.
        self.setStyleSheet(VIEWER_STYLE)

    def _build_bar(self) -> None:
        self._bar = ViewerBar()
        self._bar.show_convention(is_radiological=True)
        self._bar.flip_toggled.connect(self.flip_requested)
        self._bar.comparison_closed.connect(self.clear_compare)
        self._bar.orientation.clicked.connect(self._on_orientation_clicked)
        self._bar.crosshair.toggled.connect(self._on_crosshair_toggled)
        self._bar.lines.toggled.connect(self._on_lines_toggled)
        self._bar.contrast.clicked.connect(self.auto_contrast)
        self._bar.reset.clicked.connect(self.reset)
        self._bar.cloud.clicked.connect(self.cloud_requested)
        self._bar.map_tool.toggled.connect(self._on_map_toggled)
        self._bar.map_opacity.valueChanged.connect(self._on_map_opacity)

    def _build_pages(self) -> None:
        self._pages = ViewerPages(self._clock)
        self._pages.read_out_changed.connect(self._write_read_out)
        self._pages.pointer_moved.connect(self._write_pointer)
        self._pages.menu_requested.connect(self._on_menu_requested)
        self._page, self._pictures = self._pages.volumes, self._pages.pictures
        self._page.crosshair_moved.connect(self.crosshair_moved)
        self._page.enlarged_changed.connect(self._tell_layout)
        self._pictures.position_changed.connect(self.picture_changed)

    def _build_read_out(self) -> QVBoxLayout:
        self._read_out = ReadOutLine(TEXT, self._clock)
        self._read_out.setAccessibleName(self.tr("Position and value at the crosshair"))
        self._pointer = ReadOutLine(FAINT_TEXT, self._clock)
        self._pointer.setAccessibleName(self.tr("Position and value under the pointer"))
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self._read_out)
        column.addWidget(self._pointer)
        return column

    # Showing

    def _end_comparison(self) -> None:
        self._compared_title = ""
        self._bar.show_comparison(None)

    def _set_title(self, title: str, warnings: Sequence[str]) -> None:
        self.set_title(title)
        self._bar.title.setToolTip("\n".join((title, *warnings)))

    def _write_read_out(self) -> None:
        self._read_out.setText(self._pages.read_out())

    def _write_pointer(self, text: str) -> None:
        self._pointer.setText(self.tr("pointer: {text}").format(text=text) if text else "")

    def _orientation_text(self) -> str:
        text = (
            self.tr("Radiological: patient's right at the left")
            if self._is_radiological
            else self.tr("Neurological: patient's right at the right")
        )
        return text if self._bar.badge.isHidden() else f"{text}; {self._bar.badge.text()}"

    def _tell_layout(self) -> None:
        self.layout_changed.emit(self.viewer_layout)

    # Events

    def _on_orientation_clicked(self) -> None:
        self.set_radiological(not self._is_radiological)

    def _on_crosshair_toggled(self, shown: bool) -> None:
        self._page.set_crosshair_shown(shown)
        self._pictures.set_crosshair_shown(shown)
        self._tell_layout()

    def _on_lines_toggled(self, shown: bool) -> None:
        self._page.set_network_slices_shown(shown)
        self._tell_layout()

    def _on_map_toggled(self, shown: bool) -> None:
        for page in (self._page, self._pictures):
            page.set_overlay_shown(shown)

    def _on_map_opacity(self) -> None:
        page = self._mapped_page()
        if page.overlay is not None:
            page.overlay.opacity = self._map_opacity()
            page.set_overlay(page.overlay)

    def _on_menu_requested(self, key: str, place: QPoint) -> None:
        del key
        menu = self.build_menu()
        menu.exec(place)
        menu.deleteLater()

    def build_menu(self) -> QMenu:
        """Return the menu of the planes, with the key of each action."""
        menu = QMenu(self)
        put_icon(menu.addAction(self.tr("Save picture…"), self.ask_and_save), "save")
        put_icon(menu.addAction(self.tr("Copy picture"), self.copy_screenshot), "copy")
        menu.addSeparator()
        if self._pages.has_volume:
            alone = self._page.enlarged is not None
            text = self.tr("Show all planes") if alone else self.tr("Enlarge this plane")
            menu.addAction(f"{text}\t{plane_key(self._page.active)}", self._toggle_active)
            other = self.tr("Neurological") if self._is_radiological else self.tr("Radiological")
            text = self.tr("{name} view").format(name=other)
            menu.addAction(f"{text}\tO", self._on_orientation_clicked)
        self._add_switches(menu)
        menu.addAction(self.tr("Auto contrast") + "\tA", self.auto_contrast)
        menu.addAction(self.tr("Show in cloud") + "\tC", self.cloud_requested.emit)
        if self._compared_title:
            menu.addAction(self.tr("Close comparison"), self.clear_compare)
        menu.addAction(self.tr("Reset") + "\tR", self.reset)
        return menu

    def _add_switches(self, menu: QMenu) -> None:
        switches = [(self._bar.crosshair, "X")]
        if not self._bar.lines.isHidden():
            switches.append((self._bar.lines, "" if self.has_map else "Space"))
        if self.has_map:
            switches.append((self._bar.map_tool, "Space"))
        for tool, key in switches:
            action = menu.addAction(f"{tool.text()}\t{key}", tool.toggle)
            action.setCheckable(True)
            action.setChecked(tool.isChecked())

    def _toggle_active(self) -> None:
        self._page.toggle_enlarged(self._page.active)

    def _act_by_key(self, key: Qt.Key) -> bool:
        """Do what a key stands for; tell whether it is known."""
        has_volume = self._pages.has_volume
        actions = {
            Qt.Key.Key_R: self.reset,
            Qt.Key.Key_X: self._bar.crosshair.toggle,
            Qt.Key.Key_A: self.auto_contrast,
            Qt.Key.Key_C: self.cloud_requested.emit,
        }
        if has_volume:
            actions[Qt.Key.Key_O] = self._on_orientation_clicked
            actions[Qt.Key.Key_Space] = self._bar.lines.toggle
        if self.has_map:
            actions[Qt.Key.Key_Space] = self._bar.map_tool.toggle
        if key in STEPS:
            self._pages.step_active(STEPS[key])
        elif key in PLANE_KEYS and has_volume:
            self._page.toggle_enlarged(PLANE_KEYS[key])
        elif key in actions:
            actions[key]()
        else:
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on the viewer's keys; planes pass theirs on to here."""
        acts = is_plain(event) and not self._pages.is_empty
        if not (acts and self._act_by_key(Qt.Key(event.key()))):
            super().keyPressEvent(event)
