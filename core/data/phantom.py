"""The simulated demo cohort: brain-like volumes whose two classes differ, but overlap.

Nothing here was measured on a person. Each subject is drawn from a seed: its shape, its
folding, its contrast and its noise. The classes differ by a latent *atrophy* that widens
ventricles and sulci and thins the cortex, as Alzheimer's disease does on average.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core import text_file
from core.errors import CohortError, SettingsError
from core.progress import Operation, Progress

MARKER_FILE = "phantom.json"
SPACING_MM = 1.75
SHAPE = (92, 112, 92)
# Part of the settings in the marker: raise it when the voxels of a seed change.
_GENERATOR_VERSION = 1
# Mean latent atrophy of a class, in standard deviations within a class.
_ATROPHY = {"AD": 1.6, "MCI": 0.8, "NC": 0.0}
# Files that systems put into a folder unasked; they are nobody's data.
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

# float32 throughout; numpy's own types say only "floating" of most results.
Field: TypeAlias = NDArray[np.floating[Any]]

_README = """SIMULATED BRAINS - NOT PATIENTS

These volumes were computed by MRI-FCL from random numbers. They show nobody's brain.
They look like skull-stripped T1-weighted scans so that the program can be tried without
data. The classes {classes} differ in a simulated atrophy (wider ventricles and sulci,
thinner cortex) whose ranges overlap. Age and sex in participants.tsv are simulated too.

Nothing that is measured on them says anything about a disease, a person or a scanner.

