"""A run on disk: create it, add to it, read it. No run overwrites another."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import atomic_file, config, text_file
from core.config import RunSettings
from core.errors import RunError, SettingsError

FORMAT_VERSION = 1
RECORD_FILE = "run.json"
PARTS = ("train", "validation", "test")
HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
)


@dataclass(frozen=True)
class History:
    """The curves of a run: one entry an epoch, each of shape (E,).

    Losses are mean cross-entropy (nat), accuracies fractions 0..1, ``seconds`` the time of
    the epoch. Epoch 0 (before training) is not in it.
    """

    epoch: NDArray[np.int64]
    train_loss: NDArray[np.float64]
    train_accuracy: NDArray[np.float64]
    validation_loss: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class FcHistory:
    """The FCL over the epochs; entry 0 is the state before training.

    Attributes
    ----------
    epoch : ndarray, shape (E,), int
    weight : ndarray, shape (E, K, N), float32
        Row k belongs to class k.
    bias : ndarray, shape (E, K), float32
    """

    epoch: NDArray[np.int64]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def at(self, epoch: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weight (K, N) and bias (K,) after ``epoch`` (None: the last).

        Raises
        ------
        RunError
            If that epoch is not stored.
        """
        if epoch is None:
            return self.weight[-1], self.bias[-1]
        found = np.flatnonzero(self.epoch == epoch)
        if not len(found):
            raise RunError(
                f"Epoch {epoch} is not in this run; it has epochs {self.epoch[0]} to "
                f"{self.epoch[-1]}."
            )
        return self.weight[found[0]], self.bias[found[0]]


@dataclass(frozen=True)
class Features:
    """What the last epoch's network gives for each slice, one row a slice.

    Attributes
    ----------
    penultimate : ndarray, shape (n, N), float32
        What enters the FCL.
    logits : ndarray, shape (n, K), float32
        What leaves it.
    label : ndarray, shape (n,), int
        Index of the true class.
    part : ndarray, shape (n,), str
        train, validation or test.
    subject, session, scan : ndarray, shape (n,), str
    slice : ndarray, shape (n,), int
        Number of the slice in its scan.
    """

    penultimate: NDArray[np.float32]
    logits: NDArray[np.float32]
    label: NDArray[np.int64]
    part: NDArray[np.str_]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    scan: NDArray[np.str_]
    slice: NDArray[np.int64]

    def of_part(self, part: str) -> Features:
        """Return the rows of one part; ``all`` gives every row."""
        if part == "all":
            return self
        keep = self.part == part
        return Features(**{name: getattr(self, name)[keep] for name in _FEATURE_NAMES})


_FEATURE_NAMES = ("penultimate", "logits", "label", "part", "subject", "session", "scan", "slice")


