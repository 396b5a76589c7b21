from __future__ import annotations

import csv
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image as Picture

from core import figure_file
from core.errors import MriFclError, SettingsError
from core.figure import (
    BLUE,
    Axis,
    Band,
    Bars,
    Curve,
    Figure,
    HeatMap,
    Image,
    Panel,
    Scatter,
    Table,
)
from core.progress import Progress, run_to_end

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


def drawn(figure, *, width_mm=90, dpi=100):
    data = figure_file.figure_png_bytes(figure, width_mm=width_mm, dpi=dpi)
    return np.asarray(Picture.open(io.BytesIO(data)).convert("RGB")).astype(int)


def laid_out(figure, *, width_mm=180):
    """Return the matplotlib figure and the extents of its texts in pixels."""
    with figure_file._matplotlib_settings():
        drawing = figure_file._draw(figure, width_mm=width_mm)
        drawing.canvas.draw()
        renderer = drawing.canvas.get_renderer()
        unseen = _unseen_tick_labels(drawing)
        texts = [
            (text.get_text(), text.get_window_extent(renderer))
            for text in drawing.findobj(Text)
            if text.get_text().strip() and text.get_visible() and text not in unseen
        ]
    return drawing, texts


def _unseen_tick_labels(drawing):
    """Return the labels of ticks beyond the limits, which matplotlib keeps and does not draw."""
    every, seen = set(), set()
    for axes in drawing.findobj(lambda artist: hasattr(artist, "get_xlim")):
        for axis in (axes.xaxis, axes.yaxis):
            every |= {label for tick in axis.majorTicks for label in (tick.label1, tick.label2)}
            drawn_ticks = axis._update_ticks()
            seen |= {label for tick in drawn_ticks for label in (tick.label1, tick.label2)}
    return every - seen


def test_that_importing_the_module_does_not_load_matplotlib():
    code = "import sys, core.figure_file; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_that_pyplot_is_never_loaded():
    figure_file.figure_png_bytes(fcl_figure(), width_mm=90, dpi=50)
    assert "matplotlib.pyplot" not in sys.modules


def test_that_the_three_files_carry_the_name_of_the_figure(tmp_path):
    paths = figure_file.write_figure(fcl_figure(), tmp_path / "new", dpi=60)
    assert [path.name for path in paths] == [
        "fcl_weights.png",
        "fcl_weights.svg",
        "fcl_weights.csv",
    ]
    assert all(path.stat().st_size for path in paths)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in paths
    )


def test_that_the_png_has_the_asked_width_and_resolution():
    data = figure_file.figure_png_bytes(fcl_figure(), width_mm=127, dpi=200)
    picture = Picture.open(io.BytesIO(data))
    assert picture.width == 1000
    assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def test_that_png_and_svg_are_the_same_bytes_each_time(tmp_path):
    for folder in ("a", "b"):
        figure_file.write_figure(fcl_figure(), tmp_path / folder, dpi=60)
    for name in ("fcl_weights.png", "fcl_weights.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_that_no_file_says_when_or_by_what_it_was_made(tmp_path):
    png, svg = figure_file.write_figure(fcl_figure(), tmp_path, formats=("png", "svg"), dpi=60)
    assert set(Picture.open(png).info) <= {"dpi"}
    text = svg.read_text("utf-8")
    assert "<dc:date>" not in text
    assert "<dc:creator>" not in text
    assert "matplotlib.org" not in re.sub(r"(?s)<!DOCTYPE.*?>", "", text)


def test_that_svg_markers_and_csv_rows_are_equal_in_number(tmp_path):
    _, svg, table = figure_file.write_figure(fcl_figure(n=57), tmp_path, dpi=60)
    group = re.search(r'(?s)<g id="scatter-1-2">(.*?)\n   </g>', svg.read_text("utf-8"))
    assert group is not None
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "scatter"]
    assert group[1].count("<use ") == len(rows) == 57


