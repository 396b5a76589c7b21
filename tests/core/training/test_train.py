"""A run from its first batch to its files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import safetensors.torch
import torch

from core import tasks
from core.config import change
from core.data.slice_cache import prepare_slices
from core.errors import CohortError, RunError, TrainingError
from core.progress import BatchDone, EpochMetrics, Notice, RunStarted, run_to_end
from core.run_folder import Run
from core.training import train as training
from core.training.dataset import batch_bounds, epoch_order
from core.training.loop import learning_rate_at
from core.training.network import FCL_NAMES, build_network, input_scaling

# design.md, section 6.
FILES = {
    "run.json",
    "run.json.bak",
    "log.txt",
    "validation_logits.f32",
    "split.csv",
    "history.csv",
    "network.safetensors",
    "best.safetensors",
    "resume.ckpt",
    "resume-previous.ckpt",
    "fc_history.npz",
    "features.npz",
    "predictions.csv",
}


def train(cohort, settings, runs):
    return run_to_end(tasks.train(cohort.folder, settings, runs))


def stop_after(cohort, settings, runs, *, epoch, batch):
    """Train and stop after a batch of the epoch that follows ``epoch`` whole ones."""
    operation = tasks.train(cohort.folder, settings, runs)
    path, done = None, 0
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics):
            done = event.epoch
        if isinstance(event, BatchDone) and done == epoch and event.batch == batch:
            break
    operation.close()
    return path


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_that_a_run_folder_is_complete(cohort, small, tmp_path):
    path = train(cohort, small, tmp_path / "runs")
    assert {item.name for item in path.iterdir()} == FILES
    run = Run(path)
    assert run.state == "finished"
    assert run.record["epochs_done"] == 3
    assert run.history.epoch.tolist() == [1, 2, 3]
    assert run.fc_history.epoch.tolist() == [0, 1, 2, 3]
    assert run.fc_history.weight.shape == (4, 2, 8)
    assert run.fc_history.bias.shape == (4, 2)
    assert run.features.penultimate.shape == (48, 8)
    assert run.features.logits.shape == (48, 2)
    assert set(run.features.part) == {"train", "validation", "test"}
    assert set(run.record["accuracy"]) == {"train", "validation", "test", "test_by_subject"}


def test_that_penultimate_features_times_the_fcl_give_the_logits(cohort, small, tmp_path):
    run = Run(train(cohort, small, tmp_path / "runs"))
    weight, bias = run.fc_history.at()
    expected = run.features.penultimate @ weight.T + bias
    np.testing.assert_allclose(run.features.logits, expected, atol=1e-5)


def test_that_the_stored_fcl_is_that_of_the_stored_network(cohort, small, tmp_path):
    path = train(cohort, small, tmp_path / "runs")
    stored = safetensors.torch.load_file(path / "network.safetensors")
    weight, bias = Run(path).fc_history.at()
    np.testing.assert_array_equal(stored["fc.weight"].numpy(), weight)
    np.testing.assert_array_equal(stored["fc.bias"].numpy(), bias)


def test_that_predictions_agree_with_the_accuracy_in_the_record(cohort, small, tmp_path):
    path = train(cohort, small, tmp_path / "runs")
    rows = [row for row in rows_of(path / "predictions.csv") if row["part"] == "test"]
    right = sum(row["label"] == row["predicted"] for row in rows) / len(rows)
    assert right == pytest.approx(Run(path).record["accuracy"]["test"])
    for row in rows:
        assert float(row["prob_AD"]) + float(row["prob_NC"]) == pytest.approx(1)
        assert (float(row["logit_AD"]) > float(row["logit_NC"])) == (row["predicted"] == "AD")


def test_that_no_subject_is_in_two_parts_of_split_csv(cohort, small, tmp_path):
    rows = rows_of(train(cohort, small, tmp_path / "runs") / "split.csv")
    parts = {}
    for row in rows:
        parts.setdefault(row["subject"], set()).add(row["part"])
    assert len(parts) == 12
    assert all(len(of) == 1 for of in parts.values())


def test_that_a_split_by_slice_is_said_and_recorded(cohort, small, tmp_path):
    settings = change(small, {"mode": "slice", "epochs": 1})
    events = list(tasks.train(cohort.folder, settings, tmp_path / "runs"))
    assert any(isinstance(event, Notice) and "leaks" in event.text for event in events)
    run = Run(next((tmp_path / "runs").iterdir()))
    assert run.leaks
    assert "Leaking split" in run.warning


@pytest.mark.parametrize("fc_init", ["torch", "glorot"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_that_the_sum_of_the_rows_is_conserved_without_weight_decay(
    cohort, small, tmp_path, fc_init, momentum
):
    settings = change(small, {"fc_init": fc_init, "momentum": momentum, "epochs": 5})
    weight = Run(train(cohort, settings, tmp_path / "runs")).fc_history.weight.astype(np.float64)
    total = weight.sum(axis=1)
    assert np.abs(total - total[0]).max() < 1e-5
    assert np.abs(weight - weight[0]).max() > 1e-3, "the rows themselves must learn"


def test_that_weight_decay_shrinks_the_sum_of_the_rows(cohort, small, tmp_path):
    settings = change(small, {"weight_decay": 0.1, "epochs": 5})
    total = Run(train(cohort, settings, tmp_path / "runs")).fc_history.weight.sum(axis=1)
    assert np.linalg.norm(total[-1]) < 0.95 * np.linalg.norm(total[0])


def test_that_the_sum_of_three_rows_is_conserved_too(three_classes, small, tmp_path):
    run = Run(train(three_classes, small, tmp_path / "runs"))
    assert run.classes == ("AD", "MCI", "NC")
    total = run.fc_history.weight.astype(np.float64).sum(axis=1)
    assert np.abs(total - total[0]).max() < 1e-5


def test_that_the_same_seed_gives_the_same_bits(cohort, small, tmp_path):
    first, second = (Run(train(cohort, small, tmp_path / "runs")) for _ in range(2))
    assert first.path != second.path
    np.testing.assert_array_equal(first.fc_history.weight, second.fc_history.weight)
    np.testing.assert_array_equal(first.features.logits, second.features.logits)


def test_that_another_seed_gives_another_run(cohort, small, tmp_path):
    first = Run(train(cohort, small, tmp_path / "runs"))
    second = Run(train(cohort, change(small, {"seed": 1}), tmp_path / "runs"))
    assert not np.array_equal(first.fc_history.weight[0], second.fc_history.weight[0])


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (1, 3), (2, 2)])
def test_that_stop_and_resume_give_the_bits_of_an_unbroken_run(
    cohort, small, tmp_path, epoch, batch
):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    path = stop_after(cohort, small, tmp_path / "broken", epoch=epoch, batch=batch)
    assert Run(path).state == "stopped"
    assert Run(path).record["epochs_done"] == epoch
    torch.manual_seed(12345)
    run_to_end(tasks.resume(path))
    broken = Run(path)
    assert broken.state == "finished"
    np.testing.assert_array_equal(broken.fc_history.weight, whole.fc_history.weight)
    np.testing.assert_array_equal(broken.features.logits, whole.features.logits)
    np.testing.assert_array_equal(broken.history.validation_loss, whole.history.validation_loss)
    assert broken.history.epoch.tolist() == [1, 2, 3]


def test_that_a_stopped_run_keeps_its_last_whole_epoch(cohort, small, tmp_path):
    path = stop_after(cohort, small, tmp_path / "runs", epoch=1, batch=2)
    run = Run(path)
    stored = safetensors.torch.load_file(path / "network.safetensors")
    np.testing.assert_array_equal(stored["fc.weight"].numpy(), run.fc_history.weight[1])
    assert not run.has_features
    run_to_end(tasks.analyse(path))
    np.testing.assert_allclose(
        Run(path).features.penultimate @ run.fc_history.weight[1].T + run.fc_history.bias[1],
        Run(path).features.logits,
        atol=1e-5,
    )


def test_that_a_run_stopped_before_its_first_epoch_says_so(cohort, small, tmp_path):
    path = stop_after(cohort, small, tmp_path / "runs", epoch=0, batch=1)
    assert Run(path).state == "stopped"
    with pytest.raises(RunError, match="no features"):
        run_to_end(tasks.analyse(path))


def test_that_a_finished_run_cannot_be_resumed(cohort, small, tmp_path):
    path = train(cohort, change(small, {"epochs": 1}), tmp_path / "runs")
    with pytest.raises(RunError, match="finished"):
        run_to_end(tasks.resume(path))


def test_that_a_non_finite_loss_stops_the_run_and_keeps_what_was(cohort, small, tmp_path):
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    path = None
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    with torch.no_grad():
        _network_of(operation).fc.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="not-a-number in epoch 2, batch 1"):
        run_to_end(operation)
    run = Run(path)
    assert run.state == "failed"
    assert run.record["epochs_done"] == 1
    stored = safetensors.torch.load_file(path / "network.safetensors")
    assert bool(torch.isfinite(stored["fc.weight"]).all())


def _network_of(operation):
    """Reach the network of a training under way through its chain of generators."""
    while operation is not None:
        found = operation.gi_frame.f_locals.get("training")
        if found is not None and hasattr(found, "network"):
            return found.network
        # The log of a run drives the training by hand, not by ``yield from``.
        driven = operation.gi_frame.f_locals.get("operation")
        operation = operation.gi_yieldfrom or driven
    raise AssertionError("no training under way")


def test_that_a_cohort_of_one_class_is_refused_with_its_counts(cohort, small, tmp_path):
    one = cohort.cohort.with_scans(s for s in cohort.cohort.scans if s.label == "AD")
    with pytest.raises(CohortError, match="AD 6"):
        run_to_end(training.train(one, cohort.folder, small, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_that_the_record_holds_no_absolute_path(cohort, small, tmp_path):
    path = train(cohort, change(small, {"epochs": 1}), tmp_path / "runs")
    text = (path / "run.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    record = json.loads(text)
    assert (path / record["cohort"]["folder"]).resolve() == cohort.folder.resolve()


def test_that_the_learning_rate_drops_by_ten_percent_every_ten_epochs(small):
    settings = change(small, {"learning_rate": 0.001})
    assert [learning_rate_at(settings, epoch) for epoch in (1, 10, 11, 20, 21)] == pytest.approx(
        [0.001, 0.001, 0.0009, 0.0009, 0.00081]
    )


def test_that_paper_settings_follow_table_2(small):
    from core.config import PRESETS, RunSettings

    for network, rate, epochs in (
        ("resnet101", 1e-3, 20),
        ("googlenet", 1e-3, 30),
        ("vgg19", 1e-4, 30),
    ):
        settings = change(RunSettings(), {**PRESETS["paper"], "network": network})
        assert settings.learning_rate == rate
        assert settings.epochs == epochs
        assert settings.training.batch == 128
        assert settings.training.weight_decay == 1e-4


@pytest.mark.parametrize(("n", "size"), [(17, 8), (16, 8), (1, 8), (9, 4), (7, 16)])
def test_that_batches_cover_all_slices_and_none_is_of_one(n, size):
    bounds = batch_bounds(n, size)
    assert [i for start, stop in bounds for i in range(start, stop)] == list(range(n))
    assert n == 1 or min(stop - start for start, stop in bounds) > 1


def test_that_each_epoch_has_its_own_order_of_all_slices():
    first, again, other = epoch_order(50, 0, 1), epoch_order(50, 0, 1), epoch_order(50, 0, 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert sorted(other) == list(range(50))


def test_that_shuffle_once_keeps_one_order(cohort, small, tmp_path):
    each = Run(train(cohort, small, tmp_path / "runs"))
    once = Run(train(cohort, change(small, {"shuffle": "once"}), tmp_path / "runs"))
    np.testing.assert_array_equal(each.fc_history.weight[1], once.fc_history.weight[1])
    assert not np.array_equal(each.fc_history.weight[2], once.fc_history.weight[2])


@pytest.mark.parametrize(
    ("network", "inputs"), [("resnet101", 2048), ("googlenet", 1024), ("vgg19", 4096), ("cnn2d", 8)]
)
def test_that_each_network_has_an_fcl_of_the_papers_size(small, network, inputs):
    settings = change(small, {"network": network}).training
    built = build_network(settings, 3, transform_input=False)
    layer = built.get_submodule(FCL_NAMES[network])
    assert tuple(layer.weight.shape) == (3, inputs)


def test_that_shuffled_labels_are_those_of_the_split_file(cohort, small, tmp_path):
    settings = change(small, {"shuffled_labels": True, "epochs": 1})
    path = train(cohort, settings, tmp_path / "runs")
    labels = {row["subject"]: row["label"] for row in rows_of(path / "split.csv")}
    true = {scan.subject: scan.label for scan in cohort.cohort.scans}
    assert sorted(labels.values()) == ["AD"] * 6 + ["NC"] * 6
    assert labels != true
    assert "shuffled" in Run(path).warning


def test_that_leaky_relu_is_in_the_custom_cnn_and_gives_another_run(cohort, small, tmp_path):
    leaky = change(small, {"activation": "leaky-relu"})
    built = build_network(leaky.training, 2, transform_input=False)
    slopes = {m.negative_slope for m in built.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == {0.01}
    assert not any(isinstance(m, torch.nn.ReLU) for m in built.modules())
    first = Run(train(cohort, small, tmp_path / "runs"))
    second = Run(train(cohort, leaky, tmp_path / "runs"))
    np.testing.assert_array_equal(first.fc_history.weight[0], second.fc_history.weight[0])
    assert not np.array_equal(first.fc_history.weight[1], second.fc_history.weight[1])


def test_that_recomputed_batch_norm_holds_the_statistics_of_all_training_slices(
    cohort, small, tmp_path
):
    settings = change(small, {"recompute_batch_norm": True, "batch": 24})
    path = train(cohort, settings, tmp_path / "runs")
    stored = safetensors.torch.load_file(path / "network.safetensors")
    network = build_network(settings.training, 2, transform_input=False)
    network.load_state_dict(stored)
    slices = run_to_end(prepare_slices(cohort.cohort, cohort.folder, settings.slices))
    part = np.array([row["part"] for row in rows_of(path / "split.csv")])
    pixels = torch.from_numpy(np.asarray(slices.pixels)[part == "train"])
    with torch.no_grad():
        convolved = network.features[0](input_scaling("cnn2d").apply(pixels))
    # One batch holds all 24 training slices, so the mean over batches is the mean itself.
    torch.testing.assert_close(
        stored["features.1.running_mean"], convolved.mean(dim=(0, 2, 3)), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        stored["features.1.running_var"], convolved.var(dim=(0, 2, 3)), atol=1e-5, rtol=1e-3
    )


def test_that_recomputing_batch_norm_changes_no_weight(cohort, small, tmp_path):
    plain = Run(train(cohort, small, tmp_path / "runs"))
    other = change(small, {"recompute_batch_norm": True})
    recomputed = Run(train(cohort, other, tmp_path / "runs"))
    np.testing.assert_array_equal(plain.fc_history.weight, recomputed.fc_history.weight)
    assert not np.array_equal(plain.features.logits, recomputed.features.logits)


def test_that_a_run_with_recomputed_batch_norm_resumes_to_the_same_bits(cohort, small, tmp_path):
    settings = change(small, {"recompute_batch_norm": True})
    whole = Run(train(cohort, settings, tmp_path / "whole"))
    path = stop_after(cohort, settings, tmp_path / "broken", epoch=1, batch=2)
    run_to_end(tasks.resume(path))
    np.testing.assert_array_equal(Run(path).features.logits, whole.features.logits)


def test_that_a_run_stopped_as_it_starts_does_not_seem_to_run(cohort, small, tmp_path):
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    path = next(event.path for event in operation if isinstance(event, RunStarted))
    operation.close()
    assert Run(path).state == "stopped"
