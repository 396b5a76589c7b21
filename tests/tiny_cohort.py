"""A cohort that trains in a second: two class folders of small JPEG slices, and a tiny network."""

import numpy as np
from PIL import Image

from core import config, tasks
from core.config import RunSettings

TINY_VALUES = {
    "network": "cnn2d",
    "regime": "scratch",
    "epochs": 2,
    "size": 32,
    "batch": 16,
    "cnn_width": 2,
    "cnn_features": 8,
}
TINY = config.change(RunSettings(), TINY_VALUES)


def tiny(**changes):
    return config.change(TINY, changes)


def make_folder(folder, classes=("AD", "NC"), *, subjects=6, slices=4, size=32):
    """Write class folders; each class is brighter in its own corner, each subject by itself."""
    rng = np.random.default_rng(0)
    number = 0
    for k, name in enumerate(classes):
        place = folder / name
        place.mkdir(parents=True)
        for _ in range(subjects):
            number += 1
            base = rng.integers(40, 120)
            for slice_number in range(slices):
                pixels = rng.normal(base, 12, (size, size))
                half = size // 2
                pixels[:half, k % 2 * half : k % 2 * half + half] += 60
                image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                image.save(place / f"OAS1_{number:04d}_MR1_s{slice_number:02d}.jpg")
    return folder


def drive(operation):
    """Run an operation to its end here and return its result."""
    while True:
        try:
            next(operation)
        except StopIteration as stop:
            return stop.value


def make_cohort(folder, **options):
    """Make and scan a folder; return the scanned cohort, stored beside it."""
    scans = make_folder(folder / "tiny", **options)
    return drive(tasks.scan(scans, out=folder / "cohorts" / "tiny.mrifcl"))


def train_run(scanned, runs, **changes):
    """Train a tiny run; return its folder."""
    return drive(tasks.train(scanned.folder, tiny(**changes), runs))


def wait_until_idle(qtbot, limit_ms=30_000):
    """Wait until no job runs and none is about to start."""
    from mrifcl_gui.job import running_jobs

    quiet = 0

    def is_quiet():
        nonlocal quiet
        quiet = 0 if running_jobs() else quiet + 1
        return quiet > 2  # the end of one job may start another, an event later

    qtbot.waitUntil(is_quiet, timeout=limit_ms)
