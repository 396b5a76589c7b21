"""Measure whether half precision is faster here: a button, and what was found."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.config import RunSettings
from core.training.probe_result import PRECISION_TITLES, ProbeResult


class PrecisionField(QWidget):
    """Stands below the choice of precision; measures nothing itself.

    ``measure_requested`` asks the owner to, with the settings of the moment.
    """

    measure_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._result: ProbeResult | None = None
        self._is_measuring = self._is_training = False
        self.button = QPushButton(self.tr("Measure"), self)
        self.button.setAccessibleName(self.tr("Measure the precisions"))
        self.button.clicked.connect(self.measure_requested)
        self.text = QLabel(self)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        line = QHBoxLayout()
        line.addWidget(self.button)
        line.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.text)
        self._update()

    def show_result(self, result: ProbeResult) -> None:
        """Say what was measured."""
        self._result = result
        self._update()

    def set_measuring(self, is_measuring: bool) -> None:
        """Say that a measurement is under way, or is over."""
        self._is_measuring = is_measuring
        self._update()

    def set_training(self, is_training: bool) -> None:
        """Allow no measurement beside a training: each would slow the other."""
        self._is_training = is_training
        self._update()

    def follow(self, settings: RunSettings | None) -> None:
        """Forget what was measured with other settings; None where a field is wrong."""
        if self._result is None or settings is None or self._result.holds_for(settings):
            return
        self._result = None
        self._update()

    def is_offered(self, precision: str) -> bool:
        """Tell whether a precision may be chosen: 32 bit, or what was measured to be faster."""
        if precision == "32":
            return True
        return self._result is not None and self._result.is_faster(precision)

    def warning_on(self, precision: str) -> str:
        """Return what speaks against a precision that was chosen all the same."""
        if self.is_offered(precision):
            return ""
        title = PRECISION_TITLES[precision]
        if self._result is None:
            return self.tr(
                "{0} was not measured with these settings; it may be slower than 32 bit."
            ).format(title)
        if precision not in self._result.rates:
            return self.tr("{0} cannot be measured on this device.").format(title)
        return self.tr("{0} is not faster than 32 bit here.").format(title)

    def _update(self) -> None:
        self.button.setEnabled(not (self._is_measuring or self._is_training))
        self.button.setText(self.tr("Measuring…") if self._is_measuring else self.tr("Measure"))
        self.button.setToolTip(
            self.tr("A run is being trained; measure before or after it.")
            if self._is_training
            else self.tr(
                "Trains a few steps in each precision. Half precision can be chosen where it "
                "is faster."
            )
        )
        self.text.setText(self._result.sentence() if self._result is not None else "")
        self.text.setToolTip(self._result.where() if self._result is not None else "")
        self.text.setVisible(self._result is not None)
