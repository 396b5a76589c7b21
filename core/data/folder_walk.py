"""Walk folders without following links and sort their files: volumes, pictures, DICOM, others."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.data.cohort import Skipped
from core.data.dicom_file import is_dicom
from core.data.file_names import is_mask_name, is_picture_name
from core.data.findings import Finding
from core.data.volume import is_volume_name
from core.errors import CohortError
from core.progress import Operation, Progress

_MAX_DEPTH = 12
_MAX_ENTRIES = 200_000
# A DICOMDIR is an index of the files beside it, often older than they are.
_SYSTEM_FILES = ("thumbs.db", "desktop.ini", "dicomdir")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar", ".tar.bz2", ".tar.xz")


@dataclass
class FoundFiles:
    """Files by kind, relative to the root with POSIX slashes; what was left out, and why.

    Attributes
    ----------
    volumes, pictures : list of str
        By their names: 3-D files (an Analyze pair by its header), ready-made slices.
    dicoms : list of str
        Files of DICOM series, by their content.
    others : list of str
        Files that are neither: tables, notes.
    folders : list of str
        The folders directly below the root.
    skipped : list of Skipped
    """

    volumes: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    dicoms: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def scans(self) -> list[str]:
        """Volumes, pictures and files of DICOM series."""
        return self.volumes + self.pictures + self.dicoms

    def skip(self, file: str, reason: str, code: str) -> None:
        """List a file that is left out."""
        self.skipped.append(Skipped(file, Finding(reason, code)))


def walk_folder(root: Path, title: str, *, starts: Sequence[Path] = ()) -> Operation[FoundFiles]:
    """Find the files below ``root``; links and hidden files are not followed.

    Parameters
    ----------
    root : Path
        What the paths are relative to.
    title : str
        What the progress says.
    starts : sequence of Path
        Walk only these folders below the root; empty walks the root.

    Raises
    ------
    CohortError
        If it holds more files than a cohort has.
    """
    found, entries = FoundFiles(), 0
    waiting = [(start, 0) for start in starts] or [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        for entry in _listed(folder, root, found):
            entries += 1
            if entries % 500 == 0:
                yield Progress(title, len(found.volumes) + len(found.pictures))
            if entries > _MAX_ENTRIES:
                raise CohortError(
                    f"'{root.name}' holds over {_MAX_ENTRIES} files. Choose the "
                    "folder of one cohort."
                )
            if _is_folder_to_read(entry, root, found, depth):
                waiting.append((Path(entry.path), depth + 1))
    found.volumes.sort()
    found.pictures.sort()
    found.dicoms.sort()
    found.others.sort()
    found.folders.sort()
    return found


def _listed(folder: Path, root: Path, found: FoundFiles) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.skip(
            _relative(folder, root),
            f"The folder cannot be read: {error.strerror}. Check its access rights.",
            "unreadable",
        )
        return []


def _is_folder_to_read(entry: os.DirEntry[str], root: Path, found: FoundFiles, depth: int) -> bool:
    """Sort a file in; tell whether the entry is a folder to walk."""
    path = Path(entry.path)
    if entry.name.startswith("."):
        _note_hidden(entry, path, root, found)
    elif not _is_text(entry.name):
        readable = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
        found.skip(
            readable, "Its name is no valid text. Rename it with plain letters.", "name_no_text"
        )
    elif entry.is_symlink():
        found.skip(
            _relative(path, root), "Links are not followed. Copy the file into the folder.", "link"
        )
    elif entry.is_dir():
        if depth == 0:
            found.folders.append(_relative(path, root))
        if depth + 1 == _MAX_DEPTH:
            found.skip(
                _relative(path, root),
                f"Folders deeper than {_MAX_DEPTH} levels are not read. "
                "Choose a folder nearer to the scans.",
                "too_deep",
            )
            return False
        # BIDS keeps computed images there: segmentations, not scans.
        return entry.name != "derivatives"
    elif entry.is_file(follow_symlinks=False):
        _sort_in(path, root, found)
    else:
        found.skip(
            _relative(path, root),
            "It is not a regular file (a pipe or a device). Take it out of the folder.",
            "special_file",
        )
    return False


def _note_hidden(entry: os.DirEntry[str], path: Path, root: Path, found: FoundFiles) -> None:
    # "._name" is what macOS leaves beside each file on a foreign drive: no scan.
    if entry.name.startswith("._") or not is_volume_name(entry.name) or not _is_text(entry.name):
        return
    found.skip(
        _relative(path, root),
        "Hidden files are skipped. Rename it without the dot at its start if it is a scan.",
        "hidden",
    )


def _is_text(name: str) -> bool:
    # Linux allows any bytes in a name; what is no UTF-8 could be neither shown nor stored.
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _sort_in(path: Path, root: Path, found: FoundFiles) -> None:
    name, relative = path.name.lower(), _relative(path, root)
    if is_volume_name(name) and is_mask_name(path.name):
        found.skip(
            relative,
            "By its name it is a mask, no scan. Rename it if it is a scan.",
            "looks_like_mask",
        )
    elif is_volume_name(name):
        found.volumes.append(relative)
    elif is_picture_name(name):
        found.pictures.append(relative)
    elif name.endswith((".img", ".img.gz")):
        header = re.sub(r"\.img(\.gz)?$", r".hdr\1", path.name, flags=re.IGNORECASE)
        if not path.with_name(header).exists() and not path.with_name(header.upper()).exists():
            found.skip(
                relative,
                f"'{path.name}' needs '{header}' beside it. Copy both files into the folder.",
                "header_missing",
            )
    elif name.endswith(_ARCHIVES):
        found.skip(
            relative,
            "It is an archive, and archives are not opened. Unpack it first and drop the folder.",
            "archive",
        )
    elif name in _SYSTEM_FILES:
        return
    elif is_dicom(path):
        found.dicoms.append(relative)
    else:
        found.others.append(relative)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
