"""How well a run predicts: accuracy by slice and by subject, confusion, learning curves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.features import features_of, subject_means
from core.analysis.metrics import Unit, cases_of, items_word, unit_words
from core.colours import BLUE, GREY, VERMILLION
from core.config import BATCH_NORM_NETWORKS
from core.errors import AnalysisError
from core.figure import Axis, Curve, Figure, HeatMap, Panel, Table
from core.run_folder import PARTS, Features, Run

# Half-width of a 95 % interval in standard deviations.
_TWO_SIDED_95 = 1.959964
BATCH_NORM_NOTE = (
    "With batch norm from scratch the training loss falls smoothly while accuracy in evaluation "
    "mode can swing from epoch to epoch (between 50 and 97 % was seen): the running statistics "
    "lag behind the weights. It is no fault of the run; compare the best checkpoint with the "
    "last, or recompute the batch-norm statistics over the training slices."
)


@dataclass(frozen=True)
class Score:
    """How many cases are right. Accuracies are fractions 0..1, NaN without cases.

    Attributes
    ----------
    n, correct : int
    accuracy : float
    low, high : float
        95 % interval of the accuracy; NaN for slices, which are not independent.
    balanced_accuracy : float
        Mean over the classes present of the share that is right; chance is 1/K.
    chance : float
        Accuracy of always naming the most frequent class.
    """

    n: int
    correct: int
    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    chance: float


def accuracy(features: Features) -> Score:
    """Return the score by slice.

    It has no interval: slices of a subject are alike, so n slices are not n observations.
    """
    counts = confusion_counts(features)
    return _score(counts, interval=(math.nan, math.nan))


def accuracy_by_subject(features: Features) -> Score:
    """Return the score by subject, at the mean of its slices' logits, with Wilson's interval."""
    counts = confusion_counts(subject_means(features))
    return _score(counts, interval=wilson_interval(int(np.trace(counts)), int(counts.sum())))


def wilson_interval(correct: float, n: int) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % interval of a proportion; NaN for n = 0."""
    if n == 0:
        return math.nan, math.nan
    share, z_squared = correct / n, _TWO_SIDED_95**2
    centre = (share + z_squared / (2 * n)) / (1 + z_squared / n)
    root = math.sqrt(share * (1 - share) / n + z_squared / (4 * n * n))
    half_width = _TWO_SIDED_95 * root / (1 + z_squared / n)
    # Rounding must not leave 0..1 nor exclude a proportion of exactly 0 or 1.
    return (
        0.0 if correct == 0 else centre - half_width,
        1.0 if correct == n else centre + half_width,
    )


def confusion_counts(features: Features) -> NDArray[np.int64]:
    """Return counts (K, K): true class in rows, predicted in columns."""
    k = features.logits.shape[1]
    counts = np.zeros((k, k), dtype=np.int64)
    if len(features.label):
        np.add.at(counts, (features.label, features.logits.argmax(axis=1)), 1)
    return counts


def accuracy_table(run: Run) -> Table:
    """Return the accuracy of each part, by slice and by subject; empty parts are left out."""
    rows: list[tuple[Any, ...]] = []
    item, items = run.settings.item, run.settings.items
    for part in PARTS:
        features = run.features.of_part(part)
        if not len(features.label):
            continue
        features_of(run, part=part)  # refuses outputs that are not finite
        for by, score in (
            (item, accuracy(features)),
            ("subject", accuracy_by_subject(features)),
        ):
            rows.append(
                (
                    part,
                    by,
                    score.n,
                    score.correct,
                    score.accuracy,
                    score.low,
                    score.high,
                    score.balanced_accuracy,
                    score.chance,
                )
            )
    return Table(
        name="accuracy",
        title=f"Accuracy of {run.network_title}",
        columns=(
            "part",
            "by",
            "n",
            "correct",
            "accuracy",
            "low",
            "high",
            "balanced_accuracy",
            "chance",
        ),
        rows=tuple(rows),
        caption=f"low to high is Wilson's 95 % interval. It is given by subject only: {items} of "
        f"a subject are alike, so an interval over {items} would be too narrow. A subject's "
        "prediction is that of its mean logits; chance names the most frequent class.",
        warning=run.warning,
    )


