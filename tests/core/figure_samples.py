"""Figures that several tests draw."""

from __future__ import annotations

import itertools

import numpy as np

from core.analysis.fc_rows import FIT_LOOKS
from core.analysis.fitting import centring_text, fit_series
from core.figure import Axis, Band, Curve, Figure, Panel, Scatter

NAMES = ("AD", "MCI", "NC")
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


def pairs_figure(classes=3, *, n=4096, spread=0.004):
    """Return the weights of every pair of classes with four fits, as a trained run has them."""
    random = np.random.default_rng(1)
    base = 0.02 * random.normal(size=n)
    panels = []
    for i, j in itertools.combinations(range(classes), 2):
        x = base + 0.0002 * random.normal(size=n)
        y = -0.9 * x + spread * random.normal(size=n)
        series, line = fit_series(x, y), np.linspace(x.min(), x.max(), 50)
        layers = [Scatter("weights", x, y, size=4.0)]
        for degree, (colour, style) in FIT_LOOKS.items():
            fit = series.of(degree)
            layers.append(Curve(fit.name, line, fit.predict(line), colour, style))
        words = [series.of(degree).equation() for degree in FIT_LOOKS]
        text = "\n".join([*words, centring_text(series.of(1).centre, series.of(1).scale)])
        axes = Axis(f"FCL weight, {NAMES[i]}"), Axis(f"FCL weight, {NAMES[j]}")
        panels.append(Panel(*axes, tuple(layers), f"{NAMES[i]} and {NAMES[j]}", text))
    return Figure("pairs", "FCL weights", tuple(panels), columns=min(3, len(panels)))


def crowded_figure(n=4096):
    """Return a panel without a free corner, with equations and a legend of several names."""
    random = np.random.default_rng(2)
    x, y = random.uniform(-1, 1, size=(2, n))
    line = np.linspace(-1, 1, 30)
    fits = [Curve(f"fit of degree {k}", line, line**k, style="dashed") for k in (1, 2, 3)]
    layers = (Scatter("weights", x, y, size=3.0), *fits)
    panel = Panel(Axis("x"), Axis("y"), layers, text=EQUATIONS)
    return Figure("crowded", "Crowded", (panel,))


def one_panel(*layers, x=None, y=None, **options):
    panel = Panel(x or Axis("x"), y or Axis("y"), layers, **options)
    return Figure("sample", "Sample", (panel,))
