"""Go through every screen and dialog of the window, to look at it and to check that it fits.

Run ``python -m docs.every_screen --out FOLDER`` in the repository: it takes a picture of each
screen in light and dark, at two sizes and with texts of twice the size. All is simulated.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent, QSettings, QSize
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from core import config, tasks
from core.config import RunSettings
from core.data.phantom import simulate_cohort
from core.errors import MriFclError
from core.plan import parse_numbers
from core.progress import Operation, Progress
from mrifcl_gui import preferences
from mrifcl_gui.job import Job, running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.messages import show_error
from mrifcl_gui.open_folder_dialog import OpenFolderDialog
from mrifcl_gui.queue_window import QueueWindow
from mrifcl_gui.session import Session
from mrifcl_gui.theme import apply_theme

T = TypeVar("T")
LIMIT_SECONDS = 300
QUIET_SECONDS = 0.15
# Theme, size of the window, size of texts.
Look = tuple[str, tuple[int, int], float]
LOOKS: tuple[Look, ...] = (
    ("light", (1280, 800), 1.0),
    ("dark", (1280, 800), 1.0),
    ("light", (1920, 1080), 1.0),
    ("dark", (1920, 1080), 1.0),
    ("light", (1280, 800), 2.0),
    ("dark", (1280, 800), 2.0),
)
SMALL_RUN = config.change(
    RunSettings(),
    {
        "network": "cnn2d",
        "regime": "scratch",
        "epochs": 6,
        "learning_rate": 0.01,
        "size": 48,
        "cnn_width": 8,
        "features_every": 1,
        "recompute_batch_norm": True,
    },
)
SMALL_CUBES = config.change(
    RunSettings(),
    {
        "network": "cnn3d",
        "regime": "scratch",
        "epochs": 3,
        "cube_size": 24,
        "cnn_blocks": 2,
        "cnn_width": 4,
        "learning_rate": 0.01,
    },
)


@dataclass(frozen=True)
class Material:
    """What the screens show: a folder of scans, cohorts of volumes and of pictures, runs."""

    scans: Path
    cohort: Path
    pictures: Path
    runs: tuple[Path, ...]
    cubes: Path


class Tour:
    """Brings every screen to the front, one after the other.

    Parameters
    ----------
    window : MainWindow
        Shown, with nothing open.
    material : Material
    """

    def __init__(self, window: MainWindow, material: Material) -> None:
        self.window = window
        self.material = material
        self.problems: list[BaseException] = []
        window.session.problem.connect(self.problems.append)

    def screens(self) -> Iterator[tuple[str, QWidget]]:
        """Yield the name and the window of each screen while it is shown."""
        yield from self.empty_places()
        yield from self.cohort()
        yield from self.training()
        yield from self.runs()
        yield from self.analysis()
        yield from self.dialogs()

    def empty_places(self) -> Iterator[tuple[str, QWidget]]:
        """Show each place before there is anything in it."""
        for place in ("cohort", "train", "runs", "analyse"):
            self.window.go_to(place)
            self.settle()
            yield f"empty-{place}", self.window

    def cohort(self) -> Iterator[tuple[str, QWidget]]:
        """Show the way from a folder to a cohort, its audit, and a cohort of pictures."""
        window, session = self.window, self.window.session
        session.open_paths([self.material.scans])
        self.wait(lambda: any(box.isVisible() for box in window.findChildren(OpenFolderDialog)))
        self.settle()
        dialog = next(box for box in window.findChildren(OpenFolderDialog) if box.isVisible())
        yield "open-folder", dialog
        dialog.reject()
        session.open_paths([self.material.pictures])
        self.wait(lambda: session.opened is not None)
        self.settle(1.0)
        yield "cohort-pictures", window
        self._open(self.material.cohort)
        yield "cohort-volumes", window
        yield "task-dock", self._with_jobs(window)
        self._end_jobs()
        window.show_audit()
        self.settle(0.5)
        yield "audit", window.audit_window
        window.audit_window.close()

    def training(self) -> Iterator[tuple[str, QWidget]]:
        """Show a run being chosen, trained and ended, and the queue."""
        window, panel = self.window, self.window.training_panel
        ended: list[str] = []
        self._open(self.material.cohort)
        window.session.training_ended.connect(lambda state, _: ended.append(state))
        window.go_to("train")
        self.settle()
        yield "train-idle", window
        panel.grid.choose({"subject", "slice"}, "0-4")
        panel.set_settings(SMALL_RUN)
        self.settle(0.6)
        yield "train-grid", window
        panel.grid.choose(set(), "")
        pretrained = {"network": "googlenet", "regime": "frozen"}
        panel.set_settings(config.change(RunSettings(), pretrained))
        self.settle(1.0)
        yield "train-weights", window
        panel.set_settings(config.change(SMALL_RUN, {"epochs": 40}))
        self.settle(0.6)
        panel.queue.add([config.change(SMALL_RUN, {"epochs": 40}), SMALL_RUN])
        panel.train_button.click()
        self.wait(lambda: len(panel.live.curves.curve("train_loss")[0]) >= 2)
        yield "train-running", window
        window.session.stop_training()
        self.wait(lambda: bool(ended) and not running_jobs())
        self.settle(0.5)
        yield "train-finished", window
        panel.queue.table_requested.emit()
        self.settle(0.5)
        queue = window.findChild(QueueWindow)
        yield "queue-window", queue
        queue.close()

    def runs(self) -> Iterator[tuple[str, QWidget]]:
        """Show the table of runs, and one of them."""
        window = self.window
        window.go_to("runs")
        window.session.refresh_runs()
        self.wait(lambda: window.runs_panel.table.model().rowCount() >= len(self.material.runs))
        window.runs_panel.select_run(self.material.runs[0])
        self.settle(0.5)
        yield "runs", window

    def analysis(self) -> Iterator[tuple[str, QWidget]]:
        """Show each view of each tab."""
        window = self.window
        window.session.open_runs(list(self.material.runs))
        self.wait(lambda: window.analysis_tabs.run is not None)
        yield from self._tabs("analyse")
        window.session.open_runs([self.material.cubes])
        self.wait(lambda: window.analysis_tabs.run.path == self.material.cubes)
        yield from self._tabs("cubes", views=1)

    def _tabs(self, name: str, views: int = 99) -> Iterator[tuple[str, QWidget]]:
        panel = self.window.analysis_tabs
        for index in range(panel.tabs.count()):
            panel.tabs.setCurrentIndex(index)
            page, title = panel.tabs.widget(index), _plain(panel.tabs.tabText(index))
            if page not in panel.figure_tabs:
                self.settle(0.5)
                yield f"{name}-{title}", self.window
                continue
            for place in range(min(views, page.view_choice.count())):
                page.view_choice.setCurrentIndex(place)
                self.wait(lambda tab=page: not tab.is_busy)
                self.settle()
                view = _plain(page.view_choice.itemText(place))
                yield f"{name}-{title}-{view}", self.window
        if name == "analyse":
            panel.tabs.setCurrentIndex(0)
            panel.honesty.show_paper_check()
            panel.tabs.setCurrentWidget(panel.honesty)
            self.settle()
            yield f"{name}-honesty-paper", self.window
            panel.show_comparison()
            inner = panel.comparison.tabs
            for index in range(inner.count()):
                inner.setCurrentIndex(index)
                self.settle(0.4)
                yield f"{name}-compare-{_plain(inner.tabText(index))}", self.window

    def dialogs(self) -> Iterator[tuple[str, QWidget]]:
        """Show what opens above the window."""
        window = self.window
        for name in ("User guide", "Preferences", "Keyboard shortcuts", "About MRI-FCL"):
            yield from self._dialog(_plain(name), self._action(name).trigger)
        refused = MriFclError(
            "Cannot read 'OAS1_0003.img': its header 'OAS1_0003.hdr' is missing. Copy both files "
            "into the folder."
        )
        yield from self._dialog("error", lambda: show_error(window, refused))
        yield from self._dialog("fault", lambda: show_error(window, ZeroDivisionError("by zero")))

    def _dialog(self, name: str, show: Callable[[], object]) -> Iterator[tuple[str, QWidget]]:
        before = _shown()
        show()
        self.wait(lambda: bool(_shown() - before))
        self.settle(0.3)
        new = next(iter(_shown() - before))
        yield name, new
        new.close()

    def _action(self, words: str) -> QAction:
        for menu in self.window.menuBar().findChildren(QMenu):
            for action in menu.actions():
                if action.text().replace("&", "").startswith(words):
                    return action
        raise LookupError(words)

    def settle(self, seconds: float = QUIET_SECONDS) -> None:
        """Let the window work for ``seconds``, and until no job has run for a moment."""
        end = time.monotonic() + seconds

        def is_quiet() -> bool:
            nonlocal end
            if running_jobs():
                end = max(end, time.monotonic() + QUIET_SECONDS)
            return time.monotonic() > end

        self.wait(is_quiet)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the window work until ``condition`` holds."""
        end = time.monotonic() + LIMIT_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError
            QCoreApplication.processEvents()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.005)

    def _open(self, cohort: Path) -> None:
        session = self.window.session
        if session.opened is not None and session.opened.folder == cohort:
            return
        session.open_paths([cohort])
        self.wait(lambda: session.opened is not None and session.opened.folder == cohort)
        self.settle(1.0)

    def _with_jobs(self, window: MainWindow) -> QWidget:
        self._stops = [False]
        for title in ("Scanning a folder with quite a long name", "Downloading GoogLeNet"):
            job = Job(title, self._slow, window)
            window.task_dock.add_job(job)
            job.start()
        failing = Job("Writing the report", _failing, window)
        window.task_dock.add_job(failing)
        failing.start()
        end = time.monotonic() + 1.0
        self.wait(lambda: time.monotonic() > end)
        return window

    def _slow(self) -> Operation[None]:
        for done in range(400):
            if self._stops[0]:
                return
            yield Progress("OAS1_0031_MR1_mpr_n4_anon_111_t88_masked_gfc.img", done, 1000)
            time.sleep(0.01)

    def _end_jobs(self) -> None:
        self._stops[0] = True
        self.settle()
        for row in self.window.task_dock.rows():
            row.button.click()
        self.settle()


