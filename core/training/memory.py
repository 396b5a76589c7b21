"""Will a training fit into memory, and what to say where it did not.

The network is run once on torch's "meta" device, which keeps shapes and no numbers: what
backward would need is then counted, and nothing is allocated.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from core.config import CUSTOM_CNNS, RunSettings
from core.errors import TrainingError
from core.free_memory import free_memory
from core.progress import Notice, Operation, Progress
from core.training.feed import runs_backbone_once
from core.training.network import build_network
from core.training.optimiser import numbers_kept
from core.training.regime import apply_regime, set_training_mode

_GIGABYTE = 10**9
# From layer to layer go a gradient, that of the layer before, and a copy of each in the layout that
# a convolution wants: at most four times the largest.
_BETWEEN_LAYERS = 4
# Without backward: input and output of a layer, and a copy of one in another layout.
_BETWEEN_FROZEN_LAYERS = 3
# An allocator that keeps freed memory (core.allocator) fills it with blocks of other sizes: 10 to
# 20 % of what a step keeps lies idle between them, as benchmarks/memory.py measures.
_HOLES = 0.2
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "bad allocation",
    "MPS backend out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def bytes_for_training(settings: RunSettings, n_classes: int, *, at_once: int = 0) -> int:
    """Return about how much memory each process of a training takes beside the program itself.

    Weights, their gradients and what the optimiser keeps, all that backward needs of one batch
    (or of so many slices ``at_once``), what goes from layer to layer, and the holes that blocks
    of so many sizes leave between them.
    """
    training = settings.training
    images = at_once or math.ceil(settings.batch / training.devices)
    state = torch.get_rng_state()
    try:
        with torch.device("meta"):
            network = build_network(training, n_classes, transform_input=False)
            batch = torch.empty(_input_shape(settings, images))
    finally:
        torch.set_rng_state(state)
    learning = apply_regime(network, training)
    set_training_mode(network, training)
    weights: int = sum(value.nbytes for value in network.state_dict().values())
    copies = 1 + numbers_kept(training)
    needed: int = weights + copies * sum(parameter.nbytes for parameter in learning)
    if runs_backbone_once(training):
        # Weights of convolutions are stored anew, channels last; their old place stays idle.
        moved = sum(value.nbytes for value in network.parameters() if value.ndim > 2)
        between = _BETWEEN_FROZEN_LAYERS * _largest_output(network, batch)
        return needed + round(moved * (1 + _HOLES)) + between
    kept = _kept_for_backward(network, batch)
    between = _BETWEEN_LAYERS * max(kept, default=0)
    return needed + batch.nbytes + round(sum(kept) * (1 + _HOLES)) + between


def require_memory(
    settings: RunSettings, n_classes: int, device: torch.device, *, at_once: int = 0
) -> Operation[None]:
    """Say before the start where a training will not fit into memory.

    A GPU that is short is only told of: training then goes on with fewer slices at a time.
    A computer that is short swaps until nothing moves, or ends the program: it is refused.

    Raises
    ------
    TrainingError
        With both numbers.
    """
    yield Progress("Estimating the memory")
    free = free_on(device)
    if free is None:
        return
    needed = bytes_for_training(settings, n_classes, at_once=at_once)
    # Processes of one computer share its memory; each GPU has its own.
    if device.type == "cpu":
        needed *= settings.training.devices
    if needed <= free:
        return
    sentence = (
        f"This training needs about {gigabytes(needed)} of memory on the "
        f"{'GPU' if device.type == 'cuda' else 'CPU'}, and {gigabytes(free)} are free"
    )
    if device.type != "cpu":
        yield Notice(f"{sentence}: it may go on with fewer slices at a time. A smaller batch fits.")
        return
    raise TrainingError(
        f"{sentence}. Lower the batch size (now {settings.batch}), choose a smaller network, or "
        "close other programs."
    )


def free_on(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where it does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory() if device.type == "cpu" else None


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory was short, by whichever library said so in whichever words."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def gigabytes(count: int) -> str:
    """Return a number of bytes for people."""
    if count < _GIGABYTE // 10:
        return f"{count / 10**6:.0f} MB"
    return f"{count / _GIGABYTE:.1f} GB"


def _input_shape(settings: RunSettings, images: int) -> tuple[int, ...]:
    size = settings.cut.size
    if settings.sees_cubes:
        return (images, 1, size, size, size)
    channels = 1 if settings.training.network in CUSTOM_CNNS else 3
    return (images, channels, size, size)


def _kept_for_backward(network: nn.Module, batch: Tensor) -> list[int]:
    """Return the bytes of each piece of memory that a step keeps until backward has used it."""
    own = {_place_of(value) for value in (*network.parameters(), *network.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(value: Tensor) -> None:
        # Views of one piece of memory count once, those of weights not at all; what is kept here
        # cannot move. Where each maximum of a pooling lay counts too, 8 bytes each.
        if _place_of(value) not in own:
            kept[_place_of(value)] = value.untyped_storage()

    def give_back(_nothing: None) -> Tensor:
        raise AssertionError  # nobody goes backward here

    # Torch keeps what a hook returns. Were it the tensor, a layer that keeps its own output
    # would hold itself, where Python's collector does not see it.
    with torch.autograd.graph.saved_tensors_hooks(keep, give_back):
        logits = network(batch)
    del logits
    return [storage.nbytes() for storage in kept.values()]


def _place_of(value: Tensor) -> int:
    return int(value.untyped_storage()._cdata)  # noqa: SLF001 - a storage has no other name


def _largest_output(network: nn.Module, batch: Tensor) -> int:
    largest = [batch.nbytes]

    def look(_module: nn.Module, _given: object, output: object) -> None:
        if isinstance(output, Tensor):
            largest.append(output.nbytes)

    hooks = [module.register_forward_hook(look) for module in network.modules()]
    try:
        with torch.no_grad():
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return max(largest)
