"""Read one DICOM file within bounds: where its pixels lie and how, never who was scanned."""

from __future__ import annotations

import logging
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from core.data.dicom_codecs import COMPRESSED, check_pieces, require_codec
from core.data.dicom_values import (
    Vector,
    first_numbers,
    hashed,
    numbers,
    raw,
    text,
    text_hash,
    whole_number,
)
from core.data.drive import once_more, retried
from core.data.file_kind import shown_name
from core.data.person_names import word_hashes
from core.data.pydicom_gateway import quiet_pydicom
from core.errors import ScanError

logger = logging.getLogger(__name__)

MAX_VOLUME_BYTES = 2 * 1024**3
_MAX_FRAMES = 4096
_MARK, _MARK_AT = b"DICM", 128
# The header of a slice has some kB and a hundred entries, that of a thousand frames some MB and
# fifty thousand. pydicom reads about 200 000 entries a second.
_MAX_HEADER_BYTES, _MAX_HEADER_READS = 32 * 1024**2, 200_000
_LONGEST_VALUE_BYTES = 2 * 1024**2
_PROGRAM_MARKS = (b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
# "DOE^JANE": how DICOM writes a person's name.
_PERSON_NAME = re.compile(rb"[A-Za-z]{2,}\^[A-Za-z]{2,}")
_NO_NAME = re.compile(rb"(?i)\d|^(anon|unknown|none|no.?name|de-?id|removed|phantom|test|x+$)")
_TEXT_VRS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "UN", None)

_UNCOMPRESSED = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.2": ">",
}
_UNREAD_STARTS = {
    "1.2.840.10008.1.2.1.99": "deflate",
    "1.2.840.10008.1.2.4.": "a rare kind of JPEG, or video",
}

_PATIENT_NAME, _PATIENT_ID, _BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
_STUDY_UID, _SERIES_UID, _INSTANCE_NUMBER = 0x0020000D, 0x0020000E, 0x00200013
_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_THICKNESS, _BETWEEN_SLICES = 0x00180050, 0x00180088
_SAMPLES, _PHOTOMETRIC, _FRAMES = 0x00280002, 0x00280004, 0x00280008
_ROWS, _COLUMNS, _PIXEL_SPACING = 0x00280010, 0x00280011, 0x00280030
_BITS_ALLOCATED, _BITS_STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_INTERCEPT, _SLOPE, _BURNED_IN = 0x00281052, 0x00281053, 0x00280301
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_PLANE_POSITION, _PLANE_ORIENTATION = 0x00209113, 0x00209116
_PIXEL_MEASURES, _PIXEL_TRANSFORM = 0x00289110, 0x00289145
_PIXELS = 0x7FE00010


class NoSliceError(ScanError):
    """A file that is no picture of a scan, such as an index or a note beside the slices."""


@dataclass(frozen=True)
class PixelLayout:
    """How a slice's pixels are stored.

    Attributes
    ----------
    rows, columns : int
    dtype : str
        Of one stored pixel, with its byte order, as in ``<u2``.
    bits_stored, shift : int
        A pixel's value has ``bits_stored`` bits, from bit ``shift`` on.
    """

    rows: int
    columns: int
    dtype: str
    bits_stored: int
    shift: int

    @property
    def n_bytes(self) -> int:
        """Bytes of one slice."""
        return self.rows * self.columns * int(self.dtype[2])


