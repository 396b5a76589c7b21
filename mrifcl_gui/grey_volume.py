"""A volume as integers in two memory layouts, so that slices are drawn at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrifcl_gui.slice_planes import SlicePlane

Pixels = NDArray[np.uint32]

# A grey level as the 32-bit pixel (opaque RGB) that Qt paints without converting is
# ``_OPAQUE + _RGB * level``.
_OPAQUE, _RGB = np.uint32(0xFF000000), np.uint32(0x010101)
GREYS: Pixels = (_OPAQUE + _RGB * np.arange(256, dtype=np.uint32)).astype(np.uint32)

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

    The copies are filled slab by slab with :meth:`prepare_part`, between two events of the
    window: first 16-bit levels, to which any window is applied by a table while a slice is
    painted, then 8-bit greys of the present window, which take a fourth of the time. Until
    there are levels, slices are made from the floats, which takes longest.

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
        self._levels = _TwoLayouts(voxels.shape, np.uint16)
        self._greys = _TwoLayouts(voxels.shape, np.uint8)
        # A level stands for values up to half a step below and above it; the upper end is
        # taken, so that a value at the window's edge is white as it is with floats.
        self._values = self._darkest + (np.arange(_LEVELS) + 0.5) * self._step
        self.set_limits(0.0, 1.0)
        if voxels.size <= _SMALL:
            while not self.has_levels:
                self._fill_levels()

    @property
    def has_levels(self) -> bool:
        """Whether slices are painted from integers."""
        return self._levels.is_filled

    @property
    def is_ready(self) -> bool:
        """Whether slices are painted as quickly as can be."""
        return self.has_levels and (self._greys.is_filled or not self._is_wide)

    def prepare(self) -> None:
        """Fill all copies."""
        while not self.is_ready:
            self.prepare_part()

    def prepare_part(self) -> None:
        """Fill the next slab of the copies."""
        if not self.has_levels:
            self._fill_levels()
        elif not self.is_ready:
            self._fill_greys()

    def set_limits(self, low: float, high: float) -> None:
        """Map ``low`` to black and ``high`` to white."""
        self._low, self._high = low, high
        self._shades = to_grey(self._values, low, high)
        self._table = GREYS[self._shades]
        self._is_wide = high - low >= _FEWEST_LEVELS * self._step
        self._greys.n_filled = 0

    def paint(self, out: Pixels, plane: SlicePlane, index: int, *, is_mirrored: bool) -> None:
        """Fill ``out``, shape (rows, columns), with the pixels of a slice, row 0 at the top."""
        if not (self.has_levels and self._is_wide):
            section = np.take(self._voxels, index, axis=plane.along).T
            grey = to_grey(_picture(section, is_mirrored=is_mirrored), self._low, self._high)
            np.take(GREYS, grey, out=out, mode="clip")
        elif self._greys.is_filled:
            # Three steps in one array take a third of the time of the table.
            np.copyto(out, _picture(self._greys.section(plane, index), is_mirrored=is_mirrored))
            np.multiply(out, _RGB, out=out)
            np.add(out, _OPAQUE, out=out)
        else:
            levels = _picture(self._levels.section(plane, index), is_mirrored=is_mirrored)
            # "clip" spares numpy a buffer; all levels are in the table.
            np.take(self._table, levels, out=out, mode="clip")

    def _fill_levels(self) -> None:
        here = self._levels.next_slab()
        levels = np.subtract(self._voxels[here], self._darkest, dtype=self._type)
        levels *= 1.0 / self._step
        levels += 0.5
        self._levels.fill_slab(levels.astype(np.uint16).transpose(0, 2, 1))

    def _fill_greys(self) -> None:
        here = self._greys.next_slab()
        self._greys.fill_slab(self._shades[self._levels.xzy[here]])


class _TwoLayouts:
    """The same integers twice: axial and coronal slices, and sagittal ones, gather quickly.

    Attributes
    ----------
    zyx : ndarray, shape (Z, Y, X)
    xzy : ndarray, shape (X, Z, Y)
    n_filled : int
        How many sagittal slices, from the first, are in both.
    """

    def __init__(self, shape: tuple[int, ...], kind: type[np.unsignedinteger[Any]]) -> None:
        x, y, z = shape
        self.zyx: NDArray[Any] = np.empty((z, y, x), kind)
        self.xzy: NDArray[Any] = np.empty((x, z, y), kind)
        self.n_filled = 0

    @property
    def is_filled(self) -> bool:
        return self.n_filled >= len(self.xzy)

    def next_slab(self) -> slice:
        return slice(self.n_filled, self.n_filled + _SLAB)

    def fill_slab(self, slab: NDArray[Any]) -> None:
        """Fill the next slab, shape (n, Z, Y)."""
        here = self.next_slab()
        self.xzy[here] = slab
        self.zyx[:, :, here] = slab.transpose(1, 2, 0)
        self.n_filled += _SLAB

    def section(self, plane: SlicePlane, index: int) -> NDArray[Any]:
        """Return a slice with its upward axis first."""
        if plane.along == 2:
            return self.zyx[index]
        if plane.along == 1:
            return self.zyx[:, index]
        return self.xzy[index]


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
