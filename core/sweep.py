"""Many planned runs, one after another: what is done is kept, one that fails stops no other."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import config, tasks
from core.config import RunSettings
from core.data.cohort import load_cohort
from core.data.split import split_name
from core.errors import MriFclError, RunError
from core.figure import Table
from core.plan import Plan, run_key
from core.plan_log import LoggedRun, PlanLog, PlannedState
from core.progress import Notice, Operation, Progress, RunMoved, RunStarted, SweepMoved
from core.run_folder import Run
from core.run_lock import RunInUseError, holder_of, take_lock

logger = logging.getLogger(__name__)

LOG_FILE = "sweep.jsonl"
TABLE_FILE = "sweep.csv"
RESULT_COLUMNS = (
    "network",
    "regime",
    "split",
    "seed",
    "fold",
    "state",
    "epochs",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
    "test_accuracy_by_subject",
    "by_subject_low",
    "by_subject_high",
    "seconds",
    "warning",
    "run",
)
# What the columns tell already.
_TOLD = {"network", "regime", "mode", "seed", "fold", "epochs"}


@dataclass(frozen=True)
class SweepRun:
    """One planned run and what became of it.

    Attributes
    ----------
    key : str
        See :func:`core.plan.run_key`.
    settings : RunSettings
    state : {"waiting", "running", "finished", "stopped", "failed"}
    path : Path or None
        Its run folder; None before it was started.
    text : str
        Why it failed.
    """

    key: str
    settings: RunSettings
    state: PlannedState = "waiting"
    path: Path | None = None
    text: str = ""


def run_title(settings: RunSettings) -> str:
    """Return a planned run in a few words."""
    training, split = settings.training, settings.split
    fold = f" {split.fold}/{split.folds}" if _has_folds(settings) else ""
    return (
        f"{config.NETWORK_TITLES[training.network]}, "
        f"{config.REGIME_TITLES[training.regime].lower()}, {split_name(split)}{fold}, "
        f"seed {training.seed}"
    )


def sweep(cohort_folder: Path, plan: Plan, runs: Path) -> Operation[tuple[SweepRun, ...]]:
    """Train the runs of a plan one after another; return what became of each.

    Runs that are finished are left alone, begun ones go on. What became of each is kept in
    ``runs/sweep.jsonl``; the table of all stands in ``runs/sweep.csv`` after each run.

    Raises
    ------
    CohortError
        If nothing can be trained on the cohort.
    RunError
        If another sweep writes to ``runs``, or nothing can be written there.
    """
    cohort = load_cohort(cohort_folder)
    cohort.require_trainable()
    yield Progress(f"Reading '{runs.name}'", 0, len(plan.runs))
    with alone_in(runs):
        book = SweepBook(runs, plan, cohort.identity)
        for text in plan.left_out:
            yield Notice(text)
        yield from book.tell_all()
        for index in book.undone():
            yield from _train_one(book, index, cohort_folder)
            book.write_table()
        book.write_table()
        return tuple(book.rows)


class SweepBook:
    """Keeps what became of the runs of a plan, in memory and on disk.

    Parameters
    ----------
    runs : Path
        Folder of the runs; the log lies there.
    plan : Plan
    cohort_id : str
        Identity of the cohort they are trained on.

    Attributes
    ----------
    rows : list of SweepRun
        In the plan's order.
    """

    def __init__(self, runs: Path, plan: Plan, cohort_id: str) -> None:
        self.runs = runs
        self._log = PlanLog(runs / LOG_FILE)
        known = {entry.key: entry for entry in self._log.entries()}
        self.rows = [
            self._row(run_key(settings, cohort_id), settings, known) for settings in plan.runs
        ]
        self._log.add(LoggedRun(row.key, row.settings) for row in self.rows if row.key not in known)

    def tell_all(self) -> Iterator[SweepMoved]:
        """Yield the state of every run."""
        for index, row in enumerate(self.rows):
            yield SweepMoved(index, row.state, row.text)

    def undone(self) -> list[int]:
        """Return the places of the runs that are still to be trained."""
        return [index for index, row in enumerate(self.rows) if row.state != "finished"]

    def begun(self, index: int) -> Path | None:
        """Return the run folder to go on with; None where a new one is to be made."""
        path = self.rows[index].path
        with contextlib.suppress(RunError):
            if path is not None and Run(path).record.get("epochs_done"):
                return path
        return None

    def start(self, index: int, path: Path) -> SweepMoved:
        """Note that a run is trained in ``path``."""
        row = self.rows[index]
        self._log.start(row.key, _seen_from(self.runs, path))
        return self._move(index, replace(row, state="running", path=path, text=""))

    def end(self, index: int, state: PlannedState, text: str = "") -> SweepMoved:
        """Note how a run ended."""
        row = self.rows[index]
        self._log.end(row.key, state, text)
        return self._move(index, replace(row, state=state, text=text))

    def write_table(self) -> None:
        """Write the table of all runs beside them."""
        path = self.runs / TABLE_FILE
        try:
            results_table(self.rows).write(path)
        except OSError as error:
            # Someone may have it open in a spreadsheet; the runs are what counts.
            logger.warning("the table '%s' was not written: %s", path.name, error.strerror)

    def _move(self, index: int, row: SweepRun) -> SweepMoved:
        self.rows[index] = row
        return SweepMoved(index, row.state, row.text)

    def _row(self, key: str, settings: RunSettings, known: dict[str, LoggedRun]) -> SweepRun:
        entry = known.get(key)
        if entry is None or not entry.run:
            return SweepRun(key, settings)
        path = self.runs / entry.run
        try:
            # The run's own record is nearer to the truth than the log.
            state = Run(path).state
        except RunError:
            return SweepRun(key, settings)  # removed, or damaged: it is trained again
        return SweepRun(key, settings, "finished" if state == "finished" else "waiting", path)


def _seen_from(runs: Path, path: Path) -> str:
    try:
        return os.path.relpath(path, runs).replace(os.sep, "/")
    except ValueError:  # another drive on Windows
        return path.as_posix()


def train_or_resume(
    cohort_folder: Path,
    settings: RunSettings,
    runs: Path,
    begun: Path | None,
    *,
    on_start: Callable[[Path], object] | None = None,
) -> Operation[Path]:
    """Go on with ``begun``; train a new run where there is none, or nothing to go on from."""
    on_start = on_start or _tell_nobody
    if begun is not None:
        started: list[Path] = []
        try:
            return (yield from _watched(tasks.resume(begun), [started.append, on_start]))
        except RunInUseError:
            raise
        except MriFclError as error:
            if started:
                raise
            yield Notice(f"{error} It is trained again from the start.")
    return (yield from _watched(tasks.train(cohort_folder, settings, runs), [on_start]))


def _tell_nobody(_: Path) -> None:
    """Stand in for a listener."""


def fault_text(error: Exception) -> str:
    """Return an error in plain words."""
    if isinstance(error, MriFclError):
        return str(error)
    logger.error("a planned run failed", exc_info=error)
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"It broke off: {type(error).__name__}{f': {first}' if first else ''}."


def results_table(rows: Sequence[SweepRun]) -> Table:
    """Return what became of planned runs: one row each, with a column for what else differs.

    Accuracies are fractions 0..1 of the last epoch's network, the interval is Wilson's 95 %
    over subjects; a cell is empty where a run has no such number.
    """
    differing = _differing([row.settings for row in rows])
    runs = [_read(row) for row in rows]
    return Table(
        name="sweep",
        title="Planned runs",
        columns=(*RESULT_COLUMNS, *differing),
        rows=tuple(
            (*_result(row, run), *(_value(row.settings, name) for name in differing))
            for row, run in zip(rows, runs, strict=True)
        ),
        warning=_joint_warning([run for run in runs if run is not None]),
        caption="Fractions 0..1 of the last epoch's network in evaluation mode; the interval is "
        "Wilson's 95 % over test subjects; seconds of training.",
    )


def short_table(rows: Sequence[SweepRun]) -> Table:
    """Return the same for a screen: in percent, few columns, why runs failed left to the CSV."""
    return Table(
        name="sweep",
        title="Planned runs (accuracy in %, in brackets the 95 % interval over test subjects)",
        columns=("run", "state", "epochs", "train", "validation", "test", "by subject", "time"),
        rows=tuple(_short(row, _result(row, _read(row))) for row in rows),
    )


def _joint_warning(runs: Sequence[Run]) -> str:
    """Return what must stand in red beside the numbers of many runs."""
    n_leaking = sum(run.leaks for run in runs)
    sentences = []
    if n_leaking:
        sentences.append(
            f"Leaking split in {n_leaking} of {len(runs)} runs: their accuracies are inflated."
        )
    if any(run.settings.split.shuffled_labels for run in runs):
        sentences.append("Control runs with shuffled labels are among them.")
    if any(run.record.get("simulated") for run in runs):
        sentences.append("Simulated scans: says nothing about patients.")
    return " ".join(sentences)


def _short(row: SweepRun, result: tuple[Any, ...]) -> tuple[Any, ...]:
    told = dict(zip(RESULT_COLUMNS, result, strict=True))
    train, validation, test, by_subject, low, high = (
        _percent(told[name]) for name in RESULT_COLUMNS[7:13]
    )
    leaks = " (leaks)" if test and "Leaking" in told["warning"] else ""
    return (
        run_title(row.settings),
        row.state,
        f"{told['epochs']} of {row.settings.epochs}",
        train or None,
        validation or None,
        f"{test}{leaks}" or None,
        f"{by_subject} [{low}–{high}]" if by_subject else None,
        f"{told['seconds']:.0f} s" if told["seconds"] is not None else None,
    )


def _percent(value: float | None) -> str:
    return "" if value is None or value != value else f"{100 * value:.1f}"


def paper_plan(
    settings: RunSettings,
    rows: Sequence[int],
    *,
    seeds: Sequence[int] = (),
    splits: Sequence[str] = (),
) -> Plan:
    """Return the rows of the paper's Table 2 as a plan, for each seed and split.

    Parameters
    ----------
    settings : RunSettings
        Everything that the rows leave open.
    rows : sequence of int
        Numbers from 1 to 12; empty: all.
    seeds, splits : sequence
        Empty: those of ``settings``.

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    from core.analysis.comparison import PAPER_TABLE_2

    planned: dict[RunSettings, None] = {}
    for split in splits or (settings.split.mode,):
        for seed in seeds or (settings.training.seed,):
            for number, row in enumerate(PAPER_TABLE_2, start=1):
                if not rows or number in rows:
                    values = {
                        "network": row.network,
                        "regime": "scratch" if row.regime == "scratch long" else row.regime,
                        "epochs": row.epochs,
                        "learning_rate": None,
                        "mode": split,
                        "seed": seed,
                    }
                    planned[config.change(settings, values)] = None
    return Plan(tuple(planned))


