"""The packaged application: its files say what they should, and it runs where it is put.

The slow tests build it, or take the folder that MRI_FCL_BUILT names.
"""

from __future__ import annotations

import ast
import configparser
import hashlib
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

import core
from core.child_process import CHILD_ARGUMENT, TASKS
from core.self_test import WINDOW_ARGUMENT

ROOT = Path(__file__).resolve().parents[1]
PACKAGING = ROOT / "packaging"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ODD_NAME = "Prüfung 日本 & more"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of a Linux desktop")


@pytest.fixture(scope="module")
def bundle():
    spec = importlib.util.spec_from_file_location("bundle", PACKAGING / "bundle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_that_the_build_reads_the_programs_own_version(bundle):
    assert bundle.program_version() == core.__version__


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("0.1.0", (0, 1, 0, 0)), ("2.10", (2, 10, 0, 0)), ("1.2.3rc4", (1, 2, 3, 0))],
)
def test_that_windows_gets_four_numbers(bundle, version, numbers):
    assert bundle.version_numbers(version) == numbers


def test_that_the_version_information_is_what_pyinstaller_reads(bundle):
    found = {}

    def keep(*values, **named):
        found.update(named)
        return values

    names = ("VSVersionInfo", "FixedFileInfo", "StringFileInfo", "StringTable", "VarFileInfo")
    makers = {**dict.fromkeys(names, keep), "VarStruct": keep, "StringStruct": found.__setitem__}
    text = bundle.windows_version_text("1.2.3rc4", "mri-fcl.exe")
    assert text.startswith("# UTF-8")
    eval(compile(text, "version.txt", "eval"), makers)
    assert found["filevers"] == found["prodvers"] == (1, 2, 3, 0)
    assert found["ProductVersion"] == "1.2.3rc4"
    assert found["OriginalFilename"] == "mri-fcl.exe"
    assert "research use only" in found["FileDescription"]


def test_that_info_plist_has_plain_versions(bundle):
    properties = bundle.mac_properties("1.2.3rc4")
    assert properties["CFBundleVersion"] == "1.2.3"
    assert properties["CFBundleShortVersionString"] == "1.2.3rc4"
    assert properties["NSHighResolutionCapable"] is True


@pytest.mark.parametrize(
    ("path", "is_used"),
    [
        ("torch/lib/libtorch_cpu.so", True),
        ("torch\\lib\\torch_cpu.dll", True),
        ("torch/bin/torch_shm_manager", True),
        ("torch/bin/test_api", False),
        ("torch/test/test_jit", False),
        ("torch/include/ATen/ATen.h", False),
        ("torch/_inductor/config.py", True),
        ("scipy/stats/tests/data/x.npy", False),
        ("resources/icons/app.svg", True),
        ("docs/user-guide.md", True),
    ],
)
def test_that_only_what_runs_goes_in(bundle, path, is_used):
    assert bundle.is_used(path) is is_used


def test_that_a_packages_licence_goes_in_with_it_only(bundle):
    packages = ["torch", "PySide6_Essentials"]
    assert bundle.is_wanted("torch-2.13.0+cpu.dist-info/licenses/LICENSE", packages)
    assert bundle.is_wanted("pyside6_essentials-6.10.3.dist-info/METADATA", packages)
    assert not bundle.is_wanted("hypothesis-6.1.dist-info/METADATA", packages)


