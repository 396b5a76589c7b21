"""Tell whether torchrun or SLURM started this process as one of several."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """How many processes were started, and which one this is.

    Attributes
    ----------
    rank : int
        0 for the first process, which writes.
    count : int
    nodes : int
        Machines; each has ``count // nodes`` processes.
    """

    rank: int
    count: int
    nodes: int

    @property
    def of_each_node(self) -> int:
        """Return the processes of each machine."""
        return self.count // self.nodes


def outer_launch() -> Launch | None:
    """Return how this process was started, or None if it was started by itself.

    torchrun says it in ``RANK``, ``WORLD_SIZE`` and ``LOCAL_WORLD_SIZE``; SLURM's ``srun``
    in ``SLURM_PROCID``, ``SLURM_NTASKS`` and ``SLURM_NNODES``.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        count = _number("WORLD_SIZE")
        nodes = count // _number("LOCAL_WORLD_SIZE", count)
        return Launch(_number("RANK", 0), count, nodes) if count > 1 else None
    count = _number("SLURM_NTASKS")
    # An interactive shell inside an allocation is one process, whatever was allocated.
    is_shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if "SLURM_PROCID" not in os.environ or count < 2 or is_shell:
        return None
    return Launch(_number("SLURM_PROCID", 0), count, _number("SLURM_NNODES"))


def _number(name: str, default: int = 1) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else default
