"""The small events that long operations yield; each yield is also a point to cancel at."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Progress:
    """How far an operation is.

    Attributes
    ----------
    what : str
        What is being done, in words ("Scanning oasis_slices").
    done, total : int
        Steps done and steps in all; ``total`` 0 where it is not known yet.
    """

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Notice:
    """A sentence that the user should read ("Split by slice: subjects are shared")."""

    text: str


@dataclass(frozen=True)
class RunStarted:
    """A run folder now exists at ``path``; training for ``epochs`` epochs begins."""

    path: Path
    epochs: int


@dataclass(frozen=True)
class RunMoved:
    """The run under way goes on in another folder: its own could no longer be written."""

    path: Path


@dataclass(frozen=True)
class EpochMetrics:
    """What one epoch of training gave.

    Attributes
    ----------
    epoch : int
        1 for the first epoch; 0 is the state before training.
    train_loss, validation_loss : float
        Mean cross-entropy (nat); NaN where not measured.
    train_accuracy, validation_accuracy : float
        Fractions 0..1; NaN where not measured. Training numbers are those seen
        during the epoch, validation numbers of the network in evaluation mode after it.
    learning_rate : float
        Of this epoch.
    seconds : float
        Time of this epoch, validation included.
    fc_weight : ndarray, shape (K, N), float32
        Weights of the final fully connected layer after the epoch.
    logits : ndarray, shape (n, K), float32
        Outputs of the FCL for the validation slices.
    labels : ndarray, shape (n,), int
        Their true classes.
    seconds_left : float
        Expected time until the last epoch ends.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    fc_weight: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    seconds_left: float


@dataclass(frozen=True)
class BatchDone:
    """One training batch is done.

    Attributes
    ----------
    epoch, batch, batches : int
        Epoch (from 1), batch (from 1) and batches in the epoch.
    loss : float
        Running mean cross-entropy of this epoch (nat).
    slices_per_second : float
        Training rate over this epoch.
    seconds_left : float
        Expected time until the last epoch ends; NaN until it can be told.
    learning_rate : float
        Of this epoch; NaN where not told.
    device_bytes : float
        Memory that training holds: of the GPU, or of this program on a CPU. NaN where
        it cannot be told.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    slices_per_second: float
    seconds_left: float
    learning_rate: float = math.nan
    device_bytes: float = math.nan


@dataclass(frozen=True)
class Logged:
    """A line of the run's log (``log.txt``), with its time of day, as it was written."""

    line: str


@dataclass(frozen=True)
class SweepMoved:
    """One run of a sweep has come to another state.

    Attributes
    ----------
    index : int
        Its place in the plan, from 0.
    state : str
        waiting, running, finished, stopped or failed.
    text : str
        Why it failed, or how far it is.
    """

    index: int
    state: str
    text: str = ""


Event: TypeAlias = (
    Progress | Notice | RunStarted | RunMoved | EpochMetrics | BatchDone | Logged | SweepMoved
)
T = TypeVar("T")
# A long operation: yields events, returns its result, cleans up in ``finally``.
# Closing the generator cancels it.
Operation: TypeAlias = Generator[Event, None, T]


def run_to_end(operation: Operation[T]) -> T:
    """Drive ``operation`` without looking at its events; return its result."""
    while True:
        try:
            next(operation)
        except StopIteration as stop:
            result: T = stop.value
            return result


def finished(made: T | Operation[T]) -> Operation[T]:
    """Return ``made`` as it is, or what it returns where it is an operation."""
    if isinstance(made, Generator):
        return (yield from made)
    return made
