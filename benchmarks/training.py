"""Training speed beside two other loops, in one run and one thread.

``bare`` is forward, backward and step on one batch that lies ready in memory, in the same
process as ours; ``naive`` is the loop of a tutorial: ImageFolder, DataLoader, contiguous images,
in a plain Python process of its own (ours keeps freed memory: `core/allocator.py`). All three
take turns, a few batches each, and CPU time is counted, so that a busy machine does little harm.

    python -m benchmarks.training [--network googlenet --batch 16 --rounds 12]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from core import config, tasks
from core.allocator import keep_freed_memory
from core.config import RunSettings
from core.progress import BatchDone, run_to_end
from core.training.network import build_network
from core.training.torchvision_gateway import torchvision

SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write_pictures(folder: Path, *, subjects: int, slices: int) -> Path:
    """Write two class folders of noise, as JPEG."""
    rng = np.random.default_rng(0)
    for name in ("AD", "NC"):
        (folder / name).mkdir(parents=True)
        for subject in range(subjects):
            for number in range(slices):
                pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
                path = folder / name / f"{name}{subject:03d}_s{number:02d}.jpg"
                Image.fromarray(pixels).save(path)
    return folder


def our_steps(folder: Path, settings: RunSettings) -> Iterator[None]:
    """Go on by one batch of the program's own loop each time."""
    scanned = run_to_end(tasks.scan(folder, out=folder.parent / "cohort.mrifcl"))
    for event in tasks.train(scanned.folder, settings, folder.parent / "runs"):
        if isinstance(event, BatchDone):
            yield None


def bare_steps(settings: RunSettings) -> Iterator[None]:
    """Forward, backward, step: nothing else."""
    network = ready_network(settings).to(memory_format=torch.channels_last)
    images = torch.rand(settings.batch, 3, SIDE, SIDE)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (settings.batch,))
    step = stepper(network, settings)
    while True:
        step(images, labels)
        yield None


def naive_steps(folder: Path, settings: RunSettings) -> Iterator[None]:
    """As a tutorial has it: pictures are decoded in each epoch, memory is contiguous."""
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
    step = stepper(ready_network(settings), settings)
    right = total = 0
    while True:
        loader = DataLoader(data, batch_size=settings.batch, shuffle=True, drop_last=True)
        for images, labels in loader:
            loss, logits = step(images, labels)
            total += loss.item()
            right += int((logits.argmax(1) == labels).sum())
            yield None


def serve_naive(folder: Path, settings: RunSettings, pipe: Connection) -> None:
    """Do as many batches as the pipe asks for, and send the CPU seconds of one; 0 ends it."""
    torch.set_num_threads(1)
    steps = naive_steps(folder, settings)
    while n := pipe.recv():
        pipe.send(timed(steps, n))


def ready_network(settings: RunSettings) -> nn.Module:
    """Return the network that is measured, in training mode."""
    torch.manual_seed(0)
    return build_network(settings.training, 2, transform_input=False).train()


def stepper(network: nn.Module, settings: RunSettings) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Return a function that takes one step of SGD."""
    optimiser = torch.optim.SGD(network.parameters(), lr=settings.learning_rate, momentum=0.9)

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        optimiser.zero_grad(set_to_none=True)
        logits = network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimiser.step()
        return loss, logits

    return step


def timed(steps: Iterator[None], n: int) -> float:
    """Return the CPU seconds of one batch, over ``n`` batches."""
    began = time.process_time()
    for _ in range(n):
        next(steps)
    return (time.process_time() - began) / n


def asked(pipe: Connection, n: int) -> float:
    """Let the other process do ``n`` batches; return its CPU seconds of one."""
    pipe.send(n)
    seconds: float = pipe.recv()
    return seconds


def main() -> None:
    """Measure and print."""
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="googlenet")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--each", type=int, default=1, help="batches of one loop before the next")
    given = parser.parse_args()
    torch.set_num_threads(1)
    values = {"network": given.network, "batch": given.batch, "epochs": 1, "device": "cpu"}
    settings = config.change(RunSettings(), values)
    needed = (given.rounds + 3) * given.each * given.batch
    with tempfile.TemporaryDirectory() as folder:
        # Half of the slices are the training part.
        subjects = -(-needed // 16) + 4
        pictures = write_pictures(Path(folder) / "noise", subjects=subjects, slices=16)
        here, there = multiprocessing.Pipe()
        other = multiprocessing.get_context("spawn").Process(
            target=serve_naive, args=(pictures, settings, there), daemon=True
        )
        other.start()
        ours, bare = our_steps(pictures, settings), bare_steps(settings)
        loops: dict[str, Callable[[], float]] = {
            "ours": lambda: timed(ours, given.each),
            "bare": lambda: timed(bare, given.each),
            "naive": lambda: asked(here, given.each),
        }
        for take_turn in loops.values():  # warm up
            take_turn(), take_turn()
        # Forth and back, so that none always comes after the same other one.
        rounds = [
            {name: loops[name]() for name in list(loops)[:: (-1) ** number]}
            for number in range(given.rounds)
        ]
        here.send(0)
        other.join()
    print(f"{given.network}, batch {given.batch}, one thread, {given.rounds} rounds")
    for name in loops:
        median = statistics.median(each[name] for each in rounds)
        print(f"  {name:6} {median:7.3f} s a batch, {given.batch / median:6.1f} images/s")
    for name, wanted in (("bare", 0.97), ("naive", 1.3)):
        ratios = [each[name] / each["ours"] for each in rounds]
        low, ratio, high = statistics.quantiles(ratios, n=4)
        print(
            f"  rate of ours / {name}: {ratio:.3f} (at least {wanted}); "
            f"half of the rounds lie in {low:.3f} to {high:.3f}"
        )


if __name__ == "__main__":
    main()
