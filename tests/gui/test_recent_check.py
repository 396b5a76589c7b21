"""Recent work is offered at once; a drive that does not answer holds nobody up."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest
from PySide6.QtWidgets import QMessageBox, QPushButton

from mrifcl_gui import openable, preferences
from mrifcl_gui.cohort_panel import CohortPanel
from mrifcl_gui.recent_check import RecentCheck
from tests.tiny_cohort import wait_until_idle


class DeadDrive:
    """Answers for the paths below ``dead`` only when told; counts who asks from where."""

    def __init__(self, dead):
        self.dead, self.asked, self.threads = dead, [], set()
        self.comes_back = threading.Event()

    def is_gone(self, path):
        self.asked.append(path)
        self.threads.add(threading.current_thread())
        if self.dead in path.parents:
            self.comes_back.wait(20)
            raise OSError(5, "Input/output error")
        return not path.exists()


@pytest.fixture
def drive(tmp_path, monkeypatch):
    drive = DeadDrive(tmp_path / "drive")
    monkeypatch.setattr(preferences, "is_gone", drive.is_gone)
    yield drive
    drive.comes_back.set()


@pytest.fixture
def recent(tmp_path):
    """A cohort that is there, one that is not, and one on a drive that does not answer."""
    here, gone = tmp_path / "here.mrifcl", tmp_path / "gone.mrifcl"
    here.mkdir()
    paths = [here, gone, tmp_path / "drive" / "far.mrifcl"]
    for path in reversed(paths):
        preferences.add_recent(path)
    return paths


def lines_of(panel, paths):
    buttons = {button.text(): button for button in panel.findChildren(QPushButton)}
    return [buttons[path.name] for path in paths]


def test_that_recent_work_is_offered_at_once_and_turns_grey_later(qtbot, drive, recent):
    panel = CohortPanel()
    qtbot.addWidget(panel)
    panel.show()
    began = time.monotonic()
    panel.show_recent()
    assert time.monotonic() - began < 0.5
    here, gone, far = lines_of(panel, recent)
    assert all(line.isEnabled() for line in (here, gone, far))
    qtbot.waitUntil(lambda: not gone.isEnabled())
    assert here.isEnabled()
    assert far.isEnabled(), "nobody knows yet"
    drive.comes_back.set()
    qtbot.waitUntil(lambda: not far.isEnabled())
    assert threading.main_thread() not in drive.threads
    wait_until_idle(qtbot)


def test_that_what_is_known_to_be_gone_stays_grey_when_listed_anew(qtbot, drive, recent):
    drive.comes_back.set()
    panel = CohortPanel()
    qtbot.addWidget(panel)
    panel.show_recent()
    wait_until_idle(qtbot)
    panel.show_recent()
    assert [line.isEnabled() for line in lines_of(panel, recent)] == [True, False, False]
    recent[1].mkdir()  # it is back
    panel.show_recent()
    wait_until_idle(qtbot)
    assert [line.isEnabled() for line in lines_of(panel, recent)] == [True, True, False]


def test_that_a_dead_drive_holds_one_thread_however_often_it_is_asked_for(qtbot, drive, recent):
    check = RecentCheck()
    for _ in range(20):
        check.look_for(recent)
    qtbot.waitUntil(lambda: recent[2] in drive.asked)
    assert len(drive.threads) == 1
    check.look_for([Path("later")])
    drive.comes_back.set()
    wait_until_idle(qtbot)
    assert drive.asked[-1] == Path("later")


@pytest.mark.parametrize(
    "open_it",
    [
        lambda window, path: window.cohort_panel.recent_chosen.emit(path),
        lambda window, path: window.drops.take([path]),
        lambda window, path: window.session.open_paths([path]),
    ],
    ids=["recent", "dropped", "chosen"],
)
def test_that_the_window_does_not_wait_for_the_drive_of_what_is_opened(
    qtbot, window, monkeypatch, open_it
):
    path, comes_back, threads = Path("/drive/far.mrifcl"), threading.Event(), []

    def is_run(_path):
        threads.append(threading.current_thread())
        comes_back.wait(20)
        raise OSError(errno.EIO, "Input/output error")

    def is_dir(asked):
        return is_run(asked) if asked == path else real_is_dir(asked)

    real_is_dir = Path.is_dir
    monkeypatch.setattr(openable, "is_run", is_run)
    monkeypatch.setattr(Path, "is_dir", is_dir)
    began = time.monotonic()
    open_it(window, path)
    assert time.monotonic() - began < 0.5
    qtbot.waitUntil(lambda: bool(threads))
    comes_back.set()
    qtbot.waitUntil(lambda: bool(window.problems))
    assert threading.main_thread() not in threads
    assert str(window.problems[0]) == (
        "'far.mrifcl' cannot be reached (Input/output error). Connect its drive again, or look "
        "whether you may read it."
    )
    for box in window.findChildren(QMessageBox):
        box.close()
    wait_until_idle(qtbot)


def test_that_recent_work_that_is_gone_is_told_in_words(qtbot, window, tmp_path):
    window.session.open_paths([tmp_path / "gone.mrifcl"])
    qtbot.waitUntil(lambda: bool(window.problems))
    assert "There is no 'gone.mrifcl'" in str(window.problems[0])
    for box in window.findChildren(QMessageBox):
        box.close()
    wait_until_idle(qtbot)
