"""The cohort and its file: stored whole, read whole, moved with its scans, never trusted."""

from __future__ import annotations

import dataclasses
import json
import shutil
import string
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.data import cohort as cohort_module
from core.data.cohort import (
    COHORT_FILE,
    Cohort,
    Scan,
    Skipped,
    _is_below_root,
    carry_choices,
    load_cohort,
    order_classes,
    save_cohort,
    twin_scans,
)
from core.errors import CohortError

words = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())
file_names = st.text(string.ascii_letters + string.digits + " _-äß日", min_size=1, max_size=20)
classes = ("AD", "NC")


@st.composite
def scans(draw):
    is_volume = draw(st.booleans())
    files = draw(st.lists(file_names, min_size=1, max_size=1 if is_volume else 4))
    return Scan(
        key=draw(words),
        subject=draw(words),
        session=draw(st.sampled_from(["", "MR1"])),
        label=draw(st.sampled_from(classes)),
        kind="volume" if is_volume else "slices",
        files=tuple(f"AD/{name}" for name in files),
        slice_numbers=() if is_volume else tuple(range(len(files))),
        shape=tuple(draw(st.lists(st.integers(1, 999), min_size=2, max_size=3))),
        spacing_mm=tuple(draw(st.lists(st.floats(0.1, 10), max_size=3))),
        sha256=draw(st.sampled_from(["", "ab12"])),
        warnings=tuple(draw(st.lists(words, max_size=2))),
        included=draw(st.booleans()),
    )


def make_scan(subject, label="AD", **changes):
    scan = Scan(subject, subject, "", label, "volume", (f"{label}/{subject}.nii.gz",))
    return dataclasses.replace(scan, **changes)


def small_cohort(root, per_class=3):
    return Cohort(
        root,
        classes,
        tuple(make_scan(f"{label}{n}", label) for label in classes for n in range(per_class)),
        skipped=(Skipped("notes.txt", "Not a scan."),),
        warnings=("One sentence.",),
        simulated=True,
    )


@given(members=st.lists(scans(), max_size=5), simulated=st.booleans())
def test_that_a_cohort_reads_back_equal(tmp_path_factory, members, simulated):
    folder = tmp_path_factory.mktemp("cohort")
    cohort = Cohort(folder, classes, tuple(members), (Skipped("a", "b"),), ("c",), simulated)
    assert save_cohort(cohort, folder / "x.mrifcl") == folder / "x.mrifcl"
    again = load_cohort(folder / "x.mrifcl")
    assert again == cohort
    assert again.identity == cohort.identity


def test_that_a_cohort_opens_by_its_folder_or_its_file(tmp_path):
    folder = save_cohort(small_cohort(tmp_path), tmp_path / "x.mrifcl")
    assert load_cohort(folder) == load_cohort(folder / COHORT_FILE) == small_cohort(tmp_path)


def test_that_a_cohort_moves_together_with_its_scans(tmp_path):
    (tmp_path / "old" / "scans").mkdir(parents=True)
    folder = save_cohort(small_cohort(tmp_path / "old" / "scans"), tmp_path / "old" / "x.mrifcl")
    assert str(tmp_path) not in (folder / COHORT_FILE).read_text(encoding="utf-8")
    shutil.move(tmp_path / "old", tmp_path / "new")
    cohort = load_cohort(tmp_path / "new" / "x.mrifcl")
    assert cohort.root == tmp_path / "new" / "scans"
    assert cohort.path_of("AD/a.nii") == tmp_path / "new" / "scans" / "AD" / "a.nii"


