"""Frozen, fine-tuned, scratch: what changes and what must not; where weights come from."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core import tasks
from core.config import RunSettings, change
from core.errors import TrainingError
from core.progress import run_to_end
from core.run_folder import Run
from core.training import pretrained
from core.training.network import FCL_NAMES, build_network
from core.training.torchvision_gateway import models, torchvision


def settings_for(network, regime, weights="", **more):
    return change(
        RunSettings(),
        {
            "network": network,
            "regime": regime,
            "weights": str(weights),
            "epochs": 1,
            "size": 64,
            "cnn_width": 2,
            "cnn_features": 8,
            "batch": 8,
            "learning_rate": 0.05,
            **more,
        },
    )


def random_weights(path: Path, network: str) -> Path:
    """Save a network of 1000 classes as torchvision would, FCL and all."""
    torch.manual_seed(3)
    build = {"resnet101": models.resnet101, "googlenet": models.googlenet, "vgg19": models.vgg19}[
        network
    ]
    extra = {"init_weights": False, "aux_logits": True} if network == "googlenet" else {}
    state = build(weights=None, **extra).state_dict()
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def train(cohort, settings, runs):
    return run_to_end(tasks.train(cohort.folder, settings, runs))


@pytest.fixture
def earlier_run(cohort, tmp_path):
    """A run of the custom CNN, to start others from."""
    return train(cohort, settings_for("cnn2d", "scratch", size=32), tmp_path / "earlier")


def test_that_frozen_changes_the_fcl_alone(cohort, earlier_run, tmp_path):
    path = train(
        cohort, settings_for("cnn2d", "frozen", earlier_run, size=32, epochs=3), tmp_path / "runs"
    )
    before = safetensors.torch.load_file(earlier_run / "network.safetensors")
    after = safetensors.torch.load_file(path / "network.safetensors")
    assert before.keys() == after.keys()
    for name in before:
        same = torch.equal(before[name], after[name])
        assert same != name.startswith("fc."), name
    assert any("running_mean" in name for name in before), "buffers are among what was compared"
    assert Run(path).record["parameters"]["learning"] == 2 * 8 + 2


def test_that_frozen_with_adapted_batch_norm_moves_buffers_only(cohort, earlier_run, tmp_path):
    settings = settings_for("cnn2d", "frozen", earlier_run, size=32, adapt_batch_norm=True)
    path = train(cohort, settings, tmp_path / "runs")
    before = safetensors.torch.load_file(earlier_run / "network.safetensors")
    after = safetensors.torch.load_file(path / "network.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(
        name.startswith("fc.") or "running" in name or "num_batches" in name for name in changed
    )


def test_that_a_frozen_run_resumes_to_the_bits_of_an_unbroken_one(cohort, earlier_run, tmp_path):
    from tests.core.training.test_train import stop_after

    settings = settings_for("cnn2d", "frozen", earlier_run, size=32, epochs=3)
    whole = train(cohort, settings, tmp_path / "whole")
    path = stop_after(cohort, settings, tmp_path / "broken", epoch=1, batch=2)
    run_to_end(tasks.resume(path))
    first = safetensors.torch.load_file(whole / "network.safetensors")
    second = safetensors.torch.load_file(path / "network.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_that_fine_tuning_starts_from_the_weights_and_changes_all_layers(
    cohort, earlier_run, tmp_path
):
    path = train(
        cohort,
        settings_for("cnn2d", "fine-tuned", earlier_run, size=32, learning_rate=1e-4),
        tmp_path / "runs",
    )
    before = safetensors.torch.load_file(earlier_run / "network.safetensors")
    after = safetensors.torch.load_file(path / "network.safetensors")
    for name in ("features.0.weight", "hidden.0.weight"):
        assert not torch.equal(before[name], after[name])
        assert torch.allclose(before[name], after[name], atol=0.01)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_that_a_local_weights_file_is_put_into_all_layers_but_the_fcl(tmp_path, suffix):
    file = random_weights(tmp_path / f"google{suffix}", "googlenet")
    settings = settings_for("googlenet", "frozen", file).training
    network = build_network(settings, 2, transform_input=True)
    pretrained.put_weights(network, "googlenet", pretrained.load_weights(file), file.name)
    given, state = pretrained.load_weights(file), network.state_dict()
    for name, value in state.items():
        if not name.startswith(FCL_NAMES["googlenet"] + "."):
            assert torch.equal(value, given[name]), name
    assert state["fc.weight"].shape == (2, 1024)
    assert network.transform_input


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet101", "vgg19", "googlenet"])
def test_that_each_paper_network_trains_frozen_from_a_local_file(cohort, tmp_path, network):
    file = random_weights(tmp_path / f"{network}.pth", network)
    path = train(cohort, settings_for(network, "frozen", file), tmp_path / "runs")
    given = pretrained.load_weights(file)
    stored = safetensors.torch.load_file(path / "network.safetensors")
    fcl = FCL_NAMES[network] + "."
    for name, value in stored.items():
        if not name.startswith(fcl):
            assert torch.equal(value, given[name]), name
    files = run_to_end(tasks.analyse(path))
    assert any(item.name == "fcl_weights_plot.png" for item in files.figures)


def test_that_weights_of_another_network_are_refused_by_name(tmp_path):
    file = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"conv.weight": torch.zeros(3)}, file)
    network = build_network(settings_for("cnn2d", "scratch").training, 2, transform_input=False)
    with pytest.raises(TrainingError, match=r"other\.safetensors.*Custom CNN"):
        pretrained.put_weights(network, "cnn2d", pretrained.load_weights(file), file.name)


def test_that_missing_imagenet_weights_say_where_to_get_and_put_them(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(TrainingError) as refused:
        train(cohort, settings_for("vgg19", "frozen"), tmp_path / "runs")
    text = str(refused.value)
    assert "vgg19-dcbb9e9d.pth" in text
    assert str(tmp_path / "torch") in text
    assert "scratch" in text
    assert not (tmp_path / "runs").exists()


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_that_weights_with_code_are_refused_and_not_run(tmp_path):
    marker, file = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save({"fc.weight": _Evil(marker)}, file)
    with pytest.raises(TrainingError, match=r"evil\.pth.*program code") as refused:
        pretrained.load_weights(file)
    assert not marker.exists()
    assert "weights_only" not in str(refused.value)


def test_that_a_bare_pickle_is_refused_whatever_its_name(tmp_path):
    marker, file = tmp_path / "ran", tmp_path / "evil.safetensors"
    file.write_bytes(pickle.dumps(_Evil(marker)))
    with pytest.raises(TrainingError, match="no weights file"):
        pretrained.load_weights(file)
    assert not marker.exists()


def test_that_a_flipped_bit_in_a_weights_file_is_found(tmp_path):
    file = tmp_path / "w.pth"
    torch.save({"a": torch.arange(4096, dtype=torch.float32)}, file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(TrainingError, match="damaged"):
        pretrained.load_weights(file)


def test_that_a_compressed_weights_file_is_refused(tmp_path):
    stored, packed = tmp_path / "w.pth", tmp_path / "bomb.pth"
    torch.save({"a": torch.zeros(100_000)}, stored)
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(TrainingError, match="compressed"):
        pretrained.load_weights(packed)


def test_that_the_gateway_lets_torchvision_networks_be_built():
    assert torchvision.__version__.startswith("0.28")
    network = models.resnet18(weights=None, num_classes=2).eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
    assert hasattr(torch.ops.torchvision, "nms")


def test_that_the_record_names_the_weights_but_not_their_folder(cohort, earlier_run, tmp_path):
    file = tmp_path / "secret place" / "mine.safetensors"
    file.parent.mkdir()
    file.write_bytes((earlier_run / "network.safetensors").read_bytes())
    path = train(cohort, settings_for("cnn2d", "frozen", file, size=32), tmp_path / "runs")
    assert "secret place" not in (path / "run.json").read_text(encoding="utf-8")
    record = Run(path).record["weights"]
    assert record["name"] == "mine.safetensors"
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
