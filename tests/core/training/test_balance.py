"""Classes of different size: weights in the loss, or draws of each class equally often."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import tasks
from core.config import change
from core.progress import run_to_end
from core.run_folder import Run
from core.training import loop
from core.training.augmentation import Augmentation
from core.training.dataset import balanced_order
from tests.core.training.test_train import stop_after
from tests.tiny_cohort import drive, make_folder, tiny


def train(cohort, settings, runs):
    return Run(run_to_end(tasks.train(cohort.folder, settings, runs)))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Four subjects of one class and sixteen of the other, four pictures each."""
    folder = tmp_path_factory.mktemp("uneven")
    scans = make_folder(folder / "tiny", subjects=16)
    subjects = sorted({path.name[:9] for path in (scans / "AD").iterdir()})
    for subject in subjects[4:]:
        for path in (scans / "AD").glob(f"{subject}*"):
            path.unlink()
    return drive(tasks.scan(scans, out=folder / "uneven.mrifcl"))


@pytest.fixture(scope="module")
def earlier(uneven, tmp_path_factory):
    return train(uneven, tiny(epochs=1, learning_rate=0.05), tmp_path_factory.mktemp("earlier"))


# ------------------------------------------------------------------ sampling


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=120),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(1, 1000),
)
def test_that_each_class_is_drawn_equally_often(labels, seed, epoch):
    labels = np.array(labels)
    order = balanced_order(labels, seed, epoch)
    assert len(order) == len(labels)
    drawn = np.bincount(labels[order])[np.unique(labels)]
    assert drawn.max() - drawn.min() <= 1
    for k in np.unique(labels):
        times = np.bincount(order, minlength=len(labels))[labels == k]
        # None a second time before each was drawn once.
        assert times.max() - times.min() <= 1
    np.testing.assert_array_equal(order, balanced_order(labels, seed, epoch))


def test_that_another_epoch_or_seed_draws_others():
    labels = np.array([0] * 4 + [1] * 40)
    first = balanced_order(labels, 0, 1)
    assert not np.array_equal(first, balanced_order(labels, 0, 2))
    assert not np.array_equal(first, balanced_order(labels, 1, 1))
    large = [set(balanced_order(labels, 0, epoch)[labels[first] == 1]) for epoch in range(1, 8)]
    assert len(set.union(*large) & set(range(4, 44))) > 35


# ------------------------------------------------------------------ weights


def one_step(run, *, weighted):
    """Return the FCL's weight and bias after one step of SGD on all training slices, by hand."""
    features, rate = run.features, run.settings.learning_rate
    rows = features.part == "train"
    h, label = features.penultimate[rows].astype(float), features.label[rows]
    weight, bias = (array.astype(float) for array in run.fc_history.at(0))
    logits = h @ weight.T + bias
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = exp / exp.sum(axis=1, keepdims=True)
    counts = np.bincount(label)
    of_class = len(label) / (len(counts) * counts) if weighted else np.ones(len(counts))
    w = of_class[label]
    loss = -(w * np.log(probability[np.arange(len(label)), label])).sum() / w.sum()
    error = (probability - np.eye(len(counts))[label]) * w[:, None] / w.sum()
    return weight - rate * error.T @ h, bias - rate * error.sum(axis=0), loss


@pytest.fixture
def settings_of(earlier):
    def make(**changes):
        values = {
            "regime": "frozen",
            "weights": str(earlier.path),
            "epochs": 1,
            "batch": 4096,
            "momentum": 0,
            "learning_rate": 0.5,
        }
        return tiny(**{**values, **changes})

    return make


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_that_one_step_is_that_of_the_loss_made_by_hand(uneven, settings_of, tmp_path, balance):
    run = train(uneven, settings_of(balance=balance), tmp_path)
    weight, bias, loss = one_step(run, weighted=balance == "weights")
    np.testing.assert_allclose(run.fc_history.weight[1], weight, atol=2e-6)
    np.testing.assert_allclose(run.fc_history.bias[1], bias, atol=2e-6)
    assert run.history.train_loss[0] == pytest.approx(loss, rel=1e-5)
    assert np.abs(run.fc_history.weight[1] - run.fc_history.weight[0]).max() > 1e-3


def test_that_weights_make_another_step_than_none(uneven, settings_of, tmp_path):
    plain = train(uneven, settings_of(), tmp_path / "plain")
    weighted = train(uneven, settings_of(balance="weights"), tmp_path / "weighted")
    assert np.abs(plain.fc_history.weight[1] - weighted.fc_history.weight[1]).max() > 1e-3


