"""Looks whether the Qt binding counts references rightly, as one that does not ends the program.

PySide6 6.12.0 on Python 3.11 loses one reference to ``None`` in most calls without a result;
after some thousand calls python aborts ("none_dealloc"). From Python 3.12 on these objects
live for ever and nothing can be lost.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from PySide6 import __version__ as pyside_version
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QLabel, QProgressBar

logger = logging.getLogger(__name__)

CALLS, EMISSIONS = 300, 1000
# One a call would be lost; what else runs in the process moves the counts by a few.
MOST_LOST = 30
_KEPT = (None, True)


class _Teller(QObject):
    told = Signal(object)


class _Listener(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_told(self, _value: object) -> None:
        self.count += 1


def can_lose() -> bool:
    """Tell whether this python counts references to ``None`` at all."""
    return sys.version_info < (3, 12)


def lost_references() -> dict[str, int]:
    """Return how many references to ``None`` and ``True`` a few hundred calls lose, by call."""
    label, bar, teller, listener = QLabel(), QProgressBar(), _Teller(), _Listener()
    bar.setRange(0, CALLS)
    image = QImage(16, 16, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    teller.told.connect(listener.on_told)
    try:
        return {
            "QLabel.setText": _lost(lambda i: label.setText(str(i)), CALLS),
            "QProgressBar.setValue": _lost(bar.setValue, CALLS),
            "QPainter.drawLine": _lost(lambda i: painter.drawLine(0, 0, i % 16, 15), CALLS),
            "emit(None)": _lost(lambda _i: teller.told.emit(None), EMISSIONS),
            "emit(True)": _lost(lambda _i: teller.told.emit(True), EMISSIONS),
        }
    finally:
        painter.end()


def check_binding() -> bool:
    """Log where the binding loses references; tell whether it does not. It takes 10 ms."""
    if not can_lose():
        return True
    lost = {call: count for call, count in lost_references().items() if count > MOST_LOST}
    if lost:
        logger.critical(
            "PySide6 %s loses references on Python %s and will end this program: %s. "
            "Install the release of PySide6 that pyproject.toml names.",
            pyside_version,
            sys.version.split()[0],
            ", ".join(f"{count} in {call}" for call, count in lost.items()),
        )
    return not lost


def _lost(call: Callable[[int], object], times: int) -> int:
    before = [sys.getrefcount(kept) for kept in _KEPT]
    for i in range(times):
        call(i)
    after = [sys.getrefcount(kept) for kept in _KEPT]
    return max(b - a for b, a in zip(before, after, strict=True))
