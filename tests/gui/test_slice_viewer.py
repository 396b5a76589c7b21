"""The viewer: where things are drawn, and what mouse, wheel and keys do."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QImage, QWheelEvent
from PySide6.QtWidgets import QApplication

from core.data.volume import Volume
from mrifcl_gui.slice_viewer import SliceViewer, ViewerLayout

SHAPE = (8, 9, 10)
SPACING = (1.0, 2.0, 3.0)
PLANES = ("axial", "coronal", "sagittal")


def make_volume(*, sides_certain=True, voxels=None):
    if voxels is None:
        voxels = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-4.0, -10.0, 20.0)
    return Volume(voxels, affine, SPACING, sides_certain=sides_certain)


@pytest.fixture
def viewer(qtbot):
    widget = SliceViewer()
    qtbot.addWidget(widget)
    widget.resize(900, 700)
    widget.show()
    qtbot.waitExposed(widget)
    widget.show_volume(make_volume(), "OAS1_0001 · AD")
    return widget


def wheel(view, steps, *, at=None, modifiers=Qt.KeyboardModifier.NoModifier):
    at = QPointF(view.rect().center()) if at is None else at
    event = QWheelEvent(
        at,
        QPointF(view.mapToGlobal(at.toPoint())),
        QPoint(),
        QPoint(0, round(120 * steps)),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def drag(qtbot, view, button, start, end):
    qtbot.mousePress(view, button, pos=start)
    qtbot.mouseMove(view, (start + end) / 2)
    qtbot.mouseMove(view, end)
    qtbot.mouseRelease(view, button, pos=end)


def point_of(view, column, row):
    return view.point_of(column + 0.5, row + 0.5).toPoint()


def marked_volume(voxel):
    voxels = np.zeros(SHAPE, dtype=np.float32)
    voxels[voxel] = 100.0
    return make_volume(voxels=voxels)


def bright_pixel(view):
    row, column = np.argwhere(view.pixels == view.pixels.max())[0]
    return int(column), int(row)


def test_that_a_volume_opens_at_its_middle_voxel(viewer):
    assert viewer.voxel() == (4, 4, 5)
    assert [viewer.slice_index(plane) for plane in PLANES] == [5, 4, 4]


def test_that_the_position_is_that_of_the_affine(viewer):
    viewer.set_crosshair((1, 2, 3))
    assert viewer.position_mm() == pytest.approx((-4 + 1 * 1, -10 + 2 * 2, 20 + 3 * 3))


def test_that_the_read_out_gives_millimetres_voxel_and_value(viewer):
    viewer.set_crosshair((1, 2, 3))
    text = viewer._read_out.text()
    assert "R −3.0" in text
    assert "A −6.0" in text
    assert "S 29.0 mm" in text
    assert "voxel 1, 2, 3" in text
    assert f"value {1 * 90 + 2 * 10 + 3}" in text


@pytest.mark.parametrize(
    ("plane", "radiological", "neurological"),
    [
        # anterior and superior ends are at the top; the first axis runs to the patient's right
        ("axial", (8 - 1 - 1, 9 - 1 - 2), (1, 9 - 1 - 2)),
        ("coronal", (8 - 1 - 1, 10 - 1 - 3), (1, 10 - 1 - 3)),
        ("sagittal", (2, 10 - 1 - 3), (2, 10 - 1 - 3)),
    ],
)
def test_that_a_voxel_is_drawn_where_its_axes_say(viewer, plane, radiological, neurological):
    viewer.show_volume(marked_volume((1, 2, 3)), "x")
    viewer.set_crosshair((1, 2, 3))
    view = viewer.plane_view(plane)
    assert bright_pixel(view) == radiological
    viewer.set_radiological(False)
    assert bright_pixel(view) == neurological


@pytest.mark.parametrize("is_radiological", [True, False])
@pytest.mark.parametrize("plane", PLANES)
def test_that_the_crosshair_lies_on_its_voxel(viewer, plane, is_radiological):
    viewer.show_volume(marked_volume((6, 1, 8)), "x")
    viewer.set_radiological(is_radiological)
    viewer.set_crosshair((6, 1, 8))
    column, row = bright_pixel(viewer.plane_view(plane))
    assert viewer.plane_view(plane).crosshair == (column + 0.5, row + 0.5)


def test_that_the_right_is_on_the_left_unless_the_convention_is_neurological(viewer):
    assert viewer.is_radiological
    assert viewer.plane_view("axial").letters == ("R", "L", "A", "P")
    assert viewer.plane_view("coronal").letters == ("R", "L", "S", "I")
    assert viewer.plane_view("sagittal").letters == ("P", "A", "S", "I")
    viewer.set_radiological(False)
    assert viewer.plane_view("axial").letters == ("L", "R", "A", "P")
    assert viewer.plane_view("sagittal").letters == ("P", "A", "S", "I")


def test_that_unverified_sides_have_no_letters_but_a_badge(viewer):
    assert viewer._bar.badge.isHidden()
    viewer.show_volume(make_volume(sides_certain=False), "analyze")
    assert viewer.plane_view("axial").letters == ("?", "?", "A", "P")
    assert viewer.plane_view("coronal").letters[:2] == ("?", "?")
    assert viewer.plane_view("sagittal").letters == ("P", "A", "S", "I")
    assert viewer._bar.badge.isVisible()
    assert viewer._bar.badge.text() == "left/right unverified"
    assert "R?" in viewer._read_out.text()


@pytest.mark.parametrize(
    ("plane", "width_mm", "height_mm", "columns", "rows"),
    [("axial", 1, 2, 8, 9), ("coronal", 1, 3, 8, 10), ("sagittal", 2, 3, 9, 10)],
)
def test_that_a_plane_is_drawn_at_its_aspect_in_mm(
    viewer, plane, width_mm, height_mm, columns, rows
):
    view = viewer.plane_view(plane)
    size = view.point_of(columns, rows) - view.point_of(0, 0)
    wanted = (columns * width_mm) / (rows * height_mm)
    assert size.x() / size.y() == pytest.approx(wanted)


def test_that_all_planes_of_the_grid_share_one_scale(viewer):
    axial, coronal = viewer.plane_view("axial"), viewer.plane_view("coronal")
    width = axial.point_of(8, 0).x() - axial.point_of(0, 0).x()
    assert coronal.point_of(8, 0).x() - coronal.point_of(0, 0).x() == pytest.approx(width, rel=0.02)


@pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
def test_that_the_wheel_changes_the_slice_of_its_plane_only(viewer, plane, axis):
    before = list(viewer.voxel())
    wheel(viewer.plane_view(plane), 2)
    before[axis] += 2
    assert viewer.voxel() == tuple(before)
    wheel(viewer.plane_view(plane), -100)
    assert viewer.slice_index(plane) == 0


def test_that_fractions_of_a_wheel_step_add_up(viewer):
    for _ in range(4):
        wheel(viewer.plane_view("axial"), 0.25)
    assert viewer.slice_index("axial") == 6


def test_that_ctrl_and_wheel_zoom_at_the_pointer(viewer):
    view = viewer.plane_view("axial")
    pointer = QPointF(point_of(view, 1, 2))
    before = view.position_at(pointer)
    wheel(view, 3, at=pointer, modifiers=Qt.KeyboardModifier.ControlModifier)
    assert view.zoom == pytest.approx(1.2**3)
    assert view.position_at(pointer) == pytest.approx(before)
    assert viewer.slice_index("axial") == 5


@pytest.mark.parametrize("is_radiological", [True, False])
def test_that_a_left_drag_moves_the_crosshair_to_the_voxel_under_it(qtbot, viewer, is_radiological):
    viewer.set_radiological(is_radiological)
    view = viewer.plane_view("axial")
    end = point_of(view, 1, 2)
    drag(qtbot, view, Qt.MouseButton.LeftButton, point_of(view, 4, 4), end)
    assert viewer.voxel() == ((8 - 1 - 1) if is_radiological else 1, 9 - 1 - 2, 5)
    assert viewer.slice_index("coronal") == 6


def test_that_a_left_drag_out_of_the_picture_stays_at_its_edge(qtbot, viewer):
    view = viewer.plane_view("sagittal")
    drag(qtbot, view, Qt.MouseButton.LeftButton, point_of(view, 4, 4), QPoint(1, 1))
    assert viewer.voxel() == (4, 0, 9)


def test_that_a_right_drag_changes_window_sideways_and_level_upwards(qtbot, viewer):
    window, level = viewer.window_level()
    view = viewer.plane_view("coronal")
    start = view.rect().center()
    drag(qtbot, view, Qt.MouseButton.RightButton, start, start + QPoint(40, 0))
    wider = viewer.window_level()
    assert wider[0] == pytest.approx(window + 40 / 400 * 719)
    assert wider[1] == pytest.approx(level)
    drag(qtbot, view, Qt.MouseButton.RightButton, start, start - QPoint(0, 20))
    assert viewer.window_level()[1] == pytest.approx(level + 20 / 400 * 719)
    assert viewer.voxel() == (4, 4, 5)


def test_that_the_window_never_closes(qtbot, viewer):
    view = viewer.plane_view("axial")
    for _ in range(8):
        drag(qtbot, view, Qt.MouseButton.RightButton, QPoint(300, 50), QPoint(10, 50))
    assert viewer.window_level()[0] > 0


def test_that_a_middle_drag_pans(qtbot, viewer):
    view = viewer.plane_view("axial")
    before = view.point_of(0, 0)
    start = view.rect().center()
    drag(qtbot, view, Qt.MouseButton.MiddleButton, start, start + QPoint(30, 10))
    assert view.point_of(0, 0) - before == QPointF(30, 10)
    assert viewer.voxel() == (4, 4, 5)


@pytest.mark.parametrize(
    ("key", "index"),
    [
        (Qt.Key.Key_Up, 6),
        (Qt.Key.Key_Right, 6),
        (Qt.Key.Key_Down, 4),
        (Qt.Key.Key_Left, 4),
        (Qt.Key.Key_PageUp, 9),
        (Qt.Key.Key_PageDown, 0),
        (Qt.Key.Key_Home, 0),
        (Qt.Key.Key_End, 9),
    ],
)
def test_that_a_key_changes_the_slice_of_the_plane_with_focus(qtbot, viewer, key, index):
    qtbot.keyClick(viewer.plane_view("axial"), key)
    assert viewer.slice_index("axial") == index


def test_that_keys_act_on_the_plane_last_clicked(qtbot, viewer):
    view = viewer.plane_view("sagittal")
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=point_of(view, 4, 4))
    qtbot.keyClick(viewer, Qt.Key.Key_Up)
    assert viewer.slice_index("sagittal") == 5


@pytest.mark.parametrize(
    ("key", "plane"),
    [(Qt.Key.Key_1, "axial"), (Qt.Key.Key_2, "coronal"), (Qt.Key.Key_3, "sagittal")],
)
def test_that_a_digit_enlarges_a_plane_and_again_shows_all(qtbot, viewer, key, plane):
    qtbot.keyClick(viewer, key)
    shown = [name for name in PLANES if viewer.plane_view(name).isVisible()]
    assert shown == [plane]
    qtbot.waitUntil(lambda: viewer.plane_view(plane).height() > 400)
    qtbot.keyClick(viewer, key)
    assert all(viewer.plane_view(name).isVisible() for name in PLANES)


def test_that_a_double_click_enlarges_a_plane(qtbot, viewer):
    view = viewer.plane_view("coronal")
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=view.rect().center())
    assert not viewer.plane_view("axial").isVisible()


def test_that_r_resets_views_window_and_crosshair(qtbot, viewer):
    window = viewer.window_level()
    viewer.set_crosshair((0, 0, 0))
    viewer.set_window_level(10, 10)
    viewer.plane_view("axial").zoom_at(QPointF(5, 5), 4.0)
    qtbot.keyClick(viewer, Qt.Key.Key_3)
    qtbot.keyClick(viewer, Qt.Key.Key_R)
    assert viewer.voxel() == (4, 4, 5)
    assert viewer.window_level() == pytest.approx(window)
    assert viewer.plane_view("axial").zoom == 1
    assert viewer.plane_view("axial").isVisible()


def test_that_x_hides_the_crosshair(qtbot, viewer):
    qtbot.keyClick(viewer, Qt.Key.Key_X)
    assert all(viewer.plane_view(name).crosshair is None for name in PLANES)
    assert not viewer._bar.crosshair.isChecked()
    qtbot.keyClick(viewer, Qt.Key.Key_X)
    assert viewer.plane_view("axial").crosshair is not None


def test_that_a_windows_from_the_2nd_to_the_98th_percentile_of_what_is_no_padding(qtbot, viewer):
    viewer.set_window_level(10, 10)
    qtbot.keyClick(viewer, Qt.Key.Key_A)
    low, high = np.percentile(np.arange(1, 720), (2, 98))
    assert viewer.window_level() == pytest.approx((high - low, (high + low) / 2))


def test_that_window_edges_are_drawn_black_and_white(viewer):
    viewer.set_crosshair((4, 4, 5))
    viewer.set_window_level(200, 400)  # black to 300, white from 500
    section = make_volume().voxels[:, :, 5]
    grey = viewer.plane_view("axial").pixels
    assert np.array_equal(grey == 0, (section < 300 + 200 / 255).T[::-1, ::-1])
    assert np.array_equal(grey == 255, (section >= 500).T[::-1, ::-1])


def test_that_o_switches_the_convention_and_says_so(qtbot, viewer):
    with qtbot.waitSignal(viewer.orientation_changed) as signal:
        qtbot.keyClick(viewer, Qt.Key.Key_O)
    assert signal.args == [False]
    assert not viewer.is_radiological
    assert viewer._bar.orientation.text() == "Neurological"


def test_that_the_convention_outlives_the_scan(viewer):
    viewer.set_radiological(False)
    viewer.show_volume(make_volume(), "another")
    assert viewer.plane_view("axial").letters[0] == "L"


def test_that_keys_with_ctrl_are_left_to_others(qtbot, viewer):
    viewer.set_window_level(10, 10)
    qtbot.keyClick(viewer, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert viewer.window_level() == (10, 10)


def test_that_typed_window_and_level_are_taken(qtbot, viewer):
    viewer._page.intensities.window_box.selectAll()
    qtbot.keyClicks(viewer._page.intensities.window_box, "120")
    qtbot.keyClick(viewer._page.intensities.window_box, Qt.Key.Key_Return)
    assert viewer.window_level()[0] == pytest.approx(120)


def test_that_an_edge_of_the_histogram_can_be_dragged(qtbot, viewer):
    histogram = viewer._page.intensities.histogram
    viewer.set_window_level(200, 400)
    start = QPoint(round(histogram.x_of(500)), 20)
    end = QPoint(round(histogram.x_of(600)), 20)
    drag(qtbot, histogram, Qt.MouseButton.LeftButton, start, end)
    window, level = viewer.window_level()
    assert level - window / 2 == pytest.approx(300)
    assert level + window / 2 == pytest.approx(600, abs=4)


def test_that_a_constant_volume_can_be_shown(viewer):
    viewer.show_volume(make_volume(voxels=np.full(SHAPE, 7, dtype=np.float32)), "flat")
    assert viewer.window_level() == (1, 7.5)
    viewer.grab()


def make_pictures():
    pixels = np.zeros((5, 12, 16), dtype=np.uint8)
    pixels += np.arange(5, dtype=np.uint8)[:, None, None] * 10
    pixels[:, 3, 7] = 200
    return pixels


@pytest.fixture
def pictures(viewer):
    viewer.show_pictures(make_pictures(), (2, 3, 4, 5, 6), "OAS1_0028 · AD")
    return viewer


def test_that_pictures_open_as_stored_at_the_middle_one(pictures):
    view = pictures.plane_view("picture")
    assert np.array_equal(view.pixels, make_pictures()[2])
    assert pictures.picture_number() == 4
    assert "slice 4" in view.caption
    assert view.letters == ("", "", "", "")


def test_that_pictures_are_said_to_have_no_known_orientation(pictures):
    assert pictures._bar.badge.isVisible()
    assert pictures._bar.badge.text() == "orientation not known"
    assert not pictures._bar.orientation.isVisible()


def test_that_wheel_keys_and_strip_change_the_picture(qtbot, pictures):
    view = pictures.plane_view("picture")
    wheel(view, 1)
    assert pictures.slice_index("picture") == 3
    assert pictures._pictures.strip.current == 3
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert pictures.slice_index("picture") == 0
    with qtbot.waitSignal(pictures.picture_changed):
        qtbot.keyClick(pictures._pictures.strip._row, Qt.Key.Key_End)
    assert pictures.picture_number() == 6
    wheel(view, 50)
    assert pictures.slice_index("picture") == 4


def test_that_a_click_in_a_picture_reads_its_pixel(qtbot, pictures):
    view = pictures.plane_view("picture")
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=point_of(view, 7, 3))
    assert pictures._read_out.text() == "column 7, row 3      value 200"


def test_that_plane_keys_do_nothing_to_pictures(qtbot, pictures):
    for key in (Qt.Key.Key_1, Qt.Key.Key_O):
        qtbot.keyClick(pictures, key)
    assert pictures.is_radiological
    assert pictures.plane_view("picture").isVisible()


@pytest.mark.parametrize("method", ["show_empty", "show_busy"])
def test_that_nothing_of_the_last_scan_stays_when_there_is_none(qtbot, viewer, method):
    getattr(viewer, method)("Loading OAS1_0028…")
    assert viewer.message == "Loading OAS1_0028…"
    assert viewer._read_out.text() == ""
    assert viewer.title == ""
    for key in (Qt.Key.Key_Up, Qt.Key.Key_1, Qt.Key.Key_A, Qt.Key.Key_R):
        qtbot.keyClick(viewer, key)
    assert viewer.position_mm() == (0, 0, 0)


def test_that_no_pictures_are_an_empty_viewer(viewer):
    viewer.show_pictures(np.zeros((0, 4, 4), dtype=np.uint8), (), "x")
    assert viewer.message


def test_that_an_unknown_plane_is_refused(viewer):
    with pytest.raises(ValueError, match="oblique"):
        viewer.slice_index("oblique")


def test_that_the_viewer_is_dark(viewer):
    image = viewer.grab().toImage()
    assert image.pixelColor(3, 3).lightness() < 40
    assert image.pixelColor(3, image.height() - 3).lightness() < 40


def test_that_a_drag_over_a_large_volume_keeps_up(viewer):
    random = np.random.default_rng(0)
    voxels = random.random((256, 256, 256), dtype=np.float32)
    viewer.show_volume(Volume(voxels, np.eye(4), (1.0, 1.0, 1.0)), "large")
    seconds = []
    for step in range(20):
        start = time.perf_counter()
        viewer.set_crosshair((100 + step, 90 + step, 80 + step))
        seconds.append(time.perf_counter() - start)
    # 20 ms are the aim; the median of a busy machine may take a little more.
    assert np.median(seconds) < 0.04


def hover(view, column, row):
    view.hovered.emit(view._key, column + 0.5, row + 0.5)


def test_that_the_value_under_the_pointer_is_the_exact_one(viewer):
    voxels = make_volume().voxels + np.float32(0.125)
    viewer.show_volume(make_volume(voxels=voxels), "x")
    hover(viewer.plane_view("axial"), 2, 3)
    text = viewer._pointer.text()
    assert "voxel 5, 5, 5" in text
    assert f"value {5 * 90 + 5 * 10 + 5 + 0.125}" in text
    assert viewer.voxel() == (4, 4, 5)
    hover(viewer.plane_view("axial"), -2, 3)
    assert viewer._pointer.text() == ""


def test_that_many_wheel_events_are_one_frame(qtbot, viewer):
    view = viewer.plane_view("sagittal")
    viewer.set_slice("sagittal", 0)
    qtbot.wait(40)
    frames = []
    draw = view.draw
    view.draw = lambda *arguments, **options: (frames.append(1), draw(*arguments, **options))
    for _ in range(6):
        wheel(view, 1)
        QApplication.processEvents()
    assert viewer.slice_index("sagittal") == 6
    qtbot.waitUntil(lambda: len(frames) >= 1)
    assert len(frames) <= 4


def test_that_the_slices_of_the_network_are_lines_on_the_two_other_planes(viewer):
    viewer.set_network_slices("axial", (2, 3, 6), "#D55E00")
    assert viewer.plane_view("axial").slice_lines is None
    for name in ("coronal", "sagittal"):
        lines = viewer.plane_view(name).slice_lines
        assert not lines.is_vertical
        assert lines.positions == (7.5, 6.5, 3.5)  # rows from the top of 10
        assert lines.numbers == (3, 4, 7)
    viewer.grab()


@pytest.mark.parametrize(("is_radiological", "columns"), [(True, (6.5, 2.5)), (False, (1.5, 5.5))])
def test_that_lines_follow_the_convention(viewer, is_radiological, columns):
    viewer.set_radiological(is_radiological)
    viewer.set_network_slices("sagittal", (1, 5))
    assert viewer.plane_view("coronal").slice_lines.is_vertical
    assert viewer.plane_view("coronal").slice_lines.positions == columns


def test_that_space_hides_the_lines_and_another_scan_has_none(qtbot, viewer):
    viewer.set_network_slices("axial", (2, 3))
    assert viewer._bar.lines.isVisible()
    qtbot.keyClick(viewer.plane_view("axial"), Qt.Key.Key_Space)
    assert viewer.plane_view("coronal").slice_lines is None
    qtbot.keyClick(viewer.plane_view("axial"), Qt.Key.Key_Space)
    assert viewer.plane_view("coronal").slice_lines is not None
    viewer.show_volume(make_volume(), "other")
    assert viewer.plane_view("coronal").slice_lines is None
    assert not viewer._bar.lines.isVisible()


def other_volume():
    """Return a volume of 2 mm voxels that covers the same place and more."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-10.0, -20.0, 10.0)
    voxels = np.arange(20 * 21 * 22, dtype=np.float32).reshape(20, 21, 22)
    return Volume(voxels, affine, (2.0, 2.0, 2.0))


