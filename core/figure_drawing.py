"""Draw a Figure by matplotlib, without a display: its panels and their layers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from core.figure import Band, Bars, Curve, Figure, HeatMap, Image, Panel, Scatter
from core.figure_geometry import fitting_columns, grid_shape, is_row_zero_on_top, panel_limits
from core.figure_heat_map import (
    colour_scale,
    heat_map_colours,
    heat_map_range,
    heat_map_texts,
    ink_on,
)
from core.figure_layout import arrange_panels
from core.figure_overlay import overlaid, overlay_scale
from core.figure_ruler import LAYOUT_DPI, MM, Ruler

_INK, _FRAME = "#222222", "#888888"
_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "X"}
_GRID = {"color": "#E4E4E4", "linewidth": 0.5}
_DASHES: dict[str, Any] = {
    "solid": "-",
    "dashed": (0, (4, 2)),
    "dotted": (0, (1, 1.5)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
}
# Narrower panels would break an equation at every term.
_LEAST_WITH_EQUATIONS_MM = 55
# Pixels a side that a heat map has at least in a file.
_FINE = 240
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


@contextmanager
def matplotlib_settings() -> Iterator[None]:
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


def draw_figure(figure: Figure, *, width_mm: float) -> Any:  # noqa: ANN401 - a matplotlib figure
    """Return the drawn matplotlib figure; call it inside ``matplotlib_settings``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    width = width_mm * MM
    columns = fitting_columns(figure, int(width_mm // _LEAST_WITH_EQUATIONS_MM))
    size = float(np.clip(5.5 + 0.028 * width_mm / columns, 6.5, 9.0))
    drawing = Drawing(figsize=(width, width), dpi=LAYOUT_DPI, facecolor="white")
    canvas = FigureCanvasAgg(drawing)
    ruler = Ruler(canvas.get_renderer())
    axes = [
        drawing.add_axes((0.2, 0.2, 0.6, 0.6), label=f"panel {number}")
        for number in range(len(figure.panels))
    ]
    for number, panel in enumerate(figure.panels):
        _draw_panel(axes[number], panel, number=number, size=size)
    arrange_panels(drawing, axes, figure, columns=columns, size=size, ruler=ruler)
    for number, panel in enumerate(figure.panels):
        _add_cell_numbers(axes[number], panel, size=size, ruler=ruler)
    return drawing


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
    colours = heat_map_colours(layer)
    n_rows, n_columns = colours.shape[:2]
    image = axes.imshow(
        _enlarged(colours),
        aspect="auto",
        extent=(-0.5, n_columns - 0.5, n_rows - 0.5, -0.5),
        interpolation="none",
        zorder=order,
    )
    if layer.has_scale:
        _add_colour_scale(axes, layer, size)
    return image


def _enlarged(pixels: Any) -> Any:  # noqa: ANN401
    """Repeat whole cells up to a size at which a viewer of SVG that blurs pixels blurs no cell."""
    times = [max(1, -(-_FINE // length)) for length in pixels.shape[:2]]
    return pixels.repeat(times[0], axis=0).repeat(times[1], axis=1)


def _add_colour_scale(axes: Any, layer: HeatMap, size: float) -> None:  # noqa: ANN401
    low, high = heat_map_range(layer)
    scale = axes.inset_axes((1.025, 0, 0.035, 1))
    scale.imshow(
        _enlarged(colour_scale(256, diverging=layer.diverging)[:, None]),
        aspect="auto",
        interpolation="none",
        origin="lower",
        extent=(0, 1, low, high),
    )
    scale.set_xticks([])
    scale.yaxis.tick_right()
    scale.yaxis.set_label_position("right")
    scale.tick_params(labelsize=size - 1.5)
    scale.yaxis.get_offset_text().set_fontsize(size - 1.5)
    scale.set_ylabel(layer.name, fontsize=size - 1)


def _draw_image(axes: Any, layer: Image, order: int, size: float) -> Any:  # noqa: ANN401
    _draw_letters(axes, layer, size)
    if layer.overlay is None:
        return axes.imshow(
            np.asarray(layer.pixels, dtype=np.float64),
            cmap="gray",
            aspect="auto",
            interpolation="none",
            zorder=order,
        )
    scale = overlay_scale(layer)
    if scale.has_scale:
        _add_colour_scale(axes, scale, size)
    return axes.imshow(overlaid(layer), aspect="auto", interpolation="none", zorder=order)


def _draw_letters(axes: Any, layer: Image, size: float) -> None:  # noqa: ANN401
    """Write the orientation letters, white on a dark rim, inside the four sides."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=1.5, foreground="black")]
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.02))
    aligns = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for letter, (x, y), (ha, va) in zip(layer.letters, places, aligns, strict=True):
        if letter:
            text = axes.text(x, y, letter, ha=ha, va=va, fontsize=size, color="white")
            text.set(transform=axes.transAxes, zorder=95, path_effects=rim)


_DRAWERS: dict[type, Callable[[Any, Any, int, float], Any]] = {
    Scatter: _draw_scatter,
    Curve: _draw_curve,
    Band: _draw_band,
    Bars: _draw_bars,
    HeatMap: _draw_heat_map,
    Image: _draw_image,
}


def _add_cell_numbers(axes: Any, panel: Panel, *, size: float, ruler: Ruler) -> None:  # noqa: ANN401
    """Print the values of a heat map, as large as the cells allow; none where unreadable."""
    box = axes.get_window_extent()
    for layer in panel.layers:
        if not isinstance(layer, HeatMap):
            continue
        texts, colours = heat_map_texts(layer), heat_map_colours(layer)
        n_rows, n_columns = grid_shape(layer)
        widest = max((text for row in texts for text in row), key=len, default="")
        room = 0.86 * box.width / LAYOUT_DPI / max(n_columns, 1)
        points = min(size + 1, 0.6 * 72 * box.height / LAYOUT_DPI / max(n_rows, 1))
        points = min(points, 10 * room / max(ruler.width(widest, 10), 1e-9))
        if points < 4:
            continue
        for i, row in enumerate(texts):
            for j, text in enumerate(row):
                ink = ink_on(colours[i, j])
                axes.text(
                    j, i, text, ha="center", va="center", fontsize=points, color=ink, zorder=90
                )
