"""Volumes: one anatomy whatever the storage, and damaged files refused in plain words."""

from __future__ import annotations

import gzip
import itertools
import struct
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import SliceSettings
from core.data import voxel_reading
from core.data.findings import code_of
from core.data.slices import choose_slices, cut_slices
from core.data.volume import is_volume_name, load_volume, read_header
from core.errors import ScanError

ALL_CODES = [
    tuple(ends[axis] for axis, ends in zip(order, flips, strict=True))
    for order in itertools.permutations(range(3))
    for flips in itertools.product(("RAS", "LPI"), repeat=3)
]
FEW = settings(max_examples=60)


def patched(data: bytes, offset: int, layout: str, *values) -> bytes:
    """Return NIfTI-1 bytes with other header entries; offsets as in nifti1.h."""
    changed = bytearray(data)
    struct.pack_into("<" + layout, changed, offset, *values)
    return bytes(changed)


@pytest.mark.parametrize("codes", ALL_CODES, ids="".join)
def test_that_all_48_storage_orders_give_the_same_anatomy(codes, voxels, affine, tmp_path):
    image = nib.Nifti1Image(voxels, affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(codes)
    )
    nib.save(image.as_reoriented(turn), tmp_path / "scan.nii")
    volume = load_volume(tmp_path / "scan.nii")
    assert np.array_equal(volume.voxels, voxels)
    assert volume.voxels.dtype == np.float32
    assert np.allclose(volume.affine, affine)
    assert volume.spacing_mm == pytest.approx((1.0, 1.5, 2.0))
    assert volume.sides_certain
    assert volume.warnings == ()


def test_that_a_position_is_in_millimetres_right_anterior_superior(write_nifti, tmp_path):
    volume = load_volume(write_nifti(tmp_path / "scan.nii"))
    assert volume.position_mm((0, 0, 0)) == (-4, -6, -10)
    assert volume.position_mm((1, 2, 3)) == (-3, -3, -4)


