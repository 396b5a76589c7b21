"""Maps of the slices of a scan, stacked back into its volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class MapVolume:
    """A map on the grid of its scan.

    Attributes
    ----------
    scan : str
        Key of the scan.
    values : ndarray, shape (X, Y, Z), float32
        In RAS+ as the scan is shown; 0 where no slice was seen.
    affine : ndarray, shape (4, 4)
        Voxel index -> mm.
    label : str
        The class whose map it is.
    method : str
        CAM or Grad-CAM.
    """

    scan: str
    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    label: str
    method: str


@dataclass(frozen=True)
class MapPictures:
    """Maps on ready-made slices, whose place in the head is not known.

    Attributes
    ----------
    scan : str
        Key of the scan.
    values : ndarray, shape (n, height, width), float32
        At the size of the pictures, in the order of the scan's; 0 where a slice has no map.
    label, method : str
        As of :class:`MapVolume`.
    """

    scan: str
    values: NDArray[np.float32]
    label: str
    method: str


def maps_on_pictures(maps: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return maps (n, h, w) of padded squares at the size of the pictures in them."""
    side = max(shape)
    columns, rows = _picture_places(shape, (1.0, 1.0), size=side)
    drawn = np.einsum(
        "nhw,rh,cw->nrc",
        maps,
        bilinear_weights(rows, maps.shape[1], side),
        bilinear_weights(columns, maps.shape[2], side),
        optimize=True,
    )
    return np.asarray(drawn, dtype=np.float32)


def stack_maps(
    maps: NDArray[np.float32],
    numbers: NDArray[np.int64],
    *,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    plane: str,
    size: int,
) -> NDArray[np.float32]:
    """Return maps of slices on the grid of the volume that they were cut from.

    The way back of :func:`core.data.slices.cut_slices`: pictures are squares in mm with the
    subject's right on the left (sagittal ones face right). Bilinear within a slice, linear
    between slices; 0 before the first and behind the last one.

    Parameters
    ----------
    maps : ndarray, shape (n, h, w)
        Each covers a whole picture.
    numbers : ndarray, shape (n,), int
        Voxel index of each slice along the plane's axis.
    shape, spacing_mm : tuple
        Of the volume, in RAS+.
    plane : {"axial", "coronal", "sagittal"}
    size : int
        Pixels along the side of a picture.
    """
    axis = _AXES[plane]
    across, up = (i for i in range(3) if i != axis)
    order = np.argsort(numbers, kind="stable")
    numbers, maps = np.asarray(numbers)[order], np.asarray(maps)[order]
    n_columns, n_rows = shape[across], shape[up]
    columns, rows = _picture_places(
        (n_rows, n_columns), (spacing_mm[up], spacing_mm[across]), size=size
    )
    across_weights = bilinear_weights(columns, maps.shape[2], size)
    up_weights = bilinear_weights(rows, maps.shape[1], size)
    planes = np.einsum("nhw,bh,aw->nab", maps, up_weights, across_weights, optimize=True)
    # The positive end of the axis upwards is the top of the picture, and the subject's right
    # is on its left.
    planes = planes[:, :, ::-1]
    if plane != "sagittal":
        planes = planes[:, ::-1]
    along = _between_weights(numbers, shape[axis])
    whole = np.tensordot(along, planes, axes=(1, 0))
    return np.ascontiguousarray(np.moveaxis(whole, 0, axis), dtype=np.float32)


def _picture_places(
    shape: tuple[int, int], pixel_mm: tuple[float, float], *, size: int
) -> tuple[Floats, Floats]:
    """Return where the centres of a plane's columns and rows lie in the square picture, pixels."""
    height_mm, width_mm = shape[0] * pixel_mm[0], shape[1] * pixel_mm[1]
    scale = size / max(height_mm, width_mm)
    places = []
    for count, mm in ((shape[1], width_mm), (shape[0], height_mm)):
        new = min(size, max(1, round(mm * scale)))
        places.append((size - new) // 2 + (np.arange(count) + 0.5) * new / count)
    return places[0], places[1]


def bilinear_weights(places: Floats, cells: int, size: int) -> Floats:
    """Return the weight of each map cell at places of a picture, shape (len(places), cells)."""
    at = np.clip(places * cells / size - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells))))


def _between_weights(numbers: NDArray[np.int64], count: int) -> Floats:
    """Return the weight of each slice at each voxel along the axis, shape (count, n)."""
    weights = np.zeros((count, len(numbers)))
    for index in range(int(numbers[0]), int(numbers[-1]) + 1):
        after = int(np.searchsorted(numbers, index))
        if numbers[after] == index:
            weights[index, after] = 1
        else:
            span = numbers[after] - numbers[after - 1]
            weights[index, after] = (index - numbers[after - 1]) / span
            weights[index, after - 1] = 1 - weights[index, after]
    return weights
