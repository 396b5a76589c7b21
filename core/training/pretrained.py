"""Pretrained weights: from a local file, an earlier run, or torchvision's cache; never code."""

from __future__ import annotations

from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from core.child_process import ChildError, run_in_child
from core.config import NETWORK_TITLES
from core.errors import TrainingError
from core.run_folder import is_run, read_record
from core.training import weights_names
from core.training.network import FCL_NAMES
from core.training.torchvision_gateway import models
from core.training.weights_download import by_hand
from core.training.weights_entry import WeightsEntry
from core.training.weights_file import check_weights_file, damaged

# The first of each network is the one taken by default: torchvision's first recipe is
# closest to the weights of the paper's time.
_ENUMS = {
    "resnet101": ("resnet101", models.ResNet101_Weights.IMAGENET1K_V1),
    "resnet101-v2": ("resnet101", models.ResNet101_Weights.IMAGENET1K_V2),
    "googlenet": ("googlenet", models.GoogLeNet_Weights.IMAGENET1K_V1),
    "vgg19": ("vgg19", models.VGG19_Weights.IMAGENET1K_V1),
}
_RUN_WEIGHTS = "network.safetensors"
# To open a file: torch's own start on a slow disk, then a rate that any disk has.
_START_SECONDS = 60.0
_BYTES_PER_SECOND = 10e6
_SPARE_BYTES = 256 * 1024**2


def weights_entries() -> dict[str, WeightsEntry]:
    """Return torchvision's weights files for our networks, by the name for the terminal."""
    return {name: _entry(name, network, member) for name, (network, member) in _ENUMS.items()}


def _entry(name: str, network: str, member: models.WeightsEnum) -> WeightsEntry:
    return WeightsEntry(
        name=name,
        network=network,
        title=NETWORK_TITLES[network] + (" (second recipe)" if name.endswith("-v2") else ""),
        version=member.name,
        url=str(member.url),
        megabytes=float(member.meta["_file_size"]),
    )


def find_entry(network: str, asked: str = "") -> WeightsEntry | None:
    """Return torchvision's weights of a network; ``asked`` may name a version of them."""
    for entry in weights_entries().values():
        if entry.network == network and asked in ("", entry.version):
            return entry
    return None


def is_version(asked: str) -> bool:
    """Tell whether what was asked for is a version of torchvision's weights, not a file."""
    return asked in {member.name for _, member in _ENUMS.values()}


def weights_folder() -> Path:
    """Return torchvision's cache (``TORCH_HOME`` moves it)."""
    return Path(str(torch.hub.get_dir())) / "checkpoints"


def find_weights(network: str, asked: str) -> Path:
    """Return the file that holds the pretrained weights.

    Parameters
    ----------
    network : str
    asked : str
        A file, a run folder, or a version such as ``IMAGENET1K_V2``; empty for the usual one
        in torchvision's cache.

    Raises
    ------
    TrainingError
        If there is no such file, with where to get it and where to put it.
    """
    if asked and not is_version(asked):
        return _local_file(Path(asked).expanduser())
    title = NETWORK_TITLES[network]
    entry = find_entry(network, asked)
    if entry is None and asked:
        raise TrainingError(f"{title} has no weights {asked}. Leave the weights file empty.")
    if entry is None:
        raise TrainingError(
            f"The {title} has no ImageNet weights: choose the regime 'scratch', "
            "or name an earlier run of it as the weights."
        )
    path = weights_folder() / entry.file_name
    if not path.is_file():
        raise TrainingError(
            f"The ImageNet weights of {title} are not on this machine. Press Download in the "
            f"Train place, or type: mri-fcl weights --download {entry.name}. Without a network: "
            f"{by_hand(entry, path.parent)} The regime 'scratch' needs no weights."
        )
    return path


def _local_file(path: Path) -> Path:
    if is_run(path):
        own = path / _RUN_WEIGHTS
        if not own.is_file():
            raise TrainingError(
                f"Run '{path.name}' has no weights to start from: its {_RUN_WEIGHTS} is missing, "
                "and other files in it were not opened. Choose a finished run."
            )
        return own
    if path.is_dir():
        raise TrainingError(
            f"'{path.name}' is a folder, but no run. Choose a weights file, or the folder of a run."
        )
    if not path.is_file():
        raise TrainingError(f"There is no weights file '{path}'. Check the name.")
    return path


