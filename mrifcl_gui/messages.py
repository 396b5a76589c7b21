"""Show a fault once, in plain words, whatever thread or slot it came from."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
import traceback
from types import TracebackType

from PySide6.QtCore import (
    QMessageLogContext,
    QObject,
    Qt,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from shiboken6 import isValid

from core.errors import MriFclError
from mrifcl_gui.nameless import without_names

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN = 5.0
# Of one and the same line, within those seconds.
_MOST_LOGGED = 3
_MOST_PLACES = 200

_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}

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
        # People send this on: a foreign library's words may quote a header.
        box.setDetailedText(without_names("".join(traceback.format_exception(error))[-8000:]))
    # Without a window to belong to, only Python holds the dialog: it would vanish unseen.
    _shown.difference_update([old for old in _shown if not isValid(old) or not old.isVisible()])
    _shown.add(box)
    box.open()


class QtFault(RuntimeError):
    """Something that Qt itself calls critical."""


class FaultReporter(QObject):
    """Takes uncaught exceptions of slots, threads and tasks, and what Qt says, to the log.

    Exceptions, and what Qt calls critical, come to a dialog too: one at most every few
    seconds, so that a fault in a repaint does not bury the window. What repeats itself is
    logged a few times only, with how often it came.
    """

    _raised = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._last_shown = -_SECONDS_BETWEEN
        self._logged: dict[str, tuple[float, int]] = {}
        self._guard = threading.Lock()
        self._raised.connect(self._on_raised)

    def install(self) -> None:
        """Become the handler of uncaught exceptions in all threads, and of Qt's messages."""
        sys.excepthook = self._from_main
        sys.unraisablehook = self._from_collector
        threading.excepthook = self._from_thread
        qInstallMessageHandler(self._from_qt)

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

    def _from_collector(self, arguments: sys.UnraisableHookArgs) -> None:
        """Take a fault while an object was deleted: nothing waits for that, so no dialog."""
        if arguments.exc_value is not None and self._may_log(repr(arguments.exc_value)):
            logger.error("uncaught while deleting", exc_info=arguments.exc_value)

    def _from_qt(self, kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        """Take what Qt says, in any thread; nothing may be raised in here."""
        level = _LEVELS.get(kind, logging.WARNING)
        if level < logging.WARNING or not self._may_log(text):
            return
        logger.log(level, "Qt: %s", text)
        if level >= logging.ERROR:
            self._raised.emit(QtFault(text))

    def _take(self, error: BaseException) -> None:
        # Of one place only, not of one text: that may carry a number that counts up.
        if self._may_log(_place_of(error)):
            logger.error("uncaught", exc_info=error)
        self._raised.emit(error)

    def _may_log(self, what: str) -> bool:
        """Tell whether a line is logged; the first after a storm says how many were not."""
        with self._guard:
            now = time.monotonic()
            began, count = self._logged.get(what, (-math.inf, 0))
            if now - began < _SECONDS_BETWEEN:
                self._logged[what] = (began, count + 1)
                return count < _MOST_LOGGED
            # The same few places come again and again; more are let go of together.
            if len(self._logged) > _MOST_PLACES:
                self._logged.clear()
            self._logged[what] = (now, 1)
        if count > _MOST_LOGGED:
            logger.error("the next came %d more times", count - _MOST_LOGGED)
        return True

    def _on_raised(self, error: BaseException) -> None:
        now = time.monotonic()
        if now - self._last_shown < _SECONDS_BETWEEN:
            return
        self._last_shown = now
        show_error(QApplication.activeWindow(), error)


def _place_of(error: BaseException) -> str:
    """Return where an exception was raised, and its kind."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__} {where}"
