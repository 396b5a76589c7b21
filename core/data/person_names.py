"""Notice where the name of a file or a folder is the name of a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from core.data.dicom_values import text_hash
from core.data.findings import Finding

# "DOE^JANE": how DICOM writes a person's name (PS3.5, 6.2.1), in any script.
_PERSON_NAME = re.compile(r"[^\W\d_]{2,}\^+[^\W\d_]{2,}")
_WORD = re.compile(r"[^\W\d_]{2,}")
# One word in common may be chance, as in "Young" or "Scan".
_WORDS_IN_COMMON = 2


def word_hashes(text: str) -> frozenset[str]:
    """Return a hash of each word, so that names can be compared and not be read."""
    plain = unicodedata.normalize("NFC", text).casefold()
    return frozenset(text_hash(word.encode()) for word in _WORD.findall(plain))


def person_name_findings(
    files: Iterable[str], patient_words: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Return a warning if a path names a person.

    Parameters
    ----------
    files : iterable of str
        Relative to the cohort's root.
    patient_words : frozenset of str
        :func:`word_hashes` of the patient's name in a header, if that has one.
    """
    for file in files:
        common = patient_words & word_hashes(file)
        if _PERSON_NAME.search(file) or len(common) >= _WORDS_IN_COMMON:
            text = (
                "The name of its file or folder looks like a person's. Such names stand in cohorts "
                "and results: rename it, as in sub-001, and scan again."
            )
            return (Finding(text, "person_name"),)
    return ()
