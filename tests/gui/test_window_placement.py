"""The window lies on a screen that is there, and its layout is kept and can be reset."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from mrifcl_gui import preferences, window_placement
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.session import Session
from mrifcl_gui.viewer_layout import ViewerLayout
from mrifcl_gui.window_placement import place_on_screen
from tests.tiny_cohort import wait_until_idle

SMALL = QRect(0, 0, 800, 600)
WIDE = QRect(1920, 0, 2560, 1440)


@pytest.mark.parametrize(
    ("window", "screens", "expected"),
    [
        # on a screen that has gone: onto the first, as large as it is
        (QRect(2500, 300, 1280, 800), [SMALL], QRect(0, 0, 800, 600)),
        (QRect(2500, 300, 1280, 800), [QRect(0, 0, 1920, 1080)], QRect(640, 280, 1280, 800)),
        # where it was, if that can be seen
        (QRect(2500, 300, 1280, 800), [SMALL, WIDE], QRect(2500, 300, 1280, 800)),
        # left and above of everything
        (QRect(-5000, -5000, 640, 480), [SMALL], QRect(0, 0, 640, 480)),
    ],
)
def test_that_a_window_is_put_where_it_can_be_seen(window, screens, expected):
    assert place_on_screen(window, screens, screens[0]) == expected


def test_that_a_geometry_of_a_gone_screen_is_not_taken_over(qtbot, tmp_path):
    elsewhere = QWidget()
    qtbot.addWidget(elsewhere)
    elsewhere.setGeometry(9000, 7000, 1280, 800)
    preferences.set_geometry(elsewhere.saveGeometry())
    window = MainWindow(Session(data_folder=tmp_path / "data"))
    qtbot.addWidget(window)
    screen = QGuiApplication.primaryScreen().availableGeometry()
    assert screen.contains(window.geometry())
    wait_until_idle(qtbot)
    window.close()


def test_that_the_window_comes_back_when_its_screen_is_taken_away(window):
    window.setGeometry(9000, 7000, 700, 500)
    app = QGuiApplication.instance()
    app.screenRemoved.emit(QGuiApplication.primaryScreen())
    assert QGuiApplication.primaryScreen().availableGeometry().contains(window.geometry())


def test_that_the_window_fits_a_screen_of_800_by_600(window, monkeypatch):
    monkeypatch.setattr(window_placement, "_screens", lambda: ([SMALL], SMALL))
    window.setMinimumSize(0, 0)
    window_placement.keep_on_screen(window)
    assert SMALL.contains(window.geometry())


def splitter_of(qtbot, usual=(100, 300), name="test"):
    page = QWidget()
    qtbot.addWidget(page)
    splitter = RememberedSplitter(name, usual, Qt.Orientation.Horizontal, page)
    splitter.fill(QWidget(), QWidget())
    splitter.resize(400 + splitter.handleWidth(), 100)
    page.show()
    splitter.page = page  # else it goes, and the splitter with it
    return splitter


def test_that_shares_are_kept_for_the_next_start_until_they_are_reset(qtbot):
    splitter = splitter_of(qtbot)
    assert splitter.sizes() == pytest.approx([100, 300], abs=1)
    splitter.moveSplitter(250, 1)
    moved = splitter.sizes()
    assert moved[0] == 250
    assert splitter_of(qtbot).sizes() == pytest.approx(moved, abs=1)
    splitter.reset()
    assert splitter.sizes() == pytest.approx([100, 300], abs=1)


def test_that_a_hidden_part_comes_back_with_its_share(qtbot):
    splitter = splitter_of(qtbot)
    splitter.moveSplitter(250, 1)
    splitter.widget(1).hide()
    splitter.splitterMoved.emit(400, 1)
    assert preferences.shares("test", (100, 300))[0] == 250


def test_that_reset_layout_gives_window_parts_and_viewer_their_usual_shape(qtbot, window):
    window.resize(1000, 640)
    splitter = window.cohort_panel.findChild(RememberedSplitter)
    splitter.setSizes([10_000, 1])
    pulled = splitter.sizes()[0]
    preferences.set_shares("cohort", (900, 10))
    preferences.set_viewer_layout("axial", False, False)
    window.menus.layout_reset.emit()
    screen = QGuiApplication.primaryScreen().availableGeometry()
    assert window.size() == window_placement.USUAL_SIZE.boundedTo(screen.size())
    assert splitter.sizes()[0] < pulled
    assert preferences.shares("cohort", (1, 2)) == (1, 2)
    assert preferences.viewer_layout() == ("", True, True)
    assert window.cohort_panel.viewer.viewer_layout == ViewerLayout()
