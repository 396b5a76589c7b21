"""What is done where memory is short: less at once, and what to say of it."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch

from core.errors import TrainingError
from core.training.devices import give_memory_back
from core.training.feed import Feed

_COUNTED = {1: "one slice", 2: "two slices"}


@dataclass
class AtOnce:
    """How many slices go through the network at once where nothing is learned.

    Attributes
    ----------
    most : int
        A whole batch, until memory was short.
    """

    most: int

    def halve(self, feed: Feed, device: torch.device, *, what: str, least: int = 1) -> str:
        """Let half as many go through at once, and free what can be; return what to say of it.

        Call it outside of the ``except`` block: until that is left, the traceback holds tensors.

        Raises
        ------
        TrainingError
            If it was ``least`` at a time already.
        """
        free_what_can_be(device)
        if said := feed.use_less_memory():
            return said
        if self.most <= least:
            raise TrainingError(
                f"{what}: the device ran out of memory with {_COUNTED[least]} at a time. "
                "Everything up to the last whole epoch is kept. Close other programs and resume "
                "the run, or train anew with a smaller network."
            )
        self.most = (self.most + 1) // 2
        return (
            f"{what}: the device ran out of memory. From here on, what is only measured goes "
            f"through {self.most} slices at a time; that may change the last digits of logits and "
            "features, recomputed batch-norm statistics, and nothing else."
        )


def free_what_can_be(device: torch.device) -> None:
    """Free what nobody holds any more, also of what torch keeps of a GPU for later."""
    if gc.isenabled():  # else the window collects, in its own thread only
        gc.collect()
    give_memory_back(device)
