"""Nothing asks the network but the download of weights that the user asked for (faults X9)."""

from __future__ import annotations

import ast
import contextlib
import ipaddress
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from core import tasks
from tests.no_network import refuse
from tests.tiny_cohort import drive, make_cohort, tiny
from tests.weights_server import weights_server

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "mrifcl_gui").rglob("*.py")])
# What opens a connection, or is made to.
NETWORK = {
    *("aiohttp", "boto3", "fsspec", "ftplib", "httplib", "httplib2", "httpx", "huggingface_hub"),
    *("imaplib", "paramiko", "poplib", "requests", "smtplib", "socketserver", "ssl", "telnetlib"),
    *("urllib3", "websocket", "websockets", "wandb", "xmlrpc"),
    *("http.client", "http.server", "urllib.request", "torch.hub", "torchvision.datasets"),
    *("PySide6.QtNetwork", "PySide6.QtWebEngineCore", "PySide6.QtWebSockets"),
}
# To find a free port of this machine, and to name it: no connection.
OF_THIS_MACHINE = {
    "core/run_lock.py": {"gethostname"},
    "core/run_heartbeat.py": {"gethostname"},
    "core/training/ranks.py": {"socket"},
}
DOWNLOAD = "core/training/weights_download.py"
# A name and a number of the ranges that are nobody's (RFC 2606, RFC 5737).
NOWHERE = ("weights.example", "192.0.2.1")


def taken(asked):
    """Return what was refused so far, and forget it, as it was meant."""
    said, asked[:] = list(asked), []
    return said


@pytest.mark.parametrize("host", NOWHERE)
def test_that_a_test_cannot_reach_another_machine(host):
    with pytest.raises(refuse.NetworkRefusedError, match="no network"):
        socket.create_connection((host, 443), timeout=1)
    with pytest.raises(urllib.error.URLError, match="no network"):
        urllib.request.urlopen(f"http://{host}/", timeout=1)
    with socket.socket() as stream, pytest.raises(refuse.NetworkRefusedError):
        stream.connect((host, 443))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        pytest.raises(refuse.NetworkRefusedError),
    ):
        datagram.sendto(b"x", (host, 53))
    assert len(taken(refuse.asked)) == 4


def test_that_names_are_not_looked_up():
    for look_up in (socket.gethostbyname, lambda name: socket.getaddrinfo(name, 443)):
        with pytest.raises(refuse.NetworkRefusedError):
            look_up(NOWHERE[0])
    assert len(taken(refuse.asked)) == 2


