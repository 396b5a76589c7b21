"""Maps go back to where their slices were cut."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from core.analysis.map_volume import maps_on_pictures, stack_maps
from core.config import SliceSettings
from core.data.nifti_export import write_nifti
from core.data.slices import choose_slices, cut_slices
from core.data.volume import Volume, load_volume
from core.figure_overlay import resized


def a_volume(shape=(12, 16, 10), spacing=(1.0, 1.0, 1.0)):
    """Return a smooth head: what is resampled twice stays close to itself."""
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    voxels = 100 + 60 * grid[0] + 30 * grid[1] - 20 * grid[2] + 25 * grid[0] * grid[1]
    affine = np.diag([*spacing, 1.0])
    return Volume(voxels.astype(np.float32), affine, spacing)


def stacked_slices(volume, settings):
    """Return the slices themselves, put back as if they were maps."""
    numbers = choose_slices(volume, settings)
    slices = cut_slices(volume, settings, numbers).astype(np.float32)
    return numbers, stack_maps(
        slices,
        numbers,
        shape=volume.voxels.shape,
        spacing_mm=volume.spacing_mm,
        plane=settings.plane,
        size=settings.size,
    )


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 2.0)])
def test_that_slices_put_back_are_the_volume_they_were_cut_from(plane, spacing):
    volume = a_volume(spacing=spacing)
    settings = SliceSettings(
        plane=plane, count=4, size=64, centre="volume", low_percentile=0, high_percentile=100
    )
    numbers, back = stacked_slices(volume, settings)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    seen = np.take(volume.voxels, numbers, axis=axis)
    low, high = volume.voxels[::2, ::2, ::2].min(), volume.voxels[::2, ::2, ::2].max()
    expected = np.clip((seen - low) / (high - low) * 255, 0, 255)
    found = np.take(back, numbers, axis=axis)
    inner = tuple(slice(1, -1) if i != axis else slice(None) for i in range(3))
    # A pixel is 4 to 7 grey levels from its neighbour here: a shift by one would show.
    assert np.abs(found - expected)[inner].max() < 5
    assert np.corrcoef(found[inner].ravel(), expected[inner].ravel())[0, 1] > 0.999


def test_that_nothing_is_said_where_no_slice_was_seen_and_between_slices_it_is_linear():
    maps = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 4.0)]).astype(np.float32)
    back = stack_maps(
        maps,
        np.array([3, 6]),
        shape=(4, 5, 10),
        spacing_mm=(1.0, 1.0, 1.0),
        plane="axial",
        size=8,
    )
    assert back[:, :, :3].max() == 0
    assert back[:, :, 7:].max() == 0
    np.testing.assert_allclose(back[1, 1, 3:7], [1, 2, 3, 4], atol=1e-6)


def test_that_a_written_map_has_the_grid_of_the_scan_and_no_text(tmp_path):
    rng = np.random.default_rng(0)
    stored = rng.normal(size=(5, 7, 6)).astype(np.float32)
    # Stored as superior, left, anterior: an axis order and a flip at once.
    affine = np.array([[0, -2.0, 0, 3], [0, 0, 1.5, -4], [1.0, 0, 0, 5], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "scan.nii")
    volume = load_volume(tmp_path / "scan.nii")
    path = tmp_path / "map.nii.gz"
    write_nifti(path, volume.voxels, volume.affine, stored_as=affine)
    written = nib.load(path)
    np.testing.assert_allclose(written.affine, affine)
    np.testing.assert_allclose(np.asarray(written.dataobj), stored, atol=1e-6)
    for name in ("descrip", "aux_file", "intent_name", "db_name"):
        assert bytes(written.header[name]).strip(b"\0") == b""
    again = load_volume(path)
    np.testing.assert_allclose(again.voxels, volume.voxels, atol=1e-6)


@pytest.mark.parametrize("shape", [(20, 20), (12, 20), (20, 14)])
def test_that_a_map_of_a_padded_square_is_cut_to_its_picture(shape):
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(2, 5, 5)).astype(np.float32)
    square = np.stack([resized(one, (20, 20)) for one in maps])
    top, left = (20 - shape[0]) // 2, (20 - shape[1]) // 2
    expected = square[:, top : top + shape[0], left : left + shape[1]]
    np.testing.assert_allclose(maps_on_pictures(maps, shape), expected, atol=1e-6)
