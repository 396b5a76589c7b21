"""Tell whether the pretrained weights that a network needs are here, before it is trained."""

from __future__ import annotations

from pathlib import Path

from core.config import NETWORK_TITLES
from core.errors import MriFclError, TrainingError
from core.run_folder import Run, is_run
from core.training import pretrained, weights_names
from core.training.weights_download import by_hand, part_file
from core.training.weights_entry import MEGABYTE, WeightsEntry, WeightsState
from core.training.weights_file import check_weights_file, layer_names


def look_up(network: str, asked: str) -> WeightsState:
    """Return whether the weights of a network are here; nothing is fetched.

    Parameters
    ----------
    network, asked : str
        As for :func:`core.training.pretrained.find_weights`.
    """
    entry = pretrained.find_entry(network, asked)
    if entry is not None:
        return state_of(entry)
    try:
        path = pretrained.find_weights(network, asked)
        given = Path(asked).expanduser()
        return _of_run(network, Run(given)) if is_run(given) else _of_file(network, path)
    except MriFclError as error:
        return WeightsState(network, "refused", str(error))


def state_of(entry: WeightsEntry) -> WeightsState:
    """Return whether one of torchvision's files is here."""
    folder = pretrained.weights_folder()
    if (folder / entry.file_name).is_file():
        text = f"{entry.title}: torchvision's ImageNet weights are here."
        return WeightsState(entry.network, "cache", text, entry)
    try:
        begun = part_file(entry, folder).stat().st_size / MEGABYTE
    except OSError:
        begun = 0.0
    here = f" {begun:.0f} MB of it are here already." if begun >= 1 else ""
    text = (
        f"{entry.title}: the ImageNet weights are not here yet. Download fetches "
        f"{entry.file_name} once from {entry.host}.{here}"
    )
    return WeightsState(entry.network, "missing", text, entry, by_hand(entry, folder))


def _of_run(network: str, run: Run) -> WeightsState:
    title, found = NETWORK_TITLES[network], run.network_title
    if found != title:
        raise TrainingError(
            f"Run '{run.name}' trained {found}, not {title}. Choose a run of {title}."
        )
    return WeightsState(network, "run", f"{title}: starts from run '{run.name}'.")


def _of_file(network: str, path: Path) -> WeightsState:
    title = NETWORK_TITLES[network]
    names = layer_names(path, check_weights_file(path))
    found = weights_names.title_of(names)
    if found and found != title:
        raise TrainingError(
            f"'{path.name}' holds weights of {found}, not of {title}. Choose {title}'s own file."
        )
    size = path.stat().st_size / MEGABYTE
    what = f"weights of {found}" if found else "weights, of a network to be checked at the start"
    return WeightsState(network, "file", f"{title}: '{path.name}' holds {what} ({size:.0f} MB).")
