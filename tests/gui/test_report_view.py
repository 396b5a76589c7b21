"""The Report tab: ticks, preview, and its files."""

from __future__ import annotations

import zipfile

import pytest
from PySide6.QtWidgets import QFileDialog, QPushButton, QToolButton

from core import report
from core.analysis import evaluation, weights
from core.run_folder import Run
from mrifcl_gui.report_pdf import document_of, print_page
from mrifcl_gui.report_view import ReportView
from tests.tiny_cohort import wait_until_idle

LIMIT_MS = 60_000


@pytest.fixture
def view(qtbot, trained, monkeypatch):
    # Drawing every figure takes long, and is tested elsewhere.
    monkeypatch.setattr(report, "run_figures", lambda run: [lambda: weights.fcl_scatter(run)])
    monkeypatch.setattr(report, "run_tables", lambda run: [lambda: evaluation.accuracy_table(run)])
    widget = ReportView()
    widget.problems = []
    widget.problem.connect(widget.problems.append)
    qtbot.addWidget(widget)
    widget.resize(1000, 700)
    widget.show()
    widget.show_runs([Run(trained.by_subject)])
    yield widget
    wait_until_idle(qtbot, LIMIT_MS)


def press(view, words):
    next(b for b in view.findChildren(QPushButton) if b.text() == words).click()


def preview(qtbot, view):
    press(view, "Preview")
    wait_until_idle(qtbot, LIMIT_MS)
    return view.preview.toPlainText()


def test_that_the_preview_shows_what_is_ticked(qtbot, view):
    text = preview(qtbot, view)
    for words in ("MRI-FCL report", "Learning rate", "Accuracy of", "Limits"):
        assert words in text, words
    view.ticks["tables"].setChecked(False)
    assert not view.preview.toPlainText()
    assert "Accuracy of" not in preview(qtbot, view)
    assert not view.problems


def test_that_the_preview_shows_the_pictures(qtbot, view):
    preview(qtbot, view)
    before = view.preview.document().size().height()
    view.ticks["figures"].setChecked(False)
    preview(qtbot, view)
    assert view.preview.document().size().height() < before - 200


@pytest.mark.parametrize(
    ("suffix", "start"), [("html", b"<!doc"), ("pdf", b"%PDF"), ("zip", b"PK")]
)
def test_that_the_report_is_saved_where_the_user_says(
    qtbot, view, tmp_path, monkeypatch, suffix, start
):
    path = tmp_path / "mine"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    jobs = []
    view.job_started.connect(jobs.append)
    menu = view.findChild(QToolButton).menu()
    next(a for a in menu.actions() if a.data() == suffix).trigger()
    wait_until_idle(qtbot, LIMIT_MS)
    assert len(jobs) == 1
    saved = tmp_path / f"mine.{suffix}"
    assert saved.read_bytes().startswith(start)
    assert str(saved) in view._words.text()
    assert view._open.isVisible()


def test_that_a_previewed_page_is_saved_without_drawing_it_again(
    qtbot, view, tmp_path, monkeypatch
):
    preview(qtbot, view)
    monkeypatch.setattr(report, "run_figures", lambda run: pytest.fail("drawn again"))
    view.save_to(tmp_path / "page.html")
    wait_until_idle(qtbot, LIMIT_MS)
    assert "Accuracy of" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not view.problems


def test_that_several_runs_are_in_one_report(qtbot, view, trained):
    view.show_runs([Run(trained.by_subject), Run(trained.by_slice)])
    text = preview(qtbot, view)
    assert "Runs compared" in text
    assert trained.by_subject.name in text
    assert trained.by_slice.name in text


def test_that_a_folder_that_cannot_be_written_is_told(qtbot, view, tmp_path):
    (tmp_path / "file").write_text("")
    for suffix in ("html", "pdf", "zip"):
        view.save_to(tmp_path / "file" / f"report.{suffix}")
        wait_until_idle(qtbot, LIMIT_MS)
    assert len(view.problems) == 3
    assert all("Choose another folder" in str(problem) for problem in view.problems)


def test_that_a_wide_picture_is_no_wider_than_the_page(qtbot, view):
    text = preview(qtbot, view)
    assert text
    document = document_of(view._page, width=400)
    document.setTextWidth(460)
    assert document.idealWidth() <= 460


def test_that_a_long_page_is_printed_on_several_pages(qapp, tmp_path):
    page = "<html><body>" + "<p>words</p>" * 300 + "</body></html>"
    path = print_page(page, tmp_path / "long.pdf")
    content = path.read_bytes()
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") > 3


def test_that_the_zip_has_the_shown_runs(qtbot, view, trained, tmp_path):
    view.save_to(tmp_path / "all.zip")
    wait_until_idle(qtbot, LIMIT_MS)
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert any(name.startswith(trained.by_subject.name) for name in archive.namelist())
