"""Splits: the paper's numbers, and no subject on two sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import SplitSettings
from core.data.leakage import audit_split
from core.data.split import (
    PARTS,
    SplitFileError,
    numbers_in_split_file,
    part_sizes,
    read_split_file,
    shuffle_labels,
    split_again,
    split_by,
    split_file_record,
    split_name,
    split_slices,
    split_words,
    write_split_file,
    write_subject_split,
)
from core.errors import CohortError

# Subjects with their classes; the same subject may come twice, and in both classes.
members = st.lists(
    st.tuples(st.integers(0, 25).map("sub-{:02d}".format), st.integers(0, 1)), max_size=12
).map(
    lambda extra: [
        *((f"sub-{number:02d}", number % 2) for number in range(30, 42)),
        *extra,
    ]
)
shares = st.floats(0.01, 100)
SHA256_OF_HEADER = "83862f13d5f8ca3dd477869bcc3318bca55736b42ee4e1cf111ca625ca56ca69"


def settings_of(mode="subject", train=5.0, validation=2.0, test=3.0, **more):
    return SplitSettings(
        mode=mode, train_share=train, validation_share=validation, test_share=test, **more
    )


@pytest.mark.parametrize(
    ("n", "sizes"),
    # Khagi & Kwon (2022), Table 1: 840 slices a class; 28 subjects a class at 5:2:3.
    [(840, (420, 168, 252)), (28, (14, 6, 8)), (10, (5, 2, 3)), (3, (1, 1, 1)), (0, (0, 0, 0))],
)
def test_that_5_2_3_gives_the_numbers_of_the_paper(n, sizes):
    assert part_sizes(n, SplitSettings()) == sizes


@given(n=st.integers(0, 2000), train=shares, validation=shares, test=shares)
def test_that_part_sizes_add_up_and_leave_no_part_empty(n, train, validation, test):
    sizes = part_sizes(n, settings_of("subject", train, validation, test))
    assert sum(sizes) == n
    assert min(sizes) >= (1 if n >= 3 else 0)
    exact = np.array([train, validation, test]) * n / (train + validation + test)
    # Within one of the exact share, but for the one or two that keep a part from being empty.
    assert (np.abs(np.array(sizes) - exact) < 3).all()


@given(members=members, seed=st.integers(0, 2**31 - 1), mode=st.sampled_from(["subject", "kfold"]))
def test_that_no_split_by_subject_shares_a_subject(make_slices, members, seed, mode):
    slices = make_slices(members)
    settings = settings_of(mode, folds=5, fold=1 + seed % 5)
    split = split_slices(slices, settings, seed)
    for subject in set(slices.subject):
        assert len(set(split.part[slices.subject == subject])) == 1
    assert set(split.part) <= set(PARTS)
    audit = audit_split(slices, split, mode)
    assert audit.shared_subjects == 0
    assert not audit.leaks


@given(seed=st.integers(0, 2**31 - 1))
def test_that_a_split_by_subject_gives_each_class_its_share(make_slices, seed):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(28)])
    split = split_slices(slices, SplitSettings(), seed)
    for label in (0, 1):
        of_class = split.part[slices.label == label]
        assert [int((of_class == part).sum()) // 3 for part in PARTS] == [14, 6, 8]


def test_that_the_same_seed_gives_the_same_split_and_another_one_another(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(28)])
    first, again, other = (split_slices(slices, SplitSettings(), seed) for seed in (1, 1, 2))
    assert np.array_equal(first.part, again.part)
    assert not np.array_equal(first.part, other.part)


def test_that_a_split_by_slice_gives_table_1_of_the_paper(make_slices):
    members = [(f"{label}{n}", label) for label in (0, 1) for n in range(28)]
    slices = make_slices(members, n_slices=30)
    split = split_slices(slices, settings_of("slice"), 0)
    for label in (0, 1):
        of_class = split.part[slices.label == label]
        assert [int((of_class == part).sum()) for part in PARTS] == [420, 168, 252]
    assert len(split.rows_of("test")) == 504


def test_that_each_fold_is_tested_once_and_the_next_one_validates(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(10)])
    splits = [split_slices(slices, settings_of("kfold", fold=fold), 3) for fold in range(1, 6)]
    tested = np.stack([split.part == "test" for split in splits])
    validated = np.stack([split.part == "validation" for split in splits])
    assert (tested.sum(axis=0) == 1).all()
    assert np.array_equal(validated, np.roll(tested, -1, axis=0))
    assert tested.sum(axis=1).tolist() == [12] * 5


def test_that_a_subject_in_two_classes_stays_in_one_part(make_slices):
    twice = [("both", 0), ("both", 1)]
    slices = make_slices([*((f"{label}{n}", label) for label in (0, 1) for n in range(6)), *twice])
    for seed in range(20):
        split = split_slices(slices, SplitSettings(), seed)
        assert len(set(split.part[slices.subject == "both"])) == 1


@given(members=members, seed=st.integers(0, 2**31 - 1))
def test_that_shuffled_labels_keep_class_sizes_and_one_class_a_subject(make_slices, members, seed):
    slices = make_slices(members)
    label = shuffle_labels(slices, seed)
    _, first = np.unique(slices.subject, return_index=True)
    assert np.bincount(label[first], minlength=2).tolist() == (
        np.bincount(slices.label[first], minlength=2).tolist()
    )
    for subject in set(slices.subject):
        assert len(set(label[slices.subject == subject])) == 1


def test_that_a_control_run_trains_on_shuffled_labels_and_still_splits_by_subject(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(28)])
    split = split_slices(slices, settings_of(shuffled_labels=True), 5)
    assert not np.array_equal(split.label, slices.label)
    assert np.bincount(split.label).tolist() == np.bincount(slices.label).tolist()
    for label in (0, 1):
        of_class = split.part[split.label == label]
        assert [int((of_class == part).sum()) // 3 for part in PARTS] == [14, 6, 8]
    assert slices.label.tolist() == [0] * 84 + [1] * 84


@pytest.mark.parametrize(
    ("mode", "members", "n_slices", "text"),
    [
        ("subject", [("a", 0), ("b", 0), ("c", 1)], 3, "only 2 subjects in class AD"),
        ("slice", [("a", 0), ("b", 1)], 2, "only 2 slices in class AD"),
        (
            "kfold",
            [(f"{label}{n}", label) for label in (0, 1) for n in range(4)],
            3,
            "4 subjects, fewer than 5 folds",
        ),
        ("subject", [("a", 0), ("b", 0), ("c", 0)], 3, "only 0 subjects in class NC"),
    ],
)
def test_that_a_class_too_small_for_three_parts_is_refused(
    make_slices, mode, members, n_slices, text
):
    with pytest.raises(CohortError, match=text):
        split_slices(make_slices(members, n_slices), settings_of(mode), 0)


# ------------------------------------------------------------------ split files


@pytest.fixture
def six(make_slices):
    """Six subjects of two classes, three slices each."""
    return make_slices([(f"sub-{n}", n % 2) for n in range(6)])


def subject_rows(**changes):
    parts = dict(zip((f"sub-{n}" for n in range(6)), [*PARTS, *PARTS], strict=True)) | changes
    return "".join(f"{subject},{part}\n" for subject, part in parts.items() if part)


@pytest.mark.parametrize("mode", ["subject", "slice"])
@pytest.mark.parametrize("subject", ["s{}", "=1+{}", "-{}", "Müller {}", 'a,"b{}'])
def test_that_a_written_split_reads_back_equal(tmp_path, make_slices, mode, subject):
    slices = make_slices([(subject.format(n), n % 2) for n in range(12)], 5)
    split = split_slices(slices, settings_of(mode), 3)
    write_split_file(tmp_path / "split.csv", slices, split)
    again = read_split_file(tmp_path / "split.csv", slices)
    assert np.array_equal(again.part, split.part)
    assert np.array_equal(again.label, split.label)
    assert again.notices == ()


def test_that_a_table_of_subjects_gives_the_parts(tmp_path, six):
    path = tmp_path / "mine.csv"
    path.write_text("subject,part\n" + subject_rows())
    split = split_slices(six, SplitSettings(split_file=str(path)), 0)
    assert split.part[::3].tolist() == [*PARTS, *PARTS]
    assert split_name(SplitSettings(split_file=str(path))) == "file"


def test_that_tables_of_spreadsheets_are_understood(tmp_path, six):
    text = "Part;Subject\n" + "".join(
        f"{part};{subject}\n"
        for subject, part in (line.split(",") for line in subject_rows().split())
    )
    for name, data in {
        "bom": text.encode("utf-8-sig"),
        "utf-16": text.encode("utf-16"),
        "windows": text.replace("\n", "\r\n").encode(),
        "names": text.replace("train", "Training").replace("validation", " VAL ").encode(),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert read_split_file(tmp_path / name, six).part[::3].tolist() == [*PARTS, *PARTS]


def test_that_rows_of_unknown_subjects_are_told(tmp_path, six):
    path = tmp_path / "mine.csv"
    path.write_text("subject,part\n" + subject_rows() + "sub-9,test\n")
    (notice,) = read_split_file(path, six).notices
    assert "1 rows that fit no slice" in notice
    assert "subject sub-9" in notice


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("subject,part\n" + subject_rows(**{"sub-3": ""}), "leaves out 3 of 18 .*subject sub-3"),
        ("subject,part\n" + subject_rows() + "sub-0,test\n", "subject sub-0 into two parts"),
        ("subject,part\n" + subject_rows(**{"sub-3": "exam"}), "Line 5 .*'exam'"),
        ("subject,part\n" + subject_rows(**{"sub-1": "test", "sub-4": "test"}), "validation"),
        ("subject,class\n" + subject_rows(), "no column 'part'"),
        ("part\ntest\n", "no column 'subject'"),
        ("subject,part\n", "has no rows"),
        ("", "no column"),
        ("subject,part\n\0\0", "damaged"),
    ],
)
def test_that_a_split_file_that_does_not_fit_is_refused(tmp_path, six, assert_plain, text, word):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(CohortError, match=word) as caught:
        read_split_file(path, six)
    assert_plain(caught.value, "'mine.csv'")


def test_that_a_missing_split_file_is_told(tmp_path, six, assert_plain):
    settings = SplitSettings(split_file=str(tmp_path / "mine.csv"))
    for read in (lambda: split_slices(six, settings, 0), lambda: split_file_record(settings)):
        with pytest.raises(CohortError) as caught:
            read()
        assert_plain(caught.value, "'mine.csv'")


def test_that_a_split_file_is_recorded_without_its_folder(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("subject,part\n")
    record = split_file_record(SplitSettings(split_file=str(path)))
    # printf 'subject,part\n' | sha256sum
    assert record == {"name": "mine.csv", "sha256": SHA256_OF_HEADER}
    assert split_file_record(SplitSettings()) is None


def test_that_an_earlier_split_by_a_file_comes_from_what_the_run_kept(tmp_path, six):
    given = tmp_path / "mine.csv"
    given.write_text("subject,part\n" + subject_rows())
    settings = SplitSettings(split_file=str(given), shuffled_labels=True)
    split = split_slices(six, settings, 4)
    write_split_file(tmp_path / "split.csv", six, split)
    given.unlink()
    stored = SplitSettings(split_file="mine.csv", shuffled_labels=True)
    again = split_again(six, stored, 4, tmp_path / "split.csv")
    assert np.array_equal(again.part, split.part)
    assert np.array_equal(again.label, split.label)
    drawn = split_again(six, settings_of(), 4, tmp_path / "not-there.csv")
    assert np.array_equal(drawn.part, split_slices(six, settings_of(), 4).part)


# ------------------------------------------------------------------ in words, and kept


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "by subject 5:2:3, seed 4"),
        ({"mode": "slice", "train": 2.5}, "by slice 2.5:2:3, seed 4"),
        ({"mode": "kfold", "fold": 2}, "by subject, test fold 2 of 5, seed 4"),
        ({"split_file": "there/mine.csv"}, "by subject, from file mine.csv"),
        ({"shuffled_labels": True}, "by subject 5:2:3, seed 4, labels shuffled"),
    ],
)
def test_that_a_split_is_said_in_words(more, words):
    assert split_words(settings_of(**more), 4, by="subject") == words


@given(seed=st.integers(0, 500))
def test_that_a_split_goes_by_subject_where_each_is_in_one_part(make_slices, seed):
    slices = make_slices([(f"s{n}", n % 2) for n in range(8)], 3)
    for mode in ("subject", "slice", "kfold"):
        split = split_slices(slices, settings_of(mode, folds=4), seed)
        parts = [set(split.part[slices.subject == name]) for name in set(slices.subject)]
        assert split_by(slices, split) == (
            "subject" if all(len(of) == 1 for of in parts) else "slice"
        )


@given(seed=st.integers(0, 500))
def test_that_a_split_kept_by_subject_fits_other_slices_too(make_slices, tmp_path_factory, seed):
    members = [(f"s{n}", n % 2) for n in range(8)]
    path = tmp_path_factory.mktemp("kept") / "split.csv"
    slices = make_slices(members, 3)
    split = split_slices(slices, settings_of(), seed)
    write_subject_split(path, slices, split)
    assert np.array_equal(read_split_file(path, slices).part, split.part)
    more = make_slices(members, 5)
    again = read_split_file(path, more)
    assert {(s, p) for s, p in zip(more.subject, again.part, strict=True)} == {
        (s, p) for s, p in zip(slices.subject, split.part, strict=True)
    }


def test_that_slices_in_a_split_file_are_listed_by_scan(make_slices, tmp_path):
    slices = make_slices([(f"s{n}", n % 2) for n in range(8)], 3)
    split = split_slices(slices, settings_of("slice"), 0)
    write_split_file(tmp_path / "slices.csv", slices, split)
    write_subject_split(tmp_path / "subjects.csv", slices, split)
    assert numbers_in_split_file(tmp_path / "slices.csv") == {
        f"s{n}_{n}": [0, 1, 2] for n in range(8)
    }
    assert numbers_in_split_file(tmp_path / "subjects.csv") == {}


def test_that_all_rows_that_do_not_fit_are_given_not_only_the_first(make_slices, tmp_path):
    slices = make_slices([(f"s{n}", n % 2) for n in range(12)], 2)
    path = tmp_path / "short.csv"
    path.write_text("subject,part\ns0,train\ns1,test\nx,train\ny,test\n", encoding="utf-8")
    with pytest.raises(SplitFileError) as caught:
        read_split_file(path, slices)
    unfit = [(row.fault, row.subject) for row in caught.value.unfit]
    assert unfit[:10] == [("missing", f"s{n}") for n in range(2, 12)]
    assert unfit[10:] == [("unknown", "x"), ("unknown", "y")]
