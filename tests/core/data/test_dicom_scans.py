"""DICOM files of a dropped folder become scans; subjects come from names or study keys."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

from core import tasks
from core.config import SliceSettings
from core.data import scan_folder
from core.data.cohort import load_cohort
from core.data.dicom import load_series
from core.data.dicom_scans import identify_series_file
from core.data.findings import code_of
from core.data.folder_look import look_at_folders
from core.data.scan_reader import load_scan
from core.errors import CohortError, ScanError
from tests.core.data.dicom_builder import write_series
from tests.core.data.test_dicom import CANARY, plant_canaries
from tests.tiny_cohort import drive

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(0, 900, (16, 18, 6), dtype=np.uint16)


def scan(folder, **options):
    return drive(scan_folder.scan_folder(folder, **options))


def codes(items):
    return [code_of(item) for item in items]


@pytest.mark.parametrize(
    ("file", "subject"),
    [
        ("AD/patient7/series1/IM0001.dcm", "patient7"),
        ("AD/patient7/T1w/IM0001", "patient7"),
        ("AD/sub-12/anat/0001.dcm", "sub-12"),
        ("AD/study3/OAS1_0028_MR1/RAW/7.ima", "OAS1_0028"),
        (
            "AD/ADNI/002_S_0295/MP-RAGE/2006-04-18_08_20_30.0/I13722/x_002_S_0295_y.dcm",
            "002_S_0295",
        ),
        ("AD/sub-03_slice007.dcm", "sub-03"),
        ("AD/IM0001.dcm", None),
        ("AD/DICOM/ST00001/SE00002/IM00003", None),
        ("AD/1.2.840.113.4/1.2.3/17", None),
        ("AD/20010316/17", None),
    ],
)
def test_that_the_subject_is_told_by_names(file, subject):
    identity = identify_series_file(file)
    assert (identity.subject if identity else None) == subject


def test_that_a_pattern_is_tried_on_file_and_folders():
    pattern = "p(?P<subject>[0-9]+)-v(?P<session>[0-9])"
    for file in ("AD/p7-v2/DICOM/IM1", "AD/x/p7-v2.dcm"):
        identity = identify_series_file(file, pattern)
        assert (identity.subject, identity.session) == ("7", "2")


def test_that_series_without_names_get_keys_by_patient(tmp_path, voxels):
    for patient, series, where in (("9", "1.1", "AD"), ("4", "1.2", "NC"), ("9", "1.3", "AD")):
        write_series(
            tmp_path / where, voxels, series=series, patient=patient, suffix="." + series[-1]
        )
    cohort = scan(tmp_path)
    assert [(item.key, item.label, len(item.files)) for item in cohort.scans] == [
        ("sub-001", "AD", 6),
        ("sub-001_2", "AD", 6),
        ("sub-002", "NC", 6),
    ]
    assert codes(cohort.scans[0].warnings) == ["several_series"]
    assert cohort.scans[2].warnings == ()
    assert cohort.skipped == ()


def test_that_a_series_is_a_volume_whose_files_are_in_order(tmp_path, voxels):
    for label in ("AD", "NC"):
        write_series(tmp_path / label / f"{label}-one", voxels, suffix="")
    (tmp_path / "AD" / "AD-one" / "Thumbs.db").write_bytes(b"x")
    shutil.copy(tmp_path / "AD" / "AD-one" / "IM000", tmp_path / "DICOMDIR")
    cohort = scan(tmp_path)
    first = cohort.scans[0]
    assert (first.key, first.kind, first.shape) == ("AD-one", "volume", (16, 18, 6))
    assert first.spacing_mm == (1.5, 2.0, 3.0)
    assert (first.orientation, first.datatype, first.found_label) == ("LPS", "uint16", "AD")
    assert set(first.files) == {f"AD/AD-one/IM00{i}" for i in range(6)}
    assert first.files[0] == "AD/AD-one/IM002"
    volume = load_scan(cohort, first)
    assert np.array_equal(volume.voxels, voxels[::-1, ::-1])
    assert drive(tasks.read_scan(cohort, first)).voxels.shape == (16, 18, 6)
    assert cohort.skipped == ()


def test_that_one_patient_in_two_folders_is_told(tmp_path, voxels):
    for name, patient in (("anna", "1"), ("berta", "2"), ("anna-again", "1")):
        write_series(tmp_path / "AD" / name, voxels, patient=patient)
    cohort = scan(tmp_path)
    told = {item.subject: codes(item.warnings) for item in cohort.scans}
    assert told == {"anna": ["same_patient"], "anna-again": ["same_patient"], "berta": []}


def test_that_several_patients_in_one_folder_are_told(tmp_path, voxels):
    for series, patient in (("1.1", "1"), ("1.2", "2")):
        write_series(
            tmp_path / "AD" / "batch", voxels, series=series, patient=patient, suffix=series
        )
    assert [codes(item.warnings) for item in scan(tmp_path).scans] == [["several_patients"]] * 2


def test_that_damaged_series_are_listed_and_the_others_stay(tmp_path, voxels):
    write_series(tmp_path / "AD" / "good", voxels)
    paths = write_series(tmp_path / "AD" / "bad", voxels[:, :, :1])
    paths[0].write_bytes(paths[0].read_bytes()[:-10])
    cohort = scan(tmp_path)
    assert [item.subject for item in cohort.scans] == ["good"]
    assert [(item.file, code_of(item.reason)) for item in cohort.skipped] == [
        ("AD/bad/IM000.dcm", "damaged")
    ]


def test_that_a_slice_that_is_gone_or_emptied_stops_the_scan_from_being_read(tmp_path, voxels):
    paths = write_series(tmp_path / "AD" / "one", voxels)
    cohort = scan(tmp_path)
    paths[3].write_bytes(b"")
    with pytest.raises(ScanError, match="has changed"):
        load_scan(cohort, cohort.scans[0])
    paths[3].unlink()
    with pytest.raises(ScanError, match="no longer there"):
        load_scan(cohort, cohort.scans[0])


def test_that_without_pydicom_each_file_is_listed_with_the_remedy(tmp_path, voxels, monkeypatch):
    write_series(tmp_path / "AD" / "one", voxels)
    monkeypatch.setattr(scan_folder, "is_available", lambda: False)
    with pytest.raises(CohortError, match=r"pip install \"mri-fcl\[dicom\]\""):
        scan(tmp_path)


def test_that_labels_of_a_table_reach_series(tmp_path, voxels):
    for name in ("p1", "p2"):
        write_series(tmp_path / name, voxels, patient=name)
    (tmp_path / "labels.csv").write_text("subject,class\np1,AD\np2,NC\n")
    cohort = scan(tmp_path, labels=tmp_path / "labels.csv")
    assert [(item.subject, item.label) for item in cohort.scans] == [("p1", "AD"), ("p2", "NC")]


def test_that_the_layout_counts_dicom_files(tmp_path, voxels):
    write_series(tmp_path / "AD" / "one", voxels)
    write_series(tmp_path / "NC", voxels)
    layout = drive(look_at_folders([tmp_path])).layout
    assert layout.kind == "class_folders"
    assert dict(layout.class_counts) == {"AD": 6, "NC": 6}
    assert (layout.n_volumes, layout.n_subjects) == (12, 1)
    assert any("DICOM" in note for note in layout.notes)


def test_that_nothing_of_who_was_scanned_is_written(tmp_path, voxels, caplog):
    caplog.set_level(logging.DEBUG)
    for number, label in enumerate(("AD", "NC")):
        write_series(
            tmp_path / "scans" / label, voxels, series=f"1.2.77777.{number}", change=plant_canaries
        )
    out = tmp_path / "cohorts" / "one.mrifcl"
    scanned = drive(tasks.scan(tmp_path / "scans", out=out))
    settings = SliceSettings(count=3, size=32)
    strip = drive(tasks.read_strip(scanned.cohort, scanned.cohort.scans[0], settings))
    assert strip.pixels.shape == (3, 32, 32)
    n_pictures = drive(
        tasks.export_slices(out, settings, tmp_path / "cohorts" / "pictures", picture_format="png")
    )
    assert n_pictures == 6
    written = [path for path in (tmp_path / "cohorts").rglob("*") if path.is_file()]
    assert len(written) > 6
    said = [str(path) for path in written] + [caplog.text, repr(scanned)]
    content = b"\n".join(path.read_bytes() for path in written) + "\n".join(said).encode()
    for secret in (*CANARY.replace("^", " ").split(), CANARY, "19500101", "20010203", "77777"):
        assert secret.encode() not in content
    cohort = load_cohort(out)
    # Both have the same (planted) id: one patient.
    assert {item.subject for item in cohort.scans} == {"sub-001"}
    assert "identifiers" in codes(cohort.scans[0].warnings)


def test_that_the_real_series_comes_in_by_a_folder(shared_data, tmp_path):
    shutil.copytree(shared_data / "dicom_series", tmp_path / "AD" / "series1")
    (item,) = scan(tmp_path).scans
    assert (item.subject, len(item.files), item.shape) == ("sub-001", 19, (256, 256, 19))
    volume = load_series([tmp_path / file for file in item.files])
    assert volume.voxels.shape == (256, 256, 19)
