"""Activation maps as a user starts them: of slices, of a feature, of a whole scan, into files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import figure_file, tasks
from core.analysis import activation_map, map_figures
from core.analysis.activation_map import SliceMaps, Which
from core.analysis.cube_planes import PLANES, CubeMaps, map_on_grid
from core.analysis.map_volume import MapPictures, MapVolume, maps_on_pictures, stack_maps
from core.config import CubeSettings
from core.data.cohort import Cohort, Scan, load_cohort
from core.errors import AnalysisError, RunError
from core.figure import Figure
from core.progress import Notice, Operation, Progress
from core.run_folder import Run

# What a grid of maps may show, in words.
WHICH: tuple[tuple[Which, str], ...] = (
    ("certain right", "right, most certain"),
    ("certain wrong", "wrong, most certain"),
    ("uncertain", "least certain"),
    ("right", "right, as stored"),
    ("wrong", "wrong, as stored"),
)
_SLICES_A_FIGURE = 12


def activation_maps(run: Run, rows: Sequence[int] | NDArray[np.int64]) -> Operation[SliceMaps]:
    """Return the map of each class on slices of a run (rows of its features).

    Raises
    ------
    MriFclError
        If the run has no network or features, or its cohort has moved or changed.
    """
    cohort, folder = _cohort_of(run)
    yield Progress("Starting torch")
    from core.training import maps

    return (yield from maps.activation_maps(run, cohort, folder, rows))


def channel_maps(
    run: Run, rows: Sequence[int] | NDArray[np.int64], channel: int
) -> Operation[SliceMaps]:
    """Return where on slices of a run an input of the FCL is active; raises as above."""
    cohort, folder = _cohort_of(run)
    yield Progress("Starting torch")
    from core.training import maps

    return (yield from maps.channel_maps(run, cohort, folder, rows, channel=channel))


def maps_grid(
    run: Run,
    which: Which,
    *,
    part: str = "test",
    shown: str = "predicted",
    count: int = _SLICES_A_FIGURE,
    opacity: float = 0.6,
) -> Operation[Figure]:
    """Return maps of telling slices: the most or least certain, right or wrong."""
    rows = activation_map.choose_rows(run, which, part=part, count=_items(run, count))
    maps = yield from activation_maps(run, rows)
    return map_figures.maps_grid(run, maps, shown=shown, opacity=opacity)


def maps_of_rows(
    run: Run,
    rows: Sequence[int] | NDArray[np.int64],
    *,
    shown: str = "predicted",
    opacity: float = 0.6,
) -> Operation[Figure]:
    """Return maps of chosen slices."""
    if not len(rows):
        raise AnalysisError(
            "No slices are chosen. Click dots of a feature cloud, or draw around some with Shift "
            "held down."
        )
    maps = yield from activation_maps(run, rows)
    return map_figures.maps_grid(run, maps, shown=shown, opacity=opacity)


def feature_grid(
    run: Run, channel: int, *, part: str = "all", count: int = 9, opacity: float = 0.6
) -> Operation[Figure]:
    """Return the slices that excite an input of the FCL most, and where it is active on them."""
    rows = activation_map.top_rows(run, channel, part=part, count=_items(run, count))
    maps = yield from channel_maps(run, rows, channel)
    return map_figures.channel_figure(run, maps, channel=channel, opacity=opacity)


def cube_maps(run: Run, rows: Sequence[int] | NDArray[np.int64]) -> Operation[CubeMaps]:
    """Return the map of each class on whole cubes of a 3-D CNN's run; raises as above."""
    cohort, folder = _cohort_of(run)
    yield Progress("Starting torch")
    from core.training import maps

    return (yield from maps.cube_maps(run, cohort, folder, rows))