def imported_by_the_program():
    """Return the packages that the program itself imports, anywhere."""
    found = set()
    for folder in ("core", "mrifcl_gui"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    return found


def test_that_nothing_that_the_program_needs_is_left_out(bundle):
    left_out = imported_by_the_program() & set(bundle.EXCLUDED)
    # Clusters start the program from its source.
    assert left_out == {"ray"}


def test_that_umap_goes_in_only_where_it_is_asked_for(bundle, monkeypatch):
    monkeypatch.delenv("MRI_FCL_WITH_UMAP", raising=False)
    assert {"umap", "numba"} <= set(bundle.excluded_modules())
    monkeypatch.setenv("MRI_FCL_WITH_UMAP", "1")
    assert not {"umap", "numba"} & set(bundle.excluded_modules())


def test_that_the_modules_of_child_processes_are_not_forgotten(bundle):
    assert {task.split(":")[0] for task in TASKS.values()} <= set(bundle.hidden_modules())


def test_that_help_icons_and_licences_go_in(bundle):
    pairs = bundle.data_files()
    names = {f"{folder}/{Path(file).name}" for file, folder in pairs}
    assert {"docs/user-guide.md", "resources/icons/app.svg", "./LICENSE"} <= names
    assert {f"docs/images/{path.name}" for path in (ROOT / "docs/images").glob("*.png")} <= names
    assert all(Path(file).is_file() for file, _ in pairs)
    assert not [file for file, _ in pairs if file.endswith((".py", ".pyc"))]


def test_that_the_lock_file_has_versions_and_hashes(bundle, tmp_path):
    packages = bundle.bundled_packages(["numpy.linalg", "PIL", "core.tasks", "json"])
    assert packages == ["numpy", "pillow"]
    record = json.loads(bundle.write_lock(packages, tmp_path).read_text(encoding="utf-8"))
    assert record["program"] == core.__version__
    assert record["packages"]["numpy"]["version"] == metadata.version("numpy")
    hashes = {package["record_sha256"] for package in record["packages"].values()}
    assert len(hashes) == 2
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in hashes)


def test_that_the_icons_have_every_size(bundle, tmp_path):
    icons = bundle.make_icons(tmp_path / "icons")
    with Image.open(icons["ico"]) as icon:
        assert {(16, 16), (32, 32), (48, 48), (256, 256)} <= set(icon.info["sizes"])
    with Image.open(icons["icns"]) as icon:
        assert (512, 512, 2) in icon.info["sizes"]
    with Image.open(icons["png"]) as icon:
        assert icon.size == (256, 256)
        assert len(icon.getcolors(1 << 16)) > 10


