"""The one place for what the window remembers between starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSettings, QStandardPaths

from core.data.cohort import COHORT_FILE
from core.run_folder import is_run

_MOST_RECENT = 8
_MOST_FOLDERS = 50


def store() -> QSettings:
    """Return Qt's settings of this program."""
    return QSettings("MRI-FCL", "MRI-FCL")


def data_folder() -> Path:
    """Return the folder for cohorts and runs: Documents/MRI-FCL unless changed."""
    chosen = store().value("data_folder", "", str)
    if chosen:
        return Path(str(chosen))
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(documents or Path.home()) / "MRI-FCL"


def set_data_folder(folder: Path) -> None:
    """Keep cohorts and runs below ``folder`` from now on."""
    store().setValue("data_folder", str(folder))


def recent() -> list[Path]:
    """Return what was opened last, newest first; only what is still there."""
    value: Any = store().value("recent", [])
    paths = [
        Path(item)
        for item in ([value] if isinstance(value, str) else value or [])
        if isinstance(item, str)
    ]
    return [path for path in paths if (path / COHORT_FILE).is_file() or is_run(path)]


def add_recent(path: Path) -> None:
    """Put ``path`` first in the list of what was opened."""
    paths = [path, *(other for other in recent() if other != path)][:_MOST_RECENT]
    store().setValue("recent", [str(item) for item in paths])


def subject_pattern() -> str:
    """Return the regular expression that tells subjects from file names; empty for the usual."""
    return str(store().value("subject_pattern", "", str))


def set_subject_pattern(pattern: str) -> None:
    """Keep the regular expression that tells subjects from file names."""
    store().setValue("subject_pattern", pattern)


def folder_pattern(folder: Path) -> str:
    """Return the subject pattern that a folder was scanned with last; else the general one."""
    return dict(_folder_patterns()).get(str(folder), subject_pattern())


def set_folder_pattern(folder: Path, pattern: str) -> None:
    """Keep the subject pattern that a folder was scanned with."""
    others = [pair for pair in _folder_patterns() if pair[0] != str(folder)]
    kept = [(str(folder), pattern), *others][:_MOST_FOLDERS]
    store().setValue("folder_patterns", json.dumps(kept))


def _folder_patterns() -> list[tuple[str, str]]:
    try:
        stored = json.loads(str(store().value("folder_patterns", "[]", str)))
        return [(str(folder), str(pattern)) for folder, pattern in stored]
    except (ValueError, TypeError):
        return []  # another program wrote there


def is_radiological() -> bool:
    """Return whether the viewer shows the patient's right on the left."""
    return bool(store().value("viewer/radiological", True, bool))


def set_radiological(is_on: bool) -> None:
    """Keep the viewer's convention."""
    store().setValue("viewer/radiological", is_on)


def shows_thumbnails() -> bool:
    """Return whether the list of scans has a small picture of each."""
    return bool(store().value("cohort/thumbnails", True, bool))


def set_shows_thumbnails(is_on: bool) -> None:
    """Keep whether the list of scans has small pictures."""
    store().setValue("cohort/thumbnails", is_on)


def viewer_layout() -> tuple[str, bool, bool]:
    """Return which plane is enlarged (or ""), and whether crosshair and slice lines are shown."""
    settings = store()
    return (
        str(settings.value("viewer/enlarged", "", str)),
        bool(settings.value("viewer/crosshair", True, bool)),
        bool(settings.value("viewer/network_slices", True, bool)),
    )


def set_viewer_layout(enlarged: str, crosshair: bool, network_slices: bool) -> None:
    """Keep how the viewer is laid out."""
    settings = store()
    settings.setValue("viewer/enlarged", enlarged)
    settings.setValue("viewer/crosshair", crosshair)
    settings.setValue("viewer/network_slices", network_slices)


def shares(name: str, usual: tuple[int, ...]) -> tuple[int, ...]:
    """Return the widths or heights, pixels, that the parts of a splitter were given last."""
    parts = str(store().value(f"shares/{name}", "", str)).split(" ")
    kept = tuple(int(part) for part in parts if part.isdecimal())
    return kept if len(kept) == len(usual) and any(kept) else usual


def set_shares(name: str, sizes: tuple[int, ...]) -> None:
    """Keep the widths or heights of a splitter's parts."""
    store().setValue(f"shares/{name}", " ".join(str(size) for size in sizes))


def geometry() -> QByteArray | None:
    """Return the window's place and size, if kept."""
    value = store().value("window/geometry")
    return value if isinstance(value, QByteArray) else None


def set_geometry(value: QByteArray) -> None:
    """Keep the window's place and size."""
    store().setValue("window/geometry", value)
