"""What commands say of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import run_folder
from core.cli.terminal import percent, say
from core.run_folder import Run, read_record


def say_run(path: Path, *, json: bool) -> None:
    """Print how well a run that has ended does, and where it is."""
    if not run_folder.is_run(path):
        return  # one of several processes of a training; the first has the run and says it
    run = Run(path)
    measured = run.record["accuracy"]
    sentences = [
        f"Accuracy: train {percent(measured['train'])}, validation "
        f"{percent(measured['validation'])}, test {percent(measured['test'])} of "
        f"{run.settings.items}, "
        f"{percent(measured['test_by_subject'])} of subjects."
    ]
    if run.warning:
        sentences.append(run.warning)
    sentences.append(f"Run: {path}")
    say(
        json,
        {
            "run": path,
            "state": run.state,
            "epochs": run.record["epochs_done"],
            "train_accuracy": measured["train"],
            "validation_accuracy": measured["validation"],
            "test_accuracy": measured["test"],
            "test_accuracy_by_subject": measured["test_by_subject"],
            "seconds": run.record["seconds"],
        },
        sentences,
    )


def claims_on(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the paper's claims on the networks that the runs are of."""
    from core.analysis.comparison import claims

    read = [Run(path) for path in runs]
    table = claims(read)
    titles = {run.network_title for run in read}
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return [row for row in rows if row["network"] in titles]


def compare_row(path: Path) -> dict[str, Any]:
    """Return a run as one row of the JSON of a comparison."""
    run, record = Run(path), read_record(path)
    measured = record.get("accuracy", {})
    return {
        "run": path,
        "network": run.settings.training.network,
        "regime": run.settings.training.regime,
        "epochs": record.get("epochs_done", 0),
        "train_accuracy": measured.get("train"),
        "validation_accuracy": measured.get("validation"),
        "test_accuracy": measured.get("test"),
        "seconds": record.get("seconds"),
    }
