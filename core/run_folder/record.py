"""The record of a run, ``run.json``, and its copy from the change before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import atomic_file
from core.errors import RunError

FORMAT_VERSION = 1
RECORD_FILE = "run.json"
# The record as it was before its last change: read where the other one is damaged.
RECORD_COPY = "run.json.bak"


def is_run(path: Path) -> bool:
    """Tell whether ``path`` is a run folder."""
    return (path / RECORD_FILE).is_file() or (path / RECORD_COPY).is_file()


def read_record(path: Path) -> dict[str, Any]:
    """Return ``run.json`` of the run folder ``path``.

    Raises
    ------
    RunError
        If there is none, it is damaged and has no copy, or a newer program wrote it.
    """
    return read_record_or_copy(path)[0]


def read_record_or_copy(path: Path) -> tuple[dict[str, Any], bool]:
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


def keep_copy(path: Path) -> None:
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


def recorded_sums(record: Mapping[str, Any], file: str) -> list[str]:
    """Return the SHA-256 that a record holds of a file; more than one while it is replaced."""
    sums = sums_of(record).get(file, [])
    return [item for item in sums if isinstance(item, str)] if isinstance(sums, list) else []


def sums_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return all SHA-256 that a record holds, by file."""
    sums = record.get("sha256")
    return sums if isinstance(sums, dict) else {}
