"""A tiny cohort on disk and settings that train on it in a second."""

from __future__ import annotations

import pytest

from tests.tiny_cohort import make_cohort, tiny


@pytest.fixture
def cohort(tmp_path):
    """Two classes of six subjects with four pictures each."""
    return make_cohort(tmp_path)


@pytest.fixture
def three_classes(tmp_path):
    """Three classes of six subjects with four pictures each."""
    return make_cohort(tmp_path / "three", classes=("AD", "MCI", "NC"))


@pytest.fixture
def small():
    """The custom CNN, small, three epochs."""
    return tiny(epochs=3, batch=8, learning_rate=0.05)
