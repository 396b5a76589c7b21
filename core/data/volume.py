"""Load one volume: canonical axes (RAS+), spacing, and how sure left and right are."""

from __future__ import annotations

import gzip
import logging
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from core.data.findings import Finding
from core.errors import ScanError

logger = logging.getLogger(__name__)

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".hdr.gz")
_MAX_DECODED_BYTES = 2 * 1024**3
# A brain scan shrinks to a half or a third, skull-stripped to a tenth; a file that grows a
# hundredfold beyond a quarter of a gigabyte is made to fill the memory.
_MAX_UNPACKED_RATIO, _RATIO_MATTERS_FROM_BYTES = 100, 256 * 1024**2
# What deflate can reach at most (zlib's technical notes).
_DEFLATE_LIMIT = 1032


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


@dataclass(frozen=True)
class _Orientation:
    """Voxel index -> mm as the header has it (4, 4), and how sure left and right are."""

    affine: NDArray[np.float64]
    is_certain: bool
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
    orientation = _read_orientation(path, image)
    shape = tuple(int(size) for size in image.shape)
    zooms = tuple(float(size) for size in image.header.get_zooms()[:3])
    return VolumeHeader(shape[:3], zooms, orientation.warnings + _frame_warnings(shape))


def load_volume(path: Path) -> Volume:
    """Load a scan as float32 in RAS+.

    Raises
    ------
    ScanError
        If it cannot be read or holds nothing that can be shown.
    """
    image = _open_image(path)
    _check_size(path, image)
    _check_gzip(path, image)
    orientation = _read_orientation(path, image)
    warnings = orientation.warnings + _frame_warnings(image.shape)
    try:
        # The first frame alone: a series of frames may be many times a scan's size.
        first = (slice(None),) * 3 + (0,) * (len(image.shape) - 3)
        voxels = np.asanyarray(image.dataobj[first])
    except (OSError, EOFError, ValueError, zlib.error, MemoryError) as error:
        raise ScanError(
            f"'{path.name}' is damaged and cannot be read to its end. "
            "Copy it again from the source."
        ) from error
    voxels, more = _as_grey_volume(voxels, path)
    nib = _nibabel()
    turn = nib.orientations.io_orientation(orientation.affine)
    voxels = nib.orientations.apply_orientation(voxels, turn)
    affine = orientation.affine @ nib.orientations.inv_ornt_aff(turn, image.shape[:3])
    voxels, bad = _finite(voxels, path)
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return Volume(
        voxels=voxels,
        affine=affine,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        sides_certain=orientation.is_certain,
        warnings=warnings + more + bad + _contrast_warnings(voxels),
    )


@cache
def _nibabel() -> Any:  # noqa: ANN401 - nibabel is untyped
    # Here, not above: it takes a third of a second to load (and more where scipy is there),
    # and the window must be on screen first.
    import nibabel

    # It prints its own repairs of headers on stderr; what matters we say ourselves.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    return nibabel


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
        return _nibabel().load(path, mmap=False)
    except PermissionError as error:
        raise ScanError(
            f"'{path.name}' may not be read: you have no permission. Change its access rights."
        ) from error
    except Exception as error:
        logger.info("nibabel refused a file: %s", type(error).__name__)
        raise ScanError(_what_it_is_instead(path)) from error


