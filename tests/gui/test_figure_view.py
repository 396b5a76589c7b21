from __future__ import annotations

import html
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QLabel

from core.figure import (
    Axis,
    Badge,
    Band,
    Bars,
    Curve,
    Figure,
    HeatMap,
    Image,
    Panel,
    Scatter,
)
from core.figure_geometry import panel_limits
from mrifcl_gui import figure_items
from mrifcl_gui.figure_view import FigureView

COMMAS = "Export CSV with decimal commas…"


def scatter_figure(n=50, *, seed=0, scale=1.0, text="y = x", **options):
    rng = np.random.default_rng(seed)
    x, y = scale * rng.normal(size=n), scale * rng.normal(size=n)
    ids = tuple(f"sub-{number:03d}" for number in range(n))
    line = np.linspace(-scale, scale, 20)
    layers = (
        Band("Null", line, line - 0.1, line + 0.1),
        Scatter("Weights", x, y, ids=ids),
        Curve("Fit", line, line, style="dashed"),
    )
    axes = Axis("FCL weight, AD"), Axis("FCL weight, NC", "logit")
    panel = Panel(*axes, layers, text=text, equal_aspect=True)
    return Figure("scatter", "Weights <b>of</b> AD & NC", (panel,), **options)


def one_panel(*layers, x=None, y=None, **options):
    panel = Panel(x or Axis("x"), y or Axis("y"), layers, **options)
    return Figure("sample", "Sample", (panel,))


HEAT = one_panel(
    HeatMap("r", np.array([[1, -0.5], [np.nan, 0]]), ("AD", "NC"), ("p", "q"), diverging=True)
)


def palette_of(ground, ink):
    palette = QPalette()
    for role in (QPalette.ColorRole.Base, QPalette.ColorRole.Window):
        palette.setColor(role, QColor(ground))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText):
        palette.setColor(role, QColor(ink))
    return palette


@pytest.fixture
def view(qtbot):
    widget = FigureView()
    qtbot.addWidget(widget)
    widget.resize(640, 520)
    widget.show()
    return widget


def settled(view, qtbot):
    qtbot.waitUntil(lambda: not view._settle.isActive())
    view.grab()
    return view._panels[0]


def steady_size(view, qtbot):
    """Return the size of the first panel's inside once the layout has come to rest."""
    box = settled(view, qtbot).plot.vb.rect()
    for _ in range(10):
        before, box = box, settled(view, qtbot).plot.vb.rect()
        if box == before:
            return box
    raise AssertionError(f"The panel is still changing its size: {before}, {box}")


def scene_place(items, x, y):
    return items.plot.vb.mapViewToScene(QPointF(x, y))


class Click:
    """A click as pyqtgraph's scene gives it."""

    def __init__(self, place, *, button=Qt.MouseButton.LeftButton, is_double=False):
        self._place, self._button, self._is_double = place, button, is_double

    def scenePos(self):
        return self._place

    def button(self):
        return self._button

    def double(self):
        return self._is_double


def test_that_title_caption_and_warning_are_plain_text(view):
    view.show_figure(scatter_figure(caption="a <i>caption</i>", warning="leaks & lies"))
    shown = {label.text(): label for label in view.findChildren(QLabel) if label.isVisible()}
    for text in ("Weights <b>of</b> AD & NC", "a <i>caption</i>", "leaks & lies"):
        assert shown[text].textFormat() == Qt.TextFormat.PlainText
        assert shown[text].wordWrap()


def test_that_badges_are_always_seen_below_the_title(view, qtbot):
    badges = (Badge("Sum of the rows conserved to 1e-7", True), Badge("not <kept>", False))
    view.show_figure(replace(scatter_figure(), badges=badges))
    label = next(one for one in view.findChildren(QLabel) if "conserved" in one.text())
    assert label.isVisible()
    for badge in badges:
        assert html.escape(badge.text) in label.text()
        assert badge.colour in label.text()
    view.show_figure(scatter_figure())
    assert not label.isVisible()


def test_that_a_figure_of_the_same_structure_keeps_its_items(view):
    view.show_figure(scatter_figure(seed=0))
    before = [view._panels[0], view._panels[0].plot, *view._panels[0]._layers]
    view.show_figure(scatter_figure(n=80, seed=1, text="y = 2x"))
    after = [view._panels[0], view._panels[0].plot, *view._panels[0]._layers]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert len(view._panels[0]._layers[1]._items[0].getData()[0]) == 80


def test_that_a_figure_of_another_structure_is_built_anew(view):
    view.show_figure(scatter_figure())
    view.show_figure(HEAT)
    assert len(view._panels) == 1
    assert len(view._panels[0]._layers) == 1


