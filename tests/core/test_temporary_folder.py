"""What is made for a moment is gone afterwards, also after a kill (faults X10)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core import tasks
from core.progress import run_to_end
from core.temporary_folder import clear_abandoned, temporary_folder
from mrifcl_gui.report_pdf import print_page

REPOSITORY = Path(__file__).resolve().parents[2]
HOLD = """
import time
from core.temporary_folder import temporary_folder
with temporary_folder() as folder:
    (folder / "film.mp4").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("TMPDIR", "TEMP"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture
def other():
    """Another process of this program that is making something."""
    process = subprocess.Popen(
        [sys.executable, "-B", "-c", HOLD], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def break_off(folder):
    (folder / "half").touch()
    raise KeyboardInterrupt


def test_that_nothing_is_left_after_use_and_after_a_fault(place):
    with temporary_folder() as folder:
        assert folder.parent == place
        (folder / "film.mp4").write_bytes(b"x")
    assert list(place.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), temporary_folder() as folder:
        break_off(folder)
    assert list(place.iterdir()) == []


def test_that_what_a_killed_program_left_is_cleared_at_the_next_start(other):
    process, folder = other
    clear_abandoned()
    assert (folder / "film.mp4").exists(), "another window still needs it"
    process.kill()
    process.wait()
    assert folder.exists()
    run_to_end(tasks.load_packages())
    assert not folder.exists()


def test_that_nothing_of_others_is_cleared(place):
    left = ["mri-fcl-notes", "other-99999999-x", f"mri-fcl-{os.getpid()}-x"]
    for name in left:
        (place / name).mkdir()
    (place / "mri-fcl-99999999-gone").mkdir()
    clear_abandoned()
    assert sorted(path.name for path in place.iterdir()) == sorted(left)


def test_that_a_printed_report_leaves_nothing(place, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report.pdf"
    print_page("<html><body><p>x</p></body></html>", out)
    assert out.read_bytes().startswith(b"%PDF")
    assert list(place.iterdir()) == []


def test_that_a_link_is_not_followed(place, tmp_path_factory):
    precious = tmp_path_factory.mktemp("precious")
    (precious / "scan.nii").touch()
    (place / "mri-fcl-99999999-link").symlink_to(precious, target_is_directory=True)
    clear_abandoned()
    assert (precious / "scan.nii").exists()
