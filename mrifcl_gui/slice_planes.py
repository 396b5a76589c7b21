"""The three planes of a volume: which axes they show, and where a voxel lies on screen."""

from __future__ import annotations

import math
from dataclasses import dataclass

Voxel = tuple[int, int, int]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class SlicePlane:
    """Which volume axes a plane runs through (``along``), across and up the screen.

    Volumes are RAS+. Anterior and superior are at the top and the face of a sagittal picture
    is on the right, always; only the subject's right changes sides with the convention.
    """

    name: str
    along: int
    across: int
    up: int

    def is_mirrored(self, *, is_radiological: bool) -> bool:
        """Tell whether the volume's first axis (to the subject's right) runs to the left."""
        return self.across == 0 and is_radiological

    def position_of(
        self, voxel: tuple[float, ...], shape: Shape, *, is_mirrored: bool
    ) -> tuple[float, float]:
        """Return (column, row) of a voxel's centre in the picture."""
        column = voxel[self.across] + 0.5
        if is_mirrored:
            column = shape[self.across] - column
        return column, shape[self.up] - voxel[self.up] - 0.5

    def indices_at(
        self, column: float, row: float, shape: Shape, *, is_mirrored: bool
    ) -> tuple[int, int]:
        """Return the indices across and up of the voxel at a position; may lie outside."""
        across, up = math.floor(column), shape[self.up] - 1 - math.floor(row)
        return (shape[self.across] - 1 - across if is_mirrored else across), up

    def letters(self, *, is_mirrored: bool, sides_certain: bool) -> tuple[str, str, str, str]:
        """Return the letters at the left, right, top and bottom."""
        left, right = _ENDS[self.across]
        if is_mirrored:
            left, right = right, left
        if self.across == 0 and not sides_certain:
            left = right = "?"
        bottom, top = _ENDS[self.up]
        return left, right, top, bottom


# Letters at the low and the high end of the volume's axes (RAS+).
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))

PLANES = (
    SlicePlane("axial", along=2, across=0, up=1),
    SlicePlane("coronal", along=1, across=0, up=2),
    SlicePlane("sagittal", along=0, across=1, up=2),
)


def plane_called(name: str) -> SlicePlane:
    """Return the plane with this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    for plane in PLANES:
        if plane.name == name:
            return plane
    raise ValueError(f"there is no plane called '{name}'")


def clip_voxel(voxel: tuple[int, ...], shape: Shape) -> Voxel:
    """Return the nearest voxel index that the volume has."""
    i, j, k = (min(max(int(index), 0), size - 1) for index, size in zip(voxel, shape, strict=True))
    return i, j, k
