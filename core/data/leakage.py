"""The audit of a split: subjects, scans, equal, near-identical and neighbouring slices shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.data.leakage_audit import (
    LISTED_PAIRS,
    Counts,
    LeakageAudit,
    LeakingPair,
    LeakingSlice,
    LeakKind,
    no_counts,
)
from core.data.picture_hash import near_pairs
from core.data.slice_prints import take_prints
from core.data.slices import SliceSet
from core.data.split import PARTS, Split
from core.progress import Operation, Progress, run_to_end


def audit_split(slices: SliceSet, split: Split, mode: str) -> LeakageAudit:
    """Audit a split to its end; as :func:`audit_slices`."""
    return run_to_end(audit_slices(slices, split, mode))


def audit_slices(
    slices: SliceSet,
    split: Split,
    mode: str,
    *,
    words: str = "",
    same_scans: Sequence[Sequence[str]] = (),
) -> Operation[LeakageAudit]:
    """Look for subjects, scans, equal, near-identical and neighbouring slices in several parts.

    Black slices are equal in all scans and tell nothing: they are passed over.

    Parameters
    ----------
    slices : SliceSet
    split : Split
    mode : str
        How the split was made.
    words : str
        The same for people.
    same_scans : sequence of sequence of str
        Keys of the scans that are the same by their records.
    """
    prints = yield from take_prints(slices)
    part = _part_numbers(split)
    equal = _find_equal(prints.digest, part)
    near = yield from _find_near(slices, prints.digest, prints.hash, part)
    return _audit(slices, split, mode, words, same_scans, equal=equal, near=near)


def audit_records(
    slices: SliceSet,
    split: Split,
    mode: str,
    *,
    words: str = "",
    same_scans: Sequence[Sequence[str]] = (),
    counted_scans: Collection[str] = (),
) -> LeakageAudit:
    """Audit subjects, scans and neighbours alone, at once; the pixels are not looked at.

    ``counted_scans`` are the scans whose slices are counted from 1 in place of their numbers;
    the rest is as in :func:`audit_slices`.
    """
    nothing = _found(np.zeros((len(slices), len(PARTS)), dtype=bool), [])
    return _audit(
        slices,
        split,
        mode,
        words,
        same_scans,
        equal=nothing,
        near=nothing,
        is_compared=False,
        counted_scans=counted_scans,
    )


def _audit(
    slices: SliceSet,
    split: Split,
    mode: str,
    words: str,
    same_scans: Sequence[Sequence[str]],
    *,
    equal: _Found,
    near: _Found,
    is_compared: bool = True,
    counted_scans: Collection[str] = (),
) -> LeakageAudit:
    part = _part_numbers(split)
    neighbours = _find_neighbours(slices, part)
    members = [set(slices.subject[part == k].tolist()) for k in range(3)]
    matrix = no_counts()
    np.add.at(matrix, (part[neighbours.first], part[neighbours.second]), 1)
    names = _Names(slices, split, counted_scans)
    scans, scan_matrix, scan_pairs = _find_same_scans(slices, part, same_scans)
    return LeakageAudit(
        mode=mode,
        shared_subjects=len(set[str]().union(*(a & b for a, b in combinations(members, 2)))),
        duplicate_slices=int(equal.meets.any(axis=1).sum()),
        near_identical_slices=int(near.meets.any(axis=1).sum()),
        neighbouring_slices=len(neighbours.first),
        shared=np.array([[len(a & b) for b in members] for a in members]),
        duplicates=_matrix_of(equal, part),
        near_identical=_matrix_of(near, part),
        neighbours=matrix + matrix.T,
        pairs=(
            *(names.pair("same scan", a, b, is_scan=True) for a, b in scan_pairs),
            *names.pairs("equal", equal),
            *names.pairs("near-identical", near),
            *names.pairs("neighbouring", neighbours),
        ),
        shared_scans=scans,
        scans=scan_matrix,
        is_compared=is_compared,
        words=words,
        subjects=tuple(len(group) for group in members),
        slices=tuple(int((part == k).sum()) for k in range(3)),
        notices=split.notices,
        unfit=split.unfit,
    )


def _part_numbers(split: Split) -> NDArray[np.int64]:
    return np.array([PARTS.index(name) for name in split.part.tolist()], dtype=np.int64)


@dataclass(frozen=True)
class _Found:
    """Slices of one kind of leak.

    ``meets`` (n, 3) bool tells whether a slice has a fellow in each other part; ``first``,
    ``second`` and ``bits`` (m,) are pairs to list, not always all of them.
    """

    meets: NDArray[np.bool_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    bits: NDArray[np.int64]


def _find_equal(digests: NDArray[np.int64], part: NDArray[np.int64]) -> _Found:
    shown = digests >= 0
    is_there = np.zeros((digests.max(initial=-1) + 1, 3), dtype=bool)
    is_there[digests[shown], part[shown]] = True
    meets = np.zeros((len(part), 3), dtype=bool)
    meets[shown] = is_there[digests[shown]]
    meets[np.arange(len(part)), part] = False
    # Each leaking slice is listed with the first equal one of another part: a picture that
    # is there a thousand times has half a million pairs.
    first_of: dict[tuple[int, int], int] = {}
    pairs = []
    for row in np.flatnonzero(meets.any(axis=1)).tolist():
        digest = int(digests[row])
        first_of.setdefault((digest, int(part[row])), row)
        earlier = [
            first_of[digest, k] for k in range(3) if k != part[row] and (digest, k) in first_of
        ]
        if earlier:
            pairs.append((min(earlier), row))
    return _found(meets, pairs)


def _find_near(
    slices: SliceSet,
    digests: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    part: NDArray[np.int64],
) -> Operation[_Found]:
    meets = np.zeros((len(part), 3), dtype=bool)
    if not len(hashes):
        return _found(meets, [])
    rows = np.flatnonzero(digests >= 0)
    _, scan = np.unique(slices.scan, return_inverse=True)
    worst = _Worst()
    n_done = 0
    # Pairs within a part are no leak, and are not even looked at.
    for first, second, bits in near_pairs(hashes[rows], groups=part[rows]):
        yield Progress("Comparing slices", min(n_done, len(rows)), len(rows))
        n_done += 32
        a, b = rows[first], rows[second]
        leaks = (scan[a] != scan[b]) & (digests[a] != digests[b])
        a, b, bits = a[leaks], b[leaks], bits[leaks]
        meets[a, part[b]] = True
        meets[b, part[a]] = True
        worst.add(a, b, bits)
    listed = worst.listed()
    return _found(meets, [(a, b) for a, b, _ in listed], [bits for _, _, bits in listed])


class _Worst:
    """Keeps the pairs with the fewest differing bits, without keeping all."""

    def __init__(self) -> None:
        self._kept = np.zeros((0, 3), dtype=np.int64)

    def add(
        self, first: NDArray[np.int64], second: NDArray[np.int64], bits: NDArray[np.int64]
    ) -> None:
        self._kept = np.concatenate([self._kept, np.stack([first, second, bits], axis=1)])
        if len(self._kept) > 8 * LISTED_PAIRS:
            self._cut()

    def listed(self) -> list[tuple[int, int, int]]:
        self._cut()
        return [(int(a), int(b), int(bits)) for a, b, bits in self._kept]

    def _cut(self) -> None:
        order = np.lexsort((self._kept[:, 1], self._kept[:, 0], self._kept[:, 2]))
        self._kept = self._kept[order[:LISTED_PAIRS]]


def _find_neighbours(slices: SliceSet, part: NDArray[np.int64]) -> _Found:
    order = np.lexsort((slices.number, slices.scan))
    same_scan = slices.scan[order][1:] == slices.scan[order][:-1]
    other_part = part[order][1:] != part[order][:-1]
    at = np.flatnonzero(same_scan & other_part)
    pairs = list(zip(order[at].tolist(), order[at + 1].tolist(), strict=True))
    return _found(np.zeros((len(part), 3), dtype=bool), pairs)


def _find_same_scans(
    slices: SliceSet, part: NDArray[np.int64], same_scans: Sequence[Sequence[str]]
) -> tuple[int, Counts, list[tuple[int, int]]]:
    """Return how many scans stand in another part too, the matrix, and pairs of their rows."""
    matrix, leaking, pairs = no_counts(), set[str](), list[tuple[int, int]]()
    for keys in same_scans:
        places: list[tuple[str, int, int]] = []  # key, part, first row of the scan in the part
        for key in keys:
            rows = np.flatnonzero(slices.scan == key)
            parts, first = np.unique(part[rows], return_index=True)
            places += zip([key] * len(parts), parts.tolist(), rows[first].tolist(), strict=True)
        for (key, i, a), (other, j, b) in combinations(places, 2):
            if key == other or i == j:
                continue  # a scan cut up by slices leaks by itself, in another way
            leaking |= {key, other}
            matrix[i, j] += 1
            matrix[j, i] += 1
            pairs.append((a, b))
    return len(leaking), matrix, pairs[:LISTED_PAIRS]


def _found(
    meets: NDArray[np.bool_],
    pairs: Sequence[tuple[int, int]],
    bits: Sequence[int] | None = None,
) -> _Found:
    first, second = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2).T
    return _Found(meets, first, second, np.array(bits or [0] * len(pairs), dtype=np.int64))


def _matrix_of(found: _Found, part: NDArray[np.int64]) -> Counts:
    return np.array([found.meets[part == k].sum(axis=0) for k in range(3)], dtype=np.int64)


class _Names:
    """Puts rows into words."""

    def __init__(self, slices: SliceSet, split: Split, counted_scans: Collection[str]) -> None:
        self._slices, self._split = slices, split
        counted = frozenset(counted_scans)
        self._n_of = Counter(scan for scan in slices.scan.tolist() if scan in counted)

    def pairs(self, kind: LeakKind, found: _Found) -> Iterator[LeakingPair]:
        """Give the pairs to list; how far neighbours differ is of no use."""
        for a, b, bits in zip(
            found.first[:LISTED_PAIRS].tolist(),
            found.second.tolist(),
            found.bits.tolist(),
            strict=False,
        ):
            yield self.pair(kind, a, b, bits=None if kind == "neighbouring" else bits)

    def pair(
        self, kind: LeakKind, a: int, b: int, *, bits: int | None = None, is_scan: bool = False
    ) -> LeakingPair:
        return LeakingPair(
            kind, self._slice(a, is_scan=is_scan), self._slice(b, is_scan=is_scan), bits
        )

    def _slice(self, row: int, *, is_scan: bool) -> LeakingSlice:
        scan = str(self._slices.scan[row])
        is_scan = is_scan or self._slices.are_cubes
        return LeakingSlice(
            subject=str(self._slices.subject[row]),
            session=str(self._slices.session[row]),
            scan=scan,
            part=str(self._split.part[row]),
            number=None if is_scan else int(self._slices.number[row]),
            of=0 if is_scan else self._n_of[scan],
        )
