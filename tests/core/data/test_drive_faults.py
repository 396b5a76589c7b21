"""A drive that stumbles is read once more; one that stays away is named, and the rest goes on."""

from __future__ import annotations

import builtins
import errno
import io
import os

import nibabel as nib
import numpy as np
import pytest

from core.data import drive
from core.data.cohort import Cohort
from core.data.dicom import find_series, load_series
from core.data.drive import is_drive_fault
from core.data.picture import read_picture
from core.data.scan_folder import scan_folder
from core.data.scan_reader import load_scan
from core.data.volume import load_volume, read_header
from core.errors import ScanError
from core.progress import run_to_end
from tests.core.data.dicom_builder import write_series

# Pillow tells each fault on stderr; the program has that turned off.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
FAULTS = [errno.EIO, errno.ESTALE, errno.ENOENT]


class Drive:
    """Opens and reads below a folder, of which some fail."""

    def __init__(self, folder):
        self.folder, self.number, self.calls, self.fails = (
            str(folder),
            errno.EIO,
            0,
            lambda call: False,
        )
        self.only = ""
        self._open = io.open

    def count(self, path):
        if self.only in str(path):
            self.calls += 1
            if self.fails(self.calls):
                raise OSError(self.number, os.strerror(self.number), str(path))

    def open(self, file, mode="r", buffering=-1, *args, **kwargs):
        if not str(file).startswith(self.folder) or mode not in ("rb", "r"):
            return self._open(file, mode, buffering, *args, **kwargs)
        self.count(file)
        raw = _File(file, self)
        if buffering == 0:
            return raw
        buffered = io.BufferedReader(raw)
        return buffered if mode == "rb" else io.TextIOWrapper(buffered, encoding="utf-8")


class _File(io.FileIO):
    def __init__(self, path, drive):
        super().__init__(path)
        self._path, self._drive = path, drive

    def readinto(self, buffer):
        self._drive.count(self._path)
        return super().readinto(buffer)

    def readall(self):
        self._drive.count(self._path)
        return super().readall()


@pytest.fixture
def flaky(tmp_path, monkeypatch):
    found = Drive(tmp_path)
    monkeypatch.setattr(builtins, "open", found.open)
    monkeypatch.setattr(io, "open", found.open)
    monkeypatch.setattr(drive, "_PAUSE_SECONDS", 0)
    return found


@pytest.fixture
def stored(tmp_path, write_nifti, write_picture, voxels):
    """One scan of each kind: {name: (file, reader)}."""
    write_nifti(tmp_path / "a.nii")
    write_nifti(tmp_path / "b.nii.gz")
    nib.save(nib.AnalyzeImage(voxels, np.eye(4)), tmp_path / "c.hdr")
    nib.save(nib.MGHImage(voxels, np.eye(4)), tmp_path / "d.mgz")
    write_picture(tmp_path / "e.png")
    write_picture(tmp_path / "f.jpg")
    write_picture(tmp_path / "g.tif")
    write_series(tmp_path / "h", voxels)

    def volume(path):
        return load_volume(path).voxels

    def series(path):
        return load_series(sorted(path.iterdir())).voxels

    readers = dict.fromkeys(("a.nii", "b.nii.gz", "c.hdr", "d.mgz"), volume)
    readers |= dict.fromkeys(("e.png", "f.jpg", "g.tif"), read_picture) | {"h": series}
    return {name: (tmp_path / name, reader) for name, reader in readers.items()}


KINDS = ["a.nii", "b.nii.gz", "c.hdr", "d.mgz", "e.png", "f.jpg", "g.tif", "h"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_that_one_fault_at_any_call_is_read_over(flaky, stored, kind, number):
    path, read = stored[kind]
    flaky.number = number
    wanted = read(path)
    n_calls, flaky.calls = flaky.calls, 0
    assert n_calls > 1
    for place in range(1, n_calls + 1):
        flaky.calls, flaky.fails = 0, lambda call, place=place: call == place
        np.testing.assert_array_equal(read(path), wanted)
        assert flaky.calls > place


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_that_a_drive_that_goes_away_at_any_call_is_named(
    flaky, stored, kind, number, assert_plain
):
    path, read = stored[kind]
    flaky.number = number
    read(path)
    n_calls = flaky.calls
    for place in range(1, n_calls + 1):
        flaky.calls, flaky.fails = 0, lambda call, place=place: call >= place
        with pytest.raises(ScanError, match=r"drive is no longer there.* Reconnect") as caught:
            read(path)
        assert_plain(caught.value, path.name if path.is_file() else "IM0")


def test_that_a_damaged_file_is_not_read_twice(flaky, tmp_path):
    (tmp_path / "x.nii").write_bytes(b"x" * 1000)
    with pytest.raises(ScanError):
        read_header(tmp_path / "x.nii")
    once = flaky.calls
    assert not is_drive_fault(ScanError("damaged"))
    assert once <= 4


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_that_a_scan_of_a_folder_goes_on_without_what_the_drive_lost(
    flaky, tmp_path, write_nifti, write_picture, voxels, number
):
    for label, names in {"AD": "ab", "NC": "cd"}.items():
        for name in names:
            write_nifti(tmp_path / label / f"sub-{name}.nii.gz", voxels + ord(name))
        write_picture(tmp_path / label / f"sub-{label}9_s1.png", seed=ord(label[0]))
        write_series(tmp_path / label / f"sub-{label}8", voxels, series=f"1.2.{ord(label[0])}")
    flaky.number, flaky.only, flaky.fails = number, "AD", lambda call: True
    cohort = run_to_end(scan_folder(tmp_path))
    assert {scan.label for scan in cohort.scans} == {"NC"}
    assert len(cohort.scans) == 4
    lost = {item.file: item.reason for item in cohort.skipped}
    assert {"AD/sub-a.nii.gz", "AD/sub-b.nii.gz", "AD/sub-AD9_s1.png"} <= lost.keys()
    for file in ("AD/sub-a.nii.gz", "AD/sub-AD9_s1.png"):
        assert "drive is no longer there" in lost[file]
    assert sum(file.startswith("AD/sub-AD8/") for file in lost) == voxels.shape[2]


def test_that_a_series_whose_file_the_drive_lost_says_so(flaky, tmp_path, voxels, assert_plain):
    paths = write_series(tmp_path / "s", voxels)
    flaky.only, flaky.fails = paths[3].name, lambda call: True
    found = find_series(paths)
    (lost,) = found.skipped
    assert lost[0] == paths[3]
    assert "drive" in str(lost[1])


def test_that_opening_a_scan_of_a_cohort_whose_drive_is_gone_says_so(
    flaky, tmp_path, write_nifti, voxels
):
    for number in range(2):
        write_nifti(tmp_path / "AD" / f"sub-{number}.nii", voxels + number)
    cohort: Cohort = run_to_end(scan_folder(tmp_path))
    flaky.fails = lambda call: True
    with pytest.raises(ScanError, match="drive is no longer there"):
        load_scan(cohort, cohort.scans[0])
