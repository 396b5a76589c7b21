"""The run that learns now: log, curves' looks, past epochs, what is not known, precision."""

import math
import time

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from core.config import RunSettings, change
from core.progress import BatchDone, EpochMetrics, Logged
from core.run_folder import FcHistory, Run
from core.run_log import STOPPED, read_log
from core.training.probe_result import ProbeResult
from mrifcl_gui.curves_view import MOST_POINTS, CurvesView, smooth, thin
from mrifcl_gui.job import Job
from mrifcl_gui.live_run_view import LiveRunView
from mrifcl_gui.run_log_view import RunLogView
from mrifcl_gui.training_panel import TrainingPanel
from tests.tiny_cohort import tiny, wait_until_idle

LIMIT_MS = 60_000
NAN = float("nan")
SETTINGS = change(RunSettings(), {"network": "googlenet", "regime": "scratch", "epochs": 20})


class FakeFigureView(RunLogView):
    """Keeps what it was asked to draw."""

    def __init__(self):
        super().__init__()
        self.figures, self.words = [], []

    def show_figure(self, figure):
        self.figures.append(figure)

    def clear_figure(self, text):
        self.words.append(text)


def metrics(epoch, loss=0.5):
    rng = np.random.default_rng(epoch)
    return EpochMetrics(
        epoch,
        loss,
        0.8,
        loss,
        0.7,
        1e-3,
        1.0,
        rng.normal(size=(2, 8)).astype(np.float32),
        rng.normal(size=(6, 2)).astype(np.float32),
        np.arange(6) % 2,
        60.0,
    )


@pytest.fixture
def live(qtbot):
    view = LiveRunView(None, make_figure_view=FakeFigureView)
    qtbot.addWidget(view)
    view.resize(800, 700)
    view.show()
    view.start(SETTINGS, ("AD", "NC"))
    return view


@pytest.fixture
def curves(qtbot):
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(800, 300)
    view.show()
    view.start(10)
    return view


def redrawn(qtbot, view):
    with qtbot.waitSignal(view.redrawn, timeout=2000):
        pass


def test_that_pace_learning_rate_and_memory_are_told(live, qtbot):
    live.show_event(BatchDone(7, 3, 9, 0.5, 8.14, 3725.0, learning_rate=1e-3, device_bytes=1.84e9))
    qtbot.waitUntil(lambda: "epoch 7 of 20" in live.pace.text())
    for words in ("8.1 slices/s", "1:02:05 left", "learning rate 0.001", "1.8 GB memory"):
        assert words in live.pace.text()


def test_that_what_is_not_known_is_a_dash_and_never_0(live, qtbot):
    live.show_event(BatchDone(1, 1, 9, NAN, NAN, NAN))
    qtbot.waitUntil(lambda: "epoch 1" in live.pace.text())
    for words in ("– left", "– slices/s", "learning rate –", "– memory"):
        assert words in live.pace.text()
    assert "nan" not in live.pace.text()


def test_that_the_log_grows_and_a_stop_is_its_last_line(live, qtbot):
    for number in range(3):
        live.show_event(Logged(f"2026-01-01 00:00:0{number}  Epoch {number}"))
    live.end("stopped", "")
    qtbot.waitUntil(lambda: STOPPED in live.log._text.toPlainText())
    assert live.log.text().splitlines()[0].endswith("Epoch 0")
    live.start(SETTINGS, ("AD", "NC"))
    assert live.log.text() == ""


