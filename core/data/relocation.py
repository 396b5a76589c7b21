"""Find the scans of a cohort again after their folder was moved; make sure they are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from core.data.cohort import Cohort, Scan
from core.data.labels import some
from core.data.scan_files import hash_scan, paths_of_scan, stamps_of
from core.errors import CohortError
from core.progress import Operation, Progress

_SAMPLE = 5


def missing_files(cohort: Cohort) -> tuple[str, ...]:
    """Return the files of the cohort that are not where they were, relative to its root."""
    if not cohort.root.is_dir():
        return tuple(file for scan in cohort.scans for file in scan.files)
    files = (file for scan in cohort.scans for file in scan.files)
    return tuple(file for file in files if not cohort.path_of(file).is_file())


def relocate(cohort: Cohort, new_root: Path) -> Operation[Cohort]:
    """Return the cohort with its scans below ``new_root``, each checked by its hash.

    Parameters
    ----------
    cohort : Cohort
        As stored.
    new_root : Path
        Where the scans are now; the folder above or below it will do if the user chose
        one level too deep or too high.

    Raises
    ------
    CohortError
        If scans are missing there or differ; names them.
    """
    yield Progress(f"Looking for the scans in {new_root.name}")
    moved = replace(cohort, root=_matching_root(cohort, new_root))
    missing = missing_files(moved)
    if missing:
        raise CohortError(
            f"{len(missing)} files of the cohort are not in '{new_root.name}': {some(missing)}. "
            "Choose the folder that holds all of them, or scan it anew."
        )
    step = max(1, len(moved.scans) // _SAMPLE)
    sample = moved.scans[::step]
    yield from _check(moved, sample)
    yield from _check(moved, [scan for scan in moved.scans if scan not in sample])
    # The bytes are the same; copies have other times.
    return moved.with_scans(_stamped(moved, scan) for scan in moved.scans)


def _matching_root(cohort: Cohort, new_root: Path) -> Path:
    """Return the first candidate that holds a scan."""
    for candidate in _candidates(cohort, new_root):
        trial = replace(cohort, root=candidate)
        if any(trial.path_of(scan.files[0]).is_file() for scan in cohort.scans):
            return candidate.resolve()
    first = cohort.scans[0].files[0] if cohort.scans else "its first scan"
    raise CohortError(
        f"'{new_root.name}' does not hold the scans of this cohort: '{first}' is not there. "
        "Choose the folder that holds its class folders."
    )


def _candidates(cohort: Cohort, new_root: Path) -> Iterator[Path]:
    yield new_root
    yield new_root / cohort.root.name
    # A class folder was chosen instead of the folder that holds it.
    if any(scan.files[0].split("/")[0] == new_root.name for scan in cohort.scans):
        yield new_root.parent


def _stamped(cohort: Cohort, scan: Scan) -> Scan:
    if not scan.sha256:
        return scan
    return replace(scan, stamps=stamps_of(paths_of_scan(cohort.root, scan.files)))


def _check(cohort: Cohort, scans: Sequence[Scan]) -> Operation[None]:
    different = []
    for done, scan in enumerate(scans):
        yield Progress("Checking the scans", done, len(scans))
        if not scan.sha256:
            continue
        try:
            is_same = hash_scan(cohort.root, scan.files) == scan.sha256
        except OSError:
            is_same = False
        if not is_same:
            different.append(scan.files[0])
    if different:
        raise CohortError(
            f"{len(different)} scans there differ from those of the cohort: {some(different)}. "
            "Choose the folder with the unchanged scans, or scan it anew."
        )
