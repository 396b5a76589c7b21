"""Curves: every value that came, no more redraws than the eye needs, gaps where nothing came."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QWidget

from core.progress import BatchDone, EpochMetrics
from core.run_folder import History
from mrifcl_gui.curves_view import MOST_POINTS, CurvesView, clean

NAN = float("nan")


def metrics(epoch, loss=0.5, accuracy=0.75, validation=0.6):
    none = np.empty((0, 2), np.float32)
    return EpochMetrics(
        epoch, loss, accuracy, loss, validation, 1e-3, 1.0, none, none, np.empty(0, int), 9.0
    )


def history(losses):
    values = np.array(losses, dtype=float)
    n = len(values)
    return History(np.arange(1, n + 1), values, values, values, values, values, values)


@pytest.fixture
def view(qtbot):
    widget = CurvesView()
    qtbot.addWidget(widget)
    widget.resize(800, 300)
    widget.show()
    return widget


def drawn(qtbot, view):
    with qtbot.waitSignal(view.redrawn, timeout=2000):
        pass


def test_that_epochs_are_drawn_as_given_and_accuracy_in_per_cent(view, qtbot):
    view.start(20)
    view.add_epoch(metrics(1, 0.7, 0.5))
    view.add_epoch(metrics(2, 0.6, 0.8))
    drawn(qtbot, view)
    x, y = view.curve("train_loss")
    assert x.tolist() == [1, 2]
    assert y.tolist() == [0.7, 0.6]
    assert view.curve("train_accuracy")[1].tolist() == [50, 80]


def test_that_a_batch_lies_at_its_fraction_of_the_epoch(view, qtbot):
    view.start(3)
    view.add_batch(BatchDone(2, 1, 4, 0.4, 80.0, 10.0))
    drawn(qtbot, view)
    x, y = view.curve("running_loss")
    assert (x.tolist(), y.tolist()) == ([1.25], [0.4])


def test_that_a_hundred_thousand_batches_do_not_freeze_it(view, qtbot):
    redraws = []
    view.redrawn.connect(lambda: redraws.append(time.perf_counter()))
    view.start(10)
    begin = time.perf_counter()
    for n in range(100_000):
        view.add_batch(BatchDone(n // 10_000 + 1, n % 10_000 + 1, 10_000, 0.5, 80.0, 10.0))
        if n % 1000 == 0:
            QApplication.processEvents()
    qtbot.waitUntil(lambda: not view._is_dirty, timeout=2000)
    elapsed = time.perf_counter() - begin
    assert elapsed < 5
    assert len(redraws) <= elapsed * 10 + 2
    x, _ = view.curve("running_loss")
    assert len(x) <= MOST_POINTS
    assert x[-1] > 9.98


def test_that_nothing_is_redrawn_while_nothing_comes(view, qtbot):
    view.start(5)
    drawn(qtbot, view)
    with qtbot.assertNotEmitted(view.redrawn, wait=300):
        pass


def test_that_a_missing_value_is_a_gap_and_is_told(view, qtbot):
    view.show_history(history([0.7, NAN, 0.5, np.inf, 0.4]))
    drawn(qtbot, view)
    x, y = view.curve("validation_loss")
    assert x.tolist() == [1, 3, 5]
    assert y.tolist() == [0.7, 0.5, 0.4]
    assert "not a number" in view._alert.text()
    view.show_history(history([0.7, 0.6]))
    drawn(qtbot, view)
    assert view._alert.text() == ""


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.floats(width=64), max_size=30))
def test_that_any_history_is_drawn(view, losses):
    view.show_history(history(losses))
    view._redraw()
    view.grab()
    x, y = view.curve("train_loss")
    assert np.isfinite(y).all()
    assert len(x) <= len(losses)


def test_that_lines_break_where_points_are_missing():
    x, y, connect = clean(np.arange(5.0), np.array([1, 2, NAN, 4, 5]))
    assert x.tolist() == [0, 1, 3, 4]
    assert y.tolist() == [1, 2, 4, 5]
    assert connect.tolist() == [1, 0, 1, 0]


def test_that_the_accuracy_axis_is_0_to_100(view, qtbot):
    view.start(5)
    view.add_epoch(metrics(1, accuracy=0.5))
    drawn(qtbot, view)
    low, high = view.accuracy_plot.getPlotItem().getViewBox().viewRange()[1]
    assert -6 <= low <= 0
    assert 100 <= high <= 106


def test_that_a_double_click_takes_back_zooming(view, qtbot):
    view.start(5)
    box = view.accuracy_plot.getPlotItem().getViewBox()
    before = box.viewRange()
    box.setRange(xRange=(1, 2), yRange=(50, 60))
    qtbot.mouseDClick(view.accuracy_plot.viewport(), Qt.MouseButton.LeftButton)
    assert np.allclose(box.viewRange(), before)


def test_that_pointing_reads_the_nearest_epoch(view, qtbot):
    view.start(5)
    for epoch in (1, 2, 3):
        view.add_epoch(metrics(epoch, loss=epoch / 10, validation=NAN))
    drawn(qtbot, view)
    assert "Epoch 3" in view._readout.text()
    view.loss_plot.pointed.emit(1.8)
    assert "Epoch 2" in view._readout.text()
    assert "0.200" in view._readout.text()
    assert "– validation" in view._readout.text()


def test_that_a_note_is_shown_and_taken_away(view):
    view.set_note("Batch norm lags.")
    assert view._note.isVisible()
    view.set_note("")
    assert not view._note.isVisible()


def test_that_what_came_while_hidden_is_drawn_when_shown(view, qtbot):
    view.hide()
    view.start(2)
    view.add_epoch(metrics(1))
    qtbot.wait(250)
    assert len(view.curve("train_loss")[0]) == 0
    view.show()
    assert len(view.curve("train_loss")[0]) == 1


def test_that_the_curves_are_copied_and_exported_from_their_menu(view, qtbot, tmp_path):
    assert not view.build_menu().isEnabled(), "nothing to export before the first epoch"
    for epoch in (1, 2):
        view.add_epoch(metrics(epoch))
    texts = [action.text() for action in view.build_menu().actions()]
    assert {"Copy picture", "Export PNG…", "Export SVG…", "Export CSV…"} <= set(texts)
    with qtbot.waitSignal(view.exporter.saved, timeout=30_000):
        view.exporter.save_to(tmp_path / "curves.csv")
    text = (tmp_path / "curves.csv").read_text()
    assert "Training" in text
    assert "Validation" in text


def test_that_the_legend_keeps_its_words_where_there_is_little_room(qtbot):
    view = CurvesView()
    qtbot.addWidget(view)
    view.start(10)
    view.resize(1200, 400)
    view.show()
    qtbot.waitExposed(view)
    legend = view.findChild(QWidget, "legend")
    qtbot.waitUntil(lambda: view.log_box.mapTo(view, QPoint(0, 0)).y() < legend.height())
    assert legend.width() >= legend.whole_width()
    view.resize(round(legend.whole_width()) + 20, 400)
    qtbot.waitUntil(lambda: view.log_box.mapTo(view, QPoint(0, 0)).y() >= legend.height())
    assert legend.width() >= legend.whole_width()
