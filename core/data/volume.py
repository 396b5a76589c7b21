"""Load one volume: canonical axes (RAS+), spacing, and how sure left and right are."""

from __future__ import annotations

import gzip
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.errors import ScanError

logger = logging.getLogger(__name__)

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".hdr.gz")
_MAX_DECODED_BYTES = 2 * 1024**3


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
        x, y, z = (self.affine @ np.array([*voxel, 1.0]))[:3]
        return float(x), float(y), float(z)


@dataclass(frozen=True)
class VolumeHeader:
    """What a scan's header says before a voxel is read: shape, voxel size (mm), warnings."""

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    warnings: tuple[str, ...]


def is_volume_name(name: str) -> bool:
    """Tell whether a file name is that of a volume (an Analyze pair by its header)."""
    return name.lower().endswith(VOLUME_SUFFIXES)


def read_header(path: Path) -> VolumeHeader:
    """Read the header of a NIfTI or Analyze file and check it against the file's size.

    Raises
    ------
    ScanError
        If it is no such file, incomplete, or of a kind that cannot be shown.
    """
    image = _open_image(path)
    _check_size(path, image)
    certain, warnings = _orientation_warnings(image)
    del certain
    shape = tuple(int(size) for size in image.shape)
    zooms = tuple(float(size) for size in image.header.get_zooms()[:3])
    return VolumeHeader(shape[:3], zooms, warnings + _frame_warnings(shape))


def load_volume(path: Path) -> Volume:
    """Load a scan as float32 in RAS+.

    Raises
    ------
    ScanError
        If it cannot be read or holds nothing that can be shown.
    """
    image = _open_image(path)
    _check_size(path, image)
    _check_gzip(path)
    certain, warnings = _orientation_warnings(image)
    warnings += _frame_warnings(image.shape)
    try:
        voxels = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, MemoryError) as error:
        raise ScanError(
            f"'{path.name}' is damaged and cannot be read to its end. "
            "Copy it again from the source."
        ) from error
    voxels, more = _as_grey_volume(voxels, path)
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ScanError(
            f"The orientation entries in the header of '{path.name}' are impossible. "
            "Export it again from the scanner's software."
        )
    turn = nib.orientations.io_orientation(affine)
    voxels = nib.orientations.apply_orientation(voxels, turn)
    affine = affine @ nib.orientations.inv_ornt_aff(turn, image.shape[:3])
    voxels, bad = _finite(voxels, path)
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return Volume(
        voxels=voxels,
        affine=affine,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        sides_certain=certain,
        warnings=warnings + more + bad,
    )


def _open_image(path: Path) -> Any:  # noqa: ANN401 - nibabel is untyped
    if not path.is_file():
        raise ScanError(f"'{path.name}' is no longer there. Reconnect the drive or put it back.")
    if path.stat().st_size == 0:
        raise ScanError(f"'{path.name}' is empty (0 bytes). Copy it again from the source.")
    name = path.name.lower()
    if name.endswith((".hdr", ".hdr.gz")) and not _analyze_partner(path).is_file():
        raise ScanError(
            f"'{path.name}' needs '{_analyze_partner(path).name}' beside it. "
            "Copy both files into the folder."
        )
    try:
        # mmap would crash the program where a drive vanishes under it.
        return nib.load(path, mmap=False)
    except Exception as error:
        logger.info("nibabel refused a file: %s", type(error).__name__)
        raise ScanError(
            f"'{path.name}' is no readable NIfTI or Analyze file. "
            "Export it again as .nii or .nii.gz."
        ) from error


def _analyze_partner(path: Path) -> Path:
    stem, suffix = path.name, ""
    if stem.lower().endswith(".gz"):
        stem, suffix = stem[:-3], stem[-3:]
    return path.with_name(stem[:-4] + (".IMG" if stem.endswith(".HDR") else ".img") + suffix)


def _check_size(path: Path, image: Any) -> None:  # noqa: ANN401 - nibabel is untyped
    shape = [int(size) for size in image.shape]
    if len(shape) < 3 or min(shape, default=0) < 1:
        raise ScanError(
            f"'{path.name}' holds no 3-D volume (its size is "
            f"{' x '.join(map(str, shape)) or 'empty'}). Choose the T1 scan."
        )
    if len(shape) > 4 and int(np.prod(shape[3:])) > 1:
        raise ScanError(f"'{path.name}' has {len(shape)} dimensions. Save one 3-D volume of it.")
    wanted = image.get_data_dtype().itemsize
    for size in shape:
        wanted *= size
    if wanted > _MAX_DECODED_BYTES:
        raise ScanError(
            f"'{path.name}' claims {wanted / 1e9:.1f} GB of voxels, more than "
            "a brain scan has. Its header is damaged; export it again."
        )
    data = _analyze_partner(path) if path.name.lower().endswith((".hdr", ".hdr.gz")) else path
    if data.name.lower().endswith(".gz"):
        return
    there = data.stat().st_size - int(image.dataobj.offset)
    if there < wanted:
        raise ScanError(
            f"'{data.name}' is incomplete: {max(there, 0) / 1e6:.1f} of "
            f"{wanted / 1e6:.1f} MB are there. Copy it again from the source."
        )


def _check_gzip(path: Path) -> None:
    """Read a gzip stream to its end: nibabel stops early and never sees its checksum."""
    data = _analyze_partner(path) if path.name.lower().endswith(".hdr.gz") else path
    if not data.name.lower().endswith(".gz"):
        return
    total = 0
    try:
        with gzip.open(data) as stream:
            while chunk := stream.read(1 << 22):
                total += len(chunk)
                if total > _MAX_DECODED_BYTES:
                    raise ScanError(
                        f"'{data.name}' unpacks to over 2 GB, more than a brain scan "
                        "has. Unpack it yourself if it is genuine."
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise ScanError(
            f"'{data.name}' is damaged (its checksum does not match or its end is "
            "missing). Copy it again from the source."
        ) from error


def _orientation_warnings(image: Any) -> tuple[bool, tuple[str, ...]]:  # noqa: ANN401
    header = image.header
    if not isinstance(image, nib.Nifti1Pair):
        return False, ("Left and right are not certain: Analyze files do not store them.",)
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        return False, ("Left and right are not certain: the file has no orientation codes.",)
    return True, ()


def _frame_warnings(shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) > 3 and shape[3] > 1:
        return (f"Holds {shape[3]} frames; the first is used.",)
    return ()


def _as_grey_volume(voxels: Any, path: Path) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    while voxels.ndim > 3:
        voxels = voxels[..., 0]
    if voxels.dtype.names is not None:
        parts = [voxels[name].astype(np.float32) for name in voxels.dtype.names[:3]]
        return np.mean(parts, axis=0), ("Colours were averaged to grey.",)
    if np.iscomplexobj(voxels):
        raise ScanError(f"'{path.name}' holds complex numbers. Save its magnitude as a volume.")
    return voxels, ()


def _finite(voxels: Any, path: Path) -> tuple[NDArray[np.float32], tuple[str, ...]]:  # noqa: ANN401
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.ascontiguousarray(voxels, dtype=np.float32)
    finite = np.isfinite(values)
    if finite.all():
        return values, ()
    if not finite.any():
        raise ScanError(f"'{path.name}' holds no finite voxel. Export it again.")
    bad = int(values.size - np.count_nonzero(finite))
    return np.where(finite, values, np.float32(0)), (f"{bad} voxels were not finite and are 0.",)
