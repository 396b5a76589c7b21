"""Draw the application's icon for Linux, Windows and macOS: ``make_icons.py FOLDER``."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PIL import Image
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).resolve().parents[1] / "resources" / "icons" / "app.svg"
SIZES = (16, 24, 32, 48, 64, 128, 256)
LARGEST = 1024


def draw(size: int) -> Image.Image:
    """Draw the icon with ``size`` x ``size`` pixels."""
    picture = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    QSvgRenderer(str(SOURCE)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    return Image.open(io.BytesIO(content.data())).convert("RGBA")


def main(folder: Path) -> None:
    """Write app.png, app.ico and app.icns into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    app = QGuiApplication.instance() or QGuiApplication([])
    largest = draw(LARGEST)
    draw(256).save(folder / "app.png")
    # Each size is drawn by itself: thin lines do not survive being made smaller.
    small = [draw(size) for size in SIZES]
    small[-1].save(folder / "app.ico", sizes=[(size, size) for size in SIZES], append_images=small)
    largest.save(folder / "app.icns", append_images=[draw(512), *small])
    del app


if __name__ == "__main__":
    main(Path(sys.argv[1]))
