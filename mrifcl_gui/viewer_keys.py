"""The viewer's keys that go to slices and to planes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

_BIG_STEP = 10
_ALL = 2**30  # further than any scan has slices

STEPS = {
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_PageUp: _BIG_STEP,
    Qt.Key.Key_PageDown: -_BIG_STEP,
    Qt.Key.Key_Home: -_ALL,
    Qt.Key.Key_End: _ALL,
}
PLANE_KEYS = {Qt.Key.Key_1: "axial", Qt.Key.Key_2: "coronal", Qt.Key.Key_3: "sagittal"}


def plane_key(name: str) -> str:
    """Return the digit that enlarges a plane."""
    return next(chr(key) for key, plane in PLANE_KEYS.items() if plane == name)


def is_plain(event: QKeyEvent) -> bool:
    """Tell whether a key was pressed without Ctrl, Alt or Shift, which belong to others."""
    ours = Qt.KeyboardModifier.NoModifier | Qt.KeyboardModifier.KeypadModifier
    return not (event.modifiers() & ~ours)
