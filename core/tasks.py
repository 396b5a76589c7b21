"""What a user can start, from the window or a terminal: generators of events.

Training is imported inside the functions, so that a window is on screen before torch loads.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.config import Cut, RunSettings, SliceSettings
from core.data import cohort as cohort_file
from core.data.cohort import Cohort, Scan
from core.errors import CohortError, MriFclError, RunError
from core.figure import Table
from core.progress import Notice, Operation, Progress
from core.report_contents import USUAL, ReportContents
from core.run_folder import Run, is_run
from core.run_lock import holder_of, in_use_sentence, require_free
from core.run_log import with_log

if TYPE_CHECKING:
    from core.analysis.correlation import Method
    from core.data.folder_look import FolderLook, KnownCohort
    from core.data.layout import Layout, LayoutKind
    from core.data.leakage import LeakageAudit, LeakingPair, LeakingSlice
    from core.data.slices import SliceSet
    from core.data.split import Split
    from core.training.probe_result import ProbeResult
    from core.training.weights_entry import WeightsState


@dataclass(frozen=True)
class ScannedCohort:
    """A cohort and the folder (``NAME.mrifcl``) it is stored in."""

    cohort: Cohort
    folder: Path


def look(
    folders: Sequence[Path],
    *,
    labels: Path | None = None,
    subject_pattern: str = "",
    cohorts: Path | None = None,
) -> Operation[FolderLook]:
    """Look at folders without reading a scan: what is recognised, to be confirmed.

    Parameters
    ----------
    folders : sequence of Path
        One folder, or several that are one cohort.
    labels : Path, optional
        Table of labels that the user gave.
    subject_pattern : str
        See :func:`core.data.file_names.identify_file`.
    cohorts : Path, optional
        Folder of stored cohorts; one of the same scans among them is told.

    Raises
    ------
    CohortError
        See :func:`core.data.folder_look.look_at_folders`.
    """
    from core.data.folder_look import look_at_folders

    seen = yield from look_at_folders(folders, labels, subject_pattern=subject_pattern)
    return replace(seen, known=_known_cohort(cohorts, seen.root) if cohorts else None)


def look_again(
    seen: FolderLook, layout: Layout, *, labels: Path | None = None
) -> Operation[FolderLook]:
    """Look at the same files with another layout, or with a table of labels.

    What cannot be read so is the result's ``problem``, beside what was seen before.
    """
    from core.data import folder_look

    try:
        return (yield from folder_look.look_again(seen, layout, labels=labels))
    except CohortError as error:
        return replace(seen, problem=str(error))


def _known_cohort(cohorts: Path, root: Path) -> KnownCohort | None:
    """Return the newest stored cohort of the scans below ``root``."""
    from core.data.folder_look import KnownCohort

    files = [(path.stat().st_mtime, path) for path in cohorts.glob(f"*/{cohort_file.COHORT_FILE}")]
    for _, path in sorted(files, reverse=True):
        # A damaged one is no reason not to scan anew.
        with contextlib.suppress(CohortError):
            stored = cohort_file.load_cohort(path.parent)
            if stored.root == root.resolve():
                return KnownCohort(path.parent, sum(map(_is_changed, stored.scans)))
    return None


def _is_changed(item: Scan) -> bool:
    return item.label != item.found_label or item.flipped or not item.included


def scan(
    folder: Path,
    *,
    out: Path,
    classes: Sequence[str] = (),
    labels: Path | None = None,
    subject_pattern: str = "",
    kind: LayoutKind | None = None,
    class_rules: Sequence[tuple[float, str]] = (),
    with_key_file: bool = False,
) -> Operation[ScannedCohort]:
    """Scan a folder into a cohort and store it at ``out``.

    If ``out`` holds a cohort of the same folder already, the user's choices in it are kept;
    a Notice says how many. For the other parameters see
    :func:`core.data.scan_folder.scan_folder`.

    Raises
    ------
    CohortError
        See :func:`core.data.scan_folder.scan_folder`.
    """
    from core.data.phantom import is_simulated
    from core.data.scan_folder import scan_folder

    cohort = yield from scan_folder(
        folder,
        classes=classes,
        labels=labels,
        subject_pattern=subject_pattern,
        kind=kind,
        class_rules=class_rules,
        with_key_file=with_key_file,
    )
    cohort = replace(cohort, simulated=is_simulated(folder))
    return (yield from _store_scanned(cohort, out))


@dataclass(frozen=True)
class ScanChoices:
    """What the user confirmed after a look.

    Attributes
    ----------
    folders : tuple of Path
    layout : Layout
        How they are read.
    classes : tuple of str
        Those to take; empty takes all.
    with_key_file : bool
        Whether to write which DICOM patient has which study key beside the scans.
    into : Path, optional
        Stored cohort to scan into again; the user's choices in it are kept.
    """

    folders: tuple[Path, ...]
    layout: Layout
    classes: tuple[str, ...] = ()
    with_key_file: bool = False
    into: Path | None = None


def scan_chosen(choices: ScanChoices, *, out: Path) -> Operation[ScannedCohort]:
    """Scan folders as the user confirmed and store the cohort at ``out``.

    Raises
    ------
    CohortError
        See :func:`core.data.scan_folder.scan_folders`.
    """
    from core.data.phantom import is_simulated
    from core.data.scan_folder import scan_folders

    cohort = yield from scan_folders(
        choices.folders,
        classes=choices.classes,
        layout=choices.layout,
        with_key_file=choices.with_key_file,
    )
    cohort = replace(cohort, simulated=is_simulated(choices.folders[0]))
    return (yield from _store_scanned(cohort, out))


def _store_scanned(cohort: Cohort, out: Path) -> Operation[ScannedCohort]:
    if (out / cohort_file.COHORT_FILE).is_file():
        cohort = yield from _with_choices(cohort, out)
    yield Progress("Storing the cohort")
    return _stored(cohort, out)


def _with_choices(cohort: Cohort, out: Path) -> Operation[Cohort]:
    """Return a newly scanned cohort with the choices made in the one stored at ``out``."""
    try:
        old = cohort_file.load_cohort(out)
    except CohortError:
        yield Notice(f"The cohort in '{out.name}' was damaged; it is replaced by the new scan.")
        return cohort
    if old.root != cohort.root:
        yield Notice(
            f"The cohort in '{out.name}' was of another folder; it is replaced by the new scan."
        )
        return cohort
    from core.data.cohort_checks import refreshed

    carried = cohort_file.carry_choices(old, cohort)
    n_kept = sum(
        (one.label, one.included, one.flipped) != (other.label, other.included, other.flipped)
        for one, other in zip(carried.scans, cohort.scans, strict=True)
    )
    if n_kept:
        yield Notice(
            f"Your changes to {n_kept} {'scan' if n_kept == 1 else 'scans'} were kept "
            "(class, left out, flipped)."
        )
    files = {scan.files[0] for scan in cohort.scans}
    n_lost = sum(_is_changed(scan) and scan.files[0] not in files for scan in old.scans)
    if n_lost:
        what = "scan that you had changed is" if n_lost == 1 else "scans that you had changed are"
        yield Notice(f"{n_lost} {what} not part of the new scan.")
    return refreshed(carried)


def _stored(cohort: Cohort, out: Path) -> ScannedCohort:
    try:
        cohort_file.save_cohort(cohort, out)
    except OSError as error:
        raise CohortError(
            f"The cohort cannot be stored in '{out}': {error.strerror}. Choose another folder."
        ) from error
    return ScannedCohort(cohort, out)


def open_cohort(folder: Path) -> Operation[ScannedCohort]:
    """Read a stored cohort."""
    yield Progress(f"Opening {folder.name}")
    if folder.name == cohort_file.COHORT_FILE:
        folder = folder.parent
    return ScannedCohort(cohort_file.load_cohort(folder), folder)


def check_voxels(cohort: Cohort) -> Operation[Cohort]:
    """Read all scans of a cohort: the same one twice, odd brightness, files that have changed.

    Returns the cohort with what was found; it is not stored.
    """
    from core.data.cohort_checks import check_cohort

    return (yield from check_cohort(cohort, all_voxels=True))


def check_stored(folder: Path) -> Operation[ScannedCohort]:
    """Check all voxels of a stored cohort and store what was found.

    Raises
    ------
    CohortError
        If there is none in ``folder``, or it cannot be stored.
    """
    opened = yield from open_cohort(folder)
    return _stored((yield from check_voxels(opened.cohort)), opened.folder)


def relocate_cohort(folder: Path, new_root: Path) -> Operation[ScannedCohort]:
    """Tell a stored cohort where its scans are now; they are checked by their hashes.

    Raises
    ------
    CohortError
        See :func:`core.data.relocation.relocate`; also if it cannot be stored.
    """
    from core.data.relocation import relocate

    cohort = yield from relocate(cohort_file.load_cohort(folder), new_root)
    return _stored(cohort, folder)


def read_scan(cohort: Cohort, scan_to_read: Scan) -> Operation[Any]:
    """Read one scan to look at: a Volume, or ready-made slices (n, height, width) uint8."""
    from core.data.scan_reader import load_scan
    from core.data.slices import read_pictures

    yield Progress(f"Reading {scan_to_read.key}")
    if scan_to_read.kind == "volume":
        return load_scan(cohort, scan_to_read)
    return (yield from read_pictures(cohort, scan_to_read))


def read_thumbnails(
    cohort: Cohort, cohort_folder: Path, scans: Sequence[Scan]
) -> Operation[dict[str, NDArray[np.uint8] | None]]:
    """Return small pictures of scans; see :func:`core.data.thumbnail.read_thumbnails`."""
    from core.data import thumbnail

    return (yield from thumbnail.read_thumbnails(cohort, cohort_folder, scans))


@dataclass(frozen=True)
class ScanStrip:
    """The slices of one scan as the network sees them, (n, S, S) uint8, and their numbers.

    ``positions_mm`` (n,) are theirs along the plane's axis, RAS+; empty for ready-made slices.
    """

    pixels: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    positions_mm: NDArray[np.float64]


def read_strip(cohort: Cohort, scan_to_read: Scan, settings: Cut) -> Operation[ScanStrip]:
    """Cut one scan as the network will see it; of a cube its axial layers."""
    from core.data.cubes import cut_layers

    yield Progress(f"Cutting {scan_to_read.key}")
    cut = cut_layers(cohort, scan_to_read, settings)
    return ScanStrip(cut.pixels, cut.numbers, cut.positions_mm)


def export_slices(
    cohort_folder: Path, settings: SliceSettings, out: Path, *, picture_format: str
) -> Operation[int]:
    """Write the cohort's slices as pictures; return how many."""
    from core.data import slice_export

    cohort = cohort_file.load_cohort(cohort_folder)
    return (
        yield from slice_export.export_slices(
            cohort, cohort_folder, settings, out, picture_format=picture_format
        )
    )


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


