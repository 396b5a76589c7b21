"""Tell subject, session and slice number from the names of files and folders."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import regex

from core.errors import CohortError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
# A name is searched in microseconds; an expression that has not ended by now will not end.
_PATTERN_SECONDS = 0.2
_MASK_NAME = re.compile(r"(?i)(?:^|[_-])(?:mask|brainmask|seg|dseg|roi|lesion)s?$")

_SAYS_NOTHING = re.compile(r"(?i)(?:t1w?|mprage|brain|scan|image|anat|slice|s|i|img)?")
_RUN = re.compile(r"_(run-[0-9]+)")

# Tried in this order on a file's stem; a pattern of the user's comes before them.
_NAME_PATTERNS = (
    r"(?P<subject>OAS\d+_\d+)_(?P<session>MR\d+)",
    r"(?P<subject>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?",
    r"(?P<subject>\d{3}_S_\d{4})",
)
_SLICE_PATTERNS = (
    r"(?:^|[_-])(?:slice|s|z|i)[_-]?(?P<slice>\d+)$",
    r"[_-](?P<slice>\d+)$",
    r"(?P<slice>\d+)$",
)


@dataclass(frozen=True)
class FileIdentity:
    """What a file's name says: subject, session (may be empty) and slice number (if any)."""

    subject: str
    session: str = ""
    slice_number: int | None = None


def identify_file(name: str, pattern: str = "") -> FileIdentity:
    """Tell subject, session and slice number from a file's name.

    Parameters
    ----------
    name : str
        File name, with or without folders.
    pattern : str
        Regular expression with the group ``subject`` and, if wanted, ``session`` and
        ``slice``; tried first.

    Raises
    ------
    CohortError
        If ``pattern`` is no regular expression or has no group ``subject``.
    """
    stem = unicodedata.normalize("NFC", stem_of(name))
    is_picture = name.lower().endswith(PICTURE_SUFFIXES)
    number = (
        None
        if not is_picture
        else next(
            (
                int(found["slice"])
                for expression in _SLICE_PATTERNS
                if (found := re.search(expression, stem, re.IGNORECASE))
            ),
            None,
        )
    )
    if pattern:
        matched = compile_pattern(pattern).search(stem)
        groups = matched.groupdict() if matched else {}
        if groups.get("subject"):
            if (groups.get("slice") or "").isdecimal():
                number = int(groups["slice"])
            return FileIdentity(groups["subject"], groups.get("session") or "", number)
    for expression in _NAME_PATTERNS:
        if found := re.search(expression, stem):
            groups = found.groupdict()
            session = groups.get("session") or ""
            # BIDS numbers the images of one session: scans of their own, of one subject.
            if groups["subject"].startswith("sub-") and (run := _RUN.search(stem)):
                session = f"{session}_{run[1]}" if session else run[1]
            return FileIdentity(groups["subject"], session, number)
    subject = stem
    # Digits without a separator ("patient12") may as well name the patient: they stay.
    for expression in _SLICE_PATTERNS[:-1] if is_picture else ():
        shorter = re.sub(expression, "", stem, flags=re.IGNORECASE).rstrip("_- ")
        if shorter != stem and shorter:
            subject = shorter
            break
    return FileIdentity(subject, "", number)


def identify_path(file: str, pattern: str = "", *, class_folders: int = 1) -> FileIdentity:
    """Tell subject, session and slice number from a path below the root.

    Parameters
    ----------
    file : str
        Relative to the cohort's root, POSIX slashes.
    pattern : str
        See :func:`identify_file`.
    class_folders : int
        How many leading folders name a class and so say nothing of the subject.
    """
    identity = identify_file(file, pattern)
    parts = unicodedata.normalize("NFC", file).split("/")
    folders = parts[class_folders:-1]
    # "AD/OAS1_0028/T1.nii.gz": the name says nothing, the folder does.
    if folders and not pattern:
        for folder in reversed(folders):
            for expression in _NAME_PATTERNS:
                named = re.search(expression, folder)
                if named and identity.subject not in folder:
                    return FileIdentity(
                        named["subject"],
                        named.groupdict().get("session") or identity.session,
                        identity.slice_number,
                    )
        if _SAYS_NOTHING.fullmatch(identity.subject):
            return FileIdentity(folders[-1], identity.session, identity.slice_number)
    if not identity.subject or (identity.subject.isdigit() and folders):
        return FileIdentity(
            parts[-2] if len(parts) > 1 else identity.subject,
            identity.session,
            identity.slice_number,
        )
    return identity


def looks_like_subject(folder: str) -> bool:
    """Tell whether a folder's name is that of a subject in one of the known data sets."""
    return any(re.match(expression, folder) for expression in _NAME_PATTERNS)


@dataclass(frozen=True)
class SubjectPattern:
    """The user's regular expression for the subject in a name."""

    text: str
    compiled: regex.Pattern[str]

    def search(self, name: str) -> regex.Match[str] | None:
        """Return where the expression fits in ``name``.

        Raises
        ------
        CohortError
            If it takes too long: nested repeats try more ways than can ever be tried.
        """
        try:
            return self.compiled.search(name, timeout=_PATTERN_SECONDS, concurrent=True)
        except TimeoutError:
            raise CohortError(
                f"The subject pattern '{self.text}' takes too long on the name '{name}'. Take "
                "out a repeat within a repeat, such as (a+)+. "
                "Example: (?P<subject>OAS1_[0-9]+)_"
            ) from None


@cache
def compile_pattern(pattern: str) -> SubjectPattern:
    """Return the user's subject pattern, checked.

    Raises
    ------
    CohortError
        If it is no regular expression or has no group ``subject``.
    """
    try:
        compiled = regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise CohortError(
            f"The subject pattern '{pattern}' is no regular expression "
            f"({error}). Example: (?P<subject>OAS1_[0-9]+)_"
        ) from error
    if "subject" not in compiled.groupindex:
        raise CohortError(
            f"The subject pattern '{pattern}' has no group called subject. "
            "Example: (?P<subject>OAS1_[0-9]+)_"
        )
    return SubjectPattern(pattern, compiled)


def stem_of(name: str) -> str:
    """Return a file's name without folders and without its (double) suffix."""
    base = name.rsplit("/", 1)[-1]
    return re.sub(r"(?i)\.(nii|hdr|img)?(\.gz)?$|\.[a-z]+$", "", re.sub(r"(?i)\.gz$", "", base))


def is_picture_name(name: str) -> bool:
    """Tell whether a file name is that of a ready-made slice."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def is_mask_name(name: str) -> bool:
    """Tell whether a file name says that the file is a mask or a segmentation."""
    return _MASK_NAME.search(stem_of(name)) is not None
