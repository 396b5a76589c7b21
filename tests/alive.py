"""What a test may leave behind: threads, timers that still run, windows that still stand open."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable

PATIENCE_SECONDS = 3.0


def threads() -> set[object]:
    """Return what runs beside the main thread: Python's threads and Qt's."""
    # Python's own note of a thread that Qt or C++ made; Qt's are listed by themselves.
    made_elsewhere = threading._DummyThread
    found: set[object] = {
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not isinstance(thread, made_elsewhere)
    }
    if "PySide6.QtCore" in sys.modules:
        from PySide6.QtCore import QThread

        found |= {
            thing for thing in _of_qt(QThread) if thing.isRunning() and not thing.isCurrentThread()
        }
    return found


def timers() -> set[object]:
    """Return the timers that run, of the window's thread."""
    if "PySide6.QtCore" not in sys.modules:
        return set()
    from PySide6.QtCore import QTimer

    from mrifcl_gui.garbage import Collector

    # The program has one collector; it rests when the end of the last job is heard.
    return {
        thing
        for thing in _of_qt(QTimer)
        if thing.isActive() and not isinstance(thing.parent(), Collector)
    }


def let_jobs_tell_their_end() -> None:
    """Let the window's thread hear of jobs whose threads have just ended, and act on it."""
    if "PySide6.QtCore" not in sys.modules:
        return
    from PySide6.QtCore import QCoreApplication

    if QCoreApplication.instance() is not None:
        for _ in range(3):  # one ends, the collector begins to, the collector has ended
            QCoreApplication.processEvents()


def windows() -> set[object]:
    """Return the windows that stand open."""
    if "PySide6.QtWidgets" not in sys.modules:
        return set()
    from PySide6.QtWidgets import QWidget

    return {thing for thing in _of_qt(QWidget) if thing.isWindow() and thing.isVisible()}


def delete_what_asked_for_it() -> None:
    """Let Qt delete what is to be deleted later, and timers end that ring but once."""
    if "PySide6.QtCore" not in sys.modules:
        return
    from PySide6.QtCore import QCoreApplication, QEvent

    if QCoreApplication.instance() is not None:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()


def left_of(look: Callable[[], set[object]], before: set[object]) -> list[object]:
    """Return what is there now and was not before; what is just ending may end.

    A timer or window is told with what it belongs to.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while left := look() - before:
        if time.monotonic() > end:
            return [
                (thing, thing.parent()) if hasattr(thing, "parent") else thing for thing in left
            ]
        # A widget in a cycle is alive until it is collected, and its timers with it.
        gc.collect()
        delete_what_asked_for_it()
        time.sleep(0.02)
    return []


def _of_qt(kind: type) -> list[object]:
    from shiboken6 import getAllValidWrappers

    return [thing for thing in getAllValidWrappers() if isinstance(thing, kind)]
