"""Gaps between the events of a real window while it works: a 10-ms timer's longest waits.

The window is shown and at rest (the control: what this computer's other programs do to
it), loads torch in the background, scans 20,000 files, trains GoogLeNet on a thread with
all cores, and exports figures. Of each it prints the gaps at the median, at the 99th
percentile, and the longest. Run it with::

    python -m benchmarks.heartbeat [--seconds 60 --network googlenet --files 20000]

It ends with 1 where a limit is missed: 50 ms at the 99th percentile and 250 ms at most;
400 ms while torch is loaded.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PIL import Image
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

from core import config
from core.allocator import keep_freed_memory
from core.config import RunSettings
from core.progress import BatchDone, EpochMetrics
from mrifcl_gui.job import cancel_and_wait, running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.open_folder_dialog import OpenFolderDialog
from mrifcl_gui.session import Session
from mrifcl_gui.theme import apply_theme

BEAT_MS = 10
P99_LIMIT_MS, MOST_LIMIT_MS, LOADING_LIMIT_MS = 50.0, 250.0, 400.0


class Heart(QObject):
    """A timer that notes when it was called."""

    def __init__(self) -> None:
        super().__init__()
        self._last = time.perf_counter()
        self._gaps: list[float] = []
        self._timer = QTimer(self, timerType=Qt.TimerType.PreciseTimer, interval=BEAT_MS)
        self._timer.timeout.connect(self._on_beat)

    def start(self) -> None:
        self._gaps, self._last = [], time.perf_counter()
        self._timer.start()

    def stop(self) -> np.ndarray:
        """Return the gaps, ms."""
        self._timer.stop()
        return 1e3 * np.array(self._gaps)

    def _on_beat(self) -> None:
        now = time.perf_counter()
        self._gaps.append(now - self._last)
        self._last = now


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Run the event loop, and nothing else, until ``done`` or the time is over."""
    loop_end = time.perf_counter() + seconds
    app = QApplication.instance()
    look = QTimer(interval=100)
    look.timeout.connect(lambda: app.exit(0) if done() or time.perf_counter() > loop_end else None)
    look.start()
    app.exec()
    look.stop()
    return done()


def write_slices(folder: Path, *, subjects: int, slices: int, size: int = 224) -> Path:
    """Write two class folders of noise, as JPEG."""
    rng = np.random.default_rng(0)
    for name in ("AD", "NC"):
        (folder / name).mkdir(parents=True)
        for subject in range(subjects):
            for number in range(slices):
                pixels = rng.integers(0, 256, (size, size), dtype=np.uint8)
                path = folder / name / f"{name}{subject:03d}_s{number:02d}.jpg"
                Image.fromarray(pixels).save(path)
    return folder


class Beats:
    """The window under its loads, one after the other."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self.folder, self.given = folder, given
        self.session = Session(data_folder=folder / "data")
        self.window = MainWindow(self.session)
        self.window.resize(1280, 800)
        self.window.show()
        self.heart = Heart()
        self.rates: list[float] = []
        self.epochs = 0
        self.session.training_event.connect(self._on_event)
        wait_until(lambda: False, 1.0)

    def rest(self) -> np.ndarray:
        return self._measure(lambda: False, 5.0)

    def load_torch(self) -> np.ndarray:
        self.session.warm_up()
        return self._measure(lambda: not running_jobs(), 120.0)

    def scan(self) -> np.ndarray:
        place = write_slices(
            self.folder / "many", subjects=self.given.files // 50, slices=25, size=16
        )
        if hasattr(os, "sync"):
            os.sync()  # the files are there, not being written
        looked: list[object] = []
        self.session.folder_looked.connect(looked.append)
        self.heart.start()
        self.session.open_paths([place])
        wait_until(lambda: bool(looked), 600.0)
        shown = self.window.findChildren(OpenFolderDialog)
        dialog = next(dialog for dialog in shown if dialog.isVisible())
        dialog.accept()
        wait_until(lambda: self.session.opened is not None and not running_jobs(), 600.0)
        return self.heart.stop()

    def train(self) -> np.ndarray:
        place = write_slices(self.folder / "noise", subjects=10, slices=12)
        from core import tasks
        from core.progress import run_to_end

        scanned = run_to_end(tasks.scan(place, out=self.folder / "data" / "noise.mrifcl"))
        self.session.opened = None
        self.session.open_cohort(scanned.folder)
        wait_until(lambda: self.session.opened is not None and not running_jobs(), 60.0)
        self.window.go_to("train")
        values = {
            "network": self.given.network,
            "regime": "scratch",
            "batch": self.given.batch,
            "epochs": 500,
            "device": "cpu",
        }
        self.session.train([config.change(RunSettings(), values)])
        wait_until(lambda: bool(self.rates), 120.0)
        gaps = self._measure(lambda: False, self.given.seconds)
        began = time.perf_counter()
        self.session.stop_training()
        wait_until(lambda: not self.session.is_training, 120.0)
        print(f"stopped after {time.perf_counter() - began:.1f} s; ", end="")
        print(f"{np.median(self.rates):.1f} images/s, {self.epochs} epochs, ", end="")
        print(f"a batch takes {self.given.batch / np.median(self.rates):.1f} s")
        return gaps

    def export(self) -> np.ndarray:
        from core import report
        from core.run_folder import Run
        from mrifcl_gui.job import Job

        runs = sorted((self.folder / "data" / "runs").iterdir())
        self.heart.start()
        self.window.go_to("runs")
        self.session.open_runs([runs[-1]])
        wait_until(lambda: not running_jobs(), 240.0)
        job = Job(
            "Export", lambda: report.write_analysis(Run(runs[-1]), self.folder / "out"), self.window
        )
        job.start()
        wait_until(lambda: not running_jobs(), 240.0)
        return self.heart.stop()

    def close(self) -> None:
        self.window.close()
        cancel_and_wait()

    def _measure(self, done: Callable[[], bool], seconds: float) -> np.ndarray:
        self.heart.start()
        wait_until(done, seconds)
        return self.heart.stop()

    def _on_event(self, event: object) -> None:
        if isinstance(event, BatchDone):
            self.rates.append(event.slices_per_second)
        elif isinstance(event, EpochMetrics) and event.epoch:
            self.epochs += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of training")
    parser.add_argument("--network", default="googlenet")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--only", default="rest,load_torch,scan,train,export")
    given = parser.parse_args()
    keep_freed_memory()  # as the program does at its start
    app = QApplication.instance() or QApplication([])
    apply_theme(app)
    is_over = False
    with tempfile.TemporaryDirectory() as folder:
        beats = Beats(Path(folder), given)
        try:
            for name in given.only.split(","):
                gaps = getattr(beats, name)()
                median, p99 = np.percentile(gaps, (50, 99))
                print(
                    f"{name:11s} median {median:5.1f} ms   p99 {p99:6.1f} ms   "
                    f"max {gaps.max():6.1f} ms   {len(gaps)} gaps",
                    flush=True,
                )
                is_loading = name == "load_torch"
                is_over |= bool(gaps.max() > (LOADING_LIMIT_MS if is_loading else MOST_LIMIT_MS))
                is_over |= bool(p99 > P99_LIMIT_MS and not is_loading)
        finally:
            beats.close()
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
