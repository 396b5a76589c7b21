"""Share slices out to training, validation and test: by subject, by slice, k-fold, or by a file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core import text_file
from core.config import SplitSettings
from core.data.slices import SliceSet
from core.errors import CohortError

PARTS = ("train", "validation", "test")
SPLIT_COLUMNS = ("subject", "session", "scan", "slice", "label", "part")
_PART_NAMES = {
    **{part: part for part in PARTS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "testing": "test",
}


@dataclass(frozen=True)
class UnfitRow:
    """A slice or subject that stands in a split file or in the cohort, not in both.

    ``fault`` is ``unknown`` (the cohort does not have it) or ``missing`` (the file does not);
    ``session``, ``scan`` and ``slice`` are empty where the file does not go by them.
    """

    fault: str
    subject: str
    session: str = ""
    scan: str = ""
    slice: str = ""
    part: str = ""


class SplitFileError(CohortError):
    """A split file does not fit the cohort; ``unfit`` lists where."""

    def __init__(self, text: str, unfit: Sequence[UnfitRow] = ()) -> None:
        super().__init__(text)
        self.unfit = tuple(unfit)


@dataclass(frozen=True)
class Split:
    """Part and class of every slice.

    Attributes
    ----------
    part : ndarray, shape (n,), str
        train, validation or test.
    label : ndarray, shape (n,), int
        Class used in training: the true one, or a shuffled one in a control run.
    notices : tuple of str
        What a split file says about slices that the cohort does not have, in words.
    unfit : tuple of UnfitRow
        The rows of the file that these are.
    """

    part: NDArray[np.str_]
    label: NDArray[np.int64]
    notices: tuple[str, ...] = ()
    unfit: tuple[UnfitRow, ...] = ()

    def rows_of(self, part: str) -> NDArray[np.int64]:
        """Return the rows of one part."""
        return np.flatnonzero(self.part == part)


def split_slices(slices: SliceSet, settings: SplitSettings, seed: int) -> Split:
    """Split slices 5:2:3 (or as set), each class by itself; or as the split file says.

    Raises
    ------
    CohortError
        If a class is too small to give every part something, or as :func:`read_split_file`.
    """
    label = slices.label.copy()
    if settings.shuffled_labels:
        label = shuffle_labels(slices, seed)
    if settings.split_file:
        return replace(read_split_file(Path(settings.split_file), slices), label=label)
    part = np.empty(len(slices), dtype="<U10")
    for k, name in enumerate(slices.classes):
        rng = np.random.default_rng([seed, k])
        rows = np.flatnonzero(label == k)
        if settings.mode == "slice":
            items = "scans" if slices.are_cubes else "slices"
            part[rows] = _deal(len(rows), settings, rng, f"{items} in class {name}")
            continue
        subjects, of_row = np.unique(slices.subject[rows], return_inverse=True)
        if settings.mode == "kfold":
            dealt = _deal_fold(len(subjects), settings, rng, name)
        else:
            dealt = _deal(len(subjects), settings, rng, f"subjects in class {name}")
        part[rows] = dealt[of_row]
    if settings.mode != "slice":
        _keep_subjects_together(slices.subject, part)
    return Split(part, label)


def split_again(slices: SliceSet, settings: SplitSettings, seed: int, kept: Path) -> Split:
    """Return the split of an earlier run, whose ``split.csv`` is ``kept``.

    A drawn split is drawn again; one that came from a file is read from ``kept``, since
    that file may have moved or changed.

    Raises
    ------
    CohortError
        As :func:`split_slices`.
    """
    if settings.split_file:
        settings = replace(settings, split_file=str(kept))
    return split_slices(slices, settings, seed)


def split_name(settings: SplitSettings) -> str:
    """Return how slices are split: subject, slice, kfold, or file."""
    return "file" if settings.split_file else settings.mode


def split_words(
    settings: SplitSettings, seed: int, *, by: str = "", item: Literal["slice", "scan"] = "slice"
) -> str:
    """Say in words how slices are split: ``by subject 5:2:3, seed 0``.

    ``by`` (subject or slice) is how a split file turned out to go, see :func:`split_by`;
    empty where it was not read yet. ``item`` is what a network sees at once: a slice, or a
    whole scan as a cube.
    """
    by = item if by == "slice" else by
    control = ", labels shuffled" if settings.shuffled_labels else ""
    if settings.split_file:
        how = f"by {by}, " if by else ""
        return f"{how}from file {Path(settings.split_file).name}{control}"
    if settings.mode == "kfold":
        how = f"by subject, test fold {settings.fold} of {settings.folds}"
    else:
        shares = (settings.train_share, settings.validation_share, settings.test_share)
        what = item if settings.mode == "slice" else settings.mode
        how = f"by {what} " + ":".join(f"{share:g}" for share in shares)
    return f"{how}, seed {seed}{control}"


def split_by(slices: SliceSet, split: Split) -> str:
    """Return ``subject`` where each subject is in one part, else ``slice``."""
    subjects, number = np.unique(slices.subject, return_inverse=True)
    of_part = np.array([PARTS.index(name) for name in split.part.tolist()], dtype=np.int64)
    pairs = np.unique(number * len(PARTS) + of_part)
    return "subject" if len(pairs) == len(subjects) else "slice"


def split_file_record(settings: SplitSettings) -> dict[str, str] | None:
    """Return name and SHA-256 of the split file, without the folder it lies in; None without one.

    Raises
    ------
    CohortError
        If it cannot be read.
    """
    if not settings.split_file:
        return None
    path = Path(settings.split_file)
    return {"name": path.name, "sha256": hashlib.sha256(_read_bytes(path)).hexdigest()}


def write_split_file(path: Path, slices: SliceSet, split: Split) -> None:
    """Write the part of every slice as CSV, to be read again by :func:`read_split_file`."""
    rows = zip(
        slices.subject,
        slices.session,
        slices.scan,
        slices.number,
        (slices.classes[k] for k in split.label),
        split.part,
        strict=True,
    )
    text_file.write_csv(path, SPLIT_COLUMNS, rows)


def write_subject_split(path: Path, slices: SliceSet, split: Split) -> None:
    """Write the part of every subject as CSV: it fits whichever slices are cut of them."""
    _, first = np.unique(slices.subject, return_index=True)
    rows = [
        (slices.subject[i], slices.classes[slices.label[i]], split.part[i]) for i in first.tolist()
    ]
    text_file.write_csv(path, ("subject", "label", "part"), rows)


def numbers_in_split_file(path: Path) -> dict[str, list[int]]:
    """Return the slices that a split file has of each scan; none where it goes by subject.

    Raises
    ------
    CohortError
        If it is no split file or cannot be read.
    """
    rows = _read_rows(path)
    numbers: dict[str, list[int]] = {}
    if "scan" in rows[0] and "slice" in rows[0]:
        for row in rows:
            number = _slice_number(row["slice"])
            if number.isdecimal():
                numbers.setdefault(_plain(row["scan"]), []).append(int(number))
    return {scan: sorted(set(of_scan)) for scan, of_scan in numbers.items()}


def read_split_file(path: Path, slices: SliceSet) -> Split:
    """Read which part each slice belongs to; labels are those of the cohort.

    The table has a column part and the column subject, or the columns scan and slice too
    (as ``split.csv`` of a run has); session is optional. Rows that fit no slice of the
    cohort are told in ``notices``.

    Raises
    ------
    CohortError
        If it cannot be read, lacks a column, names an unknown part, contradicts itself,
        leaves a slice of the cohort out, or leaves a part empty.
    """
    rows = _read_rows(path)
    is_by_slice = "scan" in rows[0] and "slice" in rows[0]
    wanted = ("subject", "session", "scan", "slice") if is_by_slice else ("subject", "session")
    columns = [name for name in wanted if name in rows[0]]
    part_of = _parts_by_key(path, rows, columns)
    of_slice = list(zip(*(_column(slices, name) for name in columns), strict=True))
    parts = [part_of.get(key) for key in of_slice]
    missing = [key for key, part in zip(of_slice, parts, strict=True) if part is None]
    unknown = sorted(set(part_of) - set(of_slice))
    unfit = (
        *(_unfit("missing", columns, key) for key in dict.fromkeys(missing)),
        *(_unfit("unknown", columns, key, part_of[key]) for key in unknown),
    )
    if missing:
        raise SplitFileError(
            f"'{path.name}' leaves out {len(missing)} of {len(slices)} slices of the cohort: "
            f"{_some(_in_words(columns, missing))}. Add their rows, or exclude them from "
            "the cohort.",
            unfit,
        )
    if empty := [part for part in PARTS if part not in parts]:
        raise SplitFileError(
            f"'{path.name}' puts no slice of this cohort into {' and '.join(empty)}. "
            "Give each part some rows.",
            unfit,
        )
    notices: tuple[str, ...] = ()
    if unknown:
        notices = (
            f"'{path.name}' has {len(unknown)} rows that fit no slice of the cohort and were "
            f"passed over: {_some(_in_words(columns, unknown))}.",
        )
    return Split(np.array(parts, dtype="<U10"), slices.label.copy(), notices, unfit)


def read_split_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a split file as they are, by column; cells without their apostrophes.

    Raises
    ------
    CohortError
        If it cannot be read or is no split file.
    """
    return [{name: _plain(cell) for name, cell in row.items()} for row in _read_rows(path)]


