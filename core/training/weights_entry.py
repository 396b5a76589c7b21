"""torchvision's weights files and whether they are here, as the window and a terminal need it.

Needs no torch, so that both may be on screen before torch is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

# The names for the terminal; what is behind them is said by torchvision (pretrained.py).
ENTRY_NAMES = ("resnet101", "resnet101-v2", "googlenet", "vgg19")
MEGABYTE = 1024**2  # as torchvision counts them


@dataclass(frozen=True)
class WeightsEntry:
    """One weights file of torchvision.

    Attributes
    ----------
    name : str
        For the terminal ("resnet101-v2").
    network : str
    title : str
        For people ("ResNet-101").
    version : str
        torchvision's name for it ("IMAGENET1K_V2").
    url : str
    megabytes : float
    """

    name: str
    network: str
    title: str
    version: str
    url: str
    megabytes: float

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def host(self) -> str:
        """Where it is fetched from."""
        return urlsplit(self.url).hostname or self.url

    @property
    def sha256_start(self) -> str:
        """First digits of its SHA-256, which torchvision puts into the file's name."""
        found = re.search(r"-([0-9a-f]{8,})\.", self.file_name)
        return found[1] if found else ""


@dataclass(frozen=True)
class WeightsState:
    """Whether a network's pretrained weights are here.

    Attributes
    ----------
    network : str
    kind : {"cache", "file", "run", "missing", "refused"}
        Where they are; "missing" can be downloaded, "refused" cannot be used.
    text : str
        One or two sentences for the user.
    entry : WeightsEntry, optional
        torchvision's file, where no other was asked for.
    by_hand : str
        How to get a missing one without a network.
    """

    network: str
    kind: Literal["cache", "file", "run", "missing", "refused"]
    text: str
    entry: WeightsEntry | None = None
    by_hand: str = ""
