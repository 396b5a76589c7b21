"""The question how to read a folder: what it shows, what can be changed, what is then scanned."""

from __future__ import annotations

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QPushButton

from core.data.cohort import load_cohort, save_cohort
from core.data.study_keys import KEY_FILE
from mrifcl_gui import preferences
from mrifcl_gui.job import running_jobs
from tests.core.data.dicom_builder import write_series
from tests.tiny_cohort import confirm_folder, make_folder, shown_dialog, wait_until_idle

LIMIT_MS = 30_000
VOXELS = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10)


@pytest.fixture
def oasis(tmp_path):
    folder, ratings = tmp_path / "oasis", ("0", "0.5", "1", "2", "")
    rows = ["ID,Age,MMSE,CDR"]
    for number, rating in enumerate(ratings):
        name = f"OAS1_{number + 1:04d}_MR1"
        rows.append(f"{name},70,28,{rating}")
        path = folder / "disc1" / name / f"{name}_t88_masked_gfc.nii"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(VOXELS + number, np.eye(4)), path)
    (folder / "oasis_cross-sectional.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def flat(tmp_path):
    """Scans without class folders, and a table elsewhere that knows them by other names."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(4):
        image = nib.Nifti1Image(VOXELS + number, np.eye(4))
        nib.save(image, folder / f"patient{number}_scan.nii")
    rows = [f"patient{number};{'AD' if number % 2 else 'NC'};{number % 3}" for number in range(4)]
    (tmp_path / "groups.csv").write_text("\n".join(["id;diagnosis;site", *rows]))
    return folder


def ask(qtbot, window, *folders):
    """Open folders and return the question."""
    window.session.open_paths(list(folders))
    return shown_dialog(qtbot, window)


def settle(qtbot, dialog):
    """Wait until a change has been looked at."""
    qtbot.waitUntil(lambda: not dialog._is_waiting, timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def scan_button(dialog):
    return next(b for b in dialog.findChildren(QPushButton) if b.text().startswith("Scan"))


def press_scan(qtbot, window, dialog):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        qtbot.mouseClick(scan_button(dialog), Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot)
    return window.session.opened.cohort


def type_pattern(qtbot, dialog, text):
    edit = next(
        e for e in dialog.findChildren(QLineEdit) if e.accessibleName() == "Subject pattern"
    )
    edit.setFocus()
    edit.clear()
    qtbot.keyClicks(edit, text)


def classes_of(dialog):
    listed = dialog._classes
    return [listed.item(row).text() for row in range(listed.count())]


def column_of(dialog, column):
    rows = dialog._rows
    return [rows.item(row, column).text() for row in range(rows.rowCount())]


def labels_of(cohort):
    return {scan.subject: scan.label for scan in cohort.scans}


def test_that_nothing_is_scanned_before_it_is_confirmed(qtbot, window, tmp_path):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    assert dialog._heading.text() == "Slices already cut, in a folder for each class: AD, NC"
    assert classes_of(dialog) == ["AD: 3 subjects, 12 files", "NC: 3 subjects, 12 files"]
    assert "AD/OAS1_0001_MR1_s00.jpg" in column_of(dialog, 0)
    assert "OAS1_0001" in column_of(dialog, 1)
    assert scan_button(dialog).text() == "Scan 6 subjects"
    wait_until_idle(qtbot)
    assert window.session.opened is None
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    wait_until_idle(qtbot)
    assert window.session.opened is None
    assert not (window.session.data_folder / "cohorts").exists()


def test_that_the_classes_are_at_the_top_where_nothing_is_left_out(qtbot, window, tmp_path):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    tops = [
        widget.mapTo(dialog, widget.rect().topLeft()).y()
        for widget in (dialog._classes, dialog._rows)
    ]
    assert abs(tops[0] - tops[1]) <= 4


def test_that_enter_scans_what_is_shown(qtbot, window, tmp_path):
    window.session.open_paths([make_folder(tmp_path / "scans", subjects=3)])
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        confirm_folder(qtbot, window)
    assert len(window.session.opened.cohort.subjects) == 6
    wait_until_idle(qtbot)
    assert not window.problems


def test_that_a_class_that_is_not_ticked_is_not_scanned(qtbot, window, tmp_path):
    folder = make_folder(tmp_path / "scans", classes=("AD", "MCI", "NC"), subjects=3)
    dialog = ask(qtbot, window, folder)
    dialog._classes.item(1).setCheckState(Qt.CheckState.Unchecked)
    assert scan_button(dialog).text() == "Scan 6 subjects"
    assert press_scan(qtbot, window, dialog).classes == ("AD", "NC")


def test_that_without_a_class_there_is_nothing_to_scan(qtbot, window, tmp_path):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    for row in range(2):
        dialog._classes.item(row).setCheckState(Qt.CheckState.Unchecked)
    assert not scan_button(dialog).isEnabled()
    assert "Tick at least one" in dialog._problem.text()
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.isVisible()


def test_that_oasis_ratings_can_be_given_other_classes(qtbot, window, oasis):
    dialog = ask(qtbot, window, oasis)
    assert dialog._heading.text() == "Discs of OASIS-1"
    assert classes_of(dialog) == [
        "AD: 2 subjects, 2 files",
        "MCI: 1 subject, 1 file",
        "NC: 1 subject, 1 file",
    ]
    assert "no CDR, as young subjects were not rated" in dialog._left_out.text()
    mild = dialog._form._ratings[1]
    mild.setCurrentIndex(mild.findText("AD"))
    settle(qtbot, dialog)
    assert classes_of(dialog) == ["AD: 3 subjects, 3 files", "NC: 1 subject, 1 file"]
    mild.setCurrentIndex(mild.findText("leave out"))
    settle(qtbot, dialog)
    cohort = press_scan(qtbot, window, dialog)
    assert labels_of(cohort) == {"OAS1_0001": "NC", "OAS1_0003": "AD", "OAS1_0004": "AD"}


def test_that_ratings_without_any_class_are_told(qtbot, window, oasis):
    dialog = ask(qtbot, window, oasis)
    for combo in dialog._form._ratings:
        combo.setCurrentIndex(combo.findText("leave out"))
    settle(qtbot, dialog)
    assert dialog._problem.text().startswith("No rating (CDR) has a class.")
    assert not scan_button(dialog).isEnabled()


def test_that_another_layout_can_be_chosen(qtbot, window, oasis):
    dialog = ask(qtbot, window, oasis)
    kind = dialog._form._kind
    kind.setCurrentIndex(kind.findText("Class folders"))
    settle(qtbot, dialog)
    assert classes_of(dialog) == ["disc1: 5 subjects, 5 files"]
    kind.setCurrentIndex(kind.findText("OASIS-1 discs with oasis_cross-sectional.csv"))
    settle(qtbot, dialog)
    assert len(classes_of(dialog)) == 3


def test_that_a_table_its_column_and_a_pattern_give_the_classes(
    qtbot, window, flat, tmp_path, monkeypatch
):
    dialog = ask(qtbot, window, flat)
    assert not scan_button(dialog).isEnabled()
    assert "No scan in 'flat' has a class" in dialog._problem.text()
    table = str(tmp_path / "groups.csv")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_: (table, "")))
    kind = dialog._form._kind
    kind.setCurrentIndex(kind.findText("Folder of scans with a table of labels"))
    settle(qtbot, dialog)
    choose = next(b for b in dialog.findChildren(QPushButton) if b.text() == "Choose table…")
    qtbot.mouseClick(choose, Qt.MouseButton.LeftButton)
    settle(qtbot, dialog)
    assert "which names patient0, patient1, patient2 and 1 more" in dialog._problem.text()
    type_pattern(qtbot, dialog, r"(?P<subject>patient\d)")
    settle(qtbot, dialog)
    assert dialog._form._state.text() == "It tells the subject of 4 of 4 files."
    assert classes_of(dialog) == ["AD: 2 subjects, 2 files", "NC: 2 subjects, 2 files"]
    columns = dialog._form._label
    columns.setCurrentIndex(columns.findText("site"))
    settle(qtbot, dialog)
    assert [text.partition(":")[0] for text in classes_of(dialog)] == ["0", "1", "2"]
    cohort = press_scan(qtbot, window, dialog)
    assert labels_of(cohort) == {f"patient{n}": str(n % 3) for n in range(4)}


def test_that_a_table_that_cannot_be_read_is_told_in_the_dialog(
    qtbot, window, tmp_path, monkeypatch
):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    (tmp_path / "empty.csv").touch()
    chosen = str(tmp_path / "empty.csv")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_: (chosen, "")))
    dialog._form._on_choose_table()
    settle(qtbot, dialog)
    assert "'empty.csv' is empty" in dialog._problem.text()
    assert not scan_button(dialog).isEnabled()
    assert not window.problems


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(?P<subject>", "no regular expression"), ("OAS1", "has no group called subject")],
)
def test_that_a_bad_pattern_is_told_below_it_and_stops_nothing(
    qtbot, window, tmp_path, pattern, words
):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    type_pattern(qtbot, dialog, pattern)
    assert words in dialog._form._state.text()
    assert not scan_button(dialog).isEnabled()
    type_pattern(qtbot, dialog, "(?P<subject>OAS1_000[1-3])")
    settle(qtbot, dialog)
    state = dialog._form._state.text()
    assert state == "It tells the subject of 12 of 24 files. The others are read by their names."
    assert scan_button(dialog).isEnabled()
    assert not window.problems


def test_that_a_pattern_is_remembered_for_its_folder_alone(qtbot, window, tmp_path):
    folder = make_folder(tmp_path / "scans", subjects=3)
    dialog = ask(qtbot, window, folder)
    type_pattern(qtbot, dialog, r"(?P<subject>OAS1_\d+)")
    settle(qtbot, dialog)
    press_scan(qtbot, window, dialog)
    assert preferences.folder_pattern(folder) == r"(?P<subject>OAS1_\d+)"
    assert preferences.folder_pattern(tmp_path / "other") == ""
    again = ask(qtbot, window, folder)
    assert again._form._pattern.text() == r"(?P<subject>OAS1_\d+)"


def test_that_scanning_again_goes_into_the_same_cohort_and_keeps_changes(qtbot, window, tmp_path):
    folder = make_folder(tmp_path / "scans", subjects=3)
    press_scan(qtbot, window, ask(qtbot, window, folder))
    stored = window.session.opened.folder
    cohort = load_cohort(stored)
    first = dataclasses.replace(cohort.scans[0], included=False)
    save_cohort(cohort.with_scans([first, *cohort.scans[1:]]), stored)
    dialog = ask(qtbot, window, folder)
    text = "Scan into the cohort 'scans' of this folder again and keep your changes to 1 scan"
    assert dialog._again.text() == text
    renewed = press_scan(qtbot, window, dialog)
    assert window.session.opened.folder == stored
    assert not renewed.scans[0].included
    shown = [
        label.text() for label in window.cohort_panel.findChildren(QLabel) if label.isVisible()
    ]
    assert any("Your changes to 1 scan were kept" in text for text in shown)


def test_that_scanning_again_into_a_new_cohort_leaves_the_first(qtbot, window, tmp_path):
    folder = make_folder(tmp_path / "scans", subjects=3)
    press_scan(qtbot, window, ask(qtbot, window, folder))
    dialog = ask(qtbot, window, folder)
    dialog._again.setChecked(False)
    press_scan(qtbot, window, dialog)
    assert window.session.opened.folder.name == "scans-2.mrifcl"


@pytest.mark.parametrize("is_asked", [False, True])
def test_that_a_key_file_is_written_only_where_it_is_asked(qtbot, window, tmp_path, is_asked):
    for number, label in enumerate(("AD", "NC")):
        folder = tmp_path / "dicoms" / label / "1"
        write_series(folder, VOXELS + number, patient=f"P{number}", series=f"1.2.{number + 4}")
    dialog = ask(qtbot, window, tmp_path / "dicoms")
    assert scan_button(dialog).text() == "Scan 20 DICOM files"
    assert dialog._key_file.isVisible()
    assert not dialog._key_file.isChecked()
    dialog._key_file.setChecked(is_asked)
    cohort = press_scan(qtbot, window, dialog)
    assert cohort.subjects == ("sub-001", "sub-002")
    assert (tmp_path / "dicoms" / KEY_FILE).exists() is is_asked


def test_that_no_key_file_is_offered_where_names_tell_the_subjects(qtbot, window, tmp_path):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    assert not dialog._key_file.isVisible()
    assert not dialog._again.isVisible()


def test_that_several_dropped_folders_are_asked_about_together(qtbot, window, tmp_path):
    folder = make_folder(tmp_path / "scans", classes=("AD", "MCI", "NC"), subjects=3)
    dialog = ask(qtbot, window, folder / "NC", folder / "AD")
    assert "2 folders: 'NC', 'AD'." in dialog._words.text()
    kind = dialog._form._kind
    kind.setCurrentIndex(kind.count() - 1)
    settle(qtbot, dialog)
    assert not scan_button(dialog).isEnabled()
    kind.setCurrentIndex(kind.findText("Each dropped folder is a class"))
    settle(qtbot, dialog)
    cohort = press_scan(qtbot, window, dialog)
    assert cohort.counts()["AD"]["subjects"] == cohort.counts()["NC"]["subjects"] == 3
    assert cohort.classes == ("AD", "NC")


def test_that_opening_another_folder_replaces_the_question(qtbot, window, tmp_path):
    first = ask(qtbot, window, make_folder(tmp_path / "one", subjects=3))
    window.session.open_paths([make_folder(tmp_path / "two", subjects=4)])
    wait_until_idle(qtbot)
    dialog = shown_dialog(qtbot, window)
    assert dialog is not first
    assert scan_button(dialog).text() == "Scan 8 subjects"


def test_that_the_window_closes_while_it_asks(qtbot, window, tmp_path):
    dialog = ask(qtbot, window, make_folder(tmp_path / "scans", subjects=3))
    type_pattern(qtbot, dialog, "(?P<subject>O)")
    assert window.close()
    assert not running_jobs()
