"""Frozen training beside the naive loop, which runs all layers in every epoch.

The naive loop is that of a tutorial: ImageFolder, DataLoader, contiguous images, one forward
pass of training and validation slices an epoch, and features of all slices at the end. Its
time for many epochs is that of the measured ones, scaled. Ours is a whole run, with all that
it puts on disk. CPU time in one thread; the two take turns.

    python -m benchmarks.frozen [--network googlenet --subjects 10 --batch 16]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from benchmarks.training import MEAN, SIDE, STD, ready_network, stepper, write_pictures
from core import config, tasks
from core.config import RunSettings
from core.progress import run_to_end
from core.run_folder import Run
from core.training.network import fcl_of
from core.training.regime import apply_regime, set_training_mode
from core.training.torchvision_gateway import torchvision

NAIVE_EPOCHS = 2
AIMS = {20: 12.0, 30: 18.0}


def naive_seconds(
    folder: Path, settings: RunSettings, parts: dict[str, list[int]]
) -> Iterator[float]:
    """Yield the CPU seconds of each epoch of the naive loop, then those of the features."""
    transforms = torchvision.transforms
    data = torchvision.datasets.ImageFolder(
        str(folder),
        transforms.Compose(
            [
                transforms.Grayscale(3),
                transforms.Resize((SIDE, SIDE)),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        ),
    )
    network = ready_network(settings)
    apply_regime(network, settings.training)
    step = stepper(network, settings)
    for _ in range(NAIVE_EPOCHS):
        began = time.process_time()
        set_training_mode(network, settings.training)
        for images, labels in batches(Subset(data, parts["train"]), settings, shuffle=True):
            step(images, labels)
        forward(network, batches(Subset(data, parts["validation"]), settings))
        yield time.process_time() - began
    began = time.process_time()
    forward(network, batches(data, settings))
    yield time.process_time() - began


def batches(data: Dataset, settings: RunSettings, *, shuffle: bool = False) -> DataLoader:
    """Return a plain loader."""
    return DataLoader(data, batch_size=settings.batch, shuffle=shuffle)


@torch.no_grad()
def forward(network: torch.nn.Module, loader: DataLoader) -> None:
    """Run a network in evaluation mode."""
    network.eval()
    for images, _ in loader:
        network(images)


def our_seconds(cohort: Path, settings: RunSettings, runs: Path) -> tuple[float, Run]:
    """Return the CPU seconds of a whole run, and the run."""
    began = time.process_time()
    run = Run(run_to_end(tasks.train(cohort, settings, runs)))
    return time.process_time() - began, run


def parts_of(run: Run, folder: Path) -> dict[str, list[int]]:
    """Return which pictures of an ImageFolder are in each part, by the run's split."""
    features = run.features
    part_of = dict(zip(features.scan, features.part, strict=True))
    names = [path for name in run.classes for path in sorted((folder / name).iterdir())]
    found = [
        part_of.get(next(k for k in part_of if path.stem.split("_")[0] in k)) for path in names
    ]
    return {part: [i for i, of in enumerate(found) if of == part] for part in set(found)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="googlenet")
    parser.add_argument("--subjects", type=int, default=10, help="in each class, 16 slices each")
    parser.add_argument("--batch", type=int, default=16)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = write_pictures(folder / "noise", subjects=given.subjects, slices=16)
        values = {"network": given.network, "batch": given.batch, "device": "cpu"}
        settings = config.change(RunSettings(), values)
        weights = folder / "weights.safetensors"
        safetensors.torch.save_file(ready_network(settings).state_dict(), weights)
        settings = config.change(
            settings, {"regime": "frozen", "weights": str(weights), "epochs": 2}
        )
        cohort = run_to_end(tasks.scan(pictures, out=folder / "cohort.mrifcl")).folder
        live_settings = config.change(settings, {"cache_features": False})
        _, live = our_seconds(cohort, live_settings, folder / "live")
        naive = naive_seconds(pictures, settings, parts_of(live, pictures))
        epochs = [next(naive)]
        ours = {}
        for n in AIMS:
            for path in (cohort / "features").glob("*"):
                path.unlink()
            ours[n], _ = our_seconds(
                cohort, config.change(settings, {"epochs": n}), folder / f"runs{n}"
            )
            epochs.append(next(naive))
        _, again = our_seconds(cohort, settings, folder / "again")
        kept_settings = config.change(settings, {"epochs": 30})
        kept_run = Run(run_to_end(tasks.train(cohort, kept_settings, folder / "kept")))
        kept = float(np.median(kept_run.history.seconds))
        same = np.array_equal(live.fc_history.weight, again.fc_history.weight)
    epoch, features = float(np.mean(epochs[:NAIVE_EPOCHS])), epochs[-1]
    print(f"{given.network}, {given.subjects * 32} slices, batch {given.batch}, one thread")
    print(f"  naive: {epoch:.2f} s an epoch, {features:.2f} s for the features at the end")
    for n, wanted in AIMS.items():
        total = n * epoch + features
        print(f"  {n} epochs: naive {total:.1f} s, ours {ours[n]:.1f} s: "
              f"{total / ours[n]:.1f} times as fast (at least {wanted:g})")  # fmt: skip
    print(f"  an epoch from kept features: {kept * 1000:.1f} ms, {epoch / kept:.0f} times as fast "
          "(at least 300)")  # fmt: skip
    print(f"  FCL weights equal to the last bit to those of live layers: {same}")
    print(f"  (penultimate features {fcl_of(ready_network(settings), given.network).in_features})")


if __name__ == "__main__":
    main()
