"""The row under a figure of epochs: a slider, play and pause, speed, and the time-lapse's files."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

from mrifcl_gui.icons import put_icon

# Epochs a second.
SPEEDS = (1, 2, 5, 10, 20)
_USUAL_SPEED = 5


class EpochBar(QWidget):
    """Chooses one of a figure's epochs, by hand or one after another.

    While it plays, the next epoch comes once the one before is drawn (:meth:`show_drawn`), so
    that a slow figure plays slower and none is passed over.

    Signals
    -------
    moved(int)
        The user, or play, has chosen another epoch.
    file_asked(str)
        A time-lapse is to be written: ``gif``, ``mp4`` or ``strip``.
    """

    moved = Signal(int)
    file_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._epochs: tuple[int, ...] = ()
        self._is_drawn = True
        self._is_due = False
        self._clock = QTimer(self)
        self._clock.setSingleShot(True)
        self._clock.timeout.connect(self._on_due)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName(self.tr("Epoch"))
        self.slider.setToolTip(self.tr("State after this epoch; 0 is before training"))
        self.slider.valueChanged.connect(self._on_moved)
        self.play = QToolButton(self)
        self.play.setCheckable(True)
        self.play.toggled.connect(self._on_play_toggled)
        self.speed = QComboBox(self)
        self.speed.setAccessibleName(self.tr("Epochs a second"))
        self.speed.setToolTip(self.tr("How fast it plays; a figure that takes long plays slower"))
        for number in SPEEDS:
            self.speed.addItem(self.tr("{0} per s").format(number), number)
        self.speed.setCurrentIndex(SPEEDS.index(_USUAL_SPEED))
        self.files = QToolButton(self)
        self._text = QLabel(self)
        self._build_files()
        self._build_layout()
        self._on_play_toggled(is_playing=False)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs there are to choose from."""
        return self._epochs

    @property
    def epoch(self) -> int | None:
        """The chosen epoch; None where there is no choice."""
        return self._epochs[self.slider.value()] if len(self._epochs) > 1 else None

    @property
    def epochs_per_second(self) -> float:
        """The chosen speed."""
        return float(self.speed.currentData())

    @property
    def is_playing(self) -> bool:
        """Whether it goes from epoch to epoch by itself."""
        return self.play.isChecked()

    def set_epochs(self, epochs: Sequence[int], *, wanted: int | None) -> None:
        """Offer ``epochs`` and choose the last one that is not after ``wanted`` (None: the last).

        No signal is sent.
        """
        self._epochs = tuple(epochs)
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(0, len(self._epochs) - 1))
            self.slider.setValue(self._place_of(wanted))
        self._write_text()
        if len(self._epochs) < 2:
            self.pause()

    def show_epoch(self, wanted: int) -> bool:
        """Choose the last epoch not after ``wanted``, without a signal; tell if it is another."""
        before = self.slider.value()
        with QSignalBlocker(self.slider):
            self.slider.setValue(self._place_of(wanted))
        self._write_text()
        return self.slider.value() != before

    def show_drawn(self) -> None:
        """Say that the chosen epoch is on screen."""
        self._is_drawn = True
        if self._is_due:
            self._on_due()

    def pause(self) -> None:
        """Stay at the present epoch."""
        self.play.setChecked(False)

    def _build_files(self) -> None:
        self.files.setText(self.tr("Time-lapse"))
        self.files.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.files.setToolTip(self.tr("Save the figure over its epochs"))
        self.files.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.files)
        for kind, words in (
            ("gif", self.tr("Save as GIF…")),
            ("mp4", self.tr("Save as MP4…")),
            ("strip", self.tr("Save as strip of panels…")),
        ):
            action = menu.addAction(words)
            action.setData(kind)
            action.triggered.connect(self._on_file_chosen)
        self.files.setMenu(menu)

    def _build_layout(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._text.setMinimumWidth(self.fontMetrics().horizontalAdvance("0000 of 0000"))
        row.addWidget(self.play)
        row.addWidget(QLabel(self.tr("Epoch"), self))
        row.addWidget(self.slider, 1)
        row.addWidget(self._text)
        row.addWidget(self.speed)
        row.addWidget(self.files)

    def _place_of(self, wanted: int | None) -> int:
        if wanted is None:
            return max(0, len(self._epochs) - 1)
        return max(0, sum(epoch <= wanted for epoch in self._epochs) - 1)

    def _write_text(self) -> None:
        known = self._epochs
        self._text.setText(f"{known[self.slider.value()]} of {known[-1]}" if known else "")

    def _on_moved(self) -> None:
        self._write_text()
        self._is_drawn = False
        if self.epoch is not None:
            self.moved.emit(self.epoch)

    def _on_play_toggled(self, is_playing: bool) -> None:
        put_icon(self.play, "pause" if is_playing else "play")
        words = self.tr("Pause") if is_playing else self.tr("Play the epochs")
        self.play.setAccessibleName(words)
        self.play.setToolTip(words)
        self._is_due = False
        if not is_playing:
            self._clock.stop()
            return
        self._is_drawn = True
        if self.slider.value() == self.slider.maximum():
            self.slider.setValue(0)
        self._wait()

    def _wait(self) -> None:
        self._clock.start(round(1000 / self.epochs_per_second))

    def _on_due(self) -> None:
        self._is_due = not self._is_drawn
        if self._is_due or not self.is_playing:
            return
        if self.slider.value() == self.slider.maximum():
            self.pause()
            return
        self.slider.setValue(self.slider.value() + 1)
        self._wait()

    def _on_file_chosen(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.file_asked.emit(str(action.data()))
