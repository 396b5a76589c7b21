"""Where this program may keep what has no other place: the user's own data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAME = "MRI-FCL"
_RESCUED = "rescued runs"


def user_data_folder() -> Path:
    """Return the folder of this program's data in the user's account; it need not be there."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(base) / NAME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / NAME
    base = os.environ.get("XDG_DATA_HOME", "")
    # As the specification has it, one that is not absolute does not count.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / NAME


def rescued_runs() -> Path:
    """Return where runs go on whose own folder can no longer be written."""
    return user_data_folder() / _RESCUED
