"""A perceptual hash of slices: 256 bits that stay when a picture is saved, windowed or scaled anew.

The signs of the lowest 16 x 16 coefficients of a cosine transform, against their median
(Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010,
section 3.2.1, with 256 bits in place of 64).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 256
# Chosen on 1 800 real slices of 60 subjects (OASIS-1, 30 neighbouring axial slices each): of
# 1.6 million pairs of two subjects none differs in fewer than 30 bits (median 92). A slice
# saved as JPEG at quality 40, with noise, other contrast, or half the size differs from itself
# in 10 at most. Neighbouring slices of a scan differ in 6 to 36; 86 % of them in 24 or fewer.
NEAR_BITS = 24
# Smaller ones have fewer pixels than the transform has places.
SMALLEST_PICTURE = 32
_SIDE = 16
_SMALL = 32
_BATCH = 256
# Tiles of this size were the fastest of those tried: 1 MiB of 64-bit words.
_ROWS = 32
_COLUMNS = 4096


def hash_pictures(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the hash of each picture, shape (n, 4), of pictures (n, S, S)."""
    shrink = _area_means(pixels.shape[1])
    basis = _cosines()
    hashes = np.empty((len(pixels), HASH_BITS // 64), dtype=np.uint64)
    for start in range(0, len(pixels), _BATCH):
        batch = pixels[start : start + _BATCH].astype(np.float32)
        small = shrink @ batch @ shrink.T
        coefficients = (basis @ small @ basis.T).reshape(len(batch), HASH_BITS)
        bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
        hashes[start : start + _BATCH] = np.packbits(bits, axis=1).view(np.uint64)
    return hashes


def near_pairs(
    hashes: NDArray[np.uint64],
    *,
    groups: NDArray[np.int64] | None = None,
    limit: int = NEAR_BITS,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Give pairs (first, second, differing bits), first < second, of at most ``limit`` bits.

    They come in batches, so that the pairs of many slices need little memory and a search
    can be stopped between two. Every pair is looked at, so none is missed.

    Parameters
    ----------
    hashes : ndarray, shape (n, 4), uint64
    groups : ndarray, shape (n,), int, optional
        Only pairs of two different groups are given; by default all.
    limit : int
        Most bits that may differ.
    """
    count = len(hashes)
    order = np.arange(count) if groups is None else np.argsort(groups, kind="stable")
    words = np.ascontiguousarray(hashes[order].T)
    ends = order + 1 if groups is None else _group_ends(groups[order])
    for start in range(0, count, _ROWS):
        rows = slice(start, min(start + _ROWS, count))
        found = [
            _near_in_tile(words, rows, slice(column, min(column + _COLUMNS, count)), limit)
            for column in range(int(ends[start]), count, _COLUMNS)
        ]
        if not found:
            continue
        first, second, bits = (np.concatenate(part) for part in zip(*found, strict=True))
        # The columns begin where those of the first row do; later rows have fewer.
        is_later = second >= ends[first]
        first, second, bits = order[first[is_later]], order[second[is_later]], bits[is_later]
        yield np.minimum(first, second), np.maximum(first, second), bits


def _group_ends(sorted_groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row where the rows of later groups begin."""
    return np.searchsorted(sorted_groups, sorted_groups, side="right").astype(np.int64)


def _near_in_tile(
    words: NDArray[np.uint64], rows: slice, columns: slice, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of one tile, small enough to stay in the processor's cache.

    Half of the bits rule out nearly all pairs; the rest is counted for those left alone.
    """
    half = np.bitwise_count(words[0, rows, None] ^ words[0, columns])
    half += np.bitwise_count(words[1, rows, None] ^ words[1, columns])
    first, second = np.divmod(np.flatnonzero(half <= limit), half.shape[1])
    first, second = first + rows.start, second + columns.start
    bits = np.bitwise_count(words[:, first] ^ words[:, second]).sum(axis=0, dtype=np.int64)
    is_near = bits <= limit
    return first[is_near], second[is_near], bits[is_near]


def _area_means(size: int) -> NDArray[np.float32]:
    """Return the matrix (32, size) that averages ``size`` pixels to 32."""
    edges = np.linspace(0, size, _SMALL + 1)
    pixel = np.arange(size)
    share = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(share, 0, None) * (_SMALL / size), dtype=np.float32)


def _cosines() -> NDArray[np.float32]:
    """Return the lowest 16 rows of the cosine transform (DCT-II, orthonormal) of 32 values."""
    place = (np.arange(_SMALL) + 0.5) * np.pi / _SMALL
    basis = np.sqrt(2 / _SMALL) * np.cos(np.arange(_SIDE)[:, None] * place)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, dtype=np.float32)
