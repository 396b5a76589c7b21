from __future__ import annotations

import numpy as np
import pytest

from core.data.dicom import find_series
from core.data.findings import code_of
from core.data.person_names import person_name_findings, word_hashes
from core.data.scan_folder import scan_folder
from core.progress import run_to_end
from tests.core.data.dicom_builder import write_series


def warned(folder):
    """Scan; return {first file: how many warnings of a person's name its scan has}."""
    cohort = run_to_end(scan_folder(folder))
    return {
        scan.files[0]: [code_of(item) for item in scan.warnings].count("person_name")
        for scan in cohort.scans
    }


@pytest.mark.parametrize(
    ("file", "is_name"),
    [
        ("AD/DOE^JANE/T1.nii.gz", True),
        ("AD/Doe^Jane^^Dr_s001.png", True),
        ("AD/Müller^Jürgen.nii", True),
        ("AD/山田^太郎.nii", True),
        ("AD/OAS1_0028_MR1.hdr", False),
        ("AD/sub-01/anat/sub-01_T1w.nii.gz", False),
        ("AD/x^2.nii", False),
        ("AD/T1^1.nii", False),
    ],
)
def test_that_a_name_as_dicom_writes_it_is_told(file, is_name):
    assert bool(person_name_findings([file])) == is_name


@pytest.mark.parametrize(
    ("file", "is_name"),
    [
        ("AD/doe_jane/IM1.dcm", True),
        ("AD/Jane Doe 2001/IM1.dcm", True),
        ("AD/JANE/DOE.dcm", True),
        ("AD/doe/IM1.dcm", False),
        ("AD/sub-01/IM1.dcm", False),
    ],
)
def test_that_the_name_in_a_header_is_known_again_in_a_path(file, is_name):
    assert bool(person_name_findings([file], word_hashes("DOE^JANE^^^"))) == is_name


def test_that_names_of_every_kind_of_scan_are_told_once(
    tmp_path, write_nifti, write_picture, voxels
):
    write_nifti(tmp_path / "AD" / "DOE^JOHN" / "T1.nii.gz")
    write_nifti(tmp_path / "AD" / "sub-01.nii.gz", voxels + 1)
    write_picture(tmp_path / "NC" / "ROE^RICHARD_s1.png")

    def name(dataset, k):
        dataset.PatientName = "DOE^JANE"

    write_series(tmp_path / "NC" / "doe_jane", voxels, change=name, series="1.1", patient="1")
    write_series(tmp_path / "NC" / "DOE^JANE", voxels + 2, change=name, series="1.2", patient="2")
    write_series(tmp_path / "NC" / "sub-02", voxels + 3, change=name, series="1.3", patient="3")
    found = warned(tmp_path)
    assert {file.split("/")[1]: count for file, count in found.items()} == {
        "DOE^JOHN": 1,
        "sub-01.nii.gz": 0,
        "ROE^RICHARD_s1.png": 1,
        "doe_jane": 1,
        "DOE^JANE": 1,
        "sub-02": 0,
    }


def test_that_no_word_of_a_header_can_be_read_back(tmp_path):
    paths = write_series(
        tmp_path,
        np.arange(60, dtype=np.int16).reshape(5, 4, 3),
        change=lambda dataset, k: setattr(dataset, "PatientName", "DOE^JANE"),
    )
    (series,) = find_series(paths).series
    assert series.slices[0].name_words == word_hashes("jane doe")
    assert "doe" not in f"{series!r} {series.slices[0].name_words}".lower()
