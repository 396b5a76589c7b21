"""PNG, SVG and CSV of a figure say the same: the numbers are read back from each."""

from __future__ import annotations

import csv
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from core import figure_file
from core.analysis.weights import fcl_scatter
from core.figure import Band, Curve, Scatter
from core.figure_drawing import draw_figure, matplotlib_settings
from core.figure_geometry import panel_limits

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figure(tmp_path_factory):
    from tests.core.analysis.conftest import RunBuilder

    run = RunBuilder(tmp_path_factory.mktemp("agree"))(n_features=96)
    return fcl_scatter(run, degrees=(1, 2, 3, 4), bands=("confidence", "prediction"))


@pytest.fixture(scope="module")
def contents(figure):
    png, svg, table = figure_file.figure_contents(figure, ("png", "svg", "csv"), dpi=100)
    return png, ElementTree.fromstring(svg), list(csv.DictReader(io.StringIO(table.decode())))


@pytest.fixture(scope="module")
def to_data(figure):
    """Return what turns points of the SVG (1/72 inch from the upper left) into numbers."""
    with matplotlib_settings():
        drawing = draw_figure(figure, width_mm=180)
        box, height = drawing.axes[0].get_position(), drawing.get_figheight() * 72
        width = drawing.get_figwidth() * 72
    (x0, x1), (y0, y1) = panel_limits(figure.panels[0])

    def turn(points):
        across = (points[:, 0] / width - box.x0) / box.width
        up = (1 - points[:, 1] / height - box.y0) / box.height
        return np.stack([x0 + across * (x1 - x0), y0 + up * (y1 - y0)], axis=1)

    return turn, ((x1 - x0) / (box.width * width), (y1 - y0) / (box.height * height))


def group(svg, gid):
    (found,) = [item for item in svg.iter(f"{SVG}g") if item.get("id") == gid]
    return found


def path_points(item):
    numbers = re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", item.find(f".//{SVG}path").get("d"))
    # An area is drawn from its definition, at a place of its own.
    use = item.find(f".//{SVG}use")
    place = (0.0, 0.0) if use is None else (float(use.get("x")), float(use.get("y")))
    return np.array(numbers, dtype=float) + place


def of_layer(rows, layer):
    kind = type(layer).__name__.lower()
    return [row for row in rows if (row["layer"], row["kind"]) == (layer.name, kind)]


def layers_of(figure, kind):
    return [
        (f"{kind.__name__.lower()}-1-{number}", layer)
        for number, layer in enumerate(figure.panels[0].layers, start=1)
        if isinstance(layer, kind)
    ]


def test_that_the_csv_has_the_exact_numbers_of_every_layer(figure, contents):
    for layer in figure.panels[0].layers:
        rows = of_layer(contents[2], layer)
        assert [float(row["x"]) for row in rows] == layer.x.tolist()
        if isinstance(layer, Band):
            assert [float(row["low"]) for row in rows] == layer.low.tolist()
            assert [float(row["high"]) for row in rows] == layer.high.tolist()
        else:
            assert [float(row["y"]) for row in rows] == layer.y.tolist()


def test_that_the_dots_of_the_svg_are_the_weights_of_the_csv(figure, contents, to_data):
    turn, (wide, high) = to_data
    ((gid, layer),) = layers_of(figure, Scatter)
    uses = group(contents[1], gid).iter(f"{SVG}use")
    dots = turn(np.array([[float(use.get("x")), float(use.get("y"))] for use in uses]))
    rows = of_layer(contents[2], layer)
    table = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    # To a hundredth of a point on paper.
    assert len(dots) == len(table) == 96
    assert np.abs(dots - table).max(axis=0) == pytest.approx((0, 0), abs=0.01 * max(wide, high))
    assert [row["id"] for row in rows][:2] == ["feature 0", "feature 1"]


def test_that_the_fits_of_the_svg_are_those_of_the_csv_and_of_the_printed_equations(
    figure, contents, to_data
):
    turn, (wide, high) = to_data
    said = figure.panels[0].text
    centre, scale = re.search(r"where z = \(x ([-+] [\d.e-]+)\)/([\d.e-]+)", said).groups()
    names = []
    for gid, layer in layers_of(figure, Curve):
        line = turn(path_points(group(contents[1], gid)))
        table = np.array([[float(r["x"]), float(r["y"])] for r in of_layer(contents[2], layer)])
        # matplotlib leaves out points on a straight line.
        drawn = np.interp(table[:, 0], line[:, 0], line[:, 1])
        assert np.abs(drawn - table[:, 1]).max() < 0.2 * max(wide, high)
        equation = re.search(rf"^{layer.name}: y = (.*)$", said, re.MULTILINE)
        if equation:
            names.append(layer.name)
            z = (table[:, 0] + float(centre.replace(" ", ""))) / float(scale)
            python = equation[1].replace("^", "**")
            printed = eval(python, {"z": z})
            # Three digits a coefficient.
            assert np.abs(printed - table[:, 1]).max() < 0.02 * np.ptp(table[:, 1])
    assert names == ["Linear", "Quadratic", "Cubic", "4th degree"]


def test_that_the_bands_of_the_svg_are_those_of_the_csv(figure, contents, to_data):
    turn, (wide, high) = to_data
    bands = layers_of(figure, Band)
    assert len(bands) == 9
    for gid, layer in bands:
        area = turn(path_points(group(contents[1], gid)))
        rows = of_layer(contents[2], layer)
        low, top = (np.array([float(row[name]) for row in rows]) for name in ("low", "high"))
        reach = max(wide, high)
        # What lies outside of the axes is cut by the viewer, not by the file.
        assert area[:, 1].min() == pytest.approx(low.min(), abs=0.05 * reach)
        assert area[:, 1].max() == pytest.approx(top.max(), abs=0.05 * reach)


def test_that_the_png_is_the_picture_of_the_svg(figure, contents):
    png = Image.open(io.BytesIO(contents[0]))
    width, height = (
        float(contents[1].get(side).removesuffix("pt")) for side in ("width", "height")
    )
    assert png.width == pytest.approx(width / 72 * 100, abs=1)
    assert png.height == pytest.approx(height / 72 * 100, abs=1)
    # Each dot of the SVG has ink at its place in the PNG.
    pixels = np.asarray(png.convert("RGB")).astype(int)
    ((gid, _),) = layers_of(figure, Scatter)
    for use in group(contents[1], gid).iter(f"{SVG}use"):
        column, row = (round(float(use.get(name)) / 72 * 100 - 0.5) for name in ("x", "y"))
        assert pixels[row, column].min() < 230