@dataclass(frozen=True)
class DicomSlice:
    """One slice: a DICOM file, or one frame of it.

    Attributes
    ----------
    path : Path
    frame : int
        0 in a file of one slice.
    series, patient : str
        Hashes that tell whether two slices belong together; they hold no text of the header.
    number : int
        The scanner's count; 0 where it is missing.
    layout : PixelLayout
    pixels_at : int
        Where the slice's first pixel lies in the file.
    position_mm : tuple of float, optional
        Of the first pixel's centre (left, posterior, superior positive).
    directions : tuple of float, optional
        Unit vectors along a row (first three) and along a column, in the same axes.
    pixel_mm : tuple of float, optional
        Distance of rows and of columns.
    thickness_mm : float
        Distance of slices as the header has it; 0 where it does not.
    slope, intercept : float
        Stored pixel -> value.
    is_inverted : bool
        Whether small values are bright.
    doubts : frozenset of str
        ``identifiers``, ``burned_in``, ``preamble``, ``no_patient_id``.
    is_compressed : bool
        Whether the pixels must be unpacked first; ``pixels_at`` is then where the file's packed
        pictures begin.
    name_words : frozenset of str
        Hashes of the words of the patient's name, to notice them in the names of folders.
    """

    path: Path
    frame: int
    series: str = field(repr=False)
    patient: str = field(repr=False)
    number: int
    layout: PixelLayout
    pixels_at: int
    position_mm: Vector | None
    directions: Vector | None
    pixel_mm: Vector | None
    thickness_mm: float
    slope: float
    intercept: float
    is_inverted: bool
    doubts: frozenset[str]
    is_compressed: bool = False
    name_words: frozenset[str] = field(default=frozenset(), repr=False)


def is_dicom(path: Path) -> bool:
    """Tell by its content, not its name, whether a file is a DICOM file."""
    try:
        return once_more(lambda: _has_mark(_start_of(path)))
    except OSError:
        return False


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MARK_AT + len(_MARK))


def is_available() -> bool:
    """Tell whether DICOM files can be read here (pydicom is an extra)."""
    try:
        quiet_pydicom()
    except ScanError:
        return False
    return True


@retried
def read_slices(path: Path) -> tuple[DicomSlice, ...]:
    """Read the header of a DICOM file and check it against the file's size; no pixel is read.

    Returns
    -------
    tuple of DicomSlice
        One for each frame.

    Raises
    ------
    NoSliceError
        If the file is none of DICOM, or holds no picture.
    ScanError
        If it is damaged, incomplete, or stored in a way that is not read here.
    """
    try:
        if not path.is_file():
            raise ScanError(
                f"'{shown_name(path)}' is no longer there. Reconnect the drive or put it back."
            )
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_MARK_AT + len(_MARK))
            _check_start(path, start)
            syntax = _transfer_syntax(file)
            byte_order = _byte_order(path, syntax)
            dataset, at = _read_header(path, file, size)
            length, data_at = _pixel_element(file, at, dataset)
            if length is not None and syntax in COMPRESSED:
                check_pieces(path, file, data_at, size)
    except OSError as error:
        raise ScanError(
            f"'{shown_name(path)}' cannot be read: {error.strerror}. Check the drive and its "
            "access rights."
        ) from error
    if length is None:
        raise NoSliceError(
            f"'{shown_name(path)}' holds no image (no pixel data): it may be a report or an index. "
            "Choose the files of the scan."
        )
    layout, n_frames = _read_layout(path, dataset, byte_order)
    if syntax in COMPRESSED:
        _check_sizes(path, layout, n_frames)
        require_codec(path, syntax, layout.bits_stored)
        places = [data_at] * n_frames
        packed = _slices(path, dataset, start, layout, places)
        return tuple(replace(item, is_compressed=True) for item in packed)
    _check_length(path, min(length, size - data_at), layout, n_frames)
    _check_sizes(path, layout, n_frames)
    places = [data_at + layout.n_bytes * frame for frame in range(n_frames)]
    return _slices(path, dataset, start, layout, places)


def _has_mark(start: bytes) -> bool:
    return start[_MARK_AT:] == _MARK


def _check_start(path: Path, start: bytes) -> None:
    if not start:
        raise NoSliceError(
            f"'{shown_name(path)}' is empty (0 bytes). Copy it again from the source."
        )
    if not _has_mark(start):
        raise NoSliceError(
            f"'{shown_name(path)}' is not a DICOM file: its DICM mark is missing. Export it again."
        )