def audit_quickly(path: Path, settings: RunSettings) -> Operation[LeakageAudit]:
    """Audit as :func:`audit` where the slices are cut already; else subjects and scans alone.

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
        aim = _AuditAim.of(path, settings)
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
    def of(cls, path: Path, settings: RunSettings) -> _AuditAim:
        if not is_run(path):
            return cls(cohort_file.load_cohort(path), path, settings)
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
    from core.data.leakage import audit_records, with_recorded_counts
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


def train(cohort_folder: Path, settings: RunSettings, runs: Path) -> Operation[Path]:
    """Train one run; return its folder. See :func:`core.training.train.train`."""
    yield Progress("Starting torch")
    from core.training import train as training

    cohort = cohort_file.load_cohort(cohort_folder)
    operation = training.train(cohort, cohort_folder, settings, runs)
    if settings.training.precision != "32":
        yield Notice(
            f"This run is trained in half precision ({settings.training.precision}): its numbers "
            "are not those of 32 bit, and on some devices it is slower. 'mri-fcl probe' measures "
            "it."
        )
    return (yield from with_log(operation, settings, hidden=_names_in(cohort)))


def resume(run_folder: Path) -> Operation[Path]:
    """Go on with a stopped or crashed run; return its folder."""
    yield Progress("Starting torch")
    from core.training import train as training

    # Before the log: that of a run which another program trains is not ours to write.
    require_free(run_folder)
    run = Run(run_folder)
    cohort = cohort_file.load_cohort(cohort_folder_of(run))
    operation = training.resume(run_folder, cohort)
    return (yield from with_log(operation, run.settings, resumed=run, hidden=_names_in(cohort)))


def load_packages() -> Operation[None]:
    """Import torch and the other heavy packages ahead of their first use."""
    from core import warm_up

    yield from warm_up.load_packages()


def probe_precision(settings: RunSettings) -> Operation[ProbeResult]:
    """Measure in which precision training is fastest here; see :mod:`core.training.probe`."""
    yield Progress("Starting torch")
    from core.training import probe

    return (yield from probe.probe_precision(settings))


def _names_in(cohort: Cohort) -> set[str]:
    """Return all names that a log should not hold."""
    return {name for scan in cohort.scans for name in (scan.subject, scan.key)}


def open_run(run_folder: Path) -> Operation[Run]:
    """Read a run; a stopped one gets its features first, where its cohort is still there."""
    run = Run(run_folder)
    yield Progress(f"Opening {run.name}")
    if not run.has_features:
        yield from _complete(run)
        run = Run(run_folder)
    if run.has_features:
        _ = run.features, run.fc_history, run.history
    return run


def analyse(run_folder: Path, out: Path | None = None) -> Operation[Any]:
    """Write all figures and tables of a run, into the run folder if ``out`` is not given."""
    from core import report

    run = yield from open_run(run_folder)
    if not run.has_features:
        raise RunError(f"Run '{run.name}' has no features yet. Let its training end, or resume it.")
    return (yield from report.write_analysis(run, out or run_folder))


def compare(run_folders: Sequence[Path], out: Path) -> Operation[Any]:
    """Write Table 2 of the runs beside the paper's."""
    from core import report

    return (yield from report.write_comparison([Run(path) for path in run_folders], out))


