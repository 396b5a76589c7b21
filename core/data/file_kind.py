"""Tell by name and first bytes what a file is, when it is not the scan that its name promises."""

from __future__ import annotations

import gzip
import os
import re
import unicodedata
import zlib
from pathlib import Path

from core.data.findings import Finding
from core.errors import ScanError

ARCHIVE_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")

# First bytes (lower case where text) and the name that people know the kind by.
_PICTURE_MARKS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
)
_ARCHIVE_MARKS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
)
_START_BYTES = 512


def shown_name(path: Path) -> str:
    """Return a file's name as plain text for one line: no byte that text cannot hold.

    Line breaks and marks that turn the direction of writing are written as escapes.
    """
    text = os.fsencode(path.name).decode("utf-8", "backslashreplace")
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in ("Cc", "Cf")
        else letter
        for letter in text
    )


def name_findings(name: str) -> tuple[Finding, ...]:
    """Return what is doubtful about a file's or class's name itself."""
    if name.startswith(("=", "+", "@")) or re.match(r"-\d", name):
        return (
            Finding(
                "Its name begins like a formula of a spreadsheet: tables mark it as text. "
                "Rename it to be safe in other programs.",
                "formula",
            ),
        )
    return ()


def require_regular_file(path: Path) -> None:
    """Check that ``path`` is a file with bytes in it, which can be opened without waiting.

    Raises
    ------
    ScanError
        If it is missing, a broken link, a folder, a pipe, hidden, empty or not readable.
    """
    name = shown_name(path)
    # "._scan.nii" is macOS's note beside a scan, never the scan.
    if path.name.startswith("."):
        raise ScanError(
            f"'{name}' is a hidden file and is skipped. Rename it without the dot if it is a scan."
        )
    if path.is_symlink() and not path.is_file():
        raise ScanError(_link_text(path))
    if path.is_dir():
        raise ScanError(f"'{name}' is a folder, not a file. Choose the scan inside it.")
    if not path.exists():
        raise ScanError(f"'{name}' is no longer there. Reconnect the drive or put it back.")
    if not path.is_file():
        raise ScanError(f"'{name}' is not a file with a scan but a pipe or device. Choose a file.")
    if path.stat().st_size == 0:
        raise ScanError(f"'{name}' is empty (0 bytes). Copy it again from the source.")
    if not os.access(path, os.R_OK):
        raise ScanError(permission_text(path))


def _link_text(path: Path) -> str:
    name = shown_name(path)
    if "annex/objects" in path.readlink().as_posix():
        return (
            f"'{name}' is a link to content that was never downloaded. Fetch it with 'datalad get' "
            "or 'git annex get' first."
        )
    if path.is_dir():
        return f"'{name}' is a link to a folder, which is not followed. Choose the folder itself."
    return f"'{name}' is a link to a file that is missing. Copy the file itself into the folder."


def permission_text(path: Path) -> str:
    """Return the sentence on a file that the system does not let us read."""
    return f"'{shown_name(path)}' may not be read: no permission. Change its access rights."


def no_scan_text(path: Path, wanted: str) -> str:
    """Say what a file that could not be read looks like, and what to do.

    Parameters
    ----------
    path : Path
        A regular file.
    wanted : str
        What was expected, as in "NIfTI, Analyze or MGH file".
    """
    name, start = shown_name(path), first_bytes(path)
    is_named_gz = path.name.lower().endswith((".gz", ".mgz"))
    kind = _kind_of(start)
    if path.name.lower().endswith(ARCHIVE_SUFFIXES) or kind.endswith("archive"):
        return (
            f"'{name}' is {kind if kind.endswith('archive') else 'an archive'}, which is not "
            "opened. Unpack it first and choose the folder."
        )
    if start.startswith(b"\x1f\x8b") and not is_named_gz:
        return (
            f"'{name}' is compressed. Rename it so that it ends in .gz"
            f"{', as in .nii.gz' if path.name.lower().endswith('.nii') else ''}."
        )
    if is_named_gz and not start.startswith(b"\x1f\x8b") and _is_nifti(start):
        return f"'{name}' is not compressed. Rename it so that it ends without .gz."
    if kind == "a placeholder":
        return (
            f"'{name}' is only a pointer, a placeholder of content that was never downloaded. "
            "Fetch its content with git-lfs or DataLad first."
        )
    if kind:
        return f"'{name}' is {kind}, not a {wanted}{_REMEDIES.get(kind, _COPY_AGAIN)}"
    if is_named_gz and start.startswith(b"\x1f\x8b") and not unpacked_start(path):
        return f"'{name}' is empty: it unpacks to no header at all. Copy it again from the source."
    if is_named_gz and not start.startswith(b"\x1f\x8b"):
        return f"'{name}' is not a compressed file (gzip), as its name says. Copy it again."
    return f"'{name}' is no readable {wanted}, by its first bytes. Export it again."


_COPY_AGAIN = ". Copy the right file from the source."
_REMEDIES = {
    "a web page": ": the download may have asked for a log-in. Download it again.",
    "a DICOM file": ". Rename it to end in .dcm and choose the folder of its series.",
    "an SVG drawing": ". Export it as PNG.",
    "a GIF picture": ". Save it as PNG.",
    "a BMP picture": ". Save it as PNG.",
    "damaged and holds zeros only": ". Copy it again from the source.",
}


def _kind_of(start: bytes) -> str:
    text = start.lower().lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text:
        return "a web page"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "an SVG drawing"
    if text.startswith(b"version https://git-lfs") or b"annex/objects" in text:
        return "a placeholder"
    if start[128:132] == b"DICM":
        return "a DICOM file"
    if start[257:262] == b"ustar":
        return "a tar archive"
    if start and not start.strip(b"\0"):
        return "damaged and holds zeros only"
    for mark, kind in _PICTURE_MARKS + _ARCHIVE_MARKS:
        if start.startswith(mark):
            return kind
    return ""


def _is_nifti(start: bytes) -> bool:
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file as stored; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_START_BYTES)
    except OSError:
        return b""


def unpacked_start(path: Path) -> bytes:
    """Return the first bytes of a gzip file's content; none if it cannot be unpacked."""
    try:
        with gzip.open(path) as file:
            return file.read(_START_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""
