"""Sort the slices of a DICOM series by position and find where they lie in RAS+."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.dicom_file import MAX_VOLUME_BYTES, DicomSlice
from core.data.file_kind import shown_name
from core.data.findings import Finding
from core.data.nifti_checks import geometry_findings, spacing_of
from core.errors import ScanError

# Positions are written with a few digits: the scanner's own rounding is no fault.
_SAME_PLACE_MM, _GAP_FROM, _UNEVEN_FROM = 0.01, 1.5, 0.1
_PARALLEL_COSINE = 0.999
# A stack that leans by more than 60 degrees is none.
_LEAST_COSINE = 0.5
# Rows to the subject's left, columns to the back: an axial slice as scanners show it.
_ASSUMED_DIRECTIONS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# DICOM counts left and posterior positive, RAS+ right and anterior.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Series:
    """The slices of one scan, in order.

    Attributes
    ----------
    slices : tuple of DicomSlice
        Along the slices' normal.
    affine : ndarray, shape (4, 4), float64
        (column, row, slice) -> position in mm, RAS+.
    sides_certain : bool
    warnings : tuple of str
        Findings on the headers.
    patient : str
        A hash: equal for equal patients.
    """

    slices: tuple[DicomSlice, ...]
    affine: NDArray[np.float64]
    sides_certain: bool
    warnings: tuple[str, ...]
    patient: str = field(repr=False)

    @property
    def has_patient_id(self) -> bool:
        """Whether ``patient`` comes from a patient's id, not from the study's."""
        return all("no_patient_id" not in item.doubts for item in self.slices)

    @property
    def datatype(self) -> str:
        """Kind of number of the stored pixels, such as int16."""
        return str(np.dtype(self.slices[0].layout.dtype).name)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the slices, in order, each once."""
        return tuple(dict.fromkeys(item.path for item in self.slices))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along a row, along a column, and slices."""
        layout = self.slices[0].layout
        return layout.columns, layout.rows, len(self.slices)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along the same axes, mm."""
        x, y, z = spacing_of(self.affine)
        return float(x), float(y), float(z)

    @property
    def stored_axes(self) -> str:
        """Letters of the same axes, such as LPS."""
        return "".join(orientations().aff2axcodes(self.affine))


def arrange(group: list[DicomSlice]) -> Series:
    """Sort the slices of one series and find where they lie.

    Raises
    ------
    ScanError
        If they make no volume.
    """
    _check_equal_sizes(group)
    warnings = _doubt_warnings(group)
    directions, more = _common_directions(group)
    warnings += more
    places, order = _places(group, directions)
    kept, more = _without_repeats(group, places, order)
    warnings += more
    total = group[0].layout.rows * group[0].layout.columns * len(kept) * 4
    if total > MAX_VOLUME_BYTES:
        raise ScanError(
            f"There are too many slices ({len(kept)}) for a brain scan in {name_of(group[0])}. "
            "Export one scan only."
        )
    slices = tuple(group[i] for i in kept)
    affine, more = _affine(slices, places[kept] if places is not None else None, directions)
    warnings += (
        *more,
        *geometry_findings(affine, (group[0].layout.columns, group[0].layout.rows, len(slices))),
    )
    return Series(
        slices=slices,
        affine=affine,
        sides_certain=not any(item.code == "orientation_unknown" for item in warnings),
        warnings=warnings,
        patient=group[0].patient,
    )


def name_of(item: DicomSlice) -> str:
    """Name a series by its folder and a file of it; its own name is the header's text."""
    return f"the series in '{shown_name(item.path.parent)}' ('{shown_name(item.path)}' and others)"


def _check_equal_sizes(group: list[DicomSlice]) -> None:
    sizes = {(item.layout.columns, item.layout.rows): None for item in group}
    if len(sizes) > 1:
        said = " and ".join(f"{columns} x {rows}" for columns, rows in list(sizes)[:3])
        raise ScanError(
            f"The slices of {name_of(group[0])} are of different size ({said} pixels). Export "
            "the series again."
        )


def _doubt_warnings(group: list[DicomSlice]) -> tuple[Finding, ...]:
    doubts = frozenset[str]().union(*(item.doubts for item in group))
    found = []
    if "identifiers" in doubts:
        found.append(
            Finding(
                "Its DICOM headers name a person or a birth date. This program neither shows nor "
                "stores them; remove them before you pass the files on.",
                "identifiers",
            )
        )
    if "burned_in" in doubts:
        found.append(
            Finding(
                "Its header says that text is written into the pictures, perhaps a name. Look at "
                "the slices before you pass them on.",
                "identifiers",
            )
        )
    if "preamble" in doubts:
        found.append(
            Finding(
                "A file of it begins like a program. It is read as a scan only; do not start it, "
                "and check where it came from.",
                "preamble",
            )
        )
    if any(item.is_inverted for item in group):
        found.append(
            Finding(
                "Its grey scale is stored inverted (MONOCHROME1) and was turned round.", "inverted"
            )
        )
    return tuple(found)


