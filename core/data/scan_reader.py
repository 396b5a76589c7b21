"""Load a scan of a cohort as a volume, whatever its files are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.data.cohort import Cohort, Scan
from core.data.dicom import is_dicom, load_series
from core.data.file_kind import shown_name
from core.data.scan_files import require_unchanged
from core.data.volume import Volume, is_volume_name, load_volume
from core.errors import ScanError


def load_scan(cohort: Cohort, scan: Scan) -> Volume:
    """Load a scan of kind ``volume`` as float32 in RAS+: one file, or a DICOM series.

    Left and right are exchanged where the user chose so: mirrored at the volume's middle.

    Raises
    ------
    ScanError
        If it cannot be read, holds nothing that can be shown, or has changed since it was
        scanned.
    """
    require_unchanged(cohort, scan)
    volume = _load(cohort, scan)
    if not scan.flipped:
        return volume
    # Copied in its own memory order, which the viewer and slicing are quick with.
    return replace(volume, voxels=np.flip(volume.voxels, axis=0).copy(order="K"))


def _load(cohort: Cohort, scan: Scan) -> Volume:
    paths = [cohort.path_of(file) for file in scan.files]
    if len(paths) == 1 and is_volume_name(paths[0].name):
        return load_volume(paths[0])
    # In a folder such files are passed over; here each was a slice when the cohort was made.
    for path in paths:
        if path.is_file() and not is_dicom(path):
            raise ScanError(
                f"'{shown_name(path)}' has changed: it is a DICOM file no longer. Copy it again "
                "from the source."
            )
    return load_series(paths)
