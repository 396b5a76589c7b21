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

# What each other key does; the viewer acts on no letter that is not here.
LETTERS = {
    Qt.Key.Key_R: "Reset: whole planes, middle slice, automatic contrast",
    Qt.Key.Key_X: "Show or hide the crosshair",
    Qt.Key.Key_A: "Automatic contrast (2nd to 98th percentile)",
    Qt.Key.Key_O: "Patient's right at the left of the picture, or at the right",
    Qt.Key.Key_Space: "Show or hide the map, or the lines of the network's slices",
    Qt.Key.Key_C: "Find the slice in the feature cloud of the run",
}


def key_words() -> dict[Qt.Key, str]:
    """Return what each key of the viewer does."""
    far = {1: "Next slice", -1: "Slice before", _BIG_STEP: f"{_BIG_STEP} slices on"}
    far |= {-_BIG_STEP: f"{_BIG_STEP} slices back", _ALL: "Last slice", -_ALL: "First slice"}
    steps = {key: far[step] for key, step in STEPS.items()}
    planes = {key: f"Enlarge the {plane} plane, or show all" for key, plane in PLANE_KEYS.items()}
    return {**steps, **planes, **LETTERS}


def plane_key(name: str) -> str:
    """Return the digit that enlarges a plane."""
    return next(chr(key) for key, plane in PLANE_KEYS.items() if plane == name)


def is_plain(event: QKeyEvent) -> bool:
    """Tell whether a key was pressed without Ctrl, Alt or Shift, which belong to others."""
    ours = Qt.KeyboardModifier.NoModifier | Qt.KeyboardModifier.KeypadModifier
    return not (event.modifiers() & ~ours)
