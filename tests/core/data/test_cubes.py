"""Cubes: where a voxel of a scan lies in them, how bright it is, and their cache."""

from __future__ import annotations

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import CubeSettings, SliceSettings
from core.data.cubes import cut_cube, cut_layers, cut_scan
from core.data.slice_cache import cache_key, prepare_slices
from core.data.slices import cut_slices
from core.data.volume import Volume, load_volume
from core.errors import CohortError
from core.progress import Notice, Progress, run_to_end

WHOLE = CubeSettings(size=24, side_mm=None, centre="volume", low_percentile=0, high_percentile=100)


def volume_of(voxels, spacing_mm=(1.0, 1.0, 1.0)):
    return Volume(np.asarray(voxels, dtype=np.float32), np.diag([*spacing_mm, 1.0]), spacing_mm)


def brightest(cube):
    return tuple(int(i) for i in np.unravel_index(cube.argmax(), cube.shape))


def test_that_a_cube_has_superior_last_anterior_on_top_and_right_on_the_left():
    voxels = np.zeros((24, 24, 24))
    voxels[20, 18, 4] = 100  # right, anterior, inferior
    cube = cut_cube(volume_of(voxels), WHOLE)
    assert cube.shape == (24, 24, 24)
    assert cube.dtype == np.uint8
    assert brightest(cube) == (4, 23 - 18, 23 - 20)


def test_that_a_cube_of_the_scans_own_grid_is_its_stack_of_axial_slices():
    voxels = np.random.default_rng(0).integers(0, 1000, (24, 24, 24))
    volume = volume_of(voxels)
    slices = SliceSettings(size=24, count=24, low_percentile=0, high_percentile=100)
    stack = cut_slices(volume, slices, np.arange(24))
    np.testing.assert_array_equal(cut_cube(volume, WHOLE), stack)


def test_that_voxels_of_unequal_size_become_equal():
    voxels = np.zeros((24, 12, 8))  # 24 mm along each axis
    voxels[4:12, 4:8, 2:6] = 100  # 8 mm, 8 mm, 12 mm
    cube = cut_cube(volume_of(voxels, (1.0, 2.0, 3.0)), WHOLE) > 127
    sides = [int(cube.any(axis=tuple({0, 1, 2} - {axis})).sum()) for axis in range(3)]
    assert sides == [12, 8, 8]  # superior, anterior, right


def test_that_what_lies_outside_the_scan_is_black():
    voxels = np.full((24, 24, 8), 100)
    voxels[0, 0, 0] = 0
    cube = cut_cube(volume_of(voxels), WHOLE)
    assert not cube[:7].any()
    assert not cube[17:].any()
    assert (cube[9:15, 2:22, 2:22] == 255).all()


def test_that_the_brain_fills_the_cube_wherever_it_lies():
    voxels = np.zeros((40, 40, 40))
    voxels[4:14, 20:32, 26:36] = 100
    about = CubeSettings(
        size=26, side_mm=None, centre="brain", low_percentile=0, high_percentile=100
    )
    cube = cut_cube(volume_of(voxels), about)
    inside = np.argwhere(cube > 127)
    np.testing.assert_allclose((inside.min(axis=0) + inside.max(axis=0)) / 2, 12.5, atol=1.01)
    # The longest side, 12 voxels, takes all but the margin of a twentieth.
    assert np.ptp(inside, axis=0).max() + 1 == pytest.approx(26 / 1.05, abs=2)


def test_that_a_side_in_mm_keeps_sizes_comparable():
    small, large = (np.zeros((40, 40, 40)) for _ in range(2))
    small[15:25, 15:25, 15:25] = 100
    large[10:30, 10:30, 10:30] = 100
    fixed = CubeSettings(
        size=40, side_mm=40.0, centre="brain", low_percentile=0, high_percentile=100
    )
    bright = [int((cut_cube(volume_of(v), fixed) > 127).sum()) for v in (small, large)]
    assert bright == [1000, 8000]


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(8, 30)] * 3),
    size=st.integers(16, 40),
    spacing=st.tuples(*[st.floats(0.5, 4)] * 3),
)
def test_that_even_tissue_stays_even_whatever_the_voxels(shape, size, spacing):
    voxels = np.full(shape, 200)
    voxels[0, 0, 0] = 0
    sides = [n * mm for n, mm in zip(shape, spacing, strict=True)]
    # A cube well within the scan: no wall and no black corner is near.
    within = CubeSettings(size, min(sides) / 2, "volume", 0, 100)
    assert (cut_cube(volume_of(voxels, spacing), within) == 255).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=64, max_size=64), st.integers(16, 20))
def test_that_mirrored_scans_give_mirrored_cubes(values, size):
    voxels = np.array(values).reshape(4, 4, 4)
    about = CubeSettings(size, 5.0, "volume", 0, 100)
    cube = cut_cube(volume_of(voxels), about)
    mirrored = cut_cube(volume_of(voxels[::-1]), about)
    difference = np.abs(cube[:, :, ::-1].astype(int) - mirrored)
    # The percentile window looks at every second voxel from the first, so it may shift.
    window = [v[::2, ::2, ::2] for v in (voxels, voxels[::-1])]
    if window[0].max() == window[1].max() and window[0].min() == window[1].min():
        assert difference.max() <= 1


