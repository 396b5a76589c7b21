"""What is found doubtful about a cohort, and that it is found without reading much."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from core.data import twins
from core.data.cohort import twin_scans
from core.data.cohort_checks import check_cohort, refreshed, take_over
from core.data.findings import code_of
from core.data.scan_folder import scan_folder
from core.data.twins import sample_volumes
from core.errors import CohortError
from core.progress import run_to_end

SUBJECTS = [f"{label}/sub-{label}{n}" for label in ("AD", "NC") for n in range(3)]


def scan(folder, **options):
    return run_to_end(scan_folder(folder, **options))


def codes(cohort):
    return [code_of(item) for item in cohort.warnings]


@pytest.fixture
def study(tmp_path, write_nifti):
    """Two classes of three subjects, noise each; nothing is doubtful."""
    rng = np.random.default_rng(1)
    for name in SUBJECTS:
        data = rng.integers(0, 900, (8, 9, 10)).astype(np.int16)
        write_nifti(tmp_path / f"{name}.nii.gz", data)
    return tmp_path


def test_that_a_good_study_has_no_finding(study):
    cohort = scan(study)
    assert cohort.warnings == ()
    cohort.require_trainable()


@pytest.mark.parametrize("turn", ["RAS", "LAS", "LPS", "RPI", "PSR", "ASL"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_that_equal_voxels_are_twins_however_they_are_stored(study, turn, suffix):
    image = nib.load(study / "AD" / "sub-AD0.nii.gz")
    wanted = nib.orientations.axcodes2ornt(turn)
    turned = image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted)
    )
    turned.header.set_data_dtype(np.float32 if suffix == ".nii" else np.int16)
    nib.save(turned, study / "NC" / f"sub-twin{suffix}")
    cohort = scan(study)
    assert codes(cohort)[0] == "same_scan_in_two"
    assert [[item.subject for item in group] for group in twin_scans(cohort.scans)] == [
        ["sub-AD0", "sub-twin"]
    ]
    with pytest.raises(CohortError, match=r"AD/sub-AD0.*NC/sub-twin.*are the same scan"):
        cohort.require_trainable()


def test_that_a_twin_may_be_left_out_or_relabelled(study):
    (study / "NC" / "sub-x.nii.gz").write_bytes((study / "AD" / "sub-AD0.nii.gz").read_bytes())
    cohort = scan(study)
    with pytest.raises(CohortError, match="same scan"):
        cohort.require_trainable()
    for change in ({"included": False}, {"label": "AD"}):
        mended = refreshed(
            cohort.with_scans(
                replace(item, **change) if item.subject == "sub-x" else item
                for item in cohort.scans
            )
        )
        mended.require_trainable()
        assert "same_scan_in_two" not in codes(mended)
        assert ("duplicate_scan" in codes(mended)) is ("label" in change)


def test_that_a_subject_in_two_classes_is_refused_with_both_places(study, write_nifti, voxels):
    write_nifti(study / "NC" / "sub-AD0.nii.gz", voxels)
    cohort = scan(study)
    assert codes(cohort)[0] == "subject_in_two_classes"
    with pytest.raises(CohortError) as caught:
        cohort.require_trainable()
    assert "'AD/sub-AD0.nii.gz' in AD and 'NC/sub-AD0.nii.gz' in NC" in str(caught.value)


def test_that_voxels_are_read_whole_only_where_samples_agree(study, monkeypatch):
    read = []
    hash_voxels = twins._voxel_hash
    monkeypatch.setattr(
        twins, "_voxel_hash", lambda *args: read.append(args[1].key) or hash_voxels(*args)
    )
    scan(study)
    assert read == []
    image = nib.load(study / "AD" / "sub-AD0.nii.gz")
    nib.save(image, study / "AD" / "sub-again.nii")
    assert codes(scan(study)) == ["duplicate_scan"]
    assert read == ["sub-AD0", "sub-again"]


def test_that_scanning_reads_no_more_than_its_limit(study, monkeypatch):
    cohort = scan(study)
    monkeypatch.setattr(twins, "_QUICK_BYTES", 3 * 8 * 9 * 6 * 2)
    assert len(run_to_end(sample_volumes(cohort))) == 3
    assert len(run_to_end(sample_volumes(cohort, without_limit=True))) == 6


def test_that_a_later_check_of_all_voxels_finds_what_scanning_left(study, monkeypatch):
    nib.save(nib.load(study / "AD" / "sub-AD0.nii.gz"), study / "AD" / "sub-again.nii")
    (study / "MCI").mkdir()
    monkeypatch.setattr(twins, "_QUICK_BYTES", 0)
    cohort = scan(study)
    assert codes(cohort) == ["empty_class"]
    assert codes(run_to_end(check_cohort(cohort, all_voxels=True))) == [
        "duplicate_scan",
        "empty_class",
    ]


def test_that_a_damaged_scan_does_not_stop_the_comparison(study):
    cohort = scan(study)
    path = study / "AD" / "sub-AD1.nii.gz"
    path.write_bytes(path.read_bytes()[:400])
    (study / "AD" / "sub-AD2.nii.gz").unlink()
    assert sorted(run_to_end(sample_volumes(cohort))) == [
        "sub-AD0",
        "sub-NC0",
        "sub-NC1",
        "sub-NC2",
    ]
    assert codes(run_to_end(check_cohort(cohort))) == []


@pytest.mark.parametrize(
    ("code", "shape", "matrix"),
    [
        ("mixed_sizes", (9, 9, 10), None),
        ("mixed_spacing", (8, 9, 10), np.diag([1, 1.5, 3, 1.0])),
        ("mixed_orientation", (8, 9, 10), np.diag([-1, 1.5, 2, 1.0])),
    ],
)
def test_that_the_odd_one_out_is_named(study, write_nifti, code, shape, matrix):
    data = np.random.default_rng(8).integers(1, 900, shape).astype(np.int16)
    write_nifti(study / "NC" / "sub-odd.nii", data, matrix=matrix)
    cohort = scan(study)
    assert codes(cohort) == [code]
    assert cohort.warnings[0].startswith("1 of 7 scans differs from the others")
    assert "sub-odd" in cohort.warnings[0]


def test_that_scans_of_one_grid_in_any_storage_order_are_not_odd(tmp_path, write_nifti):
    rng = np.random.default_rng(3)
    for name, turn in zip(SUBJECTS, ("RAS", "LAS", "PSR", "ILA", "SRA", "PIL"), strict=True):
        data = rng.integers(0, 900, (8, 9, 10)).astype(np.int16)
        path = write_nifti(tmp_path / f"{name}.nii.gz", data, matrix=np.diag([1, 1.5, 3, 1.0]))
        image = nib.load(path)
        wanted = nib.orientations.axcodes2ornt(turn)
        turned = image.as_reoriented(
            nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted)
        )
        nib.save(turned, path)
    assert codes(scan(tmp_path)) == ["mixed_orientation"]


def test_that_of_many_twins_all_but_one_are_to_be_left_out(study, write_nifti):
    voxels = np.random.default_rng(8).integers(0, 900, (8, 9, 10)).astype(np.int16)
    for name in ("a", "b", "c"):
        write_nifti(study / "NC" / f"sub-{name}.nii", voxels)
    assert scan(study).warnings[0] == (
        "sub-a, sub-b and sub-c are the same scan. Leave all but one out."
    )


def test_that_an_odd_brightness_is_named(study, write_nifti):
    data = np.random.default_rng(3).integers(0, 900, (8, 9, 10)).astype(np.float32)
    write_nifti(study / "NC" / "sub-odd.nii", data * 1000)
    cohort = scan(study)
    assert codes(cohort) == ["odd_intensity"]
    assert cohort.warnings[0].startswith("sub-odd: the brightness")
    assert codes(refreshed(cohort)) == ["odd_intensity"]


def test_that_a_scanner_that_tells_the_class_is_told(study, write_nifti):
    rng = np.random.default_rng(4)
    for label, size in (("AD", 1.0), ("NC", 1.2)):
        for n in range(3, 8):
            data = rng.integers(0, 900, (8, 9, 10)).astype(np.int16)
            write_nifti(
                study / label / f"sub-{label}{n}.nii", data, matrix=np.diag([1, 1.5, size, 1])
            )
    for path in study.glob("*/*.nii.gz"):
        path.unlink()
    assert "scanner_separates" in codes(scan(study))


def test_that_sizes_of_classes_are_told(tmp_path, write_nifti):
    rng = np.random.default_rng(2)

    def add(label, count):
        for n in range(count):
            data = rng.integers(0, 900, (8, 9, 10)).astype(np.int16)
            write_nifti(tmp_path / label / f"sub-{label}{n}.nii", data)

    add("AD", 3)
    assert codes(scan(tmp_path)) == ["single_class"]
    add("NC", 1)
    assert codes(scan(tmp_path)) == ["few_subjects", "unbalanced"]
    add("NC", 3)
    assert codes(scan(tmp_path)) == []
    add("MCI", 12)
    assert codes(scan(tmp_path)) == ["unbalanced"]


def test_that_findings_follow_what_is_left_out(study, write_nifti, voxels):
    write_nifti(study / "AD" / "sub-AD0_ses-2.nii.gz", voxels)
    cohort = scan(study)
    assert codes(cohort) == ["repeat_visits"]
    mended = cohort.with_scans(replace(s, included=s.session == "") for s in cohort.scans)
    assert codes(refreshed(mended)) == []


@pytest.mark.parametrize("kind", ["spacing", "datatype", "shape"])
@pytest.mark.parametrize(("odd", "told"), [(0, True), (1, True), (2, False)])
def test_that_a_property_is_told_that_separates_over_nine_tenths(
    tmp_path, write_nifti, kind, odd, told
):
    """Of twenty scans, ``odd`` have what the other class has."""
    rng = np.random.default_rng(6)
    for label in ("AD", "NC"):
        for n in range(10):
            is_other = (label == "NC") != (label == "NC" and n < odd)
            shape = (8, 9, 11) if is_other and kind == "shape" else (8, 9, 10)
            data = rng.integers(0, 900, shape).astype(np.int16)
            if is_other and kind == "datatype":
                data = data.astype(np.float32)
            matrix = np.diag([1, 1.5, 1.2 if is_other and kind == "spacing" else 1.0, 1])
            write_nifti(tmp_path / label / f"sub-{label}{n}.nii", data, matrix=matrix)
    found = [item for item in scan(tmp_path).warnings if code_of(item) == "scanner_separates"]
    assert bool(found) is told
    if found:
        words = {"spacing": "voxel size", "datatype": "kind of number", "shape": "number of voxels"}
        share = "100%" if not odd else "95%"
        assert found[0].startswith(f"The {words[kind]} alone tells the class of {share}")


def test_that_sizes_of_pictures_that_tell_the_class_are_told(tmp_path, write_picture):
    for label, shape in (("AD", (12, 16)), ("NC", (16, 16))):
        for n in range(5):
            for number in range(2):
                path = tmp_path / label / f"OAS1_{label}{n}_MR1_{number}.png"
                write_picture(path, seed=hash(path.name) % 1000, shape=shape)
    found = [item for item in scan(tmp_path).warnings if code_of(item) == "scanner_separates"]
    assert found[0].startswith("The number of pixels alone tells the class of 100%")


def test_that_files_that_changed_are_told_by_a_check_of_all_voxels(study):
    cohort = scan(study)
    path = study / "AD" / "sub-AD1.nii.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (study / "AD" / "sub-AD2.nii.gz").unlink()
    checked = run_to_end(check_cohort(cohort, all_voxels=True))
    assert codes(checked)[0] == "scan_changed"
    assert checked.warnings[0].startswith("2 scans changed or went away")
    assert "AD/sub-AD1.nii.gz, AD/sub-AD2.nii.gz" in checked.warnings[0]
    assert codes(refreshed(checked)) == codes(checked)
    assert codes(run_to_end(check_cohort(checked))) == []


def test_that_a_check_is_taken_over_by_a_cohort_edited_meanwhile(study, monkeypatch):
    nib.save(nib.load(study / "AD" / "sub-AD0.nii.gz"), study / "AD" / "sub-again.nii")
    monkeypatch.setattr(twins, "_QUICK_BYTES", 0)
    cohort = scan(study)
    checked = run_to_end(check_cohort(cohort, all_voxels=True))

    def edited(**change):
        return refreshed(
            cohort.with_scans(
                replace(item, **change) if item.subject == "sub-again" else item
                for item in cohort.scans
            )
        )

    assert codes(take_over(checked, edited(label="NC"))) == ["same_scan_in_two"]
    out = take_over(checked, edited(included=False))
    assert codes(out) == []
    assert not out.scans[-4].included


def test_that_twins_of_many_names_are_told_with_one_of_each_class(study):
    data = (study / "AD" / "sub-AD0.nii.gz").read_bytes()
    for n in range(4):
        (study / "AD" / f"sub-x{n}.nii.gz").write_bytes(data)
    (study / "NC" / "sub-y.nii.gz").write_bytes(data)
    text = scan(study).warnings[0]
    assert text.startswith("AD/sub-AD0.nii.gz (AD), NC/sub-y.nii.gz (NC), AD/sub-x0.nii.gz (AD)")
    assert "and 3 more are the same scan in two classes" in text