def _common_directions(
    group: list[DicomSlice],
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """Return the vectors along rows and columns, (2, 3), that all the slices share."""
    known = [item.directions for item in group if item.directions is not None]
    if len(known) < len(group):
        text = (
            "Left and right are not certain: the DICOM header does not say how its slices lie. "
            "They are taken as axial."
        )
        assumed = np.array(_ASSUMED_DIRECTIONS).reshape(2, 3)
        return assumed, (Finding(text, "orientation_unknown"),)
    vectors = np.array(known).reshape(-1, 2, 3)
    if ((vectors * vectors[0]).sum(axis=2) < _PARALLEL_COSINE).any():
        raise ScanError(
            f"The slices of {name_of(group[0])} do not lie parallel: it is a localiser, no scan. "
            "Choose the series of the T1 scan."
        )
    return vectors[0], ()


def _places(
    group: list[DicomSlice], directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, list[int]]:
    """Return where each slice lies along the normal, mm (None if unknown), and their order."""
    by_number = sorted(range(len(group)), key=lambda i: (group[i].number, i))
    positions = [item.position_mm for item in group if item.position_mm is not None]
    if len(positions) < len(group):
        return None, by_number
    places = np.array(positions) @ np.cross(directions[0], directions[1])
    return places, sorted(by_number, key=lambda i: places[i])


def _without_repeats(
    group: list[DicomSlice], places: NDArray[np.float64] | None, order: list[int]
) -> tuple[list[int], tuple[Finding, ...]]:
    """Keep one slice for each place."""
    if places is None:
        return order, ()
    stacks: list[list[int]] = []
    for i in order:
        if stacks and places[i] - places[stacks[-1][0]] < _SAME_PLACE_MM:
            stacks[-1].append(i)
        else:
            stacks.append([i])
    # Rounded positions may sort frames of one place in any order.
    kept = [min(stack, key=lambda i: (group[i].number, i)) for stack in stacks]
    counts = {len(stack) for stack in stacks}
    if counts == {1}:
        return kept, ()
    if len(counts) == 1 and len(stacks) > 1:
        text = f"Holds {counts.pop()} frames of each slice; the first is used."
        return kept, (Finding(text, "frame_used"),)
    extra = len(group) - len(stacks)
    text = f"{extra} of its slices {'is' if extra == 1 else 'are'} there twice; the first is used."
    return kept, (Finding(text, "duplicate_slice"),)


def _affine(
    slices: tuple[DicomSlice, ...],
    places: NDArray[np.float64] | None,
    directions: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """Return (column, row, slice) -> mm in RAS+, and what is doubtful about the distances.

    DICOM PS3.3, section C.7.6.2.1.1, with the slices' own step as the third column.
    """
    first = slices[0]
    normal = np.cross(directions[0], directions[1])
    warnings: tuple[Finding, ...] = ()
    if first.pixel_mm is None:
        text = "The size of its pixels is not known and is taken as 1 mm."
        warnings += (Finding(text, "voxel_size"),)
    between_rows, between_columns = first.pixel_mm or (1.0, 1.0)
    step, more = _step(slices, places, normal)
    warnings += more
    affine = np.eye(4)
    affine[:3, 0] = directions[0] * between_columns
    affine[:3, 1] = directions[1] * between_rows
    affine[:3, 2] = step
    if first.position_mm is not None:
        affine[:3, 3] = first.position_mm
    return _LPS_TO_RAS @ affine, warnings


def _step(
    slices: tuple[DicomSlice, ...],
    places: NDArray[np.float64] | None,
    normal: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """Return the vector, mm, from a slice to the next; measured, for headers often lie."""
    assumed = normal * (slices[0].thickness_mm or 1.0)
    if len(slices) == 1:
        return assumed, ()
    if places is None:
        text = (
            "Left and right are not certain: the DICOM header does not say where each slice "
            "lies. They are taken in the order of their numbers."
        )
        return assumed, (Finding(text, "orientation_unknown"),)
    steps = np.diff(places)
    usual = float(np.median(steps))
    missing = int((np.round(steps / usual) - 1)[steps > _GAP_FROM * usual].sum())
    if missing:
        text = (
            f"{missing} {'slice is' if missing == 1 else 'slices are'} missing in between: the "
            "scan is shown shorter than it is. Copy the whole series again."
        )
        return normal * usual, (Finding(text, "slice_gap"),)
    if (np.abs(steps - usual) > _UNEVEN_FROM * usual).any():
        text = (
            f"The distance of its slices varies ({steps.min():.2g} to {steps.max():.2g} mm); "
            "it is taken as even."
        )
        return normal * float(steps.mean()), (Finding(text, "uneven_spacing"),)
    ends = np.array([slices[0].position_mm, slices[-1].position_mm], dtype=np.float64)
    step = (ends[1] - ends[0]) / (len(slices) - 1)
    if step @ normal < _LEAST_COSINE * float(np.linalg.norm(step)):
        raise ScanError(
            f"The positions in the headers of {name_of(slices[0])} are impossible: the slices "
            "do not lie over each other. Export the series again."
        )
    return step, ()


def orientations() -> Any:  # noqa: ANN401 - nibabel is untyped
    """Return nibabel's module of orientations; it takes long to load."""
    from nibabel import orientations

    return orientations
