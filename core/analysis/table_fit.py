"""Fit two columns of any table as the FCL weights are fitted: a figure and its statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.analysis.fc_rows import CURVE_POINTS, FIT_LOOKS
from core.analysis.fit_choice import choose_fit
from core.analysis.fit_table import fit_statistics
from core.analysis.fitting import centring_text, degree_name, fit_series
from core.analysis.table_columns import read_columns
from core.colours import BLUE, SKY
from core.figure import Axis, Curve, Figure, Layer, Panel, Scatter, Table

DEGREES = (2, 3, 4)


def table_fit(
    path: Path,
    *,
    x: str | None = None,
    y: str | None = None,
    degrees: Sequence[int] = DEGREES,
) -> tuple[Figure, Table]:
    """Return the scatter of two columns with polynomial fits, and the statistics of each fit.

    Parameters
    ----------
    path : Path
        A table with a header row, such as exported FCL weights.
    x, y : str, optional
        Columns to take; without them the first two of numbers.
    degrees : sequence of int
        Degrees of the fits that are drawn.

    Raises
    ------
    AnalysisError
        If the table cannot be read, or its numbers cannot be fitted.

    Notes
    -----
    As Khagi & Kwon (2022), JMIS 9(3), Fig. 3, which fits the rows of the final layer.
    """
    x_name, y_name, xs, ys = read_columns(path, x=x, y=y)
    series = fit_series(xs, ys)
    fits = [series.of(degree) for degree in degrees if degree <= series.highest]
    line = np.linspace(xs.min(), xs.max(), CURVE_POINTS)
    layers: list[Layer] = [Scatter("rows of the table", xs, ys, colour=SKY, size=4.0)]
    for fit in fits:
        colour, style = FIT_LOOKS.get(fit.degree, (BLUE, "dotted"))
        layers.append(Curve(fit.name, line, fit.predict(line), colour=colour, style=style))
    words = [fit.equation() for fit in fits]
    words += [
        f"{degree_name(degree)}: too few distinct values"
        for degree in degrees
        if degree > series.highest
    ]
    if fits:
        words.append(centring_text(fits[0].centre, fits[0].scale))
    panel = Panel(x=Axis(x_name), y=Axis(y_name), layers=tuple(layers), text="\n".join(words))
    figure = Figure(
        name="table_fit",
        title=f"{y_name} against {x_name}",
        panels=(panel,),
        caption=f"{len(xs)} rows of '{path.name}', r = {series.correlation:.4f}. "
        f"{choose_fit(series).words}",
    )
    return figure, fit_statistics(series)
