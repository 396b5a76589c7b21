"""Make docs/images: the window on the simulated demo cohort, never on real scans.

Run ``python -m docs.make_screenshots`` in the repository; it takes some minutes.
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

from PySide6.QtCore import QCoreApplication, QSettings
from PySide6.QtWidgets import QApplication

from core import config
from core.demo import DEMO_SETTINGS
from mrifcl_gui.job import running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.session import Session
from mrifcl_gui.theme import apply_theme

IMAGES = Path(__file__).resolve().parent / "images"
LIMIT_SECONDS = 900
TABS_TAKEN = (
    "FCL weights",
    "Features",
    "Correlation",
    "Evaluation",
    "Collapse",
    "Maps",
    "Table 2",
    "Honesty",
    "Audit",
    "Report",
)


class Photographer:
    """Drives the window and takes its pictures.

    Parameters
    ----------
    window : MainWindow
    out : Path
        Folder for the pictures.
    """

    def __init__(self, window: MainWindow, out: Path) -> None:
        self.window = window
        self.out = out
        window.session.problem.connect(self._on_problem)

    def settle(self, seconds: float = 0.3) -> None:
        """Let the window work, at least ``seconds`` and until no job runs."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end and not running_jobs())

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the window work until ``condition`` holds."""
        end = time.monotonic() + LIMIT_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError
            QCoreApplication.processEvents()
            time.sleep(0.01)

    def take(self, name: str) -> None:
        """Save the window as ``name.png``."""
        self.settle()
        path = self.out / f"{name}.png"
        if not self.window.grab().save(str(path)):
            raise OSError(f"cannot write {path}")
        print(path)

    def _on_problem(self, error: BaseException) -> None:
        print("problem:", error, file=sys.stderr)


def take_all(photographer: Photographer, epochs: int) -> None:
    """Go through the four places, as a user would."""
    window, session = photographer.window, photographer.window.session
    photographer.take("welcome")
    session.open_demo()
    photographer.wait(lambda: session.opened is not None)
    photographer.settle(6.0)  # until the rows of ended jobs have gone
    photographer.take("cohort")
    runs = [
        config.change(DEMO_SETTINGS, {"epochs": epochs, "mode": mode, "features_every": 3})
        for mode in ("subject", "slice")
    ]
    if len(list(session.runs_folder.glob("*"))) < len(runs):
        _train(photographer, runs)
    window.go_to("train")
    photographer.take("train")
    window.go_to("runs")
    photographer.wait(lambda: window.runs_panel.table.model().rowCount() >= len(runs))
    paths = sorted(session.runs_folder.iterdir())
    window.runs_panel.select_run(paths[0])
    photographer.settle(5.0)
    photographer.take("runs")
    session.open_runs(paths)
    photographer.wait(lambda: window.analysis_tabs.run is not None)
    for title in TABS_TAKEN:
        _open_tab(window, title)
        photographer.settle(1.0)
        if title == "Maps":
            photographer.settle(7.0)  # until the row of the task that made them has gone
        name = title.lower().removeprefix("fcl ").replace(" ", "")
        photographer.take(f"analyse-{name}")


def _train(photographer: Photographer, runs: list[config.RunSettings]) -> None:
    window = photographer.window
    ended: list[str] = []
    window.session.training_ended.connect(lambda state, _: ended.append(state))
    window.go_to("train")
    window.training_panel.queue.add(runs)
    window.training_panel.train_button.click()
    photographer.wait(lambda: len(ended) == len(runs))
    photographer.settle(5.0)


def _open_tab(window: MainWindow, title: str) -> None:
    tabs = window.analysis_tabs.tabs
    titles = [tabs.tabText(i) for i in range(tabs.count())]
    tabs.setCurrentIndex(titles.index(title))


def main() -> None:
    """Read the options, make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--epochs", type=int, default=DEMO_SETTINGS.epochs)
    parser.add_argument("--dark", action="store_true", help="to check; docs/images are light")
    parser.add_argument("--data", type=Path, help="keep cohort and runs here, and use them again")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        for kind in (QSettings.Format.IniFormat, QSettings.Format.NativeFormat):
            QSettings.setPath(kind, QSettings.Scope.UserScope, folder)
        app = QApplication([])
        apply_theme(app, "dark" if given.dark else "light", text_scale=1.0)
        window = MainWindow(Session(data_folder=given.data or Path(folder) / "data"))
        window.resize(*(int(part) for part in given.size.split("x")))
        window.show()
        take_all(Photographer(window, given.out), given.epochs)
        window.close()


if __name__ == "__main__":
    main()
