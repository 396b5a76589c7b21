"""Every screen and dialog fits: nothing is cut off, also in a small window and with large texts."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize

from core import tasks
from core.data.phantom import simulate_cohort
from docs.every_screen import Material, Tour
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.session import Session
from tests.gui.screen_fit import misfits
from tests.tiny_cohort import drive, make_cohort, make_volume_cohort, tiny_cubes, train_run

# Those that draw every figure, or train, take long.
SECTIONS = (
    "empty_places",
    "runs",
    "dialogs",
    pytest.param("cohort", marks=pytest.mark.slow),
    pytest.param("training", marks=pytest.mark.slow),
    pytest.param("analysis", marks=pytest.mark.slow),
)
LARGEST = QSize(1280, 800)


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Tiny cohorts of volumes and of pictures, and tiny runs of slices and of cubes."""
    folder = tmp_path_factory.mktemp("screens")
    pictures = make_cohort(folder / "pictures")
    volumes = make_volume_cohort(folder / "volumes", shape=(20, 24, 40))
    runs = folder / "data" / "runs"
    flat = tuple(train_run(pictures, runs, mode=mode) for mode in ("subject", "slice"))
    cubes = drive(tasks.train(volumes.folder, tiny_cubes(), runs))
    scans = drive(simulate_cohort(folder / "simulated", subjects_per_class=2))
    return Material(scans, volumes.folder, pictures.folder, flat, cubes)


@pytest.fixture(params=[1.0, 2.0], ids=["100 %", "200 %"])
def tour(request, qtbot, look, material):
    """A tour through a window of 1280 x 800, with texts of usual and of twice the size."""
    look("light", request.param)
    window = MainWindow(Session(data_folder=material.runs[0].parents[1]))
    qtbot.addWidget(window)
    window.resize(LARGEST)
    window.show()
    yield Tour(window, material)
    window.close()


@pytest.mark.parametrize("section", SECTIONS)
def test_that_nothing_is_cut_off(tour, section):
    found = []
    for name, shown in getattr(tour, section)():
        found += [f"{name}: {line}" for line in misfits(shown)]
        if shown is tour.window:
            least = shown.centralWidget().minimumSizeHint()
            if least.boundedTo(LARGEST) != least:
                found.append(f"{name}: needs a window of {least.toTuple()}")
    assert found == []
