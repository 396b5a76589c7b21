"""Open a file of torch's own format: runs in a child process only, see core/child_process.py.

Its pickle is read with ``weights_only``, which builds tensors and plain containers and nothing
else; the child adds a limit of time and memory, for what torch's reader may be made to do.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.child_process import ChildResult
from core.errors import TrainingError
from core.training.weights_file import damaged

logger = logging.getLogger(__name__)

# Where training scripts put the weights in what they save.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
_DEEPEST_WRAPPING = 3
# Layers that share their numbers are handed back apart; more than this is a trick.
_MOST_BYTES_PER_FILE_BYTE = 4


def open_in_child(payload: Mapping[str, Any]) -> ChildResult:
    """Return the arrays of the torch file at ``payload["path"]``.

    Raises
    ------
    TrainingError
        If it holds anything but tensors, or is damaged.
    """
    path = Path(payload["path"])
    try:
        # An open file, not its path: by the path torch would go by the extension.
        with path.open("rb") as file:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        logger.info("refused a weights file: %s", type(error).__name__)
        raise TrainingError(
            f"'{path.name}' holds program code and was not opened. Ask for a .safetensors file "
            "or a plain state_dict."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # torch's reader raises many kinds for a broken file
        raise damaged(path.name) from error
    tensors = _unwrapped(loaded)
    if not tensors:
        raise TrainingError(
            f"'{path.name}' is not a state_dict: it holds no layers by name. Ask for a "
            ".safetensors file or a plain state_dict."
        )
    if not all(_is_plain(value) for value in tensors.values()):
        raise TrainingError(
            f"'{path.name}' holds sparse or quantised layers, which were not opened. Ask for "
            "plain float weights."
        )
    n_bytes = sum(value.numel() * value.element_size() for value in tensors.values())
    if n_bytes > _MOST_BYTES_PER_FILE_BYTE * path.stat().st_size:
        raise damaged(path.name, "it claims more numbers than it holds")
    return ChildResult(arrays={name: _as_numpy(value) for name, value in tensors.items()})


def _unwrapped(loaded: object) -> dict[str, Tensor]:
    """Return the weights by name; empty where there are none."""
    for _ in range(_DEEPEST_WRAPPING):
        if not isinstance(loaded, dict):
            return {}
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), dict)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        return {}
    return {str(key): value.detach() for key, value in loaded.items()}


def _is_plain(value: Tensor) -> bool:
    return (
        value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
    )


def _as_numpy(value: Tensor) -> Any:  # noqa: ANN401 - an array of any number type
    # numpy has no bfloat16 and no eight-bit floats; float32 holds both exactly.
    if value.is_floating_point() and value.dtype not in (torch.float16, torch.float64):
        value = value.float()
    return value.numpy()
