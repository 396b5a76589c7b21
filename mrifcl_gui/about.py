"""Help: what this is, on what it runs, and the keys."""

from __future__ import annotations

import platform
from importlib import metadata, util
from pathlib import Path

from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import QMessageBox, QWidget

import core

_PACKAGES = ("torch", "torchvision", "PySide6_Essentials", "pyqtgraph", "nibabel", "numpy")

_SHORTCUTS = """Places: Ctrl+1 Cohort, Ctrl+2 Train, Ctrl+3 Runs, Ctrl+4 Analyse
User guide: F1    this list: Ctrl+F1
Open a folder of scans: Ctrl+O    a cohort or run: Ctrl+Shift+O    quit: Ctrl+Q
Undo, redo changes of the cohort: Ctrl+Z, Ctrl+Shift+Z    audit of the split: Ctrl+Shift+A

Viewer
wheel: slice    Ctrl+wheel: zoom    left drag: crosshair
right drag: window (across) and level (up)    middle drag: move
arrows, Page Up, Page Down, Home, End: slice    1 2 3: enlarge a plane
R reset    X crosshair    A contrast    O left/right convention
Space: map or slice lines    C: find the slice in the feature cloud

Figures
drag: move    wheel: zoom    double click: whole figure    right click: copy, export
click a dot: its slice    Shift+drag: draw around dots    Alt+Right, Alt+Left: next, previous"""


def show_about(parent: QWidget) -> None:
    """Show versions, device and licence."""
    versions = "\n".join(f"{name} {_version(name)}" for name in _PACKAGES)
    _show(
        parent,
        "About MRI-FCL",
        f"MRI-FCL {core.__version__}\n\nTrains networks on brain MRI slices and studies their "
        "final fully connected layer, after Khagi & Kwon (2022).\n\nResearch use only, not a "
        "medical device. Nothing leaves this computer.\n\n"
        f"Python {platform.python_version()}, Qt {qVersion()}\n{versions}\n\n{device_text()}",
    )


def show_shortcuts(parent: QWidget) -> None:
    """Show the keys."""
    _show(parent, "Shortcuts", _SHORTCUTS)


def device_text() -> str:
    """Return what training can run on, told without loading torch."""
    has_driver = any(
        Path(path).exists()
        for path in ("/proc/driver/nvidia/version", "C:/Windows/System32/nvcuda.dll")
    )
    build = _version("torch")
    is_cpu_build = "+cpu" in build or (util.find_spec("nvidia") is None and "+cu" not in build)
    if has_driver and is_cpu_build:
        return (
            "Device: CPU. There is an NVIDIA GPU, but this is a CPU build of torch: install "
            "the CUDA build of the same version (Help > User guide, Train, has how)."
        )
    if has_driver:
        return "Device: NVIDIA GPU"
    return "Device: CPU" + (" (CPU build of torch)" if is_cpu_build else "")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _show(parent: QWidget, title: str, text: str) -> None:
    box = QMessageBox(QMessageBox.Icon.NoIcon, title, text, QMessageBox.StandardButton.Ok, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