def make_material(folder: Path) -> Material:
    """Simulate scans and train small runs of them below ``folder``; what is there is kept."""
    scans = finish(simulate_cohort(folder / "scans", subjects_per_class=8))
    cohort = folder / "cohorts" / "simulated.mrifcl"
    pictures = folder / "cohorts" / "pictures.mrifcl"
    runs = folder / "data" / "runs"
    if not (folder / "made").exists():
        finish(tasks.scan(scans, out=cohort))
        finish(tasks.scan(_write_pictures(folder / "pictures"), out=pictures))
        for mode, seed in (("subject", 0), ("slice", 0), ("subject", 1)):
            settings = config.change(SMALL_RUN, {"mode": mode, "seed": seed})
            finish(tasks.train(cohort, settings, runs))
        finish(tasks.train(cohort, SMALL_CUBES, runs))
        (folder / "made").touch()
    found = sorted(path for path in runs.iterdir() if path.is_dir())
    cubes = [path for path in found if "cnn3d" in path.name]
    flat = tuple(path for path in found if path not in cubes)[:3]
    return Material(scans, cohort, pictures, flat, cubes[0])


def finish(operation: Operation[T]) -> T:
    """Run an operation to its end."""
    while True:
        try:
            next(operation)
        except StopIteration as stop:
            return stop.value