def test_that_the_log_is_copied_and_saved(qtbot, tmp_path):
    view = RunLogView()
    qtbot.addWidget(view)
    assert not view.copy_button.isEnabled()
    view.add_lines(["one", "two"])
    view.show_waiting()
    view.copy_button.click()
    assert QGuiApplication.clipboard().text() == "one\ntwo"
    with qtbot.waitSignal(view.saved, timeout=LIMIT_MS):
        view.save_to(tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "one\ntwo\n"
    wait_until_idle(qtbot)


def test_that_a_log_that_cannot_be_saved_says_so(qtbot, tmp_path):
    view = RunLogView()
    qtbot.addWidget(view)
    view.add_lines(["one"])
    (tmp_path / "file").write_text("")
    view.save_to(tmp_path / "file" / "log.txt")
    qtbot.waitUntil(lambda: "cannot be saved" in view.text(), timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def test_that_reading_further_up_is_not_disturbed(qtbot):
    view = RunLogView()
    qtbot.addWidget(view)
    view.resize(400, 90)
    view.show()
    view.add_lines(f"line {n}" for n in range(100))
    view.show_waiting()
    bar = view._text.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(10)
    view.add_lines(["more"])
    view.show_waiting()
    assert bar.value() == 10


def test_that_the_weights_of_past_epochs_can_be_chosen(live, qtbot):
    weight = np.random.default_rng(0).normal(size=(4, 2, 8)).astype(np.float32)
    live.show_event(FcHistory(np.arange(4), weight, np.zeros((4, 2), np.float32)))
    live.show_event(metrics(4))
    view = live.weights_view
    qtbot.waitUntil(lambda: bool(view.figures) and "epoch 4" in view.figures[-1].panels[0].title)
    live.slider.setValue(2)
    qtbot.waitUntil(lambda: "epoch 2" in view.figures[-1].panels[0].title)
    assert np.array_equal(view.figures[-1].panels[0].layers[0].x, weight[2, 0])
    assert live.features_view.words[-1] == "Nothing to draw for this epoch"


def test_that_smoothing_is_a_running_mean_that_starts_at_the_first_value():
    y = np.array([4.0, 2.0, 6.0])
    # By hand: 4; (0.5·4 + 2)/1.5; (0.25·4 + 0.5·2 + 6)/1.75
    assert np.allclose(smooth(y, 0.5), [4.0, 4 / 1.5, 8 / 1.75])
    assert np.allclose(smooth(np.full(9, 3.0), 0.9), 3.0)


def test_that_a_very_long_line_is_thinned_and_keeps_both_ends():
    x = np.arange(50_001)
    (few,) = thin(x)
    assert len(few) <= MOST_POINTS
    assert (few[0], few[-1]) == (0, 50_000)
    assert thin(x[:100])[0] is not None
    assert len(thin(x[:100])[0]) == 100


def test_that_the_slider_smooths_and_the_values_stay(curves, qtbot):
    for epoch, loss in ((1, 1.0), (2, 0.5), (3, 0.9)):
        curves.add_epoch(metrics(epoch, loss))
    redrawn(qtbot, curves)
    assert curves._smoothed["train_loss"].getData()[0] is None
    curves.smoothing.setValue(50)
    redrawn(qtbot, curves)
    assert curves.curve("train_loss")[1].tolist() == [1.0, 0.5, 0.9]
    drawn = curves._smoothed["train_loss"].getData()[1]
    assert np.allclose(drawn, smooth(np.array([1.0, 0.5, 0.9]), 0.5))
    curves.smoothing.setValue(0)
    redrawn(qtbot, curves)
    assert len(curves._smoothed["train_loss"].getData()[0] or ()) == 0


def test_that_the_log_scale_shows_every_loss_above_0(curves, qtbot):
    for epoch, loss in ((1, 1.0), (2, 0.01), (3, 0.0)):
        curves.add_epoch(metrics(epoch, loss))
    curves.log_box.setChecked(True)
    redrawn(qtbot, curves)
    x, y = curves.curve("train_loss")
    assert x.tolist() == [1, 2]
    assert np.allclose(y, [0, -2])  # their logarithms
    low, high = curves.loss_plot.getPlotItem().getViewBox().viewRange()[1]
    assert low < -2
    assert high > 0
    curves.log_box.setChecked(False)
    redrawn(qtbot, curves)
    assert curves.curve("train_loss")[1].tolist() == [1.0, 0.01, 0.0]


def test_that_pointing_marks_the_epoch_in_both_plots(curves, qtbot):
    for epoch in (1, 2, 3):
        curves.add_epoch(metrics(epoch))
    redrawn(qtbot, curves)
    curves.loss_plot.pointed.emit(2.2)
    assert curves.accuracy_plot._mark.isVisible()
    assert curves.accuracy_plot._mark.value() == 2
    assert "learning rate 0.001" in curves._readout.text()


@pytest.fixture
def panel(qtbot):
    widget = TrainingPanel(make_figure_view=FakeFigureView)
    qtbot.addWidget(widget)
    widget.show()
    widget.set_cohort(("AD", "NC"), "")
    return widget


def is_offered(panel, precision):
    box = panel.form.editor("precision")
    return box.model().item(box.findData(precision)).isEnabled()


def test_that_half_precision_is_offered_only_after_it_was_measured_to_be_faster(panel, qtbot):
    assert is_offered(panel, "32")
    assert not is_offered(panel, "bf16")
    with qtbot.waitSignal(panel.measure_requested) as asked:
        panel.precision.button.click()
    settings = asked.args[0]
    assert not panel.precision.button.isEnabled()
    panel.show_precision(ProbeResult(settings, "CPU", {"32": 8.1, "bf16": 5.2}))
    panel.end_measuring()
    assert panel.precision.button.isEnabled()
    assert panel.precision.text.text() == ("32 bit 8.1 images/s, bf16 5.2 images/s: keep 32 bit.")
    assert not is_offered(panel, "bf16")
    panel.show_precision(ProbeResult(settings, "CPU", {"32": 8.1, "bf16": 16.2}))
    assert is_offered(panel, "bf16")
    panel.form.editor("batch").setText("4")
    panel.form.settings_changed.emit()
    assert not is_offered(panel, "bf16"), "it was measured with other batches"


def test_that_half_precision_that_is_not_faster_is_said(panel):
    box = panel.form.editor("precision")
    box.setCurrentIndex(box.findData("bf16"))
    assert "was not measured" in panel.form._rows["precision"].message.text()
    settings = panel.form.settings()
    panel.show_precision(ProbeResult(settings, "CPU", {"32": 8.1, "bf16": 5.2}))
    assert "is not faster" in panel.form._rows["precision"].message.text()
    panel.show_precision(ProbeResult(settings, "CPU", {"32": 8.1, "bf16": 16.2}))
    assert panel.form._rows["precision"].message.text() == ""


def test_that_nothing_is_measured_beside_a_training(panel):
    panel.start_run(panel.form.settings(), ("AD", "NC"))
    assert not panel.precision.button.isEnabled()
    panel.run_ended("finished")
    assert panel.precision.button.isEnabled()


def test_that_the_window_measures_and_shows_the_rates(qtbot, window, trained):
    panel = window.training_panel
    panel.set_settings(tiny(device="cpu"))
    panel.precision.button.click()
    qtbot.waitUntil(lambda: "images/s" in panel.precision.text.text(), timeout=LIMIT_MS)
    qtbot.waitUntil(panel.precision.button.isEnabled, timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def test_that_a_training_begins_after_the_measurement(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    window.session.precision.measure(tiny(device="cpu"))
    ends = []
    window.session.training_ended.connect(lambda *end: ends.append(end))
    window.session.train([tiny(epochs=1)])
    qtbot.waitUntil(lambda: bool(ends), timeout=LIMIT_MS)
    assert ends[0][0] == "finished"
    wait_until_idle(qtbot)


def open_cohort(qtbot, window, trained):
    window.session.open_paths([trained.scanned.folder])
    qtbot.waitUntil(lambda: window.session.opened is not None, timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def test_that_the_window_shows_the_log_that_the_run_keeps(qtbot, window, trained):
    open_cohort(qtbot, window, trained)
    ends = []
    window.session.training_ended.connect(lambda *end: ends.append(end))
    window.go_to("train")
    window.session.train([tiny(epochs=2)])
    qtbot.waitUntil(lambda: bool(ends) and not window.session.is_training, timeout=LIMIT_MS)
    (run,) = list(window.session.runs_folder.iterdir())
    assert window.training_panel.live.log.text().splitlines() == read_log(run)
    wait_until_idle(qtbot)


def test_that_stop_acts_within_one_batch_and_leaves_a_run_to_go_on_with(qtbot, window, trained):
    from core import tasks

    batches, asked_at = [], []

    def training():
        for event in tasks.train(trained.scanned.folder, tiny(epochs=500), runs):
            if isinstance(event, BatchDone):
                batches.append(time.monotonic())
                if len(batches) == 30:
                    asked_at.append(len(batches))
                    job.cancel()
            yield event

    runs = window.session.runs_folder
    job = Job("Training", training)
    with qtbot.waitSignal(job.cancelled, timeout=LIMIT_MS):
        job.start()
    job.wait()
    assert len(batches) - asked_at[0] <= 1
    (run,) = [Run(path) for path in runs.iterdir()]
    assert run.state == "stopped"
    done = int(run.history.epoch[-1])
    resumed = tasks.resume(run.path)
    first = next(event for event in resumed if isinstance(event, EpochMetrics))
    resumed.close()
    assert first.epoch == done + 1
    assert math.isfinite(first.train_loss)


def test_that_torch_is_loaded_behind_a_window_that_was_shown(qtbot, window):
    window.session.warm_up()
    wait_until_idle(qtbot, LIMIT_MS)
    import sys

    assert "core.training.train" in sys.modules
    assert window.task_dock.rows() == []


def test_that_every_control_of_the_live_view_has_a_name(live):
    for widget in (live.curves.smoothing, live.log._text, live.slider):
        assert widget.accessibleName()
    assert live.curves.log_box.text()
    assert live.log.copy_button.focusPolicy() != Qt.FocusPolicy.NoFocus
