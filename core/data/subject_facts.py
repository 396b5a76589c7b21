"""What a cohort's table tells about its subjects beside the class: age, sex, MMSE, CDR."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from core.data.cohort import Cohort
from core.data.labels import choose_columns, read_rows
from core.errors import CohortError

# Ages above this tell who somebody is (HIPAA safe harbour): they are kept as this and one more.
OLDEST_TOLD = 89
_COLUMNS = {
    "age": ("age", "age_at_scan", "age_years"),
    "sex": ("sex", "m/f", "gender"),
    "mmse": ("mmse", "mmse_score"),
    "cdr": ("cdr", "cdr_global"),
}
_SEX_WORDS = {"f": "female", "female": "female", "m": "male", "male": "male"}
_LARGEST_TABLE_BYTES = 20 * 1024**2


@dataclass(frozen=True)
class SubjectFacts:
    """What is known of one subject; None where it is not.

    Attributes
    ----------
    age : float or None
        Years; 90 stands for every age above 89.
    sex : str or None
        female or male.
    mmse : float or None
        Mini-mental state, 0 to 30.
    cdr : float or None
        Clinical dementia rating, 0 to 3.
    """

    age: float | None = None
    sex: str | None = None
    mmse: float | None = None
    cdr: float | None = None


FACTS = tuple(field.name for field in fields(SubjectFacts))


def read_facts(root: Path) -> dict[str, SubjectFacts]:
    """Return what the tables in ``root`` tell of each subject, by its name in lower case.

    Tables are CSV and TSV files with a column of subjects and one of age, sex, MMSE or CDR;
    what cannot be read is passed over. Empty where there is none.
    """
    found: dict[str, SubjectFacts] = {}
    for path in sorted((*root.glob("*.csv"), *root.glob("*.tsv"))):
        try:
            if path.stat().st_size <= _LARGEST_TABLE_BYTES:
                _read_table(path, found)
        except (CohortError, OSError):
            continue
    return found


def read_facts_file(path: Path) -> dict[str, SubjectFacts]:
    """Return what one table tells of each subject; empty where it cannot be read."""
    found: dict[str, SubjectFacts] = {}
    with contextlib.suppress(CohortError, OSError):
        _read_table(path, found)
    return found


def facts_rows(cohort: Cohort) -> list[tuple[str | float | None, ...]]:
    """Return what the cohort's tables tell of its scans: scan, age, sex, MMSE, CDR.

    ``scan`` is subject and session; scans of which nothing is known are left out.
    """
    known = read_facts(cohort.root)
    rows = []
    for scan in cohort.included_scans if known else ():
        facts = facts_of(known, scan.subject, scan.session)
        if facts is not None:
            name = f"{scan.subject}_{scan.session}" if scan.session else scan.subject
            oldest = facts.age is not None and facts.age > OLDEST_TOLD
            age = f"{OLDEST_TOLD + 1}+" if oldest else facts.age
            rows.append((name, age, facts.sex, facts.mmse, facts.cdr))
    return sorted(set(rows), key=lambda row: str(row[0]))


def facts_of(
    known: Mapping[str, SubjectFacts], subject: str, session: str = ""
) -> SubjectFacts | None:
    """Return what is known of a subject, of that session first."""
    bare = subject.removeprefix("sub-")
    names = (f"{subject}_{session}", subject, bare, f"sub-{bare}")
    return next((known[name.lower()] for name in names if name.lower() in known), None)


def _read_table(path: Path, found: dict[str, SubjectFacts]) -> None:
    names, rows = read_rows(path)
    subject = choose_columns(names)[0]
    columns = {fact: _column(names, fact) for fact in FACTS}
    if not subject or not any(columns.values()):
        return
    for row in rows:
        name = (row[subject] or "").strip().lower()
        if not name or name in found:
            continue
        cells = {fact: (row[column] or "").strip() for fact, column in columns.items() if column}
        facts = _facts(cells)
        if facts != SubjectFacts():
            found[name] = facts


def _facts(cells: Mapping[str, str]) -> SubjectFacts:
    age = _number(cells.get("age", "").rstrip("+"), 120)
    return SubjectFacts(
        age=None if age is None else min(age, float(OLDEST_TOLD + 1)),
        sex=_SEX_WORDS.get(cells.get("sex", "").lower()),
        mmse=_number(cells.get("mmse", ""), 30),
        cdr=_number(cells.get("cdr", ""), 3),
    )


def _column(names: list[str], fact: str) -> str:
    return next((n for n in names if n and n.strip().lower() in _COLUMNS[fact]), "")


def _number(text: str, most: float) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= most else None
