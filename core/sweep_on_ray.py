"""The same sweep on the machines of a Ray cluster; run folders lie on a drive that all share."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import config
from core.data.cohort import load_cohort
from core.errors import RunError, SettingsError
from core.missing_package import how_to_add
from core.plan import Plan
from core.progress import EpochMetrics, Notice, Operation, Progress, RunStarted, SweepMoved
from core.sweep import SweepBook, SweepRun, alone_in, fault_text, train_or_resume

LOCAL = "local"
_SECONDS_BETWEEN = 0.3
_SECONDS_TO_STOP = 60.0


@dataclass(frozen=True)
class RayPlace:
    """Where runs are trained, and what each may take.

    Attributes
    ----------
    address : str
        Of a Ray cluster; ``local`` starts Ray on this machine, and ends it afterwards.
    cpus, gpus : float
        What each run takes; as many run at once as there is room for.
    """

    address: str = LOCAL
    cpus: float = 1
    gpus: float = 0


def sweep_on_ray(
    cohort_folder: Path, plan: Plan, runs: Path, place: RayPlace
) -> Operation[tuple[SweepRun, ...]]:
    """Train the runs of a plan as Ray tasks; return what became of each.

    As :func:`core.sweep.sweep`: the same log, so that either goes on where the other was.
    ``cohort_folder`` and ``runs`` must lie at the same path on every machine.

    Raises
    ------
    SettingsError
        If Ray is not installed, or the cluster lacks what one run takes.
    CohortError, RunError
        As for a sweep, and if the cluster cannot be reached.
    """
    cohort = load_cohort(cohort_folder)
    cohort.require_trainable()
    yield Progress("Starting Ray")
    with alone_in(runs), ray_at(place) as ray:
        book = SweepBook(runs, plan, cohort.identity)
        for text in plan.left_out:
            yield Notice(text)
        yield from book.tell_all()
        yield from _Drive(ray, book, place, cohort_folder).train_all()
        book.write_table()
        return tuple(book.rows)


class _Board:
    """Where tasks tell how far they are, and are told to stop; lives in a process of its own."""

    def __init__(self) -> None:
        self._told: list[tuple[int, str, str]] = []
        self._is_over = False

    def tell(self, index: int, what: str, text: str) -> bool:
        """Keep what run ``index`` tells; return whether it is to stop."""
        if what:
            self._told.append((index, what, text))
        return self._is_over

    def take(self) -> list[tuple[int, str, str]]:
        """Return what was told since the last time."""
        told, self._told = self._told, []
        return told

    def stop(self) -> None:
        """Let every task end at its next step."""
        self._is_over = True


class _Drive:
    """Hands runs to Ray and keeps the book of what comes back."""

    def __init__(self, ray: Any, book: SweepBook, place: RayPlace, cohort_folder: Path) -> None:  # noqa: ANN401 - the module
        self._ray = ray
        self._book = book
        self._board = ray.remote(num_cpus=0)(_Board).remote()
        task = ray.remote(num_cpus=place.cpus, num_gpus=place.gpus, max_retries=0)(_train)
        self._pending: dict[Any, int] = {}
        for index in book.undone():
            begun = book.begun(index)
            reference = task.remote(
                self._board,
                index,
                str(cohort_folder.resolve()),
                config.to_record(book.rows[index].settings),
                str(book.runs.resolve()),
                str(begun.resolve()) if begun is not None else "",
            )
            self._pending[reference] = index

    def train_all(self) -> Operation[None]:
        """Wait for all; a stop is told to every task, which ends at its next step."""
        try:
            while self._pending:
                done, _ = self._ray.wait(list(self._pending), timeout=_SECONDS_BETWEEN)
                yield from self._hear()
                for reference in done:
                    yield from self._take_in(reference)
                total = len(self._book.rows)
                yield Progress("Training on Ray", total - len(self._pending), total)
        except GeneratorExit:
            self._stop()
            raise

    def _take_in(self, reference: Any) -> Operation[None]:  # noqa: ANN401 - Ray's reference
        index = self._pending.pop(reference)
        try:
            state, text = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            first = (str(error).strip().splitlines() or ["no reason was given"])[0].rstrip(".")
            state, text = "failed", f"Its machine or process went away: {first}."
        yield self._book.end(index, state, text)
        if state == "failed":
            yield Notice(f"Run {index + 1} failed: {text}")
        self._book.write_table()

    def _hear(self) -> Iterator[SweepMoved]:
        for index, what, text in self._ray.get(self._board.take.remote()):
            if what == "started":
                yield self._book.start(index, Path(text))
            else:
                yield SweepMoved(index, "running", text)

    def _stop(self) -> None:
        self._board.stop.remote()
        if not self._pending:
            return
        # Those that run keep their last whole epoch; those that wait for room end as they get
        # it. Ray's own cancel can hit whatever its process does next.
        self._ray.wait(
            list(self._pending), num_returns=len(self._pending), timeout=_SECONDS_TO_STOP
        )
        for _ in self._hear():
            pass
        for index in self._pending.values():
            if self._book.rows[index].state == "running":
                self._book.end(index, "stopped")


def _train(  # the parts of a task travel as plain values
    board: Any,  # noqa: ANN401 - Ray's handle
    index: int,
    cohort_folder: str,
    settings: dict[str, Any],
    runs: str,
    begun: str,
) -> tuple[str, str]:
    """Train one run in a process of Ray; return its state and why it failed."""
    import ray

    def tell(what: str, text: str) -> bool:
        return bool(ray.get(board.tell.remote(index, what, text)))

    if tell("", ""):
        return "waiting", ""
    operation = train_or_resume(
        Path(cohort_folder),
        config.from_record(settings),
        Path(runs),
        Path(begun) if begun else None,
        on_start=lambda path: tell("started", str(path)),
    )
    asked = 0.0
    try:
        for event in operation:
            is_epoch = isinstance(event, EpochMetrics) and event.epoch > 0
            if is_epoch or isinstance(event, RunStarted) or _is_due(asked):
                asked = time.monotonic()
                if tell("epoch" if is_epoch else "", _text_of(event)):
                    return "stopped", ""
    except Exception as error:  # noqa: BLE001 - whatever a run dies of is told in words
        return "failed", fault_text(error)
    finally:
        operation.close()
    return "finished", ""


def _is_due(asked: float) -> bool:
    return time.monotonic() - asked > _SECONDS_BETWEEN


def _text_of(event: object) -> str:
    if not isinstance(event, EpochMetrics):
        return ""
    value = event.validation_accuracy
    accuracy = "–" if value != value else f"{100 * value:.1f} %"
    return f"epoch {event.epoch}, validation {accuracy}"


@contextlib.contextmanager
def ray_at(place: RayPlace) -> Iterator[Any]:
    """Connect to Ray, and let go of it afterwards; one that is connected already is used.

    Raises
    ------
    SettingsError
        If Ray is not installed, or has no machine for one run.
    RunError
        If it cannot be started or reached.
    """
    # Ray asks for these before it is imported: nothing is reported to anybody.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        remedy = how_to_add("mri-fcl[cluster]", otherwise="leave out --ray and --ray-address")
        raise SettingsError(f"Ray is not installed. {remedy}") from error
    if ray.is_initialized():
        _require_room(ray, place)
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if place.address == LOCAL:
        cpus = max(1, os.cpu_count() or 1)
        options |= {
            "num_cpus": cpus,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
            # This program may lie outside the packages that new processes know.
            "runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
        }
    else:
        options["address"] = place.address
    try:
        ray.init(**options)
    except Exception as error:
        ray.shutdown()
        first = (str(error).strip().splitlines() or ["no reason was given"])[0].rstrip(".")
        raise RunError(
            f"Ray did not start here: {first}. The machine may be too busy; try again, or leave "
            "--ray away."
            if place.address == LOCAL
            else f"Ray at '{place.address}' cannot be reached: {first}. Start it there with 'ray "
            "start --head', or give --ray local."
        ) from error
    try:
        _require_room(ray, place)
        yield ray
    finally:
        ray.shutdown()


def _require_room(ray: Any, place: RayPlace) -> None:  # noqa: ANN401 - the module
    """Refuse what no machine has: Ray would wait for it for ever."""
    nodes = [node.get("Resources", {}) for node in ray.nodes() if node.get("Alive")]
    if any(n.get("CPU", 0) >= place.cpus and n.get("GPU", 0) >= place.gpus for n in nodes):
        return
    raise SettingsError(
        f"No machine of Ray has {place.cpus:g} CPUs and {place.gpus:g} GPUs, as each run shall "
        "take. Give smaller --cpus-per-run and --gpus-per-run."
    )
