"""The two figures that move while a network learns: its FCL's weights, and the slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.colours import BLACK, GREY
from core.figure import Axis, Curve, Figure, Panel, Scatter, class_colour, class_symbol
from core.progress import EpochMetrics


def weights_figure(event: EpochMetrics, classes: tuple[str, ...]) -> Figure | None:
    """Return the FCL's weights of two classes against each other; None without two rows."""
    if event.fc_weight.ndim != 2 or event.fc_weight.shape[0] < 2 or len(classes) < 2:
        return None
    x, y = _finite_pair(event.fc_weight[0], event.fc_weight[1])
    panel = Panel(
        x=Axis(f"FCL weight, {classes[0]}"),
        y=Axis(f"FCL weight, {classes[1]}"),
        layers=(Scatter("", x, y, colour=GREY, size=4.0),),
        title=f"FCL weights, epoch {event.epoch}",
    )
    return Figure(
        name="live_fcl_weights",
        title="",
        panels=(panel,),
        # Beside every weight scatter, lest the slope be read as something learned.
        caption="A slope towards −1 comes from softmax alone (see Analyse).",
    )


def features_figure(
    event: EpochMetrics, classes: tuple[str, ...], items: str = "slices"
) -> Figure | None:
    """Return the validation ``items`` by the FCL's first two outputs; None without any."""
    logits = event.logits
    if logits.ndim != 2 or logits.shape[1] < 2 or not len(logits) or len(classes) < 2:
        return None
    layers: list[Scatter | Curve] = []
    for k, name in enumerate(classes):
        of_class = event.labels == k
        x, y = _finite_pair(logits[of_class, 0], logits[of_class, 1])
        layers.append(
            Scatter(name, x, y, colour=class_colour(name, k), symbol=class_symbol(name, k))
        )
    ends = _decision_ends(logits[:, :2])
    layers.append(Curve("decision y = x", ends, ends, colour=BLACK, style="dashed", width=1.0))
    panel = Panel(
        x=Axis(f"FC output, {classes[0]}", "logit"),
        y=Axis(f"FC output, {classes[1]}", "logit"),
        layers=tuple(layers),
        title=f"Validation {items}, epoch {event.epoch}",
    )
    return Figure(
        name="live_feature_cloud",
        title="",
        panels=(panel,),
        caption=f"Below the dashed line a {items.removesuffix('s')} is called {classes[0]}.",
    )


def _decision_ends(logits: NDArray[Any]) -> NDArray[Any]:
    """Return where y = x enters and leaves the cloud, so that it stretches no axis."""
    finite = logits[np.isfinite(logits).all(axis=1)]
    if not len(finite):
        return np.array([])
    low, high = finite.min(axis=0).max(), finite.max(axis=0).min()
    return np.array([low, high]) if low < high else np.array([])


def _finite_pair(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]
