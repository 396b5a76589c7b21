"""Draw a Figure without a display and write it as PNG, SVG or CSV: the one door to export."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import atomic_file
from core.errors import MriFclError, SettingsError
from core.figure import (
    Axis,
    Band,
    Bars,
    Curve,
    Figure,
    HeatMap,
    Image,
    Layer,
    Panel,
    Scatter,
    Table,
)
from core.progress import Operation, Progress

FORMATS = ("png", "svg", "csv")
FOOTER = "Research use only, not a medical device"

Floats = NDArray[np.float64]

_MM = 1 / 25.4  # inch
_PANEL_RATIO = 2.6 / 3
_MARGIN = 0.05  # of the data's span, free on each side
_INK, _SOFT_INK, _FRAME, _RED = "#222222", "#555555", "#888888", "#C00000"
_NOT_A_NUMBER = (217, 217, 217)
# The layout is made at one resolution, so that PNG of any dpi and SVG are the same picture.
_LAYOUT_DPI = 300
_BOX_PAD = 0.4  # of the letters' size, inside the box of a panel's text
_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "X"}
_GRID = {"color": "#E4E4E4", "linewidth": 0.5}
# The share of what is drawn that a box may hide; past it the box goes below the panel.
_HIDDEN_AT_MOST = 0.05
_DASHES: dict[str, Any] = {
    "solid": "-",
    "dashed": (0, (4, 2)),
    "dotted": (0, (1, 1.5)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
}
# Stops at equal steps. Viridis (S. van der Walt, N. Smith; CC0) and ColorBrewer RdBu
# (C. Brewer; Apache 2.0), turned so that red is positive.
_VIRIDIS = "440154 482878 3E4989 31688E 26828E 1F9E89 35B779 6DCD59 B4DE2C FDE725"
_BLUE_WHITE_RED = "053061 2166AC 4393C3 92C5DE D1E5F0 F7F7F7 FDDBC7 F4A582 D6604D B2182B 67001F"
# Tried after DejaVu Sans, so that a Korean, Japanese or Chinese class name is no row of boxes.
_EAST_ASIAN_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "NanumGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "Microsoft YaHei",
    "Yu Gothic",
)
# matplotlib keeps its settings in one global table; two exports at a time would mix them.
_drawing = threading.Lock()


# -- writing -------------------------------------------------------------------------------


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
    with _matplotlib_settings():
        drawing = _draw(figure, width_mm=width_mm)
        drawing.dpi = dpi
        buffer = io.BytesIO()
        drawing.canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


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
    with _plain_write_errors(path):
        _write(figure, path, width_mm=width_mm, dpi=dpi)
    yield Progress(f"Saving {path.name}", 1, 1)
    return path


def save_table(table: Table, path: Path) -> Operation[Path]:
    """Write ``table`` as CSV to ``path``; return the path. Raises as ``save_figure``."""
    _check_suffix(path, ("csv",))
    yield Progress(f"Saving {path.name}", 0, 1)
    with _plain_write_errors(path):
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

    with _matplotlib_settings():
        drawing = _draw(figure, width_mm=width_mm)
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
def _plain_write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MriFclError(
            f"Cannot write '{path.name}': {reason}. Choose another folder or free some space."
        ) from error


@contextmanager
def _matplotlib_settings() -> Iterator[None]:
    """Give matplotlib our settings alone, whatever the user's matplotlibrc says."""
    import matplotlib
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _EAST_ASIAN_FONTS if name in installed)]
    defaults = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith(("backend", "toolbar", "interactive", "webagg", "tk."))
    }
    ours = {
        "font.family": families,
        "text.parse_math": False,  # a "$" in a class name is a dollar sign
        "axes.formatter.useoffset": False,
        "axes.formatter.limits": (-4, 5),
        "axes.labelcolor": _INK,
        "axes.edgecolor": _FRAME,
        "axes.linewidth": 0.6,
        "text.color": _INK,
        "xtick.color": _FRAME,
        "ytick.color": _FRAME,
        "xtick.labelcolor": _INK,
        "ytick.labelcolor": _INK,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "svg.hashsalt": "mri-fcl",
        "svg.fonttype": "path",
    }
    with _drawing, matplotlib.rc_context({**defaults, **ours}):
        yield


# -- what screen and paper share -----------------------------------------------------------


