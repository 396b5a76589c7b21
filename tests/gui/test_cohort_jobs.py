"""What the window does with a cohort in the background: small pictures, checks, changed files."""

from __future__ import annotations

import json
import shutil

import pytest
from PySide6.QtCore import QThread

from core import tasks
from core.data.findings import code_of
from mrifcl_gui.job import running_jobs
from mrifcl_gui.scan_table import Column
from tests.tiny_cohort import drive, make_cohort, make_folder, wait_until_idle

LIMIT_MS = 30_000


@pytest.fixture
def scanned(tmp_path):
    return make_cohort(tmp_path, subjects=12)


def show(qtbot, window, folder):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_cohort(folder)
    wait_until_idle(qtbot)
    return window.cohort_panel


def stored(folder):
    return sorted((folder / "thumbnails").glob("*.png"))


def test_that_rows_in_sight_get_pictures_kept_beside_the_cohort(qtbot, window, scanned):
    threads = []
    window.session.thumbnails_read.connect(lambda *_: threads.append(QThread.currentThread()))
    panel = show(qtbot, window, scanned.folder)
    table = panel.scan_list.table
    qtbot.waitUntil(lambda: not panel.scan_list._thumbnails.missing(rows_in_sight(panel)))
    first = len(stored(scanned.folder))
    assert 3 < first < 24
    assert set(threads) == {window.thread()}
    table.scrollToBottom()
    qtbot.waitUntil(lambda: not panel.scan_list._thumbnails.missing(rows_in_sight(panel)))
    assert len(stored(scanned.folder)) > first
    wait_until_idle(qtbot)


def rows_in_sight(panel):
    scan_list = panel.scan_list
    table, last = scan_list.table, scan_list.table.viewport().height() - 1
    end = table.rowAt(last) if table.rowAt(last) >= 0 else table.model().rowCount() - 1
    keys = [
        (table.model().index(row, Column.SUBJECT).data(), row)
        for row in range(table.rowAt(0), end + 1)
    ]
    by_subject = {scan.subject: scan for scan in panel.cohort.scans}
    return [by_subject[subject] for subject, _ in keys]


def test_that_a_check_of_all_voxels_finds_changed_files_and_stores_it(qtbot, window, scanned):
    panel = show(qtbot, window, scanned.folder)
    assert panel.cohort.warnings == ()
    path = panel.cohort.path_of(panel.cohort.scans[2].files[0])
    path.write_bytes(path.read_bytes() + b"more")
    panel.check_action.trigger()
    assert not panel.check_action.isEnabled()
    qtbot.waitUntil(panel.check_action.isEnabled, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert [code_of(item) for item in panel.cohort.warnings] == ["scan_changed"]
    record = json.loads((scanned.folder / "cohort.json").read_text(encoding="utf-8"))
    assert [item["code"] for item in record["warnings"]] == ["scan_changed"]


def test_that_a_check_can_be_cancelled(qtbot, window, scanned):
    panel = show(qtbot, window, scanned.folder)
    panel.check_action.trigger()
    for job in running_jobs():
        job.cancel()
    qtbot.waitUntil(panel.check_action.isEnabled, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert panel.cohort == scanned.cohort


def test_that_a_scan_whose_file_changed_is_told_and_not_shown(qtbot, window, scanned):
    panel = show(qtbot, window, scanned.folder)
    scan = panel.cohort.scans[5]
    path = panel.cohort.path_of(scan.files[1])
    path.write_bytes(path.read_bytes()[:-9])
    with qtbot.waitSignal(window.session.problem, timeout=LIMIT_MS):
        panel.scan_list.select(scan.key)
    wait_until_idle(qtbot)
    said = panel._problem.text()
    assert said == f"'{path.name}' has changed since it was scanned. Scan the folder again."
    assert panel._problem.isVisible()
    assert panel.viewer.title == ""


def test_that_warnings_are_stored_as_they_are_after_an_edit(qtbot, window, tmp_path):
    folder = make_folder(tmp_path / "scans", subjects=4)
    for source in (folder / "AD").glob("OAS1_0001_*"):
        shutil.copy(source, source.with_name(source.name.replace("0001", "0099")))
    scanned = drive(tasks.scan(folder, out=tmp_path / "c.mrifcl"))
    assert [code_of(item) for item in scanned.cohort.warnings] == ["duplicate_scan"]
    panel = show(qtbot, window, scanned.folder)
    panel.scan_list.include({"OAS1_0099_MR1"}, False)
    wait_until_idle(qtbot)
    opened = drive(tasks.open_cohort(scanned.folder)).cohort
    assert opened.warnings == ()
    assert [scan.key for scan in opened.scans if not scan.included] == ["OAS1_0099_MR1"]