class Made:
    """What stands in for PyInstaller's steps: each keeps what it was asked for."""

    def __init__(self):
        self.calls = []

    def step(self, kind):
        def ask(*values, **named):
            self.calls.append((kind, values, named))
            return SimpleNamespace(pure=[], scripts=[], binaries=[], datas=[])

        return ask

    def asked(self, kind):
        return [(values, named) for name, values, named in self.calls if name == kind]


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Read the spec as PyInstaller does on another system; return what it asks for."""

    def read(system):
        made = Made()
        fakes = {
            "building.api": {kind: made.step(kind) for kind in ("COLLECT", "EXE", "PYZ")},
            "building.build_main": {"Analysis": made.step("Analysis")},
            "building.osx": {"BUNDLE": made.step("BUNDLE")},
            "config": {"CONF": {"workpath": str(tmp_path)}},
            "utils.hooks": {"collect_submodules": lambda _: [], "copy_metadata": lambda _: []},
        }
        for name, values in fakes.items():
            module = SimpleNamespace(**values)
            monkeypatch.setitem(sys.modules, f"PyInstaller.{name}", module)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(sys, "platform", system)
        code = compile((PACKAGING / "mri-fcl.spec").read_text("utf-8"), "mri-fcl.spec", "exec")
        exec(code, {"SPECPATH": str(PACKAGING)})
        return made

    yield read
    sys.modules.pop("bundle", None)


@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
def test_that_no_program_is_packed_or_unpacks_itself(build, system):
    # Faults K2: scanners for viruses take programs for one that do either.
    made = build(system)
    programs = made.asked("EXE")
    assert len(programs) == (2 if system == "win32" else 1)
    for _, named in programs:
        assert named["exclude_binaries"] is True, "the libraries lie beside it, in one folder"
        assert named["upx"] is False
    ((parts, named),) = made.asked("COLLECT")
    assert len(parts) == len(programs) + 2
    assert named["upx"] is False


def test_that_a_program_for_windows_says_who_it_is(build):
    # Faults K2: one without a version and a publisher is suspect.
    for _, named in build("win32").asked("EXE"):
        text = Path(named["version"]).read_text(encoding="utf-8")
        assert f"{named['name']}.exe" in text
        assert "MRI-FCL contributors" in text
        assert core.__version__ in text
        assert Path(named["icon"]).suffix == ".ico"


def test_that_each_release_is_published_with_its_sum(tmp_path, monkeypatch):
    # Faults K2: whoever downloads it can see that it is the one that was built.
    build = yaml.safe_load((ROOT / ".github/workflows/build.yml").read_text(encoding="utf-8"))
    steps = build["jobs"]["application"]["steps"]
    (pack,) = [step["run"] for step in steps if step.get("name") == "Pack"]
    (line,) = re.findall(r"python -c \"(import hashlib.*)\" \"\$file\"\.\*", pack)
    monkeypatch.chdir(tmp_path)
    Path("mri-fcl-1.tar.gz").write_bytes(b"abc")
    subprocess.run([sys.executable, "-c", line, "mri-fcl-1.tar.gz"], check=True)
    told = Path("mri-fcl-1.tar.gz.sha256").read_text("utf-8").split()
    assert told == [hashlib.sha256(b"abc").hexdigest(), "mri-fcl-1.tar.gz"]
    (kept,) = [step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")]
    assert "mri-fcl-*" in kept


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_that_a_workflow_is_yaml_with_jobs_and_steps(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert all("run" in step or "uses" in step for step in job["steps"])


def test_that_the_workflows_run_the_readmes_tests_and_build_for_three_systems():
    tests, build = (
        yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))
        for name in ("tests.yml", "build.yml")
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"&& (\.venv/bin/python -m pytest .*)", readme)
    assert command in [step.get("run") for step in tests["jobs"]["linux"]["steps"]]
    job = build["jobs"]["application"]
    systems = {item["system"].split("-")[0] for item in job["strategy"]["matrix"]["include"]}
    assert systems == {"ubuntu", "windows", "macos"}
    said = "\n".join(step.get("run", "") for step in job["steps"])
    assert "-m PyInstaller packaging/mri-fcl.spec" in said
    assert "--self-test" in said
    assert "sha256" in said
    pins = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for pin in re.findall(r"torch(?:vision)?==[\d.]+", said):
        assert f'"{pin}"' in pins


def desktop_entry(path):
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read(path, encoding="utf-8")
    return dict(parser["Desktop Entry"])


def test_that_the_menu_entry_starts_the_program(bundle):
    entry = desktop_entry(PACKAGING / "mri-fcl.desktop")
    assert entry["Exec"].split()[0] == entry["TryExec"] == bundle.NAME
    assert entry["Name"] == bundle.TITLE
    assert "research use only" in entry["Comment"]


@on_linux
@pytest.mark.parametrize("name", ["mri-fcl", "Prüfung 日本 & more"])
def test_that_the_menu_entry_is_installed_for_any_folder_and_removed(tmp_path, name):
    folder, home = tmp_path / name, tmp_path / "home"
    (folder / "_internal/resources/icons").mkdir(parents=True)
    (folder / "_internal/resources/icons/app.svg").write_text("<svg/>")
    program = folder / "mri-fcl"
    program.write_text("#!/bin/sh\necho started $1\n")
    program.chmod(0o755)
    environment = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": ""}

    def install(argument):
        command = ["sh", str(PACKAGING / "install_linux.sh"), str(argument)]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    install(folder)
    menu = home / ".local/share/applications/mri-fcl.desktop"
    assert desktop_entry(menu)["Exec"] == f'"{program}" %F'
    if shutil.which("desktop-file-validate"):
        subprocess.run(["desktop-file-validate", str(menu)], check=True)
    linked = subprocess.run([home / ".local/bin/mri-fcl", "x"], capture_output=True, check=True)
    assert linked.stdout == b"started x\n"
    install("--remove")
    assert [path for path in home.rglob("*") if path.is_file() or path.is_symlink()] == []


@on_linux
def test_that_a_folder_without_a_program_is_refused_in_words(tmp_path):
    command = ["sh", str(PACKAGING / "install_linux.sh"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "There is no program in" in done.stderr


# The application itself


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The application in a folder with a blank and foreign letters; returns its program."""
    folder = tmp_path_factory.mktemp("packaged") / ODD_NAME
    ready = os.environ.get("MRI_FCL_BUILT")
    if ready:
        shutil.copytree(ready, folder / "mri-fcl", symlinks=True)
    else:
        pytest.importorskip("PyInstaller")
        work = folder.parent / "work"
        command = [sys.executable, "-m", "PyInstaller", str(PACKAGING / "mri-fcl.spec")]
        places = ["--noconfirm", "--distpath", str(folder), "--workpath", str(work)]
        subprocess.run([*command, *places], cwd=ROOT, check=True, timeout=3600)
        shutil.rmtree(work)
    program = folder / "mri-fcl" / ("mri-fcl.exe" if os.name == "nt" else "mri-fcl")
    _make_read_only(program.parent)
    yield program
    for path in (program.parent, *program.parent.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def _make_read_only(folder):
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


@pytest.fixture
def environment(tmp_path):
    """A user of its own, without a display, and with no Python in the environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    kept |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temp")}
    kept |= {"QT_QPA_PLATFORM": "offscreen", "PATH": os.defpath}
    for name in ("home", "temp"):
        (tmp_path / name).mkdir()
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "VIRTUAL_ENV"):
        kept.pop(name, None)
    return kept


def processes_of(program):
    """Return {process id: arguments} of the processes that run ``program`` now."""
    found = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            if (place / "exe").readlink() == program:
                words = (place / "cmdline").read_bytes().decode("utf-8").split("\0")
                found[int(place.name)] = words[1:-1]
        except OSError:
            continue
    return found


@pytest.mark.slow
@on_linux
def test_that_the_application_passes_its_own_test_and_opens_one_window(
    built, environment, tmp_path
):
    seen, ended = [], threading.Event()

    def watch():
        while not ended.wait(0.02):
            seen.append(processes_of(built))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = subprocess.run(
            [built, "--self-test"],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=1200,
            check=False,
        )
    finally:
        ended.set()
        watcher.join()
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "left out" not in done.stdout
    assert "packaged, " in done.stdout
    # torch makes an empty folder for a compiler that is not used here.
    left = [path.name for path in (tmp_path / "temp").iterdir()]
    assert [name for name in left if not name.startswith("torchinductor_")] == []
    flags = {words[0] for state in seen for words in state.values() if words}
    # Children came in by the door that was meant for them, and no process by any other.
    assert flags == {"--self-test", CHILD_ARGUMENT, "--training-rank", WINDOW_ARGUMENT}
    assert max(map(len, seen)) <= 3
    windows = [[w for w in state.values() if w[:1] == [WINDOW_ARGUMENT]] for state in seen]
    assert max(map(len, windows)) == 1
    assert processes_of(built) == {}


@pytest.mark.slow
@on_linux
def test_that_the_application_runs_as_one_process_until_it_is_ended(built, environment, tmp_path):
    (tmp_path / "empty").mkdir()
    child = subprocess.Popen([built], env=environment, cwd=tmp_path / "empty")
    try:
        for _ in range(16):
            time.sleep(0.5)
            assert child.poll() is None
            assert list(processes_of(built)) == [child.pid]
    finally:
        child.terminate()
        child.wait(timeout=30)
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize(("arguments", "status"), [("--version", 0), ("train --no", 2)])
def test_that_the_application_runs_without_streams(built, environment, arguments, status):
    command = ["sh", "-c", f'exec "$0" {arguments} <&- >&- 2>&-', built]
    done = subprocess.run(command, env=environment, check=False, timeout=120)
    assert done.returncode == status
