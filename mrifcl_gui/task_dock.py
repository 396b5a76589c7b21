"""The dock of background jobs: what runs, how far it is, how long it takes, and Cancel."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import QObject, QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.errors import MriFclError
from core.progress import BatchDone, EpochMetrics, Notice, Progress, RunStarted
from mrifcl_gui.config_form import AlertLabel
from mrifcl_gui.icons import put_icon
from mrifcl_gui.job import Job
from mrifcl_gui.theme import scaled

# Property of a job whose owner says in its own place why it failed.
TELLS_FAILURE = "tellsFailure"
REDRAW_MS = 100
STAY_MS = 4000
MOST_HEIGHT = 136
_STEPS = 1000


def duration_text(seconds: float) -> str:
    """Return a time as h:mm:ss; a dash where it is not known."""
    if not math.isfinite(seconds) or seconds < 0:
        return "–"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class TaskDock(QWidget):
    """One row a job. A row vanishes some seconds after the end; a failure stays until dismissed.

    Hidden while there is nothing to show.

    Parameters
    ----------
    stay_ms : int
        How long the row of an ended job stays.
    """

    jobs_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, stay_ms: int = STAY_MS) -> None:
        super().__init__(parent)
        self._stay_ms = stay_ms
        self._rows: list[_JobRow] = []
        self.setAccessibleName(self.tr("Background tasks"))
        inside = QWidget(self)
        self._list = QVBoxLayout(inside)
        self._list.setContentsMargins(16, 4, 16, 4)
        self._list.setSpacing(4)
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._timer = QTimer(self)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._on_redraw_due)
        self.hide()

    def add_job(self, job: Job, *, keeps_failure: bool = True) -> None:
        """Show ``job`` until it ends. It may be started before or after.

        ``keeps_failure`` False is for a job whose failure is told elsewhere; so is a job with
        the property :data:`TELLS_FAILURE`.
        """
        row = _JobRow(job, self._stay_ms, self, keeps_failure=keeps_failure)
        row.gone.connect(self._on_row_gone)
        row.resized.connect(self._fit_height)
        self._rows.append(row)
        self._list.addWidget(row)
        self._timer.start()
        self.show()
        self._fit_height()
        self.jobs_changed.emit(len(self._rows))

    def rows(self) -> list[QWidget]:
        """Return the rows, oldest first."""
        return list(self._rows)

    def _on_redraw_due(self) -> None:
        for row in self._rows:
            row.redraw()
        if all(row.has_ended for row in self._rows):
            self._timer.stop()

    def _on_row_gone(self, row: QObject) -> None:
        self._rows = [other for other in self._rows if other is not row]
        self._list.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._fit_height()
        self.setVisible(bool(self._rows))
        self.jobs_changed.emit(len(self._rows))

    def _fit_height(self) -> None:
        width = max(1, self.width() - 32)
        needed = 8 + sum(row.height_for(width) + 4 for row in self._rows)
        self.setFixedHeight(min(scaled(MOST_HEIGHT), needed))


class _Bar(QProgressBar):
    """A bar that is drawn with the rest; Qt's setValue draws all of the window that waits, now."""

    def show_steps(self, done: int) -> None:
        """Show ``done`` of all steps."""
        self.setUpdatesEnabled(False)
        self.setRange(0, _STEPS)
        self.setValue(done)
        self.setUpdatesEnabled(True)