def _transfer_syntax(file: BinaryIO) -> str:
    """Find how the file is stored before pydicom sees it: it would unpack any amount of data."""
    for _ in range(64):
        head = file.read(8)
        if len(head) < 8:
            return ""
        group, element, vr, length = struct.unpack("<HH2sH", head)
        if vr in (b"OB", b"UN", b"UT", b"OW", b"SQ"):
            more = file.read(4)
            length = struct.unpack("<L", more)[0] if len(more) == 4 else 0
        if group != 2:
            return ""
        if element == 0x10:
            return file.read(length).strip(b"\0 ").decode("ascii", "replace")
        file.seek(length, 1)
    return ""


def _byte_order(path: Path, syntax: str) -> str:
    if not syntax:
        raise ScanError(
            f"'{shown_name(path)}' is incomplete or damaged: its header does not say how it is "
            "stored. Copy it again from the source."
        )
    if syntax in _UNCOMPRESSED:
        return _UNCOMPRESSED[syntax]
    if syntax in COMPRESSED:
        return "<"
    for start, name in _UNREAD_STARTS.items():
        if syntax.startswith(start):
            raise ScanError(
                f"'{shown_name(path)}' is compressed ({name}), which is not supported. Export it "
                "uncompressed, or convert the folder to NIfTI with dcm2niix."
            )
    raise ScanError(
        f"'{shown_name(path)}' is stored in a format (transfer syntax) that is not supported. "
        "Export it uncompressed, or convert the folder to NIfTI with dcm2niix."
    )


class _HeaderTooLongError(Exception):
    """The header is longer than any scan's."""


class _BoundedFile:
    """A file whose header may be read only up to a limit, and whose lengths are not believed."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._bytes_left, self._reads_left = _MAX_HEADER_BYTES, _MAX_HEADER_READS

    def read(self, n_bytes: int = -1) -> bytes:
        there = max(self._size - self._file.tell(), 0)
        n_bytes = there if n_bytes < 0 else min(n_bytes, there)
        self._bytes_left -= n_bytes
        self._reads_left -= 1
        if min(self._bytes_left, self._reads_left) < 0:
            raise _HeaderTooLongError
        return self._file.read(n_bytes)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Leave the file open: its owner closes it."""


def _read_header(path: Path, file: BinaryIO, size: int) -> tuple[Any, int]:
    """Return the elements before the pixels, and where they end."""
    pydicom = quiet_pydicom()
    file.seek(0)
    try:
        dataset = pydicom.dcmread(
            _BoundedFile(file, size), stop_before_pixels=True, defer_size=_LONGEST_VALUE_BYTES
        )
    except OSError:
        raise
    except RecursionError:
        raise ScanError(
            f"The header of '{shown_name(path)}' is damaged: its entries are nested without end. "
            "Export it again."
        ) from None
    except _HeaderTooLongError:
        raise ScanError(
            f"The header of '{shown_name(path)}' is too large for one scan, or damaged. Export it "
            "again, or convert the folder to NIfTI with dcm2niix."
        ) from None
    except Exception as error:  # noqa: BLE001 - damaged bytes raise all kinds
        logger.info("pydicom refused a file: %s", type(error).__name__)
        # Without its cause, whose text may quote the header.
        raise ScanError(
            f"The header of '{shown_name(path)}' is damaged and cannot be read. Copy the file "
            "again from the source."
        ) from None
    return dataset, file.tell()


def _pixel_element(file: BinaryIO, at: int, dataset: Any) -> tuple[int | None, int]:  # noqa: ANN401
    """Return the length that the pixel element at ``at`` claims, and where its value starts."""
    is_implicit, is_little = dataset.original_encoding
    order = "<" if is_little else ">"
    file.seek(at)
    head = file.read(12)
    if len(head) < 8:
        return None, at
    group, element = struct.unpack(order + "HH", head[:4])
    if group << 16 | element != _PIXELS:
        return None, at
    if is_implicit:
        return struct.unpack(order + "L", head[4:8])[0], at + 8
    if head[4:6] in (b"OB", b"OW", b"UN"):
        return (struct.unpack(order + "L", head[8:])[0], at + 12) if len(head) == 12 else (0, at)
    return struct.unpack(order + "H", head[6:8])[0], at + 8


