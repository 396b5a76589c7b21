"""The estimate of a training's memory beside what its steps take, each network in its own process.

What is measured is the most that lay in memory at once, less what did before there was a network.
The process keeps freed memory, as the program does (`core/allocator.py`).

    python -m benchmarks.memory [googlenet resnet101 ... --batch 16 --steps 3 --optimiser sgd]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
from multiprocessing.connection import Connection

import torch
from torch import nn

from core import config
from core.allocator import keep_freed_memory
from core.config import RunSettings
from core.training import memory
from core.training.network import build_network
from core.training.optimiser import build_optimiser
from core.training.regime import apply_regime, set_training_mode

NETWORKS = ("googlenet", "resnet101", "vgg19", "cnn2d")


def most_in_memory() -> int:
    """Return the bytes of this process that lay in memory when they were most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def train_steps(settings: RunSettings, steps: int) -> None:
    """Take some steps on noise, as a run does."""
    training = settings.training
    network = build_network(training, 2, transform_input=False)
    is_custom = training.network in config.CUSTOM_CNNS
    size = settings.cut.size
    images = torch.rand(settings.batch, 1 if is_custom else 3, size, size)
    if not is_custom:
        network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(settings.batch) % 2
    optimiser = build_optimiser(apply_regime(network, training), training, learning_rate=1e-6)
    set_training_mode(network, training)
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()


def measure(sender: Connection, values: dict[str, object], steps: int) -> None:
    """Send the estimate and the measured bytes."""
    keep_freed_memory()
    torch.set_num_threads(1)
    settings = config.change(RunSettings(), values)
    estimate = memory.bytes_for_training(settings, 2)
    before = most_in_memory()
    train_steps(settings, steps)
    sender.send((estimate, most_in_memory() - before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--optimiser", default="sgd")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print("network      estimate   measured   estimate / measured")
    for name in asked.networks:
        values = {"network": name, "batch": asked.batch, "optimiser": asked.optimiser}
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=measure, args=(sender, values, asked.steps))
        child.start()
        estimate, measured = receiver.recv()
        child.join()
        print(f"{name:<12} {estimate / 1e6:5.0f} MB   {measured / 1e6:5.0f} MB   ", end="")
        print(f"{estimate / measured:.2f}", flush=True)


if __name__ == "__main__":
    main()
