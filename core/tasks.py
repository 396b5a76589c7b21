"""What a user can start, from the window or a terminal: generators of events.

Training is imported inside the functions, so that a window is on screen before torch loads.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core import config
from core.config import RunSettings, SliceSettings
from core.data import cohort as cohort_file
from core.data.cohort import Cohort, Scan
from core.errors import CohortError, MriFclError, RunError
from core.progress import Notice, Operation, Progress
from core.run_folder import Run, is_run

if TYPE_CHECKING:
    from core.data.leakage import LeakageAudit


@dataclass(frozen=True)
class ScannedCohort:
    """A cohort and the folder (``NAME.mrifcl``) it is stored in."""

    cohort: Cohort
    folder: Path


def scan(
    folder: Path,
    *,
    out: Path,
    classes: Sequence[str] = (),
    labels: Path | None = None,
    subject_pattern: str = "",
) -> Operation[ScannedCohort]:
    """Scan a folder into a cohort and store it at ``out``.

    Raises
    ------
    CohortError
        See :func:`core.data.scan_folder.scan_folder`.
    """
    from core.data.phantom import is_simulated
    from core.data.scan_folder import scan_folder

    cohort = yield from scan_folder(
        folder, classes=classes, labels=labels, subject_pattern=subject_pattern
    )
    cohort = replace(cohort, simulated=is_simulated(folder))
    yield Progress("Storing the cohort")
    return _stored(cohort, out)


def scan_folders(
    folders: Sequence[Path], *, out: Path, subject_pattern: str = ""
) -> Operation[ScannedCohort]:
    """Scan several folders that were dropped at once; their names are the classes.

    Raises
    ------
    CohortError
        See :func:`core.data.scan_folder.scan_folders`.
    """
    from core.data.scan_folder import scan_folders as scan_all

    cohort = yield from scan_all(folders, subject_pattern=subject_pattern)
    yield Progress("Storing the cohort")
    return _stored(cohort, out)


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


@dataclass(frozen=True)
class ScanStrip:
    """The slices of one scan as the network sees them, (n, S, S) uint8, and their numbers.

    ``positions_mm`` (n,) are theirs along the plane's axis, RAS+; empty for ready-made slices.
    """

    pixels: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    positions_mm: NDArray[np.float64]


def read_strip(cohort: Cohort, scan_to_read: Scan, settings: SliceSettings) -> Operation[ScanStrip]:
    """Cut one scan as the network will see it."""
    from core.data.slices import slices_of_scan

    yield Progress(f"Cutting {scan_to_read.key}")
    cut = slices_of_scan(cohort, scan_to_read, settings)
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
    """Audit the split of a run, or the split that ``settings`` would give a cohort."""
    from core.data.leakage import audit_split
    from core.data.slice_cache import prepare_slices
    from core.data.split import split_again, split_name

    if is_run(path):
        run = Run(path)
        folder, settings, kept = cohort_folder_of(run), run.settings, path / "split.csv"
    else:
        folder, kept = path, Path(settings.split.split_file)
    cohort = cohort_file.load_cohort(folder)
    slices = yield from prepare_slices(cohort, folder, settings.slices)
    split = split_again(slices, settings.split, settings.training.seed, kept)
    for notice in split.notices:
        yield Notice(notice)
    yield Progress("Comparing slices")
    return audit_split(slices, split, split_name(settings.split))


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
    return (yield from training.train(cohort, cohort_folder, settings, runs))


def resume(run_folder: Path) -> Operation[Path]:
    """Go on with a stopped or crashed run; return its folder."""
    yield Progress("Starting torch")
    from core.training import train as training

    cohort = cohort_file.load_cohort(cohort_folder_of(Run(run_folder)))
    return (yield from training.resume(run_folder, cohort))


def open_run(run_folder: Path) -> Operation[Run]:
    """Read a run; a stopped one gets its features first, where its cohort is still there."""
    run = Run(run_folder)
    yield Progress(f"Opening {run.name}")
    if not run.has_features and run.state != "running":
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


def report_html(run_folders: Sequence[Path], path: Path) -> Operation[Path]:
    """Write the report page of the runs."""
    from core import report

    runs = []
    for folder in run_folders:
        runs.append((yield from open_run(folder)))
    return (yield from report.write_html(runs, path))


def paper(
    cohort_folder: Path, settings: RunSettings, runs: Path, rows: Sequence[int]
) -> Operation[list[Path]]:
    """Train the rows of the paper's Table 2 (numbered from 1), one after the other.

    A row that cannot be trained (its pretrained weights are missing) is said in a Notice.
    """
    from core.analysis.comparison import PAPER_TABLE_2

    trained: list[Path] = []
    for number, row in enumerate(PAPER_TABLE_2, start=1):
        if rows and number not in rows:
            continue
        yield Notice(
            f"Row {number}: {config.NETWORK_TITLES[row.network]}, "
            f"{row.regime}, {row.epochs} epochs."
        )
        chosen = config.change(
            settings,
            {
                "network": row.network,
                "regime": "scratch" if row.regime == "scratch long" else row.regime,
                "epochs": row.epochs,
                "learning_rate": None,
            },
        )
        try:
            trained.append((yield from train(cohort_folder, chosen, runs)))
        except MriFclError as error:
            yield Notice(f"Row {number} was not trained: {error}")
    if not trained:
        raise RunError("No row could be trained. The sentences above say why.")
    return trained


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
    if not (run.path / "network.safetensors").is_file() or not run.record.get("epochs_done"):
        return
    try:
        cohort = cohort_file.load_cohort(cohort_folder_of(run))
    except MriFclError as error:
        yield Notice(str(error))
        return
    yield Progress("Starting torch")
    from core.training import train as training

    yield from training.complete_features(run.path, cohort)
