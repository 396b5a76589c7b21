"""The regimes: what starts from where, and what may change while training (P1, Table 2)."""

from __future__ import annotations

from torch import nn

from core.config import TrainSettings
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
        for module in batch_norms(network):
            module.eval()


def batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Return the batch-norm layers of ``network``."""
    base = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the base class of all batch norms
    return [module for module in network.modules() if isinstance(module, base)]
