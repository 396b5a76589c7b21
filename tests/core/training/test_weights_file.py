"""Weights files from anywhere: opened by content, in a child, and refused in our own words."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.errors import TrainingError
from core.training import pretrained
from core.training.weights_file import check_weights_file, layer_names

ODD_FILES = Path(__file__).resolve().parents[4] / "shared" / "odd" / "make_odd_files.py"
# Advice that would have somebody switch the safety off.
UNSAFE_ADVICE = re.compile(r"weights_only|add_safe_globals|allowlist|unsafe_load|trust", re.I)
PROGRAMMERS_WORDS = re.compile(r"Errno|Traceback|\w(Error|Exception)\b|<class|0x[0-9a-f]{6}")
REMEDY = re.compile(r"\b(Ask for|Fetch|Copy|Unpack|Choose)\b")


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


def weights():
    return {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def refusal(path):
    with pytest.raises(TrainingError) as refused:
        pretrained.load_weights(path)
    text = str(refused.value)
    assert path.name in text
    assert REMEDY.search(text), text
    assert not UNSAFE_ADVICE.search(text), text
    assert not PROGRAMMERS_WORDS.search(text), text
    return text


@pytest.mark.parametrize("is_new", [True, False])
def test_that_both_formats_of_torch_are_read(tmp_path, is_new):
    # torchvision's own GoogLeNet and VGG-19 files are of the old one.
    path = tmp_path / "w.pth"
    torch.save(weights(), path, _use_new_zipfile_serialization=is_new)
    assert check_weights_file(path) == ("torch-zip" if is_new else "torch-old")
    assert same(pretrained.load_weights(path), weights())
    assert layer_names(path, check_weights_file(path)) >= {"a.weight", "a.bias"}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w"])
def test_that_safetensors_are_known_by_content_not_by_name(tmp_path, name):
    path = tmp_path / name
    safetensors.torch.save_file(weights(), path)
    assert same(pretrained.load_weights(path), weights())
    assert layer_names(path, "safetensors") == {"a.weight", "a.bias"}


def test_that_a_torch_file_named_safetensors_is_read_by_content(tmp_path):
    # Faults X5.
    path = tmp_path / "w.safetensors"
    torch.save(weights(), path)
    assert same(pretrained.load_weights(path), weights())


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_that_wrapped_weights_are_unwrapped(tmp_path, key):
    path = tmp_path / "w.pth"
    prefixed = {f"module.{name}": value for name, value in weights().items()}
    torch.save({"epoch": 3, "best": 0.7, key: prefixed, "optimizer": {"lr": 0.1}}, path)
    assert same(pretrained.load_weights(path), weights())


def test_that_half_floats_keep_their_values(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.tensor([0.1, 3.0]).bfloat16(), "b": torch.tensor([0.1]).half()}, path)
    read = pretrained.load_weights(path)
    assert torch.equal(read["a"], torch.tensor([0.1, 3.0]).bfloat16().float())
    assert torch.equal(read["b"].float(), torch.tensor([0.1]).half().float())


@pytest.mark.parametrize("is_new", [True, False])
def test_that_code_is_refused_in_both_formats_and_never_run(tmp_path, is_new):
    # Faults X2.
    path, marker = tmp_path / "w.pth", tmp_path / "marker"
    torch.save({"a": torch.ones(2), "b": Evil(marker)}, path, _use_new_zipfile_serialization=is_new)
    assert refusal(path) == (
        "'w.pth' holds program code and was not opened. Ask for a .safetensors file or a plain "
        "state_dict."
    )
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_that_a_bare_pickle_is_not_even_given_to_torch(tmp_path, protocol):
    path, marker = tmp_path / "w.pth", tmp_path / "marker"
    path.write_bytes(pickle.dumps(Evil(marker), protocol))
    assert "program code" in refusal(path)
    assert not marker.exists()


def test_that_a_cut_file_of_the_old_format_is_damaged(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(10_000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-5_000])
    assert "damaged" in refusal(path)


def test_that_an_old_file_that_claims_a_terabyte_is_stopped_by_the_limit(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(1000)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    # The number of values as the pickle has it: BININT2 1000, in the storage and in the shape.
    claimed = content.replace(b"M\xe8\x03", b"\x8a\x05" + (10**11).to_bytes(5, "little"))
    assert claimed != content
    path.write_bytes(claimed)
    assert "damaged" in refusal(path)


def test_that_layers_of_one_number_repeated_cannot_fill_the_memory(tmp_path):
    # Faults X4.
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1).expand(10**10)}, path)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {"a": 3}, {}, torch.ones(3)])
def test_that_a_file_without_named_layers_is_refused(tmp_path, content):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    assert "not a state_dict" in refusal(path)


def test_that_sparse_layers_are_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.eye(3).to_sparse()}, path)
    assert "sparse" in refusal(path)


@pytest.mark.parametrize("member", ["../w", "/etc/w", "C:/w", "archive\\..\\w", "other/w"])
def test_that_members_outside_the_one_folder_are_refused(tmp_path, member):
    # Faults X4.
    path = tmp_path / "w.pth"
    torch.save(weights(), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"x")
    assert "outside its own folder" in refusal(path)


def test_that_a_zip_of_other_things_is_to_be_unpacked_first(tmp_path):
    # Faults X6.
    path = tmp_path / "nets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/w.pth", b"x")
    assert "Unpack it first" in refusal(path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(80), "Keras"),
        (b"\x5c\x01\x00\x00" + bytes(400), "no weights file"),
    ],
)
def test_that_other_files_are_named_for_what_they_are(tmp_path, content, word):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    assert word in refusal(path)


def test_that_a_flipped_bit_in_a_zip_is_found(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.arange(4096.0)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert "checksum" in refusal(path)


def first_look(path):
    """Return the kind of a file, or why it is refused."""
    try:
        return check_weights_file(path), ""
    except TrainingError as error:
        return None, str(error)


@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_that_no_damage_gets_past_the_first_look_as_another_error(tmp_path, form):
    path = tmp_path / "w.pth"
    if form == "safetensors":
        safetensors.torch.save_file(weights(), path)
    else:
        torch.save(weights(), path, _use_new_zipfile_serialization=form == "zip")
    whole, rng = path.read_bytes(), random.Random(form)
    for _ in range(400):
        content = bytearray(whole[: rng.choice([len(whole), rng.randrange(len(whole))])])
        for _ in range(rng.choice([0, 1, 1, 8])):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(bytes(content))
        kind, refused = first_look(path)
        if kind is None:
            assert REMEDY.search(refused), refused
        else:
            assert all(isinstance(name, str) for name in layer_names(path, kind))


@pytest.fixture(scope="module")
def odd_weights(tmp_path_factory):
    """The odd weights files and what their manifest says of each."""
    import subprocess
    import sys

    if not ODD_FILES.is_file():
        pytest.skip("the odd files (../shared/odd) are not on this machine")
    folder = tmp_path_factory.mktemp("odd")
    subprocess.run([sys.executable, str(ODD_FILES), str(folder)], check=True, capture_output=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return folder, [entry for entry in manifest["entries"] if entry["kind"] == "weights"]


# Files whose fault shows only once they are put into a network.
WRONG_FOR_A_NETWORK = {"weights/bad_wrong_names.safetensors"}


def test_that_odd_weights_files_load_or_are_refused_as_their_list_says(odd_weights):
    folder, entries = odd_weights
    assert len(entries) == 33
    before = {path: path.read_bytes() for path in (folder / "weights").iterdir()}
    for entry in entries:
        path = folder / entry["name"]
        if entry["expectation"] == "load" or entry["name"] in WRONG_FOR_A_NETWORK:
            assert pretrained.load_weights(path), entry
        else:
            text = refusal(path)
            assert any(word in text for word in entry["say"]), (entry, text)
    assert {path: path.read_bytes() for path in (folder / "weights").iterdir()} == before
    assert_no_marker(folder)


def test_that_a_run_with_code_in_its_checkpoints_is_not_opened(odd_weights):
    folder, _ = odd_weights
    run = folder / "run" / "bad_evil_checkpoint"
    for name in ("last.pth", "best.pth"):
        assert "program code" in refusal(run / name)
    with pytest.raises(TrainingError, match="not opened"):
        pretrained.find_weights("vgg19", str(run))
    assert_no_marker(folder)


def assert_no_marker(folder):
    for place in (folder, Path.cwd(), Path.home(), Path(__file__).parents[3]):
        assert not list(place.glob("*PWNED*"))
