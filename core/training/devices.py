"""Choose the device and say what it is."""

from __future__ import annotations

from typing import Literal

import torch

from core.errors import TrainingError


def choose_device(wanted: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """Return the device to train on.

    Raises
    ------
    TrainingError
        If a GPU is asked for and none can be used.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if wanted == "mps":
        if not torch.backends.mps.is_available():
            raise TrainingError("This is no Apple GPU that torch can use. Choose the device 'cpu'.")
        return torch.device("mps")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise TrainingError("No GPU can be used: " + _why_no_gpu() + " Choose the device 'cpu'.")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def describe_device(device: torch.device) -> str:
    """Return the device in words: the GPU's name, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return "this is a CPU build of torch."
    return "torch found no NVIDIA GPU with a working driver."