_Key = tuple[str, ...]


def _column(slices: SliceSet, name: str) -> list[str]:
    """Return one column as a file has it: cells that look like formulas are written changed."""
    values = slices.number if name == "slice" else getattr(slices, name)
    return [_plain(str(value)) for value in values.tolist()]


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") else cell


def _parts_by_key(
    path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]
) -> dict[_Key, str]:
    part_of: dict[_Key, str] = {}
    for line, row in enumerate(rows, start=2):
        said = row["part"].strip()
        part = _PART_NAMES.get(said.lower())
        if part is None:
            raise CohortError(
                f"Line {line} of '{path.name}' has the part '{said}'. Give one of: "
                f"{', '.join(PARTS)}."
            )
        key = tuple(
            _slice_number(row[name]) if name == "slice" else _plain(row[name]) for name in columns
        )
        if part_of.setdefault(key, part) != part:
            raise CohortError(
                f"'{path.name}' puts {_in_words(columns, [key])[0]} into two parts, "
                f"{part_of[key]} and {part}. Correct one of the rows."
            )
    return part_of


def _slice_number(cell: str) -> str:
    # A spreadsheet writes 004 as 4 or 4.0.
    text = _plain(cell)
    try:
        return str(int(float(text))) if float(text).is_integer() else text
    except (ValueError, OverflowError):
        return text


