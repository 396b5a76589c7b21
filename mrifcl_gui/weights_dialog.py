"""Offers the pretrained weights that a training needs and that are not on this computer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.training.weights_entry import WeightsEntry, WeightsState
from mrifcl_gui.config_form import AlertLabel
from mrifcl_gui.icons import put_icon
from mrifcl_gui.theme import GAP, HEADING, MARGIN, SMALL, scaled, set_type

_WIDTH = 560


class WeightsDialog(QDialog):
    """Download, choose a file, or leave it: the owner does what is chosen.

    It is accepted by Download, and by :meth:`take_file` once no file is missing any more.

    Signals
    -------
    file_chosen(str, Path)
        Network and a file for it; the owner answers with :meth:`take_file` or
        :meth:`refuse_file`.
    """

    file_chosen = Signal(str, object)

    def __init__(self, missing: Sequence[WeightsState], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Pretrained weights"))
        self.setFixedWidth(scaled(_WIDTH))
        self._missing = list(missing)
        self._rows: dict[str, tuple[QLabel, QPushButton]] = {}
        self._refused = AlertLabel(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(self._build_heading())
        layout.addLayout(self._build_rows())
        layout.addWidget(self._refused)
        layout.addWidget(self._build_by_hand())
        layout.addSpacing(GAP)
        layout.addLayout(self._build_buttons())
        self._write_download()
        self.download.setFocus()

    def entries(self) -> list[WeightsEntry]:
        """Return the files that are still to be fetched."""
        return [state.entry for state in self._missing if state.entry is not None]

    def take_file(self, state: WeightsState) -> None:
        """Say that a network has its weights in a file; where it was the last, go on."""
        self._missing = [one for one in self._missing if one.network != state.network]
        if not self._missing:
            self.accept()
            return
        text, button = self._rows[state.network]
        text.setText(f"✓ {state.text}")
        button.hide()
        self._refused.show_text("")
        self._write_download()

    def refuse_file(self, text: str) -> None:
        """Say why a chosen file cannot be used."""
        self._refused.show_text(text)
        self.adjustSize()

    def _build_heading(self) -> QLabel:
        entries = self.entries()
        if len(entries) == 1:
            said = self.tr("{network} needs its ImageNet weights ({size:.0f} MB)").format(
                network=entries[0].title, size=entries[0].megabytes
            )
        else:
            said = self.tr("{n} networks need their ImageNet weights").format(n=len(entries))
        heading = _text(said, self)
        set_type(heading, HEADING, bold=True)
        return heading

    def _build_rows(self) -> QGridLayout:
        rows = QGridLayout()
        rows.setHorizontalSpacing(GAP)
        rows.setVerticalSpacing(GAP)
        rows.setColumnStretch(0, 1)
        for place, state in enumerate(self._missing):
            text = _text(state.text, self)
            button = QPushButton(self.tr("Choose a file…"), self)
            button.setAutoDefault(False)
            button.setAccessibleName(
                self.tr("Choose a weights file for {0}").format(self._title(state))
            )
            button.setProperty("network", state.network)
            button.clicked.connect(self._on_choose)
            rows.addWidget(text, place, 0)
            rows.addWidget(button, place, 1, Qt.AlignmentFlag.AlignTop)
            self._rows[state.network] = text, button
        return rows

    def _build_by_hand(self) -> QLabel:
        ways = "\n".join(state.by_hand for state in self._missing)
        said = _text(self.tr("Without a network: {0}").format(ways), self)
        said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_type(said, SMALL)
        return said

    def _build_buttons(self) -> QHBoxLayout:
        self.cancel = QPushButton(self.tr("Cancel"), self)
        self.cancel.setToolTip(self.tr("Train nothing now"))
        self.cancel.setAutoDefault(False)
        self.cancel.clicked.connect(self.reject)
        self.download = QPushButton(self)
        self.download.setProperty("primary", True)
        put_icon(self.download, "download")
        self.download.setDefault(True)
        self.download.setToolTip(self.tr("Fetch the weights; training begins when they are here"))
        self.download.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.download)
        return buttons

    def _write_download(self) -> None:
        size = sum(entry.megabytes for entry in self.entries())
        self.download.setText(self.tr("Download {size:.0f} MB and train").format(size=size))

    def _title(self, state: WeightsState) -> str:
        return state.entry.title if state.entry is not None else state.network

    def _on_choose(self) -> None:
        button = self.sender()
        chosen, _ = QFileDialog.getOpenFileName(
            self, self.tr("Weights file"), "", self.tr("Weights (*.safetensors *.pth *.pt)")
        )
        if chosen and isinstance(button, QPushButton):
            self.file_chosen.emit(button.property("network"), Path(chosen))


def _text(text: str, parent: QWidget) -> QLabel:
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
