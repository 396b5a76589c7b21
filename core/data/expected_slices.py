"""Which slices a cohort will give, told from its records alone: enough to split, not to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.config import CubeSettings, Cut
from core.data.cohort import Cohort, Scan
from core.data.slices import SliceSet
from core.data.split import read_split_rows
from core.errors import CohortError


def expect_slices(
    cohort: Cohort,
    settings: Cut,
    *,
    numbers_of: Mapping[str, Sequence[int]] | None = None,
) -> SliceSet:
    """Return the slices of the included scans without their pixels, in the order of cutting.

    Those of a volume are counted from 1, since their place in it is not known before it is
    read; ``numbers_of`` gives them by scan where something else tells them. A scan that
    turns out to be unreadable is left out only later.
    """
    known = numbers_of or {}
    rows = [
        (cohort.classes.index(scan.label), scan.subject, scan.session, scan.key, number)
        for scan in cohort.included_scans
        for number in known.get(scan.key) or _numbers(scan, settings)
    ]
    return _without_pixels(rows, cohort.classes, are_cubes=isinstance(settings, CubeSettings))


def slices_of_split_file(
    path: Path, classes: tuple[str, ...], *, are_cubes: bool = False
) -> SliceSet:
    """Return the slices that the ``split.csv`` of a run lists, without their pixels.

    Raises
    ------
    CohortError
        If it cannot be read or is no table of slices.
    """
    rows = []
    for row in read_split_rows(path):
        try:
            label = classes.index(row["label"])
            number = int(row["slice"])
            rows.append((label, row["subject"], row["session"], row["scan"], number))
        except (KeyError, ValueError) as error:
            raise CohortError(
                f"'{path.name}' is damaged: a row has no class, scan or slice of the run. "
                "Restore it from a copy."
            ) from error
    return _without_pixels(rows, classes, are_cubes=are_cubes)


def _without_pixels(
    rows: Sequence[tuple[int, str, str, str, int]], classes: tuple[str, ...], *, are_cubes: bool
) -> SliceSet:
    label, subject, session, key, number = zip(*rows, strict=True) if rows else ((),) * 5
    return SliceSet(
        pixels=np.zeros((len(rows), *(0,) * (3 if are_cubes else 2)), dtype=np.uint8),
        label=np.array(label, dtype=np.int64),
        subject=np.array(subject, dtype=str),
        session=np.array(session, dtype=str),
        scan=np.array(key, dtype=str),
        number=np.array(number, dtype=np.int64),
        classes=classes,
    )


def _numbers(scan: Scan, settings: Cut) -> Sequence[int]:
    if isinstance(settings, CubeSettings):
        return (0,)
    return scan.slice_numbers if scan.kind == "slices" else range(1, settings.count + 1)
