"""Does the simulated cohort behave like real scans? Accuracy by slice and by subject.

Run ``python -m benchmarks.phantom_behaviour``; ``--help`` lists the options. Reference,
OASIS-1, 28 + 28 subjects, 30 slices each: 1-nearest neighbour 99.9 % by slice and 65 % by
subject, PCA + logistic regression 79 % and 69 %; with random labels by slice about 96 %,
by subject about 50 %.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, optimize
from torch import nn

from core.data import phantom_brain
from core.training.custom_cnn import CustomCnn2d

SHARES = (5, 2, 3)


@dataclass(frozen=True)
class Slices:
    """Slices of a cohort: images (n, size, size) uint8, subject and label (n,)."""

    images: NDArray[np.uint8]
    subject: NDArray[np.int64]
    label: NDArray[np.int64]


def cut_cohort(seed: int, per_class: int, sizes: tuple[int, ...]) -> dict[int, Slices]:
    """Simulate a cohort in memory; cut 30 mid axial slices a subject, at each size."""
    labels = [0] * per_class + [1] * per_class
    volumes = [
        phantom_brain.simulate_subject((seed, number), ("AD", "NC")[label])[0]
        for number, label in enumerate(labels, start=1)
    ]
    result = {}
    for size in sizes:
        images = np.concatenate([mid_slices(volume, size) for volume in volumes])
        result[size] = Slices(
            images, np.repeat(np.arange(len(labels)), 30), np.repeat(np.array(labels), 30)
        )
    return result


def mid_slices(voxels: NDArray[np.int16], size: int) -> NDArray[np.uint8]:
    """Return 30 axial slices about the middle of the brain's bounding box."""
    low, high = np.percentile(voxels, (1, 99))
    window = np.clip((voxels - low) / (high - low), 0, 1) * 255
    filled = np.flatnonzero((voxels > 0).any(axis=(0, 1)))
    start = (filled[0] + filled[-1]) // 2 - 15
    # Padded to a square, then scaled: no stretching.
    side = max(voxels.shape[:2])
    square = np.zeros((side, side, 30), dtype=np.float32)
    x, y = ((side - n) // 2 for n in voxels.shape[:2])
    square[x : x + voxels.shape[0], y : y + voxels.shape[1]] = window[:, :, start : start + 30]
    scaled = ndimage.zoom(square, (size / side, size / side, 1), order=1)
    return np.rint(scaled.transpose(2, 1, 0)[:, ::-1]).astype(np.uint8)


def split(slices: Slices, mode: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the part (0 train, 1 validation, 2 test) of each slice; classes stay balanced."""
    part = np.empty(len(slices.label), dtype=np.int64)
    units = slices.subject if mode == "subject" else np.arange(len(slices.label))
    for label in (0, 1):
        mine = rng.permutation(np.unique(units[slices.label == label]))
        bounds = np.rint(np.cumsum(SHARES) / sum(SHARES) * len(mine)).astype(int)
        for number, chosen in enumerate(np.split(mine, bounds[:2])):
            part[np.isin(units, chosen) & (slices.label == label)] = number
    return part


def shuffle_labels(slices: Slices, rng: np.random.Generator) -> Slices:
    """Give every subject a random class, as many of each as before."""
    subjects = np.unique(slices.subject)
    half = np.repeat([0, 1], len(subjects) // 2)
    return Slices(slices.images, slices.subject, rng.permutation(half)[slices.subject])


def nearest_neighbour(slices: Slices, part: NDArray[np.int64]) -> float:
    """Return the test accuracy of 1-NN on pixels."""
    pixels = slices.images.reshape(len(slices.images), -1).astype(np.float32)
    train, test = part == 0, part == 2
    square = (pixels[train] ** 2).sum(axis=1)
    distance = square - 2 * pixels[test] @ pixels[train].T
    found = slices.label[train][distance.argmin(axis=1)]
    return float((found == slices.label[test]).mean())


def logistic_regression(slices: Slices, part: NDArray[np.int64]) -> float:
    """Return the test accuracy of PCA (40) and logistic regression (L2)."""
    pixels = slices.images.reshape(len(slices.images), -1).astype(np.float64)
    train, test = part == 0, part == 2
    mean = pixels[train].mean(axis=0)
    _, _, axes = np.linalg.svd(pixels[train] - mean, full_matrices=False)
    scores = (pixels - mean) @ axes[:40].T
    scores /= scores[train].std(axis=0)
    sign = 1.0 - 2.0 * slices.label

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign[train] * (scores[train] @ weight[:-1] + weight[-1])
        slope = -sign[train] / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.append(slope @ scores[train], slope.sum())
        penalty = 0.5 * (weight[:-1] ** 2).sum()
        return np.logaddexp(0, -margin).sum() + penalty, gradient + np.append(weight[:-1], 0)

    weight = optimize.minimize(loss, np.zeros(41), jac=True, method="L-BFGS-B").x
    return float(((scores[test] @ weight[:-1] + weight[-1]) * sign[test] > 0).mean())


@dataclass(frozen=True)
class CnnSettings:
    width: int
    blocks: int
    epochs: int
    learning_rate: float
    drop_factor: float
    drop_every: int


def train_cnn(
    slices: Slices, part: NDArray[np.int64], settings: CnnSettings, seed: int
) -> dict[str, float]:
    """Train by SGD (momentum 0.9, batch 32, no weight decay); return accuracies and seconds.

    ``CNN train`` and ``CNN`` are of the last epoch, ``CNN best`` is the test accuracy at the
    best validation, ``CNN bn`` that with batch-norm statistics recomputed after the end.
    """
    torch.manual_seed(seed)
    started = time.perf_counter()
    images = torch.from_numpy(slices.images).float()[:, None] / 255
    images = (images - 0.485) / 0.229
    labels = torch.from_numpy(slices.label)
    rows = [torch.from_numpy(np.flatnonzero(part == number)) for number in range(3)]
    train, validation, test = rows
    network = CustomCnn2d(2, width=settings.width, blocks=settings.blocks)
    optimiser = torch.optim.SGD(network.parameters(), lr=settings.learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, settings.drop_every, settings.drop_factor)

    def accuracy(chosen: torch.Tensor) -> float:
        network.eval()
        with torch.no_grad():
            found = torch.cat([network(images[batch]).argmax(1) for batch in chosen.split(128)])
        return float((found == labels[chosen]).float().mean())

    best = (-1.0, 0.0)
    for _ in range(settings.epochs):
        network.train()
        for batch in train[torch.randperm(len(train))].split(32):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimiser.step()
        schedule.step()
        reached = accuracy(validation)
        if reached >= best[0]:
            best = (reached, accuracy(test))
    result = {"CNN train": accuracy(train), "CNN": accuracy(test), "CNN best": best[1]}
    result["seconds"] = time.perf_counter() - started
    recompute_batch_norm(network, images[train[torch.randperm(len(train))]])
    result["CNN bn"] = accuracy(test)
    return result


def recompute_batch_norm(network: nn.Module, images: torch.Tensor) -> None:
    """Replace the running statistics by plain means over ``images``."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    with torch.no_grad():
        for batch in images.split(64):
            network(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=14, help="per class")
    parser.add_argument("--seeds", type=int, default=3, help="cohorts and splits")
    parser.add_argument("--size", type=int, default=64, help="slice size of the CNN, pixels")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--drop-factor", type=float, default=0.1)
    parser.add_argument("--drop-every", type=int, default=18)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-cnn", action="store_true")
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cnn = CnnSettings(
        width=options.width,
        blocks=options.blocks,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        drop_factor=options.drop_factor,
        drop_every=options.drop_every,
    )
    table: dict[tuple[str, str, str], list[float]] = {}
    seconds = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        cut = cut_cohort(seed, options.subjects, (48, options.size))
        for labels in ("true", "shuffled"):
            for mode in ("subject", "slice"):
                # The simple classifiers are quick: more splits, less luck.
                for repeat in range(10):
                    rng = np.random.default_rng((seed, repeat))
                    slices = cut[48] if labels == "true" else shuffle_labels(cut[48], rng)
                    part = split(slices, mode, rng)
                    for name, method in (
                        ("1-NN", nearest_neighbour),
                        ("PCA+LR", logistic_regression),
                    ):
                        if name == "PCA+LR" and repeat >= 4:
                            continue
                        table.setdefault((name, labels, mode), []).append(method(slices, part))
                if options.no_cnn:
                    continue
                rng = np.random.default_rng((seed, 0))
                slices = cut[options.size]
                slices = slices if labels == "true" else shuffle_labels(slices, rng)
                part = split(slices, mode, rng)
                result = train_cnn(slices, part, cnn, seed)
                seconds.append(result.pop("seconds"))
                for name, value in result.items():
                    table.setdefault((name, labels, mode), []).append(value)
                said = ", ".join(f"{name} {value:.3f}" for name, value in result.items())
                print(f"  seed {seed} {labels} {mode}: {said}", flush=True)
    print(f"{'classifier':12s}{'labels':10s}{'split':9s}{'mean':>7s}{'min':>7s}{'max':>7s}   n")
    for (name, labels, mode), values in sorted(table.items()):
        print(
            f"{name:12s}{labels:10s}{mode:9s}{np.mean(values):7.3f}{min(values):7.3f}"
            f"{max(values):7.3f}{len(values):4d}"
        )
    if seconds:
        print(f"CNN: {cnn}, {options.size} pixels, {np.mean(seconds):.0f} s a run")


if __name__ == "__main__":
    main()
