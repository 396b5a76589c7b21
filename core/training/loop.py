"""The training loop: epochs, batches, validation, and what each epoch puts on disk.

Shapes: N batch, K classes, F penultimate features.
"""

from __future__ import annotations

import logging
import math
import time
import traceback
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import RunSettings
from core.errors import TrainingError
from core.progress import BatchDone, EpochMetrics, Event, Notice, Operation
from core.training.batch_norm_statistics import recompute_batch_norm
from core.training.checkpoint import BEST_FILE, save_checkpoint, save_network
from core.training.dataset import Drawn, balanced_order, batch_bounds, draws_of, epoch_order
from core.training.devices import bytes_in_use
from core.training.evaluate import accuracy, evaluate, extract_features, mean_cross_entropy
from core.training.memory import is_out_of_memory
from core.training.regime import set_training_mode
from core.training.rescue import kept
from core.training.short_memory import free_what_can_be
from core.training.state import Training

# On a GPU each look at a loss waits for the device, so that losses are looked at together.
LOOK_EVERY = 16
_KEPT_METRICS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
)

logger = logging.getLogger(__name__)


def train_epochs(training: Training) -> Operation[None]:
    """Train until the last epoch; each whole one is on disk before its event is yielded.

    Raises
    ------
    TrainingError
        If a loss or weight is no longer finite, or one slice alone does not fit in memory.
    """
    settings, data = training.settings, training.data
    rows = data.split.rows_of("validation")
    labels = data.split.label[rows]
    if training.epoch == 0:
        none = np.zeros((0, training.fcl.out_features), np.float32)
        yield from _keep_features(training, 0)
        yield _metrics(training, 0, (math.nan, math.nan), 0.0, none, labels[:0])
    while training.epoch < settings.epochs:
        epoch, began = training.epoch + 1, time.monotonic()
        trained = yield from _train_one_epoch(training, epoch)
        if settings.training.recompute_batch_norm and settings.training.regime != "frozen":
            yield from recompute_batch_norm(
                training.network,
                training.slice_feed,
                data.split.rows_of("train"),
                training.engine,
                at_once=training.batch_norm_at_once,
                batch=settings.batch,
                seed=settings.training.seed,
            )
        logits = yield from evaluate(
            training.module,
            training.feed,
            rows,
            training.engine,
            batch=settings.batch,
            at_once=training.evaluated_at_once,
            what=f"Validating epoch {epoch}",
        )
        _require_finite(training, logits, epoch)
        training.epoch = epoch
        seconds = time.monotonic() - began
        training.seconds += seconds
        metrics = _metrics(training, epoch, trained, seconds, logits, labels)
        yield from _keep_features(training, epoch)
        yield from _keep_epoch(training, metrics)
        yield metrics


def learning_rate_at(settings: RunSettings, epoch: int) -> float:
    """Return the learning rate of ``epoch`` (from 1): it drops every so many epochs."""
    drops = (epoch - 1) // settings.training.drop_every
    return float(settings.learning_rate * settings.training.drop_factor**drops)


def _train_one_epoch(training: Training, epoch: int) -> Operation[tuple[float, float]]:
    settings, engine = training.settings.training, training.engine
    for group in training.optimiser.param_groups:
        group["lr"] = learning_rate_at(training.settings, epoch)
    set_training_mode(training.network, settings)
    if engine.count > 1:
        # Dropout must differ between devices, and be the same again after a resume.
        torch.manual_seed(
            int(np.random.default_rng([settings.seed, epoch, engine.rank]).integers(2**31))
        )
    order = draws_of(_order(training, epoch))
    bounds = batch_bounds(len(order), training.settings.batch, least=2 * engine.count)
    tally = _Tally(training, epoch, len(bounds))
    for number, (start, stop) in enumerate(bounds, start=1):
        batch = order[start:stop]
        while True:
            done, notice = _try_step(training, batch, epoch)
            if notice:
                yield Notice(notice)
            if done is not None:
                break
        tally.add(number, batch.rows, done)
        yield tally.event(number)
    return tally.result()


def _order(training: Training, epoch: int) -> NDArray[np.int64]:
    """Return the rows of the training part in the order of ``epoch``."""
    settings = training.settings.training
    rows = training.data.split.rows_of("train")
    drawn = 1 if settings.shuffle == "once" else epoch
    if settings.balance == "sampling":
        labels = training.data.split.label[rows]
        return rows[balanced_order(labels, settings.seed, drawn)]
    return rows[epoch_order(len(rows), settings.seed, drawn)]


