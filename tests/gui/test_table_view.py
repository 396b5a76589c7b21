from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel

from core.figure import Table
from mrifcl_gui.table_view import TableView, cell_text

TABLE = Table(
    "runs",
    "Runs",
    ("run", "accuracy", "epochs", "note"),
    (("b", 0.98765432, 20, None), ("a", None, 3, "x"), ("c", 0.5, 100, "")),
    caption="Fractions.",
)

COMMAS = "Export CSV with decimal commas…"


@pytest.fixture
def table_view(qtbot):
    widget = TableView()
    qtbot.addWidget(widget)
    widget.resize(500, 300)
    widget.show()
    widget.show_table(TABLE)
    return widget


def column(view, number):
    model = view.view.model()
    return [model.index(row, number).data() for row in range(model.rowCount())]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (float("nan"), "–"),
        (0.98765432, "0.9877"),
        (1.0, "1.0"),
        (np.float32(0.25), "0.25"),
        (float("-inf"), "−∞"),
        (12, "12"),
        (True, "yes"),
        ("AD", "AD"),
    ],
)
def test_that_a_cell_shows_four_significant_digits(value, text):
    assert cell_text(value) == text


def test_that_the_tooltip_has_the_full_value_and_numbers_stand_right(table_view):
    index = table_view.view.model().index(0, 1)
    assert index.data(Qt.ItemDataRole.ToolTipRole) == "0.98765432"
    assert index.data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    name = table_view.view.model().index(0, 0)
    assert name.data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignLeft


def test_that_numbers_are_sorted_as_numbers_with_empty_cells_last(table_view):
    table_view.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert column(table_view, 2) == ["3", "20", "100"]
    table_view.view.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert column(table_view, 1) == ["0.5", "0.9877", "–"]
    table_view.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(table_view, 1) == ["0.9877", "0.5", "–"]


def test_that_the_selection_is_copied_as_shown_with_full_values(table_view):
    table_view.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    table_view.view.selectAll()
    table_view.copy_selection()
    assert QGuiApplication.clipboard().text() == (
        "run\taccuracy\tepochs\tnote\na\t\t3\tx\nb\t0.98765432\t20\t\nc\t0.5\t100\t"
    )


def test_that_ctrl_c_copies_the_selected_row(table_view, qtbot):
    table_view.view.selectRow(0)
    table_view.view.setFocus()
    qtbot.keyClick(table_view.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    table_view.copy_selection()
    assert QGuiApplication.clipboard().text().endswith("b\t0.98765432\t20\t")


def test_that_a_chosen_row_is_the_one_of_the_table_after_sorting(table_view, qtbot):
    table_view.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    with qtbot.waitSignal(table_view.row_chosen) as caught:
        table_view.view.activated.emit(table_view.view.model().index(0, 0))
    assert caught.args == [1]


def test_that_an_emptied_table_says_why(table_view):
    table_view.clear_table("No runs yet.")
    assert table_view.view.model().rowCount() == 0
    assert table_view.table() is None
    assert "No runs yet." in [label.text() for label in table_view.findChildren(QLabel)]


def test_that_the_menu_of_a_table_exports_csv_only(table_view):
    words = [action.text() for action in table_view.build_menu().actions() if action.text()]
    assert words == ["Copy selection", "Copy table", "Export CSV…", COMMAS]
