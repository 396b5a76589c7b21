"""The weights in the Train place: what is here is said, and fetched only when asked for."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent

from core.training.weights_entry import MEGABYTE
from tests.weights_server import weights_server

CONTENT = bytes(range(256)) * 8 * 1024  # 2 MB
NAME = f"resnet101-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def server(monkeypatch):
    """A server that stands for torchvision's, with a small file for ResNet-101."""
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


def choose(window, qtbot, networks, regimes):
    """Check these chips and wait for the answer."""
    window.go_to("train")
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        window.training_panel._check_chips(set(networks), set(regimes))
    return window.training_panel.weights_states


def test_that_training_from_scratch_asks_for_no_weights(window, qtbot, cache):
    asked = []
    window.training_panel.weights_asked.connect(lambda *question: asked.append(question))
    window.training_panel._check_chips({"resnet101", "vgg19"}, {"scratch"})
    qtbot.wait(500)
    assert asked == []
    assert not window.training_panel.weights_states.isVisible()


def test_that_the_custom_cnn_is_asked_about_only_with_a_file(window, qtbot, cache, tmp_path):
    asked = []
    window.training_panel.weights_asked.connect(lambda *question: asked.append(question))
    window.training_panel._check_chips({"cnn2d"}, {"frozen"})
    qtbot.wait(500)
    assert asked == []
    path = str(tmp_path / "none.pth")
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        window.training_panel.form.editor("weights").setText(path)
    assert asked == [(["cnn2d"], path)]
    assert "There is no weights file" in window.training_panel.weights_states.texts()[0]


def test_that_missing_weights_are_offered_and_not_fetched_unasked(window, qtbot, cache, server):
    states = choose(window, qtbot, ["resnet101"], ["frozen"])
    assert "ResNet-101" in states.texts()[0]
    assert "127.0.0.1" in states.texts()[0]
    assert [button.text() for button in states.buttons()] == ["Download ResNet-101 weights (2 MB)"]
    assert server.asked == []
    assert not cache.exists()


def test_that_the_button_fetches_and_says_so_when_done(window, qtbot, cache, server):
    states = choose(window, qtbot, ["resnet101"], ["frozen"])
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        qtbot.mouseClick(states.buttons()[0], Qt.MouseButton.LeftButton)
    assert (cache / NAME).read_bytes() == CONTENT
    assert states.texts() == ["✓ ResNet-101: torchvision's ImageNet weights are here."]
    assert states.buttons() == []
    assert window.problems == []


def test_that_a_download_shows_its_megabytes_and_can_be_cancelled_and_gone_on_with(
    window, qtbot, cache, server
):
    states = choose(window, qtbot, ["resnet101"], ["frozen"])
    server.goes_on.clear()
    qtbot.mouseClick(states.buttons()[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: states.buttons()[0].text() == "Cancel", timeout=60_000)
    qtbot.waitUntil(lambda: states._rows[0].bar.text() == "1 of 2 MB", timeout=60_000)
    assert states._rows[0].bar.isVisible()
    qtbot.mouseClick(states.buttons()[0], Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        server.goes_on.set()
    button = states.buttons()[0]
    assert button.text().startswith("Download")
    assert button.isEnabled()
    assert not (cache / NAME).exists()
    assert "1 MB of it are here already" in states.texts()[0]
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (cache / NAME).read_bytes() == CONTENT
    assert server.asked[1].startswith("bytes=")
    assert window.problems == []


def test_that_a_failed_download_is_one_sentence_and_can_be_tried_again(
    window, qtbot, cache, server
):
    states = choose(window, qtbot, ["resnet101"], ["frozen"])
    server.status = 404
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        qtbot.mouseClick(states.buttons()[0], Qt.MouseButton.LeftButton)
    (problem,) = window.problems
    assert "404" in str(problem)
    assert str(cache) in str(problem)
    assert states.buttons()[0].isEnabled()


def test_that_tab_goes_from_the_regimes_over_the_downloads_to_the_form(window, qtbot, cache):
    states = choose(window, qtbot, ["resnet101", "vgg19"], ["frozen"])
    panel, chain = window.training_panel, []
    widget = panel._networks["resnet101"]
    for _ in range(400):
        chain.append(widget)
        widget = widget.nextInFocusChain()
    order = [panel._regimes["frozen"], *states.buttons(), panel.form.editor("epochs")]
    assert len(order) == 4
    places = [chain.index(widget) for widget in order]
    assert places == sorted(places)


def drop_on(panel, path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    keys, action = Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
    left = Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(9, 9), action, mime, left, keys)
    panel.dragEnterEvent(enter)
    if enter.isAccepted():
        panel.dropEvent(QDropEvent(QPointF(9, 9), action, mime, left, keys))
    return enter.isAccepted()


@pytest.mark.parametrize("name", ["w.pth", "W.SAFETENSORS", "netz ü.pt"])
def test_that_a_weights_file_dropped_anywhere_in_the_place_is_taken(window, tmp_path, name):
    panel = window.training_panel
    assert drop_on(panel, tmp_path / name)
    assert panel.settings().training.weights == str(tmp_path / name)


def test_that_other_drops_are_left_to_the_window(window, tmp_path):
    assert not drop_on(window.training_panel, tmp_path / "scans")
    assert window.training_panel.settings().training.weights == ""


def test_that_a_file_with_code_is_refused_in_red_before_any_training(window, qtbot, tmp_path):
    path = tmp_path / "evil.pth"
    path.write_bytes(b"cposix\nmkdir\n(X")
    window.training_panel._check_chips({"resnet101", "vgg19"}, {"frozen"})
    with qtbot.waitSignal(window.session.weights.known, timeout=60_000):
        window.training_panel.form.editor("weights").setText(str(path))
    (text,) = window.training_panel.weights_states.texts()
    assert text.startswith("✕ 'evil.pth'")
    assert "was not opened" in text
    assert window.training_panel.weights_states.buttons() == []
