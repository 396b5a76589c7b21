"""Slices in memory and the order in which they are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.slices import SliceSet
from core.data.split import Split


class TrainingData:
    """All slices of a training, uint8 in memory, with class and part of each.

    Parameters
    ----------
    slices : SliceSet
    split : Split

    Attributes
    ----------
    pixels : Tensor, shape (n, H, W), uint8
        Or (n, D, H, W): cubes.
    labels : Tensor, shape (n,), int
    """

    def __init__(self, slices: SliceSet, split: Split) -> None:
        self.slices = slices
        self.split = split
        self.pixels = torch.from_numpy(np.array(slices.pixels))
        self.labels = torch.from_numpy(split.label)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def all_rows(self) -> NDArray[np.int64]:
        """Return the rows of every slice."""
        return np.arange(len(self))

    def name_of(self, row: int) -> str:
        """Return what a person calls a slice: its scan and number."""
        scan = str(self.slices.scan[row])
        return scan if self.slices.are_cubes else f"{scan} slice {self.slices.number[row]}"


@dataclass(frozen=True)
class Drawn:
    """Slices in the order in which training sees them.

    Attributes
    ----------
    rows : ndarray, shape (n,), int
    repeats : ndarray, shape (n,), int
        How often each slice came before in the same epoch: 0, but for balanced sampling.
    """

    rows: NDArray[np.int64]
    repeats: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: slice | NDArray[np.int64]) -> Drawn:
        return Drawn(self.rows[places], self.repeats[places])


def draws_of(order: NDArray[np.int64]) -> Drawn:
    """Return the rows of an epoch's ``order``, and how often each of them came before."""
    by_row = np.argsort(order, kind="stable")
    ascending = order[by_row]
    repeats = np.empty(len(order), np.int64)
    repeats[by_row] = np.arange(len(order)) - np.searchsorted(ascending, ascending)
    return Drawn(order, repeats)


def batch_bounds(n: int, size: int, *, least: int = 2) -> list[tuple[int, int]]:
    """Return the (start, stop) of each batch of ``n`` slices.

    A last batch of fewer than ``least`` slices joins the one before it: batch norm cannot
    learn from one, and no device may be left without any.
    """
    bounds = [(start, min(start + size, n)) for start in range(0, n, size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < least:
        last = bounds.pop()
        bounds[-1] = (bounds[-1][0], last[1])
    return bounds


def epoch_order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of ``n`` slices in an epoch; the same seed and epoch give the same."""
    order: NDArray[np.int64] = np.random.default_rng([seed, 7, epoch]).permutation(n)
    return order


def balanced_order(labels: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return as many draws as there are slices, each class equally often.

    A small class is gone through again and again, a large one not to its end; within a
    class no slice is drawn a second time before each has been drawn once.
    """
    rng = np.random.default_rng([seed, 13, epoch])
    classes = np.unique(labels)
    counts = np.full(len(classes), len(labels) // len(classes))
    counts[: len(labels) - counts.sum()] += 1
    drawn = []
    for k, count in zip(classes, counts, strict=True):
        rows = np.flatnonzero(labels == k)
        rounds = [rng.permutation(rows) for _ in range(-(-int(count) // len(rows)))]
        drawn.append(np.concatenate(rounds)[:count])
    order: NDArray[np.int64] = rng.permutation(np.concatenate(drawn))
    return order
