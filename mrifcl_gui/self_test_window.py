"""The window's part of ``--self-test``: open it as ever, look at it once it is whole, close it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QSettings, QTimer
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QMessageBox

from mrifcl_gui import preferences
from mrifcl_gui.app import run_window
from mrifcl_gui.icons import icon_file
from mrifcl_gui.job import running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.opening import Opening

LOOK_MS = 50
# So long must nothing run any more: one job may start another.
QUIET_SECONDS = 1.0
# A window with its words and pictures has hundreds; one that was not painted has one.
LEAST_COLOURS = 20


def show_once(arguments: list[str]) -> int:
    """Open the window on the paths behind the first argument, and close it when all is there.

    The first argument is the folder that takes everything the window keeps. One line of JSON
    says when it was painted; the status is 0 only if it looks like a window.
    """
    folder, paths = Path(arguments[0]), arguments[1:]
    QSettings.setPath(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder / "settings")
    )
    preferences.set_data_folder(folder / "data")
    witness = _Witness(QApplication(sys.argv[:1]))
    status = run_window(paths)
    for problem in witness.problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(json.dumps(witness.record) + "\n")
    sys.stdout.flush()
    return status or (1 if witness.problems else 0)


class _Witness(QObject):
    """Notes when the window is painted, usable and whole; then looks at it and closes it."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.record: dict[str, float | int | str] = {"platform": QGuiApplication.platformName()}
        self.problems = ["The window was not shown."]
        self._window: MainWindow | None = None
        self._quiet_since = 0.0
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self._on_look)
        app.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show and isinstance(watched, MainWindow):
            QApplication.instance().removeEventFilter(self)
            self._window = watched
            watched.painted.connect(self._on_painted)
            watched.findChild(Opening).ready.connect(self._on_ready)
            self._timer.start()
        return False

    def _on_painted(self) -> None:
        self.record |= {"painted": time.time(), "painted_cpu": time.process_time()}

    def _on_ready(self) -> None:
        self.record |= {"ready": time.time(), "ready_cpu": time.process_time()}

    def _on_look(self) -> None:
        """Look whether all is built, read and loaded."""
        now, window = time.monotonic(), self._window
        if faults := told_faults():
            # What is not built after a fault will never be.
            self._timer.stop()
            self.problems = faults
            QApplication.closeAllWindows()
            return
        if window is None or not window.is_complete or running_jobs() or "torch" not in sys.modules:
            self._quiet_since = now
        elif now - self._quiet_since >= QUIET_SECONDS:
            self._timer.stop()
            picture = window.grab().toImage()
            self.record |= {
                "whole": time.time() - QUIET_SECONDS,
                "width": picture.width(),
                "height": picture.height(),
            }
            self.problems = [*problems_of(picture), *missing_files(), *told_faults()]
            window.close()


def problems_of(picture: QImage) -> list[str]:
    """Say what is wrong with the picture of a window."""
    colours = {
        picture.pixel(x, y)
        for x in range(0, picture.width(), 3)
        for y in range(0, picture.height(), 3)
    }
    if len(colours) < LEAST_COLOURS:
        return [f"The window shows only {len(colours)} colours."]
    return []


def missing_files() -> list[str]:
    """Say which files of the window are not there or cannot be drawn."""
    from mrifcl_gui.guide_window import GUIDE, docs_folder

    wanted = [icon_file("app"), docs_folder() / GUIDE]
    missing = [f"'{path.name}' is missing." for path in wanted if not path.is_file()]
    is_drawn = not QImage(str(icon_file("app"))).isNull()
    return missing + ([] if is_drawn else ["SVG pictures cannot be drawn."])


def told_faults() -> list[str]:
    """Return what dialogs say at this moment."""
    boxes = [box for box in QApplication.topLevelWidgets() if isinstance(box, QMessageBox)]
    return [f"The window says: {box.text()}" for box in boxes if box.isVisible()]
