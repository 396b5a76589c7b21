"""Look at folders, scan them into a cohort, open and keep cohorts."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.data import cohort as cohort_file
from core.data.cohort import Cohort, Scan
from core.errors import CohortError
from core.progress import Notice, Operation, Progress

if TYPE_CHECKING:
    from core.data.folder_look import FolderLook, KnownCohort
    from core.data.layout import Layout, LayoutKind


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


def free_cohort_folder(parent: Path, name: str) -> Path:
    """Return a ``NAME.mrifcl`` below ``parent`` that does not exist yet."""
    for number in itertools.count(1):
        path = parent / (f"{name}.mrifcl" if number == 1 else f"{name}-{number}.mrifcl")
        if not path.exists():
            return path
    raise AssertionError
