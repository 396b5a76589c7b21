"""How long Cancel can take: the longest time between two moments at which an operation can end.

Every long operation runs once to its end, and the time between its steps is noted; a cancel
that comes just after a step waits until the next. Imports are paid beforehand, as the window
does. CPU time of one thread is counted: on a computer that does nothing else, that is the time
that passes. Run it with::

    python -m benchmarks.cancelling [--files 20000 --only scan,slices]

It ends with 1 where a step takes longer than 0.5 s while a folder is read (faults.md U6), or
than 2 s elsewhere (what the window may take to close), a batch of training apart.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.heartbeat import write_slices
from core import config, map_tasks, report, tasks
from core.allocator import keep_freed_memory
from core.config import RunSettings
from core.data.cohort import load_cohort
from core.data.phantom import simulate_cohort
from core.progress import Operation, Progress, run_to_end
from core.run_folder import Run

LIMIT_S, READING_LIMIT_S = 2.0, 0.5
READING = ("scan", "open", "check_voxels")
_BATCHES = ("BatchDone", "EpochMetrics")  # what comes before a batch
SMALL = {"network": "cnn2d", "regime": "scratch", "epochs": 3, "size": 64, "device": "cpu"}


class Work:
    """The operations, each on what an earlier one made."""

    def __init__(self, folder: Path, files: int) -> None:
        self.folder = folder
        self.many = write_slices(folder / "many", subjects=files // 50, slices=25, size=16)
        self.volumes = folder / "volumes"
        run_to_end(simulate_cohort(self.volumes, subjects_per_class=6, seed=1))
        self.cohort = run_to_end(tasks.scan(self.volumes, out=folder / "v.mrifcl")).folder
        run_to_end(tasks.load_packages())
        self.trained: list[Path] = []

    def scan(self) -> Operation[Any]:
        return tasks.scan(self.many, out=self.folder / "many.mrifcl")

    def open(self) -> Operation[Any]:
        return tasks.open_cohort(self.folder / "many.mrifcl")

    def check_voxels(self) -> Operation[Any]:
        return tasks.check_voxels(load_cohort(self.cohort))

    def slices(self) -> Operation[Any]:
        return tasks.export_slices(
            self.cohort, RunSettings().slices, self.folder / "png", picture_format="png"
        )

    def audit(self) -> Operation[Any]:
        return tasks.audit(self.folder / "many.mrifcl", RunSettings())

    def train(self) -> Operation[Any]:
        return self._kept(config.change(RunSettings(), SMALL))

    def googlenet(self) -> Operation[Any]:
        values = {"network": "googlenet", "regime": "scratch", "epochs": 1, "device": "cpu"}
        return self._kept(config.change(RunSettings(), values))

    def analyse(self) -> Operation[Any]:
        return report.write_analysis(Run(self.trained[0]), self.folder / "out")

    def report(self) -> Operation[Any]:
        return tasks.report_html(self.trained, self.folder / "report.html")

    def maps(self) -> Operation[Any]:
        run = Run(self.trained[-1])
        subject = str(load_cohort(self.cohort).scans[0].subject)
        return map_tasks.write_maps(run.path, subject, "predicted", self.folder / "maps")

    def time_lapse(self) -> Operation[Any]:
        return tasks.time_lapse(self.trained[0], "scatter", self.folder / "lapse.gif")

    def _kept(self, settings: RunSettings) -> Operation[Any]:
        folder = yield from tasks.train(self.cohort, settings, self.folder / "runs")
        self.trained.append(folder)
        return folder


def steps_of(operation: Operation[Any]) -> list[tuple[float, str]]:
    """Run ``operation``; return the CPU seconds of its steps, each with the step before."""
    steps, before, began = [], "the start", time.process_time()
    for event in operation:
        steps.append((time.process_time() - began, before))
        before = _words(event)
        began = time.process_time()
    return [*steps, (time.process_time() - began, before)]


def _words(event: object) -> str:
    if isinstance(event, Progress):
        return f"{event.what} {event.done}/{event.total}"
    return type(event).__name__


def main() -> int:
    """Measure and print."""
    keep_freed_memory()
    import torch

    torch.set_num_threads(1)
    names = "scan,open,check_voxels,slices,audit,train,googlenet,analyse,report,maps,time_lapse"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--only", default=names)
    given = parser.parse_args()
    is_over = False
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), given.files)
        for name in given.only.split(","):
            make: Callable[[], Operation[Any]] = getattr(work, name)
            steps = steps_of(make())
            seconds, before = max(steps)
            median = statistics.median(each for each, _ in steps)
            print(
                f"{name:13}{sum(each for each, _ in steps):7.1f} s, {len(steps):6} steps, "
                f"median {1000 * median:7.2f} ms, longest {seconds:5.2f} s after: {before}",
                flush=True,
            )
            limit = READING_LIMIT_S if name in READING else LIMIT_S
            is_over |= seconds > limit and before not in _BATCHES
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
