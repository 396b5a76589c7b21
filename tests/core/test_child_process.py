from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core import child_process, process_start
from core.child_process import CHILD_ARGUMENT, ChildError, run_in_child
from core.errors import MriFclError, ScanError

REPOSITORY = Path(__file__).resolve().parents[2]
MB = 1024**2
ODD_TASKS = """
import ctypes, os, sys, time
import numpy as np
from core.child_process import ChildResult
from core.errors import ScanError

def echo(payload):
    print("noise of a library")
    os.write(1, b"more noise")
    values = {"payload": payload, "pid": os.getpid()}
    arrays = {
        "grey": np.arange(24, dtype=">u2").reshape(2, 3, 4).transpose(2, 0, 1),
        "empty": np.zeros((0, 3)),
        "number": np.float32(7),
    }
    return ChildResult(values, arrays)

def sleep(payload):
    time.sleep(60)

def refuse(payload):
    raise ScanError("'a.dcm' is damaged. Copy it again.")

def fail(payload):
    raise RuntimeError("DOE^JANE")

def crash(payload):
    ctypes.string_at(0)

def fill_memory(payload):
    np.ones(payload["n_bytes"], dtype=np.uint8)
    return ChildResult()

def large(payload):
    return ChildResult({}, {"a": np.zeros(payload["n_bytes"], dtype=np.uint8)})

def an_object(payload):
    return ChildResult({}, {"a": np.array([print], dtype=object)})

def write_file(payload):
    with open(payload["path"], "w") as file:
        file.write("x" * 10)
    return ChildResult()

def broken_answer(payload):
    for number in range(3, 10):
        try:
            os.write(number, b"x" * 100)
        except OSError:
            pass
    os._exit(0)
"""
START = """
import sys
sys.path[:0] = [{repository!r}, {folder!r}]
from core import child_process
import odd_tasks
child_process.TASKS.update((name, "odd_tasks:" + name) for name in vars(odd_tasks))
sys.exit(child_process.serve_as_child(sys.argv[1:]))
"""


@pytest.fixture
def run_task(tmp_path, monkeypatch):
    """Run a function of ``ODD_TASKS`` in a child."""
    (tmp_path / "odd_tasks.py").write_text(ODD_TASKS, encoding="utf-8")
    start = tmp_path / "start.py"
    start.write_text(
        START.format(repository=str(REPOSITORY), folder=str(tmp_path)), encoding="utf-8"
    )
    monkeypatch.setattr(process_start, "main_file", lambda: start)

    def run(name, payload=None, *, seconds=20, memory_bytes=64 * MB):
        monkeypatch.setitem(child_process.TASKS, name, f"odd_tasks:{name}")
        return run_in_child(name, payload or {}, seconds=seconds, memory_bytes=memory_bytes)

    return run


def test_that_values_and_arrays_come_back_as_they_were(run_task):
    payload = {"name": "Bj\xf6rn", "raw": "\udcff", "list": [1, 2.5, None]}
    result = run_task("echo", payload)
    assert result.values["payload"] == payload
    assert list(result.arrays) == ["grey", "empty", "number"]
    wanted = np.arange(24, dtype=">u2").reshape(2, 3, 4).transpose(2, 0, 1)
    assert result.arrays["grey"].dtype == wanted.dtype
    np.testing.assert_array_equal(result.arrays["grey"], wanted)
    assert result.arrays["empty"].shape == (0, 3)
    assert float(result.arrays["number"].reshape(())) == 7


def test_that_a_child_that_hangs_is_killed_at_its_limit(run_task):
    started = time.monotonic()
    with pytest.raises(ChildError, match="too long") as caught:
        run_task("sleep", seconds=1.0)
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 10


def test_that_a_refusal_keeps_its_class_and_its_text(run_task):
    with pytest.raises(ScanError, match=r"'a\.dcm' is damaged"):
        run_task("refuse")


@pytest.mark.parametrize("name", ["fail", "crash", "an_object", "broken_answer"])
def test_that_a_child_without_a_result_is_told_and_its_text_is_not(run_task, name, caplog):
    caplog.set_level("DEBUG")
    with pytest.raises(ChildError) as caught:
        run_task(name)
    assert caught.value.reason == "crashed"
    assert isinstance(caught.value, MriFclError)
    assert "DOE" not in f"{caught.value} {caplog.text}"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit is the system's")
def test_that_a_child_that_fills_the_memory_is_stopped(run_task):
    run_task("fill_memory", {"n_bytes": 32 * MB})
    with pytest.raises(ChildError) as caught:
        run_task("fill_memory", {"n_bytes": 2048 * MB})
    assert caught.value.reason == "memory"


def test_that_more_bytes_than_agreed_are_not_taken(run_task):
    assert run_task("large", {"n_bytes": 2 * MB}, memory_bytes=2 * MB).arrays["a"].size == 2 * MB
    with pytest.raises(ChildError) as caught:
        run_task("large", {"n_bytes": 2 * MB + 1}, memory_bytes=2 * MB)
    assert caught.value.reason == "memory"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_that_a_child_writes_no_file(run_task, tmp_path):
    with pytest.raises(ChildError):
        run_task("write_file", {"path": str(tmp_path / "written")})
    assert not (tmp_path / "written").exists() or not (tmp_path / "written").read_bytes()


def test_that_an_unknown_task_is_not_run():
    with pytest.raises(KeyError):
        run_in_child("os:system", {}, seconds=1, memory_bytes=MB)


def test_that_no_process_is_left_behind(run_task):
    started = run_task("echo").values["pid"]
    with pytest.raises(ChildError):
        run_task("sleep", seconds=0.5)
    assert not Path(f"/proc/{started}").exists()


def test_that_the_program_started_as_a_child_opens_no_window_and_loads_no_torch():
    watched = (
        "import sys, main; status = main.main(sys.argv[1:]);"
        "heavy = {'PySide6', 'torch', 'core.cli', 'mrifcl_gui'} & set(sys.modules);"
        "print(sorted(heavy), status, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watched, CHILD_ARGUMENT, "decode-dicom"],
        input=json.dumps({"seconds": 5, "memory_bytes": MB, "payload": {"pictures": []}}).encode(),
        capture_output=True,
        cwd=REPOSITORY,
        timeout=60,
        check=True,
    )
    assert done.stderr.decode().strip() == "[] 0"
    assert json.loads(done.stdout[8:]) == {"values": {}, "arrays": []}


def test_that_a_frozen_program_starts_itself_as_the_child(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    command = process_start.own_command(CHILD_ARGUMENT, "decode-dicom")
    assert command == [sys.executable, CHILD_ARGUMENT, "decode-dicom"]


def test_that_every_task_of_the_table_is_there():
    for name in child_process.TASKS:
        assert callable(child_process._task(name))
