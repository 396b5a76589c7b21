"""Two runs on the same test slices: which is better, and is the difference more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.correlation import Method, correlate
from core.analysis.features import features_of, joint_warning, subject_means
from core.analysis.scan_correlation import class_means, scan_correlations
from core.data.split import split_name
from core.errors import AnalysisError
from core.figure import Axis, Figure, HeatMap, Panel, Table
from core.run_folder import Features, Run

Array = NDArray[np.float64]

_RESAMPLES = 2000
_SWAPS = 9999
_MAX_RUNS = 4
_ACTIVATION_TITLES = {"relu": "ReLU", "leaky-relu": "leaky ReLU"}
_CNN = ("cnn2d", "cnn3d")


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two classifiers on the same cases.

    Attributes
    ----------
    only_first, only_second : int
        Cases that only the one, or only the other, gets right.
    p_value : float
        Two-sided, from the binomial distribution (McNemar 1947; exact form); 1 where they
        never differ.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> McNemar:
    """Test whether two classifiers are right equally often on the same cases (n,)."""
    only_first = int(np.sum(first_right & ~second_right))
    only_second = int(np.sum(~first_right & second_right))
    n, fewer = only_first + only_second, min(only_first, only_second)
    # Whole numbers: of thousands of slices the powers of two leave a float's range.
    below = sum(math.comb(n, k) for k in range(fewer + 1))
    return McNemar(only_first, only_second, min(1.0, 2 * below / 2**n))


def paired_test(first: Run, second: Run, *, part: str = "test") -> Table:
    """Return tests of whether two runs are right equally often on the same slices.

    Rows: McNemar by slice and by subject (at the mean of the logits), a bootstrap over
    subjects of the difference in slice accuracy, and a permutation test that swaps the two
    runs' answers of whole subjects (9999 times). Differences are second minus first.

    Raises
    ------
    AnalysisError
        If the runs share no slices of that part, or their classes or labels differ.
    """
    one, two = common_slices(first, second, part=part)
    right_one, right_two = _is_right(one), _is_right(two)
    by_subject = (_is_right(subject_means(one)), _is_right(subject_means(two)))
    names, group = np.unique(one.subject, return_inverse=True)
    n = np.bincount(group).astype(np.float64)
    gains = right_two.astype(np.float64) - right_one
    gain = np.asarray(np.bincount(group, gains), dtype=np.float64)
    low, high = _bootstrap(gain, n)
    swap = _swap_p_value(gain)
    value = float(gain.sum() / n.sum())
    rows: tuple[tuple[Any, ...], ...] = (
        (
            "bootstrap over subjects",
            "slice",
            len(one.label),
            float(right_one.mean()),
            float(right_two.mean()),
            value,
            low,
            high,
            None,
            None,
            None,
        ),
        (
            "swaps of whole subjects",
            "slice",
            len(one.label),
            None,
            None,
            value,
            None,
            None,
            None,
            None,
            swap,
        ),
        _mcnemar_row("slice", right_one, right_two),
        _mcnemar_row("subject", *by_subject),
    )
    return Table(
        name="paired_test",
        title=f"{run_words(second)} against {run_words(first)}, the same {part} slices",
        columns=(
            "test",
            "by",
            "n",
            "first",
            "second",
            "difference",
            "low",
            "high",
            "only_first_right",
            "only_second_right",
            "p_value",
        ),
        rows=rows,
        caption=f"first: {first.name}; second: {second.name}; difference: second minus first, on "
        f"the {len(one.label)} slices of {len(names)} subjects that are in the {part} part of "
        "both. McNemar by slice takes slices for independent, which those of one subject are "
        "not: its p-value is too small. Trust the tests by subject.",
        warning=joint_warning((first, second)),
    )


def side_by_side(runs: Sequence[Run], *, part: str = "test", method: Method = "pearson") -> Figure:
    """Return the correlation tables of up to four runs beside each other, a column a run.

    Above the rows of the FCL with each other, below with the features of the scans.

    Raises
    ------
    AnalysisError
        If there are fewer than two runs, too many, or their classes differ.
    """
    if not 2 <= len(runs) <= _MAX_RUNS:
        raise AnalysisError(f"Choose 2 to {_MAX_RUNS} runs; {len(runs)} are chosen.")
    _require_same_classes(runs)
    above, below = [], []
    for letter, run in zip("abcd", runs, strict=False):
        weight = run.fc_history.at()[0]
        title = f"({letter}) {run_words(run)}"
        above.append(
            _panel(f"{title}: rows", run.classes, correlate(weight, weight, method=method))
        )
        means = _class_means(run, part=part, method=method)
        below.append(_panel(f"({letter}) rows and {part} scans", run.classes, means, of="scans"))
    names = "; ".join(f"({letter}) {run.name}" for letter, run in zip("abcd", runs, strict=False))
    return Figure(
        name=f"correlation_side_by_side_{part}",
        title="Correlation tables side by side",
        panels=(*above, *below),
        columns=len(runs),
        caption=f"{method.capitalize()} correlation. Above: the FCL's rows with each other. Below: "
        "each row with the features that enter the FCL, averaged over slices, then scans, by true "
        f"class. {names}. After Khagi & Kwon (2022), Alzheimer's & Dementia 18 (S1).",
        warning=joint_warning(runs),
    )


def common_slices(first: Run, second: Run, *, part: str = "test") -> tuple[Features, Features]:
    """Return the rows of the slices that are in the same part of both runs, in one order.

    Raises
    ------
    AnalysisError
        If there are none, or splits, classes or labels differ.
    """
    _require_same_classes((first, second))
    if split_name(first.settings.split) != split_name(second.settings.split):
        raise AnalysisError(
            f"Runs '{first.name}' and '{second.name}' are split differently: slices that one is "
            "tested on are of subjects that the other was trained on. Use the leakage meter for "
            "that; to pair runs, train both with the same split."
        )
    one, two = (features_of(run, part=part) for run in (first, second))
    places = {key: row for row, key in enumerate(_keys(two))}
    pairs = [(row, places[key]) for row, key in enumerate(_keys(one)) if key in places]
    if not pairs:
        raise AnalysisError(
            f"Runs '{first.name}' and '{second.name}' have no slice of the {part} part in common. "
            "Train both with the same split and the same seed."
        )
    rows = np.array(pairs)
    one, two = _rows_of(one, rows[:, 0]), _rows_of(two, rows[:, 1])
    if (one.label != two.label).any():
        raise AnalysisError(
            f"Runs '{first.name}' and '{second.name}' give the same slices different classes: "
            "one is a control with shuffled labels, or the labels were changed between them."
        )
    return one, two


def run_words(run: Run) -> str:
    """Name a run by network and regime; a CNN of ours by its activation."""
    training = run.settings.training
    if training.network in _CNN:
        title = _ACTIVATION_TITLES.get(training.activation, training.activation)
        return f"{run.network_title}, {title}"
    return f"{run.network_title}, {run.regime_title.lower()}"


def _require_same_classes(runs: Sequence[Run]) -> None:
    if len({run.classes for run in runs}) > 1:
        raise AnalysisError(
            "The chosen runs have different classes and cannot be set side by side. Choose runs "
            "of one cohort."
        )


def _keys(features: Features) -> list[tuple[str, str, int]]:
    return [
        (str(subject), str(scan), int(number))
        for subject, scan, number in zip(
            features.subject, features.scan, features.slice, strict=True
        )
    ]


def _rows_of(features: Features, rows: NDArray[np.int64]) -> Features:
    return Features(**{name: values[rows] for name, values in vars(features).items()})


def _is_right(features: Features) -> NDArray[np.bool_]:
    return np.asarray(features.logits.argmax(axis=1) == features.label)


def _mcnemar_row(by: str, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[Any, ...]:
    test = mcnemar(first, second)
    return (
        "McNemar, exact",
        by,
        len(first),
        float(first.mean()),
        float(second.mean()),
        float(second.mean() - first.mean()),
        None,
        None,
        test.only_first,
        test.only_second,
        test.p_value,
    )


def _bootstrap(gain: Array, n: Array) -> tuple[float, float]:
    random = np.random.default_rng(0)
    draws = random.integers(len(n), size=(_RESAMPLES, len(n)))
    low, high = np.percentile(gain[draws].sum(axis=1) / n[draws].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _swap_p_value(gain: Array) -> float:
    """Return the two-sided p-value when the two runs' names of each subject are arbitrary."""
    random = np.random.default_rng(0)
    signs = random.choice([-1.0, 1.0], size=(_SWAPS, len(gain)))
    as_far = int(np.sum(np.abs(signs @ gain) >= abs(gain.sum()) - 1e-9))
    return (as_far + 1) / (_SWAPS + 1)


def _class_means(run: Run, *, part: str, method: Method) -> Array:
    return class_means(scan_correlations(run, part=part, method=method))


def _panel(title: str, classes: tuple[str, ...], values: Array, *, of: str = "rows") -> Panel:
    names = tuple(f"{name} scans" for name in classes) if of == "scans" else classes
    return Panel(
        x=Axis("FCL row", categories=classes),
        y=Axis("True class" if of == "scans" else "FCL row", categories=names),
        layers=(HeatMap("correlation", values, names, classes, -1.0, 1.0, diverging=True),),
        title=title,
    )
