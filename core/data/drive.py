"""Read once more where a drive stumbles, and say so where it stays away."""

from __future__ import annotations

import errno
import functools
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from core.data.file_kind import shown_name
from core.errors import ScanError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# What systems say when a disk fails, a stick is pulled out or a network folder goes away. That a
# file is not there is one of them: it was, when the folder was listed.
_DRIVE_ERRNOS = {
    number
    for name in (
        *("EIO", "ESTALE", "ENOENT", "ENODEV", "ENXIO", "ENOMEDIUM", "EREMOTEIO", "ENOTCONN"),
        *("ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ECONNRESET"),
    )
    if (number := getattr(errno, name, None)) is not None
}
# Not ready, network path not found, gone or busy, device error, no such device, I/O error.
_WINDOWS_ERRORS = {21, 31, 53, 55, 59, 64, 67, 121, 433, 483, 1006, 1117, 1167}
_PAUSE_SECONDS = 0.2


def is_drive_fault(error: BaseException | None) -> bool:
    """Tell whether an error comes, by itself or by its causes, from the drive."""
    while error is not None:
        if isinstance(error, OSError) and (
            error.errno in _DRIVE_ERRNOS or getattr(error, "winerror", None) in _WINDOWS_ERRORS
        ):
            return True
        error = error.__cause__
    return False


def drive_text(path: Path) -> str:
    """Return the sentence on a file whose drive failed twice."""
    return (
        f"'{shown_name(path)}' cannot be read: its drive is no longer there, or fails. Reconnect "
        "it and try again, or copy the file again from the source."
    )


def once_more(read: Callable[[], T]) -> T:
    """Call ``read``; where the drive fails, wait a moment and call it once more."""
    try:
        return read()
    except (OSError, ScanError) as error:
        if not is_drive_fault(error):
            raise
    logger.info("a drive failed; reading once more")
    time.sleep(_PAUSE_SECONDS)
    return read()


class _Watched(io.RawIOBase):
    """A file that remembers how its drive failed: decoders take that for the end of a file."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.fault: OSError | None = None

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any buffer
        try:
            return cast("int | None", self._raw.readinto(buffer))
        except OSError as error:
            self.fault = error
            raise

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def open_watched(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for a decoder; in the end raise what the drive raised, if the decoder hid it.

    Raises
    ------
    OSError
        Of the drive.
    """
    with path.open("rb", buffering=0) as raw:
        watched = _Watched(raw)
        try:
            yield io.BufferedReader(watched)
        finally:
            if watched.fault is not None:
                raise watched.fault


def retried(read: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[Path, P], T]:
    """Make a reader of one file try twice, and name the drive where both fail.

    The reader then raises :class:`core.errors.ScanError`, whatever the drive raised.
    """

    @functools.wraps(read)
    def reader(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return once_more(lambda: read(path, *args, **kwargs))
        except (OSError, ScanError) as error:
            if not is_drive_fault(error):
                raise
            raise ScanError(drive_text(path)) from error

    return reader
