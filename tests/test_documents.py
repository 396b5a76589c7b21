"""README and docs say what is: commands parse, links lead somewhere, file lists are whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from core.cli import cli
from mrifcl_gui.guide_window import anchor_of
from tests.tiny_cohort import make_volume_cohort, train_run

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])
WITH_COMMANDS = [ROOT / "README.md", DOCS / "commands.md", DOCS / "sweeps.md", DOCS / "tutorial.md"]
# What README must keep to: two screens of a usual page.
MOST_README_LINES = 90


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks_of(page):
    """Return the text between fences."""
    return re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands_of(page):
    """Return the words behind each ``mri-fcl`` of a page's blocks of commands."""
    found = []
    for block in blocks_of(page):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words and Path(words[0]).name == "mri-fcl":
                    found.append(words[1:])
    return found


def parse(words):
    """Parse a command as the terminal does, without running it."""
    if words[0] not in cli.commands:
        raise click.UsageError(f"there is no command '{words[0]}'")
    cli.commands[words[0]].make_context(words[0], list(words[1:]))


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_that_every_command_in_the_documents_parses(page):
    commands = [words for words in commands_of(page) if words and words != ["FOLDER"]]
    assert commands
    for words in commands:
        try:
            parse(words)
        except click.ClickException as error:
            pytest.fail(f"mri-fcl {' '.join(words)}: {error.format_message()}")


def test_that_an_option_that_is_not_there_is_found():
    with pytest.raises(click.ClickException):
        parse(["train", "C.mrifcl", "--no-such-option", "1"])


def test_that_commands_md_names_every_command():
    named = {words[0] for words in commands_of(DOCS / "commands.md") if words}
    assert set(cli.commands) <= named


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_that_every_link_to_a_file_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.is_file(), f"{page.name} links to {target}"
        # An installed copy has docs/ only, and Help shows it.
        place = ROOT if page.parent == ROOT else DOCS
        assert path.is_relative_to(place), f"{page.name} links out of {place.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in map(anchor_of, headings), f"{page.name} links to {target}"


def test_that_every_picture_of_docs_is_shown_somewhere():
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in (DOCS / "images").iterdir() if path.name not in shown] == []


def test_that_readme_stays_within_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES


def test_that_the_user_guide_names_every_view():
    from mrifcl_gui.analysis_views import TABS
    from mrifcl_gui.map_views import MAPS

    text = (DOCS / "user-guide.md").read_text(encoding="utf-8")
    for tab in (*TABS, MAPS):
        assert f"### {tab.title}\n" in text
        missing = [view.title for view in tab.views if view.title not in text]
        assert missing == [], f"{tab.title}: {missing}"


@pytest.fixture
def run_folder(tmp_path):
    """Train a tiny run whose scans have a table of ages beside them."""
    scanned = make_volume_cohort(tmp_path)
    root = scanned.cohort.root
    names = "\n".join(f"{subject}\t70\tF" for subject in scanned.cohort.subjects)
    (root / "participants.tsv").write_text(f"participant_id\tage\tsex\n{names}\n")
    return train_run(scanned, tmp_path / "runs", features_every=1, count=4)


def listed_run_files():
    text = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    table = text.split("<!-- run files -->")[1].split("<!-- end of run files -->")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return {name.rstrip("/") for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}


def test_that_file_formats_lists_what_a_run_folder_holds(run_folder):
    held = {path.name for path in run_folder.iterdir() if path.name != "run.lock"}
    assert listed_run_files() == held


def test_that_file_formats_names_every_key_of_a_record(run_folder):
    import json

    import numpy as np

    text = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    record = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    keys = set(record) | set(record["accuracy"]) | set(record["cohort"])
    for file in ("fc_history.npz", "features.npz"):
        with np.load(run_folder / file) as arrays:
            keys |= set(arrays)
    for file in ("split.csv", "history.csv", "subjects.csv"):
        keys |= set((run_folder / file).read_text(encoding="utf-8").splitlines()[0].split(","))
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_that_file_formats_names_every_key_of_a_cohort(tmp_path):
    import json

    folder = make_volume_cohort(tmp_path).folder
    record = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
    keys = set(record) | set(record["scans"][0])
    text = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_that_file_formats_gives_the_versions_of_the_code():
    from core import run_folder
    from core.data import cohort

    text = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    assert f'"MRI-FCL run"`, {run_folder.FORMAT_VERSION} |' in text
    assert f'"MRI-FCL cohort"`, {cohort.FORMAT_VERSION} |' in text
