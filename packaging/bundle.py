"""What goes into the one-folder application, and what is written about it: for mri-fcl.spec."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAME = "mri-fcl"
TITLE = "MRI-FCL"
# On Windows a windowed program has no place to print to: there a second one does.
TERMINAL_NAME = "mri-fcl-terminal"
LOCK_FILE = "versions.json"

# Found by PyInstaller on the way through optional imports, and never used by the program. What
# is installed for tests must not get into the application by chance either.
EXCLUDED = (
    *("tkinter", "_tkinter", "IPython", "PyQt5", "PyQt6", "PySide2", "OpenGL"),
    *(
        "pytest",
        "_pytest",
        "hypothesis",
        "captum",
        "statsmodels",
        "mypy",
        "coverage",
        "setuptools",
        "pip",
    ),
    *("pandas", "h5py", "networkx", "jinja2", "tensorboard", "onnx", "onnxruntime", "onnxscript"),
    *("ray", "aiohttp", "jsonschema", "msgpack", "google", "pydantic", "pydantic_core", "typer"),
    *("yarl", "multidict", "propcache", "frozenlist", "py", "requests", "yaml"),
    # Codecs of DICOM that the tests encode with; gdcm unpacks all kinds.
    *("pylibjpeg", "openjpeg", "jpeg_ls"),
    *("matplotlib.tests", "pyqtgraph.examples", "torch.utils.tensorboard"),
)
# UMAP brings a compiler of 210 MB. It goes in where it is installed and asked for.
UMAP = ("umap", "pynndescent", "numba", "llvmlite")
WITH_UMAP = "MRI_FCL_WITH_UMAP"

# Imported by a name in a string, so that PyInstaller does not see them.
HIDDEN = (
    "certifi",
    "gdcm",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
)

# Files of torch that no running program needs: its C++ headers and its own tests.
_UNUSED_FILES = re.compile(
    r"torch/(bin/(?!torch_shm_manager)|test/|include/|share/)"
    r"|torch/lib/lib(jitbackend_test|torchbind_test|backend_with_compiler)"
    r"|torch/utils/(benchmark|hipify|model_dump|tensorboard)/"
    # Of torch's tools for tests it imports these few itself.
    r"|torch/testing/_internal/(?!__init__|logging_tensor|common_dtype|distributed(\.py|/__init__|/fake_pg))"
    r"|(numpy|scipy|sklearn|matplotlib|nibabel|pydicom)/(.*/)?tests?/"
    r"|.*\.(pyi|pxd|pyx|h|hpp|cuh)$"
)


def is_used(destination: str) -> bool:
    """Tell whether a file, or a module as a path, belongs into the application."""
    return _UNUSED_FILES.match(destination.replace("\\", "/")) is None


def is_used_module(name: str) -> bool:
    """Tell whether a module belongs into the application."""
    path = name.replace(".", "/")
    return is_used(f"{path}.py") and is_used(f"{path}/__init__.py")


def is_wanted(destination: str, packages: Iterable[str]) -> bool:
    """Tell whether a file belongs into the application; a package's own record only with it."""
    folder = destination.replace("\\", "/").split("/")[0]
    if not folder.endswith(".dist-info"):
        return is_used(destination)
    return _plain_name(folder.rsplit("-", 2)[0]) in map(_plain_name, packages)


def excluded_modules() -> list[str]:
    """Return the modules to leave out; UMAP stays where the environment asks for it."""
    return [*EXCLUDED, *(() if os.environ.get(WITH_UMAP) else UMAP)]


def hidden_modules() -> list[str]:
    """Return modules that are imported by a name in a string, those of child processes too."""
    text = (ROOT / "core" / "child_process.py").read_text(encoding="utf-8")
    return [*HIDDEN, *re.findall(r'"(core\.[\w.]+):\w+"', text)]


def data_files() -> list[tuple[str, str]]:
    """Return our own files that are read at run time: (file, folder in the application)."""
    found = [(ROOT / "docs").glob("*.md"), (ROOT / "docs" / "images").glob("*.png")]
    found.append(path for path in (ROOT / "resources").rglob("*") if path.suffix != ".py")
    files = [path for group in found for path in group if path.is_file()]
    pairs = [(str(path), path.parent.relative_to(ROOT).as_posix()) for path in sorted(files)]
    others = [ROOT / "LICENSE", ROOT / "THIRD_PARTY_NOTICES.md"]
    if sys.platform == "linux":
        others += [ROOT / "packaging" / name for name in ("install_linux.sh", "mri-fcl.desktop")]
    return [pair for pair in pairs if "__pycache__" not in pair[1]] + [
        (str(path), ".") for path in others
    ]