def test_that_a_compared_scan_follows_in_millimetres(viewer):
    viewer.compare_with(other_volume(), "B")
    viewer.set_crosshair((2, 3, 4))  # (-2, -4, 32) mm
    assert viewer._page._second.voxel == (4, 8, 11)
    assert viewer.compared_view("axial").isVisible()
    assert viewer.compared_title == "B"
    assert " | " in viewer._read_out.text()
    viewer.clear_compare()
    assert not viewer.compared_view("axial").isVisible()
    assert " | " not in viewer._read_out.text()


def test_that_two_scans_lie_one_below_the_other_clear_of_the_histogram(viewer):
    viewer.compare_with(other_volume(), "B")
    viewer.resize(670, 478)
    QCoreApplication.processEvents()
    for name in ("axial", "coronal", "sagittal"):
        first, second = viewer.plane_view(name), viewer.compared_view(name)
        assert first.x() == second.x()
        assert first.geometry().bottom() < second.y()
        assert second.geometry().bottom() < viewer._page.intensities.y()
    intensities = viewer._page.intensities
    assert intensities.histogram.geometry().bottom() < intensities.window_box.y()


def test_that_a_click_into_the_compared_scan_moves_both(qtbot, viewer):
    viewer.compare_with(other_volume(), "B")
    QApplication.processEvents()
    view = viewer.compared_view("axial")
    # voxel (4, 8) of the second is at (-2, -4) mm: voxel (2, 3) of the first
    spot = point_of(view, 20 - 1 - 4, 21 - 1 - 8)
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=spot)
    assert viewer.voxel()[:2] == (2, 3)


