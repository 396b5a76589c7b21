"""Fields of numbers that every locale reads alike: comma or point, never a grouped number."""

from __future__ import annotations

from PySide6.QtCore import QLocale
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox, QWidget

# float() also takes 1_000, nan and words for infinity, which no field means.
_LETTERS = frozenset("0123456789.,-+eE")


class NumberBox(QDoubleSpinBox):
    """A decimal number. Qt's own box reads "0.001" as 1 in a German locale."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setLocale(_plain_locale())
        # Only what is finished counts, so that a wrong one has a right one to go back to.
        self.setKeyboardTracking(False)

    def validate(self, text: str, position: int) -> object:  # noqa: D102
        if not set(text.strip()) <= _LETTERS:
            return QValidator.State.Invalid, text, position
        value = _number(_pointed(text))
        # What is half typed, or grouped (1.000,5), may stand; left so, the value before returns.
        is_right = value is not None and self.minimum() <= value <= self.maximum()
        state = QValidator.State.Acceptable if is_right else QValidator.State.Intermediate
        return state, text, position

    def fixup(self, text: str) -> str:
        """Leave ``text`` alone: Qt's own makes 1.0005 of 1.000,5."""
        return text

    def valueFromText(self, text: str) -> float:  # noqa: D102
        value = _number(_pointed(text))
        return self.value() if value is None else value


class WholeNumberBox(QSpinBox):
    """A whole number without groups of digits."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setLocale(_plain_locale())


def _plain_locale() -> QLocale:
    locale = QLocale.c()
    locale.setNumberOptions(
        QLocale.NumberOption.OmitGroupSeparator | QLocale.NumberOption.RejectGroupSeparator
    )
    return locale


def _pointed(text: str) -> str:
    """Return ``text`` with its one decimal comma as a point; grouped numbers stay unreadable."""
    text = text.strip()
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


def _number(text: str) -> float | None:
    if not set(text) <= _LETTERS:
        return None
    try:
        return float(text)
    except ValueError:
        return None
