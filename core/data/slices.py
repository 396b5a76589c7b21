"""Cut scans into the 2-D slices that a network sees, and keep them in a memory-mapped cache."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core import atomic_file, text_file
from core.config import SliceSettings
from core.data.cohort import Cohort, Scan
from core.data.volume import Volume, load_volume
from core.errors import CohortError, ScanError
from core.progress import Notice, Operation, Progress

logger = logging.getLogger(__name__)

CACHE_VERSION = 2
_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
_MAX_PIXELS = 64_000_000
_INDEX_COLUMNS = ("label", "subject", "session", "scan", "number")
_Row: TypeAlias = tuple[int, str, str, str, int]


@dataclass(frozen=True)
class SliceSet:
    """All slices of a cohort, one row a slice.

    Attributes
    ----------
    pixels : ndarray, shape (n, S, S), uint8
        Usually memory-mapped and read-only.
    label : ndarray, shape (n,), int
        Index into ``classes``.
    subject, session, scan : ndarray, shape (n,), str
    number : ndarray, shape (n,), int
        Voxel index of the slice in RAS+ (volumes) or number of the picture.
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


def choose_slices(volume: Volume, settings: SliceSettings) -> NDArray[np.int64]:
    """Return the voxel indices of the mid slices along the plane's axis.

    ``count`` slices, ``step`` apart, about the middle of the brain's bounding box (or of
    the volume); shifted, never cut short, where they would leave the volume.

    Raises
    ------
    ScanError
        If the volume has fewer slices than asked for.
    """
    axis = _AXES[settings.plane]
    size = volume.voxels.shape[axis]
    span = (settings.count - 1) * settings.step + 1
    if span > size:
        raise ScanError(
            f"The scan has {size} {settings.plane} slices; {settings.count} slices, "
            f"every {settings.step}, need {span}. Take fewer slices."
        )
    low, high = (0, size - 1) if settings.centre == "volume" else _brain_extent(volume, axis)
    first = round((low + high - (span - 1)) / 2)
    first = min(max(first, 0), size - span)
    return np.asarray(first + settings.step * np.arange(settings.count), dtype=np.int64)


def _brain_extent(volume: Volume, axis: int) -> tuple[int, int]:
    voxels = volume.voxels
    # A tenth of the bright tissue keeps the brain and drops background noise; a plane
    # counts where half a percent of it is tissue, so that single bright voxels do not.
    threshold = 0.1 * float(np.percentile(voxels[::2, ::2, ::2], 99))
    other = tuple(i for i in range(3) if i != axis)
    share = (voxels > max(threshold, 0.0)).mean(axis=other)
    inside = np.flatnonzero(share > 0.005)
    if not len(inside):
        return 0, voxels.shape[axis] - 1
    return int(inside[0]), int(inside[-1])


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
        Windowed between the two percentiles of the whole scan, padded to a square in
        millimetres with black, resampled bilinearly.
    """
    low, high = (
        float(value)
        for value in np.percentile(
            volume.voxels, (settings.low_percentile, settings.high_percentile)
        )
    )
    scale = 255.0 / (high - low) if high > low else 0.0
    axis = _AXES[settings.plane]
    rows_mm, columns_mm = _pixel_mm(volume, axis)
    result = np.empty((len(numbers), settings.size, settings.size), dtype=np.uint8)
    for i, number in enumerate(numbers):
        plane = oriented_plane(volume.voxels, axis, int(number))
        grey = np.clip((plane - low) * scale, 0, 255).round().astype(np.uint8)
        result[i] = _to_square(grey, (rows_mm, columns_mm), settings.size)
    return result


def oriented_plane(voxels: NDArray[Any], axis: int, number: int) -> NDArray[Any]:
    """Return one plane of RAS+ ``voxels`` as a picture in the radiological convention."""
    plane = np.take(voxels, number, axis=axis).T[::-1]
    # The second remaining axis has its positive end at the top. The subject's right goes
    # to the left of axial and coronal pictures; a sagittal one has the face on the right.
    return np.asarray(plane if axis == _AXES["sagittal"] else plane[:, ::-1])


def _pixel_mm(volume: Volume, axis: int) -> tuple[float, float]:
    columns, rows = (volume.spacing_mm[i] for i in range(3) if i != axis)
    return rows, columns


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


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a ready-made slice as grey levels, shape (height, width), uint8.

    Raises
    ------
    ScanError
        If it cannot be decoded to its end.
    """
    with _opened_picture(path) as opened:
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):
            # 16-bit pictures are scaled; Pillow's own conversion would clip them.
            values = np.asarray(picture, dtype=np.float64)
            top = max(float(values.max()), 1.0)
            return np.asarray((values * (255.0 / top)).round(), dtype=np.uint8)
        return np.asarray(picture.convert("L"), dtype=np.uint8)


