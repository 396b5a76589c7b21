"""Say in words what a layout makes of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.data.folder_walk import FoundFiles
from core.data.labels import CDR_RULES, OASIS_TABLE, LabelTable, some
from core.data.layout import Layout, splits_into_parts


def notes_on(found: FoundFiles, layout: Layout, table: LabelTable | None) -> Iterator[str]:
    """Say what else the user should know."""
    if table is not None:
        yield from table.warnings
    if splits_into_parts(found, layout):
        yield "The parts in the folders (train, test) are not kept: you choose the split."
    if found.dicoms:
        yield (
            f"{len(found.dicoms)} DICOM files are put together to scans. Patients whom no folder "
            "names get keys (sub-001 ...)."
        )


def choice_text(layout: Layout) -> str:
    """Name a layout in a list of those to choose from."""
    if layout.class_folders:
        return "Each dropped folder is a class"
    what = {
        "class_folders": "Class folders",
        "slices": "Slices already cut, in class folders",
        "bids": "BIDS data set with participants.tsv",
        "oasis": f"OASIS-1 discs with {OASIS_TABLE}",
        "table": "Folder of scans with a table of labels",
    }[layout.kind]
    return f"{what}, {layout.class_level + 1} levels down" if layout.class_level else what


def title_of(layout: Layout, classes: Sequence[str]) -> str:
    """Say what was recognised."""
    named = some(classes) or "none yet"
    return {
        "class_folders": f"A folder for each class: {named}",
        "slices": f"Slices already cut, in a folder for each class: {named}",
        "bids": "A BIDS data set",
        "oasis": "Discs of OASIS-1",
        "table": "A folder of scans with a table of labels",
    }[layout.kind]


def class_words(root: Path, layout: Layout) -> str:
    """Say what decides the class."""
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


def subject_words(layout: Layout, subjects: Mapping[str, str]) -> str:
    """Say what decides the subject, by an example from ``subjects`` (subject -> file)."""
    if not subjects:
        return "No name tells a subject; the headers of the DICOM files tell the patients."
    subject, file = next(iter(subjects.items()))
    source = "Your pattern" if layout.subject_pattern else "The names of files and folders"
    name = file.rsplit("/", 1)[-1]
    return f"{source} tell{'s' * bool(layout.subject_pattern)} the subject: '{name}' is {subject}."
