"""A tiny cohort on disk and settings that train on it in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import tasks
from core.config import RunSettings, change
from core.progress import run_to_end
from core.tasks import ScannedCohort


def make_pictures(root: Path, *, classes=("AD", "NC"), subjects=6, slices=4, size=32) -> Path:
    """Write noise pictures; the second class is brighter in one corner."""
    rng = np.random.default_rng(0)
    for k, label in enumerate(classes):
        for i in range(subjects):
            base = rng.integers(0, 160, (size, size))
            base[: size // 2, : size // 2] += 40 * k
            for number in range(slices):
                pixels = np.clip(base + rng.integers(0, 20, (size, size)), 0, 255)
                path = root / label / f"{label}{i:02d}_s{number:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return root


@pytest.fixture
def cohort(tmp_path: Path) -> ScannedCohort:
    """Two classes of six subjects with four pictures each."""
    folder = make_pictures(tmp_path / "pictures")
    return run_to_end(tasks.scan(folder, out=tmp_path / "C.mrifcl"))


@pytest.fixture
def three_classes(tmp_path: Path) -> ScannedCohort:
    """Three classes of six subjects with four pictures each."""
    folder = make_pictures(tmp_path / "pictures3", classes=("AD", "MCI", "NC"))
    return run_to_end(tasks.scan(folder, out=tmp_path / "C3.mrifcl"))


@pytest.fixture
def small() -> RunSettings:
    """The custom CNN, small, three epochs."""
    return change(
        RunSettings(),
        {
            "network": "cnn2d",
            "epochs": 3,
            "size": 32,
            "cnn_width": 2,
            "cnn_features": 8,
            "batch": 8,
            "learning_rate": 0.05,
        },
    )
