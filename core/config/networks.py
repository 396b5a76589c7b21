"""The networks, regimes and activations there are, and what people call them."""

from __future__ import annotations

from typing import Literal

Network = Literal["resnet101", "googlenet", "vgg19", "cnn2d", "cnn3d"]
Regime = Literal["frozen", "fine-tuned", "scratch"]
Activation = Literal["relu", "leaky-relu"]
NETWORK_TITLES = {
    "resnet101": "ResNet-101",
    "googlenet": "GoogLeNet",
    "vgg19": "VGG-19",
    "cnn2d": "Custom CNN",
    "cnn3d": "Custom CNN (3-D)",
}
# What is called the FCL in each network, and how its input is prepared.
NETWORK_NOTES = {
    "resnet101": "the FCL is its only linear layer, 'fc' (2048 features).",
    "googlenet": (
        "the FCL is 'fc' (1024 features). No auxiliary heads; its input is rescaled "
        "(transform_input) where it starts from ImageNet weights, and only there."
    ),
    "vgg19": (
        "the FCL is the last of its three linear layers, 'classifier.6' (4096 features); the "
        "other two belong to the backbone."
    ),
    "cnn2d": "the FCL is 'fc', behind another fully connected layer.",
    "cnn3d": "the FCL is 'fc'. It sees whole volumes as cubes, one a scan.",
}
CUSTOM_CNNS = ("cnn2d", "cnn3d")
BATCH_NORM_NETWORKS = ("resnet101", "googlenet", "cnn2d", "cnn3d")
SLICE_NETWORKS = ("resnet101", "googlenet", "vgg19", "cnn2d")
REGIME_TITLES = {"frozen": "Frozen", "fine-tuned": "Fine-tuned", "scratch": "From scratch"}
