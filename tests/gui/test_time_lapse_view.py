"""The epochs under a figure: slider, play, the same epoch in every tab, films and strips."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QInputDialog

from core import time_lapse
from core.figure import Curve, Scatter
from core.run_folder import Run
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.epoch_bar import EpochBar
from tests.tiny_cohort import train_run, wait_until_idle

LIMIT_MS = 60_000


@pytest.fixture(scope="module")
def longer_once(trained_once, tmp_path_factory):
    return train_run(trained_once.scanned, tmp_path_factory.mktemp("longer"), epochs=4)


@pytest.fixture
def tabs(qtbot, longer_once):
    widget = AnalysisTabs()
    widget.problems = []
    widget.problem.connect(widget.problems.append)
    qtbot.addWidget(widget)
    widget.resize(1100, 700)
    widget.show()
    widget.show_runs([Run(longer_once)])
    wait_until_idle(qtbot, LIMIT_MS)
    yield widget
    wait_until_idle(qtbot, LIMIT_MS)


@pytest.fixture
def bar(qtbot):
    widget = EpochBar()
    qtbot.addWidget(widget)
    widget.set_epochs((0, 1, 2, 3), wanted=None)
    widget.show()
    return widget


def tab_of(tabs, title):
    return next(tab for tab in tabs.figure_tabs if tab.title == title)


def bring(qtbot, tabs, title, view=None):
    tab = tab_of(tabs, title)
    tabs.tabs.setCurrentWidget(tab)
    if view:
        tab.choose_view(view)
    wait_until_idle(qtbot, LIMIT_MS)
    return tab


def dots_of(tab):
    figure = tab.figure_view.figure()
    return next(layer for layer in figure.panels[0].layers if isinstance(layer, Scatter))


def test_that_play_goes_through_all_epochs_and_stops_at_the_last(qtbot, bar):
    seen = []
    bar.moved.connect(seen.append)
    bar.moved.connect(lambda _: bar.show_drawn())
    bar.speed.setCurrentIndex(bar.speed.findData(20))
    qtbot.mouseClick(bar.play, Qt.MouseButton.LeftButton)
    assert bar.is_playing
    qtbot.waitUntil(lambda: not bar.is_playing, timeout=5000)
    assert seen == [0, 1, 2, 3]


def test_that_play_waits_for_a_figure_that_is_not_drawn_yet(qtbot, bar):
    seen = []
    bar.moved.connect(seen.append)
    bar.speed.setCurrentIndex(bar.speed.findData(20))
    qtbot.mouseClick(bar.play, Qt.MouseButton.LeftButton)
    qtbot.wait(300)
    assert seen == [0]
    bar.show_drawn()
    assert seen == [0, 1]
    qtbot.mouseClick(bar.play, Qt.MouseButton.LeftButton)
    bar.show_drawn()
    qtbot.wait(200)
    assert seen == [0, 1]


def test_that_the_arrow_keys_step_through_the_epochs(qtbot, bar):
    bar.slider.setFocus()
    with qtbot.waitSignal(bar.moved) as moved:
        qtbot.keyClick(bar.slider, Qt.Key.Key_Left)
    assert moved.args == [2]
    assert bar._text.text() == "2 of 3"


def test_that_an_epoch_between_shows_the_last_one_before_it(bar):
    bar.set_epochs((0, 5, 10), wanted=None)
    assert bar.epoch == 10
    assert bar.show_epoch(7)
    assert bar.epoch == 5
    assert not bar.show_epoch(9)


def test_that_every_tab_shows_the_epoch_that_one_has_chosen(qtbot, tabs, longer_once):
    run = Run(longer_once)
    scatter = bring(qtbot, tabs, "FCL weights")
    scatter.epochs.slider.setValue(1)
    wait_until_idle(qtbot, LIMIT_MS)
    np.testing.assert_array_equal(dots_of(scatter).x, run.fc_history.at(1)[0][0])

    evaluation = bring(qtbot, tabs, "Evaluation", "Curves")
    assert evaluation.epochs.epoch == 1
    lines = evaluation.figure_view.figure().panels[0].layers
    assert next(x for x in lines if x.name == "Chosen epoch").x.tolist() == [1, 1]
    assert isinstance(lines[-1], Curve)

    cloud = tab_of(tabs, "Features")
    box = cloud._controls["part"]
    box.setCurrentIndex(box.findText("Validation"))
    cloud = bring(qtbot, tabs, "Features")
    assert cloud.epochs.epochs == (1, 2, 3, 4)
    assert cloud.epochs.epoch == 1
    stored = run.validation_logits[1]
    label = run.logits_after(1, "validation").label
    np.testing.assert_array_equal(dots_of(cloud).x, stored[label == 0, 0])
    assert not tabs.problems


def test_that_where_a_cloud_has_one_epoch_it_is_said_how_to_have_more(qtbot, tabs):
    cloud = bring(qtbot, tabs, "Features")
    assert not cloud.epochs.isVisible()
    assert cloud._no_epochs.isVisible()
    assert "validation part" in cloud._no_epochs.text()


def test_that_playing_draws_each_epoch_and_stops_with_its_tab(qtbot, tabs):
    tab = bring(qtbot, tabs, "FCL weights")
    seen = []
    tab.drawn.connect(lambda: seen.append(tab.epochs.epoch))
    tab.epochs.speed.setCurrentIndex(tab.epochs.speed.findData(20))
    tab.epochs.play.click()
    qtbot.waitUntil(lambda: not tab.epochs.is_playing, timeout=LIMIT_MS)
    wait_until_idle(qtbot, LIMIT_MS)
    assert seen == [0, 1, 2, 3, 4]
    tab.epochs.play.click()
    tabs.tabs.setCurrentIndex(1)
    assert not tab.epochs.is_playing


def test_that_a_gif_of_the_shown_figure_is_saved_as_a_job(qtbot, tabs, tmp_path, monkeypatch):
    tab = bring(qtbot, tabs, "FCL weights")
    path = tmp_path / "film"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), "GIF (*.gif)"))
    jobs = []
    tabs.job_started.connect(jobs.append)
    action = next(a for a in tab.epochs.files.menu().actions() if a.data() == "gif")
    with qtbot.waitSignal(tab.time_lapse.saved, timeout=LIMIT_MS):
        action.trigger()
    assert len(jobs) == 1
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 5


def test_that_a_strip_of_chosen_epochs_is_saved(qtbot, tabs, tmp_path, monkeypatch):
    tab = bring(qtbot, tabs, "FCL weights")
    path = tmp_path / "strip.csv"
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("0, 3", True))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), "CSV (*.csv)"))
    action = next(a for a in tab.epochs.files.menu().actions() if a.data() == "strip")
    with qtbot.waitSignal(tab.time_lapse.saved, timeout=LIMIT_MS):
        action.trigger()
    text = path.read_text(encoding="utf-8")
    assert "Epoch 3" in text
    assert "Epoch 2" not in text


def test_that_wrong_epochs_and_a_missing_encoder_are_told(qtbot, tabs, monkeypatch):
    tab = bring(qtbot, tabs, "FCL weights")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("0, 9", True))
    monkeypatch.setattr(time_lapse, "mp4_encoder", lambda: None)
    for kind, words in (("strip", "'9' is no stored epoch"), ("mp4", "Install ffmpeg")):
        action = next(a for a in tab.epochs.files.menu().actions() if a.data() == kind)
        action.trigger()
        assert words in str(tabs.problems[-1])
