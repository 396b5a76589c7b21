"""The audit of a split: subjects, slices and neighbours that stand on both sides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.data.slices import SliceSet
from core.data.split import PARTS, Split
from core.figure import Table


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
    neighbouring_slices : int
        Pairs of neighbouring slices of one scan in different parts.
    shared : ndarray, shape (3, 3), int
        Subjects in part i that are also in part j.
    """

    mode: str
    shared_subjects: int
    duplicate_slices: int
    neighbouring_slices: int
    shared: NDArray[np.int64]

    @property
    def leaks(self) -> bool:
        """Whether anything is shared."""
        return bool(self.shared_subjects or self.duplicate_slices or self.neighbouring_slices)

    def sentence(self) -> str:
        """Say it in words."""
        if not self.leaks:
            return "No leak: no subject or slice stands in two parts."
        return (
            f"The split leaks: {self.shared_subjects} subjects, {self.duplicate_slices} equal "
            f"slices and {self.neighbouring_slices} pairs of neighbouring slices stand in "
            "two parts. Accuracies will be inflated."
        )

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


def audit_split(slices: SliceSet, split: Split, mode: str) -> LeakageAudit:
    """Look for subjects, equal slices and neighbouring slices in more than one part."""
    members = [set(slices.subject[split.part == part]) for part in PARTS]
    shared = np.array([[len(a & b) for b in members] for a in members])
    in_two = set[str]().union(*(a & b for a, b in combinations(members, 2)))
    return LeakageAudit(
        mode=mode,
        shared_subjects=len(in_two),
        duplicate_slices=_count_duplicates(slices, split),
        neighbouring_slices=_count_neighbours(slices, split),
        shared=shared,
    )


def _count_duplicates(slices: SliceSet, split: Split) -> int:
    parts_of: dict[bytes, list[str]] = {}
    for pixels, part in zip(slices.pixels, split.part, strict=True):
        if pixels.any():
            digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
            parts_of.setdefault(digest, []).append(str(part))
    return sum(len(parts) for parts in parts_of.values() if len(set(parts)) > 1)


def _count_neighbours(slices: SliceSet, split: Split) -> int:
    order = np.lexsort((slices.number, slices.scan))
    same_scan = slices.scan[order][1:] == slices.scan[order][:-1]
    other_part = split.part[order][1:] != split.part[order][:-1]
    return int(np.count_nonzero(same_scan & other_part))