@pytest.mark.parametrize("kind", ["u1", "<i2", ">i2", "<u2", "<i4", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_that_number_types_and_byte_orders_give_equal_voxels(kind, suffix, affine, tmp_path):
    values = (np.arange(720) % 251).reshape(8, 9, 10)
    header = nib.Nifti1Header(endianness=kind[0] if kind[0] in "<>" else "<")
    path = tmp_path / f"scan{suffix}"
    nib.save(nib.Nifti1Image(values.astype(kind), affine, header), path)
    assert np.array_equal(load_volume(path).voxels, values)


def test_that_the_scale_factor_of_the_header_is_applied(voxels, affine, tmp_path):
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scan.nii")
    data = (tmp_path / "scan.nii").read_bytes()
    stored = np.frombuffer(data[352:], "<i2").reshape((8, 9, 10), order="F")
    expected = stored * 0.5 + 10
    assert np.allclose(load_volume(tmp_path / "scan.nii").voxels, expected)


def test_that_a_header_gives_shape_and_voxel_size_without_the_voxels(write_nifti, tmp_path):
    header = read_header(write_nifti(tmp_path / "scan.nii.gz"))
    assert header.shape == (8, 9, 10)
    assert header.spacing_mm == pytest.approx((1.0, 1.5, 2.0))
    assert header.warnings == ()


@pytest.mark.parametrize("name", ["a.nii", "A.NII.GZ", "a.hdr", "a.hdr.gz", "a.mgz", "a.MGH"])
def test_that_volume_names_are_known_by_their_ending(name):
    assert is_volume_name(name)
    assert not is_volume_name(name + ".txt")


def write_analyze(folder, voxels):
    image = nib.AnalyzeImage(voxels, np.diag([1.0, 1.5, 2.0, 1.0]))
    nib.save(image, folder / "s01.hdr")
    return folder / "s01.hdr"


def test_that_an_analyze_pair_loads_but_its_sides_are_not_certain(voxels, tmp_path):
    path = write_analyze(tmp_path, voxels)
    volume = load_volume(path)
    assert sorted(volume.voxels.ravel()) == sorted(voxels.ravel())
    assert volume.spacing_mm == pytest.approx((1.0, 1.5, 2.0))
    assert not volume.sides_certain
    assert volume.warnings[0].startswith("Left and right are not certain")
    assert read_header(path).warnings == volume.warnings


def test_that_a_header_without_its_image_names_the_missing_file(voxels, tmp_path, assert_plain):
    path = write_analyze(tmp_path, voxels)
    (tmp_path / "s01.img").unlink()
    with pytest.raises(ScanError) as caught:
        load_volume(path)
    assert_plain(caught.value, "'s01.hdr' needs 's01.img' beside it")


@pytest.mark.parametrize(("kept", "word"), [(0, "empty"), (100, "incomplete: 100 bytes of 1440")])
def test_that_a_short_image_file_is_refused(voxels, tmp_path, assert_plain, kept, word):
    path = write_analyze(tmp_path, voxels)
    data = (tmp_path / "s01.img").read_bytes()
    (tmp_path / "s01.img").write_bytes(data[:kept])
    for read in (read_header, load_volume):
        with pytest.raises(ScanError, match=word) as caught:
            read(path)
        assert_plain(caught.value, "'s01.img'")


def test_that_a_gzipped_analyze_pair_is_checked_to_its_end(voxels, tmp_path, assert_plain):
    path = write_analyze(tmp_path, voxels)
    for name in ("s01.hdr", "s01.img"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    zipped = path.with_name("s01.hdr.gz")
    assert np.array_equal(load_volume(zipped).voxels, load_volume(path).voxels)
    partner = tmp_path / "s01.img.gz"
    partner.write_bytes(partner.read_bytes()[:-8])
    with pytest.raises(ScanError, match="damaged") as caught:
        load_volume(zipped)
    assert_plain(caught.value, "'s01.img.gz'")


def test_that_a_file_without_orientation_codes_is_told(write_nifti, tmp_path):
    data = write_nifti(tmp_path / "scan.nii").read_bytes()
    (tmp_path / "scan.nii").write_bytes(patched(data, 252, "hh", 0, 0))
    volume = load_volume(tmp_path / "scan.nii")
    assert not volume.sides_certain
    assert volume.warnings == (
        "Left and right are not certain: the file has no orientation codes.",
    )


def test_that_disagreeing_orientation_entries_are_told(voxels, affine, tmp_path):
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(np.diag([-1, 1, 1, 1.0]) @ affine, code=1)
    image.set_sform(affine, code=1)
    nib.save(image, tmp_path / "scan.nii")
    volume = load_volume(tmp_path / "scan.nii")
    assert not volume.sides_certain
    assert "disagree (RAS is used, not LAS)" in volume.warnings[0]
    assert np.array_equal(volume.voxels, voxels)

    data = (tmp_path / "scan.nii").read_bytes()
    (tmp_path / "scan.nii").write_bytes(patched(data, 256, "f", 5.0))  # no unit quaternion
    assert "not ???" in load_volume(tmp_path / "scan.nii").warnings[0]


@pytest.mark.parametrize(("offset", "entries"), [(280, [0.0] * 12), (284, [1e18])])
def test_that_flat_orientation_entries_fall_back_to_voxel_sizes(
    write_nifti, tmp_path, offset, entries
):
    data = write_nifti(tmp_path / "scan.nii").read_bytes()
    (tmp_path / "scan.nii").write_bytes(patched(data, offset, f"{len(entries)}f", *entries))
    volume = load_volume(tmp_path / "scan.nii")
    assert not volume.sides_certain
    assert volume.spacing_mm == pytest.approx((1.0, 1.5, 2.0))


@pytest.mark.parametrize("offset", [280, 80], ids=["sform", "pixdim"])
def test_that_impossible_orientation_entries_are_refused(
    write_nifti, tmp_path, assert_plain, offset
):
    data = write_nifti(tmp_path / "scan.nii").read_bytes()
    (tmp_path / "scan.nii").write_bytes(patched(data, offset, "f", float("nan")))
    for read in (read_header, load_volume):
        with pytest.raises(ScanError, match="impossible") as caught:
            read(tmp_path / "scan.nii")
        assert_plain(caught.value, "'scan.nii'")


def test_that_of_several_frames_the_first_is_used_and_told(write_nifti, voxels, tmp_path):
    frames = np.stack([voxels, voxels * 2, voxels * 3], axis=-1)
    path = write_nifti(tmp_path / "scan.nii.gz", frames)
    volume = load_volume(path)
    assert np.array_equal(volume.voxels, voxels)
    assert volume.warnings == ("Holds 3 frames; the first is used.",)
    assert read_header(path).shape == (8, 9, 10)


def test_that_a_single_frame_is_a_plain_volume(write_nifti, voxels, tmp_path):
    volume = load_volume(write_nifti(tmp_path / "scan.nii", voxels[..., None]))
    assert np.array_equal(volume.voxels, voxels)
    assert volume.warnings == ()


def test_that_colours_are_averaged_to_grey(write_nifti, tmp_path):
    data = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    data["R"], data["G"], data["B"] = 30, 60, 90
    data["R"][0, 0, 0] = 0
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
    assert volume.voxels[1, 1, 1] == 60
    assert volume.voxels[0, 0, 0] == 50
    assert "Colours were averaged to grey." in volume.warnings


def test_that_voxels_that_are_not_finite_become_zero_and_are_counted(write_nifti, tmp_path):
    data = np.ones((4, 5, 6), dtype=np.float32)
    data[0, 0, :3] = np.nan, np.inf, 2
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
    assert volume.voxels[0, 0, :4].tolist() == [0, 0, 2, 1]
    assert volume.warnings == ("2 voxels were not finite and are 0.",)


def test_that_values_beyond_float32_are_taken_as_not_finite(write_nifti, voxels, tmp_path):
    data = voxels.astype(np.float64)
    data[0, 0, 0] = 1e300
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
    assert np.isfinite(volume.voxels).all()
    assert volume.warnings == ("1 voxels were not finite and are 0.",)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (np.full((4, 5, 6), 7, dtype=np.int16), "the same value"),
        ((np.arange(120).reshape(4, 5, 6) % 2).astype(np.uint8), "looks like a mask"),
    ],
)
def test_that_a_scan_without_contrast_is_told(write_nifti, tmp_path, data, word):
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
    assert word in volume.warnings[0]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (np.full((4, 5, 6), np.nan, dtype=np.float32), "no finite voxel"),
        (np.ones((4, 5, 6), dtype=np.complex64), "complex"),
        (np.ones((4, 1, 1), dtype=np.int16), "no 3-D volume"),
        (np.ones((4, 5, 6, 1, 3), dtype=np.int16), "5 dimensions"),
    ],
)
def test_that_what_is_no_grey_volume_is_refused(write_nifti, tmp_path, assert_plain, data, word):
    path = write_nifti(tmp_path / "scan.nii", data)
    with pytest.raises(ScanError, match=word) as caught:
        load_volume(path)
    assert_plain(caught.value, "'scan.nii'")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.hdr"])
