"""DICOM files to series and a series to a volume in RAS+; nothing of who was scanned is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.dicom_codecs import decode
from core.data.dicom_file import (
    DicomSlice,
    NoSliceError,
    PixelLayout,
    is_available,
    is_dicom,
    read_slices,
)
from core.data.dicom_series import Series, arrange, name_of, orientations
from core.data.drive import retried
from core.data.file_kind import shown_name
from core.data.findings import Finding
from core.data.nifti_checks import spacing_of
from core.data.pydicom_gateway import missing_pydicom
from core.data.study_keys import StudyKeys, write_key_file
from core.data.volume import Volume
from core.data.voxel_reading import contrast_findings
from core.errors import ScanError

__all__ = [
    "FoundSeries",
    "NoSliceError",
    "Series",
    "SeriesFinder",
    "StudyKeys",
    "find_series",
    "is_available",
    "is_dicom",
    "load_series",
    "missing_pydicom",
    "write_key_file",
]


@dataclass(frozen=True)
class FoundSeries:
    """Series among files, in order of their first file, and what could not be used.

    Attributes
    ----------
    series : tuple of Series
    skipped : tuple of (Path, ScanError)
        A file and why it is left out; :class:`NoSliceError` for what is no slice at all.
    """

    series: tuple[Series, ...]
    skipped: tuple[tuple[Path, ScanError], ...]


class SeriesFinder:
    """Gathers files one by one, so that a caller can show progress and stop in between.

    Slices are of one series where header and folder say so: a copy of a series in another
    folder is a scan of its own.

    Raises
    ------
    ScanError
        If pydicom is missing.
    """

    def __init__(self) -> None:
        if not is_available():
            raise ScanError(missing_pydicom())
        self._groups: dict[tuple[Path, str], list[DicomSlice]] = defaultdict(list)
        self._skipped: list[tuple[Path, ScanError]] = []

    def add(self, path: Path) -> None:
        """Read the header of a file; what cannot be read is listed as skipped."""
        try:
            slices = read_slices(path)
        except ScanError as error:
            self._skipped.append((path, error))
        else:
            self._groups[path.parent, slices[0].series] += slices

    def found(self) -> FoundSeries:
        """Sort the slices of each series by position."""
        series, skipped = [], list(self._skipped)
        for group in self._groups.values():
            try:
                series.append(arrange(group))
            except ScanError as error:
                skipped.append((group[0].path, error))
        return FoundSeries(tuple(series), tuple(skipped))


def find_series(paths: Iterable[Path]) -> FoundSeries:
    """Group DICOM files into series and sort each by position; only headers are read.

    One bad file never hides the good ones: it is listed with its reason.

    Raises
    ------
    ScanError
        If pydicom is missing.
    """
    finder = SeriesFinder()
    for path in sorted(paths):
        finder.add(path)
    return finder.found()


def load_series(paths: Sequence[Path]) -> Volume:
    """Load the scan that the files hold as float32 in RAS+.

    Of several series the longest is used, and a warning says so. Files that are no slices
    (an index, a note) are passed over.

    Raises
    ------
    ScanError
        If a slice is damaged or gone, or the slices make no volume.
    """
    found = find_series(paths)
    for _, error in found.skipped:
        if not found.series or not isinstance(error, NoSliceError):
            raise error
    if not found.series:
        raise ScanError("There is no DICOM file to read. Choose the folder of the scan.")
    series = max(found.series, key=lambda item: len(item.slices))
    warnings = series.warnings
    if len(found.series) > 1:
        text = (
            f"Holds {len(found.series)} series; the longest, of {len(series.slices)} slices, is "
            "used. Put each series into a folder of its own."
        )
        warnings = (Finding(text, "several_series"), *warnings)
    return _load(series, warnings)


def _load(series: Series, warnings: tuple[str, ...]) -> Volume:
    nib = orientations()
    turn = nib.io_orientation(series.affine)
    shape = [series.shape[list(turn[:, 0]).index(axis)] for axis in range(3)]
    try:
        voxels = np.empty(shape, dtype=np.float32)
    except MemoryError as error:
        raise ScanError(
            f"There is not enough memory for {name_of(series.slices[0])}. Close other programs, "
            "or export the series smaller."
        ) from error
    # The same memory in the order of the files, so that it is filled without a second copy.
    back = nib.ornt_transform([[0, 1], [1, 1], [2, 1]], turn)
    stored = nib.apply_orientation(voxels, back)
    for k, (item, raw) in enumerate(zip(series.slices, _raw_pixels(series), strict=True)):
        stored[:, :, k] = _scaled(item, raw).T
    if series.slices[0].is_inverted:
        np.subtract(voxels.min() + voxels.max(), voxels, out=voxels)
    affine = series.affine @ nib.inv_ornt_aff(turn, series.shape)
    x, y, z = spacing_of(affine)
    return Volume(
        voxels=voxels,
        affine=affine,
        spacing_mm=(float(x), float(y), float(z)),
        sides_certain=series.sides_certain,
        warnings=(*warnings, *contrast_findings(voxels)),
    )


def _raw_pixels(series: Series) -> Iterator[NDArray[Any]]:
    """Yield the pixels of each slice as stored, shape (rows, columns)."""
    packed = [
        (item.path, item.frame, (item.layout.rows, item.layout.columns), item.layout.dtype)
        for item in series.slices
        if item.is_compressed
    ]
    unpacked = decode(packed, name_of(series.slices[0]))
    for item in series.slices:
        yield next(unpacked) if item.is_compressed else _read_pixels(item)


def _read_pixels(item: DicomSlice) -> NDArray[Any]:
    layout = item.layout
    content = _bytes_at(item.path, item.pixels_at, layout.n_bytes)
    if len(content) < layout.n_bytes:
        raise ScanError(
            f"'{shown_name(item.path)}' is incomplete: it has changed while it was read. Copy it "
            "again from the source."
        )
    return np.frombuffer(content, dtype=layout.dtype).reshape(layout.rows, layout.columns)


@retried
def _bytes_at(path: Path, start: int, n_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(n_bytes)
    except OSError as error:
        raise ScanError(
            f"'{shown_name(path)}' cannot be read: {error.strerror}. Check the drive and its "
            "access rights."
        ) from error


def _scaled(item: DicomSlice, raw: NDArray[Any]) -> NDArray[np.float32]:
    """Return the values that stored pixels stand for."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = _stored_values(raw, item.layout) * np.float32(item.slope)
        values += np.float32(item.intercept)
    if not np.isfinite(values).all():
        raise ScanError(
            f"The scaling (rescale slope and intercept) in the header of '{shown_name(item.path)}' "
            "is impossible. Export it again."
        )
    return np.asarray(values, dtype=np.float32)


def _stored_values(raw: NDArray[Any], layout: PixelLayout) -> NDArray[np.float32]:
    """Return the pixels' own bits: others of the word may hold drawings over the picture."""
    bits = raw.dtype.itemsize * 8
    if layout.bits_stored < bits:
        # Up until the value's top bit is the word's, then down: this keeps its sign.
        native = raw.astype(raw.dtype.newbyteorder("="))
        raw = (native << (bits - layout.bits_stored - layout.shift)) >> (bits - layout.bits_stored)
    return raw.astype(np.float32)
