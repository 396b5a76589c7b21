"""The TRAIN place: chips make runs, the queue keeps them, events are shown as they come."""

import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QSlider

from core.config import RunSettings, change
from core.errors import SettingsError
from core.progress import BatchDone, EpochMetrics, Notice, Progress, RunStarted
from mrifcl_gui.live_figures import features_figure, weights_figure
from mrifcl_gui.training_panel import LEFT_WIDTH, TrainingPanel

CLASSES = ("AD", "NC")
NAN = float("nan")


class FakeFigureView(QLabel):
    """Keeps what it was asked to draw."""

    def __init__(self):
        super().__init__()
        self.figures = []

    def show_figure(self, figure):
        self.figures.append(figure)

    def clear_figure(self, text):
        self.setText(text)


def metrics(epoch, *, n=6, k=2, loss=0.5):
    rng = np.random.default_rng(epoch)
    return EpochMetrics(
        epoch=epoch,
        train_loss=loss,
        train_accuracy=0.8,
        validation_loss=loss,
        validation_accuracy=0.7,
        learning_rate=1e-3,
        seconds=1.0,
        fc_weight=rng.normal(size=(k, 16)).astype(np.float32),
        logits=rng.normal(size=(n, k)).astype(np.float32),
        labels=np.arange(n) % max(k, 1),
        seconds_left=3725.0,
    )


def batch(epoch, number, batches=10):
    return BatchDone(epoch, number, batches, 0.5, 86.2, 3725.0)


@pytest.fixture
def panel(qtbot):
    widget = TrainingPanel(make_figure_view=FakeFigureView)
    qtbot.addWidget(widget)
    widget.resize(1280, 800)
    widget.show()
    widget.set_cohort(CLASSES, "AD 28, NC 28")
    return widget


def check(panel, networks, regimes):
    panel._check_chips(set(networks), set(regimes))


def start(panel, **values):
    settings = change(RunSettings(), {"epochs": 20, **values})
    panel.start_run(settings, CLASSES)
    panel.show_event(RunStarted(Path("run"), 20))
    return settings


def test_that_training_needs_a_cohort(qtbot):
    panel = TrainingPanel(make_figure_view=FakeFigureView)
    qtbot.addWidget(panel)
    assert not panel.train_button.isEnabled()
    assert "cohort" in panel.train_button.toolTip()
    panel.set_cohort(CLASSES, "")
    assert panel.train_button.isEnabled()
    panel.set_no_cohort()
    assert not panel.train_button.isEnabled()


def test_that_the_runs_are_the_product_of_networks_and_regimes(panel, qtbot):
    check(panel, ["resnet101", "vgg19"], ["frozen", "fine-tuned", "scratch"])
    assert panel.train_button.text() == "Train 6 runs"
    assert panel.train_button.property("primary") is True
    with qtbot.waitSignal(panel.start_requested) as signal:
        qtbot.mouseClick(panel.train_button, Qt.MouseButton.LeftButton)
    runs = signal.args[0]
    pairs = {(run.training.network, run.training.regime) for run in runs}
    assert len(runs) == len(pairs) == 6
    assert panel.waiting_runs() == runs


def test_that_no_chip_means_no_run(panel):
    check(panel, [], ["scratch"])
    assert not panel.train_button.isEnabled()
    assert not panel.add_button.isEnabled()


def test_that_the_custom_cnn_is_left_out_where_it_has_no_weights(panel):
    check(panel, ["cnn2d", "googlenet"], ["frozen", "scratch"])
    assert panel.train_button.text() == "Train 3 runs"
    assert "custom CNN" in panel._refused.text()
    panel.form.editor("weights").setText("earlier_run")
    assert panel.train_button.text() == "Train 4 runs"


def test_that_a_wrong_field_starts_nothing_and_is_red(panel, qtbot):
    panel.form.editor("learning_rate").setText("1.000,5")
    with qtbot.assertNotEmitted(panel.start_requested):
        panel.train_button.click()
    assert panel.form.fault("learning_rate")
    assert panel.waiting_runs() == []


