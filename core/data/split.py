"""Share slices out to training, validation and test: by subject, by slice, or k-fold by subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config import SplitSettings
from core.data.slices import SliceSet
from core.errors import CohortError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Part and class of every slice.

    Attributes
    ----------
    part : ndarray, shape (n,), str
        train, validation or test.
    label : ndarray, shape (n,), int
        Class used in training: the true one, or a shuffled one in a control run.
    """

    part: NDArray[np.str_]
    label: NDArray[np.int64]

    def rows_of(self, part: str) -> NDArray[np.int64]:
        """Return the rows of one part."""
        return np.flatnonzero(self.part == part)


def split_slices(slices: SliceSet, settings: SplitSettings, seed: int) -> Split:
    """Split slices 5:2:3 (or as set), each class by itself.

    Raises
    ------
    CohortError
        If a class is too small to give every part something.
    """
    label = slices.label.copy()
    if settings.shuffled_labels:
        label = shuffle_labels(slices, seed)
    part = np.empty(len(slices), dtype="<U10")
    for k, name in enumerate(slices.classes):
        rng = np.random.default_rng([seed, k])
        rows = np.flatnonzero(label == k)
        if settings.mode == "slice":
            part[rows] = _deal(len(rows), settings, rng, f"slices in class {name}")
            continue
        subjects, of_row = np.unique(slices.subject[rows], return_inverse=True)
        if settings.mode == "kfold":
            dealt = _deal_fold(len(subjects), settings, rng, name)
        else:
            dealt = _deal(len(subjects), settings, rng, f"subjects in class {name}")
        part[rows] = dealt[of_row]
    if settings.mode != "slice":
        _keep_subjects_together(slices.subject, part)
    return Split(part, label)


def part_sizes(n: int, settings: SplitSettings) -> tuple[int, int, int]:
    """Return how many of ``n`` go to train, validation and test, by largest remainder.

    28 subjects at 5:2:3 give 14, 6 and 8; 840 slices give 420, 168 and 252 (P1 Table 1).
    Every part gets at least one where ``n`` is 3 or more.
    """
    shares = np.array([settings.train_share, settings.validation_share, settings.test_share])
    exact = n * shares / shares.sum()
    sizes = np.floor(exact + 1e-9).astype(int)
    for i in np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]:
        sizes[i] += 1
    if n >= 3:
        while sizes.min() == 0:
            sizes[sizes.argmax()] -= 1
            sizes[sizes.argmin()] += 1
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def shuffle_labels(slices: SliceSet, seed: int) -> NDArray[np.int64]:
    """Return labels (n,) where the classes were dealt anew among the subjects.

    All slices of a subject keep one class and the classes keep their numbers of
    subjects, so that chance is what it was: the control of Yagis et al. (2021).
    """
    subjects, first, of_row = np.unique(slices.subject, return_index=True, return_inverse=True)
    labels = slices.label[first]
    del subjects
    dealt: NDArray[np.int64] = np.random.default_rng([seed, 99]).permutation(labels)[of_row]
    return dealt


def _deal(n: int, settings: SplitSettings, rng: np.random.Generator, what: str) -> NDArray[np.str_]:
    if n < 3:
        raise CohortError(
            f"There are only {n} {what}; three parts need at least 3. Add scans, "
            "or leave the class out."
        )
    parts = np.repeat(np.array(PARTS), part_sizes(n, settings))
    return rng.permutation(parts)


def _deal_fold(
    n: int, settings: SplitSettings, rng: np.random.Generator, name: str
) -> NDArray[np.str_]:
    if n < settings.folds:
        raise CohortError(
            f"Class {name} has {n} subjects, fewer than {settings.folds} folds. Take fewer folds."
        )
    fold = rng.permutation(np.arange(n) % settings.folds) + 1
    part = np.full(n, "train", dtype="<U10")
    part[fold == settings.fold] = "test"
    part[fold == settings.fold % settings.folds + 1] = "validation"
    return part


def _keep_subjects_together(subject: NDArray[np.str_], part: NDArray[np.str_]) -> None:
    """Put a subject that has scans in two classes into one part, that of its first slice."""
    _, first, of_row = np.unique(subject, return_index=True, return_inverse=True)
    part[:] = part[first][of_row]
