"""Fingerprints of slices: a digest that equal pixels share, and the perceptual hash; kept on disk.

They do not depend on the split, so that another one is audited without reading the pixels again.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import array_file, atomic_file
from core.array_file import ArrayFileError
from core.data.picture_hash import HASH_BITS, SMALLEST_PICTURE, hash_pictures
from core.data.slices import SliceSet
from core.progress import Operation, Progress

logger = logging.getLogger(__name__)

PRINTS_VERSION = 1
_BATCH = 256


@dataclass(frozen=True)
class SlicePrints:
    """The fingerprints of n slices.

    Attributes
    ----------
    digest : ndarray, shape (n,), int
        A number for each slice, the same for equal pixels; -1 for black ones, which are
        equal in all scans and tell nothing.
    hash : ndarray, shape (n, 4), uint64
        Of :func:`core.data.picture_hash.hash_pictures`; no rows where slices are too small.
    """

    digest: NDArray[np.int64]
    hash: NDArray[np.uint64]


def take_prints(slices: SliceSet) -> Operation[SlicePrints]:
    """Return the fingerprints of slices; those of the slice cache are kept beside it.

    The file may be deleted at any time.
    """
    place = _place_of(slices)
    stamp = _stamp(place[0], len(slices)) if place is not None else None
    if place is not None and stamp is not None:
        stored = _read(place[1], stamp)
        if stored is not None:
            return stored
    prints = yield from _compute(slices)
    if place is not None and stamp is not None:
        try:
            _write(place[1], stamp, prints)
        except OSError as error:
            # They only save time.
            logger.info("fingerprints were not kept: %s", error.strerror)
    return prints


def _compute(slices: SliceSet) -> Operation[SlicePrints]:
    count = len(slices)
    digests = np.zeros((count, 2), dtype=np.uint64)
    is_hashed = slices.pixels.shape[1] >= SMALLEST_PICTURE
    hashes = np.zeros((count if is_hashed else 0, HASH_BITS // 64), dtype=np.uint64)
    batch = 8 if slices.are_cubes else _BATCH
    for start in range(0, count, batch):
        yield Progress("Reading slices", start, count)
        pixels = np.ascontiguousarray(slices.pixels[start : start + batch])
        for row, picture in enumerate(pixels, start=start):
            if picture.any():
                digest = hashlib.blake2b(picture.data, digest_size=16).digest()
                digests[row] = np.frombuffer(digest, dtype=np.uint64)
        if is_hashed:
            # Of a cube its middle layer.
            pictures = pixels[:, pixels.shape[1] // 2] if slices.are_cubes else pixels
            hashes[start : start + batch] = hash_pictures(pictures)
    return SlicePrints(_numbers_of(digests), hashes)


def _numbers_of(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    numbers = np.full(len(digests), -1, dtype=np.int64)
    shown = digests.any(axis=1)
    if shown.any():
        _, numbers[shown] = np.unique(digests[shown], axis=0, return_inverse=True)
    return numbers


def _place_of(slices: SliceSet) -> tuple[Path, Path] | None:
    """Return the file of the pixels and where their fingerprints are kept, if they are a file."""
    filename = getattr(slices.pixels, "filename", None)
    if filename is None:
        return None
    pixels = Path(filename)
    return pixels, pixels.with_name("prints.npz")


def _stamp(pixels: Path, count: int) -> NDArray[np.int64] | None:
    """Return what tells the present pixels from earlier ones in the same place."""
    try:
        status = pixels.stat()
    except OSError:
        return None
    return np.array([PRINTS_VERSION, count, status.st_size, status.st_mtime_ns], dtype=np.int64)


def _read(path: Path, stamp: NDArray[np.int64]) -> SlicePrints | None:
    try:
        found, digest, hashes = array_file.read_arrays(path, ("stamp", "digest", "hash"))
    except (OSError, ArrayFileError):
        return None
    if not np.array_equal(found, stamp):
        return None
    prints = SlicePrints(digest, hashes)
    count = int(stamp[1])
    fits = prints.digest.shape == (count,) and prints.hash.shape[0] in (0, count)
    return prints if fits else None


def _write(path: Path, stamp: NDArray[np.int64], prints: SlicePrints) -> None:
    with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
        arrays = {"stamp": stamp, "digest": prints.digest, "hash": prints.hash}
        array_file.write_arrays(file, arrays)
