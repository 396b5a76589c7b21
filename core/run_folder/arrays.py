"""What a run holds over its epochs and slices: curves, the FCL, features."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import RunError

PARTS = ("train", "validation", "test")
HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
)
FEATURE_NAMES = ("penultimate", "logits", "label", "part", "subject", "session", "scan", "slice")
# Age, sex, MMSE and CDR of the subjects, where the cohort's tables tell them.
SUBJECTS_FILE = "subjects.csv"
# Features of earlier epochs, one file each; features.npz has those of the last epoch.
EPOCH_FEATURES_FOLDER = "features_by_epoch"
# Logits of the validation slices after each epoch: little-endian float32, one block (n, K)
# an epoch from epoch 1 on, in the order of the validation rows of features.npz.
EPOCH_LOGITS_FILE = "validation_logits.f32"


@dataclass(frozen=True)
class History:
    """The curves of a run: one entry an epoch, each of shape (E,).

    Losses are mean cross-entropy (nat), accuracies fractions 0..1, ``seconds`` the time of
    the epoch. Epoch 0 (before training) is not in it.
    """

    epoch: NDArray[np.int64]
    train_loss: NDArray[np.float64]
    train_accuracy: NDArray[np.float64]
    validation_loss: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class FcHistory:
    """The FCL over the epochs; entry 0 is the state before training.

    Attributes
    ----------
    epoch : ndarray, shape (E,), int
    weight : ndarray, shape (E, K, N), float32
        Row k belongs to class k.
    bias : ndarray, shape (E, K), float32
    """

    epoch: NDArray[np.int64]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def at(self, epoch: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weight (K, N) and bias (K,) after ``epoch`` (None: the last).

        Raises
        ------
        RunError
            If that epoch is not stored.
        """
        if epoch is None:
            return self.weight[-1], self.bias[-1]
        found = np.flatnonzero(self.epoch == epoch)
        if not len(found):
            raise RunError(
                f"Epoch {epoch} is not in this run; it has epochs {self.epoch[0]} to "
                f"{self.epoch[-1]}."
            )
        return self.weight[found[0]], self.bias[found[0]]


@dataclass(frozen=True)
class Features:
    """What the last epoch's network gives for each slice, one row a slice.

    Attributes
    ----------
    penultimate : ndarray, shape (n, N), float32
        What enters the FCL.
    logits : ndarray, shape (n, K), float32
        What leaves it.
    label : ndarray, shape (n,), int
        Index of the true class.
    part : ndarray, shape (n,), str
        train, validation or test.
    subject, session, scan : ndarray, shape (n,), str
    slice : ndarray, shape (n,), int
        Number of the slice in its scan.
    """

    penultimate: NDArray[np.float32]
    logits: NDArray[np.float32]
    label: NDArray[np.int64]
    part: NDArray[np.str_]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    scan: NDArray[np.str_]
    slice: NDArray[np.int64]

    def of_part(self, part: str) -> Features:
        """Return the rows of one part; ``all`` gives every row."""
        if part == "all":
            return self
        keep = self.part == part
        return Features(**{name: getattr(self, name)[keep] for name in FEATURE_NAMES})


def epoch_features_name(epoch: int) -> str:
    """Return the name of the file with the features after ``epoch``."""
    return f"epoch_{epoch:05d}.npz"


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return class probabilities (n, K) of logits (n, K)."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = shifted.sum(axis=1, keepdims=True)
    return np.asarray(shifted / total)


def read_history(path: Path) -> tuple[list[list[float]], int]:
    """Return the whole lines, and how many damaged ones there are."""
    if not path.is_file():
        return [], 0
    text = path.read_bytes().decode("utf-8", errors="replace")
    rows: list[list[float]] = []
    # A crash can cut the last line, even within its last number: a line counts once its
    # end is there. What was acknowledged before it stands.
    *lines, rest = text.split("\n")[1:] or [""]
    for line in lines:
        cells = line.rstrip("\r").split(",")
        if len(cells) == len(HISTORY_COLUMNS) and cells[0].isdecimal():
            with contextlib.suppress(ValueError):
                rows.append([float(cell) if cell else float("nan") for cell in cells])
    return rows, sum(bool(line.strip()) for line in [*lines, rest]) - len(rows)