def panel_limits(panel: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return ``(x_low, x_high), (y_low, y_high)`` of a panel, the same on screen and on paper.

    Fixed limits of an axis are kept; free ones hold all finite data and a margin. With
    ``equal_aspect`` free limits are widened to the same span about their middle, so that
    the panel is square.
    """
    x, y = _extent(panel, 0), _extent(panel, 1)
    if panel.equal_aspect and not any(isinstance(s, HeatMap | Image) for s in panel.layers):
        span = max(x[1] - x[0], y[1] - y[0])
        x, y = _widened(x, span, panel.x), _widened(y, span, panel.y)
    return x, y


def is_row_zero_on_top(panel: Panel) -> bool:
    """Tell whether y runs downwards, as in matrices and pictures."""
    return any(isinstance(layer, HeatMap | Image) for layer in panel.layers)


def legend_layers(panel: Panel) -> list[Layer]:
    """Return the layers that a legend names: one per name, none if the only one says no more."""
    named: dict[str, Layer] = {}
    for layer in panel.layers:
        if layer.name and not isinstance(layer, HeatMap | Image):
            named.setdefault(layer.name, layer)
    if len(named) == 1 and next(iter(named)) in (panel.title, panel.x.label, panel.y.label):
        return []
    return list(named.values())


def tick_names(panel: Panel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names at the positions 0, 1, 2, … of x and y; empty for an axis of numbers."""
    columns, rows = panel.x.categories, panel.y.categories
    for layer in panel.layers:
        if isinstance(layer, HeatMap):
            columns, rows = columns or layer.columns, rows or layer.rows
    return columns, rows


def heat_map_range(layer: HeatMap) -> tuple[float, float]:
    """Return the values of the first and the last colour; about 0 where ``diverging``."""
    values = np.asarray(layer.values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low = layer.low if layer.low is not None else (float(finite.min()) if finite.size else 0.0)
    high = layer.high if layer.high is not None else (float(finite.max()) if finite.size else 1.0)
    if layer.diverging:
        reach = max(abs(low), abs(high)) or 1.0
        return -reach, reach
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def heat_map_colours(layer: HeatMap) -> NDArray[np.uint8]:
    """Return the colour of each cell, shape (R, C, 3); light grey where the value is NaN."""
    low, high = heat_map_range(layer)
    values = np.atleast_2d(np.asarray(layer.values, dtype=np.float64))
    return _mapped((values - low) / (high - low), diverging=layer.diverging)


def heat_map_texts(layer: HeatMap) -> list[list[str]]:
    """Return what is printed in each cell; ``–`` where the value is NaN."""
    values = np.atleast_2d(np.asarray(layer.values, dtype=np.float64))
    return [
        [format(v, layer.format).replace("-", "−") if np.isfinite(v) else "–" for v in row]
        for row in values
    ]


def ink_on(colour: Sequence[int] | NDArray[np.uint8]) -> str:
    """Return black or white, whichever reads better on an RGB ``colour`` (WCAG contrast)."""
    light = relative_luminance(colour)
    return "#FFFFFF" if 1.05 / (light + 0.05) > (light + 0.05) / 0.0656 else _INK


def relative_luminance(colour: Sequence[int] | NDArray[np.uint8]) -> float:
    """Return the relative luminance (0 black to 1 white) of an RGB colour of bytes, WCAG 2.1."""
    part = np.asarray(colour, dtype=np.float64)[:3] / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def choose_places(
    panel: Panel, sizes: Sequence[tuple[float, float]]
) -> list[tuple[float, float, float]]:
    """Place boxes inside a panel where they hide least and not each other.

    Parameters
    ----------
    panel : Panel
    sizes : sequence of (width, height)
        Of at most two boxes, as fractions of the panel's axes.

    Returns
    -------
    list of (left, bottom, hidden)
        The corner of each box, as fractions of the axes from the lower left, and the share
        of the drawn things under it.
    """
    x, y, weight = _drawn_places(panel)
    options = [_box_options(size, x, y, weight) for size in sizes]
    if len(options) == 1:
        best = min(options[0], key=lambda option: option[2])
        return [best]
    if not options:
        return []
    pairs = (
        (a[2] + b[2] + (10.0 if _overlap(a, sizes[0], b, sizes[1]) else 0.0), [a, b])
        for a in options[0]
        for b in options[1]
    )
    return min(pairs, key=lambda pair: pair[0])[1]


def _extent(panel: Panel, axis: int) -> tuple[float, float]:
    spec = panel.y if axis else panel.x
    grids = [layer for layer in panel.layers if isinstance(layer, HeatMap | Image)]
    if grids or spec.categories:
        n = max([len(spec.categories), *(_shape(layer)[1 - axis] for layer in grids)])
        low, high = -0.5, n - 0.5
    else:
        low, high = _data_extent(panel, axis)
    low = spec.low if spec.low is not None else low
    high = spec.high if spec.high is not None else high
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _data_extent(panel: Panel, axis: int) -> tuple[float, float]:
    arrays = [array for layer in panel.layers for array in _coordinates(layer)[axis]]
    flat = [np.asarray(array, dtype=np.float64).ravel() for array in arrays]
    values = np.concatenate([np.zeros(0), *flat])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 0.05 * abs(high) or 0.5
    stands_on_zero = axis == 1 and any(isinstance(layer, Bars) for layer in panel.layers)
    return (
        low if stands_on_zero and low == 0 else low - margin,
        high if stands_on_zero and high == 0 else high + margin,
    )


def _coordinates(layer: Layer) -> tuple[list[Any], list[Any]]:
    if isinstance(layer, Scatter | Curve):
        return [layer.x], [layer.y]
    if isinstance(layer, Band):
        return [layer.x], [layer.low, layer.high]
    if isinstance(layer, Bars):
        x = np.asarray(layer.x, dtype=np.float64)
        return [x - layer.width / 2, x + layer.width / 2], [layer.y, [0.0]]
    return [], []


def _shape(layer: HeatMap | Image) -> tuple[int, int]:
    array = np.atleast_2d(np.asarray(layer.values if isinstance(layer, HeatMap) else layer.pixels))
    return array.shape[0], array.shape[1]


def _widened(limits: tuple[float, float], span: float, spec: Axis) -> tuple[float, float]:
    if spec.low is not None or spec.high is not None or spec.categories:
        return limits
    middle = (limits[0] + limits[1]) / 2
    return middle - span / 2, middle + span / 2


def _mapped(fraction: Floats, *, diverging: bool) -> NDArray[np.uint8]:
    stops = np.array(
        [list(bytes.fromhex(stop)) for stop in (_BLUE_WHITE_RED if diverging else _VIRIDIS).split()]
    )
    place = np.linspace(0, 1, len(stops))
    known = np.nan_to_num(np.clip(fraction, 0, 1))
    colours = np.stack([np.interp(known, place, stops[:, part]) for part in range(3)], axis=-1)
    colours[np.isnan(fraction)] = _NOT_A_NUMBER
    rounded: NDArray[np.uint8] = np.rint(colours).astype(np.uint8)
    return rounded


def _drawn_places(panel: Panel) -> tuple[Floats, Floats, Floats]:
    """Return places (fractions of the axes) of what is drawn; each layer weighs 1 in all."""
    (x_low, x_high), (y_low, y_high) = panel_limits(panel)
    parts: list[tuple[Floats, Floats, Floats]] = []
    for layer in panel.layers:
        x, y = _sampled(layer)
        x, y = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        n = int(inside.sum())
        # A band is a ground: hiding a part of it costs less than hiding a point or a line.
        weight = 0.2 if isinstance(layer, Band) else 1.0
        parts.append((x[inside], y[inside], np.full(n, weight / max(n, 1))))
    if not parts:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    x, y, weight_ = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x, y, weight_


def _sampled(layer: Layer) -> tuple[Floats, Floats]:
    if isinstance(layer, Scatter):
        x, y = np.asarray(layer.x, dtype=np.float64), np.asarray(layer.y, dtype=np.float64)
    elif isinstance(layer, Curve):
        x, y = _along(layer.x, layer.y)
    elif isinstance(layer, Band):
        (x, low), (_, high) = _along(layer.x, layer.low), _along(layer.x, layer.high)
        x, y = np.concatenate([x, x, x]), np.concatenate([low, (low + high) / 2, high])
    elif isinstance(layer, Bars):
        # The end of a bar is what is read off it.
        steps = np.concatenate([np.linspace(0.05, 1, 10), np.full(30, 1.0)])
        tops, middles = np.asarray(layer.y, dtype=np.float64), np.asarray(layer.x, dtype=float)
        x = np.concatenate(
            [np.repeat(middles + part * layer.width, len(steps)) for part in (-0.45, 0, 0.45)]
        )
        y = np.tile(np.outer(tops, steps).ravel(), 3)
    else:
        return np.zeros(0), np.zeros(0)
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]


def _along(x: Any, y: Any) -> tuple[Floats, Floats]:  # noqa: ANN401 - any array
    """Return places along the line through the points, close together also on long pieces."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.size < 2:
        return x, y
    pieces = max(1, 200 // (x.size - 1))
    place = np.linspace(0, x.size - 1, (x.size - 1) * pieces + 1)
    steps = np.arange(x.size)
    return np.interp(place, steps, x), np.interp(place, steps, y)


def _box_options(
    size: tuple[float, float], x: Floats, y: Floats, weight: Floats
) -> list[tuple[float, float, float]]:
    """Return (left, bottom, cost) of a box at nine places; corners are dearest to us."""
    width, height = size
    gap = 0.02
    options = []
    for column, left in enumerate((gap, (1 - width) / 2, 1 - gap - width)):
        for row, bottom in enumerate((1 - gap - height, (1 - height) / 2, gap)):
            under = (x > left - gap) & (x < left + width + gap)
            under &= (y > bottom - gap) & (y < bottom + height + gap)
            cost = float(weight[under].sum())
            cost += 0.004 * ((column == 1) + (row == 1)) + 0.0005 * (row == 2) - 1e-5 * column
            options.append((left, bottom, cost))
    return options


def _overlap(
    a: tuple[float, float, float],
    a_size: tuple[float, float],
    b: tuple[float, float, float],
    b_size: tuple[float, float],
) -> bool:
    return (
        a[0] < b[0] + b_size[0] + 0.01
        and b[0] < a[0] + a_size[0] + 0.01
        and a[1] < b[1] + b_size[1] + 0.01
        and b[1] < a[1] + a_size[1] + 0.01
    )


# -- drawing -------------------------------------------------------------------------------


class _Ruler:
    """Measures and wraps text, in inches, as Agg will set it."""

    def __init__(self, renderer: Any) -> None:  # noqa: ANN401 - matplotlib is untyped here
        self._renderer = renderer

    def width(self, text: str, size: float) -> float:
        from matplotlib.font_manager import FontProperties

        properties = FontProperties(size=size)
        wide, _, _ = self._renderer.get_text_width_height_descent(text, properties, False)
        return float(wide) / _LAYOUT_DPI

    def wrap(self, text: str, width: float, size: float, *, hang: str = "") -> str:
        """Return ``text`` with line breaks so that no line is wider than ``width`` inches.

        ``hang`` begins the lines that go on from the one before.
        """
        lines: list[str] = []
        for paragraph in text.splitlines() or [""]:
            line = ""
            for word in paragraph.split(" "):
                longer = f"{line} {word}" if line else word
                if not line or self.width(longer, size) <= width:
                    line = longer
                else:
                    lines.append(line)
                    line = hang + word
                while len(line) > len(hang) + 1 and self.width(line, size) > width:
                    kept = max(self._fitting(line, width, size), len(hang) + 1)
                    lines.append(line[:kept])
                    line = hang + line[kept:]
            lines.append(line)
        return "\n".join(lines)

    def _fitting(self, line: str, width: float, size: float) -> int:
        count = len(line) - 1
        while count > 1 and self.width(line[:count], size) > width:
            count -= 1
        return count


def _draw(figure: Figure, *, width_mm: float) -> Any:  # noqa: ANN401 - a matplotlib figure
    """Return the drawn matplotlib figure; call it inside ``_matplotlib_settings``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    width = width_mm * _MM
    columns = max(1, min(figure.columns, len(figure.panels) or 1))
    size = float(np.clip(5.5 + 0.028 * width_mm / columns, 6.5, 9.0))
    drawing = Drawing(figsize=(width, width), dpi=_LAYOUT_DPI, facecolor="white")
    canvas = FigureCanvasAgg(drawing)
    ruler = _Ruler(canvas.get_renderer())
    axes = [drawing.add_axes((0.2, 0.2, 0.6, 0.6), label=f"panel {i}") for i, _ in _counted(figure)]
    for number, panel in _counted(figure):
        _draw_panel(axes[number], panel, number=number, size=size)
    _arrange(drawing, axes, figure, columns=columns, size=size, ruler=ruler)
    for number, panel in _counted(figure):
        _add_cell_numbers(axes[number], panel, size=size, ruler=ruler)
    return drawing


def _counted(figure: Figure) -> Iterator[tuple[int, Panel]]:
    return iter(enumerate(figure.panels))


def _draw_panel(axes: Any, panel: Panel, *, number: int, size: float) -> None:  # noqa: ANN401
    x_limits, y_limits = panel_limits(panel)
    axes.set_xlim(*x_limits)
    axes.set_ylim(*(reversed(y_limits) if is_row_zero_on_top(panel) else y_limits))
    axes.set_autoscale_on(False)
    axes.set_axisbelow(True)
    if not is_row_zero_on_top(panel):
        axes.grid(visible=True, axis="y" if panel.x.categories else "both", **_GRID)
    for side in ("top", "right"):
        axes.spines[side].set_visible(is_row_zero_on_top(panel))
    axes.tick_params(labelsize=size - 1)
    for order, layer in enumerate(panel.layers):
        artist = _DRAWERS[type(layer)](axes, layer, 2 + order, size)
        artist.set_gid(f"{type(layer).__name__.lower()}-{number + 1}-{order + 1}")
    # Drawing an image or bars may move the limits and the direction.
    axes.set_xlim(*x_limits)
    axes.set_ylim(*(reversed(y_limits) if is_row_zero_on_top(panel) else y_limits))
    axes.set_aspect("equal" if panel.equal_aspect else "auto", adjustable="box", anchor="N")


def _draw_scatter(axes: Any, layer: Scatter, order: int, size: float) -> Any:  # noqa: ANN401
    return axes.scatter(
        np.asarray(layer.x, dtype=np.float64),
        np.asarray(layer.y, dtype=np.float64),
        s=layer.size**2,
        c=layer.colour,
        marker=_MARKERS[layer.symbol],
        alpha=layer.opacity,
        linewidths=0,
        zorder=order,
        label=layer.name,
    )


def _draw_curve(axes: Any, layer: Curve, order: int, size: float) -> Any:  # noqa: ANN401
    (line,) = axes.plot(
        np.asarray(layer.x, dtype=np.float64),
        np.asarray(layer.y, dtype=np.float64),
        color=layer.colour,
        linestyle=_DASHES[layer.style],
        linewidth=layer.width,
        solid_capstyle="round",
        zorder=order,
        label=layer.name,
    )
    return line


def _draw_band(axes: Any, layer: Band, order: int, size: float) -> Any:  # noqa: ANN401
    return axes.fill_between(
        np.asarray(layer.x, dtype=np.float64),
        np.asarray(layer.low, dtype=np.float64),
        np.asarray(layer.high, dtype=np.float64),
        color=layer.colour,
        alpha=layer.opacity,
        linewidth=0,
        zorder=order,
        label=layer.name,
    )


def _draw_bars(axes: Any, layer: Bars, order: int, size: float) -> Any:  # noqa: ANN401
    bars = axes.bar(
        np.asarray(layer.x, dtype=np.float64),
        np.asarray(layer.y, dtype=np.float64),
        width=layer.width,
        color=layer.colour,
        linewidth=0,
        zorder=order,
        label=layer.name,
    )
    return _BarGroup(bars)


class _BarGroup:
    """Gives each bar of a group its own id, which the container of matplotlib cannot."""

    def __init__(self, bars: Any) -> None:  # noqa: ANN401 - matplotlib is untyped here
        self._bars = bars

    def set_gid(self, gid: str) -> None:
        for number, bar in enumerate(self._bars, start=1):
            bar.set_gid(f"{gid}-{number}")


def _draw_heat_map(axes: Any, layer: HeatMap, order: int, size: float) -> Any:  # noqa: ANN401
    image = axes.imshow(
        heat_map_colours(layer), aspect="auto", interpolation="nearest", zorder=order
    )
    _add_colour_scale(axes, layer, size)
    return image


def _add_colour_scale(axes: Any, layer: HeatMap, size: float) -> None:  # noqa: ANN401
    low, high = heat_map_range(layer)
    scale = axes.inset_axes((1.025, 0, 0.035, 1))
    steps = np.linspace(0, 1, 256)[:, None]
    scale.imshow(
        _mapped(steps, diverging=layer.diverging),
        aspect="auto",
        origin="lower",
        extent=(0, 1, low, high),
    )
    scale.set_xticks([])
    scale.yaxis.tick_right()
    scale.yaxis.set_label_position("right")
    scale.tick_params(labelsize=size - 1.5)
    scale.set_ylabel(layer.name, fontsize=size - 1)


def _draw_image(axes: Any, layer: Image, order: int, size: float) -> Any:  # noqa: ANN401
    return axes.imshow(
        np.asarray(layer.pixels, dtype=np.float64),
        cmap="gray",
        aspect="auto",
        interpolation="nearest",
        zorder=order,
    )


_DRAWERS: dict[type, Callable[[Any, Any, int, float], Any]] = {
    Scatter: _draw_scatter,
    Curve: _draw_curve,
    Band: _draw_band,
    Bars: _draw_bars,
    HeatMap: _draw_heat_map,
    Image: _draw_image,
}


# -- layout --------------------------------------------------------------------------------


def _arrange(
    drawing: Any,  # noqa: ANN401 - matplotlib is untyped here
    axes: list[Any],
    figure: Figure,
    *,
    columns: int,
    size: float,
    ruler: _Ruler,
) -> None:
    """Give every panel its room: measured margins, equal widths, height as the panels ask."""
    width = float(drawing.get_figwidth())
    pad, gap = 2.5 * _MM, 4 * _MM
    rows = -(-len(axes) // columns)
    blocks = _TextBlocks(figure, width=width - 2 * pad, size=size, ruler=ruler)
    axes_width = 0.7 * width / columns
    heights = [axes_width * _ratio(panel, axes_width) for panel in figure.panels]
    # Twice: labels are wrapped and ticks chosen for the room that the first round found.
    for _ in range(2):
        for number, panel in enumerate(figure.panels):
            _set_box(drawing, axes[number], 0, 0, axes_width, heights[number])
            _add_labels(
                axes[number], panel, room=(axes_width, heights[number]), size=size, ruler=ruler
            )
        around = [_margins(drawing, item) for item in axes]
        left = [max(m[0] for m in around[c::columns]) for c in range(columns)] if axes else []
        right = [max(m[1] for m in around[c::columns]) for c in range(columns)] if axes else []
        used = sum(left) + sum(right) + gap * (columns - 1) + 2 * pad
        axes_width = max((width - used) / columns, 0.15 * width / columns)
        heights = [axes_width * _ratio(panel, axes_width) for panel in figure.panels]
    for number, item in enumerate(axes):
        _set_box(drawing, item, 0, 0, axes_width, heights[number])
    boxes = _Boxes(axes, figure, size=size, ruler=ruler)
    row_of = [slice(r * columns, (r + 1) * columns) for r in range(rows)]
    above = [max(m[2] for m in around[row]) for row in row_of]
    below = [max(m[3] for m in around[row]) for row in row_of]
    under = [max(boxes.below[row]) for row in row_of]
    tall = [max(heights[row]) for row in row_of]
    panels_height = sum(above) + sum(below) + sum(under) + sum(tall) + gap * max(rows - 1, 0)
    height = 2 * pad + blocks.above + panels_height + boxes.shared_height + blocks.below
    drawing.set_size_inches(width, height)
    top = height - pad - blocks.above
    for number, item in enumerate(axes):
        row, column = divmod(number, columns)
        x = pad + sum(left[: column + 1]) + sum(right[:column]) + column * (axes_width + gap)
        y = top - sum(above[: row + 1]) - sum(below[:row]) - sum(under[:row]) - sum(tall[:row])
        y -= row * gap
        _set_box(drawing, item, x, y - heights[number], axes_width, heights[number])
        boxes.put_below(number, depth=tall[row] - heights[number] + below[row])
    boxes.put_shared(drawing, top=top - panels_height)
    blocks.draw(drawing, pad=pad)


def _ratio(panel: Panel, width: float) -> float:
    """Return height by width of a panel's axes."""
    x, y = panel_limits(panel)
    if panel.equal_aspect:
        return float(np.clip((y[1] - y[0]) / (x[1] - x[0]), 0.3, 2.5))
    names = len(tick_names(panel)[1])
    return max(_PANEL_RATIO, min(names * 4.5 * _MM / width, 2.5))


def _set_box(
    drawing: Any,  # noqa: ANN401 - matplotlib is untyped here
    axes: Any,  # noqa: ANN401
    x: float,
    y: float,
    width: float,
    height: float,
) -> None:
    wide, high = drawing.get_size_inches()
    axes.set_position((x / wide, y / high, width / wide, height / high))


def _margins(drawing: Any, axes: Any) -> tuple[float, float, float, float]:  # noqa: ANN401
    """Return what a panel's labels need left, right, above and below its axes (inch)."""
    outer = axes.get_tightbbox(drawing.canvas.get_renderer())
    inner = axes.get_window_extent()
    needs = (inner.x0 - outer.x0, outer.x1 - inner.x1, outer.y1 - inner.y1, inner.y0 - outer.y0)
    left, right, above, below = (max(0.0, float(need)) / _LAYOUT_DPI for need in needs)
    return left, right, above, below


def _add_labels(
    axes: Any,  # noqa: ANN401 - matplotlib is untyped here
    panel: Panel,
    *,
    room: tuple[float, float],
    size: float,
    ruler: _Ruler,
) -> None:
    width, height = room
    axes.set_xlabel(ruler.wrap(panel.x.title, width, size), fontsize=size)
    axes.set_ylabel(ruler.wrap(panel.y.title, height, size), fontsize=size)
    axes.set_title(ruler.wrap(panel.title, width, size + 0.5), fontsize=size + 0.5, pad=5)
    columns, rows = tick_names(panel)
    _choose_ticks(axes, room=room, size=size, ruler=ruler)
    if columns:
        slot = width / len(columns)
        turned = max(ruler.width(name, size - 1) for name in columns) > 0.92 * slot
        axes.set_xticks(range(len(columns)), columns)
        for label in axes.get_xticklabels():
            label.set(rotation=35 if turned else 0, ha="right" if turned else "center")
            label.set_rotation_mode("anchor" if turned else "default")
    if rows:
        axes.set_yticks(
            range(len(rows)), [ruler.wrap(name, 0.5 * width, size - 1) for name in rows]
        )
    _drop_bare_ticks(axes, panel)


def _choose_ticks(
    axes: Any,  # noqa: ANN401 - matplotlib is untyped here
    *,
    room: tuple[float, float],
    size: float,
    ruler: _Ruler,
) -> None:
    """Take only as many round numbers as stand clear of each other."""
    from matplotlib.ticker import MaxNLocator

    # Five digits' width for a number and its distance to the next, three lines for its height.
    numbers = room[0] / ruler.width("−0.000", size), room[1] / (3 * size / 72)
    if axes.get_aspect() == 1:
        numbers = min(numbers), min(numbers)
    for axis, count in zip((axes.xaxis, axes.yaxis), numbers, strict=True):
        bins = int(np.clip(count, 1, 8))
        fewest = 2 if count >= 2 else 1
        axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 5, 10], min_n_ticks=fewest))


