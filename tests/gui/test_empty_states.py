"""Every empty state says what to do next and has a button that does it."""

from __future__ import annotations

import shutil

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from core.run_folder import Run
from mrifcl_gui.place_rail import PLACES
from tests.tiny_cohort import wait_until_idle

LIMIT_MS = 30_000


def in_front(window):
    return PLACES[window._places.currentIndex()]


def press(qtbot, parent, text):
    (button,) = [
        found
        for found in parent.findChildren(QPushButton)
        if found.text() == text and found.isVisible()
    ]
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def open_run(qtbot, window, path):
    window.session.open_runs([path])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def show_view(qtbot, window, tab_title, view_title):
    tabs = window.analysis_tabs
    tabs.choose_tab(tab_title)
    tab = tabs.tabs.currentWidget()
    tab.choose_view(view_title)
    wait_until_idle(qtbot)
    qtbot.waitUntil(lambda: tab._job is None and not tab._is_stale, timeout=LIMIT_MS)
    return tab


def test_that_cohort_without_scans_offers_a_folder_and_the_demo(qtbot, window, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "PySide6.QtWidgets.QFileDialog.getExistingDirectory",
        staticmethod(lambda *_: asked.append(True) or ""),
    )
    press(qtbot, window.cohort_panel, "Open folder…")
    assert asked
    (demo,) = [
        button
        for button in window.cohort_panel.findChildren(QPushButton)
        if button.text() == "Open the demo cohort"
    ]
    assert demo.isVisible()


@pytest.mark.parametrize(
    ("place", "button", "leads_to"),
    [
        ("train", "Go to the cohort", "cohort"),
        ("runs", "Go to training", "train"),
        ("analyse", "Choose a run", "runs"),
    ],
)
def test_that_an_empty_place_leads_to_the_one_before(qtbot, window, place, button, leads_to):
    window.go_to(place)
    press(qtbot, window, button)
    assert in_front(window) == leads_to


def test_that_a_run_without_features_leads_to_the_other_runs(qtbot, window, trained, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(trained.by_subject, bare)
    for file in bare.glob("features*"):
        file.unlink()
    assert not Run(bare).has_features
    open_run(qtbot, window, bare)
    for tab in window.analysis_tabs.figure_tabs:
        window.analysis_tabs.choose_tab(tab.title)
        qtbot.waitUntil(lambda tab=tab: not tab._is_stale, timeout=LIMIT_MS)
        assert "no features yet" in tab.figure_view._empty.text()
        press(qtbot, tab, "Choose another run")
        assert in_front(window) == "runs"
        window.go_to("analyse")
    wait_until_idle(qtbot)


@pytest.mark.parametrize(
    ("view", "leads_to"), [("Chosen slices", "Features"), ("Slices of a feature", "FCL weights")]
)
def test_that_a_map_of_nothing_leads_to_where_it_is_chosen(qtbot, window, trained, view, leads_to):
    open_run(qtbot, window, trained.by_subject)
    tab = show_view(qtbot, window, "Maps", view)
    assert tab.figure_view.figure() is None
    press(qtbot, tab, f"Go to {leads_to}")
    tabs = window.analysis_tabs.tabs
    assert tabs.tabText(tabs.currentIndex()) == leads_to
    wait_until_idle(qtbot)


def test_that_two_runs_with_one_run_leads_to_runs(qtbot, window, trained):
    open_run(qtbot, window, trained.by_subject)
    tabs = window.analysis_tabs
    tabs.choose_tab("Table 2")
    tabs.comparison.tabs.setCurrentWidget(tabs.comparison.side_by_side)
    wait_until_idle(qtbot)
    press(qtbot, tabs.comparison.side_by_side, "Choose two runs")
    assert in_front(window) == "runs"


def test_that_every_view_of_a_trained_run_has_a_figure_or_a_way_on(qtbot, window, trained):
    open_run(qtbot, window, trained.by_subject)
    mute = []
    for tab in window.analysis_tabs.figure_tabs:
        for view in tab._tab.views:
            shown = show_view(qtbot, window, tab.title, view.title)
            way_on = shown.figure_view.next_button
            has_words = bool(shown.figure_view._empty.text())
            if shown.figure_view.figure() is None and not (has_words and way_on.isVisible()):
                mute.append(f"{tab.title}: {view.title}")
    assert not mute


def test_that_an_empty_queue_is_filled_by_the_button_beside_it(qtbot, window, trained):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_paths([trained.scanned.folder])
    wait_until_idle(qtbot)
    window.go_to("train")
    panel = window.training_panel
    assert panel.queue._count.text() == "Queue: empty. Add to queue puts runs here."
    panel._check_chips({"cnn2d"}, {"scratch"})
    qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    assert panel.queue.states() == ["waiting"]
    assert panel.queue._count.text() == "Queue: 1 waiting"
    wait_until_idle(qtbot)


def test_that_no_tasks_take_no_room(window):
    assert not window.task_dock.isVisible()