def confusion(run: Run, *, part: str = "test", by: Unit = "slice") -> Figure:
    """Return how often each class is taken for each other, as counts.

    Raises
    ------
    AnalysisError
        If the part has no slices.
    """
    counts = _counts_of(run, part=part, by=by)
    what = items_word(run, by)
    panel = Panel(
        x=Axis("Predicted class", categories=run.classes),
        y=Axis("True class", categories=run.classes),
        layers=(
            HeatMap(what, counts, run.classes, run.classes, 0.0, float(counts.max()), format=".0f"),
        ),
        title=f"{int(np.trace(counts))} of {int(counts.sum())} {what} right",
    )
    return Figure(
        name=f"confusion_{part}_by_{by}",
        title=f"Confusion of {run.network_title}, {part} part, {unit_words(run, by)}",
        panels=(panel,),
        caption=f"Counts of {what}: true class in rows, predicted class in columns.",
        warning=run.warning,
    )


def confusion_table(run: Run, *, part: str = "test", by: Unit = "slice") -> Table:
    """Return the counts of :func:`confusion` with the share that is right of each true class.

    Raises
    ------
    AnalysisError
        If the part has no slices.
    """
    counts = _counts_of(run, part=part, by=by)
    return Table(
        name=f"confusion_counts_{part}_by_{by}",
        title=f"Confusion of {run.network_title}, {part} part, {unit_words(run, by)}",
        columns=("true", *(f"predicted_{name}" for name in run.classes), "n", "recall"),
        rows=tuple(
            (name, *row, int(row.sum()), row[k] / row.sum() if row.sum() else math.nan)
            for k, (name, row) in enumerate(zip(run.classes, counts, strict=True))
        ),
        caption=f"Counts of {items_word(run, by)}.",
        warning=run.warning,
    )


def curves(run: Run) -> Figure:
    """Return loss and accuracy over the epochs, of training and validation.

    Raises
    ------
    AnalysisError
        If no epoch has ended yet.
    """
    history = run.history
    if not len(history.epoch):
        raise AnalysisError(f"Run '{run.name}' has no finished epoch yet: there are no curves.")
    epochs = history.epoch.astype(np.float64)
    loss = (
        Curve("training", epochs, history.train_loss, colour=BLUE),
        Curve("validation", epochs, history.validation_loss, colour=VERMILLION, style="dashed"),
    )
    share = (
        Curve("training", epochs, history.train_accuracy, colour=BLUE),
        Curve("validation", epochs, history.validation_accuracy, colour=VERMILLION, style="dashed"),
        Curve(
            f"1 of {len(run.classes)} classes",
            epochs,
            np.full(len(epochs), 1 / len(run.classes)),
            colour=GREY,
            style="dotted",
            width=1.0,
        ),
    )
    caption = (
        "Training numbers are those seen during an epoch, validation numbers those of the "
        "network in evaluation mode after it."
    )
    training = run.settings.training
    if training.network in BATCH_NORM_NETWORKS and training.regime == "scratch":
        caption += f" {BATCH_NORM_NOTE}"
    return Figure(
        name="curves",
        title=f"Learning curves of {run.network_title}, {run.regime_title.lower()}",
        panels=(
            Panel(Axis("Epoch"), Axis("Cross-entropy", "nat", low=0.0), loss, title="Loss"),
            Panel(Axis("Epoch"), Axis("Accuracy", "fraction", 0.0, 1.0), share, title="Accuracy"),
        ),
        columns=2,
        caption=caption,
        warning=run.warning,
    )


def _counts_of(run: Run, *, part: str, by: Unit) -> NDArray[np.int64]:
    cases = cases_of(run, part=part, unit=by)
    counts = np.zeros((len(run.classes),) * 2, dtype=np.int64)
    np.add.at(counts, (cases.label, cases.predicted), 1)
    return counts


def _score(counts: NDArray[np.int64], *, interval: tuple[float, float]) -> Score:
    n, correct = int(counts.sum()), int(np.trace(counts))
    by_class = counts.sum(axis=1)
    present = by_class > 0
    return Score(
        n=n,
        correct=correct,
        accuracy=correct / n if n else math.nan,
        low=interval[0],
        high=interval[1],
        balanced_accuracy=(
            float((np.diag(counts)[present] / by_class[present]).mean()) if n else math.nan
        ),
        chance=float(by_class.max() / n) if n else math.nan,
    )
