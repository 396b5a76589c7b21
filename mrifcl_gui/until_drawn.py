"""Let background work begin once the window has drawn what it was just told to show.

To draw takes Python's lock hundreds of times, and a job at work makes each time longer: a table
that is drawn in 10 ms takes 150 ms beside three jobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from core.progress import Operation, Progress

_PATIENCE_MS = 40
_SECONDS_BETWEEN_LOOKS = 0.05


class _Turn(QObject):
    """Tells a thread when the window's own has come so far; then it goes."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.come = threading.Event()
        # A QObject's own slots: Qt calls them, or not at all where the object has gone.
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._on_turn)
        self._timer.start()

    def _on_turn(self) -> None:
        # What is shown now asks for a layout, which is drawn in a later turn.
        self._timer.timeout.disconnect(self._on_turn)
        self._timer.timeout.connect(self._on_drawn)
        self._timer.start(_PATIENCE_MS)

    def _on_drawn(self) -> None:
        self.come.set()
        self.deleteLater()


def until_drawn(parent: QObject) -> Callable[[], Operation[None]]:
    """Return an operation that ends when the window has done what it has to do now.

    Call this in the window's thread, where ``parent`` lives, and the operation in the job's; the
    job can be cancelled meanwhile.
    """
    come = _Turn(parent).come

    def wait() -> Operation[None]:
        while not come.wait(_SECONDS_BETWEEN_LOOKS):
            yield Progress("Waiting for the window")

    return wait


def nothing_to_draw() -> Operation[None]:
    """Wait for nothing."""
    yield from ()
