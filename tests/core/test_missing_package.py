"""What is said where a package is missing suits the copy of the program that says it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from core.analysis import projection
from core.data.pydicom_gateway import missing_pydicom
from core.missing_package import how_to_add

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def packaged(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)


def test_that_a_copy_from_source_names_the_command():
    assert how_to_add("mri-fcl[umap]", otherwise="choose t-SNE") == (
        "Add it with 'pip install \"mri-fcl[umap]\"', or choose t-SNE."
    )
    assert how_to_add("one two") == "Add it with 'pip install one two'."


def test_that_a_packaged_copy_does_not_send_people_to_a_pip_it_has_not(packaged):
    said = how_to_add("mri-fcl[umap]", otherwise="choose t-SNE")
    assert said.startswith("This packaged copy of the program does not hold it")
    assert "Choose t-SNE, or use MRI-FCL from its source" in said
    assert "Add it with" not in said
    assert "Use MRI-FCL from its source" in how_to_add("one")


@pytest.mark.parametrize("say", [missing_pydicom, projection.how_to_add_umap])
def test_that_the_hints_of_the_program_follow_the_copy(packaged, monkeypatch, say):
    in_package = say()
    assert "does not hold it" in in_package
    monkeypatch.delattr(sys, "frozen")
    assert say() != in_package
    assert "Add it with 'pip install" in say()


def test_that_no_hint_goes_round_the_one_place():
    found = [
        f"{path.relative_to(ROOT)}: {node.value}"
        for folder in ("core", "mrifcl_gui")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "missing_package.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and "pip install" in str(node.value)
    ]
    assert not found
