"""Keep the slices of a cohort in one memory-mapped array, built scan by scan and resumed.

Everything here may be deleted at any time: it is then cut again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core import array_file, atomic_file, text_file
from core.array_file import ArrayFileError
from core.config import CubeSettings, Cut
from core.data.cohort import Cohort, Scan
from core.data.cubes import cut_scan, require_volumes
from core.data.labels import some
from core.data.scan_files import is_changed
from core.data.slices import SliceSet
from core.errors import CohortError, ScanChangedError, ScanError
from core.progress import Notice, Operation, Progress

CACHE_VERSION = 4
# Of the scans of a cohort; with more of them changed, a training would be of another cohort.
MOST_CHANGED = 0.05
# Two scans at a time: a whole-head scan takes up to 200 MB while it is turned and cut.
WORKERS = 2
_SECONDS_OF_A_DAY = 86_400.0
_INDEX_COLUMNS = ("label", "subject", "session", "scan", "number")
# What the pixels of a scan do not depend on.
_WITHOUT_EFFECT = ("subject", "session", "label", "warnings", "included", "datatype", "stamps")
_Row: TypeAlias = tuple[int, str, str, str, int]


def cache_key(cohort: Cohort, settings: Cut) -> str:
    """Return the name of the cache of this content cut with these settings."""
    scans = [
        (scan.label, scan.subject, scan.session, _scan_key(scan, settings))
        for scan in cohort.included_scans
    ]
    return _short_hash([CACHE_VERSION, cohort.classes, scans])


def _scan_key(scan: Scan, settings: Cut) -> str:
    record = {name: value for name, value in vars(scan).items() if name not in _WITHOUT_EFFECT}
    return _short_hash([CACHE_VERSION, record, asdict(settings)])


def _short_hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def prepare_slices(
    cohort: Cohort,
    cohort_folder: Path,
    settings: Cut,
    *,
    most_changed: float = 1.0,
) -> Operation[SliceSet]:
    """Return all slices of the cohort's included scans, from the cache where it holds them.

    Scans are cut a few at a time; those done are kept when the operation is closed and
    need not be cut again. The result does not depend on how many are cut at once. A scan
    that cannot be read, or has changed since it was scanned, is left out and said in a
    :class:`Notice`; the others go on. Slices in the cache are those of the scans as they were
    scanned; a Notice says where a file is another one now.

    Parameters
    ----------
    cohort : Cohort
    cohort_folder : Path
        Where it is stored.
    settings : SliceSettings or CubeSettings
        With the latter the set holds one cube a scan.
    most_changed : float
        Share of the scans, 0..1, that may have changed or gone since the cohort was scanned.

    Raises
    ------
    CohortError
        If no scan could be read, too many have changed, the slices cannot be stored, or
        cubes are asked of ready-made slices.
    """
    require_volumes(cohort, settings)
    store = cohort_folder / "slices"
    folder = store / cache_key(cohort, settings)
    ready = _open_cache(folder, cohort.classes)
    if ready is not None:
        yield Progress("Slices are ready", 1, 1)
        yield from _tell_changed(cohort)
        return ready
    try:
        return (yield from _build_cache(cohort, store, folder, settings, most_changed))
    except OSError as error:
        raise CohortError(
            f"The slices cannot be stored in '{store}': {error.strerror}. Free space "
            "there, or store the cohort elsewhere."
        ) from error


def ready_slices(cohort: Cohort, cohort_folder: Path, settings: Cut) -> SliceSet | None:
    """Return all slices where the cache holds them already; None where they must be cut."""
    folder = cohort_folder / "slices" / cache_key(cohort, settings)
    return _open_cache(folder, cohort.classes)


@dataclass(frozen=True)
class _Piece:
    """The stored slices of one scan: their file and the numbers of the slices."""

    scan: Scan
    path: Path
    numbers: NDArray[np.int64]


def _tell_changed(cohort: Cohort) -> Operation[None]:
    changed = [scan.key for scan in cohort.included_scans if is_changed(cohort, scan)]
    if changed:
        yield Notice(
            f"{len(changed)} scans have changed since they were scanned ({some(changed)}); their "
            "slices of before are used. Scan the folder again to take the changes in."
        )


def _build_cache(
    cohort: Cohort, store: Path, folder: Path, settings: Cut, most_changed: float
) -> Operation[SliceSet]:
    for place in (store / "scans", folder):
        # Slices of scans that a killed program was writing; another may be at work here now.
        atomic_file.remove_leftovers(place, older_than=_SECONDS_OF_A_DAY)
    pieces, changed = yield from _cut_scans(cohort, store / "scans", settings)
    if not pieces:
        raise CohortError("No scan of the cohort could be read. Check that its folder is there.")
    _require_few(changed, len(cohort.included_scans), most_changed)
    rows = [
        (
            cohort.classes.index(piece.scan.label),
            piece.scan.subject,
            piece.scan.session,
            piece.scan.key,
            int(number),
        )
        for piece in pieces
        for number in piece.numbers
    ]
    # Without an index a cache is not taken for complete: it is written last, and not at all
    # where scans are missing, so that a mended file is read next time.
    (folder / "index.json").unlink(missing_ok=True)
    yield from _join_pieces(cohort, pieces, settings, folder / "pixels.npy")
    if len(pieces) == len(cohort.included_scans):
        columns = zip(*rows, strict=True)
        text_file.write_json(folder / "index.json", dict(zip(_INDEX_COLUMNS, columns, strict=True)))
        for piece in pieces:
            piece.path.unlink(missing_ok=True)
    return _slice_set(array_file.map_array(folder / "pixels.npy"), rows, cohort.classes)


def _require_few(changed: Sequence[Scan], n_scans: int, most_changed: float) -> None:
    if len(changed) > most_changed * n_scans:
        raise CohortError(
            f"{len(changed)} of {n_scans} scans have changed or gone since they were scanned "
            f"({some([scan.files[0] for scan in changed])}). Scan the folder again, or bring the "
            "files back."
        )


def _cut_scans(
    cohort: Cohort, store: Path, settings: Cut
) -> Operation[tuple[list[_Piece], list[Scan]]]:
    """Cut every scan into a file of its own, as far as can be.

    Return the pieces, in the cohort's order, and the scans that have changed.

    Threads, not processes: unpacking, reading and resampling let go of the interpreter,
    and a frozen application starts no second one.
    """
    scans = cohort.included_scans
    workers = max(1, min(WORKERS, os.cpu_count() or 1, len(scans)))
    pieces: list[_Piece] = []
    changed: list[Scan] = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="slices")
    what = "Making cubes" if isinstance(settings, CubeSettings) else "Cutting slices"
    try:
        # Few ahead: a stop waits for those at work only, and nothing piles up in memory.
        running: deque[Future[_Piece]] = deque()
        waiting = deque(scans)
        for done, scan in enumerate(scans):
            while waiting and len(running) < 2 * workers:
                running.append(pool.submit(_cut_one, cohort, waiting.popleft(), store, settings))
            future = running.popleft()
            yield Progress(what, done, len(scans))
            while not wait((future,), timeout=0.1).done:
                yield Progress(what, done, len(scans))
            try:
                pieces.append(future.result())
            except ScanError as error:
                if isinstance(error, ScanChangedError):
                    changed.append(scan)
                yield Notice(f"{error} Scan {scan.key} was left out.")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return pieces, changed


def _cut_one(cohort: Cohort, scan: Scan, store: Path, settings: Cut) -> _Piece:
    path = store / f"{_scan_key(scan, settings)}.npz"
    stored = _read_piece(path, settings)
    # What is stored of a file that has gone is all there is of it; an edited one is told below.
    if stored is not None and not is_changed(cohort, scan):
        return _Piece(scan, path, stored[1])
    cut = cut_scan(cohort, scan, settings)
    with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
        array_file.write_arrays(file, {"pixels": cut.pixels, "numbers": cut.numbers})
    return _Piece(scan, path, cut.numbers)


def _read_piece(path: Path, settings: Cut) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """Return the pixels and numbers of a stored scan; None if it is not there or damaged."""
    try:
        pixels, numbers = array_file.read_arrays(path, ("pixels", "numbers"))
    except (OSError, ArrayFileError):
        return None
    fits = pixels.dtype == np.uint8 and pixels.shape == (len(numbers), *_item_shape(settings))
    return (pixels, numbers) if fits else None


def _item_shape(settings: Cut) -> tuple[int, ...]:
    return (settings.size,) * (3 if isinstance(settings, CubeSettings) else 2)


def _join_pieces(
    cohort: Cohort, pieces: Sequence[_Piece], settings: Cut, path: Path
) -> Operation[None]:
    """Write one array of all pieces; a single scan at a time is in memory."""
    shape = (sum(len(piece.numbers) for piece in pieces), *_item_shape(settings))
    with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
        array_file.write_head(file, np.dtype(np.uint8), shape)
        for done, piece in enumerate(pieces):
            if done % 20 == 0:
                yield Progress("Storing slices", done, len(pieces))
            file.write(_pixels_of(cohort, piece, settings).data)


def _pixels_of(cohort: Cohort, piece: _Piece, settings: Cut) -> NDArray[np.uint8]:
    stored = _read_piece(piece.path, settings)
    if stored is not None and len(stored[1]) == len(piece.numbers):
        return np.ascontiguousarray(stored[0])
    # Somebody emptied the cache while it was built.
    return cut_scan(cohort, piece.scan, settings).pixels


def _open_cache(folder: Path, classes: tuple[str, ...]) -> SliceSet | None:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        pixels = array_file.map_array(folder / "pixels.npy")
        rows = list(zip(*(index[name] for name in _INDEX_COLUMNS), strict=True))
        slices = _slice_set(pixels, rows, classes)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = pixels.ndim in (3, 4) and pixels.dtype == np.uint8 and len(rows) == len(pixels)
    return slices if fits and slices.label.max() < len(classes) else None


def _slice_set(
    pixels: NDArray[np.uint8],
    rows: Sequence[_Row],
    classes: tuple[str, ...],
) -> SliceSet:
    label, subject, session, scan, number = zip(*rows, strict=True)
    return SliceSet(
        pixels=pixels,
        label=np.array(label, dtype=np.int64),
        subject=np.array(subject, dtype=str),
        session=np.array(session, dtype=str),
        scan=np.array(scan, dtype=str),
        number=np.array(number, dtype=np.int64),
        classes=classes,
    )
