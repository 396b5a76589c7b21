"""Files that change or go between scanning and reading are noticed, whoever reads them."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from core import tasks
from core.config import SliceSettings
from core.data.cohort import load_cohort, save_cohort
from core.data.relocation import relocate
from core.data.scan_files import is_changed, require_unchanged
from core.data.scan_folder import scan_folder
from core.data.scan_reader import load_scan
from core.data.slices import read_pictures, slices_of_scan
from core.errors import CohortError, ScanChangedError
from core.progress import Notice, run_to_end
from tests.tiny_cohort import drive, make_folder, tiny

CUT = SliceSettings(count=1, size=16)


@pytest.fixture
def cohort(tmp_path, write_nifti, voxels):
    for number, name in enumerate(("AD/sub-01", "AD/sub-02", "NC/sub-03", "NC/sub-04")):
        write_nifti(tmp_path / "scans" / f"{name}.nii", np.roll(voxels, number))
    return run_to_end(scan_folder(tmp_path / "scans"))


def path_of(cohort, number=0):
    return cohort.path_of(cohort.scans[number].files[0])


def edit(path):
    """Change one byte and nothing of the size."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def touch(path):
    os.utime(path, ns=(10**18, 10**18))


def test_that_size_and_time_of_every_file_are_stored(cohort, tmp_path):
    stat = path_of(cohort).stat()
    assert cohort.scans[0].stamps == ((stat.st_size, stat.st_mtime_ns),)
    stored = load_cohort(save_cohort(cohort, tmp_path / "c.mrifcl"))
    assert [scan.stamps for scan in stored.scans] == [scan.stamps for scan in cohort.scans]


def test_that_voxels_beside_an_analyze_header_are_watched_too(tmp_path, shared_data):
    shutil.copytree(shared_data / "analyze", tmp_path / "scans" / "AD")
    cohort = run_to_end(scan_folder(tmp_path / "scans"))
    assert len(cohort.scans[0].stamps) == 2
    edit(next((tmp_path / "scans").rglob("*.img")))
    with pytest.raises(ScanChangedError, match=r"\.img' has changed"):
        load_scan(cohort, cohort.scans[0])


@pytest.mark.parametrize("change", [edit, lambda path: path.write_bytes(b"x")])
def test_that_an_edited_file_is_refused_by_every_reader(cohort, change, assert_plain):
    change(path_of(cohort))
    for read in (load_scan, lambda *args: slices_of_scan(*args, CUT), require_unchanged):
        with pytest.raises(ScanChangedError, match="has changed since it was scanned") as caught:
            read(cohort, cohort.scans[0])
        assert_plain(caught.value, "'sub-01.nii'")
    assert is_changed(cohort, cohort.scans[0])
    assert not is_changed(cohort, cohort.scans[1])


def test_that_a_deleted_file_is_named_with_what_to_do(cohort, assert_plain):
    path_of(cohort).unlink()
    with pytest.raises(ScanChangedError, match="no longer there") as caught:
        load_scan(cohort, cohort.scans[0])
    assert_plain(caught.value, "'sub-01.nii'")
    shutil.rmtree(cohort.root)
    with pytest.raises(ScanChangedError, match="nor is its folder 'scans'") as caught:
        load_scan(cohort, cohort.scans[0])
    assert_plain(caught.value, "'sub-01.nii'")


def test_that_a_copy_with_another_time_is_the_same_scan(cohort):
    touch(path_of(cohort))
    require_unchanged(cohort, cohort.scans[0])
    assert load_scan(cohort, cohort.scans[0]).voxels.shape == (8, 9, 10)


def test_that_an_old_cohort_without_sizes_and_times_is_read(cohort):
    edit(path_of(cohort))
    scan = replace(cohort.scans[0], stamps=())
    assert load_scan(cohort, scan).voxels.shape == (8, 9, 10)


