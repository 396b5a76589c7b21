"""Faults of slots, threads and tasks reach one dialog in plain words, and not too many."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from PySide6.QtCore import QTimer, qCritical, qInstallMessageHandler, qWarning
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from qasync import QEventLoop

from core.errors import MriFclError
from mrifcl_gui import messages
from mrifcl_gui.messages import FaultReporter, show_error, text_of


@pytest.fixture
def reporter(qtbot, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    reporter = FaultReporter()
    before = qInstallMessageHandler(None)
    reporter.install()
    yield reporter
    qInstallMessageHandler(before)
    for box in boxes():
        box.close()


def boxes():
    return [
        widget
        for widget in QApplication.topLevelWidgets()
        if isinstance(widget, QMessageBox) and widget.isVisible()
    ]


@pytest.fixture(autouse=True)
def _no_box_left(qtbot):
    yield
    for box in boxes():
        box.close()


def test_that_our_errors_are_shown_as_they_are():
    assert text_of(MriFclError("The disk is full. Free 1 GB.")) == "The disk is full. Free 1 GB."


def test_that_memory_and_unknown_faults_have_words_of_their_own():
    assert "memory" in text_of(MemoryError())
    text = text_of(KeyError("conv1.weight"))
    assert "conv1" not in text
    assert "did not foresee" in text


def test_that_a_dialog_does_not_block_and_has_details_only_for_faults(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    show_error(window, MriFclError("<b>Not</b> HTML"))
    (box,) = boxes()
    assert box.text() == "<b>Not</b> HTML"
    assert box.textFormat().name == "PlainText"
    assert not box.detailedText()
    box.close()
    try:
        raise ValueError("shape (3,) and (4,)")
    except ValueError as error:
        show_error(window, error)
    (box,) = boxes()
    assert "ValueError: shape (3,) and (4,)" in box.detailedText()


@pytest.mark.qt_no_exception_capture
def test_that_a_fault_in_a_slot_reaches_a_dialog(qtbot, reporter):
    def broken():
        raise RuntimeError("in a slot")

    QTimer.singleShot(0, broken)
    qtbot.waitUntil(lambda: bool(boxes()))
    assert "in a slot" in boxes()[0].detailedText()


def test_that_a_fault_in_a_thread_reaches_a_dialog(qtbot, reporter):
    def broken():
        raise RuntimeError("in a thread")

    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: bool(boxes()))
    assert "in a thread" in boxes()[0].detailedText()


def test_that_a_fault_in_a_task_reaches_a_dialog(qapp, qtbot, reporter):
    loop = QEventLoop(qapp)
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(reporter.handle_loop_fault)

    async def broken():
        raise RuntimeError("in a task")

    async def start():
        task = asyncio.ensure_future(broken())
        await asyncio.sleep(0.01)
        del task
        await asyncio.sleep(0.01)

    loop.run_until_complete(start())
    import gc

    gc.collect()
    qtbot.waitUntil(lambda: bool(boxes()))
    loop.close()
    asyncio.set_event_loop(None)
    assert "in a task" in boxes()[0].detailedText()


def test_that_a_storm_of_faults_opens_one_dialog(qtbot, reporter, monkeypatch):
    for number in range(500):
        reporter._take(RuntimeError(str(number)))
    qtbot.wait(20)
    assert len(boxes()) == 1
    monkeypatch.setattr(messages, "_SECONDS_BETWEEN", 0.0)
    reporter._take(RuntimeError("later"))
    qtbot.waitUntil(lambda: len(boxes()) == 2)


def test_that_what_qt_calls_critical_reaches_a_dialog_and_a_warning_only_the_log(
    qtbot, reporter, caplog
):
    qWarning("a warning of Qt")
    qtbot.wait(20)
    assert not boxes()
    qCritical("a critical word of Qt")
    qtbot.waitUntil(lambda: bool(boxes()))
    assert "QtFault" in boxes()[0].detailedText()
    assert "Qt: a warning of Qt" in caplog.text
    assert "Qt: a critical word of Qt" in caplog.text


def test_that_what_qt_says_in_a_thread_reaches_the_log(qtbot, reporter, caplog):
    thread = threading.Thread(target=lambda: qWarning("from a thread"))
    thread.start()
    thread.join()
    assert "Qt: from a thread" in caplog.text


def test_that_a_fault_while_an_object_is_deleted_reaches_the_log(qtbot, reporter, caplog):
    class Broken:
        def __del__(self):
            raise RuntimeError("while deleting")

    thing = Broken()
    del thing
    assert "while deleting" in caplog.text
    qtbot.wait(10)
    assert not boxes()


def test_that_what_repeats_is_logged_a_few_times_and_then_counted(
    qtbot, reporter, caplog, monkeypatch
):
    def broken(number):
        raise RuntimeError(f"number {number}")

    def fail_and_warn():
        for number in range(200):
            try:
                broken(number)
            except RuntimeError as error:
                reporter._take(error)
            qWarning("the same")

    fail_and_warn()
    assert caplog.text.count("RuntimeError: number") == messages._MOST_LOGGED
    assert caplog.text.count("Qt: the same") == messages._MOST_LOGGED
    monkeypatch.setattr(messages, "_SECONDS_BETWEEN", 0.0)
    qWarning("the same")
    assert f"{200 - messages._MOST_LOGGED} more times" in caplog.text


def test_that_faults_are_logged_with_their_trace(qtbot, reporter, caplog):
    try:
        raise RuntimeError("for the log")
    except RuntimeError as error:
        reporter._take(error)
    assert "for the log" in caplog.text
    assert "Traceback" in caplog.text


def test_that_a_loop_fault_without_exception_is_passed_over(qtbot, reporter):
    reporter.handle_loop_fault(None, {"message": "slow callback"})
    qtbot.wait(10)
    assert not boxes()
