from __future__ import annotations

import time

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QStyleOptionViewItem

from core.figure import Table
from mrifcl_gui.table_view import TableView, cell_text
from mrifcl_gui.wrapped_label import WrappedLabel

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


def test_that_a_long_table_is_there_at_once_and_each_column_fits_its_longest_cell(qtbot):
    names = [f"OAS1_{n:04d}_MR1" for n in range(1000)]
    names[-1] = "a subject whose name is much longer than all those above it"
    rows = tuple(
        (name, *((n + k) / 7 for k in range(13))) for n, name in enumerate(names, start=1000)
    )
    table = Table("long", "Long", ("subject", *(f"value_{k}" for k in range(13))), rows)
    shown = TableView()
    qtbot.addWidget(shown)
    shown.resize(1200, 700)
    shown.show()
    began = time.thread_time()
    shown.show_table(table)
    assert time.thread_time() - began < 0.3
    header = shown.view.horizontalHeader()
    for column in range(header.count()):
        assert header.sectionSize(column) >= shown.view.sizeHintForColumn(column)
    last = shown.view.model().index(999, 0)
    assert header.sectionSize(0) >= shown.view.itemDelegate().sizeHint(_option(shown), last).width()


def _option(shown):
    option = QStyleOptionViewItem()
    option.initFrom(shown.view)
    option.font = shown.view.font()
    return option


def test_that_an_emptied_table_leaves_no_empty_frame(qtbot):
    shown = TableView()
    qtbot.addWidget(shown)
    shown.show()
    shown.clear_table("These runs cannot be paired.")
    assert not shown.view.isVisible()
    shown.show_table(Table("t", "T", ("n",), ((1,),)))
    assert shown.view.isVisible()


def test_that_a_number_stands_apart_from_the_words_beside_it(qtbot):
    shown = TableView()
    qtbot.addWidget(shown)
    shown.show_table(Table("t", "T", ("n", "part"), ((1, "test"),)))
    shown.resize(400, 200)
    shown.show()
    view = shown.view
    cell = view.visualRect(view.model().index(0, 0))
    picture = view.viewport().grab(cell).toImage()
    ground = picture.pixelColor(0, 0)
    inked = [
        x
        for x in range(picture.width())
        for y in range(picture.height())
        if picture.pixelColor(x, y) != ground
    ]
    assert max(inked) < picture.width() - 6


def test_that_a_wrapped_label_is_low_again_once_it_is_wide(qtbot):
    label = WrappedLabel("Quite a number of words that take several lines in a narrow place")
    qtbot.addWidget(label)
    label.resize(80, 400)
    label.show()
    high = label.minimumHeight()
    assert high > 4 * label.fontMetrics().height()
    label.resize(900, 400)
    assert label.minimumHeight() < high / 3
