"""The command that writes activation maps."""

from __future__ import annotations

import json

import nibabel as nib
import pytest

from core.cli import run_command
from tests.tiny_cohort import make_volume_cohort, train_run


@pytest.fixture(scope="module")
def volume_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_maps")
    scanned = make_volume_cohort(folder, subjects=4)
    return train_run(scanned, folder / "runs", epochs=1, count=3)


def test_that_maps_of_a_subject_are_written_as_pictures_numbers_and_nifti(
    volume_run, tmp_path, capsys
):
    status, _ = run_command(
        [
            *("maps", str(volume_run), "--subject", "OAS1_0001", "--class", "AD"),
            *("--out", str(tmp_path / "out"), "--json"),
        ]
    )
    assert status == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["method"] == "Grad-CAM"
    assert said["slices"] == 3
    assert {path.rsplit(".", 1)[1] for path in said["figures"]} == {"png", "svg", "csv"}
    (volume,) = said["volumes"]
    assert volume.endswith("map_OAS1_0001_MR1_AD.nii.gz")
    assert nib.load(volume).shape == (20, 24, 18)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--subject", "X9"), "has no subject"),
        (("--subject", "OAS1_0001", "--class", "Q"), "class"),
    ],
)
def test_that_what_is_not_there_is_said_in_one_sentence(
    volume_run, tmp_path, capsys, options, words
):
    status, _ = run_command(["maps", str(volume_run), *options, "--out", str(tmp_path)])
    assert status == 1
    assert words in capsys.readouterr().err