def test_that_the_shown_data_are_those_of_the_figure(view):
    figure = scatter_figure()
    view.show_figure(figure)
    x, y = view._panels[0]._layers[1]._items[0].getData()
    layer = figure.panels[0].layers[1]
    np.testing.assert_array_equal(x, layer.x)
    np.testing.assert_array_equal(y, layer.y)


def test_that_missing_values_are_left_out_and_break_a_line(view):
    values = np.array([1, np.nan, 3, 4, np.inf, 6])
    view.show_figure(one_panel(Curve("c", np.arange(6), values), Scatter("s", values, values)))
    x, _y, connect = figure_items._unbroken(np.arange(6), values)
    assert x.tolist() == [0, 2, 3, 5]
    assert connect.tolist() == [0, 1, 0, 0]
    assert len(view._panels[0]._layers[1]._items[0].getData()[0]) == 4


@pytest.mark.parametrize(
    "layer",
    [
        Scatter("s", np.zeros(0), np.zeros(0)),
        Scatter("s", np.full(2, np.nan), np.zeros(2), ids=("a", "b")),
        Curve("c", np.full(2, np.nan), np.full(2, np.nan)),
        Curve("c", np.zeros(0), np.zeros(0)),
        Band("b", np.zeros(0), np.zeros(0), np.zeros(0)),
        Bars("h", np.zeros(0), np.zeros(0)),
        Bars("h", np.arange(3), np.array([1, np.nan, 2])),
        HeatMap("m", np.full((2, 2), np.nan), ("a", "b"), ("a", "b")),
        Image("i", np.full((3, 4), np.nan)),
        Image("i", np.zeros((3, 4))),
    ],
)
def test_that_empty_and_missing_values_are_shown(view, qtbot, layer):
    view.show_figure(one_panel(layer))
    settled(view, qtbot).point_at(QPointF(100, 100))


def test_that_axes_have_their_unit_and_no_si_prefix(view, qtbot):
    view.show_figure(scatter_figure(scale=1e-4))
    items = settled(view, qtbot)
    view.show_figure(scatter_figure(scale=1e-4, seed=1))
    for side in ("left", "bottom"):
        axis = items.plot.getAxis(side)
        assert axis.autoSIPrefixScale == 1.0
        assert not axis.autoSIPrefix
    assert items.plot.getAxis("left").label.toPlainText().strip() == "FCL weight, NC (logit)"


def test_that_all_points_are_in_view_with_equal_scales(view, qtbot):
    figure = scatter_figure()
    view.show_figure(figure)
    items = settled(view, qtbot)
    (x_low, x_high), (y_low, y_high) = items.plot.vb.viewRange()
    layer = figure.panels[0].layers[1]
    assert x_low < layer.x.min() < layer.x.max() < x_high
    assert y_low < layer.y.min() < layer.y.max() < y_high
    assert items.plot.vb.viewPixelSize()[0] == pytest.approx(items.plot.vb.viewPixelSize()[1])


def test_that_a_click_on_a_point_gives_its_id(view, qtbot):
    figure = scatter_figure()
    view.show_figure(figure)
    items = settled(view, qtbot)
    layer = figure.panels[0].layers[1]
    far = int(np.argmax(layer.x))
    with qtbot.waitSignal(view.point_clicked) as caught:
        view._on_mouse_clicked(Click(scene_place(items, layer.x[far], layer.y[far])))
    assert caught.args == [layer.ids[far]]


def test_that_a_click_beside_all_points_gives_nothing(view, qtbot):
    view.show_figure(scatter_figure())
    items = settled(view, qtbot)
    corner = items.plot.vb.sceneBoundingRect().bottomRight() - QPointF(3, 3)
    with qtbot.assertNotEmitted(view.point_clicked):
        view._on_mouse_clicked(Click(corner))


def test_that_the_mouse_reads_out_x_y_and_the_id(view, qtbot):
    figure = scatter_figure()
    view.show_figure(figure)
    items = settled(view, qtbot)
    layer = figure.panels[0].layers[1]
    top = int(np.argmax(layer.y))
    view._on_mouse_moved(scene_place(items, layer.x[top], layer.y[top]))
    words = view._readout.text()
    assert f"{layer.y[top]:.1f}".replace("-", "−") in words
    assert layer.ids[top] in words
    assert items._cross[0].isVisible()
    view._on_mouse_moved(QPointF(-50, -50))
    assert not items._cross[0].isVisible()
    assert not view._readout.text().strip()


