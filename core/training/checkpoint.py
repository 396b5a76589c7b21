"""What a run is continued from: everything that training changes, after each epoch.

The last two checkpoints are kept. The record of the run has the SHA-256 of each, and each is
checked before it is used. A new one comes into its place in three steps: it is written beside
the last one, the last one becomes the previous one, the new one takes its place; the record
is told after that. Whenever a program dies in between, the record's last one is there still.
"""

from __future__ import annotations

import contextlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from core import atomic_file
from core.config import TrainSettings
from core.disk_space import room_for_run
from core.errors import RunError
from core.run_folder import FcHistory, Run, RunWriter, recorded_sums, set_aside
from core.training.network import fcl_of
from core.training.optimiser import numbers_kept
from core.training.state import Training
from core.training.weights_file import check_weights_file

CHECKPOINT_FILE = "resume.ckpt"
PREVIOUS_FILE = "resume-previous.ckpt"
NETWORK_FILE = "network.safetensors"
BEST_FILE = "best.safetensors"
_ENTRIES = {"epoch", "network", "optimiser", "best_accuracy", "seconds", "torch_rng", "cuda_rng"}


def save_network(network: nn.Module, writer: RunWriter, file: str = NETWORK_FILE) -> None:
    """Write every weight and buffer of ``network`` into the run folder.

    Raises
    ------
    OSError
        If it cannot be written; the file is then as it was.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    # In memory first: from there the disk's own words come through.
    data = safetensors.torch.save(state)
    path = writer.path / file
    with atomic_file.replacing(path) as temporary:
        with temporary.open("wb") as opened:
            hashing = atomic_file.HashingWriter(opened)
            hashing.write(data)
        new = hashing.sha256()
        old = recorded_sums(writer.record, file)[:1] if path.is_file() else []
        writer.set_sums({file: [new, *old]})
        writer.update()


def load_network(network: nn.Module, run: Run) -> None:
    """Put weights and buffers of :func:`save_network` into ``network``.

    Raises
    ------
    RunError
        If the file is missing, damaged or of another network.
    """
    path = run.path / NETWORK_FILE
    try:
        if run.is_whole(NETWORK_FILE) is False:
            raise RunError(_network_damaged(run))
        check_weights_file(path)
        network.load_state_dict(safetensors.torch.load_file(path))
    except FileNotFoundError:
        raise RunError(
            f"Run '{run.name}' has no network: it ended before its first epoch."
        ) from None
    except (RunError, OSError):
        raise
    except Exception as error:
        raise RunError(_network_damaged(run)) from error


def save_checkpoint(training: Training) -> None:
    """Write the state after the present epoch; the last one becomes the previous one.

    Raises
    ------
    OSError
        If it cannot be written; what was there can be loaded still.
    """
    writer = training.writer
    path, previous = writer.path / CHECKPOINT_FILE, writer.path / PREVIOUS_FILE
    with atomic_file.replacing(path) as temporary:
        new = _write_checkpoint(training, temporary)
        atomic_file.flush(temporary)
        if path.is_file():
            atomic_file.replace(path, previous)
    writer.set_sums(
        {CHECKPOINT_FILE: [new], PREVIOUS_FILE: recorded_sums(writer.record, CHECKPOINT_FILE)}
    )


def load_checkpoint(training: Training, run: Run) -> list[str]:
    """Put the state after the last whole epoch back; return what there is to say of it.

    Where the last checkpoint is damaged it is set aside, and the one before is used.

    Raises
    ------
    RunError
        If there is none, none is whole, or it is of another network.
    """
    found = _find_checkpoint(run.path, run.record)
    state = found.state
    try:
        if set(state["network"]) != set(_changing_state(training.network)):
            raise ValueError("other layers")
        training.network.load_state_dict(state["network"], strict=False)
        training.optimiser.load_state_dict(state["optimiser"])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"The checkpoint of run '{run.name}' is of another network than its record says "
            f"({len(run.classes)} classes: {', '.join(run.classes)}). Restore the folder from a "
            "copy, or train it anew."
        ) from error
    training.epoch = int(state["epoch"])
    training.best_accuracy = float(state["best_accuracy"])
    training.best_epoch = int(state.get("best_epoch", 0))
    training.micro_batch = int(state.get("micro_batch", training.micro_batch))
    training.seconds = float(state["seconds"])
    torch.set_rng_state(state["torch_rng"])
    if state["cuda_rng"] is not None and training.engine.device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda_rng"], training.engine.device)
    if state.get("mps_rng") is not None and training.engine.device.type == "mps":
        torch.mps.set_rng_state(state["mps_rng"])
    training.engine.set_scaling(state.get("scaling", {}))
    notices = _take_fcl_history(training, run)
    if training.engine.is_first:
        _cut_back(training, found)
    return [*found.notices, *notices]


def put_last_epoch_back(training: Training) -> None:
    """Put the weights of the last whole epoch into the network.

    Raises
    ------
    RunError
        If no checkpoint is whole.
    """
    put_last_epoch_into(training.network, training.writer)


def put_last_epoch_into(network: nn.Module, writer: RunWriter) -> int:
    """Put what training changed up to the last whole epoch of a run into ``network``.

    Returns that epoch.

    Raises
    ------
    RunError
        If no checkpoint is whole.
    """
    state = _find_checkpoint(writer.path, writer.record).state
    network.load_state_dict(state["network"], strict=False)
    return int(state["epoch"])


def cut_curves_back(writer: RunWriter, run: Run, epoch: int) -> None:
    """Drop from curves and FCL weights what is later than ``epoch``.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    writer.keep_history_until(epoch)
    with contextlib.suppress(RunError):  # there is none, or it is damaged
        history = run.fc_history
        keep = history.epoch <= epoch
        if not keep.all():
            writer.write_fc_history(
                FcHistory(history.epoch[keep], history.weight[keep], history.bias[keep])
            )


