"""Reading only what slicing needs gives what loading the whole scan gives, bit for bit."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest

from core.config import SliceSettings
from core.data.cohort import Cohort, Scan
from core.data.slices import choose_slices, cut_slices, slice_positions, slices_of_scan
from core.data.stored_scan import opened_source, source_of_volume
from core.data.volume import load_volume
from core.errors import ScanError

SHAPE = (16, 19, 21)
PLANES = ("axial", "coronal", "sagittal")
TURNS = list(itertools.permutations(range(3)))


@pytest.fixture
def head():
    rng = np.random.default_rng(5)
    voxels = rng.integers(0, 40, SHAPE)
    voxels[4:13, 3:16, 6:18] += 500
    return voxels.astype(np.int16)


def affine_of(order, flips):
    affine = np.zeros((4, 4))
    for axis, (to, flip) in enumerate(zip(order, flips, strict=True)):
        affine[to, axis] = (1.0, 1.2, 1.5)[axis] * (-1 if flip else 1)
    affine[:3, 3] = (3, -5, 8)
    affine[3, 3] = 1
    return affine


def cut(path, **changes):
    scan = Scan("s", "s", "", "AD", "volume", (path.name,))
    settings = SliceSettings(count=5, size=32, **changes)
    return slices_of_scan(Cohort(path.parent, ("AD",), (scan,)), scan, settings)


def assert_as_loaded(path):
    """Compare with the slices of the loaded volume."""
    with opened_source(path) as source:
        assert source is not None
        volume = load_volume(path)
        half = source.half if source.table is None else source.table[source.half]
        assert np.array_equal(half, source_of_volume(volume).half)
        assert source.spacing_mm == volume.spacing_mm
        assert np.array_equal(source.affine, volume.affine)
    for plane in PLANES:
        settings = SliceSettings(plane=plane, count=5, size=32)
        mine = cut(path, plane=plane)
        chosen = choose_slices(volume, settings)
        assert np.array_equal(mine.numbers, chosen)
        assert np.array_equal(mine.pixels, cut_slices(volume, settings, chosen))
        assert np.array_equal(mine.positions_mm, slice_positions(volume, settings))
        assert mine.pixels.any()


@pytest.mark.parametrize("order", TURNS)
@pytest.mark.parametrize("flips", [(0, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 1)])
def test_that_every_orientation_is_cut_as_when_loaded(tmp_path, head, order, flips):
    nib.save(nib.Nifti1Image(head, affine_of(order, flips)), tmp_path / "s.nii")
    assert_as_loaded(tmp_path / "s.nii")


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2"])
@pytest.mark.parametrize(("slope", "inter"), [(1, 0), (0.37, -11.5), (-2.5, 3)])
def test_that_every_stored_type_and_scaling_is_cut_as_when_loaded(
    tmp_path, head, dtype, slope, inter
):
    values = head if np.dtype(dtype).itemsize == 2 else head // 5
    affine = affine_of((0, 1, 2), (1, 0, 0))
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(np.dtype(dtype).newbyteorder("="))
    image = nib.Nifti1Image(values.astype(np.dtype(dtype).newbyteorder("=")), affine, header)
    image.header.set_slope_inter(slope, inter)
    nib.save(image, tmp_path / "s.nii")
    assert_as_loaded(tmp_path / "s.nii")


@pytest.mark.parametrize("plane", PLANES)
def test_that_slices_do_not_depend_on_format_or_compression(tmp_path, head, plane):
    affine = affine_of((1, 0, 2), (1, 0, 1))
    for name in ("s.nii", "s.nii.gz"):
        nib.save(nib.Nifti1Image(head, affine), tmp_path / name)
        # Floating point is loaded whole.
        nib.save(nib.Nifti1Image(head.astype(np.float32), affine), tmp_path / f"f{name}")
    nib.save(nib.Nifti1Pair(head, affine), tmp_path / "p.img")
    nib.save(nib.Nifti2Image(head, affine), tmp_path / "n2.nii")
    expected = cut(tmp_path / "s.nii", plane=plane).pixels
    for name in ("s.nii.gz", "fs.nii", "fs.nii.gz", "p.hdr", "n2.nii"):
        assert np.array_equal(cut(tmp_path / name, plane=plane).pixels, expected), name


def test_that_floating_point_and_frames_are_left_to_the_loader(tmp_path, head):
    affine = affine_of((0, 1, 2), (0, 0, 0))
    nib.save(nib.Nifti1Image(head.astype(np.float32), affine), tmp_path / "f.nii")
    nib.save(nib.Nifti1Image(np.stack([head, head], axis=-1), affine), tmp_path / "4d.nii")
    for name in ("f.nii", "4d.nii", "missing.nii"):
        with opened_source(tmp_path / name) as source:
            assert source is None
    assert cut(tmp_path / "4d.nii").pixels.any()


@pytest.mark.parametrize("damage", ["checksum", "cut", "garbled"])
def test_that_a_damaged_gzip_stream_is_refused(tmp_path, head, assert_plain, damage):
    path = tmp_path / "s.nii.gz"
    nib.save(nib.Nifti1Image(head, affine_of((0, 1, 2), (0, 0, 0))), path)
    data = bytearray(path.read_bytes())
    if damage == "checksum":
        data[-6] ^= 1
    elif damage == "cut":
        del data[-30:]
    else:
        data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ScanError) as caught:
        cut(path)
    assert_plain(caught.value, "'s.nii.gz'")


def test_that_a_file_that_ends_early_is_refused(tmp_path, head, assert_plain):
    path = tmp_path / "s.nii"
    nib.save(nib.Nifti1Image(head, affine_of((0, 1, 2), (0, 0, 0))), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ScanError) as caught:
        cut(path)
    assert_plain(caught.value, "'s.nii'")


def test_that_a_drive_that_stumbles_is_read_again(tmp_path, head, monkeypatch):
    path = tmp_path / "s.nii"
    nib.save(nib.Nifti1Image(head, affine_of((0, 1, 2), (0, 0, 0))), path)
    expected = cut(path).pixels

    def stumble(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("core.data.stored_scan._take_planes", stumble)
    assert np.array_equal(cut(path).pixels, expected)


def test_that_real_scans_are_cut_as_when_loaded(shared_data):
    for name in ("oasis_volumes/1000_SS.nii.gz", "analyze/1000_t88like_bigendian.hdr"):
        path = shared_data / name
        volume = load_volume(path)
        settings = SliceSettings()
        scan = Scan("s", "s", "", "AD", "volume", (path.name,))
        mine = slices_of_scan(Cohort(path.parent, ("AD",), (scan,)), scan, settings)
        assert np.array_equal(mine.numbers, choose_slices(volume, settings))
        assert np.array_equal(mine.pixels, cut_slices(volume, settings, mine.numbers))
