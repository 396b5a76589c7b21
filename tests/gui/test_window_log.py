"""The log of the window holds what went wrong, not whose scan it was."""

from __future__ import annotations

import logging

import pytest

from mrifcl_gui import window_log
from mrifcl_gui.window_log import log_path, start_log


@pytest.fixture
def log(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(window_log, "user_data_folder", lambda: tmp_path / "data" / "MRI-FCL")
    handler = start_log()
    yield logging.getLogger("mrifcl_gui.any")
    logging.getLogger().removeHandler(handler)
    handler.close()


def test_that_a_fault_is_in_the_log_with_its_trace_and_without_names(log, tmp_path):
    name = "^".join(("DOE", "JANE 12345678"))
    try:
        (tmp_path / f"{name}.nii").read_bytes()
    except OSError:
        log.exception("cannot read '%s'", name)
    text = log_path().read_text(encoding="utf-8")
    assert "FileNotFoundError" in text
    assert "gui/test_window_log.py" in text.replace("\\", "/")
    assert "DOE" not in text
    assert str(tmp_path) not in text


def test_that_the_log_is_made_by_the_first_warning_and_stays_small(log, monkeypatch):
    log.info("all is well")
    assert not log_path().exists()
    for number in range(3000):
        log.warning("line %d %s", number, "x" * 500)
    files = list(log_path().parent.iterdir())
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) <= 2 * window_log.LARGEST_BYTES


def test_that_a_folder_that_cannot_be_made_is_no_reason_to_fail(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(window_log, "user_data_folder", lambda: tmp_path / "file")
    assert start_log() is None
