"""What a network in evaluation mode gives for slices: logits and penultimate features."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.slices import SliceSet
from core.data.split import Split
from core.progress import Event, Operation, Progress
from core.run_folder import Features
from core.training.dataset import SliceDataset, batch_bounds
from core.training.network import InputScaling, fcl_of, input_scaling


def evaluate(
    network: nn.Module,
    data: SliceDataset,
    scaling: InputScaling,
    *,
    batch: int,
    device: torch.device,
    what: str,
) -> Generator[Event, None, NDArray[np.float32]]:
    """Return logits (n, K) of every slice of ``data``, network in evaluation mode."""
    logits, _ = yield from _forward(network, None, data, scaling, batch, device, what)
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
    network: nn.Module,
    name: str,
    slices: SliceSet,
    split: Split,
    *,
    batch: int,
    device: torch.device,
) -> Operation[Features]:
    """Return penultimate features and logits of every slice of the cohort."""
    data = SliceDataset(slices, split, "all")
    logits, penultimate = yield from _forward(
        network, fcl_of(network, name), data, input_scaling(name), batch, device, "Reading features"
    )
    assert penultimate is not None
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
    network: nn.Module, pixels_NHW: Tensor, scaling: InputScaling, device: torch.device
) -> Tensor:
    logits_NK: Tensor = network(scaling.apply(pixels_NHW.to(device)))
    return logits_NK.float().cpu()


def _forward(
    network: nn.Module,
    fcl: nn.Linear | None,
    data: SliceDataset,
    scaling: InputScaling,
    batch: int,
    device: torch.device,
    what: str,
) -> Generator[Event, None, tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    seen: list[Tensor] = []
    hook = (
        fcl.register_forward_pre_hook(
            lambda _module, inputs: seen.append(inputs[0].detach().float().cpu())
        )
        if fcl
        else None
    )
    network.eval()
    logits = []
    bounds = batch_bounds(len(data), batch)
    try:
        for done, (start, stop) in enumerate(bounds):
            yield Progress(what, done, len(bounds))
            logits.append(_forward_batch(network, data.pixels_NHW[start:stop], scaling, device))
    finally:
        if hook is not None:
            hook.remove()
    n_classes = logits[0].shape[1] if logits else 0
    stacked = torch.cat(logits).numpy() if logits else np.zeros((0, n_classes), np.float32)
    return stacked, torch.cat(seen).numpy() if seen else None
