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


def confirm_folder(qtbot, window, limit_ms=30_000):
    """Wait until the window asks how to read a folder, and confirm with Enter."""
    from PySide6.QtCore import Qt

    dialog = shown_dialog(qtbot, window, limit_ms)
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()


def shown_dialog(qtbot, window, limit_ms=30_000):
    """Wait for the question how to read a folder; return its dialog."""
    from mrifcl_gui.open_folder_dialog import OpenFolderDialog

    def shown():
        return [found for found in window.findChildren(OpenFolderDialog) if found.isVisible()]

    qtbot.waitUntil(lambda: len(shown()) == 1, timeout=limit_ms)
    return shown()[0]


def wait_until_idle(qtbot, limit_ms=30_000):
    """Wait until no job runs and none is about to start."""
    from mrifcl_gui.job import running_jobs

    quiet = 0

    def is_quiet():
        nonlocal quiet
        quiet = 0 if running_jobs() else quiet + 1
        return quiet > 2  # the end of one job may start another, an event later

    qtbot.waitUntil(is_quiet, timeout=limit_ms)


def make_volumes(folder, classes=("AD", "NC"), *, subjects=6, sessions=1, shape=(20, 24, 18)):
    """Write class folders of small NIfTI heads, each class brighter in its own half."""
    import nibabel as nib

    rng = np.random.default_rng(0)
    number = 0
    for k, name in enumerate(classes):
        place = folder / name
        place.mkdir(parents=True)
        for _ in range(subjects):
            number += 1
            for session in range(1, sessions + 1):
                voxels = np.zeros(shape, np.float32)
                inside = voxels[2:-2, 3:-3, 2:-2]
                inside += rng.integers(300, 400) + rng.normal(0, 30, inside.shape)
                half = inside.shape[1] // 2
                inside[:, k % 2 * half : k % 2 * half + half] += 150
                image = nib.Nifti1Image(voxels.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
                nib.save(image, place / f"OAS1_{number:04d}_MR{session}.nii.gz")
    return folder


def make_volume_cohort(folder, **options):
    """Make and scan a folder of volumes; return the scanned cohort, stored beside it."""
    scans = make_volumes(folder / "heads", **options)
    return drive(tasks.scan(scans, out=folder / "cohorts" / "heads.mrifcl"))


CUBE_VALUES = {
    "network": "cnn3d",
    "regime": "scratch",
    "epochs": 2,
    "batch": 4,
    "cube_size": 16,
    "cnn_blocks": 2,
    "cnn_width": 2,
    "cnn_features": 8,
    "learning_rate": 0.05,
}


def tiny_cubes(**changes):
    """Return settings of the 3-D CNN that train in a second."""
    return config.change(RunSettings(), {**CUBE_VALUES, **changes})
