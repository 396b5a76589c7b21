"""Layouts of folders: what is recognised, what is said, what can be changed."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from core.data.findings import code_of
from core.data.folder_look import look_again, look_at_folders
from core.data.scan_folder import scan_folder, scan_folders
from core.errors import CohortError
from core.progress import run_to_end

OASIS_COLUMNS = "ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay"
OASIS_ROWS = {
    "OAS1_0001_MR1": "F,R,74,2,3,29,0,1344,0.743,1.306,N/A",
    "OAS1_0002_MR1": "F,R,55,4,1,29,0.5,1147,0.81,1.531,N/A",
    "OAS1_0003_MR1": "F,R,73,4,3,27,1,1454,0.708,1.207,N/A",
    "OAS1_0004_MR1": "M,R,28,,,,,1588,0.803,1.105,N/A",
    "OAS1_0005_MR1": "M,R,78,2,4,20,2,1588,0.703,1.105,N/A",
}


def scan(folder, **options):
    return run_to_end(scan_folder(folder, **options))


def look(folder, labels=None, **options):
    return run_to_end(look_at_folders([folder], labels, **options))


def detect_layout(folder):
    return look(folder).layout


def reasons(cohort):
    return {item.file.rsplit("/", 1)[-1]: item.reason for item in cohort.skipped}


def labels_of(cohort):
    return {item.subject: item.label for item in cohort.scans}


@pytest.fixture
def oasis(tmp_path, voxels):
    """Discs of OASIS-1: a raw, a registered and a masked image of each session."""
    lines = [OASIS_COLUMNS, *(f"{name},{row}" for name, row in OASIS_ROWS.items())]
    (tmp_path / "oasis_cross-sectional.csv").write_text("\n".join(lines) + "\n")
    for number, name in enumerate(OASIS_ROWS):
        session = tmp_path / f"disc{1 + number % 2}" / name
        for seed, file in enumerate(
            (
                f"RAW/{name}_mpr-1_anon",
                f"RAW/{name}_mpr-2_anon",
                f"PROCESSED/MPRAGE/T88_111/{name}_mpr_n4_anon_111_t88_gfc",
                f"PROCESSED/MPRAGE/T88_111/{name}_mpr_n4_anon_111_t88_masked_gfc",
                f"FSL_SEG/{name}_mpr_n4_anon_111_t88_masked_gfc_fseg",
            )
        ):
            path = session / f"{file}.hdr"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.AnalyzeImage(voxels + 10 * number + seed, np.eye(4)), path)
    return tmp_path


@pytest.fixture
def bids(tmp_path, write_nifti, voxels):
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tgroup\tsite\nsub-01\tAD\tA\nsub-02\tNC\tB\n"
    )
    for n, name in enumerate(
        (
            "sub-01/ses-1/anat/sub-01_ses-1_run-1_T1w.nii.gz",
            "sub-01/ses-1/anat/sub-01_ses-1_run-2_T1w.nii.gz",
            "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
            "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
            "sub-02/ses-1/func/sub-02_ses-1_task-rest_bold.nii.gz",
            "derivatives/fs/sub-02/anat/sub-02_T1w.nii.gz",
        )
    ):
        write_nifti(tmp_path / name, voxels + n)
    return tmp_path


# ------------------------------------------------------------------ OASIS-1


def test_that_oasis_discs_are_recognised_and_said(oasis):
    layout = detect_layout(oasis)
    assert layout.kind == "oasis"
    assert layout.title == "Discs of OASIS-1"
    assert "CDR from 0.5: MCI" in layout.class_from
    assert "oasis_cross-sectional.csv" in layout.class_from
    assert dict(layout.class_counts) == {"AD": 2, "MCI": 1, "NC": 1, "": 1}
    assert (layout.n_volumes, layout.n_subjects) == (5, 5)
    assert "class_rules" in layout.changeable


def test_that_oasis_takes_the_masked_image_and_lists_the_others(oasis):
    cohort = scan(oasis)
    assert labels_of(cohort) == {
        "OAS1_0001": "NC",
        "OAS1_0002": "MCI",
        "OAS1_0003": "AD",
        "OAS1_0005": "AD",
    }
    assert all(item.files[0].endswith("_t88_masked_gfc.hdr") for item in cohort.scans)
    why = reasons(cohort)
    assert "_t88_masked_gfc.hdr' is taken" in why["OAS1_0001_MR1_mpr-1_anon.hdr"]
    assert "OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc_fseg.hdr" in why
    assert "oasis_cross-sectional.csv" not in why


def test_that_young_subjects_without_a_rating_are_left_out_and_said(oasis):
    cohort = scan(oasis)
    why = reasons(cohort)["OAS1_0004_MR1_mpr_n4_anon_111_t88_masked_gfc.hdr"]
    assert "no CDR, as young subjects were not rated" in why
    missing = next(item for item in cohort.warnings if code_of(item) == "label_missing")
    assert "OAS1_0004_MR1" in missing


def test_that_the_rating_of_each_class_can_be_changed(oasis):
    rules = ((0.0, "NC"), (0.5, "AD"), (2.0, ""))
    layout = replace(detect_layout(oasis), class_rules=rules)
    renewed = run_to_end(look_again(look(oasis), layout)).layout
    assert dict(renewed.class_counts) == {"AD": 2, "NC": 1, "": 2}
    assert labels_of(scan(oasis, layout=layout)) == {
        "OAS1_0001": "NC",
        "OAS1_0002": "AD",
        "OAS1_0003": "AD",
    }


def test_that_one_disc_takes_the_table_beside_it(oasis):
    assert labels_of(scan(oasis / "disc2")) == {"OAS1_0002": "MCI"}


def test_that_several_discs_dropped_at_once_are_one_cohort(oasis):
    assert len(run_to_end(scan_folders([oasis / "disc1", oasis / "disc2"])).scans) == 4


def test_that_discs_without_their_table_are_told_what_is_missing(oasis, assert_plain):
    (oasis / "oasis_cross-sectional.csv").unlink()
    seen = look(oasis)
    assert seen.layout.kind == "oasis"
    assert "'oasis_cross-sectional.csv', which rates the subjects" in seen.problem
    with pytest.raises(CohortError) as caught:
        scan(oasis)
    assert_plain(caught.value, "'oasis_cross-sectional.csv'")


# ------------------------------------------------------------------ BIDS


def test_that_bids_takes_t1_runs_and_no_other_images(bids):
    layout = detect_layout(bids)
    assert layout.kind == "bids"
    assert layout.columns == ("participant_id", "group", "site")
    assert "Column 'group' of 'participants.tsv'" in layout.class_from
    cohort = scan(bids)
    assert [(item.key, item.label) for item in cohort.scans] == [
        ("sub-01_ses-1_run-1", "AD"),
        ("sub-01_ses-1_run-2", "AD"),
        ("sub-02_ses-1", "NC"),
    ]
    assert set(reasons(cohort)) == {
        "sub-01_ses-1_T2w.nii.gz",
        "sub-02_ses-1_task-rest_bold.nii.gz",
    }


def test_that_another_column_can_name_the_class(bids):
    layout = replace(detect_layout(bids), class_column="site")
    assert labels_of(scan(bids, layout=layout)) == {"sub-01": "A", "sub-02": "B"}


def test_that_bids_without_participants_is_told_what_is_missing(bids, assert_plain):
    (bids / "participants.tsv").unlink()
    with pytest.raises(CohortError) as caught:
        scan(bids)
    assert_plain(caught.value, "'participants.tsv'")


# ------------------------------------------------------------------ class folders, tables


def write_classes(root, write_nifti, voxels, names):
    for n, name in enumerate(names):
        write_nifti(root / f"{name}.nii.gz", voxels + n)
    return root


def test_that_class_folders_are_said_with_an_example(tmp_path, write_nifti, voxels):
    root = write_classes(tmp_path, write_nifti, voxels, ["AD/sub-1", "NC/sub-2", "NC/sub-3"])
    layout = detect_layout(root)
    assert (layout.kind, layout.title) == ("class_folders", "A folder for each class: AD, NC")
    assert "'sub-1.nii.gz' is sub-1" in layout.subject_from
    assert layout.class_counts == (("AD", 1), ("NC", 2))


def test_that_ready_made_slices_are_recognised(tmp_path, write_picture):
    for label in ("AD", "NC"):
        write_picture(tmp_path / label / "a_s1.png")
    layout = detect_layout(tmp_path)
    assert (layout.kind, layout.n_pictures) == ("slices", 2)


@pytest.mark.parametrize("tops", [("T1",), ("train", "test")])
def test_that_classes_below_wrapping_folders_are_found(tmp_path, write_nifti, voxels, tops):
    names = [f"{top}/{label}/sub-{top}{label}" for top in tops for label in ("AD", "NC")]
    root = write_classes(tmp_path, write_nifti, voxels, names)
    layout = detect_layout(root)
    assert layout.class_level == 1
    assert scan(root).classes == ("AD", "NC")
    assert any("train, test" in note for note in layout.notes) is (len(tops) == 2)


def test_that_the_level_of_the_classes_can_be_changed(tmp_path, write_nifti, voxels):
    names = ["site1/young/a", "site1/old/b", "site2/old/c"]
    root = write_classes(tmp_path, write_nifti, voxels, names)
    layout = detect_layout(root)
    assert layout.class_level == 0
    assert scan(root, layout=replace(layout, class_level=1)).classes == ("old", "young")


def test_that_a_flat_folder_finds_its_own_table(tmp_path, write_nifti, voxels):
    root = write_classes(tmp_path, write_nifti, voxels, ["p1", "p2"])
    (root / "groups.csv").write_text("id;dx\np1;AD\np2;NC\n")
    (root / "other.csv").write_text("a,b\n1,2\n")
    layout = detect_layout(root)
    assert (layout.kind, layout.table) == ("table", root / "groups.csv")
    assert labels_of(scan(root)) == {"p1": "AD", "p2": "NC"}


def test_that_a_given_table_wins_over_folders(tmp_path, write_nifti, voxels):
    root = write_classes(tmp_path / "s", write_nifti, voxels, ["AD/p1", "AD/p2"])
    (tmp_path / "t.csv").write_text("id,dx\np1,X\np2,Y\n")
    assert labels_of(scan(root, labels=tmp_path / "t.csv")) == {"p1": "X", "p2": "Y"}


# ------------------------------------------------------------------ several folders at once


def test_that_folders_of_one_parent_are_its_classes(tmp_path, write_nifti, voxels):
    write_classes(tmp_path, write_nifti, voxels, ["AD/a", "NC/b", "junk/c"])
    cohort = run_to_end(scan_folders([tmp_path / "NC", tmp_path / "AD"]))
    assert cohort.root == tmp_path.resolve()
    assert cohort.classes == ("AD", "NC")


def test_that_folders_of_different_parents_share_their_common_root(tmp_path, write_nifti, voxels):
    write_classes(tmp_path, write_nifti, voxels, ["x/AD/sub-1/T1", "y/z/NC/sub-2/T1", "y/NC/no"])
    cohort = run_to_end(scan_folders([tmp_path / "x" / "AD", tmp_path / "y" / "z" / "NC"]))
    assert cohort.root == tmp_path.resolve()
    assert [(item.label, item.subject, item.files[0]) for item in cohort.scans] == [
        ("AD", "sub-1", "x/AD/sub-1/T1.nii.gz"),
        ("NC", "sub-2", "y/z/NC/sub-2/T1.nii.gz"),
    ]


def test_that_one_folder_among_several_is_scanned_alone(tmp_path, write_nifti, voxels):
    write_classes(tmp_path, write_nifti, voxels, ["AD/a", "NC/b"])
    assert run_to_end(scan_folders([tmp_path, tmp_path])).classes == ("AD", "NC")


def test_that_nested_and_missing_folders_are_refused(tmp_path, write_nifti, voxels, assert_plain):
    write_classes(tmp_path, write_nifti, voxels, ["AD/in/a", "NC/b"])
    for folders, name in (
        ([tmp_path / "AD", tmp_path / "AD" / "in"], "'in' lies inside 'AD'"),
        ([tmp_path / "AD", tmp_path / "gone"], "gone"),
    ):
        with pytest.raises(CohortError) as caught:
            run_to_end(scan_folders(folders))
        assert_plain(caught.value, name)
    with pytest.raises(CohortError, match="no folder"):
        detect_layout(tmp_path / "gone")
