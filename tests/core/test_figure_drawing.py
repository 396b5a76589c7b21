from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image as Picture

from core import figure_file
from core.colours import BLUE
from core.figure import Axis, Badge, Bars, Curve, Figure, HeatMap, Panel, Scatter
from core.figure_drawing import draw_figure, matplotlib_settings
from core.figure_geometry import HIDDEN_AT_MOST
from core.figure_heat_map import relative_luminance
from tests.core.figure_samples import (
    crowded_figure,
    fcl_figure,
    fcl_panel,
    one_panel,
    pairs_figure,
)


def drawn(figure, *, width_mm=90, dpi=100):
    data = figure_file.figure_png_bytes(figure, width_mm=width_mm, dpi=dpi)
    return np.asarray(Picture.open(io.BytesIO(data)).convert("RGB")).astype(int)


def laid_out(figure, *, width_mm=180):
    """Return the matplotlib figure and the extents of its texts in pixels."""
    with matplotlib_settings():
        drawing = draw_figure(figure, width_mm=width_mm)
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


def test_that_badges_are_printed_with_sign_words_and_colour():
    _, texts = laid_out(BADGES)
    said = [text for text, _ in texts]
    assert "✓ Sum of the rows conserved" in said
    assert "✗ Not so" in said
    pixels = drawn(BADGES, width_mm=180)
    for badge in BADGES.badges:
        ground = np.array(list(bytes.fromhex(badge.colour[1:])))
        assert (np.abs(pixels - ground).sum(axis=2) < 6).sum() > 200
        assert contrast_with_white(ground) > 7


def contrast_with_white(colour):
    return 1.05 / (relative_luminance(colour) + 0.05)


LONG = Figure(
    "long_words",
    "A very long title that goes on and on, about weights of the final fully connected layer " * 2,
    tuple(fcl_panel(title=f"Pair {k}, with a title that is too long") for k in range(3)),
    columns=3,
    caption="A caption of many words that must be wrapped below the panels. " * 5,
    warning="Split by slice: slices of a subject are on both sides of the split. " * 3,
)


BADGES = replace(
    fcl_figure(caption="c"),
    badges=(Badge("Sum of the rows conserved", True), Badge("Not so", False)),
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
@pytest.mark.parametrize("figure", [fcl_figure(caption="c", warning="w"), LONG, BARS, HEAT, BADGES])
def test_that_no_text_is_cut_off(figure, width_mm):
    drawing, texts = laid_out(figure, width_mm=width_mm)
    for text, box in texts:
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < drawing.bbox.width + 1, text
        assert box.y1 < drawing.bbox.height + 1, text


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("figure", [fcl_figure(caption="c", warning="w"), LONG, HEAT, BADGES])
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


def test_that_dollar_signs_are_printed_as_they_are():
    assert drawn(one_panel(Curve("$a_b$ {\\x}", np.arange(2), np.arange(2)), title="$\\frac$")).size


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


def boxes_of(drawing, axes):
    """Return the extents of a panel's legend and text box in pixels."""
    renderer = drawing.canvas.get_renderer()
    boxes = [text.get_bbox_patch() for text in axes.texts if text.get_bbox_patch() is not None]
    boxes += [axes.get_legend()] if axes.get_legend() is not None else []
    return [box.get_window_extent(renderer) for box in boxes]


def share_under(axes, panel, box):
    """Return the share of a panel's dots that a box covers, counted in pixels."""
    dots = np.column_stack([panel.layers[0].x, panel.layers[0].y])
    x, y = axes.transData.transform(dots).T
    return ((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)).mean()


@pytest.mark.parametrize("width_mm", [85, 120, 180])
@pytest.mark.parametrize("figure", [pairs_figure(2), pairs_figure(3), crowded_figure()])
def test_that_boxes_hide_no_dots_and_stay_on_the_page(figure, width_mm):
    drawing, texts = laid_out(figure, width_mm=width_mm)
    for axes, panel in zip(drawing.axes, figure.panels, strict=True):
        for box in boxes_of(drawing, axes):
            assert share_under(axes, panel, box) <= HIDDEN_AT_MOST
            assert box.x0 >= 0
            assert box.x1 <= drawing.bbox.width
    for text, box in texts:
        assert 0 <= box.x0 < box.x1 <= drawing.bbox.width, text
        assert 0 <= box.y0 < box.y1 <= drawing.bbox.height, text


@pytest.mark.parametrize(("width_mm", "columns"), [(85, 1), (120, 2), (180, 3)])
def test_that_a_row_of_equations_is_broken_on_a_narrow_page(width_mm, columns):
    drawing, _ = laid_out(pairs_figure(3), width_mm=width_mm)
    tops = [round(axes.get_position().y1, 4) for axes in drawing.axes]
    assert tops.count(tops[0]) == columns


def test_that_an_equation_on_paper_is_broken_before_a_sign():
    _, texts = laid_out(pairs_figure(3), width_mm=180)
    lines = [line for text, _ in texts if "z^4" in text for line in text.splitlines()]
    assert len(lines) > 3 * 5
    assert not any(line.strip().endswith(("+", "-", "=")) for line in lines)


def test_that_a_legend_below_its_panel_is_flat():
    drawing, _ = laid_out(crowded_figure(), width_mm=85)
    axes = drawing.axes[0]
    legend = axes.get_legend().get_window_extent(drawing.canvas.get_renderer())
    assert legend.y1 < axes.bbox.y0
    assert legend.height < 0.25 * axes.bbox.height
