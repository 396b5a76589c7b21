"""Features of a frozen backbone, computed once and kept in the cohort's folder.

Everything here may be deleted at any time: it is then computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import traceback
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core import array_file, atomic_file
from core.array_file import ArrayFileError
from core.config import RunSettings
from core.progress import Notice, Operation, Progress
from core.training.augmentation import augmentation_of
from core.training.dataset import TrainingData
from core.training.engine import Engine
from core.training.feed import FeatureFeed, Feed, FrozenFeed
from core.training.memory import is_out_of_memory
from core.training.network import FCL_NAMES
from core.training.short_memory import AtOnce
from core.training.torchvision_gateway import torchvision

logger = logging.getLogger(__name__)

_FOLDER = "features"
_VERSION = 1
_BLOCK = 1 << 24


def prepare_features(
    live: FrozenFeed,
    settings: RunSettings,
    network: nn.Module,
    data: TrainingData,
    engine: Engine,
    cohort_folder: Path,
) -> Operation[Feed]:
    """Return the features of all slices, from the cohort's folder where it holds them.

    With random augmentation, or where the user wants it, they stay live: each batch is
    then computed as it comes. Both give the same bits.

    Where memory is short, ``live`` takes half as many slices at once, and all features are
    computed anew: those of another size may differ in their last digit, so that they are also
    kept under another name.
    """
    if augmentation_of(settings) is not None or not settings.training.cache_features:
        return live
    if not engine.is_first:
        live.size = _size_of_first(live, engine)
    yield Progress("Looking for features of the frozen layers")
    features = None
    while features is None:
        path = cohort_folder / _FOLDER / f"{_key(settings, network, data, live, engine)}.npz"
        features = _read(path, len(data))
        if features is None:
            features = yield from _compute(live, len(data), engine)
            if features is not None and engine.is_first:
                yield from _keep(path, features)
    if engine.is_first:
        _size_of_first(live, engine)
    return FeatureFeed(torch.from_numpy(features), engine.device)


def _size_of_first(live: FrozenFeed, engine: Engine) -> int:
    """Wait for all processes; return how many slices the first one takes at once."""
    return int(engine.total(np.array([live.size if engine.is_first else 0]))[0])


def _compute(live: FrozenFeed, n: int, engine: Engine) -> Operation[NDArray[np.float32] | None]:
    """Return the features of all ``n`` slices; None where memory was short."""
    try:
        return (yield from live.compute_all(n)).numpy()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # As text: what keeps the traceback keeps its tensors.
        logger.info("memory was short\n%s", traceback.format_exc())
    yield Notice(AtOnce(1).halve(live, engine.device, what="Running the frozen layers"))
    return None


def _keep(path: Path, features: NDArray[np.float32]) -> Operation[None]:
    try:
        _write(path, features)
    except OSError as error:
        yield Notice(
            f"The features of the frozen layers could not be kept ({error.strerror}): "
            "the next run computes them again."
        )


def _key(
    settings: RunSettings,
    network: nn.Module,
    data: TrainingData,
    live: FrozenFeed,
    engine: Engine,
) -> str:
    """Return a name for all that the features depend on."""
    digest = hashlib.sha256()
    name = settings.training.network
    facts = {
        "version": _VERSION,
        "network": name,
        "transform_input": bool(getattr(network, "transform_input", False)),
        "batch": live.size,
        "precision": settings.training.precision,
        "device": engine.device.type,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "shape": list(data.pixels.shape),
        "threads": torch.get_num_threads() if engine.device.type == "cpu" else 0,
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for key, value in network.state_dict().items():
        if not key.startswith(FCL_NAMES[name]):
            digest.update(key.encode())
            _add(digest, value.cpu().contiguous().numpy())
    _add(digest, data.pixels.numpy())
    return digest.hexdigest()[:24]


def _add(digest: hashlib._Hash, array: NDArray[np.generic]) -> None:
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, len(flat), _BLOCK):
        digest.update(flat[start : start + _BLOCK].data)


def _read(path: Path, n: int) -> NDArray[np.float32] | None:
    try:
        (features,) = array_file.read_arrays(path, ("features",))
    except FileNotFoundError:
        return None
    except (OSError, ArrayFileError):
        logger.warning("stored features are damaged and are computed again")
        return None
    is_whole = len(features) == n and features.dtype == np.float32
    return features if is_whole else None


def _write(path: Path, features: NDArray[np.float32]) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
        array_file.write_arrays(file, {"features": features})
