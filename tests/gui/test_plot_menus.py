"""Each plot and table can be copied and exported from its own menu; faults are said."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu, QMessageBox

from mrifcl_gui.histogram_view import HistogramView
from mrifcl_gui.run_detail import RunDetail
from tests.tiny_cohort import wait_until_idle


@pytest.fixture
def histogram(qtbot):
    view = HistogramView()
    qtbot.addWidget(view)
    view.resize(300, 160)
    view.show()
    return view


@pytest.fixture
def detail(qtbot, trained):
    from core.run_folder import Run

    detail = RunDetail()
    qtbot.addWidget(detail)
    detail.resize(1000, 500)
    detail.show()
    detail.show_run(Run(trained.by_subject))
    return detail


def open_menu(qtbot, widget):
    """Ask for the menu as the right mouse button does; return the words of its entries."""
    middle = widget.rect().center()
    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, middle, widget.mapToGlobal(middle), Qt.NoModifier
    )
    QApplication.sendEvent(widget, event)
    qtbot.waitUntil(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
    menu = QApplication.activePopupWidget()
    words = [action.text() for action in menu.actions() if action.text()]
    menu.close()
    return words


def test_that_the_histogram_is_copied_and_exported_from_its_menu(qtbot, histogram):
    histogram.show_values(np.arange(1000.0))
    words = open_menu(qtbot, histogram)
    assert words[0] == "Copy picture"
    assert {"Export PNG…", "Export SVG…", "Export CSV…"} <= set(words)


def test_that_the_histogram_of_nothing_has_no_menu(qtbot, histogram):
    middle = QPoint(10, 10)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, middle, middle, Qt.NoModifier)
    QApplication.sendEvent(histogram, event)
    assert QApplication.activePopupWidget() is None
    assert histogram.figure() is None


def test_that_the_exported_histogram_holds_the_counts_and_the_window(qtbot, histogram, tmp_path):
    values = np.repeat(np.arange(128.0), np.arange(128) + 1)
    histogram.show_values(values)
    histogram.set_window(20, 90)
    with qtbot.waitSignal(histogram.exporter.saved, timeout=20_000):
        histogram.exporter.save_to(tmp_path / "h.csv")
    with (tmp_path / "h.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    bars = [row for row in rows if row["kind"] == "bars"]
    counts = [round(10 ** float(row["y"]) - 1) for row in bars]
    top = np.percentile(values, 99.9)
    assert sum(counts) == (values <= top).sum()
    assert [float(row["x"]) for row in rows if row["kind"] == "curve"] == [20, 90]
    wait_until_idle(qtbot)


def test_that_the_settings_of_a_run_are_copied_and_exported_from_their_menu(
    qtbot, detail, tmp_path
):
    words = open_menu(qtbot, detail.settings.viewport())
    assert words[:2] == ["Copy table", "Export CSV…"]
    detail.exporter.copy()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == "setting\tvalue\tunit"
    assert len(lines) == 1 + detail.settings.topLevelItemCount()
    with qtbot.waitSignal(detail.exporter.saved, timeout=20_000):
        detail.exporter.save_to(tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(encoding="utf-8") as file:
        rows = {row["setting"]: row["value"] for row in csv.DictReader(file)}
    assert rows["Epochs"] == str(detail._run.settings.epochs)
    assert float(rows["Learning rate"]) == detail._run.settings.learning_rate
    wait_until_idle(qtbot)


def test_that_no_run_has_no_settings_to_export(qtbot, detail):
    detail.show_run(None)
    assert not detail.exporter.has_content


def test_that_an_export_that_fails_is_said_in_a_dialog(qtbot, detail, tmp_path):
    (tmp_path / "no folder").write_text("a file")
    detail.exporter.save_to(tmp_path / "no folder" / "s.csv")
    qtbot.waitUntil(lambda: bool(detail.findChildren(QMessageBox)), timeout=20_000)
    (box,) = detail.findChildren(QMessageBox)
    assert "s.csv" in box.text() or "no folder" in box.text()
    box.close()
    wait_until_idle(qtbot)
