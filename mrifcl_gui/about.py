"""Help: what this is, and on what it runs."""

from __future__ import annotations

import platform
from importlib import metadata, util
from pathlib import Path

from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import QMessageBox, QWidget

from core.build_record import program_sentence

_PACKAGES = ("torch", "torchvision", "PySide6_Essentials", "pyqtgraph", "nibabel", "numpy")


def show_about(parent: QWidget) -> None:
    """Show versions, device and licence."""
    versions = "\n".join(f"{name} {_version(name)}" for name in _PACKAGES)
    _show(
        parent,
        "About MRI-FCL",
        f"{program_sentence()}\n\nTrains networks on brain MRI slices and studies their "
        "final fully connected layer, after Khagi & Kwon (2022).\n\nResearch use only, not a "
        "medical device. Nothing leaves this computer.\n\n"
        f"Python {platform.python_version()}, Qt {qVersion()}\n{versions}\n\n{device_text()}",
    )


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
