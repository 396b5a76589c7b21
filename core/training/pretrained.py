"""Pretrained weights: from a local file, an earlier run, or torchvision's cache; never code."""

from __future__ import annotations

import json
import logging
import pickle
import struct
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from core.config import NETWORK_TITLES
from core.errors import TrainingError
from core.run_folder import is_run
from core.training.network import FCL_NAMES
from core.training.torchvision_gateway import models

logger = logging.getLogger(__name__)

# The weights of torchvision's first recipe, closest to those of the paper's time.
_ENTRIES = {
    "resnet101": models.ResNet101_Weights.IMAGENET1K_V1,
    "googlenet": models.GoogLeNet_Weights.IMAGENET1K_V1,
    "vgg19": models.VGG19_Weights.IMAGENET1K_V1,
}


def find_weights(network: str, asked: str) -> Path:
    """Return the file that holds the pretrained weights.

    Parameters
    ----------
    network : str
    asked : str
        A file or a run folder; empty for torchvision's cache.

    Raises
    ------
    TrainingError
        If there is no such file, with where to get it and where to put it.
    """
    if asked:
        path = Path(asked).expanduser()
        if is_run(path):
            path = path / "network.safetensors"
        if not path.is_file():
            raise TrainingError(f"There is no weights file '{path}'. Check the name.")
        return path
    entry = _ENTRIES.get(network)
    if entry is None:
        raise TrainingError(
            "The custom CNN has no ImageNet weights: choose the regime 'scratch', "
            "or name an earlier run of it as the weights."
        )
    cache = Path(str(torch.hub.get_dir())) / "checkpoints"
    url = str(entry.url)
    path = cache / url.rsplit("/", 1)[-1]
    if not path.is_file():
        raise TrainingError(
            f"The ImageNet weights of {NETWORK_TITLES[network]} are not on this machine. Fetch "
            f"{url} with a browser, put it into '{path.parent}' or give it as the weights "
            "file (--weights), and start again. The regime 'scratch' needs no weights."
        )
    return path


def from_imagenet(asked: str) -> bool:
    """Tell whether weights are torchvision's, so that GoogLeNet rescales its input for them."""
    if not asked:
        return True
    path = Path(asked).expanduser()
    if not is_run(path):
        return True
    record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    return bool(record.get("transform_input", False))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a weights file by its content: safetensors, or torch's own format without code.

    Raises
    ------
    TrainingError
        If it holds program code, is damaged, or is of another kind.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[:2] == b"PK":
            return _load_torch(path)
        if (
            len(head) == 9
            and head[8:9] == b"{"
            and struct.unpack("<Q", head[:8])[0] < path.stat().st_size
        ):
            loaded: dict[str, Tensor] = safetensors.torch.load_file(path)
            return loaded
    except (OSError, safetensors.SafetensorError) as error:
        raise TrainingError(
            f"The weights file '{path.name}' is damaged or incomplete. Fetch it again."
        ) from error
    raise TrainingError(
        f"'{path.name}' is no weights file that this program reads. Ask for a "
        ".safetensors file, or a state_dict saved by torch 1.6 or later."
    )


def put_weights(network: nn.Module, name: str, weights: dict[str, Tensor], source: str) -> None:
    """Put pretrained weights into all layers but the FCL.

    Raises
    ------
    TrainingError
        If they are those of another network.
    """
    fcl = FCL_NAMES[name] + "."
    wanted = {key for key in network.state_dict() if not key.startswith(fcl)}
    # GoogLeNet's ImageNet file also holds two auxiliary heads, which we leave off.
    given = {key: value for key, value in weights.items() if key in wanted}
    state = network.state_dict()
    wrong = sorted(wanted - set(given)) + sorted(
        key for key in given if given[key].shape != state[key].shape
    )
    # Old files lack the batch counters, which only momentum=None would use.
    wrong = [key for key in wrong if not key.endswith("num_batches_tracked")]
    if wrong:
        raise TrainingError(
            f"'{source}' does not hold weights of {NETWORK_TITLES[name]}: layer "
            f"'{wrong[0]}' is missing or of another size. Choose its own file."
        )
    network.load_state_dict(given, strict=False)


def _load_torch(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            if not stored or sum(m.file_size for m in members) > 1.2 * path.stat().st_size:
                raise TrainingError(
                    f"'{path.name}' is compressed in a way that weights never "
                    "are, and was not opened. Fetch it from its source again."
                )
            damaged = archive.testzip()
        if damaged is not None:
            raise TrainingError(f"The weights file '{path.name}' is damaged. Fetch it again.")
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        logger.info("refused a weights file: %s", type(error).__name__)
        raise TrainingError(
            f"'{path.name}' holds program code and was not opened. Ask for a "
            ".safetensors file or a plain state_dict."
        ) from None
    except (RuntimeError, EOFError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(
            f"The weights file '{path.name}' is damaged or incomplete. Fetch it again."
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise TrainingError(
            f"'{path.name}' holds no state_dict. Ask for a .safetensors file or a plain state_dict."
        )
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}
