"""What paths stand for, told from the disk: a cohort, runs, folders of scans, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.data.cohort import COHORT_FILE
from core.run_folder import RECORD_FILE, is_run


@dataclass(frozen=True)
class Openable:
    """What to do with some paths: open a cohort, open runs, look at scans, or say a fault."""

    cohort: Path | None = None
    runs: list[Path] = field(default_factory=list)
    scans: list[Path] = field(default_factory=list)
    fault: str = ""


def find_openable(paths: Sequence[Path]) -> Openable:
    """Look at the disk for what ``paths`` are; it waits for a drive that does not answer."""
    try:
        return _look_at(paths)
    except OSError as error:
        why = error.strerror or "it does not answer"
        return Openable(
            fault=f"'{paths[0].name}' cannot be reached ({why}). Connect its drive again, or look "
            "whether you may read it."
        )


def _look_at(paths: Sequence[Path]) -> Openable:
    paths = [_folder_of_record(path) for path in paths]
    runs = [path for path in paths if is_run(path)]
    folders = [path for path in paths if path.is_dir()]
    cohorts = [path for path in folders if (path / COHORT_FILE).is_file()]
    if runs:
        return Openable(cohorts[0] if cohorts else None, runs)
    if not folders:
        return Openable(fault=_no_folder(paths))
    if len(folders) == 1 and cohorts:
        return Openable(cohorts[0])
    return Openable(scans=folders)


def _folder_of_record(path: Path) -> Path:
    """Return the run or cohort whose record file ``path`` is; else ``path`` itself."""
    return path.parent if path.name in (RECORD_FILE, COHORT_FILE) and path.is_file() else path


def _no_folder(paths: Sequence[Path]) -> str:
    names = ", ".join(f"'{path.name}'" for path in paths[:3])
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    if len(paths) == 1 and not paths[0].exists():
        return f"There is no {names}. It may have been moved; open its folder again."
    is_or_are = "is no folder" if len(paths) == 1 else "are no folders"
    return f"{names}{more} {is_or_are}. Drop the folder that holds the scans."
