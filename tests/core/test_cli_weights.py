"""mri-fcl weights: a list of what is here; a download only when asked for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from core.cli import run_command
from core.training.weights_entry import ENTRY_NAMES, MEGABYTE
from tests.weights_server import weights_server

CONTENT = bytes(range(256)) * 8 * 1024
NAME = f"vgg19-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server(monkeypatch):
    from core.training import pretrained

    with weights_server(CONTENT) as running:
        real = pretrained._entry
        small = {"url": running.url(NAME), "megabytes": len(CONTENT) / MEGABYTE}

        def entry(name, *rest):
            made = real(name, *rest)
            return replace(made, **small) if name == "vgg19" else made

        monkeypatch.setattr(pretrained, "_entry", entry)
        yield running


def last_line(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_that_the_list_fetches_nothing(cache, server, capsys):
    assert run_command(["weights", "--json"])[0] == 0
    listed = last_line(capsys)
    assert listed["folder"] == str(cache)
    assert tuple(item["name"] for item in listed["weights"]) == ENTRY_NAMES
    assert not any(item["is_here"] for item in listed["weights"])
    assert server.asked == []
    assert not cache.exists()


def test_that_a_download_that_is_asked_for_is_listed_then(cache, server, capsys):
    assert run_command(["weights", "--download", "vgg19", "--json"])[0] == 0
    assert (cache / NAME).read_bytes() == CONTENT
    here = [item["name"] for item in last_line(capsys)["weights"] if item["is_here"]]
    assert here == ["vgg19"]


def test_that_a_failed_download_is_one_plain_sentence(cache, server, capsys):
    server.status = 404
    assert run_command(["weights", "--download", "vgg19"])[0] == 1
    said = capsys.readouterr().err
    for word in ("404", server.url(NAME), str(cache), NAME):
        assert word in said
    assert "Error" not in said


def test_that_unknown_weights_are_wrong_usage(cache, capsys):
    assert run_command(["weights", "--download", "alexnet"])[0] == 2
