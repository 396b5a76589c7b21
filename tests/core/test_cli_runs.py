"""`mri-fcl runs` lists what is in a folder of runs."""

from __future__ import annotations

import json

import pytest

from core.cli import run_command
from core.config import RunSettings
from core.run_folder import create_run


def make_run(folder, **record):
    writer = create_run(folder, RunSettings(), {"classes": ["AD", "NC"]})
    writer.update(**record)
    return writer


def test_that_runs_are_listed_with_state_and_holder(tmp_path, capsys):
    make_run(tmp_path, state="finished", epochs_done=30, accuracy={"test": 0.75}).close()
    make_run(tmp_path, epochs_done=7).close()
    held = make_run(tmp_path, epochs_done=2)
    assert run_command(["runs", str(tmp_path), "--json"]) == (0, [])
    out = capsys.readouterr().out
    *text, last = out.splitlines()
    listed = json.loads(last)["runs"]
    assert [run["state"] for run in listed] == ["finished", "interrupted", "running"]
    assert [run["test_accuracy"] for run in listed] == [0.75, None, None]
    assert listed[2]["held_by"]
    text = " ".join(" ".join(text).split())
    assert "7 of 30" in text
    assert "was interrupted. To go on: mri-fcl resume" in text
    assert "open in another window since" in text
    held.close()


def test_that_damaged_records_do_not_hide_the_other_runs(tmp_path, capsys):
    make_run(tmp_path, state="finished", accuracy="gone", epochs_done="x").close()
    damaged = make_run(tmp_path, state="finished", epochs_done=3)
    damaged.close()
    (damaged.path / "run.json").write_bytes(b"")
    assert run_command(["runs", str(tmp_path)])[0] == 0
    assert "its copy from the change before" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "status"), [("", 0), ("gone", 2)])
def test_that_a_folder_without_runs_is_told(tmp_path, capsys, name, status):
    assert run_command(["runs", str(tmp_path / name)])[0] == status
    said = capsys.readouterr()
    assert ("No runs in" in said.out) == (status == 0)
