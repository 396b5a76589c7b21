"""The window shows and keeps nothing of who was scanned."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QAbstractItemView, QLabel, QLineEdit, QWidget

from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.session import Session
from mrifcl_gui.slice_viewer import SliceViewer
from tests.canary_study import write_study
from tests.test_privacy import leaks_below, leaks_in
from tests.tiny_cohort import confirm_folder, wait_until_idle


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
    window.close()
    wait_until_idle(qtbot)
    QSettings("MRI-FCL", "MRI-FCL").sync()
    assert len(said) > 200
    assert not [text for text in said if leaks_in(text.encode())]
    assert leaks_in(caplog.text.encode()) == set()
    for folder in (tmp_path / "data", shots, Path(os.environ["XDG_CONFIG_HOME"])):
        assert leaks_below(folder) == {}
    assert len(list(shots.iterdir())) >= 9
