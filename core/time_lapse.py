"""A figure over the epochs: common axes, a moving picture, and a strip of panels."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic_file, figure_file
from core.colours import GREY
from core.errors import AnalysisError, MriFclError, SettingsError
from core.figure import Axis, Curve, Figure, HeatMap, Image, Layer, Panel
from core.figure_geometry import panel_limits
from core.figure_heat_map import heat_map_range
from core.progress import Operation, Progress, finished
from core.temporary_folder import temporary_folder

FORMATS = ("gif", "mp4")
# More frames make a file that mail and browsers choke on; the epochs are then thinned evenly.
MAX_FRAMES = 200
STRIP_EPOCHS = 6
_LAST_FRAME_S = 1.5
_COLOURS = 128
_FIRST_WORDS = (
    "A figure over the epochs needs at least two of them. Train for more epochs, or choose a "
    "figure that is stored for each."
)

Maker = Callable[[int], Figure | Operation[Figure]]


def chosen_epochs(epochs: Sequence[int], count: int) -> tuple[int, ...]:
    """Return at most ``count`` of ``epochs``, evenly over them, with the first and the last."""
    places = np.unique(np.linspace(0, len(epochs) - 1, min(count, len(epochs))).round())
    return tuple(int(epochs[int(place)]) for place in places)


def epochs_in(text: str, epochs: Sequence[int]) -> tuple[int, ...]:
    """Return the epochs that a text names (``0, 5, 10``), in order.

    Raises
    ------
    SettingsError
        If it names none, or one that is not among ``epochs``.
    """
    words = text.replace(",", " ").split()
    wrong = [word for word in words if not word.isdecimal() or int(word) not in epochs]
    if wrong or not words:
        what = f"'{wrong[0]}' is no stored epoch" if wrong else "No epoch is given"
        raise SettingsError(
            f"{what}. Give numbers such as '{epochs[0]}, {epochs[-1]}'; this figure has "
            f"{len(epochs)} epochs from {epochs[0]} to {epochs[-1]}."
        )
    return tuple(sorted({int(word) for word in words}))


def figures_over(make: Maker, epochs: Sequence[int]) -> Operation[list[Figure]]:
    """Make the figure of each epoch, and give all of them the same axes and colour scales.

    Raises
    ------
    AnalysisError
        If there are fewer than two epochs.
    """
    if len(epochs) < 2:
        raise AnalysisError(_FIRST_WORDS)
    figures = []
    for done, epoch in enumerate(epochs):
        yield Progress(f"Computing epoch {epoch}", done, 2 * len(epochs))
        figures.append(_said(epoch, (yield from finished(make(epoch))), max(epochs)))
    return on_common_axes(figures)


def _said(epoch: int, figure: Figure, last: int) -> Figure:
    """Return the figure with its epoch in its title."""
    # As wide as the last one, by spaces of a digit's width, so that every title breaks alike.
    number = str(epoch).rjust(len(str(last)), "\N{FIGURE SPACE}")
    if re.search(rf"\bepoch {epoch}\b", figure.title):
        return figure
    return replace(figure, title=f"{figure.title}, epoch {number}")


def on_common_axes(figures: Sequence[Figure]) -> list[Figure]:
    """Return the figures with the same limits wherever they have the same panels."""
    if len({len(figure.panels) for figure in figures}) != 1:
        return list(figures)
    columns = [_common(panels) for panels in zip(*(f.panels for f in figures), strict=True)]
    return [
        replace(figure, panels=tuple(column[i] for column in columns))
        for i, figure in enumerate(figures)
    ]


def strip(figures: Sequence[Figure], epochs: Sequence[int]) -> Figure:
    """Return one figure with the panels of several epochs side by side.

    Parameters
    ----------
    figures : sequence of Figure
        On common axes, one an epoch.
    epochs : sequence of int
        Their epochs, which title the panels.
    """
    panels = []
    for figure, epoch in zip(figures, epochs, strict=True):
        for panel in figure.panels:
            named = panel.title if len(figure.panels) > 1 else ""
            # A box of numbers in each small panel would hide its dots.
            words = f"Epoch {epoch}" + (f": {named}" if named else "")
            panels.append(replace(panel, title=words, text=""))
    first, last = figures[0], figures[-1]
    each = len(first.panels)
    return replace(
        last,
        name=f"{last.name}_strip",
        title=_without_epoch(last.title),
        panels=tuple(panels),
        columns=min(each, 4) if each > 1 else min(3, len(figures)),
        caption=f"The same axes at epochs {', '.join(map(str, epochs))}. {last.caption}",
    )


def mark_epoch(figure: Figure, epoch: int | None) -> Figure:
    """Return a figure of curves with a line at ``epoch`` in every panel over the epochs."""
    if epoch is None:
        return figure

    def marked(panel: Panel) -> Panel:
        if panel.x.label != "Epoch":
            return panel
        # Within the limits, so that they stay as they are.
        x = np.array([epoch, epoch], dtype=np.float64)
        line = Curve("Chosen epoch", x, np.array(panel_limits(panel)[1]), colour=GREY, width=1.0)
        return replace(_common([panel])[0], layers=(*panel.layers, line))

    return replace(figure, panels=tuple(map(marked, figure.panels)))


def make_strip(make: Maker, epochs: Sequence[int]) -> Operation[Figure]:
    """Compute the figures of ``epochs`` and return their strip."""
    figures = yield from figures_over(make, epochs)
    return strip(figures, epochs)


def save_strip(make: Maker, epochs: Sequence[int], path: Path) -> Operation[Path]:
    """Write the strip of ``epochs`` as the path's suffix says: PNG, SVG or CSV."""
    figure = yield from make_strip(make, epochs)
    return (yield from figure_file.save_figure(figure, path))


