"""Keep the slices of a cohort in one memory-mapped array, built scan by scan and resumed.

Everything here may be deleted at any time: it is then cut again.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core import atomic_file, text_file
from core.config import SliceSettings
from core.data.cohort import Cohort, Scan
from core.data.slices import SliceSet, slices_of_scan
from core.errors import CohortError, ScanError
from core.progress import Notice, Operation, Progress

CACHE_VERSION = 3
# Two scans at a time: a whole-head scan takes up to 200 MB while it is turned and cut.
WORKERS = 2
_INDEX_COLUMNS = ("label", "subject", "session", "scan", "number")
# What the pixels of a scan do not depend on.
_WITHOUT_EFFECT = ("subject", "session", "label", "warnings", "included")
_Row: TypeAlias = tuple[int, str, str, str, int]


def cache_key(cohort: Cohort, settings: SliceSettings) -> str:
    """Return the name of the cache of this content cut with these settings."""
    scans = [
        (scan.label, scan.subject, scan.session, _scan_key(scan, settings))
        for scan in cohort.included_scans
    ]
    return _short_hash([CACHE_VERSION, cohort.classes, scans])


def _scan_key(scan: Scan, settings: SliceSettings) -> str:
    record = {name: value for name, value in asdict(scan).items() if name not in _WITHOUT_EFFECT}
    return _short_hash([CACHE_VERSION, record, asdict(settings)])


def _short_hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def prepare_slices(
    cohort: Cohort, cohort_folder: Path, settings: SliceSettings
) -> Operation[SliceSet]:
    """Return all slices of the cohort's included scans, from the cache where it holds them.

    Scans are cut a few at a time; those done are kept when the operation is closed and
    need not be cut again. The result does not depend on how many are cut at once. A scan
    that cannot be read is left out and said in a :class:`Notice`; the others go on.

    Raises
    ------
    CohortError
        If no scan could be read, or the slices cannot be stored.
    """
    store = cohort_folder / "slices"
    folder = store / cache_key(cohort, settings)
    ready = _open_cache(folder, cohort.classes)
    if ready is not None:
        yield Progress("Slices are ready", 1, 1)
        return ready
    try:
        return (yield from _build_cache(cohort, store, folder, settings))
    except OSError as error:
        raise CohortError(
            f"The slices cannot be stored in '{store}': {error.strerror}. Free space "
            "there, or store the cohort elsewhere."
        ) from error


@dataclass(frozen=True)
class _Piece:
    """The stored slices of one scan: their file and the numbers of the slices."""

    scan: Scan
    path: Path
    numbers: NDArray[np.int64]


def _build_cache(
    cohort: Cohort, store: Path, folder: Path, settings: SliceSettings
) -> Operation[SliceSet]:
    pieces = yield from _cut_scans(cohort, store / "scans", settings)
    if not pieces:
        raise CohortError("No scan of the cohort could be read. Check that its folder is there.")
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
    return _slice_set(np.load(folder / "pixels.npy", mmap_mode="r"), rows, cohort.classes)


def _cut_scans(cohort: Cohort, store: Path, settings: SliceSettings) -> Operation[list[_Piece]]:
    """Cut every scan into a file of its own; return those that could be, in the cohort's order.

    Threads, not processes: unpacking, reading and resampling let go of the interpreter,
    and a frozen application starts no second one.
    """
    scans = cohort.included_scans
    workers = max(1, min(WORKERS, os.cpu_count() or 1, len(scans)))
    pieces = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="slices")
    try:
        # Few ahead: a stop waits for those at work only, and nothing piles up in memory.
        running: deque[Future[_Piece]] = deque()
        waiting = deque(scans)
        for done, scan in enumerate(scans):
            while waiting and len(running) < 2 * workers:
                running.append(pool.submit(_cut_one, cohort, waiting.popleft(), store, settings))
            future = running.popleft()
            yield Progress("Cutting slices", done, len(scans))
            while not wait((future,), timeout=0.1).done:
                yield Progress("Cutting slices", done, len(scans))
            try:
                pieces.append(future.result())
            except ScanError as error:
                yield Notice(f"{error} Scan {scan.key} was left out.")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return pieces


def _cut_one(cohort: Cohort, scan: Scan, store: Path, settings: SliceSettings) -> _Piece:
    path = store / f"{_scan_key(scan, settings)}.npz"
    stored = _read_piece(path, settings)
    if stored is not None:
        return _Piece(scan, path, stored[1])
    cut = slices_of_scan(cohort, scan, settings)
    with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, pixels=cut.pixels, numbers=cut.numbers)
    return _Piece(scan, path, cut.numbers)


def _read_piece(
    path: Path, settings: SliceSettings
) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """Return the pixels and numbers of a stored scan; None if it is not there or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            # Reading a member to its end compares its checksum.
            pixels, numbers = stored["pixels"], stored["numbers"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    fits = pixels.dtype == np.uint8 and pixels.shape == (len(numbers), settings.size, settings.size)
    return (pixels, numbers) if fits else None


def _join_pieces(
    cohort: Cohort, pieces: Sequence[_Piece], settings: SliceSettings, path: Path
) -> Operation[None]:
    """Write one array of all pieces; a single scan at a time is in memory."""
    size = settings.size
    shape = (sum(len(piece.numbers) for piece in pieces), size, size)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for done, piece in enumerate(pieces):
            if done % 20 == 0:
                yield Progress("Storing slices", done, len(pieces))
            file.write(_pixels_of(cohort, piece, settings).data)


def _pixels_of(cohort: Cohort, piece: _Piece, settings: SliceSettings) -> NDArray[np.uint8]:
    stored = _read_piece(piece.path, settings)
    if stored is not None and len(stored[1]) == len(piece.numbers):
        return np.ascontiguousarray(stored[0])
    # Somebody emptied the cache while it was built.
    return slices_of_scan(cohort, piece.scan, settings).pixels


def _open_cache(folder: Path, classes: tuple[str, ...]) -> SliceSet | None:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        rows = list(zip(*(index[name] for name in _INDEX_COLUMNS), strict=True))
        slices = _slice_set(pixels, rows, classes)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    fits = pixels.ndim == 3 and pixels.dtype == np.uint8 and len(rows) == len(pixels)
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
