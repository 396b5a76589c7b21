"""What commands print: progress while they work, then sentences, tables and JSON."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table as TerminalTable

from core import text_file
from core.figure import Table
from core.progress import BatchDone, EpochMetrics, Notice, Operation, Progress, RunStarted

T = TypeVar("T")
console = Console(stderr=True, highlight=False)


class Interrupted(Exception):
    """The user stopped the work."""


def drive(operation: Operation[T]) -> T:
    """Run an operation with a progress bar on stderr; Ctrl+C stops it at its next step."""
    with ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        line = bar.add_task("", total=None, note="")
        return drive_showing(operation, lambda event: _show(bar, line, event))


def drive_showing(operation: Operation[T], show: Callable[[object], None]) -> T:
    """Run an operation and show its events; Ctrl+C stops it at its next step."""
    stop: list[bool] = []
    previous = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    try:
        while True:
            event = next(operation)
            show(event)
            if stop:
                raise Interrupted
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()
        signal.signal(signal.SIGINT, previous)


def _show(bar: ProgressBar, line: Any, event: object) -> None:  # noqa: ANN401 - rich's task id
    if isinstance(event, Progress):
        bar.update(
            line, description=event.what, completed=event.done, total=event.total or None, note=""
        )
    elif isinstance(event, Notice):
        console.print(event.text, markup=False, soft_wrap=True)
    elif isinstance(event, RunStarted):
        console.print(f"Run folder: {event.path}", markup=False, soft_wrap=True)
    elif isinstance(event, BatchDone):
        bar.update(
            line,
            description=f"Training epoch {event.epoch}",
            completed=event.batch,
            total=event.batches,
            note=f"loss {event.loss:.3f}, {event.slices_per_second:.0f} slices/s",
        )
    elif isinstance(event, EpochMetrics) and event.epoch:
        console.print(
            f"epoch {event.epoch:3d}   loss {event.train_loss:.4f} / {event.validation_loss:.4f}   "
            f"accuracy {percent(event.train_accuracy)} / {percent(event.validation_accuracy)}   "
            f"{event.seconds:.1f} s",
            markup=False,
        )


def percent(value: float | None) -> str:
    """Return a fraction as per cent; a dash where there is none."""
    return "–" if value is None or value != value else f"{100 * value:5.1f} %"


def say(json: bool, result: dict[str, Any], sentences: list[str]) -> None:
    """Print sentences, and last ``result`` as one JSON object where that was asked."""
    for sentence in sentences:
        click.echo(sentence)
    if json:
        click.echo(text_file.json_text(result))


def print_table(table: Table) -> None:
    """Print a table; a dash where a value is missing."""
    shown = TerminalTable(title=table.title)
    for name in table.columns:
        shown.add_column(name)
    for row in table.rows:
        shown.add_row(
            *(
                "–"
                if value is None or value != value
                else f"{value:.4g}"
                if isinstance(value, float)
                else str(value)
                for value in row
            )
        )
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200).print(shown)
