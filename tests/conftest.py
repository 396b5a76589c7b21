"""Set what every test shares: no display, own settings, one CPU thread, no thread left alive."""

from __future__ import annotations

import os

# Before any Qt or torch import.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

from mrifcl_gui import thread_check
from tests import alive
from tests.no_network import refuse

# Of every process that a test starts, too: sitecustomize.py there refuses it the network.
_NO_NETWORK = str(Path(refuse.__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (_NO_NETWORK, os.environ.get("PYTHONPATH", "")))
)
refuse.refuse_network()
thread_check.watch()

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder of real scans; skips where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real scans (../shared/data) are not on this machine")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Keep the window's preferences of each test in a folder of its own."""
    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("HOME", str(folder))
    from PySide6.QtCore import QSettings

    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(folder))


@pytest.fixture(autouse=True)
def _no_network():
    """Fail a test that wanted to reach another machine, also where the refusal was swallowed."""
    refuse.asked.clear()
    yield
    asked, refuse.asked[:] = list(refuse.asked), []
    assert not asked, f"the network was asked for: {asked}"


@pytest.fixture(autouse=True)
def _window_in_its_thread():
    """Fail a test in which anything of the window ran in another thread."""
    thread_check.wrong.clear()
    yield
    found, thread_check.wrong[:] = list(thread_check.wrong), []
    assert not found, f"called in a wrong thread: {found}"


@pytest.fixture(autouse=True)
def _computer_may_sleep(monkeypatch: pytest.MonkeyPatch):
    """Start no tool that keeps the computer awake for each of many short trainings."""
    from core import keep_awake

    monkeypatch.setattr(keep_awake, "find_tool", lambda: None)


@pytest.fixture(autouse=True)
def _nothing_left_alive(_own_settings: None):
    """Fail a test that leaves a thread, a running timer or a window behind."""
    before = alive.threads() | alive.timers() | alive.windows()
    yield
    from mrifcl_gui.job import cancel_and_wait, running_jobs
    from mrifcl_gui.late_writer import close_all

    # One that has told its outcome is through: its thread ends a moment later.
    running = [job for job in running_jobs() if not job.has_outcome]
    jobs = [job.title for job in running if job.title != "Keeping changes"]
    cancel_and_wait()
    close_all()
    alive.let_jobs_tell_their_end()
    assert not jobs, f"jobs left running: {jobs}"
    left = alive.left_of(alive.threads, before)
    assert not left, f"threads left running: {left}"
    alive.delete_what_asked_for_it()
    left = alive.left_of(alive.timers, before)
    assert not left, f"timers left running: {left}"
    left = alive.left_of(alive.windows, before)
    for window, _ in left:
        window.close()
        window.deleteLater()
    assert not left, f"windows left open: {left}"