def test_that_a_marker_is_drawn_at_its_place():
    place = (0.3, 0.8)
    point = Scatter("p", np.array([place[0]]), np.array([place[1]]), BLUE, size=4, opacity=1)
    limits = Axis("x", low=0, high=1), Axis("y", low=0, high=1)
    figure = one_panel(point, x=limits[0], y=limits[1], title="p")
    drawing, _ = laid_out(figure, width_mm=100)
    box = drawing.axes[0].get_position()
    pixels = drawn(figure, width_mm=100, dpi=200)
    height, width = pixels.shape[:2]
    is_blue = np.abs(pixels - (0x00, 0x72, 0xB2)).sum(axis=2) < 30
    row, column = (float(values.mean()) for values in np.nonzero(is_blue))
    assert column + 0.5 == pytest.approx((box.x0 + place[0] * box.width) * width, abs=1)
    assert row + 0.5 == pytest.approx((1 - box.y0 - place[1] * box.height) * height, abs=1)


def test_that_the_ground_is_white():
    pixels = drawn(fcl_figure())
    assert (pixels[0] == 255).all()
    assert (pixels[:, 0] == 255).all()


def test_that_the_warning_is_red():
    def red(figure):
        pixels = drawn(figure)
        return ((pixels[..., 0] > 150) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60)).sum()

    assert red(fcl_figure()) == 0
    assert red(fcl_figure(warning="Split by slice")) > 50


def test_that_research_use_only_is_printed_on_every_export(tmp_path):
    figure_file.write_svg(fcl_figure(), tmp_path / "f.svg")
    assert "Research use only, not a medical device" in (tmp_path / "f.svg").read_text("utf-8")


LONG = Figure(
    "long_words",
    "A very long title that goes on and on, about weights of the final fully connected layer " * 2,
    tuple(fcl_panel(title=f"Pair {k}, with a title that is too long") for k in range(3)),
    columns=3,
    caption="A caption of many words that must be wrapped below the panels. " * 5,
    warning="Split by slice: slices of a subject are on both sides of the split. " * 3,
)
NAMES = tuple(f"{net}, {way}" for net in ("ResNet-101", "VGG-19") for way in ("frozen", "scratch"))
BARS = one_panel(
    Bars("Ours", np.arange(4) - 0.2, np.full(4, 0.9), width=0.4),
    Bars("Paper", np.arange(4) + 0.2, np.full(4, 0.97), width=0.4),
    x=Axis("Run", categories=NAMES),
    y=Axis("Accuracy", "fraction", low=0, high=1),
)
HEAT = one_panel(
    HeatMap("r", np.array([[1, -0.5], [np.nan, 1]]), ("AD", "NC"), ("AD", "NC"), diverging=True),
    x=Axis("Class"),
    y=Axis("Class"),
    equal_aspect=True,
)


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("figure", [fcl_figure(caption="c", warning="w"), LONG, BARS, HEAT])
def test_that_no_text_is_cut_off(figure, width_mm):
    drawing, texts = laid_out(figure, width_mm=width_mm)
    for text, box in texts:
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < drawing.bbox.width + 1, text
        assert box.y1 < drawing.bbox.height + 1, text


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("figure", [fcl_figure(caption="c", warning="w"), LONG, HEAT])
def test_that_no_two_texts_overlap(figure, width_mm):
    _, texts = laid_out(figure, width_mm=width_mm)
    for number, (text, box) in enumerate(texts):
        for other, other_box in texts[:number]:
            wide = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
            high = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
            assert wide < 3 or high < 3, (text, other)


def test_that_equal_aspect_gives_both_axes_the_same_scale():
    drawing, _ = laid_out(fcl_figure())
    axes = drawing.axes[0]
    box = axes.get_window_extent()
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert box.width / (x1 - x0) == pytest.approx(box.height / (y1 - y0), rel=1e-3)
    assert box.width == pytest.approx(box.height, rel=1e-3)