def test_that_the_compared_window_moves_with_the_first_from_its_own_contrast(viewer):
    viewer.compare_with(make_volume(voxels=make_volume().voxels * 10), "B")
    viewer.set_window_level(200, 400)
    viewer.set_crosshair((3, 3, 3))
    first, second = viewer.plane_view("axial").pixels, viewer.compared_view("axial").pixels
    assert np.abs(first.astype(int) - second).max() <= 2


def test_that_a_place_outside_the_compared_scan_is_said(viewer):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = viewer.position_mm()
    small = Volume(np.ones((2, 2, 2), np.float32), affine, (1.0, 1.0, 1.0))
    viewer.compare_with(small, "B")
    viewer.set_crosshair((7, 8, 9))
    assert "outside" in viewer.compared_view("axial").caption
    assert viewer.compared_view("axial").crosshair is None


def test_that_scans_without_a_common_place_are_laid_middle_on_middle(viewer):
    affine = np.eye(4)
    affine[:3, 3] = 1000.0
    far = Volume(np.ones((21, 21, 21), np.float32), affine, (1.0, 1.0, 1.0))
    viewer.compare_with(far, "far")
    assert viewer._page._second.voxel == (10, 10, 10)
    assert "middle on middle" in viewer._bar._compared.text()
    viewer.set_crosshair((5, 4, 5))
    assert viewer._page._second.voxel == (11, 10, 10)


