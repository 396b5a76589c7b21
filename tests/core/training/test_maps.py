"""Activation maps of real networks and real runs: exact where they are said to be exact."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from core import config, map_tasks
from core.analysis.activation_map import channel_table, top_rows
from core.config import RunSettings
from core.data.cohort import load_cohort
from core.errors import MriFclError, RunError
from core.run_folder import Run
from core.tasks import cohort_folder_of
from core.training import maps as maps_module
from core.training.network import build_network, fcl_of, input_scaling
from tests.tiny_cohort import drive, make_cohort, make_volume_cohort, train_run


def a_run(folder, **changes):
    scanned = make_cohort(folder / "data", subjects=4, slices=3)
    return Run(train_run(scanned, folder / "runs", epochs=1, **changes))


@pytest.fixture(scope="module")
def small_run_once(tmp_path_factory):
    return a_run(tmp_path_factory.mktemp("maps"))


@pytest.fixture
def small_run(small_run_once, tmp_path):
    """A copy that a test may damage, with its cohort as far away as before."""
    old = small_run_once.path.parents[1]
    shutil.copytree(old, tmp_path / "copy")
    return Run(tmp_path / "copy" / "runs" / small_run_once.name)


class Fake:
    """A run that only has what the mapper reads."""

    def __init__(self, name, classes):
        self.settings = config.change(
            RunSettings(), {"network": name, "cnn_width": 4, "cnn_features": 8, "cnn_blocks": 2}
        )
        self.classes = classes


def a_mapper(monkeypatch, name, n_classes=3):
    """Return a mapper on random weights, with statistics of batch norm that are not trivial."""
    torch.manual_seed(1)
    run = Fake(name, ("A", "B", "C")[:n_classes])
    network = build_network(run.settings.training, n_classes, transform_input=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(input_scaling(name).apply(torch.from_numpy(some_pixels(4, 96))))
    network.requires_grad_(False).eval()
    monkeypatch.setattr(maps_module, "rebuilt_network", lambda _run: network)
    return maps_module._Mapper(run), network


def some_pixels(n=2, size=64):
    return np.random.default_rng(3).integers(0, 256, (n, size, size)).astype(np.uint8)


@pytest.mark.parametrize("name", ["resnet101", "googlenet"])
def test_that_the_mean_of_a_class_activation_map_and_the_bias_are_the_logit(monkeypatch, name):
    mapper, network = a_mapper(monkeypatch, name)
    pixels = some_pixels()
    maps, logits = mapper.class_maps(pixels)
    bias = fcl_of(network, name).bias.numpy()
    assert maps.shape[:2] == (2, 3)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)) + bias, logits, atol=1e-4)
    with torch.no_grad():
        again = network(mapper._scaling.apply(torch.from_numpy(pixels))).numpy()
    np.testing.assert_allclose(logits, again, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet101", "googlenet"])
def test_that_the_mean_of_a_channel_is_the_feature(monkeypatch, name):
    mapper, network = a_mapper(monkeypatch, name)
    pixels = some_pixels()
    seen = []
    hook = fcl_of(network, name).register_forward_pre_hook(lambda _m, given: seen.append(given[0]))
    maps, _ = mapper.channel_maps(pixels, 7)
    hook.remove()
    np.testing.assert_allclose(
        maps[:, 0].mean(axis=(1, 2)), seen[0][:, 7].detach().numpy(), atol=1e-5
    )


@pytest.mark.parametrize(("name", "size"), [("cnn2d", 32), ("vgg19", 32)])
def test_that_grad_cam_is_that_of_captum(monkeypatch, name, size):
    captum = pytest.importorskip("captum.attr")
    mapper, network = a_mapper(monkeypatch, name)
    pixels = some_pixels(size=size)
    maps, _ = mapper.class_maps(pixels)
    images = mapper._scaling.apply(torch.from_numpy(pixels)).requires_grad_()
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # captum's hooks look at the layer's output afterwards
    for k in range(3):
        theirs = captum.LayerGradCam(network, mapper._layer).attribute(images, target=k)
        np.testing.assert_allclose(maps[:, k], theirs[:, 0].detach().numpy(), atol=1e-5)


def test_that_maps_of_a_run_give_the_stored_scores(small_run):
    rows = np.arange(5)
    maps = drive(map_tasks.activation_maps(small_run, rows))
    np.testing.assert_allclose(maps.logits, small_run.features.logits[:5], atol=1e-4)
    assert maps.method == "Grad-CAM"
    assert maps.remark == ""
    assert maps.maps.shape[:2] == (5, 2)
    assert maps.pixels.shape == (5, 32, 32)


def test_that_maps_come_from_the_cache_the_second_time(small_run, monkeypatch):
    first = drive(map_tasks.activation_maps(small_run, [3, 0]))

    def refuse(_run):
        raise AssertionError("computed again")

    monkeypatch.setattr(maps_module, "rebuilt_network", refuse)
    again = drive(map_tasks.activation_maps(Run(small_run.path), [0, 3]))
    np.testing.assert_array_equal(again.maps, first.maps[::-1])
    np.testing.assert_array_equal(again.pixels, first.pixels[::-1])


def test_that_a_damaged_or_deleted_cache_is_computed_again(small_run):
    first = drive(map_tasks.activation_maps(small_run, [0]))
    files = list((small_run.path / "cache").rglob("*.npz"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    again = drive(map_tasks.activation_maps(Run(small_run.path), [0]))
    np.testing.assert_allclose(again.maps, first.maps, atol=1e-6)
    shutil.rmtree(small_run.path / "cache")
    drive(map_tasks.activation_maps(Run(small_run.path), [0]))
    assert list((small_run.path / "cache").rglob("*.npz"))


def test_that_a_cohort_that_has_moved_is_said_in_words(small_run):
    folder = cohort_folder_of(small_run)
    folder.rename(folder.with_name("elsewhere.mrifcl"))
    with pytest.raises(RunError, match="no longer beside it"):
        drive(map_tasks.activation_maps(small_run, [0]))


def test_that_a_run_without_its_network_is_said_in_words(small_run):
    (small_run.path / "network.safetensors").unlink()
    with pytest.raises(RunError, match="no network"):
        drive(map_tasks.activation_maps(small_run, [0]))


def test_that_a_scan_that_is_another_one_now_is_refused(small_run):
    path = small_run.path / "run.json"
    key = str(small_run.features.scan[0])
    scan = next(s for s in load_cohort(cohort_folder_of(small_run)).scans if s.key == key)
    path.write_text(path.read_text().replace(scan.sha256, "0" * 64))
    with pytest.raises(MriFclError, match="no longer holds"):
        drive(map_tasks.activation_maps(Run(small_run.path), [0]))


def test_that_making_maps_can_be_stopped(small_run):
    operation = map_tasks.activation_maps(small_run, np.arange(20))
    for _ in range(4):
        next(operation)
    operation.close()
    maps = drive(map_tasks.activation_maps(small_run, [0]))
    assert len(maps) == 1


def test_that_rebuilding_a_network_draws_no_random_numbers(small_run):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    maps_module.rebuilt_network(small_run)
    assert torch.equal(before, torch.get_rng_state())


def test_that_the_nine_slices_of_a_feature_are_those_it_is_largest_in(small_run):
    figure = drive(map_tasks.feature_grid(small_run, 2))
    table = channel_table(small_run, top_rows(small_run, 2), 2)
    strongest = np.sort(small_run.features.penultimate[:, 2])[::-1][:9]
    column = table.columns.index("activation")
    np.testing.assert_allclose([row[column] for row in table.rows], strongest)
    assert len(figure.panels) == 9
    rows = top_rows(small_run, 2)
    weight, _ = small_run.fc_history.at()
    expected = weight[:, 2] * small_run.features.penultimate[rows[0], 2]
    np.testing.assert_allclose(table.rows[0][-2:], expected, rtol=1e-6)


def test_that_pictures_have_no_letters_and_volumes_have_theirs(small_run, tmp_path):
    assert drive(map_tasks.activation_maps(small_run, [0])).letters == (("", "", "", ""),)
    scanned = make_volume_cohort(tmp_path, subjects=4)
    run = Run(train_run(scanned, tmp_path / "runs", epochs=1, count=3))
    maps = drive(map_tasks.activation_maps(run, [0]))
    assert maps.letters == (("R", "L", "A", "P"),)