def map_volume(run: Run, scan_key: str, shown: str = "predicted") -> Operation[MapVolume]:
    """Return the maps of all stored slices of a scan, stacked on the scan's grid.

    Of the 3-D CNN, the map of the scan's cube on that grid.

    Parameters
    ----------
    run : Run
    scan_key : str
    shown : str
        A class, ``true``, or ``predicted``: by the mean of the scan's logits.

    Raises
    ------
    MriFclError
        If the scan is ready-made slices, which have no place in space, or cannot be read.
    """
    cohort, _ = _cohort_of(run)
    scan = _scan_called(run, cohort, scan_key)
    if scan.kind != "volume":
        raise AnalysisError(
            f"The scan {scan_key} is ready-made slices: their place in the head is not known, so "
            "no volume can be made of their maps."
        )
    rows = np.flatnonzero(run.features.scan == scan_key)
    label = _label_of(run, rows, shown)
    if run.settings.sees_cubes:
        return (yield from _cube_volume(run, cohort, scan, label))
    maps = yield from activation_maps(run, rows)
    yield Progress(f"Reading {scan_key}")
    from core.data.scan_reader import load_scan

    volume = load_scan(cohort, scan)
    yield Progress("Stacking maps")
    x, y, z = volume.voxels.shape
    values = stack_maps(
        maps.maps[:, run.classes.index(label)],
        run.features.slice[rows],
        shape=(x, y, z),
        spacing_mm=volume.spacing_mm,
        plane=run.settings.slices.plane,
        size=run.settings.slices.size,
    )
    return MapVolume(scan_key, values, volume.affine, label, maps.method)


def _cube_volume(run: Run, cohort: Cohort, scan: Scan, label: str) -> Operation[MapVolume]:
    found = yield from cube_maps(run, np.flatnonzero(run.features.scan == scan.key)[:1])
    yield Progress(f"Reading {scan.key}")
    from core.data.cubes import places_in_cube
    from core.data.scan_reader import load_scan

    volume, cut = load_scan(cohort, scan), run.settings.cut
    assert isinstance(cut, CubeSettings)
    values = map_on_grid(
        found.maps[0, run.classes.index(label)], places_in_cube(volume, cut), cut.size
    )
    return MapVolume(scan.key, values, volume.affine, label, found.method)


def map_of_scan(
    run: Run, scan_key: str, shown: str = "predicted"
) -> Operation[MapVolume | MapPictures]:
    """Return the maps of a scan to lay over it: on its grid, or on its ready-made slices.

    Raises
    ------
    MriFclError
        As :func:`map_volume`, but ready-made slices are welcome.
    """
    cohort, _ = _cohort_of(run)
    scan = _scan_called(run, cohort, scan_key)
    if scan.kind == "volume":
        return (yield from map_volume(run, scan_key, shown))
    rows = np.flatnonzero(run.features.scan == scan_key)
    label = _label_of(run, rows, shown)
    maps = yield from activation_maps(run, rows)
    height, width = scan.shape[:2]
    drawn = maps_on_pictures(maps.maps[:, run.classes.index(label)], (height, width))
    values = np.zeros((len(scan.files), height, width), dtype=np.float32)
    numbers = list(scan.slice_numbers)
    for number, one in zip(run.features.slice[rows].tolist(), drawn, strict=True):
        if number in numbers:
            values[numbers.index(number)] = one
    return MapPictures(scan_key, values, label, maps.method)


def write_map_volume(run: Run, stacked: MapVolume, path: Path) -> Operation[Path]:
    """Write a stacked map as NIfTI on the scan's own grid, without any text in its header.

    Raises
    ------
    RunError
        If ``path`` cannot be written.
    """
    cohort, _ = _cohort_of(run)
    scan = _scan_called(run, cohort, stacked.scan)
    yield Progress(f"Writing {path.name}")
    from core.data import nifti_export
    from core.data.scan_reader import load_scan

    try:
        nifti_export.write_nifti(
            path,
            stacked.values,
            stacked.affine,
            stored_as=nifti_export.stored_affine(cohort, scan),
            sides_certain=load_scan(cohort, scan).sides_certain or scan.flipped,
        )
    except OSError as error:
        raise RunError(
            f"The map cannot be written to '{path.name}': {error.strerror}. Choose another folder."
        ) from error
    return path


