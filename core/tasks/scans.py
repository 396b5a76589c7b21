"""Read single scans to look at them, and write slices as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.config import Cut, SliceSettings
from core.data import cohort as cohort_file
from core.data.cohort import Cohort, Scan
from core.progress import Operation, Progress


def read_scan(cohort: Cohort, scan_to_read: Scan) -> Operation[Any]:
    """Read one scan to look at: a Volume, or ready-made slices (n, height, width) uint8."""
    from core.data.scan_reader import load_scan
    from core.data.slices import read_pictures

    yield Progress(f"Reading {scan_to_read.key}")
    if scan_to_read.kind == "volume":
        return load_scan(cohort, scan_to_read)
    return (yield from read_pictures(cohort, scan_to_read))


def read_thumbnails(
    cohort: Cohort, cohort_folder: Path, scans: Sequence[Scan]
) -> Operation[dict[str, NDArray[np.uint8] | None]]:
    """Return small pictures of scans; see :func:`core.data.thumbnail.read_thumbnails`."""
    from core.data import thumbnail

    return (yield from thumbnail.read_thumbnails(cohort, cohort_folder, scans))


@dataclass(frozen=True)
class ScanStrip:
    """The slices of one scan as the network sees them, (n, S, S) uint8, and their numbers.

    ``positions_mm`` (n,) are theirs along the plane's axis, RAS+; empty for ready-made slices.
    """

    pixels: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    positions_mm: NDArray[np.float64]


def read_strip(cohort: Cohort, scan_to_read: Scan, settings: Cut) -> Operation[ScanStrip]:
    """Cut one scan as the network will see it; of a cube its axial layers."""
    from core.data.cubes import cut_layers

    yield Progress(f"Cutting {scan_to_read.key}")
    cut = cut_layers(cohort, scan_to_read, settings)
    return ScanStrip(cut.pixels, cut.numbers, cut.positions_mm)


def export_slices(
    cohort_folder: Path, settings: SliceSettings, out: Path, *, picture_format: str
) -> Operation[int]:
    """Write the cohort's slices as pictures; return how many."""
    from core.data import slice_export

    cohort = cohort_file.load_cohort(cohort_folder)
    return (
        yield from slice_export.export_slices(
            cohort, cohort_folder, settings, out, picture_format=picture_format
        )
    )
