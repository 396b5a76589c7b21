"""A sign of life beside a run's lock, for drives that several computers see.

On many network drives the lock of one computer is unknown to the others, or there are no
locks at all. Whoever writes to a run therefore renews a small file every few seconds; one
that is no longer renewed is of a program that has gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

HEARTBEAT_FILE = "run.heartbeat"
BEAT_SECONDS = 15.0
# Several beats, as drives tell other computers of a change up to half a minute late.
DEAD_AFTER_SECONDS = 60.0
_LONGEST = 4096


@dataclass(frozen=True)
class Sign:
    """Who renews a heartbeat."""

    host: str
    machine: str
    pid: int
    since: datetime
    token: str

    @property
    def is_of_this_machine(self) -> bool:
        """Whether its program runs, or ran, on this computer."""
        if self.host != socket.gethostname():
            return False
        # Two computers may have one name; then they differ in this.
        return not self.machine or self.machine == _machine()

    @property
    def is_running_here(self) -> bool:
        """Whether its program runs on this computer now."""
        return self.is_of_this_machine and is_process(self.pid)


class Heartbeat:
    """Renews the sign of life in ``folder`` until :meth:`stop`."""

    def __init__(self, folder: Path) -> None:
        self.token = uuid.uuid4().hex
        self._path = folder / HEARTBEAT_FILE
        self._over = threading.Event()
        text = json.dumps(
            {
                "host": socket.gethostname(),
                "machine": _machine(),
                "pid": os.getpid(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
                "token": self.token,
            }
        ).encode()
        _renew(self._path, text)
        # A daemon: a program that crashes must not be kept alive by it.
        self._thread = threading.Thread(
            target=_beat, args=(self._path, text, self.token, self._over), daemon=True
        )
        self._thread.name = "run heartbeat"
        self._thread.start()

    @property
    def taken_by(self) -> Sign | None:
        """Who has taken the folder over meanwhile: this computer may have slept."""
        sign = _read(self._path)
        return None if sign is None or sign.token == self.token else sign

    def stop(self) -> None:
        """Renew it no longer, and remove it."""
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        if self.taken_by is None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def living_sign(folder: Path, *, may_write: bool) -> Sign | None:
    """Return the sign of life in ``folder``; None where there is none, or it is too old.

    Parameters
    ----------
    folder : Path
    may_write : bool
        Ask the drive itself what time it is: its clock and ours may differ.
    """
    path = folder / HEARTBEAT_FILE
    sign = _read(path)
    if sign is None:
        return None
    try:
        now = _time_of_drive(folder) if may_write else time.time()
        age = now - path.stat().st_mtime
    except OSError:
        return None
    return sign if abs(age) < DEAD_AFTER_SECONDS else None


def _beat(path: Path, text: bytes, token: str, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        sign = _read(path)
        if sign is not None and sign.token != token:
            return  # taken over: whoever looks is told, and the writer at its next write
        _renew(path, text)


def _renew(path: Path, text: bytes) -> None:
    """Write the same bytes again: the drive then dates the file by its own clock."""
    # Only a sign: a full disk must not keep the run from being continued.
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            os.write(handle, text)
            os.ftruncate(handle, len(text))
        finally:
            os.close(handle)


def _read(path: Path) -> Sign | None:
    try:
        record: Any = json.loads(path.read_bytes()[:_LONGEST])
        return Sign(
            str(record["host"])[:100],
            str(record["machine"])[:40],
            int(record["pid"]),
            datetime.fromisoformat(record["since"]),
            str(record["token"])[:40],
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _time_of_drive(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"?")
        probe.flush()
        return os.fstat(probe.fileno()).st_mtime


def _machine() -> str:
    """Return what tells this computer, since its last start, from another of its name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(boot).hexdigest()[:16]


def is_process(pid: int) -> bool:
    """Tell whether a process of this number runs on this computer."""
    if sys.platform == "win32":
        import ctypes

        # SYNCHRONIZE; os.kill would end the process.
        handle = ctypes.windll.kernel32.OpenProcess(0x00100000, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's
    return True
