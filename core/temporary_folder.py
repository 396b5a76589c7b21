"""Folders for what is made and moved away at once, such as a film; a killed program's are cleared.

No scan and no copy of one is ever put there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.run_heartbeat import is_process

_PREFIX = "mri-fcl-"
_OF_PROCESS = re.compile(rf"{_PREFIX}(\d+)-")


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give an empty folder of this program's own; it is gone after the block."""
    clear_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned() -> None:
    """Remove the folders of programs that were killed; called at each start."""
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            found = _OF_PROCESS.match(folder.name)
            # Another user's is not ours to remove, and the attempt fails.
            if found and not folder.is_symlink() and not is_process(int(found[1])):
                shutil.rmtree(folder, ignore_errors=True)
