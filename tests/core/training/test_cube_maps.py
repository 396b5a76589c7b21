"""Maps of the 3-D CNN: Grad-CAM of whole cubes, its planes, and the volume on the scan's grid."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from core import config, map_tasks
from core.analysis import map_figures
from core.analysis.cube_planes import CubeMaps, map_on_grid, planes_through
from core.config import CubeSettings, RunSettings
from core.data.cohort import load_cohort
from core.data.cubes import cut_cube, places_in_cube
from core.data.scan_reader import load_scan
from core.errors import RunError
from core.run_folder import Run
from core.tasks import cohort_folder_of, train
from core.training import maps as maps_module
from core.training.checkpoint import NETWORK_FILE
from core.training.network import build_network, input_scaling
from tests.tiny_cohort import drive, make_volume_cohort, tiny_cubes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cube_maps")
    heads = make_volume_cohort(folder, subjects=4)
    return Run(drive(train(heads.folder, tiny_cubes(epochs=1), folder / "runs")))


class Fake:
    """A run that only has what the mapper reads."""

    settings = config.change(
        RunSettings(),
        {"network": "cnn3d", "cnn_width": 4, "cnn_features": 8, "cnn_blocks": 2},
    )
    classes = ("A", "B", "C")


def test_that_grad_cam_of_cubes_is_that_of_captum(monkeypatch):
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(1)
    network = build_network(Fake.settings.training, 3, transform_input=False)
    cubes = np.random.default_rng(3).integers(0, 256, (2, 16, 16, 16)).astype(np.uint8)
    images = input_scaling("cnn3d").apply(torch.from_numpy(cubes))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    network.requires_grad_(False).eval()
    monkeypatch.setattr(maps_module, "rebuilt_network", lambda _run: network)
    mapper = maps_module._Mapper(Fake())
    maps, logits = mapper.class_maps(cubes)
    assert maps.shape == (2, 3, 8, 8, 8)
    np.testing.assert_allclose(logits, network(images).detach().numpy(), atol=1e-5)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # captum's hooks look at the layer's output afterwards
    images.requires_grad_()
    for k in range(3):
        theirs = captum.LayerGradCam(network, mapper._layer).attribute(images, target=k)
        assert np.abs(maps[:, k]).max() > 0
        np.testing.assert_allclose(maps[:, k], theirs[:, 0].detach().numpy(), atol=1e-5)


def test_that_three_planes_go_through_the_strongest_place_in_true_orientation():
    cube = np.zeros((1, 8, 8, 8), np.uint8)
    maps = np.zeros((1, 2, 4, 4, 4), np.float32)
    # The cell of inferior-superior 3, anterior-posterior 1, right-left 0; negative counts too.
    maps[0, 1, 3, 1, 0] = -5
    maps[0, 0, 0, 0, 0] = 4
    cube[0, 6:8, 2:4, 0:2] = 200
    axial = ("R", "L", "A", "P")
    letters = (axial, ("R", "L", "S", "I"), ("P", "A", "S", "I"))
    found = planes_through(
        CubeMaps(np.array([7]), cube, maps, np.zeros((1, 2), np.float32), "Grad-CAM", (letters,))
    )
    assert found.planes == ("axial 8 of 8", "coronal 4 of 8", "sagittal 2 of 8")
    assert found.rows.tolist() == [7, 7, 7]
    assert found.letters == letters
    # Axial: anterior on top, right on the left. Coronal: superior on top. Sagittal: faces right.
    for number, (row, column) in enumerate(((1, 0), (0, 0), (0, 2))):
        assert found.maps[number, 1, row, column] == -5
        bright = np.argwhere(found.pixels[number] == 200)
        assert (bright // 2 == (row, column)).all()
        assert len(bright) == 4
    assert found.of_row(7).planes == found.planes


def test_that_a_cube_laid_back_on_the_grid_is_the_scan(run):
    cohort = load_cohort(cohort_folder_of(run))
    head = load_scan(cohort, cohort.scans[0])
    x, y, z = np.indices(head.voxels.shape)
    # Brighter towards right, front and top, so that an axis that is turned or swapped shows.
    ramp = (60 * x + 40 * y + 50 * z) * (head.voxels > 0)
    volume = replace(head, voxels=head.voxels + ramp.astype(np.float32))
    # Not a whole number of voxels, not about the middle: each axis must find its own way.
    cut = CubeSettings(47, 70.0, "brain", low_percentile=0, high_percentile=100)
    cube = cut_cube(volume, cut).astype(np.float32)
    laid = map_on_grid(cube, places_in_cube(volume, cut), cut.size)
    assert laid.shape == volume.voxels.shape
    inside = head.voxels > 0
    assert np.corrcoef(laid[inside], volume.voxels[inside])[0, 1] > 0.9
    for axis in range(3):
        turned = np.flip(laid, axis)
        assert np.corrcoef(turned[inside], volume.voxels[inside])[0, 1] < 0.8
    far = [places + 100 for places in places_in_cube(volume, cut)]
    assert not map_on_grid(cube, far, cut.size).any()


def test_that_maps_of_a_run_give_the_stored_scores_and_are_kept(run):
    rows = np.array([2, 0])
    cubes = drive(map_tasks.cube_maps(run, rows))
    assert cubes.cubes.shape == (2, 16, 16, 16)
    assert cubes.maps.shape == (2, 2, 8, 8, 8)
    np.testing.assert_allclose(cubes.logits, run.features.logits[rows], atol=1e-4)
    planes = drive(map_tasks.activation_maps(run, rows))
    assert planes.rows.tolist() == [2, 2, 2, 0, 0, 0]
    assert planes.letters[1] == ("R", "L", "S", "I")
    assert planes.remark == ""
    (run.path / NETWORK_FILE).rename(run.path / "away")
    try:
        again = drive(map_tasks.cube_maps(run, rows))
        np.testing.assert_array_equal(again.maps, cubes.maps)
        with pytest.raises(RunError):
            drive(map_tasks.cube_maps(run, [5]))
    finally:
        (run.path / "away").rename(run.path / NETWORK_FILE)


def test_that_figures_of_cubes_have_their_planes_in_a_row(run):
    figure = drive(map_tasks.maps_grid(run, "certain right", part="all", count=6))
    assert figure.columns == 3
    assert len(figure.panels) in (3, 6)
    assert [
        panel.title.split("\n")[0].split(" · ")[1].split()[0] for panel in figure.panels[:3]
    ] == [
        "axial",
        "coronal",
        "sagittal",
    ]
    assert "Three planes of each volume" in figure.caption
    one = map_figures.slice_figure(run, drive(map_tasks.activation_maps(run, [1])))
    assert len(one.panels) == 3
    assert len(drive(map_tasks.feature_grid(run, 0)).panels) == 9


def test_that_the_map_of_a_scan_is_a_volume_on_its_grid_and_is_exported(run, tmp_path):
    key = str(run.features.scan[0])
    stacked = drive(map_tasks.map_volume(run, key, "AD"))
    cubes = drive(map_tasks.cube_maps(run, [0]))
    scan = load_scan(
        load_cohort(cohort_folder_of(run)),
        next(scan for scan in load_cohort(cohort_folder_of(run)).scans if scan.key == key),
    )
    assert stacked.values.shape == scan.voxels.shape
    assert stacked.method == "Grad-CAM"
    assert 0 < np.abs(stacked.values).max() <= np.abs(cubes.maps[0, 0]).max() + 1e-6
    files = drive(map_tasks.write_maps(run.path, str(run.features.subject[0]), "AD", tmp_path))
    image = nib.load(files.volumes[0])
    assert image.shape == scan.voxels.shape
    np.testing.assert_allclose(
        np.abs(image.get_fdata()).max(), np.abs(stacked.values).max(), rtol=1e-3
    )
    assert {path.suffix for path in files.figures} == {".png", ".svg", ".csv"}


def test_that_a_run_of_slices_has_no_cubes(run, tmp_path):
    from tests.tiny_cohort import make_cohort, train_run

    slices = make_cohort(tmp_path, subjects=3, slices=2)
    flat = Run(train_run(slices, tmp_path / "runs", epochs=1))
    with pytest.raises(RunError, match="it has no cubes"):
        drive(map_tasks.cube_maps(flat, [0]))
