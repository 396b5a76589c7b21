"""Show a fault once, in plain words, whatever thread or slot it came from."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from types import TracebackType

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from shiboken6 import isValid

from core.errors import MriFclError

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN = 5.0

_shown: set[QMessageBox] = set()


def text_of(error: BaseException) -> str:
    """Return the sentence to show for an error: its own, or one for what we did not foresee."""
    if isinstance(error, MriFclError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The computer ran out of memory. Close other programs or choose a smaller batch."
    return (
        "Something went wrong that this program did not foresee. Your files are untouched. "
        "Details say what."
    )


def show_error(parent: QWidget | None, error: BaseException) -> None:
    """Open one dialog for an error; it does not block, and technical text is under Details."""
    box = QMessageBox(
        QMessageBox.Icon.Warning, "MRI-FCL", text_of(error), QMessageBox.StandardButton.Ok, parent
    )
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if not isinstance(error, MriFclError):
        box.setDetailedText("".join(traceback.format_exception(error))[-8000:])
    # Without a window to belong to, only Python holds the dialog: it would vanish unseen.
    _shown.difference_update([old for old in _shown if not isValid(old) or not old.isVisible()])
    _shown.add(box)
    box.open()


class FaultReporter(QObject):
    """Takes uncaught exceptions of slots and threads to the log and to one dialog.

    Dialogs come at most every few seconds, so that a fault in a repaint does not bury
    the window.
    """

    _raised = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._last_shown = -_SECONDS_BETWEEN
        self._raised.connect(self._on_raised)

    def install(self) -> None:
        """Become the handler of uncaught exceptions in all threads."""
        sys.excepthook = self._from_main
        threading.excepthook = self._from_thread

    def handle_loop_fault(self, _loop: object, context: dict[str, object]) -> None:
        """Take a fault of an asyncio task."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            self._take(error)

    def _from_main(
        self, _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        self._take(error)

    def _from_thread(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._take(arguments.exc_value)

    def _take(self, error: BaseException) -> None:
        logger.error("uncaught", exc_info=error)
        self._raised.emit(error)

    def _on_raised(self, error: BaseException) -> None:
        now = time.monotonic()
        if now - self._last_shown < _SECONDS_BETWEEN:
            return
        self._last_shown = now
        show_error(QApplication.activeWindow(), error)
