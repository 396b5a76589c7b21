"""The 3-D CNN: whole volumes as cubes, from the network to the files of its run."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from core import tasks
from core.analysis.features import feature_cloud
from core.config import change
from core.errors import CohortError, TrainingError
from core.progress import EpochMetrics, Notice, RunStarted, run_to_end
from core.run_folder import Run
from core.training.custom_cnn import CustomCnn3d
from core.training.network import build_network, input_scaling
from tests.tiny_cohort import make_cohort, make_volume_cohort, tiny_cubes


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Two classes of six subjects with two volumes each."""
    return make_volume_cohort(tmp_path_factory.mktemp("heads"), sessions=2)


def train(cohort, settings, runs):
    return Run(run_to_end(tasks.train(cohort.folder, settings, runs)))


@pytest.fixture(scope="module")
def run(heads, tmp_path_factory):
    return train(heads, tiny_cubes(), tmp_path_factory.mktemp("runs"))


# ------------------------------------------------------------------ the network


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_that_blocks_width_and_features_are_as_set(blocks, n_classes):
    training = tiny_cubes(cnn_blocks=blocks, cnn_width=3, cnn_features=5).training
    network = build_network(training, n_classes, transform_input=False)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    for i in range(blocks):
        before = 1 if i == 0 else 3 * 2 ** (i - 1)
        assert shapes[f"features3d.{4 * i}.weight"] == (3 * 2**i, before, 3, 3, 3)
    assert shapes["hidden.0.weight"] == (5, 3 * 2 ** (blocks - 1))
    assert shapes["fc.weight"] == (n_classes, 5)
    cubes = torch.zeros(2, 16, 16, 16, dtype=torch.uint8)
    assert network(input_scaling("cnn3d").apply(cubes)).shape == (2, n_classes)


@pytest.mark.parametrize(("choice", "slope"), [("relu", 0.0), ("leaky-relu", 0.01)])
def test_that_the_activation_has_the_chosen_slope(choice, slope):
    network = CustomCnn3d(2, width=2, features=4, activation=choice, blocks=1)
    activation = network.features3d[2]
    assert activation(torch.tensor([-2.0])).item() == pytest.approx(-2 * slope)


@pytest.mark.parametrize("size", [16, 17])
def test_that_pooling_by_halves_is_max_pooling(size, monkeypatch):
    cubes = torch.randn(2, 3, size, size, size, generator=torch.Generator().manual_seed(0))
    network = CustomCnn3d(2, width=2, features=4, blocks=1)
    pool = network.features3d[3]
    expected = pool(cubes)
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    on_meta = pool(cubes.to("meta"))
    assert on_meta.shape == expected.shape
    half = size // 2
    whole = cubes[:, :, : 2 * half, : 2 * half, : 2 * half]
    by_hand = whole.unfold(2, 2, 2).unfold(3, 2, 2).unfold(4, 2, 2).flatten(5).amax(-1)
    torch.testing.assert_close(expected, by_hand, rtol=0, atol=0)


def test_that_no_voxel_of_a_cube_is_left_unseen():
    # Leaky, lest the few channels be silent for some random start.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CustomCnn3d(2, width=2, features=4, activation="leaky-relu", blocks=2).eval()
        cubes = torch.rand(1, 1, 16, 16, 16, requires_grad=True)
    network(cubes).square().sum().backward()
    assert (cubes.grad != 0).float().mean() > 0.2
    for axis in (2, 3, 4):
        rest = tuple(i for i in range(5) if i != axis)
        assert (cubes.grad.abs().sum(rest) > 0).all()


# ------------------------------------------------------------------ a run


def test_that_a_run_has_one_item_a_scan(run):
    assert run.state == "finished"
    assert run.record["title"] == "Custom CNN (3-D), from scratch"
    assert run.record["batch"] == 4
    assert run.record["fcl"] == "fc"
    assert run.fc_history.weight.shape == (3, 2, 8)
    assert run.features.penultimate.shape == (24, 8)
    assert run.features.slice.tolist() == [0] * 24
    assert len(set(run.features.scan.tolist())) == 24
    weight, bias = run.fc_history.at()
    np.testing.assert_allclose(
        run.features.logits, run.features.penultimate @ weight.T + bias, atol=1e-5
    )


