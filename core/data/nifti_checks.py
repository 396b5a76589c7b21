"""Check the header of a NIfTI, Analyze or MGH file before anything is allocated for it."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from core.data.file_kind import no_scan_text, permission_text, shown_name
from core.data.findings import Finding
from core.data.stored_voxels import damaged_text, open_unpacked, unreadable_text
from core.errors import ScanError

WANTED = "NIfTI, Analyze or MGH file"
_MAX_EXTENSION_BYTES, _MAX_EXTENSIONS = 64 * 1024**2, 1000
_SCANNED_EXTENSION_BYTES = 64 * 1024
# How far below zero the square of the quaternion's first part may fall, as nibabel has it.
_QUATERNION_SLACK = 3 * float(np.finfo(np.float32).eps)
_XFORM_CODES = range(1, 6)
# Bytes a voxel by datatype code (nifti1.h); the 1-bit type and 0 (unknown) cannot be shown.
_DATATYPES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304)
_IDENTIFIER = re.compile(rb"(?i)[a-z]{2,}\^[a-z]|patient|\bMRN\b|\bDOB\b|birth")

_ANALYZE_FIELDS = {
    "sizeof_hdr": ("i4", 0),
    "data_type": ("S10", 4),
    "db_name": ("S18", 14),
    "dim": ("(8,)i2", 40),
    "datatype": ("i2", 70),
    "pixdim": ("(8,)f4", 76),
    "vox_offset": ("f4", 108),
    "descrip": ("S80", 148),
    "aux_file": ("S24", 228),
}
_LAYOUTS = {
    "Analyze": (
        348,
        {
            **_ANALYZE_FIELDS,
            "generated": ("S10", 263),
            "scannum": ("S10", 273),
            "patient_id": ("S10", 283),
        },
    ),
    "NIfTI-1": (
        348,
        {
            **_ANALYZE_FIELDS,
            "scl_slope": ("f4", 112),
            "scl_inter": ("f4", 116),
            "qform_code": ("i2", 252),
            "sform_code": ("i2", 254),
            "quaternion": ("(3,)f4", 256),
            "sform": ("(12,)f4", 280),
            "intent_name": ("S16", 328),
        },
    ),
    "NIfTI-2": (
        540,
        {
            "sizeof_hdr": ("i4", 0),
            "datatype": ("i2", 12),
            "dim": ("(8,)i8", 16),
            "pixdim": ("(8,)f8", 104),
            "vox_offset": ("i8", 168),
            "scl_slope": ("f8", 176),
            "scl_inter": ("f8", 184),
            "descrip": ("S80", 240),
            "aux_file": ("S24", 320),
            "qform_code": ("i4", 344),
            "sform_code": ("i4", 348),
            "quaternion": ("(3,)f8", 352),
            "sform": ("(12,)f8", 400),
            "intent_name": ("S16", 508),
        },
    ),
}
# Free text, which programs copy from what the scanner wrote.
_TEXT_FIELDS = frozenset(
    ("descrip", "aux_file", "intent_name", "data_type", "db_name", "generated", "scannum")
)
_MGH_HEADER_BYTES = 284
_MGH_TYPES = (0, 1, 3, 4)


def check_header(path: Path) -> tuple[Finding, ...]:
    """Check every header entry that could mislead a reader; return what is doubtful.

    Raises
    ------
    ScanError
        If the file holds no such header, or one whose entries are impossible.
    """
    try:
        with open_unpacked(path) as file:
            start = file.read(540)
            if path.name.lower().endswith((".mgh", ".mgz")):
                return _check_mgh(path, start)
            return _check_nifti(path, start, file)
    except PermissionError as error:
        raise ScanError(permission_text(path)) from error
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ScanError(unreadable_text(path)) from error
        raise ScanError(_packing_text(path)) from error


def _packing_text(path: Path) -> str:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return damaged_text(path) if is_gzip else no_scan_text(path, WANTED)


def _check_mgh(path: Path, start: bytes) -> tuple[Finding, ...]:
    name = shown_name(path)
    values = np.frombuffer(start[:24].ljust(24, b"\0"), dtype=">i4")
    if int(values[0]) != 1:
        raise ScanError(no_scan_text(path, WANTED))
    if len(start) < _MGH_HEADER_BYTES:
        raise ScanError(
            f"'{name}' is incomplete: its header is cut. Copy it again from the source."
        )
    if int(values[5]) not in _MGH_TYPES:
        _refuse(path, f"names a voxel type ({values[5]}) that does not exist")
    if min(values[1:5]) < 1:
        _refuse(path, "gives the volume a size of no voxels")
    if not int.from_bytes(start[28:30], "big"):
        text = "Left and right are not certain: the file says that its orientation is not known."
        return (Finding(text, "orientation_unknown"),)
    if not np.isfinite(np.frombuffer(start[30:90], dtype=">f4")).all():
        _refuse(path, "has impossible orientation entries")
    return ()


def _check_nifti(path: Path, start: bytes, file: BinaryIO) -> tuple[Finding, ...]:
    layout = _layout_of(path, start)
    header = _fields(path, start, layout)
    _check_dimensions(path, header)
    if int(header["datatype"]) not in _DATATYPES:
        _refuse(path, f"names a voxel type (datatype {header['datatype']}) that cannot be shown")
    _check_offset(path, header)
    findings = _repairs(header) + _voxel_size_findings(path, header)
    texts = [bytes(header[name]) for name in header.dtype.names if name in _TEXT_FIELDS]
    if layout == "Analyze":
        texts.append(b"patient " * bool(header["patient_id"].strip()))
    else:
        _check_orientation(path, header)
        findings += _scaling_findings(path, header)
        texts.append(_extension_text(path, header, layout, file))
    return findings + _identifier_findings(texts)


def _layout_of(path: Path, start: bytes) -> str:
    """Tell the header's layout from its marks, or refuse what has none."""
    lower = path.name.lower()
    is_pair = lower.endswith((".hdr", ".hdr.gz"))
    for layout, mark in (("NIfTI-1", start[344:348]), ("NIfTI-2", start[4:8])):
        single, pair = (b"n+1\0", b"ni1\0") if layout == "NIfTI-1" else (b"n+2\0", b"ni2\0")
        if mark == (pair if is_pair else single):
            return layout
    has_size = int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")
    if is_pair and 348 in has_size and len(start) >= 348:
        return "Analyze"
    if (348 in has_size or 540 in has_size) and len(start) < max(348, min(has_size)):
        raise ScanError(
            f"'{shown_name(path)}' is incomplete: its header is cut. Copy it again from the source."
        )
    raise ScanError(no_scan_text(path, WANTED))