def test_that_the_form_reaches_every_run(panel, qtbot):
    check(panel, ["resnet101", "googlenet"], ["scratch"])
    panel.form.editor("learning_rate").setText("0,001")
    panel.form.editor("seed").setText("7")
    panel.add_button.click()
    assert [run.training.learning_rate for run in panel.waiting_runs()] == [0.001, 0.001]
    assert {run.training.seed for run in panel.waiting_runs()} == {7}


def test_that_the_queue_follows_a_run_from_waiting_to_its_end(panel):
    check(panel, ["googlenet"], ["frozen", "scratch", "fine-tuned"])
    panel.add_button.click()
    for end in ("finished", "failed", "stopped"):
        panel.start_run(panel.waiting_runs()[0], CLASSES)
        assert "running" in panel.queue.states()
        panel.run_ended(end, "why")
    assert panel.queue.states() == ["done", "failed", "stopped"]
    panel.queue.clear_ended()
    assert panel.queue.states() == []


def test_that_a_waiting_run_is_removed_and_a_running_one_is_not(panel, qtbot):
    check(panel, ["googlenet"], ["frozen", "scratch"])
    panel.add_button.click()
    panel.start_run(panel.waiting_runs()[0], CLASSES)
    panel.queue._list.selectAll()
    panel.activateWindow()
    panel.queue._list.setFocus()
    qtbot.keyClick(panel.queue._list, Qt.Key.Key_Delete)
    assert panel.queue.states() == ["running"]


def test_that_pace_time_left_and_epoch_are_told(panel, qtbot):
    start(panel)
    panel.show_event(batch(7, 3))
    qtbot.waitUntil(lambda: "epoch 7 of 20" in panel.live.pace.text())
    assert "86 slices/s" in panel.live.pace.text()
    assert "1:02:05 left" in panel.live.pace.text()


def test_that_a_progress_and_a_notice_are_shown(panel, qtbot):
    start(panel)
    panel.show_event(Progress("Cutting slices", 120, 840))
    panel.show_event(Notice("Training on the CPU"))
    qtbot.waitUntil(lambda: "Cutting slices  120/840" in panel.live.pace.text())
    assert panel.live.message.text() == "Training on the CPU"


def test_that_the_figures_follow_the_newest_epoch_until_the_slider_is_moved(panel, qtbot):
    start(panel)
    for epoch in range(0, 6):
        panel.show_event(metrics(epoch))
    view = panel.live.weights_view
    qtbot.waitUntil(lambda: bool(view.figures) and "epoch 5" in view.figures[-1].panels[0].title)
    panel.live.slider.setValue(2)
    qtbot.waitUntil(lambda: "epoch 2" in view.figures[-1].panels[0].title)
    scatter = view.figures[-1].panels[0].layers[0]
    assert np.array_equal(scatter.x, metrics(2).fc_weight[0])
    assert np.array_equal(scatter.y, metrics(2).fc_weight[1])
    panel.show_event(metrics(6))
    qtbot.wait(250)
    assert panel.live.slider.value() == 2
    panel.live.newest_button.click()
    qtbot.waitUntil(lambda: "epoch 6" in view.figures[-1].panels[0].title)


def test_that_the_cloud_parts_the_slices_by_their_class():
    event = metrics(1)
    figure = features_figure(event, CLASSES)
    ad, nc, *_ = figure.panels[0].layers
    assert (ad.name, nc.name) == CLASSES
    assert np.array_equal(ad.x, event.logits[event.labels == 0, 0])
    assert np.array_equal(nc.y, event.logits[event.labels == 1, 1])
    assert ad.colour != nc.colour
    assert ad.symbol != nc.symbol


