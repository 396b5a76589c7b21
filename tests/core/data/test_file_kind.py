"""What is no scan is told by what it is: a link, a folder, a page, an archive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.data.file_kind import name_findings, no_scan_text, require_regular_file, shown_name
from core.data.findings import code_of
from core.errors import ScanError

WANTED = "NIfTI file"


@pytest.mark.parametrize("name", ["a b\n.nii", "\u202egnp.nii", "tab\t.nii"])
def test_that_a_shown_name_stays_on_one_line_and_in_one_direction(name):
    shown = shown_name(Path(name))
    assert shown.isprintable()
    assert "\\" in shown


def test_that_a_name_of_any_bytes_can_be_shown():
    assert shown_name(Path(os.fsdecode(b"not_utf8_\xff.nii"))) == "not_utf8_\\xff.nii"
    assert shown_name(Path("Müller_日本.nii")) == "Müller_日本.nii"


@pytest.mark.parametrize("name", ["=1+1", "+4", "-2+3", "@SUM(1)"])
def test_that_a_name_like_a_formula_is_told(name):
    assert [code_of(item) for item in name_findings(name)] == ["formula"]


@pytest.mark.parametrize("name", ["sub-01", "--help", "a=b", "-x"])
def test_that_other_names_are_not(name):
    assert name_findings(name) == ()


def refusal(path):
    with pytest.raises(ScanError) as caught:
        require_regular_file(path)
    return caught.value


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders")
def test_that_links_pipes_folders_and_hidden_files_are_refused(tmp_path, assert_plain):
    (tmp_path / "folder.nii.gz").mkdir()
    (tmp_path / "broken.nii").symlink_to("missing.nii")
    (tmp_path / "self.nii").symlink_to("self.nii")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "annex.nii").symlink_to(".git/annex/objects/x.nii")
    (tmp_path / ".hidden.nii").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.nii")
    for name, word in (
        ("folder.nii.gz", "folder"),
        ("broken.nii", "missing"),
        ("self.nii", "link"),
        ("loop", "link to a folder"),
        ("annex.nii", "never downloaded"),
        (".hidden.nii", "hidden"),
        ("pipe.nii", "pipe"),
    ):
        error = refusal(tmp_path / name)
        assert word in str(error)
        assert_plain(error, f"'{name}'")


def test_that_a_file_without_read_permission_is_refused(tmp_path, monkeypatch, assert_plain):
    (tmp_path / "scan.nii").write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert_plain(refusal(tmp_path / "scan.nii"), "'scan.nii'")


@pytest.mark.parametrize(
    ("name", "start", "word"),
    [
        ("s.nii", b"\n <!DOCTYPE HTML><p>", "web page"),
        ("s.png", b"<?xml version='1.0'?><svg>", "SVG"),
        ("s.nii", bytes(257) + b"ustar" + bytes(40), "tar archive"),
        ("s.nii", b"\xff\xd8\xff\xe0" + bytes(9), "JPEG picture"),
        ("s.nii", b"Rar!\x1a\x07", "RAR archive"),
        ("s.nii", b"\x1f\x8b\x08", "Rename it so that it ends in .gz"),
        ("s.nii.gz", b"\x1f\x8b\x08damaged", "empty"),
    ],
)
def test_that_a_kind_is_known_by_its_first_bytes(tmp_path, name, start, word):
    (tmp_path / name).write_bytes(start)
    assert word in no_scan_text(tmp_path / name, WANTED)


def test_that_a_file_that_vanished_is_still_described(tmp_path):
    assert "no readable NIfTI file" in no_scan_text(tmp_path / "gone.nii", WANTED)
