"""The audit of a split: subjects, equal, near-identical and neighbouring slices on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from core.data.picture_hash import (
    HASH_BITS,
    NEAR_BITS,
    SMALLEST_PICTURE,
    hash_pictures,
    near_pairs,
)
from core.data.slices import SliceSet
from core.data.split import PARTS, Split
from core.figure import Table

# A list is read by people; counts are of all pairs.
_LISTED_PAIRS = 1000


@dataclass(frozen=True)
class LeakageAudit:
    """What parts share.

    Attributes
    ----------
    mode : str
        How the split was made.
    shared_subjects : int
        Subjects with slices in more than one part.
    duplicate_slices : int
        Slices whose pixels stand, bit by bit, in another part too.
    near_identical_slices : int
        Slices of which a near-identical one of another scan stands in another part
        (:data:`core.data.picture_hash.NEAR_BITS`); equal ones are not counted again.
    neighbouring_slices : int
        Pairs of neighbouring slices of one scan in different parts.
    shared, duplicates, near_identical, neighbours : ndarray, shape (3, 3), int
        Of part i and part j (train, validation, test): subjects of both; slices of i
        with an equal, or with a near-identical, slice in j; pairs of neighbours. On the
        diagonal of the first two stand all subjects of the part; 0 on the others.
    pairs : tuple of tuple
        (kind, slice, part, slice, part, differing bits), a thousand of a kind at most.
    """

    mode: str
    shared_subjects: int
    duplicate_slices: int
    near_identical_slices: int
    neighbouring_slices: int
    shared: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    near_identical: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    pairs: tuple[tuple[str, str, str, str, str, int | None], ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether anything is shared."""
        return bool(
            self.shared_subjects
            or self.duplicate_slices
            or self.near_identical_slices
            or self.neighbouring_slices
        )

    def sentence(self) -> str:
        """Say it in words."""
        if not self.leaks:
            return "No leak: no subject or slice stands in two parts."
        return (
            f"The split leaks: {self.shared_subjects} subjects, {self.duplicate_slices} equal and "
            f"{self.near_identical_slices} near-identical slices, and {self.neighbouring_slices} "
            "pairs of neighbouring slices stand in two parts. Accuracies will be inflated."
        )

    def record(self) -> dict[str, int]:
        """Return the counts as ``run.json`` and the terminal's ``--json`` have them."""
        return {
            "shared_subjects": self.shared_subjects,
            "duplicate_slices": self.duplicate_slices,
            "near_identical_slices": self.near_identical_slices,
            "neighbouring_slices": self.neighbouring_slices,
        }

    def table(self) -> Table:
        """Return the matrix of shared subjects."""
        rows = tuple((part, *(int(n) for n in self.shared[i])) for i, part in enumerate(PARTS))
        return Table(
            "shared_subjects",
            "Subjects shared by parts",
            ("part", *PARTS),
            rows,
            caption=self.sentence(),
        )

    @property
    def matrix(self) -> Table:
        """What each two parts share: one row for two parts, one column for a kind of leak."""
        rows = tuple(
            (
                PARTS[i],
                PARTS[j],
                int(self.shared[i, j]),
                int(self.duplicates[i, j]),
                int(self.near_identical[i, j]),
                int(self.neighbours[i, j]),
            )
            for i, j in product(range(3), repeat=2)
            if i != j
        )
        columns = (
            "part",
            "other_part",
            "shared_subjects",
            "duplicate_slices",
            "near_identical_slices",
            "neighbouring_slices",
        )
        return Table(
            "leakage_matrix",
            "What parts share",
            columns,
            rows,
            caption=(
                "Slices of the part that have an equal or near-identical one (at most "
                f"{NEAR_BITS} of {HASH_BITS} bits of a perceptual hash differ; other scan) in the "
                "other part; neighbours are pairs of one scan."
            ),
            warning=self.sentence() if self.leaks else "",
        )

    def tables(self) -> tuple[Table, ...]:
        """Return all tables: shared subjects, the matrix, and the pairs found."""
        pairs = Table(
            "leaking_pairs",
            "Slices that leak",
            ("kind", "slice", "part", "other_slice", "other_part", "differing_bits"),
            self.pairs,
            caption=f"At most {_LISTED_PAIRS} of a kind; differing bits of {HASH_BITS}.",
        )
        return self.table(), self.matrix, pairs