def _drop_bare_ticks(axes: Any, panel: Panel) -> None:  # noqa: ANN401
    """Pixel numbers under a picture say nothing unless the axis has a title."""
    if any(isinstance(layer, Image) for layer in panel.layers):
        if not panel.x.title and not panel.x.categories:
            axes.set_xticks([])
        if not panel.y.title and not panel.y.categories:
            axes.set_yticks([])


class _TextBlocks:
    """The lines above and below the panels: title; warning, caption and footer."""

    def __init__(self, figure: Figure, *, width: float, size: float, ruler: _Ruler) -> None:
        def block(text: str, points: float, **style: Any) -> tuple[str, float, dict[str, Any]]:  # noqa: ANN401
            return (ruler.wrap(text, width, points * 1.02), points, style) if text else ("", 0, {})

        self._title = block(figure.title, size + 2)
        self._foot = [
            block(figure.warning, size, color=_RED),
            block(figure.caption, size - 0.5, color=_INK),
            block(FOOTER, max(size - 2, 5.5), color=_SOFT_INK),
        ]
        self._foot = [item for item in self._foot if item[0]]
        self.above = _height(self._title) + (2.5 * _MM if self._title[0] else 0)
        self.below = sum(_height(item) + 1.5 * _MM for item in self._foot) + 1 * _MM

    def draw(self, drawing: Any, *, pad: float) -> None:  # noqa: ANN401
        width, height = drawing.get_size_inches()
        text, points, _ = self._title
        if text:
            drawing.text(
                0.5, 1 - pad / height, text, fontsize=points, ha="center", va="top", linespacing=1.2
            )
        y = pad + self.below - 2.5 * _MM
        for text, points, style in self._foot:
            drawing.text(
                pad / width, y / height, text, fontsize=points, va="top", linespacing=1.2, **style
            )
            y -= _height((text, points, style)) + 1.5 * _MM


