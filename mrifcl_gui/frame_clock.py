"""Repaint widgets together and no oftener than a screen can show."""

from __future__ import annotations

import time
from math import ceil

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QWidget

_FRAME_SECONDS = 0.016
_REST_SECONDS = 0.12


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
        self._moving: set[QWidget] = set()
        self._last_move = 0.0
        self._rest_timer = QTimer(self)
        self._rest_timer.setSingleShot(True)
        self._rest_timer.timeout.connect(self._rest)

    def ask(self, widget: QWidget) -> None:
        """Repaint ``widget`` with the next frame: at once, or 16 ms after the last one."""
        if widget not in self._waiting:
            self._waiting.append(widget)
        if not self._timer.isActive():
            left = self._last + _FRAME_SECONDS - time.monotonic()
            self._timer.start(max(0, ceil(left * 1000)))

    def move(self, widget: QWidget) -> None:
        """Repaint ``widget`` as one of many frames, and once more when they have gone by."""
        self._moving.add(widget)
        self._last_move = time.monotonic()
        # To start a timer takes time: it is not started anew with each move.
        if not self._rest_timer.isActive():
            self._rest_timer.start(ceil(_REST_SECONDS * 1000))
        self.ask(widget)

    def is_moving(self, widget: QWidget) -> bool:
        """Tell whether another frame of ``widget`` is likely to come soon."""
        return widget in self._moving

    def _rest(self) -> None:
        left = self._last_move + _REST_SECONDS - time.monotonic()
        if left > 0:
            self._rest_timer.start(ceil(left * 1000))
            return
        rested, self._moving = self._moving, set()
        for widget in rested:
            widget.update()

    def _paint(self) -> None:
        self._last = time.monotonic()
        waiting, self._waiting = self._waiting, []
        for widget in waiting:
            widget.update()
