"""One simulated brain: drawn from a seed, built of shapes, and seen as a scanner sees it.

Nothing here was measured on a person. Each subject is drawn from a seed: its shape, its
folding, its contrast and its noise. The classes differ by a latent *atrophy* that widens
ventricles and sulci and thins the cortex, as Alzheimer's disease does on average.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.data.phantom_shapes import (
    Field,
    capsule,
    ellipsoid,
    length,
    smooth_intersection,
    smooth_union,
    superellipsoid,
)
from core.errors import SettingsError

SPACING_MM = 1.75
SHAPE = (92, 112, 92)
# Mean latent atrophy of a class, in standard deviations within a class.
ATROPHY = {"AD": 1.6, "MCI": 0.8, "NC": 0.0}


@dataclass(frozen=True)
class SubjectTraits:
    """What makes one simulated subject; drawn by :func:`draw_traits`.

    Attributes
    ----------
    atrophy : float
        Latent atrophy in standard deviations within a class.
    ventricle_scale : float
        Factor on the radii of the ventricles.
    cortex_mm, sulcus_mm : float
        Thickness of the cortex and half width of the sulci.
    fold_mm, sulcus_depth_mm : float
        Wavelength of the folding and mean depth of the sulci.
    fluid, grey, white : float
        Intensities, white matter about 1.
    texture, texture_mm : float
        Strength and grain of the fine texture.
    noise, bias : float
        Standard deviation of the noise and strength of the smooth bias field.
    gain : float
        Stored value of intensity 1.
    """

    atrophy: float
    ventricle_scale: float
    cortex_mm: float
    sulcus_mm: float
    fold_mm: float
    sulcus_depth_mm: float
    fluid: float
    grey: float
    white: float
    texture: float
    texture_mm: float
    noise: float
    bias: float
    gain: float


def simulate_subject(
    seed: int | Sequence[int],
    label: str,
    *,
    traits: SubjectTraits | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Simulate one skull-stripped T1-like brain.

    Parameters
    ----------
    seed : int or sequence of int
        Seed of everything that is random.
    label : {"AD", "MCI", "NC"}
        Class; shifts the distribution of atrophy only.
    traits : SubjectTraits, optional
        Replaces the traits drawn from the seed; shape and folding stay the seed's.

    Returns
    -------
    voxels : ndarray, shape (92, 112, 92), int16
        RAS+ axes; 0 outside the brain.
    affine : ndarray, shape (4, 4), float64
        Voxel index to mm.

    Raises
    ------
    SettingsError
        If ``label`` is unknown.
    """
    drawn = draw_traits(seed, label)
    return _Subject(np.random.default_rng(seed), traits or drawn).voxels(), _affine()


def draw_traits(seed: int | Sequence[int], label: str) -> SubjectTraits:
    """Draw the traits of a subject; all but atrophy and what follows it ignore ``label``.

    Raises
    ------
    SettingsError
        If ``label`` is unknown.
    """
    if label not in ATROPHY:
        raise SettingsError(f"Class '{label}' cannot be simulated. Give one of: AD, MCI, NC.")
    # A stream of its own: changing a trait must not change shape or folding.
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    atrophy = ATROPHY[label] + rng.standard_normal()
    own = rng.standard_normal(4)
    return SubjectTraits(
        atrophy=float(atrophy),
        ventricle_scale=float(np.clip(1.0 * np.exp(0.17 * atrophy + 0.12 * own[0]), 0.6, 2.4)),
        cortex_mm=float(np.clip(3.15 - 0.15 * atrophy + 0.12 * own[1], 2.2, 3.8)),
        sulcus_mm=float(np.clip(0.85 + 0.16 * atrophy + 0.10 * own[2], 0.4, 1.9)),
        fold_mm=float(26.0 + 1.3 * own[3]),
        sulcus_depth_mm=float(rng.normal(18.0, 1.5)),
        fluid=float(rng.uniform(0.20, 0.30)),
        grey=float(rng.uniform(0.56, 0.68)),
        white=1.0,
        texture=float(rng.uniform(0.015, 0.04)),
        texture_mm=float(rng.uniform(1.5, 3.5)),
        noise=float(rng.uniform(0.012, 0.03)),
        bias=float(rng.uniform(0.05, 0.12)),
        gain=float(rng.uniform(700, 1800)),
    )


