"""Fetching weights: from a small server of the test, whole, in parts, wrong, cut and cancelled."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections import namedtuple

import pytest

from core.errors import TrainingError
from core.progress import Progress, run_to_end
from core.training import pretrained, weights_download
from core.training.weights_download import Patience, download, part_file
from core.training.weights_entry import ENTRY_NAMES, MEGABYTE, WeightsEntry
from tests.weights_server import weights_server

CONTENT = bytes(range(256)) * 8 * 1024  # 2 MB
MEGABYTES = len(CONTENT) / MEGABYTE
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(timeout=2, pause=0.01, tries=2)


@pytest.fixture
def server():
    with weights_server(CONTENT) as running:
        yield running


def entry_on(server, *, sha256=SHA256, megabytes=MEGABYTES):
    return WeightsEntry(
        name="tiny",
        network="vgg19",
        title="Tiny",
        version="V1",
        url=server.url(f"tiny-{sha256[:8]}.pth"),
        megabytes=megabytes,
    )


def fetch(entry, folder, patience=QUICK):
    return run_to_end(download(entry, folder, patience=patience))


def cancel_after(entry, folder, n_bytes):
    """Drive a download until so much is on disk, then close it as a cancel does."""
    operation = download(entry, folder, patience=QUICK)
    for _ in operation:
        if weights_download._size_of(part_file(entry, folder)) >= n_bytes:
            break
    operation.close()


def kept(operation, events):
    """Pass an operation on, keeping its events."""
    while True:
        try:
            event = next(operation)
        except StopIteration as end:
            return end.value
        events.append(event)
        yield event


def test_that_a_download_is_whole_at_its_place_and_tells_its_megabytes(server, tmp_path):
    events = []
    operation = download(entry_on(server), tmp_path / "new" / "folder", patience=QUICK)
    path = run_to_end(kept(operation, events))
    assert path == tmp_path / "new" / "folder" / f"tiny-{SHA256[:8]}.pth"
    assert path.read_bytes() == CONTENT
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    told = [event for event in events if event.what == "Downloading Tiny weights (MB)"]
    assert told[-1] == Progress("Downloading Tiny weights (MB)", 2, 2)
    assert any(event.what.startswith("Checking") for event in events)


def test_that_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    entry = entry_on(server)
    fetch(entry, tmp_path)
    fetch(entry, tmp_path)
    assert len(server.asked) == 1


def test_that_a_cancelled_download_goes_on_where_it_was(server, tmp_path):
    entry = entry_on(server)
    cancel_after(entry, tmp_path, 300_000)
    part = part_file(entry, tmp_path)
    have = part.stat().st_size
    assert 300_000 <= have < len(CONTENT)
    assert not (tmp_path / entry.file_name).exists()
    assert fetch(entry, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["", f"bytes={have}-"]
    assert not part.exists()


def test_that_a_server_without_ranges_makes_it_start_over(server, tmp_path):
    entry = entry_on(server)
    cancel_after(entry, tmp_path, 300_000)
    server.knows_ranges = False
    assert fetch(entry, tmp_path).read_bytes() == CONTENT


def test_that_a_whole_part_is_placed_without_being_fetched_again(server, tmp_path):
    entry = entry_on(server)
    part_file(entry, tmp_path).write_bytes(CONTENT)
    assert fetch(entry, tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_that_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    entry = entry_on(server)
    part_file(entry, tmp_path).write_bytes(CONTENT + b"more")
    assert fetch(entry, tmp_path).read_bytes() == CONTENT


def test_that_a_damaged_part_is_found_and_all_is_fetched_anew(server, tmp_path):
    entry = entry_on(server)
    part_file(entry, tmp_path).write_bytes(b"x" * 1000)
    assert fetch(entry, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", ""]


def test_that_a_wrong_checksum_places_nothing(server, tmp_path):
    entry = entry_on(server, sha256="0" * 64)
    with pytest.raises(TrainingError, match=r"127\.0\.0\.1.*Tiny.*checksum.*browser"):
        fetch(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_that_cut_connections_are_made_good(server, tmp_path):
    server.cuts = [500_000, 400_000, 700_000]
    assert fetch(entry_on(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=500000-", "bytes=900000-", "bytes=1600000-"]


def test_that_a_connection_that_stays_cut_is_said_and_gone_on_with_later(server, tmp_path):
    entry = entry_on(server)
    server.cuts = [500_000, 0, 0]
    with pytest.raises(TrainingError, match=r"lost after .* of 2 MB.*goes on from there"):
        fetch(entry, tmp_path)
    assert part_file(entry, tmp_path).stat().st_size == 500_000
    assert fetch(entry, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=500000-"


def test_that_an_unknown_length_is_no_obstacle(server, tmp_path):
    server.tells_length = False
    assert fetch(entry_on(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 503])
def test_that_an_answer_without_the_file_says_where_to_fetch_it(server, tmp_path, status):
    server.status = status
    entry = entry_on(server)
    with pytest.raises(TrainingError) as refused:
        fetch(entry, tmp_path)
    for word in (str(status), entry.url, str(tmp_path), entry.file_name):
        assert word in str(refused.value)


def test_that_a_log_in_page_does_not_replace_what_had_come(server, tmp_path):
    entry = entry_on(server)
    part_file(entry, tmp_path).write_bytes(CONTENT[:1000])
    server.content, server.knows_ranges = b"<html>Log in</html>", False
    with pytest.raises(TrainingError, match="log-in page"):
        fetch(entry, tmp_path)
    assert part_file(entry, tmp_path).read_bytes() == CONTENT[:1000]


def test_that_no_network_is_one_sentence_with_address_folder_and_name(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    entry = WeightsEntry("t", "vgg19", "Tiny", "V1", f"http://127.0.0.1:{port}/t-01234567.pth", 2)
    with pytest.raises(TrainingError) as refused:
        fetch(entry, tmp_path)
    text = str(refused.value)
    assert text.startswith("There is no connection to 127.0.0.1.")
    for word in (entry.url, f"'{tmp_path}'", "t-01234567.pth"):
        assert word in text


def test_that_a_server_that_says_nothing_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        entry = WeightsEntry("t", "vgg19", "T", "V1", f"http://127.0.0.1:{port}/t-01234567.pth", 2)
        with pytest.raises(TrainingError, match="no connection"):
            fetch(entry, tmp_path, Patience(timeout=0.1, pause=0.01, tries=2))


def test_that_a_full_disk_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, MEGABYTE))
    with pytest.raises(TrainingError, match=r"free 101 MB more"):
        fetch(entry_on(server), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_that_a_folder_that_cannot_be_made_is_said(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TrainingError, match="TORCH_HOME"):
        fetch(entry_on(server), tmp_path / "file" / "folder")


def test_that_a_safe_address_is_never_left_for_an_unsafe_one():
    from urllib.request import Request

    follow = weights_download._NoDowngrade().redirect_request
    request = Request("https://download.pytorch.org/a.pth")
    rest = (None, 302, "Found", {})
    assert follow(request, *rest, "http://elsewhere.org/a.pth") is None
    assert follow(request, *rest, "https://elsewhere.org/a.pth").full_url.endswith("a.pth")


def test_that_every_entry_has_an_address_a_size_and_a_checksum():
    entries = pretrained.weights_entries()
    assert tuple(entries) == ENTRY_NAMES
    for entry in entries.values():
        assert entry.url.startswith("https://download.pytorch.org/models/")
        assert len(entry.sha256_start) == 8
        assert 40 < entry.megabytes < 600
    assert round(entries["resnet101"].megabytes) == 171
    assert pretrained.find_entry("resnet101") == entries["resnet101"]
    assert pretrained.find_entry("resnet101", "IMAGENET1K_V2") == entries["resnet101-v2"]
    assert pretrained.find_entry("cnn2d") is None
