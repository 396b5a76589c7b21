"""Measure whether half precision is faster here, by a few steps in each precision.

Shapes: N batch, C channels, H and W (and D) pixels, K classes.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from core import config
from core.config import CUSTOM_CNNS, RunSettings
from core.errors import TrainingError
from core.progress import Operation, Progress
from core.training.devices import choose_device, describe_device
from core.training.engine import Engine
from core.training.network import build_network
from core.training.optimiser import build_optimiser
from core.training.probe_result import PRECISION_TITLES, ProbeResult
from core.training.regime import apply_regime, set_training_mode

STEPS = 2
_CLASSES = 2


def probe_precision(settings: RunSettings) -> Operation[ProbeResult]:
    """Train one step to warm up and two more in each precision, on noise; keep nothing.

    The faster of the two steps counts: the other may have waited for another program.

    Raises
    ------
    TrainingError
        If the device cannot be used, or a batch does not fit in its memory.
    """
    device = choose_device(settings.training.device)
    wanted = ("32", "bf16", "16") if device.type == "cuda" else ("32", "bf16")
    total = len(wanted) * (STEPS + 1)
    rates: dict[str, float] = {}
    random_state = torch.get_rng_state()
    try:
        for place, precision in enumerate(wanted):
            title = PRECISION_TITLES[precision]
            yield Progress(f"Measuring {title}", place * (STEPS + 1), total)
            try:
                step = _stepper(settings, precision)
                seconds = []
                for number in range(STEPS + 1):
                    seconds.append(_timed(step, device))
                    done = place * (STEPS + 1) + number + 1
                    yield Progress(f"Measuring {title}", done, total)
                rates[precision] = settings.batch / min(seconds[1:])
            except torch.OutOfMemoryError as error:
                raise TrainingError(
                    f"A batch of {settings.batch} does not fit in the device's memory. Choose a "
                    "smaller batch and measure again."
                ) from error
            except (RuntimeError, NotImplementedError):
                # Not every device can do every operation in half precision.
                if precision == "32":
                    raise
            finally:
                step = None
                if gc.isenabled():  # else the window collects, in its own thread only
                    gc.collect()
    finally:
        torch.set_rng_state(random_state)
    return ProbeResult(settings, describe_device(device), rates)


def _stepper(settings: RunSettings, precision: str) -> Callable[[], None] | None:
    """Return a function that takes one step of training as a run does."""
    values = {"precision": precision, "devices": 1, "nodes": 1, "deterministic": False}
    training = config.change(settings, values).training
    engine = Engine(training)
    network = build_network(training, _CLASSES, transform_input=False).to(engine.device)
    images = _images(settings).to(engine.device)
    if training.network not in CUSTOM_CNNS:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = images.contiguous(memory_format=torch.channels_last)
    labels_N = (torch.arange(settings.batch) % _CLASSES).to(engine.device)
    optimiser = build_optimiser(apply_regime(network, training), training, learning_rate=1e-6)
    forward, take_step = engine.set_up(network, optimiser)
    set_training_mode(network, training)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(forward(images), labels_N)
        engine.backward(loss)
        take_step()
        loss.item()  # waits for the device

    return step


def _images(settings: RunSettings) -> Tensor:
    """Return noise of a batch's shape: (N, C, H, W), or (N, 1, D, H, W) for cubes."""
    size = settings.cut.size
    if settings.sees_cubes:
        return torch.rand(settings.batch, 1, size, size, size)
    channels = 1 if settings.training.network in CUSTOM_CNNS else 3
    return torch.rand(settings.batch, channels, size, size)


def _timed(step: Callable[[], None] | None, device: torch.device) -> float:
    assert step is not None
    began = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return max(time.perf_counter() - began, 1e-9)
