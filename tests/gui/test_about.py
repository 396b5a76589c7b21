"""Help says versions, device and keys."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QMessageBox, QWidget

import core
from mrifcl_gui import about


@pytest.fixture
def parent(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def text_of_box(parent):
    (box,) = [box for box in parent.findChildren(QMessageBox) if box.isVisible()]
    text = box.text()
    box.close()
    return text


def test_that_about_names_versions_device_and_that_it_is_for_research(parent):
    about.show_about(parent)
    text = text_of_box(parent)
    assert f"MRI-FCL {core.__version__}" in text
    assert "Research use only" in text
    assert "torch " in text
    assert about.device_text() in text


@pytest.mark.parametrize(
    ("driver", "torch_version", "words"),
    [
        (True, "2.13.0+cpu", "CPU build of torch: install"),
        (True, "2.13.0+cu130", "Device: NVIDIA GPU"),
        (False, "2.13.0+cpu", "Device: CPU (CPU build of torch)"),
        (False, "2.13.0+cu130", "Device: CPU"),
    ],
)
def test_that_the_device_is_told_without_loading_torch(monkeypatch, driver, torch_version, words):
    monkeypatch.setattr(about.Path, "exists", lambda _: driver)
    monkeypatch.setattr(about, "_version", lambda _: torch_version)
    assert words in about.device_text()


def test_that_a_missing_package_is_said_to_be_missing():
    assert about._version("no-such-package-here") == "not installed"
