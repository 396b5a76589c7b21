"""What does not fit into memory is said in words, before the start where it can be (faults T3)."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core import free_memory as memory_of_computer
from core.config import RunSettings, change
from core.errors import TrainingError
from core.progress import Notice
from core.run_folder import Run
from core.training import loop, memory
from core.training.custom_cnn import CustomCnn2d
from core.training.memory import bytes_for_training, is_out_of_memory
from tests.core.training.test_train import train
from tests.tiny_cohort import tiny

REPOSITORY = Path(__file__).resolve().parents[3]


def settings_of(**values):
    return change(RunSettings(), values)


def test_that_a_training_that_does_not_fit_is_refused_with_both_numbers(
    cohort, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory, "bytes_for_training", lambda *_, **__: 6_100_000_000)
    monkeypatch.setattr(memory, "free_memory", lambda: 3_200_000_000)
    with pytest.raises(
        TrainingError,
        match=r"needs about 6\.1 GB of memory on the CPU, and 3\.2 GB are free\. "
        r"Lower the batch size \(now 8\)",
    ):
        train(cohort, small, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_that_memory_that_is_not_told_stops_nothing(cohort, small, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert train(cohort, small, tmp_path / "runs").is_dir()


def test_that_a_short_gpu_is_told_and_tried(monkeypatch):
    monkeypatch.setattr(memory, "free_on", lambda _: 10_000_000)
    events = list(memory.require_memory(settings_of(batch=64), 2, torch.device("cuda")))
    (said,) = [event.text for event in events if isinstance(event, Notice)]
    assert "on the GPU, and 10 MB are free: it may go on with fewer slices" in said


@pytest.mark.parametrize(
    ("network", "regime", "millions"),
    # Parameters as torchvision gives them, with two classes.
    [("resnet101", "scratch", 42.5), ("googlenet", "scratch", 5.6), ("vgg19", "frozen", 139.6)],
)
def test_that_weights_gradients_and_momenta_are_counted(network, regime, millions):
    weights = 4e6 * millions
    given = settings_of(network=network, regime=regime, batch=2, momentum=0.9)
    more = settings_of(network=network, regime=regime, batch=6, momentum=0.9)
    at_two, at_six = (memory.bytes_for_training(each, 2) for each in (given, more))
    copies = 3 if regime == "scratch" else 1
    each_slice = (at_six - at_two) / 4
    # Convolutions of VGG-19 hold 20 of its millions; frozen ones are stored anew, a fifth idle.
    anew = 0 if regime == "scratch" else 1.2 * 4e6 * 20.0
    assert each_slice > 0
    assert at_two - 2 * each_slice == pytest.approx(copies * weights + anew, rel=0.02)


def test_that_neither_weights_nor_views_of_them_are_taken_for_what_a_slice_needs():
    # A linear layer keeps its weights turned: 478 MB of VGG-19, once.
    needed = [
        memory.bytes_for_training(settings_of(network="vgg19", batch=batch), 2) for batch in (1, 2)
    ]
    each_slice = needed[1] - needed[0]
    weights_gradients_momenta = 3 * 4 * 139.6e6
    assert needed[0] - each_slice == pytest.approx(weights_gradients_momenta, rel=0.01)


def test_that_the_estimate_draws_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    memory.bytes_for_training(settings_of(network="cnn2d", regime="scratch"), 2)
    assert torch.equal(torch.rand(4), expected)


def test_that_the_estimate_is_what_a_step_keeps(monkeypatch):
    # The other way: what autograd holds of a real step, by the sizes it frees.
    settings = settings_of(network="cnn2d", regime="scratch", batch=8, size=64)
    torch.manual_seed(0)
    network = memory.build_network(settings.training, 2, transform_input=False).train()
    images, kept = torch.rand(8, 1, 64, 64), {}

    def pack(value):
        kept[value.untyped_storage().data_ptr()] = value
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        network(images)
    own = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    sizes = [value.untyped_storage().nbytes() for key, value in kept.items() if key not in own]
    weights = sum(value.nbytes for value in network.state_dict().values())
    learning = sum(value.nbytes for value in network.parameters())
    copies = 1 + (settings.training.momentum > 0)
    expected = weights + copies * learning + images.nbytes + 1.2 * sum(sizes) + 4 * max(sizes)
    assert memory.bytes_for_training(settings, 2) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_that_every_way_to_say_it_is_known(cohort, small, tmp_path, monkeypatch, error):
    assert is_out_of_memory(error)
    real = loop.evaluate

    def short(*args, **kwargs):
        if kwargs["what"].endswith("2"):
            raise error
        return (yield from real(*args, **kwargs))

    monkeypatch.setattr(loop, "evaluate", short)
    with pytest.raises(
        TrainingError, match=r"of memory\. .* Close other programs and resume"
    ) as told:
        train(cohort, small, tmp_path / "runs")
    assert not any(word in str(told.value) for word in ("Allocator", "alloc", "Error", "enforce"))
    run = Run(next((tmp_path / "runs").iterdir()))
    assert (run.state, run.record["epochs_done"]) == ("failed", 1)


def test_that_a_memory_error_in_a_step_halves_what_goes_through(
    cohort, small, tmp_path, monkeypatch
):
    forward = CustomCnn2d.forward

    def refuse(self, images):
        if self.training and len(images) > 4 and images.device.type != "meta":
            raise MemoryError
        return forward(self, images)

    monkeypatch.setattr(CustomCnn2d, "forward", refuse)
    assert Run(train(cohort, small, tmp_path / "runs")).record["micro_batch"] == 4


def test_that_other_errors_are_not_taken_for_it():
    for error in (ValueError("can't allocate memory"), RuntimeError("shape mismatch"), KeyError()):
        assert not is_out_of_memory(error)


LIMITED = """
import resource, sys, pathlib
import torch
from core import config, tasks
from core.errors import MriFclError
from core.progress import run_to_end
from core.training import memory, train
from tests.tiny_cohort import tiny

