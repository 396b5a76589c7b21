"""One window used for hours: load, train, stop, resume, analyse, export, again and again.

Each round opens a folder of volumes and one of slices, looks at a scan, trains a network,
stops it, resumes it to its end, shows every tab of the analysis, exports a figure and a
table and writes the report; and prints what the program then holds: memory, threads, file
handles, Qt objects. Run it with::

    python -m benchmarks.soak [--minutes 60 --out soak.csv]

It ends with 1 where, after a first sixth of the time, memory grows by more than 50 MB
(the median of the last rounds against the median of the first), or threads or handles
by more than 2 (pools keep some for a while), or a step fails.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gc
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from benchmarks.heartbeat import wait_until, write_slices
from core import config
from core.allocator import give_back_memory, keep_freed_memory
from core.config import RunSettings
from core.data.phantom import simulate_cohort
from core.progress import EpochMetrics, run_to_end
from mrifcl_gui.job import cancel_and_wait, running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.open_folder_dialog import OpenFolderDialog
from mrifcl_gui.session import Session
from mrifcl_gui.theme import apply_theme

STEP_LIMIT_S = 300.0
GROWTH_LIMIT_MB = 50.0
SMALL_NETWORK = {
    "network": "cnn2d",
    "regime": "scratch",
    "epochs": 4,
    "batch": 16,
    "size": 64,
    "cnn_width": 4,
    "device": "cpu",
}


class StepFailed(Exception):
    """A step of a round did not come to its end."""


@dataclass(frozen=True)
class Reading:
    """What the program holds after a round."""

    round: int
    minutes: float
    memory_mb: float
    threads: int
    handles: int
    qt_objects: int
    python_objects: int


class Round:
    """The steps of a user, on the real window."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = Session(data_folder=folder / "data")
        self.window = MainWindow(self.session)
        self.window.resize(1280, 800)
        self.window.show()
        self.problems: list[object] = []
        self.epochs: list[int] = []
        self.ends: list[str] = []
        self.session.problem.connect(self.problems.append)
        self.session.training_event.connect(self._on_event)
        self.session.training_ended.connect(self._on_ended)
        self.slices = write_slices(folder / "slices", subjects=8, slices=6, size=64)
        self.volumes = folder / "volumes"
        run_to_end(simulate_cohort(self.volumes, subjects_per_class=3, seed=1))
        self.session.warm_up()
        self._settle()

    def play(self) -> None:
        """Go once from a dropped folder to the report."""
        self._open(self.volumes)
        self._look()
        self._open(self.slices)
        self._train()
        self._analyse()
        self._export()
        shutil.rmtree(self.session.runs_folder)
        if self.problems:
            raise StepFailed(f"the window told a problem: {self.problems[0]}")

    def close(self) -> None:
        self.window.close()
        cancel_and_wait()

    def _open(self, folder: Path) -> None:
        self.window.go_to("cohort")
        before = self.session.opened
        self.session.open_paths([folder])
        self._wait("the question how to read a folder", lambda: bool(self._questions()))
        self._questions()[0].accept()
        self._wait("an opened cohort", lambda: self.session.opened is not before)
        self._settle()

    def _questions(self) -> list[OpenFolderDialog]:
        found = self.window.findChildren(OpenFolderDialog)
        return [dialog for dialog in found if dialog.isVisible()]

    def _look(self) -> None:
        for scan in self.session.opened.cohort.scans:
            self.session.read_scan(scan)
            self._settle()

    def _train(self) -> None:
        self.window.go_to("train")
        self.epochs.clear()
        self.ends.clear()
        self.session.train([config.change(RunSettings(), SMALL_NETWORK)])
        self._wait("a first epoch", lambda: bool(self.epochs))
        self.session.stop_training()
        self._wait("a stopped run", lambda: bool(self.ends) and not self.session.is_training)
        self._settle()
        runs: list[object] = []
        self.session.runs_opened.connect(runs.extend)
        self.session.open_runs(sorted(self.session.runs_folder.iterdir()))
        self._wait("the stopped run", lambda: bool(runs))
        self._settle()
        self.session.runs_opened.disconnect(runs.extend)
        self.ends.clear()
        self.session.resume(runs[0])
        self._wait("a resumed run", lambda: self.ends == ["finished"])
        self._settle()

    def _analyse(self) -> None:
        self.window.go_to("runs")
        self._settle()
        self.session.open_runs(sorted(self.session.runs_folder.iterdir()))
        self._settle()
        tabs = self.window.analysis_tabs.tabs
        for index in range(tabs.count()):
            tabs.setCurrentIndex(index)
            self._settle()

    def _export(self) -> None:
        analysis = self.window.analysis_tabs
        tab = analysis.figure_tabs[0]
        analysis.tabs.setCurrentWidget(tab)
        self._settle()
        for ending in ("png", "svg", "csv"):
            path = self.folder / f"weights.{ending}"
            path.unlink(missing_ok=True)
            tab.export.save_to(path)
            self._wait(f"an exported {ending}", path.is_file)
        self._settle()

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        if not wait_until(done, STEP_LIMIT_S):
            raise StepFailed(f"waited {STEP_LIMIT_S:.0f} s for {what}; problems: {self.problems}")

    def _settle(self) -> None:
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            quiet = 0 if running_jobs() else quiet + 1
            return quiet > 2  # the end of one job may start another

        self._wait("quiet", is_quiet)

    def _on_event(self, event: object) -> None:
        if isinstance(event, EpochMetrics) and event.epoch:
            self.epochs.append(event.epoch)

    def _on_ended(self, state: str, _details: object) -> None:
        self.ends.append(state)


