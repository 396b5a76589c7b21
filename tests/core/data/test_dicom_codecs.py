from __future__ import annotations

import gdcm
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from core.child_process import ChildError
from core.data import dicom_codecs
from core.data.dicom import find_series, load_series
from core.data.dicom_codecs import COMPRESSED
from core.errors import ScanError
from tests.core.data.dicom_builder import save, write_enhanced, write_series

# JPEG 2000 wants 32 pixels a side.
SHAPE = (40, 36, 4)
BY_PYDICOM = (RLELossless, JPEGLSLossless, JPEG2000Lossless)
BY_GDCM = {
    JPEGLossless: "JPEGLosslessProcess14",
    JPEGLosslessSV1: "JPEGLosslessProcess14_1",
    JPEGBaseline8Bit: "JPEGBaselineProcess1",
    JPEGExtended12Bit: "JPEGExtendedProcess2_4",
}
LOSSLESS = (*BY_PYDICOM, JPEGLossless, JPEGLosslessSV1)


@pytest.fixture
def stored():
    """A smooth scan of 12 bits in which no two axes are alike."""
    i, j, k = np.indices(SHAPE)
    return (30 * i + 50 * j + 300 * k).astype(np.uint16)


def write_packed(folder, voxels, syntax, *, bits=12, **options):
    """Write a series of compressed files."""

    def change(dataset, k):
        dataset.BitsStored, dataset.HighBit = bits, bits - 1

    paths = write_series(folder, voxels, change=change)
    for path in paths:
        pack(path, syntax, **options)
    return paths


def pack(path, syntax, **options):
    if syntax in BY_GDCM:
        _pack_by_gdcm(path, BY_GDCM[syntax])
    else:
        dataset = dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False, **options)
        save(dataset, path)
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax


