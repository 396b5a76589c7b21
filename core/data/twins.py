"""Find scans with the same voxels, however they are stored, reading as little as possible."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from core.data.cohort import Cohort, Scan
from core.data.volume import is_volume_name
from core.errors import MriFclError, ScanError
from core.progress import Operation, Progress

logger = logging.getLogger(__name__)

# What is unpacked and read of all scans together while a folder is scanned: about a second.
_QUICK_BYTES = 512 * 1024**2
_BRIGHT_PERCENTILE = 99.0

# isal types its error as an object, not as a class.
_FAULTS: tuple[type[Exception], ...] = (  # type: ignore[assignment]
    MriFclError,
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    isal_zlib.error,
)


@dataclass(frozen=True)
class VoxelSample:
    """The middle of a scan: the same for every way to store the same head.

    Attributes
    ----------
    shape : tuple of int
        Sizes of the axes, ascending.
    middle_hash : str
        Of the sorted values of the two middle axial planes.
    bright : float
        99th percentile of those values.
    """

    shape: tuple[int, ...]
    middle_hash: str
    bright: float


def sample_volumes(
    cohort: Cohort, *, without_limit: bool = False
) -> Operation[dict[str, VoxelSample]]:
    """Read the middle planes of the volumes; return the samples by key.

    Volumes in one file alone; those whose reading would go over the limit are left out.
    """
    left = float("inf") if without_limit else float(_QUICK_BYTES)
    samples: dict[str, VoxelSample] = {}
    volumes = [scan for scan in cohort.included_scans if _is_one_file(scan)]
    # With one scan there is nothing to compare.
    for done, scan in enumerate(volumes if len(volumes) > 1 else ()):
        if done % 20 == 0:
            yield Progress("Comparing the scans", done, len(volumes))
        try:
            stored = _stored(cohort.path_of(scan.files[0]))
            if stored is None or stored.cost > left:
                continue
            left -= stored.cost
            samples[scan.key] = _sample(stored)
        except _FAULTS as error:
            # Reading it to its end says what is wrong; that is another check's work.
            logger.info("a scan could not be sampled: %s", type(error).__name__)
    return samples


def hash_alike(cohort: Cohort, samples: Mapping[str, VoxelSample]) -> Operation[Cohort]:
    """Hash the voxels, as float32 in RAS+, of scans whose samples agree and bytes do not."""
    alike: dict[tuple[tuple[int, ...], str], dict[str, list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for scan in cohort.included_scans:
        if scan.key in samples:
            sample = samples[scan.key]
            alike[sample.shape, sample.middle_hash][scan.sha256].append(scan.key)
    to_hash = {
        key
        for by_bytes in alike.values()
        if len(by_bytes) > 1
        for keys in by_bytes.values()
        for key in keys
    }
    scans = []
    for scan in cohort.scans:
        if scan.key not in to_hash:
            scans.append(scan)
            continue
        yield Progress(f"Comparing {scan.key}")
        scans.append(replace(scan, voxels_sha256=_voxel_hash(cohort, scan)))
    return replace(cohort, scans=tuple(scans))


def _is_one_file(scan: Scan) -> bool:
    return scan.kind == "volume" and len(scan.files) == 1 and is_volume_name(scan.files[0])


@dataclass(frozen=True)
class _Stored:
    """Where the two middle axial planes lie in a file, and how much is read to get them."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    axis: int

    @property
    def middle(self) -> tuple[int, int]:
        size = self.shape[self.axis]
        # Both middle planes, so that a flipped storage has the same ones.
        return (size - 1) // 2, size // 2

    @property
    def plane_bytes(self) -> int:
        return self.dtype.itemsize * self.shape[0] * self.shape[1]

    @property
    def cost(self) -> int:
        if self.axis != 2:
            return self.plane_bytes * self.shape[2]
        packed = self.path.name.lower().endswith(".gz")
        return self.plane_bytes * (self.middle[1] + 1 if packed else 2)


def _stored(path: Path) -> _Stored | None:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.orientations import io_orientation
    from nibabel.spatialimages import HeaderDataError

    try:
        image: Any = nib.load(path, mmap=False)
    except (ImageFileError, HeaderDataError) as error:
        raise ScanError(f"'{path.name}' is no longer a scan. Scan the folder again.") from error
    array = image.dataobj
    dtype = np.dtype(array.dtype)
    if not isinstance(image, nib.AnalyzeImage) or dtype.kind not in "iuf":
        return None
    turn = io_orientation(image.affine)
    axial = np.flatnonzero(turn[:, 0] == 2)
    return _Stored(
        path=Path(image.file_map["image"].filename),
        shape=tuple(int(size) for size in image.shape[:3]),  # type: ignore[arg-type]
        dtype=dtype,
        offset=int(array.offset),
        slope=float(array.slope),
        intercept=float(array.inter),
        axis=int(axial[0]) if len(axial) else 2,
    )


def _sample(stored: _Stored) -> VoxelSample:
    planes = _middle_planes(stored).astype(np.float32) * np.float32(stored.slope)
    values = np.nan_to_num(planes + np.float32(stored.intercept)).ravel()
    values.sort()
    return VoxelSample(
        shape=tuple(sorted(stored.shape)),
        middle_hash=hashlib.sha256(values.tobytes()).hexdigest(),
        bright=float(values[round(_BRIGHT_PERCENTILE / 100 * (len(values) - 1))]),
    )


def _middle_planes(stored: _Stored) -> NDArray[Any]:
    first, last = stored.middle
    open_file = igzip.open if stored.path.name.lower().endswith(".gz") else open
    with open_file(stored.path, "rb") as file:
        if stored.axis == 2:
            file.seek(stored.offset + first * stored.plane_bytes)
            n_planes = last - first + 1
            planes = _read(file, n_planes * stored.plane_bytes, stored.dtype)
            if n_planes == 1:
                return np.concatenate([planes, planes])
            return planes
        file.seek(stored.offset)
        voxels = _read(file, stored.plane_bytes * stored.shape[2], stored.dtype)
    return voxels.reshape(stored.shape, order="F").take([first, last], axis=stored.axis)


def _read(file: Any, n_bytes: int, dtype: np.dtype[Any]) -> NDArray[Any]:  # noqa: ANN401
    data = file.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError
    return np.frombuffer(data, dtype)


def _voxel_hash(cohort: Cohort, scan: Scan) -> str:
    from core.data.scan_reader import load_scan

    try:
        voxels = load_scan(cohort, scan).voxels
    except (MriFclError, OSError) as error:
        logger.info("a scan could not be compared: %s", type(error).__name__)
        return ""
    return hashlib.sha256(str(voxels.shape).encode() + voxels.tobytes()).hexdigest()
