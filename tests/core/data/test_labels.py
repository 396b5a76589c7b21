"""Tables of labels as spreadsheets write them."""

from __future__ import annotations

import pytest

from core.data.findings import code_of
from core.data.labels import (
    find_label_table,
    read_columns,
    read_label_table,
    read_oasis_table,
)
from core.errors import CohortError

TEXT = "subject,age,label\nsub-01,70,AD\nsub-02,65,NC\nsub-03,66,\n"


@pytest.fixture
def write_table(tmp_path):
    def write(content, name="labels.csv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-be").join([b"\xfe\xff", b""]),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        ("\n" + TEXT).encode(),
        TEXT.replace("subject", " Participant_ID ").replace("label", "Diagnosis").encode(),
        b'"subject","age","label"\n"sub-01","70,5","AD"\n"sub-02","6\n5","NC"\n',
        b"label;subject;mmse\nAD;sub-01;20,5\nNC;sub-02;29,5\n",
    ],
    ids=[
        "plain",
        "byte-order mark",
        "utf-16",
        "utf-16 big-endian",
        "semicolon",
        "tab",
        "windows",
        "blank line first",
        "other names",
        "quotes",
        "decimal comma",
    ],
)
def test_that_encodings_and_delimiters_are_recognised(write_table, content):
    table = read_label_table(write_table(content))
    assert table.labels == {"sub-01": "AD", "sub-02": "NC"}
    assert table.name == "labels.csv"


def test_that_latin_1_letters_survive(write_table):
    table = read_label_table(write_table("subject,label\nMüller,AD\n".encode("latin-1")))
    assert table.label_of("x.nii", "müller", "") == "AD"


def test_that_spelling_of_a_class_does_not_make_two(write_table):
    table = read_label_table(write_table("subject,label\na,AD\nb, ad \nc,NC\n"))
    assert set(table.labels.values()) == {"AD", "NC"}


def test_that_a_row_may_come_twice_if_it_agrees(write_table):
    table = read_label_table(write_table("subject,label\na,AD\nA ,AD\nb,NC\n"))
    assert table.labels == {"a": "AD", "b": "NC"}


def test_that_conflicting_rows_are_refused_with_both_classes(write_table, assert_plain):
    with pytest.raises(CohortError, match="two classes, AD and NC") as caught:
        read_label_table(write_table("subject,label\nsub-01,AD\nsub-01,NC\n"))
    assert_plain(caught.value, "'labels.csv' gives sub-01")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"subject,age\na,70\n", "no class column"),
        (b"age,label\n70,AD\n", "no subject column"),
        (b"subject,label\n", "has no rows"),
        (b"subject,label\na,n/a\nb,\n", "no class for any subject"),
        (b"subject,label\na,AD\0\0\n", "damaged"),
        (b'subject,label\n"' + b"x" * 200_000 + b'",AD\n', "damaged"),
        (bytes(range(256)), "damaged"),
    ],
)
def test_that_a_table_without_labels_is_refused(write_table, assert_plain, content, word):
    with pytest.raises(CohortError, match=word) as caught:
        read_label_table(write_table(content))
    assert_plain(caught.value, "'labels.csv'")


def test_that_a_missing_table_is_told(tmp_path, assert_plain):
    with pytest.raises(CohortError, match="cannot be read") as caught:
        read_label_table(tmp_path / "gone.csv")
    assert_plain(caught.value, "'gone.csv'")


def test_that_the_closest_name_wins(write_table):
    table = read_label_table(
        write_table("file,label\nAD/x.nii,A\ny.nii,B\nz,C\ns1_MR2,D\ns1,E\nsub-07,F\n08,G\n")
    )
    assert table.label_of("AD/x.nii", "s1", "MR2") == "A"
    assert table.label_of("other/y.nii", "s1", "MR2") == "B"
    assert table.label_of("z.nii.gz", "s1", "MR2") == "C"
    assert table.label_of("w.nii", "s1", "MR2") == "D"
    assert table.label_of("w.nii", "s1", "MR1") == "E"
    assert table.label_of("w.nii", "07", "") == "F"
    assert table.label_of("w.nii", "sub-08", "") == "G"
    assert table.label_of("w.nii", "nobody", "") is None


def test_that_rows_without_a_scan_are_listed(write_table):
    table = read_label_table(write_table("subject,label\nsub-01,AD\n02,NC\nsub-03,NC\n"))
    used = [table.key_of("x.nii", subject, "") for subject in ("sub-01", "sub-02")]
    assert used == ["sub-01", "02"]
    assert table.unused(used) == ["sub-03"]


def test_that_participants_count_only_beside_subject_folders(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tAD\n")
    assert find_label_table(tmp_path) is None
    (tmp_path / "sub-01").mkdir()
    assert find_label_table(tmp_path) == tmp_path / "participants.tsv"


def test_that_empty_classes_and_formulas_are_found(write_table):
    table = read_label_table(write_table("id,dx\ns1,AD\ns2,\n=1+1,ad\n"))
    assert table.unlabelled == ("s2",)
    assert [code_of(item) for item in table.warnings] == [
        "label_missing",
        "labels_merged",
        "formula",
    ]
    assert "s2" in table.warnings[0]


def test_that_the_columns_can_be_chosen(write_table):
    path = write_table("id,code,dx,site\n1,a,AD,X\n2,b,NC,Y\n")
    assert read_columns(path) == ("id", "code", "dx", "site")
    table = read_label_table(path, subject_column="code", class_column="site")
    assert table.labels == {"a": "X", "b": "Y"}


def test_that_a_table_of_thousands_of_columns_is_refused(write_table, assert_plain):
    with pytest.raises(CohortError, match="2000 columns") as caught:
        read_label_table(write_table("a," * 1999 + "a\n"))
    assert_plain(caught.value, "'labels.csv'")


def test_that_the_dementia_rating_gives_the_class(write_table):
    path = write_table('ID,MMSE,CDR\na,30,0\nb,29,0.5\nc,20,1\nd,10,2\ne,,\nf,28,"0,5"\n')
    table = read_oasis_table(path)
    assert table.labels == {"a": "NC", "b": "MCI", "c": "AD", "d": "AD", "f": "MCI"}
    assert table.unlabelled == ("e",)
    assert read_oasis_table(path, rules=[(1, "demented")]).labels == {
        "c": "demented",
        "d": "demented",
    }


@pytest.mark.parametrize("text", ["ID,MMSE\na,30\n", "MMSE,CDR\n30,0\n", "ID,CDR\na,\n"])
def test_that_a_wrong_oasis_table_is_refused(write_table, assert_plain, text):
    with pytest.raises(CohortError) as caught:
        read_oasis_table(write_table(text))
    assert_plain(caught.value, "'labels.csv'")
