"""Folders as people have them: layouts, names, what is left out and why."""

from __future__ import annotations

import os
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data import folder_walk, scan_entry
from core.data.cohort import load_cohort, save_cohort
from core.data.findings import code_of
from core.data.scan_folder import (
    FileIdentity,
    compile_pattern,
    expected_slices,
    identify_file,
    scan_folder,
)
from core.errors import CohortError
from core.progress import Progress, run_to_end


def scan(folder, **options):
    return run_to_end(scan_folder(folder, **options))


def codes(cohort):
    return [code_of(item) for item in cohort.warnings]


def reasons(cohort):
    return {item.file: item.reason for item in cohort.skipped}


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "subject", "session", "number"),
    [
        ("AD/OAS1_0028_MR1_s02.jpg", "OAS1_0028", "MR1", 2),
        ("OAS1_0028_MR1_mpr_n4_anon_111_t88_masked_gfc.hdr", "OAS1_0028", "MR1", None),
        ("sub-01/ses-02/anat/sub-01_ses-02_T1w.nii.gz", "sub-01", "ses-02", None),
        ("sub-A7_T1w.nii", "sub-A7", "", None),
        ("ADNI_002_S_0295_slice_12.png", "002_S_0295", "", 12),
        ("patient12.png", "patient12", "", 12),
        ("patient12_slice003.png", "patient12", "", 3),
        ("patient12-7.jpeg", "patient12", "", 7),
        ("patient12.nii.gz", "patient12", "", None),
        ("brain.v2.nii", "brain.v2", "", None),
        ("café.nii", "café", "", None),
    ],
)
def test_that_names_tell_subject_session_and_slice(name, subject, session, number):
    assert identify_file(name) == FileIdentity(subject, session, number)


def test_that_the_users_pattern_comes_first():
    pattern = r"^(?P<subject>P\d+)V(?P<session>\d)_(?P<slice>\d+)of"
    assert identify_file("P12V2_07of30.png", pattern) == FileIdentity("P12", "2", 7)
    assert identify_file("sub-01_s3.png", pattern) == FileIdentity("sub-01", "", 3)


@given(name=st.text(max_size=60) | st.from_regex(r"[\w.\- /]{0,30}\.(nii|nii\.gz|jpg|PNG)\n?"))
def test_that_no_name_is_too_odd_to_identify(name):
    identity = identify_file(name)
    assert isinstance(identity.subject, str)
    assert identity.slice_number is None or identity.slice_number >= 0


@given(
    name=st.text(st.sampled_from("ab1_-."), max_size=20).map(lambda stem: stem + ".png"),
    pattern=st.sampled_from(
        ["(?P<subject>x)?", "(?P<subject>a*)(?P<slice>.*)", "(?P<subject>.+)_(?P<session>.)?"]
    ),
)
def test_that_a_pattern_with_empty_groups_is_survived(name, pattern):
    assert isinstance(identify_file(name, pattern).subject, str)


@pytest.mark.parametrize("pattern", ["(", "[a-z", "OAS1_([0-9]+)"])
def test_that_a_bad_pattern_is_refused_with_an_example(assert_plain, tmp_path, pattern):
    for call in (
        lambda: compile_pattern(pattern),
        lambda: scan(tmp_path, subject_pattern=pattern),
        lambda: identify_file("a.nii", pattern),
    ):
        with pytest.raises(CohortError) as caught:
            call()
        assert_plain(caught.value, f"'{pattern}'")


# ------------------------------------------------------------------ layouts


def test_that_class_folders_of_volumes_are_recognised(tmp_path, write_nifti, voxels):
    for n, name in enumerate(["NC/sub-03", "AD/sub-01", "AD/sub-02", "MCI/sub-04"]):
        write_nifti(tmp_path / f"{name}.nii.gz", voxels + n)
    cohort = scan(tmp_path)
    assert cohort.classes == ("AD", "MCI", "NC")
    assert [(item.key, item.label) for item in cohort.scans] == [
        ("sub-01", "AD"),
        ("sub-02", "AD"),
        ("sub-04", "MCI"),
        ("sub-03", "NC"),
    ]
    first = cohort.scans[0]
    assert (first.kind, first.files, first.shape) == ("volume", ("AD/sub-01.nii.gz",), (8, 9, 10))
    assert first.spacing_mm == pytest.approx((1.0, 1.5, 2.0))
    assert len(first.sha256) == 64
    assert cohort.skipped == ()
    assert codes(cohort) == ["few_subjects"]
    assert expected_slices(cohort, 30) == 120


