"""Three linked planes of a volume, or ready-made slices, always on a dark ground."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QStandardPaths, Qt, Signal
from PySide6.QtGui import QGuiApplication, QImage, QKeyEvent, QPalette
from PySide6.QtWidgets import QFileDialog, QLabel, QMenu, QStackedWidget, QVBoxLayout, QWidget

from core.data.volume import Volume
from mrifcl_gui import viewer_picture
from mrifcl_gui.frame_clock import FrameClock
from mrifcl_gui.grey_volume import contrast_limits, sample_of
from mrifcl_gui.picture_page import PICTURE_KEY, PicturePage
from mrifcl_gui.plane_drawing import BACKGROUND, FAINT_TEXT, TEXT
from mrifcl_gui.plane_view import PlaneView
from mrifcl_gui.read_out_line import ReadOutLine
from mrifcl_gui.slice_planes import PLANES, Voxel, plane_called
from mrifcl_gui.viewer_bar import ViewerBar
from mrifcl_gui.viewer_style import VIEWER_STYLE
from mrifcl_gui.volume_page import VolumePage

# A drag over this many pixels changes the window by the whole intensity range.
_WINDOW_DRAG = 400.0
_BIG_STEP = 10
_STEPS = {
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_PageUp: _BIG_STEP,
    Qt.Key.Key_PageDown: -_BIG_STEP,
    Qt.Key.Key_Home: -(2**30),
    Qt.Key.Key_End: 2**30,
}
_PLANE_KEYS = {Qt.Key.Key_1: "axial", Qt.Key.Key_2: "coronal", Qt.Key.Key_3: "sagittal"}


@dataclass(frozen=True)
class ViewerLayout:
    """What the viewer keeps from scan to scan and from start to start."""

    enlarged: str = ""
    crosshair: bool = True
    network_slices: bool = True


class SliceViewer(QWidget):
    """Shows a volume as three linked planes, or ready-made slices as one.

    Keys: arrows and PgUp/PgDn slice, Home/End first and last, 1/2/3 enlarge a plane,
    R reset, X crosshair, A auto contrast, O orientation convention, Space the slices that
    the network sees.
    """

    crosshair_moved = Signal(tuple)  # voxel (i, j, k)
    picture_changed = Signal(int)  # position of the ready-made slice
    orientation_changed = Signal(bool)  # True for radiological
    layout_changed = Signal(object)  # ViewerLayout
    flip_requested = Signal(bool)  # whether left and right shall be exchanged
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._auto_limits = (0.0, 1.0)
        self._low, self._high = 0.0, 1.0
        self._is_radiological = True
        self._title = self._compared_title = ""
        self._darken()
        self._build_bar()
        self._message = self._build_message()
        self._build_pages()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._bar)
        layout.addWidget(self._stack, 1)
        layout.addLayout(self._build_read_out())
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMinimumSize(400, 320)
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
        return not self._strip.isHidden()

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
        self._forget()
        self._show_sample(sample_of(volume.voxels))
        self._page.show_volume(volume, self._auto_limits)
        self._set_title(title, volume.warnings)
        self._bar.show_tools(has_planes=True, has_pictures=False)
        if volume.sides_certain and not is_flipped:
            self._bar.show_certain()
        else:
            self._bar.show_unverified(is_flipped=is_flipped, reasons="\n".join(volume.warnings))
        self._stack.setCurrentIndex(1)
        self._open()

    def show_pictures(self, pixels: NDArray[np.uint8], numbers: Sequence[int], title: str) -> None:
        """Show ready-made slices, opened at the middle one.

        Parameters
        ----------
        pixels : ndarray, shape (n, h, w), uint8
        numbers : sequence of int
            The number of each slice.
        title : str
        """
        self._forget()
        if len(pixels) == 0:
            self.show_empty(self.tr("This scan has no slices"))
            return
        self._pictures.show_pictures(pixels, numbers)
        self._set_title(title, ())
        self._show_sample(sample_of(pixels))
        self._bar.show_tools(has_planes=False, has_pictures=True)
        self._bar.show_badge(
            self.tr("orientation not known"),
            self.tr("Pictures do not store which side is left. They are shown as they are."),
        )
        self._stack.setCurrentIndex(2)
        self._open()

    def show_empty(self, text: str) -> None:
        """Show a sentence instead of a scan."""
        self._forget()
        self._set_title("", ())
        self._message.setText(text)
        self._bar.show_certain()
        self._bar.show_tools(has_planes=False, has_pictures=False)
        self._write_read_out()
        self._stack.setCurrentIndex(0)

    def show_busy(self, text: str) -> None:
        """Show what is being loaded; the last scan must not pass for the new one."""
        self.show_empty(text)

    def set_title(self, title: str) -> None:
        """Change the title of what is shown (its class was changed)."""
        self._title = title
        self._bar.title.setText(title)

    def compare_with(self, volume: Volume, title: str) -> None:
        """Show the planes of another scan beside those of the shown volume.

        Both follow one position in mm. Intensities of two scans have no common unit: the
        second one's window starts from its own automatic contrast and is changed as the
        first one's is.
        """
        if self._page.volume is None:
            return
        self._compared_title = title
        self._page.compare_with(volume)
        self._page.set_limits(self._low, self._high)
        self._bar.show_comparison(title, is_shifted=self._page.is_shifted)
        self._write_read_out()

    def clear_compare(self) -> None:
        """Show the first scan alone again."""
        self._compared_title = ""
        self._page.clear_compare()
        self._bar.show_comparison(None)
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
        if self._page.volume is not None:
            self._page.set_network_slices(plane, indices, colour)
            self._bar.lines.setVisible(len(indices) > 0)

    def picture_number(self) -> int | None:
        """Return the number of the ready-made slice that is shown."""
        return self._pictures.number if self._pictures.numbers else None

    def set_picture_number(self, number: int) -> None:
        """Go to the ready-made slice with this number, if there is one."""
        if number in self._pictures.numbers:
            self._pictures.set_position(self._pictures.numbers.index(number))

    def set_strip_visible(self, visible: bool) -> None:
        """Show or hide the strip below ready-made slices."""
        self._strip.setVisible(visible)

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
        if plane == PICTURE_KEY:
            return self._pictures.position
        return self._page.voxel[plane_called(plane).along]

    def set_slice(self, plane: str, index: int) -> None:
        """Go to a slice of a plane, or of the ready-made slices (``picture``)."""
        if plane == PICTURE_KEY:
            self._pictures.set_position(index)
            return
        self._page.step(plane, index - self.slice_index(plane))

    def window_level(self) -> tuple[float, float]:
        """Return width and centre of the intensities that run from black to white."""
        return self._high - self._low, (self._high + self._low) / 2

    def set_window_level(self, window: float, level: float) -> None:
        """Set width and centre of the intensities that run from black to white."""
        window = max(window, self._page.intensities.intensity_range / 1000)
        self._set_limits(level - window / 2, level + window / 2)

    def plane_view(self, name: str) -> PlaneView:
        """Return the view of a plane, or of the ready-made slices (``picture``)."""
        return self._pictures.view if name == PICTURE_KEY else self._page.views[name]

    def compared_view(self, name: str) -> PlaneView:
        """Return the view of a plane of the scan that is compared."""
        return self._page.compared_views[name]

    def reset(self) -> None:
        """Whole planes, crosshair in the middle, automatic contrast (pictures: as they are)."""
        self._page.enlarge(None)
        self._open()

    def auto_contrast(self) -> None:
        """Window from the 2nd to the 98th percentile; the padding about the head does not count."""
        self._set_limits(*self._auto_limits)

    def picture(self) -> QImage:
        """Return what is shown as a picture to keep: scale bar, letters, title, no control."""
        lines = [" · ".join(part for part in (self._title, self._compared_title) if part)]
        if self._page.volume is not None:
            lines.append(self._orientation_text())
        lines.append(self.tr("Research use only, not a medical device"))
        has_pictures = bool(self._pictures.numbers)
        views = [self._pictures.view] if has_pictures else self._page.shown_views()
        return viewer_picture.draw_views(views, lines)

    def save_screenshot(self, path: Path) -> bool:
        """Save what is shown as PNG; tell whether it was possible, else ``failed`` says why."""
        if self._stack.currentIndex() == 0:
            self.failed.emit(self.tr("There is no scan to save a picture of."))
            return False
        if not self.picture().save(str(path), "PNG"):
            self.failed.emit(
                self.tr(
                    "'{name}' cannot be written. Choose another folder, or free some space."
                ).format(name=path.name)
            )
            return False
        return True

    def copy_screenshot(self) -> None:
        """Put what is shown into the clipboard."""
        if self._stack.currentIndex() != 0:
            QGuiApplication.clipboard().setImage(self.picture())

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

    def _build_message(self) -> QLabel:
        message = QLabel()
        message.setObjectName("faint")
        message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        message.setWordWrap(True)
        message.setTextFormat(Qt.TextFormat.PlainText)
        return message

    def _build_pages(self) -> None:
        clock = FrameClock(self)
        self._page = VolumePage(clock)
        self._page.crosshair_moved.connect(self.crosshair_moved)
        self._page.read_out_changed.connect(self._write_read_out)
        self._page.enlarged_changed.connect(self._tell_layout)
        self._page.intensities.limits_asked.connect(self._set_limits)
        self._pictures = PicturePage(clock)
        self._pictures.position_changed.connect(self.picture_changed)
        self._pictures.read_out_changed.connect(self._write_read_out)
        self._strip = self._pictures.strip
        for page in (self._page, self._pictures):
            page.pointer_moved.connect(self._write_pointer)
            page.window_dragged.connect(self._on_window_dragged)
            page.menu_requested.connect(self._on_menu_requested)
        self._stack = QStackedWidget()
        for part in (self._message, self._page, self._pictures):
            self._stack.addWidget(part)

    def _build_read_out(self) -> QVBoxLayout:
        self._read_out = ReadOutLine(TEXT)
        self._read_out.setAccessibleName(self.tr("Position and value at the crosshair"))
        self._pointer = ReadOutLine(FAINT_TEXT)
        self._pointer.setAccessibleName(self.tr("Position and value under the pointer"))
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self._read_out)
        column.addWidget(self._pointer)
        return column

    # Showing

    def _forget(self) -> None:
        self._page.clear()
        self._pictures.clear()
        self._compared_title = ""
        self._bar.show_comparison(None)
        self._pointer.setText("")

    def _open(self) -> None:
        self._page.open()
        self._pictures.view.reset_view()
        self._pictures.centre()
        if self._page.volume is not None:
            self.auto_contrast()
        elif self._pictures.numbers:
            self._set_limits(0.0, 255.0)
        self._write_read_out()

    def _set_title(self, title: str, warnings: Sequence[str]) -> None:
        self.set_title(title)
        self._bar.title.setToolTip("\n".join((title, *warnings)))

    def _show_sample(self, sample: NDArray[Any]) -> None:
        self._auto_limits = contrast_limits(sample)
        self._page.intensities.show_values(sample)

    def _set_limits(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self._page.intensities.set_limits(low, high)
        self._page.set_limits(low, high)
        self._pictures.set_limits(low, high)

    def _write_read_out(self) -> None:
        has_pictures = bool(self._pictures.numbers)
        self._read_out.setText(self._pictures.read_out() if has_pictures else self._page.read_out())

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

    def _on_window_dragged(self, key: str, right: float, up: float) -> None:
        del key
        window, level = self.window_level()
        per_pixel = self._page.intensities.intensity_range / _WINDOW_DRAG
        self.set_window_level(window + right * per_pixel, level + up * per_pixel)

    def _on_orientation_clicked(self) -> None:
        self.set_radiological(not self._is_radiological)

    def _on_crosshair_toggled(self, shown: bool) -> None:
        self._page.set_crosshair_shown(shown)
        self._pictures.set_crosshair_shown(shown)
        self._tell_layout()

    def _on_lines_toggled(self, shown: bool) -> None:
        self._page.set_network_slices_shown(shown)
        self._tell_layout()

    def _on_menu_requested(self, key: str, place: QPoint) -> None:
        del key
        menu = self.build_menu()
        menu.exec(place)
        menu.deleteLater()

    def build_menu(self) -> QMenu:
        """Return the menu of the planes: save, copy, enlarge, reset."""
        menu = QMenu(self)
        menu.addAction(self.tr("Save picture…"), self.ask_and_save)
        menu.addAction(self.tr("Copy picture"), self.copy_screenshot)
        menu.addSeparator()
        if self._page.volume is not None:
            alone = self._page.enlarged is not None
            text = self.tr("Show all planes") if alone else self.tr("Enlarge this plane")
            menu.addAction(text, self._toggle_active)
        if self._compared_title:
            menu.addAction(self.tr("Close comparison"), self.clear_compare)
        menu.addAction(self.tr("Reset"), self.reset)
        return menu

    def ask_and_save(self) -> None:
        """Ask for a file name and save what is shown there."""
        place = QStandardPaths.StandardLocation.PicturesLocation
        folder = Path(QStandardPaths.writableLocation(place))
        name = re.sub(r"[^\w.-]+", "_", self._title).strip("_") or "scan"
        chosen, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save picture"), str(folder / f"{name}.png"), "PNG (*.png)"
        )
        if chosen:
            path = Path(chosen)
            self.save_screenshot(path if path.suffix else path.with_suffix(".png"))

    def _toggle_active(self) -> None:
        self._page.toggle_enlarged(self._page.active)

    def _act_by_key(self, key: Qt.Key) -> bool:
        """Do what a key stands for; tell whether it is known."""
        has_volume = self._page.volume is not None
        actions = {
            Qt.Key.Key_R: self.reset,
            Qt.Key.Key_X: self._bar.crosshair.toggle,
            Qt.Key.Key_A: self.auto_contrast,
        }
        if has_volume:
            actions[Qt.Key.Key_O] = self._on_orientation_clicked
            actions[Qt.Key.Key_Space] = self._bar.lines.toggle
        if key in _STEPS:
            name = self._page.active if has_volume else PICTURE_KEY
            self.set_slice(name, self.slice_index(name) + _STEPS[key])
        elif key in _PLANE_KEYS and has_volume:
            self._page.toggle_enlarged(_PLANE_KEYS[key])
        elif key in actions:
            actions[key]()
        else:
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on the viewer's keys; planes pass theirs on to here."""
        ours = Qt.KeyboardModifier.NoModifier | Qt.KeyboardModifier.KeypadModifier
        is_plain = not (event.modifiers() & ~ours)
        has_scan = self._stack.currentIndex() != 0
        if not (is_plain and has_scan and self._act_by_key(Qt.Key(event.key()))):
            super().keyPressEvent(event)
