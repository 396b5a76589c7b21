"""Real runs of a tiny cohort, made once, and a window on an empty data folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.analysis import projection
from core.progress import Progress
from core.tasks import ScannedCohort
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.session import Session
from mrifcl_gui.theme import apply_theme
from tests.tiny_cohort import make_cohort, train_run


@dataclass(frozen=True)
class Trained:
    """A cohort and its runs: by subject, by slice, and of three classes."""

    scanned: ScannedCohort
    by_subject: Path
    by_slice: Path
    three_classes: Path


@pytest.fixture(autouse=True)
def quick_neighbours(monkeypatch):
    """t-SNE takes seconds: it is tested by itself in tests/core/analysis/test_projection.py."""

    def plane(_method, payload):
        yield Progress("Computing")
        return np.asarray(payload["points"])[:, :2]

    monkeypatch.setattr(projection, "_in_child", plane)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    scanned = make_cohort(folder / "two")
    three = make_cohort(folder / "three", classes=("AD", "MCI", "NC"), subjects=4)
    return Trained(
        scanned,
        train_run(scanned, folder / "two" / "runs"),
        train_run(scanned, folder / "two" / "runs", mode="slice"),
        train_run(three, folder / "three" / "runs"),
    )


@pytest.fixture
def trained(trained_once, tmp_path):
    """A copy of the runs and cohorts that a test may write to."""
    old = trained_once.scanned.folder.parents[2]
    new = tmp_path / "trained"
    shutil.copytree(old, new)

    def moved(path):
        return new / path.relative_to(old)

    return Trained(
        ScannedCohort(trained_once.scanned.cohort, moved(trained_once.scanned.folder)),
        moved(trained_once.by_subject),
        moved(trained_once.by_slice),
        moved(trained_once.three_classes),
    )


@pytest.fixture
def session(tmp_path):
    return Session(data_folder=tmp_path / "data")


@pytest.fixture
def look(qapp):
    """Give the application a theme and a size of text; afterwards it looks as before."""
    before = qapp.font(), qapp.palette(), qapp.styleSheet()
    yield lambda scheme="light", text_scale=1.0: apply_theme(qapp, scheme, text_scale=text_scale)
    apply_theme(qapp, "light", text_scale=1.0)
    qapp.setFont(before[0])
    qapp.setPalette(before[1])
    qapp.setStyleSheet(before[2])


@pytest.fixture
def window(qtbot, session):
    window = MainWindow(session)
    window.problems = []
    session.problem.connect(window.problems.append)
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close()
