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


def until_drawn(receiver: QObject) -> Callable[[], Operation[None]]:
    """Return an operation that ends when the window has done what it has to do now.

    Call this in the window's thread, and the operation in the job's; the job can be cancelled
    meanwhile. ``receiver`` lives in the window's thread.
    """
    drawn = threading.Event()
    # After what waits now, and after what that asks for: a layout is drawn in a later turn.
    QTimer.singleShot(_PATIENCE_MS, receiver, drawn.set)

    def wait() -> Operation[None]:
        while not drawn.wait(_SECONDS_BETWEEN_LOOKS):
            yield Progress("Waiting for the window")

    return wait
