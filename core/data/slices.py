"""Choose slices of a scan and cut them into the pictures that a network sees."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.config import SliceSettings
from core.data.cohort import Cohort, Scan
from core.data.picture import brightest_level, read_picture
from core.data.scan_files import require_unchanged
from core.data.scan_reader import load_scan
from core.data.stored_scan import SliceSource, opened_source, source_of_volume
from core.data.volume import Volume
from core.errors import ScanError
from core.progress import Operation, Progress

logger = logging.getLogger(__name__)

_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class SliceSet:
    """All slices of a cohort, one row a slice; or its cubes, one row a scan.

    Attributes
    ----------
    pixels : ndarray, shape (n, S, S), uint8
        Usually memory-mapped and read-only. Of cubes (n, S, S, S), see
        :mod:`core.data.cubes`.
    label : ndarray, shape (n,), int
        Index into ``classes``.
    subject, session, scan : ndarray, shape (n,), str
    number : ndarray, shape (n,), int
        Voxel index of the slice in RAS+ (volumes) or number of the picture; 0 for cubes.
    classes : tuple of str
    """

    pixels: NDArray[np.uint8]
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    scan: NDArray[np.str_]
    number: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def are_cubes(self) -> bool:
        """Whether each item is a whole volume, a cube, and not a slice."""
        return self.pixels.ndim == 4


def choose_slices(volume: Volume, settings: SliceSettings) -> NDArray[np.int64]:
    """Return the voxel indices of the slices along the plane's axis.

    ``count`` slices, ``step`` voxels or ``spacing_mm`` apart, about the middle of the
    brain's bounding box, of the volume, or about a position in mm; shifted, never cut
    short, where they would leave the volume.

    Raises
    ------
    ScanError
        If the volume has fewer slices than asked for, they lie further apart than asked
        for, or the asked centre lies outside it.
    """
    return _choose(source_of_volume(volume), settings)


def slice_positions(volume: Volume, settings: SliceSettings) -> NDArray[np.float64]:
    """Return where the chosen slices lie along the plane's axis, shape (n,), RAS+ mm.

    In an oblique scan a slice has many positions; that of its middle is given.

    Raises
    ------
    ScanError
        As :func:`choose_slices`.
    """
    source = source_of_volume(volume)
    return _positions_mm(source, _AXES[settings.plane], _choose(source, settings))


def _choose(source: SliceSource, settings: SliceSettings) -> NDArray[np.int64]:
    axis = _AXES[settings.plane]
    size = source.shape[axis]
    offsets = _offsets(source, settings)
    span = int(offsets[-1]) + 1
    if span > size:
        raise ScanError(
            f"The scan has {size} {settings.plane} slices; {settings.count} slices, "
            f"{_apart(settings)}, need {span}. Take fewer slices."
        )
    first = round(_centre(source, settings) - (span - 1) / 2)
    shifted: NDArray[np.int64] = offsets + min(max(first, 0), size - span)
    return shifted


def _offsets(source: SliceSource, settings: SliceSettings) -> NDArray[np.int64]:
    """Return the slices' voxel indices, counted from the first of them."""
    steps = np.arange(settings.count)
    if settings.spacing_mm is None:
        return np.asarray(steps * settings.step, dtype=np.int64)
    voxel_mm = source.spacing_mm[_AXES[settings.plane]]
    # Headers keep voxel sizes with seven digits: 0.9999999 mm must pass for 1 mm.
    if settings.spacing_mm < voxel_mm * (1 - 1e-4):
        raise ScanError(
            f"The {settings.plane} slices of the scan lie {voxel_mm:.3g} mm apart; slices "
            f"{_apart(settings)} cannot be cut. Take a larger slice spacing."
        )
    return np.asarray(np.floor(steps * (settings.spacing_mm / voxel_mm) + 0.5), dtype=np.int64)


def _apart(settings: SliceSettings) -> str:
    if settings.spacing_mm is None:
        return f"every {settings.step}"
    return f"every {settings.spacing_mm:g} mm"


