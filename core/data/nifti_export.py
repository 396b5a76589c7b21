"""Write an array on the grid of a scan as NIfTI, with nothing of the scan's header in it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import atomic_file
from core.data.cohort import Cohort, Scan
from core.data.volume import find_voxels, is_volume_name


def write_nifti(
    path: Path,
    values: NDArray[np.float32],
    affine: NDArray[np.float64],
    *,
    stored_as: NDArray[np.float64] | None = None,
    sides_certain: bool = True,
) -> None:
    """Write a volume (X, Y, Z) in RAS+ as ``.nii.gz``; its header has no text.

    Parameters
    ----------
    path : Path
    values : ndarray, shape (X, Y, Z), float32
    affine : ndarray, shape (4, 4)
        Voxel index -> mm of ``values``.
    stored_as : ndarray, shape (4, 4), optional
        Affine of the file that the scan is in: the axes are then turned to its axes, so that
        both files have one grid.
    sides_certain : bool
        False leaves the orientation codes at "unknown", as in the scan.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(values, dtype=np.float32), affine)
    if stored_as is not None:
        turns = nib.orientations.ornt_transform(
            nib.io_orientation(affine), nib.io_orientation(stored_as)
        )
        # Turning rounds the affine; the scan's own numbers are known.
        image = nib.Nifti1Image(np.asarray(image.as_reoriented(turns).dataobj), stored_as)
    code = 1 if sides_certain else 0
    image.set_sform(image.affine, code=code)
    image.set_qform(image.affine, code=code)
    image.header.set_xyzt_units("mm")
    for name in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[name] = b""
    # Without the time, so that the same map gives the same bytes.
    atomic_file.write_bytes(path, gzip.compress(image.to_bytes(), mtime=0))


def stored_affine(cohort: Cohort, scan: Scan) -> NDArray[np.float64] | None:
    """Return the affine of the axes that a scan's file has, None where RAS+ is as good.

    That is for a DICOM series, and where the user exchanged left and right.
    """
    if len(scan.files) != 1 or scan.flipped or not is_volume_name(scan.files[0]):
        return None
    return find_voxels(cohort.path_of(scan.files[0]))[1]
