"""A small run folder, as training writes it: softmax regression by SGD on made-up features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core import config
from core.run_folder import FcHistory, Features, Run, create_run, softmax

SLICES_A_SUBJECT = 4
PARTS = ("train", "train", "train", "validation", "test", "test", "test", "test")


class RunBuilder:
    """Builds run folders below ``root``; every call makes a new one."""

    def __init__(self, root: Path):
        self.root = root

    def __call__(
        self,
        classes=("AD", "NC"),
        *,
        n_features=64,
        epochs=3,
        separation=1.0,
        weight_seed=0,
        record=None,
        state="finished",
        with_features=True,
        right=None,
        **settings,
    ) -> Run:
        """Return a run; ``right`` sets the share of test slices that are right (K = 2)."""
        values = {"network": "googlenet", "fc_init": "glorot", "epochs": epochs, **settings}
        chosen = config.change(config.RunSettings(), values)
        writer = create_run(self.root, chosen, {"classes": classes, **(record or {})})
        features = make_features(len(classes), n_features, separation)
        history = train_fcl(
            features,
            len(classes),
            epochs=min(epochs, 12),
            weight_decay=chosen.training.weight_decay,
            seed=weight_seed,
            glorot=chosen.training.fc_init == "glorot",
        )
        weight, bias = history.at()
        features = with_logits(features, features.penultimate @ weight.T + bias)
        if right is not None:
            features = with_logits(features, answers(features, right))
        writer.write_fc_history(history)
        if with_features:
            writer.write_features(features)
        for epoch in range(1, epochs + 1):
            writer.append_epoch(
                {
                    "epoch": epoch,
                    "train_loss": 1 / epoch,
                    "train_accuracy": 1 - 0.5 / epoch,
                    "validation_loss": 1.1 / epoch,
                    "validation_accuracy": 1 - 0.6 / epoch,
                    "learning_rate": 0.01,
                    "seconds": 2.0,
                }
            )
        writer.update(state=state)
        return Run(writer.path)


def make_features(k: int, n_features: int, separation: float) -> Features:
    """8 subjects a class, 4 slices each; slices of a subject are alike."""
    random = np.random.default_rng(1)
    directions = random.normal(size=(k, n_features))
    rows = []
    for label in range(k):
        for number, part in enumerate(PARTS):
            own = random.normal(size=n_features) + separation * directions[label]
            for position in range(SLICES_A_SUBJECT):
                rows.append((own, label, part, f"S{label}{number:02d}", 40 + position))
    noise = 0.3 * random.normal(size=(len(rows), n_features))
    penultimate = np.maximum(np.array([row[0] for row in rows]) + noise, 0).astype(np.float32)
    subject = np.array([row[3] for row in rows])
    return Features(
        penultimate=penultimate,
        logits=np.zeros((len(rows), k), dtype=np.float32),
        label=np.array([row[1] for row in rows], dtype=np.int64),
        part=np.array([row[2] for row in rows]),
        subject=subject,
        session=np.full(len(rows), "MR1"),
        scan=np.array([f"{name}_MR1" for name in subject]),
        slice=np.array([row[4] for row in rows], dtype=np.int64),
    )


def with_logits(features: Features, logits: np.ndarray) -> Features:
    values = dict(vars(features))
    values["logits"] = logits.astype(np.float32)
    return Features(**values)


def answers(features: Features, right: float) -> np.ndarray:
    """Logits of a two-class network that is right in the given share of each subject's slices."""
    position = features.slice - 40
    is_right = position < right * SLICES_A_SUBJECT
    named = np.where(is_right, features.label, 1 - features.label)
    return np.eye(2)[named] * 2 - 1


def train_fcl(features, k, *, epochs, weight_decay, seed, glorot, learning_rate=0.02):
    """Softmax regression by SGD with momentum, float32 as torch does it."""
    random = np.random.default_rng(seed)
    n = features.penultimate.shape[1]
    bound = np.sqrt(6 / (n + k)) if glorot else 1 / np.sqrt(n)
    weight = random.uniform(-bound, bound, size=(k, n)).astype(np.float32)
    bias = np.zeros(k, dtype=np.float32)
    speed_w, speed_b = np.zeros_like(weight), np.zeros_like(bias)
    train = np.flatnonzero(features.part == "train")
    weights, biases = [weight], [bias]
    for _ in range(epochs):
        for batch in np.array_split(random.permutation(train), 3):
            x = features.penultimate[batch]
            error = softmax(x @ weight.T + bias) - np.eye(k)[features.label[batch]]
            gradient = (error.T @ x / len(batch)).astype(np.float32) + np.float32(
                weight_decay
            ) * weight
            speed_w = np.float32(0.9) * speed_w + gradient
            speed_b = np.float32(0.9) * speed_b + error.mean(axis=0).astype(np.float32)
            weight = weight - np.float32(learning_rate) * speed_w
            bias = bias - np.float32(learning_rate) * speed_b
        weights.append(weight)
        biases.append(bias)
    return FcHistory(np.arange(epochs + 1), np.array(weights), np.array(biases))


@pytest.fixture
def build_run(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path / "runs")


@pytest.fixture
def two_class_run(build_run: RunBuilder) -> Run:
    return build_run()


@pytest.fixture
def three_class_run(build_run: RunBuilder) -> Run:
    return build_run(("AD", "MCI", "NC"), network="cnn2d")
