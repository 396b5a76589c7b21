"""Make scans of a cohort from the DICOM files of a folder; subjects come from names or keys."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from core.data.cohort import Scan
from core.data.dicom import FoundSeries, Series, StudyKeys
from core.data.file_names import (
    FileIdentity,
    compile_pattern,
    identify_file,
    looks_like_subject,
    stem_of,
)
from core.data.findings import Finding
from core.data.person_names import person_name_findings
from core.data.scan_files import hash_files, stamps_of

# Folders that exports make for each study and series: they tell no subject.
_SAYS_NOTHING = re.compile(
    r"(?i)(?:dicom|dcm|series|ser|se|study|st|images?|img|im|scans?|session|ses|visit|mri?|t1w?|"
    r"mprage|anat|raw|data|brain|export|exp|pat?|s|i)?[ ._-]*[\d ._-]*"
)


@dataclass(frozen=True)
class NamedSeries:
    """A series with the path (relative, POSIX) of its first file and its subject.

    ``has_key`` tells whether the subject is a study key, as no name tells the patient.
    """

    series: Series
    file: str
    identity: FileIdentity
    has_key: bool = False


def identify_series_file(
    file: str, pattern: str = "", *, class_folders: int = 1
) -> FileIdentity | None:
    """Tell the subject of a DICOM file from its path below the root; None if that is silent.

    Parameters
    ----------
    file : str
        Relative to the cohort's root, POSIX slashes.
    pattern : str
        See :func:`core.data.file_names.identify_file`; tried on the file, then the folders.
    class_folders : int
        How many leading folders name a class and so say nothing of the subject.
    """
    *folders, name = unicodedata.normalize("NFC", file).split("/")
    folders = folders[class_folders:]
    inner_first = [stem_of(name), *reversed(folders)]
    for part in inner_first if pattern else ():
        named = compile_pattern(pattern).search(part)
        if named and named["subject"]:
            return FileIdentity(named["subject"], named.groupdict().get("session") or "")
    for part in inner_first:
        identity = identify_file(part)
        if identity.subject != stem_of(part) or looks_like_subject(part):
            return FileIdentity(identity.subject, identity.session)
    telling = (folder for folder in folders if not _SAYS_NOTHING.fullmatch(folder))
    return next((FileIdentity(folder) for folder in telling), None)


def name_series(
    root: Path,
    found: FoundSeries,
    pattern: str = "",
    *,
    class_folders: Mapping[str, int],
) -> list[NamedSeries]:
    """Give each series its subject: by its path or, failing that, a study key.

    Parameters
    ----------
    root : Path
        Of the cohort.
    found : FoundSeries
    pattern : str
        See :func:`identify_series_file`.
    class_folders : mapping of str to int
        For each file, how many of its folders name a class.
    """
    files = [series.files[0].relative_to(root).as_posix() for series in found.series]
    identities = [
        identify_series_file(file, pattern, class_folders=class_folders.get(file, 1))
        for file in files
    ]
    keys = StudyKeys(taken=[identity.subject for identity in identities if identity])
    return [
        NamedSeries(
            series,
            file,
            identity or FileIdentity(keys.key_of(series.patient)),
            has_key=identity is None,
        )
        for series, file, identity in zip(found.series, files, identities, strict=True)
    ]


def series_scan(
    root: Path, named: NamedSeries, label: str, *, more: Sequence[Finding] = ()
) -> Scan:
    """Make the scan of one series.

    Raises
    ------
    OSError
        If its files cannot be read.
    """
    series = named.series
    return Scan(
        key="",
        subject=named.identity.subject,
        session=named.identity.session,
        label=label,
        kind="volume",
        files=tuple(path.relative_to(root).as_posix() for path in series.files),
        shape=series.shape,
        spacing_mm=series.spacing_mm,
        stamps=stamps_of(series.files),
        sha256=hash_files(series.files),
        warnings=(
            *series.warnings,
            *more,
            *person_name_findings([named.file], series.slices[0].name_words),
        ),
        orientation=series.stored_axes if series.sides_certain else "",
        datatype=series.datatype,
        found_label=label,
    )


def findings_among(named: Sequence[NamedSeries]) -> dict[int, tuple[Finding, ...]]:
    """Return what is doubtful about the series together, by their place in ``named``."""
    result: dict[int, tuple[Finding, ...]] = defaultdict(tuple)
    for places, finding in (*_several_of_a_patient(named), *_patients_and_subjects(named)):
        for place in places:
            result[place] += (finding,)
    return dict(result)


def _several_of_a_patient(
    named: Sequence[NamedSeries],
) -> Iterator[tuple[list[int], Finding]]:
    """Tell which folders hold several series of one patient, as exports of a visit do."""
    together: dict[tuple[Path, str], list[int]] = defaultdict(list)
    for place, item in enumerate(named):
        together[item.series.files[0].parent, item.series.patient].append(place)
    for places in together.values():
        if len(places) > 1:
            text = (
                f"Its folder holds {len(places)} series of one patient; each is a scan of its own. "
                "Leave out those that are no T1 scan."
            )
            yield places, Finding(text, "several_series")


def _patients_and_subjects(
    named: Sequence[NamedSeries],
) -> Iterator[tuple[list[int], Finding]]:
    """Tell where names and headers disagree on who is the same person."""
    by_patient: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    by_subject: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, item in enumerate(named):
        if item.series.has_patient_id:
            by_patient[item.series.patient][item.identity.subject].append(place)
            by_subject[item.identity.subject][item.series.patient].append(place)
    # One id for all is what some programs write when they take the names out.
    for subjects in by_patient.values() if len(by_patient) > 1 else ():
        if len(subjects) > 1:
            names = sorted(subjects)
            said = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
            text = (
                f"By their headers {said} are one patient: a split by subject would leak. Give "
                "them one subject, or leave all but one out."
            )
            yield list(chain.from_iterable(subjects.values())), Finding(text, "same_patient")
    for subject, patients in by_subject.items():
        if len(patients) > 1:
            text = (
                f"By their headers the scans of {subject} are of {len(patients)} patients. Put "
                "each patient into a folder of its own, or set a subject pattern."
            )
            yield list(chain.from_iterable(patients.values())), Finding(text, "several_patients")
