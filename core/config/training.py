"""Settings of the network and of its training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from core.config.networks import BATCH_NORM_NETWORKS, CUSTOM_CNNS, Activation, Network, Regime
from core.config.setting import setting


@dataclass(frozen=True)
class TrainSettings:
    """Which network, from which start, and how it learns."""

    network: Network = setting(
        "googlenet",
        "Network",
        "ResNet-101 (2048 features), GoogLeNet (1024), VGG-19 (4096), the small custom CNN, or its 3-D form that sees whole volumes.",
    )
    regime: Regime = setting(
        "scratch",
        "Regime",
        "Frozen: only the new FCL learns. Fine-tuned: all layers learn from ImageNet weights. From scratch: all layers learn from a random start.",
    )
    epochs: int | None = setting(
        None,
        "Epochs",
        "Passes over the training slices. Empty: as in the paper for this network and regime.",
        low=1,
        high=10_000,
    )
    learning_rate: float | None = setting(
        None,
        "Learning rate",
        "Initial step of the optimiser. Empty: the paper's, 1e-4 for VGG-19 and 1e-3 for the others (custom CNNs 1e-2; with Adam 1e-3).",
        low=0,
        low_open=True,
        high=10,
    )
    batch: int | None = setting(
        None,
        "Batch",
        "Slices (whole scans for the 3-D CNN) in one step. Empty: 32, and 8 for the 3-D CNN.",
        low=1,
        high=4096,
        unit="slices",
    )
    weights: str = setting(
        "",
        "Weights file",
        "Pretrained weights for frozen and fine-tuned: a .safetensors or .pth file, or an earlier run. Empty: torchvision's ImageNet weights, once downloaded (IMAGENET1K_V2: its newer ones of ResNet-101).",
        advanced=False,
        regimes=("frozen", "fine-tuned"),
    )
    fc_init: Literal["torch", "glorot"] = setting(
        "torch",
        "FCL initialisation",
        "PyTorch's default for Linear, or Glorot uniform (needed to match Fig. 3).",
        advanced=True,
        heading="Network",
    )
    activation: Activation = setting(
        "relu",
        "Activation",
        "Of the custom CNNs: ReLU, or leaky ReLU with slope 0.01.",
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cnn_blocks: int = setting(
        4,
        "CNN blocks",
        "Blocks of convolution, batch norm, activation and pooling of the custom CNNs; each halves the picture.",
        low=1,
        high=7,
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cnn_width: int = setting(
        16,
        "CNN width",
        "Channels of the custom CNN's first block; each further block doubles them.",
        low=2,
        high=256,
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cnn_features: int = setting(
        128,
        "CNN features",
        "Penultimate features of the custom CNN: inputs of its FCL.",
        low=2,
        high=8192,
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cube_size: int = setting(
        64,
        "Cube size",
        "The 3-D CNN sees each scan resampled to a cube of so many voxels a side.",
        low=16,
        high=256,
        unit="voxels",
        advanced=True,
        heading="Network",
        networks=("cnn3d",),
    )
    cube_mm: float | None = setting(
        None,
        "Cube side",
        "Length of the cube's sides, the same for all scans. Empty: what just holds the brain of each scan (or the whole volume, where 'Centred on' says so).",
        low=10,
        high=1000,
        unit="mm",
        advanced=True,
        heading="Network",
        networks=("cnn3d",),
    )
    optimiser: Literal["sgd", "adam"] = setting(
        "sgd",
        "Optimiser",
        "SGD with momentum, as in the paper, or Adam. Adam keeps the sum of the FCL's rows for two classes only.",
        advanced=True,
        heading="Learning",
    )
    momentum: float = setting(
        0.9,
        "Momentum",
        "Of SGD. With Adam it is beta 1, the memory of its mean gradient; beta 2 is 0.999.",
        low=0,
        high=0.999,
        advanced=True,
        heading="Learning",
    )
    weight_decay: float = setting(
        0.0,
        "Weight decay",
        "L2 factor, added to the gradient (with Adam too: it is not AdamW's). 0 keeps the sum of the FCL's rows exactly under SGD; the paper preset has 1e-4.",
        low=0,
        high=1,
        advanced=True,
        heading="Learning",
    )
    drop_factor: float = setting(
        0.9,
        "Learning-rate factor",
        "Factor at each drop. 'Drops by 10 %' in the paper is 0.9 here; 0.1 is the other reading.",
        low=0,
        low_open=True,
        high=1,
        advanced=True,
        heading="Learning",
    )
    drop_every: int = setting(
        10,
        "Drop every",
        "Epochs between two drops of the learning rate.",
        low=1,
        high=10_000,
        unit="epochs",
        advanced=True,
        heading="Learning",
    )
    shuffle: Literal["each-epoch", "once"] = setting(
        "each-epoch",
        "Shuffle",
        "New order of the training slices in each epoch, or one order for all (as the authors' tool).",
        advanced=True,
        heading="Learning",
    )
    balance: Literal["none", "weights", "sampling"] = setting(
        "none",
        "Balance classes",
        "For classes of different size: weigh the loss so that each class counts the same, or draw slices of each class equally often.",
        advanced=True,
        heading="Learning",
    )
    adapt_batch_norm: bool = setting(
        False,
        "Adapt batch-norm statistics",
        "Frozen only: let the running statistics follow our slices. Off keeps every buffer bit-identical.",
        advanced=True,
        heading="Learning",
        networks=BATCH_NORM_NETWORKS,
        regimes=("frozen",),
    )
    recompute_batch_norm: bool = setting(
        False,
        "Recompute batch-norm statistics",
        "Before each validation, average batch norm's statistics anew over all training slices: the running ones lag behind the weights, so accuracy swings from epoch to epoch. Costs a forward pass; never done to a frozen network.",
        advanced=True,
        heading="Learning",
        networks=BATCH_NORM_NETWORKS,
        regimes=("fine-tuned", "scratch"),
    )
    augment_flip: bool = setting(
        False,
        "Flip left to right",
        "Mirror half of the training slices at random. Only where left and right lie across the slice (axial, coronal; cubes).",
        advanced=True,
        heading="Augmentation",
    )
    augment_degrees: float = setting(
        0.0,
        "Rotate by up to",
        "Rotate each training slice at random to either side; a cube about its inferior-superior axis.",
        low=0,
        high=45,
        unit="degrees",
        advanced=True,
        heading="Augmentation",
    )
    augment_shift: float = setting(
        0.0,
        "Shift by up to",
        "Shift each training slice at random along each side, in percent of it.",
        low=0,
        high=25,
        unit="%",
        advanced=True,
        heading="Augmentation",
    )
    augment_intensity: float = setting(
        0.0,
        "Change intensity by up to",
        "Change brightness and contrast of each training slice at random, in percent.",
        low=0,
        high=50,
        unit="%",
        advanced=True,
        heading="Augmentation",
    )
    seed: int = setting(
        0,
        "Seed",
        "Rules split, initial weights, order and augmentation: the same seed on a CPU gives the same run.",
        low=0,
        high=2**31 - 1,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto",
        "Device",
        "Where the network runs: the GPU where there is one, or the CPU.",
        advanced=True,
        heading="Devices and precision",
    )
    devices: int = setting(
        1,
        "Devices",
        "GPUs (or CPU processes) of each machine that share every batch.",
        low=1,
        high=64,
        advanced=True,
        heading="Devices and precision",
    )
    nodes: int = setting(
        1,
        "Machines",
        "Machines that share every batch; start the same command on each by torchrun or SLURM.",
        low=1,
        high=1024,
        advanced=True,
        heading="Devices and precision",
    )
    precision: Literal["32", "bf16", "16"] = setting(
        "32",
        "Precision",
        "32 bit, as published numbers need; bf16 and 16 mix in half precision and are faster on some devices only. 16 is for GPUs.",
        advanced=True,
        heading="Devices and precision",
    )
    deterministic: bool = setting(
        False,
        "Deterministic on a GPU",
        "Take only GPU routines that give the same bits each time; slower. A CPU always does.",
        advanced=True,
        heading="Devices and precision",
    )
    cache_features: bool = setting(
        True,
        "Run frozen layers once",
        "Frozen only: keep the features of each slice instead of computing them in every epoch. The results are the same to the last bit.",
        advanced=True,
        heading="Devices and precision",
        regimes=("frozen",),
    )
    keep_awake: bool = setting(
        True,
        "Keep the computer awake",
        "Ask the system not to sleep by itself while a network is trained; the screen may go dark. Where it cannot be asked nothing happens.",
        advanced=True,
        heading="Devices and precision",
    )

    features_every: int = setting(
        0,
        "Keep features every",
        "Also keep the penultimate features of all slices before training and after every so many epochs, to see clouds and neural collapse over the epochs. Costs a forward pass over all slices each time. 0 keeps those of the last epoch only.",
        low=0,
        high=10_000,
        unit="epochs",
        advanced=True,
        heading="What is kept",
    )

    def on_one_cpu(self) -> TrainSettings:
        """Return these settings for one CPU: enough to read features of a trained network."""
        return dataclasses.replace(self, device="cpu", devices=1, nodes=1, precision="32")
