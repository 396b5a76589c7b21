"""The audit on screen: of the open cohort in its window, of a run in its tab."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from core import config, tasks
from core.config import RunSettings
from core.run_folder import Run
from mrifcl_gui.audit_page import AuditPage
from tests.tiny_cohort import TINY_VALUES, drive, make_folder, tiny, wait_until_idle

LIMIT_MS = 60_000


@pytest.fixture
def page(qtbot):
    page = AuditPage()
    page.problems = []
    page.problem.connect(page.problems.append)
    qtbot.addWidget(page)
    page.resize(1100, 700)
    page.show()
    page.set_active(True)
    yield page
    wait_until_idle(qtbot)


@pytest.fixture
def scanned(tmp_path):
    """A cohort that is not cut yet; slices of a test subject are there under a train subject."""
    folder = make_folder(tmp_path / "scans", size=48)
    cohort = drive(tasks.scan(folder, out=tmp_path / "first.mrifcl")).cohort
    settings = tiny(size=48)
    kept = drive(tasks.keep_split(tmp_path / "first.mrifcl", settings, tmp_path / "split.csv"))
    with kept.path.open(encoding="utf-8", newline="") as file:
        part_of = {row["subject"]: row["part"] for row in csv.DictReader(file)}
    of = {
        part: [s for s in cohort.scans if part_of[s.subject] == part] for part in ("train", "test")
    }
    source, target = (of[part][0] for part in ("train", "test"))
    shutil.copyfile(cohort.path_of(source.files[0]), cohort.path_of(target.files[1]))
    return drive(tasks.scan(folder, out=tmp_path / "tiny.mrifcl"))


def audited(qtbot, page, path, settings):
    page.set_target(path, settings)
    qtbot.waitUntil(lambda: page.view.audit is not None, timeout=LIMIT_MS)
    return page.view.audit


def test_that_slices_are_told_as_not_compared_until_they_are(qtbot, page, scanned):
    audit = audited(qtbot, page, scanned.folder, tiny(size=48))
    assert not audit.is_compared
    assert "not compared yet" in page.view.verdict
    assert page.view.compare.isVisible()
    assert not (scanned.folder / "slices").exists()
    with qtbot.waitSignal(page.audited, timeout=LIMIT_MS):
        qtbot.mouseClick(page.view.compare, Qt.MouseButton.LeftButton)
    assert page.view.audit.duplicate_slices == 2
    assert page.view.verdict == "✕ The split leaks"
    assert not page.view.compare.isVisible()
    wait_until_idle(qtbot)
    # Another seed is compared at once: the cache has the slices.
    assert audited(qtbot, page, scanned.folder, tiny(size=48, seed=3)).is_compared


def test_that_the_matrices_mark_a_leak_by_symbol_and_word(qtbot, page, scanned):
    audit = audited(qtbot, page, scanned.folder, tiny(size=48, mode="slice"))
    figure = page.view.figure_view.figure()
    titles = [panel.title for panel in figure.panels]
    assert titles[0] == "Subjects: ✕ leak"
    assert titles[1] == "Equal: ○ not compared"
    subjects = figure.panels[0].layers[0]
    assert subjects.texts[0][2] == f"✕ {audit.shared[0, 2]}"
    assert f"{audit.shared_subjects} subjects" in figure.warning
    assert "Split by subject" in figure.warning


def test_that_a_chosen_pair_is_shown_side_by_side(qtbot, page, scanned):
    audit = audited(qtbot, page, scanned.folder, tiny(size=48, mode="slice"))
    page.view.pairs.view.selectRow(1)
    qtbot.waitUntil(lambda: page.view.first.has_slice, timeout=LIMIT_MS)
    assert page.view.second.has_slice
    pair = audit.pairs[1]
    for side, picture in ((pair.first, page.view.first), (pair.second, page.view.second)):
        assert side.words in picture.text
        assert side.subject in picture.text
        assert picture.text.endswith(side.part)


def test_that_a_pair_whose_scan_has_gone_is_said_in_its_place(qtbot, page, scanned):
    audited(qtbot, page, scanned.folder, tiny(size=48, mode="slice"))
    shutil.rmtree(scanned.cohort.root / "AD")
    page.view.pairs.view.selectRow(0)
    assert page.view.first.text == "Reading the slices…"
    qtbot.waitUntil(lambda: "OAS1_0001" in page.view.first.text, timeout=LIMIT_MS)
    assert not page.view.first.has_slice


def test_that_figure_matrix_and_pairs_are_exported(qtbot, page, scanned, tmp_path):
    audit = audited(qtbot, page, scanned.folder, tiny(size=48, mode="slice"))
    out = tmp_path / "out"
    out.mkdir()
    wanted = (
        ("Figure", "leak.png"),
        ("Figure", "leak.svg"),
        ("Matrix", "m.csv"),
        ("Pairs", "p.csv"),
    )
    for title, name in wanted:
        exporter = page.view.exporters[title]
        with qtbot.waitSignal(exporter.saved, timeout=LIMIT_MS):
            assert exporter.save_to(out / name)
    assert Image.open(out / "leak.png").size[0] > 1000
    assert (out / "leak.svg").read_text(encoding="utf-8").count("<svg") == 1
    with (out / "m.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["other_part"] == "test"
    assert rows[1]["shared_subjects"] == str(audit.shared[0, 2])
    assert {row["duplicate_slices"] for row in rows} == {""}
    with (out / "p.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(audit.pairs)


def test_that_the_split_is_kept_and_brought_again(qtbot, page, scanned, tmp_path, monkeypatch):
    settings = tiny(size=48, seed=4)
    before = audited(qtbot, page, scanned.folder, settings)
    chosen = tmp_path / "mine"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(chosen), ""))
    qtbot.mouseClick(page.view.keep, Qt.MouseButton.LeftButton)
    qtbot.waitUntil((tmp_path / "mine.csv").exists, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    brought = tiny(size=48, seed=9, split_file=str(tmp_path / "mine.csv"))
    page.view.clear("")
    after = audited(qtbot, page, scanned.folder, brought)
    assert after.words == "by subject, from file mine.csv"
    assert (after.subjects, after.slices) == (before.subjects, before.slices)


def test_that_rows_that_do_not_fit_are_listed(qtbot, page, scanned, tmp_path):
    file = tmp_path / "short.csv"
    names = scanned.cohort.subjects
    rows = [f"{name},{('train', 'validation', 'test')[n % 3]}" for n, name in enumerate(names[2:])]
    file.write_text("\n".join(["subject,part", *rows, "nobody,test", ""]), encoding="utf-8")
    page.set_target(scanned.folder, tiny(size=48, split_file=str(file)))
    qtbot.waitUntil(lambda: "cannot be used" in page.view.verdict, timeout=LIMIT_MS)
    listed = {row[:2] for row in page.view.unfit.table().rows}
    assert listed == {("missing", names[0]), ("missing", names[1]), ("unknown", "nobody")}
    assert page.view.audit is None


def test_that_comparing_is_stopped_and_leaves_what_is_known(qtbot, page, scanned):
    audited(qtbot, page, scanned.folder, tiny(size=48))
    page.compare_slices()
    qtbot.mouseClick(page.view.stop, Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot)
    assert not page.view.audit.is_compared
    assert page.view.compare.isEnabled()
    assert not page.view.stop.isVisible()


def test_that_nothing_is_audited_while_not_on_screen(qtbot, page, scanned):
    page.set_active(False)
    page.set_target(scanned.folder, tiny(size=48))
    wait_until_idle(qtbot)
    assert page.view.audit is None
    page.set_active(True)
    qtbot.waitUntil(lambda: page.view.audit is not None, timeout=LIMIT_MS)


def test_that_a_run_is_audited_without_its_cohort(qtbot, page, trained):
    shutil.rmtree(trained.scanned.folder)
    run = Run(trained.by_slice)
    audit = audited(qtbot, page, run.path, run.settings)
    assert audit.shared_subjects == run.record["shared_subjects"] > 0
    assert audit.words == "by slice 5:2:3, seed 0"
    assert audit.is_compared  # the run's record has the counts
    assert page.view.verdict == "✕ The split leaks"


def test_that_the_tab_of_analyse_follows_the_run(qtbot, window, trained):
    window.session.open_runs([trained.by_subject, trained.by_slice])
    tabs = window.analysis_tabs
    qtbot.waitUntil(lambda: tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert "split by subject 5:2:3, seed 0" in tabs._facts.text()
    tabs.tabs.setCurrentWidget(tabs.audit)
    qtbot.waitUntil(lambda: tabs.audit.view.verdict == "✓ No leak", timeout=LIMIT_MS)
    tabs._choice.setCurrentIndex(1)
    qtbot.waitUntil(lambda: tabs.audit.view.verdict == "✕ The split leaks", timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def test_that_the_button_beside_the_split_opens_the_audit(qtbot, window, scanned):
    window.training_panel.set_settings(config.change(RunSettings(), {**TINY_VALUES, "size": 48}))
    window.cohort_link.take_settings()
    window.session.open_cohort(scanned.folder)
    panel = window.cohort_panel
    qtbot.waitUntil(lambda: panel._audit.text() == "Audit: no leak so far", timeout=LIMIT_MS)
    qtbot.mouseClick(panel._audit, Qt.MouseButton.LeftButton)
    page = window.audit_window.page
    qtbot.waitUntil(lambda: page.view.audit is not None, timeout=LIMIT_MS)
    page.compare_slices()
    qtbot.waitUntil(lambda: panel._audit.text() == "Audit: leaks", timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    window.audit_window.close()


def test_that_a_split_file_that_does_not_fit_is_said_beside_the_split(
    qtbot, window, scanned, tmp_path
):
    file = tmp_path / "short.csv"
    file.write_text("subject,part\nnobody,test\n", encoding="utf-8")
    values = {**TINY_VALUES, "size": 48, "split_file": str(file)}
    window.training_panel.set_settings(config.change(RunSettings(), values))
    window.cohort_link.take_settings()
    window.session.open_cohort(scanned.folder)
    panel = window.cohort_panel
    qtbot.waitUntil(lambda: panel._audit.text() == "Audit: split fails", timeout=LIMIT_MS)
    assert panel._split_label.text() == "Split: from file short.csv"
    assert "leaves out" in panel._audit.toolTip()
    wait_until_idle(qtbot)


def test_that_a_split_file_is_brought_and_given_up_in_the_window(
    qtbot, window, scanned, tmp_path, monkeypatch
):
    window.training_panel.set_settings(config.change(RunSettings(), {**TINY_VALUES, "size": 48}))
    window.cohort_link.take_settings()
    window.session.open_cohort(scanned.folder)
    label = window.cohort_panel._split_label
    qtbot.waitUntil(lambda: label.text() == "Split: by subject 5:2:3, seed 0", timeout=LIMIT_MS)
    file = tmp_path / "mine.csv"
    drive(tasks.keep_split(scanned.folder, tiny(seed=5), file))
    window.show_audit()
    view = window.audit_window.page.view
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    qtbot.mouseClick(view.bring, Qt.MouseButton.LeftButton)
    said = "Split: by subject, from file mine.csv"
    qtbot.waitUntil(lambda: label.text() == said, timeout=LIMIT_MS)
    assert window.training_panel.settings().split.split_file == str(file)
    assert window.training_panel.settings().training.network == "cnn2d"
    qtbot.waitUntil(view.draw.isVisible, timeout=LIMIT_MS)
    qtbot.mouseClick(view.draw, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: label.text() == "Split: by subject 5:2:3, seed 0", timeout=LIMIT_MS)
    assert not view.draw.isVisible()
    wait_until_idle(qtbot)
    window.audit_window.close()


def test_that_the_picture_of_a_slice_is_drawn(qtbot, page):
    picture = page.view.first
    picture.show_slice(np.full((40, 40), 200, dtype=np.uint8), "a name")
    grabbed = picture.grab().toImage()
    middle = grabbed.pixelColor(grabbed.width() // 2, grabbed.height() // 3)
    assert middle.red() == pytest.approx(200, abs=2)