def save_time_lapse(
    make: Maker,
    epochs: Sequence[int],
    path: Path,
    *,
    frames_per_second: float = 5.0,
    width_mm: float = 160,
    dpi: int = 120,
) -> Operation[Path]:
    """Write a figure's epochs one after another as GIF or MP4; return the path.

    Each frame is the figure as it is exported, on axes that hold all epochs. Nothing is
    written where it is cancelled.

    Raises
    ------
    SettingsError
        If the suffix is neither ``.gif`` nor ``.mp4``.
    AnalysisError
        If there are fewer than two epochs.
    MriFclError
        If the file cannot be written, or MP4 is asked for and there is no encoder.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise SettingsError(
            f"'{path.name}' has an ending that cannot be written. Choose .gif or .mp4."
        )
    encoder = mp4_encoder() if suffix == "mp4" else None
    if suffix == "mp4" and encoder is None:
        raise MriFclError(NO_ENCODER)
    epochs = chosen_epochs(epochs, MAX_FRAMES)
    figures = yield from figures_over(make, epochs)
    frames = []
    for done, figure in enumerate(figures):
        yield Progress(f"Drawing epoch {epochs[done]}", len(epochs) + done, 2 * len(epochs))
        frames.append(figure_file.figure_png_bytes(figure, width_mm=width_mm, dpi=dpi))
    yield Progress(f"Saving {path.name}", 2 * len(epochs), 2 * len(epochs))
    pictures = _of_one_size(frames)
    if encoder is None:
        content = _gif_bytes(pictures, frames_per_second)
    else:
        content = yield from _mp4_bytes(pictures, frames_per_second, encoder)
    with figure_file.plain_write_errors(path):
        atomic_file.write_bytes(path, content)
    return path


# The encoders in wheels are GPL (imageio-ffmpeg, PyAV), so that none is brought along.
NO_ENCODER = (
    "MP4 is written by the free program ffmpeg, which is not on this computer. Install ffmpeg "
    "so that a terminal finds it, or save as GIF."
)


def mp4_encoder() -> str | None:
    """Return the program that writes MP4 on this computer, None without one."""
    return shutil.which("ffmpeg")


def _common(panels: Sequence[Panel]) -> tuple[Panel, ...]:
    """Return the same panel of several epochs with limits that hold all of them."""
    if any(isinstance(layer, HeatMap) for panel in panels for layer in panel.layers):
        return _same_scale(panels)
    if any(isinstance(layer, Image) for panel in panels for layer in panel.layers):
        return tuple(panels)
    limits = np.array([panel_limits(panel) for panel in panels])  # (E, 2 axes, 2 ends)
    low, high = limits[..., 0].min(axis=0), limits[..., 1].max(axis=0)
    if any(panel.equal_aspect for panel in panels) and len(panels) > 1:
        middle, half = (low + high) / 2, (high - low).max() / 2
        low, high = middle - half, middle + half
    return tuple(
        replace(panel, x=_set(panel.x, low[0], high[0]), y=_set(panel.y, low[1], high[1]))
        for panel in panels
    )


def _set(axis: Axis, low: float, high: float) -> Axis:
    return axis if axis.categories else replace(axis, low=float(low), high=float(high))


def _same_scale(panels: Sequence[Panel]) -> tuple[Panel, ...]:
    maps = [layer for panel in panels for layer in panel.layers if isinstance(layer, HeatMap)]
    ranges = np.array([heat_map_range(layer) for layer in maps])
    low, high = float(ranges[:, 0].min()), float(ranges[:, 1].max())

    def scaled(layer: Layer) -> Layer:
        return replace(layer, low=low, high=high) if isinstance(layer, HeatMap) else layer

    return tuple(replace(panel, layers=tuple(map(scaled, panel.layers))) for panel in panels)


def _without_epoch(title: str) -> str:
    return re.sub(r",? epoch \s*\d+$", "", title)


def _of_one_size(frames: Sequence[bytes]) -> list[Any]:
    """Decode PNGs; the smaller ones get white below and at the right.

    The height of a figure follows from its texts, which may differ between epochs.
    """
    from PIL import Image as Pillow

    pictures = [Pillow.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    # Even numbers: most video encoders take no others.
    width = -(-max(picture.width for picture in pictures) // 2) * 2
    height = -(-max(picture.height for picture in pictures) // 2) * 2
    grounds = []
    for picture in pictures:
        ground = Pillow.new("RGB", (width, height), "white")
        ground.paste(picture, (0, 0))
        grounds.append(ground)
    return grounds


def _gif_bytes(pictures: Sequence[Any], frames_per_second: float) -> bytes:
    from PIL import Image as Pillow

    # One palette for all, so that no colour flickers: of the first, middle and last frame.
    some = [pictures[0], pictures[len(pictures) // 2], pictures[-1]]
    sample = Pillow.new("RGB", (some[0].width, 3 * some[0].height))
    for number, picture in enumerate(some):
        sample.paste(picture, (0, number * picture.height))
    palette = sample.quantize(_COLOURS, method=Pillow.Quantize.MEDIANCUT)
    flat = [p.quantize(palette=palette, dither=Pillow.Dither.NONE) for p in pictures]
    # A GIF counts in hundredths of a second.
    each = max(20, round(100 / frames_per_second) * 10)
    lasting = [each] * (len(flat) - 1) + [max(each, round(1000 * _LAST_FRAME_S))]
    out = io.BytesIO()
    flat[0].save(
        out,
        format="GIF",
        save_all=True,
        append_images=flat[1:],
        duration=lasting,
        loop=0,
        optimize=False,
    )
    return out.getvalue()


def _mp4_bytes(pictures: Sequence[Any], frames_per_second: float, encoder: str) -> Operation[bytes]:
    hold = max(1, round(_LAST_FRAME_S * frames_per_second))
    with temporary_folder() as folder:
        out, errors = folder / "film.mp4", folder / "errors.txt"
        width, height = pictures[0].size
        command = [encoder, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{width}x{height}", "-r", f"{frames_per_second:g}", "-i", "-"]
        command += ["-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(out)]
        with errors.open("wb") as said:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, **_HIDDEN
            )
            try:
                yield from _feed(process, [*pictures, *[pictures[-1]] * (hold - 1)])
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if process.returncode or not out.is_file():
            lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1].replace(str(folder), "") if lines else "it gave no reason"
            raise MriFclError(f"ffmpeg could not write the film: {reason}. Save as GIF instead.")
        return out.read_bytes()


def _feed(process: subprocess.Popen[bytes], pictures: Sequence[Any]) -> Operation[None]:
    assert process.stdin is not None
    try:
        for done, picture in enumerate(pictures):
            yield Progress("Encoding the film", done, len(pictures))
            process.stdin.write(picture.tobytes())
        process.stdin.close()
    except OSError:
        pass  # it has ended; what it said is told
    process.wait(timeout=120)


# Windows opens a black window for a program of the terminal; elsewhere there is no such flag.
_HIDDEN: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}
