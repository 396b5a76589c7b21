"""Small pictures of scans: what they show, and that their store may be deleted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.data import thumbnail
from core.data.scan_folder import scan_folder
from core.data.thumbnail import FOLDER, SIZE, read_thumbnails
from core.progress import run_to_end


@pytest.fixture
def cohort(tmp_path, write_nifti, write_picture):
    """A volume that is bright at its front right top middle, and three pictures."""
    voxels = np.zeros((9, 11, 9), dtype=np.int16)
    voxels[6:, 8:, 4] = 900
    write_nifti(tmp_path / "scans" / "AD" / "sub-01.nii.gz", voxels, matrix=np.eye(4))
    for number in range(3):
        write_picture(tmp_path / "scans" / "NC" / f"sub-02_{number}.png", seed=number)
    return run_to_end(scan_folder(tmp_path / "scans"))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "c.mrifcl"


def read(cohort, store):
    return run_to_end(read_thumbnails(cohort, store, cohort.scans))


def test_that_a_volume_shows_its_middle_axial_slice_radiologically(cohort, store):
    pixels = read(cohort, store)["sub-01"]
    assert pixels.shape == (SIZE, SIZE)
    assert pixels.dtype == np.uint8
    rows, columns = np.nonzero(pixels > 127)
    assert rows.max() < SIZE / 3  # anterior at the top
    assert columns.max() < SIZE / 2  # the right of the subject on the left


def test_that_pictures_show_the_middle_one(cohort, store):
    scan = cohort.scans[1]
    middle = replace(scan, files=scan.files[1:2], slice_numbers=(1,), stamps=(), sha256="")
    alone = run_to_end(read_thumbnails(cohort, store, [middle]))[scan.key]
    assert np.array_equal(read(cohort, store)[scan.key], alone)


def test_that_a_flipped_scan_is_shown_flipped(cohort, store):
    plain = read(cohort, store)["sub-01"]
    scan = replace(cohort.scans[0], flipped=True)
    flipped = run_to_end(read_thumbnails(cohort, store, [scan]))["sub-01"]
    assert np.abs(plain[:, ::-1].astype(int) - flipped).max() <= 1
    assert not np.array_equal(plain, flipped)


def test_that_stored_ones_need_no_scan(cohort, store, monkeypatch):
    first = read(cohort, store)
    monkeypatch.setattr(thumbnail, "_make", lambda *_: pytest.fail("made again"))
    again = read(cohort, store)
    assert all(np.array_equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\nrest", None])
def test_that_lost_or_damaged_ones_are_made_again(cohort, store, damage):
    first = read(cohort, store)
    for path in (store / FOLDER).iterdir():
        path.unlink() if damage is None else path.write_bytes(damage)
    again = read(cohort, store)
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_that_unreadable_and_changed_scans_have_none(cohort, store):
    cohort.path_of(cohort.scans[0].files[0]).write_bytes(b"")
    cohort.path_of(cohort.scans[1].files[0]).unlink()
    assert read(cohort, store) == {"sub-01": None, "sub-02": None}


def test_that_a_store_that_cannot_be_written_is_done_without(cohort, tmp_path):
    (tmp_path / "file").write_text("in the way")
    made = read(cohort, tmp_path / "file")
    assert all(pixels is not None for pixels in made.values())
