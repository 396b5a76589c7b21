"""The simulated cohort: repeatable, oriented, overlapping, and leaking as real slices do."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from core.data import phantom, phantom_brain
from core.data.volume import load_volume
from core.errors import CohortError, SettingsError
from core.progress import Progress, run_to_end

PER_CLASS = 7


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "demo"
    return run_to_end(phantom.simulate_cohort(folder, subjects_per_class=PER_CLASS, seed=3))


@pytest.fixture(scope="module")
def volumes(cohort):
    return {
        label: [load_volume(path) for path in sorted((cohort / label).glob("*.nii.gz"))]
        for label in ("AD", "NC")
    }


@pytest.fixture
def quick_subjects(monkeypatch):
    """Cohorts of tiny volumes, for what does not look at voxels."""

    def tiny(seed, label):
        number = seed[0] * 100 + seed[1]
        return np.full((4, 5, 6), number, dtype=np.int16), np.diag([2.0, 2.0, 2.0, 1.0])

    monkeypatch.setattr(phantom, "simulate_subject", tiny)


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_that_a_seed_gives_bit_identical_voxels_and_another_seed_other_ones():
    first, affine = phantom_brain.simulate_subject(5, "AD")
    again, _ = phantom_brain.simulate_subject(5, "AD")
    other, _ = phantom_brain.simulate_subject(6, "AD")
    assert first.dtype == np.int16
    assert first.shape == phantom_brain.SHAPE
    assert np.array_equal(first, again)
    assert (first != other).mean() > 0.2
    assert np.allclose(np.diag(affine), [*[phantom_brain.SPACING_MM] * 3, 1])


def test_that_the_class_changes_atrophy_and_nothing_drawn_beside_it():
    sick, well = (phantom_brain.draw_traits(11, label) for label in ("AD", "NC"))
    assert sick.atrophy > well.atrophy
    assert sick.ventricle_scale > well.ventricle_scale
    assert sick.cortex_mm < well.cortex_mm
    for name in ("fold_mm", "grey", "fluid", "texture", "noise", "bias", "gain"):
        assert getattr(sick, name) == getattr(well, name)


def test_that_an_unknown_class_is_refused_by_name():
    with pytest.raises(SettingsError, match="Class 'XY'"):
        phantom_brain.simulate_subject(0, "XY")


def test_that_files_are_ras_int16_with_orientation_codes_set(cohort):
    image = nib.load(cohort / "AD" / "sub-001_T1w.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert np.allclose(image.header.get_qform(), image.header.get_sform())
    assert image.get_data_dtype() == np.int16
    assert image.header.get_xyzt_units()[0] == "mm"
    assert np.allclose(image.header.get_zooms(), phantom_brain.SPACING_MM)


def test_that_the_loader_is_certain_of_left_and_right(volumes):
    for volume in volumes["AD"] + volumes["NC"]:
        assert volume.sides_certain
        assert volume.warnings == ()


def test_that_brains_are_whole_inside_the_volume_and_zero_around(volumes):
    for volume in volumes["AD"] + volumes["NC"]:
        brain = volume.voxels > 0
        litres = brain.sum() * phantom_brain.SPACING_MM**3 / 1e6
        assert 0.9 < litres < 2.0
        for axis in range(3):
            assert not brain.take([0, -1], axis=axis).any()


def test_that_the_stem_points_down_and_the_cerebellum_lies_behind(volumes):
    # Of the lowest tenth of the brain, all lies behind the brain's middle: a flip would show.
    for volume in volumes["NC"]:
        x, y, z = np.nonzero(volume.voxels > 0)
        low = z < np.quantile(z, 0.05)
        assert y[low].mean() < y.mean() - 5
        # The crown is wider than the tip of the stem.
        assert np.ptp(x[z >= z.max() - 8]) > np.ptp(x[z <= z.min() + 3])


def fluid_ml(volume):
    """Dark voxels about the ventricles, in millilitres."""
    axes = [
        np.abs(volume.affine[a, 3] + np.arange(n) * phantom_brain.SPACING_MM - centre) < reach
        for a, (n, centre, reach) in enumerate(
            zip(volume.voxels.shape, (0, -8, 18), (28, 42, 20), strict=True)
        )
    ]
    part = volume.voxels[np.ix_(*axes)]
    dark = part < 0.42 * np.percentile(part, 90)
    return dark.sum() * phantom_brain.SPACING_MM**3 / 1000


def test_that_ventricles_are_larger_in_ad_on_average_but_the_classes_overlap(volumes):
    sick, well = ([fluid_ml(v) for v in volumes[label]] for label in ("AD", "NC"))
    assert np.mean(sick) > 1.1 * np.mean(well)
    assert min(sick) < max(well)


def test_that_no_threshold_on_the_ventricle_size_separates_many_subjects():
    sick, well = (
        np.array(
            [phantom_brain.draw_traits((0, i), label).ventricle_scale for i in range(start, end)]
        )
        for label, start, end in (("AD", 0, 300), ("NC", 300, 600))
    )
    # Area under the ROC curve: above chance, far from certain.
    auc = (sick[:, None] > well).mean()
    assert 0.7 < auc < 0.92


def test_that_slices_of_a_subject_recognise_each_other_but_not_the_class(volumes):
    images, subject, label = [], [], []
    everyone = [(0, v) for v in volumes["AD"]] + [(1, v) for v in volumes["NC"]]
    for number, (k, volume) in enumerate(everyone):
        filled = np.flatnonzero((volume.voxels > 0).any(axis=(0, 1)))
        start = (filled[0] + filled[-1]) // 2 - 15
        low, high = np.percentile(volume.voxels, (1, 99))
        part = np.clip((volume.voxels[::2, ::2, start : start + 30] - low) / (high - low), 0, 1)
        images.append(part.reshape(-1, 30).T)
        subject += [number] * 30
        label += [k] * 30
    images, subject, label = np.concatenate(images), np.array(subject), np.array(label)
    square = (images**2).sum(axis=1)
    distance = square[:, None] + square - 2 * images @ images.T

    def accuracy(train, test, label):
        nearest = distance[np.ix_(test, train)].argmin(axis=1)
        return (label[train][nearest] == label[test]).mean()

    rng = np.random.default_rng(0)
    by_slice, by_subject = [], []
    for _ in range(20):
        mixed = rng.permutation(len(label))
        by_slice.append(accuracy(mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :], label))
        people = np.concatenate(
            [rng.permutation(PER_CLASS)[:4], PER_CLASS + rng.permutation(PER_CLASS)[:4]]
        )
        known = np.isin(subject, people)
        by_subject.append(accuracy(np.flatnonzero(known), np.flatnonzero(~known), label))
    assert np.mean(by_slice) > 0.95
    assert np.mean(by_subject) < 0.8
    shuffled = rng.permutation(np.repeat([0, 1], PER_CLASS))[subject]
    mixed = rng.permutation(len(label))
    half = len(mixed) // 2
    # Nothing to learn, and still nearly all right: the leak that the program warns of.
    assert accuracy(mixed[:half], mixed[half:], shuffled) > 0.9


def test_that_every_place_says_that_the_scans_are_simulated(cohort):
    assert "SIMULATED" in (cohort / "README.txt").read_text(encoding="utf-8")
    assert json.loads((cohort / "phantom.json").read_text(encoding="utf-8"))["simulated"] is True
    header = nib.load(cohort / "NC" / "sub-008_T1w.nii.gz").header
    assert b"SIMULATED" in header["descrip"].item()
    assert phantom.is_simulated(cohort)
    assert not phantom.is_simulated(cohort / "AD")


@pytest.mark.usefixtures("quick_subjects")
def test_that_subject_numbers_run_on_through_the_classes(tmp_path):
    run_to_end(phantom.simulate_cohort(tmp_path / "demo", subjects_per_class=2))
    rows = (tmp_path / "demo" / "participants.tsv").read_text(encoding="utf-8").splitlines()
    cells = [row.split("\t") for row in rows]
    assert cells[0] == ["participant_id", "group", "age", "sex"]
    assert [row[:2] for row in cells[1:]] == [
        ["sub-001", "AD"],
        ["sub-002", "AD"],
        ["sub-003", "NC"],
        ["sub-004", "NC"],
    ]
    for name, label, age, sex in cells[1:]:
        assert (tmp_path / "demo" / label / f"{name}_T1w.nii.gz").is_file()
        assert 60 <= int(age) <= 95
        assert sex in "FM"


@pytest.mark.usefixtures("quick_subjects")
def test_that_each_subject_gives_progress_up_to_the_whole(tmp_path):
    events = list(phantom.simulate_cohort(tmp_path / "demo", subjects_per_class=2))
    assert all(isinstance(event, Progress) for event in events)
    assert [(event.done, event.total) for event in events] == [(i, 4) for i in range(5)]


@pytest.mark.usefixtures("quick_subjects")
def test_that_two_cohorts_of_the_same_settings_have_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        run_to_end(phantom.simulate_cohort(tmp_path / name, subjects_per_class=2, seed=4))
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


@pytest.mark.usefixtures("quick_subjects")
def test_that_a_complete_cohort_is_reused_without_simulating(tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=2))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(phantom, "simulate_subject", never)
    assert run_to_end(phantom.simulate_cohort(folder, subjects_per_class=2)) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.usefixtures("quick_subjects")
@pytest.mark.parametrize("damage", ["changed", "removed", "marker"])
def test_that_a_damaged_cohort_is_made_again(tmp_path, damage):
    folder = tmp_path / "demo"
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=2))
    whole = snapshot(folder)
    victim = folder / "AD" / "sub-001_T1w.nii.gz"
    if damage == "changed":
        victim.write_bytes(b"half a fi")
    elif damage == "removed":
        victim.unlink()
    else:
        marker = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))
        marker["settings"]["generator_version"] = 0
        (folder / "phantom.json").write_text(json.dumps(marker), encoding="utf-8")
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=2))
    assert snapshot(folder) == whole


@pytest.mark.usefixtures("quick_subjects")
def test_that_other_settings_replace_an_earlier_cohort_whole(tmp_path):
    folder = tmp_path / "demo"
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=3))
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=1, classes=("AD", "MCI", "NC")))
    assert len(list(folder.rglob("*.nii.gz"))) == 3
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["AD", "MCI", "NC"]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.usefixtures("quick_subjects")
def test_that_cancelling_leaves_nothing(tmp_path):
    operation = phantom.simulate_cohort(tmp_path / "demo", subjects_per_class=3)
    for _ in range(4):
        next(operation)
    operation.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_subjects")
def test_that_cancelling_a_replacement_leaves_the_older_cohort(tmp_path):
    folder = tmp_path / "demo"
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=2))
    before = snapshot(folder)
    operation = phantom.simulate_cohort(folder, subjects_per_class=3)
    next(operation)
    next(operation)
    operation.close()
    assert snapshot(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.usefixtures("quick_subjects")
def test_that_a_folder_with_other_files_is_refused_and_untouched(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(CohortError, match=r"thesis\.txt"):
        run_to_end(phantom.simulate_cohort(folder))
    assert list(snapshot(folder)) == ["thesis.txt"]
    with pytest.raises(CohortError, match="is a file"):
        run_to_end(phantom.simulate_cohort(folder / "thesis.txt"))


@pytest.mark.usefixtures("quick_subjects")
def test_that_an_own_file_in_an_outdated_cohort_is_never_deleted(tmp_path):
    folder = tmp_path / "demo"
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=1))
    (folder / "AD" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CohortError, match=r"AD/notes\.txt"):
        run_to_end(phantom.simulate_cohort(folder, subjects_per_class=2))
    assert (folder / "AD" / "notes.txt").is_file()


@pytest.mark.usefixtures("quick_subjects")
def test_that_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "demo").mkdir()
    run_to_end(phantom.simulate_cohort(tmp_path / "demo", subjects_per_class=1))
    assert phantom.is_simulated(tmp_path / "demo")


@pytest.mark.usefixtures("quick_subjects")
def test_that_a_full_disk_is_said_in_words_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(phantom, "_write_records", full)
    with pytest.raises(CohortError, match="No space left"):
        run_to_end(phantom.simulate_cohort(tmp_path / "demo", subjects_per_class=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_subjects")
def test_that_a_blocked_parent_is_said_in_words(tmp_path):
    (tmp_path / "block").write_text("", encoding="utf-8")
    with pytest.raises(CohortError, match="cannot be written"):
        run_to_end(phantom.simulate_cohort(tmp_path / "block" / "demo", subjects_per_class=1))


@pytest.mark.usefixtures("quick_subjects")
def test_that_the_older_cohort_comes_back_where_the_new_one_cannot_move_in(tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    run_to_end(phantom.simulate_cohort(folder, subjects_per_class=1))
    before = snapshot(folder)
    with pytest.raises(OSError, match="missing"):
        phantom._put_in_place(tmp_path / "missing", folder)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"subjects_per_class": 0},
        {"subjects_per_class": 1000},
        {"seed": -1},
        {"classes": ()},
        {"classes": ("AD", "AD")},
        {"classes": ("AD", "healthy")},
    ],
)
def test_that_impossible_settings_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(SettingsError):
        run_to_end(phantom.simulate_cohort(tmp_path / "demo", **wrong))
    assert list(tmp_path.iterdir()) == []
