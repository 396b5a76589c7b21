"""Read stored voxels block by block into one float32 array in RAS+, and judge their values."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.data.file_kind import shown_name
from core.data.findings import Finding
from core.data.stored_voxels import (
    StoredVoxels,
    damaged_text,
    open_unpacked,
    refuse_incomplete,
    unreadable_text,
)
from core.errors import ScanError

# Small enough for the processor's cache, large enough that each block costs little.
_BLOCK_BYTES = 1 << 18
# What may follow the voxels of a gzip stream before the rest is left packed.
_TAIL_BYTES = 1 << 20
_SAMPLE_VOXELS = 500_000
_TINY_RANGE = 1e-30
_ENLARGED_BY = np.float32(2.0**100)


def read_voxels(
    stored: StoredVoxels, turn: NDArray[np.float64]
) -> tuple[NDArray[np.float32], tuple[Finding, ...]]:
    """Read the first frame in the order of RAS+; a gzip stream is checked to its end.

    Parameters
    ----------
    stored : StoredVoxels
        Checked by :func:`core.data.stored_voxels.check_size`.
    turn : ndarray, shape (3, 2)
        From ``nibabel.io_orientation``: the RAS+ axis and the direction of each stored axis.

    Returns
    -------
    voxels : ndarray, shape (X, Y, Z), float32
        C order, finite. No second copy and no float64 array is made on the way.
    findings : tuple of Finding

    Raises
    ------
    ScanError
        If bytes are missing or damaged, or there is nothing to show.
    """
    if stored.dtype.kind == "c":
        raise ScanError(
            f"'{shown_name(stored.path)}' holds complex numbers. Save its magnitude as a volume."
        )
    try:
        voxels = _read_turned(stored, turn)
    except ScanError:
        raise
    except MemoryError as error:
        raise ScanError(
            f"'{shown_name(stored.path)}' needs {stored.frame_bytes / 1e9:.1f} GB and there is not "
            "as much memory. Close other programs, or save the scan smaller and choose it again."
        ) from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        is_drive = isinstance(error, OSError) and error.errno is not None
        text = unreadable_text(stored.path) if is_drive else damaged_text(stored.path)
        raise ScanError(text) from error
    findings: tuple[Finding, ...] = ()
    if stored.dtype.names is not None:
        findings = (Finding("Colours were averaged to grey.", "colour"),)
    return voxels, findings + _make_finite(voxels, stored) + contrast_findings(voxels)


def _read_turned(stored: StoredVoxels, turn: NDArray[np.float64]) -> NDArray[np.float32]:
    axes = [int(axis) for axis in turn[:, 0]]
    sides = dict(zip(axes, stored.shape[:3], strict=True))
    voxels = np.empty([sides[axis] for axis in range(3)], dtype=np.float32)
    # The same memory seen along the stored axes, so that blocks fall into place.
    as_stored = voxels.transpose(axes)[
        tuple(slice(None, None, -1 if direction < 0 else 1) for direction in turn[:, 1])
    ]
    with open_unpacked(stored.path) as file:
        file.seek(stored.offset)
        done = 0
        for rows, planes in _blocks(stored):
            part = as_stored[:, rows, planes]
            wanted = part.size * stored.dtype.itemsize
            data = file.read(wanted)
            if len(data) < wanted:
                refuse_incomplete(stored, done + len(data))
            done += wanted
            block = np.frombuffer(data, dtype=stored.dtype).reshape(part.shape, order="F")
            part[...] = _values(block, stored)
        if stored.is_packed:
            _check_rest(file, stored, done)
    return voxels


def _blocks(stored: StoredVoxels) -> Iterator[tuple[slice, slice]]:
    """Yield (rows, planes) in the order of the file, a block at a time."""
    columns, rows, planes = stored.shape[:3]
    row_bytes = columns * stored.dtype.itemsize
    n_rows = min(rows, max(1, _BLOCK_BYTES // row_bytes))
    n_planes = max(1, _BLOCK_BYTES // (row_bytes * rows)) if n_rows == rows else 1
    for plane in range(0, planes, n_planes):
        for row in range(0, rows, n_rows):
            yield slice(row, row + n_rows), slice(plane, plane + n_planes)


def _values(block: NDArray[Any], stored: StoredVoxels) -> NDArray[Any]:
    if stored.dtype.names is not None:
        colours = [block[name] for name in stored.dtype.names[:3]]
        return np.asarray(np.mean(colours, axis=0, dtype=np.float32))
    with np.errstate(over="ignore", invalid="ignore"):
        if (stored.slope, stored.intercept) == (1.0, 0.0):
            return block.astype(np.float32)
        # In float64 as nibabel does, but a block at a time.
        scaled = block.astype(np.float64) * stored.slope + stored.intercept
        return scaled.astype(np.float32)


def _check_rest(file: BinaryIO, stored: StoredVoxels, done: int) -> None:
    """Unpack to the end of the stream: gzip's checksum is compared nowhere else."""
    # Whatever is packed far behind the voxels is not ours to unpack.
    while done <= stored.total_bytes + _TAIL_BYTES and (data := file.read(_BLOCK_BYTES)):
        done += len(data)
    if done < stored.total_bytes:
        refuse_incomplete(stored, done)


def _make_finite(voxels: NDArray[np.float32], stored: StoredVoxels) -> tuple[Finding, ...]:
    """Set what is not finite to 0, in place and a plane at a time."""
    if np.isfinite(voxels.min()) and np.isfinite(voxels.max()):
        return ()
    bad = 0
    for plane in voxels:
        wrong = ~np.isfinite(plane)
        bad += int(np.count_nonzero(wrong))
        plane[wrong] = 0
    if bad == voxels.size:
        raise ScanError(f"'{shown_name(stored.path)}' holds no finite voxel. Export it again.")
    return (Finding(f"{bad} voxels were not finite and are 0.", "not_finite"),)


def contrast_findings(voxels: NDArray[np.float32]) -> tuple[Finding, ...]:
    """Return what is doubtful about finite voxels as a picture; tiny values are enlarged."""
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        text = f"Every voxel has the same value ({low:g}): its slices are black."
        return (Finding(text, "constant"),)
    if all(np.all((plane == low) | (plane == high)) for plane in voxels):
        text = "Holds two values only: it looks like a mask, no scan."
        return (Finding(text, "looks_like_mask"),)
    if high - low < _TINY_RANGE:
        # Below float32's normal numbers every later division would overflow.
        voxels *= _ENLARGED_BY
        text = f"Its values are tiny (at most {high:.1g}); they were enlarged 2^100-fold."
        return (Finding(text, "tiny_range"),)
    return _outlier_findings(voxels, low, high)


def _outlier_findings(voxels: NDArray[np.float32], low: float, high: float) -> tuple[Finding, ...]:
    step = max(1, round((voxels.size / _SAMPLE_VOXELS) ** (1 / 3)))
    sample = voxels[::step, ::step, ::step]
    dark, bright = (float(value) for value in np.percentile(sample, (1, 99)))
    spread = bright - dark
    # In real scans the brightest voxel lies within some ten times this spread.
    if spread > 0 and max(high - bright, dark - low) > 100 * spread:
        text = "Single voxels are far brighter or darker than the rest; the window leaves them out."
        return (Finding(text, "outlier"),)
    return ()
