"""Make a cohort of a dropped folder: find its scans, their subjects and classes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.data.cohort import Cohort, Scan, Skipped, order_classes
from core.data.cohort_checks import ScanFacts, check_cohort
from core.data.dicom import FoundSeries, SeriesFinder, is_available, missing_pydicom
from core.data.dicom_scans import findings_among, name_series, series_scan
from core.data.drive import is_drive_fault
from core.data.file_names import (
    FileIdentity,
    compile_pattern,
    identify_file,
    identify_path,
)
from core.data.findings import Finding, code_of
from core.data.folder_walk import FoundFiles, walk_folder
from core.data.labels import LabelTable
from core.data.layout import (
    Layout,
    LayoutKind,
    choose_images,
    class_by_folder,
    name_class_folders,
    picture_subject,
    read_table_of,
    recognise_layout,
)
from core.data.person_names import person_name_findings
from core.data.scan_entry import picture_scan, volume_scan
from core.data.study_keys import KEY_FILE, write_key_file
from core.data.volume import VolumeHeader, read_header
from core.errors import CohortError, ScanError
from core.progress import Notice, Operation, Progress

__all__ = [
    "FileIdentity",
    "compile_pattern",
    "expected_slices",
    "identify_file",
    "scan_folder",
    "scan_folders",
]


def scan_folder(
    folder: Path,
    *,
    classes: Sequence[str] = (),
    labels: Path | None = None,
    subject_pattern: str = "",
    kind: LayoutKind | None = None,
    class_rules: Sequence[tuple[float, str]] = (),
    layout: Layout | None = None,
    with_key_file: bool = False,
) -> Operation[Cohort]:
    """Make a cohort of the scans below ``folder``.

    Parameters
    ----------
    folder : Path
        What the user dropped.
    classes : sequence of str
        Take only these, in this order; empty takes all.
    labels : Path, optional
        CSV or TSV with a subject (or file) and a class column.
    subject_pattern : str
        See :func:`core.data.file_names.identify_file`.
    kind : str, optional
        Kind of layout; recognised by looking where it is not given.
    class_rules : sequence of (float, str)
        OASIS-1: least CDR of each class; the usual ones where it is empty.
    layout : Layout, optional
        How the folder is read, in full; ``labels``, ``subject_pattern``, ``kind`` and
        ``class_rules`` are then those of the layout.
    with_key_file : bool
        Whether to write which DICOM patient has which study key into the folder.

    Yields
    ------
    Progress, Notice

    Raises
    ------
    CohortError
        If the folder is not there, holds no scans, or no scan has a class.
    """
    if pattern := layout.subject_pattern if layout else subject_pattern:
        compile_pattern(pattern)
    title = f"Scanning {folder.name}"
    starts = [folder / name for name, _ in layout.class_folders] if layout else []
    found = yield from _find_in(folder, title, starts)
    layout = layout or recognise_layout(
        folder, found, labels, subject_pattern=subject_pattern, kind=kind, class_rules=class_rules
    )
    gathering = _Gathering(folder, title, layout, tuple(dict.fromkeys(classes)))
    return (yield from gathering.gather(found, with_key_file=with_key_file))


def scan_folders(
    folders: Sequence[Path],
    *,
    classes: Sequence[str] = (),
    labels: Path | None = None,
    subject_pattern: str = "",
    layout: Layout | None = None,
    with_key_file: bool = False,
) -> Operation[Cohort]:
    """Make a cohort of several folders dropped at once; their names are the classes.

    Folders of subjects (sub-...) or discs of OASIS-1 are read with the table that lies
    beside them. The root is the folders' common parent.

    Raises
    ------
    CohortError
        See :func:`scan_folder`; also if the folders have no common parent, or one lies
        inside another.
    """
    if pattern := layout.subject_pattern if layout else subject_pattern:
        compile_pattern(pattern)
    title = f"Scanning {len(folders)} folders"
    root, starts, found = yield from find_scans(folders, title)
    if layout is None:
        layout = recognise_layout(root, found, labels, subject_pattern=subject_pattern)
        if len(starts) > 1:
            layout = name_class_folders(layout, root, starts)
    gathering = _Gathering(root, title, layout, tuple(dict.fromkeys(classes)))
    return (yield from gathering.gather(found, with_key_file=with_key_file))


def find_scans(
    folders: Sequence[Path], title: str
) -> Operation[tuple[Path, list[Path], FoundFiles]]:
    """Find the files of one folder, or of several with their common parent as the root.

    Returns
    -------
    root : Path
    starts : list of Path
        The folders, each once.
    found : FoundFiles

    Raises
    ------
    CohortError
        If a folder is not there, they have no common parent, or they hold no scans.
    """
    starts = sorted({folder.resolve() for folder in folders})
    if len(starts) == 1:
        return folders[0], starts, (yield from _find_in(folders[0], title, []))
    root = common_root(starts)
    return root, starts, (yield from _find_in(root, title, starts))


def _find_in(root: Path, title: str, starts: Sequence[Path]) -> Operation[FoundFiles]:
    if not root.is_dir():
        raise CohortError(f"'{root}' is no folder. Drop the folder that holds the scans.")
    yield Progress(title)
    found = yield from walk_folder(root, title, starts=starts)
    _require_scans(root, found)
    return found


def common_root(folders: Sequence[Path]) -> Path:
    """Return the folder that holds all of ``folders``.

    Raises
    ------
    CohortError
        If there is none but the whole disk, or one of them lies inside another.
    """
    for folder in folders:
        if not folder.is_dir():
            raise CohortError(f"'{folder}' is no folder. Drop the folders that hold the scans.")
        inner = next((other for other in folders if folder in other.parents), None)
        if inner is not None:
            raise CohortError(
                f"'{inner.name}' lies inside '{folder.name}'. Drop the outer folder alone, or "
                "folders beside each other."
            )
    try:
        root = Path(os.path.commonpath(folders))
    except ValueError:  # different drives on Windows
        root = None
    if root is None or root == Path(root.anchor):
        raise CohortError(
            "The folders lie on different drives or far apart. Put the class folders into one "
            "folder and drop that."
        )
    return root


def _require_scans(folder: Path, found: FoundFiles) -> None:
    if found.scans:
        return
    why = next((f" '{item.file}': {item.reason}" for item in found.skipped), "")
    raise CohortError(
        f"'{folder.name}' holds no scans: no NIfTI (.nii, .nii.gz), Analyze (.hdr + .img), "
        f"DICOM, JPEG or PNG file. Choose the folder that holds them.{why}"
    )


@dataclass
class _Gathering:
    """Scans gathered so far, and what decides their subject and class."""

    root: Path
    title: str
    layout: Layout
    classes: tuple[str, ...] = ()
    table: LabelTable | None = None
    scans: list[Scan] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    headers: dict[str, VolumeHeader] = field(default_factory=dict)
    # "AD" and "ad" are one class, in the spelling that was asked for or comes first.
    spellings: dict[str, str] = field(default_factory=dict)
    spellings_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    used_rows: set[str] = field(default_factory=set)
    # Study key -> the patient's hash, of those whom no name tells.
    patients: dict[str, str] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def gather(self, found: FoundFiles, *, with_key_file: bool = False) -> Operation[Cohort]:
        """Make the cohort of all files found."""
        self.table = read_table_of(self.layout)
        self.spellings = {label.casefold(): label for label in self.classes}
        self.skipped += found.skipped
        volumes, not_taken = choose_images(self.layout, found.volumes)
        self.skipped += [
            Skipped(file, Finding(reason, "not_taken")) for file, reason in not_taken.items()
        ]
        self.total = len(volumes) + len(found.dicoms) + len(found.pictures)
        yield from self._add_volumes(volumes)
        yield from self._add_series(found.dicoms)
        yield from self._add_pictures(found.pictures)
        self._list_others(found.others)
        self._require_asked_classes()
        if not self.scans:
            reason = self.skipped[0].reason if self.skipped else "none has a class"
            raise CohortError(f"No scan in '{self.root.name}' can be used. First reason: {reason}")
        if with_key_file:
            yield self._write_key_file()
        return (yield from check_cohort(self._cohort(), self._facts(found)))

    def _write_key_file(self) -> Notice:
        if not self.patients:
            return Notice("No key file was written: names tell all subjects, none needed a key.")
        try:
            path = write_key_file(self.root, self.patients)
        except OSError as error:
            return Notice(
                f"The key file cannot be written to '{self.root.name}': {error.strerror}. The "
                "scans are not affected; allow writing there and scan again if you need it."
            )
        return Notice(f"'{path.name}' in '{self.root.name}' says which patient has which key.")

    def _facts(self, found: FoundFiles) -> ScanFacts:
        layout = self.layout
        folders = [name for name, _ in layout.class_folders] or found.folders
        if layout.kind not in ("class_folders", "slices") or layout.class_level:
            folders = []
        empty = [
            name for name in folders if not any(file.startswith(name + "/") for file in found.scans)
        ]
        return ScanFacts(
            spellings_of=self.spellings_of,
            table=self.table,
            used_rows=frozenset(self.used_rows),
            empty_folders=tuple(empty),
            headers=self.headers,
        )

    def _list_others(self, files: Sequence[str]) -> None:
        table = self.layout.table
        for file in files:
            if file == KEY_FILE or (table is not None and table == self.root / file):
                continue
            self.skipped.append(
                Skipped(
                    file,
                    Finding(
                        "Not a scan or a picture that this program reads. If it is a scan, save "
                        "it as NIfTI (.nii.gz).",
                        "not_a_scan",
                    ),
                )
            )

    def _add_volumes(self, files: Sequence[str]) -> Operation[None]:
        for file, identity, label in self._labelled(files):
            yield self._progress()
            try:
                header = read_header(self.root / file)
                scan = volume_scan(self.root, file, identity=identity, label=label, header=header)
                self.scans.append(scan)
                self.headers[file] = header
            except ScanError as error:
                self.skipped.append(Skipped(file, Finding(str(error), "damaged")))
            except OSError as error:
                self.skipped.append(Skipped(file, _no_read_reason(error)))

    def _add_series(self, files: Sequence[str]) -> Operation[None]:
        if not is_available():
            reason = Finding(missing_pydicom(), "pydicom_missing")
            self.skipped += [Skipped(file, reason) for file in files]
            return
        finder = SeriesFinder()
        for file in files:
            yield self._progress()
            finder.add(self.root / file)
            self.done += 1
        found = finder.found()
        self.skipped += [
            Skipped(path.relative_to(self.root).as_posix(), Finding(str(error), "damaged"))
            for path, error in found.skipped
        ]
        yield from self._add_found_series(found, files)

    def _add_found_series(self, found: FoundSeries, files: Sequence[str]) -> Operation[None]:
        named = name_series(
            self.root,
            found,
            self.layout.subject_pattern,
            class_folders={file: self.layout.n_class_folders(file) for file in files},
        )
        findings = findings_among(named)
        for place, item in enumerate(named):
            yield self._progress()
            label = self._label_of(item.file, item.identity)
            if label is None:
                reason = self._no_label_reason(item.file, item.identity)
                self.skipped.append(Skipped(item.file, reason))
            elif not self.classes or label in self.classes:
                more = findings.get(place, ())
                if item.has_key:
                    self.patients[item.identity.subject] = item.series.patient
                try:
                    self.scans.append(series_scan(self.root, item, label, more=more))
                except OSError as error:
                    self.skipped.append(Skipped(item.file, _no_read_reason(error)))

    def _add_pictures(self, files: Sequence[str]) -> Operation[None]:
        groups: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
        done = self.done
        for file, identity, label in self._labelled(files):
            number = -1 if identity.slice_number is None else identity.slice_number
            subject = picture_subject(file, identity.subject, label, self.layout)
            groups[label, subject, identity.session].append((number, file))
        self.done = done
        for (label, subject, session), numbered in sorted(groups.items()):
            yield self._progress()
            self.done += len(numbered)
            try:
                scan, bad = picture_scan(self.root, numbered, FileIdentity(subject, session), label)
            except OSError as error:
                self.skipped += [Skipped(file, _no_read_reason(error)) for _, file in numbered]
                continue
            self.skipped += bad
            if scan is not None:
                self.scans.append(scan)

    def _labelled(self, files: Sequence[str]) -> Iterator[tuple[str, FileIdentity, str]]:
        """Give each file with its identity and class; list those without a class."""
        for file in files:
            identity = identify_path(
                file,
                self.layout.subject_pattern,
                class_folders=self.layout.n_class_folders(file),
            )
            label = self._label_of(file, identity)
            if label is None:
                self.skipped.append(Skipped(file, self._no_label_reason(file, identity)))
            elif not self.classes or label in self.classes:
                yield file, identity, label
            self.done += 1

    def _label_of(self, file: str, identity: FileIdentity) -> str | None:
        if self.table is not None:
            key = self.table.key_of(file, identity.subject, identity.session)
            self.used_rows |= {key} if key else set()
            found_as = self.table.labels.get(key) if key else None
        else:
            found_as = class_by_folder(file, self.layout)
        if found_as is None:
            return None
        label = self.spellings.setdefault(found_as.casefold(), found_as)
        self.spellings_of[label].add(found_as)
        return label

    def _no_label_reason(self, file: str, identity: FileIdentity) -> Finding:
        if self.table is None:
            return Finding(
                f"'{Path(file).name}' lies in no class folder. Put it into a folder named after "
                "its class, or give a table of labels.",
                "label_missing",
            )
        if self.table.key_of(file, identity.subject, identity.session):
            return Finding(
                f"{self.table.missing_reason} in '{self.table.name}'. Fill it in, "
                "or leave the subject out.",
                "label_missing",
            )
        return Finding(
            f"Subject '{identity.subject}' has no class in '{self.table.name}'. "
            "Add a row for it, or set a subject pattern.",
            "row_missing",
        )

    def _progress(self) -> Progress:
        return Progress(self.title, self.done, self.total)

    def _require_asked_classes(self) -> None:
        missing = [label for label in self.classes if label not in self.spellings_of]
        if missing:
            raise CohortError(
                f"There is no class '{missing[0]}' in '{self.root.name}'. "
                f"Found: {', '.join(order_classes(self.spellings_of)) or 'none'}."
            )

    def _cohort(self) -> Cohort:
        ordered = self.classes or order_classes(scan.label for scan in self.scans)
        scans = _with_unique_keys(
            sorted(
                self.scans,
                key=lambda scan: (
                    ordered.index(scan.label),
                    scan.subject,
                    scan.session,
                    scan.files[0],
                ),
            )
        )
        return Cohort(
            root=self.root.resolve(),
            classes=tuple(ordered),
            scans=tuple(map(_with_name_warning, scans)),
            skipped=tuple(self.skipped),
        )


def _no_read_reason(error: OSError) -> Finding:
    if is_drive_fault(error):
        text = (
            "It cannot be read: its drive is no longer there, or fails. Reconnect it and scan "
            "again."
        )
        return Finding(text, "unreadable")
    return Finding(
        f"It cannot be read: {error.strerror}. Check the drive and its access rights.",
        "unreadable",
    )


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


def _with_name_warning(scan: Scan) -> Scan:
    # A DICOM series may have it already, by the name in its header.
    if any(code_of(item) == "person_name" for item in scan.warnings):
        return scan
    return replace(scan, warnings=(*scan.warnings, *person_name_findings(scan.files)))


def expected_slices(cohort: Cohort, count: int) -> int:
    """Return how many slices the cohort gives: ready-made ones, and ``count`` a volume."""
    volumes = sum(1 for scan in cohort.included_scans if scan.kind == "volume")
    return cohort.n_pictures + volumes * count