def test_that_another_scan_ends_the_comparison(viewer):
    viewer.compare_with(other_volume(), "B")
    viewer.show_volume(make_volume(), "C")
    assert viewer.compared_title == ""
    assert not viewer.compared_view("axial").isVisible()


def test_that_a_picture_is_saved_with_letters_and_bar_but_no_controls(viewer, tmp_path):
    viewer.set_network_slices("axial", (2, 3))
    path = tmp_path / "a.png"
    assert viewer.save_screenshot(path)
    image = QImage(str(path))
    assert image.width() > 900
    assert not image.textKeys()


def test_that_a_picture_that_cannot_be_written_is_said(qtbot, viewer, tmp_path):
    with qtbot.waitSignal(viewer.failed) as signal:
        assert not viewer.save_screenshot(tmp_path / "missing" / "a.png")
    assert "a.png" in signal.args[0]
    assert str(tmp_path) not in signal.args[0]


def test_that_nothing_shown_gives_no_picture(qtbot, viewer, tmp_path):
    viewer.show_empty("none")
    with qtbot.waitSignal(viewer.failed):
        assert not viewer.save_screenshot(tmp_path / "a.png")


def test_that_a_right_click_opens_the_menu_and_a_right_drag_does_not(qtbot, viewer):
    view = viewer.plane_view("axial")
    view.menu_requested.disconnect()
    asked = []
    view.menu_requested.connect(lambda *arguments: asked.append(arguments))
    centre = view.rect().center()
    drag(qtbot, view, Qt.MouseButton.RightButton, centre, centre + QPoint(40, 0))
    assert asked == []
    qtbot.mouseClick(view, Qt.MouseButton.RightButton, pos=centre)
    assert len(asked) == 1
    texts = [action.text() for action in viewer.build_menu().actions()]
    assert texts[:2] == ["Save picture…", "Copy picture"]


