"""How a map lies over a picture, on screen and on paper: its size, its colours, its scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.figure import HeatMap, Image
from core.figure_heat_map import heat_map_colours

Floats = NDArray[np.float64]


def resized(values: NDArray[Any], shape: tuple[int, int]) -> Floats:
    """Return ``values`` (h, w) at another size, bilinear; both cover the same area.

    The centre of a cell keeps its value; half a cell from the edge on, the edge's value stays.
    """
    whole = np.asarray(values, dtype=np.float64)
    rows, row_share = _places(whole.shape[0], shape[0])
    columns, column_share = _places(whole.shape[1], shape[1])
    tall = (
        whole[rows] * (1 - row_share)[:, None]
        + whole[np.minimum(rows + 1, whole.shape[0] - 1)] * row_share[:, None]
    )
    right = np.minimum(columns + 1, whole.shape[1] - 1)
    return np.asarray(tall[:, columns] * (1 - column_share) + tall[:, right] * column_share)


def overlay_scale(layer: Image) -> HeatMap:
    """Return the colour scale of a picture's map; without ``has_scale`` where it has none."""
    values = np.zeros((1, 1)) if layer.overlay is None else np.atleast_2d(layer.overlay)
    finite = values[np.isfinite(values)]
    reach = layer.reach or (float(np.abs(finite).max()) if finite.size else 0.0) or 1.0
    return HeatMap(
        name=layer.overlay_name,
        values=values,
        rows=(),
        columns=(),
        low=-reach,
        high=reach,
        diverging=True,
        has_scale=layer.overlay is not None and layer.has_scale,
    )


def overlaid(layer: Image) -> NDArray[np.uint8]:
    """Return the picture with its map over it, shape (H, W, 3).

    The map is the clearer, the further it is from 0: from half of the scale on it has its
    full opacity, so that the anatomy is seen where the map says little.
    """
    pixels = np.atleast_2d(np.asarray(layer.pixels, dtype=np.float64))
    grey = np.repeat(np.clip(pixels, 0, 255)[..., None], 3, axis=-1)
    if layer.overlay is None:
        return np.asarray(np.rint(grey), dtype=np.uint8)
    scale = overlay_scale(layer)
    assert scale.high is not None
    values = resized(layer.overlay, (pixels.shape[0], pixels.shape[1]))
    colour = heat_map_colours(
        HeatMap("", values, (), (), low=scale.low, high=scale.high, diverging=True)
    )
    share = layer.opacity * opacity_share(values, scale.high)[..., None]
    mixed = grey * (1 - share) + colour * share
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def opacity_share(values: Floats, reach: float) -> Floats:
    """Return how much of its opacity a map has at each value, 0..1."""
    strength = np.nan_to_num(np.abs(values)) / (reach / 2)
    return np.asarray(np.clip(strength, 0, 1))


def _places(old: int, new: int) -> tuple[NDArray[np.int64], Floats]:
    """Return for each new cell the old one before its centre, and the share of the next."""
    place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    before = np.floor(place).astype(np.int64)
    return before, place - before
