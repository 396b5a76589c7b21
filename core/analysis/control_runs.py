"""Find runs of shuffled labels, the empirical null of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import AnalysisError, RunError
from core.run_folder import Run, list_runs


def shuffled_label_runs(run: Run) -> tuple[Run, ...]:
    """Return the runs of shuffled labels beside ``run`` that can stand as its null.

    They have the same network and the same classes, and their weights are stored.
    """
    return tuple(other for other in list_runs(run.path.parent) if _problem(run, other) == "")


def chosen_controls(run: Run, paths: Sequence[Path]) -> tuple[Run, ...]:
    """Open the run folders ``paths`` as nulls of ``run``.

    Raises
    ------
    AnalysisError
        If one is no run of shuffled labels, or of another network or other classes.
    RunError
        If one is no run folder or is damaged.
    """
    controls = []
    for path in paths:
        other = Run(path)
        problem = _problem(run, other)
        if problem:
            raise AnalysisError(
                f"Run '{other.name}' cannot stand beside run '{run.name}' as a null: {problem}. "
                "Choose a run of the same network and classes, trained with shuffled labels."
            )
        controls.append(other)
    return tuple(controls)


def _problem(run: Run, other: Run) -> str:
    try:
        if other.path.resolve() == run.path.resolve():
            return "it is the same run"
        if not other.settings.split.shuffled_labels:
            return "its labels were not shuffled"
        if other.settings.training.network != run.settings.training.network:
            return f"its network is {other.network_title}"
        if set(other.classes) != set(run.classes):
            return f"its classes are {', '.join(other.classes)}"
        if not (other.path / "fc_history.npz").is_file():
            return "it has no weights yet"
    except RunError as error:
        return str(error)
    return ""
