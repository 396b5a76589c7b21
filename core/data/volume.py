"""Load one volume: canonical axes (RAS+), spacing, and how sure left and right are."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.drive import retried
from core.data.file_kind import (
    name_findings,
    no_scan_text,
    permission_text,
    require_regular_file,
    shown_name,
)
from core.data.findings import Finding
from core.data.nifti_checks import WANTED, check_header, geometry_findings, spacing_of
from core.data.stored_voxels import StoredVoxels, analyze_partner, check_size
from core.data.voxel_reading import read_voxels
from core.errors import ScanError

logger = logging.getLogger(__name__)

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".mgh", ".mgz")


@dataclass(frozen=True)
class Volume:
    """A 3-D scan turned to the nearest RAS+ axes.

    Attributes
    ----------
    voxels : ndarray, shape (X, Y, Z), float32
        Axis 0 runs to the subject's right, 1 to anterior, 2 to superior; finite.
    affine : ndarray, shape (4, 4), float64
        Voxel index (i, j, k) -> position in mm (right, anterior, superior positive).
    spacing_mm : tuple of float
        Voxel size along the three axes, mm.
    sides_certain : bool
        False where the file does not tell left from right (Analyze, no orientation codes).
    warnings : tuple of str
        Plain sentences on what is doubtful.
    """

    voxels: NDArray[np.float32]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    sides_certain: bool = True
    warnings: tuple[str, ...] = ()

    def position_mm(self, voxel: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return the position (right, anterior, superior) in mm of a voxel index."""
        i, j, k = voxel
        # Asked with each step of a crosshair: a product of arrays would take thrice as long.
        x, y, z = (
            row[0] * i + row[1] * j + row[2] * k + row[3] for row in self.affine[:3].tolist()
        )
        return x, y, z


