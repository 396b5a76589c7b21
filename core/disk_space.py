"""Is there room for a run, and what to say where there is none."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from pathlib import Path

from core.errors import RunError

_RESERVE_BYTES = 200 * 10**6
_GIGABYTE = 10**9
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_ON_WINDOWS = {39, 112}  # ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL


def room_for_run(*, checkpoint_bytes: int, network_bytes: int) -> int:
    """Return the bytes that a run may need: each kept twice and once more while it is written."""
    return 3 * (checkpoint_bytes + network_bytes) + _RESERVE_BYTES


def require_place(runs: Path) -> None:
    """Refuse a folder for runs that cannot be written, before any work is done.

    Raises
    ------
    RunError
        With the reason.
    """
    try:
        with tempfile.TemporaryFile(dir=_existing(runs)):
            pass
    except OSError as error:
        raise RunError(
            f"No run can be stored in '{runs}': {error.strerror}. Choose another folder for runs."
        ) from error


def require_room(folder: Path, needed: int) -> None:
    """Refuse to begin where the disk has not ``needed`` bytes left.

    Raises
    ------
    RunError
        With the numbers.
    """
    free = free_bytes(folder)
    if free is not None and free < needed:
        raise RunError(
            f"The disk {drive_of(folder)} has {free / _GIGABYTE:.1f} GB left and this run "
            f"may need {_gigabytes(needed)}. Free {_gigabytes(needed - free)} on it, or choose "
            "another folder for runs."
        )


def full_disk_sentence(folder: Path, needed: int) -> str:
    """Return what to do after a disk has filled up while ``needed`` bytes are wanted."""
    short = max(needed - (free_bytes(folder) or 0), _RESERVE_BYTES)
    return (
        f"The disk {drive_of(folder)} is full. Free {_gigabytes(short)} on it and resume run "
        f"'{folder.name}': everything up to its last whole epoch is kept."
    )


def is_full(error: OSError) -> bool:
    """Tell whether a disk, or the user's share of it, was full."""
    return error.errno in _FULL or getattr(error, "winerror", None) in _FULL_ON_WINDOWS


def free_bytes(folder: Path) -> int | None:
    """Return the bytes left for this user on the disk of ``folder``; None if it does not say."""
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def drive_of(folder: Path) -> str:
    """Return the disk of ``folder`` for people: ``D:``, or the name it is mounted under."""
    path = _existing(folder)
    if path.drive:
        return path.drive
    while not os.path.ismount(path) and path != path.parent:
        path = path.parent
    # No more than the name: its place may hold the name of a person.
    return f"'{path.name or path}'"


def _existing(folder: Path) -> Path:
    path = folder.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _gigabytes(count: int) -> str:
    """Return what is needed, rounded up."""
    return f"{math.ceil(count / _GIGABYTE * 10) / 10:.1f} GB"
