"""The audit of a split: subjects, scans, equal, near-identical and neighbouring slices shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.data.picture_hash import HASH_BITS, NEAR_BITS, near_pairs
from core.data.slice_prints import take_prints
from core.data.slices import SliceSet
from core.data.split import PARTS, Split, UnfitRow
from core.figure import Axis, Figure, HeatMap, Panel, Table
from core.progress import Operation, Progress, run_to_end

# A list is read by people; counts are of all pairs.
_LISTED_PAIRS = 1000
LeakKind: TypeAlias = Literal["same scan", "equal", "near-identical", "neighbouring"]
Counts: TypeAlias = NDArray[np.int64]
# What run.json keeps, by the name of the attribute.
_MATRICES = {
    "shared_subjects": "shared",
    "shared_scans": "scans",
    "duplicate_slices": "duplicates",
    "near_identical_slices": "near_identical",
    "neighbouring_slices": "neighbours",
}


def _nothing() -> Counts:
    return np.zeros((len(PARTS), len(PARTS)), dtype=np.int64)


@dataclass(frozen=True)
class LeakingSlice:
    """One slice of a pair that leaks, or a whole scan (``number`` None).

    ``of`` is how many slices the scan gives where ``number`` only counts them from 1; 0
    where it is the slice's own number.
    """

    subject: str
    session: str
    scan: str
    part: str
    number: int | None = None
    of: int = 0

    @property
    def words(self) -> str:
        """Name it for people."""
        if self.number is None:
            return self.scan
        return f"{self.scan} slice {self.number}" + (f" of {self.of}" if self.of else "")


@dataclass(frozen=True)
class LeakingPair:
    """Two slices, or scans, that leak; ``bits`` of the perceptual hash differ, where told."""

    kind: LeakKind
    first: LeakingSlice
    second: LeakingSlice
    bits: int | None = None


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
    pairs : tuple of LeakingPair
        The worst first, a thousand of a kind at most.
    shared_scans : int
        Scans that stand under another name in another part too, by their records.
    scans : ndarray, shape (3, 3), int
        Scans of part i that stand under another name in part j.
    is_compared : bool
        Whether the pixels of the slices were compared; else nothing is known of equal and
        near-identical ones, and their counts are 0.
    words : str
        How the slices are split, for people.
    subjects, slices : tuple of int
        How many of each are in each part.
    notices : tuple of str
        What a split file says that the cohort does not have.
    unfit : tuple of UnfitRow
        Its rows that are meant.
    """

    mode: str
    shared_subjects: int
    duplicate_slices: int
    near_identical_slices: int
    neighbouring_slices: int
    shared: Counts
    duplicates: Counts
    near_identical: Counts
    neighbours: Counts
    pairs: tuple[LeakingPair, ...] = ()
    shared_scans: int = 0
    scans: Counts = field(default_factory=_nothing)
    is_compared: bool = True
    words: str = ""
    subjects: tuple[int, ...] = (0, 0, 0)
    slices: tuple[int, ...] = (0, 0, 0)
    notices: tuple[str, ...] = ()
    unfit: tuple[UnfitRow, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether anything is shared."""
        return any(self._counts().values())

    def _counts(self) -> dict[str, int]:
        return {
            "shared_subjects": self.shared_subjects,
            "shared_scans": self.shared_scans,
            "duplicate_slices": self.duplicate_slices,
            "near_identical_slices": self.near_identical_slices,
            "neighbouring_slices": self.neighbouring_slices,
        }

    def sentence(self) -> str:
        """Say it in words."""
        if not self.leaks and not self.is_compared:
            return (
                "No leak so far: no subject or scan stands in two parts. The slices are not "
                "compared yet."
            )
        if not self.leaks:
            return "No leak: no subject or slice stands in two parts."
        shared = [
            _counted(count, *_KIND_WORDS[name]) for name, count in self._counts().items() if count
        ]
        what = " and ".join([part for part in (", ".join(shared[:-1]), shared[-1]) if part])
        verb = "stands" if sum(self._counts().values()) == 1 else "stand"
        rest = "" if self.is_compared else " The slices are not compared yet."
        return f"The split leaks: {what} {verb} in two parts. Accuracies will be inflated.{rest}"

    def advice(self) -> str:
        """Say what to do; empty where there is nothing to do."""
        if not self.leaks:
            return (
                ""
                if self.is_compared
                else "Compare the slices to find the same pictures under two names."
            )
        if self.shared_subjects and self.mode == "file":
            return "Put all rows of a subject in the split file into one part."
        if self.shared_subjects:
            return "Split by subject: all slices of a person then stay in one part."
        return (
            "Look at the pairs. Where both are one head under two names, leave one of the scans "
            "out of the cohort, or give both the same subject."
        )

    def record(self) -> dict[str, Any]:
        """Return what ``run.json`` keeps and the terminal's ``--json`` prints."""
        return {
            **self._counts(),
            "slices_compared": self.is_compared,
            "leakage": {
                name: getattr(self, attribute).tolist() for name, attribute in _MATRICES.items()
            },
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
            (PARTS[i], PARTS[j], *(self._cell(name, i, j) for name in _MATRICES))
            for i, j in product(range(3), repeat=2)
            if i != j
        )
        return Table(
            "leakage_matrix",
            "What parts share",
            ("part", "other_part", *_MATRICES),
            rows,
            caption=(
                "Slices of the part that have an equal or near-identical one (at most "
                f"{NEAR_BITS} of {HASH_BITS} bits of a perceptual hash differ; other scan) in the "
                "other part; neighbours are pairs of one scan."
                + ("" if self.is_compared else " Empty cells: not compared yet.")
            ),
            warning=self.sentence() if self.leaks else "",
        )

    def _cell(self, name: str, i: int, j: int) -> int | None:
        if name in _OF_PIXELS and not self.is_compared:
            return None
        return int(getattr(self, _MATRICES[name])[i, j])

    def pairs_table(self) -> Table:
        """Return the pairs found, the worst first."""
        rows = tuple(
            (
                pair.kind,
                pair.first.words,
                pair.first.part,
                pair.second.words,
                pair.second.part,
                pair.bits,
                pair.first.subject,
                pair.first.session,
                pair.second.subject,
                pair.second.session,
            )
            for pair in self.pairs
        )
        return Table(
            "leaking_pairs",
            "Slices that leak",
            (
                "kind",
                "slice",
                "part",
                "other_slice",
                "other_part",
                "differing_bits",
                "subject",
                "session",
                "other_subject",
                "other_session",
            ),
            rows,
            caption=f"At most {_LISTED_PAIRS} of a kind; differing bits of {HASH_BITS}.",
        )

    def unfit_table(self) -> Table:
        """Return the rows of a split file that fit no slice, or are missing in it."""
        return unfit_table(self.unfit)

    def tables(self) -> tuple[Table, ...]:
        """Return all tables: shared subjects, the matrix, the pairs, and rows that do not fit."""
        found = (self.table(), self.matrix, self.pairs_table())
        return (*found, self.unfit_table()) if self.unfit else found

    def figure(self) -> Figure:
        """Return the matrices as a figure, one panel for a kind of leak."""
        said = " ".join(part for part in (self.sentence(), self.advice()) if part)
        return Figure(
            "leakage",
            f"What the parts share, split {self.words}" if self.words else "What the parts share",
            tuple(
                self._panel(name)
                for name in _MATRICES
                if name != "shared_scans" or self.scans.any()
            ),
            columns=2,
            caption=(
                "Subjects, or slices of the part at the left, that stand in the part below too: "
                "equal ones, near-identical ones of another scan, and pairs of neighbouring "
                "slices of one scan." + ("" if self.leaks else f" {said}")
            ),
            warning=said if self.leaks else "",
        )

    def _panel(self, name: str) -> Panel:
        values = getattr(self, _MATRICES[name]).astype(np.float64)
        # What a part shares with itself is no leak.
        np.fill_diagonal(values, np.nan)
        is_known = self.is_compared or name not in _OF_PIXELS
        if not is_known:
            values[:] = np.nan
        leaks = bool(np.nansum(values))
        said = ("✕ leak" if leaks else "✓ none") if is_known else "○ not compared"
        texts = tuple(
            tuple(_cell_text(value, is_known=is_known) for value in row) for row in values.tolist()
        )
        layer = HeatMap(
            _KIND_WORDS[name][1],
            values,
            PARTS,
            PARTS,
            # Any count above 0 has the colour of a leak.
            low=-1.0,
            high=1.0,
            diverging=True,
            texts=texts,
            has_scale=False,
        )
        return Panel(
            Axis("", categories=PARTS),
            Axis("", categories=PARTS),
            (layer,),
            title=f"{_PANEL_TITLES[name]}: {said}",
        )


_OF_PIXELS = frozenset({"duplicate_slices", "near_identical_slices"})
_KIND_WORDS = {
    "shared_subjects": ("subject", "subjects"),
    "shared_scans": ("scan under two names", "scans under two names"),
    "duplicate_slices": ("equal slice", "equal slices"),
    "near_identical_slices": ("near-identical slice", "near-identical slices"),
    "neighbouring_slices": ("pair of neighbouring slices", "pairs of neighbouring slices"),
}

# Short ones: four panels stand side by side in a window.
_PANEL_TITLES = {
    "shared_subjects": "Subjects",
    "shared_scans": "Same scans",
    "duplicate_slices": "Equal",
    "near_identical_slices": "Near-identical",
    "neighbouring_slices": "Neighbours",
}


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _cell_text(value: float, *, is_known: bool) -> str:
    if not is_known:
        return "?"
    if np.isnan(value):
        return "–"
    return f"✕ {value:.0f}" if value else "0"


def unfit_table(unfit: Sequence[UnfitRow]) -> Table:
    """Return the rows that a split file lacks, or has beyond the cohort."""
    return Table(
        "split_file_rows",
        "Rows of the split file that do not fit the cohort",
        ("fault", "subject", "session", "scan", "slice", "part"),
        tuple(
            (row.fault, row.subject, row.session, row.scan, row.slice, row.part) for row in unfit
        ),
        caption=(
            "Unknown: the cohort has no such slice, the row is passed over. Missing: the file "
            "gives no part to a slice of the cohort."
        ),
    )


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


def with_recorded_counts(audit: LeakageAudit, record: Mapping[str, Any]) -> LeakageAudit:
    """Return an audit by records with the counts of slices that a run kept, if it has them.

    Runs of earlier versions kept no matrices; theirs stays as it is.
    """
    kept = record.get("leakage")
    if not record.get("slices_compared") or not isinstance(kept, Mapping):
        return audit
    try:
        matrices = {name: np.array(kept[name], dtype=np.int64).reshape(3, 3) for name in _OF_PIXELS}
        counts = {name: int(record[name]) for name in _OF_PIXELS}
    except (KeyError, TypeError, ValueError):
        return audit
    return replace(
        audit,
        duplicates=matrices["duplicate_slices"],
        near_identical=matrices["near_identical_slices"],
        duplicate_slices=counts["duplicate_slices"],
        near_identical_slices=counts["near_identical_slices"],
        is_compared=True,
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
    matrix = _nothing()
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
        if len(self._kept) > 8 * _LISTED_PAIRS:
            self._cut()

    def listed(self) -> list[tuple[int, int, int]]:
        self._cut()
        return [(int(a), int(b), int(bits)) for a, b, bits in self._kept]

    def _cut(self) -> None:
        order = np.lexsort((self._kept[:, 1], self._kept[:, 0], self._kept[:, 2]))
        self._kept = self._kept[order[:_LISTED_PAIRS]]


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
    matrix, leaking, pairs = _nothing(), set[str](), list[tuple[int, int]]()
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
    return len(leaking), matrix, pairs[:_LISTED_PAIRS]


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
            found.first[:_LISTED_PAIRS].tolist(),
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
