"""The log of the window: a small file in the user's data folder, without names of scans.

A window has no terminal to write to, and what went wrong must still be found later.
"""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.user_folder import user_data_folder
from mrifcl_gui.nameless import without_names

LOG_FILE = "mri-fcl.log"
LARGEST_BYTES = 500_000


def log_path() -> Path:
    """Return the log file; it need not be there."""
    return user_data_folder() / "log" / LOG_FILE


def start_log() -> logging.Handler | None:
    """Write warnings and worse of this program to the log file; None where it cannot be."""
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file is made with the first warning.
        handler = RotatingFileHandler(
            path, maxBytes=LARGEST_BYTES, backupCount=1, encoding="utf-8", delay=True
        )
    except OSError:
        return None
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Nameless("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    return handler


class _Nameless(logging.Formatter):
    """Leaves out what stands in quotes, and the folders of source files."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines, of a record."""
        return without_names(super().format(record))
