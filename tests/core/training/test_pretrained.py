"""Weights put into networks: names mapped, heads replaced, other networks recognised; all said."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from core import tasks
from core.config import RunSettings, change, to_record
from core.errors import RunError, TrainingError
from core.progress import run_to_end
from core.training import pretrained, weights_names, weights_state
from core.training.network import FCL_NAMES, build_network
from core.training.torchvision_gateway import models
from core.training.weights_download import part_file
from core.training.weights_entry import MEGABYTE
from tests.weights_server import weights_server


def training(network, **values):
    return change(RunSettings(), {"network": network, "cnn_width": 4, **values}).training


def ours(network, *, n_classes=2, transform_input=True, **values):
    return build_network(training(network, **values), n_classes, transform_input=transform_input)


def torchvisions(network):
    """Return a state dict of 1000 classes, auxiliary heads and all, without real numbers."""
    torch.manual_seed(5)
    with torch.device("meta"):
        if network == "googlenet":
            built = models.googlenet(weights=None, init_weights=False, aux_logits=True)
        else:
            built = getattr(models, network)(weights=None)
    return {
        name: torch.empty(value.shape, dtype=value.dtype)
        .fill_(k % 7 + 1)
        .index_fill_(0, torch.tensor([0]), 0)
        if value.ndim
        else torch.zeros(())
        for k, (name, value) in enumerate(built.state_dict().items())
    }


@pytest.fixture(scope="module")
def googlenet():
    return torchvisions("googlenet")


def put(network, name, weights):
    return " ".join(pretrained.put_weights(network, name, weights, "w.pth"))


def assert_taken(network, name, weights):
    for key, value in network.state_dict().items():
        if not key.startswith(FCL_NAMES[name] + ".") and not key.endswith("num_batches_tracked"):
            assert torch.equal(value, weights[key]), key


def test_that_googlenets_heads_and_its_rescaled_input_are_said(googlenet):
    network = ours("googlenet")
    said = put(network, "googlenet", googlenet)
    assert_taken(network, "googlenet", googlenet)
    assert "auxiliary heads" in said
    assert "rescaled as these ImageNet weights want it" in said
    assert "1000 outputs" in said
    assert "new for 2 classes" in said
    assert "Left off" not in said


def test_that_an_input_that_is_not_rescaled_is_said(googlenet):
    said = put(ours("googlenet", transform_input=False), "googlenet", googlenet)
    assert "not rescaled" in said


def test_that_of_vgg19_only_the_last_of_three_linear_layers_is_new():
    weights = torchvisions("vgg19")
    with torch.device("meta"):
        network = models.vgg19(weights=None, num_classes=3)
    network = network.to_empty(device="cpu")
    before = network.classifier[6].weight.clone()
    said = put(network, "vgg19", weights)
    assert "three linear layers only the last" in said
    assert torch.equal(network.classifier[0].weight, weights["classifier.0.weight"])
    assert torch.equal(network.classifier[6].weight.nan_to_num(), before.nan_to_num())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "backbone.", "model."])
def test_that_prefixes_of_wrappers_are_taken_off(tmp_path, prefix):
    source, network = ours("cnn2d"), ours("cnn2d")
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(
        {prefix + name: value for name, value in source.state_dict().items()}, path
    )
    put(network, "cnn2d", pretrained.load_weights(path))
    assert_taken(network, "cnn2d", source.state_dict())


def test_that_the_fcl_keeps_its_own_start_whatever_the_weights_have():
    source, network = ours("cnn2d", n_classes=5), ours("cnn2d", n_classes=3)
    before = network.fc.weight.clone()
    said = put(network, "cnn2d", source.state_dict())
    assert torch.equal(network.fc.weight, before)
    assert "5 outputs" in said
    assert "3 classes" in said


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("vgg19", "VGG-19"),
        ("vgg19_bn", "VGG-19 with batch norm"),
        ("vgg16", "VGG-16"),
        ("resnet18", "ResNet-18"),
        ("resnet34", "ResNet-34"),
        ("resnet50", "ResNet-50"),
        ("resnet152", "ResNet-152"),
        ("resnet101", "ResNet-101"),
        ("alexnet", "AlexNet"),
        ("densenet121", "a DenseNet"),
        ("googlenet", "GoogLeNet"),
        ("inception_v3", "Inception v3"),
    ],
)
def test_that_networks_are_known_by_their_layers(given, title):
    more = {"init_weights": False} if given in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        names = getattr(models, given)(weights=None, **more).state_dict()
    assert weights_names.title_of(f"module.{name}" for name in names) == title


def test_that_the_custom_cnn_is_known_by_its_layers():
    assert weights_names.title_of(ours("cnn2d").state_dict()) == "Custom CNN"
    assert weights_names.title_of(["foo"]) == ""


def test_that_weights_of_another_network_are_named(googlenet):
    with pytest.raises(TrainingError, match=r"'w\.pth' holds weights of GoogLeNet, not of Custom"):
        put(ours("cnn2d"), "cnn2d", googlenet)


def test_that_missing_and_unknown_layers_are_listed_first_few():
    weights = dict(ours("cnn2d").state_dict())
    for name in [name for name in weights if name.startswith(("features.0", "features.1."))]:
        del weights[name]
    weights["extra.weight"] = torch.ones(1)
    with pytest.raises(TrainingError) as refused:
        put(ours("cnn2d"), "cnn2d", weights)
    text = str(refused.value)
    assert "layers 'features.0.weight', 'features.1.bias', 'features.1.running_mean' and 2" in text
    assert "layer 'extra.weight' is unknown" in text


def test_that_a_network_of_another_width_is_refused_with_both_sizes():
    with pytest.raises(TrainingError) as refused:
        put(ours("cnn2d"), "cnn2d", ours("cnn2d", cnn_width=8).state_dict())
    assert "8 x 1 x 3 x 3 there, 4 x 1 x 3 x 3 here" in str(refused.value)
    assert "width" in str(refused.value)


def test_that_unknown_layers_beside_all_that_is_needed_are_left_off_and_said():
    weights = {**ours("cnn2d").state_dict(), "head.weight": torch.ones(2, 2)}
    assert "no such layers: 'head.weight'" in put(ours("cnn2d"), "cnn2d", weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_that_values_that_are_no_numbers_are_refused(value):
    weights = ours("cnn2d").state_dict()
    weights["hidden.0.weight"][3, 1] = value
    with pytest.raises(TrainingError, match=r"no numbers.*'hidden\.0\.weight'"):
        put(ours("cnn2d"), "cnn2d", weights)


def test_that_constant_weights_are_said():
    weights = {k: torch.zeros_like(v) for k, v in ours("cnn2d").state_dict().items()}
    assert "constant" in put(ours("cnn2d"), "cnn2d", weights)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def look_up(network, asked=""):
    (state,) = run_to_end(tasks.look_up_weights([network], str(asked)))
    return state


def test_that_missing_weights_say_what_would_be_fetched_from_where(cache):
    state = look_up("resnet101")
    assert state.kind == "missing"
    for word in ("ResNet-101", "resnet101-63fe2227.pth", "download.pytorch.org"):
        assert word in state.text
    assert state.entry.name == "resnet101"
    part_file(state.entry, cache).write_bytes(bytes(34 * 1024**2))
    assert "34 MB of it are here" in look_up("resnet101").text


def test_that_a_file_in_the_cache_is_found(cache):
    (cache / "vgg19-dcbb9e9d.pth").write_bytes(b"x")
    assert look_up("vgg19").kind == "cache"
    assert pretrained.find_weights("vgg19", "") == cache / "vgg19-dcbb9e9d.pth"
    folder, states = run_to_end(tasks.list_weights())
    assert folder == cache
    assert [state.kind for state in states] == ["missing", "missing", "missing", "cache"]


def test_that_the_newer_weights_of_resnet101_are_asked_for_by_their_name(cache):
    (cache / "resnet101-cd907fc2.pth").write_bytes(b"x")
    assert look_up("resnet101").kind == "missing"
    assert look_up("resnet101", "IMAGENET1K_V2").kind == "cache"
    assert pretrained.find_weights("resnet101", "IMAGENET1K_V2").name == "resnet101-cd907fc2.pth"
    assert pretrained.from_imagenet("IMAGENET1K_V2")
    assert look_up("vgg19", "IMAGENET1K_V2").kind == "refused"


@pytest.mark.parametrize("is_new", [True, False])
def test_that_a_local_file_is_recognised_without_being_opened(
    tmp_path, monkeypatch, googlenet, is_new
):
    def no_child(*_, **__):
        raise AssertionError("the file was opened")

    monkeypatch.setattr(pretrained, "run_in_child", no_child)
    path = tmp_path / "mine.pth"
    torch.save(googlenet, path, _use_new_zipfile_serialization=is_new)
    assert "'mine.pth' holds weights of GoogLeNet" in look_up("googlenet", path).text
    refused = look_up("vgg19", path)
    assert refused.kind == "refused"
    assert "weights of GoogLeNet, not of VGG-19" in refused.text


def test_that_a_refused_or_absent_file_is_said_beforehand(tmp_path):
    path = tmp_path / "page.pth"
    path.write_bytes(b"<!DOCTYPE html>")
    assert "web page" in look_up("vgg19", path).text
    assert "There is no weights file" in look_up("vgg19", tmp_path / "none.pth").text
    assert "is a folder" in look_up("vgg19", tmp_path).text


def test_that_a_run_of_another_network_is_refused(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    settings = change(RunSettings(), {"network": "cnn2d"})
    record = {
        "format": "MRI-FCL run",
        "format_version": 1,
        "classes": ["AD", "NC"],
        "state": "finished",
        "settings": to_record(settings),
    }
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    safetensors.torch.save_file(ours("cnn2d").state_dict(), run / "network.safetensors")
    assert look_up("cnn2d", run).kind == "run"
    assert "trained Custom CNN, not VGG-19" in look_up("vgg19", run).text


def test_that_a_run_whose_record_is_damaged_is_refused_in_words(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_bytes(b"{cut")
    safetensors.torch.save_file(ours("cnn2d").state_dict(), run / "network.safetensors")
    assert "damaged" in look_up("cnn2d", run).text
    with pytest.raises(RunError, match="damaged"):
        pretrained.from_imagenet(str(run))


def test_that_what_is_fetched_is_what_is_used(cache, tmp_path, monkeypatch, googlenet):
    """From the server to the network, in the format that torchvision's own file has."""
    torch.save(googlenet, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "w.pth").read_bytes()
    name = f"googlenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with weights_server(content) as server:
        entry = replace(
            pretrained.weights_entries()["googlenet"],
            url=server.url(name),
            megabytes=len(content) / MEGABYTE,
        )
        monkeypatch.setattr(pretrained, "_entry", lambda *_: entry)
        assert look_up("googlenet").kind == "missing"
        path = run_to_end(tasks.download_weights("googlenet"))
    assert look_up("googlenet").kind == "cache"
    assert pretrained.find_weights("googlenet", "") == path
    network = ours("googlenet")
    put(network, "googlenet", pretrained.load_weights(path))
    assert_taken(network, "googlenet", googlenet)


def test_that_looking_is_not_fetching(cache, monkeypatch):
    import urllib.request

    def no_network(*_, **__):
        raise AssertionError("something was fetched unasked")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", no_network)
    assert weights_state.look_up("resnet101", "").kind == "missing"
    with pytest.raises(TrainingError, match="--download resnet101"):
        pretrained.find_weights("resnet101", "")
    assert list(cache.iterdir()) == []
