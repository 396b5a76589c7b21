"""Ask where a time-lapse goes, and write it in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QStandardPaths, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from core import figure_file, time_lapse
from core.errors import MriFclError, SettingsError
from core.figure import Figure
from core.progress import Operation
from mrifcl_gui import preferences
from mrifcl_gui.job import Job


@dataclass(frozen=True)
class TimeLapse:
    """A figure over its epochs: the stem of its files, its maker, its epochs, its speed."""

    name: str
    make: Callable[[int], Figure | Operation[Figure]]
    epochs: tuple[int, ...]
    epochs_per_second: float


class TimeLapseFiles(QObject):
    """Writes time-lapses as GIF, MP4 or as a strip of panels.

    Signals
    -------
    job_started(Job)
        It is being written; the task dock shows how far, and cancels.
    saved(Path)
        A file is written.
    problem(object)
        An exception to tell.
    """

    job_started = Signal(object)
    saved = Signal(object)
    problem = Signal(object)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window

    def ask_and_save(self, lapse: TimeLapse, kind: str) -> None:
        """Ask for a file (and for a strip's epochs), then write ``gif``, ``mp4`` or ``strip``."""
        if kind == "mp4" and time_lapse.mp4_encoder() is None:
            self.problem.emit(MriFclError(time_lapse.NO_ENCODER))
            return
        if kind != "strip":
            path = self._ask_for_path(lapse.name, (kind,))
            if path is not None:
                self.save_film(lapse, path)
            return
        usual = time_lapse.chosen_epochs(lapse.epochs, time_lapse.STRIP_EPOCHS)
        text, is_given = QInputDialog.getText(
            self._window,
            self.tr("Strip of panels"),
            self.tr("Epochs to show, from {0} to {1}:").format(lapse.epochs[0], lapse.epochs[-1]),
            text=", ".join(map(str, usual)),
        )
        if not is_given:
            return
        try:
            epochs = time_lapse.epochs_in(text, lapse.epochs)
        except SettingsError as error:
            self.problem.emit(error)
            return
        path = self._ask_for_path(f"{lapse.name}_strip", figure_file.FORMATS)
        if path is not None:
            self.save_strip(lapse, epochs, path)

    def save_film(self, lapse: TimeLapse, path: Path) -> None:
        """Write every epoch one after another to ``path`` (.gif or .mp4)."""
        self._start(
            path,
            lambda: time_lapse.save_time_lapse(
                lapse.make, lapse.epochs, path, frames_per_second=lapse.epochs_per_second
            ),
        )

    def save_strip(self, lapse: TimeLapse, epochs: Sequence[int], path: Path) -> None:
        """Write the panels of ``epochs`` side by side to ``path`` (.png, .svg or .csv)."""
        self._start(path, lambda: time_lapse.save_strip(lapse.make, epochs, path))

    def _start(self, path: Path, operation: Callable[[], Operation[Path]]) -> None:
        job = Job(self.tr("Saving {0}").format(path.name), operation, self)
        job.succeeded.connect(self.saved)
        job.failed.connect(self.problem)
        job.finished.connect(job.deleteLater)
        self.job_started.emit(job)
        job.start()

    def _ask_for_path(self, name: str, suffixes: Sequence[str]) -> Path | None:
        place = QStandardPaths.StandardLocation.DocumentsLocation
        default = QStandardPaths.writableLocation(place)
        folder = Path(str(preferences.store().value("export/folder", default)))
        chosen, kind = QFileDialog.getSaveFileName(
            self._window,
            self.tr("Save the time-lapse"),
            str((folder if folder.is_dir() else Path(default)) / f"{name}.{suffixes[0]}"),
            ";;".join(f"{suffix.upper()} (*.{suffix})" for suffix in suffixes),
        )
        if not chosen:
            return None
        path = Path(chosen)
        preferences.store().setValue("export/folder", str(path.parent))
        if path.suffix.lower().lstrip(".") in suffixes:
            return path
        asked = kind.split(" ")[0].lower() if kind else suffixes[0]
        return path.with_name(f"{path.name}.{asked}")
