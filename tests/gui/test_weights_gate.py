"""Train pressed without the weights: they are offered there, fetched, and training begins."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from core.training.weights_entry import MEGABYTE
from mrifcl_gui.weights_dialog import WeightsDialog
from tests.tiny_cohort import make_cohort
from tests.weights_server import weights_server

CONTENT = bytes(range(256)) * 8 * 1024  # 2 MB
NAME = f"resnet101-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
WAIT_MS = 60_000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def server(monkeypatch):
    from core.training import pretrained

    with weights_server(CONTENT) as running:
        real = pretrained._entry

        def entry(*arguments):
            made = real(*arguments)
            if made.name != "resnet101":
                return made
            return replace(made, url=running.url(NAME), megabytes=len(CONTENT) / MEGABYTE)

        monkeypatch.setattr(pretrained, "_entry", entry)
        yield running


@pytest.fixture
def started(window, monkeypatch):
    """The settings of each run that the window hands over to be trained."""
    runs = []

    def train(queue):
        runs.extend(entry.settings for entry in queue)

    monkeypatch.setattr(window.session, "train", train)
    return runs


@pytest.fixture
def ready(window, qtbot, tmp_path, cache):
    """The Train place with a cohort, ResNet-101 and Frozen chosen."""
    scanned = make_cohort(tmp_path / "cohort")
    with qtbot.waitSignal(window.session.cohort_opened, timeout=WAIT_MS):
        window.session.open_cohort(scanned.folder)
    window.go_to("train")
    choose(window, qtbot, {"resnet101"}, {"frozen"})
    return window


def choose(window, qtbot, networks, regimes):
    with qtbot.waitSignal(window.session.weights.known, timeout=WAIT_MS):
        window.training_panel._check_chips(networks, regimes)


def press_train(window, qtbot):
    qtbot.mouseClick(window.training_panel.train_button, Qt.MouseButton.LeftButton)


def dialog_of(window, qtbot):
    def is_open():
        return any(dialog.isVisible() for dialog in window.findChildren(WeightsDialog))

    qtbot.waitUntil(is_open, timeout=WAIT_MS)
    return next(d for d in window.findChildren(WeightsDialog) if d.isVisible())


def words_of(dialog):
    from PySide6.QtWidgets import QLabel

    return "\n".join(label.text() for label in dialog.findChildren(QLabel) if label.isVisible())


def test_that_train_offers_missing_weights_with_their_size_and_fetches_nothing_unasked(
    ready, qtbot, server, cache, started
):
    press_train(ready, qtbot)
    dialog = dialog_of(ready, qtbot)
    assert "ResNet-101 needs its ImageNet weights (2 MB)" in words_of(dialog)
    assert dialog.download.text() == "Download 2 MB and train"
    assert "Without a network: Fetch http://127.0.0.1" in words_of(dialog)
    assert str(cache) in words_of(dialog)
    assert server.asked == []
    assert started == []
    qtbot.mouseClick(dialog.cancel, Qt.MouseButton.LeftButton)
    assert server.asked == []
    assert started == []
    assert ready.training_panel.train_button.isEnabled()
    # What the press put into the queue does not lie in wait for the next one.
    assert ready.training_panel.waiting_runs() == []


def test_that_training_begins_when_the_download_has_come(ready, qtbot, server, cache, started):
    press_train(ready, qtbot)
    dialog = dialog_of(ready, qtbot)
    server.goes_on.clear()
    qtbot.mouseClick(dialog.download, Qt.MouseButton.LeftButton)
    button = ready.training_panel.train_button
    assert not button.isEnabled()
    assert button.text() == "Waiting for weights…"
    # The task dock shows it, with its megabytes and Cancel.
    dock = ready.task_dock
    qtbot.waitUntil(
        lambda: any("(MB)" in row.what.full_text for row in dock.rows()), timeout=WAIT_MS
    )
    assert started == []
    server.goes_on.set()
    qtbot.waitUntil(lambda: bool(started), timeout=WAIT_MS)
    assert (cache / NAME).read_bytes() == CONTENT
    assert [run.training.network for run in started] == ["resnet101"]
    assert ready.problems == []


def test_that_a_download_cancelled_in_the_dock_trains_nothing_and_goes_on_at_the_next_train(
    ready, qtbot, server, cache, started
):
    press_train(ready, qtbot)
    server.goes_on.clear()
    qtbot.mouseClick(dialog_of(ready, qtbot).download, Qt.MouseButton.LeftButton)
    dock, button = ready.task_dock, ready.training_panel.train_button
    qtbot.waitUntil(
        lambda: any("1/2" in row.what.full_text for row in dock.rows()), timeout=WAIT_MS
    )
    row = next(row for row in dock.rows() if "1/2" in row.what.full_text)
    qtbot.mouseClick(row.button, Qt.MouseButton.LeftButton)
    server.goes_on.set()
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)
    assert started == []
    assert ready.statusBar().currentMessage().startswith("Not trained: the weights of ResNet-101")
    press_train(ready, qtbot)
    dialog = dialog_of(ready, qtbot)
    assert "1 MB of it are here already" in words_of(dialog)
    qtbot.mouseClick(dialog.download, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(started), timeout=WAIT_MS)
    assert server.asked[-1].startswith("bytes=")
    assert ready.problems == []


def test_that_without_a_network_one_sentence_says_where_to_get_the_file_and_where_to_put_it(
    ready, qtbot, server, cache, started
):
    server.status = 503
    press_train(ready, qtbot)
    qtbot.mouseClick(dialog_of(ready, qtbot).download, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(ready.problems), timeout=WAIT_MS)
    (problem,) = ready.problems
    assert f"Fetch {server.url(NAME)} with a browser" in str(problem)
    assert str(cache) in str(problem)
    qtbot.waitUntil(ready.training_panel.train_button.isEnabled, timeout=WAIT_MS)
    assert started == []


def test_that_runs_that_waited_before_still_wait_after_a_cancel(ready, qtbot, server, started):
    panel = ready.training_panel
    qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    press_train(ready, qtbot)
    qtbot.mouseClick(dialog_of(ready, qtbot).cancel, Qt.MouseButton.LeftButton)
    assert len(panel.waiting_runs()) == 1
    assert started == []


def test_that_a_chosen_file_is_what_the_waiting_run_starts_from(
    ready, qtbot, server, tmp_path, monkeypatch, started
):
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "mine.safetensors"
    save_file({"layer4.2.conv3.weight": torch.zeros(2, 2), "fc.weight": torch.zeros(2, 2)}, path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    press_train(ready, qtbot)
    dialog = dialog_of(ready, qtbot)
    _, button = dialog._rows["resnet101"]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(started), timeout=WAIT_MS)
    assert [run.training.weights for run in started] == [str(path)]
    assert server.asked == []


def test_that_a_refused_file_is_said_in_the_dialog_and_another_can_be_chosen(
    ready, qtbot, server, tmp_path, monkeypatch, started
):
    path = tmp_path / "evil.pth"
    path.write_bytes(b"cposix\nmkdir\n(X")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    press_train(ready, qtbot)
    dialog = dialog_of(ready, qtbot)
    _, button = dialog._rows["resnet101"]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "was not opened" in words_of(dialog), timeout=WAIT_MS)
    assert dialog.isVisible()
    assert started == []


def test_that_runs_from_scratch_begin_without_a_question(ready, qtbot, server, started):
    ready.training_panel._check_chips({"googlenet"}, {"scratch"})
    press_train(ready, qtbot)
    assert len(started) == 1
    assert not any(d.isVisible() for d in ready.findChildren(WeightsDialog))


@pytest.mark.slow
def test_that_the_downloaded_weights_are_what_the_run_is_trained_from(
    window, qtbot, tmp_path, cache, monkeypatch
):
    import torch

    from core import config
    from core.run_folder import Run
    from core.training import pretrained
    from core.training.torchvision_gateway import models

    path = tmp_path / "googlenet.pth"
    network = models.googlenet(weights=None, init_weights=False, aux_logits=False)
    torch.save(network.state_dict(), path)
    content = path.read_bytes()
    name = f"googlenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    real = pretrained._entry
    scanned = make_cohort(tmp_path / "cohort")
    with weights_server(content) as running:

        def entry(*arguments):
            made = real(*arguments)
            if made.name != "googlenet":
                return made
            return replace(made, url=running.url(name), megabytes=len(content) / MEGABYTE)

        monkeypatch.setattr(pretrained, "_entry", entry)
        with qtbot.waitSignal(window.session.cohort_opened, timeout=WAIT_MS):
            window.session.open_cohort(scanned.folder)
        values = {"network": "googlenet", "regime": "frozen", "epochs": 1, "size": 64, "batch": 8}
        window.training_panel.set_settings(config.change(config.RunSettings(), values))
        press_train(window, qtbot)
        dialog = dialog_of(window, qtbot)
        with qtbot.waitSignal(window.session.training_ended, timeout=10 * WAIT_MS) as ended:
            qtbot.mouseClick(dialog.download, Qt.MouseButton.LeftButton)
    assert ended.args[0] == "finished"
    (folder,) = (window.session.runs_folder).iterdir()
    assert Run(folder).record["weights"]["name"] == name
    assert window.problems == []
