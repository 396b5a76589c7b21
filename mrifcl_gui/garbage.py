"""Collects Python's cyclic garbage in the window's thread, and never in that of a job.

A Qt object that Python's collector finds is destroyed where the collector happens to run.
Its destructor holds a lock of Qt while it asks for Python's (PySide6 6.10, ``~QObject``
calls ``retrieveMetaObject``); the window's thread, holding Python's lock, may just then wait
for that of Qt, and both wait for ever. So the collector stands still while jobs run, and
the window does its work from a timer.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QCoreApplication, QObject, QTimer

INTERVAL_MS = 250
_WHOLE_S = 30.0  # between two looks at everything


class Collector(QObject):
    """Takes the place of Python's own collector from :meth:`begin` to :meth:`end`."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self, interval=INTERVAL_MS)
        self._timer.timeout.connect(self._on_due)
        self._ticks = 0
        self._is_ending = False

    def begin(self) -> None:
        """Collect by the timer."""
        gc.disable()
        if self._is_ending or not self._timer.isActive():
            # Else jobs that begin one after the other would put it off for ever.
            self._is_ending = False
            self._timer.start(INTERVAL_MS)

    def end(self) -> None:
        """Give the work back to Python, once nothing else is under way in this thread.

        Whoever calls this is called by a job, and what the job belongs to may be garbage.
        """
        self._is_ending = True
        self._timer.start(0)

    def _on_due(self) -> None:
        self._ticks += 1
        if self._is_ending:
            self._timer.stop()
            gc.collect(1)
            gc.enable()
        elif self._ticks * INTERVAL_MS >= 1e3 * _WHOLE_S:
            self._ticks = 0
            gc.collect()
        else:
            gc.collect(0 if self._ticks % 8 else 1)


_collectors: list[Collector] = []


def collector() -> Collector:
    """Return the one of this program; from the window's thread."""
    if not _collectors:
        app = QCoreApplication.instance()
        assert app is not None
        found = Collector(app)
        found.destroyed.connect(_collectors.clear)
        _collectors.append(found)
    return _collectors[0]


def keep_what_is_loaded() -> None:
    """Never look again at what is in memory now: the modules of the great libraries.

    They are some 470,000 objects, at which the collector looks for 0.28 s; the window would
    stand still for as long.
    """
    gc.freeze()
