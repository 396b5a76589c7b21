"""Recognise how a folder of scans is laid out: what names the class, what names the subject."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.data.cohort import order_classes
from core.data.dicom_scans import identify_series_file
from core.data.file_names import FileIdentity, identify_path, looks_like_subject
from core.data.folder_walk import FoundFiles, walk_folder
from core.data.labels import (
    CDR_RULES,
    OASIS_TABLE,
    LabelTable,
    choose_columns,
    find_label_table,
    is_oasis_table,
    read_columns,
    read_label_table,
    read_oasis_table,
    some,
)
from core.errors import CohortError
from core.progress import Operation, Progress, run_to_end

LayoutKind = Literal["class_folders", "slices", "bids", "oasis", "table"]

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_DISC = re.compile(r"(?i)(?:oasis_cross-sectional_)?disc[_-]?\d+")
_PARTS_OF_A_SPLIT = re.compile(r"(?i)train(?:ing)?|test(?:ing)?|val(?:id|idation)?")
_USUAL_CLASSES = re.compile(
    r"(?i)ad|mci|[es]mci|lmci|nc|cn|hc|normal|controls?|patients?|demented|non[ _-]?demented"
)
# OASIS-1 keeps up to eight images a session; the first that is there is taken.
OASIS_IMAGES = (
    r"(?i)/T88_111/.*_t88_masked_gfc\.(?:hdr|nii)",
    r"(?i)_t88_masked_gfc\.(?:hdr|nii)",
    r"(?i)_t88_gfc\.(?:hdr|nii)",
    r"(?i)_sbj_111\.(?:hdr|nii)",
    r"(?i)_mpr-1_anon\.(?:hdr|nii)",
)
BIDS_IMAGES = (r"_T1w\.nii",)


@dataclass(frozen=True)
class Layout:
    """How a folder is read, in words to confirm and in values to change.

    Attributes
    ----------
    kind : {"class_folders", "slices", "bids", "oasis", "table"}
        Class folders of volumes, class folders of ready-made slices, BIDS, discs of
        OASIS-1, or a folder with a table of labels.
    title, class_from, subject_from : str
        What was recognised, what decides the class, what decides the subject.
    class_counts : dict of int
        Files of each class; the key "" counts those without one.
    n_volumes, n_pictures, n_subjects : int
        Files that are taken, and subjects that their names tell.
    notes : tuple of str
        What else the user should know.
    subject_pattern : str
        Regular expression of the user's; see `core.data.file_names.identify_file`.
    class_level : int
        Which folder names the class: 0 for those directly below the root.
    class_folders : tuple of (str, str)
        Folder relative to the root and its class, where several folders were dropped.
    table : Path, optional
        Table of labels; ``columns`` are those to choose from, ``subject_column`` and
        ``class_column`` the chosen ones.
    class_rules : tuple of (float, str)
        OASIS-1: least CDR of each class; an empty class leaves those subjects out.
    preferred : tuple of str
        Regular expressions on a volume's path; of each session only the images of the first
        one that matches are taken.
    """

    kind: LayoutKind
    title: str = ""
    class_from: str = ""
    subject_from: str = ""
    class_counts: tuple[tuple[str, int], ...] = ()
    n_volumes: int = 0
    n_pictures: int = 0
    n_subjects: int = 0
    notes: tuple[str, ...] = ()
    subject_pattern: str = ""
    class_level: int = 0
    class_folders: tuple[tuple[str, str], ...] = ()
    table: Path | None = None
    columns: tuple[str, ...] = ()
    subject_column: str = ""
    class_column: str = ""
    class_rules: tuple[tuple[float, str], ...] = ()
    preferred: tuple[str, ...] = ()

    @property
    def changeable(self) -> tuple[str, ...]:
        """The names of the values that a user can change in this kind of layout."""
        return {
            "class_folders": ("class_level", "subject_pattern", "table"),
            "slices": ("class_level", "subject_pattern", "table"),
            "table": ("table", "subject_column", "class_column", "subject_pattern"),
            "bids": ("table", "class_column", "preferred", "subject_pattern"),
            "oasis": ("table", "class_rules", "preferred"),
        }[self.kind]

    def n_class_folders(self, file: str) -> int:
        """Return how many leading folders of a path speak of the class, not of the subject."""
        if self.kind not in ("class_folders", "slices"):
            return 0
        within = [folder for folder, _ in self.class_folders if _is_in(file, folder)]
        return within[0].count("/") + 1 if within else self.class_level + 1


def detect_layout(
    folder: Path, labels: Path | None = None, *, changed: Layout | None = None
) -> Layout:
    """Recognise the layout of ``folder``; see `look_at_folder`."""
    return run_to_end(look_at_folder(folder, labels, changed=changed))


def look_at_folder(
    folder: Path, labels: Path | None = None, *, changed: Layout | None = None
) -> Operation[Layout]:
    """Recognise how ``folder`` is laid out, without reading a scan.

    Parameters
    ----------
    folder : Path
        What the user dropped.
    labels : Path, optional
        Table of labels that the user gave.
    changed : Layout, optional
        A layout with changed values: only its words and counts are made anew.

    Raises
    ------
    CohortError
        If the folder is not there, or a table cannot be read.
    """
    if not folder.is_dir():
        raise CohortError(f"'{folder}' is no folder. Drop the folder that holds the scans.")
    title = f"Looking at {folder.name}"
    yield Progress(title)
    found = yield from walk_folder(folder, title)
    layout = changed or recognise_layout(folder, found, labels)
    return describe_layout(folder, found, layout)


def recognise_layout(
    root: Path, found: FoundFiles, labels: Path | None = None, *, subject_pattern: str = ""
) -> Layout:
    """Choose the layout by names of folders, files and columns; without words and counts."""
    table = labels or _own_table(root, found)
    if table is not None:
        columns = _columns(table)
        values = {"table": table, "columns": columns, "subject_pattern": subject_pattern}
        if is_oasis_table(columns):
            return Layout(
                "oasis",
                class_rules=CDR_RULES,
                preferred=OASIS_IMAGES,
                **values,  # type: ignore[arg-type]
            )
        subject, label = choose_columns(columns)
        values |= {"subject_column": subject.strip(), "class_column": label.strip()}
        if table.name == "participants.tsv":
            return Layout("bids", preferred=BIDS_IMAGES, **values)  # type: ignore[arg-type]
        return Layout("table", **values)  # type: ignore[arg-type]
    tops = _top_folders(found)
    if tops and all(_DISC.fullmatch(top) for top in tops):
        return Layout("oasis", class_rules=CDR_RULES, preferred=OASIS_IMAGES)
    if len(tops) > 1 and all(top.startswith("sub-") for top in tops):
        return Layout("bids", preferred=BIDS_IMAGES, subject_pattern=subject_pattern)
    return Layout(
        "slices" if found.pictures and not found.volumes + found.dicoms else "class_folders",
        class_level=_class_level(found),
        subject_pattern=subject_pattern,
    )


def read_table_of(layout: Layout) -> LabelTable | None:
    """Read the table of labels of a layout; None where folders name the classes.

    Raises
    ------
    CohortError
        If it is missing or cannot be used.
    """
    if layout.kind == "oasis":
        if layout.table is None:
            raise CohortError(
                f"These are discs of OASIS-1, but '{OASIS_TABLE}', which rates the subjects, "
                "is not beside them. Copy it into the folder, or give a table of labels."
            )
        return read_oasis_table(layout.table, rules=layout.class_rules or CDR_RULES)
    if layout.kind == "bids" and layout.table is None:
        raise CohortError(
            "The folders are subjects (sub-...), and 'participants.tsv', which names their class, "
            "is not beside them. Copy it into the folder, or give a table of labels."
        )
    if layout.table is None:
        return None
    return read_label_table(
        layout.table, subject_column=layout.subject_column, class_column=layout.class_column
    )


def class_by_folder(file: str, layout: Layout) -> str | None:
    """Return the class that the folders of a path name; None for a loose file."""
    if layout.class_folders:
        within = [label for folder, label in layout.class_folders if _is_in(file, folder)]
        return unicodedata.normalize("NFC", within[0]) if within else None
    parts = file.split("/")
    if len(parts) <= layout.class_level + 1:
        return None
    return unicodedata.normalize("NFC", parts[layout.class_level])


def choose_images(layout: Layout, volumes: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Choose the volumes to take; return them, and why each of the others is not.

    Only layouts that keep several images of a session (OASIS-1, BIDS) leave any out.
    """
    if not layout.preferred:
        return list(volumes), {}
    ranks = {file: _rank(file, layout.preferred) for file in volumes}
    best: dict[str, str] = {}
    for file in sorted(volumes, key=lambda file: (ranks[file], file)):
        best.setdefault(_session_of(file, layout), file)
    # Where none is of a preferred kind, the folder is otherwise than its names say: take all.
    if all(rank == len(layout.preferred) for rank in ranks.values()):
        return list(volumes), {}
    taken, left = [], {}
    for file in volumes:
        chosen = best[_session_of(file, layout)]
        if ranks[file] == len(layout.preferred):
            left[file] = "It is not of the kind of image that is taken from this data set."
        elif ranks[file] > ranks[chosen]:
            left[file] = f"Of the same session, '{chosen.rsplit('/', 1)[-1]}' is taken."
        else:
            taken.append(file)
    return taken, left