def test_that_all_scans_of_a_subject_are_in_one_part(run):
    with (run.path / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = {}
    for row in rows:
        parts.setdefault(row["subject"], set()).add(row["part"])
    assert len(parts) == 12
    assert all(len(of) == 1 for of in parts.values())
    assert not run.leaks


def test_that_a_split_by_slice_is_by_scan_and_its_leak_is_told(heads, tmp_path):
    settings = tiny_cubes(mode="slice", epochs=1)
    events = list(tasks.train(heads.folder, settings, tmp_path / "runs"))
    assert any(isinstance(event, Notice) and "leaks" in event.text for event in events)
    run = Run(next((tmp_path / "runs").iterdir()))
    assert run.leaks
    assert run.record["split"] == "by scan 5:2:3, seed 0"
    scans = {part: set(run.features.scan[run.features.part == part]) for part in ("train", "test")}
    assert not scans["train"] & scans["test"]


def test_that_a_run_stopped_and_resumed_gives_the_same_bits(heads, tmp_path):
    settings = tiny_cubes(epochs=3, augment_flip=True, augment_degrees=10, augment_shift=10)
    whole = train(heads, settings, tmp_path / "whole")
    operation = tasks.train(heads.folder, settings, tmp_path / "stopped")
    path = None
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    operation.close()
    resumed = Run(run_to_end(tasks.resume(path)))
    np.testing.assert_array_equal(whole.fc_history.weight, resumed.fc_history.weight)
    np.testing.assert_array_equal(whole.features.logits, resumed.features.logits)


def test_that_an_earlier_run_can_be_fine_tuned_and_frozen(heads, run, tmp_path):
    for regime in ("frozen", "fine-tuned"):
        settings = tiny_cubes(regime=regime, weights=str(run.path), epochs=1)
        later = train(heads, settings, tmp_path / regime)
        assert later.state == "finished"
        assert later.record["weights"]["name"] == run.name


def test_that_weights_of_the_2d_cnn_are_refused_by_name(tmp_path, heads):
    pictures = make_cohort(tmp_path)
    from tests.tiny_cohort import train_run

    flat = train_run(pictures, tmp_path / "runs", epochs=1)
    settings = tiny_cubes(regime="fine-tuned", weights=str(flat))
    with pytest.raises(TrainingError, match="Custom CNN"):
        train(heads, settings, tmp_path / "runs")


def test_that_the_3d_cnn_learns_what_can_be_learned(heads, tmp_path):
    settings = tiny_cubes(epochs=25, cnn_width=4)
    run = train(heads, settings, tmp_path / "runs")
    assert run.history.train_loss[-1] < 0.6 * run.history.train_loss[0]
    assert run.record["accuracy"]["train"] > 0.9


def test_that_a_cohort_of_ready_made_slices_is_refused_before_a_run_is_made(tmp_path):
    pictures = make_cohort(tmp_path)
    with pytest.raises(CohortError, match="needs whole volumes"):
        train(pictures, tiny_cubes(), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_that_two_processes_give_what_one_gives(heads, tmp_path):
    one = train(heads, tiny_cubes(), tmp_path / "one")
    two = train(heads, tiny_cubes(devices=2, device="cpu"), tmp_path / "two")
    assert np.abs(one.fc_history.weight[-1] - one.fc_history.weight[0]).max() > 1e-3
    assert np.abs(one.fc_history.weight - two.fc_history.weight).max() < 1e-5


# ------------------------------------------------------------------ what comes after


@pytest.mark.slow
def test_that_its_run_is_analysed_compared_and_reported(run, tmp_path):
    files = run_to_end(tasks.analyse(run.path, tmp_path / "analysis", dpi=60))
    names = {path.name for path in (*files.figures, *files.tables)}
    assert "feature_cloud_test_by_slice.png" in names
    assert "fcl_weights.csv" in names
    assert "one dot a scan" in feature_cloud(run).caption
    assert "mean of its scans" in feature_cloud(run, by="subject").caption
    table, _ = run_to_end(tasks.compare([run.path], tmp_path / "compare"))
    assert table.rows[0][:2] == ("Custom CNN (3-D)", "scratch")
    page = run_to_end(tasks.report_html([run.path], tmp_path / "report.html"))
    assert "Custom CNN (3-D)" in page.read_text(encoding="utf-8")


def test_that_its_split_is_audited_before_and_after_cubes_are_made(tmp_path):
    cohort = make_volume_cohort(tmp_path, sessions=2)
    settings = tiny_cubes(mode="slice")
    quick = run_to_end(tasks.audit_quickly(cohort.folder, settings))
    whole = run_to_end(tasks.audit(cohort.folder, settings))
    assert not quick.is_compared
    assert whole.is_compared
    assert quick.shared_subjects == whole.shared_subjects > 0
    assert sum(whole.slices) == 24
    assert whole.words == quick.words == "by scan 5:2:3, seed 0"
    by_subject = run_to_end(tasks.audit(cohort.folder, tiny_cubes()))
    assert not by_subject.leaks


def test_that_equal_volumes_are_found_and_named_by_their_scans(tmp_path):
    from tests.tiny_cohort import drive, make_volumes

    folder = make_volumes(tmp_path / "heads")
    files = sorted((folder / "AD").iterdir())
    for number, file in enumerate(files[1:], start=90):
        (folder / "AD" / f"OAS1_{number:04d}_MR1.nii.gz").write_bytes(file.read_bytes())
    cohort = drive(tasks.scan(folder, out=tmp_path / "C.mrifcl"))
    found = run_to_end(tasks.audit(cohort.folder, tiny_cubes()))
    assert found.duplicate_slices > 0
    pair = next(pair for pair in found.pairs if pair.kind == "equal")
    assert pair.first.words == pair.first.scan
    seen = run_to_end(tasks.read_pair(cohort.folder, tiny_cubes(), pair))
    assert seen.first.shape == (16, 16)
    np.testing.assert_array_equal(seen.first, seen.second)


def test_that_the_split_of_cubes_can_be_kept_and_brought_back(heads, tmp_path):
    settings = tiny_cubes(mode="slice", epochs=1)
    kept = run_to_end(tasks.keep_split(heads.folder, settings, tmp_path / "split.csv"))
    assert sum(kept.slices.values()) == 24
    again = train(heads, change(tiny_cubes(epochs=1), {"split_file": str(kept.path)}), tmp_path)
    drawn = train(heads, settings, tmp_path)
    np.testing.assert_array_equal(again.features.part, drawn.features.part)


def test_that_the_strip_of_a_scan_shows_the_layers_of_its_cube(heads):
    scan = heads.cohort.scans[0]
    strip = run_to_end(tasks.read_strip(heads.cohort, scan, tiny_cubes().cut))
    assert strip.pixels.shape == (16, 16, 16)
    assert len(strip.numbers) == len(strip.positions_mm) == 16
    assert (np.diff(strip.positions_mm) > 0).all()