def test_that_orientations_on_disk_give_one_cube(shared_data):
    folder = shared_data / "orientations"
    files = sorted(path for path in folder.iterdir() if path.name.endswith((".nii", ".nii.gz")))
    assert len(files) > 1
    about = CubeSettings(32, None, "brain", 1, 99)
    cubes = [cut_cube(load_volume(path), about).astype(int) for path in files]
    for path, cube in zip(files, cubes, strict=True):
        assert np.abs(cube - cubes[0]).max() <= 2, path.name


# ------------------------------------------------------------------ of a cohort


@pytest.fixture
def cohort(tmp_path, make_cohort, affine):
    """Four volumes of two classes."""
    rng = np.random.default_rng(0)
    members = [(f"sub-0{i}", "AD" if i < 3 else "NC") for i in range(1, 5)]
    for subject, _ in members:
        voxels = rng.integers(1, 1000, (8, 9, 10)).astype(np.int16)
        nib.save(nib.Nifti1Image(voxels, affine), tmp_path / f"{subject}.nii.gz")
    return make_cohort(tmp_path, members, lambda subject: ("volume", [f"{subject}.nii.gz"]))


SMALL = CubeSettings(size=16, side_mm=None, centre="volume", low_percentile=1, high_percentile=99)


def events_and_result(operation):
    events = []
    while True:
        try:
            events.append(next(operation))
        except StopIteration as stop:
            return events, stop.value


def test_that_a_cohort_has_one_cube_a_scan_with_the_number_0(cohort, tmp_path):
    cubes = run_to_end(prepare_slices(cohort, tmp_path / "C.mrifcl", SMALL))
    assert cubes.pixels.shape == (4, 16, 16, 16)
    assert cubes.are_cubes
    assert cubes.number.tolist() == [0, 0, 0, 0]
    assert cubes.label.tolist() == [0, 0, 1, 1]
    alone = cut_cube(load_volume(tmp_path / "sub-03.nii.gz"), SMALL)
    np.testing.assert_array_equal(cubes.pixels[2], alone)


def test_that_cubes_are_made_once(cohort, tmp_path):
    store = tmp_path / "C.mrifcl"
    first = run_to_end(prepare_slices(cohort, store, SMALL))
    for scan in cohort.scans:
        cohort.path_of(scan.files[0]).unlink()
    events, again = events_and_result(prepare_slices(cohort, store, SMALL))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert not any(isinstance(event, Progress) and "Making" in event.what for event in events)


def test_that_cubes_begun_are_not_made_again(cohort, tmp_path, monkeypatch):
    store = tmp_path / "C.mrifcl"
    operation = prepare_slices(cohort, store, SMALL)
    for event in operation:
        if isinstance(event, Progress) and event.done == 3:
            break
    operation.close()
    made = []
    from core.data import slice_cache

    def count(*arguments):
        made.append(arguments[1].key)
        return cut_scan(*arguments)

    monkeypatch.setattr(slice_cache, "cut_scan", count)
    cubes = run_to_end(prepare_slices(cohort, store, SMALL))
    assert len(cubes) == 4
    assert len(made) < 4


def test_that_slices_and_cubes_of_other_sizes_have_places_of_their_own(cohort):
    other = dataclasses.replace(SMALL, size=20)
    keys = [
        cache_key(cohort, cut) for cut in (SMALL, other, SliceSettings(), SliceSettings(size=16))
    ]
    assert len(set(keys)) == 4


def test_that_a_scan_that_cannot_be_read_is_said_and_left_out(cohort, tmp_path):
    (tmp_path / "sub-02.nii.gz").write_bytes(b"no scan")
    events, cubes = events_and_result(prepare_slices(cohort, tmp_path / "C.mrifcl", SMALL))
    assert len(cubes) == 3
    said = [event.text for event in events if isinstance(event, Notice)]
    assert any("sub-02" in text and "left out" in text for text in said)


def test_that_ready_made_slices_are_refused_in_words(tmp_path, make_cohort, write_picture):
    members = [("sub-01", "AD"), ("sub-02", "NC")]
    for subject, _ in members:
        write_picture(tmp_path / f"{subject}.png")
    pictures = make_cohort(tmp_path, members, lambda subject: ("slices", [f"{subject}.png"]))
    with pytest.raises(CohortError, match="needs whole volumes") as caught:
        run_to_end(prepare_slices(pictures, tmp_path / "C.mrifcl", SMALL))
    assert "2 of 2 scans are ready-made slices (sub-01, sub-02)" in str(caught.value)
    with pytest.raises(CohortError, match="1 of 1"):
        cut_layers(pictures, pictures.scans[0], SMALL)


def test_that_layers_of_a_cube_are_numbered_by_the_axial_slice_they_lie_at(cohort):
    layers = cut_layers(cohort, cohort.scans[0], SMALL)
    cube = cut_scan(cohort, cohort.scans[0], SMALL)
    np.testing.assert_array_equal(layers.pixels, cube.pixels[0])
    assert cube.numbers.tolist() == [0]
    # 10 slices of 2 mm in a cube of 20 mm with 16 layers of 1.25 mm.
    expected = np.clip(np.round(4.5 + (np.arange(16) - 7.5) * 1.25 / 2), 0, 9)
    assert layers.numbers.tolist() == expected.astype(int).tolist()
    np.testing.assert_allclose(layers.positions_mm, -1 + (np.arange(16) - 7.5) * 1.25)


def test_that_layers_of_slices_are_the_slices(cohort):
    settings_ = SliceSettings(count=3, size=16)
    layers = cut_layers(cohort, cohort.scans[0], settings_)
    assert layers.pixels.shape == (3, 16, 16)
    assert layers.numbers.tolist() == [4, 5, 6]
