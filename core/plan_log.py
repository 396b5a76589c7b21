"""What became of planned runs: a text file of one JSON record a line, only ever added to.

A line is written whole and is on the disk before the work goes on, so that a sweep, or the
window's queue, goes on after a crash where it was.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

from core import config, text_file
from core.config import RunSettings
from core.errors import MriFclError, RunError

PlannedState = Literal["waiting", "running", "finished", "stopped", "failed"]
MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class LoggedRun:
    """One planned run as the log has it.

    Attributes
    ----------
    key : str
        Its name in the log.
    settings : RunSettings
    cohort : str
        Folder of its cohort as seen from the log's folder; empty where the owner knows it.
    classes : tuple of str
        The cohort's.
    state : {"waiting", "running", "finished", "stopped", "failed"}
    run : str
        Its run folder as seen from the log's folder; empty before it was started.
    text : str
        Why it failed.
    """

    key: str
    settings: RunSettings
    cohort: str = ""
    classes: tuple[str, ...] = ()
    state: PlannedState = "waiting"
    run: str = ""
    text: str = ""


class PlanLog:
    """Reads and adds to one log.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[LoggedRun]:
        """Return the planned runs in their order; damaged lines are passed over.

        Raises
        ------
        RunError
            If the file is there and cannot be read.
        """
        entries: dict[str, LoggedRun] = {}
        for record in self._records():
            with contextlib.suppress(MriFclError, KeyError, TypeError, ValueError, AttributeError):
                entries = _after(entries, record)
        return list(entries.values())

    def add(self, runs: Iterable[LoggedRun]) -> None:
        """Note runs that wait."""
        self._append(
            {
                "event": "added",
                "key": run.key,
                "cohort": run.cohort,
                "classes": run.classes,
                "settings": config.to_record(run.settings),
            }
            for run in runs
        )

    def start(self, key: str, run: str) -> None:
        """Note that a run has begun in the folder ``run``."""
        self._append([{"event": "started", "key": key, "run": run}])

    def end(self, key: str, state: str, text: str = "") -> None:
        """Note how a run ended, or that it waits again."""
        self._append([{"event": "ended", "key": key, "state": state, "text": text}])

    def remove(self, keys: Sequence[str]) -> None:
        """Note that runs are no longer planned."""
        self._append([{"event": "removed", "keys": list(keys)}])

    def order(self, keys: Sequence[str]) -> None:
        """Note the order of the runs; those not named stay behind them."""
        self._append([{"event": "ordered", "keys": list(keys)}])

    def _append(self, records: Iterable[Mapping[str, Any]]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [text_file.json_text({**record, "time": now}) for record in records]
        if not lines:
            return
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", errors="backslashreplace")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                # A crash may have cut the last line; what comes now must not hang on to it.
                _write_all(handle, b"\n" + data if _is_cut(handle) else data)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise RunError(
                f"'{self.path}' cannot be written: {error.strerror}. It keeps what became of "
                "each planned run; free some space or choose another folder."
            ) from error

    def _records(self) -> list[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(
                f"'{self.path}' cannot be read: {error.strerror}. It keeps what became of each "
                "planned run."
            ) from error
        if len(data) > MOST_BYTES:
            raise RunError(
                f"'{self.path}' is larger than {MOST_BYTES // 1_000_000} MB. Rename it; a new "
                "one is then begun."
            )
        records = []
        for line in data.split(b"\n"):
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict):
                    records.append(record)
        return records


def _after(entries: dict[str, LoggedRun], record: Mapping[str, Any]) -> dict[str, LoggedRun]:
    """Return the planned runs after one more event."""
    event = record["event"]
    if event == "ordered":
        named = [str(key) for key in record["keys"] if str(key) in entries]
        rest = [key for key in entries if key not in set(named)]
        return {key: entries[key] for key in [*named, *rest]}
    if event == "removed":
        gone = {str(key) for key in record["keys"]}
        return {key: entry for key, entry in entries.items() if key not in gone}
    key = str(record["key"])
    if event == "added":
        settings = config.from_record(record["settings"])
        kept = entries.get(key)
        classes = tuple(str(name) for name in record.get("classes", ()))
        new = LoggedRun(key, settings, str(record.get("cohort", "")), classes)
        # Planned once more: what became of it before stands.
        return {**entries, key: kept or new}
    if event == "started":
        entry = replace(entries[key], state="running", run=str(record["run"]), text="")
    else:
        state = record["state"]
        if state not in get_args(PlannedState):
            raise ValueError(state)
        entry = replace(
            entries[key], state=cast("PlannedState", state), text=str(record.get("text", ""))
        )
    return {**entries, key: entry}


def _is_cut(handle: int) -> bool:
    size = os.fstat(handle).st_size
    if not size:
        return False
    os.lseek(handle, size - 1, os.SEEK_SET)
    return os.read(handle, 1) != b"\n"


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
