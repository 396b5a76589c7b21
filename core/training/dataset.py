"""Slices in memory and the order in which they are seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.slices import SliceSet
from core.data.split import Split


class SliceDataset:
    """The slices of one part, uint8 in memory; a batch is scaled on the device.

    Parameters
    ----------
    slices : SliceSet
    split : Split
    part : str
        train, validation, test; or "all".
    """

    def __init__(self, slices: SliceSet, split: Split, part: str) -> None:
        self.rows = np.arange(len(slices)) if part == "all" else split.rows_of(part)
        self.pixels_NHW = torch.from_numpy(np.ascontiguousarray(slices.pixels[self.rows]))
        self.labels_N = torch.from_numpy(split.label[self.rows])

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, order: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (pixels (N, H, W) uint8, labels (N,)) in ``order``, ``size`` at a time.

        A last batch of one slice joins the batch before it: batch norm cannot learn
        from one.
        """
        for start, stop in batch_bounds(len(order), size):
            rows = torch.from_numpy(order[start:stop])
            yield self.pixels_NHW[rows], self.labels_N[rows]


def batch_bounds(n: int, size: int) -> list[tuple[int, int]]:
    """Return the (start, stop) of each batch of ``n`` slices."""
    bounds = [(start, min(start + size, n)) for start in range(0, n, size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1:
        last = bounds.pop()
        bounds[-1] = (bounds[-1][0], last[1])
    return bounds


def epoch_order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of ``n`` slices in an epoch; the same seed and epoch give the same."""
    order: NDArray[np.int64] = np.random.default_rng([seed, 7, epoch]).permutation(n)
    return order