def stripped(path: str, folder: Path) -> str:
    """Return a copy of a library without the names that only a debugger uses, or ``path`` itself.

    torch's own has 90 MB of them. Others are left as they are: some do not bear it.
    """
    tool = shutil.which("strip")
    if sys.platform != "linux" or tool is None or Path(path).parent.parts[-2:] != ("torch", "lib"):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / Path(path).name
    done = subprocess.run([tool, "--strip-unneeded", "-o", str(copy), path], check=False)
    return str(copy) if done.returncode == 0 else path


def program_version() -> str:
    """Return the version of the program, read without importing it."""
    text = (ROOT / "core" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.M)
    if found is None:
        raise SystemExit("core/__init__.py has no __version__.")
    return found.group(1)


def version_numbers(version: str) -> tuple[int, int, int, int]:
    """Return the four numbers that Windows wants: ``0.1.0rc1`` gives 0, 1, 0, 0."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found.group().split(".")] if found else []
    first, second, third, fourth = (*numbers, 0, 0, 0, 0)[:4]
    return first, second, third, fourth


def windows_version_text(version: str, file_name: str) -> str:
    """Return a VERSIONINFO as PyInstaller reads it."""
    numbers = version_numbers(version)
    words = {
        "CompanyName": f"{TITLE} contributors",
        "FileDescription": f"{TITLE}, research use only",
        "FileVersion": version,
        "InternalName": NAME,
        "LegalCopyright": "MIT licence",
        "OriginalFilename": file_name,
        "ProductName": TITLE,
        "ProductVersion": version,
    }
    strings = ", ".join(f"StringStruct({key!r}, {text!r})" for key, text in words.items())
    return (
        "# UTF-8\n"
        f"VSVersionInfo(ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3f, "
        "flags=0x0, OS=0x40004, fileType=0x1, subtype=0x0, date=(0, 0)),\n"
        f"  kids=[StringFileInfo([StringTable('040904B0', [{strings}])]),\n"
        "        VarFileInfo([VarStruct('Translation', [1033, 1200])])])\n"
    )


def mac_properties(version: str) -> dict[str, Any]:
    """Return what Info.plist says on macOS."""
    return {
        "CFBundleName": TITLE,
        "CFBundleDisplayName": TITLE,
        "CFBundleShortVersionString": version,
        "CFBundleVersion": ".".join(map(str, version_numbers(version)[:3])),
        "LSApplicationCategoryType": "public.app-category.medical",
        "LSMinimumSystemVersion": "13.0",
        "NSHighResolutionCapable": True,
        "NSRequiresAquaSystemAppearance": False,
        "NSHumanReadableCopyright": "MIT licence. Research use only, not a medical device.",
    }


def bundled_packages(modules: Iterable[str]) -> list[str]:
    """Return the names of the installed packages that hold these modules, without our own."""
    tops = {name.split(".")[0] for name in modules}
    owners = metadata.packages_distributions()
    found = {owner for top in tops for owner in owners.get(top, ())}
    return sorted(found - {"mri-fcl"}, key=str.lower)


def lock_record(packages: Iterable[str]) -> dict[str, Any]:
    """Return what the application was built from, down to a hash of each package's files."""
    return {
        "program": program_version(),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "pyinstaller": _version_of("pyinstaller"),
        "packages": {
            name: {"version": metadata.version(name), "record_sha256": _record_hash(name)}
            for name in packages
        },
    }


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def write_lock(packages: Iterable[str], folder: Path) -> Path:
    """Write the lock file of a build into ``folder``; return its path."""
    path = folder / LOCK_FILE
    path.write_text(json.dumps(lock_record(packages), indent=1) + "\n", encoding="utf-8")
    return path


def make_icons(folder: Path) -> dict[str, str]:
    """Draw app.png, app.ico and app.icns from the window's own icon; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    # In a process of its own: PyInstaller's must load no Qt.
    command = [sys.executable, str(ROOT / "packaging" / "make_icons.py"), str(folder)]
    subprocess.run(command, check=True)
    return {suffix: str(folder / f"app.{suffix}") for suffix in ("png", "ico", "icns")}


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _record_hash(name: str) -> str:
    record = metadata.distribution(name).read_text("RECORD") or ""
    # Each line has the hash of one file; what pip added when it unpacked differs by computer.
    lines = sorted(line for line in record.splitlines() if "sha256=" in line and "../" not in line)
    kept = [
        line for line in lines if not re.search(r"dist-info/(INSTALLER|REQUESTED|direct_url)", line)
    ]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("GITHUB_SHA", "")[:12]
    return done.stdout.decode("ascii").strip()
