"""Settings of who trains, who validates and who tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config.setting import setting

SplitMode = Literal["subject", "slice", "kfold"]


@dataclass(frozen=True)
class SplitSettings:
    """How slices are shared out to training, validation and test."""

    mode: SplitMode = setting(
        "subject",
        "Split by",
        "By subject keeps all slices of a person in one part. By slice, as in the paper, leaks: slices of one person are on both sides and accuracy is inflated.",
        option="split",
    )
    train_share: float = setting(
        5.0,
        "Training share",
        "Share of the training part (5:2:3 in the paper).",
        low=0,
        low_open=True,
        high=1000,
        advanced=True,
    )
    validation_share: float = setting(
        2.0,
        "Validation share",
        "Share of the validation part.",
        low=0,
        low_open=True,
        high=1000,
        advanced=True,
    )
    test_share: float = setting(
        3.0, "Test share", "Share of the test part.", low=0, low_open=True, high=1000, advanced=True
    )
    folds: int = setting(
        5,
        "Folds",
        "Number of folds where the split is k-fold by subject.",
        low=3,
        high=50,
        advanced=True,
    )
    fold: int = setting(
        1,
        "Test fold",
        "Which fold is the test part (from 1); the next one validates.",
        low=1,
        high=50,
        advanced=True,
    )
    split_file: str = setting(
        "",
        "Split file",
        "CSV with the columns subject and part (train, validation, test), or subject, session, scan, slice and part, such as the split.csv of a run. Empty: the split is drawn as set above.",
        advanced=True,
    )
    shuffled_labels: bool = setting(
        False,
        "Shuffled labels (control)",
        "Give every subject a random class first: a network can then learn nothing true, so any accuracy above chance on test is leakage.",
        advanced=True,
    )
