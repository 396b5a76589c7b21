"""Numbers are read alike in every locale, and no other kind of number field is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, Qt

import mrifcl_gui
from mrifcl_gui.number_box import NumberBox, WholeNumberBox
from tests.gui.keyboard import type_letters


@pytest.fixture(params=["C", "de_DE", "fr_FR", "en_US", "ar_EG", "fa_IR", "en_IN"])
def locale(request):
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def typed(qtbot, box, text):
    qtbot.addWidget(box)
    box.show()
    box.selectAll()
    type_letters(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    return box.value()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.001", 0.001),
        ("0,001", 0.001),
        ("-12,5", -12.5),
        ("1e-3", 0.001),
        ("٠٫٠٠١", 0.001),  # Arabic
        ("−۱۲٫۵", -12.5),  # Persian
    ],
)
def test_that_comma_and_point_mean_the_same_everywhere(qtbot, locale, text, value):
    box = NumberBox()
    box.setDecimals(6)
    box.setRange(-1e6, 1e6)
    assert typed(qtbot, box, text) == pytest.approx(value)
    assert box.text() in (f"{value:.6f}",)


def test_that_a_grouped_number_is_never_a_thousandth(qtbot, locale):
    box = NumberBox()
    box.setDecimals(3)
    box.setRange(0, 1e6)
    box.setValue(7)
    assert typed(qtbot, box, "1.000,5") == 7, "the value before, not a thousandth"
    coarse = NumberBox()
    coarse.setDecimals(0)
    coarse.setRange(0, 1e6)
    coarse.setValue(7)
    for text in ("1,000", "1.000"):
        assert typed(qtbot, coarse, text) == 7, "neither one nor a thousand"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1000", 1000),
        ("١٠٠٠", 1000),
        ("۱۰۰۰", 1000),
        ("20.0", 20),
        ("20,0", 20),
        ("1.000", 504),
        ("1,000", 504),
        ("1'000", 1000),  # the mark is not taken
        ("7.5", 504),
        ("99999", 504),
    ],
)
def test_that_a_whole_number_is_that_number_or_the_one_before(qtbot, locale, text, value):
    whole = WholeNumberBox()
    whole.setRange(0, 10_000)
    whole.setValue(504)
    whole.setSuffix(" mm")
    assert whole.text() == "504 mm"
    assert typed(qtbot, whole, text) == value
    assert whole.text() == f"{value} mm", "in plain digits"


def test_that_no_field_reads_numbers_in_another_way():
    folder = Path(mrifcl_gui.__file__).parent
    found = [
        file.name
        for file in folder.glob("*.py")
        if file.name != "number_box.py"
        and re.search(r"\bQ(Double)?SpinBox\(|QDoubleValidator|toDouble", file.read_text())
    ]
    assert not found
