"""The one door to pydicom: an extra that may be missing, and that must not speak of patients."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from typing import Any

from core.errors import ScanError
from core.missing_package import how_to_add


def missing_pydicom() -> str:
    """Return what to say where pydicom is missing."""
    remedy = how_to_add("mri-fcl[dicom]", otherwise="save the scan as NIfTI (.nii.gz)")
    return f"To read DICOM files, the package pydicom is needed. {remedy}"


@cache
def quiet_pydicom() -> Any:  # noqa: ANN401 - followed as untyped
    """Return pydicom, which then says nothing of what it reads.

    Raises
    ------
    ScanError
        If it is missing.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ScanError(missing_pydicom()) from error
    # Its remarks may quote the header.
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom
