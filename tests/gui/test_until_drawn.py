"""Background work begins once the window has drawn what it was told to show."""

from __future__ import annotations

import time

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QWidget

from core.progress import Progress
from mrifcl_gui.job import Job, cancel_and_wait
from mrifcl_gui.until_drawn import until_drawn
from tests.tiny_cohort import wait_until_idle


class Picture(QWidget):
    """Notes when it is drawn; a first drawing asks for a second, as a layout does."""

    def __init__(self, order):
        super().__init__()
        self._order = order

    def paintEvent(self, event):
        del event
        self._order.append("drawn")
        if self._order.count("drawn") == 1:
            self.resize(self.width() + 10, self.height())
            self.update()


def test_that_a_job_begins_after_the_window_has_drawn(qtbot):
    order = []
    picture = Picture(order)
    qtbot.addWidget(picture)
    drawn = until_drawn(picture)

    def operation():
        yield from drawn()
        order.append("worked")

    picture.resize(40, 40)
    picture.show()
    job = Job("Working", operation)
    job.start()
    time.sleep(0.15)  # while the window does something else, the job waits
    assert order == []
    qtbot.waitUntil(lambda: "worked" in order)
    assert order.index("worked") >= 2
    assert set(order[:2]) == {"drawn"}
    wait_until_idle(qtbot)


def test_that_a_job_that_waits_for_the_window_can_be_cancelled(qtbot):
    parent = QObject()
    drawn = until_drawn(parent)
    job = Job("Working", drawn)
    with qtbot.waitSignal(job.cancelled):
        job.start()
        job.cancel()
        cancel_and_wait()
    assert parent.children(), "its turn had not come"


def test_that_nothing_is_called_where_the_window_has_gone_meanwhile(qtbot):
    parent = QObject()
    drawn = until_drawn(parent)
    parent.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qtbot.wait(100)
    assert isinstance(next(drawn()), Progress)
