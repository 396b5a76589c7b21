"""faults.md S1: where labels are random, a split by subject gives chance and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core import tasks
from core.progress import run_to_end
from core.run_folder import Run
from tests.tiny_cohort import make_cohort, tiny

SEEDS = 20


@pytest.mark.slow
def test_that_random_labels_give_chance_over_twenty_seeds(tmp_path):
    cohort = make_cohort(tmp_path, subjects=10)
    accuracies, subjects = [], []
    for seed in range(SEEDS):
        settings = tiny(seed=seed, mode="subject", shuffled_labels=True, epochs=6)
        run = Run(run_to_end(tasks.train(cohort.folder, settings, tmp_path / "runs")))
        assert run.record["shared_subjects"] == 0
        test = run.features.of_part("test")
        accuracies.append(float((test.logits.argmax(axis=1) == test.label).mean()))
        subjects.append(len(set(test.subject)))
    # Slices of a subject go together, so that subjects are what is counted.
    deviation = math.sqrt(0.25 / sum(subjects))
    assert abs(np.mean(accuracies) - 0.5) < 3 * deviation, (np.mean(accuracies), deviation)
    assert np.std(accuracies) > 0, "each seed must have drawn its own labels and split"
