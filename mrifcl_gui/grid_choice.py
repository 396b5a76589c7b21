"""Choose several splits and seeds at once, so that each pair of network and regime is many runs."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import SettingsError
from core.plan import parse_numbers
from mrifcl_gui.config_form import AlertLabel, Chip

MOST_VARIANTS = 200


class GridChoice(QWidget):
    """Chips for splits and a field for seeds, folded; what is empty is as the form says."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        titles = {
            "subject": (self.tr("By subject"), self.tr("No person is in two parts")),
            "slice": (self.tr("By slice"), self.tr("As in the paper; leaks, for comparison")),
            "kfold": (self.tr("All folds"), self.tr("One run for each test fold, by subject")),
        }
        self._fold = QToolButton(self)
        self._fold.setText(self.tr("Several splits and seeds"))
        self._fold.setCheckable(True)
        self._fold.setAutoRaise(True)
        self._fold.setArrowType(Qt.ArrowType.RightArrow)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setToolTip(self.tr("Train each network under several splits and seeds at once"))
        self._fold.toggled.connect(self._on_folded)
        self._inside = QWidget(self)
        chips = QGridLayout()
        chips.setSpacing(8)
        self._splits: dict[str, Chip] = {}
        for place, (mode, (title, help_text)) in enumerate(titles.items()):
            chip = Chip(title, help_text, self._inside)
            chip.toggled.connect(self.changed)
            self._splits[mode] = chip
            chips.addWidget(chip, 0, place)
        self.seeds = QLineEdit(self._inside)
        self.seeds.setAccessibleName(self.tr("Seeds"))
        self.seeds.setPlaceholderText(self.tr("as above; or 0-4, or 0, 3, 7"))
        self.seeds.setToolTip(self.tr("One run for each seed: a range, or a list"))
        self.seeds.textChanged.connect(self.changed)
        self._fault = AlertLabel(self._inside)
        label = QLabel(self.tr("Seeds"), self._inside)
        label.setBuddy(self.seeds)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(label)
        row.addWidget(self.seeds, 1)
        inside = QVBoxLayout(self._inside)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        inside.addLayout(chips)
        inside.addLayout(row)
        inside.addWidget(self._fault)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._fold)
        layout.addWidget(self._inside)
        self._inside.hide()

    def variants(self, folds: int) -> list[dict[str, Any]]:
        """Return what is to be changed for each run; one empty change where nothing is chosen.

        ``folds`` is how many there are. Wrong seeds give none, and are told in red.
        """
        try:
            seeds = parse_numbers(self.seeds.text())
            splits = self._chosen_splits(folds)
            n_variants = max(1, len(seeds)) * len(splits)
            if n_variants > MOST_VARIANTS:
                raise SettingsError(
                    self.tr("{0} runs of each network are too many: {1} at most.").format(
                        n_variants, MOST_VARIANTS
                    )
                )
        except SettingsError as error:
            self._fault.show_text(str(error))
            return []
        self._fault.show_text("")
        return [
            {**split, **({} if seed is None else {"seed": seed})}
            for split in splits
            for seed in (seeds or [None])
        ]

    def choose(self, splits: set[str], seeds: str) -> None:
        """Press the chips of ``splits`` and write ``seeds``."""
        self._fold.setChecked(True)
        for mode, chip in self._splits.items():
            chip.setChecked(mode in splits)
        self.seeds.setText(seeds)

    def _chosen_splits(self, folds: int) -> list[dict[str, Any]]:
        chosen: list[dict[str, Any]] = []
        for mode, chip in self._splits.items():
            if not chip.isChecked():
                continue
            change: dict[str, Any] = {"mode": mode, "split_file": ""}
            if mode == "kfold":
                chosen += [{**change, "folds": folds, "fold": n + 1} for n in range(folds)]
            else:
                chosen.append(change)
        return chosen or [{}]

    def _on_folded(self, is_open: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._inside.setVisible(is_open)
