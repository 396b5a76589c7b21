"""The colours that figures and the window share: names and numbers only, so quick to load."""

from __future__ import annotations

# Okabe & Ito (2008): told apart with any colour vision.
BLUE, VERMILLION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
GREEN, SKY, PURPLE, GREY, BLACK = "#009E73", "#56B4E9", "#CC79A7", "#777777", "#222222"

# Presets for classes: colours told apart with any colour vision, and those of the paper's figures.
CLASS_COLOURS = ("okabe-ito", "paper")

# The ground of a good and of a bad verdict; white letters have a contrast above 7 to 1 on them.
GOOD_GROUND, BAD_GROUND, ON_GROUND = "#00573F", "#8A3300", "#ffffff"
