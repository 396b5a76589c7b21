"""A volume as 16-bit integers in two memory layouts, so that slices are drawn at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrifcl_gui.slice_planes import SlicePlane

Pixels = NDArray[np.uint32]

# Grey levels as the 32-bit pixels (opaque RGB) that Qt paints without converting.
GREYS: Pixels = (0xFF000000 + 0x010101 * np.arange(256, dtype=np.uint32)).astype(np.uint32)

_LEVELS = 65536
# With fewer integer levels in the window than this, steps might be seen: floats are used then.
_FEWEST_LEVELS = 1024
_SLAB = 8
# Below this many voxels the copies take less than a frame.
_SMALL = 500_000

# Contrast comes from a sample: percentiles of 256^3 voxels would take a second.
_SAMPLE_SIZE = 200_000
_AUTO_PERCENTILES = (2.0, 98.0)


class GreyVolume:
    """Paints slices of a volume in grey.

    The integer copies are filled slab by slab with :meth:`prepare_part`, between two events
    of the window; until then slices are made from the floats, which takes longer.

    Parameters
    ----------
    voxels : ndarray, shape (X, Y, Z), float32
        Finite.
    """

    def __init__(self, voxels: NDArray[np.float32]) -> None:
        self._voxels = voxels
        self._darkest, brightest = float(voxels.min()), float(voxels.max())
        self._step = (brightest - self._darkest) / (_LEVELS - 1) or 1.0
        # Differences of extreme floats leave float32.
        self._type = np.float32 if 1e-25 < self._step < 1e30 else np.float64
        x, y, z = voxels.shape
        # Axial and coronal slices are quick to gather from the first, sagittal from the second.
        self._zyx: NDArray[np.uint16] = np.empty((z, y, x), np.uint16)
        self._xzy: NDArray[np.uint16] = np.empty((x, z, y), np.uint16)
        self._filled = 0
        self._table: Pixels = np.zeros(_LEVELS, np.uint32)
        self.set_limits(0.0, 1.0)
        if voxels.size <= _SMALL:
            self.prepare()

    @property
    def is_ready(self) -> bool:
        """Whether the integer copies are complete."""
        return self._filled >= self._voxels.shape[0]

    def prepare(self) -> None:
        """Fill the integer copies."""
        while not self.is_ready:
            self.prepare_part()

    def prepare_part(self) -> None:
        """Fill the next slab of the integer copies."""
        here = slice(self._filled, self._filled + _SLAB)
        levels = np.subtract(self._voxels[here], self._darkest, dtype=self._type)
        levels *= 1.0 / self._step
        levels += 0.5
        rounded = levels.astype(np.uint16)
        self._zyx[:, :, here] = rounded.transpose(2, 1, 0)
        self._xzy[here] = rounded.transpose(0, 2, 1)
        self._filled += _SLAB

    def set_limits(self, low: float, high: float) -> None:
        """Map ``low`` to black and ``high`` to white."""
        self._low, self._high = low, high
        # A level stands for values up to half a step below and above it; the upper end is
        # taken, so that a value at the window's edge is white as it is with floats.
        values = self._darkest + (np.arange(_LEVELS) + 0.5) * self._step
        self._table = GREYS[to_grey(values, low, high)]

    def paint(self, out: Pixels, plane: SlicePlane, index: int, *, is_mirrored: bool) -> None:
        """Fill ``out``, shape (rows, columns), with the pixels of a slice, row 0 at the top."""
        if self.is_ready and self._high - self._low >= _FEWEST_LEVELS * self._step:
            levels = _picture(self._levels(plane, index), is_mirrored=is_mirrored)
            # "clip" spares numpy a buffer; all levels are in the table.
            np.take(self._table, levels, out=out, mode="clip")
        else:
            section = np.take(self._voxels, index, axis=plane.along).T
            grey = to_grey(_picture(section, is_mirrored=is_mirrored), self._low, self._high)
            np.take(GREYS, grey, out=out, mode="clip")

    def _levels(self, plane: SlicePlane, index: int) -> NDArray[np.uint16]:
        """Return a slice with its upward axis first."""
        if plane.along == 2:
            return self._zyx[index]
        if plane.along == 1:
            return self._zyx[:, index]
        return self._xzy[index]


def _picture(section: NDArray[Any], *, is_mirrored: bool) -> NDArray[Any]:
    upright = section[::-1]
    return upright[:, ::-1] if is_mirrored else upright


def to_grey(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map ``low`` to black and ``high`` to white."""
    kind = np.float64 if values.dtype == np.float64 else np.float32
    with np.errstate(over="ignore"):  # what is infinitely bright is white
        grey = np.subtract(values, low, dtype=kind)
        grey *= 255.0 / (high - low)
    return np.clip(grey, 0.0, 255.0, out=grey).astype(np.uint8)


def sample_of(values: NDArray[Any]) -> NDArray[Any]:
    """Return at most about 200 000 values of a 3-D array, evenly spread."""
    step = max(1, int(np.ceil((values.size / _SAMPLE_SIZE) ** (1 / 3))))
    return values[::step, ::step, ::step].ravel()


def contrast_limits(sample: NDArray[Any]) -> tuple[float, float]:
    """Return the 2nd and the 98th percentile; the padding about the head does not count."""
    darkest = sample.min()
    inside = sample[sample > darkest]
    if inside.size == 0:
        return float(darkest), float(darkest) + 1.0
    low, high = (float(value) for value in np.percentile(inside, _AUTO_PERCENTILES))
    return (low, high) if high > low else (float(darkest), high)
