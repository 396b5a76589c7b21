"""Class activation maps of slices: what they hold, and what they say in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import AnalysisError
from core.figure import Table
from core.run_folder import Features, Run, softmax

Method = Literal["CAM", "Grad-CAM"]
# Left, right, top, bottom of a picture; empty where nobody knows.
Letters = tuple[str, str, str, str]

# Slices are named in figures by "SUBJECT NUMBER", subjects by "SUBJECT".
_FEATURE = "feature "
Which = Literal["certain right", "certain wrong", "uncertain", "right", "wrong"]


@dataclass(frozen=True)
class SliceMaps:
    """Maps of some slices of a run, one row a slice.

    Attributes
    ----------
    rows : ndarray, shape (n,), int
        Rows of the run's features.
    pixels : ndarray, shape (n, S, S), uint8
        The slices as the network sees them.
    maps : ndarray, shape (n, M, h, w), float32
        Signed; each covers the whole slice. M is the number of classes, or 1 for a channel.
    logits : ndarray, shape (n, K), float32
        What the network gave when the maps were made.
    method : {"CAM", "Grad-CAM"}
    letters : tuple of Letters
        Orientation letters of each slice.
    remark : str
        What must be said beside the maps; empty where nothing must.
    planes : tuple of str
        Of cubes what each picture is, such as ``axial 31 of 64``: three in a row are of one
        cube. Empty for slices.
    """

    rows: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    maps: NDArray[np.float32]
    logits: NDArray[np.float32]
    method: Method
    letters: tuple[Letters, ...]
    remark: str = ""
    planes: tuple[str, ...] = ()

    def taken(self, places: Sequence[int] | NDArray[Any]) -> SliceMaps:
        """Return the maps at these places."""
        chosen = [int(place) for place in places]
        return replace(
            self,
            rows=self.rows[chosen],
            pixels=self.pixels[chosen],
            maps=self.maps[chosen],
            logits=self.logits[chosen],
            letters=tuple(self.letters[place] for place in chosen),
            planes=tuple(self.planes[place] for place in chosen) if self.planes else (),
        )

    def of_row(self, row: int) -> SliceMaps:
        """Return the map of one row: one slice, or the planes of one cube."""
        return self.taken(np.flatnonzero(self.rows == row))

    def __len__(self) -> int:
        return len(self.rows)


def row_ids(features: Features) -> tuple[str, ...]:
    """Return the name of each slice in figures: ``SUBJECT NUMBER``."""
    return tuple(
        f"{subject} {number}"
        for subject, number in zip(features.subject, features.slice, strict=True)
    )


def rows_of_ids(run: Run, ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the slices with these names, in the order of the names.

    The name of a subject stands for all of its slices. Where a subject has several scans, a
    name may stand for a slice of each.
    """
    features = run.features
    of_slice: dict[str, list[int]] = {}
    of_subject: dict[str, list[int]] = {}
    for row, name in enumerate(row_ids(features)):
        of_slice.setdefault(name, []).append(row)
        of_subject.setdefault(str(features.subject[row]), []).append(row)
    found = [row for name in ids for row in of_slice.get(name) or of_subject.get(name, [])]
    return np.array(list(dict.fromkeys(found)), dtype=np.int64)


def channel_of_id(name: str) -> int | None:
    """Return the FCL input that a dot of the weight scatter stands for, None if it is none."""
    number = name.removeprefix(_FEATURE)
    return int(number) if name.startswith(_FEATURE) and number.isdecimal() else None


def channel_id(channel: int) -> str:
    """Return the name of an FCL input in figures."""
    return f"{_FEATURE}{channel}"


def row_of_slice(run: Run, scan: str, number: int) -> int | None:
    """Return the row of the slice of a scan that is nearest to ``number``, None without any."""
    rows = np.flatnonzero(run.features.scan == scan)
    if not len(rows):
        return None
    return int(rows[np.argmin(np.abs(run.features.slice[rows] - number))])


def choose_rows(
    run: Run, which: Which, *, part: str = "test", count: int = 12
) -> NDArray[np.int64]:
    """Return the rows of telling slices, one of each subject first, then further ones.

    Parameters
    ----------
    run : Run
    which : str
        ``certain right`` and ``certain wrong`` begin with the highest probability of the
        predicted class, ``uncertain`` with the lowest; ``right`` and ``wrong`` keep the
        stored order.
    part : str
        train, validation, test or all.
    count : int

    Raises
    ------
    AnalysisError
        If there is no such slice.
    """
    features = run.features
    probability = softmax(features.logits)
    predicted = features.logits.argmax(axis=1)
    keep = np.ones(len(predicted), dtype=bool) if part == "all" else features.part == part
    if which.endswith("right"):
        keep &= predicted == features.label
    elif which.endswith("wrong"):
        keep &= predicted != features.label
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise AnalysisError(
            f"Run '{run.name}' has no such slice ({which}) in the part '{part}'. "
            "Choose another part or other slices."
        )
    certainty = probability[rows].max(axis=1)
    if which.startswith("certain"):
        rows = rows[np.argsort(-certainty, kind="stable")]
    elif which == "uncertain":
        rows = rows[np.argsort(certainty, kind="stable")]
    return _spread_over_subjects(features, rows)[:count]


