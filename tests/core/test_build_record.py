"""A packaged program knows what it was built from, and says when it is out of step."""

from __future__ import annotations

import json
import sys
from importlib import metadata

import pytest

import core
from core import build_record


@pytest.fixture
def packaged(monkeypatch, tmp_path):
    """Make this a packaged program whose lock file has these versions."""

    def lock(**versions):
        packages = {name: {"version": version} for name, version in versions.items()}
        record = {"commit": "0123456789ab", "packages": packages}
        (tmp_path / "versions.json").write_text(json.dumps(record), encoding="utf-8")
        monkeypatch.setattr(sys, "frozen", True, raising=False)
        monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
        return tmp_path / "versions.json"

    return lock


def test_that_a_source_has_no_record():
    assert build_record.build_record() is None
    assert build_record.program_sentence() == f"MRI-FCL {core.__version__}, from source"


def test_that_the_versions_of_the_build_are_in_step(packaged):
    packaged(numpy=metadata.version("numpy"))
    assert build_record.build_record().out_of_step() == []


def test_that_another_version_and_a_missing_package_are_told(packaged):
    packaged(numpy="1.0", nosuchpackage="2.0")
    assert build_record.build_record().out_of_step() == [
        f"numpy is {metadata.version('numpy')} instead of 1.0",
        "nosuchpackage is missing instead of 2.0",
    ]


def test_that_the_commit_and_the_hash_of_the_lock_are_said(packaged):
    packaged(numpy="1.0")
    first = build_record.program_sentence()
    assert f"MRI-FCL {core.__version__}, packaged, commit 0123456789ab, lock " in first
    packaged(numpy="1.1")
    assert build_record.program_sentence() != first


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"packages": {"numpy": 3}}', b"\xff"])
def test_that_a_damaged_record_is_none(packaged, content):
    packaged().write_bytes(content)
    assert build_record.build_record() is None


def test_that_the_versions_name_python_and_torch():
    said = "\n".join(build_record.version_lines())
    assert f"torch {metadata.version('torch')}" in said
    assert "Python 3." in said
