"""Fields of numbers that every locale reads alike: comma or point, never a grouped number."""

from __future__ import annotations

from PySide6.QtCore import QLocale
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSpinBox, QWidget

from core.typed_number import is_typing, looks_grouped, read_number, read_whole_number


class NumberBox(QDoubleSpinBox):
    """A decimal number. Qt's own box reads "0.001" as 1 in a German locale."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _make_plain(self)

    def validate(self, text: str, position: int) -> object:  # noqa: D102
        return _state_of(self, text, self._number(text)), text, position

    def fixup(self, text: str) -> str:
        """Leave ``text`` alone: Qt's own makes 1.0005 of 1.000,5."""
        return text

    def valueFromText(self, text: str) -> float:  # noqa: D102
        value = self._number(text)
        return self.value() if value is None else value

    def _number(self, text: str) -> float | None:
        typed = _typed(self, text)
        # Where no decimals are shown, 1,000 is more likely a thousand than one.
        if not self.decimals() and looks_grouped(typed):
            return None
        try:
            return read_number(typed)
        except ValueError:
            return None


class WholeNumberBox(QSpinBox):
    """A whole number without groups of digits."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _make_plain(self)

    def validate(self, text: str, position: int) -> object:  # noqa: D102
        return _state_of(self, text, self._number(text)), text, position

    def fixup(self, text: str) -> str:
        """Leave ``text`` alone."""
        return text

    def valueFromText(self, text: str) -> int:  # noqa: D102
        value = self._number(text)
        return self.value() if value is None else value

    def _number(self, text: str) -> int | None:
        try:
            return read_whole_number(_typed(self, text))
        except ValueError:
            return None


def _make_plain(box: QAbstractSpinBox) -> None:
    locale = QLocale.c()
    locale.setNumberOptions(
        QLocale.NumberOption.OmitGroupSeparator | QLocale.NumberOption.RejectGroupSeparator
    )
    box.setLocale(locale)
    # Only what is finished counts, so that a wrong one has a right one to go back to.
    box.setKeyboardTracking(False)


def _typed(box: QDoubleSpinBox | QSpinBox, text: str) -> str:
    """Return ``text`` without the unit that the box shows with it."""
    return text.removeprefix(box.prefix()).removesuffix(box.suffix())


def _state_of(box: QDoubleSpinBox | QSpinBox, text: str, value: float | None) -> QValidator.State:
    if not is_typing(_typed(box, text)):
        return QValidator.State.Invalid
    # What is half typed, or grouped (1.000,5), may stand; left so, the value before returns.
    is_right = value is not None and box.minimum() <= value <= box.maximum()
    return QValidator.State.Acceptable if is_right else QValidator.State.Intermediate
