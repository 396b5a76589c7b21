"""One program writes to a run folder at a time: a lock that ends with the process holding it.

The lock is the operating system's, on the file ``run.lock``; the file's text only says who
holds it. A file that a dead process left is therefore free. What other computers have open is
told by :mod:`core.run_heartbeat`, as network drives often keep locks to themselves.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import sys
import time
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import RunError
from core.run_heartbeat import Heartbeat, Sign, living_sign

logger = logging.getLogger(__name__)

LOCK_FILE = "run.lock"
# Whoever only looks holds the lock for an instant; that is no reason to be refused.
_TRIES = 12
_SECONDS_BETWEEN = 0.05
# Windows locks bytes, and locked ones cannot be read: one far behind the text is taken.
_LOCKED_BYTE = 1 << 30
_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class RunInUseError(RunError):
    """Another program writes to the run."""


@dataclass(frozen=True)
class Holder:
    """Who holds a run; unknown where the lock's text could not be read."""

    host: str = ""
    pid: int = 0
    since: datetime | None = None

    @property
    def is_here(self) -> bool:
        """Whether it is this program."""
        return self.pid == os.getpid() and self.host == socket.gethostname()

    def words(self) -> str:
        """Return it for people: ``open in another window since 14:02 on PC-7``."""
        text = "open in another window"
        if self.since is not None:
            here = self.since.astimezone()
            is_today = here.date() == datetime.now().astimezone().date()
            text += f" since {here:%H:%M}" if is_today else f" since {here:%Y-%m-%d %H:%M}"
        return f"{text} on {self.host}" if self.host else text


class RunLock:
    """A held lock; released by :meth:`release`, at the latest when the process ends."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._heartbeat = Heartbeat(path.parent)
        self._close = weakref.finalize(self, _let_go, handle, self._heartbeat)

    def require_held(self) -> None:
        """Refuse to write what another computer has taken over while this one slept.

        Raises
        ------
        RunInUseError
            With since when, and where.
        """
        sign = self._heartbeat.taken_by if self._close.alive else None
        if sign is not None:
            raise RunInUseError(
                f"Run '{self._path.parent.name}' was taken over, as this computer gave no sign "
                f"of life for a while: it is {_holder_of_sign(sign).words()}. It ends here; what "
                "it had stored goes on there."
            )

    def release(self) -> None:
        """Let others write."""
        if not self._close.alive:
            return
        # Removed while it is held, so that nobody locks a file that is about to go. Windows
        # removes no open file: there it goes afterwards, unless someone has opened it.
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._close()
        if sys.platform == "win32":
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def take_lock(folder: Path) -> RunLock:
    """Take the lock of a run folder.

    Raises
    ------
    RunInUseError
        If another process, or another part of this one, holds it.
    OSError
        If the folder cannot be written.
    """
    path = folder / LOCK_FILE
    for _ in range(_TRIES):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        taken = _try_lock(handle)
        if taken is not False and _is_still(path, handle):
            other = _elsewhere(folder, has_locks=taken is not None, may_write=True)
            if other is None:
                lock = RunLock(path, handle)
                _write_holder(handle)
                return lock
            os.close(handle)
            raise RunInUseError(in_use_sentence(folder, other))
        os.close(handle)
        time.sleep(_SECONDS_BETWEEN)
    raise RunInUseError(in_use_sentence(folder, _read_holder(path)))


def require_free(folder: Path) -> None:
    """Refuse to change a run that another program writes to.

    Raises
    ------
    RunInUseError
        With since when, and where.
    """
    holder = holder_of(folder)
    if holder is not None:
        raise RunInUseError(in_use_sentence(folder, holder))


def in_use_sentence(folder: Path, holder: Holder) -> str:
    """Return why a run can only be looked at."""
    return (
        f"Run '{folder.name}' is {holder.words()}. It can be read here; to change or resume "
        "it, close it there first."
    )


def holder_of(folder: Path) -> Holder | None:
    """Return who writes to a run folder; None where nobody does."""
    path = folder / LOCK_FILE
    try:
        handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except OSError:
        return None  # there is none, or the folder is not readable
    try:
        taken = _try_lock(handle, shared=True)
        if taken is False:
            return _read_holder(path)
        return _elsewhere(folder, has_locks=taken is not None, may_write=False)
    finally:
        os.close(handle)


def _elsewhere(folder: Path, *, has_locks: bool, may_write: bool) -> Holder | None:
    """Return who writes to ``folder`` though the lock does not tell."""
    sign = living_sign(folder, may_write=may_write)
    if sign is None:
        return None
    # Of a program of this computer the lock tells, or else whether it still runs.
    if sign.is_of_this_machine and (has_locks or not sign.is_running_here):
        return None
    return _holder_of_sign(sign)


def _holder_of_sign(sign: Sign) -> Holder:
    return Holder(sign.host, sign.pid, sign.since)


def _let_go(handle: int, heartbeat: Heartbeat) -> None:
    heartbeat.stop()
    os.close(handle)


def _write_holder(handle: int) -> None:
    record = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Only words: a full disk must not keep the run from being continued.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(record).encode())


def _read_holder(path: Path) -> Holder:
    try:
        record = json.loads(path.read_bytes()[:4096])
        return Holder(
            str(record["host"])[:100], int(record["pid"]), datetime.fromisoformat(record["since"])
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Holder()


def _is_still(path: Path, handle: int) -> bool:
    """Tell whether ``path`` is the locked file: its last holder may just have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int, *, shared: bool = False) -> bool | None:
        """Take the lock; None where the drive knows no locks."""
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int, *, shared: bool = False) -> bool | None:
        """Take the lock; None where the drive knows no locks."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS_HERE:
                logger.info("the drive of the runs knows no locks: signs of life tell")
                return None
            return False
        return True
