"""Numbers of a classifier from counts by subject, so that subjects can be drawn again fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.analysis.features import features_of
from core.run_folder import Features, Run, softmax

Array = NDArray[np.float64]
Unit = Literal["slice", "subject", "majority"]

# Guo et al. (2017), "On calibration of modern neural networks", take 15; with few subjects
# fewer bins hold more.
CALIBRATION_BINS = 10
METRICS = ("accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity", "mcc")
# Short: they stand side by side under a narrow figure.
METRIC_TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced",
    "auc": "AUC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mcc": "MCC",
    "brier": "Brier",
    "ece": "ECE",
}
RESAMPLES = 2000


@dataclass(frozen=True)
class Cases:
    """What was predicted: one row a slice, or one a subject.

    Attributes
    ----------
    probability : ndarray, shape (n, K)
        Softmax of the logits; by majority the share of a subject's slices.
    score : ndarray, shape (n, K)
        What ranks the cases of a class against all others; rises with the probability.
    label, predicted : ndarray, shape (n,), int
    subject : ndarray, shape (n,), int
        Number of each case's subject.
    names : tuple of str
        The subjects.
    classes : tuple of str
    """

    probability: Array
    score: Array
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    subject: NDArray[np.int64]
    names: tuple[str, ...]
    classes: tuple[str, ...]


def unit_words(run: Run, unit: Unit) -> str:
    """Return what is counted in a run, for titles: the 3-D CNN has no slices, but scans."""
    return {
        "slice": f"by {run.settings.item}",
        "subject": "by subject, mean of logits",
        "majority": f"by subject, majority of {run.settings.items}",
    }[unit]


def items_word(run: Run, unit: Unit) -> str:
    """Return what is counted in a run, in the plural: slices, scans or subjects."""
    return run.settings.items if unit == "slice" else "subjects"


def cases_of(run: Run, *, part: str = "test", unit: Unit = "slice") -> Cases:
    """Return what a run's last network predicts for one part.

    By ``majority`` a subject goes to the class that most of its slices are given; of equal
    ones to that with the higher mean logit.

    Raises
    ------
    AnalysisError
        As :func:`core.analysis.features.features_of`.
    """
    features = features_of(run, part=part, by="slice" if unit == "slice" else "subject")
    probability, score = softmax(features.logits), _margins(features.logits)
    predicted = features.logits.argmax(axis=1).astype(np.int64)
    if unit == "majority":
        probability = _vote_shares(features_of(run, part=part, by="slice"), features)
        score = probability
        # Mean logits decide between equal votes alone.
        tie = np.isclose(probability, probability.max(axis=1, keepdims=True))
        predicted = np.where(tie, features.logits, -np.inf).argmax(axis=1).astype(np.int64)
    names, subject = np.unique(features.subject, return_inverse=True)
    return Cases(
        probability=probability,
        score=score,
        label=features.label.astype(np.int64),
        predicted=predicted,
        subject=subject.astype(np.int64),
        names=tuple(map(str, names)),
        classes=run.classes,
    )


@dataclass(frozen=True)
class SubjectSums:
    """What each subject adds to every number: sums over its cases.

    Attributes
    ----------
    counts : ndarray, shape (S, K, K)
        True by predicted class.
    wins : ndarray, shape (K, S, S)
        Pairs of a case of class k (of the row's subject) and one of another class (of the
        column's) that the score of k orders right; equal scores count half.
    brier : ndarray, shape (S,)
        Squared distances of the probabilities to the truth, over the classes.
    bins : ndarray, shape (S, 3, B)
        Cases, their confidence and how many are right, by bins of confidence.
    """

    counts: Array
    wins: Array
    brier: Array
    bins: Array


def subject_sums(cases: Cases) -> SubjectSums:
    """Return the sums of each subject."""
    n_subjects, k = len(cases.names), len(cases.classes)
    counts = np.zeros((n_subjects, k, k))
    np.add.at(counts, (cases.subject, cases.label, cases.predicted), 1)
    truth = np.eye(k)[cases.label]
    squared = np.sum((cases.probability - truth) ** 2, axis=1)
    confidence = cases.probability[np.arange(len(cases.label)), cases.predicted]
    place = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = np.zeros((n_subjects, 3, CALIBRATION_BINS))
    np.add.at(bins[:, 0], (cases.subject, place), 1)
    np.add.at(bins[:, 1], (cases.subject, place), confidence)
    np.add.at(bins[:, 2], (cases.subject, place), cases.predicted == cases.label)
    return SubjectSums(
        counts=counts,
        wins=np.array([_wins(cases, label) for label in range(k)]),
        brier=np.asarray(np.bincount(cases.subject, squared, n_subjects), dtype=np.float64),
        bins=bins,
    )


def measure(sums: SubjectSums, weights: Array, *, positive: int = 0) -> dict[str, Array]:
    """Return every number for each row of ``weights`` (B, S): how often a subject counts.

    Sensitivity and specificity are those of class ``positive`` for two classes, else the means
    over the classes, each against all others, as AUC is for any K. Brier's score sums over the
    classes, as he did (0 to 2). NaN where a number is not defined.
    """
    counts = np.tensordot(weights, sums.counts, axes=1)
    n = counts.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, specificity = _recall(counts), _specificity(counts)
        k = counts.shape[1]
        bins = np.tensordot(weights, sums.bins, axes=1)
        return {
            "accuracy": np.trace(counts, axis1=1, axis2=2) / n,
            "balanced_accuracy": _mean_known(recall),
            "auc": _mean_known(class_auc(sums, weights)),
            "sensitivity": recall[:, positive] if k == 2 else _mean_known(recall),
            "specificity": specificity[:, positive] if k == 2 else _mean_known(specificity),
            "mcc": _matthews(counts),
            "brier": weights @ sums.brier / n,
            "ece": np.abs(bins[:, 1] - bins[:, 2]).sum(axis=1) / n,
        }


def class_numbers(sums: SubjectSums, weights: Array) -> dict[str, Array]:
    """Return, each (B, K): sensitivity, specificity, precision and AUC of each class."""
    counts = np.tensordot(weights, sums.counts, axes=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = np.diagonal(counts, axis1=1, axis2=2)
        return {
            "sensitivity": _recall(counts),
            "specificity": _specificity(counts),
            "precision": hits / counts.sum(axis=1),
            "auc": class_auc(sums, weights),
        }


def class_auc(sums: SubjectSums, weights: Array) -> Array:
    """Return the area under the ROC curve (B, K) of each class against all others."""
    own = sums.counts.sum(axis=2)
    n = weights @ own
    ordered = np.stack([((weights @ wins) * weights).sum(axis=1) for wins in sums.wins], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(ordered / (n * (n.sum(axis=1, keepdims=True) - n)))


def draw_subjects(cases: Cases, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Return how often each subject is drawn, shape (resamples, S): a bootstrap over subjects.

    Subjects are drawn among those of the same class or classes, so that every resample has
    each class as often as the data.
    """
    random = np.random.default_rng(seed)
    strata = _strata(cases)
    weights = np.zeros((resamples, len(cases.names)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        share = np.full(len(members), 1 / len(members))
        weights[:, members] = random.multinomial(len(members), share, size=resamples)
    return weights


def interval(values: NDArray[Any]) -> tuple[float, float]:
    """Return the middle 95 % of resampled values; NaN where less than half are defined."""
    known = values[np.isfinite(values)]
    if len(known) * 2 < max(len(values), 1):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _margins(logits: NDArray[Any]) -> Array:
    """Return log odds of each class against all others; unlike probabilities they never tie."""
    values = logits.astype(np.float64)
    columns = []
    for k in range(values.shape[1]):
        others = np.delete(values, k, axis=1)
        top = others.max(axis=1, keepdims=True)
        columns.append(values[:, k] - top[:, 0] - np.log(np.exp(others - top).sum(axis=1)))
    return np.stack(columns, axis=1)


def _vote_shares(slices: Features, subjects: Features) -> Array:
    keys = {
        key: row
        for row, key in enumerate(zip(subjects.part, subjects.subject, subjects.label, strict=True))
    }
    rows = [keys[key] for key in zip(slices.part, slices.subject, slices.label, strict=True)]
    votes = np.zeros(subjects.logits.shape)
    np.add.at(votes, (rows, slices.logits.argmax(axis=1)), 1)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))


def _wins(cases: Cases, label: int) -> Array:
    """Return for each pair of subjects how many pairs of their cases the score orders right."""
    n_subjects = len(cases.names)
    score, own = cases.score[:, label], cases.label == label
    wins = np.zeros((n_subjects, n_subjects))
    rows = cases.subject[own]
    for other in np.unique(cases.subject[~own]):
        lower = np.sort(score[~own & (cases.subject == other)])
        below = np.searchsorted(lower, score[own], side="left")
        not_above = np.searchsorted(lower, score[own], side="right")
        wins[:, other] = np.bincount(rows, (below + not_above) / 2, minlength=n_subjects)
    return wins


def _strata(cases: Cases) -> NDArray[np.int64]:
    has = np.zeros((len(cases.names), len(cases.classes)), dtype=np.int64)
    has[cases.subject, cases.label] = 1
    return np.asarray(has @ (2 ** np.arange(has.shape[1])), dtype=np.int64)


def _recall(counts: Array) -> Array:
    return np.asarray(np.diagonal(counts, axis1=1, axis2=2) / counts.sum(axis=2))


def _specificity(counts: Array) -> Array:
    n = counts.sum(axis=(1, 2))[:, None]
    own, called = counts.sum(axis=2), counts.sum(axis=1)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return np.asarray((n - own - called + hits) / (n - own))


def _matthews(counts: Array) -> Array:
    """Return Matthews' correlation for K classes (Gorodkin 2004); 0 where one class is named."""
    n = counts.sum(axis=(1, 2))
    own, called = counts.sum(axis=2), counts.sum(axis=1)
    hits = np.trace(counts, axis1=1, axis2=2)
    above = hits * n - (own * called).sum(axis=1)
    square = (n**2 - (called**2).sum(axis=1)) * (n**2 - (own**2).sum(axis=1))
    return np.asarray(np.where(square > 0, above / np.sqrt(square), 0.0))


def _mean_known(values: Array) -> Array:
    """Return the mean over classes of those that are defined."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=1)
    return np.asarray(sums / known.sum(axis=1))