def describe_layout(root: Path, found: FoundFiles, layout: Layout) -> Layout:
    """Say in words and counts what a layout makes of the files found."""
    taken, left = choose_images(layout, found.volumes)
    notes = []
    try:
        table = read_table_of(layout)
    except CohortError as error:
        table = None
        notes.append(str(error))
    counts: Counter[str] = Counter()
    subjects: dict[str, str] = {}
    dicoms = frozenset(found.dicoms)
    for file in taken + found.pictures + found.dicoms:
        identify = identify_series_file if file in dicoms else identify_path
        identity = identify(
            file, layout.subject_pattern, class_folders=layout.n_class_folders(file)
        ) or FileIdentity("")
        if identity.subject:
            subjects.setdefault(identity.subject, file)
        if layout.kind in ("class_folders", "slices"):
            label = class_by_folder(file, layout)
        else:
            label = table.label_of(file, identity.subject, identity.session) if table else None
        counts[label or ""] += 1
    if table is not None:
        notes += table.warnings
    if left:
        notes.append(f"{len(left)} other images of the same sessions are not taken.")
    if layout.class_level and _PARTS_OF_A_SPLIT.fullmatch(next(iter(_top_folders(found)), "")):
        notes.append("The parts in the folders (train, test) are not kept: you choose the split.")
    if dicoms:
        notes.append(
            f"{len(dicoms)} DICOM files are put together to scans. Patients whom no folder names "
            "get keys (sub-001 ...)."
        )
    if counts[""]:
        notes.append(f"{counts['']} files have no class and will be listed as left out.")
    classes = [label for label in order_classes(counts) if label]
    return replace(
        layout,
        title=_title(layout, classes),
        class_from=_class_words(root, layout),
        subject_from=_subject_words(layout, subjects),
        class_counts=tuple((label, counts[label]) for label in [*classes, ""] if counts[label]),
        n_volumes=len(taken) + len(dicoms),
        n_pictures=len(found.pictures),
        n_subjects=len(subjects),
        notes=tuple(notes),
    )


