"""Who was scanned and to which class each belongs: the cohort and its file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from core import text_file
from core.data.findings import Finding, code_of, finding_from_record, finding_record
from core.errors import CohortError

FORMAT_VERSION = 1
COHORT_FILE = "cohort.json"
# Classes of the papers come in the papers' order (AD is the x axis), others after them by name.
_CLASS_ORDER = ("AD", "MCI", "NC")
# A drive, a root, or a step up, of any system. One expression, as there are thousands of files.
_OUTSIDE = re.compile(r"[A-Za-z]:|[/\\]|(?:.*[/\\])?\.\.(?:[/\\]|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Scan:
    """One scan of one subject.

    Attributes
    ----------
    key : str
        Its name in the cohort, unique: subject and session, as in ``OAS1_0028_MR1``.
    subject, session : str
        As in BIDS; ``session`` may be empty.
    label : str
        Class of the subject, such as AD or NC.
    kind : {"volume", "slices"}
        One 3-D file, or ready-made 2-D pictures.
    files : tuple of str
        Relative to the cohort's root, POSIX slashes: the volume's file, or the pictures
        in slice order.
    slice_numbers : tuple of int
        For ``slices``: the number of each picture, in the same order.
    shape : tuple of int
        Voxels (volume) or pixels (height, width).
    spacing_mm : tuple of float
        Voxel size of a volume, mm; empty for pictures, whose size is not known.
    orientation : str
        Letters of a volume's stored axes, such as LAS; empty where not known.
    datatype : str
        Kind of number of a volume's voxels, such as int16; empty where not known.
    sha256 : str
        Of the bytes of all its files, in order.
    voxels_sha256 : str
        Of a volume's voxels as float32 in RAS+; empty where no other scan looked alike.
    found_label : str
        The class that the folder or the table gave; ``label`` differs where a user changed it.
    warnings : tuple of str
        Plain sentences on what is doubtful; those with a code are findings
        (:class:`core.data.findings.Finding`).
    included : bool
        Whether it takes part.
    flipped : bool
        Whether the user had left and right exchanged, because the file does not tell them.
    stamps : tuple of (int, int)
        Size in bytes and time of the last change in ns of each file when it was scanned, the
        voxels of an Analyze pair after its header; empty where not known. Copies of a scan have
        others, so they are not compared.
    """

    key: str
    subject: str
    session: str
    label: str
    kind: Literal["volume", "slices"]
    files: tuple[str, ...]
    slice_numbers: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    sha256: str = ""
    warnings: tuple[str, ...] = ()
    included: bool = True
    orientation: str = ""
    datatype: str = ""
    voxels_sha256: str = ""
    found_label: str = ""
    flipped: bool = False
    stamps: tuple[tuple[int, int], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why, with what to do; a Finding has a code too."""

    file: str
    reason: str


