"""Names of files and folders, and what a pattern of the user's makes of them."""

from __future__ import annotations

import pytest

from core.data.file_names import (
    FileIdentity,
    compile_pattern,
    identify_file,
    identify_path,
    is_mask_name,
    looks_like_subject,
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


def test_that_a_pattern_that_would_never_end_is_given_up_in_words():
    pattern = compile_pattern(r"(?P<subject>(a|aa)+)$")
    with pytest.raises(CohortError, match="takes too long on the name"):
        pattern.search("a" * 60 + "b")
