"""A process without streams prints to nothing; other programs get their own libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import process_start
from core.child_process import CHILD_ARGUMENT

REPOSITORY = Path(__file__).resolve().parents[2]
NO_STREAMS = "import sys, main; sys.stdin = sys.stdout = sys.stderr = None; "


def run_python(code, *, closed="", **options):
    """Run code in a process of its own, with some of its streams closed by the shell."""
    command = [sys.executable, "-B", "-c", code]
    if closed:
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, timeout=60, check=False, **options
    )


def test_that_what_prints_does_so_without_streams():
    code = (
        "import sys; sys.stdin = sys.stdout = sys.stderr = None;"
        "from core.process_start import prepare_process; prepare_process();"
        "import warnings; from rich.console import Console; import click;"
        "print('word ≤'); sys.stderr.write('word'); warnings.warn('word');"
        "click.echo('word'); Console(stderr=True).print('word'); assert sys.stdin.read() == ''"
    )
    assert run_python(code, stdin=subprocess.DEVNULL).returncode == 0


def test_that_a_command_runs_without_streams():
    assert run_python(NO_STREAMS + "sys.exit(main.main(['--version']))").returncode == 0


def test_that_wrong_usage_is_told_by_the_status_where_nothing_can_be_said():
    done = run_python(NO_STREAMS + "sys.exit(main.main(['train', '--no-such-option']))")
    assert done.returncode == 2


def test_that_a_child_answers_through_its_pipes_though_python_has_no_streams():
    request = {"seconds": 5, "memory_bytes": 1 << 20, "payload": {"pictures": []}}
    code = f"{NO_STREAMS}sys.exit(main.main([{CHILD_ARGUMENT!r}, 'decode-dicom']))"
    done = run_python(code, input=json.dumps(request).encode())
    assert done.returncode == 0
    assert json.loads(done.stdout[8:]) == {"values": {}, "arrays": []}


@pytest.mark.skipif(os.name == "nt", reason="a shell closes streams so")
def test_that_no_file_of_ours_gets_the_number_of_a_closed_stream(tmp_path):
    code = (
        "import main; from core.process_start import prepare_process; prepare_process();"
        f"file = open({str(tmp_path / 'run.json')!r}, 'w'); file.write(str(file.fileno()))"
    )
    assert run_python(code, closed="<&- >&- 2>&-").returncode == 0
    assert int((tmp_path / "run.json").read_text()) > 2


@pytest.mark.skipif(os.name == "nt", reason="a shell closes streams so")
def test_that_a_command_runs_with_closed_streams():
    code = "import main, sys; sys.exit(main.main(['--help']))"
    assert run_python(code, closed="<&- >&- 2>&-").returncode == 0


def test_that_a_letter_that_the_console_lacks_ends_no_command():
    code = "from core.process_start import prepare_process; prepare_process(); print('≤ 日本')"
    done = run_python(code, env={**os.environ, "PYTHONIOENCODING": "cp1252:strict"})
    assert done.returncode == 0
    assert done.stdout.strip() == b"? ??"


@pytest.fixture
def frozen(monkeypatch, tmp_path):
    """A packaged program, as far as Python tells."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path / "_internal"), raising=False)
    for name in ("SSL_CERT_FILE", "LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG"):
        # Set first, so that what the test puts there is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path / "_internal"


def test_that_a_packaged_program_starts_itself_and_a_source_its_script(frozen, monkeypatch):
    assert process_start.own_command("--flag", "x") == [sys.executable, "--flag", "x"]
    monkeypatch.setattr(sys, "frozen", False)
    command = process_start.own_command("--flag")
    assert command == [sys.executable, "-B", str(REPOSITORY / "main.py"), "--flag"]


@pytest.mark.parametrize("users", ["/opt/own/lib", None])
def test_that_other_programs_get_the_users_libraries_and_not_ours(frozen, monkeypatch, users):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(frozen))
    if users:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", users)
    process_start.prepare_process()
    assert os.environ.get("LD_LIBRARY_PATH") == users
    assert "LD_LIBRARY_PATH_ORIG" not in os.environ


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps certificates in a store")
def test_that_certificates_are_the_systems_or_else_our_own(frozen, monkeypatch, tmp_path):
    own, systems = frozen / "certifi" / "cacert.pem", tmp_path / "system.crt"
    own.parent.mkdir(parents=True)
    own.touch()
    monkeypatch.setattr(process_start, "_CERTIFICATES", (tmp_path / "missing", systems))
    process_start.prepare_process()
    assert os.environ["SSL_CERT_FILE"] == str(own)
    systems.touch()
    del os.environ["SSL_CERT_FILE"]
    process_start.prepare_process()
    assert os.environ["SSL_CERT_FILE"] == str(systems)
    os.environ["SSL_CERT_FILE"] = "chosen by the user"
    process_start.prepare_process()
    assert os.environ["SSL_CERT_FILE"] == "chosen by the user"
