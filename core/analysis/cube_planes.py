"""Maps of cubes, which the 3-D CNN sees: planes through them, and back on the grid of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.activation_map import Letters, Method, SliceMaps
from core.analysis.map_volume import bilinear_weights

Floats = NDArray[np.float64]

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class CubeMaps:
    """Maps of some cubes of a run, one row a cube.

    Attributes
    ----------
    rows : ndarray, shape (n,), int
        Rows of the run's features.
    cubes : ndarray, shape (n, S, S, S), uint8
        As :func:`core.data.cubes.cut_cube` gives them: inferior to superior, anterior to
        posterior, the subject's right to left.
    maps : ndarray, shape (n, M, d, h, w), float32
        Signed; each covers the whole cube. M is the number of classes, or 1 for a channel.
    logits : ndarray, shape (n, K), float32
    method : {"CAM", "Grad-CAM"}
    letters : tuple of tuple of Letters
        Of each cube those of its three planes, in the order of ``PLANES``.
    remark : str
    """

    rows: NDArray[np.int64]
    cubes: NDArray[np.uint8]
    maps: NDArray[np.float32]
    logits: NDArray[np.float32]
    method: Method
    letters: tuple[tuple[Letters, Letters, Letters], ...]
    remark: str = ""


def planes_through(found: CubeMaps) -> SliceMaps:
    """Return three planes of each cube, through the cell in which its maps are strongest.

    The cell is that of the largest value of any class, for or against it, so that the planes
    are the same whichever class is shown. Rows and logits are repeated.
    """
    pixels, maps, planes = [], [], list[str]()
    for cube, of_cube in zip(found.cubes, found.maps, strict=True):
        cell = _strongest(of_cube)
        voxel = [
            int((at + 0.5) * len(cube) / n) for at, n in zip(cell, of_cube.shape[1:], strict=True)
        ]
        for axis, name in enumerate(PLANES):
            pixels.append(_plane(cube, axis, voxel[axis]))
            maps.append(np.stack([_plane(one, axis, cell[axis]) for one in of_cube]))
            planes.append(f"{name} {voxel[axis] + 1} of {len(cube)}")
    count = len(PLANES)
    return SliceMaps(
        rows=np.repeat(np.asarray(found.rows, dtype=np.int64), count),
        pixels=np.stack(pixels),
        maps=np.stack(maps),
        logits=np.repeat(found.logits, count, axis=0),
        method=found.method,
        letters=tuple(letters for of_cube in found.letters for letters in of_cube),
        remark=found.remark,
        planes=tuple(planes),
    )


def map_on_grid(
    values: NDArray[np.float32], places: Sequence[Floats], size: int
) -> NDArray[np.float32]:
    """Return a map of a cube on the grid of its scan, shape (X, Y, Z); 0 outside of the cube.

    Parameters
    ----------
    values : ndarray, shape (d, h, w)
        Of the whole cube.
    places : sequence of ndarray
        Along each axis of the scan, where in the cube each voxel's centre lies; see
        :func:`core.data.cubes.places_in_cube`.
    size : int
        Voxels along the side of the cube.
    """
    # As the scan: right, anterior and superior positive.
    turned = values[:, ::-1, ::-1].transpose(2, 1, 0)
    weights = []
    for axis, along in enumerate(places):
        inside = (along > -0.5) & (along < size - 0.5)
        # The middle of the first voxel is half a voxel from the cube's wall.
        weights.append(bilinear_weights(along + 0.5, turned.shape[axis], size) * inside[:, None])
    whole = np.einsum("abc,xa,yb,zc->xyz", turned, *weights, optimize=True)
    return np.ascontiguousarray(whole, dtype=np.float32)


def _strongest(maps: NDArray[np.float32]) -> tuple[int, ...]:
    """Return the cell (d, h, w) of the largest value of maps (M, d, h, w), whatever its sign."""
    largest = np.abs(maps).max(axis=0)
    return tuple(int(at) for at in np.unravel_index(int(largest.argmax()), largest.shape))


def _plane(block: NDArray[Any], axis: int, number: int) -> NDArray[Any]:
    """Return a plane as slices are turned: up is anterior or superior, sagittal ones face right."""
    # Axes of a cube begin inferior, anterior and right.
    turned = (block, block[::-1], block[::-1, ::-1])[axis]
    plane: NDArray[Any] = turned.take(number, axis=axis)
    return plane
