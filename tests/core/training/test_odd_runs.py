"""Every odd run folder of the shared collection, in our own names, resumes or is refused.

The collection has the shape of a run folder, not our files; each entry is told here as a
damage to a real stopped run. Whether it must load, and which words it must say, is the
collection's.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from core import tasks
from core.errors import MriFclError
from core.progress import Notice
from core.run_folder import Run
from tests.core.training.test_train import stop_after
from tests.tiny_cohort import make_cohort, tiny

MAKER = Path(__file__).resolve().parents[4] / "shared" / "odd" / "make_odd_files.py"
REMEDY = ("Restore", "Update", "Train it anew", "Ask")
LAST, PREVIOUS = "resume.ckpt", "resume-previous.ckpt"


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-marker",)


def nothing(_):
    pass


def change_record(run, **changes):
    for name in ("run.json", "run.json.bak"):
        path = run / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut_last(run):
    (run / LAST).write_bytes((run / LAST).read_bytes()[:-50])


def leave_temporary(run):
    (run / f".{LAST}-1234.part").write_bytes((run / LAST).read_bytes()[:50])


def add_half_line(run):
    with (run / "history.csv").open("ab") as file:
        file.write(b"3,0.5")


def add_nul(run):
    with (run / "history.csv").open("ab") as file:
        file.write(bytes(40))


def leave_lock(run):
    (run / "run.lock").write_bytes(b"999999\nMRI-FCL\noldhost\n")


def come_from_the_future(run):
    change_record(run, started="2099-01-01T00:00:00+00:00")


def empty_records(run):
    for name in ("run.json", "run.json.bak"):
        (run / name).write_bytes(b"")


def be_newer(run):
    (run / "run.json").write_text('{"format": "MRI-FCL run", "format_version": 999}')


def lose_checkpoints(run):
    for name in (LAST, PREVIOUS):
        (run / name).unlink()


def have_other_classes(run):
    state = torch.load(run / LAST)
    state["network"]["fc.weight"] = torch.zeros(3, 8)
    state["network"]["fc.bias"] = torch.zeros(3)
    torch.save(state, run / LAST)
    change_record(run, sha256={})


def hold_code(run):
    for name in (LAST, PREVIOUS):
        with zipfile.ZipFile(run / name, "w") as archive:
            archive.writestr("resume/data.pkl", pickle.dumps({"w": Evil()}, 2))
            archive.writestr("resume/version", "3\n")
    change_record(run, sha256={})


DAMAGES = {
    "ok_run": nothing,
    "warn_last_cut": cut_last,
    "warn_tmp_left": leave_temporary,
    "warn_metrics_half_line": add_half_line,
    "warn_metrics_nul_tail": add_nul,
    "warn_stale_lock": leave_lock,
    "warn_future_clock": come_from_the_future,
    "bad_config_zero": empty_records,
    "bad_config_newer": be_newer,
    "bad_no_checkpoint": lose_checkpoints,
    "bad_wrong_classes": have_other_classes,
    "bad_evil_checkpoint": hold_code,
}
# The warning that the collection asks for, in our words.
WARNINGS = {
    "checkpoint_fallback": "training goes on from the one before",
    "metrics_line_dropped": "1 damaged line of 'history.csv' passed over",
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    if not MAKER.is_file():
        pytest.skip("the maker of odd files (../shared/odd) is not on this machine")
    folder = tmp_path_factory.mktemp("odd")
    subprocess.run(
        [sys.executable, str(MAKER), str(folder)], capture_output=True, timeout=120, check=True
    )
    listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["entries"]
    return {Path(entry["name"]).name: entry for entry in listed if entry["kind"] == "run"}


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    cohort = make_cohort(folder)
    settings = tiny(epochs=3, batch=8, learning_rate=0.05)
    return stop_after(cohort, settings, folder / "runs", epoch=2, batch=1)


@pytest.fixture(params=DAMAGES)
def odd(request, entries, stopped_once, tmp_path, monkeypatch):
    """A damaged copy beside the real run, and what the collection says of it."""
    copy = shutil.copytree(stopped_once, stopped_once.parent / request.param)
    DAMAGES[request.param](copy)
    monkeypatch.chdir(tmp_path)
    yield copy, entries[request.param]
    shutil.rmtree(copy)


def test_that_every_odd_run_of_the_collection_is_tried(entries):
    assert set(entries) == set(DAMAGES)


def test_that_an_odd_run_goes_on_or_is_refused_in_words(odd, tmp_path):
    path, entry = odd
    if entry["expectation"] == "error":
        before = {file.name: file.read_bytes() for file in path.iterdir()}
        with pytest.raises(MriFclError) as told:
            list(tasks.resume(path))
        text = str(told.value)
        assert path.name in text
        assert any(word.lower() in text.lower() for word in entry["say"]), text
        assert any(word in text for word in REMEDY), text
        after = {file.name: file.read_bytes() for file in path.iterdir()}
        changed = {name for name in before if after.get(name) != before[name]}
        assert changed <= {"run.json", "run.json.bak", "log.txt"}, "only its end may be told"
        assert not (tmp_path / "evil-marker").exists()
        return
    remarks = list(Run(path).remarks)
    said = [event.text for event in tasks.resume(path) if isinstance(event, Notice)]
    run = Run(path)
    assert run.state == "finished"
    assert run.history.epoch.tolist() == [1, 2, 3]
    assert not list(path.glob(".*.part"))
    assert not (path / "run.lock").exists()
    if entry["warn"]:
        assert any(WARNINGS[entry["warn"]] in text for text in (*remarks, *said))
    else:
        assert (remarks, said) == ([], [])


@pytest.mark.parametrize("content", [b"", b'{"format": "MRI-F', bytes(500), b"[" * 100_000])
def test_that_a_damaged_record_is_read_from_its_copy(stopped_once, content):
    path = shutil.copytree(stopped_once, stopped_once.parent / "copy")
    try:
        (path / "run.json").write_bytes(content)
        assert "'run.json' was damaged; its copy" in Run(path).remarks[0]
        list(tasks.resume(path))
        assert Run(path).state == "finished"
        assert Run(path).remarks == ()
        assert (path / "run.json.damaged").read_bytes() == content
    finally:
        shutil.rmtree(path)