@pytest.mark.parametrize(
    "layout",
    [
        "{label}/sub-{n:02d}/anat/sub-{n:02d}_T1w.nii.gz",
        "{label}/sub-{n:02d}/anat/T1w.nii.gz",
        "{label}/sub-{n:02d}.nii",
    ],
)
def test_that_subjects_are_found_in_folders_and_names(tmp_path, write_nifti, voxels, layout):
    for n, label in enumerate(["AD", "AD", "NC"], start=1):
        write_nifti(tmp_path / layout.format(label=label, n=n), voxels + n)
    cohort = scan(tmp_path)
    assert [(item.subject, item.label) for item in cohort.scans] == [
        ("sub-01", "AD"),
        ("sub-02", "AD"),
        ("sub-03", "NC"),
    ]


def test_that_a_folder_names_the_subject_where_files_are_numbered(tmp_path, write_picture):
    for seed, name in enumerate(["AD/anna/1", "AD/anna/2", "AD/bert/1", "NC/carl/slice_1"]):
        write_picture(tmp_path / f"{name}.png", seed)
    cohort = scan(tmp_path)
    assert [(item.subject, item.slice_numbers) for item in cohort.scans] == [
        ("anna", (1, 2)),
        ("bert", (1,)),
        ("carl", (1,)),
    ]


def test_that_pictures_are_grouped_by_subject_in_slice_order(tmp_path, write_picture):
    for seed, number in enumerate((10, 9, 100)):
        write_picture(tmp_path / "AD" / f"OAS1_0028_MR1_s{number}.png", seed)
    write_picture(tmp_path / "NC" / "OAS1_0001_MR1_s1.png", 7)
    cohort = scan(tmp_path)
    first = cohort.scans[0]
    assert first.key == "OAS1_0028_MR1"
    assert first.slice_numbers == (9, 10, 100)
    assert [file[-8:] for file in first.files] == ["1_s9.png", "_s10.png", "s100.png"]
    assert first.shape == (12, 16)
    assert cohort.n_pictures == 4
    assert expected_slices(cohort, 30) == 4


def test_that_a_flat_folder_takes_classes_from_a_table(tmp_path, write_nifti, voxels):
    for n in range(3):
        write_nifti(tmp_path / "flat" / f"p{n}.nii", voxels + n)
    (tmp_path / "labels.csv").write_text("subject;group\np0;AD\np1;NC\np9;NC\n")
    cohort = scan(tmp_path / "flat", labels=tmp_path / "labels.csv")
    assert [(item.subject, item.label) for item in cohort.scans] == [("p0", "AD"), ("p1", "NC")]
    assert "'p2' has no class in 'labels.csv'" in reasons(cohort)["p2.nii"]
    assert codes(cohort) == ["few_subjects", "ids_unmatched"]
    assert "without a scan (p9)" in cohort.warnings[1]
    assert "without a row (p2.nii)" in cohort.warnings[1]


def test_that_bids_with_participants_is_recognised(tmp_path, write_nifti, voxels):
    for n in (1, 2):
        for session in ("ses-1", "ses-2"):
            name = f"sub-{n:02d}/{session}/anat/sub-{n:02d}_{session}_T1w.nii.gz"
            write_nifti(tmp_path / name, voxels + n + 10 * (session == "ses-2"))
    write_nifti(tmp_path / "derivatives" / "sub-01" / "sub-01_T1w.nii.gz", voxels)
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tAD\nsub-02\tNC\n")
    cohort = scan(tmp_path)
    assert [(item.key, item.label) for item in cohort.scans] == [
        ("sub-01_ses-1", "AD"),
        ("sub-01_ses-2", "AD"),
        ("sub-02_ses-1", "NC"),
        ("sub-02_ses-2", "NC"),
    ]
    assert cohort.subjects == ("sub-01", "sub-02")


def test_that_an_analyze_pair_is_one_scan(tmp_path, voxels):
    import nibabel as nib

    for label in ("AD", "NC"):
        (tmp_path / label).mkdir()
        nib.save(
            nib.AnalyzeImage(voxels + (label == "AD"), np.eye(4)),
            tmp_path / label / f"{label}1.hdr",
        )
    cohort = scan(tmp_path)
    assert [item.files for item in cohort.scans] == [("AD/AD1.hdr",), ("NC/NC1.hdr",)]
    assert "Left and right are not certain" in cohort.scans[0].warnings[0]
    # The headers are equal: the voxels count too.
    assert cohort.scans[0].sha256 != cohort.scans[1].sha256


