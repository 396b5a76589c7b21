"""Write files so that a reader sees the old or the new state, never half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

# A virus scanner or a cloud drive holds a fresh file for a moment; Windows then refuses to
# replace it.
_PATIENCE_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_SUFFIX = ".part"
_BLOCK = 1 << 22
T = TypeVar("T")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; move it over ``path`` at the end.

    The temporary file lies in the same folder (a rename across disks is no rename),
    is flushed to disk before the rename, and the folder after it.

    Raises
    ------
    OSError
        As the file system gives it; ``path`` is then as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}-", suffix=_SUFFIX)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        flush(temporary)
        # mkstemp gives 0600; a result is readable as any other new file of the user.
        temporary.chmod(0o666 & ~_umask())
        replace(temporary, path)
    except BaseException:
        # A disk that fails now may fail here too: what it said first is what counts.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def flush(path: Path) -> None:
    """Have what was written to ``path`` on the disk itself when this returns."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def replace(source: Path, target: Path) -> None:
    """Move ``source`` over ``target``; wait a little while another program holds either.

    Raises
    ------
    OSError
        If it is still held after some seconds, or the file system refuses.
    """
    patiently(lambda: source.replace(target))


def patiently(call: Callable[[], T]) -> T:
    """Return what ``call`` gives; wait a little while where another program holds its file.

    Raises
    ------
    OSError
        If it is still held after some seconds, or the file system refuses.
    """
    for seconds in _PATIENCE_SECONDS:
        try:
            return call()
        except PermissionError:
            time.sleep(seconds)
    return call()


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` atomically.

    What UTF-8 cannot hold (a file name that is no text) becomes a backslash escape.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def remove_leftovers(folder: Path, *, older_than: float = 0.0) -> None:
    """Remove temporary files in ``folder`` that a killed program left.

    Only those older than so many seconds; without that, nobody else may write there.
    """
    for path in folder.glob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if not older_than or time.time() - path.stat().st_mtime > older_than:
                path.unlink()


class HashingWriter:
    """A file to write to that knows the SHA-256 of what went through it.

    Libraries that write through C++ put their own words over what the disk said; it is
    kept in ``error``.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write ``data``; return its bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()

    def sha256(self) -> str:
        """Return the sum of what was written."""
        return self._digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    value = os.umask(0o022)
    os.umask(value)
    return value


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder as a file; there the rename is flushed by the system.
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
