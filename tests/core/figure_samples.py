"""Figures that several tests draw."""

from __future__ import annotations

import numpy as np

from core.figure import Axis, Band, Curve, Figure, Panel, Scatter

EQUATIONS = (
    "Quadratic: y = -0.00022*z^2 - 0.105*z + 0.00042\n"
    "4th degree: y = -0.000125*z^4 + 0.000412*z^3 + 0.000671*z^2 - 0.107*z - 3.51e-05\n"
    "where z = (x - 0.000927)/0.113"
)


def fcl_panel(n=60, *, title=""):
    rng = np.random.default_rng(3)
    learned, kept = rng.normal(0, 0.1, n), rng.normal(0, 0.02, n)
    line = np.linspace(-0.3, 0.3, 30)
    layers = (
        Band("Null", line, -line - 0.03, -line + 0.03),
        Scatter("Weights", learned + kept, kept - learned, size=3),
        Curve("Quadratic", line, -0.9 * line, style="dashed"),
    )
    x, y = Axis("FCL weight, AD"), Axis("FCL weight, NC")
    return Panel(x, y, layers, text=EQUATIONS, equal_aspect=True, title=title)


def fcl_figure(n=60, **options):
    return Figure("fcl_weights", "FCL weights (60*2) plot", (fcl_panel(n),), **options)


def one_panel(*layers, x=None, y=None, **options):
    panel = Panel(x or Axis("x"), y or Axis("y"), layers, **options)
    return Figure("sample", "Sample", (panel,))
