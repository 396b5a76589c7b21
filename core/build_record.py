"""What the packaged program was built from: versions and hashes, as its lock file says."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import core

LOCK_FILE = "versions.json"
# What a reader of a fault report wants first.
_SHOWN = ("torch", "torchvision", "PySide6_Essentials", "pyqtgraph", "nibabel", "numpy", "scipy")


@dataclass(frozen=True)
class BuildRecord:
    """The lock file of a packaged program.

    Attributes
    ----------
    commit : str
        Of the source code; empty where it was not known.
    fingerprint : str
        First letters of the lock file's SHA-256: equal where all versions and hashes in it are.
    versions : dict of str to str
        Version of each package at the time of the build.
    """

    commit: str
    fingerprint: str
    versions: dict[str, str]

    def out_of_step(self) -> list[str]:
        """Say which packages are not those of the build."""
        found = {name: package_version(name) for name in self.versions}
        return [
            f"{name} is {found[name] or 'missing'} instead of {version}"
            for name, version in self.versions.items()
            if found[name] != version
        ]


def build_record() -> BuildRecord | None:
    """Return what this program was built from; None where it runs from its source."""
    folder = program_folder()
    if folder is None:
        return None
    try:
        content = (folder / LOCK_FILE).read_bytes()
        record = json.loads(content)
        packages = record["packages"].items()
        return BuildRecord(
            str(record.get("commit", "")),
            hashlib.sha256(content).hexdigest()[:12],
            {str(name): str(package["version"]) for name, package in packages},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def program_folder() -> Path | None:
    """Return the folder of a packaged program's own files; None where it runs from its source."""
    folder = getattr(sys, "_MEIPASS", None) if getattr(sys, "frozen", False) else None
    return Path(folder) if folder else None


def package_version(name: str) -> str:
    """Return the version of an installed package; empty where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def program_sentence() -> str:
    """Say the program's own version, and from which commit it was packaged."""
    record = build_record()
    if record is None:
        return f"MRI-FCL {core.__version__}, from source"
    commit = f", commit {record.commit}" if record.commit else ""
    return f"MRI-FCL {core.__version__}, packaged{commit}, lock {record.fingerprint}"


def version_lines() -> list[str]:
    """Return the versions of program, Python, system and main packages."""
    packages = ", ".join(f"{name} {package_version(name) or 'missing'}" for name in _SHOWN)
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return [program_sentence(), system, packages]
