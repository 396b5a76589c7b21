"""Read a table that says which subject belongs to which class."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.findings import Finding
from core.errors import CohortError
from core.text_file import csv_cell

OASIS_TABLE = "oasis_cross-sectional.csv"
# Clinical dementia rating of OASIS-1: 0 none, 0.5 very mild, 1 mild, 2 moderate (Marcus 2007).
CDR_RULES = ((0.0, "NC"), (0.5, "MCI"), (1.0, "AD"))

_HIGHEST_CDR = 3

_SUBJECT_COLUMNS = ("subject", "participant_id", "subject_id", "id", "file", "filename", "scan")
_LABEL_COLUMNS = ("label", "class", "group", "diagnosis", "dx", "dx_group")
_MISSING = ("", "n/a", "na", "nan", "none", "?")
_MAX_COLUMNS = 1000
_NAMED_ROWS = 3


@dataclass(frozen=True)
class LabelTable:
    """Class by subject, by subject and session, or by file, as the table names them.

    Attributes
    ----------
    name : str
        File name of the table.
    labels : dict of str
        Class of each name; the names as compared (composed, lower case).
    unlabelled : tuple of str
        Names whose class is empty, as compared.
    warnings : tuple of str
        Findings on the table itself.
    missing_reason : str
        Why a class is empty, in words, where the table's kind tells.
    """

    name: str
    labels: dict[str, str]
    unlabelled: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing_reason: str = "Its class is empty"

    def label_of(self, file: str, subject: str, session: str) -> str | None:
        """Return the class of a file; the closest name wins (file, then session, then subject)."""
        key = self.key_of(file, subject, session)
        return None if key is None else self.labels.get(key)

    def key_of(self, file: str, subject: str, session: str) -> str | None:
        """Return the name by which the table knows a file, or None."""
        base = file.rsplit("/", 1)[-1]
        bare = subject.removeprefix("sub-")
        names = (
            file,
            base,
            base.split(".", 1)[0],
            f"{subject}_{session}",
            subject,
            bare,
            f"sub-{bare}",
        )
        keys = [_normal(name) for name in names]
        known = (key for key in keys if key in self.labels or key in self.unlabelled)
        return next(known, None)

    def unused(self, used: Iterable[str]) -> list[str]:
        """Return the names with a class that are not among the ``used`` keys."""
        known = set(used)
        return [key for key in self.labels if key not in known]


def find_label_table(folder: Path) -> Path | None:
    """Return the ``participants.tsv`` of a BIDS folder, where subjects are folders of its root."""
    path = folder / "participants.tsv"
    if not path.is_file() or not any(folder.glob("sub-*/")):
        return None
    return path


def read_columns(path: Path) -> tuple[str, ...]:
    """Return the column names of a table.

    Raises
    ------
    CohortError
        If it cannot be read.
    """
    return tuple(name.strip() for name in read_rows(path)[0] if name and name.strip())


def choose_columns(names: Sequence[str]) -> tuple[str, str]:
    """Return which columns name the subject and the class; empty where none does."""
    columns = {name.strip().lower(): name for name in names if name}
    return (
        next((columns[name] for name in _SUBJECT_COLUMNS if name in columns), ""),
        next((columns[name] for name in _LABEL_COLUMNS if name in columns), ""),
    )


def is_oasis_table(columns: Iterable[str]) -> bool:
    """Tell whether the columns are those of OASIS-1's table of subjects."""
    return {"id", "cdr", "mmse"} <= {name.lower() for name in columns}


def read_label_table(path: Path, *, subject_column: str = "", class_column: str = "") -> LabelTable:
    """Read a CSV or TSV of labels; encoding and delimiter are recognised.

    Parameters
    ----------
    path : Path
        The table.
    subject_column, class_column : str
        Which columns to take; empty finds them by their usual names.

    Raises
    ------
    CohortError
        If it cannot be read, lacks a subject or class column, or contradicts itself.
    """
    names, rows = read_rows(path)
    found = choose_columns(names)
    subject = _column(names, subject_column) or found[0]
    label = _column(names, class_column) or found[1]
    if not subject or not label:
        what, known = ("class", _LABEL_COLUMNS) if subject else ("subject", _SUBJECT_COLUMNS)
        raise CohortError(
            f"'{path.name}' has no {what} column. Name one of its columns {', '.join(known[:4])}."
        )
    if not rows:
        raise CohortError(f"'{path.name}' has no rows. Fill in a row for each subject.")
    pairs = [((row[subject] or "").strip(), (row[label] or "").strip()) for row in rows]
    table = _label_table(path.name, pairs)
    if not table.labels:
        raise CohortError(
            f"'{path.name}' names no class for any subject. Fill its column '{label.strip()}'."
        )
    return table


