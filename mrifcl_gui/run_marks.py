"""What the user notes about runs: a tag each, and which are no longer listed. It can be undone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from core import text_file
from mrifcl_gui.late_writer import LateWriter

MARKS_FILE = "run-list.json"
_LONGEST_TAG = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Marks:
    """Tag by run folder, and the run folders that are not listed."""

    tags: dict[str, str]
    removed: frozenset[str] = frozenset()


class RunMarks(QObject):
    """Tags and removals of runs; run folders themselves are never touched.

    Kept in ``run-list.json`` of the data folder once :meth:`open` has named it.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self._file: Path | None = None
        self._marks = Marks({})
        self._writer = LateWriter(self)

    def open(self, file: Path) -> None:
        """Take over what is kept in ``file``, unless it is open; a damaged one counts as empty."""
        if file == self._file:
            return
        self._file = file
        self.undo_stack.clear()
        self._marks = _read(file)
        self.changed.emit()

    def tag_of(self, run: Path) -> str:
        """Return the tag of a run folder; empty where it has none."""
        return self._marks.tags.get(_key(run), "")

    def is_removed(self, run: Path) -> bool:
        """Tell whether a run folder is not listed."""
        return _key(run) in self._marks.removed

    def tag(self, runs: Iterable[Path], text: str) -> None:
        """Give run folders a tag; an empty one takes it away."""
        text = " ".join(text.split())[:_LONGEST_TAG]
        tags = dict(self._marks.tags)
        for run in runs:
            tags[_key(run)] = text
        tags = {run: kept for run, kept in tags.items() if kept}
        self._change(self.tr("tag"), replace(self._marks, tags=tags))

    def remove(self, runs: Iterable[Path]) -> None:
        """List run folders no longer; their files stay."""
        removed = self._marks.removed | {_key(run) for run in runs}
        self._change(self.tr("removal from the list"), replace(self._marks, removed=removed))

    def bring_back(self) -> None:
        """List all run folders again."""
        self._change(self.tr("all runs listed"), replace(self._marks, removed=frozenset()))

    def _change(self, text: str, marks: Marks) -> None:
        if marks != self._marks:
            self.undo_stack.push(_MarksChange(text, self._marks, marks, self._apply))

    def _apply(self, marks: Marks) -> None:
        self._marks = marks
        if self._file is not None:
            file = self._file
            value = {"tags": marks.tags, "removed": sorted(marks.removed)}
            self._writer.write(file, lambda: _write(file, value))
        self.changed.emit()


class _MarksChange(QUndoCommand):
    """One change, there and back."""

    def __init__(
        self, text: str, before: Marks, after: Marks, apply: Callable[[Marks], None]
    ) -> None:
        super().__init__(text)
        self._before, self._after, self._apply = before, after, apply

    def redo(self) -> None:
        self._apply(self._after)

    def undo(self) -> None:
        self._apply(self._before)


def _key(run: Path) -> str:
    return str(run.absolute())


def _read(file: Path) -> Marks:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        tags = {str(run): str(text) for run, text in kept["tags"].items()}
        return Marks(tags, frozenset(str(run) for run in kept["removed"]))
    except FileNotFoundError:
        return Marks({})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Tags are lost, no run is: all are listed again.
        logger.warning("the tags of runs cannot be read from %s: %s", file.name, error)
        return Marks({})


def _write(file: Path, value: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text_file.write_json(file, value)
