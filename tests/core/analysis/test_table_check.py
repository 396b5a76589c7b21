from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analysis.comparison import PAPER_TABLE_2
from core.analysis.table_check import (
    check_percentage,
    is_possible_percentage,
    paper_check,
    table_of_checks,
)
from core.errors import AnalysisError


# domain.md, section 2: the percentages of Khagi & Kwon (2022), Table 2, that no k/n gives.
@pytest.mark.parametrize(
    ("percent", "n", "decimals"),
    [(98.1, 504, 1), (96.5, 504, 1), (99.12, 504, 2), (97.2, 336, 1), (97.8, 336, 1)],
)
def test_that_impossible_percentages_of_the_paper_are_found(percent, n, decimals):
    assert not is_possible_percentage(percent, n, decimals=decimals)


def test_that_the_other_percentages_of_the_paper_are_possible():
    impossible = {(98.1, 504), (96.5, 504), (99.12, 504), (97.2, 336), (97.8, 336)}
    found = set()
    for row in PAPER_TABLE_2:
        decimals = 2 if row.network == "vgg19" else 1
        for share, n in ((row.validation, 336), (row.test, 504)):
            percent = round(100 * share, 2)
            if not is_possible_percentage(percent, n, decimals=decimals):
                found.add((percent, n))
    assert found == impossible


def test_that_rounded_and_cut_percentages_are_possible():
    assert is_possible_percentage(66.7, 3, decimals=1)
    assert is_possible_percentage(66.6, 3, decimals=1)
    assert not is_possible_percentage(66.5, 3, decimals=1)
    assert is_possible_percentage(100, 7, decimals=0)
    assert not is_possible_percentage(100.1, 7, decimals=1)


def test_that_the_counts_of_a_possible_percentage_are_named():
    check = check_percentage("96.8", 504)
    assert check.rounded == (488,)
    assert check.sentence() == "96.8 % of 504 is possible: 488 of 504."


def test_that_a_percentage_with_decimals_cut_off_is_told_apart():
    check = check_percentage("93.2", 504)
    assert (check.rounded, check.cut) == ((), (470,))
    assert "only with decimals cut off" in check.sentence()


def test_that_an_impossible_percentage_has_its_neighbours():
    check = check_percentage("98.1", 504)
    assert not check.is_possible
    assert (check.below, check.above) == ((494, "98.0"), (495, "98.2"))
    assert check.sentence() == (
        "98.1 % of 504 is not possible: no whole number gives it. "
        "Nearest: 494 (98.0 %) and 495 (98.2 %)."
    )


def test_that_commas_and_per_cent_signs_are_read():
    assert check_percentage(" 96,8 % ", 504) == check_percentage("96.8", 504)


def test_that_a_coarse_percentage_lists_its_range():
    check = check_percentage("82", 840)
    assert check.rounded == tuple(range(685, 693))
    assert "685 to 692 of 840" in check.sentence()


@pytest.mark.parametrize("text", ["", "abc", "-3", "1e2", "93.2.1", "٣", "100.1", "1.2345678"])
def test_that_what_is_no_percentage_is_refused(text):
    with pytest.raises(AnalysisError):
        check_percentage(text, 504)


def test_that_no_cases_are_refused():
    with pytest.raises(AnalysisError, match="give how many"):
        check_percentage("50", 0)


@given(st.integers(1, 3000), st.integers(0, 4), st.data())
def test_that_every_true_percentage_is_possible_with_its_own_count(n, decimals, data):
    from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

    k = data.draw(st.integers(0, n))
    unit = Decimal(1).scaleb(-decimals)
    percent = Decimal(100 * k) / Decimal(n)
    rounded = check_percentage(str(percent.quantize(unit, ROUND_HALF_UP)), n)
    cut = check_percentage(str(percent.quantize(unit, ROUND_DOWN)), n)
    assert k in rounded.rounded
    assert k in cut.cut


@given(st.integers(1, 400), st.integers(0, 10_000))
def test_that_impossible_means_that_no_count_of_all_fits(n, hundredths):
    text = f"{hundredths // 100}.{hundredths % 100:02d}"
    check = check_percentage(text, n)
    fits = [k for k in range(n + 1) if hundredths in (10_000 * k // n, round_half_up(k, n))]
    assert sorted({*check.rounded, *check.cut}) == fits


def round_half_up(k, n):
    return (20_000 * k + n) // (2 * n)


def test_that_the_paper_s_table_is_checked_cell_by_cell():
    table = paper_check()
    assert len(table.rows) == 36
    odd = {(row[3], row[4]) for row in table.rows if row[5] == "not possible"}
    assert odd == {("98.1", 504), ("96.5", 504), ("99.12", 504), ("97.2", 336), ("97.8", 336)}
    assert table.caption.startswith("5 of 36 percentages")


def test_that_checks_stand_in_a_table():
    table = table_of_checks([check_percentage("98.1", 504), check_percentage("93.2", 504)])
    assert table.rows[0] == ("98.1", 504, "not possible", "", "494 = 98.0 %, 495 = 98.2 %")
    assert table.rows[1] == ("93.2", 504, "only cut off", "470", "")