def test_that_an_empty_file_is_called_empty(tmp_path, assert_plain, name):
    (tmp_path / name).touch()
    with pytest.raises(ScanError, match="empty") as caught:
        read_header(tmp_path / name)
    assert_plain(caught.value, f"'{name}'")


def test_that_a_missing_file_is_told(tmp_path, assert_plain):
    with pytest.raises(ScanError, match="no longer there") as caught:
        load_volume(tmp_path / "gone.nii")
    assert_plain(caught.value, "'gone.nii'")


def test_that_a_file_without_permission_is_told(write_nifti, tmp_path, monkeypatch, assert_plain):
    path = write_nifti(tmp_path / "scan.nii")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # A real mode of 0 stops nobody who runs the tests as root.
    monkeypatch.setattr(nib, "load", refuse)
    with pytest.raises(ScanError, match="permission") as caught:
        load_volume(path)
    assert_plain(caught.value, "'scan.nii'")


def test_that_a_drive_that_vanishes_while_reading_is_told(
    write_nifti, tmp_path, monkeypatch, assert_plain
):
    path = write_nifti(tmp_path / "scan.nii")

    def vanish(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(voxel_reading, "open_unpacked", vanish)
    with pytest.raises(ScanError, match="drive is no longer there") as caught:
        load_volume(path)
    assert_plain(caught.value, "'scan.nii'")


def test_that_a_gzip_that_ends_too_soon_but_whole_is_incomplete(
    write_nifti, tmp_path, assert_plain
):
    data = write_nifti(tmp_path / "good.nii").read_bytes()
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(data[:-10]))
    with pytest.raises(ScanError, match="incomplete: 1430 bytes of 1440 bytes") as caught:
        load_volume(tmp_path / "scan.nii.gz")
    assert_plain(caught.value, "'scan.nii.gz'")


