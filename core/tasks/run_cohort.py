"""Find the cohort that a run was trained on."""

from __future__ import annotations

from pathlib import Path

from core.data import cohort as cohort_file
from core.errors import RunError
from core.run_folder import Run


def cohort_folder_of(run: Run) -> Path:
    """Return the cohort's folder of a run.

    Raises
    ------
    RunError
        If it is no longer where the run's record says.
    """
    folder = (run.path / str(run.record["cohort"]["folder"])).resolve()
    if not (folder / cohort_file.COHORT_FILE).is_file():
        raise RunError(
            f"The cohort '{run.record['cohort']['name']}' of run '{run.name}' is no "
            "longer beside it. Put it back where it was, relative to the run."
        )
    return folder
