"""The paper's Table 2 row by row: ours beside it, the difference, the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analysis.comparison import (
    PAPER_TABLE_2,
    PaperRow,
    is_comparable,
    paper_row,
    part_accuracies,
)
from core.analysis.features import joint_warning
from core.colours import BLUE, GREEN, GREY, PURPLE, VERMILLION
from core.config import NETWORK_TITLES
from core.data.split import split_name
from core.figure import Axis, Curve, Figure, Layer, Panel, Scatter, Symbol, Table
from core.run_folder import Run

_SPLIT_LOOKS: dict[str, tuple[str, Symbol]] = {
    "subject": (BLUE, "circle"),
    "slice": (VERMILLION, "square"),
    "kfold": (GREEN, "triangle"),
    "file": (PURPLE, "cross"),
}
_CAPTION = (
    "Fractions 0..1 of the last epoch's network in evaluation mode. Means over runs that differ "
    "in their seed; sd is their sample deviation (n - 1). The paper split by slice, so slices of "
    "one subject are on both sides: its accuracies are to be set against ours by slice, and "
    "ours by subject against what a new patient would see."
)


@dataclass(frozen=True)
class _Group:
    """Our runs of one row of the paper, all split alike."""

    split: str
    runs: tuple[Run, ...]

    def accuracies(self, place: int) -> list[float]:
        """Return train (0), validation (1), test (2) or test by subject (3) of each run."""
        values = [part_accuracies(run)[place] for run in self.runs]
        return [value for value in values if value is not None]


def paper_table(runs: Sequence[Run]) -> Table:
    """Return the twelve rows of the paper's Table 2 with ours beside them.

    Runs of one row are averaged where they are split alike; split otherwise they stand in a
    row of their own. Only finished runs with true labels count. ``runs`` is 0 where the
    row was not trained.
    """
    rows: list[tuple[Any, ...]] = []
    used: list[Run] = []
    for paper, groups in _grouped(runs):
        rows += [_table_row(paper, group) for group in groups] or [_empty_row(paper)]
        used += [run for group in groups for run in group.runs]
    return Table(
        name="paper_rows",
        title="Table 2 of Khagi & Kwon (2022), row by row, beside these runs",
        columns=(
            "network",
            "regime",
            "paper_epochs",
            "runs",
            "split",
            "train",
            "train_sd",
            "validation",
            "validation_sd",
            "test",
            "test_sd",
            "test_by_subject",
            "seconds",
            "paper_train",
            "paper_validation",
            "paper_test",
            "paper_seconds",
            "difference_test",
            "warning",
        ),
        rows=tuple(rows),
        caption=_CAPTION,
        warning=joint_warning(used),
    )


def paper_figure(runs: Sequence[Run]) -> Figure:
    """Return the test accuracy of the twelve rows, ours by split beside the paper's."""
    # The first row of the table on top: places run upwards.
    places = {row: len(PAPER_TABLE_2) - 1 - number for number, row in enumerate(PAPER_TABLE_2)}
    paper_places = np.array([places[row] for row in PAPER_TABLE_2], dtype=np.float64)
    layers: list[Layer] = [
        Scatter(
            "paper (by slice)",
            np.array([row.test for row in PAPER_TABLE_2]),
            paper_places,
            colour=GREY,
            symbol="diamond",
            size=8,
            opacity=1,
        )
    ]
    grouped = _grouped(runs)
    for split, (colour, symbol) in _SPLIT_LOOKS.items():
        own = [
            (places[paper], group.accuracies(2))
            for paper, groups in grouped
            for group in groups
            if group.split == split
        ]
        own = [(place, values) for place, values in own if values]
        if own:
            layers += _dots(f"ours, split by {split}", own, colour, symbol)
    low = min(float(np.min(layer.x)) for layer in layers if isinstance(layer, Scatter))
    names = [f"{NETWORK_TITLES[row.network]}, {row.regime}" for row in reversed(PAPER_TABLE_2)]
    used = [run for _, groups in grouped for group in groups for run in group.runs]
    return Figure(
        name="paper_table",
        title="Test accuracy of the rows of Table 2",
        panels=(
            Panel(
                x=Axis("Test accuracy", "fraction", min(0.4, low - 0.05), 1.02),
                y=Axis("", low=-0.7, high=len(names) - 0.3, categories=tuple(names)),
                layers=tuple(layers),
            ),
        ),
        caption="Dots are means over seeds, thin lines go one sample deviation to each side. "
        "After Khagi & Kwon (2022), JMIS 9(3), Table 2.",
        warning=joint_warning(used),
    )


def _grouped(runs: Sequence[Run]) -> list[tuple[PaperRow, list[_Group]]]:
    found: dict[PaperRow, dict[str, list[Run]]] = {row: {} for row in PAPER_TABLE_2}
    for run in runs:
        row = paper_row(run)
        if row is not None and is_comparable(run):
            found[row].setdefault(split_name(run.settings.split), []).append(run)
    return [
        (row, [_Group(split, tuple(own)) for split, own in sorted(by_split.items())])
        for row, by_split in found.items()
    ]


def _table_row(paper: PaperRow, group: _Group) -> tuple[Any, ...]:
    cells: list[float | None] = []
    for place in range(3):
        cells += _mean_and_sd(group.accuracies(place))
    test = cells[4]
    seconds = [float(np.nansum(run.history.seconds)) for run in group.runs]
    return (
        NETWORK_TITLES[paper.network],
        paper.regime,
        paper.epochs,
        len(group.runs),
        group.split,
        *cells,
        _mean_and_sd(group.accuracies(3))[0],
        float(np.mean(seconds)),
        paper.train,
        paper.validation,
        paper.test,
        paper.seconds,
        test - paper.test if test is not None else None,
        _warning(paper, group),
    )


def _empty_row(paper: PaperRow) -> tuple[Any, ...]:
    return (
        NETWORK_TITLES[paper.network],
        paper.regime,
        paper.epochs,
        0,
        *(None,) * 9,
        paper.train,
        paper.validation,
        paper.test,
        paper.seconds,
        None,
        "",
    )


def _mean_and_sd(values: Sequence[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return float(np.mean(values)), sd


def _warning(paper: PaperRow, group: _Group) -> str:
    other = sorted({run.settings.epochs for run in group.runs} - {paper.epochs})
    sentences = list(dict.fromkeys(run.warning for run in group.runs if run.warning))
    if other:
        sentences.append(f"Trained {', '.join(map(str, other))} epochs, the paper {paper.epochs}.")
    return " ".join(sentences)


def _dots(
    name: str, own: Sequence[tuple[int, Sequence[float]]], colour: str, symbol: Symbol
) -> list[Layer]:
    """Return the means as dots, and their deviations as lines with gaps between them."""
    place = np.array([at for at, _ in own], dtype=np.float64)
    mean = np.array([np.mean(values) for _, values in own])
    x, y = list[float](), list[float]()
    for at, values in own:
        if len(values) > 1:
            half, middle = float(np.std(values, ddof=1)), float(np.mean(values))
            x += [middle - half, middle + half, math.nan]
            y += [at, at, math.nan]
    layers: list[Layer] = [
        Scatter(name, mean, place, colour=colour, symbol=symbol, size=8, opacity=0.9)
    ]
    if x:
        layers.append(Curve(f"{name}, sd", np.array(x), np.array(y), colour=colour))
    return layers