def _try_step(training: Training, batch: Drawn, epoch: int) -> tuple[_Step | None, str]:
    """Do one step; where memory is short, halve what goes through at once and say so.

    What went wrong is left before memory is given back: its traceback holds tensors.
    """
    try:
        return _step(training, batch, epoch), ""
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # As text: what keeps the traceback keeps its tensors.
        logger.info("memory was short\n%s", traceback.format_exc())
    return None, _use_less_memory(training)


def _use_less_memory(training: Training) -> str:
    training.optimiser.zero_grad(set_to_none=True)
    free_what_can_be(training.engine.device)
    if training.engine.count == 1 and (said := training.feed.use_less_memory()):
        return said
    items = training.settings.items
    if training.micro_batch <= 2 or training.engine.count > 1:
        raise TrainingError(
            f"The device ran out of memory with {training.micro_batch} {items} at a time. "
            "Everything up to the last whole epoch is kept. Close other programs and resume the "
            f"run '{training.writer.path.name}', or train anew with a smaller batch or a smaller "
            "network."
        )
    training.micro_batch = (training.micro_batch + 1) // 2
    training.writer.update(micro_batch=training.micro_batch)
    return (
        "The device ran out of memory. Training goes on with "
        f"{training.micro_batch} {items} at a time; a batch is still "
        f"{training.settings.batch} {items} (gradients are added up), but batch norm "
        "takes its statistics over the smaller number."
    )


class _Step:
    """Sums over one batch, still on the device: loss x weights, weights, right, slices."""

    def __init__(self) -> None:
        self.loss: Tensor | float = 0.0
        self.right: Tensor | int = 0
        self.n = 0


def _step(training: Training, batch: Drawn, epoch: int) -> _Step:
    """Take one step on the mean cross-entropy of ``batch``."""
    engine, step, rows = training.engine, _Step(), batch.rows
    own = Drawn(engine.share(rows), engine.share(batch.repeats))
    weights_K = _class_weights(training)
    labels = training.data.labels
    whole = _weight_of(labels[torch.from_numpy(rows)], weights_K)
    training.optimiser.zero_grad(set_to_none=True)
    for start, stop in batch_bounds(len(own), training.micro_batch):
        part = own[start:stop]
        targets_N = labels[torch.from_numpy(part.rows)].to(engine.device, non_blocking=True)
        logits_NK = training.forward(training.feed.training_batch(part, epoch))
        mean = nn.functional.cross_entropy(logits_NK, targets_N, weight=weights_K)
        # One piece is the whole batch: its mean is taken as it is, to the last bit.
        loss = mean
        if len(part) < len(rows):
            loss = mean * (_weight_of(targets_N, weights_K) / whole * engine.count)
        step.loss = step.loss + loss.detach() * len(rows) / engine.count
        step.right = step.right + (logits_NK.detach().argmax(1) == targets_N).sum()
        engine.backward(loss)
    step.n = len(rows)
    if engine.device.type == "cpu" and not math.isfinite(float(step.loss)):
        return step  # the caller refuses it; the weights are left as they were
    training.step()
    return step


