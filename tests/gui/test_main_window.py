"""The window: every way in, training by its buttons, places, keys, names, closing."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPointF, QRect, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMenuBar,
    QMessageBox,
    QPushButton,
    QScrollBar,
    QTableView,
    QTreeView,
)

from core import config
from core.config import RunSettings
from core.data.cohort import load_cohort
from core.errors import MriFclError
from core.progress import EpochMetrics
from core.run_folder import Run, reopen_run
from mrifcl_gui.cohort_link import SETTLE_MS
from mrifcl_gui.cut_words import slices_text, split_text
from mrifcl_gui.garbage import keep_what_is_loaded
from mrifcl_gui.job import running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.place_rail import PLACES
from mrifcl_gui.session import Session
from mrifcl_gui.window_placement import place_on_screen
from tests.tiny_cohort import (
    TINY_VALUES,
    confirm_folder,
    make_cohort,
    make_folder,
    tiny,
    wait_until_idle,
)

LIMIT_MS = 30_000


def drop(widget, urls):
    """Drop ``urls`` on a widget as the desktop would; tell whether it took them."""
    data = QMimeData()
    data.setUrls(urls)
    place, action = QPointF(200, 200), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place.toPoint(), action, data, buttons, keys)
    enter.setAccepted(False)
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    QApplication.sendEvent(widget, QDropEvent(place, action, data, buttons, keys))
    return True


def local(*paths):
    return [QUrl.fromLocalFile(str(path)) for path in paths]


def fill_in(window, values):
    """Type settings into the form and tick the chips of network and regime."""
    panel = window.training_panel
    panel.set_settings(config.change(RunSettings(), values))


def open_cohort(qtbot, window, trained):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_paths([trained.scanned.folder])
    fill_in(window, TINY_VALUES)
    qtbot.wait(SETTLE_MS + 50)
    wait_until_idle(qtbot)


def train_by_button(qtbot, window, count=1):
    ends = []
    window.session.training_ended.connect(lambda state, text: ends.append((state, text)))
    window.go_to("train")
    qtbot.mouseClick(window.training_panel.train_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(ends) >= count and not window.session.is_training, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    return ends


def wait_for_epoch(qtbot, window, epoch):
    with qtbot.waitSignal(
        window.session.training_event,
        timeout=LIMIT_MS,
        check_params_cb=lambda event: isinstance(event, EpochMetrics) and event.epoch == epoch,
    ):
        pass


def in_front(window):
    return PLACES[window._places.currentIndex()]


# Opening


@pytest.mark.parametrize("place", PLACES)
def test_that_a_folder_dropped_on_any_place_becomes_the_cohort(qtbot, window, tmp_path, place):
    folder = make_folder(tmp_path / "scans", subjects=3)
    window.go_to(place)
    target = window.cohort_panel if place == "cohort" else window
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        assert drop(target, local(folder))
        confirm_folder(qtbot, window)
    assert in_front(window) == "cohort"
    assert window.cohort_panel.cohort.classes == ("AD", "NC")
    assert "6 subjects" in window._cohort_status.text()
    wait_until_idle(qtbot)
    assert not window.problems


def test_that_a_run_dropped_on_the_window_is_analysed(qtbot, window, trained):
    assert drop(window, local(trained.by_subject))
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    assert in_front(window) == "analyse"
    assert window.analysis_tabs.run.path == trained.by_subject
    wait_until_idle(qtbot)


def test_that_web_addresses_and_text_are_not_taken(window):
    assert not drop(window, [QUrl("https://example.org/scan.nii.gz")])
    assert not drop(window, [])
    data = QMimeData()
    data.setText("hello")
    event = QDragEnterEvent(
        QPointF(9, 9).toPoint(),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    event.setAccepted(False)
    QApplication.sendEvent(window, event)
    assert not event.isAccepted()


def test_that_a_plain_file_is_refused_in_a_dialog_of_plain_words(qtbot, window, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("no scan")
    assert drop(window, local(file))
    wait_until_idle(qtbot)
    box = dialogs(window)[0]
    assert "'notes.txt' is no folder" in box.text()
    assert not box.detailedText()
    box.close()


def test_that_a_folder_of_no_use_is_told_above_the_welcome_page(qtbot, window, tmp_path):
    (tmp_path / "empty").mkdir()
    assert drop(window.cohort_panel, local(tmp_path / "empty"))
    with qtbot.waitSignal(window.session.problem, timeout=LIMIT_MS):
        pass
    assert "empty" in window.cohort_panel._problem.text()
    assert not dialogs(window)
    wait_until_idle(qtbot)


def test_that_the_demo_button_opens_the_demo_cohort(qtbot, window, monkeypatch):
    monkeypatch.setattr("core.demo.SUBJECTS_PER_CLASS", 3)
    button = named(window.cohort_panel, QPushButton, "Open the demo cohort")
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot)
    assert len(window.cohort_panel.cohort.subjects) == 6
    assert window.cohort_panel.cohort.simulated
    assert window.training_panel.settings().training.network == "cnn2d"
    assert window.session.settings == window.training_panel.settings()
    assert not window.problems


def test_that_a_scan_is_shown_with_the_strip_the_network_sees(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    qtbot.waitUntil(lambda: window.cohort_panel._strip_of is not None, timeout=LIMIT_MS)
    assert window.cohort_panel._strip_of[0].shape == (4, 32, 32)
    wait_until_idle(qtbot)


def test_that_relabelling_is_stored_and_audited_again(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    key = window.cohort_panel.cohort.scans[0].key
    with qtbot.waitSignal(window.session.audit_done, timeout=LIMIT_MS):
        window.cohort_panel.scan_list.include([key], False)
    wait_until_idle(qtbot)
    assert "11 subjects" in window._cohort_status.text()
    stored = load_cohort(trained.scanned.folder)
    assert not next(scan for scan in stored.scans if scan.key == key).included


def test_that_settings_of_train_are_what_cohort_shows_and_audits(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    panel = window.cohort_panel
    assert "32 × 32 pixels" in panel._slices_label.text()
    assert panel._audit.text() == "Audit: no leak"
    with qtbot.waitSignals(
        [window.session.audit_done, window.session.strip_read], timeout=LIMIT_MS
    ):
        fill_in(window, {**TINY_VALUES, "mode": "slice", "size": 48, "seed": 5})
    wait_until_idle(qtbot)
    assert "48 × 48 pixels" in panel._slices_label.text()
    assert panel._split_label.text() == "Split: by slice 5:2:3, seed 5"
    assert panel._audit.text() == "Audit: leaks"
    assert panel._strip_of[0].shape == (4, 48, 48)


def test_that_a_wrong_field_leaves_the_last_right_settings(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    before = window.session.settings
    window.training_panel.form.editor("seed").setText("minus one")
    qtbot.wait(SETTLE_MS + 50)
    assert window.session.settings == before


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "Split: by subject 5:2:3, seed 0"),
        ({"mode": "slice", "seed": 3}, "Split: by slice 5:2:3, seed 3"),
        (
            {"mode": "kfold", "folds": 4, "fold": 2, "shuffled_labels": True},
            "Split: by subject, test fold 2 of 4, seed 0, labels shuffled",
        ),
    ],
)
def test_that_the_split_is_said_in_one_line(values, text):
    assert split_text(config.change(RunSettings(), values)) == text


def test_that_ready_made_slices_are_not_said_to_be_chosen(trained):
    text = slices_text(tiny().slices, trained.scanned.cohort)
    assert text == "Slices: as they are in the folder, 32 × 32 pixels"


# Training


def test_that_a_run_is_trained_shown_listed_and_opened_by_buttons(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    ends = train_by_button(qtbot, window)
    assert [state for state, _ in ends] == ["finished"]
    panel = window.training_panel
    qtbot.waitUntil(lambda: len(panel.live.curves.curve("train_loss")[0]) == 2)
    assert list(panel.live.curves.curve("validation_accuracy")[0]) == [1, 2]
    assert panel.live.slider.maximum() == 2
    assert panel.queue.states() == ["done"]
    window.go_to("runs")
    qtbot.waitUntil(lambda: window.runs_panel.table.model().rowCount() == 1)
    assert window.runs_panel.cell(0, "State") == "finished"
    window.go_to("train")
    qtbot.mouseClick(panel.live.analyse_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: in_front(window) == "analyse", timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert not window.problems
    assert not dialogs(window)


def test_that_train_without_a_cohort_is_not_offered(window):
    window.go_to("train")
    assert not window.training_panel.train_button.isEnabled()


def test_that_networks_times_regimes_are_queued_and_all_trained(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    panel = window.training_panel
    qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    panel.form.editor("seed").setText("1")
    qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    assert panel.train_button.text() == "Train 2 runs"
    ends = train_by_button(qtbot, window, 2)
    assert [state for state, _ in ends] == ["finished", "finished"]
    assert panel.queue.states() == ["done", "done"]


def test_that_a_failed_run_says_why_and_the_queue_goes_on(qtbot, window, trained, tmp_path):
    open_cohort(qtbot, window, trained)
    missing = tiny(regime="fine-tuned", weights=str(tmp_path / "gone.safetensors"))
    window.training_panel.queue.add([missing, tiny()])
    ends = train_by_button(qtbot, window, 2)
    assert [state for state, _ in ends] == ["failed", "finished"]
    assert window.training_panel.queue.states() == ["failed", "done"]
    assert "gone.safetensors" in window.training_panel.queue._entries[0].text
    assert not dialogs(window)


def test_that_stop_keeps_the_run_and_the_panel_is_ready_for_the_next(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    panel = window.training_panel
    panel.queue.add([tiny(epochs=500)])
    window.go_to("train")
    panel.train_button.click()
    wait_for_epoch(qtbot, window, 2)
    assert not panel.train_button.isEnabled()
    qtbot.mouseClick(panel.live.stop_button, Qt.MouseButton.LeftButton)
    assert panel.live.stop_button.text() == "Stopping…"
    qtbot.waitUntil(lambda: not window.session.is_training, timeout=5000)
    wait_until_idle(qtbot)
    (run,) = [Run(path) for path in window.session.runs_folder.iterdir()]
    assert run.state == "stopped"
    assert panel.queue.states() == ["stopped"]
    assert panel.train_button.isEnabled()
    assert [state for state, _ in train_by_button(qtbot, window)] == ["finished"]


def test_that_a_run_added_while_training_is_trained_and_one_removed_is_not(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    panel = window.training_panel
    panel.queue.add([tiny(seed=1, epochs=40), tiny(seed=2)])
    started = []
    window.session.training_started.connect(
        lambda settings, *_: started.append(settings.training.seed)
    )
    ends = []
    window.session.training_ended.connect(lambda *end: ends.append(end))
    panel.train_button.click()
    panel.form.editor("seed").setText("3")
    panel.add_button.click()
    panel.queue._list.topLevelItem(1).setSelected(True)
    panel.queue.remove_selected()
    qtbot.waitUntil(lambda: len(ends) == 2 and not window.session.is_training, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert started == [1, 3]
    assert panel.queue.states() == ["done", "done"]


def test_that_a_stopped_run_is_resumed_from_runs_with_its_curves(qtbot, window, trained):
    writer = reopen_run(trained.by_subject)
    settings = writer.record["settings"]
    settings["training"]["epochs"] = 4
    writer.update(state="stopped", settings=settings, epochs=4)
    writer.close()
    window.session.open_runs([trained.by_subject])
    qtbot.waitUntil(lambda: bool(window.runs_panel._runs), timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    window.go_to("runs")
    assert not window.runs_panel.resume_button.isEnabled()
    window.runs_panel.select_run(trained.by_subject)
    assert window.runs_panel.resume_button.isEnabled()
    ends = []
    window.session.training_ended.connect(lambda *end: ends.append(end))
    qtbot.mouseClick(window.runs_panel.resume_button, Qt.MouseButton.LeftButton)
    assert in_front(window) == "train"
    assert not window.runs_panel.resume_button.isEnabled()
    qtbot.waitUntil(lambda: bool(ends) and not window.session.is_training, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert ends[0][0] == "finished"
    curves = window.training_panel.live.curves
    qtbot.waitUntil(lambda: len(curves.curve("train_loss")[0]) == 4)
    assert list(curves.curve("train_loss")[0]) == [1, 2, 3, 4]
    window.go_to("runs")
    window.runs_panel.select_run(trained.by_subject)
    assert not window.runs_panel.resume_button.isEnabled()


@pytest.mark.parametrize(
    ("state", "epochs_done", "can"),
    [
        ("stopped", 1, True),
        ("failed", 1, True),
        ("running", 1, True),
        ("stopped", 0, False),
        ("finished", 2, False),
    ],
)
def test_that_only_a_run_that_ended_early_can_be_resumed(
    qtbot, window, trained, state, epochs_done, can
):
    reopen_run(trained.by_subject).update(state=state, epochs_done=epochs_done)
    window.runs_panel.show_runs([Run(trained.by_subject)])
    window.runs_panel.select_run(trained.by_subject)
    assert window.runs_panel.resume_button.isEnabled() is can
    window.runs_panel.set_training(True)
    assert not window.runs_panel.resume_button.isEnabled()
    wait_until_idle(qtbot)


# Closing and starting again


def test_that_closing_while_training_ends_the_thread_and_keeps_the_run(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    window.training_panel.queue.add([tiny(epochs=500), tiny()])
    window.training_panel.train_button.click()
    wait_for_epoch(qtbot, window, 1)
    began = time.monotonic()
    assert window.close()
    assert time.monotonic() - began < 2
    assert not running_jobs()
    qtbot.wait(100)
    assert not running_jobs(), "a closed window starts nothing"
    (run,) = [Run(path) for path in window.session.runs_folder.iterdir()]
    assert run.state == "stopped"


def test_that_closing_at_any_moment_leaves_no_thread(qtbot, trained, tmp_path):
    for moment in (0, 1, 5, 20, 60):
        window = MainWindow(Session(data_folder=tmp_path / f"data{moment}"))
        qtbot.addWidget(window)
        window.show()
        window.session.open_paths([trained.scanned.folder])
        window.session.open_paths([trained.by_subject])
        qtbot.wait(moment)
        assert window.close()
        assert not running_jobs()
    qtbot.wait(50)
    assert [job.title for job in running_jobs()] == []


def test_that_a_user_who_answers_no_keeps_the_window(qtbot, window, trained, monkeypatch):
    open_cohort(qtbot, window, trained)
    monkeypatch.setattr(
        "mrifcl_gui.main_window.QGuiApplication.platformName", staticmethod(lambda: "xcb")
    )
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    window.training_panel.queue.add([tiny(epochs=500)])
    window.training_panel.train_button.click()
    assert not window.close()
    assert window.isEnabled()
    assert window.session.is_training
    assert window.close()
    assert not running_jobs()
    qtbot.waitUntil(lambda: not window.session.is_training)


def test_that_size_and_place_survive_a_restart(qtbot, session, tmp_path):
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.show()
    window.setGeometry(0, 30, 780, 700)
    window.cohort_panel.viewer.set_radiological(False)
    window.close()
    again = MainWindow(Session(data_folder=tmp_path / "data"))
    qtbot.addWidget(again)
    again.show()
    assert (again.geometry().top(), again.height()) == (30, 700)
    assert again.cohort_panel.viewer.is_radiological is window.cohort_panel.viewer.is_radiological
    again.close()


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (QRect(10, 10, 800, 600), QRect(10, 10, 800, 600)),
        (QRect(5000, 5000, 800, 600), QRect(1120, 480, 800, 600)),
        (QRect(-3000, -3000, 800, 600), QRect(0, 0, 800, 600)),
        (QRect(1800, 900, 800, 600), QRect(1120, 480, 800, 600)),
        (QRect(0, 0, 4000, 3000), QRect(0, 0, 1920, 1080)),
        (QRect(2000, 100, 800, 600), QRect(2000, 100, 800, 600)),
    ],
)
def test_that_a_window_lies_on_a_screen_that_is_there(window, expected):
    primary = QRect(0, 0, 1920, 1080)
    screens = [primary] if window.left() != 2000 else [primary, QRect(1920, 0, 1280, 1024)]
    assert place_on_screen(window, screens, primary) == expected


# Places, keys, looks


@pytest.mark.parametrize("number", range(4))
def test_that_control_and_a_number_bring_a_place_to_the_front(qtbot, window, number):
    window.activateWindow()
    window.go_to(PLACES[(number + 1) % 4])
    key = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4)[number]
    qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
    assert in_front(window) == PLACES[number]
    assert window.rail.buttons[number].isChecked()


def test_that_the_rail_brings_places_to_the_front(qtbot, window):
    for number, button in enumerate(window.rail.buttons):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert in_front(window) == PLACES[number]


def test_that_an_empty_place_says_what_to_do_next(qtbot, window):
    window.go_to("analyse")
    named(window.analysis_tabs, QPushButton, "Choose a run").click()
    assert in_front(window) == "runs"
    named(window.runs_panel, QPushButton, "Go to training").click()
    assert in_front(window) == "train"
    named(window.training_panel, QPushButton, "Go to the cohort").click()
    assert in_front(window) == "cohort"


def test_that_the_title_and_the_status_bar_say_what_must_be_known(window):
    assert "research use only" in window.windowTitle()
    assert window._device_status.text().startswith("Device: ")
    assert window._cohort_status.text() == "No cohort"


def test_that_every_control_has_text_or_an_accessible_name(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    window.session.open_runs([trained.by_subject, trained.three_classes])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    kinds = (
        QAbstractButton,
        QLineEdit,
        QComboBox,
        QAbstractSlider,
        QAbstractSpinBox,
        QTableView,
        QTreeView,
    )
    nameless = []
    for kind in kinds:
        for widget in window.findChildren(kind):
            inside = widget.parentWidget()
            is_part = isinstance(widget, QScrollBar) or isinstance(
                inside,
                QComboBox | QAbstractSpinBox | QLineEdit | QTableView | QTreeView | QMenuBar,
            )
            words = widget.accessibleName() or (
                widget.text() if isinstance(widget, QAbstractButton) else ""
            )
            if not is_part and not words.strip():
                nameless.append((kind.__name__, type(widget).__name__, type(inside).__name__))
    assert not nameless


def test_that_every_menu_entry_has_words_and_shortcuts_are_unique(window):
    actions = [
        action
        for menu in window.menuBar().actions()
        for action in menu.menu().actions()
        if not action.isSeparator()
    ]
    assert all(action.text() for action in actions)
    keys = [key.toString() for action in actions for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


def test_that_the_window_does_not_lose_references_to_none(qtbot):
    # PySide6 6.12 on Python 3.11 loses one a call, and the process dies of it.
    label = QLabel()
    qtbot.addWidget(label)
    before = sys.getrefcount(None)
    for i in range(300):
        label.setText(str(i))
    assert before - sys.getrefcount(None) < 30


@pytest.mark.slow
def test_that_the_window_stays_alive_while_a_cohort_is_opened_and_trained(
    qtbot, window, trained, request
):
    # CPU time of the window's own thread between two beats: what other programs of a busy
    # computer take makes that no longer.
    gaps, last = [], [time.thread_time()]

    class Heart(QLabel):
        def event(self, event):
            if event.type() == QEvent.Type.Timer:
                now = time.thread_time()
                gaps.append(now - last[0])
                last[0] = now
            return super().event(event)

    heart = Heart()
    qtbot.addWidget(heart)
    open_cohort(qtbot, window, trained)
    train_by_button(qtbot, window)  # torch and pyqtgraph are loaded now
    # As the program does once they are; other tests of this process have left much more.
    request.addfinalizer(gc.unfreeze)
    gc.collect()
    keep_what_is_loaded()
    last[0] = time.thread_time()
    heart.startTimer(10)
    fill_in(window, {**TINY_VALUES, "epochs": 30})
    train_by_button(qtbot, window)
    assert max(gaps) < 0.25


def named(parent, kind, text):
    (found,) = [widget for widget in parent.findChildren(kind) if widget.text() == text]
    return found


def dialogs(window):
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def test_that_a_chosen_folder_for_runs_is_used_and_remembered(qtbot, window, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mrifcl_gui.window_questions.QFileDialog.getExistingDirectory",
        staticmethod(lambda *_: str(tmp_path / "mine")),
    )
    window.questions.ask_data_folder()
    assert window.session.runs_folder == tmp_path / "mine" / "runs"
    assert Session().data_folder == tmp_path / "mine"
    wait_until_idle(qtbot)


def test_that_a_folder_with_a_table_of_labels_is_scanned(qtbot, window, tmp_path, monkeypatch):
    folder = tmp_path / "flat"
    scans = make_folder(tmp_path / "scans", subjects=3)
    folder.mkdir()
    rows = ["subject,class"]
    for file in sorted(scans.rglob("*.jpg")):
        file.rename(folder / file.name)
        rows.append(f"{file.name[:9]},{file.parent.name}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(dict.fromkeys(rows)))
    monkeypatch.setattr(
        "mrifcl_gui.window_questions.QFileDialog.getExistingDirectory",
        staticmethod(lambda *_: str(folder)),
    )
    monkeypatch.setattr(
        "mrifcl_gui.window_questions.QFileDialog.getOpenFileName",
        staticmethod(lambda *_: (str(table), "")),
    )
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.questions.ask_labelled()
        confirm_folder(qtbot, window)
    assert window.session.opened.cohort.classes == ("AD", "NC")
    wait_until_idle(qtbot)


@pytest.mark.parametrize(
    ("text", "kept"), [(r"(?P<subject>P\d+)", True), ("(", False), ("P.*", False), ("", True)]
)
def test_that_only_a_usable_subject_pattern_is_kept(window, monkeypatch, text, kept):
    from mrifcl_gui import preferences

    preferences.set_subject_pattern("(?P<subject>old)")
    monkeypatch.setattr(
        "mrifcl_gui.window_questions.QInputDialog.getText", staticmethod(lambda *_: (text, True))
    )
    window.questions.ask_pattern()
    assert preferences.subject_pattern() == (text if kept else "(?P<subject>old)")
    for box in dialogs(window):
        assert not box.detailedText()
        box.close()


def test_that_dialogs_that_are_left_change_nothing(window, monkeypatch):
    from mrifcl_gui import preferences

    for name in ("getExistingDirectory", "getOpenFileName"):
        monkeypatch.setattr(
            f"mrifcl_gui.window_questions.QFileDialog.{name}", staticmethod(lambda *_: "")
        )
    monkeypatch.setattr(
        "mrifcl_gui.window_questions.QInputDialog.getText", staticmethod(lambda *_: ("x", False))
    )
    before = window.session.data_folder
    for ask in (
        window.questions.ask_folder,
        window.questions.ask_labelled,
        window.questions.ask_existing,
        window.questions.ask_pattern,
        window.questions.ask_data_folder,
    ):
        ask()
    assert window.session.data_folder == before
    assert preferences.subject_pattern() == ""
    assert not running_jobs() or not window.problems


def test_that_a_fault_nobody_foresaw_is_shown_with_details(window):
    window.session.problem.emit(ZeroDivisionError("division by zero"))
    (box,) = dialogs(window)
    assert "division" not in box.text()
    assert "ZeroDivisionError" in box.detailedText()
    box.close()
    window.session.problem.emit(MriFclError("The disk is full. Free some space."))
    assert [box.text() for box in dialogs(window)] == ["The disk is full. Free some space."]
    for box in dialogs(window):
        box.close()


def test_that_a_recent_cohort_is_listed_and_opened(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    window.close()
    again = MainWindow(Session(data_folder=Path(window.session.data_folder)))
    qtbot.addWidget(again)
    again.show()
    with qtbot.waitSignal(again.session.cohort_opened, timeout=LIMIT_MS):
        named(again.cohort_panel, QPushButton, trained.scanned.folder.name).click()
    wait_until_idle(qtbot)
    again.close()


def test_that_a_second_scan_is_shown_beside_the_first(qtbot, window, tmp_path):
    from core.data.phantom import simulate_cohort
    from tests.tiny_cohort import drive

    folder = drive(simulate_cohort(tmp_path / "two", subjects_per_class=1))
    window.session.open_paths([folder])
    confirm_folder(qtbot, window)
    wait_until_idle(qtbot)
    viewer = window.cohort_panel.viewer
    qtbot.waitUntil(lambda: viewer.title.startswith("sub-001"))
    window.cohort_panel.compare_requested.emit(window.session.opened.cohort.scans[1])
    wait_until_idle(qtbot)
    assert viewer.compared_title.startswith("sub-002")


def test_that_moved_scans_are_found_where_the_user_shows(qtbot, window, tmp_path, monkeypatch):
    scanned = make_cohort(tmp_path)
    scans = scanned.cohort.root
    (tmp_path / "elsewhere").mkdir()
    moved = scans.rename(tmp_path / "elsewhere" / "scans")
    window.session.open_paths([scanned.folder])
    wait_until_idle(qtbot)
    box = next(box for box in window.findChildren(QMessageBox) if box.isVisible())
    assert scans.name in box.text()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(moved))
    show = next(button for button in box.buttons() if "where" in button.text())
    qtbot.mouseClick(show, Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot)
    assert window.session.opened.cohort.root == moved
    assert window.cohort_panel.cohort.subjects == scanned.cohort.subjects


def test_that_after_a_wrong_place_the_user_may_show_another(qtbot, window, tmp_path, monkeypatch):
    scanned = make_cohort(tmp_path)
    scans = scanned.cohort.root
    moved = scans.rename(tmp_path / "elsewhere")
    (tmp_path / "holiday").mkdir()
    window.session.open_paths([scanned.folder])
    asked = []
    for place in (tmp_path / "holiday", moved):
        wait_until_idle(qtbot)
        box = next(box for box in window.findChildren(QMessageBox) if box.isVisible())
        asked.append(box.text())
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, to=place: str(to))
        show = next(button for button in box.buttons() if "where" in button.text())
        qtbot.mouseClick(show, Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot)
    assert "'holiday' does not hold the scans of this cohort" in asked[1]
    assert window.session.opened.cohort.root == moved


def test_that_a_cohort_too_small_to_train_is_told_once(qtbot, window, tmp_path):
    problems = []
    window.session.problem.connect(problems.append)
    window.session.open_paths([make_folder(tmp_path / "small", subjects=2)])
    confirm_folder(qtbot, window)
    wait_until_idle(qtbot)
    assert window.cohort_panel.cohort is not None
    assert not problems
