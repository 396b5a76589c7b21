"""What is doubtful about a cohort as a whole: twins, contradictions, odd ones out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.data.cohort import Cohort, Scan, order_classes, twin_scans
from core.data.findings import Finding, code_of, counted
from core.data.labels import LabelTable, is_formula, some
from core.data.scan_files import hash_scan
from core.data.twins import hash_alike, sample_volumes
from core.data.volume import VolumeHeader
from core.progress import Operation, Progress

_NAMED_SUBJECTS = 3
# Reasons for leaving a file out that are no fault of a scan.
_HARMLESS = ("not_a_scan", "not_taken", "looks_like_mask", "label_missing", "row_missing")
_UNBALANCED_FROM = 3.0
_FEW_SUBJECTS = 3
# A share of voxels or a size in mm that no two scans of one protocol differ by.
_SAME_SPACING = 0.05
_ODD_INTENSITY = 30.0
# A property that tells the class of so many scans tells the scanner, not the disease.
_SEPARATES_FROM, _SEPARATES_SCANS = 0.9, 8
# Letters of a stored axis by the axis of RAS+ along which it runs.
_AXES = ("LR", "PA", "IS")


@dataclass(frozen=True)
class ScanFacts:
    """What was seen while scanning that the scans themselves do not say.

    Attributes
    ----------
    spellings_of : dict of set of str
        Spellings that were taken as one class.
    table : LabelTable, optional
        Table that gave the classes; ``used_rows`` are its names that a scan has.
    empty_folders : tuple of str
        Folders beside the class folders that hold no scan.
    headers : dict of VolumeHeader
        Of the volumes, by file: they need not be read once more.
    """

    spellings_of: Mapping[str, set[str]] = field(default_factory=dict)
    table: LabelTable | None = None
    used_rows: frozenset[str] = frozenset()
    empty_folders: tuple[str, ...] = ()
    headers: Mapping[str, VolumeHeader] = field(default_factory=dict)


def check_cohort(
    cohort: Cohort, facts: ScanFacts | None = None, *, all_voxels: bool = False
) -> Operation[Cohort]:
    """Return the cohort with what is doubtful about its scans together, the gravest first.

    Parameters
    ----------
    cohort : Cohort
        Its included scans are checked.
    facts : ScanFacts, optional
        What was seen while scanning; without it those findings stay as they are.
    all_voxels : bool
        Compare the voxels of all scans, however long it takes; otherwise only as far as
        little has to be read (see `core.data.twins`). Every file is then also compared with
        its hash.
    """
    found: list[str] = []
    if all_voxels:
        found += yield from _changed_scans(cohort)
    headers = facts.headers if facts else {}
    samples = yield from sample_volumes(cohort, headers, without_limit=all_voxels)
    cohort = yield from hash_alike(cohort, samples)
    bright = {key: sample.bright for key, sample in samples.items()}
    found += [*_findings(cohort), *_odd_intensity(cohort.included_scans, bright)]
    if facts is None:
        found += [item for item in cohort.warnings if code_of(item) not in _REPEATABLE]
    else:
        found += [*_from_scanning(cohort, facts)]
    return replace(cohort, warnings=tuple(sorted(found, key=_gravity)))


def refreshed(cohort: Cohort) -> Cohort:
    """Return the cohort with its findings made anew after an edit, without reading a file."""
    kept = [item for item in cohort.warnings if code_of(item) not in _REPEATABLE]
    kept += [item for item in cohort.warnings if code_of(item) in _FROM_FILES]
    return replace(cohort, warnings=tuple(sorted([*_findings(cohort), *kept], key=_gravity)))


def take_over(checked: Cohort, cohort: Cohort) -> Cohort:
    """Return ``cohort``, edited meanwhile, with what was read of its files for ``checked``."""
    hashes = {scan.key: scan.voxels_sha256 for scan in checked.scans}
    scans = tuple(
        replace(scan, voxels_sha256=hashes.get(scan.key, scan.voxels_sha256))
        for scan in cohort.scans
    )
    kept = [item for item in cohort.warnings if code_of(item) not in _FROM_FILES]
    kept += [item for item in checked.warnings if code_of(item) in _FROM_FILES]
    return refreshed(replace(cohort, scans=scans, warnings=tuple(kept)))


def _changed_scans(cohort: Cohort) -> Operation[list[Finding]]:
    changed = []
    scans = [scan for scan in cohort.included_scans if scan.sha256]
    for done, scan in enumerate(scans):
        yield Progress("Reading the files", done, len(scans))
        try:
            is_same = hash_scan(cohort.root, scan.files) == scan.sha256
        except OSError:
            is_same = False
        if not is_same:
            changed.append(scan.files[0])
    if not changed:
        return []
    text = (
        f"{counted(len(changed), 'scan')} changed or went away after the scanning "
        f"({some(changed)}). Scan the folder again."
    )
    return [Finding(text, "scan_changed")]


# Findings that a stored cohort gives again, the gravest first; others come from scanning.
_REPEATABLE = (
    "scan_changed",
    "subject_in_two_classes",
    "same_scan_in_two",
    "single_class",
    "duplicate_scan",
    "subject_unknown",
    "few_subjects",
    "unbalanced",
    "scanner_separates",
    "odd_intensity",
    "mixed_sizes",
    "mixed_spacing",
    "mixed_orientation",
    "repeat_visits",
    "formula",
)


# Those of them that need the files to be read again.
_FROM_FILES = ("scan_changed", "odd_intensity")


def _gravity(item: str) -> int:
    code = code_of(item)
    return _REPEATABLE.index(code) if code in _REPEATABLE else _REPEATABLE.index("unbalanced")


def _findings(cohort: Cohort) -> Iterable[Finding]:
    scans = cohort.included_scans
    yield from _two_classes(scans)
    yield from _twin_findings(scans)
    yield from _unknown_subjects(scans)
    yield from _sizes_of_classes(cohort)
    yield from _odd_ones(scans)
    yield from _separating(scans)
    yield from _repeat_visits(scans)
    yield from _formulas(cohort)


def _from_scanning(cohort: Cohort, facts: ScanFacts) -> Iterable[Finding]:
    yield from _spellings(facts.spellings_of)
    yield from _empty_classes(facts.empty_folders)
    yield from _table_findings(facts, cohort)
    yield from _left_out(cohort)


def _spellings(spellings_of: Mapping[str, set[str]]) -> Iterable[Finding]:
    for label, spellings in spellings_of.items():
        if len(spellings) > 1:
            yield Finding(
                f"{' and '.join(sorted(spellings))} were taken as one class, {label}. Rename one "
                "of them if they are two.",
                "labels_merged",
            )


def _two_classes(scans: Sequence[Scan]) -> Iterable[Finding]:
    by_subject: dict[str, set[str]] = defaultdict(set)
    for scan in scans:
        by_subject[scan.subject].add(scan.label)
    in_two = [subject for subject, labels in sorted(by_subject.items()) if len(labels) > 1]
    for subject in in_two[:_NAMED_SUBJECTS]:
        labels = by_subject[subject]
        yield Finding(
            f"Subject {subject} is in {len(labels)} classes "
            f"({', '.join(order_classes(labels))}). Correct its class or leave "
            "one scan out.",
            "subject_in_two_classes",
        )
    if len(in_two) > _NAMED_SUBJECTS:
        yield Finding(
            f"So are {len(in_two) - _NAMED_SUBJECTS} more subjects.", "subject_in_two_classes"
        )


def _twin_findings(scans: Sequence[Scan]) -> Iterable[Finding]:
    for twins in twin_scans(scans):
        if len({scan.label for scan in twins}) > 1:
            # Of each class the first, so that both are named where there are many.
            firsts = list({scan.label: scan for scan in reversed(twins)}.values())[::-1]
            ordered = [*firsts, *(scan for scan in twins if scan not in firsts)]
            places = [f"{scan.files[0]} ({scan.label})" for scan in ordered]
            yield Finding(
                f"{_joined(places)} are the same scan in two classes. {_leave_out(twins)}",
                "same_scan_in_two",
            )
        else:
            yield Finding(
                f"{_joined([scan.key for scan in twins])} are the same scan. {_leave_out(twins)}",
                "duplicate_scan",
            )


def _leave_out(twins: Sequence[Scan]) -> str:
    return "Leave one out." if len(twins) == 2 else "Leave all but one out."


def _joined(names: Sequence[str]) -> str:
    if len(names) > _NAMED_SUBJECTS:
        return some(names)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _unknown_subjects(scans: Sequence[Scan]) -> Iterable[Finding]:
    pictures = [scan for scan in scans if scan.kind == "slices"]
    single = [scan for scan in pictures if len(scan.files) == 1]
    # Numbered pictures of unknown persons look like this: each would be a subject of its own
    # and slices of one person would stand on both sides of a split.
    if len(single) >= 2 and 2 * len(single) > len(pictures):
        yield Finding(
            f"{len(single)} subjects have one picture only, such as '{single[0].files[0]}': the "
            "names may not tell the subject, and then a split by subject leaks. Put the pictures "
            "of each subject into a folder of its own, or set a subject pattern.",
            "subject_unknown",
        )


def _empty_classes(folders: Sequence[str]) -> Iterable[Finding]:
    for folder in folders:
        yield Finding(
            f"Folder '{folder}' holds no scan, so there is no class of that name. "
            "Put its scans there, or take it away.",
            "empty_class",
        )


def _sizes_of_classes(cohort: Cohort) -> Iterable[Finding]:
    counts = {label: count["subjects"] for label, count in cohort.counts().items()}
    subjects = {label: count for label, count in counts.items() if count}
    said = ", ".join(f"{label} {count}" for label, count in subjects.items())
    if len(subjects) == 1:
        yield Finding(
            f"There is one class only ({said}); two are needed to train. Add the folder of "
            "another class.",
            "single_class",
        )
        return
    small = [label for label, count in subjects.items() if count < _FEW_SUBJECTS]
    if small:
        yield Finding(
            f"Too few subjects for training, validation and test parts: {said}. Add scans, or "
            f"leave {' and '.join(small)} out.",
            "few_subjects",
        )
    if subjects and max(subjects.values()) >= _UNBALANCED_FROM * min(subjects.values()):
        yield Finding(
            f"The classes are of very different size (subjects: {said}). Look at the balanced "
            "accuracy, as always naming the large class would already be right often; or leave "
            "scans out.",
            "unbalanced",
        )


def _table_findings(facts: ScanFacts, cohort: Cohort) -> Iterable[Finding]:
    table = facts.table
    if table is None:
        return
    for item in table.warnings:
        yield Finding(str(item), code_of(item))
    rows = table.unused(facts.used_rows)
    files = [item.file for item in cohort.skipped if code_of(item.reason) == "row_missing"]
    if rows and files:
        yield Finding(
            f"{counted(len(rows), 'row')} of '{table.name}' without a scan ({some(rows)}), and "
            f"{counted(len(files), 'scan')} without a row ({some(files)}). A spreadsheet may have "
            "changed names such as 001 or 1-2-23 into numbers or dates. Correct the column "
            "there, as text.",
            "ids_unmatched",
        )
    elif rows:
        yield Finding(
            f"No scan is here of {counted(len(rows), 'subject')} of '{table.name}' "
            f"({some(rows)}). Add the scans, if these should take part.",
            "rows_without_scan",
        )


def _odd_ones(scans: Sequence[Scan]) -> Iterable[Finding]:
    volumes = [scan for scan in scans if scan.kind != "slices"]
    pictures = [scan for scan in scans if scan.kind == "slices"]
    for group, unit in ((volumes, "voxels"), (pictures, "pixels")):
        yield from _odd(
            group,
            _turned_shape,
            lambda shape, unit=unit: f"{' x '.join(map(str, shape))} {unit}",
            "mixed_sizes",
        )
    yield from _odd(
        volumes,
        _spacing_of,
        lambda steps: " x ".join(f"{step * _SAME_SPACING:.3g}" for step in steps) + " mm",
        "mixed_spacing",
    )
    yield from _odd(
        [scan for scan in volumes if scan.orientation],
        lambda scan: scan.orientation,
        lambda letters: f"stored as {letters}",
        "mixed_orientation",
    )


def _odd(
    scans: Sequence[Scan],
    of: Callable[[Scan], object],
    words: Callable[..., str],
    code: str,
) -> Iterable[Finding]:
    counts = Counter(of(scan) for scan in scans)
    if len(counts) < 2:
        return
    usual = counts.most_common(1)[0][0]
    odd = [scan for scan in scans if of(scan) != usual]
    seen = ", ".join(f"{scan.key} ({words(of(scan))})" for scan in odd[:_NAMED_SUBJECTS])
    more = f" and {len(odd) - _NAMED_SUBJECTS} more" if len(odd) > _NAMED_SUBJECTS else ""
    remedy = {
        "mixed_sizes": "All are brought to one size; look at them before you train.",
        "mixed_spacing": "Slices are made in mm, so this may be right; check it.",
        "mixed_orientation": "All are turned the same way; check left and right in the viewer.",
    }[code]
    yield Finding(
        f"{len(odd)} of {len(scans)} scans {'differs' if len(odd) == 1 else 'differ'} from the "
        f"others ({words(usual)}): {seen}{more}. {remedy}",
        code,
    )


def _odd_intensity(scans: Sequence[Scan], bright: Mapping[str, float]) -> Iterable[Finding]:
    """Find scans whose brightest values, in arbitrary units, are far off the others'."""
    bright = {key: value for key, value in bright.items() if value > 0}
    if len(bright) < 3:
        return
    usual = sorted(bright.values())[len(bright) // 2]
    odd = [
        scan.key
        for scan in scans
        if scan.key in bright and not 1 / _ODD_INTENSITY < bright[scan.key] / usual < _ODD_INTENSITY
    ]
    # Arbitrary units differ between scanners; one scan far off was stored otherwise.
    if odd and 4 * len(odd) <= len(bright):
        yield Finding(
            f"{some(odd)}: the brightness is over {_ODD_INTENSITY:.0f} times off that of the other "
            "scans. Check whether it was stored or scaled in another way, or leave it out.",
            "odd_intensity",
        )


def _separating(scans: Sequence[Scan]) -> Iterable[Finding]:
    volumes = [scan for scan in scans if scan.kind != "slices"]
    pictures = [scan for scan in scans if scan.kind == "slices"]
    yield from _separating_among(
        volumes,
        (
            (_spacing_of, "voxel size"),
            (_turned_shape, "number of voxels"),
            (lambda scan: scan.datatype, "kind of number"),
            (lambda scan: scan.orientation, "orientation of storage"),
        ),
    )
    yield from _separating_among(
        pictures,
        (
            (lambda scan: scan.shape, "number of pixels"),
            (lambda scan: scan.datatype, "kind of number"),
        ),
    )


def _separating_among(
    scans: Sequence[Scan], properties: Iterable[tuple[Callable[[Scan], object], str]]
) -> Iterable[Finding]:
    if len(scans) < _SEPARATES_SCANS:
        return
    usual = Counter(scan.label for scan in scans).most_common(1)[0][1] / len(scans)
    found: dict[str, float] = {}
    for of, words in properties:
        told = defaultdict[object, Counter[str]](Counter)
        for scan in scans:
            told[of(scan)][scan.label] += 1
        # As many groups as scans would tell any class.
        if not 1 < len(told) <= len(scans) / 3:
            continue
        share = sum(max(counter.values()) for counter in told.values()) / len(scans)
        if share > _SEPARATES_FROM and share > usual:
            found[words] = share
    if found:
        words, share = max(found.items(), key=lambda item: item[1])
        others = [other for other in found if other != words]
        more = f" (so do: {', '.join(others)})" if others else ""
        yield Finding(
            f"The {words} alone tells the class of {share:.0%} of the scans{more}: a network can "
            "learn the scanner, not the disease. Take scans of the same protocol in all "
            "classes.",
            "scanner_separates",
        )


def _spacing_of(scan: Scan) -> tuple[int, ...]:
    return tuple(round(size / _SAME_SPACING) for size in _turned(scan, scan.spacing_mm))


def _turned_shape(scan: Scan) -> tuple[float, ...]:
    return _turned(scan, scan.shape)


def _turned(scan: Scan, values: Sequence[float]) -> tuple[float, ...]:
    """Return a value a stored axis in the order of RAS+, where the axes are known."""
    axes = [
        next((i for i, ends in enumerate(_AXES) if end in ends), -1) for end in scan.orientation
    ]
    if sorted(axes) != [0, 1, 2]:
        return tuple(values)
    return tuple(values[axes.index(axis)] for axis in range(3))


def _repeat_visits(scans: Sequence[Scan]) -> Iterable[Finding]:
    counts = Counter(scan.subject for scan in scans)
    labels = defaultdict[str, set[str]](set)
    for scan in scans:
        labels[scan.subject].add(scan.label)
    repeated = sorted(
        subject for subject, count in counts.items() if count > 1 and len(labels[subject]) == 1
    )
    if repeated:
        have = "1 subject has" if len(repeated) == 1 else f"{len(repeated)} subjects have"
        yield Finding(
            f"{have} more than one scan ({some(repeated)}). A split by subject keeps the scans "
            "of a subject in one part; take it.",
            "repeat_visits",
        )


def _left_out(cohort: Cohort) -> Iterable[Finding]:
    masks = [item.file for item in cohort.skipped if code_of(item.reason) == "looks_like_mask"]
    if masks:
        yield Finding(
            f"Left out as masks by their names: {counted(len(masks), 'file')} ({some(masks)}). "
            "Rename them if they are scans.",
            "looks_like_mask",
        )
    faulty = [item for item in cohort.skipped if code_of(item.reason) not in _HARMLESS]
    if faulty:
        yield Finding(
            f"Left out: {counted(len(faulty), 'file')} ({some([item.file for item in faulty])}). "
            f"Look at the list of left-out files; the first reason: {faulty[0].reason}",
            "files_skipped",
        )


def _formulas(cohort: Cohort) -> Iterable[Finding]:
    names = [*cohort.classes, *(scan.subject for scan in cohort.scans)]
    found = [name for name in dict.fromkeys(names) if is_formula(name)]
    if found:
        yield Finding(
            f"In a spreadsheet {counted(len(found), 'name')} of classes or subjects would run as "
            f"a formula ({some(found)}). Tables that this program writes put an apostrophe "
            "before them.",
            "formula",
        )
