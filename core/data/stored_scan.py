"""Read from a scan's file only what slicing needs: every second voxel, and the chosen planes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError
from numpy.typing import NDArray

from core.data.nifti_checks import spacing_of
from core.data.stored_voxels import StoredVoxels
from core.data.volume import Volume, find_voxels
from core.errors import ScanError

logger = logging.getLogger(__name__)

# Bytes behind the voxels of a compressed file that are still read for its checksum.
_MAX_TRAILING_BYTES = 1 << 20


@dataclass(frozen=True)
class SliceSource:
    """A scan in RAS+ as slicing sees it.

    Attributes
    ----------
    shape : tuple of int
        Voxels along right, anterior, superior.
    affine : ndarray, shape (4, 4), float64
        Voxel index -> position in mm (right, anterior, superior positive).
    spacing_mm : tuple of float
    half : ndarray, shape (ceil(X/2), ceil(Y/2), ceil(Z/2))
        Every second voxel along each axis, from the first: values (float32), or codes
        (uint8, uint16) where there is a ``table``.
    table : ndarray, shape (256 or 65536,), float32, or None
        Value of each code. Looking values up is several times faster than scaling them.
    take_planes : callable
        (axis, numbers) -> planes (n, A, B), values or codes as ``half``; A and B are the
        two other axes, ascending.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    half: NDArray[Any]
    table: NDArray[np.float32] | None
    take_planes: Callable[[int, Sequence[int] | NDArray[np.int64]], NDArray[Any]]


