"""Make one scan of a cohort from one volume, or from the pictures of one session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.data.cohort import Scan, Skipped
from core.data.file_names import FileIdentity
from core.data.findings import Finding
from core.data.picture import PictureHeader, load_picture, read_picture_header
from core.data.scan_files import hash_files, paths_of_scan, stamps_of
from core.data.volume import VolumeHeader
from core.errors import ScanError


def volume_scan(
    root: Path, file: str, *, identity: FileIdentity, label: str, header: VolumeHeader
) -> Scan:
    """Make the scan of one volume, by its header.

    Raises
    ------
    OSError
        If it cannot be read to its end.
    """
    paths = paths_of_scan(root, [file])
    return Scan(
        key="",
        subject=identity.subject,
        session=identity.session,
        label=label,
        kind="volume",
        files=(file,),
        shape=header.shape,
        spacing_mm=header.spacing_mm,
        # Before the bytes are read: a change meanwhile is then one that is noticed later.
        stamps=stamps_of(paths),
        sha256=hash_files(paths),
        warnings=header.warnings,
        orientation=header.stored_axes if header.sides_certain else "",
        datatype=header.datatype,
        found_label=label,
    )


def picture_scan(
    root: Path, numbered: list[tuple[int, str]], identity: FileIdentity, label: str
) -> tuple[Scan | None, list[Skipped]]:
    """Make one scan of (number, file) pictures; number -1 is unknown. List the bad ones.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    bad: list[Skipped] = []
    kept: dict[int, str] = {}
    headers: dict[str, PictureHeader] = {}
    for position, (number, file) in enumerate(sorted(numbered)):
        number = number if number >= 0 else position
        if number in kept:
            bad.append(
                Skipped(
                    file,
                    Finding(
                        f"Slice {number} of {identity.subject} is there twice; "
                        f"'{Path(kept[number]).name}' is used. Rename one of them.",
                        "slice_twice",
                    ),
                )
            )
            continue
        try:
            headers[file] = read_picture_header(root / file)
        except ScanError as error:
            bad.append(Skipped(file, Finding(str(error), "damaged")))
            continue
        kept[number] = file
    if not kept:
        return None, bad
    numbers = sorted(kept)
    files = tuple(kept[number] for number in numbers)
    paths = [root / file for file in files]
    return Scan(
        key="",
        subject=identity.subject,
        session=identity.session,
        label=label,
        kind="slices",
        files=files,
        slice_numbers=tuple(numbers),
        shape=headers[files[0]].shape,
        datatype=_usual([headers[file].datatype for file in files]),
        stamps=stamps_of(paths),
        sha256=hash_files(paths),
        warnings=tuple(_picture_findings(paths, [headers[file] for file in files])),
        found_label=label,
    ), bad


def _picture_findings(paths: Sequence[Path], headers: Sequence[PictureHeader]) -> Iterator[Finding]:
    """Say once for all pictures of a scan what is doubtful about some of them."""
    if len({header.shape for header in headers}) > 1:
        yield Finding("Its slices differ in size.", "slices_differ")
    if len({header.datatype for header in headers}) > 1:
        yield Finding(
            "Some of its slices are of 8 and some of 16 bits. Export them in one way, as their "
            "brightness may differ.",
            "slices_differ",
        )
    counts = Counter(finding for header in headers for finding in header.findings)
    codes = {finding: finding.code for header in headers for finding in header.findings}
    for finding, count in counts.items():
        which = "" if count == len(headers) else f"{count} of {len(headers)} slices: "
        yield Finding(f"{which}{finding}", codes[finding])
    yield from _colour_finding(paths, headers)


def _colour_finding(paths: Sequence[Path], headers: Sequence[PictureHeader]) -> Iterator[Finding]:
    # Many programs store grey pictures with three channels; only decoding tells them from
    # coloured ones. One slice stands for its scan, so that scanning stays quick.
    coloured = [path for path, header in zip(paths, headers, strict=True) if header.has_channels]
    if not coloured:
        return
    try:
        findings = load_picture(coloured[len(coloured) // 2]).findings
    except ScanError:
        return  # cutting its slices says what is wrong
    yield from (finding for finding in findings if finding.code == "colour")


def _usual(values: Sequence[str]) -> str:
    return Counter(values).most_common(1)[0][0]
