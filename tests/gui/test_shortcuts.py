"""The keys: none twice, each in the list, and the list never out of date."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from core.data.volume import Volume
from mrifcl_gui.place_rail import PLACES
from mrifcl_gui.shortcut_window import ShortcutWindow, shortcuts_of
from mrifcl_gui.slice_viewer import SliceViewer
from mrifcl_gui.viewer_keys import key_words

CONTROL, NO_KEY = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier
EVERYWHERE = (Qt.ShortcutContext.WindowShortcut, Qt.ShortcutContext.ApplicationShortcut)


def keyed(window):
    """All that takes a key in the window: (key, context, the widget it acts in)."""
    found = []
    for action in window.findChildren(QAction):
        if isinstance(action.parent(), QMenu):
            continue
        for key in action.shortcuts():
            found.append((key.toString(), action.shortcutContext(), action.parent()))
    for shortcut in window.findChildren(QShortcut):
        if shortcut.parent().window() is window:
            found.append((shortcut.key().toString(), shortcut.context(), shortcut.parent()))
    return found


def test_that_no_two_actions_share_a_key_where_both_act(window):
    collisions = []
    for (key, one, at), (other_key, other, there) in itertools.combinations(keyed(window), 2):
        if key != other_key:
            continue
        assert isinstance(at, QWidget)
        assert isinstance(there, QWidget)
        apart = not (at is there or at.isAncestorOf(there) or there.isAncestorOf(at))
        if one in EVERYWHERE or other in EVERYWHERE or not apart:
            collisions.append((key, type(at).__name__, type(there).__name__))
    assert not collisions


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("Ctrl+O", "Open folder of scans"),
        ("Ctrl+Shift+O", "Open cohort or run"),
        ("Ctrl+S", "Save"),
        ("Ctrl+E", "Export what is shown"),
        ("Ctrl+C", "Copy what is shown"),
        ("Ctrl+F", "Find"),
        ("Ctrl+Q", "Quit"),
        ("Ctrl+,", "Preferences"),
        ("Ctrl+Z", "Undo"),
        ("F1", "User guide"),
        ("F2", "Change the class"),
        ("F2", "Change the tag"),
        ("F5", "Refresh"),
        ("Del", "Remove from the list (files stay)"),
        *((f"Ctrl+{n + 1}", place.capitalize()) for n, place in enumerate(PLACES)),
    ],
)
def test_that_the_keys_of_every_desktop_do_what_they_do_elsewhere(window, keys, words):
    native = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
    lines = [line for line in shortcuts_of(window) if native in line.keys.split(", ")]
    assert words in [line.words for line in lines]


def test_that_every_line_of_the_list_says_where_and_what(window):
    lines = shortcuts_of(window)
    assert not [line for line in lines if not (line.where and line.keys and line.words)]
    listed = {key for line in lines for key in line.keys.split(", ")}
    native = QKeySequence.SequenceFormat.NativeText
    missing = {QKeySequence(key).toString(native) for key, _, _ in keyed(window)} - listed
    assert not missing


def test_that_the_list_opens_and_is_filtered(qtbot, window):
    qtbot.keyClick(window, Qt.Key.Key_F1, CONTROL)
    (shown,) = [found for found in window.findChildren(ShortcutWindow) if found.isVisible()]
    assert len(shown.lines()) > 40
    shown.filter.setText("crosshair")
    assert {line.where for line in shown.lines()} == {"Viewer"}
    assert len(shown.lines()) == 2
    shown.close()


ASKED = [
    *(Qt.Key(key) for key in range(Qt.Key.Key_A.value, Qt.Key.Key_Z.value + 1)),
    *(Qt.Key(key) for key in range(Qt.Key.Key_0.value, Qt.Key.Key_9.value + 1)),
    Qt.Key.Key_Space,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
]


def test_that_the_viewer_acts_on_the_listed_keys_and_on_no_other(qtbot):
    viewer = SliceViewer()
    qtbot.addWidget(viewer)
    voxels = np.random.default_rng(0).random((8, 9, 10)).astype(np.float32)
    viewer.show_volume(Volume(voxels, np.eye(4), (1.0, 1.0, 1.0)), "a scan")
    viewer.show()
    acted = set()
    for key in ASKED:
        event = QKeyEvent(QKeyEvent.Type.KeyPress, key.value, NO_KEY)
        event.setAccepted(False)
        if viewer._act_by_key(key):
            acted.add(key)
    assert acted == set(key_words())


def test_that_save_says_where_everything_is_kept(qtbot, window, tmp_path):
    qtbot.keyClick(window, Qt.Key.Key_S, CONTROL)
    assert str(tmp_path / "data" / "runs") in window.statusBar().currentMessage()


def test_that_find_leads_to_the_filter_of_the_place(qtbot, window, trained):
    window.activateWindow()
    window.runs_panel.show_runs([])
    window.session.open_runs([trained.by_subject])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=30_000)
    window.session.refresh_runs()
    qtbot.waitUntil(lambda: window.runs_panel.table.model().rowCount() == 1, timeout=30_000)
    window.go_to("runs")
    qtbot.keyClick(window, Qt.Key.Key_F, CONTROL)
    assert QApplication.focusWidget() is window.runs_panel.filter
    window.go_to("train")
    assert not window.actions_here.find.isEnabled()
    from tests.tiny_cohort import wait_until_idle

    wait_until_idle(qtbot)
