"""The networks: ResNet-101, GoogLeNet, VGG-19 and the custom CNNs, each with a new FCL.

Shapes: N batch, C channels, D, H and W voxels, F penultimate features, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from core.config import CUSTOM_CNNS, TrainSettings
from core.training.custom_cnn import CustomCnn2d, CustomCnn3d
from core.training.torchvision_gateway import models

# Name of the FCL inside each network, "the FCL" of the paper. VGG-19 has three linear
# layers; only the last is replaced.
FCL_NAMES = {
    "resnet101": "fc",
    "googlenet": "fc",
    "vgg19": "classifier.6",
    "cnn2d": "fc",
    "cnn3d": "fc",
}
# Statistics of ImageNet (torchvision), red, green, blue; grey slices go to three channels.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class InputScaling:
    """How uint8 slices become network input: channels, mean and deviation of each."""

    channels: int

    def apply(self, pixels_NHW: Tensor) -> Tensor:
        """Return images (N, C, H, W) float32 of grey slices (N, H, W) uint8.

        Cubes (N, D, H, W) become (N, 1, D, H, W).
        """
        images_NCHW = pixels_NHW.unsqueeze(1).float().div_(255.0)
        if self.channels == 1:
            return images_NCHW.sub_(_MEAN[0]).div_(_STD[0])
        mean = torch.tensor(_MEAN, device=images_NCHW.device).view(1, 3, 1, 1)
        std = torch.tensor(_STD, device=images_NCHW.device).view(1, 3, 1, 1)
        images_NCHW = (images_NCHW.expand(-1, 3, -1, -1) - mean) / std
        return images_NCHW.contiguous(memory_format=torch.channels_last)


def input_scaling(network: str) -> InputScaling:
    """Return how slices become the input of ``network``."""
    return InputScaling(1 if network in CUSTOM_CNNS else 3)


def build_network(settings: TrainSettings, n_classes: int, *, transform_input: bool) -> nn.Module:
    """Return the network with random weights and a new FCL of ``n_classes`` outputs.

    Parameters
    ----------
    settings : TrainSettings
    n_classes : int
    transform_input : bool
        GoogLeNet only: rescale the input as torchvision's ImageNet weights want it.
    """
    name = settings.network
    if name == "resnet101":
        network: nn.Module = models.resnet101(weights=None)
    elif name == "googlenet":
        network = models.googlenet(
            weights=None, aux_logits=False, init_weights=True, transform_input=transform_input
        )
    elif name == "vgg19":
        network = models.vgg19(weights=None)
    else:
        custom = CustomCnn3d if name == "cnn3d" else CustomCnn2d
        network = custom(
            n_classes,
            width=settings.cnn_width,
            features=settings.cnn_features,
            activation=settings.activation,
            blocks=settings.cnn_blocks,
        )
    replace_fcl(network, name, n_classes, settings.fc_init)
    return network


def fcl_of(network: nn.Module, name: str) -> nn.Linear:
    """Return the final fully connected layer, weight (K, F)."""
    layer = network.get_submodule(FCL_NAMES[name])
    assert isinstance(layer, nn.Linear)
    return layer


def replace_fcl(
    network: nn.Module, name: str, n_classes: int, initialisation: Literal["torch", "glorot"]
) -> None:
    """Put a new FCL of ``n_classes`` outputs in, initialised as asked.

    "torch" draws uniformly within 1/sqrt(F), so that a weight's variance is 1/(3F);
    "glorot" within sqrt(6/(F+K)), variance 2/(F+K), and zero bias (the tool of P1).
    """
    layer = nn.Linear(fcl_of(network, name).in_features, n_classes)
    if initialisation == "glorot":
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    else:
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.uniform_(layer.bias, -bound, bound)
    owner, _, attribute = FCL_NAMES[name].rpartition(".")
    setattr(network.get_submodule(owner), attribute, layer)
