"""The one place for what the window remembers between starts."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QCoreApplication, QSettings, QStandardPaths
from shiboken6 import isValid

from core.colours import CLASS_COLOURS
from mrifcl_gui.settings_file import Check, SettingsFile, is_switch, is_text, is_texts

if TYPE_CHECKING:
    from mrifcl_gui.late_writer import LateWriter

SETTINGS_FILE = "settings.json"

_MOST_RECENT = 8
_MOST_FOLDERS = 50


def _is_geometry(value: object) -> bool:
    if not isinstance(value, str) or not value.isascii():
        return False
    try:
        return bool(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


CHECKS: dict[str, Check] = {
    "data_folder": is_text,
    "recent": is_texts,
    "subject_pattern": is_text,
    "folder_patterns": is_text,
    "viewer/radiological": is_switch,
    "viewer/enlarged": is_text,
    "viewer/crosshair": is_switch,
    "viewer/network_slices": is_switch,
    "cohort/thumbnails": is_switch,
    "export/folder": is_text,
    "notify": is_switch,
    "export/width_mm": _is_number,
    "export/dpi": _is_number,
    "look/scheme": is_text,
    "look/class_colours": is_text,
    "look/text_scale": _is_number,
    "window/geometry": _is_geometry,
    "shares/": is_text,
}
_opened: dict[Path, SettingsFile] = {}
_told: set[Path] = set()
_writer: LateWriter | None = None


def settings_path() -> Path:
    """Return the settings file: beside where Qt keeps settings of this program."""
    kind, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    return Path(QSettings(kind, scope, "MRI-FCL", "MRI-FCL").fileName()).parent / SETTINGS_FILE


def store() -> SettingsFile:
    """Return the settings of this program, read once; those of earlier versions are taken over."""
    path = settings_path()
    if path not in _opened:
        is_new = not path.exists()
        _opened[path] = SettingsFile(path, CHECKS, write_later=_write_later)
        if is_new:
            _take_over(_opened[path])
    return _opened[path]


def flush() -> None:
    """Return when all that is to be remembered is in the file."""
    if _writer is not None and isValid(_writer):
        _writer.close()


def _write_later(path: Path, action: Callable[[], None]) -> None:
    """Write away from the window's thread, where there is a window."""
    global _writer
    if QCoreApplication.instance() is None:
        action()
        return
    from mrifcl_gui.late_writer import LateWriter  # not before the first paint

    if _writer is None or not isValid(_writer):
        _writer = LateWriter()
    _writer.write(path, action)


def problem() -> str:
    """Return what was wrong with the settings file, once; empty where nothing was."""
    found = store()
    if found.path in _told:
        return ""
    _told.add(found.path)
    return found.problem


def _take_over(settings: SettingsFile) -> None:
    """Take over what versions before 2026 kept in Qt's own file."""
    old = QSettings("MRI-FCL", "MRI-FCL")
    for name in old.allKeys():
        check = CHECKS.get(name)
        kind = {is_text: str, is_switch: bool, is_texts: list}.get(check) if check else None
        if kind is not None and check is not None:
            value = old.value(name, None, kind)
            if check(value):
                settings.setValue(name, value)


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
    """Return the cohorts and runs opened last, newest first, also those that are gone."""
    return [Path(item) for item in store().value("recent", [], list)]


def is_gone(path: Path) -> bool:
    """Tell whether a cohort or run that was opened before is no longer where it was."""
    from core.data.cohort import COHORT_FILE  # not before the first paint
    from core.run_folder import is_run

    return not ((path / COHORT_FILE).is_file() or is_run(path))


def forget_recent(path: Path) -> None:
    """Take ``path`` off the list of what was opened."""
    store().setValue("recent", [str(other) for other in recent() if other != path])


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


def notifies() -> bool:
    """Return whether the end of long work is told outside of the window too."""
    return bool(store().value("notify", True, bool))


def set_notifies(is_on: bool) -> None:
    """Keep whether the end of long work is told outside of the window too."""
    store().setValue("notify", is_on)


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


def scheme() -> str:
    """Return whether the window is ``light`` or ``dark``, or as the ``system`` is."""
    return _one_of("look/scheme", ("system", "light", "dark"))


def set_scheme(scheme: str) -> None:
    """Keep whether the window is light or dark."""
    store().setValue("look/scheme", scheme)


def class_colours() -> str:
    """Return the colours of classes: ``okabe-ito``, or ``paper`` for those of the paper."""
    return _one_of("look/class_colours", CLASS_COLOURS)


def set_class_colours(name: str) -> None:
    """Keep the colours of classes."""
    store().setValue("look/class_colours", name)


def text_scale() -> float | None:
    """Return the size of texts, 1 for 100 %; None where it is as the system has it."""
    kept = float(store().value("look/text_scale", 0))
    return min(max(kept, 1.0), 2.0) if kept > 0 else None


def set_text_scale(scale: float | None) -> None:
    """Keep the size of texts; None for that of the system."""
    store().setValue("look/text_scale", scale or 0)


def _one_of(name: str, allowed: Sequence[str]) -> str:
    """Return what is kept under ``name``; the first of ``allowed`` where it is none of them."""
    kept = str(store().value(name, "", str))
    return kept if kept in allowed else allowed[0]


def shares(name: str, usual: tuple[int, ...]) -> tuple[int, ...]:
    """Return the widths or heights, pixels, that the parts of a splitter were given last."""
    parts = str(store().value(f"shares/{name}", "", str)).split(" ")
    kept = tuple(int(part) for part in parts if part.isdecimal())
    return kept if len(kept) == len(usual) and any(kept) else usual


def set_shares(name: str, sizes: tuple[int, ...]) -> None:
    """Keep the widths or heights of a splitter's parts."""
    store().setValue(f"shares/{name}", " ".join(str(size) for size in sizes))


def forget_layout() -> None:
    """Forget the shares of splitters and how the viewer is laid out."""
    store().forget("shares/", "viewer/enlarged", "viewer/crosshair", "viewer/network_slices")


def geometry() -> QByteArray | None:
    """Return the window's place and size, if kept."""
    value = store().value("window/geometry", "", str)
    return QByteArray(base64.b64decode(value)) if value else None


def set_geometry(value: QByteArray) -> None:
    """Keep the window's place and size."""
    store().setValue("window/geometry", base64.b64encode(value.data()).decode())
