from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QSettings
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog

from core.figure import Axis, Curve, Figure, Panel, Table
from mrifcl_gui import preferences
from mrifcl_gui.export import ExportButton
from mrifcl_gui.job import running_jobs

FIGURE = Figure(
    "curve", "Curve", (Panel(Axis("x"), Axis("y"), (Curve("c", np.arange(3), np.arange(3)),)),)
)
TABLE = Table("numbers", "Numbers", ("a", "b"), ((1, "=x"), (None, "two\nlines")))


@pytest.fixture
def stored(tmp_path, monkeypatch):
    values = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(preferences, "store", lambda: values)
    return values


@pytest.fixture
def button(qtbot, stored):
    widget = ExportButton()
    qtbot.addWidget(widget)
    widget.set_source(lambda: FIGURE)
    yield widget
    qtbot.waitUntil(lambda: not running_jobs())


@pytest.mark.parametrize("suffix", ["png", "svg", "csv"])
def test_that_a_figure_is_saved_in_the_background(button, qtbot, tmp_path, suffix):
    path = tmp_path / f"f.{suffix}"
    with qtbot.waitSignal(button.saved, timeout=20_000) as caught:
        assert button.save_to(path)
    assert caught.args == [path]
    assert path.stat().st_size > 20


def test_that_a_table_is_saved(button, qtbot, tmp_path):
    button.set_source(lambda: TABLE)
    with qtbot.waitSignal(button.saved, timeout=20_000):
        button.save_to(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text("utf-8").startswith("a,b\n1,'=x\n")


def test_that_nothing_to_export_is_said(button, qtbot, tmp_path):
    button.set_source(lambda: None)
    with qtbot.waitSignal(button.failed) as caught:
        assert not button.save_to(tmp_path / "f.png")
    assert "nothing to export" in caught.args[0]
    with qtbot.waitSignal(button.failed):
        assert not button.copy()


def test_that_a_failure_is_said_in_words(button, qtbot, tmp_path):
    (tmp_path / "file").write_text("x")
    with qtbot.waitSignal(button.failed, timeout=20_000) as caught:
        button.save_to(tmp_path / "file" / "f.csv")
    assert "Cannot write 'f.csv'" in caught.args[0]


def test_that_a_widget_that_goes_away_does_not_end_its_export(qtbot, stored, tmp_path):
    widget = ExportButton()
    widget.set_source(lambda: FIGURE)
    widget.save_to(tmp_path / "f.png")
    widget.deleteLater()
    qtbot.waitUntil(lambda: (tmp_path / "f.png").exists(), timeout=20_000)
    qtbot.waitUntil(lambda: not running_jobs())


def test_that_the_picture_is_copied(button, qtbot):
    with qtbot.waitSignal(button.copied, timeout=20_000):
        button.copy()
    assert QGuiApplication.clipboard().image().width() > 500


def test_that_a_table_is_copied_as_tab_separated_text(button, qtbot):
    button.set_source(lambda: TABLE)
    with qtbot.waitSignal(button.copied):
        button.copy()
    assert QGuiApplication.clipboard().text() == "a\tb\n1\t'=x\n\ttwo lines"


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (FIGURE, ["Copy picture", "Export PNG…", "Export SVG…", "Export CSV…"]),
        (TABLE, ["Copy table", "Export CSV…"]),
    ],
)
def test_that_the_menu_has_what_the_shown_thing_allows(button, shown, words):
    button.set_source(lambda: shown)
    button.menu().aboutToShow.emit()
    button.menu().aboutToShow.emit()
    assert [action.text() for action in button.menu().actions() if action.text()] == words


def test_that_the_last_folder_is_remembered(button, qtbot, stored, tmp_path, monkeypatch):
    offered = []

    def answer(_parent, _title, path, _filter):
        offered.append(path)
        return str(tmp_path / "chosen"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    for _ in range(2):
        button.menu().aboutToShow.emit()
        action = next(one for one in button.menu().actions() if one.data() == "csv")
        with qtbot.waitSignal(button.saved, timeout=20_000) as caught:
            action.trigger()
    assert caught.args == [tmp_path / "chosen.csv"]
    assert offered[1] == str(tmp_path / "curve.csv")
    assert stored.value("export/folder") == str(tmp_path)


def test_that_a_cancelled_dialog_saves_nothing(button, qtbot, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    button.exporter.ask_and_save("png")
    assert stored.value("export/folder") is None
    assert not running_jobs()
