"""The regimes: what starts from where, and what may change while training (P1, Table 2)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.config import TrainSettings
from core.progress import Operation, Progress
from core.training.dataset import batch_bounds, epoch_order
from core.training.feed import Feed
from core.training.network import fcl_of


def apply_regime(network: nn.Module, settings: TrainSettings) -> list[nn.Parameter]:
    """Freeze what the regime freezes; return the parameters that learn."""
    if settings.regime == "frozen":
        network.requires_grad_(False)
        fcl_of(network, settings.network).requires_grad_(True)
    else:
        network.requires_grad_(True)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def set_training_mode(network: nn.Module, settings: TrainSettings) -> None:
    """Put the network into training mode for its regime.

    Frozen keeps batch norm in evaluation mode, so that not one running statistic or
    counter moves; dropout stays live, for the FCL learns behind it.
    """
    network.train()
    if settings.regime == "frozen" and not settings.adapt_batch_norm:
        for module in _batch_norms(network):
            module.eval()


def recompute_batch_norm(
    network: nn.Module, feed: Feed, rows: NDArray[np.int64], *, batch: int, seed: int
) -> Operation[None]:
    """Set batch norm's statistics to the plain mean over all slices of ``rows``.

    Only batch norm runs in training mode, so that no dropout draws random numbers. The
    slices come in a random order that is the same each time: in their stored order a batch
    would hold one subject, and the variance between subjects would be missed.
    """
    modules = _batch_norms(network)
    momenta = [module.momentum for module in modules]
    network.eval()
    try:
        for module in modules:
            module.reset_running_stats()
            module.momentum = None  # torch then averages all batches alike
            module.train()
        bounds = batch_bounds(len(rows), batch) if modules else []
        shuffled = rows[epoch_order(len(rows), seed, 0)]
        for done, (start, stop) in enumerate(bounds):
            yield Progress("Recomputing batch norm", done, len(bounds))
            with torch.no_grad():
                network(feed.batch(shuffled[start:stop]))
    finally:
        for module, momentum in zip(modules, momenta, strict=True):
            module.momentum = momentum
            module.eval()


def _batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    base = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the base class of all batch norms
    return [module for module in network.modules() if isinstance(module, base)]