@dataclass(frozen=True)
class VolumeHeader:
    """What a scan's header says before a voxel is read.

    Attributes
    ----------
    shape : tuple of int
        As stored.
    spacing_mm : tuple of float
        Voxel size along the stored axes, mm.
    warnings : tuple of str
    stored_axes : str
        Letters of the stored axes, such as LAS.
    sides_certain : bool
        False where the letters L and R are a guess.
    datatype : str
        Kind of number of the stored voxels, such as int16; RGB for colours.
    stored : StoredVoxels, optional
        Where the voxels lie, so that whoever reads some of them need not read the header again.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    warnings: tuple[str, ...]
    stored_axes: str = ""
    sides_certain: bool = True
    datatype: str = ""
    stored: StoredVoxels | None = None


@dataclass(frozen=True)
class _Orientation:
    """Voxel index -> mm as the header has it (4, 4), and how sure left and right are."""

    affine: NDArray[np.float64]
    is_certain: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Opened:
    """A scan whose header has passed all checks."""

    stored: StoredVoxels
    orientation: _Orientation
    warnings: tuple[str, ...]


def is_volume_name(name: str) -> bool:
    """Tell whether a file name is that of a volume (an Analyze pair by its header)."""
    return name.lower().endswith(VOLUME_SUFFIXES)


@retried
def read_header(path: Path) -> VolumeHeader:
    """Read the header of a NIfTI, Analyze or MGH file and check it against the file's size.

    Raises
    ------
    ScanError
        If it is no such file, incomplete, or of a kind that cannot be shown.
    """
    opened = _open_scan(path)
    affine = opened.orientation.affine
    return VolumeHeader(
        shape=opened.stored.shape[:3],
        spacing_mm=tuple(float(size) for size in spacing_of(affine)),
        warnings=opened.warnings,
        stored_axes=_axis_letters(affine),
        sides_certain=opened.orientation.is_certain,
        datatype="RGB" if opened.stored.dtype.names else opened.stored.dtype.name,
        stored=opened.stored,
    )


@retried
def load_volume(path: Path) -> Volume:
    """Load a scan as float32 in RAS+.

    Raises
    ------
    ScanError
        If it cannot be read or holds nothing that can be shown.
    """
    opened = _open_scan(path)
    orientations = _nibabel().orientations
    affine = opened.orientation.affine
    turn = orientations.io_orientation(affine)
    voxels, findings = read_voxels(opened.stored, turn)
    affine = affine @ orientations.inv_ornt_aff(turn, opened.stored.shape[:3])
    spacing = spacing_of(affine)
    return Volume(
        voxels=voxels,
        affine=affine,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        sides_certain=opened.orientation.is_certain,
        warnings=opened.warnings + findings,
    )


@retried
def find_voxels(path: Path) -> tuple[StoredVoxels, NDArray[np.float64]]:
    """Return where a scan's voxels lie on disk, and the affine (4, 4) of their stored axes.

    Raises
    ------
    ScanError
        As :func:`read_header`.
    """
    opened = _open_scan(path)
    return opened.stored, opened.orientation.affine


@cache
def _nibabel() -> Any:  # noqa: ANN401 - nibabel is untyped
    # Here, not above: it takes a third of a second to load (and more where scipy is there),
    # and the window must be on screen first.
    import nibabel

    # It prints its own repairs of headers on stderr; what matters we say ourselves.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    return nibabel


def _open_scan(path: Path) -> _Opened:
    path = _header_file(path)
    findings = check_header(path)
    image = _open_image(path)
    stored = _stored_voxels(path, image)
    check_size(stored)
    orientation = _read_orientation(path, image)
    if any(item.code == "orientation_unknown" for item in findings):
        # An MGH file without orientation, for which nibabel fills in FreeSurfer's usual one.
        orientation = replace(orientation, is_certain=False)
    return _Opened(
        stored=stored,
        orientation=orientation,
        warnings=(
            *orientation.warnings,
            *_frame_warnings(stored.shape),
            *findings,
            *geometry_findings(orientation.affine, stored.shape),
            *name_findings(path.name),
        ),
    )


def _header_file(path: Path) -> Path:
    """Return the file that holds the header, after a look at what lies on disk."""
    require_regular_file(path)
    name = path.name.lower()
    if name.endswith((".hdr", ".hdr.gz", ".img", ".img.gz")):
        partner = analyze_partner(path)
        if not partner.is_file():
            raise ScanError(
                f"'{shown_name(path)}' needs '{shown_name(partner)}' beside it, which is missing. "
                "Copy both files into the folder."
            )
        require_regular_file(partner)
        return partner if name.endswith((".img", ".img.gz")) else path
    if not is_volume_name(name):
        raise ScanError(no_scan_text(path, WANTED))
    return path


def _open_image(path: Path) -> Any:  # noqa: ANN401 - nibabel is untyped
    nib = _nibabel()
    try:
        # mmap would crash the program where a drive vanishes under it.
        return nib.load(path, mmap=False)
    except PermissionError as error:
        raise ScanError(permission_text(path)) from error
    except Exception as error:  # noqa: BLE001 - it raises all kinds
        logger.info("nibabel refused a file: %s", type(error).__name__)
    # Of a drive that fails nibabel says no more than that it does not know the file.
    with path.open("rb") as file:
        file.read(1)
    try:
        return nib.load(path, mmap=False)
    except Exception as error:
        raise ScanError(no_scan_text(path, WANTED)) from error


def _stored_voxels(path: Path, image: Any) -> StoredVoxels:  # noqa: ANN401 - nibabel is untyped
    is_pair = path.name.lower().endswith((".hdr", ".hdr.gz"))
    shape = tuple(int(size) for size in image.shape)
    return StoredVoxels(
        path=analyze_partner(path) if is_pair else path,
        shape=shape + (1,) * (3 - len(shape)),
        # With its byte order, which get_data_dtype alone gives too.
        dtype=np.dtype(image.dataobj.dtype),
        offset=int(image.dataobj.offset),
        slope=float(image.dataobj.slope),
        intercept=float(image.dataobj.inter),
    )


def _read_orientation(path: Path, image: Any) -> _Orientation:  # noqa: ANN401
    affine = np.asarray(image.affine, dtype=np.float64)
    base = _affine_of_sizes(image)
    if not np.isfinite(affine).all() or not np.isfinite(base).all():
        raise ScanError(
            f"The orientation entries in the header of '{shown_name(path)}' are impossible. "
            "Export it again from the scanner's software."
        )
    nib = _nibabel()
    used = _axis_letters(affine)
    # Such an affine maps the volume onto a plane: an axis has no direction.
    is_flat = "?" in used
    if isinstance(image, nib.freesurfer.MGHImage):
        if is_flat:
            return _unsure(base, "the file's orientation entries are impossible.")
        return _Orientation(affine, True, ())
    if not isinstance(image, nib.Nifti1Pair):
        return _unsure(base if is_flat else affine, "Analyze files do not store them.")
    has_codes = image.header["sform_code"] > 0, image.header["qform_code"] > 0
    if not any(has_codes):
        return _unsure(base, "the file has no orientation codes.")
    if is_flat:
        return _unsure(base, "the file's orientation entries are impossible and were passed over.")
    other = _qform_letters(image) if all(has_codes) else used
    if other != used:
        reason = f"its two orientation entries disagree ({used} is used, not {other})."
        return _unsure(affine, reason, code="orientation_conflict")
    return _Orientation(affine, True, ())


def _unsure(
    affine: NDArray[np.float64], reason: str, *, code: str = "orientation_unknown"
) -> _Orientation:
    warning = Finding(f"Left and right are not certain: {reason}", code)
    return _Orientation(affine, False, (warning,))


def _affine_of_sizes(image: Any) -> NDArray[np.float64]:  # noqa: ANN401 - nibabel is untyped
    """Return the affine, (4, 4), of the voxel sizes alone; a size of 0 counts as 1 mm."""
    sizes = np.ones(3)
    zooms = np.abs(np.asarray(image.header.get_zooms()[:3], dtype=np.float64))
    sizes[: len(zooms)] = np.where(zooms == 0, 1, zooms)
    # The first axis runs to the left, as nibabel and the old programs take it.
    affine = np.diag([-sizes[0], sizes[1], sizes[2], 1.0])
    shape = (*image.shape, 1, 1, 1)[:3]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _axis_letters(affine: NDArray[np.float64]) -> str:
    return _letters_of(np.asarray(affine, dtype=np.float64).tobytes())


# Asked more than once of each header, and the scans of a study often share their affine.
@lru_cache(maxsize=64)
def _letters_of(affine: bytes) -> str:
    matrix = np.frombuffer(affine).reshape(4, 4)
    return "".join(letter or "?" for letter in _nibabel().aff2axcodes(matrix))


def _qform_letters(image: Any) -> str:  # noqa: ANN401 - nibabel is untyped
    try:
        return _axis_letters(image.header.get_qform())
    except ValueError:  # a quaternion longer than 1
        return "???"


def _frame_warnings(shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) > 3 and shape[3] > 1:
        return (Finding(f"Holds {shape[3]} frames; the first is used.", "frame_used"),)
    return ()
