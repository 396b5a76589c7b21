"""SGD or Adam: what each does to the weights, and what the record and the badge say of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import tasks
from core.analysis.null_figures import fcl_null
from core.analysis.softmax_null import softmax_null
from core.config import PRESETS, RunSettings, change
from core.progress import run_to_end
from core.run_folder import Run, softmax
from core.training import memory
from core.training.checkpoint import bytes_needed
from core.training.network import build_network
from tests.core.training.test_train import stop_after
from tests.tiny_cohort import tiny


def train(cohort, settings, runs):
    return Run(run_to_end(tasks.train(cohort.folder, settings, runs)))


@pytest.fixture
def adam(small):
    return change(small, {"optimiser": "adam", "learning_rate": 0.01})


def test_that_sgd_is_taken_unless_adam_is_asked_for():
    assert RunSettings().training.optimiser == "sgd"
    for preset in PRESETS.values():
        from_adam = change(RunSettings(), {"optimiser": "adam"})
        assert change(RunSettings(), preset).training.optimiser == "sgd"
        assert change(from_adam, {**PRESETS["paper"]}).training.optimiser == "sgd"


@pytest.mark.parametrize(
    ("network", "sgd", "adam"),
    [
        ("cnn2d", 1e-2, 1e-3),
        ("cnn3d", 1e-2, 1e-3),
        ("vgg19", 1e-4, 1e-4),
        ("resnet101", 1e-3, 1e-3),
    ],
)
def test_that_an_empty_learning_rate_suits_the_optimiser(network, sgd, adam):
    values = {"network": network}
    assert change(RunSettings(), values).learning_rate == sgd
    assert change(RunSettings(), {**values, "optimiser": "adam"}).learning_rate == adam


def adam_by_hand(run, *, rate, beta_1, decay, steps):
    """Adam with L2 (Kingma & Ba 2015, algorithm 1) on all training slices at once, in float64."""
    rows = run.features.part == "train"
    x = run.features.penultimate[rows].astype(float)
    x = np.hstack([x, np.ones((len(x), 1))])
    truth = np.eye(2)[run.features.label[rows]]
    value = np.hstack([run.fc_history.weight[0], run.fc_history.bias[0][:, None]]).astype(float)
    mean, square = np.zeros_like(value), np.zeros_like(value)
    for step in range(1, steps + 1):
        gradient = (softmax(x @ value.T) - truth).T @ x / len(x) + decay * value
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased = np.sqrt(square / (1 - 0.999**step))
        value = value - rate * mean / (1 - beta_1**step) / (unbiased + 1e-8)
    return value[:, :-1], value[:, -1]


@pytest.mark.parametrize(("beta_1", "decay"), [(0.9, 0.0), (0.5, 0.1), (0.0, 0.0)])
def test_that_adam_takes_the_steps_made_by_hand(cohort, small, tmp_path, beta_1, decay):
    earlier = train(cohort, small, tmp_path / "earlier")
    values = {"regime": "frozen", "weights": str(earlier.path), "batch": 4096, "epochs": 4}
    rule = {"optimiser": "adam", "momentum": beta_1, "weight_decay": decay, "drop_every": 100}
    run = train(cohort, tiny(**values, **rule, learning_rate=0.02), tmp_path / "runs")
    weight, bias = adam_by_hand(run, rate=0.02, beta_1=beta_1, decay=decay, steps=4)
    # A feature that no slice has gives no gradient, and none of its numbers can be compared.
    np.testing.assert_allclose(run.fc_history.weight[-1], weight, atol=2e-5)
    np.testing.assert_allclose(run.fc_history.bias[-1], bias, atol=2e-5)
    assert np.abs(run.fc_history.weight[-1] - run.fc_history.weight[0]).max() > 0.02


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (1, 3), (2, 2)])
def test_that_a_resumed_run_of_adam_gives_the_bits_of_an_unbroken_one(
    cohort, adam, tmp_path, epoch, batch
):
    whole = train(cohort, adam, tmp_path / "whole")
    path = stop_after(cohort, adam, tmp_path / "broken", epoch=epoch, batch=batch)
    torch.manual_seed(12345)
    broken = Run(run_to_end(tasks.resume(path)))
    np.testing.assert_array_equal(broken.fc_history.weight, whole.fc_history.weight)
    np.testing.assert_array_equal(broken.features.logits, whole.features.logits)
    np.testing.assert_array_equal(broken.history.train_loss, whole.history.train_loss)


def test_that_sgd_and_adam_start_alike_and_part(cohort, small, adam, tmp_path):
    by_sgd = train(cohort, small, tmp_path / "sgd")
    by_adam = train(cohort, adam, tmp_path / "adam")
    np.testing.assert_array_equal(by_sgd.fc_history.weight[0], by_adam.fc_history.weight[0])
    assert np.abs(by_sgd.fc_history.weight[1] - by_adam.fc_history.weight[1]).max() > 1e-4
    assert by_adam.settings.training.optimiser == "adam"


def test_that_two_processes_give_adams_steps_of_one(cohort, adam, tmp_path):
    one = train(cohort, adam, tmp_path / "one")
    two = train(cohort, change(adam, {"devices": 2, "device": "cpu"}), tmp_path / "two")
    assert np.abs(one.fc_history.weight[-1] - one.fc_history.weight[0]).max() > 0.01
    assert np.abs(one.fc_history.weight - two.fc_history.weight).max() < 1e-4


# ------------------------------------------------------------------ the sum of the rows


def drift(run):
    """Return how far the sum of the rows moved, beside how far the rows did."""
    weight = run.fc_history.weight.astype(float)
    return np.abs(weight.sum(axis=1) - weight.sum(axis=1)[0]).max(), np.ptp(weight, axis=0).max()


def test_that_adam_keeps_the_sum_of_two_rows_and_the_badge_says_so(cohort, adam, tmp_path):
    run = train(cohort, change(adam, {"epochs": 6}), tmp_path)
    moved, learned = drift(run)
    assert moved < 1e-4 * learned
    (badge,) = fcl_null(run).badges
    assert badge.is_good
    assert badge.text.startswith("✓ Sum of the rows conserved to 1e-")
    bound = float(badge.text.rsplit(" ", 1)[-1])
    assert bound / 10 < moved <= bound


def test_that_adam_moves_the_sum_of_three_rows_and_the_badge_says_so(three_classes, adam, tmp_path):
    run = train(three_classes, change(adam, {"epochs": 6}), tmp_path)
    moved, learned = drift(run)
    assert moved > 0.05 * learned
    (badge,) = fcl_null(run).badges
    assert not badge.is_good
    assert badge.text == "✗ Sum of the rows not conserved: Adam, K = 3"
    assert softmax_null(run, epoch=0).conserved == "conserved exactly"


@pytest.mark.parametrize("classes", ["cohort", "three_classes"])
def test_that_weight_decay_is_the_first_reason_under_adam(classes, adam, tmp_path, request):
    cohort = request.getfixturevalue(classes)
    run = train(cohort, change(adam, {"weight_decay": 0.05}), tmp_path)
    assert drift(run)[0] > 1e-3
    (badge,) = fcl_null(run).badges
    assert badge.text.startswith("✗ Sum of the rows not conserved: weight decay")


# ------------------------------------------------------------------ room


def test_that_two_numbers_a_weight_are_counted_for_adam():
    rules = [{"momentum": 0}, {"momentum": 0.9}, {"optimiser": "adam"}]
    settings = [change(RunSettings(), {"network": "vgg19", "batch": 2, **rule}) for rule in rules]
    with torch.device("meta"):
        network = build_network(settings[0].training, 2, transform_input=False)
    weights = sum(value.nbytes for value in network.parameters())
    on_disk = [bytes_needed(network, each.training) for each in settings]
    in_memory = [memory.bytes_for_training(each, 2) for each in settings]
    assert in_memory[2] - in_memory[1] == in_memory[1] - in_memory[0] == weights
    assert on_disk[2] - on_disk[1] == on_disk[1] - on_disk[0] > weights
