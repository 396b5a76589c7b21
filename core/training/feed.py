"""What the training loop feeds a network with: slices, or features of a frozen backbone.

Shapes: n slices in all, N of a batch, H and W pixels, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import TrainSettings
from core.progress import Event, Progress
from core.training.augmentation import Augmentation
from core.training.dataset import Drawn
from core.training.network import InputScaling, fcl_of

# Where the part of a frozen network ends that gives the same for a slice each time: before
# the first dropout, or before the FCL where there is none. VGG-19 has two dropouts among
# its linear layers, so its second linear layer runs live.
_SUFFIX_STARTS = {"googlenet": "dropout", "vgg19": "classifier.2"}


class Feed(Protocol):
    """Gives the input of the part of the network that the loop runs."""

    def training_batch(self, drawn: Drawn, epoch: int) -> Tensor:
        """Return the input for ``drawn`` while training, augmented where that is asked for."""
        ...

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the input for ``rows``, as it is."""
        ...

    def use_less_memory(self) -> str:
        """Take less memory for an input from here on; return what to say, nothing if it cannot."""
        ...


class SliceFeed:
    """Slices, uint8 in memory; a batch is scaled on the device.

    Parameters
    ----------
    pixels : Tensor, shape (n, H, W), uint8
        Or (n, D, H, W): cubes.
    scaling : InputScaling
    device : torch.device
    augmentation : Augmentation, optional
    """

    def __init__(
        self,
        pixels: Tensor,
        scaling: InputScaling,
        device: torch.device,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.pixels = pixels
        self.scaling = scaling
        self.device = device
        self.augmentation = augmentation

    def training_batch(self, drawn: Drawn, epoch: int) -> Tensor:
        """Return augmented images (N, C, H, W)."""
        pixels = self._on_device(drawn.rows)
        if self.augmentation is not None:
            pixels = self.augmentation.apply(pixels, drawn, epoch)
        return self.scaling.apply(pixels)

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return images (N, C, H, W)."""
        return self.scaling.apply(self._on_device(rows))

    def use_less_memory(self) -> str:
        """Return nothing: a batch of slices takes little beside what the network makes of it."""
        return ""

    def _on_device(self, rows: NDArray[np.int64]) -> Tensor:
        return self.pixels[torch.from_numpy(rows)].to(self.device, non_blocking=True)


class FeatureFeed:
    """Features (n, F) of a frozen backbone, computed once."""

    def __init__(self, features: Tensor, device: torch.device) -> None:
        self.features = features
        self.device = device

    def training_batch(self, drawn: Drawn, epoch: int) -> Tensor:
        """Return features (N, F); they are the same in each epoch."""
        return self.batch(drawn.rows)

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return features (N, F)."""
        return self.features[torch.from_numpy(rows)].to(self.device, non_blocking=True)

    def use_less_memory(self) -> str:
        """Return nothing: features lie in memory as they are."""
        return ""


class FrozenFeed:
    """Features of a frozen backbone, computed anew for each batch of slices.

    A batch is always padded to the same size: a matrix product may round otherwise for
    another number of rows, and features would then depend on their neighbours. Where memory is
    short that size is halved, and features are then those of the smaller one.
    """

    def __init__(self, backbone: FrozenBackbone, slices: SliceFeed, size: int) -> None:
        self.backbone = backbone
        self.slices = slices
        self.size = size

    def training_batch(self, drawn: Drawn, epoch: int) -> Tensor:
        """Return features (N, F) of augmented slices."""
        return self._in_full_batches(
            len(drawn), lambda places: self.slices.training_batch(drawn[places], epoch)
        )

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return features (N, F)."""
        return self._in_full_batches(len(rows), lambda places: self.slices.batch(rows[places]))

    def use_less_memory(self) -> str:
        """Halve the size of a batch; return nothing where it is one slice already."""
        if self.size == 1:
            return ""
        before, self.size = self.size, (self.size + 1) // 2
        return (
            "The device ran out of memory in the frozen layers. From here on they see "
            f"{self.size} slices at a time; features may differ in their last digits from those "
            f"of {before} at a time."
        )

    def compute_all(self, n: int) -> Generator[Event, None, Tensor]:
        """Return the features (n, F) of all slices, on the CPU."""
        starts = range(0, n, self.size)
        done: list[Tensor] = []
        for number, start in enumerate(starts):
            yield Progress("Running the frozen layers once", number, len(starts))
            done.append(self.batch(np.arange(start, min(start + self.size, n))).cpu())
        return torch.cat(done)

    def _in_full_batches(self, n: int, images_of: Callable[[NDArray[np.int64]], Tensor]) -> Tensor:
        """Return features (n, F) of the images that ``images_of`` gives for places among n."""
        padded = np.minimum(np.arange(n + -n % self.size), n - 1)
        parts = np.split(padded, len(padded) // self.size)
        return torch.cat([self.backbone(images_of(part)) for part in parts])[:n]


class FrozenBackbone:
    """The part of a frozen network before its first dropout or its FCL.

    Parameters
    ----------
    network : nn.Module
    name : str
        Of the network, as in the settings.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        self.network = network
        start = _SUFFIX_STARTS.get(name)
        self.stop = network.get_submodule(start) if start else fcl_of(network, name)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return features (N, F) of images; batch norm in evaluation mode."""
        caught: list[Tensor] = []

        def catch(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            caught.append(inputs[0].detach())
            raise _ReachedError

        hook = self.stop.register_forward_pre_hook(catch)
        modes = [(module, module.training) for module in self.network.modules()]
        self.network.eval()
        try:
            self.network(images)
        except _ReachedError:
            pass
        finally:
            hook.remove()
            for module, was_training in modes:
                module.training = was_training
        return caught[0]


class _ReachedError(Exception):
    """The end of the backbone is reached: what lies behind it need not run."""


def frozen_suffix(network: nn.Module, name: str) -> nn.Module:
    """Return the layers behind :class:`FrozenBackbone`, sharing their weights with it."""
    if name == "googlenet":
        return nn.Sequential(network.get_submodule("dropout"), fcl_of(network, name))
    if name == "vgg19":
        classifier = network.get_submodule("classifier")
        assert isinstance(classifier, nn.Sequential)
        return classifier[2:]
    return fcl_of(network, name)


def runs_backbone_once(settings: TrainSettings) -> bool:
    """Tell whether the backbone gives a slice the same features in every epoch."""
    return settings.regime == "frozen" and not settings.adapt_batch_norm
