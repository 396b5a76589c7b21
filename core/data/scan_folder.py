"""Walk a dropped folder, tell subjects and classes, and say what was skipped and why."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.data.cohort import Cohort, Scan, Skipped, order_classes
from core.data.labels import LabelTable, find_label_table, read_label_table
from core.data.slices import read_picture_size
from core.data.volume import is_volume_name, read_header
from core.errors import CohortError, ScanError
from core.progress import Operation, Progress

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_DEPTH = 12
_NAMED_SUBJECTS = 3
_MAX_ENTRIES = 200_000
_MASK_NAME = re.compile(r"(?i)(?:^|[_-])(?:mask|brainmask|seg|dseg|roi|lesion)s?$")

# Tried in this order on a file's stem; a pattern of the user's comes before them.
_NAME_PATTERNS = (
    r"(?P<subject>OAS\d+_\d+)_(?P<session>MR\d+)",
    r"(?P<subject>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?",
    r"(?P<subject>\d{3}_S_\d{4})",
)
_SLICE_PATTERNS = (
    r"(?:^|[_-])(?:slice|s|z|i)[_-]?(?P<slice>\d+)$",
    r"[_-](?P<slice>\d+)$",
    r"(?P<slice>\d+)$",
)


@dataclass(frozen=True)
class FileIdentity:
    """What a file's name says: subject, session (may be empty) and slice number (if any)."""

    subject: str
    session: str = ""
    slice_number: int | None = None


@dataclass
class _Found:
    """Files gathered while walking."""

    volumes: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def identify_file(name: str, pattern: str = "") -> FileIdentity:
    """Tell subject, session and slice number from a file's name.

    Parameters
    ----------
    name : str
        File name, with or without folders.
    pattern : str
        Regular expression with the group ``subject`` and, if wanted, ``session`` and
        ``slice``; tried first.

    Raises
    ------
    CohortError
        If ``pattern`` is no regular expression or has no group ``subject``.
    """
    stem = unicodedata.normalize("NFC", _stem(name))
    is_picture = name.lower().endswith(PICTURE_SUFFIXES)
    number = (
        None
        if not is_picture
        else next(
            (
                int(found["slice"])
                for expression in _SLICE_PATTERNS
                if (found := re.search(expression, stem, re.IGNORECASE))
            ),
            None,
        )
    )
    if pattern:
        matched = compile_pattern(pattern).search(stem)
        groups = matched.groupdict() if matched else {}
        if groups.get("subject"):
            if (groups.get("slice") or "").isdecimal():
                number = int(groups["slice"])
            return FileIdentity(groups["subject"], groups.get("session") or "", number)
    for expression in _NAME_PATTERNS:
        if found := re.search(expression, stem):
            groups = found.groupdict()
            return FileIdentity(groups["subject"], groups.get("session") or "", number)
    subject = stem
    # Digits without a separator ("patient12") may as well name the patient: they stay.
    for expression in _SLICE_PATTERNS[:-1] if is_picture else ():
        shorter = re.sub(expression, "", stem, flags=re.IGNORECASE).rstrip("_- ")
        if shorter != stem and shorter:
            subject = shorter
            break
    return FileIdentity(subject, "", number)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the user's subject pattern, checked.

    Raises
    ------
    CohortError
        If it is no regular expression or has no group ``subject``.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CohortError(
            f"The subject pattern '{pattern}' is no regular expression "
            f"({error}). Example: (?P<subject>OAS1_[0-9]+)_"
        ) from error
    if "subject" not in compiled.groupindex:
        raise CohortError(
            f"The subject pattern '{pattern}' has no group called subject. "
            "Example: (?P<subject>OAS1_[0-9]+)_"
        )
    return compiled