sees = sys.argv[3] == "estimate"
if not sees:
    memory.free_memory = lambda: None
mapped = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (mapped + 400_000_000,) * 2)
settings = tiny(batch=24, size=512, cnn_width=64)
try:
    run_to_end(tasks.train(pathlib.Path(sys.argv[1]), settings, pathlib.Path(sys.argv[2])))
except MriFclError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and /proc of Linux")
@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("estimate", "TrainingError This training needs about"),
        ("try", "TrainingError The device ran out of memory with"),
    ],
)
def test_that_a_process_with_little_memory_says_so_in_our_words(cohort, tmp_path, way, words):
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, str(cohort.folder), str(tmp_path / "runs"), way],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.startswith(words), f"{done.stdout}\n{done.stderr[-2000:]}"


@pytest.fixture
def linux_files(tmp_path, monkeypatch):
    """A /proc and a control group of our own."""
    proc, group = tmp_path / "proc", tmp_path / "group"
    (proc / "self").mkdir(parents=True)
    group.mkdir()
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\nSwapFree: 1000 kB\n")
    monkeypatch.setattr(memory_of_computer, "_PROC", proc)
    monkeypatch.setattr(memory_of_computer, "_CGROUP", group)
    return group


@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked another way")
def test_that_the_least_of_all_limits_counts(linux_files):
    assert memory_of_computer.free_memory() == 6000 * 1024
    (linux_files / "memory.max").write_text("max\n")
    (linux_files / "memory.current").write_text("900000\n")
    assert memory_of_computer.free_memory() == 6000 * 1024
    (linux_files / "memory.max").write_text("1000000\n")
    (linux_files / "memory.stat").write_text("anon 100\nactive_file 200000\ninactive_file 300000\n")
    # What lies in the cache of files can be dropped.
    assert memory_of_computer.free_memory() == 1_000_000 - 400_000


def test_that_this_computer_tells_its_memory():
    free = memory_of_computer.free_memory()
    assert free is None or 10_000_000 < free < 10**15


def test_that_an_estimate_leaves_nothing_behind():
    # torch kept each layer's output, and with it the whole network, for ever.
    def tensors():
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    bytes_for_training(tiny(), 2)
    before = tensors()
    bytes_for_training(tiny(), 2)
    assert tensors() == before
