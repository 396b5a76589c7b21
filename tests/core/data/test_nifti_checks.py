"""Header entries that mislead a reader are told or refused before anything is allocated."""

from __future__ import annotations

import struct

import nibabel as nib
import numpy as np
import pytest

from core.data.findings import code_of
from core.data.nifti_checks import check_header, geometry_findings
from core.data.stored_voxels import StoredVoxels, check_size
from core.errors import ScanError

NAN, INF = float("nan"), float("inf")
FLAT = (12, 9, 10)


def patched(path, offset, layout, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + layout, data, offset, *values)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(
    ("offset", "layout", "values", "word"),
    [
        (40, "h", (0,), "dimension"),
        (40, "h", (9,), "dimension"),
        (42, "h", (0,), "size of no voxels"),
        (42, "h", (-3,), "negative size"),
        (40, "8h", (7, *[32767] * 7), "dimension"),
        (70, "h", (9999,), "datatype"),
        (80, "f", (NAN,), "voxel size"),
        (108, "f", (NAN,), "offset"),
        (108, "f", (-400.0,), "offset"),
        (108, "f", (1e9,), "offset"),
        (112, "2f", (2.0, NAN), "intercept"),
        (252, "2h3f", (1, 0, 0.9, 0.9, 0.9), "orientation"),
        (280, "f", (NAN,), "orientation"),
        (344, "4s", (b"xyz",), "NIfTI"),
    ],
)
def test_that_impossible_entries_are_refused(
    write_nifti, tmp_path, assert_plain, offset, layout, values, word
):
    path = patched(write_nifti(tmp_path / "scan.nii"), offset, layout, *values)
    with pytest.raises(ScanError, match=word) as caught:
        check_header(path)
    assert_plain(caught.value, "'scan.nii'")


@pytest.mark.parametrize(
    ("offset", "layout", "values", "codes"),
    [
        (0, "i", (500,), ["header_repaired"]),
        (80, "3f", (0.0, 0.0, 0.0), ["voxel_size"]),
        (80, "f", (-2.0,), ["voxel_size"]),
        (112, "2f", (NAN, NAN), []),
        (112, "2f", (0.0, 0.0), []),
        (112, "2f", (INF, 0.0), ["scaling_ignored"]),
        (112, "2f", (-1.0, 900.0), ["scaling_negative"]),
        (148, "9s", (b"DOE^JANE",), ["identifiers"]),
        (148, "24s", (b"TE=2.3;Time=123456.000",), []),
    ],
)
def test_that_doubtful_entries_are_told(write_nifti, tmp_path, offset, layout, values, codes):
    path = patched(write_nifti(tmp_path / "scan.nii"), offset, layout, *values)
    assert [code_of(item) for item in check_header(path)] == codes


def write_with_extension(path, voxels, affine, code, content):
    image = nib.Nifti1Image(voxels, affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(code, content))
    nib.save(image, path)
    return path


@pytest.mark.parametrize("kind", ["scan.nii", "scan.nii.gz", "scan.hdr"])
def test_that_an_identifier_in_an_extension_is_told_but_not_quoted(voxels, affine, tmp_path, kind):
    path = tmp_path / kind
    image = (nib.Nifti1Pair if kind.endswith("hdr") else nib.Nifti1Image)(voxels, affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Patient: Jane Doe"))
    nib.save(image, path)
    (finding,) = check_header(path)
    assert finding.code == "identifiers"
    assert "Jane" not in finding


def test_that_an_extension_without_identifiers_is_not(voxels, affine, tmp_path):
    path = write_with_extension(tmp_path / "scan.nii", voxels, affine, "comment", b"a" * 100)
    assert check_header(path) == ()


@pytest.mark.parametrize("size", [0, -16, 23, 2**31 - 16])
def test_that_an_extension_of_an_impossible_size_is_refused(
    voxels, affine, tmp_path, assert_plain, size
):
    path = write_with_extension(tmp_path / "scan.nii", voxels, affine, "comment", b"a" * 40)
    with pytest.raises(ScanError, match="extension") as caught:
        check_header(patched(path, 352, "i", size))
    assert_plain(caught.value, "'scan.nii'")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("patient_id", b"OAS1"),
        ("db_name", b"DOE^JANE"),
        ("data_type", b"DOE^JANE"),
        ("generated", b"DOE^JANE"),
        ("scannum", b"DOE^JANE"),
    ],
)
def test_that_a_patient_entry_of_an_analyze_header_is_told(voxels, tmp_path, field, text):
    image = nib.AnalyzeImage(voxels, np.eye(4))
    nib.save(image, tmp_path / "s.hdr")
    assert check_header(tmp_path / "s.hdr") == ()
    image.header[field] = text
    nib.save(image, tmp_path / "s.hdr")
    assert [code_of(item) for item in check_header(tmp_path / "s.hdr")] == ["identifiers"]


@pytest.mark.parametrize(
    ("affine", "shape", "codes"),
    [
        (np.diag([1, 1.5, 2, 1]), (8, 9, 10), []),
        (np.diag([0.5, 0.5, 6, 1]), (8, 9, 10), ["anisotropic"]),
        (np.diag([1.0, 1, 1, 1]), (8, 9, 1), ["single_slice"]),
        (np.array([[2, 0.6, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]), FLAT, ["sheared"]),
    ],
)
def test_that_the_form_of_the_voxels_is_told(affine, shape, codes):
    assert [code_of(item) for item in geometry_findings(affine, shape)] == codes


@pytest.mark.parametrize(
    ("shape", "word"),
    [
        ((1, 1, 1), "too small"),
        ((8, 1, 1), "too small"),
        ((30_000, 30_000, 30_000), "too large"),
        ((8, 9, 10, 1, 2), "5 dimensions"),
        ((8, 9, 11), "incomplete"),
    ],
)
def test_that_a_size_that_cannot_be_is_refused(write_nifti, tmp_path, assert_plain, shape, word):
    path = write_nifti(tmp_path / "scan.nii")
    with pytest.raises(ScanError, match=word) as caught:
        check_size(StoredVoxels(path, shape, np.dtype("<i2"), 352))
    assert_plain(caught.value, "'scan.nii'")
