"""Help shows the pages of docs/ offline: pictures, contents, search, links between pages."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QAction, QDesktopServices, QImage, QKeySequence, QTextDocument

from mrifcl_gui.guide_window import GUIDE, MATHS, TUTORIAL, GuideWindow, docs_folder


@pytest.fixture
def guide(qtbot):
    window = GuideWindow()
    qtbot.addWidget(window)
    window.show_page(GUIDE)
    return window


def titles(guide):
    return [guide.contents.item(i).text().strip() for i in range(guide.contents.count())]


def image_of(guide, name):
    url = QUrl.fromLocalFile(str(guide.page.folder / "images" / name))
    return guide.page.document().resource(QTextDocument.ResourceType.ImageResource.value, url)


def test_that_the_pages_are_where_the_program_looks():
    for name in (GUIDE, TUTORIAL, MATHS):
        assert (docs_folder() / name).is_file()


def test_that_the_guide_shows_its_pictures(guide, qtbot):
    def is_read():
        image = image_of(guide, "welcome.png")
        # Before it is read there is a plain area of the same size.
        return isinstance(image, QImage) and image.allGray() is False

    qtbot.waitUntil(is_read, timeout=20_000)
    assert image_of(guide, "welcome.png").width() <= 720 * guide.devicePixelRatioF()
    guide.close()


def test_that_contents_bring_a_heading_to_the_top(guide, qtbot):
    assert {"The window", "Cohort", "Shortcuts", "FCL weights"} <= set(titles(guide))
    place = titles(guide).index("Shortcuts")
    guide.contents.itemClicked.emit(guide.contents.item(place))
    at_top = guide.page.cursorForPosition(guide.page.viewport().rect().topLeft())
    heading = next(at for _, words, at in guide.page.headings() if words == "Shortcuts")
    assert abs(at_top.position() - heading) < 200
    assert guide.page.verticalScrollBar().value() > 0


def test_that_search_goes_through_all_places_and_round(guide, qtbot):
    guide.search.setText("red mark")
    assert guide.found.text() == "1 place"
    assert guide.page.textCursor().selectedText().lower() == "red mark"
    guide.find_next()
    assert guide.page.textCursor().selectedText().lower() == "red mark"
    guide.search.setText("split")
    first = guide.page.textCursor().position()
    guide.find_next()
    assert guide.page.textCursor().position() > first
    guide.find_previous()
    assert guide.page.textCursor().position() == first


def test_that_words_that_are_not_there_are_said_to_be_in_no_place(guide):
    guide.search.setText("xylophone")
    assert guide.found.text() == "no places"


def test_that_a_link_leads_to_another_page_and_its_heading(guide):
    guide.page.anchorClicked.emit(QUrl("maths.md#sources"))
    assert guide.page.file == MATHS
    assert "Sources" in titles(guide)
    assert guide.page.verticalScrollBar().value() > 0


def test_that_only_a_click_on_a_web_address_leaves_the_program(guide, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    guide.show_page("weights-and-gpus.md")
    assert opened == []
    guide.page.anchorClicked.emit(QUrl("https://pytorch.org/"))
    assert opened == ["https://pytorch.org/"]


def test_that_a_page_that_was_not_installed_is_said_to_be_missing(qtbot, tmp_path):
    window = GuideWindow(folder=tmp_path)
    qtbot.addWidget(window)
    window.show_page(GUIDE)
    assert "was not installed" in window.page.toPlainText()


def test_that_help_in_the_menu_opens_the_guide_the_tutorial_and_the_maths(window):
    actions = {action.text().replace("&", ""): action for action in window.findChildren(QAction)}
    assert actions["User guide"].shortcut() == QKeySequence(QKeySequence.StandardKey.HelpContents)
    shown = []
    for title in ("User guide", "Tutorial", "Maths of the figures"):
        actions[title].trigger()
        (guide,) = window.findChildren(GuideWindow)
        assert guide.isVisible()
        shown.append(guide.page.file)
    assert shown == [GUIDE, TUTORIAL, MATHS]
    guide.close()
