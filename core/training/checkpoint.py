"""What a run is continued from: everything that training changes, after each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from core import atomic_file
from core.errors import RunError
from core.run_folder import Run
from core.training.state import Training

CHECKPOINT_FILE = "resume.ckpt"


def save_network(network: nn.Module, path: Path) -> None:
    """Write every weight and buffer of ``network`` to ``path``."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with atomic_file.replacing(path) as temporary:
        safetensors.torch.save_file(state, temporary)


def load_network(network: nn.Module, path: Path) -> None:
    """Put weights and buffers of :func:`save_network` into ``network``."""
    network.load_state_dict(safetensors.torch.load_file(path))


def save_checkpoint(training: Training) -> None:
    """Write the state after the present epoch; what came before it is then acknowledged."""
    checkpoint = {
        "epoch": training.epoch,
        "network": _changing_state(training),
        "optimiser": training.optimiser.state_dict(),
        "best_accuracy": training.best_accuracy,
        "best_epoch": training.best_epoch,
        "micro_batch": training.micro_batch,
        "seconds": training.seconds,
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": (
            torch.cuda.get_rng_state(training.engine.device)
            if training.engine.device.type == "cuda"
            else None
        ),
    }
    with atomic_file.replacing(training.writer.path / CHECKPOINT_FILE) as temporary:
        torch.save(checkpoint, temporary)


def load_checkpoint(training: Training, run: Run) -> None:
    """Put the state after the last whole epoch back.

    Raises
    ------
    RunError
        If there is none, or it is damaged.
    """
    checkpoint = _read_checkpoint(run.path)
    training.network.load_state_dict(checkpoint["network"], strict=False)
    training.optimiser.load_state_dict(checkpoint["optimiser"])
    training.epoch = int(checkpoint["epoch"])
    training.best_accuracy = float(checkpoint["best_accuracy"])
    training.best_epoch = int(checkpoint.get("best_epoch", 0))
    training.micro_batch = int(checkpoint.get("micro_batch", training.micro_batch))
    training.seconds = float(checkpoint["seconds"])
    torch.set_rng_state(checkpoint["torch_rng"])
    if checkpoint["cuda_rng"] is not None and training.engine.device.type == "cuda":
        torch.cuda.set_rng_state(checkpoint["cuda_rng"], training.engine.device)
    history = run.fc_history
    for epoch, weight, bias in zip(history.epoch, history.weight, history.bias, strict=True):
        if epoch <= training.epoch:
            training.fc_epochs.append(int(epoch))
            training.fc_weights.append(weight)
            training.fc_biases.append(bias)
    training.writer.keep_history_until(training.epoch)


def put_last_epoch_back(training: Training) -> None:
    """Put the weights of the last whole epoch into the network."""
    checkpoint = _read_checkpoint(training.writer.path)
    training.network.load_state_dict(checkpoint["network"], strict=False)


def _changing_state(training: Training) -> dict[str, Tensor]:
    """Return what training can change: learning parameters and every buffer."""
    learning = {
        name for name, parameter in training.network.named_parameters() if parameter.requires_grad
    }
    buffers = {name for name, _ in training.network.named_buffers()}
    return {
        key: value.detach().cpu()
        for key, value in training.network.state_dict().items()
        if key in learning or key in buffers
    }


def _read_checkpoint(folder: Path) -> dict[str, Any]:
    try:
        checkpoint: dict[str, Any] = torch.load(
            folder / CHECKPOINT_FILE, map_location="cpu", weights_only=True
        )
    except FileNotFoundError:
        raise RunError(
            f"Run '{folder.name}' has no checkpoint: it ended before its first "
            "epoch. Train it anew."
        ) from None
    except Exception as error:
        raise RunError(
            f"The checkpoint of run '{folder.name}' is damaged. Train it anew; "
            "its curves and weights so far are kept."
        ) from error
    return checkpoint