def correlate(
    run_folder: Path,
    *,
    scans: Sequence[str] | None = None,
    part: str = "test",
    method: Method = "pearson",
    out: Path | None = None,
) -> Operation[tuple[list[Table], list[Path]]]:
    """Correlate a run's FCL rows with each other and with scans; return tables and files.

    Figures and tables are written only where ``out`` is given.
    """
    from core import figure_file
    from core.analysis import correlation, scan_correlation

    run = yield from open_run(run_folder)
    yield Progress("Correlating")
    chosen: dict[str, Any] = {"part": part, "method": method, "scans": scans}
    tables = [
        correlation.row_correlation_table(run, method=method),
        scan_correlation.weight_class_correlation_table(run, **chosen),
        scan_correlation.weight_scan_correlation_table(run, **chosen),
    ]
    if out is None:
        return tables, []
    files = []
    for table in tables:
        files.append(out / f"{table.name}.csv")
        table.write(files[-1])
    for figure in (
        correlation.row_correlation(run, method=method),
        scan_correlation.weight_scan_correlation(run, **chosen),
        scan_correlation.scan_map(run, **chosen),
    ):
        yield Progress("Drawing figures")
        files += figure_file.write_figure(figure, out)
    return tables, files


def report_html(
    run_folders: Sequence[Path], path: Path, contents: ReportContents = USUAL
) -> Operation[Path]:
    """Write the report page of the runs."""
    from core import report_page

    runs = yield from _open_runs(run_folders)
    return (yield from report_page.write_html(runs, path, contents))