def test_that_scans_on_another_drive_are_found_by_their_whole_path(tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("path is on mount 'D:'")

    monkeypatch.setattr(cohort_module.os.path, "relpath", refuse)
    folder = save_cohort(small_cohort(tmp_path / "scans"), tmp_path / "x.mrifcl")
    assert load_cohort(folder).root == tmp_path / "scans"


def test_that_identity_follows_content_not_place(tmp_path):
    cohort = small_cohort(tmp_path)
    other = dataclasses.replace(cohort.scans[0], sha256="other")
    assert dataclasses.replace(cohort, root=tmp_path / "x").identity == cohort.identity
    assert cohort.with_scans([other, *cohort.scans[1:]]).identity != cohort.identity
    assert cohort.with_scans(cohort.scans[1:]).identity != cohort.identity


def test_that_counts_leave_excluded_scans_out(tmp_path):
    first = make_scan("a", session="1")
    cohort = Cohort(
        tmp_path,
        ("AD", "MCI", "NC"),
        (
            first,
            dataclasses.replace(first, key="a_2", session="2"),
            make_scan("b", included=False),
            make_scan("c", "NC", kind="slices", files=("c1", "c2"), slice_numbers=(1, 2)),
        ),
    )
    assert cohort.counts() == {
        "AD": {"subjects": 1, "scans": 2, "slices": 0},
        "MCI": {"subjects": 0, "scans": 0, "slices": 0},
        "NC": {"subjects": 1, "scans": 1, "slices": 2},
    }
    assert cohort.subjects == ("a", "c")
    assert cohort.n_pictures == 2


def test_that_classes_come_in_the_order_of_the_papers():
    assert order_classes(["NC", "zebra", "AD", "MCI", "NC", "apple"]) == (
        "AD",
        "MCI",
        "NC",
        "apple",
        "zebra",
    )


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ({}, "none"),
        ({"AD": 5}, "Two classes are needed"),
        ({"AD": 5, "NC": 2}, "AD 5, NC 2"),
        ({"AD": 0, "NC": 3}, "AD 0, NC 3"),
    ],
)
def test_that_a_cohort_too_small_to_train_is_refused_with_its_counts(
    tmp_path, assert_plain, counts, word
):
    members = [make_scan(f"{label}{n}", label) for label in counts for n in range(counts[label])]
    with pytest.raises(CohortError) as caught:
        Cohort(tmp_path, tuple(counts), tuple(members)).require_trainable()
    assert_plain(caught.value, word)


def test_that_three_subjects_a_class_can_be_trained(tmp_path):
    small_cohort(tmp_path).require_trainable()


def test_that_several_scans_of_one_subject_count_once(tmp_path):
    scans = [make_scan("a", key=f"a{n}") for n in range(5)]
    others = [make_scan(f"n{n}", "NC") for n in range(3)]
    with pytest.raises(CohortError, match="AD 1, NC 3"):
        Cohort(tmp_path, classes, (*scans, *others)).require_trainable()


def test_that_a_folder_without_a_cohort_is_told(tmp_path, assert_plain):
    (tmp_path / "photos").mkdir()
    for path in (tmp_path / "photos", tmp_path / "photos" / COHORT_FILE):
        with pytest.raises(CohortError, match="no cohort") as caught:
            load_cohort(path)
        assert_plain(caught.value, "'photos'")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"\0" * 200, b"[" * 100_000, b'{"format": "MRI-FCL coh'],
    ids=["empty", "cut", "no-text", "nul", "deep", "cut-later"],
)
def test_that_a_damaged_cohort_file_is_refused(tmp_path, assert_plain, content):
    folder = save_cohort(small_cohort(tmp_path), tmp_path / "x.mrifcl")
    (folder / COHORT_FILE).write_bytes(content)
    with pytest.raises(CohortError, match="damaged") as caught:
        load_cohort(folder)
    assert_plain(caught.value, "'x.mrifcl'")


def change_entry(record, path, value):
    *steps, last = path
    for step in steps:
        record = record[step]
    if value is None:
        del record[last]
    else:
        record[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["root"], None),
        (["scans"], None),
        (["classes"], 7),
        (["classes"], ["AD"]),
        (["format_version"], None),
        (["format_version"], "one"),
        (["scans", 0, "files"], []),
        (["scans", 0, "files"], ["/etc/passwd"]),
        (["scans", 0, "files"], ["AD/../../secret.nii"]),
        (["scans", 0, "files"], ["..\\secret.nii"]),
        (["scans", 0, "files"], ["C:\\secret.nii"]),
        (["scans", 0, "kind"], "slices"),
        (["scans", 0, "spacing_mm"], ["wide"]),
        (["scans", 0], "text"),
        (["scans", 0, "label"], "unknown"),
        (["skipped", 0], {"file": "a"}),
    ],
)
def test_that_a_cohort_with_a_wrong_entry_is_refused(tmp_path, assert_plain, path, value):
    folder = save_cohort(small_cohort(tmp_path), tmp_path / "x.mrifcl")
    record = json.loads((folder / COHORT_FILE).read_text(encoding="utf-8"))
    change_entry(record, path, value)
    (folder / COHORT_FILE).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(CohortError, match="damaged") as caught:
        load_cohort(folder)
    assert_plain(caught.value, "'x.mrifcl'")


