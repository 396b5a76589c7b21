from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QPalette

from core.colours import BLUE, GREY
from mrifcl_gui import figure_colours


def palette_of(ground, ink):
    palette = QPalette()
    for role in (QPalette.ColorRole.Base, QPalette.ColorRole.Window):
        palette.setColor(role, QColor(ground))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText):
        palette.setColor(role, QColor(ink))
    return palette


@pytest.mark.parametrize("colour", ["#222222", "#0000FF", BLUE, GREY, "#E69F00"])
def test_that_marks_stand_off_a_dark_ground(colour):
    colours = figure_colours.Colours(palette_of("#1e1e1e", "#eeeeee"))
    seen = figure_colours.mixed(colours.ground, colours.mark(colour), 1.0)
    assert figure_colours.contrast(seen, colours.ground) >= 3


def test_that_light_grounds_keep_the_colours_of_the_classes():
    colours = figure_colours.Colours(palette_of("#ffffff", "#000000"))
    assert colours.mark("#D55E00").name().upper() == "#D55E00"