def report_text(run_folders: Sequence[Path], contents: ReportContents = USUAL) -> Operation[str]:
    """Return the report page of the runs as HTML."""
    from core import report_page

    runs = yield from _open_runs(run_folders)
    return (yield from report_page.page_html(runs, contents))


def report_zip(
    run_folders: Sequence[Path], path: Path, contents: ReportContents = USUAL
) -> Operation[Path]:
    """Write every figure and table of the runs into one ZIP."""
    from core import report_page

    runs = yield from _open_runs(run_folders)
    return (yield from report_page.write_zip(runs, path, contents))


def time_lapse(
    run_folder: Path,
    figure: str,
    path: Path,
    *,
    epochs_per_second: float = 5.0,
    strip_epochs: str = "",
) -> Operation[Path]:
    """Write one figure of a run over its epochs: GIF or MP4, or PNG, SVG or CSV of a strip.

    Parameters
    ----------
    figure : str
        One of :data:`core.report_contents.TIME_LAPSES`.
    strip_epochs : str
        Epochs of the strip (``0, 5, 10``); without it some, evenly over all.
    """
    from core import report
    from core import time_lapse as lapse

    run = yield from open_run(run_folder)
    make, epochs = report.time_lapse_of(run, figure)
    if path.suffix.lower().lstrip(".") in lapse.FORMATS:
        return (
            yield from lapse.save_time_lapse(
                make, epochs, path, frames_per_second=epochs_per_second
            )
        )
    chosen = (
        lapse.epochs_in(strip_epochs, epochs)
        if strip_epochs
        else lapse.chosen_epochs(epochs, lapse.STRIP_EPOCHS)
    )
    return (yield from lapse.save_strip(make, chosen, path))


