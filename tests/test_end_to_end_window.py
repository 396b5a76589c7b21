"""One way through the window: drop a folder, train, analyse, export, read back, compare."""

from __future__ import annotations

import csv
import itertools

import numpy as np
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QPushButton

from core import config, report
from core.config import RunSettings
from mrifcl_gui.job import running_jobs
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.session import Session
from tests.tiny_cohort import TINY_VALUES, confirm_folder, make_folder, wait_until_idle

LIMIT_MS = 60_000


def test_that_a_dropped_folder_becomes_a_figure_and_a_table_on_disk(qtbot, tmp_path, monkeypatch):
    every = report.run_figures
    # Drawing all figures of the report takes long, and is tested elsewhere.
    monkeypatch.setattr(report, "run_figures", lambda run: itertools.islice(every(run), 1))
    session = Session(data_folder=tmp_path / "data")
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    problems = []
    session.problem.connect(problems.append)

    # Cohort
    drop(window, make_folder(tmp_path / "scans"))
    confirm_folder(qtbot, window)
    qtbot.waitUntil(lambda: session.opened is not None, timeout=LIMIT_MS)
    # Nothing is cut yet, so that slices cannot have been compared.
    said = "Audit: no leak so far"
    qtbot.waitUntil(lambda: window.cohort_panel._audit.text() == said, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    click(qtbot, window.cohort_panel, "Train ›")

    # Train, once by subject and once by slice
    panel = window.training_panel
    for mode in ("subject", "slice"):
        panel.set_settings(config.change(RunSettings(), {**TINY_VALUES, "mode": mode}))
        click(qtbot, panel, "Add to queue")
    ends = []
    session.training_ended.connect(lambda state, _: ends.append(state))
    click(qtbot, panel, "Train 2 runs")
    qtbot.waitUntil(lambda: len(ends) == 2 and not session.is_training, timeout=LIMIT_MS)
    assert ends == ["finished", "finished"]
    wait_until_idle(qtbot)

    # Runs: choose both and compare
    window.go_to("runs")
    qtbot.waitUntil(lambda: window.runs_panel.table.model().rowCount() == 2, timeout=LIMIT_MS)
    window.runs_panel.table.selectAll()
    click(qtbot, window.runs_panel, "Compare selected")
    analysis = window.analysis_tabs
    qtbot.waitUntil(lambda: analysis.run is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert analysis.tabs.currentWidget() is analysis.comparison
    assert len(analysis.comparison.table.table().rows) == 2

    # Analyse: the scatter, exported and read back
    tab = analysis.figure_tabs[0]
    with qtbot.waitSignal(tab.drawn, timeout=LIMIT_MS):
        analysis.tabs.setCurrentWidget(tab)
    wait_until_idle(qtbot)
    path = tmp_path / "weights.csv"
    with qtbot.waitSignal(tab.export.saved, timeout=LIMIT_MS):
        tab.export.save_to(path)
    assert_holds(path, analysis.run.fc_history.weight[-1])

    # Report
    analysis.tabs.setCurrentWidget(analysis._report)
    click(qtbot, analysis._report, "Write the report page")
    page = analysis._runs[0].path / "report.html"
    qtbot.waitUntil(lambda: bool(analysis._report._words.text()), timeout=LIMIT_MS)
    assert "MRI-FCL report" in page.read_text(encoding="utf-8")

    wait_until_idle(qtbot)
    assert window.close()
    assert not running_jobs()
    assert not problems


def drop(widget, folder):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    given = (
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, QDragEnterEvent(QPointF(300, 300).toPoint(), *given))
    QApplication.sendEvent(widget, QDropEvent(QPointF(300, 300), *given))


def click(qtbot, parent, text):
    (button,) = [b for b in parent.findChildren(QPushButton) if b.text() == text]
    assert button.isEnabled(), text
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def assert_holds(path, weight):
    """Check that each weight stands in the table."""
    numbers = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            for cell in row:
                try:
                    numbers.append(float(cell))
                except ValueError:
                    continue
    for value in weight.ravel():
        assert np.isclose(numbers, value, rtol=1e-5).any()
