"""What an audit of a split found: its counts, and the words, tables and figure made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.data.picture_hash import HASH_BITS, NEAR_BITS
from core.data.split import PARTS, UnfitRow
from core.figure import Axis, Figure, HeatMap, Panel, Table

# A list is read by people; counts are of all pairs.
LISTED_PAIRS = 1000
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


def no_counts() -> Counts:
    """Return the matrix of parts that share nothing, to count into."""
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
    scans: Counts = field(default_factory=no_counts)
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
            caption=f"At most {LISTED_PAIRS} of a kind; differing bits of {HASH_BITS}.",
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


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _cell_text(value: float, *, is_known: bool) -> str:
    if not is_known:
        return "?"
    if np.isnan(value):
        return "–"
    return f"✕ {value:.0f}" if value else "0"