def bytes_needed(network: nn.Module, settings: TrainSettings) -> int:
    """Return the bytes that a run may need on its disk."""
    whole = sum(value.nbytes for value in network.state_dict().values())
    learning = whole
    if settings.regime == "frozen":
        learning = sum(value.nbytes for value in fcl_of(network, settings.network).parameters())
    checkpoint = learning * (1 + numbers_kept(settings))
    return room_for_run(checkpoint_bytes=checkpoint, network_bytes=whole)


@dataclass(frozen=True)
class _Found:
    """The checkpoint to go on from, and what is wrong with the one in front of it."""

    state: dict[str, Any]
    path: Path
    damaged: tuple[Path, ...] = ()
    surplus: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()


def _find_checkpoint(folder: Path, record: dict[str, Any]) -> _Found:
    last, previous = folder / CHECKPOINT_FILE, folder / PREVIOUS_FILE
    acknowledged = recorded_sums(record, CHECKPOINT_FILE)
    if acknowledged and _sum(previous) in acknowledged:
        # A newer one was written, but its program died before the record was told of it.
        return _Found(_read(previous), previous, surplus=(last,))
    try:
        return _Found(_read_whole(last, acknowledged), last)
    except RunError as error:
        if isinstance(error, _UnsafeError) or not previous.is_file():
            raise
        state = _read_whole(previous, recorded_sums(record, PREVIOUS_FILE))
        text = (
            f"The last checkpoint of run '{folder.name}' was damaged or missing: training goes on "
            f"from the one before, after epoch {int(state['epoch'])}."
        )
        return _Found(state, previous, damaged=(last,), notices=(text,))


class _UnsafeError(RunError):
    """A checkpoint holds program code."""


def _read_whole(path: Path, sums: list[str]) -> dict[str, Any]:
    """Read a checkpoint whose sum is one of ``sums``; runs of earlier versions have none."""
    if sums and path.is_file() and _sum(path) not in sums:
        raise RunError(_damaged(path))
    return _read(path)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunError(
            f"Run '{path.parent.name}' has no checkpoint: it ended before its first "
            "epoch. Train it anew."
        )
    try:
        # What torch does not look at: the zip's own sums, and sizes that lie.
        check_weights_file(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not state.keys() >= _ENTRIES:
            raise ValueError("entries are missing")
    except pickle.UnpicklingError as error:
        raise _UnsafeError(
            f"The checkpoint of run '{path.parent.name}' holds program code: it is unsafe and was "
            "not opened. Ask whoever gave you the folder for its 'network.safetensors'."
        ) from error
    except Exception as error:  # torch raises all kinds on damaged bytes
        raise RunError(_damaged(path)) from error
    return state


def _damaged(path: Path) -> str:
    return (
        f"The checkpoint of run '{path.parent.name}' is damaged. Train it anew; "
        "its curves and weights so far are kept."
    )


def _network_damaged(run: Run) -> str:
    return (
        f"'{NETWORK_FILE}' of run '{run.name}' is damaged. Resume the run to write it again, or "
        "restore the file from a copy."
    )


def _sum(path: Path) -> str:
    """Return the SHA-256 of a file; empty where there is none."""
    try:
        return atomic_file.sha256_of(path)
    except OSError:
        return ""


def _write_checkpoint(training: Training, path: Path) -> str:
    """Write the present state; return its SHA-256."""
    state = {
        "epoch": training.epoch,
        "network": _changing_state(training.network),
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
        "mps_rng": torch.mps.get_rng_state() if training.engine.device.type == "mps" else None,
        "scaling": training.engine.scaling,
    }
    with path.open("wb") as opened:
        hashing = atomic_file.HashingWriter(opened)
        try:
            torch.save(state, hashing)  # type: ignore[arg-type]
        except Exception:
            if hashing.error is not None:
                raise hashing.error from None
            raise
    return hashing.sha256()


def _changing_state(network: nn.Module) -> dict[str, Tensor]:
    """Return what training can change: learning parameters and every buffer."""
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    buffers = {name for name, _ in network.named_buffers()}
    return {
        key: value.detach().cpu()
        for key, value in network.state_dict().items()
        if key in learning or key in buffers
    }


def _take_fcl_history(training: Training, run: Run) -> list[str]:
    """Take over the FCL of each epoch up to that of the checkpoint."""
    try:
        history = run.fc_history
    except RunError:
        training.keep_fcl()
        if training.engine.is_first:
            set_aside(run.path / "fc_history.npz")
            training.write_fcl()
        return [
            f"'fc_history.npz' of run '{run.name}' was damaged or missing: the weights of the FCL "
            f"are kept from epoch {training.epoch} on."
        ]
    for epoch, weight, bias in zip(history.epoch, history.weight, history.bias, strict=True):
        if epoch <= training.epoch:
            training.fc_epochs.append(int(epoch))
            training.fc_weights.append(weight)
            training.fc_biases.append(bias)
    if training.engine.is_first and len(training.fc_epochs) < len(history.epoch):
        training.write_fcl()
    return []


def _cut_back(training: Training, found: _Found) -> None:
    """Drop from the run folder what is later than the checkpoint that is used."""
    writer = training.writer
    for path in found.damaged:
        set_aside(path)
    for path in found.surplus:
        path.unlink(missing_ok=True)
    writer.keep_history_until(training.epoch)
    if found.damaged or found.surplus:
        # The previous one is the last one now; none is before it.
        writer.set_sums({CHECKPOINT_FILE: [_sum(found.path)], PREVIOUS_FILE: []})
    writer.update(epochs_done=training.epoch, seconds=training.seconds)
