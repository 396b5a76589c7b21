"""A training under way: network, optimiser, data and what was measured so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import RunSettings
from core.run_folder import FcHistory, RunWriter
from core.training.dataset import TrainingData
from core.training.engine import Engine
from core.training.feed import Feed, FrozenFeed, SliceFeed
from core.training.network import fcl_of
from core.training.short_memory import AtOnce


@dataclass
class Training:
    """A training under way.

    Attributes
    ----------
    module : nn.Module
        What the loop runs: the network, or its last layers behind frozen ones.
    forward : callable
        ``module``, set up for the devices of ``engine``.
    step : callable
        Takes one step of ``optimiser`` there.
    feed : Feed
        Gives the input of ``module``.
    slice_feed : SliceFeed
        Gives the input of the whole network.
    micro_batch : int
        Slices that go through the network at once; fewer than a batch where memory is
        short, and gradients are then added up.
    evaluated_at_once : AtOnce
        The same where nothing is learned.
    batch_norm_at_once : AtOnce
        The same where batch norm's statistics are averaged anew.
    frozen_layers : FrozenFeed or None
        What computes the features of layers that run apart from ``module``.
    """

    settings: RunSettings
    network: nn.Module
    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    optimiser: torch.optim.Optimizer
    step: Callable[[], object]
    engine: Engine
    data: TrainingData
    feed: Feed
    slice_feed: SliceFeed
    writer: RunWriter
    micro_batch: int
    evaluated_at_once: AtOnce
    batch_norm_at_once: AtOnce
    frozen_layers: FrozenFeed | None
    epoch: int = 0
    best_accuracy: float = -1.0
    best_epoch: int = 0
    fc_epochs: list[int] = field(default_factory=list)
    fc_weights: list[NDArray[np.float32]] = field(default_factory=list)
    fc_biases: list[NDArray[np.float32]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def fcl(self) -> nn.Linear:
        """Return the final fully connected layer."""
        return fcl_of(self.network, self.settings.training.network)

    @property
    def shortened(self) -> dict[str, int]:
        """Return what the record says where memory was short: slices at once, by pass."""
        found = {
            "evaluated_at_once": self.evaluated_at_once.most,
            "batch_norm_at_once": self.batch_norm_at_once.most,
        }
        if self.frozen_layers is not None:
            found["frozen_at_once"] = self.frozen_layers.size
        return {name: most for name, most in found.items() if most < self.settings.batch}

    def record_fcl(self) -> None:
        """Keep the FCL as it is now, as that of the present epoch, also on disk."""
        self.keep_fcl()
        self.write_fcl()

    def keep_fcl(self) -> None:
        """Keep the FCL as it is now, as that of the present epoch."""
        self.fc_epochs.append(self.epoch)
        self.fc_weights.append(self.fcl.weight.detach().cpu().numpy().copy())
        self.fc_biases.append(self.fcl.bias.detach().cpu().numpy().copy())

    def write_fcl(self) -> None:
        """Write the FCL of every epoch so far."""
        self.writer.write_fc_history(
            FcHistory(np.array(self.fc_epochs), np.stack(self.fc_weights), np.stack(self.fc_biases))
        )
