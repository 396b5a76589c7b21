"""Polynomial fits of one column by another: coefficients, equations and their statistics."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import AnalysisError

Array = NDArray[np.float64]

_DEGREE_NAMES = {1: "Linear", 2: "Quadratic", 3: "Cubic"}
# Columns of tables that count rows; "panel" is in the CSV of our figures, "" is an unnamed index.
_COUNTERS = ("feature", "index", "channel", "slice", "epoch", "number", "panel", "", "unnamed: 0")
_DELIMITERS = ("\t", ";", ",")


@dataclass(frozen=True)
class PolynomialFit:
    """A least-squares polynomial in ``z = (x - centre) / scale``.

    Attributes
    ----------
    degree : int
    coefficients : tuple of float
        Highest power of z first, ``degree + 1`` of them, in units of y.
    centre, scale : float
        Mean of x and its standard deviation with n - 1.
    norm_of_residuals : float
        Square root of the sum of squared residuals, in units of y.
    r_squared, adjusted_r_squared : float
        Share of y's variance that the fit explains; NaN where y is constant.
    rmse : float
        ``norm_of_residuals / sqrt(n)``.
    aicc : float
        Akaike's criterion for small samples, with the error variance counted as a parameter;
        lower is better. NaN where n is too small, minus infinity for a perfect fit.
    n : int
        Points.
    """

    degree: int
    coefficients: tuple[float, ...]
    centre: float
    scale: float
    norm_of_residuals: float
    r_squared: float
    adjusted_r_squared: float
    rmse: float
    aicc: float
    n: int

    @property
    def name(self) -> str:
        """Name of the degree as in Khagi & Kwon (2022), Fig. 3: Quadratic, Cubic, 4th degree."""
        return degree_name(self.degree)

    def predict(self, x: ArrayLike) -> Array:
        """Return the fitted y at ``x``, same shape."""
        z = (np.asarray(x, dtype=np.float64) - self.centre) / self.scale
        return np.asarray(np.polyval(np.asarray(self.coefficients), z), dtype=np.float64)

    def equation(self) -> str:
        """Return the equation in z in the form of Khagi & Kwon (2022), Fig. 3."""
        return f"{self.name}: y = {_polynomial_text(self.coefficients)}"


def degree_name(degree: int) -> str:
    """Return the name of a polynomial's degree: Linear, Quadratic, Cubic, 4th degree."""
    return _DEGREE_NAMES.get(degree, f"{degree}th degree")


def centring_text(mean: float, std: float) -> str:
    """Return what z is, as in Khagi & Kwon (2022), Fig. 3.

    Examples
    --------
    >>> centring_text(0.000927, 0.113)
    'where z = (x - 0.000927)/0.113'
    """
    sign = "+" if mean < 0 else "-"
    return f"where z = (x {sign} {abs(mean):.3g})/{std:.3g}"


def fit_polynomial(x: ArrayLike, y: ArrayLike, degree: int) -> PolynomialFit:
    """Fit ``y`` by a polynomial in the standardised ``x``.

    Parameters
    ----------
    x, y : array_like, shape (n,), float
        One pair a point, such as the FCL weights of two classes for one feature.
    degree : int
        1 or more; 2, 3 and 4 in the paper.

    Returns
    -------
    PolynomialFit
        Coefficients, highest power first, in ``z = (x - centre) / scale``.

    Raises
    ------
    AnalysisError
        If the lengths differ, a value is not finite, or ``x`` has fewer than ``degree + 1``
        distinct values.

    Notes
    -----
    Standardising as in Khagi & Kwon (2022), JMIS 9(3), Fig. 3; ``scale`` is the sample
    deviation (n - 1): our choice, the paper does not say. Least squares by QR of the
    Vandermonde matrix with columns of unit length, so that no normal equations are formed.
    """
    x, y = _checked_points(x, y, degree)
    with np.errstate(over="ignore", invalid="ignore"):
        centre, scale = float(x.mean()), float(x.std(ddof=1))
        if not (math.isfinite(centre) and math.isfinite(scale)) or scale <= 0:
            raise AnalysisError("The x values are too large or too close together to be fitted.")
        vandermonde = np.vander((x - centre) / scale, degree + 1)
        coefficients = _least_squares(vandermonde, y)
        residuals = y - vandermonde @ coefficients
        norm = float(np.linalg.norm(residuals))
        total = float(np.sum((y - y.mean()) ** 2))
    if not (np.isfinite(coefficients).all() and math.isfinite(norm) and math.isfinite(total)):
        raise AnalysisError("The y values are too large to be fitted. Scale them down.")
    r_squared = 1.0 - norm**2 / total if total > 0 else math.nan
    freedom = len(x) - degree - 1
    return PolynomialFit(
        degree=degree,
        coefficients=tuple(float(value) for value in coefficients),
        centre=centre,
        scale=scale,
        norm_of_residuals=norm,
        r_squared=r_squared,
        adjusted_r_squared=1 - (1 - r_squared) * (len(x) - 1) / freedom if freedom else math.nan,
        rmse=norm / math.sqrt(len(x)),
        aicc=_aicc(norm, len(x), degree + 2),
        n=len(x),
    )


def fit_polynomials(
    x: ArrayLike, y: ArrayLike, degrees: Sequence[int] = (2, 3, 4)
) -> tuple[PolynomialFit, ...]:
    """Return one fit for each of ``degrees``; see :func:`fit_polynomial`."""
    return tuple(fit_polynomial(x, y, degree) for degree in degrees)


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


def _polynomial_text(coefficients: Sequence[float]) -> str:
    text = ""
    for power, value in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        number = f"{abs(value):.3g}"
        factor = "" if power == 0 else "*z" if power == 1 else f"*z^{power}"
        if text:
            text += " - " if value < 0 else " + "
        elif value < 0:
            text = "-"
        text += number + factor
    return text


def _checked_points(x: ArrayLike, y: ArrayLike, degree: int) -> tuple[Array, Array]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if degree < 1:
        raise AnalysisError(f"Degree {degree} cannot be fitted. Give 1 or more.")
    if x.ndim != 1 or x.shape != y.shape:
        raise AnalysisError(
            f"x and y must be two columns of equal length; they have {x.size} and {y.size} values."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise AnalysisError("A value to be fitted is not a finite number (NaN or infinite).")
    distinct = len(np.unique(x))
    if distinct < degree + 1:
        raise AnalysisError(
            f"A fit of degree {degree} needs at least {degree + 1} distinct x values; there "
            f"are {distinct}. Choose a lower degree."
        )
    return x, y


def _least_squares(matrix: Array, y: Array) -> Array:
    lengths = np.linalg.norm(matrix, axis=0)
    q, r = np.linalg.qr(matrix / lengths)
    pivots = np.abs(np.diag(r))
    if pivots.min() <= np.finfo(np.float64).eps * len(y) * pivots.max():
        raise AnalysisError(
            f"The x values lie too close together for a fit of degree {matrix.shape[1] - 1}. "
            "Choose a lower degree."
        )
    return np.asarray(np.linalg.solve(r, q.T @ y) / lengths, dtype=np.float64)


def _aicc(norm: float, n: int, parameters: int) -> float:
    if n - parameters - 1 <= 0:
        return math.nan
    if norm == 0:
        return -math.inf
    correction = 2 * parameters * (parameters + 1) / (n - parameters - 1)
    return n * (2 * math.log(norm) - math.log(n)) + 2 * parameters + correction


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
