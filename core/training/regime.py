"""The regimes: what starts from where, and what may change while training (P1, Table 2)."""

from __future__ import annotations

import torch
from torch import nn

from core.config import TrainSettings
from core.progress import Operation, Progress
from core.training.dataset import SliceDataset, batch_bounds, epoch_order
from core.training.network import InputScaling, fcl_of


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
    network: nn.Module, data: SliceDataset, scaling: InputScaling, *, batch: int, seed: int
) -> Operation[None]:
    """Set batch norm's statistics to the plain mean over all slices of ``data``.

    Only batch norm runs in training mode, so that no dropout draws random numbers. The
    slices come in a random order that is the same each time: in their stored order a batch
    would hold one subject, and the variance between subjects would be missed.
    """
    modules = _batch_norms(network)
    device = next(network.parameters()).device
    momenta = [module.momentum for module in modules]
    network.eval()
    try:
        for module in modules:
            module.reset_running_stats()
            module.momentum = None  # torch then averages all batches alike
            module.train()
        total = len(batch_bounds(len(data), batch)) if modules else 0
        batches = data.batches(epoch_order(len(data), seed, 0), batch) if modules else ()
        for done, (pixels_NHW, _) in enumerate(batches):
            yield Progress("Recomputing batch norm", done, total)
            with torch.no_grad():
                network(scaling.apply(pixels_NHW.to(device)))
    finally:
        for module, momentum in zip(modules, momenta, strict=True):
            module.momentum = momentum
            module.eval()


def _batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    base = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the base class of all batch norms
    return [module for module in network.modules() if isinstance(module, base)]