class _Subject:
    """One brain while it is built. Distances are in mm and positive inside a structure."""

    def __init__(self, rng: np.random.Generator, traits: SubjectTraits) -> None:
        self.rng = rng
        self.traits = traits
        self.x, self.y, self.z = self._deformed_coordinates()
        # Both hemispheres share their formulas; the deformation makes them differ.
        self.side = np.abs(self.x)

    def voxels(self) -> NDArray[np.int16]:
        """Return intensities in the units of the file."""
        cerebrum = self._cerebrum_hull()
        cerebellum = self._cerebellum_hull()
        stem = self._brain_stem()
        wet = smooth_union(smooth_union(cerebrum, cerebellum, 4.0), stem, 4.0)
        inside = wet > -1.0
        image = np.full(SHAPE, self.traits.fluid, dtype=np.float32)
        image = _blend(image, self._cerebellum(cerebellum), _coverage(cerebellum))
        image = _blend(image, 0.93 * self.traits.white, _coverage(stem))
        image = _blend(image, self._cerebrum(cerebrum), _coverage(cerebrum))
        image = self._with_ventricles(image)
        return self._as_scanned(image, inside)

    # Coordinates and random fields

    def _deformed_coordinates(self) -> tuple[Field, Field, Field]:
        # Bounded, so that no brain touches the edge of the volume.
        scale = 1 + 0.03 * np.clip(self.rng.standard_normal(3), -2, 2)
        shift = 1.2 * np.clip(self.rng.standard_normal(3), -2, 2)
        angle = np.deg2rad(self.rng.normal(0, 2.0))
        axes = _axes_mm()
        warped = []
        for axis in range(3):
            shape = [1, 1, 1]
            shape[axis] = -1
            line = ((axes[axis] - shift[axis]) / scale[axis]).reshape(shape)
            warped.append((line + 1.8 * self._smooth_field()).astype(np.float32))
        x, y, z = warped
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return cos * x + sin * y, cos * y - sin * x, z

    def _smooth_field(self) -> Field:
        """Return a random field with a correlation of about 40 mm and unit variance."""
        nodes = _smooth_basis()
        draw = self.rng.standard_normal([basis.shape[1] for basis in nodes]).astype(np.float32)
        # einsum without BLAS: the same bits however many threads there are.
        for basis in nodes:
            draw = np.einsum("abc,ia->bci", draw, basis)
        return np.asarray(draw, dtype=np.float32)

    def _fold_noise(self) -> Field:
        """Return band-limited noise on a grid of 3.5 mm, mostly mirrored left to right."""
        shape = tuple(size // 2 for size in SHAPE)
        sigma = self.traits.fold_mm / (2 * np.pi) / (2 * SPACING_MM) * 1.25
        fields = []
        for _ in range(2):
            white = self.rng.standard_normal(shape).astype(np.float32)
            field = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
            field -= ndimage.gaussian_filter(white, 1.6 * sigma, mode="wrap", truncate=3.0)
            fields.append(field / field.std())
        mirrored, free = fields
        mirrored[: shape[0] // 2] = mirrored[::-1][: shape[0] // 2]
        return np.asarray(0.6 * mirrored + 0.8 * free, dtype=np.float32)

    # Outer shapes

    def _cerebrum_hull(self) -> Field:
        x, y, z = self.side, self.y, self.z
        # Wider behind than in front, like an egg.
        egg = x * (1 + 0.0016 * (y + 15))
        dome = superellipsoid(egg, y + 2, z - 4, (67, 85, 60))
        # The base: orbital surface in front, tentorium behind.
        base = np.where(y > -20, z + 24 - 0.16 * y, 0.95 * (z + 24.2 + 0.10 * (y + 20)))
        dome = smooth_intersection(dome, base.astype(np.float32), 16.0)
        # The cistern around the brain stem.
        cistern = ellipsoid(x, y + 16, z + 31, (25, 32, 17))
        dome = smooth_intersection(dome, -cistern, 5.0)
        temporal = ellipsoid(x - 43, y - 0.0, z + 22 + 0.12 * y, (23, 46, 23))
        return smooth_union(dome, temporal, 8.0)

    def _cerebellum_hull(self) -> Field:
        lobe = ellipsoid(self.side - 24, self.y + 54, self.z + 39, (31, 30, 25))
        vermis = ellipsoid(self.x, self.y + 50, self.z + 33, (15, 24, 24))
        return smooth_union(lobe, vermis, 5.0)

    def _brain_stem(self) -> Field:
        pons = ellipsoid(self.x, self.y + 20, self.z + 36, (17, 13, 15))
        stalk = capsule((self.x, self.y, self.z), (0, -16, -10), (0, -32, -60), (15.0, 9.0))
        return smooth_union(pons, stalk, 6.0)

    # Tissue

    def _cerebrum(self, hull: Field) -> Field:
        """Return intensities of cortex, white matter and deep grey matter."""
        traits = self.traits
        core = self._medial_core()
        half_gap = 0.5 + 0.5 * traits.sulcus_mm
        fissure = length(self.x, np.maximum(-core, 0)) - half_gap
        # No cortex covers the corpus callosum and the midbrain.
        bare = np.clip(1 - core / 3, 0, 1) * np.clip((18 - self.side) / 6, 0, 1)
        outer = np.minimum(hull, fissure)
        pial = np.minimum(outer, self._sulci(outer) + 12 * bare)
        pial = np.minimum(pial, self._sylvian() - half_gap)
        thickness = traits.cortex_mm * (1 + 0.06 * self._smooth_field())
        white = _coverage(pial - thickness * (1 - bare))
        image = _blend(traits.fluid + 0.06, traits.grey, _coverage(pial))
        image = _blend(image, traits.white, white)
        return self._with_deep_grey(image)

    def _medial_core(self) -> Field:
        """Return the distance outside the region where the hemispheres are joined."""
        grown = 3.0 * (self.traits.ventricle_scale - 1)
        return -ellipsoid(0.2 * self.x, self.y + 6, self.z - 3, (1e3, 39 + grown, 24 + grown))

    def _sylvian(self) -> Field:
        """Return the distance to the lateral fissure and the slit over the insula."""
        x, y, z = self.side, self.y, self.z
        height = z + 5 + 0.38 * y
        lateral = length(height, np.maximum(37 - x, 0), np.maximum(np.abs(y + 8) - 30, 0))
        insula = length(
            x - 39 + 0.008 * (y - 2) ** 2 + 1.2 * np.sin(0.45 * y + 0.2 * z),
            np.maximum(np.abs(height - 2) - 10, 0),
            np.maximum(np.abs(y - 2) - 22, 0),
        )
        return np.minimum(lateral, insula)

    def _sulci(self, depth: Field) -> Field:
        """Return the distance to the nearest sulcus.

        Sulci are the zero set of band-limited noise that is constant along the normals
        of the surface: sheets that stand upright on it.
        """
        slope = [ndimage.uniform_filter(part, 3) for part in np.gradient(depth, SPACING_MM)]
        reach = np.flatnonzero((depth > -3) & (depth < 32))
        own = depth.ravel()[reach]
        points = []
        for axis, line in enumerate(_axes_mm()):
            shape = [1, 1, 1]
            shape[axis] = -1
            here = np.broadcast_to(line.reshape(shape), SHAPE).ravel()[reach]
            lean = 0.3 * self._smooth_field().ravel()[reach]
            foot = here - own * (0.85 * slope[axis].ravel()[reach] + lean)
            points.append((foot - line[0]) / (2 * SPACING_MM))
        noise = ndimage.map_coordinates(self._fold_noise(), points, order=1, mode="nearest")
        folds = np.ones(SHAPE, dtype=np.float32)
        folds.ravel()[reach] = noise
        folds = ndimage.gaussian_filter(folds, 0.7, truncate=2.0)
        steepness = length(*np.gradient(folds, SPACING_MM))
        across = np.abs(folds) / (steepness + 0.02)
        traits = self.traits
        deepest = np.clip(traits.sulcus_depth_mm * (1 + 0.35 * self._smooth_field()), 5, 28)
        # Sulci gape at the surface.
        half_width = traits.sulcus_mm * (0.7 + 0.6 * np.exp(-np.maximum(depth, 0) / 6))
        return length(across, np.maximum(depth - deepest, 0)) - half_width

    def _with_deep_grey(self, image: Field) -> Field:
        # Nothing here lies outside this box, whatever the deformation.
        box = _box((46, 44, 48))
        x, y, z = self.side[box], self.y[box], self.z[box]
        part = image[box]
        grey, white = self.traits.grey, self.traits.white
        shrink = 1 - 0.03 * self.traits.atrophy
        wide = 2.2 * (self.traits.ventricle_scale - 1)
        for centre, radii, share in (
            ((10 + wide, -16, 5), (10, 15, 10), 0.45),  # thalamus
            ((15 + wide, 17, 7), (5, 10, 9), 0.12),  # head of the caudate
            ((18 + wide, -6, 20), (3, 18, 3), 0.12),  # body of the caudate
            ((26, 3, 2), (6, 16, 10), 0.18),  # putamen
            ((20, -1, 0), (4.5, 9, 7), 0.55),  # pallidum
            ((27, -20, -17), (6 * shrink, 17, 6 * shrink), 0.0),  # hippocampus
            ((23, 0, -18), (8 * shrink, 8, 8 * shrink), 0.0),  # amygdala
        ):
            distance = ellipsoid(x - centre[0], y - centre[1], z - centre[2], radii)
            part = _blend(part, grey + share * (white - grey), _coverage(distance))
        image[box] = part
        return image

    def _with_ventricles(self, image: Field) -> Field:
        scale = self.traits.ventricle_scale
        # Higher than wide, leaning outwards: the butterfly of a frontal slice.
        box = _box((66, 84, 52))
        x, y, z = self.x[box], self.y[box], self.z[box]
        place = (np.abs(x) - 0.35 * (z - 14), y, 14 + 0.8 * (z - 14))
        out = 1.5 * (scale - 1)
        tips = {
            "frontal": (15 + out, 31, 6),
            "caudate": (7 + out, 14, 13),
            "body": (9 + out, -10, 20),
            "back": (15 + out, -30, 19),
            "atrium": (25, -42, 8),
            "occipital": (26, -64, 4),
            "inferior": (40, -26, -5),
            "temporal": (39, -6, -12),
        }
        lateral: Field | None = None
        for start, end, radii in (
            ("frontal", "caudate", (4.4, 5.6)),
            ("caudate", "body", (5.6, 5.6)),
            ("body", "back", (5.6, 6.2)),
            ("back", "atrium", (6.2, 8.0)),
            ("atrium", "occipital", (8.0, 2.0)),
            ("atrium", "inferior", (6.0, 3.0)),
            ("inferior", "temporal", (3.0, 2.6)),
        ):
            scaled = (radii[0] * scale, radii[1] * scale)
            part = capsule(place, tips[start], tips[end], scaled)
            lateral = part if lateral is None else smooth_union(lateral, part, 3.0)
        assert lateral is not None
        # The septum pellucidum keeps the two sides apart.
        lateral = np.minimum(lateral, np.abs(x) - 0.7)
        third = ellipsoid(x, y + 8, z - 1, (2.0 * scale**1.5, 15, 11))
        fourth = ellipsoid(x, y + 41, z + 36, (7, 4.5 * scale, 9))
        fluid = np.maximum(np.maximum(lateral, third), fourth)
        image[box] = _blend(image[box], 0.85 * self.traits.fluid, _coverage(fluid))
        return image

    def _cerebellum(self, hull: Field) -> Field:
        radius = length(0.75 * self.x, self.y + 26, self.z + 34) + 1.5 * self._smooth_field()
        folia = np.cos(radius * np.float32(2 * np.pi / 6.5))
        grey, white = self.traits.grey, self.traits.white
        cortex = grey + 0.09 * folia
        leaf = _coverage((hull - 10 + 3.5 * folia) / 2)
        return _blend(cortex, 0.95 * white, leaf)

    # The scanner

    def _as_scanned(self, image: Field, inside: NDArray[np.bool_]) -> NDArray[np.int16]:
        traits = self.traits
        image = ndimage.gaussian_filter(image, 0.4, truncate=3.0)
        grain = self.rng.standard_normal(SHAPE, dtype=np.float32)
        grain = ndimage.gaussian_filter(grain, traits.texture_mm / SPACING_MM / 2, truncate=2.5)
        image = image + traits.texture * grain / grain.std()
        image = image * np.exp(traits.bias * self._smooth_field())
        noise = traits.noise * self.rng.standard_normal((2, *SHAPE), dtype=np.float32)
        # The magnitude of a complex signal: Rician noise, as in a scan.
        image = np.hypot(image + noise[0], noise[1])
        stored = np.rint(np.where(inside, image, 0) * traits.gain)
        return np.clip(stored, 0, np.iinfo(np.int16).max).astype(np.int16)


# The grid


def _coverage(distance: Field) -> Field:
    """Return the share of a voxel that lies inside: partial volume at the border."""
    share = distance / np.float32(SPACING_MM) + np.float32(0.5)
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def _blend(below: Field | float, above: Field | float, share: Field) -> Field:
    return np.asarray(below + share * (above - below), dtype=np.float32)


def _affine() -> NDArray[np.float64]:
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = [-(size - 1) / 2 * SPACING_MM for size in SHAPE]
    return affine


def _axes_mm() -> tuple[Field, Field, Field]:
    x, y, z = (
        ((np.arange(size) - (size - 1) / 2) * SPACING_MM).astype(np.float32) for size in SHAPE
    )
    # The brain stem reaches further down than the crown reaches up.
    return x, y, z - 4


def _box(reach_mm: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """Return the part of the grid within ``reach_mm`` of the origin along each axis."""
    inside = [
        np.flatnonzero(np.abs(line) <= reach)
        for line, reach in zip(_axes_mm(), reach_mm, strict=True)
    ]
    x, y, z = (slice(int(part[0]), int(part[-1]) + 1) for part in inside)
    return x, y, z


@functools.cache
def _smooth_basis() -> tuple[Field, Field, Field]:
    """Return per axis Gaussian weights of nodes 30 mm apart, shape (voxels, nodes)."""
    bases = []
    for line in _axes_mm():
        nodes = np.arange(line[0] - 30, line[-1] + 31, 30.0)
        weight = np.exp(-0.5 * ((line[:, None] - nodes) / 24.0) ** 2)
        bases.append((weight / np.sqrt((weight**2).sum(axis=1, keepdims=True))).astype(np.float32))
    return bases[0], bases[1], bases[2]
