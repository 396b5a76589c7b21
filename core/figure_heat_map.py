"""How a heat map looks, on screen and on paper: its range, its colours, the ink on its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.figure import HeatMap

Floats = NDArray[np.float64]

_INK = "#222222"
_NOT_A_NUMBER = (217, 217, 217)
# Stops at equal steps. Viridis (S. van der Walt, N. Smith; CC0) and ColorBrewer RdBu
# (C. Brewer; Apache 2.0), turned so that red is positive.
_VIRIDIS = "440154 482878 3E4989 31688E 26828E 1F9E89 35B779 6DCD59 B4DE2C FDE725"
_BLUE_WHITE_RED = "053061 2166AC 4393C3 92C5DE D1E5F0 F7F7F7 FDDBC7 F4A582 D6604D B2182B 67001F"


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


def colour_scale(n: int, *, diverging: bool) -> NDArray[np.uint8]:
    """Return ``n`` colours at equal steps from the lowest to the highest value, shape (n, 3)."""
    return _mapped(np.linspace(0, 1, n), diverging=diverging)


def heat_map_texts(layer: HeatMap) -> list[list[str]]:
    """Return what is printed in each cell; ``–`` where the value is NaN."""
    if layer.texts:
        return [list(row) for row in layer.texts]
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
