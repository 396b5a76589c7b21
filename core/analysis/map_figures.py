"""Figures of activation maps: one slice, many slices, and what one feature looks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.analysis.activation_map import SliceFacts, SliceMaps, contributions, facts_of
from core.analysis.cube_planes import PLANES
from core.analysis.features import regime_text
from core.errors import AnalysisError
from core.figure import Axis, Figure, Image, Panel
from core.run_folder import Run

# "predicted", "true", or the name of a class.
Shown = str
_METHOD_WORDS = {
    "CAM": "Class activation map, exact: its mean and the bias are the logit (Zhou et al. 2016, "
    "CVPR).",
    "Grad-CAM": "Grad-CAM with its sign kept (Selvaraju et al. 2017, ICCV): an approximation, "
    "for this network has layers between the map and the final layer.",
}
_BY_SLICE = ("predicted", "true")
_SIGNS = "Red speaks for the class, blue against it; colours are centred at 0."


def map_classes(run: Run, maps: SliceMaps, shown: Shown) -> list[int]:
    """Return for each slice the number of the class whose map is shown.

    Raises
    ------
    AnalysisError
        If it is neither ``predicted`` nor ``true`` nor a class of the run.
    """
    if shown == "true":
        return [int(run.features.label[row]) for row in maps.rows]
    if shown == "predicted":
        return [int(run.features.logits[row].argmax()) for row in maps.rows]
    if shown not in run.classes:
        raise AnalysisError(
            f"Run '{run.name}' has no class '{shown}'; it has: {', '.join(run.classes)}."
        )
    return [run.classes.index(shown)] * len(maps)


def slice_figure(
    run: Run,
    maps: SliceMaps,
    *,
    shown: Shown = "predicted",
    opacity: float = 0.6,
    place: int = 0,
    reach: float | None = None,
) -> Figure:
    """Return one slice with the map of a class over it, or the planes of one cube.

    Parameters
    ----------
    run : Run
    maps : SliceMaps
    shown : str
        ``predicted``, ``true`` or the name of a class.
    opacity : float
        Of the map, 0..1.
    place : int
        Which slice of ``maps``.
    reach : float, optional
        Value of the last colour; without it the largest of this slice's maps.
    """
    k = map_classes(run, maps, shown)[place]
    facts = facts_of(run, int(maps.rows[place]))
    places = np.flatnonzero(maps.rows == maps.rows[place]) if maps.planes else np.array([place])
    panels = [
        _panel(
            maps,
            int(one),
            k,
            name=_scale_name(maps, run.classes[k]),
            opacity=opacity,
            # One scale for all classes of a slice, so that they can be compared.
            reach=reach or _reach(maps.maps[places]),
            title=f"{facts.subject}, {_picture_name(maps, int(one), facts)}: map of "
            f"{run.classes[k]}",
        )
        for one in places
    ]
    return Figure(
        name=f"slice_{_stem(facts.scan)}_{facts.number}",
        title="",
        panels=tuple(panels),
        caption=_caption(maps),
        warning=_warning(run, maps),
    )


def maps_grid(
    run: Run,
    maps: SliceMaps,
    *,
    shown: Shown = "predicted",
    opacity: float = 0.6,
    title: str = "",
    columns: int = 4,
) -> Figure:
    """Return many slices with the map of a class over each, on one scale of colours."""
    numbers = map_classes(run, maps, shown)
    drawn = np.stack([maps.maps[i, k] for i, k in enumerate(numbers)])
    reach = _reach(drawn)
    panels = []
    for i, k in enumerate(numbers):
        facts = facts_of(run, int(maps.rows[i]))
        sign = "✓" if facts.is_right else "✗"
        sure = 100 * float(facts.probability.max())
        panels.append(
            _panel(
                maps,
                i,
                k,
                name=_scale_name(maps, "" if shown in _BY_SLICE else shown),
                opacity=opacity,
                reach=reach,
                title=f"{facts.subject} · {_short_name(maps, i, facts)}\n"
                f"{facts.label} → {facts.predicted} {sign} {sure:.0f} %",
                has_scale=i + 1 == len(numbers),
            )
        )
    what = {"predicted": "the predicted class", "true": "the true class"}.get(shown, shown)
    return Figure(
        name="activation_maps",
        title=title or f"Where {run.network_title} sees {what} ({regime_text(run)})",
        panels=tuple(panels),
        # The planes of a cube stand in a row.
        columns=len(PLANES) if maps.planes else min(columns, len(panels)),
        caption=f"True class → predicted class, with its probability. Maps of {what}. "
        + _caption(maps),
        warning=_warning(run, maps),
    )


def channel_figure(
    run: Run, maps: SliceMaps, *, channel: int, opacity: float = 0.6, columns: int = 3
) -> Figure:
    """Return where one FCL input is active on slices, with what it adds to each class."""
    reach = _reach(maps.maps)
    panels = []
    for i, row in enumerate(maps.rows):
        facts = facts_of(run, int(row))
        added = contributions(run, int(row), channel)
        words = ", ".join(
            f"{name} {value:+.2g}".replace("-", "−")
            for name, value in zip(run.classes, added.tolist(), strict=True)
        )
        h = float(run.features.penultimate[row, channel])
        panels.append(
            _panel(
                maps,
                i,
                0,
                name=f"Feature {channel}",
                opacity=opacity,
                reach=reach,
                title=f"{facts.subject} · {_short_name(maps, i, facts)} ({facts.label}): "
                f"h = {h:.3g}\n{words}",
                has_scale=i + 1 == len(maps),
            )
        )
    exact = maps.method == "CAM"
    how = (
        "the channel itself, whose mean is the feature h"
        if exact
        else "Grad-CAM of the feature h, for this network has layers between"
    )
    return Figure(
        name=f"feature_{channel}",
        title=f"Feature {channel} of {run.network_title} and what it adds to each logit",
        panels=tuple(panels),
        columns=min(columns, len(panels)),
        caption=f"Where the feature is active: {how}. Below: w h, its part of each class's logit.",
        warning=_warning(run, maps),
    )


def _panel(
    maps: SliceMaps,
    place: int,
    k: int,
    *,
    name: str,
    opacity: float,
    reach: float,
    title: str,
    has_scale: bool = True,
) -> Panel:
    image = Image(
        name="Slice",
        pixels=maps.pixels[place],
        overlay=maps.maps[place, k],
        overlay_name=name,
        reach=reach,
        opacity=opacity,
        letters=maps.letters[place],
        has_scale=has_scale,
    )
    return Panel(Axis(""), Axis(""), (image,), title=title, equal_aspect=True)


def _picture_name(maps: SliceMaps, place: int, facts: SliceFacts) -> str:
    return maps.planes[place] if maps.planes else f"slice {facts.number}"


def _short_name(maps: SliceMaps, place: int, facts: SliceFacts) -> str:
    return maps.planes[place] if maps.planes else str(facts.number)


def _scale_name(maps: SliceMaps, label: str) -> str:
    name = f"{maps.method} of {label}" if label else maps.method
    # Only the exact map has a unit: it adds up to the logit.
    return f"{name} (logit)" if maps.method == "CAM" else name


def _caption(maps: SliceMaps) -> str:
    unknown = "" if any(any(letters) for letters in maps.letters) else _NO_SIDES
    planes = _PLANES if maps.planes else ""
    return f"{_METHOD_WORDS[maps.method]} {_SIGNS}{planes}{unknown}"


_PLANES = (
    " Three planes of each volume, through the place where the maps of all classes are strongest."
)
_NO_SIDES = " The pictures do not store which side is left."


def _warning(run: Run, maps: SliceMaps) -> str:
    return " ".join(filter(None, (run.warning, maps.remark)))


def _reach(values: NDArray[np.float32] | Sequence[float]) -> float:
    return float(np.abs(np.asarray(values)).max()) or 1.0


def _stem(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text)
