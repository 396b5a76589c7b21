"""Draw a Figure without a display and write it as PNG, SVG or CSV: the one door to export."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core import atomic_file, text_file
from core.errors import MriFclError, SettingsError
from core.figure import Figure, Table
from core.figure_drawing import draw_figure, matplotlib_settings
from core.figure_layout import FOOTER as FOOTER  # so that the door names all it prints
from core.progress import Operation, Progress

FORMATS = ("png", "svg", "csv")


def write_figure(
    figure: Figure,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    width_mm: float = 180,
    dpi: int = 300,
) -> list[Path]:
    """Write ``figure`` into ``folder`` in each of ``formats``; return the files in that order.

    Parameters
    ----------
    figure : Figure
        Its name is the stem of the files.
    folder : Path
        Made where it is missing.
    formats : sequence of {"png", "svg", "csv"}
    width_mm : float
        Width on paper; the height follows from the panels.
    dpi : int
        Resolution of the PNG (pixels an inch).

    Raises
    ------
    SettingsError
        If a format is unknown.
    OSError
        As the file system gives it.
    """
    paths = [folder / f"{figure.name}.{suffix}" for suffix in formats]
    for path in paths:
        _check_suffix(path, FORMATS)
    for path in paths:
        _write(figure, path, width_mm=width_mm, dpi=dpi)
    return paths


def write_png(figure: Figure, path: Path, *, width_mm: float = 180, dpi: int = 300) -> None:
    """Write ``figure`` as PNG, atomically."""
    atomic_file.write_bytes(path, figure_png_bytes(figure, width_mm=width_mm, dpi=dpi))


def write_svg(figure: Figure, path: Path, *, width_mm: float = 180) -> None:
    """Write ``figure`` as SVG, atomically; letters are outlines, so every viewer shows the same."""
    atomic_file.write_bytes(path, _svg_bytes(figure, width_mm=width_mm))


def figure_png_bytes(figure: Figure, *, width_mm: float = 180, dpi: int = 300) -> bytes:
    """Return ``figure`` as a PNG, the same bytes for the same figure."""
    with matplotlib_settings():
        drawing = draw_figure(figure, width_mm=width_mm)
        drawing.dpi = dpi
        buffer = io.BytesIO()
        drawing.canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def figure_bytes(figure: Figure, suffix: str, *, width_mm: float = 180, dpi: int = 300) -> bytes:
    """Return what a file of ``figure`` holds; ``suffix`` is one of ``FORMATS``."""
    if suffix == "png":
        return figure_png_bytes(figure, width_mm=width_mm, dpi=dpi)
    if suffix == "svg":
        return _svg_bytes(figure, width_mm=width_mm)
    table = figure.table()
    return text_file.csv_text(table.columns, table.rows).encode()


def save_figure(
    figure: Figure, path: Path, *, width_mm: float = 180, dpi: int = 300
) -> Operation[Path]:
    """Write ``figure`` to ``path``, as the path's suffix says; return the path.

    Raises
    ------
    SettingsError
        If the suffix is none of ``.png``, ``.svg`` and ``.csv``.
    MriFclError
        If the file cannot be written.
    """
    _check_suffix(path, FORMATS)
    yield Progress(f"Saving {path.name}", 0, 1)
    with plain_write_errors(path):
        _write(figure, path, width_mm=width_mm, dpi=dpi)
    yield Progress(f"Saving {path.name}", 1, 1)
    return path


def save_table(table: Table, path: Path) -> Operation[Path]:
    """Write ``table`` as CSV to ``path``; return the path. Raises as ``save_figure``."""
    _check_suffix(path, ("csv",))
    yield Progress(f"Saving {path.name}", 0, 1)
    with plain_write_errors(path):
        table.write(path)
    yield Progress(f"Saving {path.name}", 1, 1)
    return path


def draw_png(figure: Figure, *, width_mm: float = 180, dpi: int = 200) -> Operation[bytes]:
    """Return ``figure`` as PNG bytes, for the clipboard."""
    yield Progress("Drawing the picture", 0, 1)
    return figure_png_bytes(figure, width_mm=width_mm, dpi=dpi)


def _write(figure: Figure, path: Path, *, width_mm: float, dpi: int) -> None:
    suffix = path.suffix.lower()
    if suffix == ".png":
        write_png(figure, path, width_mm=width_mm, dpi=dpi)
    elif suffix == ".svg":
        write_svg(figure, path, width_mm=width_mm)
    else:
        figure.table().write(path)


def _svg_bytes(figure: Figure, *, width_mm: float) -> bytes:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with matplotlib_settings():
        drawing = draw_figure(figure, width_mm=width_mm)
        buffer = io.BytesIO()
        without_origin = {"Date": None, "Creator": None}
        FigureCanvasSVG(drawing).print_svg(buffer, metadata=without_origin)
    return buffer.getvalue()


def _check_suffix(path: Path, formats: Sequence[str]) -> None:
    if path.suffix.lower().lstrip(".") not in formats:
        known = ", ".join(f".{name}" for name in formats)
        raise SettingsError(
            f"'{path.name}' has an ending that cannot be written. Choose one of {known}."
        )


@contextmanager
def plain_write_errors(path: Path) -> Iterator[None]:
    """Say in plain words that ``path`` cannot be written, as MriFclError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MriFclError(
            f"Cannot write '{path.name}': {reason}. Choose another folder or free some space."
        ) from error
