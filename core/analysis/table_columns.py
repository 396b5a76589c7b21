"""Read two columns of numbers from a table, ours or another program's."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import AnalysisError

Array = NDArray[np.float64]

# Columns of tables that count rows; "panel" is in the CSV of our figures, "" is an unnamed index.
_COUNTERS = ("feature", "index", "channel", "slice", "epoch", "number", "panel", "", "unnamed: 0")
_DELIMITERS = ("\t", ";", ",")


def read_columns(
    path: Path, *, x: str | None = None, y: str | None = None
) -> tuple[str, str, Array, Array]:
    """Read two columns of numbers from a table with a header row.

    Tab, semicolon or comma separate the cells; beside tabs and semicolons a decimal comma is
    understood. The encoding is UTF-8 or UTF-16 with a mark, UTF-8, or else Windows-1252.

    Parameters
    ----------
    path : Path
        The table, one of ours or another program's.
    x, y : str, optional
        Names of the columns. Without them the first numeric columns are taken that are no
        counters (feature, index, channel, slice, epoch, number).

    Returns
    -------
    x_name, y_name : str
    x, y : ndarray, shape (n,), float64

    Raises
    ------
    AnalysisError
        If the file cannot be read, a column is missing, or a cell of it is no number.
    """
    header, rows, decimal_comma = _read_table(path)
    cells = [
        [row[position] if position < len(row) else "" for _, row in rows]
        for position in range(len(header))
    ]
    asked = [None if name is None else _position(header, name, path) for name in (x, y)]
    free = (
        position
        for position, name in enumerate(header)
        if name.casefold() not in _COUNTERS
        and position not in asked
        and _is_numeric(cells[position], decimal_comma)
    )
    chosen = [next(free, None) if position is None else position for position in asked]
    values: list[Array] = []
    for position in chosen:
        if position is None:
            raise AnalysisError(
                f"'{path.name}' has no two columns of numbers; its columns are: "
                f"{', '.join(header)}. Name the columns, or choose another table."
            )
        values.append(_numbers(cells[position], rows, header[position], decimal_comma, path))
    names = [header[position] for position in chosen if position is not None]
    return names[0], names[1], values[0], values[1]


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    """Return the header, the rows with their line numbers, and whether a comma is a point."""
    text = _read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in _DELIMITERS if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [
            (reader.line_num, [cell.strip() for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise AnalysisError(
            f"'{path.name}' cannot be read as a table: {error}. Save it as CSV in UTF-8."
        ) from error
    if len(lines) < 2:
        raise AnalysisError(f"'{path.name}' has no rows below a header row.")
    header, rows = lines[0][1], lines[1:]
    decimal_comma = delimiter != ","
    if all(_number(cell, decimal_comma) is not None for cell in header):
        raise AnalysisError(
            f"'{path.name}' has no header row: its first line holds numbers only. "
            "Put the names of the columns into the first line."
        )
    for number, row in rows:
        if len(row) > len(header) and any(row[len(header) :]):
            raise AnalysisError(
                f"Line {number} of '{path.name}' has {len(row)} cells, its header {len(header)}. "
                "Where numbers have decimal commas, separate the cells by semicolons."
            )
    return header, rows, decimal_comma


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AnalysisError(f"'{path.name}' cannot be read: {error.strerror}.") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _position(header: Sequence[str], name: str, path: Path) -> int:
    found = [position for position, other in enumerate(header) if other == name]
    if len(found) == 1:
        return found[0]
    problem = "has no column" if not found else "has more than one column"
    raise AnalysisError(f"'{path.name}' {problem} '{name}'; its columns are: {', '.join(header)}.")


def _is_numeric(cells: Sequence[str], decimal_comma: bool) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_number(cell, decimal_comma) is not None for cell in filled)


def _numbers(
    cells: Sequence[str],
    rows: Sequence[tuple[int, Any]],
    name: str,
    decimal_comma: bool,
    path: Path,
) -> Array:
    values = []
    for (line, _), cell in zip(rows, cells, strict=True):
        value = _number(cell, decimal_comma)
        if value is None:
            said = f"'{cell}' is no number" if cell else "the cell is empty"
            raise AnalysisError(
                f"Line {line} of '{path.name}', column '{name}': {said}. Correct or remove the "
                "line, or choose another column."
            )
        values.append(value)
    return np.array(values, dtype=np.float64)


def _number(cell: str, decimal_comma: bool) -> float | None:
    """Return the number in ``cell``; None for text, and for grouped numbers (1.000,5)."""
    if decimal_comma and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    try:
        # float() takes 1_000 for 1000, which no table means.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
