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
        # Faults P5: a rename across disks would be no rename.
        assert temporary.parent == path.parent
        assert temporary.stat().st_dev == path.stat().st_dev
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


def refuse_to_replace(monkeypatch, path, times):
    """Let another program hold the file for a number of tries; return the waits."""
    real, waits = type(path).replace, []

    def replace(source, target):
        if len(waits) < times:
            raise PermissionError(13, "Access is denied")
        return real(source, target)

    monkeypatch.setattr(type(path), "replace", replace)
    monkeypatch.setattr(atomic_file.time, "sleep", waits.append)
    return waits


def test_that_a_file_held_for_a_moment_is_replaced_a_little_later(path, monkeypatch):
    waits = refuse_to_replace(monkeypatch, path, 3)
    atomic_file.write_text(path, "new")
    assert path.read_text() == "new"
    assert waits == [0.1, 0.2, 0.5]


def test_that_a_file_held_for_long_keeps_its_old_state(path, monkeypatch):
    waits = refuse_to_replace(monkeypatch, path, 99)
    with pytest.raises(PermissionError, match="denied"):
        atomic_file.write_text(path, "new")
    assert waits == [0.1, 0.2, 0.5, 1.0, 2.0]
    assert path.read_text() == "old"
    assert names(path.parent) == ["record.json"]


def test_that_a_new_file_is_flushed_before_it_replaces_the_old_one(path, monkeypatch):
    order = []
    fsync, replace = os.fsync, type(path).replace
    monkeypatch.setattr(os, "fsync", lambda handle: order.append("fsync") or fsync(handle))
    monkeypatch.setattr(
        type(path), "replace", lambda *given: order.append("replace") or replace(*given)
    )
    atomic_file.write_text(path, "new")
    expected = ["fsync", "replace"] if os.name == "nt" else ["fsync", "replace", "fsync"]
    assert order == expected


def test_that_leftovers_of_a_killed_program_are_removed_and_nothing_else(path):
    for name in (".record.json-ab12.part", "mine.part", ".hidden"):
        (path.parent / name).write_text("x")
    atomic_file.remove_leftovers(path.parent)
    assert names(path.parent) == [".hidden", "mine.part", "record.json"]


def test_that_a_leftover_of_today_may_be_somebodys_work(path):
    # Faults X10: slices of a scan, left by a kill while they were cut.
    old, new = (path.parent / f".x-{name}.part" for name in ("old", "new"))
    for file in (old, new):
        file.touch()
    os.utime(old, (0, 0))
    atomic_file.remove_leftovers(path.parent, older_than=3600)
    assert names(path.parent) == [".x-new.part", "record.json"]


def test_that_the_sum_is_that_of_what_was_written(tmp_path):
    path = tmp_path / "x.bin"
    with path.open("wb") as file:
        writer = atomic_file.HashingWriter(file)
        for part in (b"ab", memoryview(b"c")):
            assert writer.write(part) == len(part)
        writer.flush()
    # sha256 of "abc", FIPS 180-2, appendix B.1
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert writer.sha256() == atomic_file.sha256_of(path) == known


def test_that_what_the_disk_said_is_kept(tmp_path):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    writer = atomic_file.HashingWriter(Full())
    with pytest.raises(OSError, match="No space left"):
        writer.write(b"x")
    assert writer.error.errno == 28