def _height(block: tuple[str, float, dict[str, Any]]) -> float:
    text, points, _ = block
    return (text.count("\n") + 1) * points * 1.42 / 72 if text else 0.0


def _add_cell_numbers(axes: Any, panel: Panel, *, size: float, ruler: _Ruler) -> None:  # noqa: ANN401
    """Print the values of a heat map, as large as the cells allow; none where unreadable."""
    box = axes.get_window_extent()
    for layer in panel.layers:
        if not isinstance(layer, HeatMap):
            continue
        texts, colours = heat_map_texts(layer), heat_map_colours(layer)
        n_rows, n_columns = _shape(layer)
        widest = max((text for row in texts for text in row), key=len, default="")
        room = 0.86 * box.width / _LAYOUT_DPI / max(n_columns, 1)
        points = min(size + 1, 0.6 * 72 * box.height / _LAYOUT_DPI / max(n_rows, 1))
        points = min(points, 10 * room / max(ruler.width(widest, 10), 1e-9))
        if points < 4:
            continue
        for i, row in enumerate(texts):
            for j, text in enumerate(row):
                ink = ink_on(colours[i, j])
                axes.text(
                    j, i, text, ha="center", va="center", fontsize=points, color=ink, zorder=90
                )


class _Boxes:
    """The legends and text boxes: inside their panel where they hide little, else below it.

    A legend that is the same in all panels and would hide something is drawn once, below all.

    Attributes
    ----------
    below : list of float
        Height that each panel needs below its axis titles (inch).
    shared_height : float
        Height of the shared legend (inch), 0 without one.
    """

    def __init__(self, axes: list[Any], figure: Figure, *, size: float, ruler: _Ruler) -> None:
        self._axes, self._size, self._ruler = axes, size, ruler
        self.below = [0.0 for _ in axes]
        self.shared_height = 0.0
        self._waiting: list[list[tuple[Any, float]]] = [[] for _ in axes]
        self._shared: Any = None
        legends = [
            _make_legend(item, panel, size=size, ruler=ruler)
            for item, panel in zip(axes, figure.panels, strict=True)
        ]
        texts = [
            _make_text(item, panel, size=size)
            for item, panel in zip(axes, figure.panels, strict=True)
        ]
        if self._is_sharing_better(figure, legends):
            self._share(legends, [layer.name for layer in legend_layers(figure.panels[0])])
            legends = [None for _ in axes]
        for number, panel in enumerate(figure.panels):
            self._place(number, panel, text=texts[number], legend=legends[number])

    def put_below(self, number: int, *, depth: float) -> None:
        """Put what waits for its place ``depth`` inches below the axes of a panel."""
        axes = self._axes[number]
        height = self._inches(axes)[1]
        for artist, tall in self._waiting[number]:
            _move(axes, artist, 0.0, -(depth + tall + 1 * _MM) / height)
            depth += tall + 1.5 * _MM

    def put_shared(self, drawing: Any, *, top: float) -> None:  # noqa: ANN401
        """Put the shared legend below all panels."""
        if self._shared is not None:
            place = (0.5, top / drawing.get_figheight() - 1 * _MM / drawing.get_figheight())
            self._shared.set_loc("upper center")
            self._shared.set_bbox_to_anchor(place, transform=drawing.transFigure)

    def _is_sharing_better(self, figure: Figure, legends: list[Any]) -> bool:
        if len(legends) < 2 or any(legend is None for legend in legends):
            return False
        entries = [
            [(layer.name, getattr(layer, "colour", "")) for layer in legend_layers(panel)]
            for panel in figure.panels
        ]
        if any(entry != entries[0] for entry in entries):
            return False
        hidden = [
            choose_places(panel, [self._share_of(axes, legend)])[0][2]
            for panel, axes, legend in zip(figure.panels, self._axes, legends, strict=True)
        ]
        return max(hidden) > 0.2 * _HIDDEN_AT_MOST

    def _share(self, legends: list[Any], wanted: list[str]) -> None:
        drawing = self._axes[0].figure
        handles, labels = self._axes[0].get_legend_handles_labels()
        found = dict(zip(reversed(labels), reversed(handles), strict=True))
        for legend in legends:
            legend.remove()
        for columns in range(len(wanted), 0, -1):
            self._shared = drawing.legend(
                [found[label] for label in wanted],
                wanted,
                ncols=columns,
                loc="upper center",
                **_legend_style(self._size),
            )
            extent = self._shared.get_window_extent(drawing.canvas.get_renderer())
            if extent.width < 0.96 * drawing.bbox.width:
                break
            if columns > 1:
                self._shared.remove()
        self._shared.get_frame().set_visible(False)
        self.shared_height = extent.height / _LAYOUT_DPI + 2 * _MM

    def _place(self, number: int, panel: Panel, *, text: Any, legend: Any) -> None:  # noqa: ANN401
        axes = self._axes[number]
        for chosen in ([text, legend], [legend], [text]):
            inside = [artist for artist in chosen if artist is not None]
            places = self._tried(axes, panel, inside)
            if sum(place[2] for place in places) <= _HIDDEN_AT_MOST * max(len(inside), 1):
                break
        else:
            inside, places = [], []
        for artist, place in zip(inside, places, strict=True):
            _move(axes, artist, place[0], place[1])
        for artist in (text, legend):
            if artist is not None and artist not in inside:
                if artist is text:
                    self._wrap(axes, text, panel.text, 0.98)
                tall = self._share_of(axes, artist)[1] * self._inches(axes)[1]
                self._waiting[number].append((artist, tall))
                self.below[number] += tall + 1.5 * _MM

    def _tried(
        self,
        axes: Any,  # noqa: ANN401 - matplotlib is untyped here
        panel: Panel,
        inside: list[Any],
    ) -> list[tuple[float, float, float]]:
        """Return the best places inside; a text is wrapped as it hides least."""
        text = inside[0] if inside and not hasattr(inside[0], "get_texts") else None
        if text is None:
            return choose_places(panel, [self._share_of(axes, artist) for artist in inside])
        choices = []
        for rank, share in enumerate((0.92, 0.7, 0.55, 0.42)):
            self._wrap(axes, text, panel.text, share)
            places = choose_places(panel, [self._share_of(axes, artist) for artist in inside])
            choices.append((sum(p[2] for p in places) + 0.008 * rank, share, places))
        _, share, places = min(choices, key=lambda choice: choice[0])
        self._wrap(axes, text, panel.text, share)
        return places

    def _wrap(self, axes: Any, text: Any, words: str, share: float) -> None:  # noqa: ANN401
        room = share * self._inches(axes)[0] - 2 * _BOX_PAD * text.get_fontsize() / 72
        text.set_text(self._ruler.wrap(words, room, text.get_fontsize(), hang="    "))

    def _share_of(self, axes: Any, artist: Any) -> tuple[float, float]:  # noqa: ANN401
        renderer = axes.figure.canvas.get_renderer()
        if hasattr(artist, "get_bbox_patch"):
            artist.update_bbox_position_size(renderer)
            extent = artist.get_bbox_patch().get_window_extent(renderer)
        else:
            extent = artist.get_window_extent(renderer)
        inner = axes.get_window_extent()
        return float(extent.width / inner.width), float(extent.height / inner.height)

    def _inches(self, axes: Any) -> tuple[float, float]:  # noqa: ANN401
        inner = axes.get_window_extent()
        return float(inner.width) / _LAYOUT_DPI, float(inner.height) / _LAYOUT_DPI


