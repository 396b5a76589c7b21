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
from core.data.stored_voxels import StoredVoxels
from core.data.volume import VolumeHeader, is_volume_name, read_header
from core.errors import MriFclError
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
    cohort: Cohort,
    headers: Mapping[str, VolumeHeader] | None = None,
    *,
    without_limit: bool = False,
) -> Operation[dict[str, VoxelSample]]:
    """Read the middle planes of the volumes; return the samples by key.

    Volumes in one file alone; those whose reading would go over the limit are left out.
    ``headers``, by file, are those already read.
    """
    left = float("inf") if without_limit else float(_QUICK_BYTES)
    samples: dict[str, VoxelSample] = {}
    volumes = [scan for scan in cohort.included_scans if _is_one_file(scan)]
    # With one scan there is nothing to compare.
    for done, scan in enumerate(volumes if len(volumes) > 1 else ()):
        if done % 20 == 0:
            yield Progress("Comparing the scans", done, len(volumes))
        try:
            file = scan.files[0]
            planes = _planes_of(cohort.path_of(file), (headers or {}).get(file))
            if planes is None or planes.cost > left:
                continue
            left -= planes.cost
            samples[scan.key] = _sample(planes)
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
class _Planes:
    """The two middle axial planes of a scan, and how much is read to get them."""

    stored: StoredVoxels
    axis: int

    @property
    def sides(self) -> tuple[int, ...]:
        return self.stored.shape[:3]

    @property
    def middle(self) -> tuple[int, int]:
        size = self.sides[self.axis]
        # Both middle planes, so that a flipped storage has the same ones.
        return (size - 1) // 2, size // 2

    @property
    def plane_bytes(self) -> int:
        return self.stored.dtype.itemsize * self.sides[0] * self.sides[1]

    @property
    def cost(self) -> int:
        if self.axis != 2:
            return self.plane_bytes * self.sides[2]
        return self.plane_bytes * (self.middle[1] + 1 if self.stored.is_packed else 2)


def _planes_of(path: Path, header: VolumeHeader | None) -> _Planes | None:
    if header is None:
        header = read_header(path)
    if header.stored is None or header.stored.dtype.kind not in "iuf":
        return None
    axial = [axis for axis, letter in enumerate(header.stored_axes) if letter in "SI"]
    return _Planes(header.stored, axial[0] if axial else 2)


def _sample(planes: _Planes) -> VoxelSample:
    stored = planes.stored
    scaled = _read_middle(planes).astype(np.float32) * np.float32(stored.slope)
    values = np.nan_to_num(scaled + np.float32(stored.intercept)).ravel()
    values.sort()
    return VoxelSample(
        shape=tuple(sorted(planes.sides)),
        middle_hash=hashlib.sha256(values.tobytes()).hexdigest(),
        bright=float(values[round(_BRIGHT_PERCENTILE / 100 * (len(values) - 1))]),
    )


def _read_middle(planes: _Planes) -> NDArray[Any]:
    stored, (first, last) = planes.stored, planes.middle
    open_file = igzip.open if stored.is_packed else open
    with open_file(stored.path, "rb") as file:
        if planes.axis == 2:
            file.seek(stored.offset + first * planes.plane_bytes)
            n_planes = last - first + 1
            read = _read(file, n_planes * planes.plane_bytes, stored.dtype)
            return np.concatenate([read, read]) if n_planes == 1 else read
        file.seek(stored.offset)
        voxels = _read(file, planes.plane_bytes * planes.sides[2], stored.dtype)
    return voxels.reshape(planes.sides, order="F").take([first, last], axis=planes.axis)


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
