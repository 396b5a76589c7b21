"""Which network some weights are of, by the names of their layers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from core.config import NETWORK_TITLES

# Prefixes of wrappers: several GPUs, torch.compile.
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")
_SAID = 3


def _bottleneck(blocks: int) -> frozenset[str]:
    return frozenset({f"layer3.{blocks - 1}.conv3.weight", "layer4.2.conv3.weight"})


# Layers that a network has: the first row whose layers are all there tells its name, so that a
# deeper network comes before a shallower one of its kind.
_SIGNS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"inception5b.branch4.1.conv.weight"}), NETWORK_TITLES["googlenet"]),
    (frozenset({"Mixed_7c.branch_pool.conv.weight"}), "Inception v3"),
    (frozenset({"features.50.running_mean", "features.49.weight"}), "VGG-19 with batch norm"),
    (frozenset({"features.34.weight", "classifier.6.weight"}), NETWORK_TITLES["vgg19"]),
    (frozenset({"features.28.weight", "classifier.6.weight"}), "VGG-16"),
    (_bottleneck(36), "ResNet-152"),
    (_bottleneck(23), NETWORK_TITLES["resnet101"]),
    (_bottleneck(6), "ResNet-50"),
    (frozenset({"layer3.5.conv2.weight"}), "ResNet-34"),
    (frozenset({"layer3.1.conv2.weight", "layer4.1.conv2.weight"}), "ResNet-18"),
    (frozenset({"features.conv0.weight"}), "a DenseNet"),
    (frozenset({"features.10.weight", "classifier.6.weight"}), "AlexNet"),
    (frozenset({"features.0.weight", "hidden.0.weight"}), NETWORK_TITLES["cnn2d"]),
    (frozenset({"features3d.0.weight", "hidden.0.weight"}), NETWORK_TITLES["cnn3d"]),
)


def plain_name(name: str) -> str:
    """Return a layer's name without the prefixes of wrappers."""
    while name.startswith(_WRAPPER_PREFIXES):
        name = name[name.index(".") + 1 :]
    return name


def title_of(names: Iterable[str]) -> str:
    """Return the title of the network whose layers have these names; empty if unknown."""
    plain = {plain_name(name) for name in names}
    return next((title for layers, title in _SIGNS if layers <= plain), "")


def first_few(names: Collection[str]) -> str:
    """Return the first few names in words ("'a', 'b', 'c' and 4 more")."""
    listed = sorted(names)
    shown = ", ".join(f"'{name}'" for name in listed[:_SAID])
    return f"{shown} and {len(listed) - _SAID} more" if len(listed) > _SAID else shown
