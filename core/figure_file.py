"""Draw a Figure without a display and write it as PNG, SVG or CSV: the one door to export."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic_file, text_file
from core.errors import MriFclError, SettingsError
from core.figure import Figure, Table
from core.figure_drawing import draw_figure, matplotlib_settings
from core.figure_layout import FOOTER as FOOTER  # so that the door names all it prints
from core.progress import Operation, Progress, run_to_end

FORMATS = ("png", "svg", "csv")
# Least and largest width on paper (mm), and resolution (pixels an inch), that can be asked for.
WIDTHS_MM = (60, 300)
RESOLUTIONS = (50, 600)


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
    steps = write_in_steps(figure, folder, formats=formats, width_mm=width_mm, dpi=dpi)
    return run_to_end(steps)


def write_in_steps(
    figure: Figure,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    width_mm: float = 180,
    dpi: int = 300,
    progress: Progress | None = None,
) -> Operation[list[Path]]:
    """Write as :func:`write_figure`, and tell ``progress`` again after each of its parts.

    A large figure takes seconds: between its parts it can be cancelled. Nothing is written
    before all is drawn.
    """
    paths = [folder / f"{figure.name}.{suffix}" for suffix in formats]
    for path in paths:
        _check_suffix(path, FORMATS)
    contents: dict[str, bytes] = {}
    for suffix, content in _drawn(figure, formats, width_mm=width_mm, dpi=dpi):
        if suffix:
            contents[suffix] = content
        yield progress or Progress(f"Drawing {figure.name}", len(contents), len(formats))
    for path, suffix in zip(paths, formats, strict=True):
        atomic_file.write_bytes(path, contents[suffix])
    return paths


def write_png(figure: Figure, path: Path, *, width_mm: float = 180, dpi: int = 300) -> None:
    """Write ``figure`` as PNG, atomically."""
    atomic_file.write_bytes(path, figure_png_bytes(figure, width_mm=width_mm, dpi=dpi))


def write_svg(figure: Figure, path: Path, *, width_mm: float = 180) -> None:
    """Write ``figure`` as SVG, atomically; letters are outlines, so every viewer shows the same."""
    atomic_file.write_bytes(path, figure_contents(figure, ("svg",), width_mm=width_mm)[0])


def figure_png_bytes(figure: Figure, *, width_mm: float = 180, dpi: int = 300) -> bytes:
    """Return ``figure`` as a PNG, the same bytes for the same figure."""
    return figure_contents(figure, ("png",), width_mm=width_mm, dpi=dpi)[0]


def figure_contents(
    figure: Figure, formats: Sequence[str] = FORMATS, *, width_mm: float = 180, dpi: int = 300
) -> list[bytes]:
    """Return what the files of ``figure`` hold, in the order of ``formats``.

    PNG and SVG are of one drawing: they cannot differ, and laying it out takes longest.
    """
    contents = dict(_drawn(figure, formats, width_mm=width_mm, dpi=dpi))
    return [contents[suffix] for suffix in formats]


def _drawn(
    figure: Figure, formats: Sequence[str], *, width_mm: float, dpi: int
) -> Iterator[tuple[str, bytes]]:
    """Give each format and its file's bytes as soon as it is there, and nothing in between."""
    if "csv" in formats:
        table, text = figure.table(), ""
        for part in text_file.csv_parts(table.columns, table.rows):
            text += part
            yield "", b""
        yield "csv", text.encode()
    if {"png", "svg"} & set(formats):
        with matplotlib_settings():
            drawing = draw_figure(figure, width_mm=width_mm)
        yield "", b""
    # The settings are set anew each time: they are the process's, and others draw meanwhile.
    if "svg" in formats:
        with matplotlib_settings():
            content = _printed_svg(drawing)
        yield "svg", content
    if "png" in formats:
        with matplotlib_settings():
            content = _printed_png(drawing, dpi)
        yield "png", content


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
    suffix = path.suffix.lower().lstrip(".")
    with plain_write_errors(path):
        content = figure_contents(figure, (suffix,), width_mm=width_mm, dpi=dpi)[0]
        atomic_file.write_bytes(path, content)
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


def save_comma_csv(shown: Figure | Table, path: Path) -> Operation[Path]:
    """Write a table, or the points of a figure, with semicolons and decimal commas.

    For spreadsheets of countries that write 0,5; other programs read the usual CSV. Return the
    path. Raises as ``save_figure``.
    """
    _check_suffix(path, ("csv",))
    yield Progress(f"Saving {path.name}", 0, 1)
    table = shown.table() if isinstance(shown, Figure) else shown
    with plain_write_errors(path):
        atomic_file.write_text(path, text_file.comma_csv_text(table.columns, table.rows))
    yield Progress(f"Saving {path.name}", 1, 1)
    return path


def draw_png(figure: Figure, *, width_mm: float = 180, dpi: int = 200) -> Operation[bytes]:
    """Return ``figure`` as PNG bytes, for the clipboard."""
    yield Progress("Drawing the picture", 0, 1)
    return figure_png_bytes(figure, width_mm=width_mm, dpi=dpi)


def _printed_svg(drawing: Any) -> bytes:  # noqa: ANN401 - matplotlib is untyped here
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    FigureCanvasSVG(drawing).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _printed_png(drawing: Any, dpi: int) -> bytes:  # noqa: ANN401
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    drawing.dpi = dpi
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    pixels.save(buffer, "png", dpi=(dpi, dpi))
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