def scan_folder(
    folder: Path,
    *,
    classes: Sequence[str] = (),
    labels: Path | None = None,
    subject_pattern: str = "",
) -> Operation[Cohort]:
    """Make a cohort of the scans below ``folder``.

    Classes are the names of its sub-folders, or come from a table of labels (given, or a
    ``participants.tsv`` beside BIDS subject folders).

    Parameters
    ----------
    folder : Path
        What the user dropped.
    classes : sequence of str
        Take only these, in this order; empty takes all.
    labels : Path, optional
        CSV or TSV with a subject (or file) and a class column.
    subject_pattern : str
        See :func:`identify_file`.

    Yields
    ------
    Progress

    Raises
    ------
    CohortError
        If the folder is not there, holds no scans, or no scan has a class.
    """
    if not folder.is_dir():
        raise CohortError(f"'{folder}' is no folder. Drop the folder that holds the scans.")
    if subject_pattern:
        compile_pattern(subject_pattern)
    title = f"Scanning {folder.name}"
    yield Progress(title)
    table = _label_table(folder, labels)
    found = yield from _walk(folder, title)
    if not found.volumes and not found.pictures:
        raise CohortError(
            f"'{folder.name}' holds no scans: no NIfTI (.nii, .nii.gz), Analyze (.hdr + .img), "
            "JPEG or PNG file. Choose the folder that holds them."
        )
    wanted = tuple(dict.fromkeys(classes))
    cohort = yield from _gather(folder, found, table, wanted, subject_pattern, title)
    if not cohort.scans:
        reason = cohort.skipped[0].reason if cohort.skipped else "none has a class"
        raise CohortError(f"No scan in '{folder.name}' can be used. First reason: {reason}")
    return cohort


def _label_table(folder: Path, labels: Path | None) -> LabelTable | None:
    if labels is not None:
        return read_label_table(labels)
    own = find_label_table(folder)
    return read_label_table(own) if own else None


def _walk(root: Path, title: str) -> Operation[_Found]:
    found, entries = _Found(), 0
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            listed = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.skipped.append(
                Skipped(
                    _relative(folder, root),
                    f"The folder cannot be read: {error.strerror}. Check its access rights.",
                )
            )
            continue
        for entry in listed:
            entries += 1
            if entries % 500 == 0:
                yield Progress(title, len(found.volumes) + len(found.pictures))
            if entries > _MAX_ENTRIES:
                raise CohortError(
                    f"'{root.name}' holds over {_MAX_ENTRIES} files. Choose the "
                    "folder of one cohort."
                )
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            if entry.is_symlink():
                found.skipped.append(
                    Skipped(
                        _relative(path, root),
                        "Links are not followed. Copy the file into the folder.",
                    )
                )
            elif not _is_text(entry.name):
                readable = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                found.skipped.append(
                    Skipped(readable, "Its name is no valid text. Rename it with plain letters.")
                )
            elif entry.is_dir():
                if depth + 1 == _MAX_DEPTH:
                    found.skipped.append(
                        Skipped(
                            _relative(path, root),
                            f"Folders deeper than {_MAX_DEPTH} levels are not read. "
                            "Choose a folder nearer to the scans.",
                        )
                    )
                # BIDS keeps computed images there: segmentations, not scans.
                elif entry.name != "derivatives":
                    waiting.append((path, depth + 1))
            elif entry.is_file(follow_symlinks=False):
                _sort_in(path, root, found)
    found.volumes.sort()
    found.pictures.sort()
    return found


def _is_text(name: str) -> bool:
    # Linux allows any bytes in a name; what is no UTF-8 could be neither shown nor stored.
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _sort_in(path: Path, root: Path, found: _Found) -> None:
    name, relative = path.name.lower(), _relative(path, root)
    if is_volume_name(name) and _MASK_NAME.search(_stem(path.name)):
        found.skipped.append(
            Skipped(relative, "By its name it is a mask, no scan. Rename it if it is a scan.")
        )
    elif is_volume_name(name):
        found.volumes.append(relative)
    elif name.endswith(PICTURE_SUFFIXES):
        found.pictures.append(relative)
    elif name.endswith((".img", ".img.gz")):
        header = re.sub(r"\.img(\.gz)?$", r".hdr\1", path.name, flags=re.IGNORECASE)
        if not path.with_name(header).exists() and not path.with_name(header.upper()).exists():
            found.skipped.append(
                Skipped(
                    relative,
                    f"'{path.name}' needs '{header}' beside it. Copy both files into the folder.",
                )
            )
    elif name not in ("thumbs.db", "desktop.ini"):
        found.skipped.append(
            Skipped(
                relative,
                "Not a scan or a picture that this program reads. If it is a scan, save it as "
                "NIfTI (.nii.gz).",
            )
        )


