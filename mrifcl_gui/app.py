"""Start the window: application, event loop, faults, and what it is opened on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from mrifcl_gui import preferences, thread_check
from mrifcl_gui.icons import icon_file
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.messages import FaultReporter
from mrifcl_gui.opening import Opening
from mrifcl_gui.theme import apply_theme
from mrifcl_gui.window_log import start_log

_to_the_end: list[MainWindow] = []


def run_window(arguments: list[str], *, leaves: bool = False) -> int:
    """Open the window, on the paths in ``arguments``; return the exit status.

    ``leaves``: :func:`leave` follows, so that an import that is under way is not waited for.
    """
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
    if os.environ.get(thread_check.SWITCH):
        thread_check.watch()
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("MRI-FCL")
    app.setWindowIcon(QIcon(str(icon_file("app"))))
    apply_theme(app, preferences.scheme(), text_scale=preferences.text_scale())
    reporter = FaultReporter()
    reporter.install()
    start_log()
    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(reporter.handle_loop_fault)
    window = MainWindow()
    window.leaves = leaves
    Opening(window, paths)
    window.show()
    with loop:
        loop.run_forever()
        # The loop also ends without the window being closed (the session of the desktop ends).
        window.end()
    # To delete two thousand widgets takes a second, in which nothing happens for the user.
    _to_the_end.append(window)
    return 0


def leave(status: int) -> NoReturn:
    """End the process, now that all is on the disk.

    Python would take down torch, Qt and each module before: a second or two of the user's
    time, and of the CPU's, and threads of libraries have ended processes badly in there.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _has_no_display() -> bool:
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
