"""The self-test finds what is broken, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from core import self_test, self_test_files
from core.data.picture import Picture
from core.errors import MriFclError, ScanError
from core.self_test import Check, run_checks

REPOSITORY = Path(__file__).resolve().parents[2]
CHECKS = {check.name: check for check in self_test_files.format_checks()}


def fail():
    raise ScanError("'a.nii' is damaged. Copy it again.")


def lack():
    raise ImportError("libgdcm.so: cannot open")


@pytest.mark.parametrize("name", CHECKS)
def test_that_each_format_is_written_and_read(name, tmp_path):
    assert CHECKS[name].try_it(tmp_path) == ""
    assert list(tmp_path.iterdir())


def test_that_the_formats_are_those_that_the_program_reads():
    words = " ".join(CHECKS)
    for name in ("NIfTI-1 (.nii)", ".nii.gz", "NIfTI-2", "pair", "Analyze", ".mgh", ".mgz"):
        assert name in words
    for name in ("DICOM, JPEG 2000", "DICOM, RLE", "lossless JPEG", "PNG", "JPEG pic", "TIFF"):
        assert name in words


def test_that_voxels_read_wrongly_are_found(monkeypatch, tmp_path):
    real = self_test_files.load_volume

    def mirrored(path):
        volume = real(path)
        volume.voxels[:] = volume.voxels[::-1].copy()
        return volume

    monkeypatch.setattr(self_test_files, "load_volume", mirrored)
    assert "not those that were written" in CHECKS["NIfTI-1 (.nii)"].try_it(tmp_path)


def test_that_pixels_read_wrongly_are_found(monkeypatch, tmp_path):
    real = self_test_files.load_picture

    def darker(path):
        grey = real(path).grey
        return Picture(np.where(grey > 1, grey - 2, grey).astype(np.uint8))

    monkeypatch.setattr(self_test_files, "load_picture", darker)
    assert "up to 2 off" in CHECKS["PNG pictures"].try_it(tmp_path)
    assert CHECKS["JPEG pictures"].try_it(tmp_path) == ""


def test_that_each_check_is_a_line_and_a_failure_is_the_status():
    lines = []
    checks = [Check("Read a", lambda: "one"), Check("Read b", fail), Check("Read c", lack)]
    assert run_checks(checks, lines.append) == 1
    assert [line.split()[0] for line in lines] == ["ok", "failed", "failed", "2"]
    assert lines[0].endswith("one")
    assert "'a.nii' is damaged. Copy it again." in lines[1]
    assert "ImportError: libgdcm.so" in lines[2]
    assert "2 of 3 checks FAILED" in lines[3]


def test_that_only_what_passed_passes():
    lines = []
    assert run_checks([Check("Read a", lambda: "")], lines.append) == 0
    assert "All 1 checks passed" in lines[-1]


@pytest.fixture
def own_temp(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def short(monkeypatch, *more):
    """Leave only the first checks of the self-test, and ``more``."""

    def checks(bench, **_):
        yield Check("A folder to work in", bench.make_folder)
        yield from more

    monkeypatch.setattr(self_test._Bench, "checks", checks)


def test_that_nothing_is_left_behind_even_where_a_check_fails(own_temp, monkeypatch):
    def write():
        (next(own_temp.iterdir()) / "scan.nii").write_bytes(b"x")
        fail()

    short(monkeypatch, Check("Write", write))
    assert self_test.run_self_test(lambda _: None) == 1
    assert list(own_temp.iterdir()) == []


def test_that_the_report_file_has_all_that_was_said(own_temp, monkeypatch, tmp_path_factory):
    short(monkeypatch)
    report, lines = tmp_path_factory.mktemp("said") / "report.txt", []
    assert self_test.run_self_test(lines.append, report=report) == 0
    assert report.read_text(encoding="utf-8").splitlines() == lines
    assert lines[0].startswith("MRI-FCL ")
    assert any(line.startswith("ok       Clean up") for line in lines)


def test_that_what_needs_a_failed_check_is_not_tried(own_temp, monkeypatch):
    bench = self_test._Bench(own_temp / "x")
    for check in (bench.analyse, bench.report, bench.embed, bench.train_googlenet):
        with pytest.raises(MriFclError, match="Not tried"):
            check()


def test_that_a_file_beside_the_program_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    (tmp_path / "core.so").write_bytes(b"1")
    before = self_test._program_files()
    assert self_test._same_files(before) == "1 files"
    (tmp_path / "cache.json").write_bytes(b"2")
    with pytest.raises(MriFclError, match=r"cache\.json"):
        self_test._same_files(before)


def test_that_a_window_that_cannot_start_is_told_with_its_reason(monkeypatch, tmp_path):
    code = "import sys; sys.stderr.write('no Qt platform plugin'); sys.exit(6)"
    monkeypatch.setattr(self_test, "own_command", lambda *_: [sys.executable, "-c", code])
    with pytest.raises(MriFclError, match="status 6: no Qt platform plugin"):
        self_test.open_window_once(tmp_path, [])


@pytest.mark.slow
def test_that_the_source_passes_its_own_test(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-B", str(REPOSITORY / "main.py"), "--self-test"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Open the window" in done.stdout
    # torch makes an empty folder for a compiler that is not used here.
    left = [path.name for path in tmp_path.iterdir()]
    assert [name for name in left if not name.startswith("torchinductor_")] == []