@dataclass(frozen=True)
class Cohort:
    """A labelled group of subjects.

    Attributes
    ----------
    root : Path
        Folder that the scans' files are relative to.
    classes : tuple of str
        In the order of the FCL's rows: AD first, then MCI, NC, then others by name.
    scans : tuple of Scan
        By class and key.
    skipped : tuple of Skipped
    warnings : tuple of str
        Sentences on the cohort as a whole.
    simulated : bool
        Whether the scans are simulated (the demo cohort).
    """

    root: Path
    classes: tuple[str, ...]
    scans: tuple[Scan, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def included_scans(self) -> tuple[Scan, ...]:
        """The scans that take part."""
        return tuple(scan for scan in self.scans if scan.included)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects of the included scans, sorted."""
        return tuple(sorted({scan.subject for scan in self.included_scans}))

    @property
    def n_pictures(self) -> int:
        """Ready-made slices of the included scans."""
        return sum(len(scan.files) for scan in self.included_scans if scan.kind == "slices")

    @property
    def identity(self) -> str:
        """A short id from classes and scan contents; equal cohorts have equal ids."""
        content = json.dumps([self.classes, [_identity_of(scan) for scan in self.included_scans]])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def path_of(self, file: str) -> Path:
        """Return where ``file`` of a scan lies on this machine."""
        return self.root / PurePosixPath(file)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return subjects, scans and ready-made slices of each class."""
        result = {}
        for label in self.classes:
            scans = [scan for scan in self.included_scans if scan.label == label]
            result[label] = {
                "subjects": len({scan.subject for scan in scans}),
                "scans": len(scans),
                "slices": sum(len(scan.files) for scan in scans if scan.kind == "slices"),
            }
        return result

    def with_scans(self, scans: Iterable[Scan]) -> Cohort:
        """Return the cohort with other scans (relabelled, excluded)."""
        return dataclasses.replace(self, scans=tuple(scans))

    def require_trainable(self) -> None:
        """Check that a network can be trained on it.

        Raises
        ------
        CohortError
            With the counts, if there are fewer than two classes or a class has fewer
            than three subjects; with both places, if a subject or a scan is in two classes.
        """
        counts = Counter(
            label for label, _ in {(scan.label, scan.subject) for scan in self.included_scans}
        )
        said = ", ".join(f"{label} {counts[label]}" for label in self.classes) or "none"
        if sum(1 for label in self.classes if counts[label]) < 2:
            raise CohortError(
                f"Two classes are needed to train; subjects by class: {said}. "
                "Put the scans of each class into a folder of its own, or give a "
                "table of labels."
            )
        if any(counts[label] < 3 for label in self.classes):
            raise CohortError(
                "Each class needs at least 3 subjects, one each for training, validation and "
                f"test; subjects by class: {said}. Add scans, or leave the small class out."
            )
        _require_one_class_each(self.included_scans)


def _require_one_class_each(scans: Sequence[Scan]) -> None:
    """Refuse a subject in two classes, or the same scan in two."""
    first: dict[str, Scan] = {}
    for scan in scans:
        other = first.setdefault(scan.subject, scan)
        if other.label != scan.label:
            raise CohortError(
                f"Subject {scan.subject} is in two classes: '{other.files[0]}' in {other.label} "
                f"and '{scan.files[0]}' in {scan.label}. Correct its class, or leave one scan out."
            )
    for twins in twin_scans(scans):
        elsewhere = [scan for scan in twins if scan.label != twins[0].label]
        if elsewhere:
            raise CohortError(
                f"'{twins[0].files[0]}' in {twins[0].label} and '{elsewhere[0].files[0]}' in "
                f"{elsewhere[0].label} are the same scan, in two classes. Correct one class, or "
                "leave one of them out."
            )


def twin_scans(scans: Iterable[Scan]) -> list[tuple[Scan, ...]]:
    """Return the scans that are the same, by their bytes or by their voxels, in groups."""
    groups: dict[str, list[Scan]] = {}
    group_of: dict[str, str] = {}
    for scan in scans:
        hashes = [value for value in (scan.voxels_sha256, scan.sha256) if value]
        name = next((group_of[value] for value in hashes if value in group_of), scan.key)
        group_of |= dict.fromkeys(hashes, name)
        groups.setdefault(name, []).append(scan)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def carry_choices(old: Cohort, new: Cohort) -> Cohort:
    """Return ``new``, a scan of the same folder, with the user's choices made in ``old``.

    Scans left out or flipped stay so, also under another name; a class that the user changed stays
    changed where the file still has its name.
    """
    by_file = {scan.files[0]: scan for scan in old.scans}
    by_bytes = {scan.sha256: scan for scan in old.scans if scan.sha256}
    scans = []
    for scan in new.scans:
        same = by_file.get(scan.files[0])
        known = same or by_bytes.get(scan.sha256)
        if same is not None and same.found_label not in ("", same.label):
            scan = dataclasses.replace(scan, label=same.label)
        if known is not None:
            scan = dataclasses.replace(scan, included=known.included, flipped=known.flipped)
        scans.append(scan)
    used = [scan.label for scan in scans]
    more = [label for label in order_classes(used) if label not in new.classes]
    return dataclasses.replace(new, scans=tuple(scans), classes=(*new.classes, *more))


def _identity_of(scan: Scan) -> tuple[str, ...]:
    identity = scan.key, scan.label, scan.sha256
    # Only where it is flipped, so that cohorts made before keep their ids.
    return (*identity, "flipped") if scan.flipped else identity


def order_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Return distinct labels in the order of the FCL's rows."""
    rank = {label: position for position, label in enumerate(_CLASS_ORDER)}
    return tuple(sorted(set(labels), key=lambda label: (rank.get(label.upper(), 99), label)))


def save_cohort(cohort: Cohort, folder: Path) -> Path:
    """Write ``cohort.json`` into ``folder`` (a ``NAME.mrifcl``) atomically; return ``folder``.

    The root is stored relative to the folder, so that both can move together.
    """
    root = cohort.root.resolve()
    try:
        stored = Path(os.path.relpath(root, folder.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        stored = root.as_posix()
    record = {
        "format": "MRI-FCL cohort",
        "format_version": FORMAT_VERSION,
        "id": cohort.identity,
        "root": stored,
        "classes": cohort.classes,
        "simulated": cohort.simulated,
        "scans": [_scan_record(scan) for scan in cohort.scans],
        "skipped": [_skipped_record(item) for item in cohort.skipped],
        "warnings": [finding_record(item) for item in cohort.warnings],
    }
    text_file.write_json(folder / COHORT_FILE, record)
    return folder


def load_cohort(folder: Path) -> Cohort:
    """Read the cohort in ``folder`` (a ``NAME.mrifcl``, or its ``cohort.json``).

    Raises
    ------
    CohortError
        If there is none, it is damaged, or a newer program wrote it.
    """
    path = folder if folder.name == COHORT_FILE else folder / COHORT_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CohortError(
            f"'{path.parent.name}' is no cohort: it has no {COHORT_FILE}. "
            "Make one with 'mri-fcl scan FOLDER --out NAME.mrifcl'."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CohortError(
            f"'{path.name}' in '{path.parent.name}' is damaged and cannot be read. "
            "Scan the folder of scans again."
        ) from error
    return _cohort_from_record(record, path)


def _cohort_from_record(record: Any, path: Path) -> Cohort:  # noqa: ANN401 - parsed JSON
    if not isinstance(record, Mapping) or record.get("format") != "MRI-FCL cohort":
        raise CohortError(
            f"'{path.name}' in '{path.parent.name}' is no cohort of MRI-FCL. "
            "Choose a NAME.mrifcl folder."
        )
    version = record.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CohortError(
            f"'{path.parent.name}' was written by a newer MRI-FCL. Update this program to open it."
        )
    try:
        if not isinstance(version, int):
            raise ValueError(version)
        cohort = Cohort(
            root=(path.parent / record["root"]).resolve(),
            classes=tuple(record["classes"]),
            scans=tuple(_scan_from_record(item) for item in record["scans"]),
            skipped=tuple(_skipped_from_record(item) for item in record.get("skipped", ())),
            warnings=tuple(finding_from_record(item) for item in record.get("warnings", ())),
            simulated=bool(record.get("simulated", False)),
        )
        if unknown := {scan.label for scan in cohort.included_scans} - set(cohort.classes):
            raise ValueError(unknown)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CohortError(
            f"'{path.name}' in '{path.parent.name}' is damaged: an entry is missing "
            "or of the wrong kind. Scan the folder of scans again."
        ) from error
    return cohort


def _scan_from_record(item: Mapping[str, Any]) -> Scan:
    files = tuple(str(file) for file in item["files"])
    numbers = tuple(int(number) for number in item["slice_numbers"])
    if not files or not all(_is_below_root(file) for file in files):
        raise ValueError(files)
    if item["kind"] == "slices" and len(files) != len(numbers):
        raise ValueError(numbers)
    return Scan(
        key=str(item["key"]),
        subject=str(item["subject"]),
        session=str(item["session"]),
        label=str(item["label"]),
        kind="volume" if item["kind"] == "volume" else "slices",
        files=files,
        slice_numbers=numbers,
        shape=tuple(int(size) for size in item["shape"]),
        spacing_mm=tuple(float(size) for size in item["spacing_mm"]),
        sha256=str(item["sha256"]),
        warnings=tuple(finding_from_record(finding) for finding in item["warnings"]),
        included=bool(item["included"]),
        flipped=bool(item.get("flipped", False)),
        orientation=str(item.get("orientation", "")),
        datatype=str(item.get("datatype", "")),
        voxels_sha256=str(item.get("voxels_sha256", "")),
        found_label=str(item.get("found_label", item["label"])),
        stamps=tuple((int(size), int(time)) for size, time in item.get("stamps", ())),
    )


def _scan_record(scan: Scan) -> dict[str, Any]:
    return {
        **vars(scan),
        "warnings": [finding_record(item) for item in scan.warnings],
    }


def _skipped_record(item: Skipped) -> dict[str, str]:
    return {"file": item.file, "reason": str(item.reason), "code": code_of(item.reason)}


def _skipped_from_record(item: Mapping[str, Any]) -> Skipped:
    return Skipped(str(item["file"]), Finding(str(item["reason"]), str(item.get("code", ""))))


def _is_below_root(file: str) -> bool:
    # A cohort from elsewhere must not make us read outside its root, on any system.
    return _OUTSIDE.match(file) is None