def _pack_by_gdcm(path, name):
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), None
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def in_ras(voxels):
    """Turn (columns to the left, rows to the back, slices up) to RAS+."""
    return voxels[::-1, ::-1].astype(np.float32)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_that_a_series_packed_without_loss_has_its_voxels(tmp_path, stored, syntax):
    volume = load_series(write_packed(tmp_path, stored, syntax))
    np.testing.assert_array_equal(volume.voxels, in_ras(stored))


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_that_signed_pixels_keep_their_sign(tmp_path, stored, syntax):
    signed = stored.astype(np.int16) - 1000
    volume = load_series(write_packed(tmp_path, signed, syntax, bits=16))
    np.testing.assert_array_equal(volume.voxels, in_ras(signed))


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit], ids=lambda uid: uid.name)
def test_that_lossy_jpeg_of_8_bits_is_near_its_voxels(tmp_path, stored, syntax):
    grey = (stored // 16).astype(np.uint8)
    volume = load_series(write_packed(tmp_path, grey, syntax, bits=8))
    np.testing.assert_allclose(volume.voxels, in_ras(grey), atol=4)


@pytest.mark.parametrize(
    ("syntax", "options"),
    [(JPEGLSNearLossless, {"jls_error": 3}), (JPEG2000, {"j2k_cr": [5]})],
    ids=["JPEG-LS", "JPEG 2000"],
)
def test_that_other_lossy_kinds_are_near_their_voxels(tmp_path, stored, syntax, options):
    volume = load_series(write_packed(tmp_path, stored, syntax, **options))
    np.testing.assert_allclose(volume.voxels, in_ras(stored), atol=40)


def test_that_each_kind_that_is_told_to_be_read_has_a_test():
    tested = {*LOSSLESS, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000}
    assert {UID(syntax) for syntax in COMPRESSED} == tested


def test_that_the_frames_of_one_packed_file_are_read_in_their_order(tmp_path, stored):
    path = write_enhanced(tmp_path / "all.dcm", stored)
    pack(path, RLELossless)
    volume = load_series([path])
    # The builder scales frame k by k + 1.
    np.testing.assert_array_equal(volume.voxels, in_ras(stored * np.arange(1, 5)))


def test_that_rows_of_slices_are_unpacked_in_several_turns(tmp_path, stored, monkeypatch):
    turns = []
    run = dicom_codecs.run_in_child

    def counted(name, payload, **limits):
        turns.append(len(payload["pictures"]))
        return run(name, payload, **limits)

    monkeypatch.setattr(dicom_codecs, "run_in_child", counted)
    monkeypatch.setattr(dicom_codecs, "_BATCH_BYTES", stored[:, :, :3].nbytes)
    volume = load_series(write_packed(tmp_path, stored, RLELossless))
    assert turns == [3, 1]
    np.testing.assert_array_equal(volume.voxels, in_ras(stored))


def test_that_scanning_unpacks_nothing(tmp_path, stored, monkeypatch):
    paths = write_packed(tmp_path, stored, JPEG2000Lossless)
    monkeypatch.setattr(dicom_codecs, "run_in_child", lambda *_, **__: pytest.fail("unpacked"))
    (series,) = find_series(paths).series
    assert series.shape == SHAPE


def test_that_a_packed_file_that_is_cut_off_is_refused_at_the_scan(tmp_path, stored, assert_plain):
    path = write_packed(tmp_path, stored[:, :, :1], JPEGLSLossless)[0]
    whole = path.read_bytes()
    for n_bytes in (len(whole) - 9, len(whole) - 100, whole.index(b"\xfe\xff\x00\xe0") + 4):
        path.write_bytes(whole[:n_bytes])
        found = find_series([path])
        assert not found.series
        assert "incomplete" in str(found.skipped[0][1])
        assert_plain(found.skipped[0][1], path.name)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_that_a_damaged_picture_is_refused_with_its_file(tmp_path, stored, syntax, assert_plain):
    paths = write_packed(tmp_path, stored, syntax)
    content = bytearray(paths[2].read_bytes())
    # From behind the table of offsets to the end of the pictures.
    start = content.rindex(b"\xfe\xff\x00\xe0") + 8
    content[start : len(content) - 8] = b"\x5a" * (len(content) - 8 - start)
    paths[2].write_bytes(content)
    with pytest.raises(ScanError, match="damaged") as caught:
        load_series(paths)
    assert_plain(caught.value, paths[2].name)


@pytest.mark.parametrize("reason", ["timeout", "memory", "crashed"])
def test_that_a_decoder_that_fails_is_told_with_the_series(
    tmp_path, stored, monkeypatch, reason, assert_plain
):
    paths = write_packed(tmp_path / "T1", stored, RLELossless)

    def fail(*_, **__):
        raise ChildError(reason)

    monkeypatch.setattr(dicom_codecs, "run_in_child", fail)
    with pytest.raises(ScanError, match="unpacked") as caught:
        load_series(paths)
    assert_plain(caught.value, "T1")


def test_that_without_the_codec_the_package_is_named(tmp_path, stored, monkeypatch, assert_plain):
    paths = write_packed(tmp_path, stored, JPEG2000Lossless)
    monkeypatch.setattr(dicom_codecs, "_plugins", lambda syntax: frozenset())
    (_, error), *_ = find_series(paths).skipped
    assert "JPEG 2000" in str(error)
    assert 'pip install "mri-fcl[dicom]"' in str(error)
    assert_plain(error, "IM000.dcm")


def test_that_jpeg_of_12_bits_names_the_only_package_that_reads_it(tmp_path, stored, monkeypatch):
    paths = write_packed(tmp_path, stored, JPEGExtended12Bit)
    monkeypatch.setattr(dicom_codecs, "_plugins", lambda syntax: frozenset({"gdcm", "pillow"}))
    (_, error), *_ = find_series(paths).skipped
    assert "pip install pylibjpeg pylibjpeg-libjpeg" in str(error)
