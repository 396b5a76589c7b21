"""Slices, or cubes, changed at random while training; off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.config import RunSettings
from core.training.dataset import Drawn


@dataclass(frozen=True)
class Augmentation:
    """Random flips, rotations, shifts and intensity changes.

    Attributes
    ----------
    flip : bool
        Mirror half of the slices left to right.
    degrees : float
        Largest rotation to either side; of a cube about its inferior-superior axis.
    shift : float
        Largest shift along each side, as a fraction of it.
    intensity : float
        Largest change of brightness and contrast, as a fraction.
    seed : int
        With the epoch, the row and how often that came before in the epoch it rules what a
        slice is given, so that the batch it is in, the device and a resumed run make no
        difference.
    """

    flip: bool
    degrees: float
    shift: float
    intensity: float
    seed: int

    def apply(self, pixels: Tensor, drawn: Drawn, epoch: int) -> Tensor:
        """Return changed pixels, uint8, of the same shape (N, H, W), or (N, D, H, W)."""
        draws = np.stack(
            [
                np.random.default_rng(self._key(epoch, row, repeat)).random(7)
                for row, repeat in zip(drawn.rows, drawn.repeats, strict=True)
            ]
        )
        u = torch.from_numpy(draws).float().to(pixels.device)
        images = pixels.unsqueeze(1).float()
        grid = nn.functional.affine_grid(
            self._matrices(u, pixels.ndim - 1), list(images.shape), align_corners=False
        )
        moved = nn.functional.grid_sample(images, grid, align_corners=False)
        alone = (-1,) + (1,) * pixels.ndim
        gain = 1 + (2 * u[:, 4] - 1) * self.intensity
        offset = (2 * u[:, 5] - 1) * self.intensity * 255 / 2
        changed = (moved - 127.5) * gain.view(alone) + 127.5 + offset.view(alone)
        # What lay outside the slice stays black: no brain is made where there is none.
        changed = torch.where(moved > 0, changed, moved)
        return changed.round().clamp(0, 255).to(torch.uint8).squeeze(1)

    def _key(self, epoch: int, row: np.int64, repeat: np.int64) -> list[int]:
        """Return what rules the change of one slice, each time it is drawn anew."""
        key = [self.seed, 11, epoch, int(row)]
        # The first time without a number: every run without repeats is as it always was.
        return [*key, int(repeat)] if repeat else key

    def _matrices(self, u: Tensor, dimensions: int) -> Tensor:
        """Return where each output pixel comes from, (N, 2, 3) or (N, 3, 4), of draws (N, 7)."""
        angle = (2 * u[:, 0] - 1) * float(np.deg2rad(self.degrees))
        mirror = torch.where(u[:, 1] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(u[:, 1])
        cosine, sine = torch.cos(angle), torch.sin(angle)
        # The grid runs from -1 to 1, so that a fraction of the side is twice as much here.
        across, down, through = ((2 * u[:, i] - 1) * 2 * self.shift for i in (2, 3, 6))
        rows = [[cosine * mirror, -sine, across], [sine * mirror, cosine, down]]
        if dimensions == 3:
            none, one = torch.zeros_like(angle), torch.ones_like(angle)
            rows = [[x, y, none, shift] for x, y, shift in rows] + [[none, none, one, through]]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def augmentation_of(settings: RunSettings) -> Augmentation | None:
    """Return the augmentation that is asked for, or None."""
    training = settings.training
    chosen = Augmentation(
        flip=training.augment_flip,
        degrees=training.augment_degrees,
        shift=training.augment_shift / 100,
        intensity=training.augment_intensity / 100,
        seed=training.seed,
    )
    is_on = chosen.flip or chosen.degrees or chosen.shift or chosen.intensity
    return chosen if is_on else None
