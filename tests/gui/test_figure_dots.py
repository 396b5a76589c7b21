"""Dots on screen are where they belong, of one look, and a crowd of them is shown by density."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor

from core.figure import Axis, Curve, Figure, Panel, Scatter
from mrifcl_gui.figure_dots import CROWD, density_pixels
from mrifcl_gui.figure_view import FigureView

BOX = {"low": 0.0, "high": 10.0}


def figure_of(*layers):
    return Figure("dots", "Dots", (Panel(Axis("x", **BOX), Axis("y", **BOX), layers),))


@pytest.fixture
def view(qtbot):
    widget = FigureView()
    qtbot.addWidget(widget)
    widget.resize(500, 400)
    widget.show()
    return widget


def seen(view, qtbot):
    """Return the viewport's pixels and a function from the axes' units to their places."""
    qtbot.waitUntil(lambda: not view._settle.isActive())
    viewport = view._graphics.viewport()
    image = viewport.grab().toImage()
    ratio = image.devicePixelRatio()
    box = view._panels[0].plot.vb

    def at(x, y):
        place = view._graphics.mapFromScene(box.mapViewToScene(QPointF(x, y)))
        return image.pixelColor(round(place.x() * ratio), round(place.y() * ratio))

    return at


def is_red(colour):
    return colour.red() > colour.green() + 60


def red_dots(x, y, **options):
    return Scatter("AD", np.array(x, float), np.array(y, float), "#D50000", opacity=1.0, **options)


def test_that_dots_are_painted_at_their_places(view, qtbot):
    view.show_figure(figure_of(red_dots([2, 8], [3, 7], size=9)))
    at = seen(view, qtbot)
    assert is_red(at(2, 3))
    assert is_red(at(8, 7))
    assert not is_red(at(5, 5))


def test_that_new_dots_take_the_place_of_the_old(view, qtbot):
    view.show_figure(figure_of(red_dots([2, 8], [3, 7], size=9)))
    seen(view, qtbot)
    view.show_figure(figure_of(red_dots([5, 6, 7], [5, 5, 5], size=9)))
    at = seen(view, qtbot)
    assert is_red(at(5, 5))
    assert not is_red(at(2, 3))


def test_that_a_moved_view_moves_the_dots(view, qtbot):
    view.show_figure(figure_of(red_dots([2, 50], [3, 50], size=9)))
    seen(view, qtbot)
    view._panels[0].plot.vb.setRange(xRange=(45, 55), yRange=(45, 55), padding=0)
    assert is_red(seen(view, qtbot)(50, 50))


def crowd(n, place, spread=0.3):
    random = np.random.default_rng(0)
    return random.normal(place, spread, (2, n))


def test_that_a_crowd_is_shown_by_its_density(view, qtbot):
    x, y = crowd(CROWD + 1, 5.0)
    x[0], y[0] = 1.5, 5.0
    view.show_figure(figure_of(red_dots(x, y)))
    at = seen(view, qtbot)
    middle, edge, ground = at(5, 5), at(5.8, 5), at(8, 2)
    assert is_red(middle)
    assert middle.green() < edge.green() < ground.green()
    # One dot far away is not lost.
    near = [at(1.5 + dx, 5 + dy) for dx in (-0.02, 0, 0.02) for dy in (-0.02, 0, 0.02)]
    assert min(colour.green() for colour in near) < ground.green() - 40


def test_that_all_dots_of_a_panel_make_the_crowd(view):
    halves = [red_dots(*crowd(CROWD // 2 + 1, place)) for place in (3.0, 7.0)]
    view.show_figure(figure_of(*halves))
    assert all(item._items[0]._is_crowd for item in view._panels[0]._layers)
    view.show_figure(figure_of(halves[0]))
    assert not view._panels[0]._layers[0]._items[0]._is_crowd


def test_that_every_dot_in_view_is_counted_once(view):
    x, y = crowd(CROWD + 5, 5.0)
    view.show_figure(figure_of(red_dots(x, y)))
    dots = view._panels[0]._layers[0]._items[0]
    counts = dots._counts((10.0, 0.0, 100), (10.0, 0.0, 100))
    expected, *_ = np.histogram2d(y, x, bins=100, range=((0, 10), (0, 10)))
    assert np.array_equal(counts, expected)
    part = dots._counts((20.0, -100.0, 40), (20.0, -100.0, 40))
    expected, *_ = np.histogram2d(y, x, bins=40, range=((5, 7), (5, 7)))
    assert np.array_equal(part, expected)


def test_that_density_grows_darker_and_nothing_is_clear():
    pixels = density_pixels(np.array([[0, 1, 10, 1000]]), QColor("#0072B2"))
    alpha = (pixels >> 24)[0]
    assert alpha[0] == 0
    assert pixels[0, 0] == 0
    assert 60 < alpha[1] < alpha[2] < alpha[3] <= 255
    assert density_pixels(np.zeros((2, 3), int), QColor("#0072B2")).sum() == 0


def test_that_a_long_even_curve_is_thinned_by_its_peaks(view, qtbot):
    x = np.linspace(0, 10, 200_000)
    y = np.full(x.size, 5.0)
    y[123_456] = 9.0
    view.show_figure(figure_of(Curve("loss", x, y)))
    seen(view, qtbot)
    item = view._panels[0]._layers[0]._items[0]
    drawn_x, drawn_y = item.curve.getData()
    assert len(drawn_x) < 20_000
    assert drawn_y.max() == 9.0
    assert len(item.getOriginalDataset()[0]) == 200_000


@pytest.mark.parametrize("turns", [1, 3])
def test_that_a_closed_or_uneven_curve_is_drawn_as_it_is(view, qtbot, turns):
    angle = np.linspace(0, 2 * np.pi * turns, 5000)
    view.show_figure(figure_of(Curve("ellipse", 5 + 3 * np.cos(angle), 5 + np.sin(angle))))
    seen(view, qtbot)
    assert len(view._panels[0]._layers[0]._items[0].curve.getData()[0]) == 5000
