"""What is dropped on the window: each kind does what it is for, the rest is refused in words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QMessageBox

from core.data.table_kind import table_kind
from core.errors import CohortError
from mrifcl_gui.fit_window import FitWindow
from mrifcl_gui.open_folder_dialog import OpenFolderDialog
from mrifcl_gui.place_rail import PLACES
from tests.tiny_cohort import confirm_folder, make_folder, wait_until_idle

LIMIT_MS = 30_000
LEFT, NO_KEY = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def hold(widget, *paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDragEnterEvent(QPointF(99, 99).toPoint(), Qt.DropAction.CopyAction, data, LEFT, NO_KEY)
    event.setAccepted(False)
    QApplication.sendEvent(widget, event)
    return data, event.isAccepted()


def drop(widget, *paths):
    data, is_taken = hold(widget, *paths)
    assert is_taken
    QApplication.sendEvent(
        widget, QDropEvent(QPointF(99, 99), Qt.DropAction.CopyAction, data, LEFT, NO_KEY)
    )


def in_front(window):
    return PLACES[window._places.currentIndex()]


def texts_of_dialogs(window):
    boxes = [box for box in window.findChildren(QMessageBox) if box.isVisible()]
    texts = [box.text() for box in boxes]
    for box in boxes:
        box.close()
    return texts


@pytest.mark.parametrize("place", ["cohort", "runs", "analyse"])
def test_that_a_weights_file_dropped_on_any_place_is_what_training_starts_from(
    qtbot, window, tmp_path, place
):
    file = tmp_path / "earlier.safetensors"
    file.write_bytes(b"12345678")
    window.go_to(place)
    drop(window, file)
    wait_until_idle(qtbot)
    assert in_front(window) == "train"
    assert window.training_panel.form.editor("weights").text() == str(file)


def test_that_two_weights_files_are_refused_in_words(qtbot, window, tmp_path):
    files = [tmp_path / name for name in ("a.pth", "b.pth")]
    for file in files:
        file.write_bytes(b"x")
    drop(window, *files)
    wait_until_idle(qtbot)
    assert texts_of_dialogs(window) == ["Drop one weights file at a time: a run starts from one."]
    assert window.training_panel.form.editor("weights").text() == ""


def test_that_exported_weights_are_fitted_in_a_window(qtbot, window, tmp_path):
    table = tmp_path / "fcl_weights.csv"
    x = np.random.default_rng(1).normal(size=40)
    rows = [f"{n},{a},{0.3 * a * a - a}" for n, a in enumerate(x)]
    table.write_text("\n".join(["feature,AD,NC", *rows]))
    drop(window, table)
    qtbot.waitUntil(lambda: bool(window.findChildren(FitWindow)), timeout=LIMIT_MS)
    (shown,) = window.findChildren(FitWindow)
    qtbot.waitUntil(lambda: shown.figure_view.figure() is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert shown.figure_view.figure().title == "NC against AD"
    assert "40 rows of 'fcl_weights.csv'" in shown.figure_view.figure().caption
    assert len(shown.table_view.table().rows) >= 3
    shown.close()


def test_that_a_table_that_cannot_be_fitted_says_why(qtbot, window, tmp_path):
    table = tmp_path / "words.csv"
    table.write_text("town,country\nJena,DE\nGwangju,KR\n")
    drop(window, table)
    qtbot.waitUntil(lambda: bool(window.findChildren(FitWindow)), timeout=LIMIT_MS)
    (shown,) = window.findChildren(FitWindow)
    qtbot.waitUntil(lambda: "no two columns of numbers" in shown.state.text(), timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    shown.close()


def test_that_a_folder_with_its_table_of_labels_is_read_with_it(qtbot, window, tmp_path):
    scans = make_folder(tmp_path / "scans", subjects=3)
    flat = tmp_path / "flat"
    flat.mkdir()
    rows = ["subject,class"]
    for file in sorted(scans.rglob("*.jpg")):
        file.rename(flat / file.name)
        rows.append(f"{file.name[:9]},{file.parent.name}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(dict.fromkeys(rows)))
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        drop(window, flat, table)
        confirm_folder(qtbot, window)
    wait_until_idle(qtbot)
    assert window.session.opened.cohort.classes == ("AD", "NC")


def test_that_a_table_of_labels_alone_says_what_it_needs(qtbot, window, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("subject,class\nOAS1_0001,AD\n")
    drop(window, table)
    wait_until_idle(qtbot)
    (text,) = texts_of_dialogs(window) or [window.cohort_panel._problem.text()]
    assert "Drop it together with the folder" in text


def test_that_a_split_dropped_on_an_open_cohort_is_used(qtbot, window, trained):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        drop(window, trained.scanned.folder)
    wait_until_idle(qtbot)
    split = trained.by_subject / "split.csv"
    with qtbot.waitSignal(window.session.settings_changed, timeout=LIMIT_MS):
        drop(window, split)
    wait_until_idle(qtbot)
    assert window.session.settings.split.split_file == str(split)
    assert window.audit_window.isVisible()
    window.audit_window.close()


def test_that_a_split_without_a_cohort_says_to_open_one(qtbot, window, trained):
    drop(window, trained.by_subject / "split.csv")
    wait_until_idle(qtbot)
    (text,) = texts_of_dialogs(window) or [window.cohort_panel._problem.text()]
    assert "Open the cohort it is for first" in text


def test_that_a_cohort_and_several_runs_are_opened_at_once(qtbot, window, trained):
    drop(window, trained.scanned.folder, trained.by_subject, trained.by_slice / "run.json")
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert window.session.opened is not None
    assert window.analysis_tabs._choice.count() == 2


def test_that_what_is_of_no_use_is_named_with_what_may_be_dropped(qtbot, window, tmp_path):
    files = [tmp_path / f"{n}.docx" for n in range(5)]
    for file in files:
        file.write_text("x")
    drop(window, *files)
    wait_until_idle(qtbot)
    (text,) = texts_of_dialogs(window)
    assert text.startswith("'0.docx', '1.docx', '2.docx' and 2 more are no folders.")
    assert ".safetensors" in text


def test_that_ten_thousand_items_are_cut_and_said(qtbot, window, tmp_path):
    drop(window, *[tmp_path / f"{n}.docx" for n in range(10_000)])
    wait_until_idle(qtbot)
    (text,) = texts_of_dialogs(window)
    assert "9800 items were left out" in text


def test_that_the_window_is_marked_only_while_something_is_held_over_it(window, tmp_path):
    window.go_to("runs")
    assert window._drop_frame is None
    hold(window, tmp_path / "w.pth")
    assert window._drop_frame.isVisible()
    assert "weights" in window._drop_frame.words
    QApplication.sendEvent(window, QDragLeaveEvent())
    assert not window._drop_frame.isVisible()


def test_that_a_table_dropped_on_the_question_about_a_folder_gives_its_classes(
    qtbot, window, tmp_path
):
    window.session.open_paths([make_folder(tmp_path / "scans", subjects=3)])
    qtbot.waitUntil(lambda: bool(window.findChildren(OpenFolderDialog)), timeout=LIMIT_MS)
    (dialog,) = window.findChildren(OpenFolderDialog)
    table = tmp_path / "labels.csv"
    table.write_text("subject,class\nOAS1_0001,AD\n")
    with qtbot.waitSignal(dialog.table_chosen) as signal:
        drop(dialog, table)
    assert signal.args[1] == table
    wait_until_idle(qtbot)
    for shown in window.findChildren(OpenFolderDialog):
        shown.reject()


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("subject;part", "split"),
        ("scan,slice,part", "split"),
        ("participant_id\tdiagnosis", "labels"),
        ("ID,M/F,Age,MMSE,CDR", "labels"),
        ("feature,AD,NC", "numbers"),
    ],
)
def test_that_a_table_is_known_by_its_columns(tmp_path, header, kind):
    file = tmp_path / "table.csv"
    mark = next((mark for mark in ";\t," if mark in header), ",")
    file.write_text(f"{header}\n{mark.join('1' for _ in header.split(mark))}\n")
    assert table_kind(file) == kind


def test_that_a_table_of_one_column_is_refused_in_words(tmp_path):
    file = tmp_path / "one.csv"
    file.write_text("town\nJena\n")
    with pytest.raises(CohortError, match=r"'one.csv' is no table of use here"):
        table_kind(file)


def test_that_the_record_of_a_run_opens_the_run(qtbot, window, trained):
    record = trained.by_subject / "run.json"
    assert json.loads(record.read_text())
    drop(window, record)
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert window.analysis_tabs.run.path == trained.by_subject