def _open_runs(run_folders: Sequence[Path]) -> Operation[list[Run]]:
    runs = []
    for folder in run_folders:
        runs.append((yield from open_run(folder)))
    return runs


def look_up_weights(networks: Sequence[str], asked: str) -> Operation[list[WeightsState]]:
    """Tell for each network whether the pretrained weights are here; fetches nothing."""
    yield Progress("Looking for weights")
    from core.training import weights_state

    states = []
    for network in networks:
        states.append(weights_state.look_up(network, asked))
        yield Progress("Looking for weights", len(states), len(networks))
    return states


def list_weights() -> Operation[tuple[Path, list[WeightsState]]]:
    """Return the folder of torchvision's weights, and which of its files are there."""
    yield Progress("Looking for weights")
    from core.training import pretrained, weights_state

    states = [weights_state.state_of(entry) for entry in pretrained.weights_entries().values()]
    return pretrained.weights_folder(), states


def download_weights(name: str) -> Operation[Path]:
    """Fetch one of torchvision's weights files, as the user asked; return its path.

    Parameters
    ----------
    name : str
        One of :data:`core.training.weights_entry.ENTRY_NAMES`.

    Raises
    ------
    TrainingError
        See :func:`core.training.weights_download.download`.
    """
    yield Progress("Starting the download")
    from core.training import pretrained, weights_download

    entry = pretrained.weights_entries()[name]
    return (yield from weights_download.download(entry, pretrained.weights_folder()))


def cohort_folder_of(run: Run) -> Path:
    """Return the cohort's folder of a run.

    Raises
    ------
    RunError
        If it is no longer where the run's record says.
    """
    folder = (run.path / str(run.record["cohort"]["folder"])).resolve()
    if not (folder / cohort_file.COHORT_FILE).is_file():
        raise RunError(
            f"The cohort '{run.record['cohort']['name']}' of run '{run.name}' is no "
            "longer beside it. Put it back where it was, relative to the run."
        )
    return folder


def free_cohort_folder(parent: Path, name: str) -> Path:
    """Return a ``NAME.mrifcl`` below ``parent`` that does not exist yet."""
    for number in itertools.count(1):
        path = parent / (f"{name}.mrifcl" if number == 1 else f"{name}-{number}.mrifcl")
        if not path.exists():
            return path
    raise AssertionError


def _complete(run: Run) -> Operation[None]:
    if not run.record.get("epochs_done"):
        return
    holder = holder_of(run.path)
    if holder is not None:
        yield Notice(in_use_sentence(run.path, holder))
        return
    try:
        cohort = cohort_file.load_cohort(cohort_folder_of(run))
    except MriFclError as error:
        yield Notice(str(error))
        return
    yield Progress("Starting torch")
    from core.training import train as training

    yield from training.complete_features(run.path, cohort)
