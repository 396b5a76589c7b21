from __future__ import annotations

import numpy as np

from core.figure import Axis, Curve, Panel, Scatter
from core.figure_geometry import choose_places, legend_layers, panel_limits


def test_that_limits_hold_all_finite_data_and_a_margin():
    panel = Panel(
        Axis("x"), Axis("y", low=0), (Scatter("s", np.array([1, 3, np.nan]), np.array([2, 4, 9])),)
    )
    (x_low, x_high), (y_low, y_high) = panel_limits(panel)
    assert x_low < 1 < 3 < x_high
    assert y_low == 0
    assert y_high > 9


def test_that_an_equal_aspect_widens_the_shorter_axis_about_its_middle():
    points = Scatter("s", np.array([0.0, 10.0]), np.array([4.0, 6.0]))
    panel = Panel(Axis("x"), Axis("y"), (points,), equal_aspect=True)
    assert np.allclose(panel_limits(panel), [(-0.5, 10.5), (-0.5, 10.5)])


def test_that_limits_that_are_given_are_kept_with_an_equal_aspect():
    points = Scatter("s", np.array([0.0, 10.0]), np.array([4.0, 6.0]))
    panel = Panel(Axis("x"), Axis("y", low=4, high=6), (points,), equal_aspect=True)
    assert panel_limits(panel)[1] == (4, 6)


def test_that_boxes_are_placed_where_nothing_is_drawn():
    line = np.linspace(0, 1, 50)
    panel = Panel(Axis("x"), Axis("y"), (Curve("c", line, 1 - line),))
    (first, second) = choose_places(panel, [(0.3, 0.2), (0.3, 0.2)])
    corners = {(round(x, 2) > 0.5, round(y, 2) > 0.5) for x, y, _ in (first, second)}
    assert corners == {(True, True), (False, False)}


def test_that_a_single_layer_named_as_the_axis_needs_no_legend():
    panel = Panel(Axis("x"), Axis("y"), (Curve("y", np.arange(2), np.arange(2)),))
    assert legend_layers(panel) == []