def _fields(path: Path, start: bytes, layout: str) -> Any:  # noqa: ANN401 - a NumPy record
    size, fields = _LAYOUTS[layout]
    if len(start) < size:
        raise ScanError(
            f"'{shown_name(path)}' is incomplete: its header is cut. Copy it again from the source."
        )
    kind = np.dtype(
        {
            "names": list(fields),
            "formats": [entry[0] for entry in fields.values()],
            "offsets": [entry[1] for entry in fields.values()],
            "itemsize": size,
        }
    )
    little = np.frombuffer(start[:size], dtype=kind.newbyteorder("<"))[0]
    big = np.frombuffer(start[:size], dtype=kind.newbyteorder(">"))[0]
    # As nibabel: the number of dimensions tells the byte order, then the header's own size.
    for header in (little, big):
        if 1 <= header["dim"][0] <= 7:
            return header
    return big if int(big["sizeof_hdr"]) == size else little


def _refuse(path: Path, fault: str) -> NoReturn:
    raise ScanError(f"The header of '{shown_name(path)}' {fault}. Export the scan again.")


def _check_dimensions(path: Path, header: Any) -> None:  # noqa: ANN401 - a NumPy record
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        _refuse(path, f"claims {count} dimensions")
    sides = [int(side) for side in header["dim"][1 : count + 1]]
    text = " x ".join(map(str, sides))
    if min(sides) < 0:
        _refuse(path, f"gives the volume a negative size ({text})")
    if min(sides) == 0:
        _refuse(path, f"gives the volume a size of no voxels ({text})")
    if math.prod(sides[4:]) > 1:
        raise ScanError(
            f"'{shown_name(path)}' has {count} dimensions ({text}). Save one 3-D volume of it."
        )


def _check_offset(path: Path, header: Any) -> None:  # noqa: ANN401 - a NumPy record
    offset = float(header["vox_offset"])
    if not math.isfinite(offset) or offset < 0:
        _refuse(path, f"gives an impossible offset of the voxels ({offset:g})")
    if offset > _MAX_EXTENSION_BYTES:
        _refuse(path, f"says that the voxels start only at byte {offset:.0f} (offset)")


def _repairs(header: Any) -> tuple[Finding, ...]:  # noqa: ANN401 - a NumPy record
    if int(header["sizeof_hdr"]) not in (348, 540):
        text = "The header gives a wrong size of itself, which was passed over."
        return (Finding(text, "header_repaired"),)
    return ()


