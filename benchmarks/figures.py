"""Time of figures on screen: the FCL scatter, clouds of 50,000 dots, a million dots.

Each time ends when the figure is painted in the window's memory. Run it with::

    python -m benchmarks.figures

It ends with 1 where a limit is missed. Limits are held against the least processor's time of
this process over the repetitions, as other programs only add to it; the median of the wall
time stands beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PySide6.QtWidgets import QApplication

from core.analysis.fc_rows import CURVE_POINTS, FIT_LOOKS, feature_ids
from core.analysis.fitting import fit_series
from core.colours import BLUE, SKY, VERMILLION
from core.figure import Axis, Band, Curve, Figure, Layer, Panel, Scatter
from mrifcl_gui.figure_view import FigureView

SIZE = (900, 640)
LIMITS_MS = {
    "scatter of 4096, four fits, bands: set up": 50.0,
    "scatter of 4096, four fits, bands: new epoch": 16.0,
    "cloud of 50,000: one step of panning": 16.0,
    "cloud of 1,000,000: set data and paint": 40.0,
    "cloud of 1,000,000: one step of panning": 40.0,
}


def scatter_figure(seed: int) -> Figure:
    """Return a scatter as of a run's FCL, one of 4096 features."""
    random = np.random.default_rng(seed)
    x = 0.02 * random.normal(size=4096)
    y = -0.9 * x + 0.004 * random.normal(size=4096)
    series, line = fit_series(x, y), np.linspace(x.min(), x.max(), CURVE_POINTS)
    layers: list[Layer] = [Scatter("weights", x, y, SKY, size=4.0, ids=feature_ids(len(x)))]
    for degree, (colour, style) in FIT_LOOKS.items():
        fit = series.of(degree)
        for kind, opacity in (("prediction", 0.05), ("confidence", 0.25)):
            edges = fit.band(line, kind=kind)
            layers.append(Band(f"{fit.name} {kind}", line, *edges, colour, opacity, False))
        layers.append(Curve(fit.name, line, fit.predict(line), colour, style))
    text = "\n".join(series.of(degree).equation() for degree in FIT_LOOKS)
    panel = Panel(Axis("FCL weight, AD"), Axis("FCL weight, NC"), tuple(layers), text=text)
    return Figure("scatter", "FCL weights (4096*2)", (panel,), caption="A scatter.")


def cloud_figure(count: int, seed: int) -> Figure:
    """Return a cloud of two classes with ``count`` dots in all."""
    random = np.random.default_rng(seed)
    layers = tuple(
        Scatter(name, *random.normal(k, 1, (2, count // 2)), colour)
        for k, (name, colour) in enumerate((("AD", VERMILLION), ("NC", BLUE)))
    )
    return Figure("cloud", "Cloud", (Panel(Axis("AD"), Axis("NC"), layers),))


class Screen:
    """A figure view that paints into memory when told."""

    def __init__(self) -> None:
        self.view = FigureView()
        self.view.resize(*SIZE)
        self.view.show()
        self.settle()

    def settle(self) -> None:
        """Let timers and layouts come to rest."""
        end = time.monotonic() + 0.15
        while time.monotonic() < end:
            QApplication.processEvents()

    def paint(self) -> None:
        """Work off what waits; that paints what has changed, once."""
        QApplication.processEvents()


def timed(step: Callable[[int], None], count: int) -> tuple[float, float]:
    """Return the least processor's time and the median wall time of ``step`` (ms)."""
    times = []
    for number in range(count):
        wall, processor = time.perf_counter(), time.process_time()
        step(number)
        times.append((time.process_time() - processor, time.perf_counter() - wall))
    return summary(times)


def summary(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the least processor's time and the median wall time, of seconds in ms."""
    processor, wall = 1000 * np.array(times).T
    return float(processor.min()), float(np.median(wall))


def measure(count: int) -> dict[str, tuple[float, float]]:
    """Return the times of each case."""
    screen = Screen()
    view = screen.view
    scatters = [scatter_figure(seed) for seed in range(3)]
    empty = cloud_figure(10, 0)
    found: dict[str, tuple[float, float]] = {}
    times = []
    for _ in range(count):
        view.show_figure(empty)
        screen.settle()
        processor, wall = timed(lambda n: (view.show_figure(scatters[n % 3]), screen.paint()), 1)
        times.append((processor / 1000, wall / 1000))
        screen.settle()
    names = iter(LIMITS_MS)
    found[next(names)] = summary(times)
    found[next(names)] = timed(
        lambda n: (view.show_figure(scatters[n % 3]), screen.paint()), 3 * count
    )

    def pan(number: int) -> None:
        box = view._panels[0].plot.vb  # noqa: SLF001
        box.translateBy(x=0.02 if number % 2 else -0.02, y=0.01)
        screen.paint()

    view.show_figure(cloud_figure(50_000, 0))
    screen.settle()
    found[next(names)] = timed(pan, 3 * count)
    clouds = [cloud_figure(1_000_000, seed) for seed in range(2)]
    view.show_figure(clouds[0])
    screen.settle()
    found[next(names)] = timed(lambda n: (view.show_figure(clouds[n % 2]), screen.paint()), count)
    screen.settle()
    found[next(names)] = timed(pan, count)
    view.close()
    return found


def main() -> int:
    """Print the times beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10, help="repetitions of each case")
    arguments = parser.parse_args()
    application = QApplication.instance() or QApplication([])
    found = measure(arguments.count)
    for name, (processor, wall) in found.items():
        said = "" if processor <= LIMITS_MS[name] else "   TOO SLOW"
        print(f"{name:46} {processor:7.1f} ms (wall {wall:7.1f}), limit {LIMITS_MS[name]:g}{said}")
    del application
    return int(any(processor > LIMITS_MS[name] for name, (processor, _) in found.items()))


if __name__ == "__main__":
    sys.exit(main())
