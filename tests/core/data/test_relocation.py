"""A cohort whose scans were moved: found again, and only if they are the same."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from core import tasks
from core.data.cohort import load_cohort, save_cohort
from core.data.relocation import missing_files, relocate
from core.data.scan_folder import scan_folder
from core.errors import CohortError
from core.progress import run_to_end


@pytest.fixture
def stored(tmp_path, write_nifti, write_picture, voxels):
    root = tmp_path / "old" / "data"
    for n in range(7):
        write_nifti(root / "AD" / f"sub-{n}.nii.gz", voxels + n)
    write_picture(root / "NC" / "b_s1.png", 1)
    write_picture(root / "NC" / "b_s2.png", 2)
    nib.save(nib.AnalyzeImage(voxels, np.eye(4)), root / "NC" / "pair.hdr")
    return save_cohort(run_to_end(scan_folder(root)), tmp_path / "c.mrifcl")


@pytest.fixture
def moved(stored, tmp_path):
    (tmp_path / "old" / "data").rename(tmp_path / "new")
    return tmp_path / "new"


def test_that_nothing_is_missing_where_all_is_in_place(stored):
    assert missing_files(load_cohort(stored)) == ()


def test_that_missing_files_are_listed(stored, tmp_path):
    (tmp_path / "old" / "data" / "NC" / "b_s2.png").unlink()
    assert missing_files(load_cohort(stored)) == ("NC/b_s2.png",)


def test_that_all_files_are_missing_where_the_root_is_gone(stored, moved):
    assert len(missing_files(load_cohort(stored))) == 10


def test_that_moved_scans_are_found_and_the_cohort_is_stored(stored, moved):
    before = load_cohort(stored)
    result = run_to_end(tasks.relocate_cohort(stored, moved))
    after = load_cohort(stored)
    assert result.cohort == after
    assert after.root == moved.resolve()
    assert (after.scans, after.identity) == (before.scans, before.identity)
    assert '"root": "../new"' in (stored / "cohort.json").read_text()


@pytest.mark.parametrize("place", ["new/AD", "."])
def test_that_a_folder_one_level_off_is_understood(stored, tmp_path, moved, place):
    if place == ".":
        moved.rename(tmp_path / "data")
    root = run_to_end(relocate(load_cohort(stored), tmp_path / place)).root
    assert root == (tmp_path / ("data" if place == "." else "new")).resolve()


@pytest.mark.parametrize("file", ["AD/sub-0.nii.gz", "AD/sub-3.nii.gz", "NC/pair.img"])
def test_that_changed_scans_are_named_and_nothing_is_stored(stored, moved, assert_plain, file):
    data = bytearray((moved / file).read_bytes())
    data[-1] ^= 1
    (moved / file).write_bytes(data)
    before = (stored / "cohort.json").read_bytes()
    with pytest.raises(CohortError, match="1 scans there differ") as caught:
        run_to_end(tasks.relocate_cohort(stored, moved))
    assert_plain(caught.value, file.rsplit(".", 1)[0].removesuffix(".nii"))
    assert (stored / "cohort.json").read_bytes() == before


def test_that_missing_scans_and_wrong_folders_are_refused(stored, moved, tmp_path, assert_plain):
    (moved / "AD" / "sub-5.nii.gz").unlink()
    with pytest.raises(CohortError, match="1 files of the cohort") as caught:
        run_to_end(relocate(load_cohort(stored), moved))
    assert_plain(caught.value, "AD/sub-5.nii.gz")
    (tmp_path / "other").mkdir()
    with pytest.raises(CohortError, match="does not hold the scans") as caught:
        run_to_end(relocate(load_cohort(stored), tmp_path / "other"))
    assert_plain(caught.value, "'other'")
