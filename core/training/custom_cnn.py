"""The custom CNNs of P2, whose architecture is not given there: for slices and for volumes.

Shapes: N batch, C channels, D, H and W voxels, F penultimate features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "leaky-relu"]


class CustomCnn2d(nn.Module):
    """The custom CNN for two or more classes.

    Blocks of convolution 3x3, batch norm, activation and 2x2 max pooling, each block
    twice as wide as the one before; global average pooling; a fully connected layer to
    ``features``; then the FCL.

    Parameters
    ----------
    n_classes : int
    width : int
        Channels of the first block.
    features : int
        Penultimate features, inputs of the FCL.
    activation : {"relu", "leaky-relu"}
        Leaky ReLU has slope 0.01 (P2).
    blocks : int
    """

    def __init__(
        self,
        n_classes: int,
        *,
        width: int = 16,
        features: int = 128,
        activation: Activation = "relu",
        blocks: int = 4,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*_blocks(_block_2d, width, blocks, activation))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = _hidden_layer(width, blocks, features, activation)
        self.fc = nn.Linear(features, n_classes)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, 1, H, W)."""
        pooled: Tensor = self.pool(self.features(images_NCHW)).flatten(1)
        logits_NK: Tensor = self.fc(self.hidden(pooled))
        return logits_NK


class CustomCnn3d(nn.Module):
    """The custom CNN for whole volumes, built as :class:`CustomCnn2d` in three dimensions.

    Convolutions are 3x3x3 and poolings 2x2x2. Parameters as there.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        width: int = 16,
        features: int = 128,
        activation: Activation = "relu",
        blocks: int = 4,
    ) -> None:
        super().__init__()
        # Not called "features": the names of its layers tell a file's network.
        self.features3d = nn.Sequential(*_blocks(_block_3d, width, blocks, activation))
        self.hidden = _hidden_layer(width, blocks, features, activation)
        self.fc = nn.Linear(features, n_classes)

    def forward(self, cubes_NCDHW: Tensor) -> Tensor:
        """Return logits (N, K) of cubes (N, 1, D, H, W)."""
        # A plain mean: the gradient of adaptive pooling differs from call to call on a GPU.
        pooled: Tensor = self.features3d(cubes_NCDHW).mean(dim=(2, 3, 4))
        logits_NK: Tensor = self.fc(self.hidden(pooled))
        return logits_NK


def _blocks(
    block: Callable[[int, int, nn.Module], list[nn.Module]],
    width: int,
    count: int,
    activation: Activation,
) -> list[nn.Module]:
    channels = [1, *(width * 2**i for i in range(count))]
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(channels):
        layers += block(narrow, wide, _activation(activation))
    return layers


def _block_2d(channels: int, wider: int, activation: nn.Module) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, wider, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(wider), activation, nn.MaxPool2d(2)]


def _block_3d(channels: int, wider: int, activation: nn.Module) -> list[nn.Module]:
    convolution = nn.Conv3d(channels, wider, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm3d(wider), activation, _HalvingMaxPool3d()]


def _hidden_layer(width: int, blocks: int, features: int, activation: Activation) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width * 2 ** (blocks - 1), features), _activation(activation))


def _activation(name: Activation) -> nn.Module:
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.01, inplace=True)


class _HalvingMaxPool3d(nn.MaxPool3d):
    """Max pooling 2x2x2; where the same bits are wanted each time, by routines that give them.

    torch's own adds gradients up in any order on a GPU.
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type == "cpu" or not torch.are_deterministic_algorithms_enabled():
            pooled: Tensor = super().forward(input)
            return pooled
        n, channels, *sides = input.shape
        d, h, w = (side // 2 for side in sides)
        even = input[:, :, : 2 * d, : 2 * h, : 2 * w]
        return even.reshape(n, channels, d, 2, h, 2, w, 2).amax(dim=(3, 5, 7))
