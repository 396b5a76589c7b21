"""Batch norm's statistics over all training slices, where the running ones lag behind."""

from __future__ import annotations

import logging
import traceback

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.progress import Notice, Operation, Progress
from core.training.dataset import batch_bounds, epoch_order
from core.training.engine import Engine
from core.training.feed import Feed
from core.training.memory import is_out_of_memory
from core.training.regime import batch_norms
from core.training.short_memory import AtOnce

logger = logging.getLogger(__name__)

_EFFECT = (
    "its statistics are means over batches of {n} slices: where slices differ much they come out "
    "smaller, and accuracy may change."
)


def recompute_batch_norm(
    network: nn.Module,
    feed: Feed,
    rows: NDArray[np.int64],
    engine: Engine,
    *,
    at_once: AtOnce,
    batch: int,
    seed: int,
) -> Operation[None]:
    """Set batch norm's statistics to the plain mean over all slices of ``rows``.

    Only batch norm runs in training mode, so that no dropout draws random numbers. The
    slices come in a random order that is the same each time: in their stored order a batch
    would hold one subject, and the variance between subjects would be missed. Where memory is
    short it begins anew with half a ``batch``; in fewer, too little of that variance is left.

    Raises
    ------
    TrainingError
        If half a batch at once does not fit in memory.
    """
    while True:
        try:
            yield from _average_batches(network, feed, rows, batch=at_once.most, seed=seed)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            logger.info("memory was short\n%s", traceback.format_exc())
        else:
            break
        least = max(2, (batch + 1) // 2)
        what = "Recomputing batch norm"
        yield Notice(at_once.halve(feed, engine.device, what=what, least=least, effect=_EFFECT))
    _take_those_of_the_first(network, engine)


def _take_those_of_the_first(network: nn.Module, engine: Engine) -> None:
    """Let all processes have the statistics of the first, whose network is kept.

    They are the same, unless memory was short in one of them.
    """
    if engine.count == 1:
        return
    for module in batch_norms(network):
        for buffer in (module.running_mean, module.running_var):
            if buffer is not None:
                values = buffer.cpu().numpy()
                found = engine.total(values if engine.is_first else np.zeros_like(values))
                buffer.copy_(torch.from_numpy(found))


def _average_batches(
    network: nn.Module, feed: Feed, rows: NDArray[np.int64], *, batch: int, seed: int
) -> Operation[None]:
    modules = batch_norms(network)
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
