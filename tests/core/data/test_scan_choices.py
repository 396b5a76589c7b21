"""Scanning as the user chose: layout, ratings, key file, and the choices made in an older scan."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

import main
from core import tasks
from core.data.cohort import load_cohort, save_cohort
from core.data.labels import parse_class_rules
from core.data.study_keys import KEY_FILE
from core.errors import CohortError
from core.progress import Notice
from tests.core.data.dicom_builder import write_series
from tests.tiny_cohort import drive, make_folder


@pytest.fixture
def oasis(tmp_path, write_nifti, voxels):
    folder = tmp_path / "oasis"
    ratings = {"OAS1_0001_MR1": "0", "OAS1_0002_MR1": "0.5", "OAS1_0003_MR1": "1"}
    for number, name in enumerate(ratings):
        write_nifti(folder / "disc1" / name / f"{name}_t88_masked_gfc.nii.gz", voxels + number)
    rows = [f"{name},70,28,{rating}" for name, rating in ratings.items()]
    (folder / "oasis_cross-sectional.csv").write_text("\n".join(["ID,Age,MMSE,CDR", *rows]))
    return folder


def notices(operation):
    """Run an operation; return its result and what it told the user."""
    told = []
    while True:
        try:
            event = next(operation)
        except StopIteration as stop:
            return stop.value, told
        if isinstance(event, Notice):
            told.append(event.text)


def scan_by_command(*arguments):
    return main.main(["scan", *map(str, arguments)])


def subjects_of(folder):
    return {scan.subject: scan.label for scan in load_cohort(folder).scans}


def change(folder, changes):
    """Change scans of a stored cohort, as the window does: by subject."""
    cohort = load_cohort(folder)
    scans = [replace(scan, **changes.get(scan.subject, {})) for scan in cohort.scans]
    save_cohort(cohort.with_scans(scans), folder)


# ------------------------------------------------------------------ ratings and layouts


def test_that_ratings_give_other_classes_by_command(oasis, tmp_path):
    out = tmp_path / "C.mrifcl"
    assert scan_by_command(oasis, "--cdr", "0=NC,0.5=AD,1=AD", "--out", out) == 0
    assert subjects_of(out) == {"OAS1_0001": "NC", "OAS1_0002": "AD", "OAS1_0003": "AD"}


def test_that_an_empty_class_leaves_a_rating_out_by_command(oasis, tmp_path):
    out = tmp_path / "C.mrifcl"
    assert scan_by_command(oasis, "--cdr", "0=NC, 0.5=, 1=AD", "--out", out) == 0
    assert subjects_of(out) == {"OAS1_0001": "NC", "OAS1_0003": "AD"}


@pytest.mark.parametrize(
    "text", ["NC", "0:NC", "x=NC", "-1=NC", "9=AD", "nan=AD", "0=,1=", "0=NC,"]
)
def test_that_rules_that_are_none_are_refused(text, assert_plain):
    with pytest.raises(CohortError) as caught:
        parse_class_rules(text)
    assert_plain(caught.value, "0=NC,0.5=MCI,1=AD")


def test_that_rules_for_ratings_are_refused_where_none_decide(tmp_path, capsys):
    folder = make_folder(tmp_path / "scans", subjects=1)
    assert scan_by_command(folder, "--cdr", "0=NC,1=AD", "--out", tmp_path / "C.mrifcl") == 1
    assert "Ratings (CDR) decide the class in OASIS-1 only" in capsys.readouterr().err
    assert not (tmp_path / "C.mrifcl").exists()


def test_that_the_layout_can_be_given_by_command(oasis, tmp_path):
    out = tmp_path / "C.mrifcl"
    assert scan_by_command(oasis, "--layout", "class-folders", "--out", out) == 0
    assert set(subjects_of(out).values()) == {"disc1"}


def test_that_an_unknown_layout_is_wrong_usage(tmp_path):
    assert scan_by_command(tmp_path, "--layout", "heap") == 2


# ------------------------------------------------------------------ the key file


@pytest.fixture
def dicoms(tmp_path):
    voxels = np.arange(8 * 9 * 6, dtype=np.uint16).reshape(8, 9, 6)
    for number, label in enumerate(("AD", "NC")):
        write_series(
            tmp_path / "dicoms" / label / "1",
            voxels + number,
            patient=f"SECRET{number}",
            series=f"1.2.{number + 4}",
        )
    return tmp_path / "dicoms"


def test_that_no_key_file_is_written_unasked(dicoms, tmp_path):
    drive(tasks.scan(dicoms, out=tmp_path / "C.mrifcl"))
    assert not list(tmp_path.rglob(KEY_FILE))


def test_that_the_key_file_tells_who_is_who_without_ids(dicoms, tmp_path):
    out = tmp_path / "C.mrifcl"
    assert scan_by_command(dicoms, "--key-file", "--out", out) == 0
    text = (dicoms / KEY_FILE).read_text(encoding="utf-8-sig")
    rows = {row["key"]: row["patient_id_sha256"] for row in csv.DictReader(text.splitlines())}
    assert set(rows) == {scan.subject for scan in load_cohort(out).scans}
    assert "SECRET" not in text
    assert all(len(value) == len(hashlib.sha256().hexdigest()) for value in rows.values())
    again = drive(tasks.scan(dicoms, out=out)).cohort
    assert KEY_FILE not in {item.file for item in again.skipped}


def test_that_a_key_file_that_is_not_needed_is_said(tmp_path):
    folder = make_folder(tmp_path / "scans", subjects=1)
    _, told = notices(tasks.scan(folder, out=tmp_path / "C.mrifcl", with_key_file=True))
    assert any("No key file was written" in text for text in told)
    assert not (folder / KEY_FILE).exists()


def test_that_a_key_file_that_cannot_be_written_does_not_cost_the_scan(
    dicoms, tmp_path, monkeypatch
):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("core.data.scan_folder.write_key_file", refuse)
    result, told = notices(tasks.scan(dicoms, out=tmp_path / "C.mrifcl", with_key_file=True))
    assert len(result.cohort.scans) == 2
    assert any("cannot be written to 'dicoms'" in text for text in told)


# ------------------------------------------------------------------ scanning again


def test_that_scanning_again_keeps_what_the_user_changed_and_says_so(tmp_path):
    folder, out = make_folder(tmp_path / "scans", subjects=3), tmp_path / "C.mrifcl"
    drive(tasks.scan(folder, out=out))
    change(out, {"OAS1_0001": {"included": False}, "OAS1_0004": {"label": "AD"}})
    result, told = notices(tasks.scan(folder, out=out))
    kept = {scan.subject: (scan.label, scan.included) for scan in result.cohort.scans}
    assert kept["OAS1_0001"] == ("AD", False)
    assert kept["OAS1_0004"] == ("AD", True)
    assert told == ["Your changes to 2 scans were kept (class, left out, flipped)."]
    assert load_cohort(out) == result.cohort


def test_that_changed_scans_that_are_gone_are_said(tmp_path):
    folder, out = make_folder(tmp_path / "scans", subjects=3), tmp_path / "C.mrifcl"
    drive(tasks.scan(folder, out=out))
    change(out, {"OAS1_0001": {"included": False}})
    for file in folder.rglob("OAS1_0001*"):
        file.unlink()
    _, told = notices(tasks.scan(folder, out=out))
    assert told == ["1 scan that you had changed is not part of the new scan."]


def test_that_choices_of_another_folder_are_not_carried_over(tmp_path):
    out = tmp_path / "C.mrifcl"
    drive(tasks.scan(make_folder(tmp_path / "one", subjects=3), out=out))
    change(out, {"OAS1_0001": {"included": False}})
    result, told = notices(tasks.scan(make_folder(tmp_path / "two", subjects=3), out=out))
    assert all(scan.included for scan in result.cohort.scans)
    assert told == [
        "The cohort in 'C.mrifcl' was of another folder; it is replaced by the new scan."
    ]


def test_that_a_damaged_cohort_is_replaced_and_said(tmp_path):
    folder, out = make_folder(tmp_path / "scans", subjects=3), tmp_path / "C.mrifcl"
    out.mkdir()
    (out / "cohort.json").write_text("{")
    _, told = notices(tasks.scan(folder, out=out))
    assert "was damaged" in told[0]
    assert json.loads((out / "cohort.json").read_text())["classes"] == ["AD", "NC"]


def test_that_the_newest_cohort_of_a_folder_is_known_when_it_is_looked_at_again(tmp_path):
    folder, cohorts = make_folder(tmp_path / "scans", subjects=3), tmp_path / "cohorts"
    assert drive(tasks.look([folder], cohorts=cohorts)).known is None
    drive(tasks.scan(folder, out=cohorts / "scans.mrifcl"))
    change(cohorts / "scans.mrifcl", {"OAS1_0001": {"included": False}})
    (cohorts / "broken.mrifcl").mkdir()
    (cohorts / "broken.mrifcl" / "cohort.json").write_text("[")
    known = drive(tasks.look([folder], cohorts=cohorts)).known
    assert (known.folder.name, known.n_changed) == ("scans.mrifcl", 1)


def test_that_what_was_confirmed_is_what_is_scanned(tmp_path):
    folder = make_folder(tmp_path / "scans", classes=("AD", "MCI", "NC"), subjects=3)
    seen = drive(tasks.look([folder]))
    choices = tasks.ScanChoices(seen.folders, seen.layout, classes=("AD", "NC"))
    cohort = drive(tasks.scan_chosen(choices, out=tmp_path / "C.mrifcl")).cohort
    assert {name: count["subjects"] for name, count in cohort.counts().items()} == {
        item.label: len(item.subjects) for item in seen.classes if item.label != "MCI"
    }