def test_that_moved_scans_are_watched_where_they_are_now(cohort, tmp_path):
    moved = shutil.copytree(cohort.root, tmp_path / "moved", copy_function=shutil.copyfile)
    found = run_to_end(relocate(cohort, moved))
    stat = (moved / "AD" / "sub-01.nii").stat()
    assert found.scans[0].stamps == ((stat.st_size, stat.st_mtime_ns),)


def test_that_changed_pictures_are_refused(tmp_path, write_picture):
    for number in range(3):
        write_picture(tmp_path / "AD" / f"sub-1_{number}.png", seed=number)
    cohort = run_to_end(scan_folder(tmp_path))
    (tmp_path / "AD" / "sub-1_1.png").unlink()
    with pytest.raises(ScanChangedError, match=r"sub-1_1\.png' is no longer there"):
        run_to_end(read_pictures(cohort, cohort.scans[0]))


def test_that_a_flipped_scan_is_read_as_if_stored_mirrored(cohort, write_nifti, voxels):
    write_nifti(cohort.root / "NC" / "sub-05.nii", voxels[::-1])
    mirrored = run_to_end(scan_folder(cohort.root)).scans[-1]
    flipped = replace(cohort.scans[0], flipped=True)
    read, wanted = load_scan(cohort, flipped), load_scan(cohort, mirrored)
    assert np.array_equal(read.voxels, wanted.voxels)
    assert np.array_equal(read.affine, wanted.affine)
    assert not np.array_equal(read.voxels, load_scan(cohort, cohort.scans[0]).voxels)
    cut = [slices_of_scan(cohort, scan, CUT).pixels for scan in (flipped, mirrored)]
    assert np.array_equal(*cut)


# From scanning to training


@pytest.fixture
def scanned(tmp_path):
    """Twenty subjects, one of which is a twentieth."""
    folder = make_folder(tmp_path / "scans", subjects=10, slices=2)
    return drive(tasks.scan(folder, out=tmp_path / "c.mrifcl"))


def train(scanned, tmp_path):
    operation = tasks.train(scanned.folder, tiny(epochs=1), tmp_path / "runs")
    notices = []
    while True:
        try:
            event = next(operation)
        except StopIteration as stop:
            return stop.value, notices
        if isinstance(event, Notice):
            notices.append(event.text)


def test_that_training_goes_on_without_one_changed_scan_of_twenty(scanned, tmp_path):
    file = scanned.cohort.scans[3].files[1]
    edit(scanned.cohort.path_of(file))
    run, notices = train(scanned, tmp_path)
    assert notices[0].startswith(f"'{file.split('/')[-1]}' has changed since it was scanned.")
    assert "Scan the folder again" in notices[0]
    assert notices[0].endswith(f"Scan {scanned.cohort.scans[3].key} was left out.")
    assert scanned.cohort.scans[3].key not in (run / "split.csv").read_text(encoding="utf-8")


def test_that_training_stops_where_more_than_a_twentieth_has_changed(
    scanned, tmp_path, assert_plain
):
    edit(scanned.cohort.path_of(scanned.cohort.scans[3].files[1]))
    scanned.cohort.path_of(scanned.cohort.scans[5].files[0]).unlink()
    with pytest.raises(CohortError, match="2 of 20 scans have changed or gone") as caught:
        train(scanned, tmp_path)
    assert_plain(caught.value, scanned.cohort.scans[3].files[0])
    assert not list((tmp_path / "runs").glob("*"))


def test_that_stored_slices_of_a_changed_scan_are_told(scanned, tmp_path):
    train(scanned, tmp_path)
    edit(scanned.cohort.path_of(scanned.cohort.scans[3].files[1]))
    scanned.cohort.path_of(scanned.cohort.scans[5].files[0]).unlink()
    _, notices = train(scanned, tmp_path)
    assert notices[0].startswith("1 scans have changed since they were scanned")
    assert scanned.cohort.scans[3].key in notices[0]
