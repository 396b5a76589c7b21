"""Recognise how a folder of scans is laid out: what names the class, what names the subject."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from core.data.file_names import identify_path, looks_like_subject
from core.data.folder_walk import FoundFiles
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
)
from core.errors import CohortError

LayoutKind = Literal["class_folders", "slices", "bids", "oasis", "table"]
LAYOUT_KINDS = get_args(LayoutKind)

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
# Of levels of folders that are offered as classes; deeper ones, or more names, are no classes.
_LEVELS = 4
_MOST_CLASSES = 12


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


def recognise_layout(
    root: Path,
    found: FoundFiles,
    labels: Path | None = None,
    *,
    subject_pattern: str = "",
    kind: LayoutKind | None = None,
    class_rules: Sequence[tuple[float, str]] = (),
) -> Layout:
    """Choose the layout by names of folders, files and columns; without words and counts.

    Parameters
    ----------
    root : Path
        What ``found`` is relative to.
    found : FoundFiles
    labels : Path, optional
        Table of labels that the user gave.
    subject_pattern : str
        See `core.data.file_names.identify_file`.
    kind : str, optional
        The kind that the user says it is; recognised by looking where it is not given.
    class_rules : sequence of (float, str)
        OASIS-1: least CDR of each class; the usual ones where it is empty.

    Raises
    ------
    CohortError
        If a table cannot be read, or rules are given where no ratings decide the class.
    """
    table = labels or (_own_table(root, found) if kind is None else _table_for(kind, root, found))
    columns = read_columns(table) if table else ()
    kind = kind or _kind_of(found, table, columns)
    if class_rules and kind != "oasis":
        raise CohortError(
            f"Ratings (CDR) decide the class in OASIS-1 only, and '{root.name}' is read otherwise. "
            "Leave the rule for ratings out, or say that the layout is that of OASIS-1."
        )
    if kind in ("class_folders", "slices"):
        return Layout(kind, class_level=_class_level(found), subject_pattern=subject_pattern)
    layout = Layout(kind, table=table, columns=columns, subject_pattern=subject_pattern)
    if kind == "oasis":
        return replace(layout, class_rules=tuple(class_rules) or CDR_RULES, preferred=OASIS_IMAGES)
    subject, label = choose_columns(columns)
    return replace(
        layout,
        subject_column=subject.strip(),
        class_column=label.strip(),
        preferred=BIDS_IMAGES if kind == "bids" else (),
    )


def possible_layouts(
    root: Path,
    found: FoundFiles,
    current: Layout,
    *,
    class_folders: tuple[tuple[str, str], ...] = (),
) -> tuple[Layout, ...]:
    """Return the layouts to choose from, the ``current`` one among them as it is.

    ``class_folders`` are the folders that were dropped, if they were several that are classes.
    """
    pattern = current.subject_pattern
    choices = []
    kind: LayoutKind = "class_folders" if found.volumes or found.dicoms else "slices"
    folders = Layout(kind, subject_pattern=pattern, class_folders=class_folders)
    if class_folders:
        choices.append(folders)
    else:
        folders = replace(folders, class_level=_class_level(found))
        levels = {folders.class_level, *(level for level in range(_LEVELS) if _parts(found, level))}
        choices += [replace(folders, class_level=level) for level in sorted(levels)]
    tops = _top_folders(found)
    tables = [file for file in found.others if file.lower().endswith(_TABLE_SUFFIXES)]
    if _are_subjects(tops) or find_label_table(root):
        choices.append(recognise_layout(root, found, subject_pattern=pattern, kind="bids"))
    if _are_discs(tops) or any(Path(file).name.lower() == OASIS_TABLE for file in tables):
        choices.append(recognise_layout(root, found, subject_pattern=pattern, kind="oasis"))
    choices.append(recognise_layout(root, found, subject_pattern=pattern, kind="table"))
    same = [_is_same_way(choice, current) for choice in choices]
    if not any(same):
        return (current, *choices)
    return tuple(
        current if is_same else choice for choice, is_same in zip(choices, same, strict=True)
    )


def _is_same_way(one: Layout, other: Layout) -> bool:
    return (one.kind, one.class_level) == (other.kind, other.class_level)


def name_class_folders(layout: Layout, root: Path, starts: Sequence[Path]) -> Layout:
    """Return the layout of several dropped folders; they are the classes if folders tell those."""
    if layout.kind not in ("class_folders", "slices"):
        return layout
    named = tuple((start.relative_to(root).as_posix(), start.name) for start in starts)
    return replace(layout, class_level=0, class_folders=named)


def picture_subject(file: str, subject: str, label: str, layout: Layout) -> str:
    """Return the subject of a ready-made slice, whose name may be a bare number."""
    # "AD/7.png" and "NC/7.png" are of two persons, whoever they are.
    if subject.isdigit() and not layout.subject_pattern and file.count("/") == 1:
        return f"{label}-{subject}"
    return subject


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
    if layout.kind == "table" and layout.table is None:
        raise CohortError(
            "No table of labels is chosen yet. Choose a CSV or TSV file with a column of subjects "
            "and one of classes."
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


def splits_into_parts(found: FoundFiles, layout: Layout) -> bool:
    """Tell whether folders above the classes part the scans into train and test."""
    top = next(iter(_top_folders(found)), "")
    return layout.class_level > 0 and _PARTS_OF_A_SPLIT.fullmatch(top) is not None


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
            columns = _own_columns(root / file)
            if is_oasis_table(columns) or all(choose_columns(columns)):
                return root / file
    return None


def _table_for(kind: LayoutKind, root: Path, found: FoundFiles) -> Path | None:
    """Return the table in the folder that a layout of the kind needs, if there is one."""
    tables = [file for file in found.others if file.lower().endswith(_TABLE_SUFFIXES)]
    if kind == "bids":
        return find_label_table(root)
    if kind == "oasis":
        places = [root / file for file in tables] + [root.parent / OASIS_TABLE]
        return next(
            (path for path in places if path.name.lower() == OASIS_TABLE and path.is_file()), None
        )
    if kind == "table":
        loose = (root / file for file in tables if "/" not in file)
        return next((path for path in loose if all(choose_columns(_own_columns(path)))), None)
    return None


def _kind_of(found: FoundFiles, table: Path | None, columns: tuple[str, ...]) -> LayoutKind:
    tops = _top_folders(found)
    if is_oasis_table(columns) or (table is None and _are_discs(tops)):
        return "oasis"
    if (table is not None and table.name == "participants.tsv") or _are_subjects(tops):
        return "bids"
    if table is not None:
        return "table"
    return "slices" if found.pictures and not found.volumes + found.dicoms else "class_folders"


def _are_discs(tops: Sequence[str]) -> bool:
    return bool(tops) and all(_DISC.fullmatch(top) for top in tops)


def _are_subjects(tops: Sequence[str]) -> bool:
    return len(tops) > 1 and all(top.startswith("sub-") for top in tops)


def _parts(found: FoundFiles, level: int) -> bool:
    """Tell whether the folders at a level part the scans into classes, by their number."""
    names = {parts[level] for file in found.scans if len(parts := file.split("/")) > level + 1}
    return 2 <= len(names) <= _MOST_CLASSES


def _own_columns(table: Path) -> tuple[str, ...]:
    """Return the columns of a table that the folder holds; none where it cannot be read."""
    try:
        return read_columns(table)
    except CohortError:
        return ()


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
