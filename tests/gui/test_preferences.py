"""What the window remembers, also when the settings file holds nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings

from mrifcl_gui import preferences, settings_file
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
    folder = cohort_in(tmp_path / "a.mrifcl")
    preferences.add_recent(folder)
    preferences.store().sync()
    assert preferences.recent() == [folder]


def test_that_what_has_gone_is_known_and_can_be_forgotten(tmp_path):
    folder, other = cohort_in(tmp_path / "a.mrifcl"), cohort_in(tmp_path / "b.mrifcl")
    for path in (folder, other):
        preferences.add_recent(path)
    (folder / "cohort.json").unlink()
    assert [preferences.is_gone(path) for path in preferences.recent()] == [False, True]
    preferences.forget_recent(folder)
    assert preferences.recent() == [other]


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


# What versions before had: Qt's own file.
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
def test_that_nonsense_in_an_old_settings_file_never_keeps_the_window_from_opening(
    qtbot, tmp_path, content
):
    file = Path(QSettings("MRI-FCL", "MRI-FCL").fileName())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    assert isinstance(preferences.recent(), list)
    assert_window_opens(qtbot, tmp_path)


def test_that_settings_of_an_earlier_version_are_taken_over(tmp_path):
    old = QSettings("MRI-FCL", "MRI-FCL")
    folder = cohort_in(tmp_path / "a.mrifcl")
    for name, value in (
        ("data_folder", str(tmp_path / "mine")),
        ("recent", [str(folder)]),
        ("viewer/radiological", False),
    ):
        old.setValue(name, value)
    old.sync()
    assert preferences.data_folder() == tmp_path / "mine"
    assert preferences.recent() == [folder]
    assert preferences.is_radiological() is False


def assert_window_opens(qtbot, tmp_path):
    """Open and close the window; return what it told."""
    session = Session(data_folder=tmp_path / "data")
    said = []
    session.problem.connect(lambda error: said.append(str(error)))
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.show()
    wait_until_idle(qtbot)
    assert window.close()
    return said


ODD = (
    # name, content, whether it is used, what is told
    ("good", b'{"version": 1, "subject_pattern": "x", "new": [1]}', True, ""),
    ("empty", b"", False, "is damaged"),
    ("cut", b'{"version": 1, "subject_pattern": "x', False, "is damaged"),
    ("nul", bytes(60), False, "is damaged"),
    ("list", b"[1,2]", False, "is damaged"),
    ("utf16", '{"version": 1}'.encode("utf-16"), False, "is damaged"),
    ("nan", b'{"version":1,"window/geometry":[NaN,1e999,0,0]}', False, "is damaged"),
    ("infinite", b'{"version":1,"x":1e999}', False, "is damaged"),
    ("deep", b"[" * 100_000, False, "is damaged"),
    ("deep value", b'{"version":1,"a":' + b"[" * 100_000, False, "is damaged"),
    ("twice", b'{"version":1,"subject_pattern":"x","subject_pattern":5}', False, "is damaged"),
    ("no version", b'{"subject_pattern":"x"}', False, "is damaged"),
    ("version", b'{"version":"x","subject_pattern":"x"}', False, "is damaged"),
    ("large", b'{"version":1,"a":"' + b"x" * 2_000_000 + b'"}', False, "is damaged"),
    ("types", b'{"version":1,"subject_pattern":"x","recent":{"a":1}}', True, "for 'recent'"),
    ("screen", b'{"version":1,"subject_pattern":"x","window/geometry":[9,9]}', True, "geometry'"),
    ("newer", b'{"version":999,"subject_pattern":"x"}', False, "newer version"),
)


@pytest.mark.parametrize(
    ("content", "is_used", "told"), [odd[1:] for odd in ODD], ids=[odd[0] for odd in ODD]
)
def test_that_the_window_opens_whatever_the_settings_file_holds(
    qtbot, tmp_path, content, is_used, told
):
    path = preferences.settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    said = assert_window_opens(qtbot, tmp_path)
    assert preferences.subject_pattern() == ("x" if is_used else "")
    bad = path.with_name("settings.json.bad")
    if not told:
        assert said == []
        assert not bad.exists()
        assert b'"new"' in path.read_bytes(), "what a later version knows is kept"
        return
    assert len(said) == 1
    assert told in said[0]
    assert "settings file 'settings.json'" in said[0]
    assert "default" in said[0]
    if told == "newer version":
        assert path.read_bytes() == content
        assert not bad.exists()
    else:
        assert bad.read_bytes() == content
    assert assert_window_opens(qtbot, tmp_path) == [], "it is said once"


def test_that_settings_that_cannot_be_written_disturb_nobody(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(settings_file.atomic_file, "write_text", refuse)
    preferences.set_subject_pattern("x")
    assert preferences.subject_pattern() == "x"
    preferences.flush()
    assert "Read-only" in caplog.text


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
