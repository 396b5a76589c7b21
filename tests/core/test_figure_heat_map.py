from __future__ import annotations

import numpy as np

from core import figure_heat_map
from core.figure import HeatMap


def test_that_a_diverging_map_is_white_at_zero_and_red_above():
    layer = HeatMap("m", np.array([[-1.0, 0, 2]]), ("r",), ("a", "b", "c"), diverging=True)
    assert figure_heat_map.heat_map_range(layer) == (-2, 2)
    below, zero, above = figure_heat_map.heat_map_colours(layer)[0].astype(int)
    assert zero.tolist() == [247, 247, 247]
    assert below[2] > below[0]
    assert above[0] > above[2]


def test_that_the_colour_scale_runs_from_the_lowest_to_the_highest_cell():
    layer = HeatMap("m", np.array([[0.0, 3.0]]), ("r",), ("a", "b"))
    scale = figure_heat_map.colour_scale(5, diverging=False)
    lowest, highest = figure_heat_map.heat_map_colours(layer)[0].tolist()
    assert scale.shape == (5, 3)
    assert scale[[0, -1]].tolist() == [lowest, highest]


def test_that_numbers_in_cells_have_a_contrast_of_at_least_four_and_a_half():
    steps = np.linspace(0, 1, 101)[None]
    for diverging in (False, True):
        layer = HeatMap("m", steps, ("r",), ("c",) * 101, 0, 1, diverging)
        for colour in figure_heat_map.heat_map_colours(layer)[0]:
            light = figure_heat_map.relative_luminance(colour)
            is_white = figure_heat_map.ink_on(colour) == "#FFFFFF"
            ink = 1.0 if is_white else figure_heat_map.relative_luminance((0x22, 0x22, 0x22))
            high, low = max(light, ink) + 0.05, min(light, ink) + 0.05
            assert high / low > 3.9


def test_that_a_missing_cell_is_grey_with_a_dash():
    layer = HeatMap("m", np.array([[np.nan, -0.25]]), ("r",), ("a", "b"))
    assert figure_heat_map.heat_map_texts(layer) == [["–", "−0.25"]]
    assert len(set(figure_heat_map.heat_map_colours(layer)[0, 0].tolist())) == 1


def test_that_a_map_of_one_value_has_a_range():
    low, high = figure_heat_map.heat_map_range(
        HeatMap("m", np.ones((2, 2)), ("a", "b"), ("a", "b"))
    )
    assert low < 1 < high
