"""Each fault that must be met has its row in docs/faults.md, and each row a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from core.figure_layout import FOOTER
from core.report_page import RESEARCH_ONLY

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {
    found[1]: re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`", found[2])
    for found in re.finditer(r"^\| ([A-Z]\d+) \| [^|]+ \| (.+) \|$", TABLE, re.MULTILINE)
}
COUNTS = {"F": 30, "S": 6, "T": 10, "P": 11, "U": 9, "X": 11, "K": 6}


def test_that_every_row_of_the_catalogue_is_there():
    wanted = [f"{group}{number}" for group, n in COUNTS.items() for number in range(1, n + 1)]
    assert list(ROWS) == wanted
    assert not {row for row, tests in ROWS.items() if not tests}


@pytest.mark.parametrize("row", sorted(ROWS))
def test_that_the_tests_of_a_row_are_there(row):
    for file, name in ROWS[row]:
        path = ROOT / "tests" / file
        assert path.is_file(), f"{row}: {file}"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not name or name in names, f"{row}: {name}"


def test_that_no_data_loader_has_workers():
    # Faults T9: a loading process that dies hangs a training; none is ever started.
    for path in (ROOT / "core").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "DataLoader" not in text, path.name
        assert "num_workers" not in text, path.name


def test_that_every_place_says_that_it_is_for_research_only():
    # Faults X11. What is printed and shown is tested where it is made; here, that all do it.
    assert FOOTER.rstrip(".") == RESEARCH_ONLY.rstrip(".")
    assert FOOTER == "Research use only, not a medical device"
    places = {
        "core/figure_layout.py": "FOOTER",  # below each figure, film and strip
        "core/report_page.py": "RESEARCH_ONLY",  # page, PDF and ZIP
        "mrifcl_gui/about.py": "medical device",
        "mrifcl_gui/slice_viewer.py": "Research use only, not a medical device",  # screenshots
        "mrifcl_gui/main_window.py": "research use only",
    }
    for file, words in places.items():
        assert words in (ROOT / file).read_text(encoding="utf-8"), file
    for page in ("README.md", "docs/user-guide.md"):
        assert "medical device" in (ROOT / page).read_text(encoding="utf-8"), page
