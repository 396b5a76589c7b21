"""Memory that is short where nothing is learned: half at once, and the run goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import tasks
from core.config import change
from core.errors import TrainingError
from core.progress import EpochMetrics, Notice, RunStarted, run_to_end
from core.run_folder import Run
from core.training.custom_cnn import CustomCnn2d
from tests.core.training.test_frozen_features import same_bits, stored_features

SHORT = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")


def train(cohort, settings, runs):
    """Train; return the run and what was told."""
    events = list(tasks.train(cohort.folder, settings, runs))
    told = [event.text for event in events if isinstance(event, Notice)]
    return Run(next(event.path for event in events if isinstance(event, RunStarted))), told


@pytest.fixture
def holds(monkeypatch):
    """A device that holds so many slices at once, while learning or not."""
    real = CustomCnn2d.forward

    def limit(most, error=SHORT, *, learning=False, after=0):
        calls = []

        def refuse(self, images):
            # What is needed is estimated on "meta", where nothing is allocated.
            if self.training == learning and images.device.type != "meta":
                calls.append(len(images))
                if len(images) > most and len(calls) > after:
                    raise error
            return real(self, images)

        monkeypatch.setattr(CustomCnn2d, "forward", refuse)
        return calls

    return limit


@pytest.fixture
def frozen(cohort, small, tmp_path):
    """Settings of a frozen custom CNN that starts from an earlier run."""
    earlier, _ = train(cohort, change(small, {"epochs": 1}), tmp_path / "earlier")
    return change(small, {"regime": "frozen", "weights": str(earlier.path), "batch": 12})


def about_memory(told):
    return [text for text in told if "ran out of memory" in text]


@pytest.mark.parametrize("error", [SHORT, MemoryError(), torch.OutOfMemoryError("CUDA")])
def test_that_validation_goes_on_with_half_at_once(cohort, small, tmp_path, holds, error):
    whole, _ = train(cohort, small, tmp_path / "whole")
    calls = holds(3, error)
    run, told = train(cohort, small, tmp_path / "short")
    assert run.state == "finished"
    first, second = about_memory(told)
    assert first.startswith("Validating epoch 1: the device ran out of memory.")
    assert "4 slices at a time" in first
    assert "2 slices at a time; that may change the last digits" in second
    assert run.record["evaluated_at_once"] == 2
    assert "micro_batch" not in run.record
    # Once it is known, nothing is tried in vain again.
    assert [n for n in calls if n > 3] == [8, 4]
    np.testing.assert_array_equal(run.fc_history.weight, whole.fc_history.weight)
    np.testing.assert_allclose(run.features.logits, whole.features.logits, atol=1e-5)
    np.testing.assert_allclose(
        run.history.validation_loss, whole.history.validation_loss, atol=1e-5
    )


def test_that_memory_short_late_halves_what_is_left(cohort, small, tmp_path, holds):
    holds(4, after=2)  # one batch of 8 validation slices: the third epoch
    run, told = train(cohort, small, tmp_path / "runs")
    (said,) = about_memory(told)
    assert said.startswith("Validating epoch 3:")
    assert run.state == "finished"
    assert run.features.logits.shape == (48, 2)


def test_that_slices_left_over_are_neither_lost_nor_taken_twice(cohort, small, tmp_path, holds):
    holds(5)
    run, _ = train(cohort, change(small, {"batch": 11, "epochs": 1}), tmp_path / "runs")
    assert run.record["evaluated_at_once"] == 3
    weight, bias = run.fc_history.at()
    np.testing.assert_allclose(
        run.features.logits, run.features.penultimate @ weight.T + bias, atol=1e-5
    )
    assert len(np.unique(run.features.penultimate, axis=0)) == 48


def test_that_one_slice_that_does_not_fit_ends_the_run_in_words(cohort, small, tmp_path, holds):
    holds(0)
    with pytest.raises(TrainingError, match=r"^Validating epoch 1: .* one slice at a time"):
        train(cohort, small, tmp_path / "runs")
    assert Run(next((tmp_path / "runs").iterdir())).state == "failed"


def test_that_another_fault_halves_nothing(cohort, small, tmp_path, holds):
    holds(3, RuntimeError("device-side assert triggered"))
    with pytest.raises(TrainingError, match="device-side assert"):
        train(cohort, small, tmp_path / "runs")


def test_that_a_resumed_run_goes_on_with_as_many_and_gives_the_same_bits(
    cohort, small, tmp_path, holds
):
    holds(3)
    whole, _ = train(cohort, small, tmp_path / "whole")
    path = None
    operation = tasks.train(cohort.folder, small, tmp_path / "broken")
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    operation.close()
    calls = holds(48)  # meanwhile there is memory enough
    broken = Run(run_to_end(tasks.resume(path)))
    assert max(calls) == 2
    np.testing.assert_array_equal(broken.history.validation_loss, whole.history.validation_loss)
    np.testing.assert_array_equal(broken.features.logits, whole.features.logits)


# ------------------------------------------------------------------ batch-norm statistics


def test_that_recomputed_batch_norm_goes_on_in_halves(cohort, small, tmp_path, holds):
    settings = change(small, {"recompute_batch_norm": True, "epochs": 1})
    whole, _ = train(cohort, settings, tmp_path / "whole")
    holds(4)
    run, told = train(cohort, settings, tmp_path / "short")
    assert run.state == "finished"
    said, *of_validation = about_memory(told)
    assert said.startswith("Recomputing batch norm: the device ran out of memory.")
    assert "batches of 4 slices" in said
    assert "accuracy may change" in said
    assert all(text.startswith("Validating") for text in of_validation)
    assert run.record["batch_norm_at_once"] == 4
    # Unbiased in batches of any size, so near each other; what was learned is the same.
    np.testing.assert_array_equal(run.fc_history.weight, whole.fc_history.weight)
    assert not np.array_equal(run.features.logits, whole.features.logits)
    np.testing.assert_allclose(run.features.logits, whole.features.logits, atol=0.05)


def test_that_validation_in_small_pieces_leaves_batch_norm_its_whole_batches(
    cohort, small, tmp_path, monkeypatch
):
    settings = change(small, {"recompute_batch_norm": True})
    whole, _ = train(cohort, settings, tmp_path / "whole")
    real = CustomCnn2d.forward

    def refuse_to_measure(self, images):
        is_measured = not any(module.training for module in self.modules())
        if is_measured and images.device.type != "meta" and len(images) > 1:
            raise SHORT
        return real(self, images)

    monkeypatch.setattr(CustomCnn2d, "forward", refuse_to_measure)
    run, _ = train(cohort, settings, tmp_path / "short")
    assert run.record["evaluated_at_once"] == 1
    assert "batch_norm_at_once" not in run.record
    np.testing.assert_allclose(run.features.logits, whole.features.logits, atol=1e-5)


def test_that_half_a_batch_that_does_not_fit_batch_norm_ends_the_run_in_words(
    cohort, small, tmp_path, holds
):
    holds(3)
    settings = change(small, {"recompute_batch_norm": True})
    with pytest.raises(TrainingError, match=r"^Recomputing batch norm: .* 4 slices at a time"):
        train(cohort, settings, tmp_path / "runs")


# ------------------------------------------------------------------ frozen layers


def test_that_frozen_layers_go_on_with_half_and_are_kept_under_their_own_name(
    cohort, frozen, tmp_path, holds
):
    enough, _ = train(cohort, frozen, tmp_path / "enough")
    (of_twelve,) = stored_features(cohort)
    of_twelve.unlink()
    calls = holds(6, after=2)  # the third batch: what was computed before is computed anew
    short, told = train(cohort, frozen, tmp_path / "short")
    (said,) = about_memory(told)
    assert "in the frozen layers. From here on they see 6 slices at a time" in said
    assert calls == [12, 12, 12] + [6] * 8
    assert short.record["frozen_at_once"] == 6
    (of_six,) = stored_features(cohort)
    assert of_six.name != of_twelve.name
    np.testing.assert_allclose(short.fc_history.weight, enough.fc_history.weight, atol=1e-4)
    # With memory again, those of six are not taken for those of twelve.
    calls = holds(48)
    again, told = train(cohort, frozen, tmp_path / "again")
    assert calls == [12] * 4
    assert not about_memory(told)
    same_bits(enough, again)
    assert len(stored_features(cohort)) == 2


def test_that_kept_and_live_features_of_half_a_batch_give_the_same_bits(
    cohort, frozen, tmp_path, holds
):
    holds(6)
    kept, _ = train(cohort, frozen, tmp_path / "kept")
    live, told = train(cohort, change(frozen, {"cache_features": False}), tmp_path / "live")
    assert live.record["frozen_at_once"] == kept.record["frozen_at_once"] == 6
    assert "micro_batch" not in live.record
    assert len(about_memory(told)) == 1
    same_bits(kept, live)


def test_that_a_resumed_frozen_run_takes_the_features_it_had(cohort, frozen, tmp_path, holds):
    holds(6)
    whole, _ = train(cohort, frozen, tmp_path / "whole")
    path = None
    operation = tasks.train(cohort.folder, frozen, tmp_path / "broken")
    for event in operation:
        if isinstance(event, RunStarted):
            path = event.path
        if isinstance(event, EpochMetrics) and event.epoch == 1:
            break
    operation.close()
    for file in stored_features(cohort):
        file.unlink()
    calls = holds(48)
    broken = Run(run_to_end(tasks.resume(path)))
    assert set(calls) == {6}
    same_bits(whole, broken)


def test_that_frozen_layers_too_large_for_one_slice_end_in_words(cohort, frozen, tmp_path, holds):
    holds(0)
    with pytest.raises(TrainingError, match=r"^Running the frozen layers: .* one slice at a time"):
        train(cohort, frozen, tmp_path / "runs")


def test_that_two_processes_go_on_in_halves(cohort, small, tmp_path, holds):
    # The other process is a program of its own, where memory is not short.
    holds(3)
    settings = change(small, {"devices": 2, "device": "cpu", "epochs": 1})
    run, told = train(cohort, settings, tmp_path)
    assert len(about_memory(told)) == 2
    weight, bias = run.fc_history.at()
    np.testing.assert_allclose(
        run.features.logits, run.features.penultimate @ weight.T + bias, atol=1e-5
    )
