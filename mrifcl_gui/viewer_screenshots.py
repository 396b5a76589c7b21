"""Keeps what the viewer shows: as a file or in the clipboard."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QStandardPaths
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from core.errors import MriFclError


class ScreenshotError(MriFclError):
    """A picture that cannot be saved."""


def save_picture(picture: QImage, path: Path) -> None:
    """Save a picture as PNG.

    Raises
    ------
    ScreenshotError
        If the file cannot be written.
    """
    if not picture.save(str(path), "PNG"):
        raise ScreenshotError(
            QCoreApplication.translate(
                "Screenshots",
                "'{name}' cannot be written. Choose another folder, or free some space.",
            ).format(name=path.name)
        )


def copy_picture(picture: QImage) -> None:
    """Put a picture into the clipboard."""
    QGuiApplication.clipboard().setImage(picture)


def ask_for_file(parent: QWidget, title: str) -> Path | None:
    """Ask where to save the picture of a scan; None if nothing was chosen."""
    place = QStandardPaths.StandardLocation.PicturesLocation
    folder = Path(QStandardPaths.writableLocation(place))
    name = re.sub(r"[^\w.-]+", "_", title).strip("_") or "scan"
    chosen, _ = QFileDialog.getSaveFileName(
        parent,
        QCoreApplication.translate("Screenshots", "Save picture"),
        str(folder / f"{name}.png"),
        "PNG (*.png)",
    )
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(".png")