def test_that_a_flip_can_be_asked_for_where_sides_are_uncertain_only(qtbot, viewer):
    assert not viewer._bar.flip.isVisible()
    viewer.show_volume(make_volume(sides_certain=False), "x")
    with qtbot.waitSignal(viewer.flip_requested) as signal:
        viewer._bar.flip.click()
    assert signal.args == [True]
    viewer.show_volume(make_volume(sides_certain=False), "x", is_flipped=True)
    assert viewer._bar.flip.isChecked()
    assert "flipped" in viewer._bar.badge.text()


def test_that_the_layout_is_told_and_taken_over(qtbot, viewer):
    with qtbot.waitSignal(viewer.layout_changed):
        qtbot.keyClick(viewer, Qt.Key.Key_2)
    kept = viewer.viewer_layout
    assert kept == ViewerLayout(enlarged="coronal")
    viewer.show_volume(make_volume(), "another")
    assert not viewer.plane_view("axial").isVisible()
    viewer.set_viewer_layout(ViewerLayout(enlarged="oblique", crosshair=False))
    assert viewer.plane_view("axial").isVisible()
    assert viewer.plane_view("axial").crosshair is None


def greys_at_centres(view, picture):
    rows, columns = view.pixels.shape
    points = [[point_of(view, column, row) for column in range(columns)] for row in range(rows)]
    return np.array([[picture.pixelColor(at).value() for at in line] for line in points])


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("is_radiological", [True, False])
def test_that_each_voxel_is_painted_in_its_grey(qtbot, viewer, plane, is_radiological):
    voxels = np.random.default_rng(0).permutation(np.prod(SHAPE)).astype(np.float32)
    voxels = voxels.reshape(SHAPE)
    viewer.show_volume(make_volume(voxels=voxels), "noise")
    viewer.set_radiological(is_radiological)
    viewer.set_window_level(720.0, 360.0)
    qtbot.keyClick(viewer, Qt.Key.Key_X)
    viewer.set_crosshair((2, 3, 4))
    along, across, up = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}[plane]
    section = np.take(voxels, (2, 3, 4)[along], axis=along)
    expected = (section.T if across < up else section)[::-1]
    if across == 0 and is_radiological:
        expected = expected[:, ::-1]
    view = viewer.plane_view(plane)
    for _ in range(2):  # while slices go by, and at rest with the copies complete
        painted = greys_at_centres(view, view.grab().toImage())
        assert np.abs(painted - expected / 720.0 * 255.0).max() <= 1.5
        qtbot.wait(500)


