"""A file is the old one or the new one, whatever happens in between."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from core import atomic_file


@pytest.fixture
def path(tmp_path):
    (tmp_path / "record.json").write_text("old")
    return tmp_path / "record.json"


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def test_that_the_new_file_replaces_the_old_one(path):
    atomic_file.write_text(path, "neu ä")
    assert path.read_bytes() == "neu ä".encode()
    assert names(path.parent) == ["record.json"]


def test_that_the_old_file_stays_while_the_new_one_is_written(path):
    with atomic_file.replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "half"


def write_half_and_raise(path, error):
    with atomic_file.replacing(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), SystemExit()])
def test_that_a_failed_write_keeps_the_old_file(path, error):
    with pytest.raises(type(error)):
        write_half_and_raise(path, error)
    assert path.read_text() == "old"
    assert names(path.parent) == ["record.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_that_a_failing_disk_keeps_the_old_file(path, monkeypatch, call):
    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    owner = os if call == "fsync" else type(path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, fail)
        with pytest.raises(OSError, match="Input/output"):
            atomic_file.write_text(path, "new")
    assert path.read_text() == "old"
    assert names(path.parent) == ["record.json"]


def test_that_a_missing_folder_is_made(tmp_path):
    atomic_file.write_bytes(tmp_path / "a" / "b" / "x.bin", b"\0\1")
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"\0\1"


def test_that_a_folder_in_the_way_is_no_file(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="x"):
        atomic_file.write_text(tmp_path / "x", "new")
    assert names(tmp_path) == ["x"]


def test_that_a_long_name_gets_a_temporary_one_that_fits(tmp_path):
    name = "日" * 80 + ".txt"
    atomic_file.write_text(tmp_path / name, "new")
    assert names(tmp_path) == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other access rights")
def test_that_a_new_file_has_the_users_usual_access_rights(tmp_path):
    atomic_file.write_text(tmp_path / "ours", "x")
    (tmp_path / "usual").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "usual")]
    assert modes[0] == modes[1]


def test_that_no_folder_is_flushed_on_windows(path, monkeypatch):
    opened = []
    monkeypatch.setattr(atomic_file.os, "open", lambda *args: opened.append(args))
    monkeypatch.setattr(atomic_file.os, "name", "nt")
    atomic_file._sync_folder(path.parent)
    assert opened == []
