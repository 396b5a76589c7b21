"""Make one scan of a cohort from one volume, or from the pictures of one session."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from core.data.cohort import Scan, Skipped
from core.data.file_names import FileIdentity
from core.data.picture import read_picture_size
from core.data.volume import read_header
from core.errors import ScanError


def volume_scan(root: Path, file: str, identity: FileIdentity, label: str) -> Scan:
    """Make the scan of one volume, by its header.

    Raises
    ------
    ScanError
        If it cannot be used.
    """
    header = read_header(root / file)
    return Scan(
        key="",
        subject=identity.subject,
        session=identity.session,
        label=label,
        kind="volume",
        files=(file,),
        shape=header.shape,
        spacing_mm=header.spacing_mm,
        sha256=hash_scan(root, [file]),
        warnings=header.warnings,
        orientation=header.stored_axes if header.sides_certain else "",
        found_label=label,
    )


def _partner(path: Path) -> list[Path]:
    if not path.name.lower().endswith((".hdr", ".hdr.gz")):
        return []
    name = re.sub(r"\.hdr(\.gz)?$", r".img\1", path.name, flags=re.IGNORECASE)
    return [path.with_name(name)] if path.with_name(name).exists() else []


def picture_scan(
    root: Path, numbered: list[tuple[int, str]], identity: FileIdentity, label: str
) -> tuple[Scan | None, list[Skipped]]:
    """Make one scan of (number, file) pictures; number -1 is unknown. List the bad ones."""
    bad: list[Skipped] = []
    kept: dict[int, str] = {}
    shapes: dict[tuple[int, int], None] = {}
    for position, (number, file) in enumerate(sorted(numbered)):
        number = number if number >= 0 else position
        if number in kept:
            bad.append(
                Skipped(
                    file,
                    f"Slice {number} of {identity.subject} is there twice; "
                    f"'{Path(kept[number]).name}' is used. Rename one of them.",
                )
            )
            continue
        try:
            shapes[read_picture_size(root / file)] = None
        except ScanError as error:
            bad.append(Skipped(file, str(error)))
            continue
        kept[number] = file
    if not kept:
        return None, bad
    numbers = sorted(kept)
    warnings = ("Its slices differ in size.",) if len(shapes) > 1 else ()
    return Scan(
        key="",
        subject=identity.subject,
        session=identity.session,
        label=label,
        kind="slices",
        files=tuple(kept[number] for number in numbers),
        slice_numbers=tuple(numbers),
        shape=next(iter(shapes)),
        sha256=hash_scan(root, [kept[number] for number in numbers]),
        warnings=warnings,
        found_label=label,
    ), bad


def hash_scan(root: Path, files: Sequence[str]) -> str:
    """Return the SHA-256 of a scan's files below ``root``, an Analyze header with its voxels."""
    paths = [root / file for file in files]
    return hash_files([each for path in paths for each in (path, *_partner(path))])


def hash_files(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the bytes of files, in order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
