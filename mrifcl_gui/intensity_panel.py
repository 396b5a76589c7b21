"""The histogram of a scan with its window and level, by dragging or as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from mrifcl_gui.histogram_view import HistogramView
from mrifcl_gui.number_box import NumberBox


class IntensityPanel(QWidget):
    """Shows how often intensities occur; ``limits_asked`` carries what is black and white."""

    limits_asked = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._range = 1.0
        self.histogram = HistogramView()
        self.histogram.window_changed.connect(self.limits_asked)
        self.window_box = self._build_number_box(self.tr("Window"))
        self.level_box = self._build_number_box(self.tr("Level"))
        numbers = QHBoxLayout()
        for box in (self.window_box, self.level_box):
            label = QLabel(box.accessibleName())
            label.setBuddy(box)
            numbers.addWidget(label)
            numbers.addWidget(box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.histogram, 1)
        layout.addLayout(numbers)

    @property
    def intensity_range(self) -> float:
        """From the darkest to the brightest value, 1 where all are equal."""
        return self._range

    def show_values(self, values: NDArray[Any]) -> None:
        """Count ``values`` (any shape, finite)."""
        low, high = float(np.min(values)), float(np.max(values))
        self._range = high - low if high > low else 1.0
        self.histogram.show_values(values)
        decimals = 0 if self._range >= 100 else 3
        for box in (self.window_box, self.level_box):
            with QSignalBlocker(box):
                box.setDecimals(decimals)
                box.setSingleStep(self._range / 100)

    def set_limits(self, low: float, high: float) -> None:
        """Show what is black and white, without a signal."""
        self.histogram.set_window(low, high)
        for box, value in ((self.window_box, high - low), (self.level_box, (high + low) / 2)):
            with QSignalBlocker(box):
                box.setValue(value)

    def _build_number_box(self, name: str) -> NumberBox:
        box = NumberBox()
        box.setAccessibleName(name)
        box.setToolTip(self.tr("Also by dragging with the right button in a plane"))
        box.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        box.setKeyboardTracking(False)
        box.setRange(-1e9, 1e9)
        # Room for its whole range would widen its half of the viewer.
        box.setMinimumWidth(48)
        box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        # A file dropped on it belongs to the panel.
        box.lineEdit().setAcceptDrops(False)
        box.setAcceptDrops(False)
        box.valueChanged.connect(self._on_number_entered)
        return box

    def _on_number_entered(self) -> None:
        window = max(self.window_box.value(), self._range / 1000)
        level = self.level_box.value()
        self.limits_asked.emit(level - window / 2, level + window / 2)
