"""Augmentation: what is changed, by how much, and that nothing but the seed rules it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core import tasks
from core.config import PRESETS, RunSettings, SliceSettings, change
from core.data.slices import cut_slices
from core.data.volume import Volume
from core.progress import EpochMetrics, RunStarted, run_to_end
from core.run_folder import Run
from core.training.augmentation import Augmentation, augmentation_of
from core.training.dataset import balanced_order, draws_of
from core.training.feed import SliceFeed
from core.training.network import input_scaling
from tests.tiny_cohort import tiny

ALL = {"augment_flip": True, "augment_degrees": 15, "augment_shift": 10, "augment_intensity": 20}
NONE = {"flip": False, "degrees": 0.0, "shift": 0.0, "intensity": 0.0, "seed": 0}


def augmentation(**changes):
    return Augmentation(**{**NONE, **changes})


def pictures(n=40, side=32, *, seed=0):
    """Random pictures with a black margin."""
    pixels = np.zeros((n, side, side), dtype=np.uint8)
    inner = slice(side // 4, -(side // 4))
    random = np.random.default_rng(seed)
    pixels[:, inner, inner] = random.integers(60, 200, pixels[:, inner, inner].shape)
    return torch.from_numpy(pixels)


def cubes(n=6, side=16):
    return torch.from_numpy(
        np.random.default_rng(0).integers(1, 255, (n, side, side, side), dtype=np.uint8)
    )


def apply(changes, pixels, *, epoch=1, rows=None):
    rows = np.arange(len(pixels)) if rows is None else rows
    return changes.apply(pixels, draws_of(rows), epoch)


# ------------------------------------------------------------------ when


def test_that_it_is_off_unless_asked_for():
    assert augmentation_of(RunSettings()) is None
    for preset in PRESETS.values():
        assert augmentation_of(change(RunSettings(), preset)) is None


@pytest.mark.parametrize("name", sorted(ALL))
def test_that_each_setting_switches_it_on_alone(name):
    assert augmentation_of(change(RunSettings(), {name: ALL[name]})) is not None


def test_that_an_augmentation_of_nothing_changes_nothing():
    for pixels in (pictures(4), cubes(2)):
        assert torch.equal(apply(augmentation(), pixels), pixels)


def test_that_only_training_batches_are_changed():
    pixels = pictures()
    chosen = augmentation_of(change(RunSettings(), ALL))
    plain = SliceFeed(pixels, input_scaling("cnn2d"), torch.device("cpu"))
    changing = SliceFeed(pixels, input_scaling("cnn2d"), torch.device("cpu"), chosen)
    rows = np.arange(8)
    drawn = draws_of(rows)
    assert torch.equal(changing.batch(rows), plain.batch(rows))
    assert torch.equal(plain.training_batch(drawn, 1), plain.batch(rows))
    assert not torch.equal(changing.training_batch(drawn, 1), plain.batch(rows))
    assert torch.equal(pixels, pictures())


# ------------------------------------------------------------------ what rules it


@settings(max_examples=30, deadline=None)
@given(
    order=st.permutations(range(12)),
    parts=st.lists(st.integers(1, 11), max_size=3),
    epoch=st.integers(1, 50),
    seed=st.integers(0, 2**31 - 1),
    are_cubes=st.booleans(),
)
def test_that_a_slice_is_changed_alike_whatever_batch_it_is_in(
    order, parts, epoch, seed, are_cubes
):
    pixels = cubes(12, 8) if are_cubes else pictures(12)
    chosen = augmentation(flip=True, degrees=20, shift=0.1, intensity=0.3, seed=seed)
    whole = apply(chosen, pixels, epoch=epoch)
    rows = np.array(order)
    for part in np.split(rows, sorted(set(parts))):
        if len(part):
            alone = apply(chosen, pixels[torch.from_numpy(part)], epoch=epoch, rows=part)
            assert torch.equal(alone, whole[torch.from_numpy(part)])


def test_that_seed_epoch_and_row_each_give_another_change():
    same = pictures(1).expand(4, -1, -1)
    chosen = augmentation(degrees=20, shift=0.1)
    by_row = apply(chosen, same)
    assert len({picture.numpy().tobytes() for picture in by_row}) == 4
    assert not torch.equal(by_row, apply(chosen, same, epoch=2))
    assert not torch.equal(by_row, apply(augmentation(degrees=20, shift=0.1, seed=1), same))
    assert torch.equal(by_row, apply(chosen, same))


def test_that_a_slice_drawn_again_in_an_epoch_is_changed_anew():
    same = pictures(1).expand(5, -1, -1)
    rows = np.array([3, 8, 3, 3, 8])
    assert draws_of(rows).repeats.tolist() == [0, 0, 1, 2, 1]
    changed = apply(augmentation(degrees=20, shift=0.1), same, rows=rows)
    assert len({picture.numpy().tobytes() for picture in changed}) == 5


def test_that_the_first_draw_of_a_slice_is_changed_as_it_always_was():
    pixels = pictures(6)
    chosen = augmentation(degrees=20, shift=0.1, intensity=0.3, seed=4)
    keys = [np.random.default_rng([4, 11, 2, row]).random(7)[0] for row in range(6)]
    angles = np.degrees([(2 * key - 1) * np.deg2rad(20) for key in keys])
    turned = apply(augmentation(degrees=20, seed=4), bars(6), epoch=2)
    assert [angle_of(picture) for picture in turned] == pytest.approx(-angles, abs=0.5)
    twice = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])
    both = apply(chosen, pixels[torch.from_numpy(twice)], epoch=2, rows=twice)
    assert torch.equal(both[:6], apply(chosen, pixels, epoch=2))
    assert all(not torch.equal(both[i], both[i + 6]) for i in range(6))


@settings(max_examples=30, deadline=None)
@given(small=st.integers(1, 5), large=st.integers(6, 40), seed=st.integers(0, 2**31 - 1))
def test_that_repeats_of_a_balanced_epoch_count_up_from_nothing(small, large, seed):
    labels = np.repeat([0, 1], [small, large])
    order = balanced_order(labels, seed, 1)
    drawn = draws_of(order)
    for row in np.unique(order):
        of_row = drawn.repeats[order == row]
        assert of_row.tolist() == list(range(len(of_row)))
    for places in np.array_split(np.arange(len(order)), 3):
        np.testing.assert_array_equal(drawn[places].rows, order[places])
        np.testing.assert_array_equal(drawn[places].repeats, drawn.repeats[places])


def stopped_and_resumed(cohort, chosen, runs, *, epoch):
    operation = tasks.train(cohort.folder, chosen, runs)
    path = None
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == epoch:
            break
    operation.close()
    return Run(run_to_end(tasks.resume(path)))


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_that_a_resumed_run_gives_the_bits_of_an_unbroken_one(cohort, tmp_path, epoch):
    chosen = tiny(epochs=3, batch=8, learning_rate=0.05, **ALL)
    whole = Run(run_to_end(tasks.train(cohort.folder, chosen, tmp_path / "whole")))
    if epoch:
        resumed = stopped_and_resumed(cohort, chosen, tmp_path / "stopped", epoch=epoch)
    else:  # nothing is stopped: two runs
        resumed = Run(run_to_end(tasks.train(cohort.folder, chosen, tmp_path / "again")))
    np.testing.assert_array_equal(whole.fc_history.weight, resumed.fc_history.weight)
    np.testing.assert_array_equal(whole.features.logits, resumed.features.logits)
    np.testing.assert_array_equal(whole.history.train_loss, resumed.history.train_loss)


def test_that_labels_and_parts_are_those_of_a_plain_run(cohort, tmp_path):
    plain, changed = (
        Run(run_to_end(tasks.train(cohort.folder, tiny(epochs=1, **values), tmp_path / name)))
        for name, values in (("plain", {}), ("changed", ALL))
    )
    np.testing.assert_array_equal(plain.features.label, changed.features.label)
    np.testing.assert_array_equal(plain.features.part, changed.features.part)
    assert (plain.path / "split.csv").read_text() == (changed.path / "split.csv").read_text()
    assert not np.array_equal(plain.fc_history.weight[-1], changed.fc_history.weight[-1])


# ------------------------------------------------------------------ what it does


@pytest.mark.parametrize("make", [pictures, lambda: cubes(40)])
def test_that_a_flip_mirrors_about_half_and_leaves_the_rest(make):
    pixels = make()
    flipped = apply(augmentation(flip=True), pixels)
    is_mirrored = []
    for before, after in zip(pixels, flipped, strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(-1))
        is_mirrored.append(torch.equal(after, before.flip(-1)))
    # 40 throws of a coin: outside of 8 to 32 once in 30 000.
    assert 8 <= sum(is_mirrored) <= 32


@pytest.mark.parametrize("plane", ["axial", "coronal"])
def test_that_a_flipped_slice_is_that_of_the_mirrored_subject(plane):
    voxels = np.random.default_rng(0).integers(1, 1000, (20, 22, 24)).astype(np.float32)
    # Both ends hold the same extremes, so that the percentile window is one.
    voxels[[0, 19]] = np.where(np.arange(22)[:, None] < 11, 0, 1000)
    slices = SliceSettings(plane=plane, size=24, low_percentile=0, high_percentile=100)

    def cut(of):
        volume = Volume(of, np.eye(4), (1.0, 1.0, 1.0))
        return torch.from_numpy(cut_slices(volume, slices, [9, 10]))

    own, mirrored = cut(voxels), cut(voxels[::-1].copy())
    flipped = apply(augmentation(flip=True), own.repeat(20, 1, 1))
    changed = [i for i in range(40) if not torch.equal(flipped[i], own[i % 2])]
    assert changed
    for i in changed:
        difference = (flipped[i].int() - mirrored[i % 2].int()).abs().max()
        assert difference <= 1


def angle_of(picture):
    """Return the angle of a bar in degrees, by its second moments."""
    rows, columns = np.nonzero(picture.numpy() > 100)
    y, x = rows - rows.mean(), columns - columns.mean()
    return np.degrees(0.5 * np.arctan2(2 * (x * y).mean(), (x * x).mean() - (y * y).mean()))


def bars(n=60, side=65):
    pixels = torch.zeros(n, side, side, dtype=torch.uint8)
    pixels[:, side // 2 - 3 : side // 2 + 4, 12:-12] = 255
    return pixels


def test_that_a_rotation_stays_within_its_degrees_and_uses_them():
    angles = [angle_of(picture) for picture in apply(augmentation(degrees=20), bars())]
    assert max(np.abs(angles)) < 20.5
    assert min(angles) < -10
    assert max(angles) > 10


def middle_of(pixels):
    """Return the centre of mass of each, (N, 2) or (N, 3), in pixels."""
    weights = pixels.double()
    places = [torch.arange(side, dtype=torch.float64) for side in pixels.shape[1:]]
    total = weights.flatten(1).sum(1)
    found = []
    for axis, place in enumerate(places, start=1):
        rest = tuple(i for i in range(1, pixels.ndim) if i != axis)
        found.append((weights.sum(rest) * place).sum(1) / total)
    return torch.stack(found, dim=1).numpy()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_that_a_shift_stays_within_its_share_along_each_side(dimensions):
    side = 32
    pixels = torch.zeros(60, *(side,) * dimensions, dtype=torch.uint8)
    pixels[(slice(None), *(slice(12, 20),) * dimensions)] = 200
    moved = middle_of(apply(augmentation(shift=0.2), pixels)) - 15.5
    assert np.abs(moved).max() < 0.2 * side + 0.1
    assert (moved.min(axis=0) < -0.1 * side).all()
    assert (moved.max(axis=0) > 0.1 * side).all()


def test_that_a_cube_is_rotated_about_its_inferior_superior_axis_alone():
    side = 33
    pixels = torch.zeros(10, side, side, side, dtype=torch.uint8)
    pixels[:, 20] = bars(10, side)
    rotated = apply(augmentation(degrees=30), pixels)
    assert not rotated[:, :20].any()
    assert not rotated[:, 21:].any()
    assert torch.equal(rotated[:, 20], apply(augmentation(degrees=30), bars(10, side)))


def test_that_intensity_stays_within_its_share():
    pixels = torch.full((200, 4, 4), 127, dtype=torch.uint8)
    changed = apply(augmentation(intensity=0.2), pixels)[:, 0, 0].double().numpy()
    # Brightness by a fifth of half the range.
    assert np.abs(changed - 127).max() <= 0.2 * 127.5 + 1
    assert changed.std() > 5
    ramp = torch.arange(1, 251, dtype=torch.uint8).repeat(50, 1).view(50, 10, 25)
    gains = [
        np.polyfit(ramp[0].flatten()[60:190], picture.flatten()[60:190], 1)[0]
        for picture in apply(augmentation(intensity=0.2), ramp).double().numpy()
    ]
    assert 0.79 < min(gains) < 0.9
    assert 1.1 < max(gains) < 1.21


@settings(max_examples=30, deadline=None)
@given(
    intensity=st.floats(0, 0.5),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(1, 1000),
    are_cubes=st.booleans(),
)
def test_that_a_black_background_stays_black(intensity, seed, epoch, are_cubes):
    pixels = pictures(6)
    if are_cubes:
        pixels = pixels[:, None].repeat(1, 4, 1, 1)
    changed = apply(augmentation(intensity=intensity, seed=seed), pixels, epoch=epoch)
    assert not changed[pixels == 0].any()
    moved = augmentation(flip=True, degrees=45, shift=0.25, intensity=intensity, seed=seed)
    assert not apply(moved, torch.zeros_like(pixels), epoch=epoch).any()
    corners = apply(augmentation(degrees=45, seed=seed), pixels, epoch=epoch)
    assert not corners[..., 0, 0].any()