def _gather(
    root: Path,
    found: _Found,
    table: LabelTable | None,
    classes: tuple[str, ...],
    pattern: str,
    title: str,
) -> Operation[Cohort]:
    skipped, scans = list(found.skipped), list[Scan]()
    total = len(found.volumes) + len(found.pictures)
    # "AD" and "ad" are one class, in the spelling that was asked for or comes first.
    spellings = {label.casefold(): label for label in classes}
    seen_labels: dict[str, set[str]] = defaultdict(set)
    groups: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for done, file in enumerate(found.volumes + found.pictures):
        if done % 50 == 0:
            yield Progress(title, done, total)
        identity = _identify(file, pattern)
        label = _label_of(file, identity, table)
        if label is None:
            skipped.append(Skipped(file, _no_label_reason(file, identity, table)))
            continue
        found_as, label = label, spellings.setdefault(label.casefold(), label)
        seen_labels[label].add(found_as)
        if classes and label not in classes:
            continue
        if done >= len(found.volumes):
            groups[label, identity.subject, identity.session].append(
                (identity.slice_number if identity.slice_number is not None else -1, file)
            )
            continue
        yield Progress(title, done, total)
        try:
            scans.append(_volume_scan(root, file, identity, label))
        except ScanError as error:
            skipped.append(Skipped(file, str(error)))
        except OSError as error:
            skipped.append(Skipped(file, _no_read_reason(error)))
    done = len(found.volumes)
    for (label, subject, session), numbered in sorted(groups.items()):
        yield Progress(title, done, total)
        done += len(numbered)
        try:
            scan, bad = _picture_scan(root, numbered, FileIdentity(subject, session), label)
        except OSError as error:
            skipped += [Skipped(file, _no_read_reason(error)) for _, file in numbered]
            continue
        skipped += bad
        if scan is not None:
            scans.append(scan)
    missing = [label for label in classes if label not in seen_labels]
    if missing:
        raise CohortError(
            f"There is no class '{missing[0]}' in '{root.name}'. "
            f"Found: {', '.join(order_classes(seen_labels)) or 'none'}."
        )
    ordered = classes or order_classes(scan.label for scan in scans)
    scans = _with_unique_keys(
        sorted(
            scans,
            key=lambda scan: (ordered.index(scan.label), scan.subject, scan.session, scan.files[0]),
        )
    )
    return Cohort(
        root=root.resolve(),
        classes=tuple(ordered),
        scans=tuple(scans),
        skipped=tuple(skipped),
        warnings=_spelling_warnings(seen_labels) + _cohort_warnings(scans, table),
    )


def _no_read_reason(error: OSError) -> str:
    return f"It cannot be read: {error.strerror}. Check the drive and its access rights."


def _spelling_warnings(seen_labels: Mapping[str, set[str]]) -> tuple[str, ...]:
    return tuple(
        f"{' and '.join(sorted(spellings))} were taken as one class, {label}. Rename one of them "
        "if they are two."
        for label, spellings in seen_labels.items()
        if len(spellings) > 1
    )


def _identify(file: str, pattern: str) -> FileIdentity:
    identity = identify_file(file, pattern)
    parts = unicodedata.normalize("NFC", file).split("/")
    # "AD/OAS1_0028/T1.nii.gz": the name says nothing, the folder does.
    if len(parts) > 2 and not pattern:
        for folder in reversed(parts[1:-1]):
            for expression in _NAME_PATTERNS:
                named = re.search(expression, folder)
                if named and identity.subject not in folder:
                    return FileIdentity(
                        named["subject"],
                        named.groupdict().get("session") or identity.session,
                        identity.slice_number,
                    )
        if re.fullmatch(
            r"(?i)(t1w?|mprage|brain|scan|image|anat|slice|s|i|img)?", identity.subject
        ):
            return FileIdentity(parts[-2], identity.session, identity.slice_number)
    if not identity.subject or (identity.subject.isdigit() and len(parts) > 2):
        return FileIdentity(
            parts[-2] if len(parts) > 1 else identity.subject,
            identity.session,
            identity.slice_number,
        )
    return identity


def _label_of(file: str, identity: FileIdentity, table: LabelTable | None) -> str | None:
    if table is not None:
        return table.label_of(file, identity.subject, identity.session)
    parts = file.split("/")
    return unicodedata.normalize("NFC", parts[0]) if len(parts) > 1 else None


