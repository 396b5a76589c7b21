"""Audit a split for leakage, look at what leaks, and keep a split as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.config import RunSettings
from core.data import cohort as cohort_file
from core.data.cohort import Cohort
from core.errors import CohortError, MriFclError
from core.progress import Notice, Operation, Progress
from core.run_folder import Run, is_run
from core.tasks.run_cohort import cohort_folder_of

if TYPE_CHECKING:
    from core.data.leakage_audit import LeakageAudit, LeakingPair, LeakingSlice
    from core.data.slices import SliceSet
    from core.data.split import Split


def audit(path: Path, settings: RunSettings) -> Operation[LeakageAudit]:
    """Audit the split of a run, or the split that ``settings`` would give a cohort.

    All slices are compared; those that the cache does not hold are cut first.

    Raises
    ------
    CohortError
        If no scan could be read, or a split file does not fit.
    """
    from core.data.slice_cache import prepare_slices

    aim = _AuditAim.of(path, settings)
    slices = yield from prepare_slices(aim.cohort, aim.folder, aim.settings.cut)
    return (yield from _audit_slices(aim, slices))


def audit_quickly(
    path: Path, settings: RunSettings, *, cohort: Cohort | None = None
) -> Operation[LeakageAudit]:
    """Audit as :func:`audit` where the slices are cut already; else subjects and scans alone.

    ``cohort`` is that of the folder ``path`` as it is shown, where it is open already.

    Nothing is cut. ``is_compared`` of the result tells whether slices were compared; of a
    run, those are the counts made when it was trained.

    Raises
    ------
    CohortError
        If a split file does not fit.
    """
    from core.data.slice_cache import ready_slices

    yield Progress("Auditing the split")
    try:
        aim = _AuditAim.of(path, settings, cohort)
        slices = ready_slices(aim.cohort, aim.folder, aim.settings.cut)
        if slices is not None:
            return (yield from _audit_slices(aim, slices))
    except MriFclError:
        # A run is audited by its own files, also where its cohort has gone or changed.
        if not is_run(path):
            raise
    return _audit_run(Run(path)) if is_run(path) else _audit_records(aim)


@dataclass(frozen=True)
class _AuditAim:
    """A cohort and the split of it that is audited; ``kept`` is the run's own ``split.csv``."""

    cohort: Cohort
    folder: Path
    settings: RunSettings
    kept: Path | None = None

    @classmethod
    def of(cls, path: Path, settings: RunSettings, cohort: Cohort | None = None) -> _AuditAim:
        if not is_run(path):
            return cls(cohort or cohort_file.load_cohort(path), path, settings)
        run = Run(path)
        folder = cohort_folder_of(run)
        return cls(cohort_file.load_cohort(folder), folder, run.settings, path / "split.csv")

    def split(self, slices: SliceSet) -> Split:
        from core.data.split import read_split_file, split_slices

        # Drawn again, the split of a run would be another one where the cohort has changed.
        if self.kept is not None and self.kept.is_file():
            return read_split_file(self.kept, slices)
        return split_slices(slices, self.settings.split, self.settings.training.seed)

    def words(self, slices: SliceSet, split: Split) -> str:
        from core.data.split import split_by, split_words

        seed = self.settings.training.seed
        return split_words(
            self.settings.split,
            seed,
            by=split_by(slices, split),
            item="scan" if self.settings.sees_cubes else "slice",
        )

    def same_scans(self) -> list[list[str]]:
        groups = cohort_file.twin_scans(self.cohort.included_scans)
        return [[scan.key for scan in group] for group in groups]


def _audit_slices(aim: _AuditAim, slices: SliceSet) -> Operation[LeakageAudit]:
    from core.data.leakage import audit_slices
    from core.data.split import split_name

    split = aim.split(slices)
    for notice in split.notices:
        yield Notice(notice)
    return (
        yield from audit_slices(
            slices,
            split,
            split_name(aim.settings.split),
            words=aim.words(slices, split),
            same_scans=aim.same_scans(),
        )
    )


def _audit_records(aim: _AuditAim) -> LeakageAudit:
    from core.data.leakage import audit_records
    from core.data.split import split_name

    slices, counted = _expected(aim)
    split = aim.split(slices)
    return audit_records(
        slices,
        split,
        split_name(aim.settings.split),
        words=aim.words(slices, split),
        same_scans=aim.same_scans(),
        counted_scans=counted,
    )


def _expected(aim: _AuditAim) -> tuple[SliceSet, list[str]]:
    """Return the slices without pixels, and the scans whose slices are only counted."""
    from core.data.expected_slices import expect_slices
    from core.data.split import numbers_in_split_file

    file = aim.settings.split.split_file
    # A cube has one number, whatever a file of slices says.
    known = numbers_in_split_file(Path(file)) if file and not aim.settings.sees_cubes else {}
    slices = expect_slices(aim.cohort, aim.settings.cut, numbers_of=known)
    volumes = [scan.key for scan in aim.cohort.included_scans if scan.kind == "volume"]
    is_counted = not aim.settings.sees_cubes
    return slices, [key for key in volumes if is_counted and key not in known]