def test_that_a_process_of_a_test_cannot_reach_another_machine():
    code = (
        "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 443), timeout=1)\n"
        "except OSError as error:\n    print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "NetworkRefusedError"


def test_that_a_swallowed_refusal_is_found_out():
    with contextlib.suppress(OSError):
        socket.create_connection((NOWHERE[1], 443), timeout=1)
    (asked,) = taken(refuse.asked)
    assert NOWHERE[1] in asked


def test_that_this_machine_can_be_reached():
    with (
        weights_server(b"weights") as server,
        urllib.request.urlopen(server.url("x"), timeout=5) as answer,
    ):
        assert answer.read() == b"weights"


@pytest.mark.parametrize(
    ("address", "is_own"),
    [("127.0.0.1", True), ("192.0.2.1", False), ("224.0.0.1", False), ("2001:db8::1", False)],
)
def test_that_an_address_is_this_machines_own_only_where_it_can_be_bound(address, is_own):
    assert refuse._is_of_this_machine(ipaddress.ip_address(address)) is is_own


def imports_of(path):
    """Return {module or module.name} that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and _is_import(node.func):
            found |= {part.value for part in node.args if isinstance(part, ast.Constant)}
    return found


def _is_import(function):
    return getattr(function, "attr", getattr(function, "id", "")) in {
        "import_module",
        "__import__",
        "importorskip",
    }


def is_network(name):
    parts = name.split(".")
    return any(".".join(parts[:n]) in NETWORK for n in range(1, len(parts) + 1))


def test_that_the_download_alone_imports_what_opens_connections():
    found = {
        path.relative_to(ROOT).as_posix(): sorted(filter(is_network, map(str, imports_of(path))))
        for path in SOURCES
    }
    assert {file for file, names in found.items() if names} == {DOWNLOAD}
    assert {"http.client", "ssl", "urllib.request"} <= set(found[DOWNLOAD])


def test_that_sockets_only_name_this_machine_and_find_a_port_of_it():
    used = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "socket"
        }
        if names or {"socket", "_socket"} & {name.split(".")[0] for name in imports_of(path)}:
            used[path.relative_to(ROOT).as_posix()] = names
    assert used == OF_THIS_MACHINE


def test_that_no_code_of_torch_that_fetches_is_called():
    calls = ("load_state_dict_from_url", "download_url", "get_state_dict", "hub.load")
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not [call for call in calls if call in text], path.name


OFFLINE = """
import json, pathlib, socket, sys, tempfile

def refuse(*_, **__):
    raise OSError(101, "Network is unreachable")

# Every socket, of this machine too: nothing but a download or several devices needs one.
for name in ("connect", "connect_ex", "bind", "sendto", "listen"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse

from main import main

# Before the hook: it is found out by writing there.
written, temporary = [], tempfile.gettempdir()

def look(event, arguments):
    # "wb" and the like, or the system's own flags for writing; what is read does no harm.
    if event == "open" and isinstance(arguments[0], str):
        path, mode, flags = arguments
        writes = any(letter in mode for letter in "wax+") if mode else flags & 0o103
        if writes and path.startswith(temporary):
            written.append(path)

sys.addaudithook(look)
root, out = map(pathlib.Path, sys.argv[1:])
cohort, runs = out / "study.mrifcl", out / "runs"

def run(*words):
    assert main([str(word) for word in words]) == 0, words

options = "--network cnn2d --regime scratch --epochs 1 --size 32 --batch 16 --cnn-width 2"
run("scan", root, "--out", cohort)
run("check", cohort)
run("train", cohort, *options.split(), "--cnn-features", "8", "--out", runs)
(made,) = (path.parent for path in runs.glob("*/run.json"))
run("audit", made)
run("correlate", made, "--out", out / "tables")
print(json.dumps(written))
"""


@pytest.fixture(scope="module")
def whole_way(tmp_path_factory):
    """Scan, train, analyse and report without a socket; return (process, out, temp folder)."""
    folder = tmp_path_factory.mktemp("offline")
    scanned, temporary = make_cohort(folder / "study"), folder / "temp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-c", OFFLINE, str(scanned.cohort.root), str(folder / "out")],
        cwd=ROOT,
        # TMPDIR is that of Linux and macOS, TEMP that of Windows.
        env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done, folder / "out", temporary


def test_that_the_whole_way_needs_no_socket_at_all(whole_way):
    done, out, _ = whole_way
    assert done.returncode == 0, done.stderr[-2000:]
    for suffix in ("png", "svg", "csv"):
        assert len(list((out / "tables").glob(f"*.{suffix}"))) >= 3


def test_that_the_whole_way_leaves_no_temporary_file_and_copies_no_scan_there(whole_way):
    # Faults X10; ours by name, as torch and Qt may keep locks of their own.
    done, _, temporary = whole_way
    # torch makes an empty folder for a compiler that we do not use.
    left = [path for path in temporary.rglob("*") if not path.name.startswith("torchinductor_")]
    assert left == []
    opened = json.loads(done.stdout.strip().splitlines()[-1])
    scans = (".jpg", ".nii", ".gz", ".npy", ".npz", ".dcm", ".png")
    assert not [path for path in opened if path.endswith(scans)], opened


def test_that_weights_that_are_not_here_are_told_and_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    scanned = make_cohort(tmp_path)
    from core.errors import TrainingError

    with pytest.raises(TrainingError, match="weights"):
        drive(
            tasks.train(
                scanned.folder, tiny(network="googlenet", regime="frozen"), tmp_path / "runs"
            )
        )
    assert refuse.asked == []