def _no_label_reason(file: str, identity: FileIdentity, table: LabelTable | None) -> str:
    if table is not None:
        return (
            f"Subject '{identity.subject}' has no class in '{table.name}'. "
            "Add a row for it, or set a subject pattern."
        )
    return (
        f"'{Path(file).name}' lies in no class folder. Put it into a folder named after its "
        "class, or give a table of labels."
    )


def _volume_scan(root: Path, file: str, identity: FileIdentity, label: str) -> Scan:
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
        sha256=_hash_files([root / file, *_partner(root / file)]),
        warnings=header.warnings,
    )


def _partner(path: Path) -> list[Path]:
    if not path.name.lower().endswith((".hdr", ".hdr.gz")):
        return []
    name = re.sub(r"\.hdr(\.gz)?$", r".img\1", path.name, flags=re.IGNORECASE)
    return [path.with_name(name)] if path.with_name(name).exists() else []


def _picture_scan(
    root: Path, numbered: list[tuple[int, str]], identity: FileIdentity, label: str
) -> tuple[Scan | None, list[Skipped]]:
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
        sha256=_hash_files([root / kept[number] for number in numbers]),
        warnings=warnings,
    ), bad


def _with_unique_keys(scans: list[Scan]) -> list[Scan]:
    used = set[str]()
    result = []
    for scan in scans:
        key = stem = "_".join(part for part in (scan.subject, scan.session) if part)
        number = 1
        while key in used:
            number += 1
            key = f"{stem}_{number}"
        used.add(key)
        result.append(replace(scan, key=key))
    return result


def _cohort_warnings(scans: list[Scan], table: LabelTable | None) -> tuple[str, ...]:
    warnings = []
    by_subject: dict[str, set[str]] = defaultdict(set)
    by_hash: dict[str, list[str]] = defaultdict(list)
    for scan in scans:
        by_subject[scan.subject].add(scan.label)
        by_hash[scan.sha256].append(scan.key)
    in_two = [subject for subject, labels in sorted(by_subject.items()) if len(labels) > 1]
    for subject in in_two[:_NAMED_SUBJECTS]:
        labels = by_subject[subject]
        warnings.append(
            f"Subject {subject} is in {len(labels)} classes "
            f"({', '.join(order_classes(labels))}). Correct its class or leave "
            "one scan out."
        )
    if len(in_two) > _NAMED_SUBJECTS:
        warnings.append(f"So are {len(in_two) - _NAMED_SUBJECTS} more subjects.")
    warnings += _single_picture_warnings(scans)
    for keys in by_hash.values():
        if len(keys) > 1:
            warnings.append(f"{' and '.join(keys)} are the same scan. Leave one out.")
    if table is not None:
        missing = table.unused(by_subject)
        if missing:
            warnings.append(
                f"{len(missing)} subjects of '{table.name}' have no scan here, "
                f"such as {missing[0]}."
            )
    return tuple(warnings)


def _single_picture_warnings(scans: list[Scan]) -> list[str]:
    pictures = [scan for scan in scans if scan.kind == "slices"]
    single = [scan for scan in pictures if len(scan.files) == 1]
    # Numbered pictures of unknown persons look like this: each would be a subject of its own
    # and slices of one person would stand on both sides of a split.
    if len(single) < 2 or 2 * len(single) <= len(pictures):
        return []
    return [
        f"{len(single)} subjects have one picture only, such as '{single[0].files[0]}': the names "
        "may not tell the subject, and then a split by subject leaks. Put the pictures of each "
        "subject into a folder of its own, or set a subject pattern."
    ]


def _hash_files(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _stem(name: str) -> str:
    base = name.rsplit("/", 1)[-1]
    return re.sub(r"(?i)\.(nii|hdr|img)?(\.gz)?$|\.[a-z]+$", "", re.sub(r"(?i)\.gz$", "", base))


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def expected_slices(cohort: Cohort, count: int) -> int:
    """Return how many slices the cohort gives: ready-made ones, and ``count`` a volume."""
    volumes = sum(1 for scan in cohort.included_scans if scan.kind == "volume")
    return cohort.n_pictures + volumes * count