@dataclass(frozen=True)
class MapFiles:
    """What was written for a subject: pictures and their numbers, and volumes."""

    figures: tuple[Path, ...]
    tables: tuple[Path, ...]
    volumes: tuple[Path, ...]
    slices: int
    method: str


def write_maps(run_folder: Path, subject: str, shown: str, out: Path) -> Operation[MapFiles]:
    """Write the maps of all stored slices of a subject: PNG, SVG, CSV, and NIfTI of volumes.

    Parameters
    ----------
    run_folder : Path
    subject : str
    shown : str
        ``predicted``, ``true`` or the name of a class.
    out : Path

    Raises
    ------
    MriFclError
        If the run has no such subject or class, or nothing can be written.
    """
    run = yield from tasks.open_run(run_folder)
    _require_features(run)
    rows = np.flatnonzero(run.features.subject == subject)
    if not len(rows):
        some = ", ".join(sorted(set(run.features.subject.tolist()))[:5])
        raise AnalysisError(
            f"Run '{run.name}' has no subject '{subject}'. It has, among others: {some}."
        )
    if shown not in ("predicted", "true", *run.classes):
        raise AnalysisError(
            f"Run '{run.name}' has no class '{shown}'; it has: {', '.join(run.classes)}."
        )
    maps = yield from activation_maps(run, rows)
    figures, tables, volumes = list[Path](), list[Path](), list[Path]()
    try:
        pages = range(0, len(maps), _SLICES_A_FIGURE)
        for number, start in enumerate(pages, start=1):
            progress = Progress("Drawing figures", number - 1, len(pages))
            yield progress
            part = maps.taken(range(start, min(start + _SLICES_A_FIGURE, len(maps))))
            figure = map_figures.maps_grid(run, part, shown=shown)
            name = f"maps_{_stem(subject)}_{_stem(shown)}"
            named = _named(figure, f"{name}_{number}" if len(pages) > 1 else name)
            figures += yield from figure_file.write_in_steps(named, out, progress=progress)
        table = activation_map.facts_table(run, rows)
        tables.append(out / f"maps_{_stem(subject)}_slices.csv")
        table.write(tables[-1])
    except OSError as error:
        raise RunError(
            f"The maps cannot be written to '{out}': {error.strerror}. Choose another folder."
        ) from error
    for key in dict.fromkeys(run.features.scan[rows].tolist()):
        try:
            stacked = yield from map_volume(run, key, shown)
        except AnalysisError as error:
            yield Notice(str(error))
            continue
        path = out / f"map_{_stem(key)}_{_stem(stacked.label)}.nii.gz"
        volumes.append((yield from write_map_volume(run, stacked, path)))
    return MapFiles(tuple(figures), tuple(tables), tuple(volumes), len(rows), maps.method)


def _cohort_of(run: Run) -> tuple[Cohort, Path]:
    _require_features(run)
    folder = tasks.cohort_folder_of(run)
    return load_cohort(folder), folder


def _require_features(run: Run) -> None:
    if not run.has_features:
        raise RunError(f"Run '{run.name}' has no features yet. Let its training end, or resume it.")


def _scan_called(run: Run, cohort: Cohort, key: str) -> Scan:
    for scan in cohort.scans:
        if scan.key == key:
            return scan
    raise RunError(
        f"The cohort of run '{run.name}' has no scan {key} any more. Open the cohort as it was."
    )


def _label_of(run: Run, rows: NDArray[np.int64], shown: str) -> str:
    if shown == "predicted":
        return run.classes[int(run.features.logits[rows].mean(axis=0).argmax())]
    if shown == "true":
        return run.classes[int(run.features.label[rows[0]])]
    if shown not in run.classes:
        raise AnalysisError(
            f"Run '{run.name}' has no class '{shown}'; it has: {', '.join(run.classes)}."
        )
    return shown


def _items(run: Run, pictures: int) -> int:
    """Return how many slices or cubes make that many pictures: three are of one cube."""
    return max(1, pictures // len(PLANES)) if run.settings.sees_cubes else pictures


def _named(figure: Figure, name: str) -> Figure:
    return replace(figure, name=name)


def _stem(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text)