Settings: {settings}
"""


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
    if label not in _ATROPHY:
        raise SettingsError(f"Class '{label}' cannot be simulated. Give one of: AD, MCI, NC.")
    # A stream of its own: changing a trait must not change shape or folding.
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    atrophy = _ATROPHY[label] + rng.standard_normal()
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
        wet = _smooth_union(_smooth_union(cerebrum, cerebellum, 4.0), stem, 4.0)
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
        dome = _superellipsoid(egg, y + 2, z - 4, (67, 85, 60))
        # The base: orbital surface in front, tentorium behind.
        base = np.where(y > -20, z + 24 - 0.16 * y, 0.95 * (z + 24.2 + 0.10 * (y + 20)))
        dome = _smooth_intersection(dome, base.astype(np.float32), 16.0)
        # The cistern around the brain stem.
        cistern = _ellipsoid(x, y + 16, z + 31, (25, 32, 17))
        dome = _smooth_intersection(dome, -cistern, 5.0)
        temporal = _ellipsoid(x - 43, y - 0.0, z + 22 + 0.12 * y, (23, 46, 23))
        return _smooth_union(dome, temporal, 8.0)

    def _cerebellum_hull(self) -> Field:
        lobe = _ellipsoid(self.side - 24, self.y + 54, self.z + 39, (31, 30, 25))
        vermis = _ellipsoid(self.x, self.y + 50, self.z + 33, (15, 24, 24))
        return _smooth_union(lobe, vermis, 5.0)

    def _brain_stem(self) -> Field:
        pons = _ellipsoid(self.x, self.y + 20, self.z + 36, (17, 13, 15))
        stalk = _capsule((self.x, self.y, self.z), (0, -16, -10), (0, -32, -60), (15.0, 9.0))
        return _smooth_union(pons, stalk, 6.0)

    # Tissue

    def _cerebrum(self, hull: Field) -> Field:
        """Return intensities of cortex, white matter and deep grey matter."""
        traits = self.traits
        core = self._medial_core()
        half_gap = 0.5 + 0.5 * traits.sulcus_mm
        fissure = _length(self.x, np.maximum(-core, 0)) - half_gap
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
        return -_ellipsoid(0.2 * self.x, self.y + 6, self.z - 3, (1e3, 39 + grown, 24 + grown))

    def _sylvian(self) -> Field:
        """Return the distance to the lateral fissure and the slit over the insula."""
        x, y, z = self.side, self.y, self.z
        height = z + 5 + 0.38 * y
        lateral = _length(height, np.maximum(37 - x, 0), np.maximum(np.abs(y + 8) - 30, 0))
        insula = _length(
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
        steepness = _length(*np.gradient(folds, SPACING_MM))
        across = np.abs(folds) / (steepness + 0.02)
        traits = self.traits
        deepest = np.clip(traits.sulcus_depth_mm * (1 + 0.35 * self._smooth_field()), 5, 28)
        # Sulci gape at the surface.
        half_width = traits.sulcus_mm * (0.7 + 0.6 * np.exp(-np.maximum(depth, 0) / 6))
        return _length(across, np.maximum(depth - deepest, 0)) - half_width

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
            distance = _ellipsoid(x - centre[0], y - centre[1], z - centre[2], radii)
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
            part = _capsule(place, tips[start], tips[end], scaled)
            lateral = part if lateral is None else _smooth_union(lateral, part, 3.0)
        assert lateral is not None
        # The septum pellucidum keeps the two sides apart.
        lateral = np.minimum(lateral, np.abs(x) - 0.7)
        third = _ellipsoid(x, y + 8, z - 1, (2.0 * scale**1.5, 15, 11))
        fourth = _ellipsoid(x, y + 41, z + 36, (7, 4.5 * scale, 9))
        fluid = np.maximum(np.maximum(lateral, third), fourth)
        image[box] = _blend(image[box], 0.85 * self.traits.fluid, _coverage(fluid))
        return image

    def _cerebellum(self, hull: Field) -> Field:
        radius = _length(0.75 * self.x, self.y + 26, self.z + 34) + 1.5 * self._smooth_field()
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


# Shapes: signed distances in mm, positive inside


def _ellipsoid(x: Field, y: Field, z: Field, radii: tuple[float, float, float]) -> Field:
    """Return an approximate distance to an ellipsoid about the origin.

    First-order distance k0 (1 - k0) / k1 with k0 = |p / r|, k1 = |p / r^2|.
    """
    a, b, c = (np.float32(1 / radius) for radius in radii)
    u, v, w = x * a, y * b, z * c
    norm = _length(u, v, w)
    gradient = _length(u * a, v * b, w * c)
    return np.asarray(norm * (1 - norm) / (gradient + 1e-6), dtype=np.float32)


def _superellipsoid(x: Field, y: Field, z: Field, radii: tuple[float, float, float]) -> Field:
    """Return an approximate distance to a slightly boxy ellipsoid (exponent 2.2)."""
    u, v, w = (np.abs(part) / np.float32(r) for part, r in zip((x, y, z), radii, strict=True))
    norm = (u**2.2 + v**2.2 + w**2.2) ** np.float32(1 / 2.2)
    slope = _length(
        *((part / (norm + 1e-6)) ** 1.2 / r for part, r in zip((u, v, w), radii, strict=True))
    )
    return np.asarray((1 - norm) / (slope + 1e-6), dtype=np.float32)


def _capsule(
    place: tuple[Field, Field, Field],
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radii: tuple[float, float],
) -> Field:
    """Return the distance to a tube from ``start`` to ``end`` whose radius changes evenly."""
    way = [e - s for s, e in zip(start, end, strict=True)]
    from_start = [part - np.float32(s) for part, s in zip(place, start, strict=True)]
    square = sum(step * step for step in way)
    along = sum(
        part * np.float32(step / square) for part, step in zip(from_start, way, strict=True)
    )
    along = np.clip(along, 0, 1)
    gap = _length(
        *(part - along * np.float32(step) for part, step in zip(from_start, way, strict=True))
    )
    return np.asarray(radii[0] + along * np.float32(radii[1] - radii[0]) - gap, dtype=np.float32)


def _smooth_union(first: Field, second: Field, width_mm: float) -> Field:
    """Return the larger distance, rounded over ``width_mm`` where both are close."""
    blend = np.maximum(width_mm - np.abs(first - second), 0)
    return np.asarray(np.maximum(first, second) + blend * blend / (4 * width_mm), dtype=np.float32)


def _smooth_intersection(first: Field, second: Field, width_mm: float) -> Field:
    return -_smooth_union(-first, -second, width_mm)


def _length(*parts: Field) -> Field:
    return np.asarray(np.sqrt(sum(part * part for part in parts)), dtype=np.float32)


def _coverage(distance: Field) -> Field:
    """Return the share of a voxel that lies inside: partial volume at the border."""
    share = distance / np.float32(SPACING_MM) + np.float32(0.5)
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def _blend(below: Field | float, above: Field | float, share: Field) -> Field:
    return np.asarray(below + share * (above - below), dtype=np.float32)


# The folder


def _check_settings(subjects_per_class: int, seed: int, classes: Sequence[str]) -> dict[str, Any]:
    if not 1 <= subjects_per_class <= 999:
        raise SettingsError(
            f"{subjects_per_class} simulated subjects a class are not possible. "
            "Give a number from 1 to 999."
        )
    if seed < 0:
        raise SettingsError(f"Seed {seed} is negative. Give 0 or more.")
    if not classes or len(set(classes)) != len(classes) or not set(classes) <= set(_ATROPHY):
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


# The grid


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