class Run:
    """A run folder, read. Arrays are loaded on first use.

    Parameters
    ----------
    path : Path
        The run folder.

    Raises
    ------
    RunError
        If it is no run folder, is damaged, or a newer program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = read_record(path)
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
        """Running, finished, stopped or failed."""
        return str(self.record.get("state", "failed"))

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
        """Whether subjects are shared between parts, so that accuracy is inflated."""
        return bool(self.record.get("shared_subjects", 0))

    @property
    def warning(self) -> str:
        """What must stand in red beside this run's numbers; empty where nothing must."""
        sentences = []
        if self.leaks:
            sentences.append(
                f"Leaking split: {self.record['shared_subjects']} subjects have "
                "slices in more than one part, so accuracies are inflated."
            )
        if self.settings.split.shuffled_labels:
            sentences.append("Control run: labels were shuffled.")
        if self.record.get("simulated"):
            sentences.append("Simulated scans: says nothing about patients.")
        return " ".join(sentences)

    @cached_property
    def history(self) -> History:
        """The curves; empty arrays before the first epoch ends."""
        rows = _read_history(self.path / "history.csv")
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
        return Features(**self._arrays("features.npz", _FEATURE_NAMES))

    def _arrays(self, file: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        path = self.path / file
        try:
            with path.open("rb") as file_object, np.load(file_object, allow_pickle=False) as data:
                return {name: data[name] for name in names}
        except FileNotFoundError:
            raise RunError(
                f"Run '{self.name}' has no {file} yet. Let its training end, or resume it."
            ) from None
        except Exception as error:  # numpy and zipfile raise all kinds on damaged bytes
            raise RunError(
                f"'{file}' of run '{self.name}' is damaged. Resume the run to write it "
                "again, or restore the file from a copy."
            ) from error


class RunWriter:
    """Adds to one run folder while it is trained. Each write is on disk when it returns."""

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - JSON values
        """Put ``changes`` into ``run.json``."""
        self.record.update(changes)
        text_file.write_json(self.path / RECORD_FILE, self.record)

    def write_split(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write ``split.csv``: subject, session, scan, slice, label, part."""
        text_file.write_csv(
            self.path / "split.csv", ("subject", "session", "scan", "slice", "label", "part"), rows
        )

    def append_epoch(self, row: Mapping[str, float]) -> None:
        """Append one epoch to ``history.csv``; older lines are never touched."""
        path = self.path / "history.csv"
        is_new = not path.exists()
        line = ",".join(text_file.csv_cell(row[name]) for name in HISTORY_COLUMNS) + "\n"
        with path.open("a", encoding="utf-8", newline="") as file:
            if is_new:
                file.write(",".join(HISTORY_COLUMNS) + "\n")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def keep_history_until(self, epoch: int) -> None:
        """Drop lines after ``epoch``: a crash may leave one more line than the checkpoint has."""
        rows = [row for row in _read_history(self.path / "history.csv") if row[0] <= epoch]
        text_file.write_csv(
            self.path / "history.csv", HISTORY_COLUMNS, [(int(row[0]), *row[1:]) for row in rows]
        )

    def write_fc_history(self, history: FcHistory) -> None:
        """Write ``fc_history.npz``."""
        self._write_arrays(
            "fc_history.npz",
            {"epoch": history.epoch, "weight": history.weight, "bias": history.bias},
        )

    def write_features(self, features: Features) -> None:
        """Write ``features.npz``."""
        self._write_arrays(
            "features.npz", {name: getattr(features, name) for name in _FEATURE_NAMES}
        )

    def write_predictions(self, features: Features, classes: Sequence[str]) -> None:
        """Write ``predictions.csv``: labels, logits and probabilities of every slice."""
        probability = softmax(features.logits)
        columns = (
            "subject",
            "scan",
            "slice",
            "part",
            "label",
            "predicted",
            *(f"logit_{name}" for name in classes),
            *(f"prob_{name}" for name in classes),
        )
        predicted = features.logits.argmax(axis=1)
        rows = (
            (
                features.subject[i],
                features.scan[i],
                features.slice[i],
                features.part[i],
                classes[features.label[i]],
                classes[predicted[i]],
                *features.logits[i],
                *probability[i],
            )
            for i in range(len(features.label))
        )
        text_file.write_csv(self.path / "predictions.csv", columns, rows)

    def _write_arrays(self, file: str, arrays: dict[str, NDArray[Any]]) -> None:
        with atomic_file.replacing(self.path / file) as temporary, temporary.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]


def create_run(runs: Path, settings: RunSettings, record: Mapping[str, Any]) -> RunWriter:
    """Make a new, empty run folder below ``runs``; its name is never an old one's.

    Raises
    ------
    RunError
        If the folder cannot be made (read-only, full, no such drive).
    """
    training = settings.training
    now = datetime.now(UTC)
    stem = f"{now:%Y-%m-%d_%H%M%S}_{training.network}_{training.regime}"
    try:
        writer = RunWriter(_make_folder(runs, stem), {})
        writer.update(
            format="MRI-FCL run",
            format_version=FORMAT_VERSION,
            state="running",
            started=now.isoformat(timespec="seconds"),
            settings=config.to_record(settings),
            seed=training.seed,
            **record,
        )
    except OSError as error:
        raise RunError(
            f"No run can be stored in '{runs}': {error.strerror}. Choose another folder for runs."
        ) from error
    return writer


def _make_folder(runs: Path, stem: str) -> Path:
    runs.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = runs / (stem if number == 1 else f"{stem}_{number}")
        # mkdir itself is the test, so that two programs never get the same folder.
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            break
    return path


def reopen_run(path: Path) -> RunWriter:
    """Open a run folder to add to it.

    Raises
    ------
    RunError
        If it is no run folder or damaged.
    """
    return RunWriter(path, read_record(path))


def read_record(path: Path) -> dict[str, Any]:
    """Return ``run.json`` of the run folder ``path``.

    Raises
    ------
    RunError
        If there is none, it is damaged, or a newer program wrote it.
    """
    try:
        record = json.loads((path / RECORD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"'{path.name}' is no run folder: it has no {RECORD_FILE}. Choose a "
            "folder that 'mri-fcl train' made."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"'{RECORD_FILE}' of run '{path.name}' is damaged. Restore it from a copy; "
            "the other files of the run are untouched."
        ) from error
    if not isinstance(record, dict) or record.get("format") != "MRI-FCL run":
        raise RunError(
            f"'{path.name}' is no run folder of MRI-FCL. Choose a folder that 'mri-fcl train' made."
        )
    version = record.get("format_version")
    if not isinstance(version, int):
        raise RunError(
            f"'{RECORD_FILE}' of run '{path.name}' is damaged: it has no format version. "
            "Restore it from a copy; the other files of the run are untouched."
        )
    if version > FORMAT_VERSION:
        raise RunError(f"Run '{path.name}' was written by a newer MRI-FCL. Update this program.")
    return record


def list_runs(runs: Path) -> Iterator[Run]:
    """Yield the readable runs directly below ``runs``, oldest first; others are passed over."""
    if not runs.is_dir():
        return
    for path in sorted(runs.iterdir()):
        if (path / RECORD_FILE).is_file():
            with contextlib.suppress(RunError):
                yield Run(path)


def is_run(path: Path) -> bool:
    """Tell whether ``path`` is a run folder."""
    return (path / RECORD_FILE).is_file()


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return class probabilities (n, K) of logits (n, K)."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = shifted.sum(axis=1, keepdims=True)
    return np.asarray(shifted / total)


def _read_history(path: Path) -> list[list[float]]:
    if not path.is_file():
        return []
    text = path.read_bytes().decode("utf-8", errors="replace")
    rows = []
    # A crash can cut the last line, even within its last number: a line counts once its
    # end is there. What was acknowledged before it stands.
    for line in text.split("\n")[1:-1]:
        cells = line.rstrip("\r").split(",")
        if len(cells) == len(HISTORY_COLUMNS) and cells[0].isdecimal():
            with contextlib.suppress(ValueError):
                rows.append([float(cell) if cell else float("nan") for cell in cells])
    return rows