def source_of_volume(volume: Volume) -> SliceSource:
    """Return a loaded volume as a source of slices."""
    voxels = volume.voxels

    def take_planes(axis: int, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        return np.moveaxis(np.take(voxels, numbers, axis=axis), axis, 0)

    x, y, z = voxels.shape
    return SliceSource(
        shape=(x, y, z),
        affine=volume.affine,
        spacing_mm=volume.spacing_mm,
        half=voxels[::2, ::2, ::2],
        table=None,
        take_planes=take_planes,
    )


@contextmanager
def opened_source(path: Path) -> Iterator[SliceSource | None]:
    """Give the source of slices of a scan of 8- or 16-bit whole numbers; valid in the block.

    Gives None for whatever is out of the common (frames, colours, floating point, damage):
    :func:`core.data.volume.load_volume` then reads it, or says what is wrong with it.
    """
    try:
        layout = _read_layout(path)
    except (ScanError, OSError):
        layout = None
    if layout is None:
        yield None
        return
    try:
        planes = _opened_planes(layout)
    except (OSError, EOFError, ValueError, IsalError) as error:  # type: ignore[misc]
        logger.info("a scan is read the slow way: %s", type(error).__name__)
        yield None
        return
    try:
        yield _source(layout, planes)
    finally:
        planes.close()


@dataclass(frozen=True)
class _Layout:
    """How voxels lie in a file, first axis fastest, and how that is turned to RAS+.

    ``stored_axis[a]`` is the file's axis that runs along axis a of RAS+, backwards where
    ``is_flipped[a]``.
    """

    stored: StoredVoxels
    shape: tuple[int, int, int]
    stored_axis: tuple[int, int, int]
    is_flipped: tuple[bool, bool, bool]
    affine: NDArray[np.float64]
    table: NDArray[np.float32]


def _read_layout(path: Path) -> _Layout | None:
    stored, affine = find_voxels(path)
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        return None
    if any(size != 1 for size in stored.shape[3:]):
        return None
    from nibabel.orientations import inv_ornt_aff, io_orientation

    turn = io_orientation(affine)
    table = _value_table(stored)
    if not np.isfinite(turn).all() or not np.isfinite(table).all():
        return None
    columns, rows, planes = stored.shape[:3]
    to_ras = [int(axis) for axis in turn[:, 0]]
    right, anterior, superior = (to_ras.index(axis) for axis in range(3))
    flips = [bool(direction < 0) for direction in turn[:, 1]]
    return _Layout(
        stored=stored,
        shape=(columns, rows, planes),
        stored_axis=(right, anterior, superior),
        is_flipped=(flips[right], flips[anterior], flips[superior]),
        affine=np.asarray(affine @ inv_ornt_aff(turn, stored.shape[:3]), dtype=np.float64),
        table=table,
    )


def _value_table(stored: StoredVoxels) -> NDArray[np.float32]:
    """Return the value of every code of an 8- or 16-bit type, as loading gives it."""
    codes = np.arange(2 ** (8 * stored.dtype.itemsize), dtype=_code_type(stored))
    values = codes.view(stored.dtype.newbyteorder("="))
    if (stored.slope, stored.intercept) == (1.0, 0.0):
        return values.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values.astype(np.float64) * stored.slope + stored.intercept
        return scaled.astype(np.float32)


def _code_type(stored: StoredVoxels) -> str:
    return f"u{stored.dtype.itemsize}"


class _Planes:
    """The planes of a file along its slowest axis, (J, I) each, one at a time."""

    def __init__(self, layout: _Layout) -> None:
        self._dtype, self._offset = layout.stored.dtype, layout.stored.offset
        self._shape = layout.shape[1], layout.shape[0]
        self._bytes = self._dtype.itemsize * layout.shape[0] * layout.shape[1]
        # Never mapped: a drive that vanishes under a map ends the program.
        self._file = layout.stored.path.open("rb", buffering=0)
        self._buffer = bytearray(self._bytes)

    def read(self, number: int) -> NDArray[Any]:
        """Return one plane; valid until the next is read."""
        self._file.seek(self._offset + number * self._bytes)
        rest = memoryview(self._buffer)
        while rest:
            got = self._file.readinto(rest)
            if not got:
                raise EOFError
            rest = rest[got:]
        return np.frombuffer(self._buffer, self._dtype).reshape(self._shape)

    def close(self) -> None:
        self._file.close()


class _UnpackedPlanes:
    """The same of a compressed file, which can only be read from its start to its end."""

    def __init__(self, layout: _Layout) -> None:
        stored = layout.stored
        wanted = stored.offset + stored.frame_bytes
        with igzip.open(stored.path, "rb") as stream:  # type: ignore[no-untyped-call]
            data = stream.read(wanted)
            # To its end, since the checksum stands there and igzip compares it there.
            trailing = stream.read(_MAX_TRAILING_BYTES + 1)
        if len(data) < wanted or len(trailing) > _MAX_TRAILING_BYTES:
            raise EOFError
        self._voxels = np.frombuffer(data, stored.dtype, offset=stored.offset).reshape(
            layout.shape[::-1]
        )

    def read(self, number: int) -> NDArray[Any]:
        """Return one plane."""
        plane: NDArray[Any] = self._voxels[number]
        return plane

    def close(self) -> None:
        """Nothing is open."""


def _opened_planes(layout: _Layout) -> _Planes | _UnpackedPlanes:
    return _UnpackedPlanes(layout) if layout.stored.is_packed else _Planes(layout)


def _source(layout: _Layout, planes: _Planes | _UnpackedPlanes) -> SliceSource:
    i, j, k = (layout.shape[axis] for axis in layout.stored_axis)

    def take_planes(axis: int, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[Any]:
        return _take_planes(layout, planes, axis, np.asarray(numbers))

    x, y, z = spacing_of(layout.affine)
    return SliceSource(
        shape=(i, j, k),
        affine=layout.affine,
        spacing_mm=(float(x), float(y), float(z)),
        half=_take_half(layout, planes),
        table=layout.table,
        take_planes=take_planes,
    )


def _take_half(layout: _Layout, planes: _Planes | _UnpackedPlanes) -> NDArray[Any]:
    """Return every second voxel of the RAS+ axes, counted from their own first voxel."""
    picks = [slice(None)] * 3
    for axis, stored in enumerate(layout.stored_axis):
        last = layout.shape[stored] - 1
        picks[stored] = slice(last % 2 if layout.is_flipped[axis] else 0, None, 2)
    numbers = range(layout.shape[2])[picks[2]]
    rows, columns = (len(range(layout.shape[axis])[picks[axis]]) for axis in (1, 0))
    half = np.empty((len(numbers), rows, columns), dtype=_code_type(layout.stored))
    codes = half.view(layout.stored.dtype.newbyteorder("="))
    for place, number in enumerate(numbers):
        codes[place] = planes.read(number)[picks[1], picks[0]]
    turned = half.T.transpose(layout.stored_axis)
    return turned[tuple(slice(None, None, -1 if flip else 1) for flip in layout.is_flipped)]


def _take_planes(
    layout: _Layout, planes: _Planes | _UnpackedPlanes, axis: int, numbers: NDArray[np.int64]
) -> NDArray[Any]:
    stored = layout.stored_axis[axis]
    if layout.is_flipped[axis]:
        numbers = layout.shape[stored] - 1 - numbers
    sizes = [layout.shape[i] for i in (2, 1, 0) if i != stored]
    stack = np.empty((len(numbers), *sizes), dtype=_code_type(layout.stored))
    codes = stack.view(layout.stored.dtype.newbyteorder("="))
    if stored == 2:
        for place, number in enumerate(numbers):
            codes[place] = planes.read(int(number))
    else:
        for number in range(layout.shape[2]):
            plane = planes.read(number)
            codes[:, number] = plane[:, numbers].T if stored == 0 else plane[numbers]
    # Axes are (n, slower, faster) of the file; they become (n, lower, higher) of RAS+.
    slower, faster = (layout.stored_axis.index(i) for i in (2, 1, 0) if i != stored)
    if slower > faster:
        stack = stack.transpose(0, 2, 1)
    flips = [layout.is_flipped[i] for i in sorted((slower, faster))]
    return stack[:, :: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
