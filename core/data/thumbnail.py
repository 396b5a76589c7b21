"""Small pictures of scans for a list, kept beside the cohort; they may be deleted at any time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import atomic_file
from core.config import SliceSettings
from core.data.cohort import Cohort, Scan
from core.data.scan_files import require_unchanged
from core.data.slices import slices_of_scan
from core.errors import ScanError
from core.progress import Operation, Progress

logger = logging.getLogger(__name__)

FOLDER = "thumbnails"
SIZE = 64
_VERSION = 1
_MIDDLE = SliceSettings(count=1, plane="axial", centre="volume", size=SIZE)


def read_thumbnails(
    cohort: Cohort, cohort_folder: Path, scans: Sequence[Scan]
) -> Operation[dict[str, NDArray[np.uint8] | None]]:
    """Return a small picture, (64, 64) uint8, of each scan by its key; None where it is unreadable.

    Of a volume the middle axial slice as the network would see it, of ready-made slices the
    middle one. What was made before is read from the cohort's folder.
    """
    made: dict[str, NDArray[np.uint8] | None] = {}
    for done, scan in enumerate(scans):
        yield Progress("Making small pictures", done, len(scans))
        path = cohort_folder / FOLDER / _name_of(scan)
        thumbnail = _read(path) if scan.sha256 else None
        if thumbnail is None:
            thumbnail = _make(cohort, scan)
            if thumbnail is not None and scan.sha256:
                _keep(thumbnail, path)
        made[scan.key] = thumbnail
    return made


def _name_of(scan: Scan) -> str:
    content = f"{_VERSION} {SIZE} {scan.sha256} {scan.flipped}"
    return f"{hashlib.sha256(content.encode()).hexdigest()[:20]}.png"


def _make(cohort: Cohort, scan: Scan) -> NDArray[np.uint8] | None:
    try:
        if scan.kind == "slices":
            require_unchanged(cohort, scan)
            middle = len(scan.files) // 2
            scan = replace(
                scan,
                files=(scan.files[middle],),
                slice_numbers=(scan.slice_numbers[middle],),
                stamps=(),
            )
        pixels: NDArray[np.uint8] = slices_of_scan(cohort, scan, _MIDDLE).pixels[0]
    except (ScanError, OSError) as error:
        logger.info("a scan has no small picture: %s", type(error).__name__)
        return None
    return pixels


def _read(path: Path) -> NDArray[np.uint8] | None:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.size != (SIZE, SIZE) or picture.mode != "L":
                return None
            return np.array(picture, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError):  # Pillow calls a damaged PNG a syntax error
        return None


def _keep(thumbnail: NDArray[np.uint8], path: Path) -> None:
    try:
        with atomic_file.replacing(path) as temporary:
            Image.fromarray(thumbnail).save(temporary, format="PNG")
    except OSError as error:
        # Without it the picture is made again next time.
        logger.info("a small picture cannot be kept: %s", type(error).__name__)
