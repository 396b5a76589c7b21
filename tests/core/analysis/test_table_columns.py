from __future__ import annotations

import pytest

from core.analysis.table_columns import read_columns
from core.errors import AnalysisError
from core.figure import Table


def test_that_our_weights_table_is_read_back(tmp_path):
    path = tmp_path / "fcl_weights.csv"
    Table("t", "t", ("feature", "AD", "NC"), ((0, 0.1, -0.25), (1, 1e-5, 3.0))).write(path)
    x_name, y_name, x, y = read_columns(path)
    assert (x_name, y_name) == ("AD", "NC")
    assert x.tolist() == [0.1, 1e-5]
    assert y.tolist() == [-0.25, 3.0]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfname,AD,NC\na,0.5,1\nb,2.5,3\n",
        b"name;AD;NC\r\na;0,5;1\r\nb;2,5;3\r\n",
        b"name\tAD\tNC\na\t0.5\t1\nb\t2.5\t3\n\n",
        "name;AD;NC\nä;0,5;1\nö;2,5;3\n".encode("cp1252"),
        "name;AD;NC\na;0,5;1\nb;2,5;3\n".encode("utf-16"),
        b'name,AD,NC\n"a, b",0.5,1\nc, 2.5 ,3\n',
    ],
)
def test_that_tables_of_other_programs_are_read(tmp_path, content):
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    x_name, y_name, x, y = read_columns(path)
    assert (x_name, y_name) == ("AD", "NC")
    assert x.tolist() == [0.5, 2.5]
    assert y.tolist() == [1, 3]


def test_that_named_columns_are_taken(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("epoch,a,b,c\n1,2,3,4\n2,3,4,5\n")
    assert read_columns(path)[:2] == ("a", "b")
    assert read_columns(path, x="c")[:2] == ("c", "a")
    assert read_columns(path, y="a")[:2] == ("b", "a")
    assert read_columns(path, x="epoch", y="c")[:2] == ("epoch", "c")


@pytest.mark.parametrize(
    ("content", "asked", "said"),
    [
        ("a,b\n1,x\n2,y\n", {}, "no two columns of numbers"),
        ("a,b\n1,2\n", {"x": "z"}, "no column 'z'"),
        ("a,a\n1,2\n", {"x": "a"}, "more than one column 'a'"),
        ("a,b\n1,2\n3,x\n", {"y": "b"}, "Line 3 .* 'x' is no number"),
        ("a,b\n1,2\n3,\n", {}, "Line 3 .* cell is empty"),
        ("a,b\n1,2\n3\n", {}, "cell is empty"),
        ("a,b\n", {}, "no rows below"),
        ("", {}, "no rows below"),
        ("1,2\n3,4\n", {}, "no header row"),
        ("a,b\n1,5,2,5\n", {}, "has 4 cells, its header 2"),
        ("a;b\n1.000,5;2\n1;2\n", {"x": "a"}, "'1.000,5' is no number"),
        ("a,b\n1_000,2\n", {"x": "a"}, "'1_000' is no number"),
    ],
)
def test_that_unusable_tables_are_refused_in_words(tmp_path, content, asked, said):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(AnalysisError, match=said):
        read_columns(path, **asked)


def test_that_a_missing_table_is_named(tmp_path):
    with pytest.raises(AnalysisError, match=r"'none\.csv' cannot be read"):
        read_columns(tmp_path / "none.csv")


def test_that_an_oversized_cell_is_refused(tmp_path):
    path = tmp_path / "big.csv"
    path.write_text("a,b\n" + "1" * 200_000 + ",2\n")
    with pytest.raises(AnalysisError, match="cannot be read as a table"):
        read_columns(path)
