"""Texts and legends of figures on screen hide no dots, also with real shapes of data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF

from core.figure import Axis, Figure, Panel, Scatter
from core.figure_geometry import HIDDEN_AT_MOST
from mrifcl_gui.figure_view import FigureView
from tests.core.figure_samples import crowded_figure, pairs_figure


@pytest.fixture
def view(qtbot):
    widget = FigureView()
    qtbot.addWidget(widget)
    return widget


def shown(view, qtbot, figure, size):
    view.resize(*size)
    view.show()
    view.show_figure(figure)
    at_rest(view, qtbot)
    return view._panels


def at_rest(view, qtbot):
    """Wait until layout and boxes have come to rest."""
    before = None
    for _ in range(20):
        qtbot.waitUntil(lambda: not view._settle.isActive())
        view.grab()
        now = [rect.getRect() for items in view._panels for rect in rects_of(items)]
        if now == before:
            return
        before = now
    raise AssertionError("The boxes do not come to rest")


def boxes_of(items):
    return [box for box in (items._box, items._legend) if box is not None]


def rects_of(items):
    return [box.mapRectToScene(box.boundingRect()) for box in boxes_of(items)]


def share_under(items, rect):
    """Return the share of a panel's dots that lie under a box, counted in pixels."""
    hidden, n = 0, 0
    for layer in items.panel.layers:
        if isinstance(layer, Scatter):
            for x, y in zip(layer.x, layer.y, strict=True):
                hidden += rect.contains(items.plot.vb.mapViewToScene(QPointF(x, y)))
                n += 1
    return hidden / n


@pytest.mark.parametrize("size", [(380, 420), (900, 640)])
@pytest.mark.parametrize("classes", [2, 3])
def test_that_no_box_hides_dots_of_a_diagonal_cloud(view, qtbot, size, classes):
    panels = shown(view, qtbot, pairs_figure(classes), size)
    assert len(panels) == (1 if classes == 2 else 3)
    for items in panels:
        for rect in rects_of(items):
            assert share_under(items, rect) <= HIDDEN_AT_MOST


@pytest.mark.parametrize("size", [(380, 420), (700, 500)])
def test_that_equations_go_below_a_panel_that_is_full(view, qtbot, size):
    (items,) = shown(view, qtbot, crowded_figure(), size)
    area = items.plot.vb.sceneBoundingRect()
    equations, legend = rects_of(items)
    assert equations.top() >= area.bottom()
    assert share_under(items, equations) == 0
    assert share_under(items, legend) <= HIDDEN_AT_MOST


@pytest.mark.parametrize("size", [(380, 420), (900, 640), (1200, 500)])
@pytest.mark.parametrize("figure", [pairs_figure(3), pairs_figure(2), crowded_figure()])
def test_that_boxes_are_apart_and_inside_the_picture(view, qtbot, figure, size):
    panels = shown(view, qtbot, figure, size)
    whole = view._graphics.sceneRect()
    rects = [rect for items in panels for rect in rects_of(items)]
    for number, rect in enumerate(rects):
        assert whole.contains(rect)
        assert not any(rect.intersects(other) for other in rects[:number])
    for items in panels:
        axis = items.plot.getAxis("bottom")
        numbers = axis.mapRectToScene(axis.rect()).adjusted(1, 1, -1, -1)
        assert not any(rect.intersects(numbers) for rect in rects_of(items))


def test_that_a_row_of_equations_is_broken_where_it_would_be_narrow(view, qtbot):
    panels = shown(view, qtbot, pairs_figure(3), (380, 500))
    tops = [items.plot.sceneBoundingRect().top() for items in panels]
    assert tops == sorted(tops)
    assert len(set(tops)) == 3
    panels = shown(view, qtbot, pairs_figure(3), (1200, 500))
    assert len({items.plot.sceneBoundingRect().top() for items in panels}) == 1


def test_that_an_equation_is_broken_before_a_sign(view, qtbot):
    (items,) = shown(view, qtbot, pairs_figure(2), (380, 420))
    document = items._box._text.document()
    lines = []
    block = document.begin()
    while block.isValid():
        for number in range(block.layout().lineCount()):
            line = block.layout().lineAt(number)
            lines.append(block.text()[line.textStart() : line.textStart() + line.textLength()])
        block = block.next()
    assert len(lines) > len(items.panel.text.splitlines())
    assert not any(line.strip().endswith(("+", "-", "=")) for line in lines)


def test_that_a_box_leaves_dots_that_come_under_it_once_they_rest(view, qtbot):
    limits = Axis("x", low=0.0, high=1.0), Axis("y", low=0.0, high=1.0)

    def cloud(x, y):
        dots = 0.02 * np.random.default_rng(0).normal(size=(2, 300)) + [[x], [y]]
        panel = Panel(*limits, (Scatter("dots", *dots),), text="A text over the panel")
        return Figure("cloud", "Cloud", (panel,))

    (items,) = shown(view, qtbot, cloud(0.5, 0.5), (500, 400))
    place = items._box.pos()
    left = (place.x() + 20) / items.plot.vb.width()
    top = (place.y() + 10) / items.plot.vb.height()
    view.show_figure(cloud(left, 1 - top))
    assert items._box.pos() == place
    qtbot.waitUntil(lambda: items._box.pos() != place, timeout=2000)
    at_rest(view, qtbot)
    assert all(share_under(items, rect) <= HIDDEN_AT_MOST for rect in rects_of(items))


def test_that_a_dragged_box_goes_nowhere_by_itself(view, qtbot):
    (items,) = shown(view, qtbot, crowded_figure(), (500, 400))
    items._box.was_moved = True
    items._box.setPos(33, 44)
    view.resize(640, 480)
    at_rest(view, qtbot)
    assert items._box.pos() == QPointF(33, 44)


def test_that_a_long_name_is_shortened_in_a_narrow_legend(view, qtbot):
    figure = crowded_figure()
    panel = figure.panels[0]
    dots = replace(panel.layers[0], name="a class with a very long name " * 4)
    figure = replace(figure, panels=(replace(panel, layers=(dots, *panel.layers[1:])),))
    (items,) = shown(view, qtbot, figure, (380, 420))
    assert items._legend.size()[0] <= items.plot.vb.geometry().right()
