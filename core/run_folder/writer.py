"""Make a run folder and add to it; no run overwrites another."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import array_file, atomic_file, config, text_file
from core.config import RunSettings
from core.errors import RunError
from core.run_folder.arrays import (
    EPOCH_FEATURES_FOLDER,
    EPOCH_LOGITS_FILE,
    FEATURE_NAMES,
    HISTORY_COLUMNS,
    SUBJECTS_FILE,
    FcHistory,
    Features,
    epoch_features_name,
    read_history,
    softmax,
)
from core.run_folder.record import (
    FORMAT_VERSION,
    RECORD_FILE,
    keep_copy,
    read_record,
    read_record_or_copy,
    sums_of,
)
from core.run_lock import RunLock, take_lock

_HALF_MAX = float(np.finfo(np.float16).max)


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

    def move_to(self, path: Path) -> None:
        """Write to ``path`` from now on, which holds what the run has so far.

        Raises
        ------
        OSError
            If that folder cannot be written either.
        """
        lock = take_lock(path)
        self.close()
        self.path, self._lock = path, lock

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - JSON values
        """Put ``changes`` into ``run.json``; the record before it stays in ``run.json.bak``.

        Raises
        ------
        RunInUseError
            If another computer has taken the run over meanwhile.
        """
        if self._lock is not None:
            self._lock.require_held()
        self.record.update(changes)
        keep_copy(self.path)
        text_file.write_json(self.path / RECORD_FILE, self.record)

    def set_sums(self, sums: Mapping[str, Sequence[str]]) -> None:
        """Put the SHA-256 of files into the record; the next update writes it.

        Several are given for a file that is about to be replaced: whichever of them is
        found is the right one.
        """
        new = {file: list(values) for file, values in sums.items()}
        self.record["sha256"] = {**sums_of(self.record), **new}

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
        opened = atomic_file.patiently(lambda: path.open("a", encoding="utf-8", newline=""))
        with opened as file:
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
        mode = "r+b" if path.exists() else "w+b"
        with atomic_file.patiently(lambda: path.open(mode)) as file:
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
        rows = [(int(row[0]), *row[1:]) for row in read_history(path)[0] if row[0] <= epoch]
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
            "features.npz", {name: getattr(features, name) for name in FEATURE_NAMES}
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
        array_file.write_arrays(out, arrays)
        atomic_file.write_bytes(self.path / file, out.getvalue())


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
        path = free_run_folder(runs, stem)
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


def free_run_folder(runs: Path, stem: str) -> Path:
    """Make an empty folder below ``runs`` that was not there; return it.

    Raises
    ------
    OSError
        If none can be made.
    """
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
        record, is_copy = read_record_or_copy(path)
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