def _in_words(columns: Sequence[str], keys: Iterable[_Key]) -> list[str]:
    """Name slices, or subjects where the file goes by subject, each once."""

    def name(key: _Key) -> str:
        of = dict(zip(columns, key, strict=True))
        if "slice" in of:
            return f"slice {of['slice']} of {of['scan']}"
        session = of.get("session", "")
        return f"subject {of['subject']}" + (f" session {session}" if session else "")

    return list(dict.fromkeys(map(name, keys)))


def _unfit(fault: str, columns: Sequence[str], key: _Key, part: str = "") -> UnfitRow:
    return UnfitRow(fault, **dict(zip(columns, key, strict=True)), part=part)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _read_rows(path: Path) -> list[dict[str, str]]:
    data = _read_bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    text = text.lstrip()
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    try:
        if "\0" in text:
            raise csv.Error
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise CohortError(
            f"'{path.name}' is damaged or no table of text. Export it again as CSV."
        ) from error
    names = [name.strip().lower() for name in table[0]] if table else []
    for wanted in ("subject", "part"):
        if wanted not in names:
            raise CohortError(
                f"The split file '{path.name}' has no column '{wanted}'. It needs the columns "
                "subject and part, or subject, scan, slice and part. Add it."
            )
    rows = [[*row, *[""] * len(names)] for row in table[1:] if any(cell.strip() for cell in row)]
    if not rows:
        raise CohortError(f"The split file '{path.name}' has no rows. Add one for each subject.")
    return [dict(zip(names, row, strict=False)) for row in rows]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CohortError(
            f"The split file '{path.name}' cannot be read: {error.strerror}. Choose another one."
        ) from error


def part_sizes(n: int, settings: SplitSettings) -> tuple[int, int, int]:
    """Return how many of ``n`` go to train, validation and test, by largest remainder.

    28 subjects at 5:2:3 give 14, 6 and 8; 840 slices give 420, 168 and 252 (P1 Table 1).
    Every part gets at least one where ``n`` is 3 or more.
    """
    shares = np.array([settings.train_share, settings.validation_share, settings.test_share])
    exact = n * shares / shares.sum()
    sizes = np.floor(exact + 1e-9).astype(int)
    for i in np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]:
        sizes[i] += 1
    if n >= 3:
        while sizes.min() == 0:
            sizes[sizes.argmax()] -= 1
            sizes[sizes.argmin()] += 1
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def shuffle_labels(slices: SliceSet, seed: int) -> NDArray[np.int64]:
    """Return labels (n,) where the classes were dealt anew among the subjects.

    All slices of a subject keep one class and the classes keep their numbers of
    subjects, so that chance is what it was: the control of Yagis et al. (2021).
    """
    subjects, first, of_row = np.unique(slices.subject, return_index=True, return_inverse=True)
    labels = slices.label[first]
    del subjects
    dealt: NDArray[np.int64] = np.random.default_rng([seed, 99]).permutation(labels)[of_row]
    return dealt


def _deal(n: int, settings: SplitSettings, rng: np.random.Generator, what: str) -> NDArray[np.str_]:
    if n < 3:
        raise CohortError(
            f"There are only {n} {what}; three parts need at least 3. Add scans, "
            "or leave the class out."
        )
    parts = np.repeat(np.array(PARTS), part_sizes(n, settings))
    return rng.permutation(parts)


def _deal_fold(
    n: int, settings: SplitSettings, rng: np.random.Generator, name: str
) -> NDArray[np.str_]:
    if n < settings.folds:
        raise CohortError(
            f"Class {name} has {n} subjects, fewer than {settings.folds} folds. Take fewer folds."
        )
    fold = rng.permutation(np.arange(n) % settings.folds) + 1
    part = np.full(n, "train", dtype="<U10")
    part[fold == settings.fold] = "test"
    part[fold == settings.fold % settings.folds + 1] = "validation"
    return part


def _keep_subjects_together(subject: NDArray[np.str_], part: NDArray[np.str_]) -> None:
    """Put a subject that has scans in two classes into one part, that of its first slice."""
    _, first, of_row = np.unique(subject, return_index=True, return_inverse=True)
    part[:] = part[first][of_row]
