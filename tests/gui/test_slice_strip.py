"""The strip: which slices it shows and which one is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from mrifcl_gui.slice_strip import SliceStrip

AD = "#D55E00"


@pytest.fixture
def strip(qtbot):
    widget = SliceStrip()
    qtbot.addWidget(widget)
    widget.resize(400, widget.height())
    widget.show()
    qtbot.waitExposed(widget)
    pixels = np.full((30, 12, 16), 90, dtype=np.uint8)
    widget.show_slices(pixels, range(60, 90), AD, 0)
    return widget


def click(qtbot, strip, position):
    point = strip._row.box_of(position).center()
    qtbot.mouseClick(strip._row, Qt.MouseButton.LeftButton, pos=point)


def test_that_a_click_chooses_the_slice_under_it(qtbot, strip):
    with qtbot.waitSignal(strip.slice_chosen) as signal:
        click(qtbot, strip, 3)
    assert signal.args == [3]
    assert strip.current == 3


@pytest.mark.parametrize(
    ("key", "position"),
    [(Qt.Key.Key_Right, 6), (Qt.Key.Key_Left, 4), (Qt.Key.Key_Home, 0), (Qt.Key.Key_End, 29)],
)
def test_that_keys_move_along_the_strip(qtbot, strip, key, position):
    strip.set_current(5)
    with qtbot.waitSignal(strip.slice_chosen) as signal:
        qtbot.keyClick(strip._row, key)
    assert signal.args == [position]


def test_that_the_ends_are_not_passed(qtbot, strip):
    with qtbot.assertNotEmitted(strip.slice_chosen):
        qtbot.keyClick(strip._row, Qt.Key.Key_Left)
    strip.set_current(29)
    with qtbot.assertNotEmitted(strip.slice_chosen):
        qtbot.keyClick(strip._row, Qt.Key.Key_Right)


def test_that_the_marked_slice_is_brought_into_sight_without_a_signal(qtbot, strip):
    with qtbot.assertNotEmitted(strip.slice_chosen):
        strip.set_current(25)
    bar = strip._scroll.horizontalScrollBar().value()
    box = strip._row.box_of(25)
    assert bar <= box.left()
    assert box.right() <= bar + strip._scroll.viewport().width()


def test_that_frames_have_the_colour_of_the_class(strip):
    box = strip._row.box_of(2)
    image = strip._row.grab().toImage()
    ratio = image.devicePixelRatio()
    colour = image.pixelColor(round((box.left() + 1) * ratio), round(box.center().y() * ratio))
    assert colour == QColor(AD)


def test_that_thumbnails_keep_their_aspect(strip):
    size = strip._row._thumbnails[0].deviceIndependentSize()
    assert size.width() / size.height() == pytest.approx(16 / 12, rel=0.03)


def test_that_numbers_and_slices_must_agree(strip):
    with pytest.raises(ValueError, match="2 slices but 1"):
        strip.show_slices(np.zeros((2, 4, 4), dtype=np.uint8), (1,), AD, None)


def test_that_a_cleared_strip_is_empty(qtbot, strip):
    strip.clear()
    assert strip.count == 0
    assert strip.current is None
    with qtbot.assertNotEmitted(strip.slice_chosen):
        click(qtbot, strip, 0)
        qtbot.keyClick(strip._row, Qt.Key.Key_Right)
    strip.grab()
