"""Resample a scan to the cube that the 3-D CNN sees.

A cube is a stack of axial pictures from inferior to superior, each turned as a slice is:
anterior at the top, the subject's right on the left. Voxels are the same length in mm along
all three axes; axes are the nearest of RAS+.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.config import CubeSettings, Cut
from core.data.cohort import Cohort, Scan
from core.data.labels import some
from core.data.scan_reader import load_scan
from core.data.slices import CutScan, brain_extent, percentiles, slices_of_scan
from core.data.stored_scan import SliceSource, source_of_volume
from core.data.volume import Volume
from core.errors import CohortError

# About the brain's box, as a share of its longest side: no tissue ends at the cube's wall.
_MARGIN = 0.05


def cut_scan(cohort: Cohort, scan: Scan, settings: Cut) -> CutScan:
    """Return what a network sees of one scan: its slices, or one cube with the number 0.

    Raises
    ------
    ScanError
        If the scan cannot be read, or has changed since it was scanned.
    CohortError
        If a cube is asked of ready-made slices.
    """
    if not isinstance(settings, CubeSettings):
        return slices_of_scan(cohort, scan, settings)
    layers = cut_layers(cohort, scan, settings)
    return CutScan(layers.pixels[np.newaxis], np.zeros(1, dtype=np.int64), np.zeros(0))


def cut_layers(cohort: Cohort, scan: Scan, settings: Cut) -> CutScan:
    """Return the same as pictures, one a slice or one a layer of the cube, to look at.

    The number of a layer is the axial voxel index nearest to it.

    Raises
    ------
    ScanError, CohortError
        As :func:`cut_scan`.
    """
    if not isinstance(settings, CubeSettings):
        return slices_of_scan(cohort, scan, settings)
    require_volumes(cohort, settings, (scan,))
    volume = load_scan(cohort, scan)
    source = source_of_volume(volume)
    _, _, places = _places(source, settings)
    last = volume.voxels.shape[2] - 1
    numbers = np.clip(np.round(places), 0, last).astype(np.int64)
    middle = (np.array(volume.voxels.shape) - 1) / 2
    axis = volume.affine[2, :3]
    positions = axis[:2] @ middle[:2] + places * axis[2] + volume.affine[2, 3]
    return CutScan(cut_cube(volume, settings), numbers, positions)


def require_volumes(cohort: Cohort, settings: Cut, scans: tuple[Scan, ...] | None = None) -> None:
    """Refuse ready-made slices where whole volumes are needed.

    Raises
    ------
    CohortError
        With the first such scans by name.
    """
    if not isinstance(settings, CubeSettings):
        return
    asked = cohort.included_scans if scans is None else scans
    flat = [scan.key for scan in asked if scan.kind != "volume"]
    if flat:
        raise CohortError(
            f"The 3-D CNN needs whole volumes, but {len(flat)} of {len(asked)} scans are "
            f"ready-made slices ({some(flat)}). Choose a network for slices, or add the "
            "volumes to the cohort and leave the slices out."
        )


def cut_cube(volume: Volume, settings: CubeSettings) -> NDArray[np.uint8]:
    """Resample a volume to a cube as the 3-D CNN sees it.

    Returns
    -------
    ndarray, shape (size, size, size), uint8
        Inferior to superior, anterior to posterior, the subject's right to left. Windowed
        between two percentiles of the whole scan as slices are, resampled trilinearly: a
        triangle along each axis, as wide as a new voxel where that is larger than an old
        one. What lies outside the scan is black.
    """
    source = source_of_volume(volume)
    low, high = percentiles(source, (settings.low_percentile, settings.high_percentile))
    scale = np.float32(255.0 / (high - low) if high > low else 0.0)
    grey = np.subtract(volume.voxels, np.float32(low))
    grey *= scale
    np.clip(grey, 0, 255, out=grey)
    # Axis by axis: the kernel is a product of three. Each turn puts the axis done last.
    step_mm = _side_mm(source, settings) / settings.size
    for axis, places in enumerate(_places(source, settings)):
        step = step_mm / volume.spacing_mm[axis]
        weights = _triangle_weights(places, step, volume.voxels.shape[axis])
        grey = np.tensordot(grey, weights, axes=(0, 1))
    cube = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(cube.transpose(2, 1, 0)[:, ::-1, ::-1])


def places_in_cube(volume: Volume, settings: CubeSettings) -> list[NDArray[np.float64]]:
    """Return where in the cube the voxels of a scan lie, the way back of :func:`cut_cube`.

    Returns
    -------
    list of ndarray
        Along right, anterior and superior, for each voxel of the scan the index in the cube,
        counted along the same direction; below 0 or above ``size - 1`` outside of it.
    """
    source = source_of_volume(volume)
    found = []
    for places, count in zip(_places(source, settings), volume.voxels.shape, strict=True):
        step = (places[-1] - places[0]) / (len(places) - 1) if len(places) > 1 else 1.0
        found.append((np.arange(count) - places[0]) / step)
    return found


def _side_mm(source: SliceSource, settings: CubeSettings) -> float:
    if settings.side_mm is not None:
        return settings.side_mm
    boxes = _boxes(source, settings)
    sides = [
        (high - low + 1) * spacing
        for (low, high), spacing in zip(boxes, source.spacing_mm, strict=True)
    ]
    return max(sides) * (1 + _MARGIN if settings.centre == "brain" else 1)


def _boxes(source: SliceSource, settings: CubeSettings) -> list[tuple[int, int]]:
    """Return the first and last voxel of what is looked at, along right, anterior, superior."""
    if settings.centre == "brain":
        return [brain_extent(source, axis) for axis in range(3)]
    return [(0, size - 1) for size in source.shape]


def _places(source: SliceSource, settings: CubeSettings) -> list[NDArray[np.float64]]:
    """Return the cube's voxels along right, anterior, superior, as voxel indices of the scan."""
    step_mm = _side_mm(source, settings) / settings.size
    offsets = np.arange(settings.size) - (settings.size - 1) / 2
    return [
        np.asarray((low + high) / 2 + offsets * (step_mm / spacing))
        for (low, high), spacing in zip(_boxes(source, settings), source.spacing_mm, strict=True)
    ]


def _triangle_weights(places: NDArray[np.float64], step: float, size: int) -> NDArray[np.float32]:
    """Return the weight of each of ``size`` voxels in each new one, shape (n, size).

    A new voxel's weights sum to 1 with the black voxels around the scan.
    """
    width = max(step, 1.0)
    reach = int(np.ceil(width))
    voxels = np.arange(-reach, size + reach)
    weights = np.maximum(0.0, 1 - np.abs(voxels - places[:, np.newaxis]) / width)
    # Far outside the scan no voxel is near.
    weights /= np.maximum(_full_sums(places, width), 1e-12)[:, np.newaxis]
    return weights[:, reach : reach + size].astype(np.float32)


def _full_sums(places: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    reach = int(np.ceil(width)) + 1
    near = np.floor(places)[:, np.newaxis] + np.arange(-reach, reach + 1)
    sums = np.maximum(0.0, 1 - np.abs(near - places[:, np.newaxis]) / width).sum(axis=1)
    return np.asarray(sums)
