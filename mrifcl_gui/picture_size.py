"""How large figures are saved: width on paper and resolution, asked once and kept."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from core.figure_file import RESOLUTIONS, WIDTHS_MM
from mrifcl_gui import preferences
from mrifcl_gui.number_box import WholeNumberBox

_MM_AN_INCH = 25.4


@dataclass(frozen=True)
class PictureSize:
    """Width on paper (mm) of PNG and SVG, and pixels an inch of PNG."""

    width_mm: int = 180
    dpi: int = 300

    @property
    def words(self) -> str:
        """The size in words, as the menu has it."""
        return f"{self.width_mm} mm, {self.dpi} dpi"

    @property
    def width_in_pixels(self) -> int:
        """Pixels of a PNG from left to right."""
        return int(self.width_mm / _MM_AN_INCH * self.dpi)


def chosen() -> PictureSize:
    """Return the size that was chosen, that of a page's width at 300 dpi at first."""
    usual, kept = PictureSize(), preferences.store()
    return PictureSize(
        _within(kept.value("export/width_mm", usual.width_mm), WIDTHS_MM),
        _within(kept.value("export/dpi", usual.dpi), RESOLUTIONS),
    )


def keep(size: PictureSize) -> None:
    """Save figures in this size from now on."""
    preferences.store().setValue("export/width_mm", size.width_mm)
    preferences.store().setValue("export/dpi", size.dpi)


def ask(parent: QWidget) -> None:
    """Ask for the size of pictures; what is confirmed is kept."""
    dialog = PictureSizeDialog(chosen(), parent)
    if dialog.exec() == QDialog.DialogCode.Accepted:
        keep(dialog.size_asked())
    dialog.deleteLater()


class PictureSizeDialog(QDialog):
    """Two numbers, and what they make in pixels."""

    def __init__(self, size: PictureSize, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Picture size"))
        self.width_box = _spin_box(size.width_mm, WIDTHS_MM, self.tr(" mm"), self)
        self.dpi_box = _spin_box(size.dpi, RESOLUTIONS, self.tr(" dpi"), self)
        self._pixels = QLabel(self)
        form = QFormLayout()
        form.addRow(self.tr("&Width on paper"), self.width_box)
        form.addRow(self.tr("&Resolution of PNG"), self.dpi_box)
        form.addRow(self._pixels)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel, self
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(buttons)
        for box in (self.width_box, self.dpi_box):
            box.valueChanged.connect(self._on_changed)
        self._on_changed()

    def size_asked(self) -> PictureSize:
        """Return the size on screen."""
        return PictureSize(self.width_box.value(), self.dpi_box.value())

    def _on_changed(self) -> None:
        self._pixels.setText(
            self.tr("A PNG will be {} pixels wide; its height follows from the figure.").format(
                self.size_asked().width_in_pixels
            )
        )


def _spin_box(value: int, limits: tuple[int, int], suffix: str, parent: QWidget) -> WholeNumberBox:
    box = WholeNumberBox(parent)
    box.setRange(*limits)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setSingleStep(10)
    return box


def _within(value: object, limits: tuple[int, int]) -> int:
    assert isinstance(value, int | float | str)
    return min(max(round(float(value)), limits[0]), limits[1])
