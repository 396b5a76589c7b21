"""The rules of the house: style, types and the direction of imports, as failing tests."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("core", "mrifcl_gui", "tests", "main.py", "benchmarks", "packaging")


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run python with ``arguments`` in the repository; return what it said."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def assert_silent(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_that_ruff_finds_nothing():
    assert_silent(run_tool("-m", "ruff", "check", "--no-cache", *SOURCES))


def test_that_the_code_is_formatted():
    assert_silent(run_tool("-m", "ruff", "format", "--check", "--no-cache", *SOURCES))


def test_that_core_is_typed_strictly():
    assert_silent(run_tool("-m", "mypy"))


def test_that_imports_go_down_only():
    # The console script "lint-imports" without its launcher, which has another path each time.
    start = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    assert_silent(run_tool("-c", start, "--no-cache"))


@pytest.mark.parametrize("module", ["core.tasks", "core.cli", "main", "mrifcl_gui.main_window"])
def test_that_heavy_packages_load_after_the_window_is_shown(module):
    code = (
        f"import sys, {module}; "
        "heavy = {'torch', 'torchvision', 'scipy', 'matplotlib', 'nibabel'}; "
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = run_tool("-c", code)
    assert_silent(done)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", sorted((ROOT / "core").rglob("*.py")), ids=lambda path: path.stem)
def test_that_core_knows_no_start_script_and_no_window(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            imported.add((node.module or "").split(".")[0])
    assert not imported & {"main", "mrifcl_gui", "PySide6", "pyqtgraph", "qasync"}