def read_picture_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of a ready-made slice, as stored, without decoding it.

    Raises
    ------
    ScanError
        If it is no picture or larger than any slice.
    """
    with _opened_picture(path) as picture:
        return picture.height, picture.width


@contextmanager
def _opened_picture(path: Path) -> Iterator[Image.Image]:
    try:
        # The named formats alone: each further decoder is a further way in for bad files.
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise Image.DecompressionBombError
            yield picture
    except FileNotFoundError as error:
        raise ScanError(
            f"'{path.name}' is no longer there. Reconnect the drive or put it back."
        ) from error
    except Image.DecompressionBombError as error:
        raise ScanError(
            f"'{path.name}' is larger than 64 megapixels, far more than a slice has. "
            "Export it smaller."
        ) from error
    except Exception as error:  # decoders raise all kinds on damaged bytes
        is_empty = path.exists() and path.stat().st_size == 0
        what = "is empty (0 bytes)" if is_empty else "is damaged or no JPEG or PNG picture"
        raise ScanError(f"'{path.name}' {what}. Copy it again from the source.") from error


def read_pictures(cohort: Cohort, scan: Scan) -> Operation[NDArray[np.uint8]]:
    """Read the ready-made slices of a scan at their own size, shape (n, height, width).

    Raises
    ------
    ScanError
        If one cannot be decoded.
    """
    pictures = []
    for done, file in enumerate(scan.files):
        yield Progress(f"Reading {scan.key}", done, len(scan.files))
        pictures.append(read_picture(cohort.path_of(file)))
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    result = np.zeros((len(pictures), height, width), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        result[i, : picture.shape[0], : picture.shape[1]] = picture
    return result


def slices_of_scan(
    cohort: Cohort, scan: Scan, settings: SliceSettings
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the slices of one scan, (n, size, size) uint8, and their numbers, (n,).

    Ready-made slices pass through: only padded to a square and resized.

    Raises
    ------
    ScanError
        If the scan cannot be read.
    """
    if scan.kind == "volume":
        volume = load_volume(cohort.path_of(scan.files[0]))
        chosen = choose_slices(volume, settings)
        return cut_slices(volume, settings, chosen), chosen
    pictures = [
        _to_square(read_picture(cohort.path_of(file)), (1.0, 1.0), settings.size)
        for file in scan.files
    ]
    return np.stack(pictures), np.array(scan.slice_numbers, dtype=np.int64)