def test_that_row_zero_of_a_heat_map_is_at_the_top():
    figure = one_panel(
        HeatMap("m", np.array([[0.0], [1.0]]), ("top", "bottom"), ("c",), format=""),
        equal_aspect=False,
    )
    drawing, _ = laid_out(figure, width_mm=90)
    box = drawing.axes[0].get_position()
    pixels = drawn(figure)
    height, width = pixels.shape[:2]
    column = int((box.x0 + 0.1 * box.width) * width)
    top = pixels[int((1 - box.y1 + 0.1 * box.height) * height), column]
    bottom = pixels[int((1 - box.y0 - 0.1 * box.height) * height), column]
    assert top.tolist() == [0x44, 0x01, 0x54]
    assert bottom.tolist() == [0xFD, 0xE7, 0x25]


def test_that_a_diverging_map_is_white_at_zero_and_red_above():
    layer = HeatMap("m", np.array([[-1.0, 0, 2]]), ("r",), ("a", "b", "c"), diverging=True)
    assert figure_file.heat_map_range(layer) == (-2, 2)
    below, zero, above = figure_file.heat_map_colours(layer)[0].astype(int)
    assert zero.tolist() == [247, 247, 247]
    assert below[2] > below[0]
    assert above[0] > above[2]


def test_that_numbers_in_cells_have_a_contrast_of_at_least_four_and_a_half():
    steps = np.linspace(0, 1, 101)[None]
    for diverging in (False, True):
        layer = HeatMap("m", steps, ("r",), ("c",) * 101, 0, 1, diverging)
        for colour in figure_file.heat_map_colours(layer)[0]:
            light = figure_file.relative_luminance(colour)
            is_white = figure_file.ink_on(colour) == "#FFFFFF"
            ink = 1.0 if is_white else figure_file.relative_luminance((0x22, 0x22, 0x22))
            high, low = max(light, ink) + 0.05, min(light, ink) + 0.05
            assert high / low > 3.9


def test_that_a_missing_cell_is_grey_with_a_dash():
    layer = HeatMap("m", np.array([[np.nan, -0.25]]), ("r",), ("a", "b"))
    assert figure_file.heat_map_texts(layer) == [["–", "−0.25"]]
    assert len(set(figure_file.heat_map_colours(layer)[0, 0].tolist())) == 1


def test_that_a_map_of_one_value_has_a_range():
    low, high = figure_file.heat_map_range(HeatMap("m", np.ones((2, 2)), ("a", "b"), ("a", "b")))
    assert low < 1 < high


def test_that_limits_hold_all_finite_data_and_a_margin():
    panel = Panel(
        Axis("x"), Axis("y", low=0), (Scatter("s", np.array([1, 3, np.nan]), np.array([2, 4, 9])),)
    )
    (x_low, x_high), (y_low, y_high) = figure_file.panel_limits(panel)
    assert x_low < 1 < 3 < x_high
    assert y_low == 0
    assert y_high > 9


@pytest.mark.parametrize(
    "layer",
    [
        Scatter("s", np.zeros(0), np.zeros(0)),
        Scatter("s", np.full(3, np.nan), np.full(3, np.nan)),
        Scatter("s", np.array([np.inf, 0]), np.array([1, np.nan])),
        Scatter("s", np.ones(1), np.ones(1)),
        Curve("c", np.zeros(0), np.zeros(0)),
        Curve("c", np.arange(3), np.array([np.nan, 1, np.nan])),
        Band("b", np.zeros(0), np.zeros(0), np.zeros(0)),
        Bars("h", np.zeros(0), np.zeros(0)),
        Bars("h", np.arange(2), np.array([-1.0, 0.0])),
        HeatMap("m", np.full((2, 2), np.nan), ("a", "b"), ("a", "b")),
        Image("i", np.zeros((4, 5))),
    ],
)
def test_that_empty_and_missing_values_are_drawn(layer, tmp_path):
    paths = figure_file.write_figure(one_panel(layer), tmp_path, width_mm=60, dpi=50)
    assert all(path.stat().st_size for path in paths)