@FEW
@given(share=st.floats(0, 0.9999))
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_that_a_file_cut_anywhere_is_refused_by_name(
    write_nifti, tmp_path, assert_plain, suffix, share
):
    path = write_nifti(tmp_path / f"scan{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ScanError) as caught:
        load_volume(path)
    assert_plain(caught.value, f"'scan{suffix}'")


@FEW
@given(where=st.floats(0, 0.9999), bit=st.integers(0, 7))
def test_that_a_flipped_bit_in_a_gzip_is_found_or_harmless(
    write_nifti, tmp_path, voxels, assert_plain, where, bit
):
    path = write_nifti(tmp_path / "scan.nii.gz")
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        volume = load_volume(path)
    except ScanError as error:
        assert_plain(error, "'scan.nii.gz'")
    else:
        # Such as the time stamp in gzip's own header.
        assert np.array_equal(volume.voxels, voxels)


@FEW
@given(changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), max_size=6))
def test_that_any_damaged_header_is_read_or_refused_in_plain_words(
    write_nifti, tmp_path, assert_plain, changes
):
    path = write_nifti(tmp_path / "scan.nii")
    data = bytearray(path.read_bytes())
    for offset, value in changes:
        data[offset] = value
    path.write_bytes(bytes(data))
    try:
        volume = load_volume(path)
    except ScanError as error:
        assert_plain(error, "'scan.nii'")
    else:
        assert np.isfinite(volume.voxels).all()
        assert np.isfinite(volume.affine).all()


@pytest.mark.parametrize(
    "dims",
    [(3, 30_000, 30_000, 30_000), (3, 1500, 1500, 1500), (3, 500, 500, 500), (3, 80, 90, 100)],
    ids=["54-TB", "7-GB", "250-MB", "1-MB"],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_that_a_lying_header_allocates_nothing(write_nifti, tmp_path, assert_plain, dims, suffix):
    data = patched(write_nifti(tmp_path / "good.nii").read_bytes(), 40, "4h", *dims)
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(gzip.compress(data) if suffix == ".nii.gz" else data)
    tracemalloc.start()
    try:
        with pytest.raises(ScanError) as caught:
            load_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert_plain(caught.value, f"'scan{suffix}'")


def test_that_a_file_made_to_fill_the_memory_is_refused(write_nifti, tmp_path, assert_plain):
    # 384 MB of zeros in 0.4 MB, as the header says: only the ratio shows it.
    data = patched(write_nifti(tmp_path / "good.nii").read_bytes(), 40, "4h", 3, 800, 800, 300)
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(data[:352])
    zeros = bytes(1 << 20)
    packed += b"".join(packer.compress(zeros) for _ in range(367)) + packer.flush()
    (tmp_path / "bomb.nii.gz").write_bytes(packed)
    with pytest.raises(ScanError, match="unusually compressed") as caught:
        read_header(tmp_path / "bomb.nii.gz")
    assert_plain(caught.value, "'bomb.nii.gz'")


def test_that_bytes_behind_the_voxels_are_not_unpacked(write_nifti, tmp_path, voxels):
    path = write_nifti(tmp_path / "scan.nii.gz")
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(50 << 20)))
    tracemalloc.start()
    loaded = load_volume(path).voxels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(loaded, voxels)
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("name", "start", "word"),
    [
        ("scan.nii.gz", b"<!DOCTYPE html><html>Log in</html>", "web page"),
        ("scan.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid x", "never downloaded"),
        ("scan.nii.gz", b"/annex/objects/SHA256E-s2553792--aa.nii.gz\n", "never downloaded"),
        ("scan.nii", b"just text " * 60, "no readable NIfTI, Analyze or MGH"),
        ("scan.nii", bytes(4000), "holds zeros only"),
        ("scan.nii.gz", gzip.compress(b"", mtime=0), "is empty: it unpacks to no header"),
        ("scan.nii.gz", b"x" * 400, "not a compressed file"),
        ("scan.nii", b"\x89PNG\r\n" + bytes(400), "is a PNG picture"),
        ("scan.nii", bytes(128) + b"DICM" + bytes(400), "is a DICOM file"),
        ("scan.nii", b"PK\x03\x04" + bytes(400), "is a zip archive"),
        ("scans.zip", b"PK\x03\x04" + bytes(400), "is a zip archive"),
        ("scan.txt", b"a list of names", "no readable NIfTI, Analyze or MGH"),
    ],
)
def test_that_what_is_no_scan_is_told_apart(tmp_path, assert_plain, name, start, word):
    (tmp_path / name).write_bytes(start)
    with pytest.raises(ScanError, match=word) as caught:
        load_volume(tmp_path / name)
    assert_plain(caught.value, f"'{name}'")


