"""What a network in evaluation mode gives for slices: logits and penultimate features."""

from __future__ import annotations

import logging
import traceback

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.progress import Notice, Operation, Progress
from core.run_folder import Features
from core.training.dataset import TrainingData, batch_bounds
from core.training.engine import Engine
from core.training.feed import Feed
from core.training.memory import is_out_of_memory
from core.training.short_memory import AtOnce

logger = logging.getLogger(__name__)


def evaluate(
    module: nn.Module,
    feed: Feed,
    rows: NDArray[np.int64],
    engine: Engine,
    *,
    batch: int,
    at_once: AtOnce,
    what: str,
) -> Operation[NDArray[np.float32]]:
    """Return logits (n, K) of ``rows``, ``module`` in evaluation mode.

    Where memory is short, a batch goes through in pieces of ``at_once``, which is then halved.
    """
    logits, _ = yield from _forward(
        module, None, feed, rows, engine, batch=batch, at_once=at_once, what=what
    )
    return logits


def mean_cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean cross-entropy (nat) of logits (n, K); NaN for no slices."""
    if not len(labels):
        return float("nan")
    return float(
        nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    )


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the fraction of slices classified right; NaN for no slices."""
    if not len(labels):
        return float("nan")
    return float((logits.argmax(axis=1) == labels).mean())


def accuracy_by_subject(features: Features) -> float:
    """Return the fraction of subjects classified right by the mean of their logits."""
    subjects, of_row = np.unique(features.subject, return_inverse=True)
    if not len(subjects):
        return float("nan")
    mean = np.zeros((len(subjects), features.logits.shape[1]))
    np.add.at(mean, of_row, features.logits)
    labels = np.zeros(len(subjects), dtype=np.int64)
    labels[of_row] = features.label
    return float((mean.argmax(axis=1) == labels).mean())


def extract_features(
    module: nn.Module,
    fcl: nn.Linear,
    feed: Feed,
    data: TrainingData,
    engine: Engine,
    *,
    batch: int,
    at_once: AtOnce,
) -> Operation[Features]:
    """Return penultimate features and logits of every slice of the cohort.

    Where memory is short, a batch goes through in pieces of ``at_once``, which is then halved.
    """
    logits, penultimate = yield from _forward(
        module,
        fcl,
        feed,
        data.all_rows,
        engine,
        batch=batch,
        at_once=at_once,
        what="Reading features",
    )
    assert penultimate is not None
    slices, split = data.slices, data.split
    return Features(
        penultimate=penultimate,
        logits=logits,
        label=split.label,
        part=split.part,
        subject=slices.subject,
        session=slices.session,
        scan=slices.scan,
        slice=slices.number,
    )


@torch.no_grad()
def _forward_batch(
    module: nn.Module,
    fcl: nn.Linear | None,
    feed: Feed,
    rows: NDArray[np.int64],
    engine: Engine,
) -> tuple[Tensor, Tensor]:
    """Return logits and, where ``fcl`` is given, what entered it, on the CPU."""
    seen: list[Tensor] = []
    inputs = feed.batch(rows)

    def look(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0].detach().float().cpu())

    # For this call only: frozen layers that run before it may pass the FCL too.
    hook = fcl.register_forward_pre_hook(look) if fcl else None
    try:
        with engine.fabric.autocast():
            logits_NK: Tensor = module(inputs)
    finally:
        if hook is not None:
            hook.remove()
    return logits_NK.float().cpu(), seen[0] if seen else torch.empty(0)


def _forward(
    module: nn.Module,
    fcl: nn.Linear | None,
    feed: Feed,
    rows: NDArray[np.int64],
    engine: Engine,
    *,
    batch: int,
    at_once: AtOnce,
    what: str,
) -> Operation[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Return logits and, where ``fcl`` is given, what entered it; batches are shared out."""
    seen: list[Tensor] = []
    logits: list[Tensor] = []
    module.eval()
    bounds = batch_bounds(len(rows), batch)
    own = bounds[engine.rank :: engine.count]
    for done, (start, stop) in enumerate(own):
        yield Progress(what, done, len(own))
        passed = None
        while passed is None:
            passed = _try_batch(module, fcl, feed, rows[start:stop], engine, at_once=at_once)
            if passed is None:  # the traceback, which held tensors, is gone by now
                yield Notice(at_once.halve(feed, engine.device, what=what))
        logits.append(passed[0])
        seen.append(passed[1])
    whole = _together(logits, own, len(rows), engine)
    return whole, _together(seen, own, len(rows), engine) if fcl else None


def _try_batch(
    module: nn.Module,
    fcl: nn.Linear | None,
    feed: Feed,
    rows: NDArray[np.int64],
    engine: Engine,
    *,
    at_once: AtOnce,
) -> tuple[Tensor, Tensor] | None:
    """Return logits and what entered ``fcl`` (nothing without it); None where memory was short."""
    # One slice more than asked for where it would be left alone, as in every batch.
    bounds = batch_bounds(len(rows), at_once.most, least=min(2, at_once.most))
    try:
        passed = [
            _forward_batch(module, fcl, feed, rows[start:stop], engine) for start, stop in bounds
        ]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # As text: what keeps the traceback keeps its tensors.
        logger.info("memory was short\n%s", traceback.format_exc())
        return None
    logits, entered = zip(*passed, strict=True)
    return torch.cat(logits), torch.cat(entered)


def _together(
    parts: list[Tensor], bounds: list[tuple[int, int]], n: int, engine: Engine
) -> NDArray[np.float32]:
    """Return the rows that all processes computed, in their order."""
    if engine.count == 1:
        return torch.cat(parts).numpy() if parts else np.zeros((0, 0), np.float32)
    width = int(engine.total(np.array([parts[0].shape[1] if parts and engine.is_first else 0]))[0])
    whole = np.zeros((n, width), np.float32)
    for (start, stop), part in zip(bounds, parts, strict=True):
        whole[start:stop] = part.numpy()
    return engine.total(whole)
