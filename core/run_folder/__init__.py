"""A run on disk: create it, add to it, read it. No run overwrites another.

Import from here; the modules below hold its record, its arrays, and who reads and writes it.
"""

from __future__ import annotations

from core.run_folder.arrays import (
    EPOCH_FEATURES_FOLDER,
    EPOCH_LOGITS_FILE,
    HISTORY_COLUMNS,
    PARTS,
    SUBJECTS_FILE,
    FcHistory,
    Features,
    History,
    epoch_features_name,
    softmax,
)
from core.run_folder.record import (
    FORMAT_VERSION,
    RECORD_COPY,
    RECORD_FILE,
    is_run,
    read_record,
    recorded_sums,
)
from core.run_folder.run import Run, list_runs
from core.run_folder.writer import (
    RunWriter,
    create_run,
    free_run_folder,
    reopen_run,
    set_aside,
)

__all__ = [
    "EPOCH_FEATURES_FOLDER",
    "EPOCH_LOGITS_FILE",
    "FORMAT_VERSION",
    "HISTORY_COLUMNS",
    "PARTS",
    "RECORD_COPY",
    "RECORD_FILE",
    "SUBJECTS_FILE",
    "FcHistory",
    "Features",
    "History",
    "Run",
    "RunWriter",
    "create_run",
    "epoch_features_name",
    "free_run_folder",
    "is_run",
    "list_runs",
    "read_record",
    "recorded_sums",
    "reopen_run",
    "set_aside",
    "softmax",
]
