"""Repaint widgets together and no oftener than a screen can show."""

from __future__ import annotations

import time
from math import ceil

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QWidget

_FRAME_SECONDS = 0.016


class FrameClock(QObject):
    """Gathers wishes for a repaint and grants them at most once in 16 ms.

    A wheel or a mouse sends events faster than that; each paint would show a slice that
    nobody can see.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[QWidget] = []
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._paint)

    def ask(self, widget: QWidget) -> None:
        """Repaint ``widget`` with the next frame: at once, or 16 ms after the last one."""
        if widget not in self._waiting:
            self._waiting.append(widget)
        if not self._timer.isActive():
            left = self._last + _FRAME_SECONDS - time.monotonic()
            self._timer.start(max(0, ceil(left * 1000)))

    def _paint(self) -> None:
        self._last = time.monotonic()
        waiting, self._waiting = self._waiting, []
        for widget in waiting:
            widget.update()
