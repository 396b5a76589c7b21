"""What the table of runs says of a run: text and sort value of each column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.data.split import split_name
from core.run_folder import Run

MISSING = "–"
_SPLIT_TITLES = {"subject": "Subject", "slice": "Slice", "kfold": "k-fold"}


def is_resumable(run: Run) -> bool:
    """Tell whether a run ended early with something to go on from.

    A run that is being trained, here or elsewhere, cannot be resumed.
    """
    done = _number(run.record.get("epochs_done"))
    return run.state in ("stopped", "failed", "interrupted") and done > 0


def _split_title(run: Run) -> str:
    split = run.settings.split
    if split.split_file:
        return split.split_file
    title = _SPLIT_TITLES[split.mode]
    return f"{title} {split.fold}/{split.folds}" if split.mode == "kfold" else title


def cells_of(run: Run) -> dict[str, tuple[str, Any]]:
    """Return text and sort value of each column."""
    record = run.record
    accuracy = record.get("accuracy")
    accuracy = accuracy if isinstance(accuracy, Mapping) else {}
    done = _number(record.get("epochs_done"))
    seconds = _number(record.get("seconds"))
    started = _date(record.get("started"))
    cells: dict[str, tuple[str, Any]] = {
        "Network": (run.network_title, run.network_title),
        "Regime": (run.regime_title, run.regime_title),
        "Split": (_split_title(run), split_name(run.settings.split)),
        "Epochs": (_epochs_text(done, run.settings.epochs), _sortable(done)),
    }
    for title, key in (
        ("Train (%)", "train"),
        ("Validation (%)", "validation"),
        ("Test (%)", "test"),
        ("Test by subject (%)", "test_by_subject"),
    ):
        value = _number(accuracy.get(key))
        cells[title] = (per_cent(value), _sortable(value))
    cells["Time (min:s)"] = (minutes(seconds), _sortable(seconds))
    cells["Tag"] = ("", "")
    cells["Date"] = (
        f"{started:%Y-%m-%d %H:%M}" if started else MISSING,
        started.timestamp() if started else None,
    )
    is_elsewhere = run.holder is not None and not run.holder.is_here
    cells["State"] = ("running elsewhere" if is_elsewhere else run.state, run.state)
    return cells


def _number(value: Any) -> float:  # noqa: ANN401 - anything a JSON file may hold
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def _sortable(value: float) -> float | None:
    return value if math.isfinite(value) else None


def per_cent(value: float) -> str:
    """Return a fraction as per cent with one digit; a dash where it is not known."""
    return f"{value * 100:.1f}" if math.isfinite(value) else MISSING


def minutes(seconds: float) -> str:
    """Return a time as min:s; a dash where it is not known."""
    if not math.isfinite(seconds):
        return MISSING
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _epochs_text(done: float, asked: int) -> str:
    if not math.isfinite(done):
        return MISSING
    return f"{done:.0f}" if done >= asked else f"{done:.0f} of {asked}"


def _date(value: Any) -> datetime | None:  # noqa: ANN401 - anything a JSON file may hold
    try:
        return datetime.fromisoformat(str(value)).astimezone()
    except ValueError:
        return None
