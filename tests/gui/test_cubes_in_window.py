"""The 3-D CNN in the window: from the choice of the network to the analysis of its run."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from core.analysis import evaluation, features, scores
from tests.tiny_cohort import make_volume_cohort, tiny_cubes, wait_until_idle

LIMIT_MS = 60_000


@pytest.fixture
def heads(tmp_path):
    return make_volume_cohort(tmp_path / "volumes", shape=(20, 24, 34))


def choose_3d(qtbot, window, scanned):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_paths([scanned.folder])
    wait_until_idle(qtbot)
    window.training_panel.set_settings(tiny_cubes())
    qtbot.waitUntil(lambda: window.session.settings.sees_cubes, timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def test_that_the_strip_shows_the_layers_of_the_cube(qtbot, window, heads):
    choose_3d(qtbot, window, heads)
    panel = window.cohort_panel
    pixels, numbers, _, plane = panel._strip_of
    assert pixels.shape == (16, 16, 16)
    assert len(numbers) == 16
    assert plane == "axial"
    assert "16 × 16 × 16 voxels" in panel._slices_label.text()
    assert not window.problems


def test_that_a_run_of_the_3d_cnn_is_trained_and_analysed(qtbot, window, heads):
    choose_3d(qtbot, window, heads)
    panel = window.training_panel
    with qtbot.waitSignal(window.session.training_ended, timeout=LIMIT_MS) as ended:
        qtbot.mouseClick(panel.train_button, Qt.MouseButton.LeftButton)
    assert ended.args[0] == "finished"
    wait_until_idle(qtbot)
    panel.live.analyse_button.click()
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    run = window.analysis_tabs.run
    assert run.settings.training.network == "cnn3d"
    assert not window.problems
    assert_it_speaks_of_scans(window, run)


def assert_it_speaks_of_scans(window, run):
    """The 3-D CNN sees whole scans: what is counted is called so."""
    assert " of scans, " in window.analysis_tabs._facts.text()
    counted = evaluation.confusion(run)
    assert counted.title.endswith("by scan")
    assert " scans right" in counted.panels[0].title
    assert "slice" not in f"{counted.caption} {evaluation.accuracy_table(run).caption}"
    assert {row[1] for row in evaluation.accuracy_table(run).rows} == {"scan", "subject"}
    assert scores.calibration(run).panels[1].y.label == "Number of scans"
    assert "scans" in features.dispersion_table(run).columns
    tab = next(tab for tab in window.analysis_tabs.figure_tabs if tab.title == "Evaluation")
    offered = tab._controls["unit"]
    assert [offered.itemText(place) for place in range(2)] == ["scans", "subjects (mean)"]


def test_that_a_cohort_of_pictures_says_why_not(qtbot, window, trained):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_paths([trained.scanned.folder])
    wait_until_idle(qtbot)
    panel = window.training_panel
    panel.set_settings(tiny_cubes())
    wait_until_idle(qtbot)
    assert "needs whole volumes" in panel._refused.text()
    assert not panel.train_button.isEnabled()
    assert not window.problems
