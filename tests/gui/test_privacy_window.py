"""The window shows and keeps nothing of who was scanned (faults X7)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QAbstractItemView, QLabel, QLineEdit, QWidget

from mrifcl_gui import messages, window_log
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.messages import show_error
from mrifcl_gui.session import Session
from mrifcl_gui.slice_viewer import SliceViewer
from tests.canary_study import CANARY, NAME, PATIENT_ID, write_study
from tests.test_privacy import leaks_below, leaks_in
from tests.tiny_cohort import confirm_folder, tiny, wait_until_idle


def visible_texts(window):
    """Yield what any widget says, its tool tip, and each cell of each table and list."""
    for widget in (window, *window.findChildren(QWidget)):
        yield widget.toolTip()
        yield widget.accessibleName()
        yield widget.windowTitle()
        if isinstance(widget, QLabel | QLineEdit):
            yield widget.text()
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            yield from cells(widget.model())


def cells(model):
    roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
    for row in range(model.rowCount()):
        for column in range(model.columnCount()):
            for role in roles:
                yield str(model.index(row, column).data(role) or "")


def ask_for_key(text):
    return {}[text]


@pytest.mark.parametrize(
    "foreign", [int, float, ask_for_key, open, np.dtype, lambda text: b"\xff".decode(text)]
)
def test_that_a_crash_report_and_the_log_quote_no_header(qtbot, foreign):
    handler = window_log.start_log()
    try:
        for text in (CANARY, f"{CANARY}'s", f'"{CANARY}"', f"/home/{NAME}/{PATIENT_ID}.nii"):
            try:
                foreign(text)
            except (ValueError, KeyError, OSError, TypeError, LookupError, SyntaxError) as error:
                logging.getLogger("core.data").error("uncaught", exc_info=error)
                show_error(None, error)
            (box,) = messages._shown
            details = box.detailedText()
            assert "Traceback" in details
            assert "test_privacy_window.py" in details
            assert leaks_in(details.encode()) == set(), details
            messages._shown.clear()
            box.close()
            box.deleteLater()
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    log = window_log.log_path().read_bytes()
    assert b"Traceback" in log
    assert leaks_in(log) == set(), log.decode()


def train_queue(qtbot, window):
    """Train one run of the queue, beside one that still waits."""
    queue = window.training_panel.queue
    queue.add([tiny(epochs=1, count=3, size=16)])
    with qtbot.waitSignal(window.session.queue_ended, timeout=60_000):
        window.training_panel.train_button.click()
    queue.add([tiny(epochs=1, seed=1)])
    wait_until_idle(qtbot)
    assert queue.states() == ["done", "waiting"]


def test_that_a_study_full_of_names_leaves_none_in_window_files_or_settings(
    qtbot, tmp_path, caplog
):
    caplog.set_level("DEBUG")
    root = write_study(tmp_path / "scans")
    session = Session(data_folder=tmp_path / "data")
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    said = []
    session.problem.connect(lambda problem: said.append(str(problem)))
    session.open_paths([root])
    confirm_folder(qtbot, window)
    qtbot.waitUntil(lambda: session.opened is not None, timeout=60_000)
    wait_until_idle(qtbot)
    viewer = window.findChild(SliceViewer)
    shots = tmp_path / "shots"
    shots.mkdir()
    for number, scan in enumerate(session.opened.cohort.scans):
        session.read_scan(scan)
        wait_until_idle(qtbot)
        said += visible_texts(window)
        assert viewer.save_screenshot(shots / f"{number}.png")
    train_queue(qtbot, window)
    window.close()
    wait_until_idle(qtbot)
    queue = (tmp_path / "data" / "queue" / "queue.jsonl").read_text(encoding="utf-8")
    assert '"finished"' in queue
    assert "cohort" in queue
    QSettings("MRI-FCL", "MRI-FCL").sync()
    assert len(said) > 200
    assert not [text for text in said if leaks_in(text.encode())]
    assert leaks_in(caplog.text.encode()) == set()
    for folder in (tmp_path / "data", shots, Path(os.environ["XDG_CONFIG_HOME"])):
        assert leaks_below(folder) == {}
    assert len(list(shots.iterdir())) >= 9
