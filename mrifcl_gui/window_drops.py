"""What is dropped on the window: what it is, what is done with it, and what is of no use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core import config
from core.data.cohort import COHORT_FILE
from core.data.table_kind import TABLE_SUFFIXES, TableKind, table_kind
from core.errors import MriFclError
from core.progress import Operation, Progress, finished
from core.run_folder import RECORD_FILE
from mrifcl_gui.session import MOST_DROPPED, Session
from mrifcl_gui.training_panel import TrainingPanel
from mrifcl_gui.weights_field import WEIGHTS_SUFFIXES

_NAMED = 3


@dataclass(frozen=True)
class Dropped:
    """What was dropped, sorted by what can be done with it."""

    folders: tuple[Path, ...] = ()  # scans, cohorts, runs, or their record files
    weights: tuple[Path, ...] = ()
    tables: tuple[Path, ...] = ()
    fault: str = ""  # what is said of those that are of no use


def sort_dropped(paths: Sequence[Path]) -> Dropped:
    """Sort ``paths`` by what can be done with them; it waits for a drive that does not answer."""
    sorted_: dict[str, list[Path]] = {"folders": [], "weights": [], "tables": [], "others": []}
    for path in paths[:MOST_DROPPED]:
        sorted_[_kind_of(path)].append(path)
    fault = _of_no_use(sorted_.pop("others"), len(paths))
    return Dropped(**{kind: tuple(found) for kind, found in sorted_.items()}, fault=fault)


class WindowDrops(QObject):
    """Does what each dropped thing is for; says which are of no use.

    Parameters
    ----------
    session : Session
    training : TrainingPanel
        Takes weights and a split.
    """

    place_wanted = Signal(str)
    said = Signal(str)  # what was done, in short
    fit_wanted = Signal(object)  # Path of a table of numbers
    audit_wanted = Signal()

    def __init__(self, session: Session, training: TrainingPanel, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._training = training

    def take(self, paths: Sequence[Path]) -> None:
        """Do what each of ``paths`` is for."""
        title = self.tr("Looking at what was dropped")
        job = self._session.start(title, lambda: finished(sort_dropped(paths)), self._on_sorted)
        job.loses_nothing = True

    def _on_sorted(self, dropped: Dropped) -> None:
        if self._session.is_closed:
            return
        if len(dropped.weights) > 1:
            self._refuse(self.tr("Drop one weights file at a time: a run starts from one."))
        elif dropped.weights:
            self._take_weights(dropped.weights[0])
        if dropped.folders and len(dropped.tables) == 1:
            self._take_labelled(dropped.folders, dropped.tables[0])
        else:
            if dropped.folders:
                self._session.open_paths(list(dropped.folders))
            for table in dropped.tables:
                self._look_at(table)
        if dropped.fault:
            self._refuse(dropped.fault)

    def _take_weights(self, path: Path) -> None:
        editor = self._training.form.editor("weights")
        editor.setText(str(path))  # type: ignore[attr-defined]
        self.place_wanted.emit("train")
        self.said.emit(
            self.tr("Runs that are fine-tuned or frozen start from {0}").format(path.name)
        )

    def _take_labelled(self, folders: Sequence[Path], table: Path) -> None:
        self._session.look(folders, labels=table)

    def _look_at(self, table: Path) -> None:
        """Do with a table what its columns are for, once they are read."""
        self._session.start(
            self.tr("Reading {0}").format(table.name), lambda: _look(table), self._on_table
        )

    def _on_table(self, looked: tuple[Path, TableKind]) -> None:
        table, kind = looked
        if kind == "numbers":
            self.fit_wanted.emit(table)
        elif kind == "split":
            self._take_split(table)
        else:
            self._take_labels(table)

    def _take_split(self, table: Path) -> None:
        if self._session.opened is None:
            self._refuse(
                self.tr(
                    "'{0}' says which subject is in which part. Open the cohort it is for first, "
                    "then drop it again."
                ).format(table.name)
            )
            return
        changed = config.change(self._session.settings, {"split_file": str(table)})
        self._session.settings_suggested.emit(changed)
        self.said.emit(self.tr("Split as in {0}").format(table.name))
        self.audit_wanted.emit()

    def _take_labels(self, table: Path) -> None:
        if self._session.opened is not None:
            self._session.look([self._session.opened.cohort.root], labels=table)
        else:
            self._refuse(
                self.tr(
                    "'{0}' says the class of each subject. Drop it together with the folder of "
                    "scans it is for (both at once)."
                ).format(table.name)
            )

    def _refuse(self, text: str) -> None:
        self._session.problem.emit(MriFclError(text))


def _kind_of(path: Path) -> str:
    try:
        if path.is_dir() or path.name in (RECORD_FILE, COHORT_FILE):
            return "folders"
    except OSError:
        return "folders"  # opening it says what is the matter
    suffix = path.suffix.lower()
    if suffix in WEIGHTS_SUFFIXES:
        return "weights"
    return "tables" if suffix in TABLE_SUFFIXES else "others"


def _of_no_use(others: Sequence[Path], n_dropped: int) -> str:
    text = ""
    if others:
        named = ", ".join(f"'{path.name}'" for path in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        is_one = len(others) == 1
        if is_one and not others[0].exists():
            return f"There is no {named}. It may have been moved; open its folder again."
        text = (
            f"{named}{more} {'is no folder' if is_one else 'are no folders'}. Drop the folder that "
            "holds the scans, or a cohort, a run, a weights file (.safetensors, .pth) or a table "
            "(.csv)."
        )
    if n_dropped > MOST_DROPPED:
        left_out = n_dropped - MOST_DROPPED
        text += f" {left_out} items were left out: drop fewer at once."
    return text.strip()


def _look(table: Path) -> Operation[tuple[Path, TableKind]]:
    yield Progress("Reading the table")
    return table, table_kind(table)