def _centre(source: SliceSource, settings: SliceSettings) -> float:
    """Return the voxel index, whole or between two, that the slices lie about."""
    axis = _AXES[settings.plane]
    last = source.shape[axis] - 1
    if settings.centre == "brain":
        low, high = brain_extent(source, axis)
        return (low + high) / 2
    if settings.centre == "volume" or settings.centre_mm is None:
        return last / 2
    start, end = _positions_mm(source, axis, np.array([0, last]))
    half_voxel = source.spacing_mm[axis] / 2
    if not start - half_voxel <= settings.centre_mm <= end + half_voxel:
        raise ScanError(
            f"The scan reaches from {start:.0f} to {end:.0f} mm along the {settings.plane} "
            f"slices; a centre at {settings.centre_mm:g} mm lies outside. Change the centre "
            "position."
        )
    return float((settings.centre_mm - start) / (end - start) * last) if last else 0.0


def _positions_mm(
    source: SliceSource, axis: int, numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    voxels = np.tile((np.array(source.shape) - 1) / 2, (len(numbers), 1))
    voxels[:, axis] = numbers
    return np.asarray(voxels @ source.affine[axis, :3] + source.affine[axis, 3])


def brain_extent(source: SliceSource, axis: int) -> tuple[int, int]:
    """Return the first and last voxel index of the brain's bounding box along an axis."""
    # A tenth of the bright tissue keeps the brain and drops background noise; a plane
    # counts where half a percent of it is tissue, so that single bright voxels do not.
    threshold = max(0.1 * percentiles(source, (99,))[0], 0.0)
    if source.table is None:
        is_tissue = source.half > threshold
    else:
        is_tissue = np.take(source.table > threshold, source.half)
    share = is_tissue.mean(axis=tuple(i for i in range(3) if i != axis))
    inside = np.flatnonzero(share > 0.005)
    if not len(inside):
        return 0, source.shape[axis] - 1
    # Each plane of the half stands for itself and the next one.
    return 2 * int(inside[0]), min(2 * int(inside[-1]) + 1, source.shape[axis] - 1)


def percentiles(source: SliceSource, wanted: Sequence[float]) -> list[float]:
    """Return percentiles of every second voxel along each axis of the whole scan.

    An eighth of the voxels stands for all. They are counted from the first voxel of each
    RAS+ axis, so that the window does not depend on how a file stores the scan.
    Interpolated linearly, as ``numpy.percentile`` does.
    """
    last = source.half.size - 1
    ranks = [last * share / 100 for share in wanted]
    around = sorted({index for rank in ranks for index in (int(rank), min(int(rank) + 1, last))})
    value = dict(zip(around, _order_statistics(source, around), strict=True))
    return [
        value[int(rank)] + (rank - int(rank)) * (value[min(int(rank) + 1, last)] - value[int(rank)])
        for rank in ranks
    ]


def _order_statistics(source: SliceSource, ranks: Sequence[int]) -> list[float]:
    if source.table is None:
        ordered = np.partition(source.half, ranks, axis=None)
        return [float(ordered[rank]) for rank in ranks]
    counts = np.bincount(source.half.ravel(order="K"), minlength=len(source.table))
    order = np.argsort(source.table, kind="stable")
    found = np.searchsorted(np.cumsum(counts[order]), ranks, side="right")
    return [float(source.table[order[place]]) for place in found]


def cut_slices(
    volume: Volume, settings: SliceSettings, numbers: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Cut slices out of a volume as the network sees them.

    Pictures follow the radiological convention: anterior (axial) or superior (coronal,
    sagittal) at the top, the subject's right on the left; sagittal ones face right, as in
    the viewer.

    Returns
    -------
    ndarray, shape (n, size, size), uint8
        Windowed between two percentiles of the whole scan (of every second voxel along
        each axis), padded to a square in millimetres with black, resampled bilinearly:
        a triangle as wide as a new pixel where that is larger than an old one.
    """
    return _cut(source_of_volume(volume), settings, numbers)


def _cut(
    source: SliceSource, settings: SliceSettings, numbers: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.uint8]:
    low, high = percentiles(source, (settings.low_percentile, settings.high_percentile))
    scale = 255.0 / (high - low) if high > low else 0.0
    axis = _AXES[settings.plane]
    grey = _grey_levels(source, source.take_planes(axis, numbers), low, scale)
    pictures = _as_pictures(grey, axis)
    columns_mm, rows_mm = (source.spacing_mm[i] for i in range(3) if i != axis)
    result = np.empty((len(pictures), settings.size, settings.size), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        result[i] = _to_square(picture, (rows_mm, columns_mm), settings.size)
    return result


def _grey_levels(
    source: SliceSource, planes: NDArray[Any], low: float, scale: float
) -> NDArray[np.uint8]:
    values = planes if source.table is None else source.table
    grey = np.clip((values - low) * scale, 0, 255).round().astype(np.uint8)
    return grey if source.table is None else np.take(grey, planes)


def _as_pictures(planes: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """Turn planes (n, A, B) of RAS+ into pictures (n, rows, columns), radiologically."""
    pictures = planes.transpose(0, 2, 1)[:, ::-1]
    # The second remaining axis has its positive end at the top. The subject's right goes
    # to the left of axial and coronal pictures; a sagittal one has the face on the right.
    return pictures if axis == _AXES["sagittal"] else pictures[:, :, ::-1]


def _to_square(
    grey: NDArray[np.uint8], pixel_mm: tuple[float, float], size: int
) -> NDArray[np.uint8]:
    height, width = grey.shape
    height_mm, width_mm = height * pixel_mm[0], width * pixel_mm[1]
    scale = size / max(height_mm, width_mm)
    new_height = min(size, max(1, round(height_mm * scale)))
    new_width = min(size, max(1, round(width_mm * scale)))
    if (new_height, new_width) != (height, width):
        picture = Image.fromarray(np.ascontiguousarray(grey))
        grey = np.asarray(picture.resize((new_width, new_height), Image.Resampling.BILINEAR))
    square = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    square[top : top + new_height, left : left + new_width] = grey
    return square


def read_pictures(cohort: Cohort, scan: Scan) -> Operation[NDArray[np.uint8]]:
    """Read the ready-made slices of a scan at their own size, shape (n, height, width).

    Raises
    ------
    ScanError
        If one cannot be decoded, or has changed since it was scanned.
    """
    require_unchanged(cohort, scan)
    paths = [cohort.path_of(file) for file in scan.files]
    white, pictures = 0.0, []
    for path in paths:
        yield Progress(f"Reading {scan.key}", 0, len(paths))
        white = max(white, brightest_level(path))
    for done, path in enumerate(paths):
        yield Progress(f"Reading {scan.key}", done, len(paths))
        pictures.append(read_picture(path, white=white))
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    result = np.zeros((len(pictures), height, width), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        result[i, : picture.shape[0], : picture.shape[1]] = picture
    return result


@dataclass(frozen=True)
class CutScan:
    """The slices of one scan.

    Attributes
    ----------
    pixels : ndarray, shape (n, S, S), uint8
    numbers : ndarray, shape (n,), int
        Voxel index in RAS+ (volumes) or number of the picture.
    positions_mm : ndarray, shape (n,), float
        Along the plane's axis, RAS+; empty for ready-made slices, whose place is not known.
    """

    pixels: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    positions_mm: NDArray[np.float64]


def slices_of_scan(cohort: Cohort, scan: Scan, settings: SliceSettings) -> CutScan:
    """Return the slices of one scan, from the needed part of its file where that will do.

    Ready-made slices pass through: only padded to a square and resized.

    Raises
    ------
    ScanError
        If the scan cannot be read, or has changed since it was scanned.
    """
    require_unchanged(cohort, scan)
    if scan.kind != "volume":
        return _cut_pictures(cohort, scan, settings)
    is_plain = len(scan.files) == 1 and not scan.flipped
    try:
        if is_plain:
            with opened_source(cohort.path_of(scan.files[0])) as source:
                if source is not None:
                    return _cut_source(source, settings)
    except (OSError, EOFError) as error:
        # Loading it whole says what is wrong, or succeeds where a drive only stumbled.
        logger.info("a scan is read again: %s", type(error).__name__)
    return _cut_source(source_of_volume(load_scan(cohort, scan)), settings)


def _cut_source(source: SliceSource, settings: SliceSettings) -> CutScan:
    chosen = _choose(source, settings)
    positions = _positions_mm(source, _AXES[settings.plane], chosen)
    return CutScan(_cut(source, settings, chosen), chosen, positions)


def _cut_pictures(cohort: Cohort, scan: Scan, settings: SliceSettings) -> CutScan:
    paths = [cohort.path_of(file) for file in scan.files]
    # One range for all slices of a scan, or the same tissue would be brighter in a darker slice.
    white = max(brightest_level(path) for path in paths)
    pictures = [
        _to_square(read_picture(path, white=white), (1.0, 1.0), settings.size) for path in paths
    ]
    numbers = np.array(scan.slice_numbers, dtype=np.int64)
    return CutScan(np.stack(pictures), numbers, np.zeros(0))
