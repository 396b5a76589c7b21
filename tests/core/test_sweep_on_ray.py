"""The same sweep as tasks of a Ray that is started here; skipped where Ray is not installed."""

import contextlib
import os

import pytest

from core.errors import RunError, SettingsError
from core.plan import Plan
from core.progress import SweepMoved
from core.run_folder import Run, list_runs
from core.sweep import sweep
from core.sweep_on_ray import RayPlace, ray_at, sweep_on_ray
from tests.tiny_cohort import drive, make_cohort, tiny

pytest.importorskip("ray", reason="the extra 'cluster' (ray) is not installed")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def ray_here():
    """Start Ray once for all tests: it takes some ten seconds."""
    with contextlib.ExitStack() as started:
        try:
            started.enter_context(ray_at(RayPlace()))
        except RunError:
            # Ray gives itself 30 s, which a busy computer may need once; twice is a fault.
            started.enter_context(ray_at(RayPlace()))
        yield


@pytest.mark.slow  # Ray starts several processes, and each imports torch
def test_that_a_sweep_on_ray_is_stopped_goes_on_and_equals_one_without_it(
    scanned, tmp_path, ray_here
):
    runs, place = tmp_path / "runs", RayPlace(cpus=min(2, os.cpu_count() or 1))
    gone = tiny(network="vgg19", regime="frozen", weights=str(tmp_path / "gone.safetensors"))
    plan = Plan((tiny(seed=1), gone, tiny(seed=2, epochs=200)))
    moved = {}
    for event in (operation := sweep_on_ray(scanned.folder, plan, runs, place)):
        if isinstance(event, SweepMoved):
            moved[event.index] = event
            if moved[0].state == "finished" and moved.get(2, event).text.startswith("epoch"):
                operation.close()
                break
    states = {run.settings.training.seed: run.state for run in list_runs(runs)}
    assert states == {1: "finished", 2: "stopped"}
    (begun,) = [run for run in list_runs(runs) if run.state == "stopped"]
    n_done = begun.record["epochs_done"]
    assert 0 < n_done < 200

    rows = drive(sweep_on_ray(scanned.folder, plan, runs, place))
    assert [row.state for row in rows] == ["finished", "failed", "finished"]
    assert "gone.safetensors" in rows[1].text
    assert rows[2].path == begun.path
    assert len(list(list_runs(runs))) == 2
    again = drive(sweep(scanned.folder, Plan((plan.runs[0], plan.runs[2])), runs))
    assert [row.path for row in again] == [rows[0].path, rows[2].path]
    (here,) = drive(sweep(scanned.folder, Plan((tiny(seed=1),)), tmp_path / "here"))
    assert (
        here.path.joinpath("features.npz").read_bytes()
        == (rows[0].path / "features.npz").read_bytes()
    )
    assert Run(rows[0].path).record["accuracy"] == Run(here.path).record["accuracy"]


@pytest.mark.slow
def test_that_what_no_machine_has_is_refused_instead_of_waited_for(scanned, tmp_path, ray_here):
    with pytest.raises(SettingsError, match="No machine of Ray has 5000 CPUs"):
        drive(sweep_on_ray(scanned.folder, Plan((tiny(),)), tmp_path / "runs", RayPlace(cpus=5000)))


def test_that_a_missing_ray_says_how_to_install_it(scanned, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SettingsError, match=r"mri-fcl\[cluster\]"):
        drive(sweep_on_ray(scanned.folder, Plan((tiny(),)), tmp_path / "runs", RayPlace()))
