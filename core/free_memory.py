"""How much memory this computer has left for this program; no package is loaded for it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Return the bytes that this program may still take; None where the system does not tell.

    On Linux what is free or can be freed, and swap; less where the program's control group
    or its own limits leave less.
    """
    known = [_of_windows(), _of_linux(), _of_control_group(), _of_own_limit()]
    found = [value for value in known if value is not None]
    return max(0, min(found)) if found else _physical()


def _of_linux() -> int | None:
    entries = {}
    try:
        for line in (_PROC / "meminfo").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            entries[name] = int(value.split()[0]) * 1024
        return entries["MemAvailable"] + entries.get("SwapFree", 0)
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _of_control_group() -> int | None:
    """Return what a container leaves, as files that it may drop do not count."""
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is none, or its limit is the word "max"
        return None
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        stat = dict(zip(lines[::2], map(int, lines[1::2]), strict=False))
        used -= stat["inactive_file"] + stat.get("active_file", 0)
    return limit - used


def _of_own_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int((_PROC / "self" / "statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return limit - pages * os.sysconf("SC_PAGE_SIZE")


def _physical() -> int | None:
    """Return all that is built in: macOS tells no more without other packages."""
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _of_windows() -> int | None:
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = (
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                *((name, ctypes.c_ulonglong) for name in ("total", "free", "page", "free_page")),
                *((name, ctypes.c_ulonglong) for name in ("virtual", "free_virtual", "extended")),
            )

        status = Status(length=ctypes.sizeof(Status))
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return int(status.free_page)
    return None