def test_that_a_wrong_ending_is_told_with_the_right_one(write_nifti, tmp_path):
    plain = write_nifti(tmp_path / "plain.nii").read_bytes()
    (tmp_path / "zipped.nii").write_bytes(gzip.compress(plain))
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    with pytest.raises(ScanError, match=r"is compressed\. Rename it"):
        load_volume(tmp_path / "zipped.nii")
    with pytest.raises(ScanError, match=r"is not compressed\. Rename it"):
        load_volume(tmp_path / "plain.nii.gz")


# ------------------------------------------------------------------ FreeSurfer


def write_mgh(path, data, matrix):
    nib.save(nib.MGHImage(data, matrix), path)
    return path


@pytest.mark.parametrize("name", ["scan.mgh", "scan.mgz", "SCAN.MGZ"])
@pytest.mark.parametrize("codes", [("L", "I", "A"), ("R", "A", "S")], ids="".join)
def test_that_an_mgh_file_gives_the_anatomy_of_the_same_nifti(
    name, codes, voxels, affine, tmp_path
):
    image = nib.Nifti1Image(voxels, affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(turn)
    path = write_mgh(tmp_path / "made.mgh", np.asarray(turned.dataobj), turned.affine)
    data = path.read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.lower().endswith("z") else data)
    volume = load_volume(path)
    assert np.array_equal(volume.voxels, voxels)
    assert np.allclose(volume.affine, affine, atol=1e-4)
    assert volume.sides_certain
    assert volume.warnings == ()
    header = read_header(path)
    assert header.stored_axes == "".join(codes)
    assert sorted(header.spacing_mm) == pytest.approx([1.0, 1.5, 2.0])


@pytest.mark.parametrize(
    ("offset", "layout", "values", "word"),
    [
        (0, "i", (7,), "no readable"),
        (4, "i", (0,), "size of no voxels"),
        (4, "3i", (3000, 3000, 3000), "too large"),
        (4, "3i", (80, 90, 100), "incomplete"),
        (20, "i", (2,), "voxel type"),
        (42, "f", (float("nan"),), "orientation"),
    ],
)
@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
def test_that_a_damaged_mgh_header_is_refused(
    voxels, affine, tmp_path, assert_plain, offset, layout, values, word, suffix
):
    data = bytearray(write_mgh(tmp_path / "good.mgh", voxels, affine).read_bytes())
    struct.pack_into(">" + layout, data, offset, *values)
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(gzip.compress(data) if suffix == ".mgz" else data)
    for read in (read_header, load_volume):
        if (read, word, suffix) == (read_header, "incomplete", ".mgz"):
            continue  # A header alone cannot tell how far a packed file reaches.
        with pytest.raises(ScanError, match=word) as caught:
            read(path)
        assert_plain(caught.value, f"'scan{suffix}'")


