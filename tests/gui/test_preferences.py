"""What the window remembers, also when the settings file holds nonsense."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QByteArray, QSettings

from mrifcl_gui import preferences
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.session import Session
from tests.tiny_cohort import wait_until_idle


def cohort_in(folder):
    folder.mkdir(parents=True)
    (folder / "cohort.json").write_text("{}")
    return folder


def test_that_recent_cohorts_come_newest_first_once_and_at_most_eight(tmp_path):
    folders = [cohort_in(tmp_path / f"{i}.mrifcl") for i in range(10)]
    for folder in [*folders, folders[4]]:
        preferences.add_recent(folder)
    assert preferences.recent() == [folders[i] for i in (4, 9, 8, 7, 6, 5, 3, 2)]


def test_that_one_recent_cohort_is_read_back_as_one(tmp_path):
    # A list of one string comes back from the file as a string.
    folder = cohort_in(tmp_path / "a.mrifcl")
    preferences.add_recent(folder)
    preferences.store().sync()
    assert preferences.recent() == [folder]


def test_that_what_has_gone_is_not_recent(tmp_path):
    folder = cohort_in(tmp_path / "a.mrifcl")
    preferences.add_recent(folder)
    (folder / "cohort.json").unlink()
    assert preferences.recent() == []


def test_that_the_data_folder_is_in_documents_unless_chosen(tmp_path):
    assert preferences.data_folder().name == "MRI-FCL"
    preferences.set_data_folder(tmp_path / "mine")
    assert preferences.data_folder() == tmp_path / "mine"


def test_that_pattern_and_orientation_are_kept():
    assert preferences.subject_pattern() == ""
    assert preferences.is_radiological() is True
    preferences.set_subject_pattern("(?P<subject>x)")
    preferences.set_radiological(False)
    preferences.store().sync()
    assert preferences.subject_pattern() == "(?P<subject>x)"
    assert preferences.is_radiological() is False


def test_that_geometry_is_kept():
    assert preferences.geometry() is None
    preferences.set_geometry(QByteArray(b"abc"))
    assert preferences.geometry() == QByteArray(b"abc")


@pytest.mark.parametrize("stored", ["", "1", "1 2 3", "0 0", "a b", "-5 7"])
def test_that_shares_that_do_not_fit_are_the_usual_ones(stored):
    preferences.store().setValue("shares/x", stored)
    assert preferences.shares("x", (5, 7)) == (5, 7)
    preferences.set_shares("x", (40, 60))
    assert preferences.shares("x", (5, 7)) == (40, 60)


NONSENSE = (
    "",
    "\x00\x01\x02",
    "[General]\nrecent=@Invalid()\ndata_folder=7\n",
    "[General]\nrecent=1, 2, 3\n[viewer]\nradiological=perhaps\n[window]\ngeometry=12\n",
    "[window]\ngeometry=@ByteArray(nonsense)\n",
    "[" * 10_000,
    "{'json': true}",
)


@pytest.mark.parametrize("content", NONSENSE)
def test_that_a_damaged_settings_file_never_keeps_the_window_from_opening(qtbot, tmp_path, content):
    file = QSettings("MRI-FCL", "MRI-FCL").fileName()
    from pathlib import Path

    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(content)
    assert isinstance(preferences.recent(), list)
    preferences.data_folder()
    preferences.is_radiological()
    preferences.subject_pattern()
    window = MainWindow(Session(data_folder=tmp_path / "data"))
    qtbot.addWidget(window)
    window.show()
    wait_until_idle(qtbot)
    assert window.close()


def test_that_each_folder_has_its_own_subject_pattern(tmp_path):
    preferences.set_subject_pattern("(?P<subject>general)")
    preferences.set_folder_pattern(tmp_path / "a", "(?P<subject>A)")
    preferences.set_folder_pattern(tmp_path / "b", "")
    assert preferences.folder_pattern(tmp_path / "a") == "(?P<subject>A)"
    assert preferences.folder_pattern(tmp_path / "b") == ""
    assert preferences.folder_pattern(tmp_path / "c") == "(?P<subject>general)"


@pytest.mark.parametrize("stored", ["", "[", "7", "[1]", '["ab", 3]', "null", '{"a": 1}'])
def test_that_nonsense_among_the_patterns_is_none(tmp_path, stored):
    preferences.store().setValue("folder_patterns", stored)
    assert preferences.folder_pattern(tmp_path) == ""