def photograph(material: Material, folder: Path, data: Path, looks: Sequence[Look]) -> None:
    """Take every screen in every look."""
    app = QApplication.instance()
    for scheme, size, text_scale in looks:
        apply_theme(app, scheme, text_scale=text_scale)
        out = folder / f"{scheme}-{size[0]}x{size[1]}-{text_scale:g}"
        out.mkdir(parents=True, exist_ok=True)
        window = MainWindow(Session(data_folder=data))
        window.resize(QSize(*size))
        window.show()
        for name, shown in Tour(window, material).screens():
            shown.grab().save(str(out / f"{name}.png"))
            print(out / name)
        window.close()
        window.deleteLater()


def _shown() -> set[QWidget]:
    return {box for box in QApplication.topLevelWidgets() if box.isVisible()}


def _plain(text: str) -> str:
    return text.lower().replace(" ", "-").replace("’", "").replace("…", "")


def _failing() -> Operation[None]:
    yield Progress("Drawing")
    raise MriFclError("Cannot write 'report.html': the disk is full. Free some space.")


def _write_pictures(folder: Path) -> Path:
    """Write class folders of small pictures."""
    random = np.random.default_rng(0)
    for number in range(12):
        place = folder / ("AD" if number % 2 else "NC")
        place.mkdir(parents=True, exist_ok=True)
        for slice_number in range(6):
            pixels = random.normal(60 + 5 * number, 12, (96, 80))
            pixels[20:70, 20:60] += 60
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(place / f"OAS1_{number:04d}_MR1_s{slice_number:02d}.jpg")
    return folder


def main() -> None:
    """Read the options, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--looks", default="0-5", help="which of the looks, such as 0-5 or 1,4")
    parser.add_argument("--data", type=Path, help="keep cohort and runs here, and use them again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        for kind in (QSettings.Format.IniFormat, QSettings.Format.NativeFormat):
            QSettings.setPath(kind, QSettings.Scope.UserScope, folder)
        app = QApplication([])
        data = given.data or Path(folder) / "data"
        material = make_material(data)
        preferences.add_recent(material.cohort)
        looks = [LOOKS[number] for number in parse_numbers(given.looks)]
        photograph(material, given.out, data / "data", looks)
        app.processEvents()


if __name__ == "__main__":
    main()