def audit_split(slices: SliceSet, split: Split, mode: str) -> LeakageAudit:
    """Look for subjects, equal, near-identical and neighbouring slices in more than one part.

    Black slices are equal in all scans and tell nothing: they are passed over.
    """
    part = np.array([PARTS.index(name) for name in split.part.tolist()], dtype=np.int64)
    digests = _digests(slices)
    equal = _find_equal(digests, part)
    near = _find_near(slices, digests, part)
    neighbours = _find_neighbours(slices, part)
    members = [set(slices.subject[part == k].tolist()) for k in range(3)]
    matrix = np.zeros((3, 3), dtype=np.int64)
    np.add.at(matrix, (part[neighbours.first], part[neighbours.second]), 1)
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
            *_in_words(slices, split, "equal", equal),
            *_in_words(slices, split, "near-identical", near),
            *_in_words(slices, split, "neighbouring", neighbours),
        ),
    )


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


def _digests(slices: SliceSet) -> NDArray[np.int64]:
    """Return a number for each slice, the same for equal pixels; -1 for black ones."""
    number_of: dict[bytes, int] = {}
    numbers = np.full(len(slices), -1, dtype=np.int64)
    for row, pixels in enumerate(slices.pixels):
        if pixels.any():
            digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()
            numbers[row] = number_of.setdefault(digest, len(number_of))
    return numbers


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


def _find_near(slices: SliceSet, digests: NDArray[np.int64], part: NDArray[np.int64]) -> _Found:
    meets = np.zeros((len(part), 3), dtype=bool)
    if slices.pixels.shape[1] < SMALLEST_PICTURE:
        return _found(meets, [])
    rows = np.flatnonzero(digests >= 0)
    _, scan = np.unique(slices.scan, return_inverse=True)
    listed: list[tuple[int, int, int]] = []
    for first, second, bits in near_pairs(hash_pictures(slices.pixels)[rows]):
        a, b = rows[first], rows[second]
        leaks = (part[a] != part[b]) & (scan[a] != scan[b]) & (digests[a] != digests[b])
        a, b, bits = a[leaks], b[leaks], bits[leaks]
        meets[a, part[b]] = True
        meets[b, part[a]] = True
        room = max(_LISTED_PAIRS - len(listed), 0)
        listed += zip(a[:room].tolist(), b[:room].tolist(), bits[:room].tolist(), strict=True)
    return _found(meets, [(a, b) for a, b, _ in listed], [bits for _, _, bits in listed])


def _find_neighbours(slices: SliceSet, part: NDArray[np.int64]) -> _Found:
    order = np.lexsort((slices.number, slices.scan))
    same_scan = slices.scan[order][1:] == slices.scan[order][:-1]
    other_part = part[order][1:] != part[order][:-1]
    at = np.flatnonzero(same_scan & other_part)
    pairs = list(zip(order[at].tolist(), order[at + 1].tolist(), strict=True))
    return _found(np.zeros((len(part), 3), dtype=bool), pairs)


def _found(
    meets: NDArray[np.bool_],
    pairs: Sequence[tuple[int, int]],
    bits: Sequence[int] | None = None,
) -> _Found:
    first, second = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2).T
    return _Found(meets, first, second, np.array(bits or [0] * len(pairs), dtype=np.int64))


def _matrix_of(found: _Found, part: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([found.meets[part == k].sum(axis=0) for k in range(3)], dtype=np.int64)


def _in_words(
    slices: SliceSet, split: Split, kind: str, found: _Found
) -> Iterator[tuple[str, str, str, str, str, int | None]]:
    """Give the pairs to list; how far neighbours differ is of no use."""
    for a, b, bits in zip(
        found.first[:_LISTED_PAIRS].tolist(),
        found.second.tolist(),
        found.bits.tolist(),
        strict=False,
    ):
        yield (
            kind,
            f"{slices.scan[a]} slice {slices.number[a]}",
            str(split.part[a]),
            f"{slices.scan[b]} slice {slices.number[b]}",
            str(split.part[b]),
            None if kind == "neighbouring" else bits,
        )
