"""What a scan's row knows of its files, and that findings keep their codes when stored."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.data import scan_entry
from core.data.cohort import load_cohort, save_cohort
from core.data.findings import code_of
from core.data.scan_folder import scan_folder
from core.progress import run_to_end


def scan(folder):
    return run_to_end(scan_folder(folder))


def codes(item):
    return [code_of(warning) for warning in item.warnings]


@pytest.fixture
def write(tmp_path, write_picture):
    """Write picture ``number`` of one session as ``picture`` is, or as noise."""

    def write(number, picture=None, **options):
        path = tmp_path / "AD" / f"OAS1_0001_MR1_s{number}.png"
        if picture is None:
            return write_picture(path, seed=number)
        path.parent.mkdir(exist_ok=True)
        picture.save(path, **options)
        return path

    return write


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "float32", "float64"])
def test_that_a_volume_knows_its_kind_of_number(tmp_path, write_nifti, voxels, kind):
    write_nifti(tmp_path / "AD" / "sub-01.nii", (voxels % 200).astype(kind))
    assert scan(tmp_path).scans[0].datatype == kind


@pytest.mark.parametrize(
    ("file", "kind"),
    [("analyze", "int16"), ("dicom_series", "int16"), ("whole_head", "uint8")],
)
def test_that_real_scans_know_their_kind_of_number(shared_data, file, kind):
    cohort = scan(shared_data)
    found = next(item for item in cohort.scans if item.label == file)
    assert found.datatype == kind


def test_that_pictures_know_their_kind_of_number(tmp_path, write):
    for number in range(3):
        write(number, Image.fromarray(np.full((12, 16), number * 900, dtype=np.uint16)))
    item = scan(tmp_path).scans[0]
    assert item.datatype == "uint16"
    assert codes(item) == ["depth_scaled"]
    assert item.warnings[0].startswith("Its grey levels of 16 bits")


def test_that_a_finding_of_some_pictures_says_of_how_many(tmp_path, write):
    exif = Image.Exif()
    exif[0x0112] = 3
    write(0)
    write(1, Image.fromarray(np.zeros((12, 16), dtype=np.uint8)), exif=exif)
    write(2)
    item = scan(tmp_path).scans[0]
    assert codes(item) == ["exif_rotation"]
    assert item.warnings[0].startswith("1 of 3 slices: The picture's EXIF data turn it")


def test_that_real_colours_are_told_and_grey_in_three_channels_is_not(tmp_path, write):
    for number in range(3):
        write(number, Image.new("RGB", (16, 12), "red"))
    assert codes(scan(tmp_path).scans[0]) == ["colour"]
    for number in range(3):
        write(number, Image.new("RGB", (16, 12), "grey"))
    assert codes(scan(tmp_path).scans[0]) == []


def test_that_one_picture_in_colour_is_decoded_and_no_grey_one(tmp_path, write, monkeypatch):
    decoded = []
    load = scan_entry.load_picture
    monkeypatch.setattr(
        scan_entry, "load_picture", lambda path: decoded.append(path.name) or load(path)
    )
    for number in range(3):
        write(number)
    scan(tmp_path)
    assert decoded == []
    for number in range(3, 8):
        write(number, Image.new("RGB", (16, 12), "red"))
    scan(tmp_path)
    assert decoded == ["OAS1_0001_MR1_s5.png"]


def test_that_pictures_of_two_kinds_or_sizes_are_told(tmp_path, write):
    write(0)
    write(1, Image.fromarray(np.zeros((12, 16), dtype=np.uint16)))
    write(2, Image.fromarray(np.zeros((12, 12), dtype=np.uint8)))
    assert codes(scan(tmp_path).scans[0]) == ["slices_differ", "slices_differ", "depth_scaled"]


def test_that_findings_and_reasons_keep_their_codes_when_stored(tmp_path, write):
    write(0, Image.new("RGB", (16, 12), "red"))
    write(1).write_bytes(b"")
    (tmp_path / "AD" / "notes.txt").write_text("no scan")
    cohort = scan(tmp_path)
    stored = load_cohort(save_cohort(cohort, tmp_path / "c.mrifcl"))
    assert codes(stored.scans[0]) == ["colour"]
    by_file = {item.file: code_of(item.reason) for item in stored.skipped}
    assert by_file == {item.file: code_of(item.reason) for item in cohort.skipped}
    assert by_file["AD/OAS1_0001_MR1_s1.png"] == "damaged"
    assert by_file["AD/notes.txt"] == "not_a_scan"
    assert [code_of(item) for item in stored.warnings] == [code_of(i) for i in cohort.warnings]
