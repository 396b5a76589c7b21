"""The task dock: one row a job, and no failure vanishes unread."""

import time

import pytest
from PySide6.QtCore import Qt

from core.errors import TrainingError
from core.progress import BatchDone, Progress, RunStarted
from mrifcl_gui.job import Job
from mrifcl_gui.task_dock import TaskDock, _Pace, duration_text


@pytest.fixture
def dock(qtbot):
    widget = TaskDock(stay_ms=100)
    qtbot.addWidget(widget)
    widget.resize(1280, 100)
    return widget


def counting(n, pause=0.0):
    def operation():
        for i in range(n):
            if pause:
                time.sleep(pause)
            yield Progress("scanning", i + 1, n)
        return n

    return operation


def failing(error):
    def operation():
        yield Progress("training", 1, 10)
        raise error

    return operation


def run(qtbot, dock, operation, title="Scan oasis"):
    job = Job(title, operation)
    dock.add_job(job)
    with qtbot.waitSignal(job.finished, timeout=20_000):
        job.start()
    return job


def test_that_an_empty_dock_is_hidden(dock, qtbot):
    assert not dock.isVisible()
    job = Job("Scan", counting(1))
    dock.add_job(job)
    assert dock.isVisible()
    with qtbot.waitSignal(job.finished):
        job.start()


def test_that_a_running_job_shows_how_far_it_is(dock, qtbot):
    job = Job("Scan oasis", counting(200, 0.02))
    dock.add_job(job)
    (row,) = dock.rows()
    job.start()
    qtbot.waitUntil(lambda: row.bar.value() > 0 and "/200" in row.what.full_text, timeout=5000)
    assert row.title.full_text == "Scan oasis"
    qtbot.waitUntil(lambda: "left" in row.left.text(), timeout=5000)
    qtbot.mouseClick(row.button, Qt.MouseButton.LeftButton)
    assert job.is_cancelling
    qtbot.waitUntil(job.isFinished, timeout=5000)
    qtbot.waitUntil(lambda: dock.rows() == [], timeout=5000)


def test_that_an_ended_job_vanishes_after_a_while(dock, qtbot):
    run(qtbot, dock, counting(3))
    assert len(dock.rows()) == 1
    qtbot.waitUntil(lambda: dock.rows() == [] and not dock.isVisible(), timeout=3000)


def test_that_a_failure_stays_until_dismissed(dock, qtbot):
    run(qtbot, dock, failing(TrainingError("The <b>loss</b> became not-a-number.")))
    qtbot.wait(300)
    (row,) = dock.rows()
    assert row.failure.text() == "The <b>loss</b> became not-a-number."
    assert row.failure.textFormat() == Qt.TextFormat.PlainText
    assert row.button.text() == "Dismiss"
    row.button.click()
    assert dock.rows() == []


def test_that_a_fault_of_the_program_shows_no_python(dock, qtbot, caplog):
    run(qtbot, dock, failing(KeyError("x")))
    (row,) = dock.rows()
    assert "KeyError" not in row.failure.text()
    assert "log" in row.failure.text()


def test_that_a_hundred_thousand_events_are_worked_off_quickly(dock, qtbot):
    begin = time.perf_counter()
    run(qtbot, dock, counting(100_000))
    (row,) = dock.rows()
    qtbot.waitUntil(lambda: row.has_ended, timeout=5000)
    assert time.perf_counter() - begin < 15


def test_that_training_shows_its_share_of_all_epochs(dock, qtbot):
    job = Job("Train", counting(1))
    dock.add_job(job)
    (row,) = dock.rows()
    job.progressed.emit(RunStarted("run", 20))
    job.progressed.emit(BatchDone(11, 5, 10, 0.5, 80.0, 3725.0))
    qtbot.waitUntil(lambda: row.bar.value() == 525)
    assert row.left.text() == "1:02:05 left"
    assert row.what.full_text == "epoch 11, batch 5/10"


def test_that_several_rows_stay_within_the_height(dock, qtbot):
    for number in range(8):
        dock.add_job(Job(f"Scan {number}", counting(1)))
    assert dock.height() <= 136
    assert len(dock.rows()) == 8


def test_that_time_left_follows_the_pace_and_starts_anew_with_a_phase(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = _Pace()
    assert duration_text(pace.left(10, 100)) == "–"
    now[0] += 10
    assert pace.left(20, 100) == pytest.approx(80.0)
    assert duration_text(pace.left(1, 50)) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (float("nan"), "–"), (-1, "–")],
)
def test_that_durations_are_hours_minutes_seconds(seconds, text):
    assert duration_text(seconds) == text