def from_imagenet(asked: str) -> bool:
    """Tell whether weights are torchvision's, so that GoogLeNet rescales its input for them."""
    if not asked or is_version(asked):
        return True
    path = Path(asked).expanduser()
    if not is_run(path):
        return True
    return bool(read_record(path).get("transform_input", False))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a weights file by its content: safetensors, or torch's own format without code.

    What torch saved is opened in a child process with limits; see :mod:`core.child_process`.

    Returns
    -------
    dict of str to Tensor
        By layer, without the prefixes of wrappers ("module.").

    Raises
    ------
    TrainingError
        If it holds program code, is damaged, or is of another kind.
    """
    if check_weights_file(path) == "safetensors":
        loaded = _load_safetensors(path)
    else:
        loaded = _load_in_child(path)
    return {weights_names.plain_name(name): value for name, value in loaded.items()}


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        # Whole, not mapped: a drive that vanishes under a mapped file ends the program.
        loaded: dict[str, Tensor] = safetensors.torch.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise damaged(path.name) from error
    return loaded


def _load_in_child(path: Path) -> dict[str, Tensor]:
    size = path.stat().st_size
    try:
        opened = run_in_child(
            "open-weights",
            {"path": str(path.absolute())},
            seconds=_START_SECONDS + size / _BYTES_PER_SECOND,
            # Once as torch holds it, once as it is handed over (half floats are widened).
            memory_bytes=4 * size + _SPARE_BYTES,
        )
    except ChildError as error:
        if error.reason == "memory":
            raise damaged(path.name, "it claims far more than it holds") from error
        raise TrainingError(
            f"The weights file '{path.name}' was not opened: {str(error).lower()} Fetch it again "
            "from its source, or ask for a .safetensors file."
        ) from error
    return {name: torch.from_numpy(array) for name, array in opened.arrays.items()}


def put_weights(
    network: nn.Module, name: str, weights: dict[str, Tensor], source: str
) -> list[str]:
    """Put pretrained weights into all layers but the FCL.

    Returns
    -------
    list of str
        What was left off or replaced, in sentences for the user.

    Raises
    ------
    TrainingError
        If they are those of another network, or hold values that are not finite.
    """
    state, fcl = network.state_dict(), FCL_NAMES[name] + "."
    weights = _without_common_prefix(weights, state)
    # Old files lack the batch counters, which only momentum=None would use.
    needed = {
        key for key in state if not key.startswith(fcl) and not key.endswith("num_batches_tracked")
    }
    given = {k: v for k, v in weights.items() if k in state and not k.startswith(fcl)}
    _check_layers(name, weights, state, needed, source)
    _check_values(given, source)
    network.load_state_dict(given, strict=False)
    return _left_off(network, name, weights, source)


def _without_common_prefix(
    weights: dict[str, Tensor], state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Take off what a training script put before all names ("backbone.conv1.weight")."""
    firsts = {key.split(".", 1)[0] for key in weights}
    if len(firsts) != 1 or firsts & {key.split(".", 1)[0] for key in state}:
        return weights
    return {key.partition(".")[2]: value for key, value in weights.items()}


def _check_layers(
    name: str,
    weights: dict[str, Tensor],
    state: dict[str, Tensor],
    needed: set[str],
    source: str,
) -> None:
    missing = needed - weights.keys()
    other = {key for key in needed - missing if weights[key].shape != state[key].shape}
    if not missing and not other:
        return
    title, found = NETWORK_TITLES[name], weights_names.title_of(weights)
    if found and found != title:
        raise TrainingError(
            f"'{source}' holds weights of {found}, not of {title}. Choose {title}'s own file, or "
            "another network."
        )
    said = []
    if missing:
        said.append(f"{_layers(missing)} missing")
    if other:
        first = min(other)
        said.append(
            f"{_layers(other)} of another size ('{first}' is {_shape(weights[first])} there, "
            f"{_shape(state[first])} here)"
        )
    unknown = weights.keys() - state.keys()
    if unknown:
        said.append(f"{_layers(unknown)} unknown to it")
    raise TrainingError(
        f"'{source}' does not hold the weights of this {title}: {'; '.join(said)}. Choose its own "
        "file" + (", or the width it was trained with." if other and not missing else ".")
    )


def _layers(names: set[str]) -> str:
    word = "layer {0} is" if len(names) == 1 else "layers {0} are"
    return word.format(weights_names.first_few(names))


def _shape(value: Tensor) -> str:
    return " x ".join(str(size) for size in value.shape) or "one number"


def _check_values(given: dict[str, Tensor], source: str) -> None:
    for key in sorted(given):
        if given[key].is_floating_point() and not bool(given[key].isfinite().all()):
            raise TrainingError(
                f"'{source}' holds values that are no numbers (NaN or infinite) in layer '{key}', "
                "so no training can start from it. Choose another file."
            )


def _left_off(network: nn.Module, name: str, weights: dict[str, Tensor], source: str) -> list[str]:
    title, fcl = NETWORK_TITLES[name], FCL_NAMES[name]
    n_classes = len(network.state_dict()[f"{fcl}.weight"])
    old = weights.get(f"{fcl}.weight")
    had = f" (it has {len(old)} outputs)" if old is not None and old.ndim else ""
    sentences = [
        f"Started from '{source}': all layers but the FCL{had}, which is new for {n_classes} "
        "classes."
    ]
    if name == "vgg19":
        sentences.append(
            "Of VGG-19's three linear layers only the last, the FCL, is replaced; the other two "
            "are kept."
        )
    if name == "googlenet":
        sentences.append(
            "The input is rescaled as these ImageNet weights want it."
            if getattr(network, "transform_input", False)
            else "The input is not rescaled: these weights were trained without."
        )
    unknown = weights.keys() - network.state_dict().keys()
    heads = {key for key in unknown if key.startswith(("aux1.", "aux2."))}
    if heads:
        sentences.append(
            "Its auxiliary heads, which only help to train from scratch, are left off."
        )
    if unknown - heads:
        sentences.append(
            f"Left off, as {title} has no such layers: {weights_names.first_few(unknown - heads)}."
        )
    values = [value for key, value in weights.items() if value.numel() > 1]
    if values and all(bool((value == value.flatten()[0]).all()) for value in values):
        sentences.append(f"All layers of '{source}' are constant: it was never trained.")
    return sentences
