"""What a table is for, told by its columns: labels, a split, or numbers to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from core.data import labels
from core.errors import CohortError

TableKind = Literal["labels", "split", "numbers"]

TABLE_SUFFIXES = (".csv", ".tsv")
_FEWEST_OF_NUMBERS = 2


def table_kind(path: Path) -> TableKind:
    """Return what a table with a header row is for.

    ``split``: a column part beside the subject or the scan, as ``split.csv`` of a run has.
    ``labels``: a column of subjects or files and one of classes, or the table of OASIS-1.
    ``numbers``: at least two other columns, such as exported FCL weights.

    Raises
    ------
    CohortError
        If it cannot be read as a table, or is none of the three.
    """
    names = labels.read_columns(path)
    lower = {name.lower() for name in names}
    if "part" in lower and lower & {"subject", "scan"}:
        return "split"
    if all(labels.choose_columns(names)) or labels.is_oasis_table(names):
        return "labels"
    if len(names) >= _FEWEST_OF_NUMBERS:
        return "numbers"
    raise CohortError(
        f"'{path.name}' is no table of use here. Give it columns subject and class (labels), "
        "subject and part (a split), or two columns of numbers (weights to fit)."
    )
