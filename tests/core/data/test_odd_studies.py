"""Every odd study, table and name of the shared collection behaves as its manifest says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.data.cohort import load_cohort, save_cohort
from core.data.findings import code_of
from core.data.scan_folder import scan_folder
from core.errors import MriFclError
from core.progress import run_to_end

MAKER = Path(__file__).resolve().parents[4] / "shared" / "odd" / "make_odd_files.py"
# Identities of the scans that lie beside a table.
TABLE_SUBJECTS = {
    "warn_excel_mangled_ids.csv": ("001", "1E5", "1-2-23"),
    "ok_latin1.csv": ("müller", "b"),
    "ok_crlf_quotes.csv": ("s01", "s, 02"),
    "warn_formula_cells.csv": ("=1+1", "+s02", "-s03", "@s04"),
}
# The name holds bytes that are no text: the scan opens by itself, a cohort lists it.
LISTED = ("name/not_utf8_",)
pytestmark = pytest.mark.skipif(not MAKER.is_file(), reason="the maker of odd files is not here")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    made = subprocess.run(
        [sys.executable, str(MAKER), str(folder)], capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 0, made.stderr
    return folder


def entries_of(odd, kind):
    manifest = json.loads((odd / "manifest.json").read_text(encoding="utf-8"))
    chosen = [entry for entry in manifest["entries"] if entry["kind"] == kind]
    assert chosen
    return chosen


def outcome(folder, entry, store, **options):
    """Scan, store, read back and, where an error is wanted, ask whether it can be trained."""
    try:
        cohort = run_to_end(scan_folder(folder, **options))
        assert load_cohort(save_cohort(cohort, store)) == cohort
        if entry["expectation"] == "error":
            cohort.require_trainable()
    except MriFclError as error:
        return "error", str(error), set(), ()
    found = {code_of(item) for item in cohort.warnings}
    found |= {code_of(item) for scan in cohort.scans for item in scan.warnings}
    return "load", "", found, tuple(cohort.skipped)


def faults(entry, result):
    kind, text, found, _ = result
    if kind != entry["expectation"]:
        yield f"{kind} {text}"
    if entry["warn"] and entry["warn"] not in found:
        yield f"no {entry['warn']} in {sorted(found)}"
    if entry["say"] and not any(word.lower() in text.lower() for word in entry["say"]):
        yield f"none of {entry['say']} in: {text}"
    if kind == "error" and ("Traceback" in text or "Errno" in text):
        yield text


def collect(entries, results):
    pairs = zip(entries, results, strict=True)
    return {e["name"]: found for e, result in pairs if (found := list(faults(e, result)))}


def test_that_odd_studies_behave_as_their_manifest_says(odd, tmp_path):
    entries = entries_of(odd, "study")
    results = [outcome(odd / entry["name"], entry, tmp_path / "c.mrifcl") for entry in entries]
    assert collect(entries, results) == {}


def test_that_odd_tables_behave_as_their_manifest_says(odd, tmp_path, write_nifti, voxels):
    entries, results = entries_of(odd, "table"), []
    for place, entry in enumerate(entries):
        table = odd / entry["name"]
        folder = tmp_path / str(place)
        subjects = TABLE_SUBJECTS.get(table.name, ("s01", "s02", "s03"))
        for number, subject in enumerate(subjects):
            write_nifti(folder / f"{subject}.nii", voxels + number)
        results.append(outcome(folder, entry, tmp_path / "c.mrifcl", labels=table))
    assert collect(entries, results) == {}


def test_that_odd_names_behave_as_their_manifest_says(odd, tmp_path, write_nifti, voxels):
    entries, results = [], []
    for place, entry in enumerate(entries_of(odd, "name")):
        if entry["name"].endswith("unreadable.nii") and os.geteuid() == 0:
            continue  # root may read everything
        name = bytes.fromhex(entry["name_hex"]) if "name_hex" in entry else entry["name"]
        source = os.fsencode(odd) + b"/" + os.fsencode(name)
        folder = tmp_path / str(place) / "AD"
        folder.mkdir(parents=True)
        copy_as_it_is(source, os.fsencode(folder) + b"/" + source.rsplit(b"/", 1)[-1])
        listed = entry["name"].startswith(LISTED)
        if listed:
            write_nifti(folder / "other.nii", voxels)
        entries.append(entry)
        results.append(outcome(folder.parent, entry, tmp_path / "c.mrifcl"))
        assert not listed or "Rename it" in results[-1][3][0].reason
    assert collect(entries, results) == {}


def copy_as_it_is(source, target):
    if os.path.islink(source):  # noqa: PTH114 - the name may be bytes that are no text
        os.symlink(os.readlink(source), target)  # noqa: PTH115, PTH211
    elif os.path.isdir(source):  # noqa: PTH112
        os.mkdir(target)  # noqa: PTH102
    elif os.path.isfile(source):  # noqa: PTH113
        shutil.copy(source, target)
    else:
        os.mkfifo(target)