def test_that_an_epoch_without_slices_or_rows_gives_no_figure():
    assert features_figure(metrics(1, n=0), CLASSES) is None
    assert weights_figure(metrics(1, k=1), CLASSES) is None
    assert features_figure(metrics(1), ("AD",)) is None


def test_that_values_that_are_no_numbers_are_left_out_of_figures():
    event = metrics(1)
    event.fc_weight[0, 3] = NAN
    event.logits[:] = NAN
    assert len(weights_figure(event, CLASSES).panels[0].layers[0].x) == 15
    assert len(features_figure(event, CLASSES).panels[0].layers[0].x) == 0


def test_that_nan_losses_leave_the_panel_alive(panel, qtbot):
    start(panel)
    panel.show_event(BatchDone(1, 1, 2, NAN, NAN, NAN))
    panel.show_event(metrics(1, loss=NAN))
    qtbot.waitUntil(lambda: "not a number" in panel.live.curves._alert.text())


def test_that_a_hundred_thousand_batches_leave_the_window_alive(panel, qtbot):
    start(panel)
    begin = time.perf_counter()
    longest = 0.0
    for n in range(100_000):
        panel.show_event(batch(n // 5000 + 1, n % 5000 + 1, 5000))
        if n % 1000 == 0:
            before = time.perf_counter()
            QApplication.processEvents()
            longest = max(longest, time.perf_counter() - before)
    assert time.perf_counter() - begin < 10
    # The limit of the reliability rules; shared test machines may stall once.
    assert longest < 1.0


def test_that_stop_asks_once_and_says_that_nothing_is_lost(panel, qtbot):
    start(panel)
    with qtbot.waitSignal(panel.stop_requested):
        panel.live.stop_button.click()
    assert not panel.live.stop_button.isEnabled()
    assert "kept" in panel.live.message.text()
    panel.run_ended("stopped", "Stopped after epoch 3.")
    assert panel.live.message.text() == "Stopped after epoch 3."
    start(panel)
    assert panel.live.stop_button.isEnabled()


def test_that_a_failure_is_red_and_its_words_are_shown(panel):
    start(panel)
    panel.run_ended("failed", "The loss became not-a-number.")
    assert panel.live.alert.text() == "The loss became not-a-number."
    assert panel.live.alert.isVisible()
    assert panel.train_button.isEnabled()


def test_that_swings_of_batch_norm_are_explained_where_they_come(panel):
    note = panel.live.curves._note
    start(panel, network="googlenet", regime="scratch")
    assert "batch" in note.text()
    panel.run_ended("finished")
    start(panel, network="vgg19", regime="scratch")
    assert note.text() == ""
    panel.run_ended("finished")
    start(panel, network="resnet101", regime="frozen")
    assert note.text() == ""


def test_that_a_leaking_run_is_marked_in_red(panel):
    start(panel, mode="slice")
    assert "Leaking" in panel.live.alert.text()


def test_that_a_very_long_run_keeps_a_bounded_number_of_epochs(panel):
    start(panel)
    for epoch in range(1, 1500):
        panel.show_event(metrics(epoch, n=2))
    assert len(panel.live._kept) <= 400
    assert panel.live._kept[0].epoch == 1
    assert panel.live._kept[-1].epoch == 1499


def test_that_settings_of_an_old_run_can_be_put_back(panel):
    settings = change(RunSettings(), {"network": "vgg19", "regime": "frozen", "seed": 4})
    panel.set_settings(settings)
    panel.add_button.click()
    assert panel.waiting_runs() == [settings]


def test_that_tab_goes_in_reading_order(panel):
    chain, widget = [], panel._networks["resnet101"]
    for _ in range(400):
        chain.append(widget)
        widget = widget.nextInFocusChain()
    order = [
        panel._networks["resnet101"],
        panel._networks["cnn2d"],
        panel._regimes["frozen"],
        panel.form.editor("epochs"),
        panel.form.editor("momentum"),
        panel.queue._list,
        panel.add_button,
        panel.train_button,
        panel.live.stop_button,
        panel.live.slider,
    ]
    places = [chain.index(widget) for widget in order]
    assert places == sorted(places)


def test_that_every_control_has_a_name(panel):
    for kind in (QAbstractButton, QComboBox, QSlider):
        for widget in panel.findChildren(kind):
            if widget.focusPolicy() != Qt.FocusPolicy.NoFocus:
                assert widget.accessibleName() or widget.text()


# What counts for the chosen networks


def shown(panel, name):
    return not panel.form._rows[name].isHidden()


def test_that_the_panel_says_which_layer_the_fcl_is(panel):
    check(panel, ["vgg19"], ["frozen"])
    assert "the last of its three linear layers" in panel._network_notes.text()
    check(panel, ["googlenet"], ["frozen"])
    assert "transform_input" in panel._network_notes.text()
    assert "ImageNet weights, and only there" in panel._network_notes.text()
    assert "VGG-19" not in panel._network_notes.text()
    check(panel, [], ["frozen"])
    assert panel._network_notes.isHidden()


def test_that_only_settings_of_the_chosen_networks_and_regimes_are_shown(panel):
    check(panel, ["googlenet"], ["scratch"])
    assert shown(panel, "plane")
    assert shown(panel, "recompute_batch_norm")
    for name in ("cube_size", "cnn_blocks", "adapt_batch_norm", "weights", "cache_features"):
        assert not shown(panel, name), name
    check(panel, ["googlenet"], ["frozen", "scratch"])
    assert shown(panel, "weights")
    assert shown(panel, "adapt_batch_norm")
    check(panel, ["cnn3d"], ["scratch"])
    assert shown(panel, "cube_size")
    assert shown(panel, "cnn_blocks")
    assert not shown(panel, "plane")
    assert not shown(panel, "size")
    check(panel, ["cnn3d", "vgg19"], ["scratch"])
    assert shown(panel, "cube_size")
    assert shown(panel, "plane")


def test_that_a_weights_file_in_the_form_is_never_out_of_sight(panel):
    check(panel, ["googlenet"], ["scratch"])
    panel.form.editor("weights").setText("nets/googlenet.pth")
    check(panel, ["vgg19"], ["scratch"])
    assert shown(panel, "weights")


def test_that_a_wrong_field_that_does_not_count_is_no_hindrance(panel):
    check(panel, ["cnn3d"], ["scratch"])
    panel.form.editor("cube_size").setText("many")
    with pytest.raises(SettingsError, match="Cube size"):
        panel.settings()
    check(panel, ["googlenet"], ["scratch"])
    assert panel.settings().training.network == "googlenet"


def test_that_the_3d_cnn_is_refused_in_words_for_ready_made_slices(panel):
    check(panel, ["cnn3d", "googlenet"], ["scratch"])
    assert panel.train_button.text() == "Train 2 runs"
    panel.set_cohort(CLASSES, "", cubes_refused="It needs whole volumes.")
    assert panel.train_button.text() == "Train 1 run"
    assert panel._refused.text() == "It needs whole volumes."
    check(panel, ["cnn3d"], ["scratch"])
    assert not panel.train_button.isEnabled()


def test_that_a_run_of_the_3d_cnn_has_a_batch_of_its_own(panel, qtbot):
    check(panel, ["cnn3d"], ["scratch"])
    assert panel.form.editor("batch").placeholderText() == "8 (default)"
    assert panel.settings().sees_cubes
    with qtbot.waitSignal(panel.start_requested) as signal:
        panel.train_button.click()
    (run,) = signal.args[0]
    assert (run.training.network, run.batch, run.cut.size) == ("cnn3d", 8, 64)


def test_that_what_is_cut_follows_the_networks_for_slices_first(panel, qtbot):
    check(panel, ["cnn3d", "googlenet"], ["scratch"])
    assert not panel.settings().sees_cubes
    with qtbot.waitSignal(panel.settings_changed):
        check(panel, ["cnn3d"], ["scratch"])
    assert panel.settings().sees_cubes


def test_that_a_field_that_suits_one_network_only_is_said(panel):
    check(panel, ["cnn3d", "googlenet"], ["scratch"])
    box = panel.form.editor("centre")
    box.setCurrentIndex(box.findData("mm"))
    panel.form.editor("centre_mm").setText("0")
    panel.add_button.click()
    assert [run.training.network for run in panel.waiting_runs()] == ["googlenet"]
    assert "Centred on mm is for slices" in panel._refused.text()


def test_that_the_filled_button_is_the_next_step(panel):
    panel.set_cohort(("AD", "NC"), "a cohort")
    panel.start_run(RunSettings(), ("AD", "NC"))
    assert panel.train_button.property("primary")
    panel.run_ended("finished", "Finished.")
    assert panel.live.analyse_button.property("primary")
    assert not panel.train_button.property("primary")
    panel.form.editor("seed").setText("3")
    panel.form.editor("seed").textEdited.emit("3")
    assert panel.train_button.property("primary")
    assert not panel.live.analyse_button.property("primary")


def is_in_sight(widget):
    """Tell whether all of a widget is seen, not scrolled away or cut off."""
    return widget.visibleRegion().boundingRect() == widget.rect()


@pytest.fixture
def small_panel(qtbot, look):
    """The page in a window of 1280 x 800 with texts of twice the size."""
    look("dark", 2.0)
    widget = TrainingPanel(make_figure_view=FakeFigureView)
    qtbot.addWidget(widget)
    widget.resize(1120, 690)
    widget.show()
    widget.set_cohort(CLASSES, "AD 28, NC 28")
    return widget


def test_that_the_button_and_what_is_wrong_stay_in_sight_with_large_texts(small_panel, qtbot):
    for button in (small_panel.train_button, small_panel.add_button):
        assert is_in_sight(button)
    small_panel.set_cohort(CLASSES, "AD 28, NC 28", cubes_refused="It needs whole volumes.")
    check(small_panel, {"cnn3d"}, {"scratch"})
    qtbot.waitUntil(lambda: is_in_sight(small_panel._refused))
    assert small_panel._refused.text() == "It needs whole volumes."
    assert is_in_sight(small_panel.train_button)


def test_that_what_to_do_first_is_in_sight_with_large_texts(small_panel, qtbot):
    small_panel.set_no_cohort()
    qtbot.waitUntil(lambda: is_in_sight(small_panel._cohort_button))
    assert is_in_sight(small_panel._empty_title)
    assert is_in_sight(small_panel._empty_text)


def test_that_a_run_comes_into_sight_with_the_button_that_stops_it(small_panel, qtbot):
    small_panel.start_run(RunSettings(), CLASSES)
    qtbot.waitUntil(lambda: is_in_sight(small_panel.live.stop_button))
    assert is_in_sight(small_panel.live.title)
    assert is_in_sight(small_panel.live.message)
    small_panel.run_ended("failed", "The loss became not-a-number in epoch 7.")
    qtbot.waitUntil(lambda: is_in_sight(small_panel.live.alert))


def test_that_the_buttons_stand_below_the_queue_where_there_is_room(panel, qtbot):
    queue, button = panel.queue, panel.train_button
    assert button.mapTo(panel, QPoint()).y() > queue.mapTo(panel, QPoint()).y() + queue.height() - 1
    assert button.mapTo(panel, QPoint()).x() < LEFT_WIDTH
    panel.resize(700, 500)
    qtbot.waitUntil(lambda: is_in_sight(button))
    panel.resize(1280, 800)
    qtbot.waitUntil(lambda: button.mapTo(panel, QPoint()).x() < LEFT_WIDTH)
    assert button.parentWidget().parentWidget() is queue.parentWidget()
