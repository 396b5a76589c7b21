"""From a dot to the brain and back, as a user does it in the window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from core import config, tasks
from core.config import RunSettings
from core.data.volume import load_volume
from core.figure import Axis, Figure, Panel, Scatter
from core.run_folder import Run
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.figure_view import FigureView
from tests.tiny_cohort import drive, make_volume_cohort, train_run, wait_until_idle


@pytest.fixture
def tabs(qtbot, trained):
    tabs = AnalysisTabs()
    tabs.problems = []
    tabs.problem.connect(tabs.problems.append)
    qtbot.addWidget(tabs)
    tabs.resize(1300, 800)
    tabs.show()
    tabs.show_runs([drive(tasks.open_run(trained.by_subject))])
    return tabs


def go_to(qtbot, tabs, title):
    titles = [tabs.tabs.tabText(i) for i in range(tabs.tabs.count())]
    tabs.tabs.setCurrentIndex(titles.index(title))
    wait_until_idle(qtbot)
    return next(tab for tab in tabs.figure_tabs if tab.title == title)


def first_dot(view):
    """Return the id of a dot and its place in the scene of the figure."""
    items = view._panels[0]
    layer, x, y = items._points[0]
    return layer.ids[0], items.plot.vb.mapViewToScene(QPointF(x[0], y[0]))


def click_in(qtbot, view, place):
    viewport = view._graphics.viewport()
    at = view._graphics.mapFromScene(place)
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=at)


def test_that_a_click_on_a_dot_shows_its_slice_with_its_map(qtbot, tabs):
    tab = go_to(qtbot, tabs, "Features")
    _, place = first_dot(tab.figure_view)
    with qtbot.waitSignal(tabs.slice_panel.drawn, timeout=30_000):
        click_in(qtbot, tab.figure_view, place)
    subject = tabs.selection.current_id.split()[0]
    assert tabs.selection.current_id
    text = tabs.slice_panel.facts.text()
    assert subject in text
    assert "predicted" in text
    assert "%" in text
    image = tabs.slice_panel.figure().panels[0].layers[0]
    assert image.overlay is not None
    assert "Grad-CAM" in tabs.slice_panel.figure().caption
    run, row = tabs.selection.run, tabs.selection.row
    seen = drive(tasks.read_strip(*cohort_and_scan(run, row), run.settings.cut))
    number = int(run.features.slice[row])
    np.testing.assert_array_equal(image.pixels, seen.pixels[seen.numbers.tolist().index(number)])
    assert tabs.problems == []


def cohort_and_scan(run, row):
    from core.data.cohort import load_cohort

    cohort = load_cohort(tasks.cohort_folder_of(run))
    key = str(run.features.scan[row])
    return cohort, next(scan for scan in cohort.scans if scan.key == key)


def test_that_a_drag_with_shift_chooses_the_dots_it_goes_around(qtbot):
    view = FigureView()
    qtbot.addWidget(view)
    view.resize(600, 500)
    view.show()
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 1.0, 0.0])
    dots = Scatter("a", x, y, ids=("p", "q", "r", "s"))
    view.show_figure(Figure("f", "F", (Panel(Axis("x"), Axis("y"), (dots,)),)))
    qtbot.waitExposed(view)
    QTest.qWait(150)
    box = view._panels[0].plot.vb
    corners = [(0.5, 0.5), (2.5, 0.5), (2.5, 1.04), (0.5, 1.04), (0.5, 0.52)]
    places = [view._graphics.mapFromScene(box.mapViewToScene(QPointF(*c))) for c in corners]
    before = view._panels[0].plot.vb.viewRange()
    target, shift = view._graphics.viewport(), Qt.KeyboardModifier.ShiftModifier
    with qtbot.waitSignal(view.points_lassoed, timeout=5000) as caught:
        QTest.mousePress(target, Qt.MouseButton.LeftButton, shift, places[0])
        for start, end in itertools.pairwise(places):
            for step in range(1, 11):
                at = QPointF(start) + (QPointF(end) - QPointF(start)) * step / 10
                # pyqtgraph takes at most a hundred moves a second.
                QTest.qWait(12)
                drag(target, at.toPoint(), shift)
        QTest.mouseRelease(target, Qt.MouseButton.LeftButton, shift, places[-1])
    assert sorted(caught.args[0]) == ["q", "r"]
    assert view._panels[0].plot.vb.viewRange() == before


def drag(target, place: QPoint, modifiers):
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent
    from PySide6.QtWidgets import QApplication

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(target.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        modifiers,
    )
    QApplication.sendEvent(target, event)


def test_that_the_keyboard_goes_through_the_chosen_slices(qtbot, tabs):
    go_to(qtbot, tabs, "Features")
    subject = str(tabs.run.features.subject[0])
    tabs.selection.choose([subject])
    wait_until_idle(qtbot)
    assert len(tabs.selection.rows) == 4
    first = tabs.selection.current_id
    tabs.slice_panel.step_on()
    wait_until_idle(qtbot)
    assert tabs.selection.current_id != first
    assert tabs.selection.current_id.split()[1] in tabs.slice_panel.facts.text()
    tabs.slice_panel.step_back()
    tabs.slice_panel.step_back()
    assert tabs.selection.place == 3
    wait_until_idle(qtbot)


def test_that_the_chosen_slice_is_ringed_in_every_tab(qtbot, tabs):
    tabs.selection.choose_row(0)
    tab = go_to(qtbot, tabs, "Features")
    part = tab.figure_view._panels[0]
    ids = {name for layer, _, _ in part._points for name in layer.ids}
    in_test = [row for row in range(len(tabs.run.features.label)) if _name(tabs, row) in ids]
    tabs.selection.choose_row(in_test[0])
    x, y = part._target.getData()
    logits = tabs.run.features.logits[in_test[0]]
    assert (x[0], y[0]) == pytest.approx((logits[0], logits[1]))
    wait_until_idle(qtbot)


def _name(tabs, row):
    return f"{tabs.run.features.subject[row]} {tabs.run.features.slice[row]}"


def test_that_a_weight_dot_tells_its_part_of_each_class_and_its_nine_slices(qtbot, tabs):
    tab = go_to(qtbot, tabs, "FCL weights")
    tabs.selection.choose_row(0)
    tabs.selection.choose(["feature 3"])
    wait_until_idle(qtbot)
    assert "Feature 3" in tabs.slice_panel.feature_text.text()
    h = float(tabs.run.features.penultimate[0, 3])
    weight, _ = tabs.run.fc_history.at()
    assert f"{weight[0, 3] * h:+.3g}".replace("-", "−") in tabs.slice_panel.feature_text.text()
    assert tabs.slice_panel.figure().name == "feature_3"
    assert tab.figure_view._panels[0]._rings.getData()[0].size == 1
    with qtbot.waitSignal(tabs.figure_tabs[-1].drawn, timeout=30_000):
        tabs.slice_panel._feature_button.click()
    figure = tabs.figure_tabs[-1].figure_view.figure()
    assert len(figure.panels) == 9
    assert "Feature 3" in figure.title


def test_that_maps_of_telling_slices_are_drawn_in_the_tab_maps(qtbot, tabs):
    tab = go_to(qtbot, tabs, "Maps")
    figure = tab.figure_view.figure()
    assert figure is not None
    assert all(panel.layers[0].overlay is not None for panel in figure.panels)
    assert len(figure.panels) <= 12
    assert tabs.problems == []


def test_that_a_cohort_that_has_gone_is_said_in_the_panel_and_nothing_breaks(qtbot, tabs, trained):
    trained.scanned.folder.rename(trained.scanned.folder.with_name("gone.mrifcl"))
    with qtbot.waitSignal(tabs.slice_panel.drawn, timeout=30_000):
        tabs.selection.choose_row(0)
    assert "no longer beside it" in tabs.slice_panel.view._empty.text()
    assert "predicted" in tabs.slice_panel.facts.text()


def test_that_the_viewers_slice_lights_up_in_the_cloud_and_back(qtbot, window, trained):
    window.session.open_cohort(trained.scanned.folder)
    wait_until_idle(qtbot)
    window.session.open_runs([trained.by_subject])
    wait_until_idle(qtbot)
    window.go_to("cohort")
    shown = window.cohort_panel.scan_list.selected_scan
    window.cohort_panel.viewer.set_slice("picture", 2)
    qtbot.keyClick(window.cohort_panel.viewer.plane_view("picture"), Qt.Key.Key_C)
    wait_until_idle(qtbot)
    tabs = window.analysis_tabs
    row = tabs.selection.row
    assert str(tabs.run.features.scan[row]) == shown.key
    assert int(tabs.run.features.slice[row]) == shown.slice_numbers[2]
    assert window._places.currentWidget() is tabs
    other = next(
        r for r in range(len(tabs.run.features.scan)) if tabs.run.features.scan[r] != shown.key
    )
    tabs.selection.choose_row(other)
    wait_until_idle(qtbot)
    tabs.slice_panel.to_viewer.click()
    wait_until_idle(qtbot)
    assert window._places.currentWidget() is window.cohort_panel
    now = window.cohort_panel.scan_list.selected_scan
    assert now.key == str(tabs.run.features.scan[other])
    wanted = int(tabs.run.features.slice[other])
    # The frame clock may still hold the step back when no job runs any more.
    qtbot.waitUntil(lambda: window.cohort_panel.viewer.picture_number() == wanted)
    tabs.slice_panel.overlay.click()
    wait_until_idle(qtbot)
    viewer = window.cohort_panel.viewer
    assert viewer.has_map
    with_map = colours_of(viewer, "picture")
    assert with_map > 0
    qtbot.keyClick(viewer.plane_view("picture"), Qt.Key.Key_Space)
    assert colours_of(viewer, "picture") == 0


def test_that_the_map_of_a_volume_lies_over_its_planes_and_leaves_as_nifti(qtbot, window, tmp_path):
    window.session.change_settings(config.change(RunSettings(), {"count": 4}))
    scanned = make_volume_cohort(tmp_path / "v", subjects=4)
    path = train_run(scanned, tmp_path / "v" / "runs", epochs=1, count=4)
    window.session.open_cohort(scanned.folder)
    wait_until_idle(qtbot)
    window.session.open_runs([path])
    wait_until_idle(qtbot)
    tabs, viewer = window.analysis_tabs, window.cohort_panel.viewer
    tabs.selection.choose_row(0)
    wait_until_idle(qtbot)
    tabs.slice_panel.overlay.click()
    wait_until_idle(qtbot)
    assert window._places.currentWidget() is window.cohort_panel
    assert viewer.has_map
    run = Run(path)
    assert viewer.slice_index("axial") == int(run.features.slice[0])
    with_map = colours_of(viewer)
    assert with_map > 0
    qtbot.keyClick(viewer.plane_view("axial"), Qt.Key.Key_Space)
    assert colours_of(viewer) == 0
    qtbot.keyClick(viewer.plane_view("axial"), Qt.Key.Key_Space)
    assert colours_of(viewer) == with_map
    tabs.slice_panel.save_nifti(tmp_path / "map.nii.gz")
    wait_until_idle(qtbot)
    scan = next(s for s in scanned.cohort.scans if s.key == str(run.features.scan[0]))
    original = load_volume(scanned.cohort.path_of(scan.files[0]))
    written = load_volume(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(written.affine, original.affine)
    assert written.voxels.shape == original.voxels.shape
    assert np.abs(written.voxels).max() > 0
    assert window.problems == []


def colours_of(viewer, plane="axial"):
    """Return how many pixels of a plane have a colour."""
    view = viewer.plane_view(plane)
    view._is_stale = True
    view._refill()
    pixels = view._buffer
    return int(((pixels & 0xFF) != (pixels >> 16 & 0xFF)).sum())
