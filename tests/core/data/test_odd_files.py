"""Every odd or malformed file of the shared collection loads with its warning or is refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.core.data.odd_file_child import LOADERS
from tests.core.data.odd_file_runner import (
    PROGRAMMERS_WORDS,
    REMEDY,
    REPOSITORY,
    run_in_child,
    strains,
)

MAKER = REPOSITORY.parent / "shared" / "odd" / "make_odd_files.py"
# What the manifest asks for and the program does not do, with the reason.
EXEMPT = {
    "nifti/bad_freesurfer.mgz": (
        "a whole .mgz file, written when MGH was not promised; it is read since then "
        "(a damaged one is refused: test_volume.py)"
    ),
}
# Good files of which the program says how it shows them, though the manifest asks for nothing.
TOLD_ANYWAY = {
    # Black and white alone: it may be a mask, whatever the file is for.
    "image/ok_palette.png": {"looks_like_mask", "palette"},
    # 16 bits become 8.
    "image/ok_grey16.png": {"depth_scaled"},
}


@pytest.fixture(scope="session")
def odd_folder(tmp_path_factory):
    if not MAKER.is_file():
        pytest.skip("the maker of odd files (../shared/odd) is not there")
    folder = tmp_path_factory.mktemp("odd")
    made = subprocess.run(
        [sys.executable, str(MAKER), str(folder)], capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def entries(odd_folder):
    manifest = json.loads((odd_folder / "manifest.json").read_text(encoding="utf-8"))
    return [
        entry
        for entry in manifest["entries"]
        if entry["kind"] in LOADERS and not _is_exempt(entry["name"])
    ]


def _is_exempt(name):
    # Nothing is unreadable for root.
    return name in EXEMPT or (name.endswith("/unreadable.nii") and os.access("/", os.W_OK))


@pytest.fixture(scope="session")
def results(odd_folder, entries):
    before = _folder_hash(odd_folder)
    found = run_in_child([(entry["kind"], _path_of(odd_folder, entry)) for entry in entries])
    named = {entry["name"]: result for entry, result in zip(entries, found, strict=True)}
    return named | {"unchanged": _folder_hash(odd_folder) == before}


def _path_of(folder, entry):
    if "name_hex" in entry:
        return folder / os.fsdecode(bytes.fromhex(entry["name_hex"]))
    return folder / entry["name"]


def _folder_hash(folder):
    digest = hashlib.sha256()
    for place, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = Path(place, name)
            digest.update(os.fsencode(path))
            if path.is_file() and not path.is_symlink():
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _of_kind(entries, kind):
    chosen = [entry for entry in entries if entry["kind"] == kind]
    assert chosen
    return chosen


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_that_good_files_load_and_bad_ones_are_refused(entries, results, kind):
    wrong = {
        entry["name"]: (results[entry["name"]]["outcome"], results[entry["name"]]["text"])
        for entry in _of_kind(entries, kind)
        if results[entry["name"]]["outcome"] != entry["expectation"]
    }
    assert not wrong


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_that_a_doubtful_file_has_the_warning_of_its_kind(entries, results, kind):
    wrong = {
        entry["name"]: (entry["warn"], results[entry["name"]]["codes"])
        for entry in _of_kind(entries, kind)
        if entry["warn"] and entry["warn"] not in results[entry["name"]]["codes"]
    }
    assert not wrong


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_that_a_plain_good_file_has_no_warning(entries, results, kind):
    plain = [
        entry
        for entry in _of_kind(entries, kind)
        if Path(entry["name"]).name.startswith("ok_") and entry["warn"] is None
    ]
    surplus = {
        entry["name"]: codes
        for entry in plain
        if (codes := set(results[entry["name"]]["codes"]) - TOLD_ANYWAY.get(entry["name"], set()))
    }
    assert not surplus


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_that_a_refusal_names_file_fault_and_remedy(entries, results, kind):
    wrong = {}
    for entry in _of_kind(entries, kind):
        if entry["expectation"] != "error":
            continue
        text = results[entry["name"]]["text"]
        faults = [
            fault
            for fault, holds in (
                ("file", _names_file(text, entry)),
                ("word", any(word.lower() in text.lower() for word in entry["say"])),
                ("remedy", REMEDY.search(text)),
                ("plain", not PROGRAMMERS_WORDS.search(text)),
            )
            if not holds
        ]
        if faults:
            wrong[entry["name"]] = (faults, text)
    assert not wrong


def _names_file(text, entry):
    return Path(entry["name"]).stem.split(".")[0] in text


def test_that_no_odd_file_is_slow_or_fills_the_memory(entries, results):
    slow = {
        entry["name"]: (round(result["seconds"], 2), result["memory"] >> 20)
        for entry in entries
        if strains(result := results[entry["name"]])
    }
    assert not slow


def test_that_files_of_one_group_give_equal_voxels(entries, results):
    groups = defaultdict(set)
    for entry in entries:
        if "group" in entry:
            groups[entry["kind"], entry["group"]].add(results[entry["name"]]["sha256"])
    assert groups
    assert all(len(hashes) == 1 for hashes in groups.values()), groups


def test_that_reading_changes_no_file(results):
    assert results["unchanged"]