def threads() -> int:
    """Return how many threads the process has; Python's own count keeps some that have ended."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()


def memory_mb() -> float:
    """Return the memory that is resident now, MB (Linux; elsewhere its peak)."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def open_files() -> int:
    """Return how many files are open (Linux), less the fonts that matplotlib keeps.

    It keeps a font open for each thread that has drawn with it, 64 at most.
    """
    handles = Path("/proc/self/fd")
    count = 0
    for handle in handles.iterdir() if handles.is_dir() else ():
        with contextlib.suppress(OSError):  # the folder's own handle is gone by now
            count += handle.readlink().suffix != ".ttf"
    return count


def read(number: int, began: float) -> Reading:
    """Return what the program holds now."""
    gc.collect()
    # Else up to 256 MB of what is free may be counted: that is little to give back.
    give_back_memory(at_least=0)
    app = QApplication.instance()
    tops = app.topLevelWidgets()
    return Reading(
        number,
        (time.monotonic() - began) / 60,
        memory_mb(),
        threads(),
        open_files(),
        sum(len(top.findChildren(QObject)) + 1 for top in tops),
        len(gc.get_objects()),
    )


def growth(readings: Sequence[Reading], name: str) -> float:
    """Return how much a figure grew: median of the last fifth less that of the first."""
    share = max(1, len(readings) // 5)
    values = [getattr(reading, name) for reading in readings]
    return statistics.median(values[-share:]) - statistics.median(values[:share])


def judge(readings: Sequence[Reading], minutes: float) -> list[str]:
    """Return a sentence for each figure that grew too much once the program was warm."""
    warm = [reading for reading in readings if reading.minutes > minutes / 6] or list(readings)
    faults = []
    for name, limit in (("memory_mb", GROWTH_LIMIT_MB), ("threads", 2), ("handles", 2)):
        grown = growth(warm, name)
        print(f"{name}: {grown:+.1f} since minute {warm[0].minutes:.0f} (limit {limit})")
        if grown > limit:
            faults.append(f"{name} grew by {grown:.1f} (limit {limit})")
    for name in ("qt_objects", "python_objects"):
        print(f"{name}: {growth(warm, name):+.0f} since minute {warm[0].minutes:.0f}")
    return faults


def write_csv(readings: Sequence[Reading], path: Path) -> None:
    """Write one line a round."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([field.name for field in fields(Reading)])
        rows.writerows(astuple(reading) for reading in readings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, help="a CSV with one line a round")
    given = parser.parse_args()
    keep_freed_memory()  # as the program does at its start
    app = QApplication.instance() or QApplication([])
    apply_theme(app)
    readings: list[Reading] = []
    faults: list[str] = []
    print("round  min    MB  threads  handles  Qt objects  Python objects")
    with tempfile.TemporaryDirectory() as folder:
        user = Round(Path(folder))
        began = time.monotonic()
        try:
            while not readings or time.monotonic() - began < 60 * given.minutes:
                user.play()
                now = read(len(readings) + 1, began)
                readings.append(now)
                print(
                    f"{now.round:5d} {now.minutes:5.1f} {now.memory_mb:6.0f} {now.threads:7d} "
                    f"{now.handles:8d} {now.qt_objects:11,d} {now.python_objects:15,d}",
                    flush=True,
                )
                if given.out:
                    write_csv(readings, given.out)
        except StepFailed as error:
            faults.append(str(error))
        finally:
            user.close()
    faults += judge(readings, given.minutes) if readings else []
    for fault in faults:
        print(f"failed: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
