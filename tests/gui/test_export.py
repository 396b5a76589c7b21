from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QSettings
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QFileDialog, QLabel

from core.figure import Axis, Curve, Figure, Panel, Table
from mrifcl_gui import picture_size, preferences
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


def test_that_a_table_is_saved_with_decimal_commas(button, qtbot, tmp_path, monkeypatch):
    # Faults X1: what a spreadsheet of a country with decimal commas reads as numbers.
    button.set_source(lambda: Table("numbers", "Numbers", ("a", "b"), ((0.5, "=x"), (None, "y"))))
    path = tmp_path / "t"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    button.menu().aboutToShow.emit()
    (action,) = [item for item in button.menu().actions() if "commas" in item.text()]
    with qtbot.waitSignal(button.saved, timeout=20_000) as caught:
        action.trigger()
    assert caught.args == [tmp_path / "t.csv"]
    assert (tmp_path / "t.csv").read_bytes() == b"\xef\xbb\xbfa;b\n0,5;'=x\n;y\n"


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
        (
            FIGURE,
            [
                "Copy picture",
                "Export PNG…",
                "Export SVG…",
                "Export CSV…",
                "Export CSV with decimal commas…",
                "Picture size: 180 mm, 300 dpi…",
            ],
        ),
        (TABLE, ["Copy table", "Export CSV…", "Export CSV with decimal commas…"]),
    ],
)
def test_that_the_menu_has_what_the_shown_thing_allows(button, shown, words):
    button.set_source(lambda: shown)
    button.menu().aboutToShow.emit()
    button.menu().aboutToShow.emit()
    assert [action.text() for action in button.menu().actions() if action.text()] == words


def test_that_pictures_are_saved_in_the_size_that_was_asked_for(
    button, qtbot, stored, tmp_path, monkeypatch
):
    def answer(dialog):
        dialog.width_box.setValue(127)
        dialog.dpi_box.setValue(100)
        assert "500 pixels" in dialog.findChild(QLabel).text()
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(picture_size.PictureSizeDialog, "exec", answer)
    button.menu().aboutToShow.emit()
    next(one for one in button.menu().actions() if "size" in one.text()).trigger()
    button.menu().aboutToShow.emit()
    assert button.menu().actions()[-1].text() == "Picture size: 127 mm, 100 dpi…"
    with qtbot.waitSignal(button.saved, timeout=20_000):
        button.save_to(tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.width == 500
        assert picture.info["dpi"] == pytest.approx((100, 100), abs=0.1)


def test_that_a_cancelled_picture_size_changes_nothing(button, stored, monkeypatch):
    def answer(dialog):
        dialog.dpi_box.setValue(72)
        return QDialog.DialogCode.Rejected

    monkeypatch.setattr(picture_size.PictureSizeDialog, "exec", answer)
    picture_size.ask(button)
    assert picture_size.chosen() == picture_size.PictureSize(180, 300)


def test_that_a_kept_size_beyond_the_limits_is_brought_within_them(stored):
    stored.setValue("export/width_mm", 1e9)
    stored.setValue("export/dpi", 1)
    assert picture_size.chosen() == picture_size.PictureSize(300, 50)


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