def test_that_only_the_asked_classes_are_taken_in_their_order(tmp_path, write_nifti, voxels):
    for n, label in enumerate(("AD", "MCI", "NC")):
        write_nifti(tmp_path / label / f"{label}1.nii", voxels + n)
    assert scan(tmp_path, classes=["NC", "AD"]).classes == ("NC", "AD")
    assert [s.label for s in scan(tmp_path, classes=["nc", "AD", "AD"]).scans] == ["nc", "AD"]
    with pytest.raises(CohortError, match=r"no class 'CN'.*Found: AD, MCI, NC"):
        scan(tmp_path, classes=["AD", "CN"])


def test_that_spellings_of_a_class_are_one_class_and_told(tmp_path, write_nifti, voxels):
    for n, label in enumerate(("AD", "ad", "NC")):
        write_nifti(tmp_path / label / f"p{n}.nii", voxels + n)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system does not tell AD from ad")
    cohort = scan(tmp_path)
    assert cohort.classes == ("AD", "NC")
    merged = cohort.warnings[codes(cohort).index("labels_merged")]
    assert merged.startswith("AD and ad were taken as one class")


# ------------------------------------------------------------------ what is left out


def two_classes(tmp_path, write_nifti, voxels):
    for n, label in enumerate(("AD", "NC")):
        write_nifti(tmp_path / label / f"{label}1.nii.gz", voxels + n)
    return tmp_path


def test_that_one_bad_scan_is_listed_and_the_others_load(tmp_path, write_nifti, voxels):
    two_classes(tmp_path, write_nifti, voxels)
    (tmp_path / "AD" / "bad.nii.gz").write_bytes(b"")
    (tmp_path / "AD" / "cut.nii").write_bytes(bytes(100))
    (tmp_path / "AD" / "s1.hdr").write_bytes(bytes(348))
    (tmp_path / "AD" / "s2.img").write_bytes(bytes(348))
    cohort = scan(tmp_path)
    assert len(cohort.scans) == 2
    assert set(reasons(cohort)) == {"AD/bad.nii.gz", "AD/cut.nii", "AD/s1.hdr", "AD/s2.img"}
    assert "empty (0 bytes)" in reasons(cohort)["AD/bad.nii.gz"]
    assert "needs 's1.img' beside it" in reasons(cohort)["AD/s1.hdr"]
    assert "needs 's2.hdr' beside it" in reasons(cohort)["AD/s2.img"]


def test_that_bad_pictures_are_listed_and_the_subjects_others_stay(tmp_path, write_picture):
    for number in (1, 2):
        write_picture(tmp_path / "AD" / f"a_s{number}.png", number)
    write_picture(tmp_path / "NC" / "b_s1.png", 5, shape=(9, 9))
    write_picture(tmp_path / "NC" / "b_s2.png", 6, shape=(9, 8))
    (tmp_path / "AD" / "a_s3.png").write_bytes(b"")
    (tmp_path / "AD" / "a_s002.jpg").write_bytes(b"x")
    (tmp_path / "AD" / "c_s1.png").write_text("text")
    cohort = scan(tmp_path)
    assert [(item.subject, item.slice_numbers) for item in cohort.scans] == [
        ("a", (1, 2)),
        ("b", (1, 2)),
    ]
    assert cohort.scans[1].warnings == ("Its slices differ in size.",)
    assert set(reasons(cohort)) == {"AD/a_s3.png", "AD/a_s2.png", "AD/c_s1.png"} ^ (
        {"AD/a_s2.png", "AD/a_s002.jpg"}
    )