def test_that_nothing_of_an_older_frame_stays_beside_the_picture(qtbot, viewer):
    view = viewer.plane_view("axial")
    viewer.set_window_level(1.0, -100.0)  # all white
    drag(qtbot, view, Qt.MouseButton.MiddleButton, QPoint(100, 100), QPoint(190, 160))
    qtbot.wait(200)
    screen = viewer.grab().toImage()
    corner = view.mapTo(viewer, QPoint(0, 0))
    left, top = (round(value) for value in view.point_of(0, 0).toTuple())
    for x in range(30, min(left, view.width()) - 8, 5):
        for y in range(30, view.height() - 30, 5):
            assert screen.pixelColor(corner + QPoint(x, y)).lightness() < 110, (x, y)
    assert left > 60
    assert top > 30
    assert screen.pixelColor(corner + QPoint(left + 20, top + 20)).lightness() > 240


def test_that_a_step_repaints_planes_and_texts_only(qtbot, viewer):
    qtbot.wait(300)
    painted = set()

    class Watch(QObject):
        def eventFilter(self, widget, event):
            if event.type() == QEvent.Type.Paint:
                painted.add(type(widget).__name__)
            return False

    watch = Watch()
    QApplication.instance().installEventFilter(watch)
    viewer.set_crosshair((1, 2, 3))
    qtbot.waitUntil(lambda: "PlaneView" in painted)
    QApplication.instance().removeEventFilter(watch)
    assert painted <= {"PlaneView", "ReadOutLine"}


