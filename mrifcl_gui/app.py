"""Start the window: application, event loop, faults, and what it is opened on."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from mrifcl_gui.icons import icon_file
from mrifcl_gui.job import cancel_and_wait
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.messages import FaultReporter
from mrifcl_gui.session import Session
from mrifcl_gui.theme import apply_theme

logger = logging.getLogger(__name__)

# Long enough for the first paint, too short for a first click.
WARM_UP_MS = 200


def run_window(arguments: list[str]) -> int:
    """Open the window, on the paths in ``arguments``; return the exit status."""
    if _has_no_display():
        sys.stderr.write(
            "There is no display to open a window on. Use a sub-command instead, "
            "such as 'mri-fcl demo'; 'mri-fcl --help' lists them.\n"
        )
        return 1
    paths = [Path(argument) for argument in arguments]
    missing = [path for path in paths if not path.exists()]
    if missing:
        sys.stderr.write(f"There is no '{missing[0]}'. Check its name.\n")
        return 1
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("MRI-FCL")
    app.setWindowIcon(QIcon(str(icon_file("app"))))
    apply_theme(app)
    reporter = FaultReporter()
    reporter.install()
    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(reporter.handle_loop_fault)
    session = Session()
    window = MainWindow(session)
    window.show()
    QTimer.singleShot(WARM_UP_MS, session, session.warm_up)
    if paths:
        session.open_paths(paths)
    with loop:
        loop.run_forever()
        # The loop also ends without the window being closed (the session of the desktop ends).
        session.close()
        cancel_and_wait()
    return 0


def _has_no_display() -> bool:
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
