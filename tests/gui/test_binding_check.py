"""The Qt binding loses no reference to None and True, and one that does is noticed at once."""

from __future__ import annotations

import sys

import pytest

from mrifcl_gui import binding_check
from mrifcl_gui.binding_check import (
    CALLS,
    EMISSIONS,
    MOST_LOST,
    can_lose,
    check_binding,
    lost_references,
)

counted = pytest.mark.skipif(not can_lose(), reason="from Python 3.12 None and True live for ever")


@counted
def test_that_calls_and_signals_lose_no_reference_to_none_and_true(qtbot):
    assert (CALLS, EMISSIONS) == (300, 1000)
    lost = lost_references()
    assert {name.partition(".")[0] for name in lost} >= {"QLabel", "QProgressBar", "QPainter"}
    assert max(lost.values()) < MOST_LOST, lost


@counted
def test_that_a_call_that_loses_one_reference_each_time_is_counted(qtbot):
    import ctypes

    drop = ctypes.pythonapi.Py_DecRef
    drop.argtypes = (ctypes.py_object,)
    before = sys.getrefcount(None)
    try:
        assert binding_check._lost(lambda _: drop(None), CALLS) > CALLS - MOST_LOST
    finally:
        give = ctypes.pythonapi.Py_IncRef
        give.argtypes = (ctypes.py_object,)
        for _ in range(CALLS):
            give(None)
    assert sys.getrefcount(None) > before - MOST_LOST


def test_that_a_bad_binding_is_told_in_the_log(qtbot, monkeypatch, caplog):
    assert check_binding()
    assert caplog.text == ""
    monkeypatch.setattr(binding_check, "can_lose", lambda: True)
    monkeypatch.setattr(binding_check, "lost_references", lambda: {"QLabel.setText": 300})
    assert not check_binding()
    assert "300 in QLabel.setText" in caplog.text
    assert "pyproject.toml" in caplog.text