def read_oasis_table(path: Path, *, rules: Sequence[tuple[float, str]] = CDR_RULES) -> LabelTable:
    """Read OASIS-1's table of subjects; classes come from the clinical dementia rating (CDR).

    Parameters
    ----------
    path : Path
        ``oasis_cross-sectional.csv``.
    rules : sequence of (float, str)
        Least CDR of each class; an empty class leaves those subjects out.

    Raises
    ------
    CohortError
        If it cannot be read or no subject gets a class.
    """
    if not any(label for _, label in rules):
        raise CohortError("No rating (CDR) has a class. Give at least one of them a class.")
    names, rows = read_rows(path)
    identity, rating = _column(names, "id"), _column(names, "cdr")
    if not identity or not rating:
        raise CohortError(
            f"'{path.name}' has no {'CDR' if identity else 'ID'} column. Take the table "
            f"'{OASIS_TABLE}' as OASIS gives it."
        )
    pairs = [
        ((row[identity] or "").strip(), _class_of_rating(row[rating] or "", rules)) for row in rows
    ]
    table = _label_table(
        path.name, pairs, missing_reason="It has no CDR, as young subjects were not rated,"
    )
    if not table.labels:
        raise CohortError(f"'{path.name}' rates no subject. Fill its column '{rating.strip()}'.")
    return table


def parse_class_rules(text: str) -> tuple[tuple[float, str], ...]:
    """Read rules such as ``0=NC,0.5=MCI,1=AD``: the least CDR of each class.

    Parameters
    ----------
    text : str
        An empty class (``0.5=``) leaves those subjects out.

    Raises
    ------
    CohortError
        If it is something else, or names no class.
    """
    rules = []
    for part in text.split(","):
        rating, equals, label = part.partition("=")
        try:
            least = float(rating)
        except ValueError:
            least = math.nan
        if not equals or not 0 <= least <= _HIGHEST_CDR:
            raise CohortError(
                f"'{part.strip()}' is no rule for ratings. Give the least CDR (0 to "
                f"{_HIGHEST_CDR}) of each class, such as 0=NC,0.5=MCI,1=AD."
            )
        rules.append((least, label.strip()))
    if not any(label for _, label in rules):
        raise CohortError(f"The rules '{text}' name no class. Give them such as 0=NC,0.5=MCI,1=AD.")
    return tuple(sorted(rules))


def _class_of_rating(text: str, rules: Sequence[tuple[float, str]]) -> str:
    try:
        rating = float(text.strip().replace(",", "."))
    except ValueError:
        return ""
    return next((label for least, label in sorted(rules, reverse=True) if rating >= least), "")


def _label_table(
    name: str, pairs: Sequence[tuple[str, str]], *, missing_reason: str = "Its class is empty"
) -> LabelTable:
    labels: dict[str, str] = {}
    unlabelled: dict[str, str] = {}
    spellings: dict[str, dict[str, None]] = {}
    for written, value in pairs:
        key = _normal(written)
        if not key:
            continue
        if value.lower() in _MISSING:
            unlabelled[key] = written
            continue
        # "AD" and "ad" are one class, in the spelling that comes first.
        known = spellings.setdefault(_normal(value), {})
        known[value] = None
        value = next(iter(known))
        if labels.setdefault(key, value) != value:
            raise CohortError(
                f"'{name}' gives {written} two classes, {labels[key]} "
                f"and {value}. Correct one of the rows."
            )
    empty = [key for key in unlabelled if key not in labels]
    return LabelTable(
        name,
        labels,
        tuple(empty),
        tuple(_table_warnings(name, pairs, [unlabelled[key] for key in empty], spellings)),
        missing_reason,
    )


def _table_warnings(
    name: str,
    pairs: Sequence[tuple[str, str]],
    empty: Sequence[str],
    spellings: dict[str, dict[str, None]],
) -> Iterable[Finding]:
    if empty:
        yield Finding(
            f"{len(empty)} of {len(pairs)} rows of '{name}' give no class and are left out: "
            f"{some(empty)}.",
            "label_missing",
        )
    for known in spellings.values():
        if len(known) > 1:
            yield Finding(
                f"{' and '.join(known)} in '{name}' were taken as one class. Rename one of them "
                "if they are two.",
                "labels_merged",
            )
    formulas = [cell for pair in pairs for cell in pair if is_formula(cell)]
    if formulas:
        yield Finding(
            f"{len(formulas)} cells of '{name}' would run as formulas in a spreadsheet, such as "
            f"{formulas[0]}. Tables that this program writes put an apostrophe before them.",
            "formula",
        )


def is_formula(text: str) -> bool:
    """Tell whether a spreadsheet would run a cell with this text."""
    return csv_cell(text) != text


def some(names: Sequence[str]) -> str:
    """Return the first few of ``names`` and how many more there are, in words."""
    listed = ", ".join(names[:_NAMED_ROWS])
    more = len(names) - _NAMED_ROWS
    return f"{listed} and {more} more" if more > 0 else listed


def _column(names: Sequence[str], wanted: str) -> str:
    return next((n for n in names if n and wanted and n.strip().lower() == wanted.lower()), "")


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """Return the column names and the rows of a CSV or TSV.

    Raises
    ------
    CohortError
        If it cannot be read or is no table.
    """
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
        names = list(reader.fieldnames or ())
        if len(names) > _MAX_COLUMNS:
            raise CohortError(
                f"'{path.name}' has {len(names)} columns, more than a table of labels has. "
                "Export a column of subjects and one of classes."
            )
        return names, list(reader)
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
