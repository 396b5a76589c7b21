"""Train one network and keep everything about it in a run folder.

Shapes: N batch, H and W pixels, K classes, F penultimate features.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import platform
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import core
from core import atomic_file
from core.config import NETWORK_TITLES, REGIME_TITLES, RunSettings, TrainSettings
from core.data.cohort import Cohort
from core.data.leakage import audit_split
from core.data.slice_cache import prepare_slices
from core.data.slices import SliceSet
from core.data.split import Split, split_again, split_file_record, split_name, split_slices
from core.errors import MriFclError, RunError, TrainingError
from core.progress import BatchDone, EpochMetrics, Notice, Operation, Progress, RunStarted
from core.run_folder import FcHistory, Run, RunWriter, create_run, reopen_run
from core.training import pretrained
from core.training.dataset import SliceDataset, batch_bounds, epoch_order
from core.training.devices import choose_device, describe_device
from core.training.evaluate import (
    accuracy,
    accuracy_by_subject,
    evaluate,
    extract_features,
    mean_cross_entropy,
)
from core.training.network import FCL_NAMES, build_network, fcl_of, input_scaling
from core.training.regime import apply_regime, recompute_batch_norm, set_training_mode
from core.training.torchvision_gateway import torchvision

logger = logging.getLogger(__name__)

CHECKPOINT_FILE = "resume.ckpt"


@dataclass
class _Training:
    """A training under way: network, optimiser, data and what was measured so far."""

    settings: RunSettings
    network: nn.Module
    optimiser: torch.optim.SGD
    device: torch.device
    slices: SliceSet
    split: Split
    writer: RunWriter
    epoch: int = 0
    best_accuracy: float = -1.0
    fc_epochs: list[int] = field(default_factory=list)
    fc_weights: list[NDArray[np.float32]] = field(default_factory=list)
    fc_biases: list[NDArray[np.float32]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.settings.training.network

    def record_fcl(self) -> None:
        layer = fcl_of(self.network, self.name)
        self.fc_epochs.append(self.epoch)
        self.fc_weights.append(layer.weight.detach().cpu().numpy().copy())
        self.fc_biases.append(layer.bias.detach().cpu().numpy().copy())
        self.writer.write_fc_history(
            FcHistory(np.array(self.fc_epochs), np.stack(self.fc_weights), np.stack(self.fc_biases))
        )


def train(
    cohort: Cohort, cohort_folder: Path, settings: RunSettings, runs: Path
) -> Operation[Path]:
    """Train a new run below ``runs``; return its folder.

    Closing the generator stops the training: the run is then ``stopped`` and holds
    everything up to its last whole epoch.

    Yields
    ------
    Progress, Notice, RunStarted, BatchDone, EpochMetrics

    Raises
    ------
    CohortError, TrainingError, RunError
        If the cohort is too small, the weights are missing, the loss is no longer
        finite, or the folder cannot be written.
    """
    cohort.require_trainable()
    device = choose_device(settings.training.device)
    start = _read_start(settings.training)
    slices = yield from prepare_slices(cohort, cohort_folder, settings.slices)
    split = split_slices(slices, settings.split, settings.training.seed)
    audit = audit_split(slices, split, split_name(settings.split))
    for notice in split.notices:
        yield Notice(notice)
    if audit.leaks:
        yield Notice(audit.sentence())
    yield Progress("Building the network")
    torch.manual_seed(settings.training.seed)
    network = build_network(
        settings.training, len(cohort.classes), transform_input=start.transform_input
    )
    if start.weights is not None:
        pretrained.put_weights(network, settings.training.network, start.weights, start.name)
    writer = create_run(
        runs,
        _without_place(settings, start),
        {
            **_record(cohort, settings, network, device),
            "transform_input": start.transform_input,
            "weights": start.record(),
            "split_file": split_file_record(settings.split),
            **audit.record(),
        },
    )
    writer.update(
        cohort={
            "id": cohort.identity,
            "name": cohort_folder.name,
            "folder": _relative_folder(cohort_folder, writer.path),
            "scans": {scan.key: scan.sha256 for scan in cohort.included_scans},
        }
    )
    writer.write_split(_split_rows(slices, split))
    training = _start(settings, network, device, slices, split, writer)
    training.record_fcl()
    if settings.training.regime == "frozen":
        # Its checkpoints leave the backbone out: it lies here, and never changes.
        _save_network(network, writer.path / "network.safetensors")
    return (yield from _run(training))


def resume(run_folder: Path, cohort: Cohort) -> Operation[Path]:
    """Go on with a stopped or crashed run from its last whole epoch.

    Raises
    ------
    RunError
        If it is finished, has no checkpoint, or belongs to another cohort.
    """
    run = Run(run_folder)
    if run.state == "finished":
        raise RunError(f"Run '{run.name}' is finished. Train a new one for more epochs.")
    if run.record["cohort"]["id"] != cohort.identity:
        raise RunError(
            f"Run '{run.name}' was trained on other scans than this cohort holds. "
            "Open the cohort as it was."
        )
    writer = reopen_run(run_folder)
    device = choose_device(run.settings.training.device)
    slices = yield from prepare_slices(cohort, cohort_folder_of(run), run.settings.slices)
    split = split_again(
        slices, run.settings.split, run.settings.training.seed, run_folder / "split.csv"
    )
    network = build_network(
        run.settings.training,
        len(cohort.classes),
        transform_input=bool(run.record["transform_input"]),
    )
    if run.settings.training.regime == "frozen":
        network.load_state_dict(safetensors.torch.load_file(run_folder / "network.safetensors"))
    training = _start(run.settings, network, device, slices, split, writer)
    _load_checkpoint(training, run)
    writer.update(state="running")
    return (yield from _run(training))


def complete_features(run_folder: Path, cohort: Cohort) -> Operation[Path]:
    """Write features and predictions of a stopped run from its last whole epoch's network.

    Raises
    ------
    RunError
        If the run has no network or belongs to another cohort.
    """
    run = Run(run_folder)
    path = run_folder / "network.safetensors"
    if not path.is_file():
        raise RunError(
            f"Run '{run.name}' has no network: it ended before its first epoch. Resume it."
        )
    if run.record["cohort"]["id"] != cohort.identity:
        raise RunError(f"Run '{run.name}' was trained on other scans than this cohort holds.")
    device = choose_device("cpu")
    slices = yield from prepare_slices(cohort, cohort_folder_of(run), run.settings.slices)
    split = split_again(
        slices, run.settings.split, run.settings.training.seed, run_folder / "split.csv"
    )
    network = build_network(
        run.settings.training, len(run.classes), transform_input=bool(run.record["transform_input"])
    )
    network.load_state_dict(safetensors.torch.load_file(path))
    training = _start(run.settings, network, device, slices, split, reopen_run(run_folder))
    yield from _write_results(training, run.classes)
    return run_folder


def cohort_folder_of(run: Run) -> Path:
    """Return where the cohort of a run lies, as its record says (relative to the run)."""
    folder = run.path / str(run.record["cohort"]["folder"])
    return folder.resolve()


def _relative_folder(cohort_folder: Path, run_folder: Path) -> str:
    """Return the cohort's folder as seen from the run, so that both can move together."""
    try:
        return Path(os.path.relpath(cohort_folder.resolve(), run_folder.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return cohort_folder.resolve().as_posix()


@dataclass(frozen=True)
class _Start:
    """What a network starts from: weights of a file, or random ones where there is none."""

    weights: dict[str, Tensor] | None = None
    transform_input: bool = False
    name: str = ""
    sha256: str = ""

    def record(self) -> dict[str, str] | None:
        """Return what ``run.json`` says of it: never where the file lay."""
        if self.weights is None:
            return None
        return {"name": self.name, "sha256": self.sha256}


def _read_start(settings: TrainSettings) -> _Start:
    """Return what the regime starts from; GoogLeNet rescales its input for ImageNet weights."""
    if settings.regime == "scratch":
        return _Start()
    path = pretrained.find_weights(settings.network, settings.weights)
    is_own = path.name == "network.safetensors"
    return _Start(
        weights=pretrained.load_weights(path),
        transform_input=settings.network == "googlenet"
        and pretrained.from_imagenet(settings.weights),
        name=path.parent.name if is_own else path.name,
        sha256=_sha256(path),
    )


def _without_place(settings: RunSettings, start: _Start) -> RunSettings:
    """Return the settings to store: weights and split file by name, without their folders."""
    weights = start.name if settings.training.weights else ""
    return replace(
        settings,
        training=replace(settings.training, weights=weights),
        split=replace(settings.split, split_file=Path(settings.split.split_file).name),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _start(
    settings: RunSettings,
    network: nn.Module,
    device: torch.device,
    slices: SliceSet,
    split: Split,
    writer: RunWriter,
) -> _Training:
    network.to(device)
    learning = apply_regime(network, settings.training)
    if settings.training.network != "cnn2d":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        learning,
        lr=settings.learning_rate,
        momentum=settings.training.momentum,
        weight_decay=settings.training.weight_decay,
    )
    return _Training(settings, network, optimiser, device, slices, split, writer)


def _run(training: _Training) -> Operation[Path]:
    writer, epochs = training.writer, training.settings.epochs
    try:
        # Inside: a user who stops at once leaves a stopped run, not one that seems to run.
        yield RunStarted(writer.path, epochs)
        yield from _train_epochs(training)
        _save_network(training.network, writer.path / "network.safetensors")
        yield from _write_results(training, tuple(writer.record["classes"]))
    except GeneratorExit:
        _end_early(training, "stopped", "")
        raise
    except MriFclError as error:
        _end_early(training, "failed", str(error))
        raise
    except torch.OutOfMemoryError as error:
        text = (
            f"The device ran out of memory with batches of {training.settings.training.batch} "
            "slices. Choose a smaller batch and resume."
        )
        _end_early(training, "failed", text)
        raise TrainingError(text) from error
    except OSError as error:
        text = (
            f"The run folder '{writer.path.name}' cannot be written ({error.strerror}). "
            "Free some space or reconnect the drive, then resume the run."
        )
        raise TrainingError(text) from error
    writer.update(state="finished")
    return writer.path


def _train_epochs(training: _Training) -> Operation[None]:
    settings = training.settings
    scaling = input_scaling(training.name)
    learners = SliceDataset(training.slices, training.split, "train")
    judges = SliceDataset(training.slices, training.split, "validation")
    labels = judges.labels_N.numpy()
    if training.epoch == 0:
        none = np.zeros((0, len(training.fc_biases[0])), np.float32)
        yield _metrics(training, 0, (math.nan, math.nan), 0.0, none, labels[:0])
    while training.epoch < settings.epochs:
        epoch, began = training.epoch + 1, time.monotonic()
        trained = yield from _train_one_epoch(training, learners, epoch)
        if settings.training.recompute_batch_norm and settings.training.regime != "frozen":
            yield from recompute_batch_norm(
                training.network,
                learners,
                scaling,
                batch=settings.training.batch,
                seed=settings.training.seed,
            )
        logits = yield from evaluate(
            training.network,
            judges,
            scaling,
            batch=settings.training.batch,
            device=training.device,
            what=f"Validating epoch {epoch}",
        )
        training.epoch = epoch
        seconds = time.monotonic() - began
        training.seconds += seconds
        metrics = _metrics(training, epoch, trained, seconds, logits, labels)
        _keep_epoch(training, metrics)
        yield metrics


def _train_one_epoch(
    training: _Training, data: SliceDataset, epoch: int
) -> Operation[tuple[float, float]]:
    settings, network = training.settings.training, training.network
    scaling = input_scaling(training.name)
    for group in training.optimiser.param_groups:
        group["lr"] = learning_rate_at(training.settings, epoch)
    set_training_mode(network, settings)
    order = epoch_order(len(data), settings.seed, 1 if settings.shuffle == "once" else epoch)
    batches, began = len(batch_bounds(len(data), settings.batch)), time.monotonic()
    total_loss, right, seen = 0.0, 0, 0
    for number, (pixels_NHW, labels_N) in enumerate(data.batches(order, settings.batch), start=1):
        images = scaling.apply(pixels_NHW.to(training.device))
        targets = labels_N.to(training.device)
        logits_NK = network(images)
        loss = nn.functional.cross_entropy(logits_NK, targets)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss became not-a-number in epoch {epoch}, batch {number}. Lower the "
                "learning rate. Everything up to the last whole epoch is kept."
            )
        training.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        training.optimiser.step()
        total_loss += value * len(labels_N)
        right += int((logits_NK.detach().argmax(1) == targets).sum())
        seen += len(labels_N)
        spent = time.monotonic() - began
        left = spent / number * (batches - number) + _later_epochs(
            training, spent / number * batches
        )
        yield BatchDone(epoch, number, batches, total_loss / seen, seen / max(spent, 1e-9), left)
    return total_loss / seen, right / seen


def learning_rate_at(settings: RunSettings, epoch: int) -> float:
    """Return the learning rate of ``epoch`` (from 1): it drops every so many epochs."""
    drops = (epoch - 1) // settings.training.drop_every
    return float(settings.learning_rate * settings.training.drop_factor**drops)


def _later_epochs(training: _Training, this_epoch: float) -> float:
    """Return the expected seconds of the epochs after the one under way."""
    mean = training.seconds / training.epoch if training.epoch else this_epoch * 1.1
    return mean * (training.settings.epochs - training.epoch - 1)


def _metrics(
    training: _Training,
    epoch: int,
    trained: tuple[float, float],
    seconds: float,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> EpochMetrics:
    layer = fcl_of(training.network, training.name)
    left = training.settings.epochs - epoch
    return EpochMetrics(
        epoch=epoch,
        train_loss=trained[0],
        train_accuracy=trained[1],
        validation_loss=mean_cross_entropy(logits, labels),
        validation_accuracy=accuracy(logits, labels),
        learning_rate=learning_rate_at(training.settings, max(epoch, 1)),
        seconds=seconds,
        fc_weight=layer.weight.detach().cpu().numpy().copy(),
        logits=logits,
        labels=labels,
        seconds_left=training.seconds / epoch * left if epoch else math.nan,
    )


def _keep_epoch(training: _Training, metrics: EpochMetrics) -> None:
    """Put a whole epoch on disk; the checkpoint comes last and acknowledges the rest."""
    writer = training.writer
    training.record_fcl()
    is_best = metrics.validation_accuracy > training.best_accuracy
    if is_best:
        training.best_accuracy = metrics.validation_accuracy
        _save_network(training.network, writer.path / "best.safetensors")
    writer.append_epoch(
        {
            name: getattr(metrics, name)
            for name in (
                "epoch",
                "train_loss",
                "train_accuracy",
                "validation_loss",
                "validation_accuracy",
                "learning_rate",
                "seconds",
            )
        }
    )
    _save_checkpoint(training)
    changes: dict[str, Any] = {"epochs_done": metrics.epoch, "seconds": training.seconds}
    if is_best:
        changes["best_epoch"] = metrics.epoch
    writer.update(**changes)


def _save_network(network: nn.Module, path: Path) -> None:
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with atomic_file.replacing(path) as temporary:
        safetensors.torch.save_file(state, temporary)


def _changing_state(training: _Training) -> dict[str, Tensor]:
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


def _save_checkpoint(training: _Training) -> None:
    checkpoint = {
        "epoch": training.epoch,
        "network": _changing_state(training),
        "optimiser": training.optimiser.state_dict(),
        "best_accuracy": training.best_accuracy,
        "seconds": training.seconds,
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if training.device.type == "cuda" else None,
    }
    with atomic_file.replacing(training.writer.path / CHECKPOINT_FILE) as temporary:
        torch.save(checkpoint, temporary)


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(
            f"Run '{path.parent.name}' has no checkpoint: it ended before its first "
            "epoch. Train it anew."
        ) from None
    except Exception as error:
        raise RunError(
            f"The checkpoint of run '{path.parent.name}' is damaged. Train it anew; "
            "its curves and weights so far are kept."
        ) from error
    return checkpoint


def _load_checkpoint(training: _Training, run: Run) -> None:
    checkpoint = _read_checkpoint(run.path / CHECKPOINT_FILE)
    training.network.load_state_dict(checkpoint["network"], strict=False)
    training.optimiser.load_state_dict(checkpoint["optimiser"])
    training.epoch = int(checkpoint["epoch"])
    training.best_accuracy = float(checkpoint["best_accuracy"])
    training.seconds = float(checkpoint["seconds"])
    torch.set_rng_state(checkpoint["torch_rng"])
    if checkpoint["cuda_rng"] is not None and training.device.type == "cuda":
        torch.cuda.set_rng_state(checkpoint["cuda_rng"])
    history = run.fc_history
    for epoch, weight, bias in zip(history.epoch, history.weight, history.bias, strict=True):
        if epoch <= training.epoch:
            training.fc_epochs.append(int(epoch))
            training.fc_weights.append(weight)
            training.fc_biases.append(bias)
    training.writer.keep_history_until(training.epoch)


def _end_early(training: _Training, state: str, error: str) -> None:
    """Mark a run that ends before its last epoch; its network is that of its last whole epoch."""
    if training.epoch:
        checkpoint = _read_checkpoint(training.writer.path / CHECKPOINT_FILE)
        training.network.load_state_dict(checkpoint["network"], strict=False)
        _save_network(training.network, training.writer.path / "network.safetensors")
    training.writer.update(state=state, error=error)


def _write_results(training: _Training, classes: tuple[str, ...]) -> Operation[None]:
    features = yield from extract_features(
        training.network,
        training.name,
        training.slices,
        training.split,
        batch=training.settings.training.batch,
        device=training.device,
    )
    yield Progress("Writing results")
    training.writer.write_features(features)
    training.writer.write_predictions(features, classes)
    parts = {part: features.of_part(part) for part in ("train", "validation", "test")}
    measured = {part: accuracy(of.logits, of.label) for part, of in parts.items()}
    measured["test_by_subject"] = accuracy_by_subject(parts["test"])
    training.writer.update(accuracy=measured)


def _record(
    cohort: Cohort,
    settings: RunSettings,
    network: nn.Module,
    device: torch.device,
) -> dict[str, Any]:
    learning = apply_regime(network, settings.training)
    name = settings.training.network
    return {
        "title": f"{NETWORK_TITLES[name]}, {REGIME_TITLES[settings.training.regime].lower()}",
        "classes": cohort.classes,
        "simulated": cohort.simulated,
        "split_mode": split_name(settings.split),
        "epochs": settings.epochs,
        "epochs_done": 0,
        "learning_rate": settings.learning_rate,
        "fcl": FCL_NAMES[name],
        "fcl_inputs": fcl_of(network, name).in_features,
        "device": describe_device(device),
        "parameters": {
            "all": sum(p.numel() for p in network.parameters()),
            "learning": sum(p.numel() for p in learning),
        },
        "versions": {
            "mri-fcl": core.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": np.__version__,
        },
    }


def _split_rows(slices: SliceSet, split: Split) -> list[tuple[Any, ...]]:
    return [
        (
            slices.subject[i],
            slices.session[i],
            slices.scan[i],
            int(slices.number[i]),
            slices.classes[split.label[i]],
            split.part[i],
        )
        for i in range(len(slices))
    ]
