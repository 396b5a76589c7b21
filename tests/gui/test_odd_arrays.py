"""Curves, scatters and bars of odd numbers are drawn without a warning and without a crash."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.figure import Axis, Bars, Curve, Figure, Panel, Scatter
from mrifcl_gui.figure_view import FigureView

ODD = st.one_of(
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300, 1e300, 5e-324, 1.0]),
    st.floats(width=64),
)
PAIRS = st.integers(0, 6).flatmap(
    lambda n: st.tuples(arrays(np.float64, n, elements=ODD), arrays(np.float64, n, elements=ODD))
)
QUICK = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def view(qtbot):
    view = FigureView()
    qtbot.addWidget(view)
    view.resize(300, 200)
    view.show()
    return view


@QUICK
@given(pair=PAIRS)
def test_that_any_curve_scatter_and_bars_are_drawn(view, pair):
    x, y = pair
    layers = (
        Curve("a curve", x, y),
        Scatter("dots", x, y),
        Curve("left to right", np.sort(x), y),
        Bars("bars", np.arange(len(y)), y),
    )
    panel = Panel(x=Axis("x"), y=Axis("y"), layers=layers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view.show_figure(Figure(name="odd", title="odd", panels=(panel,)))
        assert not view.grab().isNull()
