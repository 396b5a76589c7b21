"""Tiny scans, pictures and slices that the tests of the data share."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from core.data.cohort import Cohort, Scan
from core.data.slices import SliceSet

# Unequal axes and voxel sizes, so that a swap shows.
SHAPE = (8, 9, 10)
SPACING_MM = (1.0, 1.5, 2.0)


@pytest.fixture
def voxels():
    """Distinct values, so that a flip shows."""
    return np.arange(1, 721, dtype=np.int16).reshape(SHAPE)


@pytest.fixture
def affine():
    return np.array([[1, 0, 0, -4], [0, 1.5, 0, -6], [0, 0, 2, -10], [0, 0, 0, 1.0]])


@pytest.fixture
def write_nifti(voxels, affine):
    def write(path, data=None, *, matrix=None):
        image = nib.Nifti1Image(
            voxels if data is None else data, affine if matrix is None else matrix
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, path)
        return path

    return write


@pytest.fixture
def write_picture():
    def write(path, seed=0, shape=(12, 16)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def make_cohort():
    def make(root, members, files_of):
        """Make a cohort of (subject, label) ``members``; ``files_of`` gives kind and files."""
        scans = []
        for subject, label in members:
            kind, files = files_of(subject)
            numbers = tuple(range(len(files))) if kind == "slices" else ()
            scans.append(Scan(subject, subject, "", label, kind, tuple(files), numbers, sha256=""))
        classes = tuple(dict.fromkeys(label for _, label in members))
        return Cohort(root, classes, tuple(scans))

    return make


@pytest.fixture(scope="session")
def make_slices():
    def make(members, n_slices=3, classes=("AD", "NC")):
        """Make slices of (subject, class index) ``members``, each with its own pixels."""
        rows = [
            (subject, label, f"{subject}_{scan}", number)
            for scan, (subject, label) in enumerate(members)
            for number in range(n_slices)
        ]
        pixels = np.zeros((len(rows), 2, 2), dtype=np.uint8)
        pixels[:, 0, 0] = np.arange(len(rows)) // 255 + 1
        pixels[:, 1, 1] = np.arange(len(rows)) % 255
        return SliceSet(
            pixels=pixels,
            label=np.array([row[1] for row in rows], dtype=np.int64),
            subject=np.array([row[0] for row in rows]),
            session=np.array([""] * len(rows)),
            scan=np.array([row[2] for row in rows]),
            number=np.array([row[3] for row in rows], dtype=np.int64),
            classes=tuple(classes),
        )

    return make


@pytest.fixture(scope="session")
def assert_plain():
    """Check an error's text: names the file, is whole sentences, says what to do."""
    remedy = re.compile(
        r"(?i)\b(Copy|Export|Choose|Save|Rename|Reconnect|Unpack|Download|Fetch|Put|Add|Change|Take"
        r"|Correct|Scan|Make|Update|Name|Fill|Give|Check|Free|Drop|Restore|needs|Example)\b"
    )

    def check(error, name):
        text = str(error)
        assert name in text
        assert remedy.search(text), text
        assert not re.search(r"Errno|Traceback|\w(Error|Exception)\b|<class|0x[0-9a-f]{6}", text)

    return check
