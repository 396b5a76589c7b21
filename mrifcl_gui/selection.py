"""Which slices of a run, and which feature of its final layer, are looked at in all tabs."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from core.analysis import activation_map
from core.run_folder import Run


class Selection(QObject):
    """The chosen slices, the one of them that is looked at, and the chosen feature.

    It speaks of the names that dots have in figures, so that it stays where it can when
    another run is shown.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._run: Run | None = None
        self._ids: tuple[str, ...] = ()
        self._rows: tuple[int, ...] = ()
        self._place = 0
        self._channel: int | None = None

    @property
    def run(self) -> Run | None:
        """Whose slices they are."""
        return self._run

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the chosen slices in the run's features."""
        return self._rows

    @property
    def place(self) -> int:
        """Which of the chosen slices is looked at."""
        return self._place

    @property
    def row(self) -> int | None:
        """Row of the slice that is looked at."""
        return self._rows[self._place] if self._rows else None

    @property
    def channel(self) -> int | None:
        """The chosen input of the FCL."""
        return self._channel

    def set_run(self, run: Run | None) -> None:
        """Take another run; what it has too stays chosen."""
        current = self.current_id
        self._run = run
        self._rows = self._found(self._ids)
        n = run.record.get("fcl_inputs") if run is not None else None
        if self._channel is not None and not (isinstance(n, int) and self._channel < n):
            self._channel = None
        self._go_to(current)
        self.changed.emit()

    def choose(self, ids: Sequence[str]) -> None:
        """Choose the slices, subjects or the feature with these names; none clears it."""
        channels = [activation_map.channel_of_id(name) for name in ids]
        known = [channel for channel in channels if channel is not None]
        if known:
            self._channel = known[0]
        else:
            found = self._found(ids)
            if ids and not found:
                return  # dots that stand for no slice
            self._ids, self._rows, self._place = tuple(ids), found, 0
        self.changed.emit()

    def choose_row(self, row: int) -> None:
        """Choose one slice by its row."""
        if self._run is not None:
            self._ids, self._rows = (activation_map.row_ids(self._run.features)[row],), (row,)
            self._place = 0
            self.changed.emit()

    def step(self, steps: int) -> None:
        """Look at the next or the previous of the chosen slices; the last leads to the first."""
        if self._rows:
            self._place = (self._place + steps) % len(self._rows)
            self.changed.emit()

    @property
    def current_id(self) -> str:
        """The name of the slice that is looked at, or ""."""
        return self._name(self.row) if self.row is not None else ""

    def marked_ids(self) -> frozenset[str]:
        """Return the names of all dots that stand for what is chosen."""
        marked = {self._name(row) for row in self._rows}
        if self._run is not None and self._rows:
            marked |= {str(self._run.features.subject[row]) for row in self._rows}
        if self._channel is not None:
            marked.add(activation_map.channel_id(self._channel))
        return frozenset(marked)

    def _name(self, row: int) -> str:
        assert self._run is not None
        features = self._run.features
        return f"{features.subject[row]} {features.slice[row]}"

    def _found(self, ids: Sequence[str]) -> tuple[int, ...]:
        if self._run is None or not ids or not self._run.has_features:
            return ()
        return tuple(activation_map.rows_of_ids(self._run, ids).tolist())

    def _go_to(self, name: str) -> None:
        names = [self._name(row) for row in self._rows]
        self._place = names.index(name) if name in names else 0
