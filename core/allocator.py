"""What this process does with memory that it has freed: keep it while it works, then give it back.

The C library of Linux gives each large block back to the system at once. A training step asks for
gigabytes of such blocks, and the system clears every page of them again: of a step of
ResNet-101 (batch 16) on a CPU that is 10 to 20 % (`benchmarks/training.py` shows it).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER = -1
# Whole 4-D volumes of more than this are still asked of the system, one by one.
_LARGEST_KEPT = 1 << 30
# Looking through what is free takes tens of milliseconds: only where it is worth that.
_WORTH_WHILE = 256 << 20
_STATM = Path("/proc/self/statm")

_least_resident = 0


def keep_freed_memory() -> bool:
    """Let freed memory be used again by this process; call at its start, before any thread.

    Returns
    -------
    bool
        False where nothing was done: other systems' allocators do so by themselves.
    """
    library = _c_library()
    if library is None:
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1))
    # One arena: in those of threads no block may be larger than 64 MB.
    return all([library.mallopt(name, value) for name, value in settings])


def give_back_memory(*, at_least: int = _WORTH_WHILE) -> bool:
    """Give the system what is free, where that may be much; after a piece of work.

    Parameters
    ----------
    at_least : int
        Bytes that must have been added since the last time.

    Returns
    -------
    bool
        Whether it was worth looking.
    """
    global _least_resident
    resident = _resident()
    if resident < _least_resident + at_least or (library := _c_library()) is None:
        return False
    library.malloc_trim(0)
    _least_resident = _resident()
    return True


def _resident() -> int:
    """Return the bytes of this process that lie in memory; 0 where the system does not tell."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _c_library() -> Any:  # noqa: ANN401 - ctypes has no type for it
    """Return the GNU C library of this process, else None."""
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None)
    try:
        library.mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
        library.malloc_trim.argtypes = (ctypes.c_size_t,)
    except AttributeError:  # musl, as in Alpine
        return None
    return library
