"""Look at dropped folders without reading a scan: what would be read how, to be confirmed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.data.cohort import order_classes
from core.data.dicom_scans import identify_series_file
from core.data.file_names import (
    FileIdentity,
    SubjectPattern,
    compile_pattern,
    identify_path,
    stem_of,
)
from core.data.findings import code_of
from core.data.folder_walk import FoundFiles
from core.data.labels import LabelTable, some
from core.data.layout import (
    Layout,
    choose_images,
    class_by_folder,
    name_class_folders,
    picture_subject,
    possible_layouts,
    read_table_of,
    recognise_layout,
)
from core.data.layout_words import class_words, notes_on, subject_words, title_of
from core.data.scan_folder import find_scans
from core.errors import CohortError
from core.progress import Operation, Progress

N_ROWS = 40
_FILES_A_STEP = 500


@dataclass(frozen=True)
class ReadFile:
    """How one file is read by its name and place.

    Attributes
    ----------
    file : str
        Relative to the root, POSIX slashes.
    subject, session : str
        An empty subject: only the header of a DICOM file tells the patient.
    slice_number : int, optional
        Of a ready-made slice.
    label : str
        Its class; empty where none is found.
    by_pattern : bool
        Whether the user's pattern told the subject.
    """

    file: str
    subject: str
    session: str
    slice_number: int | None
    label: str
    by_pattern: bool = False


@dataclass(frozen=True)
class ClassCount:
    """What a class holds: its subjects by name, its files, and those of unnamed patients."""

    label: str
    subjects: frozenset[str]
    n_files: int
    n_unnamed: int = 0


@dataclass(frozen=True)
class LeftOut:
    """Files that are left out for one reason, with one of them as an example."""

    reason: str
    n_files: int
    example: str


@dataclass(frozen=True)
class KnownCohort:
    """A stored cohort of the same folder, and how many of its scans the user changed."""

    folder: Path
    n_changed: int


@dataclass(frozen=True)
class FolderLook:
    """What a look at folders recognised.

    Attributes
    ----------
    folders : tuple of Path
        What the user dropped.
    root : Path
        The folder itself, or the parent that several folders share.
    found : FoundFiles
    layout : Layout
        How they are read, with words and counts.
    class_folders : tuple of (str, str)
        The dropped folders and their classes, if they were several that are classes.
    layouts : tuple of Layout
        Those to choose from; ``layout`` is one of them.
    classes : tuple of ClassCount
        In the order of the FCL's rows.
    rows : tuple of ReadFile
        Some files of all over the folder, as they are read.
    left_out : tuple of LeftOut
        What is not taken, and why; the most files first.
    n_by_pattern, n_files : int
        Files that the user's pattern tells the subject of, and all that are taken.
    problem : str
        Why it cannot be scanned like this, and what to do; empty where it can.
    known : KnownCohort, optional
        A cohort that was made of the same folder before.
    """

    folders: tuple[Path, ...]
    root: Path
    found: FoundFiles
    layout: Layout
    class_folders: tuple[tuple[str, str], ...] = ()
    layouts: tuple[Layout, ...] = ()
    classes: tuple[ClassCount, ...] = ()
    rows: tuple[ReadFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    n_by_pattern: int = 0
    n_files: int = 0
    problem: str = ""
    known: KnownCohort | None = None

    @property
    def has_unnamed_patients(self) -> bool:
        """Whether study keys (sub-001 ...) will name some patients."""
        return any(item.n_unnamed for item in self.classes)


def look_at_folders(
    folders: Sequence[Path], labels: Path | None = None, *, subject_pattern: str = ""
) -> Operation[FolderLook]:
    """Recognise how dropped folders are laid out, without reading a scan.

    Parameters
    ----------
    folders : sequence of Path
        One folder, or several that are one cohort.
    labels : Path, optional
        Table of labels that the user gave.
    subject_pattern : str
        See :func:`core.data.file_names.identify_file`.

    Raises
    ------
    CohortError
        If there is no folder or no scan in it, or ``labels`` cannot be read.
    """
    what = folders[0].name if len(folders) == 1 else f"{len(folders)} folders"
    root, starts, found = yield from find_scans(folders, f"Looking at {what}")
    layout = recognise_layout(root, found, labels, subject_pattern=subject_pattern)
    if len(starts) > 1:
        layout = name_class_folders(layout, root, starts)
    look = FolderLook(tuple(folders), root, found, layout, class_folders=layout.class_folders)
    return (yield from look_again(look, layout))


def look_again(
    look: FolderLook, layout: Layout, *, labels: Path | None = None
) -> Operation[FolderLook]:
    """Return the same look with another layout; the folder is not walked again.

    Parameters
    ----------
    look : FolderLook
    layout : Layout
        How the files are to be read.
    labels : Path, optional
        Table of labels that the user chose; the layout becomes one that uses it.

    Raises
    ------
    CohortError
        If the layout's subject pattern is none, or ``labels`` cannot be read.
    """
    if layout.subject_pattern:
        compile_pattern(layout.subject_pattern)
    if labels is not None:
        layout = recognise_layout(
            look.root, look.found, labels, subject_pattern=layout.subject_pattern
        )
    found, problem = look.found, ""
    try:
        table = read_table_of(layout)
    except CohortError as error:
        table, problem = None, str(error)
    taken, not_taken = choose_images(layout, found.volumes)
    files = taken + found.pictures + found.dicoms
    read = []
    for number, item in enumerate(_read_files(files, found, layout, table)):
        if number % _FILES_A_STEP == 0:
            yield Progress(f"Looking at {look.root.name}", number, len(files))
        read.append(item)
    classes = _count_classes(read)
    described = _in_words(look, layout, table, read, n_taken=len(taken))
    if not problem and not classes:
        problem = _no_class_problem(look.root, table)
    return replace(
        look,
        layout=described,
        layouts=possible_layouts(look.root, found, described, class_folders=look.class_folders),
        classes=classes,
        rows=tuple(_spread(read)),
        left_out=tuple(_left_out(found, not_taken, read, layout, table)),
        n_by_pattern=sum(item.by_pattern for item in read),
        n_files=len(files),
        problem=problem,
    )


def _read_files(
    files: Sequence[str], found: FoundFiles, layout: Layout, table: LabelTable | None
) -> Iterator[ReadFile]:
    dicoms, pictures = frozenset(found.dicoms), frozenset(found.pictures)
    pattern = compile_pattern(layout.subject_pattern) if layout.subject_pattern else None
    spellings: dict[str, str] = {}
    for file in files:
        n_class_folders = layout.n_class_folders(file)
        identify = identify_series_file if file in dicoms else identify_path
        identity = identify(
            file, layout.subject_pattern, class_folders=n_class_folders
        ) or FileIdentity("")
        if layout.kind in ("class_folders", "slices"):
            label = class_by_folder(file, layout) or ""
        else:
            known = table and table.label_of(file, identity.subject, identity.session)
            label = known or ""
        # "AD" and "ad" are one class, in the spelling that comes first.
        label = spellings.setdefault(label.casefold(), label)
        subject = identity.subject
        if file in pictures:
            subject = picture_subject(file, subject, label, layout)
        by_pattern = pattern is not None and _names_subject(
            pattern, file, folders_too=file in dicoms, n_class_folders=n_class_folders
        )
        yield ReadFile(file, subject, identity.session, identity.slice_number, label, by_pattern)


def _names_subject(
    pattern: SubjectPattern, file: str, *, folders_too: bool, n_class_folders: int
) -> bool:
    *folders, name = file.split("/")
    parts = [stem_of(name), *(folders[n_class_folders:] if folders_too else ())]
    return any((found := pattern.search(part)) and found["subject"] for part in parts)


def _count_classes(read: Sequence[ReadFile]) -> tuple[ClassCount, ...]:
    by_label: dict[str, list[ReadFile]] = defaultdict(list)
    for item in read:
        if item.label:
            by_label[item.label].append(item)
    return tuple(
        ClassCount(
            label,
            frozenset(item.subject for item in by_label[label] if item.subject),
            len(by_label[label]),
            sum(not item.subject for item in by_label[label]),
        )
        for label in order_classes(by_label)
    )


def _spread(read: Sequence[ReadFile]) -> list[ReadFile]:
    """Return some of the files, spread over all, so that every class and many subjects show."""
    step = max(1, -(-len(read) // N_ROWS))
    return list(read[::step])


def _left_out(
    found: FoundFiles,
    not_taken: dict[str, str],
    read: Sequence[ReadFile],
    layout: Layout,
    table: LabelTable | None,
) -> list[LeftOut]:
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for skipped in found.skipped:
        groups[code_of(skipped.reason)].append((skipped.file, skipped.reason))
    for file in not_taken:
        groups["not_taken"].append((file, "Other images of the same sessions, or of other kinds."))
    for item in read if table or layout.kind in ("class_folders", "slices") else ():
        if not item.label:
            reason = _no_label_reason(item, table)
            groups[reason].append((item.file, reason))
    for file in found.others:
        if layout.table is None or not str(layout.table).endswith(file):
            groups["others"].append((file, "Neither scans nor pictures."))
    if "derivatives" in found.folders:
        groups["derivatives"].append(
            ("derivatives", "Computed images of BIDS, in a folder of their own, are no scans.")
        )
    listed = [LeftOut(group[0][1], len(group), group[0][0]) for group in groups.values()]
    return sorted(listed, key=lambda item: -item.n_files)


def _no_label_reason(item: ReadFile, table: LabelTable | None) -> str:
    if table is None:
        return "They lie in no class folder."
    if table.key_of(item.file, item.subject, item.session):
        return f"{table.missing_reason.rstrip(',')} in '{table.name}'."
    return f"Their subjects are not in '{table.name}'."


def _no_class_problem(root: Path, table: LabelTable | None) -> str:
    if table is None:
        return (
            f"No scan in '{root.name}' has a class: none lies in a folder at that level. Choose "
            "another way of reading it, or a table of labels."
        )
    return (
        f"No scan in '{root.name}' has a class in '{table.name}', which names "
        f"{some(list(table.labels))}. Choose other columns, or set a subject pattern that makes "
        "the same names."
    )


def _in_words(
    look: FolderLook,
    layout: Layout,
    table: LabelTable | None,
    read: Sequence[ReadFile],
    *,
    n_taken: int,
) -> Layout:
    """Return the layout with its words and counts."""
    found, counts = look.found, defaultdict[str, int](int)
    subjects: dict[str, str] = {}
    for item in read:
        counts[item.label] += 1
        if item.subject:
            subjects.setdefault(item.subject, item.file)
    classes = [label for label in order_classes(counts) if label]
    return replace(
        layout,
        title=title_of(layout, classes),
        class_from=class_words(look.root, layout),
        subject_from=subject_words(layout, subjects),
        class_counts=tuple((label, counts[label]) for label in [*classes, ""] if counts[label]),
        n_volumes=n_taken + len(found.dicoms),
        n_pictures=len(found.pictures),
        n_subjects=len(subjects),
        notes=tuple(notes_on(found, layout, table)),
    )