def _read_layout(path: Path, dataset: Any, byte_order: str) -> tuple[PixelLayout, int]:  # noqa: ANN401
    rows, columns = (whole_number(dataset, tag, byte_order) for tag in (_ROWS, _COLUMNS))
    if not rows or not columns:
        raise ScanError(
            f"'{shown_name(path)}' has an empty picture (its size is {rows or 0} rows x "
            f"{columns or 0} columns). Export it again."
        )
    photometric = text(dataset, _PHOTOMETRIC).upper()
    if whole_number(dataset, _SAMPLES, byte_order) not in (None, 1) or not photometric.startswith(
        "MONOCHROME"
    ):
        raise ScanError(
            f"'{shown_name(path)}' is a colour picture, such as a screen shot, no scan. Choose the "
            "series of the scan."
        )
    allocated = whole_number(dataset, _BITS_ALLOCATED, byte_order) or 0
    stored = whole_number(dataset, _BITS_STORED, byte_order) or allocated
    high = whole_number(dataset, _HIGH_BIT, byte_order)
    high = stored - 1 if high is None else high
    if allocated not in (8, 16, 32) or not 0 < stored <= high + 1 <= allocated:
        raise ScanError(
            f"'{shown_name(path)}' stores its pixels in a format (bits for a pixel) that is not "
            "supported. Export it with 16 bits."
        )
    kind = "i" if whole_number(dataset, _SIGNED, byte_order) == 1 else "u"
    layout = PixelLayout(
        rows, columns, f"{byte_order}{kind}{allocated // 8}", stored, high + 1 - stored
    )
    frames = numbers(dataset, _FRAMES)
    n_frames = int(frames[0]) if frames else 1
    if n_frames < 1:
        raise ScanError(f"'{shown_name(path)}' claims to have no frames. Export it again.")
    return layout, n_frames


def _check_length(path: Path, there: int, layout: PixelLayout, n_frames: int) -> None:
    wanted = layout.n_bytes * n_frames
    if there < wanted:
        raise ScanError(
            f"'{shown_name(path)}' is incomplete, shorter than its header says: "
            f"{_size_text(there)} of {_size_text(wanted)} of pixels are there. "
            "Copy it again from the source."
        )


def _check_sizes(path: Path, layout: PixelLayout, n_frames: int) -> None:
    wanted = layout.n_bytes * n_frames
    if wanted > MAX_VOLUME_BYTES or n_frames > _MAX_FRAMES:
        raise ScanError(
            f"'{shown_name(path)}' is too large for a brain scan ({_size_text(wanted)} of pixels, "
            f"{n_frames} frames). Export one scan only."
        )


