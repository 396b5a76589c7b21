"""What a view of ANALYSE is made of: a figure of a run, its options, and the tab it is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.figure import Figure, Table
from core.progress import Operation
from core.run_folder import Run

# Value of each option by its name; "epoch" is an int, or None for the last.
Options = Mapping[str, Any]
Values: TypeAlias = tuple[tuple[Any, str], ...]


@dataclass(frozen=True)
class Choice:
    """One option of a view: a list to choose from, or a tick where ``values`` is empty.

    ``values`` are (value, words), or a function of the run that returns them; the first, or
    ``ticked``, is the default. With fewer than two values of a run there is nothing to choose.
    """

    name: str
    title: str
    values: Values | Callable[[Run], Values] = ()
    ticked: bool = False
    help: str = ""


@dataclass(frozen=True)
class View:
    """One figure of a tab: how it is made, its table, its options, and what is seen."""

    title: str
    figure: Callable[[Run, Options], Figure | Operation[Figure]]
    help: str
    table: Callable[[Run, Options], Table | Operation[Table]] | None = None
    choices: tuple[Choice, ...] = ()
    has_epochs: bool = False
    # Epochs it can be made of; without it those of the stored weights.
    epochs: Callable[[Run, Options], Sequence[int]] | None = None
    # What is said beside the figure where there is but one of them.
    no_epochs: str = ""
    # Whether it is made anew for other chosen slices ("rows") or another feature ("channel").
    follows_selection: bool = False
    # Whether it may take long enough to be listed with the background tasks.
    is_long: bool = False
    # The paper or book that it follows, and the heading of docs/maths.md with its formulas.
    source: str = ""
    maths: str = ""
    # The tab where what it lacks is chosen.
    next_tab: str = ""


@dataclass(frozen=True)
class Tab:
    """One tab: a title and its views."""

    title: str
    views: tuple[View, ...]


# The two papers of the method, as figures name their source.
PAPER = "Khagi & Kwon (2022), JMIS 9(3), 177-182"
ABSTRACT = "Khagi & Kwon (2022), Alzheimer's & Dementia 18 (S1), doi 10.1002/alz.060904"

PART = Choice(
    "part",
    "Part",
    (("test", "Test"), ("validation", "Validation"), ("train", "Training"), ("all", "All parts")),
)


def _dots(run: Run) -> Values:
    return (("slice", run.settings.item), ("subject", "subject (mean)"))


BY = Choice("by", "One dot a", _dots)
