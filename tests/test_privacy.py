"""No name, birth date or address of a scan's header gets into what the program writes or says."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import re
import shutil
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from core.cli import run_command
from core.data.cohort import load_cohort
from mrifcl_gui.report_pdf import print_page
from tests.canary_study import CANARY, NEEDLES, write_study, write_table

TINY_OPTIONS = (
    *("--network", "cnn2d", "--regime", "scratch", "--epochs", "1", "--size", "16"),
    *("--count", "3", "--batch", "8", "--cnn-width", "2", "--cnn-features", "4"),
)
# The same as a sweep of one run.
PLAN = """[settings]
network = "cnn2d"
regime = "scratch"
epochs = 1
size = 16
count = 3
batch = 8
cnn_width = 2
cnn_features = 4
[grid]
seed = "3"
"""


def texts_within(content):
    """Yield the bytes of a file and of whatever is packed inside it."""
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield member.encode()
                yield from texts_within(archive.read(member))
    elif content.startswith(b"\x1f\x8b"):
        yield zlib.decompressobj(31).decompress(content)
    elif content.startswith((b"\x89PNG", b"\xff\xd8", b"II*\0", b"MM\0*")):
        yield from _picture_texts(content)
    for packed in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content):
        yield from texts_within(base64.b64decode(packed))


def _picture_texts(content):
    with contextlib.suppress(OSError), Image.open(io.BytesIO(content)) as picture:
        yield repr(picture.info).encode()
        yield repr(dict(picture.getexif())).encode()


def leaks_in(content):
    found = set()
    for text in texts_within(content):
        flat = text.lower()
        for needle in NEEDLES:
            for coded in (needle.encode(), needle.encode("utf-16-le"), needle.encode("utf-16-be")):
                if coded in flat:
                    found.add(needle)
    return found


def leaks_below(folder):
    """Return {file: what of the canary it or its path holds}."""
    result = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        found = leaks_in(relative.encode())
        if path.is_file():
            found |= leaks_in(path.read_bytes())
        if found:
            result[relative] = found
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder that names the person, with the study in it."""
    home = tmp_path_factory.mktemp("home") / CANARY
    write_study(home)
    return home


@pytest.fixture(scope="module")
def said(home):
    """Run the whole way on the study; return what was printed and logged."""
    out, root = home / "out", home / "study"
    cohort, runs, plan = out / "study.mrifcl", out / "runs", home / "plan.toml"
    printed, log = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)

    def run(*arguments):
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            status, _ = run_command([str(part) for part in arguments], print_page=print_page)
            assert status == 0, printed.getvalue()

    try:
        run("scan", root, "--out", cohort)
        run("check", cohort)
        run("slices", cohort, "--out", out / "cut", "--count", 3, "--size", 16)
        run("train", cohort, *TINY_OPTIONS, "--out", runs)
        (made,) = (path.parent for path in runs.glob("*/run.json"))
        run("analyse", made, "--dpi", 60)
        run("audit", made)
        run("compare", made, "--out", out / "compared")
        run("report", made, "--out", out / "report.html", "--pdf", out / "report.pdf")
        page, archive = out / "named.html", out / "named.zip"
        options = ("--names-scans", "--leave-out", "figures")
        run("report", made, "--out", page, "--zip", archive, *options)
        run("maps", made, "--subject", "sub-01", "--class", "AD", "--out", out / "maps")
        for suffix in ("gif", "mp4") if shutil.which("ffmpeg") else ("gif",):
            run("time-lapse", made, "--figure", "scatter", "--out", out / f"fcl.{suffix}")
        plan.write_text(PLAN, encoding="utf-8")
        run("sweep", plan, "--cohort", cohort, "--out", out / "sweep")
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    return {"printed": printed.getvalue(), "log": log.getvalue()}


def test_that_the_canary_is_found_where_it_is(home, tmp_path):
    # A search that finds nothing anywhere would prove nothing.
    leaky = leaks_below(home / "study")
    suffixes = {Path(name).suffix for name in leaky}
    assert suffixes >= {".gz", ".nii", ".hdr", ".mgz", ".dcm", ".png", ".jpg", ".tif", ".txt"}


def check_that_all_formats_of_the_study_were_used(home):
    cohort = load_cohort(home / "out" / "study.mrifcl")
    suffixes = {Path(scan.files[0]).suffix for scan in cohort.scans}
    assert suffixes == {".gz", ".nii", ".hdr", ".mgz", ".dcm", ".png", ".jpg", ".tif"}
    assert len(cohort.skipped) >= 5
    assert (
        list((home / "out" / "runs").glob("*/report.html")) or (home / "out/report.html").exists()
    )


def check_that_the_archive_of_the_report_is_looked_into(home):
    path = home / "out" / "named.zip"
    with zipfile.ZipFile(path) as archive:
        tables = [archive.read(name) for name in archive.namelist() if name.endswith(".csv")]
    assert any(b"sub-01" in table for table in tables), "scans are named by their keys"
    # What is packed in it is searched too: a word of its tables is found.
    word = max(tables, key=len)[-40:]
    assert word not in path.read_bytes()
    assert any(word in within for within in texts_within(path.read_bytes()))


@pytest.mark.slow
def test_that_no_figure_in_the_archive_of_the_report_holds_the_canary(home, said, tmp_path):
    (run,) = (path.parent for path in (home / "out" / "runs").glob("*/run.json"))
    files = ["--out", str(tmp_path / "r.html"), "--zip", str(tmp_path / "r.zip")]
    status, _ = run_command(["report", str(run), *files, "--names-scans"])
    assert status == 0
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        kinds = {Path(name).suffix for name in archive.namelist()}
    assert kinds >= {".csv", ".png", ".svg", ".txt"}
    assert leaks_below(tmp_path) == {}


def check_that_nothing_that_is_written_holds_the_canary(home):
    # Faults X7 and X8 (a date of birth, an age of 91).
    files = [path for path in (home / "out").rglob("*") if path.is_file()]
    assert len(files) > 40
    suffixes = {path.suffix for path in files}
    assert suffixes >= {".json", ".csv", ".txt", ".png", ".svg", ".html", ".pdf", ".gif"}
    assert suffixes >= {".gz", ".npz", ".npy", ".ckpt", ".safetensors", ".jsonl"}
    assert leaks_below(home / "out") == {}


def check_that_nothing_that_is_said_or_logged_holds_the_canary(home, said):
    # Where the user's own folder lies he may be told; the rest of each line counts.
    for name, text in said.items():
        lines = text.replace(str(home), "~").splitlines()
        assert not [line for line in lines if leaks_in(line.encode())], name


def test_that_the_whole_way_gives_nobodys_name_away(home, said):
    # One test: each worker of pytest-xdist would go the whole way anew.
    check_that_all_formats_of_the_study_were_used(home)
    check_that_the_archive_of_the_report_is_looked_into(home)
    check_that_nothing_that_is_written_holds_the_canary(home)
    check_that_nothing_that_is_said_or_logged_holds_the_canary(home, said)


def test_that_the_other_columns_of_a_table_go_nowhere(tmp_path):
    root = write_study(tmp_path)
    shutil.rmtree(root / "AD" / "DICOM")
    shutil.rmtree(root / "NC" / "DICOM")
    subjects = [(f"sub-{n:02d}", "AD" if n % 2 else "NC") for n in range(1, 10)]
    table = write_table(tmp_path, subjects)
    cohort = tmp_path / "out" / "study.mrifcl"
    status, _ = run_command(["scan", str(root), "--labels", str(table), "--out", str(cohort)])
    assert status == 0
    assert leaks_below(tmp_path / "out") == {}
