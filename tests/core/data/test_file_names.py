"""Names of files and folders, and what a pattern of the user's makes of them."""

from __future__ import annotations

import pytest

from core.data import file_names
from core.data.file_names import (
    FileIdentity,
    NamePreview,
    identify_file,
    identify_path,
    is_mask_name,
    looks_like_subject,
    preview_subjects,
)
from core.errors import CohortError


def test_that_runs_of_one_session_are_told_apart():
    name = "sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.nii.gz"
    assert identify_path(name, class_folders=0) == FileIdentity("sub-01", "ses-2_run-1")
    assert identify_file("sub-01_run-02_T1w.nii") == FileIdentity("sub-01", "run-02")


@pytest.mark.parametrize(
    ("file", "class_folders", "subject"),
    [
        ("sub-07/T1w.nii", 0, "sub-07"),
        ("sub-07/T1w.nii", 1, "T1w"),
        ("train/AD/anna/3.png", 2, "anna"),
        ("data/AD/OAS1_0028_MR1/brain.nii", 2, "OAS1_0028"),
    ],
)
def test_that_folders_of_classes_say_nothing_of_the_subject(file, class_folders, subject):
    assert identify_path(file, class_folders=class_folders).subject == subject


@pytest.mark.parametrize(
    ("name", "is_subject"),
    [("sub-01", True), ("OAS1_0001_MR1", True), ("002_S_0295", True), ("AD", False)],
)
def test_that_folders_named_after_subjects_are_known(name, is_subject):
    assert looks_like_subject(name) is is_subject


@pytest.mark.parametrize(
    ("name", "is_mask"),
    [("a_brainmask.nii.gz", True), ("lesions.nii", True), ("masked.nii", False)],
)
def test_that_masks_are_known_by_their_names(name, is_mask):
    assert is_mask_name(name) is is_mask


def test_that_a_preview_shows_what_a_pattern_captures(tmp_path):
    for name in ("AD/P1V2_s07.png", "AD/.hidden.png", "AD/notes.txt", "NC/odd.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shown = preview_subjects(tmp_path, r"^(?P<subject>P\d)V(?P<session>\d)")
    assert shown == [
        NamePreview("AD/P1V2_s07.png", "P1", "2", 7),
        NamePreview("NC/odd.nii.gz", "odd", "", None),
    ]


def test_that_a_preview_is_spread_over_the_folder_and_limited(tmp_path):
    for label in ("AD", "NC"):
        (tmp_path / label).mkdir()
        for number in range(50):
            (tmp_path / label / f"sub-{number}.nii").touch()
    shown = preview_subjects(tmp_path, "", 10)
    assert len(shown) == 10
    assert {item.file[:2] for item in shown} == {"AD", "NC"}


def test_that_a_preview_of_a_huge_folder_stops_early(tmp_path, monkeypatch):
    monkeypatch.setattr(file_names, "_MOST_PREVIEWED", 3)
    for number in range(9):
        (tmp_path / f"{number}.nii").touch()
    assert len(preview_subjects(tmp_path, "")) == 3


def test_that_a_preview_refuses_a_bad_pattern(tmp_path):
    with pytest.raises(CohortError, match="no regular expression"):
        preview_subjects(tmp_path, "(")
