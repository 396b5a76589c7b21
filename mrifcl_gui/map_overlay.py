"""A map over the planes of a volume: its colours, mixed into the grey pixels of a slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.figure_heat_map import colour_scale
from core.figure_overlay import opacity_share
from mrifcl_gui.slice_planes import SlicePlane

_STEPS = 256


class MapOverlay:
    """Mixes a signed map into slices that are painted in grey.

    Parameters
    ----------
    values : ndarray, shape (X, Y, Z), float32
        On the grid of the volume, or (n, rows, columns) of ready-made slices; colours are
        centred at 0.
    opacity : float
        0..1, of the largest values.
    """

    def __init__(self, values: NDArray[np.float32], opacity: float = 0.6) -> None:
        self._values = values
        self.reach = float(np.abs(values).max()) or 1.0
        self._colours = colour_scale(_STEPS, diverging=True).astype(np.float32)
        steps = np.linspace(-self.reach, self.reach, _STEPS)
        self._shares = opacity_share(steps, self.reach).astype(np.float32)
        self.opacity = opacity

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the three axes."""
        return self._values.shape

    def value_at(self, voxel: tuple[int, int, int]) -> float:
        """Return the map's value at a voxel."""
        return float(self._values[voxel])

    def mix(
        self, out: NDArray[np.uint32], plane: SlicePlane, index: int, *, is_mirrored: bool
    ) -> None:
        """Mix a slice of the map into ``out``, opaque RGB pixels, row 0 at the top."""
        section = np.take(self._values, index, axis=plane.along).T[::-1]
        self._mix(out, section[:, ::-1] if is_mirrored else section)

    def mix_picture(self, out: NDArray[np.uint32], position: int) -> None:
        """Mix the map of a ready-made slice into ``out``; the values are (n, rows, columns)."""
        self._mix(out, self._values[position])

    def _mix(self, out: NDArray[np.uint32], section: NDArray[np.float32]) -> None:
        if not section.any():
            return
        step = np.rint((section / self.reach + 1) * ((_STEPS - 1) / 2)).astype(np.intp)
        share = (self._shares[step] * self.opacity)[..., None]
        grey = (out & 0xFF).astype(np.float32)[..., None]
        mixed = (grey * (1 - share) + self._colours[step] * share + 0.5).astype(np.uint32)
        np.copyto(
            out,
            np.uint32(0xFF000000) | (mixed[..., 0] << 16) | (mixed[..., 1] << 8) | mixed[..., 2],
        )
