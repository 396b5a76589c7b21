"""From an empty window to a trained network by mouse alone; recent work that is gone."""

from __future__ import annotations

import shutil

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QWidget

from core import config
from core.data import phantom_brain
from core.demo import DEMO_SETTINGS
from core.run_folder import Run
from mrifcl_gui import preferences
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.place_rail import PLACES
from mrifcl_gui.session import Session
from tests.tiny_cohort import wait_until_idle

LIMIT_MS = 60_000


class ClickCounter(QObject):
    """Counts the presses of the left button that reach any widget, as the system sends them."""

    def __init__(self):
        super().__init__()
        self.count = 0
        QApplication.instance().installEventFilter(self)

    def eventFilter(self, watched, event):
        is_press = event.type() == QEvent.Type.MouseButtonPress
        if is_press and isinstance(watched, QWidget) and isinstance(event, QMouseEvent):
            self.count += event.button() == Qt.MouseButton.LeftButton
        return False

    def stop(self):
        QApplication.instance().removeEventFilter(self)


@pytest.fixture
def clicks():
    counter = ClickCounter()
    yield counter
    counter.stop()


def button_that_is_seen(window, text):
    """The one enabled button with these words that is wholly on the screen."""
    (button,) = [
        found
        for found in window.findChildren(QPushButton)
        if found.text() == text and found.isVisible() and found.isEnabled()
    ]
    assert button.visibleRegion().boundingRect() == button.rect()
    return button


def test_that_a_first_user_trains_a_network_in_under_ten_clicks(qtbot, window, monkeypatch, clicks):
    # The same brains, few and coarse.
    monkeypatch.setattr("core.demo.SUBJECTS_PER_CLASS", 3)
    monkeypatch.setattr("core.data.phantom_brain.SPACING_MM", 4.0)
    monkeypatch.setattr("core.data.phantom_brain.SHAPE", (40, 49, 40))
    monkeypatch.setattr(
        "core.data.phantom_brain._smooth_basis", phantom_brain._smooth_basis.__wrapped__
    )
    quick = config.change(DEMO_SETTINGS, {"epochs": 1, "size": 32, "count": 4})
    monkeypatch.setattr("core.demo.DEMO_SETTINGS", quick)
    window.resize(1280, 800)
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        qtbot.mouseClick(
            button_that_is_seen(window, "Open the demo cohort"), Qt.MouseButton.LeftButton
        )
    wait_until_idle(qtbot)
    qtbot.mouseClick(button_that_is_seen(window, "Train ›"), Qt.MouseButton.LeftButton)
    # The demo has chosen its network: one run is ready.
    ended = []
    window.session.training_ended.connect(lambda state, _: ended.append(state))
    qtbot.mouseClick(button_that_is_seen(window, "Train 1 run"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(ended), timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert ended == ["finished"]
    qtbot.mouseClick(window.training_panel.live.analyse_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert PLACES[window._places.currentIndex()] == "analyse"
    (folder,) = window.session.runs_folder.iterdir()
    assert Run(folder).state == "finished"
    assert 4 <= clicks.count < 10
    assert not window.problems


def test_that_the_four_places_are_in_sight_in_each_of_them(qtbot, window):
    for place in PLACES:
        window.go_to(place)
        for button in window.rail.buttons:
            assert button.isVisible()
            assert button.visibleRegion().boundingRect() == button.rect()


@pytest.fixture
def again(qtbot, trained, session):
    """A window of a later start: a cohort and a run were open, and the run has gone."""
    preferences.add_recent(trained.by_subject)
    preferences.add_recent(trained.scanned.folder)
    shutil.rmtree(trained.by_subject)
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    yield window
    window.close()


def test_that_recent_work_that_is_gone_is_grey_and_can_be_taken_off(qtbot, again, trained):
    texts = {b.text(): b for b in again.findChildren(QPushButton) if b.isVisible()}
    wait_until_idle(qtbot)
    assert texts[trained.scanned.folder.name].isEnabled()
    assert not texts[trained.by_subject.name].isEnabled()
    qtbot.mouseClick(button_that_is_seen(again, "Remove from list"), Qt.MouseButton.LeftButton)
    assert preferences.recent() == [trained.scanned.folder]

    def shown():
        return [b.text() for b in again.findChildren(QPushButton) if b.isVisible()]

    qtbot.waitUntil(lambda: trained.scanned.folder.name in shown())
    assert trained.by_subject.name not in shown()


def test_that_an_opened_run_is_among_the_recent(qtbot, window, trained):
    window.session.open_runs([trained.by_slice])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert preferences.recent()[0] == trained.by_slice


def test_that_a_recent_run_is_opened_by_a_click(qtbot, trained, tmp_path):
    preferences.add_recent(trained.by_slice)
    window = MainWindow(Session(data_folder=tmp_path / "data"))
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    qtbot.mouseClick(button_that_is_seen(window, trained.by_slice.name), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert window.analysis_tabs.run.path == trained.by_slice
    window.close()


def test_that_a_slice_of_another_cohort_is_told_in_a_dialog(qtbot, window, trained):
    window.session.open_runs([trained.by_slice])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    window.analysis_tabs.slice_panel.viewer_requested.emit("OAS1_9999", 3)
    (box,) = [found for found in window.findChildren(QMessageBox) if found.isVisible()]
    assert "OAS1_9999 is not in the cohort that is open" in box.text()
    box.close()
