"""The log of a run in sentences, as it grows, with Copy and Save."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QTextOption
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core import atomic_file
from core.errors import RunError
from core.progress import Operation, Progress
from mrifcl_gui.icons import put_icon
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of

MOST_LINES = 5000
_LINES_HIGH = 4


class RunLogView(QWidget):
    """Shows lines of a log, newest at the bottom; holds no name of a subject or scan.

    What is shown stays where it is while somebody reads further up.
    """

    saved = Signal(object)  # Path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[str] = []
        self._name = "log"
        self._text = QPlainTextEdit(self)
        self._text.setReadOnly(True)
        self._text.setMaximumBlockCount(MOST_LINES)
        self._text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self._text.setTabChangesFocus(True)
        self._text.setAccessibleName(self.tr("Log of the run"))
        self._text.setPlaceholderText(self.tr("What happens is written here, and with the run."))
        self._text.setMinimumHeight(self.fontMetrics().lineSpacing() * _LINES_HIGH)
        self._said = QLabel(self)
        self._said.setTextFormat(Qt.TextFormat.PlainText)
        self.copy_button = QPushButton(self.tr("Copy log"), self)
        put_icon(self.copy_button, "copy")
        self.copy_button.setToolTip(self.tr("Copy the log to the clipboard"))
        self.save_button = QPushButton(self.tr("Save log…"), self)
        put_icon(self.save_button, "save")
        self.save_button.setToolTip(
            self.tr("Save the log as a text file; the run keeps it too, as log.txt")
        )
        self.copy_button.clicked.connect(self._on_copy)
        self.save_button.clicked.connect(self._on_save)
        self._build_layout()
        self._update_buttons()

    def clear(self, name: str = "log") -> None:
        """Empty it for a run called ``name``."""
        self._name = name
        self._waiting.clear()
        self._text.clear()
        self._said.clear()
        self._update_buttons()

    def set_name(self, name: str) -> None:
        """Say which run's log it is, for the name of a file."""
        self._name = name

    def add_lines(self, lines: Iterable[str]) -> None:
        """Add lines; they are shown by the next :meth:`show_waiting`."""
        self._waiting.extend(lines)

    def show_waiting(self) -> None:
        """Show the lines that were added."""
        if not self._waiting:
            return
        bar = self._text.verticalScrollBar()
        was_at_end = bar.value() >= bar.maximum() - 1
        self._text.appendPlainText("\n".join(self._waiting[-MOST_LINES:]))
        self._waiting.clear()
        if was_at_end:
            bar.setValue(bar.maximum())
        self._update_buttons()

    def text(self) -> str:
        """Return all lines, also those not shown yet."""
        return "\n".join(filter(None, [self._text.toPlainText(), *self._waiting]))

    def save_to(self, path: Path) -> None:
        """Write the log to ``path``, away from the window's thread."""
        text = self.text() + "\n"
        job = Job(self.tr("Saving the log"), lambda: _write(path, text), self)
        job.succeeded.connect(self._on_saved)
        job.failed.connect(self._on_failed)
        job.finished.connect(job.deleteLater)
        job.start()

    def _build_layout(self) -> None:
        buttons = QVBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.copy_button)
        buttons.addWidget(self.save_button)
        buttons.addWidget(self._said)
        buttons.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._text, 1)
        layout.addLayout(buttons)

    def _update_buttons(self) -> None:
        has_text = not self._text.document().isEmpty()
        for button in (self.copy_button, self.save_button):
            button.setEnabled(has_text)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
        self._said.setText(self.tr("Copied"))

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save the log"), f"{self._name} log.txt", self.tr("Text (*.txt)")
        )
        if path:
            self.save_to(Path(path))

    def _on_saved(self, path: Path) -> None:
        self._said.setText(self.tr("Saved"))
        self._said.setToolTip(str(path))
        self.saved.emit(path)

    def _on_failed(self, error: BaseException) -> None:
        self._said.setText(self.tr("Not saved"))
        self._said.setToolTip(text_of(error))
        self._waiting.append(text_of(error))
        self.show_waiting()


def _write(path: Path, text: str) -> Operation[Path]:
    yield Progress("Saving the log")
    try:
        atomic_file.write_text(path, text)
    except OSError as error:
        raise RunError(
            f"The log cannot be saved in '{path.parent.name}': {error.strerror}. Choose another "
            "folder."
        ) from error
    return path
