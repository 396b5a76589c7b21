"""Every odd settings file of the shared collection, in our own names, lets the window open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mrifcl_gui import preferences
from tests.gui.test_preferences import assert_window_opens

MAKER = Path(__file__).resolve().parents[3] / "shared" / "odd" / "make_odd_files.py"
# The collection's names, and what they are here; a geometry is Qt's own, as text.
OUR_NAMES = (
    (b'"theme"', b'"subject_pattern"'),
    (b'"window": [0, 0, 1200, 800]', b'"window/geometry": "AAAA"'),
    (b'"window"', b'"window/geometry"'),
)


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory):
    if not MAKER.is_file():
        pytest.skip("the maker of odd files (../shared/odd) is not on this machine")
    folder = tmp_path_factory.mktemp("odd")
    subprocess.run(
        [sys.executable, str(MAKER), str(folder)], capture_output=True, timeout=120, check=True
    )
    return folder


def in_our_names(data):
    for theirs, ours in OUR_NAMES:
        data = data.replace(theirs, ours)
    return data


def test_that_the_window_opens_with_every_odd_settings_file(
    qtbot, odd_folder, tmp_path, monkeypatch
):
    manifest = json.loads((odd_folder / "manifest.json").read_text(encoding="utf-8"))
    entries = [entry for entry in manifest["entries"] if entry["kind"] == "settings"]
    assert len(entries) == 12
    for number, entry in enumerate(entries):
        path = tmp_path / str(number) / "settings.json"
        path.parent.mkdir()
        data = in_our_names((odd_folder / entry["name"]).read_bytes())
        path.write_bytes(data)
        monkeypatch.setattr(preferences, "settings_path", lambda path=path: path)
        said = assert_window_opens(qtbot, tmp_path)
        if entry["expectation"] == "load":
            assert (said, preferences.subject_pattern()) == ([], "dark")
            continue
        assert len(said) == 1, entry["name"]
        assert all(word in said[0] for word in entry["say"]), said
        kept = path if "newer" in entry["name"] else path.with_name("settings.json.bad")
        assert kept.read_bytes() == data, "nothing of the user's is lost"
