"""Names for patients without names (sub-001 ...), and the optional file that tells who is who."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

from core import text_file

KEY_FILE = "dicom_keys.csv"


class StudyKeys:
    """Names for patients, sub-001 onwards, in order of first appearance.

    Parameters
    ----------
    taken : iterable of str
        Names that others have already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._keys: dict[str, str] = {}
        self._numbers = itertools.count(1)

    @property
    def mapping(self) -> dict[str, str]:
        """Key -> the patient's hash, for :func:`write_key_file`."""
        return {key: patient for patient, key in self._keys.items()}

    def key_of(self, patient: str) -> str:
        """Return the key of a patient, by :attr:`core.data.dicom_series.Series.patient`."""
        if patient not in self._keys:
            names = (f"sub-{number:03d}" for number in self._numbers)
            self._keys[patient] = next(name for name in names if name not in self._taken)
        return self._keys[patient]


def write_key_file(folder: Path, mapping: Mapping[str, str]) -> Path:
    """Write which patient has which study key; call it only where the user asks for it.

    Parameters
    ----------
    folder : Path
        Of the scans: who may read those may know the patients.
    mapping : mapping of str to str
        :attr:`StudyKeys.mapping`: key -> SHA-256 of the PatientID, so that the file itself
        holds no id, and who has the ids can still find the keys.

    Returns
    -------
    Path
        The written CSV file.
    """
    path = folder / KEY_FILE
    text_file.write_csv(path, ("key", "patient_id_sha256"), sorted(mapping.items()))
    return path