def _voxel_size_findings(path: Path, header: Any) -> tuple[Finding, ...]:  # noqa: ANN401
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64)[: max(1, int(header["dim"][0]))]
    if not np.isfinite(sizes).all():
        _refuse(path, "gives a voxel size that is no number: its entries are impossible")
    if (sizes <= 0).any():
        text = "The header gives a voxel size of 0 or less; check its proportions."
        return (Finding(text, "voxel_size"),)
    return ()


def _check_orientation(path: Path, header: Any) -> None:  # noqa: ANN401 - a NumPy record
    has_sform = int(header["sform_code"]) in _XFORM_CODES
    if has_sform and not np.isfinite(header["sform"]).all():
        _refuse(path, "has orientation entries (sform) that are impossible")
    if has_sform or int(header["qform_code"]) not in _XFORM_CODES:
        return
    squares = np.asarray(header["quaternion"], dtype=np.float64) ** 2
    if not np.isfinite(squares).all() or squares.sum() > 1 + _QUATERNION_SLACK:
        _refuse(path, "has orientation entries (qform) that are impossible")


def _scaling_findings(path: Path, header: Any) -> tuple[Finding, ...]:  # noqa: ANN401
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    # By the standard a slope of 0 means no scaling; programs write not-a-number for it too.
    if math.isnan(slope) or slope == 0:
        return ()
    if math.isinf(slope):
        text = "The header's scaling is infinite and was ignored."
        return (Finding(text, "scaling_ignored"),)
    if not math.isfinite(intercept):
        _refuse(path, "has a scaling whose intercept is no number")
    if slope < 0:
        text = "The header's scaling is negative: black and white may be exchanged."
        return (Finding(text, "scaling_negative"),)
    return ()


def _extension_text(path: Path, header: Any, layout: str, file: BinaryIO) -> bytes:  # noqa: ANN401
    """Walk the header's extensions and return the start of what they hold."""
    size = _LAYOUTS[layout][0]
    is_pair = path.name.lower().endswith((".hdr", ".hdr.gz"))
    end = _MAX_EXTENSION_BYTES if is_pair else int(header["vox_offset"])
    file.seek(size)
    if end <= size + 4 or file.read(4)[:1] in (b"", b"\0"):
        return b""
    byte_order = ">" if header.dtype["dim"].base.byteorder == ">" else "<"
    position, texts = size + 4, b""
    for _ in range(_MAX_EXTENSIONS):
        entry = file.read(8)
        if position + 8 > end or (is_pair and not entry):
            return texts
        if len(entry) < 8:
            break
        length, code = (int(part) for part in np.frombuffer(entry, dtype=f"{byte_order}i4"))
        # By the standard a multiple of 16; the length counts its own 8 bytes.
        if length < 16 or length % 16 or position + length > end:
            break
        # An embedded DICOM header names the patient by its nature.
        texts += b"patient" if code == 2 else b""
        texts += file.read(min(length - 8, max(0, _SCANNED_EXTENSION_BYTES - len(texts))))
        position += length
        file.seek(position)
    _refuse(path, "has an extension of an impossible size")


def _identifier_findings(texts: list[bytes]) -> tuple[Finding, ...]:
    if any(_IDENTIFIER.search(text) for text in texts):
        text = (
            "The header seems to hold a name or another identifier of the patient. It is not "
            "copied anywhere; remove it before you pass the file on."
        )
        return (Finding(text, "identifiers"),)
    return ()


def spacing_of(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the voxel size along the three axes of an affine, shape (3,), mm."""
    return np.asarray(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))


def geometry_findings(affine: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[Finding, ...]:
    """Return what is doubtful about the form of the voxels and of the volume."""
    findings = []
    spacing = spacing_of(affine)
    if min(shape[:3]) == 1:
        text = "Holds a single slice; the other two planes show a line."
        findings.append(Finding(text, "single_slice"))
    # Beyond three to one, cuts across the thick slices are blurred steps.
    elif spacing.max() > 3 * spacing.min() > 0:
        text = f"Its voxels are long: {' x '.join(f'{size:.3g}' for size in spacing)} mm."
        findings.append(Finding(text, "anisotropic"))
    if spacing.min() > 0:
        axes = affine[:3, :3] / spacing
        if np.abs(axes.T @ axes - np.eye(3)).max() > 0.01:
            text = "Its axes are not at right angles; pictures are shown as if they were."
            findings.append(Finding(text, "sheared"))
    return tuple(findings)