def _what_it_is_instead(path: Path) -> str:
    """Say what a file that nibabel refused looks like, and what to do."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        start = b""
    is_named_gz = path.name.lower().endswith(".gz")
    if start.startswith(b"\x1f\x8b") and not is_named_gz:
        return f"'{path.name}' is compressed. Rename it so that it ends in .gz."
    if is_named_gz and start[344:347] in (b"n+1", b"ni1"):
        return f"'{path.name}' is not compressed. Rename it so that it ends without .gz."
    if b"<html" in start.lower() or start.lower().startswith(b"<!doctype"):
        return (
            f"'{path.name}' is a web page, no scan: the download may have asked for a log-in. "
            "Download it again."
        )
    if start.startswith(b"version https://git-lfs") or b"annex/objects" in start:
        return (
            f"'{path.name}' only points to a scan that was never downloaded. Fetch its content "
            "with git-lfs or DataLad first."
        )
    return (
        f"'{path.name}' is no readable NIfTI or Analyze file. Export it again as .nii or .nii.gz."
    )


def _analyze_partner(path: Path) -> Path:
    stem, suffix = path.name, ""
    if stem.lower().endswith(".gz"):
        stem, suffix = stem[:-3], stem[-3:]
    return path.with_name(stem[:-4] + (".IMG" if stem.endswith(".HDR") else ".img") + suffix)


def _check_size(path: Path, image: Any) -> None:  # noqa: ANN401 - nibabel is untyped
    shape = [int(size) for size in image.shape]
    # A single row of voxels is no picture in any plane.
    if len(shape) < 3 or min(shape) < 1 or sorted(shape[:3])[1] < 2:
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
    on_disk = data.stat().st_size
    if on_disk == 0:
        raise ScanError(f"'{data.name}' is empty (0 bytes). Copy it again from the source.")
    there = on_disk - int(image.dataobj.offset)
    if data.name.lower().endswith(".gz"):
        if wanted > on_disk * _MAX_UNPACKED_RATIO and wanted > _RATIO_MATTERS_FROM_BYTES:
            raise ScanError(
                f"'{data.name}' is unusually compressed: its {_size_text(on_disk)} claim "
                f"{_size_text(wanted)} of voxels. Unpack it yourself if it is genuine."
            )
        there = on_disk * _DEFLATE_LIMIT
    if there < wanted:
        _refuse_incomplete(data, there, wanted)


def _refuse_incomplete(data: Path, there: int, wanted: int) -> NoReturn:
    raise ScanError(
        f"'{data.name}' is incomplete: {_size_text(max(there, 0))} of {_size_text(wanted)} "
        "are there. Copy it again from the source."
    )


def _size_text(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 100_000 else f"{n_bytes} bytes"


def _check_gzip(path: Path, image: Any) -> None:  # noqa: ANN401 - nibabel is untyped
    """Read a gzip stream to its end: nibabel stops early and never sees its checksum."""
    data = _analyze_partner(path) if path.name.lower().endswith(".hdr.gz") else path
    if not data.name.lower().endswith(".gz"):
        return
    offset = int(image.dataobj.offset)
    wanted = offset + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    total = 0
    try:
        with gzip.open(data) as stream:
            while chunk := stream.read(1 << 20):
                total += len(chunk)
                # Whatever is packed behind the voxels is not ours to unpack.
                if total > wanted + (1 << 20):
                    return
    except (OSError, EOFError, zlib.error) as error:
        raise ScanError(
            f"'{data.name}' is damaged (its checksum does not match or its end is "
            "missing). Copy it again from the source."
        ) from error
    if total < wanted:
        _refuse_incomplete(data, total - offset, wanted - offset)


def _read_orientation(path: Path, image: Any) -> _Orientation:  # noqa: ANN401
    affine = np.asarray(image.affine, dtype=np.float64)
    zooms = np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
    base = np.asarray(image.header.get_base_affine(), dtype=np.float64)
    if not np.isfinite(affine).all() or not np.isfinite(zooms).all() or _is_flat(base):
        raise ScanError(
            f"The orientation entries in the header of '{path.name}' are impossible. "
            "Export it again from the scanner's software."
        )
    unsure = "Left and right are not certain: "
    if not isinstance(image, _nibabel().Nifti1Pair):
        return _Orientation(affine, False, (unsure + "Analyze files do not store them.",))
    has_codes = image.header["sform_code"] > 0, image.header["qform_code"] > 0
    if not any(has_codes):
        return _Orientation(affine, False, (unsure + "the file has no orientation codes.",))
    if _is_flat(affine):
        reason = "the file's orientation entries are impossible and were passed over."
        return _Orientation(base, False, (unsure + reason,))
    used = _axis_letters(affine)
    other = _qform_letters(image) if all(has_codes) else used
    if other != used:
        reason = f"its two orientation entries disagree ({used} is used, not {other})."
        return _Orientation(affine, False, (unsure + reason,))
    return _Orientation(affine, True, ())


def _axis_letters(affine: NDArray[np.float64]) -> str:
    return "".join(letter or "?" for letter in _nibabel().aff2axcodes(affine))


def _qform_letters(image: Any) -> str:  # noqa: ANN401 - nibabel is untyped
    try:
        return _axis_letters(image.header.get_qform())
    except ValueError:  # a quaternion longer than 1
        return "???"


def _is_flat(affine: NDArray[np.float64]) -> bool:
    """Tell whether an affine maps the volume onto a plane, so that an axis has no direction."""
    return bool(np.isnan(_nibabel().io_orientation(affine)).any())


def _frame_warnings(shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) > 3 and shape[3] > 1:
        return (Finding(f"Holds {shape[3]} frames; the first is used.", "frame_used"),)
    return ()


def _as_grey_volume(voxels: Any, path: Path) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    if voxels.dtype.names is not None:
        parts = [voxels[name].astype(np.float32) for name in voxels.dtype.names[:3]]
        return np.mean(parts, axis=0), (Finding("Colours were averaged to grey.", "colour"),)
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
    return np.where(finite, values, np.float32(0)), (
        Finding(f"{bad} voxels were not finite and are 0.", "not_finite"),
    )


def _contrast_warnings(voxels: NDArray[np.float32]) -> tuple[str, ...]:
    low, high = voxels.min(), voxels.max()
    if low == high:
        text = f"Every voxel has the same value ({low:g}): its slices are black."
        return (Finding(text, "constant"),)
    if np.all((voxels == low) | (voxels == high)):
        text = "Holds two values only: it looks like a mask, no scan."
        return (Finding(text, "looks_like_mask"),)
    return ()
