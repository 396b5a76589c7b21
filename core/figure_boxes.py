"""The legends and text boxes of a figure on paper."""

from __future__ import annotations

from typing import Any

from core.figure import Figure, Panel
from core.figure_geometry import HIDDEN_AT_MOST, choose_places, drawn_places, legend_layers
from core.figure_ruler import LAYOUT_DPI, MM, Ruler, whole_terms

_BOX_PAD = 0.4  # of the letters' size, inside the box of a panel's text


class PanelBoxes:
    """The legends and text boxes: inside their panel where they hide little, else below it.

    A legend that is the same in all panels and would hide something is drawn once, below all.

    Attributes
    ----------
    below : list of float
        Height that each panel needs below its axis titles (inch).
    shared_height : float
        Height of the shared legend (inch), 0 without one.
    """

    def __init__(self, axes: list[Any], figure: Figure, *, size: float, ruler: Ruler) -> None:
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
            _move(axes, artist, 0.0, -(depth + tall + 1 * MM) / height)
            depth += tall + 1.5 * MM

    def put_shared(self, drawing: Any, *, top: float) -> None:  # noqa: ANN401
        """Put the shared legend below all panels."""
        if self._shared is not None:
            place = (0.5, top / drawing.get_figheight() - 1 * MM / drawing.get_figheight())
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
        return max(hidden) > 0.2 * HIDDEN_AT_MOST

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
        self.shared_height = extent.height / LAYOUT_DPI + 2 * MM

    def _place(self, number: int, panel: Panel, *, text: Any, legend: Any) -> None:  # noqa: ANN401
        axes = self._axes[number]
        for chosen in ([text, legend], [legend], [text]):
            inside = [artist for artist in chosen if artist is not None]
            places = self._tried(axes, panel, inside)
            if sum(place[2] for place in places) <= HIDDEN_AT_MOST * max(len(inside), 1):
                break
        else:
            inside, places = [], []
        for artist, place in zip(inside, places, strict=True):
            _move(axes, artist, place[0], place[1])
        for artist in (text, legend):
            if artist is not None and artist not in inside:
                if artist is text:
                    self._wrap(axes, text, panel.text, 0.98)
                else:
                    artist = self._flattened(axes, panel)
                tall = self._share_of(axes, artist)[1] * self._inches(axes)[1]
                self._waiting[number].append((artist, tall))
                self.below[number] += tall + 1.5 * MM

    def _flattened(self, axes: Any, panel: Panel) -> Any:  # noqa: ANN401
        """Return the legend of a panel anew, as flat as its width allows."""
        for columns in range(len(legend_layers(panel)), 0, -1):
            legend = _make_legend(axes, panel, size=self._size, ruler=self._ruler, columns=columns)
            if self._share_of(axes, legend)[0] <= 1:
                break
        return legend

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
        drawn = drawn_places(panel)
        for rank, share in enumerate((0.92, 0.7, 0.55, 0.42)):
            self._wrap(axes, text, panel.text, share)
            sizes = [self._share_of(axes, artist) for artist in inside]
            places = choose_places(drawn, sizes)
            choices.append((sum(p[2] for p in places) + 0.008 * rank, share, places))
        _, share, places = min(choices, key=lambda choice: choice[0])
        self._wrap(axes, text, panel.text, share)
        return places

    def _wrap(self, axes: Any, text: Any, words: str, share: float) -> None:  # noqa: ANN401
        room = share * self._inches(axes)[0] - 2 * _BOX_PAD * text.get_fontsize() / 72
        text.set_text(self._ruler.wrap(whole_terms(words), room, text.get_fontsize(), hang="    "))

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
        return float(inner.width) / LAYOUT_DPI, float(inner.height) / LAYOUT_DPI


def _move(axes: Any, artist: Any, x: float, y: float) -> None:  # noqa: ANN401
    """Put the lower left corner of a legend or text box to a place in the axes (fractions)."""
    if hasattr(artist, "get_bbox_patch"):
        inner = axes.get_window_extent()
        pad = _BOX_PAD * artist.get_fontsize() / 72 * LAYOUT_DPI
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


def _make_legend(
    axes: Any,  # noqa: ANN401 - matplotlib is untyped here
    panel: Panel,
    *,
    size: float,
    ruler: Ruler,
    columns: int = 1,
) -> Any:  # noqa: ANN401
    wanted = {layer.name for layer in legend_layers(panel)}
    handles, labels = [], []
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        if label in wanted:
            wanted.discard(label)
            handles.append(handle)
            labels.append(label)
    if not handles:
        return None
    room = 0.6 * axes.get_window_extent().width / LAYOUT_DPI
    wrapped = [ruler.wrap(label, room, size - 1) for label in labels]
    legend = axes.legend(
        handles,
        wrapped,
        loc="upper left",
        borderaxespad=0,
        ncols=columns,
        **_legend_style(size),
    )
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