def test_that_slices_are_smoothed_and_told_when_they_rest(qtbot, viewer):
    voxels = np.random.default_rng(0).integers(0, 2, (90, 90, 90)).astype(np.float32)
    viewer.show_volume(make_volume(voxels=voxels), "black and white")
    viewer.set_window_level(0.5, 0.5)
    qtbot.keyClick(viewer, Qt.Key.Key_X)
    view = viewer.plane_view("sagittal")
    viewer.set_slice("sagittal", 7)

    def n_greys():
        middle = QRect(view.rect().center() - QPoint(30, 30), QSize(60, 60))
        image = view.grab(middle).toImage()
        return len({image.pixel(x, y) for x in range(60) for y in range(60)})

    assert n_greys() == 2
    qtbot.waitUntil(lambda: n_greys() > 10)
    assert view.accessibleDescription() == "sagittal  8 / 90"
    line = viewer._read_out
    qtbot.waitUntil(lambda: "voxel 7, 45, 45" in line.accessibleDescription())


def test_that_a_read_out_that_is_too_long_is_cut_with_dots(qtbot, viewer):
    line = viewer._read_out
    qtbot.wait(200)
    line.setText("W" * 200)
    long = line.grab().toImage()
    ends = [long.pixelColor(x, 8).lightness() for x in range(line.width() - 3, line.width())]
    assert max(ends) < 60
    assert line.text() == "W" * 200


