"""A run on disk: create it, add to it, read it. No run overwrites another."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import atomic_file, config, text_file
from core.config import RunSettings
from core.data.split import split_words
from core.errors import RunError, SettingsError
from core.run_lock import Holder, RunLock, holder_of, take_lock

FORMAT_VERSION = 1
RECORD_FILE = "run.json"
# The record as it was before its last change: read where the other one is damaged.
RECORD_COPY = "run.json.bak"
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
# What the audit counted, and how it is said of one and of several.
_LEAKS = {
    "shared_subjects": ("subject has slices", "subjects have slices"),
    "shared_scans": ("scan stands under two names", "scans stand under two names"),
    "duplicate_slices": ("slice has an equal one", "slices have an equal one"),
    "near_identical_slices": ("slice has a near-identical one", "slices have a near-identical one"),
}


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
# Age, sex, MMSE and CDR of the subjects, where the cohort's tables tell them.
SUBJECTS_FILE = "subjects.csv"
# Features of earlier epochs, one file each; features.npz has those of the last epoch.
EPOCH_FEATURES_FOLDER = "features_by_epoch"
_HALF_MAX = float(np.finfo(np.float16).max)
# Logits of the validation slices after each epoch: little-endian float32, one block (n, K)
# an epoch from epoch 1 on, in the order of the validation rows of features.npz.
EPOCH_LOGITS_FILE = "validation_logits.f32"


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
        self.record, self._is_copy = _read_record_or_copy(path)
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
        n_lost = _read_history(self.path / "history.csv")[1]
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
        rows, _ = _read_history(self.path / "history.csv")
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
    """Adds to one run folder while it is trained. Each write is on disk when it returns.

    It holds the folder's lock until :meth:`close`, or until nobody has it any more.
    """

    def __init__(self, path: Path, record: dict[str, Any], lock: RunLock | None = None) -> None:
        self.path = path
        self.record = record
        self._lock = lock

    def close(self) -> None:
        """Let others write to the folder."""
        if self._lock is not None:
            self._lock.release()

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - JSON values
        """Put ``changes`` into ``run.json``; the record before it stays in ``run.json.bak``."""
        self.record.update(changes)
        _keep_copy(self.path)
        text_file.write_json(self.path / RECORD_FILE, self.record)

    def set_sums(self, sums: Mapping[str, Sequence[str]]) -> None:
        """Put the SHA-256 of files into the record; the next update writes it.

        Several are given for a file that is about to be replaced: whichever of them is
        found is the right one.
        """
        new = {file: list(values) for file, values in sums.items()}
        self.record["sha256"] = {**_sums_of(self.record), **new}

    def write_split(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write ``split.csv``: subject, session, scan, slice, label, part."""
        text_file.write_csv(
            self.path / "split.csv", ("subject", "session", "scan", "slice", "label", "part"), rows
        )

    def write_subjects(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write ``subjects.csv``, what is known of each scan's subject; nothing for no rows."""
        if rows:
            columns = ("subject", "age", "sex", "mmse", "cdr")
            text_file.write_csv(self.path / SUBJECTS_FILE, columns, rows)

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

    def write_epoch_logits(self, epoch: int, logits: NDArray[np.float32]) -> None:
        """Put the validation logits (n, K) after ``epoch`` (from 1) at their place in the file.

        Earlier epochs are never touched; those that were trained before the file was kept
        are NaN.
        """
        block = np.ascontiguousarray(logits, dtype="<f4").tobytes()
        path, start = self.path / EPOCH_LOGITS_FILE, (epoch - 1) * len(block)
        with path.open("r+b" if path.exists() else "w+b") as file:
            missing = start - min(start, file.seek(0, os.SEEK_END))
            # A crash may have cut the last block, even within a number.
            file.seek((start - missing) // 4 * 4)
            file.write(np.full((start - file.tell()) // 4, np.nan, "<f4").tobytes())
            file.write(block)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    def keep_history_until(self, epoch: int) -> None:
        """Drop lines after ``epoch``: a crash may leave one more line than the checkpoint has."""
        path = self.path / "history.csv"
        rows = [(int(row[0]), *row[1:]) for row in _read_history(path)[0] if row[0] <= epoch]
        text = text_file.csv_text(HISTORY_COLUMNS, rows)
        if not path.is_file() or path.read_bytes() != text.encode():
            atomic_file.write_text(path, text)

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

    def write_epoch_features(self, epoch: int, features: Features) -> None:
        """Write features and logits after ``epoch``; labels and names are in features.npz."""
        (self.path / EPOCH_FEATURES_FOLDER).mkdir(exist_ok=True)
        # Rounded to float16, half the room; beyond its range they would become infinite.
        small = np.clip(features.penultimate, -_HALF_MAX, _HALF_MAX).astype(np.float16)
        self._write_arrays(
            f"{EPOCH_FEATURES_FOLDER}/{epoch_features_name(epoch)}",
            {"penultimate": small, "logits": features.logits},
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
        # First in memory: numpy puts its own words over those of a disk that is full.
        out = io.BytesIO()
        np.savez(out, **arrays)  # type: ignore[arg-type]
        atomic_file.write_bytes(self.path / file, out.getvalue())


def epoch_features_name(epoch: int) -> str:
    """Return the name of the file with the features after ``epoch``."""
    return f"epoch_{epoch:05d}.npz"


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
        path = _make_folder(runs, stem)
        writer = RunWriter(path, {}, take_lock(path))
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
        If it is no run folder or damaged, if another program writes to it, or if it
        cannot be written.
    """
    read_record(path)
    try:
        lock = take_lock(path)
        # Once more: whoever held it until now may have changed it.
        record, is_copy = _read_record_or_copy(path)
        if is_copy:
            set_aside(path / RECORD_FILE)
        atomic_file.remove_leftovers(path)
    except OSError as error:
        raise RunError(
            f"Run '{path.name}' cannot be written: {error.strerror}. Copy its folder to a place "
            "that can be written, beside its cohort as before."
        ) from error
    return RunWriter(path, record, lock)


def set_aside(path: Path) -> None:
    """Rename a damaged file to ``NAME.damaged``, so that it is neither used nor lost."""
    with contextlib.suppress(FileNotFoundError):
        atomic_file.replace(path, path.with_name(f"{path.name}.damaged"))


def recorded_sums(record: Mapping[str, Any], file: str) -> list[str]:
    """Return the SHA-256 that a record holds of a file; more than one while it is replaced."""
    sums = _sums_of(record).get(file, [])
    return [item for item in sums if isinstance(item, str)] if isinstance(sums, list) else []


def _sums_of(record: Mapping[str, Any]) -> dict[str, Any]:
    sums = record.get("sha256")
    return sums if isinstance(sums, dict) else {}


def _keep_copy(path: Path) -> None:
    """Keep the record as it is under a second name, before it is replaced."""
    record, copy = path / RECORD_FILE, path / RECORD_COPY
    if not record.is_file():
        return
    between = path / f".{RECORD_COPY}.part"
    with contextlib.suppress(OSError):
        between.unlink()
    try:
        # Costs nothing: its bytes are on the disk already.
        between.hardlink_to(record)
        atomic_file.replace(between, copy)
    except OSError:  # FAT and some network drives have no links
        atomic_file.write_bytes(copy, record.read_bytes())


def read_record(path: Path) -> dict[str, Any]:
    """Return ``run.json`` of the run folder ``path``.

    Raises
    ------
    RunError
        If there is none, it is damaged and has no copy, or a newer program wrote it.
    """
    return _read_record_or_copy(path)[0]


def _read_record_or_copy(path: Path) -> tuple[dict[str, Any], bool]:
    """Return the record, and whether it is that of the copy."""
    try:
        return _read_record_file(path, RECORD_FILE), False
    except _NewerError:
        raise
    except RunError:
        with contextlib.suppress(RunError):
            return _read_record_file(path, RECORD_COPY), True
        raise


class _NewerError(RunError):
    """A newer program wrote the record."""


def _read_record_file(path: Path, file: str) -> dict[str, Any]:
    try:
        record = json.loads((path / file).read_text(encoding="utf-8"))
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
        raise _NewerError(f"Run '{path.name}' was written by a newer MRI-FCL. Update this program.")
    return record


def list_runs(runs: Path) -> Iterator[Run]:
    """Yield the readable runs directly below ``runs``, oldest first; others are passed over."""
    if not runs.is_dir():
        return
    for path in sorted(runs.iterdir()):
        if is_run(path):
            with contextlib.suppress(RunError):
                yield Run(path)


def is_run(path: Path) -> bool:
    """Tell whether ``path`` is a run folder."""
    return (path / RECORD_FILE).is_file() or (path / RECORD_COPY).is_file()


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return class probabilities (n, K) of logits (n, K)."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = shifted.sum(axis=1, keepdims=True)
    return np.asarray(shifted / total)


def _read_history(path: Path) -> tuple[list[list[float]], int]:
    """Return the whole lines, and how many damaged ones there are."""
    if not path.is_file():
        return [], 0
    text = path.read_bytes().decode("utf-8", errors="replace")
    rows: list[list[float]] = []
    # A crash can cut the last line, even within its last number: a line counts once its
    # end is there. What was acknowledged before it stands.
    *lines, rest = text.split("\n")[1:] or [""]
    for line in lines:
        cells = line.rstrip("\r").split(",")
        if len(cells) == len(HISTORY_COLUMNS) and cells[0].isdecimal():
            with contextlib.suppress(ValueError):
                rows.append([float(cell) if cell else float("nan") for cell in cells])
    return rows, sum(bool(line.strip()) for line in [*lines, rest]) - len(rows)