def _size_text(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 100_000 else f"{max(n_bytes, 0)} bytes"


def _slices(
    path: Path,
    dataset: Any,  # noqa: ANN401
    start: bytes,
    layout: PixelLayout,
    places: list[int],
) -> tuple[DicomSlice, ...]:
    series = hashed(dataset, _SERIES_UID) or text_hash(str(path.parent).encode("utf-8", "replace"))
    patient = hashed(dataset, _PATIENT_ID) or hashed(dataset, _STUDY_UID) or series
    counted = numbers(dataset, _INSTANCE_NUMBER)
    number = int(counted[0]) if counted else 0
    is_inverted = text(dataset, _PHOTOMETRIC).upper().startswith("MONOCHROME1")
    doubts = frozenset(_doubts(dataset, start))
    words = word_hashes(raw(dataset, _PATIENT_NAME).decode("utf-8", "replace"))
    result = []
    for frame, (place, groups) in enumerate(
        zip(places, _frame_groups(path, dataset, len(places)), strict=True)
    ):
        slope, intercept = _scaling(path, groups)
        result.append(
            DicomSlice(
                path=path,
                frame=frame,
                series=series,
                patient=patient,
                number=number + frame,
                layout=layout,
                pixels_at=place,
                position_mm=first_numbers(groups, _POSITION, 3),
                directions=_directions(groups),
                pixel_mm=_pixel_mm(groups),
                thickness_mm=_slice_distance(groups),
                slope=slope,
                intercept=intercept,
                is_inverted=is_inverted,
                doubts=doubts,
                name_words=words,
            )
        )
    return tuple(result)


def _frame_groups(path: Path, dataset: Any, n_frames: int) -> Iterator[list[Any]]:  # noqa: ANN401
    """Yield, for each frame, the data sets to look for its place in, the nearest first."""
    if n_frames == 1 and _PER_FRAME not in dataset:
        yield [dataset]
        return
    try:
        shared = _functional_groups(dataset[_SHARED].value[0]) if _SHARED in dataset else []
        frames = [_functional_groups(item) for item in dataset[_PER_FRAME].value]
    except Exception as error:  # noqa: BLE001 - damaged bytes raise all kinds
        logger.info("Frames of a DICOM file were not understood: %s", type(error).__name__)
        frames = []
    if len(frames) != n_frames:
        raise ScanError(
            f"'{shown_name(path)}' holds {n_frames} frames and does not say where each lies. "
            "Export one file for each slice, or convert it to NIfTI with dcm2niix."
        )
    for own in frames:
        yield [*own, *shared, dataset]


def _functional_groups(item: Any) -> list[Any]:  # noqa: ANN401
    tags = (_PLANE_POSITION, _PLANE_ORIENTATION, _PIXEL_MEASURES, _PIXEL_TRANSFORM)
    return [item[tag].value[0] for tag in tags if tag in item]


def _scaling(path: Path, groups: list[Any]) -> tuple[float, float]:
    result = []
    for tag, default in ((_SLOPE, 1.0), (_INTERCEPT, 0.0)):
        if not any(raw(dataset, tag).strip(b"\0 ") for dataset in groups):
            result.append(default)
            continue
        values = first_numbers(groups, tag, 1)
        if values is None or (tag == _SLOPE and values[0] == 0):
            raise ScanError(
                f"The scaling (rescale slope and intercept) in the header of '{shown_name(path)}' "
                "is impossible. Export it again."
            )
        result.append(values[0])
    return result[0], result[1]


def _slice_distance(groups: list[Any]) -> float:
    distance = first_numbers(groups, _BETWEEN_SLICES, 1) or first_numbers(groups, _THICKNESS, 1)
    return abs(distance[0]) if distance else 0.0


def _directions(groups: list[Any]) -> Vector | None:
    """Return the two directions if they are unit vectors at right angles, as they must be."""
    values = first_numbers(groups, _ORIENTATION, 6)
    if values is None:
        return None
    row, column = values[:3], values[3:]
    lengths = math.hypot(*row), math.hypot(*column)
    dot = sum(a * b for a, b in zip(row, column, strict=True))
    if any(abs(length - 1) > 0.01 for length in lengths) or abs(dot) > 0.01:
        return None
    return tuple(v / lengths[i // 3] for i, v in enumerate(values))


def _pixel_mm(groups: list[Any]) -> Vector | None:
    values = first_numbers(groups, _PIXEL_SPACING, 2)
    return values if values is not None and all(0.001 < v < 1000 for v in values) else None


def _doubts(dataset: Any, start: bytes) -> Iterator[str]:  # noqa: ANN401
    if not hashed(dataset, _PATIENT_ID):
        yield "no_patient_id"
    if start.startswith(_PROGRAM_MARKS):
        yield "preamble"
    if raw(dataset, _BURNED_IN).strip(b"\0 ").upper() == b"YES":
        yield "burned_in"
    name = raw(dataset, _PATIENT_NAME).strip(b"\0 ^")
    has_name = bool(name) and (b"^" in name or not _NO_NAME.search(name))
    if has_name or raw(dataset, _BIRTH_DATE).strip(b"\0 ") or _names_a_person(dataset):
        yield "identifiers"


def _names_a_person(dataset: Any) -> bool:  # noqa: ANN401
    """Look for a name in the text entries; scanners keep a second copy in private ones."""
    for tag in dataset.keys():  # noqa: SIM118 - iterating itself would convert the values
        item = dataset.get_item(tag, keep_deferred=True)
        if not isinstance(item.value, bytes) or item.VR not in _TEXT_VRS:
            continue
        if _PERSON_NAME.search(item.value):
            return True
    return False
