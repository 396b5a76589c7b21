"""What a user can start, from the window or a terminal: generators of events.

Training is imported inside the functions, so that a window is on screen before torch loads.
Call them as ``tasks.train(...)``; the modules below hold them by what they are about.
"""

from __future__ import annotations

from core.tasks.cohorts import (
    ScanChoices,
    ScannedCohort,
    check_stored,
    check_voxels,
    free_cohort_folder,
    look,
    look_again,
    open_cohort,
    relocate_cohort,
    scan,
    scan_chosen,
)
from core.tasks.run_cohort import cohort_folder_of
from core.tasks.runs import (
    analyse,
    compare,
    correlate,
    open_run,
    report_html,
    report_text,
    report_zip,
    time_lapse,
)
from core.tasks.scans import ScanStrip, export_slices, read_scan, read_strip, read_thumbnails
from core.tasks.splits import (
    KeptSplit,
    SeenPair,
    audit,
    audit_quickly,
    keep_split,
    read_pair,
    write_audit,
)
from core.tasks.trainings import (
    download_weights,
    list_weights,
    load_packages,
    look_up_weights,
    missing_weights,
    probe_precision,
    resume,
    train,
)

__all__ = [
    "KeptSplit",
    "ScanChoices",
    "ScanStrip",
    "ScannedCohort",
    "SeenPair",
    "analyse",
    "audit",
    "audit_quickly",
    "check_stored",
    "check_voxels",
    "cohort_folder_of",
    "compare",
    "correlate",
    "download_weights",
    "export_slices",
    "free_cohort_folder",
    "keep_split",
    "list_weights",
    "load_packages",
    "look",
    "look_again",
    "look_up_weights",
    "missing_weights",
    "open_cohort",
    "open_run",
    "probe_precision",
    "read_pair",
    "read_scan",
    "read_strip",
    "read_thumbnails",
    "relocate_cohort",
    "report_html",
    "report_text",
    "report_zip",
    "resume",
    "scan",
    "scan_chosen",
    "time_lapse",
    "train",
    "write_audit",
]
