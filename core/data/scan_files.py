"""The files of a scan as they were when it was scanned: their hash, sizes and times."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from core.data.cohort import Cohort, Scan
from core.data.drive import once_more
from core.data.file_kind import shown_name
from core.errors import ScanChangedError


def paths_of_scan(root: Path, files: Sequence[str]) -> list[Path]:
    """Return a scan's files below ``root``, an Analyze header with its voxels."""
    paths = [root / file for file in files]
    return [each for path in paths for each in (path, *_partner(path))]


def hash_scan(root: Path, files: Sequence[str]) -> str:
    """Return the SHA-256 of a scan's files below ``root``, an Analyze header with its voxels."""
    return hash_files(paths_of_scan(root, files))


def hash_files(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the bytes of files, in order."""
    return once_more(lambda: _hash_of(paths))


def _hash_of(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def stamps_of(paths: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """Return size (bytes) and time of the last change (ns) of each file.

    Raises
    ------
    OSError
        If one is not there.
    """
    stats = [path.stat() for path in paths]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def require_unchanged(cohort: Cohort, scan: Scan) -> None:
    """Check that a scan's files are those that were scanned.

    Sizes and times are compared; only where times alone differ (a copied folder) the bytes are
    read. A cohort of an earlier version has no sizes and times; its scans pass.

    Raises
    ------
    ScanChangedError
        With the file and what to do, if one has changed or is gone.
    """
    if not scan.stamps:
        return
    paths = paths_of_scan(cohort.root, scan.files)
    try:
        now = stamps_of(paths)
    except FileNotFoundError as error:
        raise _gone(cohort, scan, str(error.filename or "")) from error
    except OSError:
        return  # whoever reads it next says what is wrong with the drive
    if now == scan.stamps:
        return
    sizes_differ = [size for size, _ in now] != [size for size, _ in scan.stamps]
    if not sizes_differ and hash_files(paths) == scan.sha256:
        return
    differing = (
        path for path, old, new in zip(paths, scan.stamps, now, strict=False) if old != new
    )
    name = shown_name(next(differing, paths[0]))
    raise ScanChangedError(f"'{name}' has changed since it was scanned. Scan the folder again.")


def is_changed(cohort: Cohort, scan: Scan) -> bool:
    """Tell whether a file of a scan is there and has changed since it was scanned.

    Files that are gone do not count: what was stored of them is then all there is.
    """
    try:
        require_unchanged(cohort, scan)
    except ScanChangedError:
        return all(path.exists() for path in paths_of_scan(cohort.root, scan.files))
    except OSError:
        return False
    return False


def _gone(cohort: Cohort, scan: Scan, path: str) -> ScanChangedError:
    name = shown_name(Path(path)) if path else scan.files[0]
    if not cohort.root.is_dir():
        return ScanChangedError(
            f"'{name}' is no longer there, nor is its folder '{cohort.root.name}'. Reconnect the "
            "drive or put the folder back, then try again."
        )
    return ScanChangedError(
        f"'{name}' is no longer there since it was scanned. Put it back, or scan the folder again."
    )


def _partner(path: Path) -> list[Path]:
    if not path.name.lower().endswith((".hdr", ".hdr.gz")):
        return []
    name = re.sub(r"\.hdr(\.gz)?$", r".img\1", path.name, flags=re.IGNORECASE)
    return [path.with_name(name)] if path.with_name(name).exists() else []
