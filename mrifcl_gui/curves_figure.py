"""The curves of a run, finished or not, as a figure to copy and export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.colours import BLACK, GREEN
from core.figure import Axis, Curve, Figure, Panel


def curves_figure(columns: Mapping[str, Sequence[float]]) -> Figure | None:
    """Return loss and accuracy over the epochs; None before the first epoch.

    Parameters
    ----------
    columns : mapping of str
        ``epoch``, and by name ``train_loss``, ``validation_loss``, ``train_accuracy`` and
        ``validation_accuracy`` (fractions 0..1), one value an epoch.
    """
    epoch = np.asarray(columns["epoch"], dtype=float)
    if not len(epoch):
        return None

    def line(name: str, words: str, *, scale: float = 1.0) -> Curve:
        values = np.asarray(columns[name], dtype=float) * scale
        if words == "Training":
            return Curve(words, epoch, values, colour=BLACK)
        return Curve(words, epoch, values, colour=GREEN, style="dashed")

    return Figure(
        name="training_curves",
        title="Loss and accuracy",
        panels=(
            Panel(
                x=Axis("Epoch"),
                y=Axis("Loss (cross-entropy, nat)"),
                layers=(line("train_loss", "Training"), line("validation_loss", "Validation")),
            ),
            Panel(
                x=Axis("Epoch"),
                y=Axis("Accuracy", "%", low=0, high=100),
                layers=(
                    line("train_accuracy", "Training", scale=100),
                    line("validation_accuracy", "Validation", scale=100),
                ),
            ),
        ),
        columns=2,
        caption="Mean of each epoch over the slices of a part.",
    )