def test_that_a_slice_number_that_comes_twice_is_listed(tmp_path, write_picture):
    write_picture(tmp_path / "AD" / "a_s1.png", 1)
    write_picture(tmp_path / "AD" / "a_s01.png", 2)
    cohort = scan(tmp_path)
    assert len(cohort.scans[0].files) == 1
    assert "Slice 1 of a is there twice" in reasons(cohort)["AD/a_s1.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_that_links_and_hidden_files_are_not_followed(tmp_path, write_nifti, voxels):
    outside = write_nifti(tmp_path / "outside" / "secret.nii")
    root = two_classes(tmp_path / "scans", write_nifti, voxels)
    (root / "AD" / "linked.nii").symlink_to(outside)
    (root / "AD" / "broken.nii").symlink_to("nowhere")
    (root / "NC" / "loop").symlink_to(root, target_is_directory=True)
    write_nifti(root / "AD" / "._AD2.nii.gz")
    write_nifti(root / ".trash" / "AD9.nii.gz")
    os.mkfifo(root / "AD" / "pipe.nii")
    (root / "Thumbs.db").write_bytes(b"junk")
    cohort = scan(root)
    assert len(cohort.scans) == 2
    assert reasons(cohort).pop("AD/pipe.nii").startswith("It is not a regular file")
    links = {file: why for file, why in reasons(cohort).items() if file != "AD/pipe.nii"}
    assert set(links) == {"AD/linked.nii", "AD/broken.nii", "NC/loop"}
    assert all("Links are not followed" in reason for reason in links.values())


def test_that_masks_and_other_files_are_listed(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_nifti(root / "AD" / "AD1_brain_mask.nii.gz")
    (root / "README.txt").write_text("hello")
    (root / "AD" / "AD2.nrrd").write_bytes(b"x")
    cohort = scan(root)
    assert len(cohort.scans) == 2
    assert "mask" in reasons(cohort)["AD/AD1_brain_mask.nii.gz"]
    assert "NIfTI" in reasons(cohort)["AD/AD2.nrrd"]
    assert set(reasons(cohort)) == {"AD/AD1_brain_mask.nii.gz", "AD/AD2.nrrd", "README.txt"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_that_a_name_that_is_no_text_is_listed_and_the_cohort_can_be_stored(
    tmp_path, write_nifti, voxels
):
    root = two_classes(tmp_path / "scans", write_nifti, voxels)
    data = (root / "AD" / "AD1.nii.gz").read_bytes()
    with open(os.fsencode(root / "AD") + b"/bad_\xff.nii.gz", "wb") as file:  # noqa: PTH123
        file.write(data)
    cohort = scan(root)
    assert len(cohort.scans) == 2
    assert "Rename it" in reasons(cohort)["bad_\\xff.nii.gz"]
    assert load_cohort(save_cohort(cohort, tmp_path / "x.mrifcl")) == cohort


def test_that_folders_too_deep_are_listed(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_nifti(root.joinpath("AD", *"abcdefghijkl", "deep.nii"))
    cohort = scan(root)
    assert len(cohort.scans) == 2
    assert any("deeper than 12" in reason for reason in reasons(cohort).values())


def test_that_loose_files_are_told_to_need_a_class_folder(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_nifti(root / "loose.nii")
    assert "lies in no class folder" in reasons(scan(root))["loose.nii"]


# ------------------------------------------------------------------ what is doubtful


def test_that_a_subject_in_two_classes_is_told(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_nifti(root / "NC" / "AD1.nii.gz", voxels + 9)
    cohort = scan(root)
    assert cohort.warnings[0].startswith("Subject AD1 is in 2 classes (AD, NC).")
    assert [item.key for item in cohort.scans] == ["AD1", "AD1_2", "NC1"]


def test_that_the_same_scan_under_two_names_is_told(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    (root / "NC" / "NC2.nii.gz").write_bytes((root / "AD" / "AD1.nii.gz").read_bytes())
    assert scan(root).warnings[0] == (
        "AD/AD1.nii.gz (AD) and NC/NC2.nii.gz (NC) are the same scan in two classes. Leave one out."
    )


def test_that_pictures_of_unknown_subjects_are_told_once(tmp_path, write_picture):
    for label in ("AD", "NC"):
        for number in range(20):
            write_picture(tmp_path / label / f"{number}.png", number + 100 * (label == "AD"))
    warnings = scan(tmp_path).warnings
    assert any("may not tell the subject" in text for text in warnings)
    assert len(warnings) <= 5


def test_that_keys_are_unique_whatever_the_names(tmp_path, write_nifti, voxels):
    names = ["a/x.nii", "b/x.nii", "a/x_2.nii", "b/x_2.nii"]
    for n, name in enumerate(names):
        write_nifti(tmp_path / "AD" / name, voxels + n)
    keys = [item.key for item in scan(tmp_path).scans]
    assert len(keys) == len(set(keys)) == 4


# ------------------------------------------------------------------ nothing to be had


def test_that_no_folder_an_empty_one_and_an_unlabelled_one_are_refused(
    tmp_path, write_nifti, assert_plain
):
    with pytest.raises(CohortError, match="no folder") as caught:
        scan(tmp_path / "gone")
    assert_plain(caught.value, "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="holds no scans") as caught:
        scan(tmp_path / "empty")
    assert_plain(caught.value, "'empty'")
    write_nifti(tmp_path / "flat" / "a.nii")
    with pytest.raises(CohortError, match=r"First reason: 'a[.]nii' lies in") as caught:
        scan(tmp_path / "flat")
    assert_plain(caught.value, "'flat'")


def test_that_a_scan_that_vanishes_meanwhile_is_listed(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_nifti(root / "NC" / "NC2.nii.gz", voxels + 5)
    operation = scan_folder(root)
    for event in operation:
        if isinstance(event, Progress) and event.total:
            break
    (root / "NC" / "NC2.nii.gz").unlink()
    try:
        while True:
            next(operation)
    except StopIteration as stop:
        cohort = stop.value
    assert "no longer there" in reasons(cohort)["NC/NC2.nii.gz"]


def fail_to_read(*_, **__):
    raise OSError(5, "Input/output error")


def test_that_an_unreadable_folder_is_listed(tmp_path, write_nifti, voxels, monkeypatch):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_nifti(root / "NC" / "locked" / "NC2.nii.gz", voxels + 5)
    read = os.scandir
    # A real mode of 0 stops nobody who runs the tests as root.
    monkeypatch.setattr(
        folder_walk.os,
        "scandir",
        lambda path: (fail_to_read if path.name == "locked" else read)(path),
    )
    cohort = scan(root)
    assert len(cohort.scans) == 2
    assert "cannot be read: Input/output error" in reasons(cohort)["NC/locked"]


def test_that_files_that_cannot_be_read_to_their_end_are_listed(
    tmp_path, write_nifti, write_picture, voxels, monkeypatch
):
    root = two_classes(tmp_path, write_nifti, voxels)
    write_picture(root / "NC" / "b_s1.png")
    hash_files = scan_entry.hash_files
    monkeypatch.setattr(
        scan_entry,
        "hash_files",
        lambda paths: (hash_files if "AD" in paths[0].name else fail_to_read)(paths),
    )
    cohort = scan(root)
    assert [item.subject for item in cohort.scans] == ["AD1"]
    assert set(reasons(cohort)) == {"NC/NC1.nii.gz", "NC/b_s1.png"}
    assert all("drive" in reason and "Reconnect" in reason for reason in reasons(cohort).values())


def test_that_a_whole_disk_is_refused(tmp_path, write_nifti, voxels, monkeypatch, assert_plain):
    root = two_classes(tmp_path / "disk", write_nifti, voxels)
    monkeypatch.setattr(folder_walk, "_MAX_ENTRIES", 3)
    with pytest.raises(CohortError, match="over 3 files") as caught:
        scan(root)
    assert_plain(caught.value, "'disk'")


def test_that_a_long_walk_can_be_cancelled(tmp_path):
    for number in range(1200):
        (tmp_path / f"{number}.txt").touch()
    walk = scan_folder(tmp_path)
    assert len([next(walk) for _ in range(3)]) == 3
    walk.close()


def test_that_progress_counts_up_to_the_files(tmp_path, write_nifti, voxels):
    root = two_classes(tmp_path, write_nifti, voxels)
    events = list(scan_folder(root))
    assert all(isinstance(event, Progress) for event in events)
    assert all(event.done <= event.total for event in events if event.total)
    assert events[-1].total == 2


# ------------------------------------------------------------------ real scans


def test_that_two_classes_of_real_slices_are_40_subjects_and_1200_slices(shared_data):
    cohort = scan(shared_data / "oasis_slices", classes=["AD", "NC"])
    assert cohort.counts() == {
        label: {"subjects": 20, "scans": 20, "slices": 600} for label in ("AD", "NC")
    }
    assert len(cohort.subjects) == 40
    assert cohort.n_pictures == 1200
    cohort.require_trainable()


def test_that_all_real_slices_are_60_subjects_and_1800_slices(shared_data):
    cohort = scan(shared_data / "oasis_slices")
    assert cohort.classes == ("AD", "MCI", "NC")
    assert len(cohort.subjects) == 60
    assert cohort.n_pictures == 1800
    assert list(reasons(cohort)) == ["manifest.csv"]
    assert cohort.warnings == ()
    assert all(re.fullmatch(r"OAS1_\d{4}_MR\d", item.key) for item in cohort.scans)
