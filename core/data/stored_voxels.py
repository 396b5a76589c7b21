"""Where a scan's voxels lie on disk, and whether they are all there and of a bearable size."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import numpy as np

from core.data.file_kind import shown_name
from core.errors import ScanError

_MAX_DECODED_BYTES = 2 * 1024**3
# A brain scan shrinks to a half or a third, skull-stripped to a tenth; a file that grows a
# hundredfold beyond a quarter of a gigabyte is made to fill the memory.
_MAX_UNPACKED_RATIO, _RATIO_MATTERS_FROM_BYTES = 100, 256 * 1024**2
# What deflate can reach at most (zlib's technical notes).
_DEFLATE_LIMIT = 1032


@dataclass(frozen=True)
class StoredVoxels:
    """Where and how a scan's voxels lie on disk, first axis fastest.

    Attributes
    ----------
    path : Path
        The file with the voxels: for a pair the ``.img``.
    shape : tuple of int
        At least three sides, and the number of frames where there are several.
    dtype : dtype
        Of one stored voxel, with its byte order; a record for colours.
    offset : int
        Of the first voxel, bytes (unpacked).
    slope, intercept : float
        value = slope * stored + intercept.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def frame_bytes(self) -> int:
        """Bytes of one 3-D frame, a Python integer that cannot overflow."""
        return math.prod(self.shape[:3]) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Bytes of all frames."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_packed(self) -> bool:
        """Whether the file is a gzip stream, by its name."""
        return is_packed_name(self.path.name)


def is_packed_name(name: str) -> bool:
    """Tell whether a file name is that of a gzip stream."""
    return name.lower().endswith((".gz", ".mgz"))


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip where its name says so."""
    if is_packed_name(path.name):
        return cast(BinaryIO, gzip.open(path))
    return path.open("rb")


def analyze_partner(path: Path) -> Path:
    """Return the ``.img`` of a ``.hdr``, or the ``.hdr`` of an ``.img``, same case and packing."""
    stem, packing = path.name, ""
    if stem.lower().endswith(".gz"):
        stem, packing = stem[:-3], stem[-3:]
    other = {".hdr": ".img", ".img": ".hdr"}[stem[-4:].lower()]
    return path.with_name(stem[:-4] + (other.upper() if stem[-4:].isupper() else other) + packing)


def unreadable_text(path: Path) -> str:
    """Return the sentence on a file that the drive failed to deliver."""
    return (
        f"'{shown_name(path)}' cannot be read to its end: the drive fails. "
        "Reconnect it, or copy the file again from the source."
    )


def damaged_text(path: Path) -> str:
    """Return the sentence on a gzip stream that breaks off or fails its checksum."""
    return (
        f"'{shown_name(path)}' is damaged (its checksum does not match or its end is missing). "
        "Copy it again from the source."
    )


def check_size(stored: StoredVoxels) -> None:
    """Check that the voxels are a volume, of a bearable size, and all there.

    Raises
    ------
    ScanError
        If they are not.
    """
    name, sides = shown_name(stored.path), stored.shape[:3]
    # A single row of voxels is no picture in any plane.
    if min(stored.shape) < 1 or sorted(sides)[1] < 2:
        raise ScanError(
            f"'{name}' is too small to be a scan: it has {' x '.join(map(str, sides))} voxels "
            "and no 3-D volume. Choose the T1 scan."
        )
    if math.prod(stored.shape[4:]) > 1:
        raise ScanError(f"'{name}' has {len(stored.shape)} dimensions. Save one 3-D volume of it.")
    # Of a plain series only the first frame is read; a packed one is unpacked to its end.
    unpacked = stored.total_bytes if stored.is_packed else stored.frame_bytes
    if max(unpacked, 4 * math.prod(sides)) > _MAX_DECODED_BYTES:
        raise ScanError(
            f"'{name}' claims {stored.total_bytes / 1e9:.1f} GB of voxels: too large for a brain "
            "scan. Its header is damaged, or it must be cut smaller; export it again."
        )
    on_disk = stored.path.stat().st_size
    there = on_disk - stored.offset
    if stored.is_packed:
        wanted = stored.total_bytes
        if wanted > on_disk * _MAX_UNPACKED_RATIO and wanted > _RATIO_MATTERS_FROM_BYTES:
            raise ScanError(
                f"'{name}' is unusually compressed: its {_size_text(on_disk)} claim "
                f"{_size_text(wanted)} of voxels. Unpack it yourself if it is genuine."
            )
        there = on_disk * _DEFLATE_LIMIT
    if there < stored.total_bytes:
        refuse_incomplete(stored, there)


def refuse_incomplete(stored: StoredVoxels, there: int) -> NoReturn:
    """Refuse a file that holds ``there`` bytes of voxels only.

    Raises
    ------
    ScanError
        Always.
    """
    raise ScanError(
        f"'{shown_name(stored.path)}' is incomplete: {_size_text(max(there, 0))} of "
        f"{_size_text(stored.total_bytes)} are there. Copy it again from the source."
    )


def _size_text(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 100_000 else f"{n_bytes} bytes"