def _train_one(book: SweepBook, index: int, cohort_folder: Path) -> Operation[None]:
    row = book.rows[index]
    yield SweepMoved(index, "running")

    def on_start(path: Path) -> None:
        book.start(index, path)

    try:
        yield from train_or_resume(
            cohort_folder, row.settings, book.runs, book.begun(index), on_start=on_start
        )
    except GeneratorExit:
        book.end(index, "stopped")
        raise
    except Exception as error:  # noqa: BLE001 - whatever a run dies of, the next is trained
        text = fault_text(error)
        yield book.end(index, "failed", text)
        yield Notice(f"Run {index + 1} failed: {text}")
    else:
        yield book.end(index, "finished")


def _watched(
    operation: Operation[Path], on_start: Sequence[Callable[[Path], object]]
) -> Operation[Path]:
    """Pass on an operation; tell of its run folder as soon as there is one."""
    try:
        while True:
            try:
                event = next(operation)
            except StopIteration as stop:
                return Path(stop.value)
            if isinstance(event, RunStarted | RunMoved):
                for listener in on_start:
                    listener(event.path)
            yield event
    finally:
        operation.close()


@contextlib.contextmanager
def alone_in(runs: Path) -> Iterator[None]:
    """Keep other sweeps out of ``runs``.

    Raises
    ------
    RunError
        If another sweep is there, or the folder cannot be written.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        lock = take_lock(runs)
    except RunInUseError as error:
        holder = holder_of(runs)
        who = f" on {holder.host}" if holder is not None and holder.host else ""
        raise RunError(
            f"Another sweep{who} writes to '{runs}'. Let it end, or give another folder for runs."
        ) from error
    except OSError as error:
        raise RunError(
            f"No run can be stored in '{runs}': {error.strerror}. Choose another folder for runs."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _result(row: SweepRun, run: Run | None) -> tuple[Any, ...]:
    settings = row.settings
    return (
        config.NETWORK_TITLES[settings.training.network],
        config.REGIME_TITLES[settings.training.regime],
        split_name(settings.split),
        settings.training.seed,
        settings.split.fold if _has_folds(settings) else None,
        row.state,
        run.record.get("epochs_done", 0) if run is not None else 0,
        *_accuracies(run, row.state),
        run.record.get("seconds") if run is not None else None,
        " ".join(filter(None, (run.warning if run is not None else "", row.text))),
        run.name if run is not None else "",
    )


def _read(row: SweepRun) -> Run | None:
    with contextlib.suppress(RunError):
        return Run(row.path) if row.path is not None else None
    return None


def _accuracies(run: Run | None, state: str) -> tuple[float | None, ...]:
    if run is None or state != "finished" or not run.has_features:
        return (None,) * 6
    from core.analysis.evaluation import accuracy, accuracy_by_subject

    try:
        parts = [run.features.of_part(part) for part in ("train", "validation", "test")]
    except RunError:
        return (None,) * 6
    by_subject = accuracy_by_subject(parts[2])
    return (
        *(accuracy(part).accuracy for part in parts),
        by_subject.accuracy,
        by_subject.low,
        by_subject.high,
    )


def _differing(settings: Sequence[RunSettings]) -> list[str]:
    """Return the settings that differ between runs and have no column of their own."""
    names = [field.name for field in config.setting_fields() if field.name not in _TOLD]
    return [name for name in names if len({_value(item, name) for item in settings}) > 1]


def _has_folds(settings: RunSettings) -> bool:
    return split_name(settings.split) == "kfold"


def _value(settings: RunSettings, name: str) -> Any:  # noqa: ANN401 - the value of any setting
    return getattr(getattr(settings, config.find_field(name).group), name)
