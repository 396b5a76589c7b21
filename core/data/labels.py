"""Read a table that says which subject belongs to which class."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import CohortError

_SUBJECT_COLUMNS = ("subject", "participant_id", "subject_id", "id", "file", "filename", "scan")
_LABEL_COLUMNS = ("label", "class", "group", "diagnosis", "dx", "dx_group")
_MISSING = ("", "n/a", "na", "nan", "none", "?")


@dataclass(frozen=True)
class LabelTable:
    """Class by subject, by subject and session, or by file, as the table names them."""

    name: str
    labels: dict[str, str]

    def label_of(self, file: str, subject: str, session: str) -> str | None:
        """Return the class of a file; the closest name wins (file, then session, then subject)."""
        base = file.rsplit("/", 1)[-1]
        bare = subject.removeprefix("sub-")
        for key in (
            file,
            base,
            base.split(".", 1)[0],
            f"{subject}_{session}",
            subject,
            bare,
            f"sub-{bare}",
        ):
            if (label := self.labels.get(_normal(key))) is not None:
                return label
        return None

    def unused(self, subjects: Iterable[str]) -> list[str]:
        """Return the table's keys that belong to none of ``subjects``."""
        known = [_normal(subject).removeprefix("sub-") for subject in subjects]
        return [
            key
            for key in self.labels
            if not any(
                key.removeprefix("sub-").startswith(subject) or subject in key for subject in known
            )
        ]


def find_label_table(folder: Path) -> Path | None:
    """Return the ``participants.tsv`` of a BIDS folder, where subjects are folders of its root."""
    path = folder / "participants.tsv"
    if not path.is_file() or not any(folder.glob("sub-*/")):
        return None
    return path


def read_label_table(path: Path) -> LabelTable:
    """Read a CSV or TSV of labels; encoding and delimiter are recognised.

    Raises
    ------
    CohortError
        If it cannot be read, lacks a subject or class column, or contradicts itself.
    """
    names, rows = _read_rows(path)
    columns = {name.strip().lower(): name for name in names if name}
    subject = next((columns[name] for name in _SUBJECT_COLUMNS if name in columns), None)
    label = next((columns[name] for name in _LABEL_COLUMNS if name in columns), None)
    if subject is None or label is None:
        what, known = (
            ("subject", _SUBJECT_COLUMNS) if subject is None else ("class", _LABEL_COLUMNS)
        )
        raise CohortError(
            f"'{path.name}' has no {what} column. Name one of its columns {', '.join(known[:4])}."
        )
    labels: dict[str, str] = {}
    spellings: dict[str, str] = {}
    for row in rows:
        key, value = _normal(row[subject] or ""), (row[label] or "").strip()
        if not key or value.lower() in _MISSING:
            continue
        # "AD" and "ad" are one class, in the spelling that comes first.
        value = spellings.setdefault(_normal(value), value)
        if labels.setdefault(key, value) != value:
            raise CohortError(
                f"'{path.name}' gives {row[subject]} two classes, {labels[key]} "
                f"and {value}. Correct one of the rows."
            )
    if not labels:
        raise CohortError(
            f"'{path.name}' names no class for any subject. Fill its column '{label.strip()}'."
        )
    return LabelTable(path.name, labels)


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    text = _decode(path)
    if not text.strip():
        raise CohortError(
            f"'{path.name}' is empty. It needs a row of column names and a row for each subject."
        )
    delimiter = max("\t,;", key=text.lstrip().split("\n", 1)[0].count)
    try:
        if "\0" in text:
            raise csv.Error
        reader = csv.DictReader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter)
        return list(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise CohortError(
            f"'{path.name}' is damaged or no table of text. Export it again as CSV or TSV."
        ) from error


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CohortError(
            f"The table of labels '{path.name}' cannot be read: {error.strerror}. "
            "Choose another one."
        ) from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _normal(key: str) -> str:
    return unicodedata.normalize("NFC", key.strip()).lower()
