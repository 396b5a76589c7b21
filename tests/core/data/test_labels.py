"""Tables of labels as spreadsheets write them."""

from __future__ import annotations

import pytest

from core.data.labels import find_label_table, read_label_table
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
        (b"subject,label\n", "no class for any subject"),
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
    assert table.unused(["sub-01", "sub-02"]) == ["sub-03"]


def test_that_participants_count_only_beside_subject_folders(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tAD\n")
    assert find_label_table(tmp_path) is None
    (tmp_path / "sub-01").mkdir()
    assert find_label_table(tmp_path) == tmp_path / "participants.tsv"
