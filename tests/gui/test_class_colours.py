"""The colours of classes: a preset of the paper's, applied everywhere at once."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor

from core import figure, figure_file
from core.figure import CLASS_COLOURS, Scatter, class_colour, class_symbol, use_class_colours
from mrifcl_gui import preferences
from mrifcl_gui.class_mark import CLASS_MARKS, class_pixmap
from mrifcl_gui.preferences_dialog import PreferencesDialog
from tests.tiny_cohort import wait_until_idle

LIMIT_MS = 30_000
AD, NC = "#D55E00", "#0072B2"
PAPER_AD, PAPER_NC = "#0000FF", "#FF0000"


@pytest.fixture(autouse=True)
def _usual_colours():
    yield
    CLASS_MARKS.use(CLASS_COLOURS[0])


def choose_paper(qtbot):
    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    dialog.class_colours.setCurrentIndex(CLASS_COLOURS.index("paper"))


def middle_colour(pixmap):
    image = pixmap.toImage()
    return image.pixelColor(image.width() // 2, image.height() // 2).name().upper()


def test_that_classes_have_colours_told_apart_and_a_symbol_each():
    assert [class_colour(label) for label in ("AD", "MCI", "NC")] == [AD, "#E69F00", NC]
    assert len({class_symbol(label) for label in ("AD", "MCI", "NC")}) == 3


def test_that_the_preset_of_the_paper_keeps_symbols_and_other_classes():
    symbols = [class_symbol(label) for label in ("AD", "MCI", "NC", "FTD")]
    others = class_colour("MCI"), class_colour("FTD", 3)
    use_class_colours("paper")
    assert (class_colour("AD"), class_colour("NC")) == (PAPER_AD, PAPER_NC)
    assert (class_colour("MCI"), class_colour("FTD", 3)) == others
    assert [class_symbol(label) for label in ("AD", "MCI", "NC", "FTD")] == symbols
    with pytest.raises(ValueError, match="rainbow"):
        use_class_colours("rainbow")


def test_that_the_choice_is_kept(qtbot):
    assert preferences.class_colours() == "okabe-ito"
    choose_paper(qtbot)
    assert preferences.class_colours() == "paper"
    preferences.set_class_colours("nonsense")
    assert preferences.class_colours() == "okabe-ito"


def test_that_marks_frames_and_tables_change_at_once(qtbot, window, trained):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_paths([trained.scanned.folder])
    panel = window.cohort_panel
    qtbot.waitUntil(lambda: panel._strip_of is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert panel._strip._row._colour == QColor(AD)
    assert middle_colour(class_pixmap("AD")) == AD
    choose_paper(qtbot)
    assert panel._strip._row._colour == QColor(PAPER_AD)
    assert middle_colour(class_pixmap("AD")) == PAPER_AD
    table = panel.scan_list.table
    shown = table.viewport().grab().toImage()
    seen = {shown.pixelColor(x, y).name().upper() for x in range(400) for y in range(120)}
    assert PAPER_AD in seen
    assert AD not in seen


def test_that_clouds_and_their_exports_change_at_once(qtbot, window, trained, tmp_path):
    window.session.open_runs([trained.by_subject])
    qtbot.waitUntil(lambda: window.analysis_tabs.run is not None, timeout=LIMIT_MS)
    tab = next(tab for tab in window.analysis_tabs.figure_tabs if tab.title == "Features")
    window.analysis_tabs.tabs.setCurrentWidget(tab)
    qtbot.waitUntil(lambda: tab.figure_view.figure() is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert dot_colours(tab.figure_view.figure()) == {AD, NC}
    with qtbot.waitSignal(tab.drawn, timeout=LIMIT_MS):
        choose_paper(qtbot)
    wait_until_idle(qtbot)
    shown = tab.figure_view.figure()
    assert dot_colours(shown) == {PAPER_AD, PAPER_NC}
    saving = figure_file.save_figure(shown, tmp_path / "cloud.svg")
    for _ in saving if not isinstance(saving, type(tmp_path)) else ():
        pass
    drawn = (tmp_path / "cloud.svg").read_text(encoding="utf-8").upper()
    assert PAPER_AD in drawn
    assert PAPER_NC in drawn
    assert AD not in drawn


def dot_colours(shown: figure.Figure):
    layers = [layer for panel in shown.panels for layer in panel.layers]
    return {layer.colour.upper() for layer in layers if isinstance(layer, Scatter)}
