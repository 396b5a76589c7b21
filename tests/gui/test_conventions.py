"""Each control says what it is and does, to the eye and to a screen reader; Tab reaches all."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollBar,
    QTabBar,
)

from mrifcl_gui.place_rail import PLACES
from tests.tiny_cohort import wait_until_idle

LIMIT_MS = 30_000
CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QTabBar,
)
# Parts of a control, which is told by its whole.
WHOLES = (QComboBox, QAbstractSpinBox, QLineEdit, QAbstractItemView, QTabBar)


@pytest.fixture
def filled(qtbot, window, trained):
    """The window with a cohort and two runs."""
    window.resize(1280, 900)
    window.session.open_paths([trained.scanned.folder])
    wait_until_idle(qtbot)
    window.session.open_runs([trained.by_subject, trained.three_classes])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    return window


@pytest.fixture(params=["empty", "filled"])
def state(request):
    return request.getfixturevalue("window" if request.param == "empty" else "filled")


def controls(parent):
    """The controls that are seen in ``parent``, each once."""
    found = []
    for kind in CONTROLS:
        for widget in parent.findChildren(kind):
            is_part = isinstance(widget, QScrollBar) or isinstance(widget.parentWidget(), WHOLES)
            if widget.isVisible() and not is_part and widget not in found:
                found.append(widget)
    return found


def words_of(widget):
    said = getattr(widget, "text", lambda: "")
    return f"{type(widget).__name__} '{said() or widget.accessibleName()}'"


def tabs_of_analyse(window):
    return [window.analysis_tabs.tabs.widget(n) for n in range(window.analysis_tabs.tabs.count())]


def faults_in(parent):
    """What is not told of the controls in ``parent``: by tooltip or label, and by name."""
    buddies = {id(label.buddy()) for label in parent.window().findChildren(QLabel) if label.buddy()}
    faults = []
    for widget in controls(parent):
        if isinstance(widget, QTabBar):
            continue  # each tab is named by its words
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is None or not interface.text(QAccessible.Text.Name).strip():
            faults.append(f"no name: {words_of(widget)}")
        is_list = isinstance(widget, QAbstractItemView)
        if not is_list and not widget.toolTip() and id(widget) not in buddies:
            faults.append(f"no tooltip and no label: {words_of(widget)}")
    return faults


def test_that_every_control_has_a_tooltip_or_a_label_and_a_name_to_be_read_out(state):
    faults = set()
    for place in PLACES:
        state.go_to(place)
        faults |= set(faults_in(state))
    assert not "\n".join(sorted(faults))


def chain_from(start, limit=400):
    """What Tab reaches from ``start`` until it comes back."""
    reached = [start]
    widget = start
    for _ in range(limit):
        QApplication.sendEvent(widget, key_event(Qt.Key.Key_Tab))
        widget = QApplication.focusWidget()
        if widget is None or widget is start:
            return reached, widget is start
        reached.append(widget)
    return reached, False


def key_event(key):
    from PySide6.QtGui import QKeyEvent

    return QKeyEvent(QKeyEvent.Type.KeyPress, key.value, Qt.KeyboardModifier.NoModifier)


def test_that_tab_reaches_every_control_and_is_never_trapped(qtbot, state):
    missed = []
    for place in PLACES:
        state.go_to(place)
        state.activateWindow()
        qtbot.wait(20)
        start = state.rail.buttons[PLACES.index(place)]
        start.setFocus()
        reached, is_back = chain_from(start)
        assert is_back, f"stopped at {words_of(reached[-1])}"
        seen = {id(widget) for widget in reached}
        missed += [
            f"{place}: {words_of(widget)}"
            for widget in controls(state)
            if widget.isEnabled()
            and not _is_one_of_several(widget)
            and id(widget.focusProxy() or widget) not in seen
        ]
    assert not missed


def _is_one_of_several(widget):
    """Arrows go from one of these to the next; Tab reaches the one that is chosen."""
    return isinstance(widget, QAbstractButton) and widget.autoExclusive()


@pytest.mark.parametrize("place", ["cohort", "train", "runs"])
def test_that_tab_goes_down_each_column_in_reading_order(qtbot, window, trained, place):
    filled = window
    if place != "train":
        window.session.open_paths([trained.scanned.folder, trained.by_subject])
        wait_until_idle(qtbot)
    filled.go_to(place)
    filled.activateWindow()
    qtbot.wait(20)
    start = filled.rail.buttons[PLACES.index(place)]
    start.setFocus()
    reached, _ = chain_from(start)
    panel = filled._places.currentWidget()
    siblings = {}
    for widget in reached:
        if panel.isAncestorOf(widget):
            siblings.setdefault(widget.parentWidget(), []).append(widget)
    wrong = []
    for group in siblings.values():
        places = [widget.mapTo(panel, QPoint(0, 0)) for widget in group]
        for (one, a), (other, b) in zip(
            zip(group, places, strict=True),
            list(zip(group, places, strict=True))[1:],
            strict=False,
        ):
            above = b.y() + other.height() <= a.y()
            left_of = b.x() + other.width() <= a.x() and abs(a.y() - b.y()) < one.height() / 2
            if above or left_of:
                wrong.append(f"{words_of(one)} before {words_of(other)}")
    assert not wrong


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return])
def test_that_space_and_enter_press_a_button(qtbot, window, key):
    window.go_to("analyse")
    button = next(b for b in controls(window.analysis_tabs) if b.text() == "Choose a run")
    button.setFocus()
    qtbot.keyClick(button, key)
    assert PLACES[window._places.currentIndex()] == "runs"


def test_that_every_tab_of_analyse_has_names_and_tooltips(qtbot, filled):
    filled.go_to("analyse")
    faults = set()
    for tab in tabs_of_analyse(filled):
        filled.analysis_tabs.tabs.setCurrentWidget(tab)
        wait_until_idle(qtbot)
        faults |= set(faults_in(tab))
    assert not "\n".join(sorted(faults))


def test_that_no_control_looks_chosen_before_the_keyboard_is_used(qtbot, window):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    focus = QApplication.focusWidget()
    assert not isinstance(focus, CONTROLS)
    QApplication.sendEvent(focus or window, key_event(Qt.Key.Key_Tab))
    first = QApplication.focusWidget()
    assert window.cohort_panel.isAncestorOf(first), "Tab begins in the page"
    assert isinstance(first, CONTROLS)
    first.setFocus()
    reached, is_back = chain_from(first)
    assert is_back
    assert window.rail.buttons[0] in reached


@pytest.mark.parametrize("where", ["nowhere", "its button", "the table", "the rail"])
def test_that_escape_closes_the_bar_of_a_problem(qtbot, filled, where):
    panel = filled.cohort_panel
    filled.go_to("cohort")
    panel.show_problem("Cannot read 'A1.nii'. Copy it again.")
    starts = {
        "its button": next(b for b in controls(panel) if words_of(b).endswith("'Dismiss'")),
        "the table": panel.scan_list.table,
        "the rail": filled.rail.buttons[0],
    }
    start = starts.get(where, filled._places)
    start.setFocus()
    qtbot.keyClick(start, Qt.Key.Key_Escape)
    assert not panel.has_problem


def test_that_escape_is_first_for_what_has_a_use_for_it(qtbot, filled):
    panel = filled.cohort_panel
    filled.go_to("cohort")
    panel.show_problem("Cannot read 'A1.nii'. Copy it again.")
    panel.scan_list.filter_box.setText("NC")
    panel.scan_list.filter_box.setFocus()
    qtbot.keyClick(panel.scan_list.filter_box, Qt.Key.Key_Escape)
    assert not panel.scan_list.filter_box.text()
    assert panel.has_problem
    qtbot.keyClick(panel.scan_list.filter_box, Qt.Key.Key_Escape)
    assert not panel.has_problem
