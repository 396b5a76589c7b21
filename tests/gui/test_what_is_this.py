"""What each figure is, after whom, and its formulas: said beside it and opened by a button."""

from __future__ import annotations

import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from mrifcl_gui.analysis_views import TABS
from mrifcl_gui.figure_tab import FigureTab
from mrifcl_gui.guide_window import MATHS as MATHS_PAGE
from mrifcl_gui.guide_window import GuideWindow, anchor_of, docs_folder
from mrifcl_gui.map_views import MAPS
from tests.tiny_cohort import wait_until_idle

VIEWS = [(tab, view) for tab in (*TABS, MAPS) for view in tab.views]
EACH = pytest.mark.parametrize(
    ("tab", "view"), VIEWS, ids=[f"{tab.title}-{view.title}" for tab, view in VIEWS]
)


@EACH
def test_that_each_figure_says_in_two_sentences_what_is_seen_and_after_whom(tab, view):
    sentences = re.findall(r"[^.!?]{8,}[.!?:](?:\s|$)", view.help)
    assert len(sentences) >= 2, view.help
    assert re.search(r"\(\d{4}\)|^Ours", view.source), view.source


@EACH
def test_that_each_figure_names_formulas_that_the_guide_has(tab, view):
    text = (docs_folder() / MATHS_PAGE).read_text(encoding="utf-8")
    headings = {anchor_of(line.lstrip("# ")) for line in text.splitlines() if line[:1] == "#"}
    assert anchor_of(view.maths) in headings


@pytest.mark.parametrize("tab", [*TABS, MAPS], ids=lambda tab: tab.title)
def test_that_what_is_this_is_seen_beside_the_figure(qtbot, tab):
    shown = FigureTab(tab)
    qtbot.addWidget(shown)
    shown.resize(1000, 1400)
    shown.show()
    for view in tab.views:
        shown.choose_view(view.title)
        texts = [label.text() for label in shown.findChildren(QLabel) if label.isVisible()]
        assert view.help in texts
        assert f"Source: {view.source}" in texts
        with qtbot.waitSignal(shown.maths_requested) as signal:
            qtbot.mouseClick(shown.maths_button, Qt.MouseButton.LeftButton)
        assert signal.args == [view.maths]


def test_that_the_formulas_open_in_the_guide_at_their_heading(qtbot, window, trained):
    window.session.open_runs([trained.by_subject])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=30_000)
    wait_until_idle(qtbot)
    tab = window.analysis_tabs.figure_tabs[0]
    qtbot.mouseClick(tab.maths_button, Qt.MouseButton.LeftButton)
    (guide,) = window.findChildren(GuideWindow)
    assert guide.isVisible()
    assert guide.page.file == MATHS_PAGE
    qtbot.waitUntil(lambda: guide.page.verticalScrollBar().value() > 0, timeout=5000)
    guide.close()
