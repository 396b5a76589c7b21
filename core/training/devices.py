"""Choose the device and say what it is."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Literal

import torch

from core.errors import TrainingError
from core.training.gpu_check import is_worth_telling, why_not_cuda


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
    reason = why_not_cuda()
    if not reason:
        return torch.device("cuda")
    if wanted == "cuda":
        raise TrainingError(f"No GPU can be used: {reason} Choose the device 'cpu'.")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def passed_over(wanted: str) -> str:
    """Return what to say where a GPU is there and is not used; empty where all is as usual."""
    reason = why_not_cuda() if wanted == "auto" else ""
    if not is_worth_telling(reason):
        return ""
    return f"Training runs on the CPU. There is a GPU, but {reason}"


def is_device_fault(error: BaseException) -> bool:
    """Tell whether a GPU stopped working: nothing can be computed on it in this process."""
    return isinstance(error, RuntimeError) and any(
        word in str(error) for word in ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "HIP error")
    )


def describe_device(device: torch.device) -> str:
    """Return the device in words: the GPU's name, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"CPU, {torch.get_num_threads()} threads"


def bytes_in_use(device: torch.device) -> float:
    """Return the memory that training holds: of the GPU, or of this program on a CPU.

    Of a GPU with what torch keeps ready: between two batches the rest is next to nothing.
    NaN where the system does not tell it.
    """
    if device.type == "cuda":
        return float(torch.cuda.memory_reserved(device))
    if device.type == "mps":
        return float(torch.mps.driver_allocated_memory())
    return _resident_bytes()


def give_memory_back(device: torch.device) -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


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