def test_that_a_figure_without_panels_is_drawn():
    assert figure_file.figure_png_bytes(Figure("none", "None", ()), dpi=40)


def test_that_dollar_signs_are_printed_as_they_are():
    assert drawn(one_panel(Curve("$a_b$ {\\x}", np.arange(2), np.arange(2)), title="$\\frac$")).size


def test_that_boxes_are_placed_where_nothing_is_drawn():
    line = np.linspace(0, 1, 50)
    panel = Panel(Axis("x"), Axis("y"), (Curve("c", line, 1 - line),))
    (first, second) = figure_file.choose_places(panel, [(0.3, 0.2), (0.3, 0.2)])
    corners = {(round(x, 2) > 0.5, round(y, 2) > 0.5) for x, y, _ in (first, second)}
    assert corners == {(True, True), (False, False)}


def test_that_a_box_that_would_hide_the_data_goes_below_the_panel():
    drawing, texts = laid_out(LONG, width_mm=180)
    boxes = [box for text, box in texts if text.startswith("Quadratic: y")]
    assert len(boxes) == 3
    assert all(box.y1 < axes.bbox.y0 for box, axes in zip(boxes, drawing.axes, strict=True))


def test_that_panels_with_the_same_legend_share_one_that_would_hide_data():
    everywhere = np.random.default_rng(0).uniform(size=(2, 400))
    panel = Panel(
        Axis("x"),
        Axis("y"),
        (Scatter("Training", *everywhere), Scatter("Validation", *everywhere[::-1])),
    )
    figure = Figure("f", "F", (panel, panel), columns=2)
    drawing, _ = laid_out(figure, width_mm=180)
    assert len(drawing.legends) == 1
    assert all(axes.get_legend() is None for axes in drawing.axes)


def test_that_a_single_layer_named_as_the_axis_needs_no_legend():
    panel = one_panel(Curve("y", np.arange(2), np.arange(2))).panels[0]
    assert figure_file.legend_layers(panel) == []


@pytest.mark.parametrize("suffix", ["png", "svg", "csv", "PNG"])
def test_that_saving_follows_the_ending_and_reports_progress(suffix, tmp_path):
    path = tmp_path / f"picture.{suffix}"
    operation = figure_file.save_figure(fcl_figure(), path, dpi=50)
    assert next(operation) == Progress(f"Saving picture.{suffix}", 0, 1)
    assert run_to_end(operation) == path
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "csv": b"panel,"}
    assert path.read_bytes().startswith(starts[suffix.lower()])


def test_that_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(SettingsError, match=r"'a.gif' .* \.png, \.svg, \.csv"):
        run_to_end(figure_file.save_figure(fcl_figure(), tmp_path / "a.gif"))
    with pytest.raises(SettingsError, match="pdf"):
        figure_file.write_figure(fcl_figure(), tmp_path, formats=("png", "pdf"))
    assert not list(tmp_path.iterdir())


def test_that_a_folder_that_cannot_be_written_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MriFclError, match=r"Cannot write 'a.csv': .* Choose another folder"):
        run_to_end(figure_file.save_figure(fcl_figure(), tmp_path / "file" / "a.csv"))


def test_that_a_table_is_saved_as_csv_only(tmp_path):
    table = Table("t", "T", ("a",), ((1,),))
    assert run_to_end(figure_file.save_table(table, tmp_path / "t.csv")).read_text() == "a\n1\n"
    with pytest.raises(SettingsError, match=r"\.csv"):
        run_to_end(figure_file.save_table(table, tmp_path / "t.png"))


def test_that_a_picture_for_the_clipboard_is_a_png():
    assert run_to_end(figure_file.draw_png(fcl_figure(), dpi=40)).startswith(b"\x89PNG")
