"""Runs side by side: the paper's Table 2 beside ours, and the paper's claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.analysis.evaluation import accuracy, accuracy_by_subject
from core.analysis.features import joint_warning
from core.config import NETWORK_TITLES
from core.data.split import split_name
from core.figure import Table
from core.run_folder import Run

RowRegime = Literal["frozen", "fine-tuned", "scratch", "scratch long"]
Verdict = Literal["holds", "refuted", "cannot be told"]

ROW_REGIMES: tuple[RowRegime, ...] = ("frozen", "fine-tuned", "scratch", "scratch long")
_SHORT_EPOCHS = {"resnet101": 20, "googlenet": 30, "vgg19": 30, "cnn2d": 50, "cnn3d": 50}
_RESAMPLES = 2000
# With fewer subjects no difference can reach the 5 % level (2 / 2**6 = 0.03).
_FEWEST_SUBJECTS = 6


@dataclass(frozen=True)
class PaperRow:
    """One row of Khagi & Kwon (2022), JMIS 9(3), Table 2: fractions 0..1 and seconds."""

    network: str
    regime: RowRegime
    epochs: int
    train: float
    validation: float
    test: float
    seconds: int


PAPER_TABLE_2: tuple[PaperRow, ...] = (
    PaperRow("resnet101", "frozen", 20, 1.00, 0.926, 0.932, 4 * 60 + 4),
    PaperRow("resnet101", "fine-tuned", 20, 1.00, 0.972, 0.981, 7 * 60 + 48),
    PaperRow("resnet101", "scratch", 20, 1.00, 0.958, 0.965, 8 * 60 + 29),
    PaperRow("resnet101", "scratch long", 50, 1.00, 0.978, 0.982, 22 * 60 + 48),
    PaperRow("googlenet", "frozen", 30, 0.82, 0.765, 0.786, 2 * 60 + 12),
    PaperRow("googlenet", "fine-tuned", 30, 1.00, 0.967, 0.972, 3 * 60 + 21),
    PaperRow("googlenet", "scratch", 30, 0.99, 0.964, 0.968, 3 * 60 + 10),
    PaperRow("googlenet", "scratch long", 60, 1.00, 0.976, 0.976, 6 * 60 + 27),
    PaperRow("vgg19", "frozen", 30, 0.80, 0.7946, 0.7659, 2 * 60 + 24),
    PaperRow("vgg19", "fine-tuned", 30, 1.00, 0.9821, 0.9912, 3 * 60 + 55),
    PaperRow("vgg19", "scratch", 30, 0.88, 0.8363, 0.8869, 3 * 60 + 52),
    PaperRow("vgg19", "scratch long", 60, 0.99, 0.9643, 0.9782, 7 * 60 + 46),
)
_PAPER_NETWORKS = tuple(dict.fromkeys(row.network for row in PAPER_TABLE_2))
_PAPER_ROWS = {(row.network, row.regime): row for row in PAPER_TABLE_2}


@dataclass(frozen=True)
class Difference:
    """A difference of two test accuracies with its 95 % interval over subjects."""

    value: float
    low: float
    high: float
    subjects: int

    @property
    def is_tellable(self) -> bool:
        """Whether there are enough subjects to tell any difference from chance."""
        return self.subjects >= _FEWEST_SUBJECTS

    def __str__(self) -> str:
        """Return value and interval in percentage points."""
        return (
            f"{100 * self.value:+.1f} points (95 % {100 * self.low:+.1f} to "
            f"{100 * self.high:+.1f}, {self.subjects} subjects)"
        )


def row_regime(run: Run) -> RowRegime:
    """Return the regime of a run as a row of Table 2: long where it asks for more epochs."""
    training = run.settings.training
    if training.regime == "scratch" and run.settings.epochs > _SHORT_EPOCHS[training.network]:
        return "scratch long"
    return training.regime


def paper_row(run: Run) -> PaperRow | None:
    """Return the paper's row of a run's network and regime; None where it has none."""
    return _PAPER_ROWS.get((run.settings.training.network, row_regime(run)))


def table_2(runs: Sequence[Run]) -> Table:
    """Return the runs in the form of the paper's Table 2, its figures beside ours.

    Rows are in the paper's order; ``run`` names each run's folder. A cell is empty where a
    run has no such number yet or the paper no such row.
    """
    return Table(
        name="table_2",
        title="Accuracy and training time by network and regime, beside Khagi & Kwon (2022)",
        columns=(
            "network",
            "regime",
            "epochs",
            "split",
            "train_accuracy",
            "validation_accuracy",
            "test_accuracy",
            "test_accuracy_by_subject",
            "seconds",
            "paper_train",
            "paper_validation",
            "paper_test",
            "paper_seconds",
            "difference_test",
            "warning",
            "run",
        ),
        rows=tuple(_table_row(run) for run in sorted(runs, key=_paper_order)),
        caption="Fractions 0..1 of the last epoch's network in evaluation mode; seconds of "
        "training. The paper split by slice, so its accuracies are inflated: slices of one "
        "subject are on both sides.",
        warning=joint_warning(runs),
    )


def claims(runs: Sequence[Run]) -> Table:
    """Return the paper's claims on Table 2, each with a verdict from the runs.

    Verdicts are ``holds``, ``refuted`` and ``cannot be told``: a difference of test
    accuracies counts only where its 95 % bootstrap interval over subjects leaves out 0.
    Of several finished runs of one row (other seeds) the mean is taken; control runs with
    shuffled labels are left out.
    """
    usable: dict[tuple[str, RowRegime], list[Run]] = {}
    for run in runs:
        if is_comparable(run):
            key = (run.settings.training.network, row_regime(run))
            usable.setdefault(key, []).append(run)
    rows = []
    for network in _PAPER_NETWORKS:
        own = {regime: found for (name, regime), found in usable.items() if name == network}
        for text, judge in _CLAIMS:
            verdict, numbers = _judge(own, judge)
            paper = judge({regime: _PAPER_ROWS[network, regime].test for regime in ROW_REGIMES})
            said = ", ".join(
                f"{better} {100 * _PAPER_ROWS[network, better].test:.4g} % against "
                f"{worse} {100 * _PAPER_ROWS[network, worse].test:.4g} %"
                for better, worse in paper
            )
            rows.append((NETWORK_TITLES[network], text, verdict, numbers, said))
    return Table(
        name="claims",
        title="The paper's claims on Table 2, judged by these runs",
        columns=("network", "claim", "verdict", "numbers", "paper"),
        rows=tuple(rows),
        caption="By test accuracy over slices. Intervals resample whole subjects "
        f"({_RESAMPLES} times); with fewer than {_FEWEST_SUBJECTS} subjects nothing can be told.",
        warning=joint_warning(runs),
    )


def right_by_subject(runs: Sequence[Run]) -> dict[str, tuple[int, int]]:
    """Return for each test subject how many of its slices are right, and how many it has."""
    counts: dict[str, tuple[int, int]] = {}
    for run in runs:
        features = run.features.of_part("test")
        is_right = features.logits.argmax(axis=1) == features.label
        names, group = np.unique(features.subject, return_inverse=True)
        right, n = np.bincount(group, is_right), np.bincount(group)
        for row, name in enumerate(map(str, names)):
            before = counts.get(name, (0, 0))
            counts[name] = (before[0] + int(right[row]), before[1] + int(n[row]))
    return counts


def is_comparable(run: Run) -> bool:
    """Tell whether a run has ended, has test slices, and learned the true labels."""
    return (
        run.state == "finished"
        and run.has_features
        and not run.settings.split.shuffled_labels
        and bool((run.features.part == "test").any())
    )


def accuracy_difference(first: Run, second: Run) -> Difference:
    """Return test accuracy by slice of ``first`` minus ``second``, with its bootstrap interval.

    Subjects are resampled, together where both runs have the same test subjects, else each
    run's own.
    """
    return pooled_difference((first,), (second,))


def pooled_difference(first: Sequence[Run], second: Sequence[Run]) -> Difference:
    """Return :func:`accuracy_difference` of two groups of runs, the seeds of two rows.

    The answers to a subject's slices are counted over all runs of a group.
    """
    one, two = right_by_subject(first), right_by_subject(second)
    random = np.random.default_rng(0)
    names = sorted(one)
    is_paired = names == sorted(two)
    draws = random.integers(len(one), size=(_RESAMPLES, len(one)))
    other_draws = draws if is_paired else random.integers(len(two), size=(_RESAMPLES, len(two)))
    counts_one = np.array([one[name] for name in names])
    counts_two = np.array([two[name] for name in sorted(two)])
    resampled = _share(counts_one[draws]) - _share(counts_two[other_draws])
    low, high = np.percentile(resampled, [2.5, 97.5])
    value = float(_share(counts_one) - _share(counts_two))
    return Difference(value, float(low), float(high), min(len(one), len(two)))


# A claim names, from the test accuracy of each row, the pairs (better, worse) it asserts.
_Judge = Callable[[Mapping[RowRegime, float]], tuple[tuple[RowRegime, RowRegime], ...]]


def _frozen_is_lowest(test: Mapping[RowRegime, float]) -> tuple[tuple[RowRegime, RowRegime], ...]:
    return tuple((regime, "frozen") for regime in ROW_REGIMES[1:] if regime in test)


def _tuned_or_long_is_highest(
    test: Mapping[RowRegime, float],
) -> tuple[tuple[RowRegime, RowRegime], ...]:
    candidates: list[RowRegime] = [r for r in ("fine-tuned", "scratch long") if r in test]
    best = max(candidates, key=lambda regime: test[regime])
    others: list[RowRegime] = [regime for regime in ("frozen", "scratch") if regime in test]
    return tuple((best, regime) for regime in others)


def _longer_is_as_good(_: Mapping[RowRegime, float]) -> tuple[tuple[RowRegime, RowRegime], ...]:
    return (("scratch long", "scratch"),)


_AS_GOOD = "longer scratch training is at least as good as shorter"
_CLAIMS: tuple[tuple[str, _Judge], ...] = (
    ("frozen is the lowest", _frozen_is_lowest),
    ("fine-tuned or long scratch is the highest", _tuned_or_long_is_highest),
    (_AS_GOOD, _longer_is_as_good),
)


def _judge(own: Mapping[RowRegime, Sequence[Run]], judge: _Judge) -> tuple[Verdict, str]:
    needed = ("scratch", "scratch long") if judge is _longer_is_as_good else ROW_REGIMES
    missing = [regime for regime in needed if regime not in own]
    if missing:
        return "cannot be told", f"no finished run: {', '.join(missing)}"
    chosen = [run for regime in needed for run in own[regime]]
    modes = {split_name(run.settings.split) for run in chosen}
    if len(modes) > 1:
        return "cannot be told", f"split differently: {', '.join(sorted(modes))}"
    test = {regime: _pooled_accuracy(found) for regime, found in own.items()}
    differences = {pair: pooled_difference(own[pair[0]], own[pair[1]]) for pair in judge(test)}
    numbers = "; ".join(
        f"{better} {100 * test[better]:.1f} % against {worse} {100 * test[worse]:.1f} %: "
        f"{differences[better, worse]}"
        for better, worse in differences
    )
    return _verdict(tuple(differences.values()), or_equal=judge is _longer_is_as_good), numbers


def _pooled_accuracy(runs: Sequence[Run]) -> float:
    return float(_share(np.array(list(right_by_subject(runs).values()))))


def _verdict(differences: Sequence[Difference], *, or_equal: bool) -> Verdict:
    if not all(difference.is_tellable for difference in differences):
        return "cannot be told"
    if any(difference.high < 0 for difference in differences):
        return "refuted"
    if all(d.low > 0 or (or_equal and d.low >= 0) for d in differences):
        return "holds"
    return "cannot be told"


def _table_row(run: Run) -> tuple[Any, ...]:
    paper = paper_row(run)
    train, validation, test, by_subject = part_accuracies(run)
    seconds = float(np.nansum(run.history.seconds)) if len(run.history.epoch) else None
    return (
        run.network_title,
        row_regime(run),
        _epochs_done(run),
        split_name(run.settings.split),
        train,
        validation,
        test,
        by_subject,
        seconds,
        *((paper.train, paper.validation, paper.test, paper.seconds) if paper else (None,) * 4),
        test - paper.test if paper and test is not None else None,
        _row_warning(run),
        run.name,
    )


def part_accuracies(run: Run) -> tuple[float | None, float | None, float | None, float | None]:
    """Return train, validation, test, and test by subject; None where not known."""
    if run.has_features:
        parts = [run.features.of_part(part) for part in ("train", "validation", "test")]
        scores = [accuracy(part).accuracy for part in parts]
        train, validation, test = (None if math.isnan(score) else score for score in scores)
        by_subject = accuracy_by_subject(parts[2]).accuracy
        return train, validation, test, None if math.isnan(by_subject) else by_subject
    if len(run.history.epoch):
        train, validation = run.history.train_accuracy[-1], run.history.validation_accuracy[-1]
        return float(train), float(validation), None, None
    return None, None, None, None


def _epochs_done(run: Run) -> int:
    return int(run.history.epoch[-1]) if len(run.history.epoch) else 0


def _row_warning(run: Run) -> str:
    done, asked = _epochs_done(run), run.settings.epochs
    if done < asked:
        return f"{run.warning} Only {done} of {asked} epochs were trained.".strip()
    return run.warning


def _paper_order(run: Run) -> tuple[int, int]:
    return (
        list(NETWORK_TITLES).index(run.settings.training.network),
        ROW_REGIMES.index(row_regime(run)),
    )


def _share(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return the share that is right of counts (…, subjects, 2)."""
    totals = counts.sum(axis=-2)
    return np.asarray(totals[..., 0] / totals[..., 1], dtype=np.float64)