def test_that_the_mouse_reads_out_the_cell_of_a_heat_map(view, qtbot):
    view.show_figure(HEAT)
    items = settled(view, qtbot)
    assert items.read_out(scene_place(items, 1, 0)) == "AD, q: -0.5"


def test_that_row_zero_of_a_heat_map_is_at_the_top(view, qtbot):
    view.show_figure(HEAT)
    items = settled(view, qtbot)
    assert scene_place(items, 0, 0).y() < scene_place(items, 0, 1).y()
    image = view._graphics.grab().toImage()
    at = scene_place(items, -0.35, -0.35).toPoint()
    assert image.pixelColor(at).name() == "#67001f"


def test_that_a_heat_map_prints_its_numbers(view, qtbot):
    view.show_figure(HEAT)
    texts = [number.toPlainText() for number in settled(view, qtbot)._layers[0]._numbers]
    assert texts == ["1.00", "−0.50", "–", "0.00"]


def test_that_a_heat_map_has_a_bar_with_its_range_and_colours(view, qtbot):
    view.show_figure(HEAT)
    bar = settled(view, qtbot)._layers[0].colour_bar
    assert bar.axis.range == [-1, 1]
    assert bar.axis.label.toPlainText().strip() == "r"
    image = view._graphics.grab().toImage()
    area = bar._strip.mapRectToScene(bar._strip.rect())
    column = int(area.right()) - 6
    top, middle, bottom = (
        image.pixelColor(column, int(y))
        for y in (area.top() + 3, area.center().y(), area.bottom() - 3)
    )
    assert top.red() > top.blue()
    assert bottom.blue() > bottom.red()
    assert min(middle.red(), middle.green(), middle.blue()) > 235


def test_that_the_bar_of_a_heat_map_follows_new_values(view, qtbot):
    names = ("AD", "NC")
    for values, limits in (
        (np.array([[0, 2], [3, 4]]), [0, 4]),
        (np.full((2, 2), 7.0), [6.5, 7.5]),
    ):
        view.show_figure(one_panel(HeatMap("n", values, names, names)))
        bar = settled(view, qtbot)._layers[0].colour_bar
        assert bar.axis.range == limits


@pytest.mark.parametrize("size", [(1000, 420), (420, 800), (640, 560)])
def test_that_a_panel_of_equal_aspect_is_square_and_filled_by_its_data(view, qtbot, size):
    view.resize(*size)
    view.show_figure(scatter_figure())
    box = steady_size(view, qtbot)
    assert box.width() == pytest.approx(box.height(), abs=2)
    for seen, limits in zip(
        view._panels[0].plot.vb.viewRange(), panel_limits(view.figure().panels[0]), strict=True
    ):
        assert seen == pytest.approx(limits, abs=0.02 * (limits[1] - limits[0]))


def test_that_a_panel_of_equal_aspect_follows_the_size_of_the_view(view, qtbot):
    view.show_figure(scatter_figure())
    before = steady_size(view, qtbot)
    for width, height in ((1000, 400), (900, 800), (640, 520)):
        view.resize(width, height)
        box = steady_size(view, qtbot)
        assert box.width() == pytest.approx(box.height(), abs=2)
    assert box.width() == pytest.approx(before.width(), abs=2)


def test_that_the_cells_of_a_map_of_equal_aspect_are_square(view, qtbot):
    layer = HeatMap("m", np.arange(6.0).reshape(2, 3), ("a", "b"), ("p", "q", "r"))
    view.resize(1000, 420)
    view.show_figure(one_panel(layer, equal_aspect=True))
    box = steady_size(view, qtbot)
    assert box.width() / 3 == pytest.approx(box.height() / 2, abs=2)


def test_that_a_zoom_stays_with_new_data_and_a_double_click_ends_it(view, qtbot):
    view.show_figure(scatter_figure())
    items = settled(view, qtbot)
    full = items.plot.vb.viewRange()
    items.plot.vb.scaleBy((0.5, 0.5))
    items.plot.vb.sigRangeChangedManually.emit([True, True])
    zoomed = items.plot.vb.viewRange()
    view.show_figure(scatter_figure(seed=0, scale=1.01))
    np.testing.assert_allclose(items.plot.vb.viewRange(), zoomed)
    view._on_mouse_clicked(Click(scene_place(items, 0, 0), is_double=True))
    np.testing.assert_allclose(items.plot.vb.viewRange(), full, rtol=0.1)


