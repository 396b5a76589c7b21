"""The optimiser of a training, and what it keeps of each weight."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from core.config import TrainSettings

# Of Adam's second average; its first is the setting "momentum". As in Kingma & Ba (2015).
BETA_2 = 0.999


def build_optimiser(
    learning: Iterable[nn.Parameter], settings: TrainSettings, *, learning_rate: float
) -> torch.optim.Optimizer:
    """Return the optimiser of ``settings`` for the parameters that learn.

    Weight decay is L2: with Adam too it is added to the gradient, as torch's own Adam does,
    and so scaled with it (that of AdamW is another).
    """
    if settings.optimiser == "adam":
        return torch.optim.Adam(
            learning,
            lr=learning_rate,
            betas=(settings.momentum, BETA_2),
            weight_decay=settings.weight_decay,
        )
    return torch.optim.SGD(
        learning,
        lr=learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def numbers_kept(settings: TrainSettings) -> int:
    """Return how many numbers the optimiser keeps for each weight that learns, from step to step.

    SGD keeps its momentum, where there is any; Adam the averages of the gradient
    and of its square.
    """
    if settings.optimiser == "adam":
        return 2
    return int(settings.momentum > 0)
