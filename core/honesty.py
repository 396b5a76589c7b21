"""The leakage meter: the same settings trained under both splits, true and shuffled."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import config, figure_file, tasks
from core.analysis.leakage_meter import (
    Inflation,
    inflation_figure,
    inflation_table,
    meter_warning,
    meters_of,
)
from core.config import RunSettings
from core.errors import MriFclError, RunError
from core.figure import Figure, Table
from core.progress import Notice, Operation, Progress
from core.run_folder import Run, list_runs

MOST_SEEDS = 20


@dataclass(frozen=True)
class LeakageMeter:
    """What the meter shows: of true labels first, then of shuffled ones; and its runs."""

    found: tuple[Inflation, ...]
    runs: tuple[Path, ...]
    warning: str = ""

    def table(self) -> Table:
        """Return accuracies and inflation."""
        return inflation_table(self.found, self.warning)

    def figure(self) -> Figure:
        """Return the accuracies as dots.

        Raises
        ------
        AnalysisError
            If the meter is empty.
        """
        return inflation_figure(self.found, self.warning)

    def sentences(self) -> list[str]:
        """Say what was found."""
        return [item.sentence() for item in self.found]


def planned_runs(
    settings: RunSettings, *, seeds: int = 1, with_shuffled: bool = False
) -> list[RunSettings]:
    """Return what the meter trains: both splits for each seed, and again with shuffled labels.

    Raises
    ------
    RunError
        If ``seeds`` is not from 1 to 20.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise RunError(f"{seeds} seeds cannot be trained. Choose 1 to {MOST_SEEDS}.")
    planned = []
    for shuffled in (False, True) if with_shuffled else (False,):
        for number in range(seeds):
            for mode in ("subject", "slice"):
                changes = {
                    "mode": mode,
                    "split_file": "",
                    "shuffled_labels": shuffled,
                    "seed": settings.training.seed + number,
                }
                planned.append(config.change(settings, changes))
    return planned


def leakage_meter(
    cohort_folder: Path,
    settings: RunSettings,
    runs: Path,
    *,
    seeds: int = 1,
    with_shuffled: bool = False,
    known: Sequence[Path] = (),
) -> Operation[LeakageMeter]:
    """Train the same settings by slice and by subject and measure what leakage adds.

    Finished runs of the same settings and cohort in ``runs``, or among ``known``, are taken
    instead of being trained again.

    Raises
    ------
    MriFclError
        If a run cannot be trained; see :func:`core.tasks.train`.
    """
    planned = planned_runs(settings, seeds=seeds, with_shuffled=with_shuffled)
    yield Progress("Leakage meter", 0, len(planned))
    there = _finished_runs(runs, known, cohort_folder)
    paths = []
    for number, wanted in enumerate(planned, start=1):
        split = wanted.split
        labels = ", shuffled labels" if split.shuffled_labels else ""
        words = f"split by {split.mode}{labels}, seed {wanted.training.seed}"
        found = next((run for run in there if run.settings == wanted), None)
        if found is not None:
            yield Notice(f"Run {number} of {len(planned)}, {words}: {found.name} is that already.")
            paths.append(found.path)
            continue
        yield Notice(f"Run {number} of {len(planned)}: {words}.")
        paths.append((yield from tasks.train(cohort_folder, wanted, runs)))
    return (yield from read_leakage_meter(paths, settings))


def read_leakage_meter(paths: Sequence[Path], settings: RunSettings) -> Operation[LeakageMeter]:
    """Measure what leakage adds from runs that are there; empty where a split is missing."""
    runs = []
    for number, path in enumerate(paths):
        yield Progress("Reading runs", number, len(paths))
        runs.append(Run(path))
    return LeakageMeter(
        meters_of(runs, settings), tuple(run.path for run in runs), meter_warning(runs)
    )


def look_for_meter(run_path: Path) -> Operation[LeakageMeter]:
    """Measure what leakage adds from the runs beside one, of the same settings and cohort."""
    yield Progress("Looking for runs")
    run = Run(run_path)
    same: list[Run] = []
    for other in list_runs(run_path.parent):
        yield Progress("Looking for runs", len(same))
        if _cohort_of(other) == _cohort_of(run) and other.classes == run.classes:
            same.append(other)
    return LeakageMeter(
        meters_of(same, run.settings), tuple(item.path for item in same), meter_warning([run])
    )


def write_meter(meter: LeakageMeter, out: Path) -> list[Path]:
    """Write table and figure into a new folder ``leakage_meter`` below ``out``; return the files.

    Raises
    ------
    AnalysisError
        If the meter is empty.
    RunError
        If the folder cannot be made.
    """
    figure = meter.figure()
    try:
        folder = _new_folder(out)
        table = meter.table()
        path = folder / f"{table.name}.csv"
        table.write(path)
        return [path, *figure_file.write_figure(figure, folder)]
    except OSError as error:
        raise RunError(
            f"The leakage meter cannot be stored in '{out}': {error.strerror}. Choose another "
            "folder."
        ) from error


def _new_folder(out: Path) -> Path:
    for number in itertools.count(1):
        folder = out / ("leakage_meter" if number == 1 else f"leakage_meter_{number}")
        if not folder.exists():
            folder.mkdir(parents=True)
            return folder
    raise AssertionError


def _finished_runs(runs: Path, known: Sequence[Path], cohort_folder: Path) -> list[Run]:
    found = [*list_runs(runs), *map(Run, known)]
    wanted = cohort_folder.resolve()
    return [
        run
        for run in found
        if run.state == "finished" and run.has_features and _folder_of(run) == wanted
    ]


def _folder_of(run: Run) -> Path | None:
    try:
        return tasks.cohort_folder_of(run)
    except (MriFclError, KeyError, TypeError):
        return None


def _cohort_of(run: Run) -> object:
    cohort = run.record.get("cohort")
    return cohort.get("id", cohort.get("name")) if isinstance(cohort, dict) else None
