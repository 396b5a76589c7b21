"""The cohort's place: table, changes with undo, drops, and the welcome before it."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QMenu, QPushButton, QSplitter

from core.data.cohort import Cohort, Scan, Skipped
from core.data.findings import Finding, code_of
from core.data.volume import Volume
from mrifcl_gui import preferences
from mrifcl_gui.cohort_panel import CohortPanel
from mrifcl_gui.scan_table import Column, with_included, with_label
from mrifcl_gui.thumbnails import SIDE


def make_scan(subject, label, *, session="MR1", kind="volume", **values):
    files = (f"{subject}.nii",) if kind == "volume" else (f"{subject}_4.png", f"{subject}_5.png")
    return Scan(
        key=f"{subject}_{session}",
        subject=subject,
        session=session,
        label=label,
        kind=kind,
        files=files,
        slice_numbers=() if kind == "volume" else (4, 5),
        shape=(8, 9, 10) if kind == "volume" else (12, 16),
        spacing_mm=(1.0, 2.0, 3.0) if kind == "volume" else (),
        **values,
    )


def make_cohort(**values):
    scans = (
        *(make_scan(f"A{number}", "AD") for number in (1, 2, 10)),
        make_scan("A1", "AD", session="MR2", warnings=("Left and right are not certain.", "Two.")),
        *(make_scan(f"N{number}", "NC", kind="slices") for number in (1, 2, 3)),
    )
    return Cohort(root=Path("scans"), classes=("AD", "NC"), scans=scans, **values)


def make_volume():
    return Volume(np.arange(720, dtype=np.float32).reshape(8, 9, 10), np.eye(4), (1.0, 2.0, 3.0))


PICTURES = np.zeros((2, 12, 16), dtype=np.uint8)


@pytest.fixture
def panel(qtbot):
    widget = CohortPanel()
    qtbot.addWidget(widget)
    widget.resize(1200, 720)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


@pytest.fixture
def shown(panel):
    panel.show_cohort(make_cohort())
    return panel


def cells(panel, column):
    model = panel.scan_list.table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def click_cell(qtbot, panel, row, column, *, modifier=Qt.KeyboardModifier.NoModifier):
    table = panel.scan_list.table
    point = table.visualRect(table.model().index(row, column)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, modifier, point)


def header_texts(panel):
    # New labels are shown, and old ones deleted, by the event loop.
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    return [
        label.text()
        for label in panel.scan_list.findChildren(QLabel)
        if label.isVisible() and label.text()
    ]


# The table


def test_that_every_scan_has_a_row_with_its_facts(shown):
    assert cells(shown, Column.SUBJECT) == ["A1", "A2", "A10", "A1", "N1", "N2", "N3"]
    assert cells(shown, Column.CLASS)[3:5] == ["AD", "NC"]
    assert cells(shown, Column.KIND)[3:5] == ["volume", "2 slices"]
    assert cells(shown, Column.SHAPE)[3:5] == ["8×9×10", "12×16"]
    assert cells(shown, Column.SPACING)[3:5] == ["1×2×3", ""]
    assert cells(shown, Column.WARNINGS)[3] == "! Left and right are not certain. (+1)"


def test_that_no_text_of_a_column_is_cut_however_far_down_it_is(panel):
    long = make_scan("WMWMWMWMWMWMWMWMWMWMWM_99", "A_class_with_a_long_name", session="MR1")
    many = "i" * 30  # more letters, and narrower
    scans = (*(make_scan(f"{many}{number}", "AD") for number in range(200)), long)
    panel.show_cohort(Cohort(Path("scans"), ("AD", "A_class_with_a_long_name"), scans))
    table = panel.scan_list.table
    for column in (Column.SUBJECT, Column.SESSION, Column.CLASS, Column.SHAPE):
        index = table.model().index(200, column)
        assert table.columnWidth(column) >= table.sizeHintForIndex(index).width()
        assert table.columnWidth(column) >= table.horizontalHeader().sectionSizeHint(column)


def test_that_the_header_counts_subjects_by_class(shown):
    texts = header_texts(shown)
    assert "AD 3" in texts
    assert "NC 3" in texts
    assert "6 subjects, 7 scans, 6 slices" in texts


def test_that_all_words_of_the_filter_must_occur(qtbot, shown):
    qtbot.keyClicks(shown.scan_list.filter_box, "ad certain")
    assert cells(shown, Column.SESSION) == ["MR2"]
    assert "1 of 7 shown" in header_texts(shown)


def test_that_subjects_are_sorted_by_their_numbers(shown):
    shown.scan_list.table.sortByColumn(Column.SUBJECT, Qt.SortOrder.AscendingOrder)
    assert cells(shown, Column.SUBJECT)[:4] == ["A1", "A1", "A2", "A10"]


def test_that_the_first_scan_is_chosen_at_once(qtbot, panel):
    with qtbot.waitSignal(panel.scan_selected) as signal:
        panel.show_cohort(make_cohort())
    assert signal.args[0].key == "A1_MR1"


def test_that_a_clicked_row_is_selected_as_a_scan(qtbot, shown):
    with qtbot.waitSignal(shown.scan_selected, check_params_cb=lambda scan: scan.key == "N1_MR1"):
        click_cell(qtbot, shown, 4, Column.SUBJECT)


def test_that_passing_rows_quickly_selects_the_last_only(qtbot, shown):
    qtbot.wait(150)
    selected = []
    shown.scan_selected.connect(selected.append)
    for _ in range(3):
        qtbot.keyClick(shown.scan_list.table, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: bool(selected))
    assert [scan.key for scan in selected] == ["A1_MR2"]


def test_that_skipped_files_are_folded_with_their_reasons(qtbot, panel):
    panel.show_cohort(make_cohort(skipped=(Skipped("a.img", "Its header is missing."),)))
    scans = panel.scan_list
    assert scans._skipped_button.text() == "Skipped files (1)"
    assert not scans._skipped_list.isVisible()
    qtbot.mouseClick(scans._skipped_button, Qt.MouseButton.LeftButton)
    assert scans._skipped_list.isVisible()
    assert scans._skipped_list.topLevelItem(0).text(1) == "Its header is missing."


def test_that_warnings_and_simulation_are_said(panel):
    panel.show_cohort(make_cohort(warnings=("Two scans are alike.",), simulated=True))
    texts = header_texts(panel)
    assert "! Two scans are alike." in texts
    assert "simulated" in texts


# Changes


def test_that_unticking_leaves_a_scan_out_and_ctrl_z_takes_it_in_again(qtbot, shown):
    table = shown.scan_list.table
    with qtbot.waitSignal(shown.cohort_changed) as signal:
        point = table.visualRect(table.model().index(1, Column.INCLUDE)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=point)
    assert [scan.included for scan in signal.args[0].scans].count(False) == 1
    assert not shown.cohort.scans[1].included
    with qtbot.waitSignal(shown.cohort_changed) as signal:
        qtbot.keyClick(table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert signal.args[0] == make_cohort()
    shown.redo_action.trigger()
    assert not shown.cohort.scans[1].included


def test_that_space_leaves_all_selected_scans_out(qtbot, shown):
    click_cell(qtbot, shown, 0, Column.SUBJECT)
    click_cell(qtbot, shown, 2, Column.SUBJECT, modifier=Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(shown.scan_list.table, Qt.Key.Key_Space)
    assert [scan.included for scan in shown.cohort.scans[:4]] == [False, False, False, True]


def test_that_a_class_chosen_in_a_cell_moves_all_scans_of_the_subject(qtbot, shown):
    table = shown.scan_list.table
    index = table.model().index(0, Column.CLASS)
    table.setCurrentIndex(index)
    table.edit(index)
    editor = table.findChild(QComboBox)
    assert [editor.itemText(number) for number in range(editor.count())] == ["AD", "NC"]
    editor.lineEdit().selectAll()
    qtbot.keyClicks(editor.lineEdit(), "NC")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: shown.cohort.scans[0].label == "NC")
    labels = {scan.key: scan.label for scan in shown.cohort.scans}
    assert (labels["A1_MR1"], labels["A1_MR2"]) == ("NC", "NC")
    assert labels["A2_MR1"] == "AD"


def test_that_the_menu_offers_the_classes_for_the_selected_scans(qtbot, shown):
    click_cell(qtbot, shown, 1, Column.SUBJECT)
    menu = shown.scan_list.build_menu()
    classes = menu.findChild(QMenu)
    assert [action.text() for action in classes.actions()] == ["AD", "NC"]
    classes.actions()[1].trigger()
    assert shown.cohort.scans[1].label == "NC"
    assert shown.undo_action.text().endswith("Move A2_MR1 to NC")


def test_that_a_change_keeps_the_selection_and_the_viewer(qtbot, shown):
    qtbot.wait(150)
    shown.scan_list.select("A2_MR1")
    qtbot.wait(150)
    shown.show_volume(make_volume(), shown.cohort.scans[1])
    shown.scan_list.relabel({"A2_MR1"}, "NC")
    assert shown.scan_list.selected_scan.key == "A2_MR1"
    assert shown.viewer.title == "A2_MR1 · NC"


def test_that_showing_the_changed_cohort_again_keeps_undo(shown):
    shown.scan_list.include({"A2_MR1"}, False)
    shown.show_cohort(shown.cohort)
    assert shown.undo_action.isEnabled()
    shown.show_cohort(make_cohort(simulated=True))
    assert not shown.undo_action.isEnabled()


def test_that_a_class_without_scans_is_no_class_any_more():
    cohort = make_cohort()
    out = with_included(cohort, {"N1_MR1", "N2_MR1", "N3_MR1"}, False)
    assert out.classes == ("AD",)
    moved = with_label(cohort, {"A1_MR1"}, "MCI")
    assert moved.classes == ("AD", "MCI", "NC")
    assert [scan.label for scan in moved.scans[:4]] == ["MCI", "AD", "AD", "MCI"]
    assert cohort == make_cohort()


def test_that_a_class_left_out_stays_in_the_header_with_none(shown):
    shown.scan_list.include({"N1_MR1", "N2_MR1", "N3_MR1"}, False)
    assert "NC 0" in header_texts(shown)


# The bottom line


def test_that_the_train_button_asks_to_train(qtbot, shown):
    assert shown._train.property("primary") is True
    with qtbot.waitSignal(shown.train_requested):
        qtbot.mouseClick(shown._train, Qt.MouseButton.LeftButton)


def test_that_a_cohort_too_small_to_train_says_why(shown):
    shown.show_split("by subject 5:2:3, seed 0", False)
    shown.scan_list.include({"N1_MR1"}, False)
    assert not shown._train.isEnabled()
    assert "at least 3 subjects" in shown._obstacle.text()
    assert shown._obstacle.isVisible()
    shown.undo_action.trigger()
    assert shown._train.isEnabled()
    assert shown._split_label.text() == "by subject 5:2:3, seed 0"
    assert shown._split_label.isVisible()


def test_that_a_leaking_split_is_marked(shown):
    shown.show_slice_settings("30 axial slices")
    shown.show_split("by slice, seed 0", True)
    assert shown._audit.text() == "Audit: leaks"
    assert shown._audit.property("leaks") is True
    shown.show_split("by subject, seed 0", False)
    assert shown._audit.text() == "Audit: no leak"
    assert shown._audit.property("leaks") is False


# Viewer and strip


def test_that_a_scan_loaded_too_late_is_not_shown(qtbot, shown):
    first, second = shown.cohort.scans[:2]
    shown.scan_list.select(second.key)
    shown.show_volume(make_volume(), first)
    shown.show_strip(PICTURES, (4, 5), first)
    assert shown.viewer.title == ""
    assert not shown._strip_box.isVisible()
    shown.show_volume(make_volume(), second)
    assert shown.viewer.title == "A2_MR1 · AD"


def test_that_strip_and_planes_follow_each_other(qtbot, shown):
    qtbot.wait(150)
    scan = shown.cohort.scans[0]
    shown.show_volume(make_volume(), scan)
    shown.show_strip(np.zeros((3, 6, 6), dtype=np.uint8), (2, 3, 4), scan, plane="coronal")
    assert shown._strip.current == 2  # opened at the middle, coronal 4
    point = shown._strip._row.box_of(0).center()
    qtbot.mouseClick(shown._strip._row, Qt.MouseButton.LeftButton, pos=point)
    assert shown.viewer.slice_index("coronal") == 2
    shown.viewer.set_slice("coronal", 3)
    assert shown._strip.current == 1
    shown.viewer.set_slice("coronal", 8)
    assert shown._strip.current is None


def test_that_pictures_follow_the_strip_by_their_numbers(qtbot, shown):
    scan = shown.cohort.scans[4]
    shown.scan_list.select(scan.key)
    qtbot.wait(150)
    shown.show_pictures(PICTURES, scan)
    assert shown.viewer.is_strip_visible
    shown.show_strip(PICTURES, (4, 5), scan)
    assert not shown.viewer.is_strip_visible
    point = shown._strip._row.box_of(0).center()
    qtbot.mouseClick(shown._strip._row, Qt.MouseButton.LeftButton, pos=point)
    assert shown.viewer.picture_number() == 4


def test_that_choosing_another_scan_takes_the_last_one_away(qtbot, shown):
    qtbot.wait(150)
    scan = shown.cohort.scans[0]
    shown.show_volume(make_volume(), scan)
    shown.show_strip(PICTURES, (4, 5), scan)
    with qtbot.waitSignal(shown.scan_selected):
        qtbot.keyClick(shown.scan_list.table, Qt.Key.Key_Down)
    assert shown.viewer.title == ""
    assert not shown._strip_box.isVisible()


def test_that_busy_and_problem_are_said(qtbot, shown):
    shown.show_busy("Loading A1…")
    assert shown.viewer.message == "Loading A1…"
    shown.show_problem("Cannot read 'A1.nii'. Copy it again.")
    assert shown._problem.isVisible()
    assert shown._problem.text() == "Cannot read 'A1.nii'. Copy it again."
    qtbot.mouseClick(shown._problem.findChild(QPushButton), Qt.MouseButton.LeftButton)
    assert not shown._problem.isVisible()


# Welcome


def test_that_the_welcome_page_asks_for_folder_demo_and_recent(qtbot, panel):
    recent = [Path("a.mrifcl"), Path("b")]
    panel.set_recent(recent)
    buttons = {button.text(): button for button in panel.findChildren(QPushButton)}
    assert buttons["Open folder…"].property("primary") is True
    with qtbot.waitSignal(panel.open_folder_requested):
        qtbot.mouseClick(buttons["Open folder…"], Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.demo_requested):
        qtbot.mouseClick(buttons["Open the demo cohort"], Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.recent_chosen) as signal:
        qtbot.mouseClick(buttons["b"], Qt.MouseButton.LeftButton)
    assert signal.args == [Path("b")]


def test_that_nothing_can_be_opened_while_a_folder_is_read(panel):
    panel.show_busy("Reading brains…")
    assert not panel._welcome._open.isEnabled()
    panel.show_problem("No scans in 'brains'. Choose another folder.")
    assert panel._welcome._open.isEnabled()
    assert panel._problem.isVisible()


def test_that_a_cleared_panel_is_the_welcome_page(shown):
    shown.clear()
    assert shown._welcome.isVisible()
    assert shown.cohort is None
    assert cells(shown, Column.SUBJECT) == []
    shown.show_cohort(make_cohort())
    assert not shown._welcome.isVisible()
    assert len(cells(shown, Column.SUBJECT)) == 7


def drop(widget, urls):
    data = QMimeData()
    data.setUrls([QUrl(url) if "://" in url else QUrl.fromLocalFile(url) for url in urls])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    action = Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(20, 20), action, data, buttons, keys)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(20, 20), action, data, buttons, keys))
    return enter.isAccepted()


@pytest.mark.parametrize("has_cohort", [True, False])
def test_that_local_paths_can_be_dropped_anywhere(qtbot, panel, tmp_path, has_cohort):
    if has_cohort:
        panel.show_cohort(make_cohort())
    with qtbot.waitSignal(panel.paths_dropped) as signal:
        assert drop(panel, [str(tmp_path), "https://example.org/scan.nii"])
    assert signal.args == [[tmp_path]]
    assert not panel.scan_list.filter_box.acceptDrops()


def test_that_web_links_and_text_cannot_be_dropped(qtbot, panel):
    with qtbot.assertNotEmitted(panel.paths_dropped):
        assert not drop(panel, ["https://example.org/scan.nii"])
        assert not drop(panel, [])


def test_that_the_drop_area_is_marked_only_while_held_over(panel, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    event = QDragEnterEvent(
        QPoint(20, 20),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(panel, event)
    assert panel._welcome._drop_area._is_marked
    QApplication.sendEvent(panel, QDragLeaveEvent())
    assert not panel._welcome._drop_area._is_marked


def test_that_an_excluded_scan_of_a_file_is_shown_unticked(panel):
    cohort = make_cohort()
    first = dataclasses.replace(cohort.scans[0], included=False)
    panel.show_cohort(cohort.with_scans((first, *cohort.scans[1:])))
    index = panel.scan_list.table.model().index(0, Column.INCLUDE)
    assert Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) == Qt.CheckState.Unchecked


def test_that_a_flip_is_kept_with_the_scan_and_read_anew(qtbot, shown):
    scan = shown.scan_list.selected_scan
    shown.show_volume(make_volume(), scan)
    with qtbot.waitSignal(shown.scan_selected) as signal:
        shown.viewer.flip_requested.emit(True)
    assert signal.args[0].flipped
    assert next(one for one in shown.cohort.scans if one.key == scan.key).flipped
    shown.undo_action.trigger()
    assert not any(one.flipped for one in shown.cohort.scans)


def test_that_the_viewer_keeps_its_width_beside_many_classes(qtbot, shown):
    shown.resize(1180, 700)
    for number in range(7):
        shown.scan_list._header.addWidget(QLabel(f"class {number} of seven 123"))
    shown.show()
    QApplication.processEvents()
    assert shown.viewer.width() >= 460


# The rest of a scan's row


def test_that_a_row_tells_axes_and_kind_of_number(panel):
    scans = (
        make_scan("A1", "AD", orientation="LAS", datatype="int16"),
        make_scan("A2", "AD", datatype="float32"),
        make_scan("N1", "NC", kind="slices", datatype="uint8"),
    )
    panel.show_cohort(Cohort(root=Path("scans"), classes=("AD", "NC"), scans=scans))
    assert cells(panel, Column.ORIENTATION) == ["LAS", "?", ""]
    assert cells(panel, Column.DATATYPE) == ["int16", "float32", "uint8"]
    table = panel.scan_list.table
    tip = table.model().index(1, Column.ORIENTATION).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "Left and right are not certain"
    assert not table.isColumnHidden(Column.ORIENTATION)
    panel.show_cohort(Cohort(root=Path("scans"), classes=("NC",), scans=scans[2:]))
    assert table.isColumnHidden(Column.ORIENTATION)
    assert not table.isColumnHidden(Column.DATATYPE)


@pytest.mark.parametrize(
    "column", [Column.SHAPE, Column.KIND, Column.WARNINGS, Column.SPACING, Column.ORIENTATION]
)
def test_that_columns_of_facts_sort(shown, column):
    shown.scan_list.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    up = cells(shown, column)
    shown.scan_list.table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
    assert sorted(up) == sorted(cells(shown, column))
    assert up != cells(shown, column)


def test_that_a_filter_that_leaves_nothing_says_so_and_can_be_taken_back(qtbot, shown):
    scans = shown.scan_list
    assert not scans._nothing.isVisible()
    qtbot.keyClicks(scans.filter_box, "nobody here")
    assert scans._nothing.isVisible()
    assert scans._nothing_text.text() == "None of the 7 scans has “nobody here”."
    assert "0 of 7 shown" in header_texts(shown)
    qtbot.mouseClick(scans._nothing.findChild(QPushButton), Qt.MouseButton.LeftButton)
    assert not scans._nothing.isVisible()
    assert len(cells(shown, Column.SUBJECT)) == 7


# By keyboard


def test_that_f2_changes_the_class_from_any_cell(qtbot, shown):
    click_cell(qtbot, shown, 1, Column.SUBJECT)
    table = shown.scan_list.table
    qtbot.keyClick(table, Qt.Key.Key_F2)
    editor = table.findChild(QComboBox)
    editor.lineEdit().selectAll()
    qtbot.keyClicks(editor.lineEdit(), "MCI")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: shown.cohort.scans[1].label == "MCI")
    assert shown.scan_list.selected_scan.key == "A2_MR1"


def test_that_f2_moves_all_selected_scans(qtbot, shown):
    click_cell(qtbot, shown, 1, Column.SUBJECT)
    table = shown.scan_list.table
    qtbot.keyClick(table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(table, Qt.Key.Key_F2)
    editor = table.findChild(QComboBox)
    editor.lineEdit().selectAll()
    qtbot.keyClicks(editor.lineEdit(), "NC")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: shown.cohort.scans[1].label == "NC")
    assert [scan.label for scan in shown.cohort.scans[:3]] == ["AD", "NC", "NC"]


def test_that_keys_lead_from_the_filter_to_the_table_and_back(qtbot, shown):
    scans = shown.scan_list
    scans.filter_box.setFocus()
    qtbot.keyClicks(scans.filter_box, "N2")
    qtbot.keyClick(scans.filter_box, Qt.Key.Key_Down)
    assert scans.table.hasFocus()
    scans.find()
    assert scans.filter_box.hasFocus()
    qtbot.keyClick(scans.filter_box, Qt.Key.Key_Escape)
    assert scans.filter_box.text() == ""


def test_that_the_menu_sorts_up_then_down_then_as_the_cohort_has_them(qtbot, shown):
    click_cell(qtbot, shown, 0, Column.SUBJECT)

    def choose(title):
        menus = shown.scan_list.build_menu().findChildren(QMenu)
        sorting = next(menu for menu in menus if menu.title() == "Sort by")
        next(action for action in sorting.actions() if action.text() == title).trigger()

    choose("Subject")
    assert cells(shown, Column.SUBJECT)[:4] == ["A1", "A1", "A2", "A10"]
    choose("Subject")
    assert cells(shown, Column.SUBJECT)[:2] == ["N3", "N2"]
    choose("Class and name")
    assert cells(shown, Column.SUBJECT)[:4] == ["A1", "A2", "A10", "A1"]


# What is doubtful about all


def test_that_warnings_follow_what_takes_part(shown):
    shown.scan_list.include({"N1_MR1"}, False)
    assert any("Too few subjects" in text for text in header_texts(shown))
    assert "few_subjects" in [code_of(item) for item in shown.cohort.warnings]
    shown.undo_action.trigger()
    assert not any("Too few subjects" in text for text in header_texts(shown))
    shown.scan_list.relabel({"A1_MR1", "A2_MR1"}, "NC")
    assert any("Too few subjects" in text for text in header_texts(shown))


def test_that_many_warnings_leave_the_table_its_place(panel):
    many = tuple(f"Number {n}: something is doubtful about this cohort." for n in range(40))
    panel.show_cohort(make_cohort(warnings=many))
    QApplication.processEvents()
    assert panel.scan_list._warnings_box.height() < 140
    assert panel.scan_list.table.height() > 300


def test_that_a_check_is_asked_for_once_and_its_result_can_be_undone(qtbot, panel):
    assert not panel.check_action.isEnabled()
    panel.show_cohort(make_cohort())
    with qtbot.waitSignal(panel.check_requested):
        qtbot.mouseClick(panel.scan_list.check_button, Qt.MouseButton.LeftButton)
    panel.set_checking(True)
    assert not panel.scan_list.check_button.isEnabled()
    panel.scan_list.include({"A2_MR1"}, False)
    checked = make_cohort(warnings=(Finding("One is odd.", "odd_intensity"),))
    panel.show_checked(checked)
    panel.set_checking(False)
    assert panel.check_action.isEnabled()
    assert not panel.cohort.scans[1].included
    assert "One is odd." in panel.cohort.warnings
    assert "All voxels of 7 scans were read: 1 new finding." in header_texts(panel)
    panel.undo_action.trigger()
    assert "One is odd." not in panel.cohort.warnings
    assert not panel.cohort.scans[1].included


def test_that_the_check_of_another_cohort_changes_nothing(shown):
    other = dataclasses.replace(make_cohort(warnings=("Odd.",)), root=Path("elsewhere"))
    shown.show_checked(other)
    assert shown.cohort == make_cohort()


def test_that_notices_are_kept_below_the_table(shown):
    for text in ("'a.nii' has changed.", "'a.nii' has changed.", "'b.nii' has changed."):
        shown.show_notice(text)
    assert "'a.nii' has changed.\n'b.nii' has changed." in header_texts(shown)
    shown.show_cohort(make_cohort(simulated=True))
    assert not any("has changed" in text for text in header_texts(shown))


# Small pictures


def many_scans(count):
    scans = tuple(make_scan(f"A{number:03d}", "AD") for number in range(count))
    return Cohort(root=Path("scans"), classes=("AD",), scans=scans)


def icon_pixel(panel, row):
    index = panel.scan_list.table.model().index(row, Column.SUBJECT)
    image = index.data(Qt.ItemDataRole.DecorationRole).pixmap(SIDE, SIDE).toImage()
    return image.pixelColor(SIDE // 2, SIDE // 2).lightness()


def test_that_pictures_are_wanted_for_the_rows_in_sight_alone(qtbot, panel):
    with qtbot.waitSignal(panel.thumbnails_wanted) as signal:
        panel.show_cohort(many_scans(200))
    keys = [scan.key for scan in signal.args[0]]
    assert keys[0] == "A000_MR1"
    assert 3 < len(keys) < 40
    with qtbot.waitSignal(panel.thumbnails_wanted) as signal:
        panel.scan_list.table.scrollToBottom()
    assert signal.args[0][-1].key == "A199_MR1"
    assert len(signal.args[0]) < 40


def test_that_pictures_are_shown_when_they_come_and_asked_for_once(qtbot, panel):
    with qtbot.waitSignal(panel.thumbnails_wanted) as signal:
        panel.show_cohort(make_cohort())
    assert icon_pixel(panel, 0) == 0
    bright = np.full((64, 64), 200, dtype=np.uint8)
    made = {scan.key: bright for scan in signal.args[0]} | {"A2_MR1": None}
    with qtbot.assertNotEmitted(panel.thumbnails_wanted, wait=200):
        panel.show_thumbnails(signal.args[0], made)
    assert icon_pixel(panel, 0) == 200
    assert icon_pixel(panel, 1) < 200  # one that cannot be read


def test_that_a_flipped_scan_gets_another_picture(qtbot, shown):
    bright = np.full((64, 64), 200, dtype=np.uint8)
    shown.show_thumbnails(shown.cohort.scans, {scan.key: bright for scan in shown.cohort.scans})
    shown.show_volume(make_volume(), shown.cohort.scans[0])
    with qtbot.waitSignal(shown.thumbnails_wanted) as signal:
        shown.viewer.flip_requested.emit(True)
    assert [scan.key for scan in signal.args[0]] == ["A1_MR1"]


def test_that_pictures_can_be_hidden_and_stay_so(qtbot, shown):
    table, button = shown.scan_list.table, shown.scan_list._pictures_button
    height = table.rowHeight(0)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert table.rowHeight(0) < height
    index = table.model().index(0, Column.SUBJECT)
    assert index.data(Qt.ItemDataRole.DecorationRole) is None
    assert not preferences.shows_thumbnails()
    with qtbot.assertNotEmitted(shown.thumbnails_wanted, wait=150):
        shown.show_cohort(many_scans(50))
    again = CohortPanel()
    qtbot.addWidget(again)
    assert not again.scan_list._pictures_button.isChecked()


def test_that_the_share_of_table_and_viewer_is_remembered(qtbot, shown):
    splitter = shown.findChild(QSplitter)
    before = splitter.sizes()
    handle = splitter.handle(1)
    middle = handle.rect().center()
    qtbot.mousePress(handle, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(handle, middle + QPoint(-40, 0))
    qtbot.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=middle + QPoint(-40, 0))
    moved = splitter.sizes()
    assert moved[0] < before[0]
    again = CohortPanel()
    qtbot.addWidget(again)
    again.resize(shown.size())
    again.show_cohort(make_cohort())
    again.show()
    qtbot.waitExposed(again)
    assert again.findChild(QSplitter).sizes() == pytest.approx(moved, abs=3)


def test_that_a_cohort_of_a_thousand_scans_is_shown_at_once(qtbot, panel):
    scans = tuple(make_scan(f"S{n:04d}", "AD" if n % 2 else "NC") for n in range(1000))
    cohort = Cohort(root=Path("scans"), classes=("AD", "NC"), scans=scans)
    began = time.thread_time()
    panel.show_cohort(cohort)
    QApplication.processEvents()
    assert time.thread_time() - began < 0.5
    assert panel.scan_list.table.model().rowCount() == 1000
