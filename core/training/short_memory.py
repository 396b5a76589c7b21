"""What is done where memory is short: less at once, and what to say of it."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch

from core.errors import TrainingError
from core.training.devices import give_memory_back
from core.training.feed import Feed

_OF_MEASURING = (
    "what is only measured goes through {n} slices at a time; that may change the last digits of "
    "logits and features, and nothing else."
)


@dataclass
class AtOnce:
    """How many slices go through the network at once where nothing is learned.

    Attributes
    ----------
    most : int
        A whole batch, until memory was short.
    """

    most: int

    def halve(
        self,
        feed: Feed,
        device: torch.device,
        *,
        what: str,
        least: int = 1,
        effect: str = _OF_MEASURING,
    ) -> str:
        """Let half as many go through at once, and free what can be; return what to say of it.

        ``effect`` says what that changes, with ``{n}`` for the slices at once.
        Call it outside of the ``except`` block: until that is left, the traceback holds tensors.

        Raises
        ------
        TrainingError
            If it was ``least`` at a time, or fewer, already.
        """
        free_what_can_be(device)
        if said := feed.use_less_memory():
            return said
        if self.most <= least:
            few = "one slice" if self.most == 1 else f"{self.most} slices"
            raise TrainingError(
                f"{what}: the device ran out of memory with {few} at a time. "
                "Everything up to the last whole epoch is kept. Close other programs and resume "
                "the run, or train anew with a smaller network."
            )
        self.most = (self.most + 1) // 2
        return f"{what}: the device ran out of memory. From here on, {effect.format(n=self.most)}"


def free_what_can_be(device: torch.device) -> None:
    """Free what nobody holds any more, also of what torch keeps of a GPU for later."""
    if gc.isenabled():  # else the window collects, in its own thread only
        gc.collect()
    give_memory_back(device)
