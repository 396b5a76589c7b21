"""The look at a folder before it is scanned: classes, rows, what is left out, what to choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.data.folder_look import N_ROWS, ReadFile, look_again, look_at_folders
from core.data.scan_folder import scan_folder
from core.errors import CohortError
from core.progress import run_to_end
from tests.core.data.dicom_builder import write_series


def look(*folders, **options):
    return run_to_end(look_at_folders(folders, **options))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def classes_of(seen):
    return {item.label: (len(item.subjects), item.n_files) for item in seen.classes}


def left_out(seen):
    return {item.reason: (item.n_files, item.example) for item in seen.left_out}


def test_that_classes_are_counted_by_subject_and_file(tmp_path):
    names = [
        f"{label}/P{number}_s{s}.png"
        for label in ("NC", "AD")
        for number in (1, 2)
        for s in range(3)
    ]
    seen = look(touch(tmp_path, *names))
    assert list(classes_of(seen).items()) == [("AD", (2, 6)), ("NC", (2, 6))]
    assert (seen.n_files, seen.problem, seen.left_out) == (12, "", ())


def test_that_counts_of_the_look_are_those_of_the_scan(shared_data):
    seen = look(shared_data / "oasis_slices")
    assert classes_of(seen) == {"AD": (20, 600), "MCI": (20, 600), "NC": (20, 600)}
    assert len(seen.rows) <= N_ROWS
    assert {row.label for row in seen.rows} == {"AD", "MCI", "NC"}


def test_that_a_pattern_is_shown_at_work_and_its_misses_are_counted(tmp_path):
    touch(tmp_path, "AD/P1V2_s07.png", "AD/.hidden.png", "AD/notes.txt", "NC/odd.nii.gz")
    seen = look(tmp_path, subject_pattern=r"^(?P<subject>P\d)V(?P<session>\d)")
    assert set(seen.rows) == {
        ReadFile("AD/P1V2_s07.png", "P1", "2", 7, "AD", by_pattern=True),
        ReadFile("NC/odd.nii.gz", "odd", "", None, "NC"),
    }
    assert (seen.n_by_pattern, seen.n_files) == (1, 2)


@pytest.mark.parametrize(("pattern", "words"), [("(", "no regular expression"), ("P.", "subject")])
def test_that_a_bad_pattern_is_refused_before_the_folder_is_read_again(tmp_path, pattern, words):
    seen = look(touch(tmp_path, "AD/a.nii"))
    with pytest.raises(CohortError, match=words):
        run_to_end(look_again(seen, replace(seen.layout, subject_pattern=pattern)))


def test_that_rows_are_spread_over_the_folder_and_limited(tmp_path):
    names = [f"{label}/sub-{number}.nii" for label in ("AD", "NC") for number in range(50)]
    seen = look(touch(tmp_path, *names))
    assert 10 < len(seen.rows) <= N_ROWS
    assert {row.label for row in seen.rows} == {"AD", "NC"}


def test_that_all_that_is_left_out_is_said_with_counts(tmp_path):
    touch(
        tmp_path,
        "AD/a.nii",
        "NC/b.nii",
        "loose.nii",
        "AD/a_mask.nii",
        "NC/b_mask.nii",
        "readme.md",
        "derivatives/fs/c.nii",
    )
    said = left_out(look(tmp_path))
    assert said["They lie in no class folder."] == (1, "loose.nii")
    assert said["Neither scans nor pictures."] == (1, "readme.md")
    assert next(value for text, value in said.items() if "mask" in text)[0] == 2
    assert any("Computed images of BIDS" in text for text in said)


def test_that_classes_that_differ_in_case_only_are_one(tmp_path):
    assert classes_of(look(touch(tmp_path, "AD/a.nii", "ad/b.nii", "NC/c.nii"))) == {
        "AD": (2, 2),
        "NC": (1, 1),
    }


def test_that_the_layouts_to_choose_from_hold_the_recognised_one(tmp_path):
    seen = look(touch(tmp_path, "site1/young/a.nii", "site1/old/b.nii", "site2/old/c.nii"))
    kinds = [(layout.kind, layout.class_level) for layout in seen.layouts]
    assert kinds == [("class_folders", 0), ("class_folders", 1), ("table", 0)]
    assert seen.layout in seen.layouts
    deeper = run_to_end(look_again(seen, seen.layouts[1]))
    assert classes_of(deeper) == {"old": (2, 2), "young": (1, 1)}
    assert deeper.layout in deeper.layouts


def test_that_choosing_a_table_without_one_says_what_to_do(tmp_path):
    seen = look(touch(tmp_path, "AD/a.nii", "NC/b.nii"))
    table = run_to_end(look_again(seen, seen.layouts[-1]))
    assert "Choose a CSV or TSV file" in table.problem
    assert not table.classes
    with pytest.raises(CohortError, match="No table of labels"):
        run_to_end(scan_folder(tmp_path, layout=table.layout))


def test_that_loose_scans_without_classes_are_a_problem_that_is_said(tmp_path):
    assert "No scan in" in look(touch(tmp_path, "a.nii", "b.nii")).problem


def test_that_several_folders_are_looked_at_as_one(tmp_path):
    touch(tmp_path, "x/AD/a.nii", "y/NC/b.nii", "y/other/c.nii")
    seen = look(tmp_path / "x" / "AD", tmp_path / "y" / "NC")
    assert seen.root == tmp_path.resolve()
    assert classes_of(seen) == {"AD": (1, 1), "NC": (1, 1)}
    assert [layout.kind for layout in seen.layouts] == ["class_folders", "table"]


def test_that_patients_whom_no_folder_names_are_told(tmp_path):
    voxels = np.arange(8 * 9 * 6, dtype=np.uint16).reshape(8, 9, 6)
    write_series(tmp_path / "AD" / "1", voxels)
    write_series(tmp_path / "NC" / "sub-07", voxels)
    seen = look(tmp_path)
    assert seen.has_unnamed_patients
    assert {item.label: item.n_unnamed for item in seen.classes} == {"AD": 6, "NC": 0}


@pytest.mark.parametrize(
    ("names", "words"), [((), "no folder"), (("notes.txt",), "holds no scans")]
)
def test_that_a_folder_without_scans_is_refused(tmp_path, names, words):
    folder = tmp_path / "empty"
    touch(folder, *names)
    with pytest.raises(CohortError, match=words):
        look(folder)