def test_that_a_narrow_viewer_writes_its_buttons_in_full(qtbot, viewer):
    viewer.set_network_slices("axial", (2, 3))
    viewer.resize(viewer.minimumSize())
    qtbot.wait(50)
    tools = [tool for tool in viewer._bar.tools() if tool.isVisible()]
    assert len(tools) == 6
    for tool in tools:
        assert tool.width() >= tool.sizeHint().width()
        assert tool.geometry().right() < viewer._bar.width()
    assert len({tool.y() for tool in tools}) == 2


def test_that_the_menu_does_what_the_keys_do_and_names_them(qtbot, viewer):
    viewer.set_network_slices("axial", (2, 3))
    qtbot.mousePress(viewer.plane_view("coronal"), Qt.MouseButton.MiddleButton)
    qtbot.mouseRelease(viewer.plane_view("coronal"), Qt.MouseButton.MiddleButton)

    def choose(entry):
        menu = viewer.build_menu()
        next(action for action in menu.actions() if action.text() == entry).trigger()

    choose("Enlarge this plane\t2")
    assert viewer.viewer_layout.enlarged == "coronal"
    choose("Show all planes\t2")
    assert viewer.viewer_layout.enlarged == ""
    choose("Neurological view\tO")
    assert not viewer.is_radiological
    choose("Radiological view\tO")
    assert viewer.is_radiological
    choose("Crosshair\tX")
    assert viewer.plane_view("axial").crosshair is None
    choose("Slices\tSpace")
    assert viewer.plane_view("coronal").slice_lines is None
    automatic = viewer.window_level()
    viewer.set_window_level(3.0, 7.0)
    choose("Auto contrast\tA")
    assert viewer.window_level() == automatic
    viewer.set_crosshair((0, 0, 0))
    choose("Reset\tR")
    assert viewer.voxel() == (4, 4, 5)
