"""The probe of the precisions: measured by real steps, told in a sentence, leaving no trace."""

import json

import pytest
import torch

from core.cli import run_command
from core.config import RunSettings, change
from core.progress import Progress, run_to_end
from core.run_folder import Run
from core.training.probe import probe_precision
from core.training.probe_result import ProbeResult
from tests.tiny_cohort import make_cohort, tiny, tiny_cubes, train_run

GOOGLENET = change(RunSettings(), {"network": "googlenet", "regime": "scratch"})


def result(bf16, settings=GOOGLENET):
    return ProbeResult(settings, "CPU", {"32": 8.1, "bf16": bf16})


@pytest.mark.parametrize(
    "settings", [tiny(device="cpu"), tiny_cubes(device="cpu")], ids=["slices", "cubes"]
)
def test_that_each_precision_is_measured_by_real_steps(settings):
    found = run_to_end(probe_precision(settings))
    assert set(found.rates) == {"32", "bf16"}
    assert all(rate > 0 for rate in found.rates.values())
    assert found.device.startswith("CPU")


def test_that_a_probe_can_be_stopped_between_steps():
    operation = probe_precision(tiny(device="cpu"))
    events = [next(operation) for _ in range(3)]
    assert all(isinstance(event, Progress) for event in events)
    operation.close()


def test_that_a_probe_leaves_torchs_random_numbers_as_they_were():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run_to_end(probe_precision(tiny(device="cpu")))
    assert torch.equal(torch.get_rng_state(), before)


def test_that_a_slower_half_precision_is_not_advised():
    assert result(5.2).sentence() == "32 bit 8.1 images/s, bf16 5.2 images/s: keep 32 bit."
    assert result(5.2).best == "32"


def test_that_a_faster_half_precision_is_named_but_not_for_publishing():
    found = result(16.2)
    assert found.best == "bf16"
    assert found.is_faster("bf16")
    assert "keep 32 bit to publish" in found.sentence()


def test_that_a_gain_within_chance_is_none():
    assert result(8.2).best == "32"


def test_that_a_precision_that_the_device_cannot_do_is_not_faster():
    assert not result(5.2).is_faster("16")


def test_that_a_result_holds_for_the_same_steps_only():
    found = result(16.2)
    assert found.holds_for(change(GOOGLENET, {"epochs": 7, "precision": "bf16", "seed": 4}))
    for other in ({"network": "vgg19"}, {"batch": 4}, {"device": "cpu"}):
        assert not found.holds_for(change(GOOGLENET, other))


def test_that_the_terminal_measures_too(capsys):
    status, _ = run_command(
        ["probe", "--network", "cnn2d", "--size", "32", "--batch", "8", "--device", "cpu", "--json"]
    )
    out = capsys.readouterr().out.strip().splitlines()
    assert status == 0
    said = json.loads(out[-1])
    assert set(said["images_per_second"]) == {"32", "bf16"}
    assert said["best"] in said["images_per_second"]
    assert "images/s" in out[1]


def test_that_half_precision_is_marked_beside_the_numbers(tmp_path):
    scanned = make_cohort(tmp_path)
    half = Run(train_run(scanned, tmp_path / "runs", epochs=1, precision="bf16"))
    whole = Run(train_run(scanned, tmp_path / "runs", epochs=1))
    assert "Half precision (bf16)" in half.warning
    assert "precision" not in whole.warning