def test_that_pieces_of_a_batch_keep_the_weights_of_the_whole(
    uneven, settings_of, tmp_path, monkeypatch
):
    try_step = loop._try_step

    def in_pieces(training, rows, epoch):
        training.micro_batch = 3
        return try_step(training, rows, epoch)

    monkeypatch.setattr(loop, "_try_step", in_pieces)
    run = train(uneven, settings_of(balance="weights"), tmp_path)
    weight, bias, _ = one_step(run, weighted=True)
    np.testing.assert_allclose(run.fc_history.weight[1], weight, atol=2e-6)
    np.testing.assert_allclose(run.fc_history.bias[1], bias, atol=2e-6)


def test_that_two_processes_keep_the_weights_of_the_whole(uneven, settings_of, tmp_path):
    run = train(uneven, settings_of(balance="weights", devices=2, device="cpu"), tmp_path)
    weight, bias, _ = one_step(run, weighted=True)
    np.testing.assert_allclose(run.fc_history.weight[1], weight, atol=2e-6)
    np.testing.assert_allclose(run.fc_history.bias[1], bias, atol=2e-6)


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_that_the_small_class_counts_as_much_as_the_large_one(
    uneven, settings_of, tmp_path, balance
):
    def small_class_probability(run):
        rows = run.features.part == "train"
        logits = run.features.logits[rows].astype(float)
        return float((1 / (1 + np.exp(logits[:, 1] - logits[:, 0]))).mean())

    # Nothing true can be learned, so what is learned is how often a class comes.
    values = {"shuffled_labels": True, "epochs": 30, "batch": 32, "learning_rate": 0.1}
    plain = train(uneven, settings_of(**values), tmp_path / "plain")
    even = train(uneven, settings_of(balance=balance, **values), tmp_path / "even")
    share = (plain.features.label[plain.features.part == "train"] == 0).mean()
    assert share == pytest.approx(0.2)
    assert small_class_probability(plain) == pytest.approx(share, abs=0.07)
    assert small_class_probability(even) == pytest.approx(0.5, abs=0.1)


def test_that_balanced_draws_are_the_same_after_a_resume(uneven, tmp_path):
    from core.progress import EpochMetrics, RunStarted

    settings = tiny(epochs=3, balance="sampling")
    whole = train(uneven, settings, tmp_path / "whole")
    operation = tasks.train(uneven.folder, settings, tmp_path / "stopped")
    path = None
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    operation.close()
    resumed = Run(run_to_end(tasks.resume(path)))
    np.testing.assert_array_equal(whole.fc_history.weight, resumed.fc_history.weight)
    shutil.rmtree(path)


TURNED = {"augment_degrees": 20.0, "augment_flip": True, "balance": "sampling"}


def test_that_slices_drawn_twice_are_turned_the_same_after_a_resume(uneven, tmp_path):
    settings = tiny(epochs=3, **TURNED)
    whole = train(uneven, settings, tmp_path / "whole")
    path = stop_after(uneven, settings, tmp_path / "stopped", epoch=1, batch=2)
    resumed = Run(run_to_end(tasks.resume(path)))
    np.testing.assert_array_equal(whole.fc_history.weight, resumed.fc_history.weight)
    np.testing.assert_array_equal(whole.features.logits, resumed.features.logits)


def test_that_slices_drawn_twice_are_turned_alike_by_two_processes(uneven, tmp_path):
    settings = tiny(epochs=2, learning_rate=0.05, **TURNED)
    one = train(uneven, settings, tmp_path / "one")
    two = train(uneven, change(settings, {"devices": 2, "device": "cpu"}), tmp_path / "two")
    assert np.abs(one.fc_history.weight - two.fc_history.weight).max() < 1e-5
    assert np.abs(one.fc_history.weight[-1] - one.fc_history.weight[0]).max() > 1e-3


def test_that_each_draw_of_a_slice_is_turned_anew_in_a_run(uneven, tmp_path, monkeypatch):
    seen = []
    apply = Augmentation.apply

    def look(self, pixels, drawn, epoch):
        changed = apply(self, pixels, drawn, epoch)
        seen.extend(
            (int(row), picture.numpy().tobytes())
            for row, picture in zip(drawn.rows, changed, strict=True)
        )
        return changed

    monkeypatch.setattr(Augmentation, "apply", look)
    train(uneven, tiny(epochs=1, augment_degrees=20.0, balance="sampling"), tmp_path)
    rows = [row for row, _ in seen]
    assert len(set(rows)) < len(rows), "some slices are drawn more than once"
    assert len(set(seen)) == len(rows), "and none is seen twice as it was"