def _audit_run(run: Run) -> LeakageAudit:
    """Audit a run by its ``split.csv`` and its record: without the cohort, without the scans."""
    from core.data.expected_slices import slices_of_split_file
    from core.data.leakage import audit_records
    from core.data.leakage_audit import with_recorded_counts
    from core.data.split import read_split_file, split_by, split_name, split_words

    kept = run.path / "split.csv"
    are_cubes = run.settings.sees_cubes
    slices = slices_of_split_file(kept, run.classes, are_cubes=are_cubes)
    split = read_split_file(kept, slices)
    settings = run.settings.split
    words = split_words(
        settings,
        run.settings.training.seed,
        by=split_by(slices, split),
        item="scan" if are_cubes else "slice",
    )
    return with_recorded_counts(
        audit_records(slices, split, split_name(settings), words=words), run.record
    )


@dataclass(frozen=True)
class SeenPair:
    """Two slices of an audit as the network sees them, each (S, S) uint8."""

    pair: LeakingPair
    first: NDArray[np.uint8]
    second: NDArray[np.uint8]


def read_pair(path: Path, settings: RunSettings, pair: LeakingPair) -> Operation[SeenPair]:
    """Cut the two slices of a pair that leaks, to look at them; of whole scans the middle ones.

    Raises
    ------
    MriFclError
        If a scan is no longer there or cannot be read.
    """
    aim = _AuditAim.of(path, settings)
    seen = []
    for side in (pair.first, pair.second):
        yield Progress(f"Reading {side.scan}")
        seen.append(_slice_pixels(aim, side))
    return SeenPair(pair, *seen)


def _slice_pixels(aim: _AuditAim, side: LeakingSlice) -> NDArray[np.uint8]:
    from core.data.cubes import cut_layers

    scans = [found for found in aim.cohort.included_scans if found.key == side.scan]
    if not scans:
        raise CohortError(f"The cohort has no scan {side.scan} any more. Audit the split again.")
    cut = cut_layers(aim.cohort, scans[0], aim.settings.cut)
    if side.number is None:
        row = len(cut.pixels) // 2
    elif side.of:
        row = min(side.number, len(cut.pixels)) - 1
    else:
        rows = np.flatnonzero(cut.numbers == side.number)
        if not len(rows):
            raise CohortError(
                f"Slice {side.number} of {side.scan} is not cut with the present settings. "
                "Audit the split again."
            )
        row = int(rows[0])
    pixels: NDArray[np.uint8] = cut.pixels[row]
    return pixels


@dataclass(frozen=True)
class KeptSplit:
    """A split that was written to ``path``: how it goes, and slices and subjects of each part."""

    path: Path
    words: str
    by: str
    subjects: dict[str, int]
    slices: dict[str, int]


def keep_split(path: Path, settings: RunSettings, out: Path) -> Operation[KeptSplit]:
    """Write the split of a run, or that ``settings`` give a cohort, as a table to bring again.

    Where each subject is in one part it has a row for a subject, and fits whichever slices
    are cut; else a row for a slice.

    Raises
    ------
    CohortError
        If the cohort cannot be split so, or ``out`` cannot be written.
    """
    from core.data import split as splitting
    from core.data.expected_slices import slices_of_split_file
    from core.data.slice_cache import prepare_slices

    yield Progress("Splitting")
    if is_run(path):
        run = Run(path)
        slices = slices_of_split_file(path / "split.csv", run.classes)
        split = splitting.read_split_file(path / "split.csv", slices)
        chosen, seed = run.settings.split, run.settings.training.seed
    else:
        aim = _AuditAim.of(path, settings)
        slices, _ = _expected(aim)
        split = aim.split(slices)
        chosen, seed = settings.split, settings.training.seed
        if splitting.split_by(slices, split) == "slice":
            # Their numbers must be the true ones.
            slices = yield from prepare_slices(aim.cohort, aim.folder, settings.cut)
            split = aim.split(slices)
    by = splitting.split_by(slices, split)
    write = splitting.write_subject_split if by == "subject" else splitting.write_split_file
    try:
        write(out, slices, split)
    except OSError as error:
        raise CohortError(
            f"The split cannot be written to '{out.name}': {error.strerror}. Choose another folder."
        ) from error
    of_part = {name: split.part == name for name in splitting.PARTS}
    return KeptSplit(
        path=out,
        words=splitting.split_words(chosen, seed, by=by),
        by=by,
        subjects={name: len(set(slices.subject[rows].tolist())) for name, rows in of_part.items()},
        slices={name: int(rows.sum()) for name, rows in of_part.items()},
    )


def write_audit(result: LeakageAudit, out: Path) -> list[Path]:
    """Write the tables of an audit as CSV into ``out``; return the files.

    Raises
    ------
    CohortError
        If ``out`` cannot be written.
    """
    files = [(out / f"{table.name}.csv", table) for table in result.tables()]
    try:
        for path, table in files:
            table.write(path)
    except OSError as error:
        raise CohortError(
            f"The tables cannot be written to '{out}': {error.strerror}. Choose another folder."
        ) from error
    return [path for path, _ in files]