def top_rows(run: Run, channel: int, *, part: str = "all", count: int = 9) -> NDArray[np.int64]:
    """Return the rows of the slices that excite an FCL input most, the strongest first.

    Raises
    ------
    AnalysisError
        If there is no such input, or the part has no slices.
    """
    features = run.features
    _require_channel(run, channel)
    rows = np.arange(len(features.label))
    if part != "all":
        rows = np.flatnonzero(features.part == part)
    if not len(rows):
        raise AnalysisError(f"The part '{part}' of run '{run.name}' has no slices.")
    strongest = np.argsort(-features.penultimate[rows, channel], kind="stable")
    return np.asarray(rows[strongest[:count]])


def contributions(run: Run, row: int, channel: int) -> NDArray[np.float64]:
    """Return what an FCL input adds to each class's logit on a slice: w_kj h_j, shape (K,)."""
    _require_channel(run, channel)
    weight, _ = run.fc_history.at()
    h = float(run.features.penultimate[row, channel])
    return np.asarray(weight[:, channel], dtype=np.float64) * h


@dataclass(frozen=True)
class SliceFacts:
    """What is known of one slice; ``probability`` is (K,), in the order of the classes."""

    subject: str
    session: str
    scan: str
    number: int
    part: str
    label: str
    predicted: str
    probability: NDArray[np.float64]

    @property
    def is_right(self) -> bool:
        """Whether the network names the true class."""
        return self.label == self.predicted


def facts_of(run: Run, row: int) -> SliceFacts:
    """Return what is known of the slice in a row of the run's features."""
    features = run.features
    return SliceFacts(
        subject=str(features.subject[row]),
        session=str(features.session[row]),
        scan=str(features.scan[row]),
        number=int(features.slice[row]),
        part=str(features.part[row]),
        label=run.classes[features.label[row]],
        predicted=run.classes[int(features.logits[row].argmax())],
        probability=softmax(features.logits[row : row + 1])[0],
    )


def facts_table(run: Run, rows: Sequence[int] | NDArray[np.int64]) -> Table:
    """Return what is known of some slices, one row a slice."""
    table: list[tuple[Any, ...]] = []
    for row in rows:
        facts = facts_of(run, int(row))
        table.append(
            (
                facts.subject,
                facts.scan,
                facts.number,
                facts.part,
                facts.label,
                facts.predicted,
                *(float(value) for value in facts.probability),
                *(float(value) for value in run.features.logits[row]),
            )
        )
    return Table(
        name="slices_shown",
        title="Slices shown",
        columns=(
            "subject",
            "scan",
            "slice",
            "part",
            "label",
            "predicted",
            *(f"prob_{name}" for name in run.classes),
            *(f"logit_{name}" for name in run.classes),
        ),
        rows=tuple(table),
        caption="Logits and probabilities of the last epoch's network.",
        warning=run.warning,
    )


def channel_table(run: Run, rows: Sequence[int] | NDArray[np.int64], channel: int) -> Table:
    """Return what an FCL input adds to each class's logit on some slices."""
    table = []
    for row in rows:
        facts = facts_of(run, int(row))
        added = contributions(run, int(row), channel)
        table.append(
            (
                facts.subject,
                facts.scan,
                facts.number,
                facts.label,
                float(run.features.penultimate[row, channel]),
                *(float(value) for value in added),
            )
        )
    weight, _ = run.fc_history.at()
    words = ", ".join(
        f"{name} {value:.4g}"
        for name, value in zip(run.classes, weight[:, channel].tolist(), strict=True)
    )
    return Table(
        name=f"feature_{channel}",
        title=f"Feature {channel}: weights {words}",
        columns=(
            "subject",
            "scan",
            "slice",
            "label",
            "activation",
            *(f"adds_to_{name}" for name in run.classes),
        ),
        rows=tuple(table),
        caption="activation is h_j, the feature that enters the final layer; adds_to_CLASS is "
        "w_kj h_j, its part of that class's logit.",
        warning=run.warning,
    )


def _spread_over_subjects(features: Features, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put the best slice of each subject first, then the second ones, and so on."""
    seen: dict[str, int] = {}
    rounds = []
    for row in rows:
        subject = str(features.subject[row])
        rounds.append(seen.get(subject, 0))
        seen[subject] = rounds[-1] + 1
    return np.asarray(rows[np.argsort(rounds, kind="stable")])


def _require_channel(run: Run, channel: int) -> None:
    n = run.features.penultimate.shape[1]
    if not 0 <= channel < n:
        raise AnalysisError(
            f"Run '{run.name}' has the features 0 to {n - 1}; there is no feature {channel}."
        )