def test_that_selected_points_are_ringed(view):
    view.show_figure(scatter_figure())
    view.select_points(["sub-001", "sub-007", "unknown"])
    assert len(view._panels[0]._rings.getData()[0]) == 2
    view.show_figure(scatter_figure(seed=2))
    assert len(view._panels[0]._rings.getData()[0]) == 2
    view.select_points([])
    assert len(view._panels[0]._rings.getData()[0]) == 0


def test_that_the_colours_follow_the_palette(view, qtbot):
    view.show_figure(scatter_figure())
    for ground, ink in (("#1e1e1e", "#eeeeee"), ("#ffffff", "#000000")):
        view.setPalette(palette_of(ground, ink))
        settled(view, qtbot)
        image = view._graphics.grab().toImage()
        assert image.pixelColor(1, 1).name() == ground
        pen = view._panels[0].plot.getAxis("left").textPen().color()
        assert (pen.lightness() > 128) == (ground == "#1e1e1e")


def test_that_text_and_legend_are_inside_their_panel_and_apart(view, qtbot):
    view.show_figure(scatter_figure(text="one line of an equation\nanother line"))
    items = settled(view, qtbot)
    area = items.plot.vb.sceneBoundingRect()
    boxes = [box.mapRectToScene(box.boundingRect()) for box in (items._box, items._legend)]
    assert all(area.contains(box) for box in boxes)
    assert not boxes[0].intersects(boxes[1])


def test_that_a_dragged_text_box_stays_where_it_was_put(view, qtbot):
    view.show_figure(scatter_figure())
    items = settled(view, qtbot)
    items._box.was_moved = True
    items._box.setPos(33, 44)
    view.resize(700, 600)
    view.show_figure(scatter_figure(seed=4))
    settled(view, qtbot)
    assert items._box.pos() == QPointF(33, 44)


def test_that_panels_with_the_same_legend_share_one_row(view):
    panel = scatter_figure().panels[0]
    view.show_figure(Figure("two", "Two", (panel, panel), columns=2))
    assert view._legend_row.isVisible()
    assert all(items._legend is None for items in view._panels)
    view.show_figure(scatter_figure())
    assert not view._legend_row.isVisible()


def test_that_names_too_long_for_their_places_are_turned(view, qtbot):
    names = tuple(f"ResNet-101, scratch long {k}" for k in range(9))
    view.show_figure(
        one_panel(Bars("b", np.arange(9), np.ones(9)), x=Axis("Run", categories=names))
    )
    axis = settled(view, qtbot).plot.getAxis("bottom")
    assert axis._is_turned
    assert axis.height() > 60


def test_that_an_emptied_view_says_what_to_do_next(view):
    view.show_figure(scatter_figure(caption="c"))
    view.clear_figure("Train a network first.")
    shown = [label.text() for label in view.findChildren(QLabel) if label.isVisible()]
    assert shown == ["Train a network first."]
    assert view.figure() is None
    view.show_figure(scatter_figure())
    assert view._panels


def test_that_the_menu_copies_and_exports(view):
    view.show_figure(scatter_figure())
    words = [action.text() for action in view.build_menu().actions() if action.text()]
    assert words == [
        "Copy picture",
        "Export PNG…",
        "Export SVG…",
        "Export CSV…",
        COMMAS,
        "Picture size: 180 mm, 300 dpi…",
        "Show all",
    ]


def test_that_4096_points_are_redrawn_in_time_for_a_slider(view, qtbot):
    figures = [scatter_figure(4096, seed=seed) for seed in range(3)]
    view.show_figure(figures[0])
    settled(view, qtbot)
    import time

    start = time.perf_counter()
    for number in range(6):
        view.show_figure(figures[number % 3])
        view._graphics.repaint()
    # 20 ms on one core; the bound only catches a rebuild at each step.
    assert (time.perf_counter() - start) / 6 < 0.4


def test_that_pictures_under_two_lines_keep_within_their_places(qtbot, view):
    # As the maps: the panels are first laid out wide, then find themselves beside each other.
    picture = Image("map", np.random.default_rng(0).random((48, 48)))
    panels = tuple(
        Panel(
            title=f"sub-{number:03d} · 61\nAD → AD ✓ 100 %",
            x=Axis(""),
            y=Axis(""),
            layers=(picture,),
            equal_aspect=True,
        )
        for number in range(12)
    )
    view.resize(1200, 500)
    view.show_figure(Figure("maps", title="Maps", panels=panels, columns=4))
    qtbot.wait(200)
    view.resize(580, 400)
    qtbot.wait(300)
    for items in view._panels:
        place, inside = items.plot.rect(), items.plot.vb.geometry()
        assert place.adjusted(-2, -2, 2, 2).contains(inside)
        assert inside.height() > 80
