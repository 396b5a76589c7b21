"""A run folder, read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import array_file, atomic_file, config
from core.array_file import ArrayFileError
from core.config import RunSettings
from core.data.split import split_words
from core.errors import RunError, SettingsError
from core.run_folder.arrays import (
    EPOCH_FEATURES_FOLDER,
    EPOCH_LOGITS_FILE,
    FEATURE_NAMES,
    HISTORY_COLUMNS,
    FcHistory,
    Features,
    History,
    epoch_features_name,
    read_history,
)
from core.run_folder.record import (
    RECORD_COPY,
    RECORD_FILE,
    is_run,
    read_record_or_copy,
    recorded_sums,
)
from core.run_lock import Holder, holder_of

# What the audit counted, and how it is said of one and of several.
_LEAKS = {
    "shared_subjects": ("subject has slices", "subjects have slices"),
    "shared_scans": ("scan stands under two names", "scans stand under two names"),
    "duplicate_slices": ("slice has an equal one", "slices have an equal one"),
    "near_identical_slices": ("slice has a near-identical one", "slices have a near-identical one"),
}


class Run:
    """A run folder, read. Arrays are loaded on first use.

    Parameters
    ----------
    path : Path
        The run folder.

    Attributes
    ----------
    holder : Holder or None
        Who was training the run when it was read.

    Raises
    ------
    RunError
        If it is no run folder, is damaged, or a newer program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record, self._is_copy = read_record_or_copy(path)
        # Asked now: to ask a slow drive later could hold up a window.
        is_under_way = self.record.get("state") == "running"
        self.holder: Holder | None = holder_of(path) if is_under_way else None
        try:
            self.classes: tuple[str, ...] = tuple(self.record["classes"])
            self.settings: RunSettings = config.from_record(self.record["settings"])
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"The record of run '{path.name}' is damaged: an entry is missing. "
                "Train it again; its other files are untouched."
            ) from error
        except SettingsError as error:
            raise RunError(
                f"The record of run '{path.name}' is damaged: {error} Restore "
                f"{RECORD_FILE} from a copy, or train it again."
            ) from error

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def state(self) -> str:
        """Running, finished, stopped, failed, or interrupted.

        A run whose record says running while nobody holds it was interrupted: its program
        crashed, was killed, or the power went.
        """
        state = str(self.record.get("state", "failed"))
        return "interrupted" if state == "running" and self.holder is None else state

    @property
    def state_text(self) -> str:
        """The state for people, with who trains a run that is under way."""
        return self.state if self.holder is None else f"{self.state}, {self.holder.words()}"

    @property
    def test_accuracy(self) -> float | None:
        """Fraction of the test slices that are right; None before the run has ended."""
        measured = self.record.get("accuracy")
        value = measured.get("test") if isinstance(measured, dict) else None
        return float(value) if isinstance(value, int | float) else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was damaged in the folder and could be read around."""
        said = []
        if self._is_copy:
            said.append(
                f"'{RECORD_FILE}' was damaged; its copy from the change before, "
                f"'{RECORD_COPY}', was read instead."
            )
        n_lost = read_history(self.path / "history.csv")[1]
        if n_lost:
            lines = "line" if n_lost == 1 else "lines"
            said.append(f"{n_lost} damaged {lines} of 'history.csv' passed over.")
        return tuple(said)

    def is_whole(self, file: str) -> bool | None:
        """Tell whether a file has the SHA-256 that the record holds; None if it holds none.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        sums = recorded_sums(self.record, file)
        return atomic_file.sha256_of(self.path / file) in sums if sums else None

    @property
    def network_title(self) -> str:
        """The network's name as in the paper."""
        return config.NETWORK_TITLES[self.settings.training.network]

    @property
    def regime_title(self) -> str:
        """The regime's name for people."""
        return config.REGIME_TITLES[self.settings.training.regime]

    @property
    def leaks(self) -> bool:
        """Whether parts share subjects, scans or slices, so that accuracy is inflated."""
        return any(self._shared(name) for name in _LEAKS)

    def _shared(self, name: str) -> int:
        # Runs of earlier versions lack some of the counts; damaged ones may hold anything.
        count = self.record.get(name, 0)
        return count if isinstance(count, int) else 0

    @property
    def split_text(self) -> str:
        """How the slices were split, for people: ``by subject 5:2:3, seed 0``."""
        words = self.record.get("split")
        if isinstance(words, str) and words:
            return words
        return split_words(self.settings.split, self.settings.training.seed)

    @property
    def warning(self) -> str:
        """What must stand in red beside this run's numbers; empty where nothing must."""
        sentences = []
        if self.leaks:
            shared = [
                f"{self._shared(name)} {one if self._shared(name) == 1 else many}"
                for name, (one, many) in _LEAKS.items()
                if self._shared(name)
            ]
            sentences.append(
                f"Leaking split: {', '.join(shared)} in more than one part, so accuracies are "
                "inflated."
            )
        if self.settings.training.precision != "32":
            sentences.append(
                f"Half precision ({self.settings.training.precision}): published numbers need "
                "32 bit."
            )
        if self.settings.split.shuffled_labels:
            sentences.append("Control run: labels were shuffled.")
        if self.record.get("simulated"):
            sentences.append("Simulated scans: says nothing about patients.")
        return " ".join(sentences)

    @cached_property
    def history(self) -> History:
        """The curves; empty arrays before the first epoch ends."""
        rows, _ = read_history(self.path / "history.csv")
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(HISTORY_COLUMNS)).T
        return History(columns[0].astype(np.int64), *columns[1:])

    @cached_property
    def fc_history(self) -> FcHistory:
        """The FCL's weights over the epochs."""
        data = self._arrays("fc_history.npz", ("epoch", "weight", "bias"))
        return FcHistory(data["epoch"], data["weight"], data["bias"])

    @property
    def has_features(self) -> bool:
        """Whether features of the last network are stored."""
        return (self.path / "features.npz").is_file()

    @cached_property
    def features(self) -> Features:
        """Features, logits and labels of every slice."""
        return Features(**self._arrays("features.npz", FEATURE_NAMES))

    @property
    def feature_epochs(self) -> tuple[int, ...]:
        """Epochs whose features are stored, in order; 0 is the state before training."""
        done = self.record.get("epochs_done", 0)
        last = done if isinstance(done, int) else 0
        names = (path.stem for path in (self.path / EPOCH_FEATURES_FOLDER).glob("epoch_*.npz"))
        numbers = {int(name[6:]) for name in names if name[6:].isdecimal()}
        kept = {number for number in numbers if number <= last}
        return tuple(sorted(kept | ({last} if self.has_features and last else set())))

    def features_at(self, epoch: int | None = None) -> Features:
        """Return the features of every slice after ``epoch`` (None: the last).

        Those of earlier epochs were rounded to half precision when they were stored.

        Raises
        ------
        RunError
            If that epoch's features are not stored, or the file is damaged.
        """
        last = self.record.get("epochs_done", 0)
        if epoch is None or (epoch == last and self.has_features):
            return self.features
        if epoch not in self.feature_epochs:
            raise RunError(
                f"Run '{self.name}' has no features of epoch {epoch}. Train with 'Keep features "
                "every' to have them over the epochs."
            )
        file = f"{EPOCH_FEATURES_FOLDER}/{epoch_features_name(epoch)}"
        data = self._arrays(file, ("penultimate", "logits"))
        if len(data["logits"]) != len(self.features.label):
            raise RunError(
                f"'{file}' of run '{self.name}' is of other slices than features.npz. Delete it."
            )
        return replace(
            self.features,
            penultimate=data["penultimate"].astype(np.float32),
            logits=data["logits"],
        )

    @cached_property
    def validation_logits(self) -> dict[int, NDArray[np.float32]]:
        """Logits (n, K) of the validation slices by epoch; empty for runs of before this file."""
        n, classes = len(self.features.of_part("validation").label), len(self.classes)
        path = self.path / EPOCH_LOGITS_FILE
        done = self.record.get("epochs_done", 0)
        if not n or not path.is_file() or not isinstance(done, int):
            return {}
        try:
            blocks = np.fromfile(path, dtype="<f4")
        except OSError as error:
            raise RunError(
                f"'{EPOCH_LOGITS_FILE}' of run '{self.name}' cannot be read: {error.strerror}."
            ) from error
        # A crash may leave part of a block behind, or one more than the checkpoint has.
        whole = min(len(blocks) // (n * classes), done)
        blocks = blocks[: whole * n * classes].reshape(whole, n, classes)
        return {
            epoch: block.astype(np.float32)
            for epoch, block in enumerate(blocks, start=1)
            if np.isfinite(block).all()
        }

    def epochs_of(self, part: str) -> tuple[int, ...]:
        """Epochs after which the logits of ``part`` are known, in order."""
        known = set(self.feature_epochs)
        if part == "validation":
            known |= set(self.validation_logits)
        return tuple(sorted(known))

    def logits_after(self, epoch: int | None, part: str) -> Features:
        """Return the features of ``part`` after ``epoch`` (None: the last), logits at least.

        Where only the logits of the validation slices are stored, ``penultimate`` has no
        columns.

        Raises
        ------
        RunError
            If nothing is stored of that epoch and part.
        """
        if epoch is None or epoch in self.feature_epochs:
            return self.features_at(epoch).of_part(part)
        if part == "validation" and epoch in self.validation_logits:
            features = self.features.of_part(part)
            none = np.zeros((len(features.label), 0), np.float32)
            return replace(features, penultimate=none, logits=self.validation_logits[epoch])
        raise RunError(
            f"Run '{self.name}' has no outputs of the {part} part after epoch {epoch}. Choose the "
            "validation part, or train with 'Keep features every'."
        )

    def _arrays(self, file: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        path = self.path / file
        try:
            return dict(zip(names, array_file.read_arrays(path, names), strict=True))
        except FileNotFoundError:
            raise RunError(
                f"Run '{self.name}' has no {file} yet. Let its training end, or resume it."
            ) from None
        except (OSError, ArrayFileError) as error:
            raise RunError(
                f"'{file}' of run '{self.name}' is damaged. Resume the run to write it "
                "again, or restore the file from a copy."
            ) from error


def list_runs(runs: Path) -> Iterator[Run]:
    """Yield the readable runs directly below ``runs``, oldest first; others are passed over."""
    if not runs.is_dir():
        return
    for path in sorted(runs.iterdir()):
        if is_run(path):
            with contextlib.suppress(RunError):
                yield Run(path)
