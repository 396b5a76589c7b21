"""The simulated demo cohort: a folder of brain-like volumes whose classes differ, but overlap."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core import text_file
from core.data.phantom_brain import ATROPHY, simulate_subject
from core.errors import CohortError, SettingsError
from core.progress import Operation, Progress

MARKER_FILE = "phantom.json"
# Part of the settings in the marker: raise it when the voxels of a seed change.
_GENERATOR_VERSION = 1
# Files that systems put into a folder unasked; they are nobody's data.
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

_README = """SIMULATED BRAINS - NOT PATIENTS

These volumes were computed by MRI-FCL from random numbers. They show nobody's brain.
They look like skull-stripped T1-weighted scans so that the program can be tried without
data. The classes {classes} differ in a simulated atrophy (wider ventricles and sulci,
thinner cortex) whose ranges overlap. Age and sex in participants.tsv are simulated too.

Nothing that is measured on them says anything about a disease, a person or a scanner.

Settings: {settings}
"""


def simulate_cohort(
    folder: Path,
    *,
    subjects_per_class: int = 14,
    seed: int = 0,
    classes: Sequence[str] = ("AD", "NC"),
) -> Operation[Path]:
    """Write a simulated cohort into ``folder``: class folders of NIfTI volumes.

    The folder appears whole or not at all. A complete cohort of the same settings is
    left as it is; one of other settings is replaced.

    Parameters
    ----------
    folder : Path
        Made, with its parents. Must be new, empty, or an earlier simulated cohort.
    subjects_per_class : int
        At least 1. Subjects are numbered through all classes, so ids are unique.
    seed : int
        The same seed gives bit-identical voxels.
    classes : sequence of {"AD", "MCI", "NC"}
        Names of the class folders.

    Yields
    ------
    Progress
        One before each subject and one at the end.

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    SettingsError
        If a setting is out of bounds.
    CohortError
        If ``folder`` holds anything else, or cannot be written.
    """
    settings = _check_settings(subjects_per_class, seed, classes)
    if is_complete(folder, settings):
        total = subjects_per_class * len(classes)
        yield Progress("The simulated cohort is there already", total, total)
        return folder
    _require_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:40]}-"))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield from _write_subjects(building, settings)
        _write_records(building, settings)
        # mkdtemp gives 0700; a cohort is readable as any other folder of the user.
        building.chmod(folder.parent.stat().st_mode & 0o777)
        _put_in_place(building, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def is_complete(folder: Path, settings: dict[str, Any]) -> bool:
    """Tell whether ``folder`` holds the whole, unchanged cohort of ``settings``."""
    marker = _read_marker(folder)
    if marker is None or marker.get("settings") != settings:
        return False
    return all(
        (folder / name).is_file() and _sha256((folder / name).read_bytes()) == digest
        for name, digest in marker["files"].items()
    )


def is_simulated(folder: Path) -> bool:
    """Tell whether ``folder`` is a simulated cohort (it has our marker)."""
    return _read_marker(folder) is not None


def _check_settings(subjects_per_class: int, seed: int, classes: Sequence[str]) -> dict[str, Any]:
    if not 1 <= subjects_per_class <= 999:
        raise SettingsError(
            f"{subjects_per_class} simulated subjects a class are not possible. "
            "Give a number from 1 to 999."
        )
    if seed < 0:
        raise SettingsError(f"Seed {seed} is negative. Give 0 or more.")
    if not classes or len(set(classes)) != len(classes) or not set(classes) <= set(ATROPHY):
        raise SettingsError(
            f"Classes {', '.join(classes) or '(none)'} cannot be simulated. "
            "Give each of AD, MCI, NC at most once."
        )
    return {
        "generator_version": _GENERATOR_VERSION,
        "subjects_per_class": int(subjects_per_class),
        "seed": int(seed),
        "classes": list(classes),
    }


def _subjects(settings: dict[str, Any]) -> list[tuple[int, str]]:
    """Return number and class of each subject; numbers run on from class to class."""
    labels = [label for label in settings["classes"] for _ in range(settings["subjects_per_class"])]
    return list(enumerate(labels, start=1))


def _write_subjects(folder: Path, settings: dict[str, Any]) -> Operation[None]:
    subjects = _subjects(settings)
    for number, label in subjects:
        yield Progress("Simulating the demo cohort", number - 1, len(subjects))
        voxels, affine = simulate_subject((settings["seed"], number), label)
        (folder / label).mkdir(exist_ok=True)
        path = folder / label / f"sub-{number:03d}_T1w.nii.gz"
        path.write_bytes(_nifti_bytes(voxels, affine))
    yield Progress("Simulating the demo cohort", len(subjects), len(subjects))


def _nifti_bytes(voxels: NDArray[np.int16], affine: NDArray[np.float64]) -> bytes:
    image = nib.Nifti1Image(voxels, affine)
    # Code 1, scanner coordinates: left and right are certain, the space is no template's.
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"SIMULATED by MRI-FCL"
    # No time stamp: the same cohort has the same bytes.
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _write_records(folder: Path, settings: dict[str, Any]) -> None:
    rows = []
    for number, label in _subjects(settings):
        rng = np.random.default_rng((settings["seed"], number, 1))
        age = int(np.clip(rng.normal(76, 6), 60, 95))
        rows.append((f"sub-{number:03d}", label, age, "FM"[int(rng.integers(2))]))
    lines = ["\t".join(map(str, row)) for row in [("participant_id", "group", "age", "sex"), *rows]]
    (folder / "participants.tsv").write_bytes(("\n".join(lines) + "\n").encode())
    said = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "classes")
    readme = _README.format(classes=", ".join(settings["classes"]), settings=said)
    (folder / "README.txt").write_bytes(readme.encode())
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    marker = {
        "simulated": True,
        "settings": settings,
        "files": {
            path.relative_to(folder).as_posix(): _sha256(path.read_bytes()) for path in files
        },
    }
    text_file.write_json(folder / MARKER_FILE, marker)


def _read_marker(folder: Path) -> dict[str, Any] | None:
    """Return the marker's content; None where there is none that can be used."""
    try:
        marker = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(marker, dict) or not isinstance(marker.get("files"), dict):
        return None
    return marker if marker.get("simulated") is True else None


def _require_replaceable(folder: Path) -> None:
    """Refuse a folder with anything that we did not write: replacing would delete it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CohortError(f"'{folder.name}' is a file. Choose a folder for the simulated cohort.")
    marker = _read_marker(folder)
    ours = {MARKER_FILE, *marker["files"]} if marker is not None else set()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ours and path.name not in _SYSTEM_FILES:
            raise CohortError(
                f"'{folder.name}' holds '{name}', which is not part of a simulated cohort. "
                "Choose a new or empty folder."
            )


def _put_in_place(built: Path, folder: Path) -> None:
    """Move the finished folder to its name; the older one is removed only after."""
    if not folder.exists():
        built.rename(folder)
        return
    older = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:40]}-old-"))
    try:
        folder.rename(older / folder.name)
        built.rename(folder)
    except OSError:
        if not folder.exists() and (older / folder.name).exists():
            (older / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(older, ignore_errors=True)


def _cannot_write(folder: Path, error: OSError) -> CohortError:
    return CohortError(
        f"The simulated cohort cannot be written to '{folder.name}' "
        f"({error.strerror or type(error).__name__}). Choose another folder, or free some space."
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
