"""DICOM series: order, place, values, doubts, limits, and no word of who was scanned."""

from __future__ import annotations

import builtins
import logging
import random
import time

import numpy as np
import pytest
from pydicom import dcmread

from core.data import dicom, pydicom_gateway
from core.data.dicom import StudyKeys, find_series, is_dicom, load_series, write_key_file
from core.data.findings import code_of
from core.errors import ScanError
from tests.core.data.dicom_builder import (
    SYNTAXES,
    make_dataset,
    save,
    write_enhanced,
    write_series,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

SHAPE = (8, 9, 10)


@pytest.fixture
def stored():
    """Voxels (columns, rows, slices); distinct, so that a flip shows."""
    return np.arange(1, 721, dtype=np.uint16).reshape(SHAPE)


def codes(volume):
    return [code_of(item) for item in volume.warnings]


def in_ras(stored):
    """Turn an axial stack (left, posterior, superior) round by hand."""
    return stored[::-1, ::-1]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_that_a_series_is_sorted_by_position_and_turned_to_ras(tmp_path, stored, syntax):
    volume = load_series(write_series(tmp_path, stored, syntax=syntax, origin=(-5.0, -8.0, 4.0)))
    assert volume.voxels.dtype == np.float32
    assert volume.voxels.flags.c_contiguous
    assert np.array_equal(volume.voxels, in_ras(stored))
    # Rows are 2 mm apart, columns 1.5, slices 3: the thickness in the header is not believed.
    assert np.allclose(volume.spacing_mm, (1.5, 2.0, 3.0))
    # The last column and row lie at x = -5 + 7 * 1.5 to the left and y = -8 + 8 * 2 behind.
    assert np.allclose(volume.position_mm((0, 0, 0)), (-5.5, -8.0, 4.0))
    assert volume.sides_certain
    assert volume.warnings == ()


@pytest.mark.parametrize(
    "directions",
    [
        (0, 1, 0, 0, 0, -1),  # sagittal
        (1, 0, 0, 0, 0, -1),  # coronal
        (-1, 0, 0, 0, -1, 0),
        (0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
        (0.98, 0.1989975, 0.0, 0.0, 0.0, -1.0),  # oblique
    ],
)
def test_that_every_stored_voxel_lies_where_dicom_says(tmp_path, stored, directions):
    origin = np.array([3.0, -7.0, 11.0])
    volume = load_series(write_series(tmp_path, stored, directions=directions, origin=origin))
    row, column = np.array(directions[:3]), np.array(directions[3:])
    to_voxel = np.linalg.inv(volume.affine)
    for i, j, k in [(0, 0, 0), (7, 0, 0), (0, 8, 0), (0, 0, 9), (2, 5, 7)]:
        place = origin + row * 1.5 * i + column * 2.0 * j + np.cross(row, column) * 3.0 * k
        x, y, z = np.rint((to_voxel @ [-place[0], -place[1], place[2], 1])[:3]).astype(int)
        assert volume.voxels[x, y, z] == stored[i, j, k]
    # Nearest to RAS+: each axis of the array runs mainly along its own direction, forwards.
    assert (np.diag(volume.affine)[:3] > 0).all()


def test_that_a_series_tells_shape_and_spacing_before_a_pixel_is_read(tmp_path, stored):
    paths = write_series(tmp_path, stored, directions=(0, 1, 0, 0, 0, -1))
    (series,) = find_series(paths).series
    volume = load_series(series.files)
    assert series.shape == SHAPE
    assert np.allclose(series.spacing_mm, (1.5, 2.0, 3.0))
    assert series.stored_axes == "PIR"
    assert volume.voxels.shape == (10, 8, 9)
    assert np.allclose(volume.spacing_mm, (3.0, 1.5, 2.0))
    assert sorted(series.files) == sorted(paths)


def test_that_values_are_scaled_slice_by_slice(tmp_path, stored):
    def change(dataset, k):
        dataset.RescaleSlope, dataset.RescaleIntercept = k + 1, -10

    volume = load_series(write_series(tmp_path, stored, change=change))
    assert np.array_equal(volume.voxels, in_ras(stored) * np.arange(1.0, 11.0) - 10)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u4", "i4"])
def test_that_pixels_of_each_width_and_sign_are_read(tmp_path, dtype):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(
        max(limits.min, -(2**20)), min(limits.max, 2**20), SHAPE, dtype=dtype
    )
    volume = load_series(write_series(tmp_path, values))
    assert np.array_equal(volume.voxels, in_ras(values).astype(np.float32))


@pytest.mark.parametrize("kind", ["u2", "i2"])
@pytest.mark.parametrize("high_bit", [11, 13])
def test_that_bits_beside_the_value_are_not_read(tmp_path, kind, high_bit):
    values = np.random.default_rng(1).integers(0, 2048, SHAPE) - (1024 if kind == "i2" else 0)
    shift = high_bit - 11
    words = ((values & 0xFFF) << shift | 0x8000).astype("u2").view(kind)

    def change(dataset, k):
        dataset.BitsStored, dataset.HighBit = 12, high_bit

    volume = load_series(write_series(tmp_path, words, change=change))
    assert np.array_equal(volume.voxels, in_ras(values))


def test_that_an_inverted_grey_scale_is_turned_round_and_told(tmp_path, stored):
    def change(dataset, k):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    volume = load_series(write_series(tmp_path, stored, change=change))
    assert np.array_equal(volume.voxels, 721.0 - in_ras(stored))
    assert codes(volume) == ["inverted"]


def test_that_frames_of_one_file_make_a_volume(tmp_path, stored):
    volume = load_series([write_enhanced(tmp_path / "IM1", stored)])
    assert np.array_equal(volume.voxels, in_ras(stored) * np.arange(1.0, 11.0))
    assert np.allclose(volume.spacing_mm, (1.5, 2.0, 3.0))
    assert volume.warnings == ()


def test_that_frames_without_a_place_are_refused(tmp_path, stored, assert_plain):
    path = write_enhanced(tmp_path / "IM1", stored, has_places=False)
    with pytest.raises(ScanError, match="frames") as caught:
        load_series([path])
    assert_plain(caught.value, "IM1")


@pytest.mark.parametrize(
    ("dropped", "missing"),
    [([4], "1 slice is"), ([4, 5], "2 slices are"), ([2, 6], "2 slices are")],
)
def test_that_gaps_are_counted(tmp_path, stored, dropped, missing):
    paths = write_series(tmp_path, stored)
    volume = load_series([path for k, path in enumerate(paths) if k not in dropped])
    assert codes(volume) == ["slice_gap"]
    assert missing in volume.warnings[0]
    assert np.allclose(volume.spacing_mm, (1.5, 2.0, 3.0))
    assert np.array_equal(volume.voxels, np.delete(in_ras(stored), dropped, axis=2))


def test_that_a_slice_there_twice_is_used_once(tmp_path, stored):
    paths = write_series(tmp_path, stored)
    again = save(dcmread(paths[3]), tmp_path / "copy.dcm")
    (series,) = find_series([*paths, again]).series
    assert [code_of(item) for item in series.warnings] == ["duplicate_slice"]
    assert series.shape == SHAPE


def test_that_of_repeats_of_every_slice_the_first_is_used(tmp_path, stored):
    paths = write_series(tmp_path, stored)

    def later(dataset, k):
        dataset.InstanceNumber = k + 11

    paths += write_series(tmp_path, stored + 1000, change=later, suffix="")
    volume = load_series(paths)
    assert codes(volume) == ["frame_used"]
    assert np.array_equal(volume.voxels, in_ras(stored))


def test_that_uneven_and_askew_stacks_are_told(tmp_path, stored):
    def uneven(dataset, k):
        dataset.ImagePositionPatient = [0, 0, 3.0 * k + (0.9 if k == 5 else 0)]

    def askew(dataset, k):
        dataset.ImagePositionPatient = [0, 0.6 * k, 3.0 * k]

    assert codes(load_series(write_series(tmp_path / "a", stored, change=uneven))) == [
        "uneven_spacing"
    ]
    volume = load_series(write_series(tmp_path / "b", stored, change=askew))
    assert codes(volume) == ["sheared"]
    assert np.allclose(volume.affine[:3, 2], (0, -0.6, 3.0))


@pytest.mark.parametrize("gone", ["ImageOrientationPatient", "ImagePositionPatient"])
def test_that_without_a_place_the_sides_are_not_certain(tmp_path, stored, gone):
    volume = load_series(write_series(tmp_path, stored, change=lambda d, k: d.pop(gone)))
    assert not volume.sides_certain
    assert codes(volume)[0] == "orientation_unknown"
    assert np.array_equal(volume.voxels, in_ras(stored))


def test_that_one_slice_is_a_volume_of_one(tmp_path, stored):
    volume = load_series(write_series(tmp_path, stored[:, :, :1]))
    assert volume.voxels.shape == (8, 9, 1)
    assert np.allclose(volume.spacing_mm, (1.5, 2.0, 9.0))
    assert codes(volume) == ["single_slice"]


def test_that_a_copy_in_another_folder_is_a_scan_of_its_own(tmp_path, stored):
    paths = write_series(tmp_path / "AD", stored) + write_series(tmp_path / "NC", stored)
    assert [len(series.slices) for series in find_series(paths).series] == [10, 10]


def test_that_slices_that_run_away_sideways_are_refused(tmp_path, stored, assert_plain):
    def change(dataset, k):
        dataset.ImagePositionPatient = [0, 9.0 * k, 3.0 * k]

    with pytest.raises(ScanError, match="impossible") as caught:
        load_series(write_series(tmp_path, stored, change=change))
    assert_plain(caught.value, "IM00")


def test_that_unknown_pixel_sizes_are_told(tmp_path, stored):
    volume = load_series(write_series(tmp_path, stored, change=lambda d, k: d.pop("PixelSpacing")))
    assert codes(volume) == ["voxel_size"]
    assert np.allclose(volume.spacing_mm, (1.0, 1.0, 3.0))


def test_that_a_localiser_is_refused(tmp_path, stored, assert_plain):
    paths = write_series(tmp_path, stored[:, :, :2])
    sagittal = (0, 1, 0, 0, 0, -1)
    paths += write_series(tmp_path, stored[:, :, :2], directions=sagittal, suffix="")
    with pytest.raises(ScanError, match="localiser") as caught:
        load_series(paths)
    assert_plain(caught.value, "IM00")


def test_that_each_series_is_found_on_its_own(tmp_path, stored):
    paths = write_series(tmp_path / "a", stored[:, :, :4], series="1.2.3.1")
    paths += write_series(tmp_path / "b", stored, series="1.2.3.2")
    found = find_series(paths)
    assert [len(series.slices) for series in found.series] == [4, 10]
    volume = load_series(paths)
    assert volume.voxels.shape == SHAPE
    assert codes(volume) == ["several_series"]


def test_that_one_bad_file_hides_no_good_one_and_is_listed(tmp_path, stored):
    paths = write_series(tmp_path, stored)
    content = paths[9].read_bytes()
    paths[9].write_bytes(content[:-20])
    (tmp_path / "notes").write_text("no scan")
    found = find_series([*paths, tmp_path / "notes"])
    assert [len(series.slices) for series in found.series] == [9]
    assert {path.name for path, _ in found.skipped} == {paths[9].name, "notes"}
    # A scan that once was whole must not be read without one of its slices.
    with pytest.raises(ScanError, match="incomplete"):
        load_series(paths)
    paths[9].unlink()
    with pytest.raises(ScanError, match="no longer there"):
        load_series(paths)


def test_that_dicom_is_told_by_its_content(tmp_path, stored):
    path = write_series(tmp_path, stored, suffix="")[0]
    assert is_dicom(path)
    (tmp_path / "x.dcm").write_bytes(b"hello " * 60)
    assert not is_dicom(tmp_path / "x.dcm")
    assert not is_dicom(tmp_path / "gone")
    assert not is_dicom(tmp_path)


CHANGES = {
    "colour": ("SamplesPerPixel", 3, "colour"),
    "palette": ("PhotometricInterpretation", "PALETTE COLOR", "colour"),
    "bits": ("BitsStored", 17, "bits"),
    "frames": ("NumberOfFrames", 0, "frames"),
    "slope": ("RescaleSlope", 0, "slope"),
    "rows": ("Rows", 0, "rows"),
    "long": ("NumberOfFrames", 10**9, "shorter"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_that_what_is_no_grey_slice_is_refused_plainly(tmp_path, stored, case, assert_plain):
    keyword, value, word = CHANGES[case]
    dataset = make_dataset(stored[:, :, 0].T)
    setattr(dataset, keyword, value)
    path = save(dataset, tmp_path / "slice.dcm")
    with pytest.raises(ScanError, match=word) as caught:
        load_series([path])
    assert_plain(caught.value, "slice.dcm")


@pytest.mark.parametrize(
    ("syntax", "word"),
    [
        ("1.2.840.10008.1.2.1.99", "compressed"),
        ("1.2.840.10008.1.2.4.70", "compressed"),
        ("1.2.840.10008.1.2.5", "compressed"),
        ("1.2.3", "format"),
    ],
)
def test_that_other_ways_of_storing_are_refused(tmp_path, stored, syntax, word, assert_plain):
    path = write_series(tmp_path, stored[:, :, :1])[0]
    content = path.read_bytes()
    assert content.count(b"1.2.840.10008.1.2.1\0") == 1
    at = content.index(b"1.2.840.10008.1.2.1\0") - 2
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    path.write_bytes(content[:at] + len(uid).to_bytes(2, "little") + uid + content[at + 22 :])
    with pytest.raises(ScanError, match=word) as caught:
        load_series([path])
    assert_plain(caught.value, path.name)


def test_that_a_header_of_many_million_bytes_is_refused_soon(tmp_path, stored):
    path = write_series(tmp_path, stored[:, :, :1])[0]
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(content[:at] + b"\x31\0\x10\x10LO\0\0" * 2_000_000 + content[at:])
    started = time.monotonic()
    with pytest.raises(ScanError, match="too large"):
        load_series([path])
    assert time.monotonic() - started < 10


def test_that_without_pydicom_the_remedy_is_said(tmp_path, stored, monkeypatch):
    paths = write_series(tmp_path, stored)
    real_import = builtins.__import__

    def without_pydicom(name, *args, **kwargs):
        if name == "pydicom":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    pydicom_gateway.quiet_pydicom.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_pydicom)
    assert is_dicom(paths[0])
    assert not dicom.is_available()
    with pytest.raises(ScanError, match=r"pip install \"mri-fcl\[dicom\]\""):
        load_series(paths)


def test_that_keys_follow_first_appearance_and_avoid_taken_names():
    keys = StudyKeys(taken=["sub-002"])
    assert [keys.key_of(patient) for patient in ("a", "b", "a", "c")] == [
        "sub-001",
        "sub-003",
        "sub-001",
        "sub-004",
    ]
    assert keys.mapping == {"sub-001": "a", "sub-003": "b", "sub-004": "c"}


def test_that_the_key_file_holds_hashes_and_no_id(tmp_path, stored):
    (series,) = find_series(write_series(tmp_path, stored, patient="12345678")).series
    keys = StudyKeys()
    keys.key_of(series.patient)
    text = write_key_file(tmp_path, keys.mapping).read_text(encoding="utf-8-sig")
    # printf 12345678 | sha256sum
    assert "sub-001" in text
    assert "ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f" in text
    assert "12345678" not in text


def test_that_patients_are_told_apart_without_an_id(tmp_path, stored):
    paths = write_series(tmp_path / "a", stored, series="1.2.1", patient="")
    paths += write_series(tmp_path / "b", stored, series="1.2.2", patient="")
    first, second = find_series(paths).series
    assert first.patient == second.patient  # one study
    assert first.patient


@pytest.mark.parametrize(
    ("keyword", "value", "is_told"),
    [
        ("PatientName", "DOE^JANE", True),
        ("PatientName", "Jane", True),
        ("PatientName", "Anonymous", False),
        ("PatientName", "OAS1_0028", False),
        ("PatientName", "", False),
        ("PatientBirthDate", "19500101", True),
        ("BurnedInAnnotation", "YES", True),
        ("BurnedInAnnotation", "NO", False),
        ("OperatorsName", "ROE^JOHN", True),
        ("ImageComments", "seen by ROE^JOHN", True),
    ],
)
def test_that_identifiers_are_told_but_not_shown(tmp_path, stored, keyword, value, is_told):
    paths = write_series(tmp_path, stored, change=lambda d, k: setattr(d, keyword, value))
    volume = load_series(paths)
    assert codes(volume) == (["identifiers"] if is_told else [])
    assert not any(value in item for item in volume.warnings if value)


def test_that_a_real_series_is_one_volume(shared_data):
    paths = sorted((shared_data / "dicom_series").iterdir())
    (series,) = find_series(paths).series
    volume = load_series(series.files)
    assert volume.voxels.shape == (256, 256, 19)
    # Positions are 6.9 to 7 mm apart; the header claims 2 mm between slices and 5 mm thickness.
    assert np.allclose(volume.spacing_mm, (0.859375, 0.859375, 7.0), atol=0.01)
    assert volume.sides_certain
    assert codes(volume) == ["anisotropic"]
    # The last file lies highest; its rows run from the front to the back.
    own = dcmread(paths[-1])
    assert np.array_equal(volume.voxels[::-1, ::-1, -1].T, own.pixel_array)


# -- damaged bytes; the odd files of the manifest are in test_odd_files.py


@pytest.mark.parametrize("seed", range(3))
def test_that_damaged_bytes_end_in_a_volume_or_a_plain_error(tmp_path, stored, seed):
    chance = random.Random(seed)
    good = write_series(tmp_path / "good", stored[:, :, :3])[0].read_bytes()
    enhanced = write_enhanced(tmp_path / "good" / "e", stored).read_bytes()
    path = tmp_path / "IM1"
    for _ in range(100):
        content = bytearray(chance.choice((good, enhanced)))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(132, len(content))
            action = chance.randrange(3)
            if action == 0:
                content[at] ^= 1 << chance.randrange(8)
            elif action == 1:
                del content[at : at + chance.randint(1, 40)]
            else:
                content[at:at] = content[chance.randrange(len(content)) :][: chance.randint(1, 60)]
        path.write_bytes(content)
        started = time.monotonic()
        try:
            volume = load_series([path])
        except ScanError:
            pass
        else:
            assert np.isfinite(volume.voxels).all()
            assert np.isfinite(volume.affine).all()
        assert time.monotonic() - started < 2


# -- nothing of who was scanned

CANARY = "DOE^JANE 12345678"
_TEXT_KEYWORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientNames",
    "PatientComments",
    "PatientAddress",
    "InstitutionName",
    "ReferringPhysicianName",
    "OperatorsName",
    "PerformingPhysicianName",
    "StudyDescription",
    "SeriesDescription",
    "StudyID",
    "AccessionNumber",
    "ImageComments",
    "ProtocolName",
    "StationName",
    "AdditionalPatientHistory",
    "Manufacturer",
    "DeviceSerialNumber",
)


def plant_canaries(dataset, k):
    for keyword in _TEXT_KEYWORDS:
        setattr(dataset, keyword, CANARY)
    dataset.PatientBirthDate = "19500101"
    dataset.StudyDate = "20010203"
    for group in (0x0029, 0x0051):
        block = dataset.private_block(group, CANARY[:16], create=True)
        for element, vr in enumerate(("LO", "PN", "UT", "LT", "SH")):
            block.add_new(element, vr, CANARY)
        block.add_new(9, "UN", CANARY.encode() + b" ")


def test_that_findings_errors_and_logs_hold_no_word_of_the_header(tmp_path, stored, caplog):
    caplog.set_level(logging.DEBUG)
    paths = write_series(tmp_path, stored, series="1.2.77777.1", change=plant_canaries)
    found = find_series(paths)
    volume = load_series(paths)
    said = [repr(volume.warnings), repr(found), caplog.text]
    content = paths[0].read_bytes()
    for at in range(140, len(content), 7):
        paths[0].write_bytes(content[:at])
        try:
            load_series(paths)
        except ScanError as error:
            said += [str(error), repr(error.__cause__)]
    said.append(caplog.text)
    text = "\n".join(said)
    for secret in ("DOE", "JANE", "12345678", "19500101", "20010203", "77777"):
        assert secret not in text
    assert codes(volume) == ["identifiers"]
