from __future__ import annotations

import numpy as np
import pytest

from core.figure import (
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
    class_colour,
    class_symbol,
)


def figure_of(*layers, title=""):
    return Figure("sample", "A sample", (Panel(Axis("x"), Axis("y"), layers, title=title),))


def test_that_the_known_classes_have_the_okabe_ito_colours_and_their_own_symbols():
    assert [class_colour(name) for name in ("AD", "MCI", "NC")] == ["#D55E00", "#E69F00", "#0072B2"]
    assert len({class_symbol(name) for name in ("AD", "MCI", "NC")}) == 3


def test_that_the_paper_colours_are_blue_for_ad_and_red_for_nc():
    assert class_colour("AD", paper=True) == "#0000FF"
    assert class_colour("NC", paper=True) == "#FF0000"
    assert class_colour("MCI", paper=True) == class_colour("MCI")


def test_that_unknown_classes_are_told_apart_by_their_order():
    assert len({class_colour("other", order) for order in range(5)}) == 5
    assert len({class_symbol("other", order) for order in range(5)}) == 5


@pytest.mark.parametrize(("unit", "title"), [("", "Epoch"), ("nat", "Epoch (nat)")])
def test_that_an_axis_title_holds_the_unit_in_brackets(unit, title):
    assert Axis("Epoch", unit).title == title


def test_that_the_table_has_one_row_for_each_point_with_its_id():
    table = figure_of(Scatter("AD", np.array([1.0, 2]), np.array([3.0, 4]), ids=("a", "b"))).table()
    assert table.columns == ("panel", "layer", "kind", "id", "x", "y", "low", "high")
    assert table.rows == (
        ("1", "AD", "scatter", "a", 1.0, 3.0, None, None),
        ("1", "AD", "scatter", "b", 2.0, 4.0, None, None),
    )


def test_that_the_panel_title_names_the_panel_in_the_table():
    table = figure_of(Curve("c", np.zeros(1), np.zeros(1)), title="Loss").table()
    assert table.rows[0][0] == "Loss"


def test_that_every_kind_of_layer_comes_into_the_table():
    x = np.arange(3.0)
    table = figure_of(
        Curve("c", x, x),
        Band("b", x, x - 1, x + 1),
        Bars("h", x, x),
        HeatMap("m", np.array([[1, 2, 3], [4, 5, 6]]), ("AD", "NC"), ("a", "b", "c")),
        Image("i", np.zeros((2, 5))),
    ).table()
    kinds = [row[2] for row in table.rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "curve": 3,
        "band": 3,
        "bars": 3,
        "heatmap": 6,
        "image": 10,
    }
    assert ("1", "b", "band", "", 1.0, None, 0.0, 2.0) in table.rows
    assert ("1", "m", "heatmap", "NC / b", 1, 5, None, None) in table.rows


def test_that_ids_of_another_length_than_the_points_are_refused():
    with pytest.raises(ValueError, match="zip"):
        figure_of(Scatter("AD", np.zeros(2), np.zeros(2), ids=("a",))).table()


def test_that_a_table_is_written_as_csv(tmp_path):
    path = tmp_path / "t.csv"
    Table("t", "T", ("run", "accuracy"), (("=1+1", 0.5), ("b", None))).write(path)
    assert path.read_text("utf-8") == "run,accuracy\n'=1+1,0.5\nb,\n"
