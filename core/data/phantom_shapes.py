"""Shapes of a simulated brain: signed distances in mm, positive inside."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# float32 throughout; numpy's own types say only "floating" of most results.
Field: TypeAlias = NDArray[np.floating[Any]]


def ellipsoid(x: Field, y: Field, z: Field, radii: tuple[float, float, float]) -> Field:
    """Return an approximate distance to an ellipsoid about the origin.

    First-order distance k0 (1 - k0) / k1 with k0 = |p / r|, k1 = |p / r^2|.
    """
    a, b, c = (np.float32(1 / radius) for radius in radii)
    u, v, w = x * a, y * b, z * c
    norm = length(u, v, w)
    gradient = length(u * a, v * b, w * c)
    return np.asarray(norm * (1 - norm) / (gradient + 1e-6), dtype=np.float32)


def superellipsoid(x: Field, y: Field, z: Field, radii: tuple[float, float, float]) -> Field:
    """Return an approximate distance to a slightly boxy ellipsoid (exponent 2.2)."""
    u, v, w = (np.abs(part) / np.float32(r) for part, r in zip((x, y, z), radii, strict=True))
    norm = (u**2.2 + v**2.2 + w**2.2) ** np.float32(1 / 2.2)
    slope = length(
        *((part / (norm + 1e-6)) ** 1.2 / r for part, r in zip((u, v, w), radii, strict=True))
    )
    return np.asarray((1 - norm) / (slope + 1e-6), dtype=np.float32)


def capsule(
    place: tuple[Field, Field, Field],
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radii: tuple[float, float],
) -> Field:
    """Return the distance to a tube from ``start`` to ``end`` whose radius changes evenly."""
    way = [e - s for s, e in zip(start, end, strict=True)]
    from_start = [part - np.float32(s) for part, s in zip(place, start, strict=True)]
    square = sum(step * step for step in way)
    along = sum(
        part * np.float32(step / square) for part, step in zip(from_start, way, strict=True)
    )
    along = np.clip(along, 0, 1)
    gap = length(
        *(part - along * np.float32(step) for part, step in zip(from_start, way, strict=True))
    )
    return np.asarray(radii[0] + along * np.float32(radii[1] - radii[0]) - gap, dtype=np.float32)


def smooth_union(first: Field, second: Field, width_mm: float) -> Field:
    """Return the larger distance, rounded over ``width_mm`` where both are close."""
    blend = np.maximum(width_mm - np.abs(first - second), 0)
    return np.asarray(np.maximum(first, second) + blend * blend / (4 * width_mm), dtype=np.float32)


def smooth_intersection(first: Field, second: Field, width_mm: float) -> Field:
    """Return the smaller distance, rounded over ``width_mm`` where both are close."""
    return -smooth_union(-first, -second, width_mm)


def length(*parts: Field) -> Field:
    """Return the length of a vector of these parts, in each voxel."""
    return np.asarray(np.sqrt(sum(part * part for part in parts)), dtype=np.float32)