def _title(layout: Layout, classes: Sequence[str]) -> str:
    named = some(classes) or "none yet"
    return {
        "class_folders": f"A folder for each class: {named}",
        "slices": f"Slices already cut, in a folder for each class: {named}",
        "bids": "A BIDS data set",
        "oasis": "Discs of OASIS-1",
        "table": "A folder of scans with a table of labels",
    }[layout.kind]


def _class_words(root: Path, layout: Layout) -> str:
    table = f"'{layout.table.name}'" if layout.table else "A table of labels (still missing)"
    if layout.kind == "oasis":
        rules = ", ".join(
            f"CDR from {least:g}: {label or 'left out'}"
            for least, label in layout.class_rules or CDR_RULES
        )
        return f"The clinical dementia rating in {table} decides the class ({rules})."
    if layout.kind in ("bids", "table"):
        column = f"column '{layout.class_column}' of " if layout.class_column else ""
        return f"{column[:1].upper()}{column[1:]}{table} decides the class."
    if layout.class_folders:
        return "Each of the dropped folders is a class."
    level = layout.class_level + 1
    where = "directly" if level == 1 else f"{level} levels"
    return f"The folders {where} below '{root.name}' are the classes."


def _subject_words(layout: Layout, subjects: dict[str, str]) -> str:
    if not subjects:
        return "No file tells a subject."
    subject, file = next(iter(subjects.items()))
    source = "Your pattern" if layout.subject_pattern else "The names of files and folders"
    name = file.rsplit("/", 1)[-1]
    return f"{source} tell{'s' * bool(layout.subject_pattern)} the subject: '{name}' is {subject}."


