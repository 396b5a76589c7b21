"""Tables and records as text: CSV that no spreadsheet runs, JSON that is written whole."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic_file

# A spreadsheet runs a text cell that begins with one of these.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# What a cell may hold only in quotes, as the separator.
_QUOTED = ('"', "\r", "\n")
_ROWS_OF_A_PART = 50_000

Cell = str | int | float | bool | None


def csv_cell(value: Any) -> str:  # noqa: ANN401 - any cell value, numpy scalars too
    """Return the text of one CSV cell.

    Numbers keep all their digits; NaN and None are empty cells; booleans are
    ``true`` and ``false``. Only text is neutralised (an apostrophe before a
    formula's first character), so numbers read back equal.
    """
    kind = type(value)  # the usual ones first: a figure of pixels has millions of cells
    if kind is float:
        return repr(value) if value == value else ""
    if kind is int:
        return str(value)
    if kind is str:
        return "'" + value if value.startswith(_FORMULA_STARTS) else str(value)
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else repr(float(value))
    text = str(value)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a CSV table: header row, comma, point, Unix line ends."""
    return "".join(csv_parts(columns, rows))


def csv_parts(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Give the parts of a CSV table, each of a fraction of a second's work."""
    yield _csv_line(columns)
    left = iter(rows)
    while part := "".join(map(_csv_line, islice(left, _ROWS_OF_A_PART))):
        yield part


def comma_csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as a spreadsheet reads it where numbers have a decimal comma.

    Semicolons, decimal commas, and a byte order mark, without which such a spreadsheet takes
    UTF-8 for another encoding and 0.5 for a date. Text is neutralised as ever.
    """
    cells = ([_comma_cell(value) for value in row] for row in (columns, *rows))
    return "\ufeff" + "".join(_joined(row, separator=";") for row in cells)


def _comma_cell(value: Any) -> str:  # noqa: ANN401 - any cell value, numpy scalars too
    text = csv_cell(value)
    is_number = isinstance(value, float | np.floating)
    return text.replace(".", ",") if is_number else text


def _csv_line(values: Sequence[Any]) -> str:
    return _joined([csv_cell(value) for value in values], separator=",")


def _joined(cells: Sequence[str], *, separator: str) -> str:
    # Not csv.writer: before Python 3.13 it leaves a carriage return unquoted where lines
    # end with "\\n" alone, and such a table does not read back.
    line = separator.join(cells)
    is_plain = line.count(separator) == len(cells) - 1 and not any(m in line for m in _QUOTED)
    if is_plain and line:
        return line + "\n"
    marks = (separator, *_QUOTED)
    quoted = [
        '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in marks) else cell
        for cell in cells
    ]
    # A lone empty cell is quoted: an empty line would be no row.
    return ('""' if quoted == [""] else separator.join(quoted)) + "\n"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV table atomically, UTF-8."""
    atomic_file.write_text(path, csv_text(columns, rows))


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write ``value`` as indented JSON atomically; NaN becomes null."""
    atomic_file.write_text(path, json_text(value, indent=1) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - any JSON value
    """Return ``value`` as strict JSON; numpy numbers, paths and NaN are taken care of."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value