def test_that_an_mgz_with_a_wrong_checksum_is_refused(voxels, affine, tmp_path, assert_plain):
    data = gzip.compress(write_mgh(tmp_path / "good.mgh", voxels, affine).read_bytes())
    (tmp_path / "scan.mgz").write_bytes(data[:-8] + bytes(4) + data[-4:])
    with pytest.raises(ScanError, match="checksum") as caught:
        load_volume(tmp_path / "scan.mgz")
    assert_plain(caught.value, "'scan.mgz'")


def test_that_an_mgh_file_without_orientation_is_told(voxels, affine, tmp_path):
    path = write_mgh(tmp_path / "scan.mgh", voxels, affine)
    data = bytearray(path.read_bytes())
    struct.pack_into(">h", data, 28, 0)
    path.write_bytes(bytes(data))
    volume = load_volume(path)
    assert not volume.sides_certain
    assert [code_of(item) for item in volume.warnings] == ["orientation_unknown"]


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize("slope", [1.0, 0.5])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_that_loading_takes_little_more_than_the_float32_voxels(tmp_path, slope, suffix):
    header = nib.Nifti1Header()
    header.set_data_shape((128, 128, 128))
    header.set_data_dtype(np.int16)
    header.set_sform(np.diag([-1.0, 1, 1, 1]), code=1)
    header["scl_slope"], header["vox_offset"], header["magic"] = slope, 352, b"n+1"
    values = np.random.default_rng(1).integers(0, 900, 128**3, dtype=np.int16)
    data = header.binaryblock + bytes(4) + values.tobytes()
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(gzip.compress(data, 1) if suffix == ".nii.gz" else data)
    load_volume(path)  # what is imported once is no part of it
    tracemalloc.start()
    volume = load_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stored = values.reshape((128, 128, 128), order="F")[::-1]
    assert np.array_equal(volume.voxels, stored * np.float32(slope))
    # Below three times the stored size: no float64, no second copy.
    assert peak < 3 * values.nbytes


# ------------------------------------------------------------------ real scans


def test_that_real_scans_in_eight_storage_orders_are_one_brain(shared_data):
    volumes = [load_volume(path) for path in sorted((shared_data / "orientations").glob("*.gz"))]
    assert len(volumes) == 8
    for volume in volumes[1:]:
        assert np.array_equal(volume.voxels, volumes[0].voxels)
        assert np.allclose(volume.affine, volumes[0].affine, atol=1e-3)


def test_that_real_big_and_little_endian_files_are_equal(shared_data):
    big, little = (
        load_volume(shared_data / "odd_formats" / f"{n}.nii.gz") for n in ("big", "little")
    )
    assert np.array_equal(big.voxels, little.voxels)


def test_that_the_oasis_analyze_pair_says_that_its_sides_are_not_certain(shared_data):
    path = shared_data / "analyze" / "1000_t88like_bigendian.hdr"
    volume = load_volume(path)
    assert volume.voxels.shape == (176, 208, 176)
    assert not volume.sides_certain
    assert "Analyze files do not store them" in volume.warnings[0]


def test_that_an_oasis_volume_gives_thirty_slices_with_the_brain_in_the_middle(shared_data):
    volume = load_volume(shared_data / "oasis_volumes" / "1000_SS.nii.gz")
    chosen = choose_slices(volume, SliceSettings())
    pixels = cut_slices(volume, SliceSettings(), chosen)
    assert pixels.shape == (30, 224, 224)
    tissue = pixels > 40
    assert tissue[:, 90:134, 90:134].mean() > 0.5
    assert not tissue[:, :5].any()
    assert not tissue[:, :, :5].any()
    rows, columns = (np.flatnonzero(tissue.any(axis=(0, axis))) for axis in (2, 1))
    assert abs(columns.mean() - 111.5) < 20
    assert abs(rows.mean() - 111.5) < 20


def test_that_a_real_file_that_is_no_scan_is_refused(shared_data, assert_plain):
    with pytest.raises(ScanError) as caught:
        load_volume(shared_data / "odd_formats" / "not-nifti.nii")
    assert_plain(caught.value, "'not-nifti.nii'")
