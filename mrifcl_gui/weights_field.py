"""Whether the weights that a regime needs are here, and a button that fetches them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QMimeData, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from core.config import NETWORK_TITLES
from core.progress import Progress
from core.training.weights_entry import WeightsEntry, WeightsState
from mrifcl_gui.config_form import alert_colour
from mrifcl_gui.icons import put_icon

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")
_MARKS = {"cache": "✓", "file": "✓", "run": "✓", "missing": "↓", "refused": "✕"}


class WeightsStates(QWidget):
    """One line a network. Fetches nothing itself: it only asks its owner to.

    ``fetch_requested`` and ``cancel_requested`` name a :class:`WeightsEntry`.
    """

    fetch_requested = Signal(str)
    cancel_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Where the weights come from"))
        self._rows: list[_StateRow] = []
        self._fetching: dict[str, Progress] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        # All at once, so that Tab reaches their buttons in reading order.
        for _ in NETWORK_TITLES:
            row = _StateRow(self)
            row.fetch_requested.connect(self.fetch_requested)
            row.cancel_requested.connect(self.cancel_requested)
            row.hide()
            layout.addWidget(row)
            self._rows.append(row)
        self.hide()

    def show_states(self, states: Sequence[WeightsState]) -> None:
        """Show what is known of the weights; nothing where no network needs any."""
        # A file that is refused as such is refused for each network in the same words.
        states = list({state.text: state for state in states}.values())
        for row in self._rows[len(states) :]:
            row.hide()
        for row, state in zip(self._rows, states, strict=False):
            row.show()
            row.show_state(state)
            name = state.entry.name if state.entry is not None else ""
            row.show_progress(self._fetching.get(name))
        self.setVisible(bool(states))

    def show_progress(self, name: str, event: object) -> None:
        """Show how far the download of ``name`` is."""
        if isinstance(event, Progress):
            self._fetching[name] = event
            self._update(name)

    def show_ended(self, name: str) -> None:
        """Take the progress of ``name`` away; what is here now is asked for anew."""
        self._fetching.pop(name, None)
        self._update(name)

    def texts(self) -> list[str]:
        """Return the lines that are shown."""
        return [row.text.text() for row in self._rows if not row.isHidden()]

    def buttons(self) -> list[QPushButton]:
        """Return the buttons that are shown."""
        shown = [row for row in self._rows if not row.isHidden()]
        return [row.button for row in shown if not row.button.isHidden()]

    def _update(self, name: str) -> None:
        for row in self._rows:
            if row.entry is not None and row.entry.name == name:
                row.show_progress(self._fetching.get(name))


class _StateRow(QWidget):
    """The state of one network's weights; while they are fetched, a bar and Cancel."""

    fetch_requested = Signal(str)
    cancel_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entry: WeightsEntry | None = None
        self._state: WeightsState | None = None
        self._is_fetching = False
        self.text = QLabel(self)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(True)
        self.button = QPushButton(self.tr("Download"), self)
        put_icon(self.button, "download")
        self.button.clicked.connect(self._on_clicked)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.bar, 1)
        line.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        layout.addLayout(line)

    def show_state(self, state: WeightsState) -> None:
        """Show ``state`` in words, with a mark that needs no colour."""
        self._state, self.entry = state, state.entry
        self.text.setText(f"{_MARKS[state.kind]} {state.text}")
        self._paint()

    def show_progress(self, progress: Progress | None) -> None:
        """Show a download's progress; None where there is none."""
        if self._is_fetching != (progress is not None):
            self.button.setEnabled(True)
        self._is_fetching = progress is not None
        can_fetch = self.entry is not None and self._state is not None
        can_fetch = can_fetch and self._state.kind == "missing"
        self.button.setVisible(can_fetch)
        self.bar.setVisible(can_fetch and self._is_fetching)
        if self.entry is None or not can_fetch:
            return
        if progress is None:
            self.button.setText(
                self.tr("Download {network} weights ({size:.0f} MB)").format(
                    network=self.entry.title, size=self.entry.megabytes
                )
            )
            self.button.setToolTip(self.tr("From {0}").format(self.entry.url))
        else:
            self._show_bar(progress)
            self.button.setText(self.tr("Cancel"))
            self.button.setToolTip(self.tr("Stop the download; what has come is kept"))
        self.button.setAccessibleName(
            self.tr("{action}: {network} weights").format(
                action=self.tr("Cancel") if self._is_fetching else self.tr("Download"),
                network=self.entry.title,
            )
        )

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ApplicationPaletteChange:
            self._paint()

    def _show_bar(self, progress: Progress) -> None:
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        # Without a total it is connecting or waiting.
        numbers = self.tr("{done} of {total} MB").format(done=progress.done, total=progress.total)
        self.bar.setFormat(numbers if progress.total else "…")
        self.bar.setAccessibleName(progress.what)
        self.bar.setToolTip(progress.what)

    def _paint(self) -> None:
        palette = self.palette()
        if self._state is not None and self._state.kind == "refused":
            palette.setColor(self.text.foregroundRole(), alert_colour(self))
        self.text.setPalette(palette)

    def _on_clicked(self) -> None:
        if self.entry is None:
            return
        if self._is_fetching:
            self.button.setEnabled(False)
            self.cancel_requested.emit(self.entry.name)
        else:
            self.fetch_requested.emit(self.entry.name)


def dropped_weights(data: QMimeData) -> str:
    """Return the one weights file that is dropped; empty where it is anything else."""
    urls = data.urls()
    if len(urls) != 1 or not urls[0].isLocalFile():
        return ""
    path = urls[0].toLocalFile()
    return path if path.lower().endswith(WEIGHTS_SUFFIXES) else ""