def _own_table(root: Path, found: FoundFiles) -> Path | None:
    """Return the table of labels that lies in the folder itself, if it is needed."""
    for file in found.others:
        if file.rsplit("/", 1)[-1].lower() == OASIS_TABLE:
            return root / file
    places = [root, root.parent] if _DISC.fullmatch(root.name) else [root]
    for place in places:
        if (place / OASIS_TABLE).is_file():
            return place / OASIS_TABLE
    if own := find_label_table(root):
        return own
    tops = _top_folders(found)
    loose = sum("/" not in file for file in found.scans)
    if 2 * loose < len(found.scans) and not all(looks_like_subject(top) for top in tops):
        return None
    for file in found.others:
        if "/" not in file and file.lower().endswith(_TABLE_SUFFIXES):
            columns = _columns(root / file, or_none=True)
            if is_oasis_table(columns) or all(choose_columns(columns)):
                return root / file
    return None


def _columns(table: Path, *, or_none: bool = False) -> tuple[str, ...]:
    try:
        return read_columns(table)
    except CohortError:
        if or_none:
            return ()
        raise


def _top_folders(found: FoundFiles) -> list[str]:
    return list(dict.fromkeys(file.split("/")[0] for file in sorted(found.scans) if "/" in file))


def _class_level(found: FoundFiles) -> int:
    """Tell which level of folders names the class: below one wrapping folder, or train and test."""
    tops = _top_folders(found)
    if any("/" not in file for file in found.scans):
        return 0
    seconds = {parts[1] for file in found.scans if len(parts := file.split("/")) > 2}
    if len(seconds) < 2 or any(file.count("/") < 2 for file in found.scans):
        return 0
    if len(tops) > 1 and all(_PARTS_OF_A_SPLIT.fullmatch(top) for top in tops):
        return 1
    wraps = len(tops) == 1 and not _USUAL_CLASSES.fullmatch(tops[0])
    return int(wraps and any(_USUAL_CLASSES.fullmatch(name) for name in seconds))


def _rank(file: str, preferred: Sequence[str]) -> int:
    matching = (rank for rank, pattern in enumerate(preferred) if re.search(pattern, file))
    return next(matching, len(preferred))


def _session_of(file: str, layout: Layout) -> str:
    identity = identify_path(file, class_folders=layout.n_class_folders(file))
    session = identity.session.split("_run-")[0]
    return f"{identity.subject}_{session}"


def _is_in(file: str, folder: str) -> bool:
    return folder in ("", ".") or file.startswith(folder + "/")