class _JobRow(QWidget):
    """One job. Events only change numbers; :meth:`redraw` puts them on the screen."""

    gone = Signal(QObject)
    resized = Signal()

    def __init__(
        self,
        job: Job,
        stay_ms: int,
        parent: QWidget | None = None,
        *,
        keeps_failure: bool = True,
    ) -> None:
        super().__init__(parent)
        self.has_ended = False
        self._is_told = bool(job.property(TELLS_FAILURE))
        self._keeps_failure = keeps_failure and not self._is_told
        self._job: Job | None = job
        self._stay_ms = stay_ms
        self._is_dirty = True
        self._what, self._share, self._left = "", math.nan, math.nan
        self._epochs = 0
        self._pace = _Pace()
        self._stay = QTimer(self)
        self._stay.setSingleShot(True)
        self._stay.timeout.connect(self._on_stayed)
        self.title = _ElidedLabel(job.title, self)
        self.bar = _Bar(self)
        self.what = _ElidedLabel("", self)
        self.left = QLabel(self)
        self.button = QPushButton(self.tr("Cancel"), self)
        put_icon(self.button, "x")
        self.failure = AlertLabel(self)
        self._build_layout()
        job.progressed.connect(self._on_progressed)
        job.succeeded.connect(self._on_succeeded)
        job.failed.connect(self._on_failed)
        job.cancelled.connect(self._on_cancelled)
        self.redraw()

    def redraw(self) -> None:
        """Show the newest numbers."""
        if not self._is_dirty or self.has_ended:
            return
        self._is_dirty = False
        self.what.set_full_text(self._what)
        if math.isfinite(self._share):
            self.bar.show_steps(round(self._share * _STEPS))
        else:
            self.bar.setRange(0, 0)
        known = math.isfinite(self._left)
        self.left.setText(
            self.tr("{time} left").format(time=duration_text(self._left)) if known else ""
        )

    def height_for(self, width: int) -> int:
        """Return the height that the row needs at ``width``."""
        if self.failure.text():
            return scaled(34) + self.failure.heightForWidth(width)
        return scaled(32)

    def _build_layout(self) -> None:
        # Less where texts are large, so that the button stays in sight.
        for part, widest in ((self.title, 280), (self.bar, 160)):
            part.setMaximumWidth(scaled(widest))
            part.setMinimumWidth(widest // 2)
            part.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.bar.setTextVisible(True)
        self.bar.setAccessibleName(self.tr("Progress of {task}").format(task=self.title.full_text))
        # Wide enough for the longest time, so that nothing jumps.
        self.left.setFixedWidth(self.fontMetrics().horizontalAdvance("000:00:00 left  "))
        self.left.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.left.setToolTip(self.tr("Expected time left (h:mm:ss)"))
        self.button.setAccessibleName(self.tr("Cancel {task}").format(task=self.title.full_text))
        self.button.setToolTip(self.tr("End this task at its next step"))
        self.button.clicked.connect(self._on_button)
        line = QHBoxLayout()
        line.setSpacing(8)
        for widget, share in ((self.title, 280), (self.bar, 160), (self.what, 400)):
            line.addWidget(widget, share)
        line.addWidget(self.left)
        line.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.failure)

    def _on_progressed(self, event: object) -> None:
        match event:
            case Progress(what=what, done=done, total=total):
                self._what = f"{what}  {done}/{total}" if total else what
                self._share = min(1.0, done / total) if total > 0 else math.nan
                self._left = self._pace.left(done, total)
            case RunStarted(epochs=epochs):
                self._epochs = epochs
            case BatchDone():
                self._what = self.tr("epoch {e}, batch {b}/{n}").format(
                    e=event.epoch, b=event.batch, n=event.batches
                )
                if self._epochs and event.batches:
                    done_epochs = event.epoch - 1 + event.batch / event.batches
                    self._share = min(1.0, done_epochs / self._epochs)
                self._left = event.seconds_left
            case EpochMetrics():
                if self._epochs:
                    self._share = min(1.0, event.epoch / self._epochs)
                self._left = event.seconds_left
            case Notice(text=text):
                self._what = text
        self._is_dirty = True

    def _on_succeeded(self, result: object) -> None:
        del result
        self.bar.show_steps(_STEPS)
        self._end(self.tr("Done"))

    def _on_cancelled(self) -> None:
        self.bar.show_steps(round((self._share if math.isfinite(self._share) else 0) * _STEPS))
        self._end(self.tr("Cancelled"))

    def _on_failed(self, error: object) -> None:
        if not self._keeps_failure:
            self._end(self.tr("Failed"))
            if self._is_told:
                self._stay.start(0)
            return
        self._end("", stays=True)
        self.bar.hide()
        self.left.hide()
        if isinstance(error, MriFclError):
            text = str(error)
        else:
            text = self.tr("It ended by a fault of this program. The log has the details.")
            self.failure.setToolTip(f"{type(error).__name__}: {error}")
        self.what.set_full_text(self.tr("Failed"))
        self.failure.show_text(text)
        self.button.setText(self.tr("Dismiss"))
        self.button.setToolTip(self.tr("Take this message away"))
        self.button.setAccessibleName(
            self.tr("Dismiss the failure of {task}").format(task=self.title.full_text)
        )
        self.button.setEnabled(True)
        self.resized.emit()

    def _end(self, word: str, *, stays: bool = False) -> None:
        self.has_ended = True
        self._job = None
        self.what.set_full_text(word)
        self.left.setText("")
        self.button.setEnabled(False)
        if not stays:
            self._stay.start(self._stay_ms)

    def _on_stayed(self) -> None:
        self.gone.emit(self)

    def _on_button(self) -> None:
        if self.has_ended:
            self.gone.emit(self)
            return
        if self._job is not None:
            self._job.cancel()
        self.button.setEnabled(False)
        self.button.setText(self.tr("Cancelling…"))


class _Pace:
    """Expected time left, from the steps done since a phase began."""

    def __init__(self) -> None:
        self._total, self._begin, self._first = -1, 0.0, 0

    def left(self, done: int, total: int) -> float:
        """Return seconds left; NaN until a second's worth of steps is known."""
        now = time.monotonic()
        # A new phase shows in its number of steps; the words may name each file.
        if total != self._total or done < self._first:
            self._total, self._begin, self._first = total, now, done
        steps, elapsed = done - self._first, now - self._begin
        if total <= 0 or steps <= 0 or elapsed < 1.0:
            return math.nan
        return elapsed / steps * max(0, total - done)


class _ElidedLabel(QLabel):
    """A line of plain text that ends in … where it is too long; the tooltip has all of it."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.full_text = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.set_full_text(text)

    def set_full_text(self, text: str) -> None:
        """Show ``text`` as far as there is room."""
        self.full_text = text
        self.setToolTip(text)
        self._elide()

    def minimumSizeHint(self) -> QSize:
        """Allow any width."""
        return QSize(24, super().minimumSizeHint().height())

    def resizeEvent(self, event: object) -> None:
        """Use the new room."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        one_line = " ".join(self.full_text.split())
        self.setText(
            self.fontMetrics().elidedText(one_line, Qt.TextElideMode.ElideRight, self.width())
        )
