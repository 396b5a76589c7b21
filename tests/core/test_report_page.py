"""The report: what is in the page, what is left out, the PDF and the ZIP."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile

import pytest
from PIL import Image

from core import report, report_page, tasks
from core.analysis import evaluation, features, scan_correlation, weights
from core.errors import AnalysisError, MriFclError, RunError
from core.figure import Scatter
from core.progress import Progress
from core.report_contents import CONTENT_TITLES, ReportContents
from core.run_folder import Run, reopen_run
from main import main
from tests.tiny_cohort import drive, make_cohort, train_run


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    scanned = make_cohort(folder)
    first = train_run(scanned, folder / "runs")
    return first, train_run(scanned, folder / "runs", mode="slice")


@pytest.fixture
def folders(trained_once, tmp_path):
    return [shutil.copytree(path, tmp_path / "runs" / path.name) for path in trained_once]


@pytest.fixture
def runs(folders):
    return [Run(path) for path in folders]


@pytest.fixture
def few(monkeypatch):
    """Take few figures and tables: each of them is drawn elsewhere."""

    def some_figures(run):
        return [
            lambda: weights.fcl_scatter(run),
            lambda: features.feature_cloud(run),
            lambda: scan_correlation.scan_map(run),
        ]

    monkeypatch.setattr(report, "run_figures", some_figures)
    monkeypatch.setattr(report, "run_tables", lambda run: [lambda: evaluation.accuracy_table(run)])
    monkeypatch.setattr(report, "comparison_figures", lambda runs: [])


def page_of(runs, **contents):
    return drive(report_page.page_html(runs, ReportContents(**contents)))


def text_of(page):
    return re.sub(r"<[^>]+>", " ", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page))


def test_that_the_page_says_settings_split_versions_limits_and_that_it_is_for_research(few, runs):
    page = page_of(runs[:1])
    text = text_of(page)
    for words in (
        "Research use only, not a medical device.",
        "Learning rate",
        "by subject 5:2:3, seed 0",
        "No subject, scan or slice is in more than one part.",
        "torch 2",
        "Limits",
        "read intervals by subject first",
        runs[0].name,
    ):
        assert words in text, words
    assert page.count("data:image/png;base64,") >= 2
    assert "src='http" not in page
    assert "<link" not in page
    assert "<script" not in page


def test_that_the_page_says_in_a_badge_whether_the_rows_sum_is_conserved(few, runs):
    page = page_of(runs[:1])
    (words,) = re.findall(r"<span class='badge' style='background: #\w{6}'>(.*?)</span>", page)
    assert words == weights.fcl_scatter(runs[0]).badges[0].text


def test_that_a_leaking_split_is_told_in_red(few, runs):
    page = page_of(runs[1:])
    assert "class='warning'>Leaking split" in page
    assert "No subject, scan or slice is in more than one part." not in page


def test_that_the_page_counts_subjects_and_slices_of_each_part(few, runs):
    page = page_of(runs[:1], figures=False, tables=False)
    of = runs[0].features
    own = (of.part == "test") & (of.label == 0)
    cells = ("test", "AD", str(len(set(of.subject[own]))), str(len(set(of.scan[own]))))
    assert "".join(f"<td>{cell}</td>" for cell in (*cells, str(own.sum()))) in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("settings", "Learning rate"),
        ("split", "Split and leakage"),
        ("versions", "Trained with"),
        ("figures", "<img"),
        ("tables", "Accuracy of"),
    ],
)
def test_that_what_is_not_ticked_is_not_in_the_page(few, runs, name, words):
    assert words in page_of(runs[:1])
    assert words not in page_of(runs[:1], **{name: False})


def test_that_every_part_of_a_report_has_a_title():
    assert set(CONTENT_TITLES) == set(ReportContents.__dataclass_fields__)


def test_that_no_subject_and_no_folder_of_this_computer_is_in_the_page(few, runs, tmp_path):
    writer = reopen_run(runs[0].path)
    settings = dict(writer.record["settings"])
    settings["training"] = {**settings["training"], "weights": str(tmp_path / "my.pth")}
    writer.update(settings=settings)
    writer.close()
    run = Run(runs[0].path)
    page = page_of([run])
    assert str(tmp_path) not in page
    assert "my.pth" in page
    for name in {*run.features.subject.tolist(), *run.features.scan.tolist()}:
        assert name not in page


def test_that_figures_that_name_scans_are_there_when_they_are_asked_for(few, runs):
    assert "left out here, because it names scans" in text_of(page_of(runs[:1]))
    assert "left out here" not in text_of(page_of(runs[:1], names_scans=True))


def test_that_several_runs_are_compared_first(few, runs):
    text = text_of(page_of(runs))
    places = [text.index(words) for words in ("Runs compared", runs[0].name, runs[1].name)]
    assert places[0] < max(places[1:])
    assert "Limits" in text


def test_that_what_cannot_be_drawn_is_said_in_its_place(runs, monkeypatch):
    def refuse():
        raise AnalysisError("Too few <subjects>.")

    monkeypatch.setattr(report, "run_figures", lambda run: [refuse])
    monkeypatch.setattr(report, "run_tables", lambda run: [])
    assert "Too few &lt;subjects&gt;." in page_of(runs[:1])


def test_that_a_report_of_no_run_is_refused(tmp_path):
    for write in (report_page.write_html, report_page.write_zip):
        with pytest.raises(RunError, match="Choose a run"):
            drive(write([], tmp_path / "file"))


def test_that_the_page_tells_how_far_it_is_and_stops_without_a_file(few, folders, tmp_path):
    path = tmp_path / "report.html"
    operation = tasks.report_html(folders[:1], path)
    seen = [event for event, _ in zip(operation, range(4), strict=False)]
    operation.close()
    assert any(isinstance(event, Progress) and event.total for event in seen)
    assert not path.exists()


def test_that_a_page_that_cannot_be_written_is_told_in_plain_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MriFclError, match="Choose another folder"):
        report_page.write_page("<html>", tmp_path / "file" / "report.html")


def files_in(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_that_the_zip_has_each_figure_three_times_and_each_table(few, folders, tmp_path):
    path = drive(tasks.report_zip(folders[:1], tmp_path / "all.zip"))
    files = files_in(path)
    name = folders[0].name
    pictures = {item for item in files if item.endswith(".png")}
    assert pictures
    for item in pictures:
        assert {item[:-3] + suffix for suffix in ("svg", "csv")} <= set(files)
        with Image.open(io.BytesIO(files[item])) as picture:
            assert picture.width > 500
    assert any(item.startswith(f"{name}/tables/") for item in files)
    assert b"Research use only" in files["README.txt"]


def test_that_the_zip_names_scans_only_when_asked(few, folders, runs, tmp_path):
    names = {*runs[0].features.subject.tolist(), *runs[0].features.scan.tolist()}

    def named(contents):
        path = drive(tasks.report_zip(folders[:1], tmp_path / "all.zip", contents))
        texts = [text.decode() for item, text in files_in(path).items() if item.endswith(".csv")]
        return {name for name in names if any(name in text for text in texts)}

    assert not named(ReportContents())
    assert named(ReportContents(names_scans=True))


def test_that_the_csv_of_a_zip_has_the_figures_numbers(few, folders, runs, tmp_path):
    figure = next(iter(report.run_figures(runs[0])))()
    files = files_in(drive(tasks.report_zip(folders[:1], tmp_path / "all.zip")))
    text = files[f"{folders[0].name}/figures/{figure.name}.csv"].decode("utf-8-sig")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["kind"] == "scatter"]
    (dots,) = (layer for layer in figure.panels[0].layers if isinstance(layer, Scatter))
    assert [float(row["x"]) for row in rows] == dots.x.tolist()


def test_that_two_runs_of_one_name_keep_their_own_folders(few, folders, tmp_path):
    other = shutil.copytree(folders[0], tmp_path / "elsewhere" / folders[0].name)
    contents = ReportContents(figures=False)
    path = drive(tasks.report_zip([folders[0], other], tmp_path / "all.zip", contents))
    tops = {item.split("/")[0] for item in files_in(path)}
    assert {folders[0].name, f"{folders[0].name}_2", "comparison"} <= tops


def test_that_the_terminal_writes_page_pdf_and_zip(few, folders, tmp_path, capsys):
    files = {name: tmp_path / f"out.{name}" for name in ("html", "pdf", "zip")}
    status = main(
        [
            *("report", str(folders[0]), "--out", str(files["html"]), "--pdf", str(files["pdf"])),
            *("--zip", str(files["zip"]), "--leave-out", "tables", "--json"),
        ]
    )
    assert status == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {
        "report": str(files["html"]),
        "pdf": str(files["pdf"]),
        "zip": str(files["zip"]),
    }
    page = files["html"].read_text(encoding="utf-8")
    assert "Accuracy of" not in page
    assert files["pdf"].read_bytes().startswith(b"%PDF")
    assert not [item for item in files_in(files["zip"]) if "/tables/" in item]


def test_that_the_terminal_writes_a_time_lapse_and_a_strip(folders, tmp_path, capsys):
    film, strip = tmp_path / "film.gif", tmp_path / "strip.csv"
    assert main(["time-lapse", str(folders[0]), "--figure", "cloud", "--out", str(film)]) == 0
    assert main(["time-lapse", str(folders[0]), "--out", str(strip), "--epochs", "0,2"]) == 0
    with Image.open(film) as picture:
        assert picture.n_frames == 2
    with strip.open(encoding="utf-8-sig") as file:
        assert {row["panel"] for row in csv.DictReader(file)} == {"Epoch 0", "Epoch 2"}
    assert main(["time-lapse", str(folders[0]), "--out", str(strip), "--epochs", "7"]) == 1
    assert "no stored epoch" in capsys.readouterr().err
