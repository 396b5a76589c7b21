"""Choose the device and say what it is."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
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


def bytes_in_use(device: torch.device) -> float:
    """Return the memory that training holds: of the GPU, or of this program on a CPU.

    NaN where the system does not tell it.
    """
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return float(torch.mps.current_allocated_memory())
    return _resident_bytes()


def _resident_bytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return _peak_resident_bytes()
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def _peak_resident_bytes() -> float:
    """Return the most that this program has held: macOS tells no more without other packages."""
    system: str = sys.platform
    if system != "darwin":
        return math.nan
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return "this is a CPU build of torch."
    return "torch found no NVIDIA GPU with a working driver."
