"""How scans are cut and split, each said in one line."""

from __future__ import annotations

from core.config import CubeSettings, Cut, RunSettings
from core.data.cohort import Cohort
from core.data.split import split_words


def slices_text(cut: Cut, cohort: Cohort) -> str:
    """Say in one line which slices, or cubes, are taken."""
    if isinstance(cut, CubeSettings):
        side = f"{cut.side_mm:g} mm a side, " if cut.side_mm is not None else ""
        about = "about the brain" if cut.centre == "brain" else "of the whole volume"
        return f"Cubes: one a scan, {side}{about}, {cut.size} × {cut.size} × {cut.size} voxels"
    size = f"{cut.size} × {cut.size} pixels"
    if all(scan.kind == "slices" for scan in cohort.included_scans):
        return f"Slices: as they are in the folder, {size}"
    step = "each" if cut.step == 1 else f"every {cut.step}"
    return f"Slices: {cut.count} {cut.plane}, {step}, middle of the {cut.centre}, {size}"


def split_text(settings: RunSettings) -> str:
    """Say in one line how the split is made."""
    item = "scan" if settings.sees_cubes else "slice"
    return f"Split: {split_words(settings.split, settings.training.seed, item=item)}"
