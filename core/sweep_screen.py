"""A sweep in the terminal: a table of all runs that changes as they go."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.config import RunSettings
from core.progress import BatchDone, EpochMetrics, Notice, Progress, SweepMoved
from core.sweep import run_title

_SIGNS = {"waiting": "○", "running": "▶", "finished": "✓", "stopped": "■", "failed": "✕"}
_STYLES = {"running": "bold", "finished": "green", "failed": "red"}
# Rows that do not fit on the screen are counted.
_MARGIN_LINES = 8
_SECONDS_BETWEEN = 0.2


class SweepScreen:
    """Shows the events of a sweep; as a context, the table stands while it is open.

    Without a terminal one line is written where a run changes its state.

    Parameters
    ----------
    console : Console
        Where to show it.
    runs : sequence of RunSettings
        The plan's.
    """

    def __init__(self, console: Console, runs: Sequence[RunSettings]) -> None:
        self._console = console
        self._titles = [run_title(settings) for settings in runs]
        self._states = ["waiting"] * len(runs)
        self._texts = [""] * len(runs)
        self._now = ""
        self._current: int | None = None
        self._shown_at = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> SweepScreen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, event: object) -> None:
        """Take in one event of a sweep."""
        if isinstance(event, SweepMoved):
            self._on_moved(event)
        elif isinstance(event, Notice):
            self._console.print(event.text, markup=False, soft_wrap=True)
        elif isinstance(event, Progress):
            self._now = f"{event.what} {event.done}/{event.total}" if event.total else event.what
        elif isinstance(event, BatchDone):
            self._now = (
                f"Epoch {event.epoch}, batch {event.batch} of {event.batches}, "
                f"loss {event.loss:.3f}, {event.slices_per_second:.0f} slices/s"
            )
        elif isinstance(event, EpochMetrics) and event.epoch and self._current is not None:
            self._texts[self._current] = _epoch_text(event)
        self._refresh(isinstance(event, SweepMoved))

    def _on_moved(self, event: SweepMoved) -> None:
        before = self._states[event.index]
        self._states[event.index], self._texts[event.index] = event.state, event.text
        self._current = event.index if event.state == "running" else self._current
        if not self._console.is_terminal and event.state not in (before, "waiting"):
            line = f"{event.index + 1}/{len(self._titles)} {self._titles[event.index]}: "
            self._console.print(line + event.state, markup=False, soft_wrap=True)

    def _refresh(self, is_urgent: bool) -> None:
        now = time.monotonic()
        if self._live.is_started and (is_urgent or now - self._shown_at > _SECONDS_BETWEEN):
            self._shown_at = now
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Group:
        table = Table(box=None, pad_edge=False)
        table.add_column("#", justify="right")
        table.add_column("run", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("", no_wrap=True, overflow="ellipsis")
        for index in self._in_sight():
            state = self._states[index]
            table.add_row(
                str(index + 1),
                Text(self._titles[index]),
                Text(f"{_SIGNS.get(state, '')} {state}", style=_STYLES.get(state, "")),
                Text(self._texts[index]),
            )
        counts = ", ".join(
            f"{self._states.count(state)} {state}" for state in _SIGNS if state in self._states
        )
        return Group(table, Text(f"{len(self._titles)} runs: {counts}"), Text(self._now))

    def _in_sight(self) -> range:
        """Return the rows that fit, about the one that is trained."""
        n_fit = max(3, self._console.height - _MARGIN_LINES)
        first = max(0, min((self._current or 0) - n_fit // 2, len(self._titles) - n_fit))
        return range(first, min(len(self._titles), first + n_fit))


def _epoch_text(event: EpochMetrics) -> str:
    value = event.validation_accuracy
    accuracy = "–" if value != value else f"{100 * value:.1f} %"
    return f"epoch {event.epoch}, validation {accuracy}"