def _move(axes: Any, artist: Any, x: float, y: float) -> None:  # noqa: ANN401
    """Put the lower left corner of a legend or text box to a place in the axes (fractions)."""
    if hasattr(artist, "get_bbox_patch"):
        inner = axes.get_window_extent()
        pad = _BOX_PAD * artist.get_fontsize() / 72 * _LAYOUT_DPI
        artist.set_position((x + pad / inner.width, y + pad / inner.height))
    else:
        artist.set_loc("lower left")
        artist.set_bbox_to_anchor((x, y), transform=axes.transAxes)


def _make_text(axes: Any, panel: Panel, *, size: float) -> Any:  # noqa: ANN401
    if not panel.text:
        return None
    return axes.text(
        0,
        0,
        panel.text,
        transform=axes.transAxes,
        fontsize=max(size - 1.5, 5.5),
        va="bottom",
        linespacing=1.3,
        zorder=101,
        bbox={
            "boxstyle": f"square,pad={_BOX_PAD}",
            "facecolor": "white",
            "alpha": 0.85,
            "edgecolor": "#CCCCCC",
            "linewidth": 0.5,
        },
    )


def _make_legend(axes: Any, panel: Panel, *, size: float, ruler: _Ruler) -> Any:  # noqa: ANN401
    wanted = {layer.name for layer in legend_layers(panel)}
    handles, labels = [], []
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        if label in wanted:
            wanted.discard(label)
            handles.append(handle)
            labels.append(label)
    if not handles:
        return None
    room = 0.6 * axes.get_window_extent().width / _LAYOUT_DPI
    wrapped = [ruler.wrap(label, room, size - 1) for label in labels]
    legend = axes.legend(handles, wrapped, loc="upper left", borderaxespad=0, **_legend_style(size))
    legend.set_zorder(100)
    legend.get_frame().set_linewidth(0.5)
    return legend


def _legend_style(size: float) -> dict[str, Any]:
    return {
        "fontsize": size - 1,
        "framealpha": 0.85,
        "edgecolor": "#CCCCCC",
        "fancybox": False,
        "handlelength": 1.8,
        "labelspacing": 0.35,
        "scatterpoints": 1,
    }
