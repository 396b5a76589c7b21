"""Integer copies of a volume: the same grey as from the floats, in every plane."""

from __future__ import annotations

import numpy as np
import pytest

from mrifcl_gui.grey_volume import GreyVolume, to_grey
from mrifcl_gui.slice_planes import PLANES

SHAPE = (8, 9, 10)


def make_voxels(scale=1000.0):
    return (np.random.default_rng(0).random(SHAPE) * scale).astype(np.float32)


def painted(grey, plane, index, *, is_mirrored=False):
    out = np.zeros((SHAPE[plane.up], SHAPE[plane.across]), np.uint32)
    grey.paint(out, plane, index, is_mirrored=is_mirrored)
    assert np.all(out >> 24 == 0xFF)
    return (out & 0xFF).astype(np.uint8)


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: plane.name)
@pytest.mark.parametrize("is_mirrored", [True, False])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1000.0, 1e30])
def test_that_integers_and_floats_give_the_same_grey(plane, is_mirrored, scale):
    voxels = make_voxels(scale)
    grey = GreyVolume(voxels)
    grey.set_limits(0.2 * scale, 0.7 * scale)
    assert grey.has_levels
    assert not grey.is_ready
    section = np.take(voxels, 3, axis=plane.along).T[::-1]
    expected = to_grey(section[:, ::-1] if is_mirrored else section, 0.2 * scale, 0.7 * scale)
    by_table = painted(grey, plane, 3, is_mirrored=is_mirrored)
    assert np.abs(by_table.astype(int) - expected).max() <= 1
    grey.prepare()
    assert grey.is_ready
    assert np.array_equal(painted(grey, plane, 3, is_mirrored=is_mirrored), by_table)


def test_that_another_window_is_shown_before_its_greys_are_complete():
    voxels = make_voxels()
    grey = GreyVolume(voxels)
    grey.set_limits(0.0, 1000.0)
    grey.prepare()
    grey.set_limits(400.0, 600.0)
    expected = to_grey(voxels[:, :, 4].T[::-1], 400.0, 600.0).astype(int)
    assert np.abs(painted(grey, PLANES[0], 4) - expected).max() <= 1
    grey.prepare_part()
    assert np.abs(painted(grey, PLANES[0], 4) - expected).max() <= 1


def test_that_a_narrow_window_beside_an_outlier_keeps_its_grey_levels():
    voxels = make_voxels()
    voxels[0, 0, 0] = 1e9
    grey = GreyVolume(voxels)
    grey.set_limits(0.0, 1000.0)
    section = voxels[:, :, 4].T[::-1]
    assert np.array_equal(painted(grey, PLANES[0], 4), to_grey(section, 0.0, 1000.0))


def test_that_a_large_volume_is_shown_before_its_copies_are_complete():
    voxels = np.random.default_rng(0).random((90, 80, 80), dtype=np.float32)
    grey = GreyVolume(voxels)
    assert not grey.is_ready
    grey.set_limits(0.0, 1.0)
    assert not grey.has_levels
    before, after = np.zeros((80, 90), np.uint32), np.zeros((80, 90), np.uint32)
    grey.paint(before, PLANES[0], 7, is_mirrored=True)
    grey.prepare()
    grey.paint(after, PLANES[0], 7, is_mirrored=True)
    assert np.abs((before & 0xFF).astype(int) - (after & 0xFF)).max() <= 1


def test_that_extreme_values_are_no_trouble():
    voxels = np.array([-3e38, 0, 1, 3e38], np.float32).reshape(2, 2, 1)
    grey = GreyVolume(voxels)
    grey.set_limits(-3e38, 3e38)
    out = np.zeros((2, 2), np.uint32)
    grey.paint(out, PLANES[0], 0, is_mirrored=False)
    assert sorted((out & 0xFF).ravel()) == [0, 127, 127, 255]
