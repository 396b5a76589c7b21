"""Slices: which are chosen, how they lie, and a cache that is whole or not there."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core import config
from core.config import RunSettings, SliceSettings
from core.data import slice_cache
from core.data.cohort import Cohort
from core.data.scan_folder import scan_folder
from core.data.slice_cache import cache_key, prepare_slices
from core.data.slice_export import export_slices
from core.data.slices import (
    choose_slices,
    cut_slices,
    read_pictures,
    slice_positions,
    slices_of_scan,
)
from core.data.volume import Volume
from core.errors import CohortError, ScanError, SettingsError
from core.progress import Notice, run_to_end

SMALL = SliceSettings(count=3, size=16)


def volume_of(voxels, spacing_mm=(1.0, 1.0, 1.0)) -> Volume:
    return Volume(np.asarray(voxels, dtype=np.float32), np.eye(4), spacing_mm)


def events_and_result(operation):
    events = []
    while True:
        try:
            events.append(next(operation))
        except StopIteration as stop:
            return events, stop.value


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------ which slices


@pytest.mark.parametrize(
    ("plane", "expected"),
    # By hand: the middle of 10, 9 and 8 planes, three about it.
    [("axial", [4, 5, 6]), ("coronal", [3, 4, 5]), ("sagittal", [2, 3, 4])],
)
def test_that_mid_slices_lie_about_the_middle_of_the_volume(plane, expected):
    settings = SliceSettings(plane=plane, count=3, centre="volume")
    assert choose_slices(volume_of(np.ones((8, 9, 10))), settings).tolist() == expected


def test_that_mid_slices_lie_about_the_middle_of_the_brain():
    voxels = np.zeros((8, 9, 20))
    voxels[2:6, 2:7, 10:17] = 100
    chosen = choose_slices(volume_of(voxels), SliceSettings(count=3))
    assert chosen.tolist() == [12, 13, 14]


def test_that_a_lone_bright_voxel_does_not_move_the_brain():
    voxels = np.zeros((40, 40, 20))
    voxels[10:30, 10:30, 10:17] = 100
    voxels[0, 0, 0] = 1000
    chosen = choose_slices(volume_of(voxels), SliceSettings(count=3))
    assert chosen.tolist() == [12, 13, 14]


def test_that_slices_shift_into_the_volume_and_are_never_fewer():
    voxels = np.zeros((8, 9, 10))
    voxels[:, :, 8:] = 100
    chosen = choose_slices(volume_of(voxels), SliceSettings(count=3, step=2))
    assert chosen.tolist() == [5, 7, 9]


def test_that_an_empty_volume_is_cut_about_its_middle():
    chosen = choose_slices(volume_of(np.zeros((8, 9, 10))), SliceSettings(count=2))
    assert chosen.tolist() == [4, 5]


@given(
    size=st.integers(2, 60),
    count=st.integers(1, 20),
    step=st.integers(1, 5),
    brain=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_that_chosen_slices_are_in_the_volume_evenly_spaced_and_as_many_as_asked(
    size, count, step, brain
):
    voxels = np.zeros((4, 4, size))
    low, high = sorted(int(share * (size - 1)) for share in brain)
    voxels[:, :, low : high + 1] = 50
    settings = SliceSettings(count=count, step=step)
    if (count - 1) * step >= size:
        with pytest.raises(ScanError, match="Take fewer slices"):
            choose_slices(volume_of(voxels), settings)
        return
    chosen = choose_slices(volume_of(voxels), settings)
    assert len(chosen) == count
    assert (np.diff(chosen) == step).all()
    assert 0 <= chosen[0] <= chosen[-1] < size


def test_that_slices_may_be_spaced_in_millimetres():
    volume = volume_of(np.ones((8, 9, 41)), (1.0, 1.0, 1.5))
    settings = SliceSettings(count=4, spacing_mm=4.0, centre="volume")
    # 4 mm are 2.67 voxels: offsets 0, 3, 5, 8 about the middle, 20.
    assert choose_slices(volume, settings).tolist() == [16, 19, 21, 24]


def test_that_a_spacing_below_the_voxel_size_is_refused(assert_plain):
    volume = volume_of(np.ones((8, 9, 41)), (1.0, 1.0, 1.5))
    with pytest.raises(ScanError, match=r"lie 1\.5 mm apart") as caught:
        choose_slices(volume, SliceSettings(count=4, spacing_mm=1.0))
    assert_plain(caught.value, "every 1 mm")
    same = SliceSettings(count=4, spacing_mm=1.49999)
    assert np.diff(choose_slices(volume, same)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_that_slices_lie_about_a_given_position(plane, axis):
    affine = np.diag([2.0, 1.5, 3.0, 1.0])
    affine[:3, 3] = (-40, -20, 10)
    volume = Volume(np.ones((21, 21, 21), np.float32), affine, (2.0, 1.5, 3.0))
    voxel_mm, start = affine[axis, axis], affine[axis, 3]
    settings = SliceSettings(
        plane=plane, count=3, centre="mm", centre_mm=float(start + 7 * voxel_mm)
    )
    assert choose_slices(volume, settings).tolist() == [6, 7, 8]
    expected = [start + k * voxel_mm for k in (6, 7, 8)]
    assert slice_positions(volume, settings) == pytest.approx(expected)


def test_that_positions_of_an_oblique_scan_are_those_of_the_slices_middles():
    turn = np.deg2rad(10)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    volume = Volume(np.ones((5, 7, 9), np.float32), affine, (1.0, 1.0, 1.0))
    settings = SliceSettings(count=3, centre="volume")
    expected = [(affine @ [2, 3, k, 1])[2] for k in (3, 4, 5)]
    assert slice_positions(volume, settings) == pytest.approx(expected)


def test_that_a_position_outside_the_scan_is_refused(assert_plain):
    settings = SliceSettings(count=3, centre="mm", centre_mm=50.0)
    with pytest.raises(ScanError, match="reaches from 0 to 9 mm") as caught:
        choose_slices(volume_of(np.ones((8, 9, 10))), settings)
    assert_plain(caught.value, "50 mm")


def test_that_a_centre_in_mm_needs_a_position():
    with pytest.raises(SettingsError, match="needs a Centre position"):
        config.change(RunSettings(), {"centre": "mm"})
    chosen = config.change(RunSettings(), {"centre": "mm", "centre_mm": "-12,5"})
    assert chosen.slices.centre_mm == -12.5


# ------------------------------------------------------------------ how they lie


def triangle_matrix(size, new_size):
    """Weights (new, old) of bilinear resampling, the triangle as wide as a new pixel if larger."""
    scale = max(size / new_size, 1.0)
    centres = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    weights = np.clip(1 - np.abs(np.arange(size) - centres[:, None]) / scale, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [16, 40, 224])
def test_that_resampling_is_as_computed_by_hand(size):
    voxels = np.random.default_rng(3).integers(0, 256, (40, 40, 40)).astype(np.float32)
    voxels[0, 0, :2] = 0, 255
    settings = SliceSettings(size=size, low_percentile=0, high_percentile=100)
    half = voxels[::2, ::2, ::2]
    low, high = float(half.min()), float(half.max())
    grey = np.clip((voxels[:, :, 20] - low) * (255 / (high - low)), 0, 255).round()
    matrix = triangle_matrix(40, size)
    expected = matrix @ grey.T[::-1, ::-1] @ matrix.T
    found = cut_slices(volume_of(voxels), settings, [20])[0]
    # Pillow rounds after each of its two passes.
    assert np.abs(found - expected).max() < 1.5


def test_that_the_window_is_that_of_every_second_voxel():
    voxels = np.random.default_rng(4).gamma(2, 100, (23, 23, 23)).astype(np.float32)
    settings = SliceSettings(size=23, low_percentile=2, high_percentile=97)
    volume = volume_of(voxels)
    low, high = np.percentile(volume.voxels[::2, ::2, ::2].astype(np.float64), (2, 97))
    expected = np.clip((volume.voxels[:, :, 9] - low) * 255 / (high - low), 0, 255)
    found = cut_slices(volume, settings, [9])[0].astype(float)
    assert np.abs(found - expected.T[::-1, ::-1]).max() < 0.51


@pytest.mark.parametrize(
    ("plane", "corner"),
    [("axial", (0, 0)), ("coronal", (0, 0)), ("sagittal", (0, 1))],
    ids=["anterior-up-right-left", "superior-up-right-left", "superior-up-anterior-right"],
)
def test_that_slices_follow_the_radiological_convention(plane, corner):
    # Bright where right, anterior and superior meet.
    voxels = np.zeros((8, 8, 8))
    voxels[4:, 4:, 4:] = 100
    settings = SliceSettings(plane=plane, size=16)
    picture = cut_slices(volume_of(voxels), settings, [6])[0]
    quarters = picture.reshape(2, 8, 2, 8).mean(axis=(1, 3))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == corner


def test_that_slices_keep_millimetres_and_are_padded_to_a_square():
    voxels = np.full((8, 8, 8), 100.0)
    voxels[0, 0, 0] = 0
    settings = SliceSettings(plane="coronal", size=30, low_percentile=0, high_percentile=100)
    picture = cut_slices(volume_of(voxels, (1.0, 1.0, 3.0)), settings, [4])[0]
    # 8 mm wide and 24 mm high: a third of the width is tissue, in the middle.
    assert np.flatnonzero(picture.any(axis=0)).tolist() == list(range(10, 20))
    assert picture.any(axis=1).all()


def test_that_grey_levels_run_between_the_percentiles():
    voxels = np.arange(101, dtype=np.float32).repeat(4).reshape(101, 2, 2)
    settings = SliceSettings(plane="sagittal", size=16, low_percentile=10, high_percentile=50)
    grey = [int(picture[8, 8]) for picture in cut_slices(volume_of(voxels), settings, range(101))]
    assert grey[:11] == [0] * 11
    assert grey[50:] == [255] * 51
    assert grey[30] == 128  # half-way: 127.5 rounded to even


def test_that_a_scan_without_contrast_gives_black_slices():
    assert not cut_slices(volume_of(np.full((8, 9, 10), 5)), SMALL, [4, 5]).any()


# ------------------------------------------------------------------ ready-made pictures


def test_that_pictures_of_unlike_size_are_read_on_one_canvas(tmp_path, write_picture, make_cohort):
    write_picture(tmp_path / "a_s1.png", shape=(4, 6))
    write_picture(tmp_path / "a_s2.png", shape=(5, 3))
    cohort = make_cohort(tmp_path, [("a", "AD")], lambda _: ("slices", ["a_s1.png", "a_s2.png"]))
    pixels = run_to_end(read_pictures(cohort, cohort.scans[0]))
    assert pixels.shape == (2, 5, 6)
    assert not pixels[0, 4:].any()
    assert not pixels[1, :, 3:].any()


def test_that_ready_made_slices_are_resized_and_keep_their_numbers(
    tmp_path, write_picture, make_cohort
):
    write_picture(tmp_path / "a_s7.png", shape=(32, 32))
    cohort = make_cohort(tmp_path, [("a", "AD")], lambda _: ("slices", ["a_s7.png"]))
    scan = dataclasses.replace(cohort.scans[0], slice_numbers=(7,))
    cut = slices_of_scan(cohort, scan, SMALL)
    assert cut.pixels.shape == (1, 16, 16)
    assert cut.numbers.tolist() == [7]
    assert cut.positions_mm.shape == (0,)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_that_slices_of_16_bits_keep_equal_levels_equal_within_a_scan(
    tmp_path, make_cohort, suffix
):
    # 12 bits used of 16; level 1000 stands for one tissue in all three slices.
    files = [f"a_s{number}.{suffix}" for number in range(3)]
    for file, brightest in zip(files, (1000, 4000, 2000), strict=True):
        levels = np.full((16, 16), 1000, dtype=np.uint16)
        levels[:8] = brightest
        Image.fromarray(levels).save(tmp_path / file)
    cohort = make_cohort(tmp_path, [("a", "AD")], lambda _: ("slices", files))
    # By hand: 1000 / 4000 * 255 = 63.75, 2000 / 4000 * 255 = 127.5.
    for pixels in (
        slices_of_scan(cohort, cohort.scans[0], SMALL).pixels,
        run_to_end(read_pictures(cohort, cohort.scans[0])),
    ):
        assert pixels[:, 12, 3].tolist() == [64, 64, 64]
        assert pixels[:, 3, 3].tolist() == [64, 255, 128]


# ------------------------------------------------------------------ the cache


@pytest.fixture
def cohort(tmp_path, write_nifti, voxels):
    """Two subjects a class, one volume each."""
    for number, name in enumerate(("AD/sub-01", "AD/sub-02", "NC/sub-03", "NC/sub-04")):
        write_nifti(tmp_path / "scans" / f"{name}.nii.gz", np.roll(voxels, number))
    return run_to_end(scan_folder(tmp_path / "scans"))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "demo.mrifcl"


def cache_of(cohort: Cohort, store, settings=SMALL):
    return store / "slices" / cache_key(cohort, settings)


def test_that_all_slices_come_in_the_order_of_the_scans(cohort, store):
    slices = run_to_end(prepare_slices(cohort, store, SMALL))
    assert len(slices) == 12
    assert slices.pixels.shape == (12, 16, 16)
    assert slices.label.tolist() == [0] * 6 + [1] * 6
    assert slices.subject[::3].tolist() == ["sub-01", "sub-02", "sub-03", "sub-04"]
    assert slices.number[:3].tolist() == [4, 5, 6]
    assert files_below(cache_of(cohort, store)) == {"pixels.npy", "index.json"}


def test_that_a_cache_is_used_again_untouched(cohort, store):
    first = run_to_end(prepare_slices(cohort, store, SMALL))
    folder = cache_of(cohort, store)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = run_to_end(prepare_slices(cohort, store, SMALL))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert np.array_equal(first.pixels, again.pixels)
    for name in ("label", "subject", "session", "scan", "number"):
        assert np.array_equal(getattr(first, name), getattr(again, name))


def test_that_a_cache_needs_no_scans(cohort, store):
    first = run_to_end(prepare_slices(cohort, store, SMALL))
    for scan in cohort.scans:
        cohort.path_of(scan.files[0]).unlink()
    assert np.array_equal(run_to_end(prepare_slices(cohort, store, SMALL)).pixels, first.pixels)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("pixels.npy", None),
        ("index.json", None),
        ("pixels.npy", b""),
        ("pixels.npy", b"\x93NUMPY\x01\x00v\x00{'descr'"),
        ("index.json", b'{"label": [0, 0'),
        ("index.json", b"[]"),
        ("index.json", b'{"label":[],"subject":[],"session":[],"scan":[],"number":[]}'),
        ("index.json", b'{"label":["x"],"subject":[""],"session":[""],"scan":[""],"number":[1]}'),
        ("index.json", b'{"label":[0],"subject":["a"],"session":[""],"scan":["a"],"number":[1]}'),
    ],
)
def test_that_a_lost_or_damaged_cache_is_built_again(cohort, store, file, content):
    first = np.array(run_to_end(prepare_slices(cohort, store, SMALL)).pixels)
    path = cache_of(cohort, store) / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    again = run_to_end(prepare_slices(cohort, store, SMALL))
    assert np.array_equal(again.pixels, first)
    events, _ = events_and_result(prepare_slices(cohort, store, SMALL))
    assert [event.what for event in events] == ["Slices are ready"]


def test_that_a_cut_cache_is_built_again(cohort, store):
    first = np.array(run_to_end(prepare_slices(cohort, store, SMALL)).pixels)
    path = cache_of(cohort, store) / "pixels.npy"
    path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(run_to_end(prepare_slices(cohort, store, SMALL)).pixels, first)


def test_that_a_cache_belongs_to_its_settings_and_scans(cohort):
    keys = {
        cache_key(cohort, SMALL),
        cache_key(cohort, dataclasses.replace(SMALL, plane="coronal")),
        cache_key(cohort, dataclasses.replace(SMALL, high_percentile=98.0)),
        cache_key(cohort.with_scans(cohort.scans[1:]), SMALL),
    }
    assert len(keys) == 4


def test_that_a_damaged_scan_is_told_and_the_others_go_on(cohort, store):
    bad = cohort.path_of(cohort.scans[1].files[0])
    good = bad.read_bytes()
    bad.write_bytes(good[:-20])
    events, slices = events_and_result(prepare_slices(cohort, store, SMALL))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert "'sub-02.nii.gz'" in notices[0]
    assert notices[0].endswith("Scan sub-02 was left out.")
    assert set(slices.subject) == {"sub-01", "sub-03", "sub-04"}

    # A mended file is read the next time.
    bad.write_bytes(good)
    assert len(run_to_end(prepare_slices(cohort, store, SMALL))) == 12


def test_that_a_scan_with_too_few_slices_is_told(cohort, store):
    with pytest.raises(CohortError, match="No scan of the cohort could be read"):
        run_to_end(prepare_slices(cohort, store, SliceSettings(count=30)))


def test_that_excluded_scans_give_no_slices(cohort, store):
    scans = [dataclasses.replace(cohort.scans[0], included=False), *cohort.scans[1:]]
    slices = run_to_end(prepare_slices(cohort.with_scans(scans), store, SMALL))
    assert "sub-01" not in set(slices.subject)


def test_that_a_full_or_missing_disk_is_told(cohort, store, assert_plain):
    store.mkdir()
    (store / "slices").write_text("in the way")
    with pytest.raises(CohortError, match="cannot be stored") as caught:
        run_to_end(prepare_slices(cohort, store, SMALL))
    assert_plain(caught.value, "slices")


def test_that_cancelling_at_any_moment_leaves_whole_scans_only(cohort, store, tmp_path):
    whole = np.array(run_to_end(prepare_slices(cohort, tmp_path / "other.mrifcl", SMALL)).pixels)
    for steps in itertools.count(1):
        operation = prepare_slices(cohort, store, SMALL)
        try:
            for _ in range(steps):
                next(operation)
        except StopIteration as end:
            pixels = end.value.pixels
            break
        operation.close()
        assert all(name.startswith("slices/scans/") for name in files_below(store))
        for path in store.rglob("*.npz"):
            with np.load(path) as piece:
                assert piece["pixels"].shape == (3, 16, 16)
        shutil.rmtree(store, ignore_errors=True)
    assert steps > 4
    assert np.array_equal(pixels, whole)


def test_that_a_stopped_build_goes_on_where_it_was(cohort, store):
    operation = prepare_slices(cohort, store, SMALL)
    next(operation)
    next(operation)
    operation.close()
    done = {path: path.stat().st_mtime_ns for path in (store / "slices" / "scans").iterdir()}
    assert done
    # What was cut needs its scan no more.
    cohort.path_of(cohort.scans[0].files[0]).unlink()
    events, slices = events_and_result(prepare_slices(cohort, store, SMALL))
    assert not [event for event in events if isinstance(event, Notice)]
    assert len(slices) == 12
    assert files_below(store / "slices" / "scans") == set()


def test_that_scans_done_are_kept_while_one_cannot_be_read(cohort, store):
    bad = cohort.path_of(cohort.scans[3].files[0])
    good = bad.read_bytes()
    bad.write_bytes(b"")
    run_to_end(prepare_slices(cohort, store, SMALL))
    assert len(files_below(store / "slices" / "scans")) == 3
    bad.write_bytes(good)
    for scan in cohort.scans[:3]:
        cohort.path_of(scan.files[0]).unlink()
    assert len(run_to_end(prepare_slices(cohort, store, SMALL))) == 12


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", None])
def test_that_a_damaged_kept_scan_is_cut_again(cohort, store, tmp_path, content):
    whole = np.array(run_to_end(prepare_slices(cohort, tmp_path / "other.mrifcl", SMALL)).pixels)
    operation = prepare_slices(cohort, store, SMALL)
    next(operation)
    next(operation)
    operation.close()
    for path in (store / "slices" / "scans").iterdir():
        # Without content: one byte of the pixels is flipped.
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(bytes(data) if content is None else content)
    assert np.array_equal(run_to_end(prepare_slices(cohort, store, SMALL)).pixels, whole)


def test_that_the_store_may_be_emptied_while_it_is_built(cohort, store, tmp_path):
    whole = np.array(run_to_end(prepare_slices(cohort, tmp_path / "other.mrifcl", SMALL)).pixels)
    for moment in range(1, 8):
        operation = prepare_slices(cohort, store, SMALL)
        try:
            for _ in range(moment):
                next(operation)
            shutil.rmtree(store, ignore_errors=True)
            result = run_to_end(operation)
        except StopIteration as end:
            result = end.value
        except CohortError:
            # The array itself was taken away under the writer: told, and the next build is whole.
            result = run_to_end(prepare_slices(cohort, store, SMALL))
        assert np.array_equal(result.pixels, whole)
        del result
        shutil.rmtree(store, ignore_errors=True)


@pytest.mark.parametrize("workers", [1, 3])
def test_that_slices_do_not_depend_on_how_many_scans_are_cut_at_once(
    cohort, store, tmp_path, monkeypatch, workers
):
    first = run_to_end(prepare_slices(cohort, tmp_path / "other.mrifcl", SMALL))
    monkeypatch.setattr(slice_cache, "WORKERS", workers)
    again = run_to_end(prepare_slices(cohort, store, SMALL))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.scan, again.scan)
    pixels, index = "pixels.npy", "index.json"
    for name in (pixels, index):
        there = cache_of(cohort, tmp_path / "other.mrifcl") / name
        assert there.read_bytes() == (cache_of(cohort, store) / name).read_bytes()


def test_that_a_subject_renamed_in_the_cohort_is_renamed_in_the_slices(cohort, store):
    run_to_end(prepare_slices(cohort, store, SMALL))
    scans = [dataclasses.replace(scan, subject=f"new-{scan.subject}") for scan in cohort.scans]
    slices = run_to_end(prepare_slices(cohort.with_scans(scans), store, SMALL))
    assert set(slices.subject) == {f"new-sub-0{n}" for n in (1, 2, 3, 4)}


# ------------------------------------------------------------------ export


@pytest.mark.parametrize("picture_format", ["png", "jpg"])
def test_that_exported_slices_can_be_dropped_in_again(cohort, store, tmp_path, picture_format):
    out = tmp_path / "pictures"
    count = run_to_end(export_slices(cohort, store, SMALL, out, picture_format=picture_format))
    assert count == 12
    again = run_to_end(scan_folder(out))
    assert again.classes == ("AD", "NC")
    assert again.subjects == cohort.subjects
    assert again.n_pictures == 12
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "file": f"AD/sub-01_s004.{picture_format}",
        "subject": "sub-01",
        "session": "",
        "slice": "4",
        "label": "AD",
    }
    if picture_format == "png":
        pixels = run_to_end(prepare_slices(cohort, store, SMALL)).pixels
        assert np.array_equal(np.asarray(Image.open(out / rows[0]["file"])), pixels[0])


def test_that_an_export_stays_in_its_folder_whatever_the_class_is_called(cohort, store, tmp_path):
    scans = [
        dataclasses.replace(scan, label="../out" if scan.label == "AD" else "N/C")
        for scan in cohort.scans
    ]
    odd = dataclasses.replace(cohort, classes=("../out", "N/C"), scans=tuple(scans))
    out = tmp_path / "a" / "pictures"
    run_to_end(export_slices(odd, store, SMALL, out))
    assert {path.name for path in out.iterdir()} == {"_out", "N_C", "manifest.csv"}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["pictures"]


def test_that_a_cancelled_export_leaves_whole_pictures_only(cohort, store, tmp_path):
    run_to_end(prepare_slices(cohort, store, SMALL))
    operation = export_slices(cohort, store, SMALL, tmp_path / "pictures")
    next(operation)
    next(operation)
    operation.close()
    assert not list(tmp_path.rglob("*.part"))


def test_that_an_export_into_a_file_is_refused(cohort, store, tmp_path, assert_plain):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(CohortError, match="cannot be written") as caught:
        run_to_end(export_slices(cohort, store, SMALL, tmp_path / "out"))
    assert_plain(caught.value, "out")
