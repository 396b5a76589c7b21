"""Train, resume, probe, and fetch pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import RunSettings
from core.data import cohort as cohort_file
from core.data.cohort import Cohort
from core.keep_awake import kept_awake
from core.progress import Notice, Operation, Progress
from core.run_folder import Run
from core.run_lock import require_free
from core.run_log import with_log
from core.tasks.run_cohort import cohort_folder_of

if TYPE_CHECKING:
    from core.training.probe_result import ProbeResult
    from core.training.weights_entry import WeightsState


def train(cohort_folder: Path, settings: RunSettings, runs: Path) -> Operation[Path]:
    """Train one run; return its folder. See :func:`core.training.train.train`."""
    yield Progress("Starting torch")
    from core.training import train as training

    cohort = cohort_file.load_cohort(cohort_folder)
    operation = training.train(cohort, cohort_folder, settings, runs)
    if settings.training.precision != "32":
        yield Notice(
            f"This run is trained in half precision ({settings.training.precision}): its numbers "
            "are not those of 32 bit, and on some devices it is slower. 'mri-fcl probe' measures "
            "it."
        )
    with kept_awake(wanted=settings.training.keep_awake):
        return (yield from with_log(operation, settings, hidden=_names_in(cohort)))


def resume(run_folder: Path) -> Operation[Path]:
    """Go on with a stopped or crashed run; return its folder."""
    yield Progress("Starting torch")
    from core.training import train as training

    # Before the log: that of a run which another program trains is not ours to write.
    require_free(run_folder)
    run = Run(run_folder)
    cohort = cohort_file.load_cohort(cohort_folder_of(run))
    operation = training.resume(run_folder, cohort)
    log = with_log(operation, run.settings, resumed=run, hidden=_names_in(cohort))
    with kept_awake(wanted=run.settings.training.keep_awake):
        return (yield from log)


def load_packages() -> Operation[None]:
    """Import torch and the other heavy packages ahead of their first use."""
    from core import temporary_folder, warm_up

    # The first thing that a window does in the background.
    temporary_folder.clear_abandoned()
    yield from warm_up.load_packages()


def probe_precision(settings: RunSettings) -> Operation[ProbeResult]:
    """Measure in which precision training is fastest here; see :mod:`core.training.probe`."""
    yield Progress("Starting torch")
    from core.training import probe

    return (yield from probe.probe_precision(settings))


def _names_in(cohort: Cohort) -> set[str]:
    """Return all names that a log should not hold."""
    return {name for scan in cohort.scans for name in (scan.subject, scan.key)}


def look_up_weights(networks: Sequence[str], asked: str) -> Operation[list[WeightsState]]:
    """Tell for each network whether the pretrained weights are here; fetches nothing."""
    yield Progress("Looking for weights")
    from core.training import weights_state

    states = []
    for network in networks:
        states.append(weights_state.look_up(network, asked))
        yield Progress("Looking for weights", len(states), len(networks))
    return states


def missing_weights(runs: Sequence[RunSettings]) -> Operation[list[WeightsState]]:
    """Tell which of torchvision's weights files ``runs`` would start from and are not here.

    Each is told once. Nothing is fetched; files that the user named are not looked for.
    """
    wanted = {
        (run.training.network, run.training.weights): None
        for run in runs
        if run.training.regime != "scratch"
    }
    if not wanted:
        return []
    yield Progress("Looking for weights")
    from core.training import pretrained, weights_state

    missing = []
    for network, asked in wanted:
        entry = pretrained.find_entry(network, asked)
        state = weights_state.state_of(entry) if entry is not None else None
        if state is not None and state.kind == "missing" and state not in missing:
            missing.append(state)
        yield Progress("Looking for weights")
    return missing


def list_weights() -> Operation[tuple[Path, list[WeightsState]]]:
    """Return the folder of torchvision's weights, and which of its files are there."""
    yield Progress("Looking for weights")
    from core.training import pretrained, weights_state

    states = [weights_state.state_of(entry) for entry in pretrained.weights_entries().values()]
    return pretrained.weights_folder(), states


def download_weights(name: str) -> Operation[Path]:
    """Fetch one of torchvision's weights files, as the user asked; return its path.

    Parameters
    ----------
    name : str
        One of :data:`core.training.weights_entry.ENTRY_NAMES`.

    Raises
    ------
    TrainingError
        See :func:`core.training.weights_download.download`.
    """
    yield Progress("Starting the download")
    from core.training import pretrained, weights_download

    entry = pretrained.weights_entries()[name]
    return (yield from weights_download.download(entry, pretrained.weights_folder()))
