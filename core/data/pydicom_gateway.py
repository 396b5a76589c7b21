"""The one door to pydicom: an extra that may be missing, and that must not speak of patients."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from typing import Any

from core.errors import ScanError

MISSING_PYDICOM = (
    "To read DICOM files, the package pydicom is needed. Add it with "
    "'pip install \"mri-fcl[dicom]\"', or save the scan as NIfTI (.nii.gz)."
)


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
        raise ScanError(MISSING_PYDICOM) from error
    # Its remarks may quote the header.
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom
