"""Dots of a cloud in groups: by class, subject, correctness, or by age, sex, MMSE and CDR."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.colours import GREY
from core.data.cohort import load_cohort
from core.data.subject_facts import (
    FACTS,
    OLDEST_TOLD,
    SubjectFacts,
    facts_of,
    read_facts,
    read_facts_file,
)
from core.errors import AnalysisError, MriFclError
from core.figure import Array, Scatter, Symbol, class_colour, class_symbol
from core.run_folder import SUBJECTS_FILE, Features, Run

ColourBy = Literal["class", "correct", "subject", "age", "sex", "mmse", "cdr"]

COLOUR_WORDS = {
    "class": "class",
    "correct": "right or wrong",
    "subject": "subject",
    "age": "age",
    "sex": "sex",
    "mmse": "MMSE",
    "cdr": "CDR",
}
_MOST_NAMED_SUBJECTS = 12
# Five steps of viridis, dark for low; told apart without colour vision by their lightness.
_STEPS = ("#440154", "#3B528B", "#21918C", "#5EC962", "#C8B500")
_SEX_COLOURS = {"female": "#009E73", "male": "#CC79A7"}
_AGE_ENDS = (60, 70, 80, OLDEST_TOLD + 1)
_AGE_BANDS = ("age under 60", "age 60–69", "age 70–79", "age 80–89", "age 90+")
# Lower ends of the bands but the first; 24 and 27 are the usual borders of the mini-mental state.
_MMSE_ENDS = (18, 24, 27, 29)
_MMSE_BANDS = ("MMSE 0–17", "MMSE 18–23", "MMSE 24–26", "MMSE 27–28", "MMSE 29–30")
_HUES = 20


@dataclass(frozen=True)
class Group:
    """Some dots of a cloud: which rows, and how they are drawn."""

    name: str
    rows: NDArray[np.bool_]
    colour: str
    symbol: Symbol
    size: float = 5.0
    opacity: float = 0.6


def known_facts(run: Run) -> tuple[str, ...]:
    """Return which of age, sex, MMSE and CDR the table of the run's cohort tells."""
    known = _read(run)
    mine = [facts_of(known, *who) for who in sorted(_people(run.features))] if known else []
    return tuple(
        fact
        for fact in FACTS
        if any(one is not None and getattr(one, fact) is not None for one in mine)
    )


def group_dots(
    run: Run, features: Features, colour_by: ColourBy = "class", *, paper_colours: bool = False
) -> list[Group]:
    """Return the groups of ``features``, which are of ``run``; every row is in one of them.

    Raises
    ------
    AnalysisError
        If nothing is known to colour by.
    """
    if colour_by == "class":
        return list(_by_class(run, features, paper=paper_colours))
    if colour_by == "correct":
        return list(_by_correctness(run, features, paper=paper_colours))
    if colour_by == "subject":
        return list(_by_subject(run, features))
    known = _read(run)
    steps = _steps_of(known, features, colour_by)
    if not any(name for name, _ in steps):
        raise AnalysisError(
            f"The cohort of run '{run.name}' has no table with the {COLOUR_WORDS[colour_by]} of "
            "its subjects. Put a CSV or TSV with a column of subjects and one of it into the "
            "folder of the scans."
        )
    return list(_by_step(run, features, steps))


def scatters(groups: Sequence[Group], features: Features, x: Array, y: Array) -> list[Scatter]:
    """Return the layers of grouped dots at ``x``, ``y`` (n,), each named by subject and slice."""
    names = np.array(dot_names(features), dtype=object)
    return [
        Scatter(
            group.name,
            x[group.rows],
            y[group.rows],
            colour=group.colour,
            symbol=group.symbol,
            size=group.size,
            opacity=group.opacity,
            ids=tuple(names[group.rows]),
        )
        for group in groups
        if group.rows.any()
    ]


def dot_names(features: Features) -> tuple[str, ...]:
    """Return the name of each dot: subject and slice, or the subject alone."""
    return tuple(
        str(subject) if number < 0 else f"{subject} {number}"
        for subject, number in zip(features.subject, features.slice, strict=True)
    )


def _by_class(run: Run, features: Features, *, paper: bool) -> Iterator[Group]:
    for k, label in enumerate(run.classes):
        colour = class_colour(label, k, paper=paper)
        yield Group(label, features.label == k, colour, class_symbol(label, k))


def _by_correctness(run: Run, features: Features, *, paper: bool) -> Iterator[Group]:
    is_right = features.logits.argmax(axis=1) == features.label
    for k, label in enumerate(run.classes):
        own, colour = features.label == k, class_colour(label, k, paper=paper)
        symbol = class_symbol(label, k)
        yield Group(f"{label}, right", own & is_right, colour, symbol, opacity=0.35)
        yield Group(f"{label}, wrong", own & ~is_right, colour, "cross", size=8.0, opacity=1.0)


def _by_subject(run: Run, features: Features) -> Iterator[Group]:
    people = sorted(
        {(int(k), str(s)) for k, s in zip(features.label, features.subject, strict=True)}
    )
    # A legend of many names hides the cloud; the read-out names each dot anyway.
    is_named = len(people) <= _MOST_NAMED_SUBJECTS
    for number, (k, subject) in enumerate(people):
        rows = (features.subject == subject) & (features.label == k)
        name = f"{subject}, {run.classes[k]}" if is_named else ""
        yield Group(name, rows, _hue(number), class_symbol(run.classes[k], k), opacity=0.75)


def _by_step(run: Run, features: Features, steps: Sequence[tuple[str, str]]) -> Iterator[Group]:
    names = np.array([name for name, _ in steps], dtype=object)
    # In order of the steps, what is not known last; several ratings may share a colour.
    order = [*_STEPS, *_SEX_COLOURS.values(), GREY]
    for name, colour in sorted(set(steps), key=lambda step: (order.index(step[1]), step[0])):
        for k, label in enumerate(run.classes):
            rows = (names == name) & (features.label == k)
            yield Group(
                f"{name or 'not known'}, {label}", rows, colour, class_symbol(label, k), opacity=0.7
            )


def _steps_of(
    known: dict[str, SubjectFacts], features: Features, fact: str
) -> list[tuple[str, str]]:
    """Return the name and colour of each row's step; the name is empty where nothing is known."""
    of_person = {}
    for who in _people(features):
        facts = facts_of(known, *who)
        value = None if facts is None else getattr(facts, fact)
        of_person[who] = ("", GREY) if value is None else _step(fact, value)
    people = zip(features.subject.tolist(), features.session.tolist(), strict=True)
    return [of_person[who] for who in people]


def _step(fact: str, value: float | str) -> tuple[str, str]:
    if isinstance(value, str):
        return value, _SEX_COLOURS[value]
    if fact == "age":
        place = sum(value >= end for end in _AGE_ENDS)
        return _AGE_BANDS[place], _STEPS[place]
    if fact == "mmse":
        place = sum(value >= end for end in _MMSE_ENDS)
        return ("MMSE 00–17", "MMSE 18–23", "MMSE 24–26", "MMSE 27–28", "MMSE 29–30")[
            place
        ], _STEPS[place]
    place = sum(value >= end for end in (0.5, 1, 2, 3))
    return f"CDR {value:g}", _STEPS[place]


def _people(features: Features) -> set[tuple[str, str]]:
    return set(zip(features.subject.tolist(), features.session.tolist(), strict=True))


def _read(run: Run) -> dict[str, SubjectFacts]:
    """Return what was known when the run was trained, or what the tables by its scans tell."""
    if (run.path / SUBJECTS_FILE).is_file():
        return read_facts_file(run.path / SUBJECTS_FILE)
    with contextlib.suppress(MriFclError, OSError, KeyError, TypeError):
        folder = run.path / str(run.record["cohort"]["folder"])
        return read_facts(Path(load_cohort(folder.resolve()).root))
    return {}


def _hue(number: int) -> str:
    """Return one of twenty colours; neighbours in the list are far apart on the circle."""
    import colorsys

    hue = (number * 7 % _HUES) / _HUES
    parts = colorsys.hls_to_rgb(hue, 0.36 if number % 2 else 0.5, 0.75)
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)