@pytest.mark.parametrize("record", [[], "text", {}, {"format": "MRI-FCL run"}])
def test_that_another_programs_file_is_no_cohort(tmp_path, assert_plain, record):
    (tmp_path / COHORT_FILE).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(CohortError, match="no cohort of MRI-FCL") as caught:
        load_cohort(tmp_path)
    assert_plain(caught.value, COHORT_FILE)


def test_that_a_cohort_of_a_newer_program_is_refused(tmp_path, assert_plain):
    folder = save_cohort(small_cohort(tmp_path), tmp_path / "x.mrifcl")
    record = json.loads((folder / COHORT_FILE).read_text(encoding="utf-8"))
    record["format_version"] = 99
    (folder / COHORT_FILE).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(CohortError, match="newer MRI-FCL") as caught:
        load_cohort(folder)
    assert_plain(caught.value, "'x.mrifcl'")


def test_that_entries_of_a_later_program_are_passed_over(tmp_path):
    folder = save_cohort(small_cohort(tmp_path), tmp_path / "x.mrifcl")
    record = json.loads((folder / COHORT_FILE).read_text(encoding="utf-8"))
    record["new"] = record["scans"][0]["new"] = 1
    (folder / COHORT_FILE).write_text(json.dumps(record), encoding="utf-8")
    assert load_cohort(folder) == small_cohort(tmp_path)


# ------------------------------------------------------------------ choices on a new scan


def _scan_of(file, label, **values):
    values = {"found_label": label, "sha256": file, **values}
    return Scan(file, file, "", label, "volume", (file,), **values)


def test_that_choices_are_carried_over_to_a_new_scan(tmp_path):
    old = Cohort(
        tmp_path,
        ("AD", "NC"),
        (
            _scan_of("a", "AD", included=False),
            _scan_of("b", "MCI", found_label="AD"),
            _scan_of("c", "NC", sha256="moved", included=False),
            _scan_of("d", "NC"),
        ),
    )
    new = Cohort(
        tmp_path,
        ("AD", "NC"),
        (
            _scan_of("a", "AD"),
            _scan_of("b", "AD"),
            _scan_of("c2", "AD", sha256="moved"),
            _scan_of("d", "AD"),
            _scan_of("e", "NC"),
        ),
    )
    carried = carry_choices(old, new)
    assert [(item.label, item.included) for item in carried.scans] == [
        ("AD", False),
        ("MCI", True),
        ("AD", False),
        ("AD", True),
        ("NC", True),
    ]
    assert carried.classes == ("AD", "NC", "MCI")


def test_that_a_cohort_with_a_subject_in_two_classes_is_refused(tmp_path, assert_plain):
    scans = [_scan_of(f"{label}{n}", label) for label in ("AD", "NC") for n in range(3)]
    twice = dataclasses.replace(scans[5], subject="AD0")
    with pytest.raises(CohortError, match="in two classes") as caught:
        Cohort(tmp_path, ("AD", "NC"), (*scans, twice)).require_trainable()
    assert_plain(caught.value, "'NC2' in NC")


@pytest.mark.parametrize(
    ("hashes", "groups"),
    [
        ([("a", ""), ("a", ""), ("b", "")], [["0", "1"]]),
        ([("a", "v"), ("b", "v"), ("b", "v"), ("c", "w")], [["0", "1", "2"]]),
        ([("", ""), ("", "")], []),
    ],
)
def test_that_twins_are_known_by_bytes_or_voxels(hashes, groups):
    scans = [
        _scan_of(str(n), "AD", sha256=sha, voxels_sha256=voxels)
        for n, (sha, voxels) in enumerate(hashes)
    ]
    assert [[scan.key for scan in group] for group in twin_scans(scans)] == groups


@given(
    st.one_of(
        st.text(alphabet="ab.:/\\\n C~", max_size=12),
        st.lists(st.sampled_from(["..", ".", "a", "C:", "", "b..", "..b"]), max_size=5).map(
            "/".join
        ),
    )
)
@example("..")
@example("a\n/../b")
@example("a\\..")
@example("//server/share/x")
def test_that_a_file_outside_the_root_is_told_as_pathlib_tells_it(file):
    paths = (PurePosixPath(file), PureWindowsPath(file))
    is_outside = any(
        path.is_absolute() or path.drive or path.root or ".." in path.parts for path in paths
    )
    assert _is_below_root(file) is not is_outside