def cache_key(cohort: Cohort, settings: SliceSettings) -> str:
    """Return the name of the cache of this content cut with these settings."""
    content = json.dumps([CACHE_VERSION, cohort.identity, asdict(settings)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def prepare_slices(
    cohort: Cohort, cohort_folder: Path, settings: SliceSettings
) -> Operation[SliceSet]:
    """Return all slices of the cohort's included scans, from the cache where it holds them.

    A scan that cannot be read is left out and said in a :class:`Notice`; the others go on.

    Raises
    ------
    CohortError
        If no scan could be read.
    """
    folder = cohort_folder / "slices" / cache_key(cohort, settings)
    ready = _open_cache(folder, cohort.classes)
    if ready is not None:
        yield Progress("Slices are ready", 1, 1)
        return ready
    return (yield from _build_cache(cohort, folder, settings))


def _build_cache(cohort: Cohort, folder: Path, settings: SliceSettings) -> Operation[SliceSet]:
    scans = cohort.included_scans
    rows: list[_Row] = []
    pixels: list[NDArray[np.uint8]] = []
    failed: list[str] = []
    for done, scan in enumerate(scans):
        yield Progress("Cutting slices", done, len(scans))
        try:
            cut, numbers = slices_of_scan(cohort, scan, settings)
        except ScanError as error:
            failed.append(scan.key)
            yield Notice(f"{error} Scan {scan.key} was left out.")
            continue
        pixels.append(cut)
        label = cohort.classes.index(scan.label)
        rows += [(label, scan.subject, scan.session, scan.key, int(number)) for number in numbers]
    if not pixels:
        raise CohortError("No scan of the cohort could be read. Check that its folder is there.")
    try:
        _store_cache(folder, np.concatenate(pixels), rows, is_complete=not failed)
    except OSError as error:
        raise CohortError(
            f"The slices cannot be stored in '{folder.parent}': {error.strerror}. Free space "
            "there, or store the cohort elsewhere."
        ) from error
    return _slice_set(np.load(folder / "pixels.npy", mmap_mode="r"), rows, cohort.classes)


def _store_cache(
    folder: Path, pixels: NDArray[np.uint8], rows: Sequence[_Row], *, is_complete: bool
) -> None:
    """Write pixels, then their index: without an index a cache is not taken for complete.

    One that lacks scans gets none, so that a mended file is read next time.
    """
    (folder / "index.json").unlink(missing_ok=True)
    with atomic_file.replacing(folder / "pixels.npy") as path, path.open("wb") as file:
        np.save(file, pixels)
    if is_complete:
        columns = zip(*rows, strict=True)
        text_file.write_json(folder / "index.json", dict(zip(_INDEX_COLUMNS, columns, strict=True)))


def _open_cache(folder: Path, classes: tuple[str, ...]) -> SliceSet | None:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        rows = list(zip(*(index[name] for name in _INDEX_COLUMNS), strict=True))
        slices = _slice_set(pixels, rows, classes)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    fits = pixels.ndim == 3 and pixels.dtype == np.uint8 and len(rows) == len(pixels)
    return slices if fits and slices.label.max() < len(classes) else None


def _slice_set(
    pixels: NDArray[np.uint8],
    rows: Sequence[_Row],
    classes: tuple[str, ...],
) -> SliceSet:
    label, subject, session, scan, number = zip(*rows, strict=True)
    return SliceSet(
        pixels=pixels,
        label=np.array(label, dtype=np.int64),
        subject=np.array(subject, dtype=str),
        session=np.array(session, dtype=str),
        scan=np.array(scan, dtype=str),
        number=np.array(number, dtype=np.int64),
        classes=classes,
    )


def export_slices(
    cohort: Cohort,
    cohort_folder: Path,
    settings: SliceSettings,
    out: Path,
    *,
    picture_format: str = "png",
) -> Operation[int]:
    """Write every slice as a picture into class folders, with ``manifest.csv``; return how many.

    Raises
    ------
    CohortError
        If no scan could be read, or ``out`` cannot be written.
    """
    slices = yield from prepare_slices(cohort, cohort_folder, settings)
    try:
        yield from _write_pictures(slices, out, picture_format)
    except OSError as error:
        raise CohortError(
            f"The slices cannot be written to '{out}': {error.strerror}. Choose another folder."
        ) from error
    return len(slices)


def _write_pictures(slices: SliceSet, out: Path, picture_format: str) -> Operation[None]:
    rows = []
    for i in range(len(slices)):
        if i % 20 == 0:
            yield Progress("Writing slices", i, len(slices))
        label = slices.classes[slices.label[i]]
        stem = f"{_safe_name(slices.scan[i])}_s{slices.number[i]:03d}"
        name = f"{_safe_name(label)}/{stem}.{picture_format}"
        with atomic_file.replacing(out / name) as temporary:
            Image.fromarray(slices.pixels[i]).save(
                temporary, format="PNG" if picture_format == "png" else "JPEG", quality=95
            )
        rows.append((name, slices.subject[i], slices.session[i], slices.number[i], label))
    text_file.write_csv(
        out / "manifest.csv", ("file", "subject", "session", "slice", "label"), rows
    )


def _safe_name(text: str) -> str:
    # Classes come from tables too: "AD/MCI" or "../AD" must not choose the folder.
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", text).strip(" .") or "_"
