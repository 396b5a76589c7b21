"""Print a report page as PDF: A4, page numbers, pictures as wide as the text."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path

from PySide6.QtCore import QMarginsF, QUrl
from PySide6.QtGui import (
    QFont,
    QImage,
    QPageLayout,
    QPageSize,
    QPdfWriter,
    QTextDocument,
)
from PySide6.QtWidgets import QApplication

from core import atomic_file
from core.errors import MriFclError
from core.temporary_folder import temporary_folder
from mrifcl_gui.theme import PAPER_ALARM, PAPER_FAINT

_PICTURE = re.compile(r"src='data:image/png;base64,([A-Za-z0-9+/=]+)'")
# Text is 17 cm wide between margins of 2 cm, which QTextDocument counts at 96 dots an inch.
_WIDTH = 640
# Two square figures to a page.
_TALLEST = 450
# Sizes in points: those in pixels would be dots of the printer.
_PRINT_STYLE = f"""
h1 {{ font-size: 18pt; }} h2 {{ font-size: 14pt; }} h3 {{ font-size: 10pt; }}
p {{ font-size: 9pt; }} .warning {{ color: {PAPER_ALARM}; font-weight: 600; }}
.small {{ color: {PAPER_FAINT}; font-size: 8pt; }} th, td {{ font-size: 7pt; padding: 2px; }}
"""
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def print_page(page: str, path: Path) -> Path:
    """Write the HTML ``page`` of a report to ``path`` as PDF; return the path.

    It needs no window, and may run in any thread once there is an application.

    Raises
    ------
    MriFclError
        If the file cannot be written.
    """
    _require_application()
    document = document_of(page)
    with temporary_folder() as folder:
        made = folder / "report.pdf"
        writer = QPdfWriter(str(made))
        writer.setTitle("MRI-FCL report")
        writer.setCreator("MRI-FCL")
        # The document brings margins of its own.
        size = QPageSize(QPageSize.PageSizeId.A4)
        writer.setPageLayout(QPageLayout(size, QPageLayout.Orientation.Portrait, QMarginsF()))
        writer.setResolution(300)
        document.print_(writer)
        del writer  # closes the file
        try:
            atomic_file.write_bytes(path, made.read_bytes())
        except OSError as error:
            raise MriFclError(
                f"Cannot write '{path.name}': {error.strerror or error}. Choose another folder or "
                "free some space."
            ) from error
    return path


def document_of(page: str, *, width: int = _WIDTH) -> QTextDocument:
    """Return the page as a document with its pictures ``width`` pixels wide, or less if tall."""
    document = QTextDocument()
    font = QFont()
    font.setPointSizeF(9)
    document.setDefaultFont(font)
    pictures: list[QImage] = []

    def placed(found: re.Match[str]) -> str:
        picture = QImage.fromData(base64.b64decode(found[1]))
        pictures.append(picture)
        scale = min(width / max(picture.width(), 1), _TALLEST / max(picture.height(), 1))
        return f"src='picture:{len(pictures)}' width='{round(scale * picture.width())}'"

    text = _PICTURE.sub(placed, _STYLE.sub(f"<style>{_PRINT_STYLE}</style>", page))
    for number, picture in enumerate(pictures, start=1):
        kind = QTextDocument.ResourceType.ImageResource
        document.addResource(kind, QUrl(f"picture:{number}"), picture)
    document.setHtml(text)
    return document


def _require_application() -> None:
    """Make an application where the terminal asks: fonts need one, a display is not needed."""
    if QApplication.instance() is not None:
        return
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    global _application
    # Not QGuiApplication: a window may be opened later in the same process.
    _application = QApplication(sys.argv[:1])


# Qt needs it to stay until the program ends.
_application: QApplication | None = None
