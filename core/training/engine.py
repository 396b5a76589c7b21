"""Where the network runs: one device, several GPUs, or several machines, by Lightning Fabric.

Every process ("rank") runs the same loop on its share of each batch; the first one writes.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import TrainSettings
from core.errors import TrainingError
from core.training.devices import choose_device
from core.training.launch import outer_launch
from core.training.synced_batch_norm import sync_batch_norm

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
# Who takes part is told in our own words, by the device in the record.
for _name in ("lightning_fabric", "lightning.fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# The first process may cut the slices of a whole cohort while the others wait for it.
_PATIENCE = timedelta(hours=6)
_GLOO_REST_SECONDS = 0.5


class Engine:
    """The devices of one training, seen from one of its processes.

    Parameters
    ----------
    settings : TrainSettings
        ``device``, ``devices``, ``nodes``, ``precision`` and ``deterministic`` count.
    place : Mapping, optional
        Address and port of the first process and this one's rank, where this program
        started the processes itself; torchrun and SLURM say it in the environment.

    Raises
    ------
    TrainingError
        If the device or that many devices cannot be used.
    """

    def __init__(self, settings: TrainSettings, place: Mapping[str, Any] | None = None) -> None:
        device = choose_device(settings.device)
        if settings.precision == "16" and device.type == "cpu":
            # Fabric would take bf16 in its place, and the record would not tell the truth.
            raise TrainingError(
                "16 bit is for GPUs: a CPU has bf16 only. Choose 32 bit, or bf16 where it was "
                "measured to be faster."
            )
        self._was_deterministic = torch.are_deterministic_algorithms_enabled()
        if settings.deterministic and device.type == "cuda":
            # cuBLAS reads this when its first handle is made.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        self.settings = settings
        launch = outer_launch() if place is None else None
        self._nodes = launch.nodes if launch else 1
        self._of_each_node = launch.of_each_node if launch else settings.devices
        self._count = self._nodes * self._of_each_node
        self._is_parallel = self._count > 1
        self._place = place
        try:
            self.fabric = self._make_fabric(device)
        except Exception as error:  # Fabric raises its own and torch's kinds
            raise TrainingError(
                f"{self._of_each_node} devices of kind '{device.type}' cannot be used: {error} "
                "Choose fewer devices, or the device 'cpu'."
            ) from error

    def _make_fabric(self, device: torch.device) -> Fabric:
        if not self._is_parallel:
            return Fabric(
                accelerator=device.type,
                devices=1,
                precision=PRECISIONS[self.settings.precision],  # type: ignore[arg-type]
            )
        environment = _OwnRanks(self._place) if self._place else None
        strategy = DDPStrategy(
            cluster_environment=environment,
            timeout=_PATIENCE,
            process_group_backend="nccl" if device.type == "cuda" else "gloo",
        )
        return Fabric(
            accelerator=device.type,
            devices=self._of_each_node,
            num_nodes=self._nodes,
            strategy=strategy,
            precision=PRECISIONS[self.settings.precision],  # type: ignore[arg-type]
        )

    def launch(self) -> None:
        """Meet the other processes; nothing to do on one device."""
        self.fabric.launch()

    @property
    def device(self) -> torch.device:
        """Return this process's device."""
        return self.fabric.device

    @property
    def is_deterministic(self) -> bool:
        """Tell whether the same run gives the same bits again; on an Apple GPU nothing does."""
        kind = self.device.type
        return kind == "cpu" or (kind == "cuda" and self.settings.deterministic)

    @property
    def uses_tf32(self) -> bool:
        """Tell whether convolutions in 32 bit are rounded to TF32: torch's default on NVIDIA."""
        return self.device.type == "cuda" and bool(torch.backends.cudnn.allow_tf32)

    @property
    def scaling(self) -> dict[str, Any]:
        """The scale of gradients that 16 bit needs, to go on with; empty for others."""
        return dict(self.fabric.strategy.precision.state_dict())

    def set_scaling(self, state: dict[str, Any]) -> None:
        """Go on with the scale of gradients of :attr:`scaling`."""
        if state:
            self.fabric.strategy.precision.load_state_dict(state)

    @property
    def rank(self) -> int:
        """Return this process's number, 0 for the one that writes."""
        return int(self.fabric.global_rank) if self._is_parallel else 0

    @property
    def is_first(self) -> bool:
        """Tell whether this process writes."""
        return self.rank == 0

    @property
    def count(self) -> int:
        """Return the number of processes."""
        return self._count

    def set_up(
        self, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[], object]]:
        """Return ``module`` and the optimiser's step, ready to be used here.

        The weights are the first process's. The step undoes the scaling of gradients that
        16-bit precision needs.

        Batch norm takes its statistics over the whole batch, not over each share of it,
        so that several devices give what one gives.
        """
        if self._is_parallel:
            sync_batch_norm(module)
        with warnings.catch_warnings():
            # Fabric asks for a sampler of its own; our batches are shared out by hand.
            warnings.simplefilter("ignore")
            wrapped, stepping = self.fabric.setup(module, optimiser, move_to_device=True)
        return wrapped, stepping.step

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``; with several devices their mean over all of them."""
        self.fabric.backward(loss)

    def share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this process's share of the rows of a batch."""
        if not self._is_parallel:
            return rows
        return np.array_split(rows, self.count)[self.rank]

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of ``values`` over all processes."""
        if not self._is_parallel:
            return values
        summed = self.fabric.all_reduce(
            torch.from_numpy(np.ascontiguousarray(values)).to(self.device), reduce_op="sum"
        )
        return np.asarray(summed.cpu().numpy())  # type: ignore[union-attr]

    def wait_for_all(self) -> None:
        """Wait until every process is here."""
        if self._is_parallel:
            self.fabric.barrier()

    def close(self) -> None:
        """Leave the other processes, so that another training can begin."""
        if self._is_parallel and torch.distributed.is_initialized():
            # gloo's threads still drop the tensors of the last sums, for which they need
            # Python's lock. Who frees the group then, and holds that lock, waits for ever.
            time.sleep(_GLOO_REST_SECONDS)
            torch.distributed.destroy_process_group()
        torch.use_deterministic_algorithms(self._was_deterministic)


class _OwnRanks(LightningEnvironment):
    """Processes that this program started itself."""

    def __init__(self, place: Mapping[str, Any]) -> None:
        super().__init__()
        self._of_place = dict(place)

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return str(self._of_place["address"])

    @property
    def main_port(self) -> int:
        return int(self._of_place["port"])

    def world_size(self) -> int:
        return int(self._of_place["count"])

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return int(self._of_place["rank"])

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return int(self._of_place["rank"])

    def node_rank(self) -> int:
        return 0
