"""A disk that fails at its N-th call below one folder: opening, writing, flushing, replacing."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from core.run_heartbeat import HEARTBEAT_FILE


class FaultyDisk:
    """Counts every call that changes something below ``folder``; the ``fails_at``-th raises.

    What fails once goes on failing, as a disk that is full or gone does.
    """

    def __init__(self, patch, folder, *, code, fails_at):
        self.folder, self.code, self.fails_at = str(folder), code, fails_at
        self.calls = []
        self._real = {name: getattr(os, name) for name in ("open", "fsync", "replace", "chmod")}
        self._mkstemp, self._open = tempfile.mkstemp, io.open
        patch.setattr(os, "open", self._os_open)
        patch.setattr(os, "fsync", self._fsync)
        patch.setattr(os, "replace", self._replace)
        patch.setattr(os, "chmod", self._chmod)
        patch.setattr(tempfile, "mkstemp", self._make_temporary)
        patch.setattr(io, "open", self._io_open)

    @property
    def has_failed(self):
        return len(self.calls) >= self.fails_at

    def _call(self, what, path=None):
        if path is not None and not str(path).startswith(self.folder):
            return
        if path is not None and str(path).endswith(HEARTBEAT_FILE):
            return  # comes from a thread, at any time, and what it meets stops nothing
        self.calls.append(what)
        if self.has_failed:
            raise OSError(self.code, os.strerror(self.code), str(path) if path else None)

    def _os_open(self, path, flags, *args, **kwargs):
        if not isinstance(path, int):
            self._call("open", os.fspath(path))
        return self._real["open"](path, flags, *args, **kwargs)

    def _fsync(self, handle):
        # Not flushed in truth: only who is told what counts here, and it is slow.
        self._call("fsync")

    def _replace(self, source, target, **kwargs):
        self._call("replace", os.fspath(target))
        return self._real["replace"](source, target, **kwargs)

    def _chmod(self, path, mode, **kwargs):
        self._call("chmod", os.fspath(path))
        return self._real["chmod"](path, mode, **kwargs)

    def _make_temporary(self, *args, dir=None, **kwargs):
        self._call("mkstemp", os.fspath(dir))
        return self._mkstemp(*args, dir=dir, **kwargs)

    def _io_open(self, file, mode="r", *args, **kwargs):
        if isinstance(file, int) or not str(file).startswith(self.folder) or mode in ("r", "rb"):
            return self._open(file, mode, *args, **kwargs)
        self._call("open", os.fspath(file))
        return _FaultyFile(self._open(file, mode, *args, **kwargs), self)


class _FaultyFile:
    def __init__(self, file, disk):
        self._file, self._disk = file, disk

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        try:
            self._disk._call("write", self._disk.folder)
        except OSError:
            # As a disk that is nearly full does: a part is written.
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)


def folder_copy(folder: Path):
    """Return the files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def put_back(folder: Path, files):
    """Make a folder hold just these files."""
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
