"""Tables and records as text read back equal, and no spreadsheet runs them."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text_file import comma_csv_text, csv_cell, csv_text, json_text, write_csv, write_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def read_csv(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@given(value=st.floats(allow_nan=False) | st.integers())
def test_that_numbers_keep_all_their_digits(value):
    assert type(value)(csv_cell(value)) == value


@given(value=st.floats(width=32, allow_nan=False))
def test_that_numpy_numbers_read_back_equal(value):
    assert float(csv_cell(np.float32(value))) == value


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (math.nan, ""),
        (np.float32("nan"), ""),
        (True, "true"),
        (np.bool_(False), "false"),
        (np.int64(-3), "-3"),
        (-0.5, "-0.5"),
        ("AD", "AD"),
        ("=1+1", "'=1+1"),
        ("+4", "'+4"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        (Path("a") / "b", str(Path("a") / "b")),
    ],
)
def test_that_only_text_is_neutralised(value, cell):
    # Faults X1.
    assert csv_cell(value) == cell


@given(table=st.lists(st.lists(texts, min_size=3, max_size=3), max_size=4))
def test_that_any_text_reads_back_but_for_the_apostrophe(table):
    rows = read_csv(csv_text(("a", "b", "c"), table))
    assert rows == [["a", "b", "c"], *([csv_cell(cell) for cell in row] for row in table)]
    for row, original in zip(rows[1:], table, strict=True):
        for cell, text in zip(row, original, strict=True):
            assert cell in (text, "'" + text)
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@given(
    table=st.lists(
        st.tuples(texts, st.floats(allow_nan=False, allow_infinity=False), st.integers()),
        max_size=4,
    )
)
def test_that_a_table_with_decimal_commas_reads_back_equal(table):
    # As a spreadsheet of a country with decimal commas reads it (faults X1).
    content = comma_csv_text(("a", "b", "c"), table).encode()
    assert content.startswith(b"\xef\xbb\xbf")
    read = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
    assert next(read) == ["a", "b", "c"]
    for row, (text, number, count) in zip(read, table, strict=True):
        assert row[0] in (text, "'" + text)
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert "." not in row[1]
        assert float(row[1].replace(",", ".")) == number
        assert int(row[2]) == count


def test_that_a_version_or_a_name_keeps_its_points_beside_decimal_commas():
    text = comma_csv_text(("file", "share"), [("s01.nii.gz", 0.5), ("a;b", -1.25)])
    assert text == '\ufefffile;share\ns01.nii.gz;0,5\n"a;b";-1,25\n'


def test_that_every_table_of_the_program_goes_through_one_door():
    # Faults X1: a second way to write CSV would be one that neutralises no formula.
    root = Path(__file__).resolve().parents[2]
    writers = {"writer", "DictWriter", "to_csv", "savetxt"}
    joining = set()
    for path in [*(root / "core").rglob("*.py"), *(root / "mrifcl_gui").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert getattr(node.func, "attr", "") not in writers, path.name
                if _joins_by(node, (",", ";", "\t")):
                    joining.add(path.name)
    assert joining == _JOIN_CELLS


# A line of numbers of a run's history, and a table for the clipboard, both of csv_cell; the
# simulated cohort's participants, whose cells are our own words.
_JOIN_CELLS = {"writer.py", "export.py", "phantom.py"}


def _joins_by(node, separators):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and isinstance(node.func.value, ast.Constant)
        and node.func.value.value in separators
    )


def test_that_a_lone_empty_cell_is_still_a_row():
    assert read_csv(csv_text(("a",), [[None], [1]])) == [["a"], [""], ["1"]]


def test_that_tables_are_utf8_with_unix_line_ends(tmp_path):
    write_csv(tmp_path / "t.csv", ("Größe", "n"), [("ä,b", 1), ('say "x"', 2)])
    assert (tmp_path / "t.csv").read_bytes() == ('Größe,n\n"ä,b",1\n"say ""x""",2\n'.encode())


def test_that_records_take_numpy_paths_and_nan(tmp_path):
    value = {
        "n": np.int64(3),
        "x": np.float32(0.5),
        "nan": math.nan,
        "inf": np.inf,
        "yes": np.bool_(True),
        "array": np.array([[1, 2]]),
        "tuple": (1, None, "ä"),
        "path": Path("a"),
        4: "key",
    }
    write_json(tmp_path / "r.json", value)
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "n": 3,
        "x": 0.5,
        "nan": None,
        "inf": None,
        "yes": True,
        "array": [[1, 2]],
        "tuple": [1, None, "ä"],
        "path": "a",
        "4": "key",
    }


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(value=json_values)
def test_that_records_read_back_equal(value):
    assert json.loads(json_text(value)) == value


def test_that_what_json_cannot_hold_is_a_fault_of_ours():
    with pytest.raises(TypeError):
        json_text({1, 2})


def test_that_a_name_that_is_no_text_does_not_lose_the_record(tmp_path):
    write_json(tmp_path / "r.json", {"file": "bad_\udcff.nii"})
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == {
        "file": "bad_\udcff.nii"
    }