def _class_weights(training: Training) -> Tensor | None:
    """Return weights (K,) that make every class count the same, mean 1; None for no weights."""
    if training.settings.training.balance != "weights":
        return None
    label = training.data.split.label[training.data.split.rows_of("train")]
    counts = np.bincount(label, minlength=training.fcl.out_features)
    weights = len(label) / (len(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32, device=training.engine.device)


def _weight_of(targets: Tensor, weights_K: Tensor | None) -> float:
    if weights_K is None:
        return float(len(targets))
    return float(weights_K[targets.to(weights_K.device)].sum())


class _Tally:
    """Loss and accuracy of an epoch so far."""

    def __init__(self, training: Training, epoch: int, batches: int) -> None:
        self.training, self.epoch, self.batches = training, epoch, batches
        self.loss, self.right, self.n = 0.0, 0, 0
        self.seen = 0
        self.began = time.monotonic()
        self.waiting: list[tuple[int, NDArray[np.int64], _Step]] = []
        self.look_every = 1 if training.engine.device.type == "cpu" else LOOK_EVERY

    def add(self, number: int, rows: NDArray[np.int64], step: _Step) -> None:
        """Add one batch; refuse a loss that is no number."""
        self.waiting.append((number, rows, step))
        self.seen += step.n
        if len(self.waiting) >= self.look_every or number == self.batches:
            self._look()

    def _look(self) -> None:
        losses = [float(step.loss) for _, _, step in self.waiting]
        for (number, rows, step), loss in zip(self.waiting, losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(self._not_finite(number, rows))
            self.loss += loss
            self.right += int(step.right)
            self.n += step.n
        self.waiting.clear()

    def _not_finite(self, number: int, rows: NDArray[np.int64]) -> str:
        names = [self.training.data.name_of(int(row)) for row in rows[:3]]
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        return (
            f"The loss became not-a-number in epoch {self.epoch}, batch {number} "
            f"({', '.join(names)}{more}). Lower the learning rate. Everything up to the last "
            "whole epoch is kept."
        )

    def event(self, number: int) -> BatchDone:
        """Return what is known after batch ``number``."""
        spent = max(time.monotonic() - self.began, 1e-9)
        training = self.training
        whole = spent / number * self.batches
        mean = training.seconds / training.epoch if training.epoch else whole * 1.1
        later = mean * (training.settings.epochs - self.epoch)
        loss = self.loss / self.n * training.engine.count if self.n else math.nan
        return BatchDone(
            self.epoch,
            number,
            self.batches,
            loss,
            self.seen / spent,
            whole - spent + later,
            learning_rate=learning_rate_at(training.settings, self.epoch),
            device_bytes=bytes_in_use(training.engine.device),
        )

    def result(self) -> tuple[float, float]:
        """Return mean loss (nat) and accuracy over all devices."""
        engine = self.training.engine
        loss, right = engine.total(np.array([self.loss, float(self.right)], dtype=np.float64))
        return float(loss) / self.n, float(right) / self.n


def _require_finite(training: Training, logits: NDArray[np.float32], epoch: int) -> None:
    """Refuse an epoch after which the network is of no use; the one before it stays."""
    weights = all(bool(torch.isfinite(p).all()) for p in training.module.parameters())
    if weights and np.isfinite(logits).all():
        return
    raise TrainingError(
        f"Weights became not-a-number in epoch {epoch}. Lower the learning rate. "
        "Everything up to the last whole epoch is kept."
    )


def _metrics(
    training: Training,
    epoch: int,
    trained: tuple[float, float],
    seconds: float,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> EpochMetrics:
    left = training.settings.epochs - epoch
    return EpochMetrics(
        epoch=epoch,
        train_loss=trained[0],
        train_accuracy=trained[1],
        validation_loss=mean_cross_entropy(logits, labels),
        validation_accuracy=accuracy(logits, labels),
        learning_rate=learning_rate_at(training.settings, max(epoch, 1)),
        seconds=seconds,
        fc_weight=training.fcl.weight.detach().cpu().numpy().copy(),
        logits=logits,
        labels=labels,
        seconds_left=training.seconds / epoch * left if epoch else math.nan,
    )


def _keep_features(training: Training, epoch: int) -> Operation[None]:
    """Put the features of all slices after ``epoch`` on disk, where they are asked for.

    Before the checkpoint: a resumed run never passes over an epoch that is due. Those of the
    last epoch are written with the results.
    """
    every = training.settings.training.features_every
    if not every or epoch % every or epoch >= training.settings.epochs:
        return
    features = yield from extract_features(
        training.module,
        training.fcl,
        training.feed,
        training.data,
        training.engine,
        batch=training.settings.batch,
        at_once=training.evaluated_at_once,
    )
    if training.engine.is_first:
        yield from kept(training, lambda: training.writer.write_epoch_features(epoch, features))


def _keep_epoch(training: Training, metrics: EpochMetrics) -> tuple[Event, ...]:
    """Put a whole epoch on disk; return what there is to tell of it."""
    if not training.engine.is_first:
        return ()
    training.keep_fcl()
    is_best = metrics.validation_accuracy > training.best_accuracy
    if is_best:
        training.best_accuracy = metrics.validation_accuracy
        training.best_epoch = metrics.epoch
    return kept(training, lambda: _write_epoch(training, metrics, is_best))


def _write_epoch(training: Training, metrics: EpochMetrics, is_best: bool) -> None:
    """Write a whole epoch; the checkpoint comes last and acknowledges the rest."""
    writer = training.writer
    training.write_fcl()
    if is_best:
        save_network(training.network, writer, BEST_FILE)
    writer.append_epoch({name: getattr(metrics, name) for name in _KEPT_METRICS})
    if len(metrics.logits):
        writer.write_epoch_logits(metrics.epoch, metrics.logits)
    save_checkpoint(training)
    changes: dict[str, Any] = {
        "epochs_done": metrics.epoch,
        "seconds": training.seconds,
        **training.shortened,
    }
    if is_best:
        changes["best_epoch"] = metrics.epoch
    writer.update(**changes)
