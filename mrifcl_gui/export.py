"""Save and copy what is shown: the button and the menu that every figure and table has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QStandardPaths, Signal
from PySide6.QtGui import QAction, QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from core import figure_file, text_file
from core.errors import MriFclError
from core.figure import Figure, Table
from core.progress import Operation
from mrifcl_gui import picture_size, preferences
from mrifcl_gui.icons import put_icon, put_icon_beside
from mrifcl_gui.job import Job
from mrifcl_gui.messages import show_error

Source = Callable[[], Figure | Table | None]
_FORMAT_ICONS = {"png": "image", "svg": "image", "csv": "table"}


class Exporter(QObject):
    """Saves or copies what its source gives, away from the window's thread.

    Parameters
    ----------
    source : callable
        Returns the Figure or Table shown now, None where nothing is shown.
    window : QWidget
        Parent of this object and of the file dialog.
    """

    saved = Signal(object)
    copied = Signal()
    failed = Signal(str)

    def __init__(self, source: Source, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._source = source

    @property
    def has_content(self) -> bool:
        """Whether there is something to save or copy."""
        return self._source() is not None

    def set_source(self, source: Source) -> None:
        """Take what is saved from ``source`` from now on."""
        self._source = source

    def save_to(self, path: Path) -> bool:
        """Save to ``path`` in the background, as its suffix says; tell whether it was begun.

        ``saved`` or ``failed`` comes at the end.
        """
        shown = self._source()
        if shown is None:
            self.failed.emit(self.tr("There is nothing to export yet."))
            return False
        job = Job(self.tr("Saving {}").format(path.name), _saving(shown, path))
        job.succeeded.connect(self._on_saved)
        self._start(job)
        return True

    def save_with_commas_to(self, path: Path) -> bool:
        """Save as CSV with semicolons and decimal commas; as :meth:`save_to` otherwise."""
        shown = self._source()
        if shown is None:
            self.failed.emit(self.tr("There is nothing to export yet."))
            return False
        job = Job(
            self.tr("Saving {}").format(path.name), lambda: figure_file.save_comma_csv(shown, path)
        )
        job.succeeded.connect(self._on_saved)
        self._start(job)
        return True

    def copy(self) -> bool:
        """Copy the picture, or the table as text; tell whether it was begun."""
        shown = self._source()
        if shown is None:
            self.failed.emit(self.tr("There is nothing to copy yet."))
            return False
        if isinstance(shown, Table):
            QGuiApplication.clipboard().setText(table_as_text(shown))
            self.copied.emit()
            return True
        width = picture_size.chosen().width_mm
        job = Job(
            self.tr("Drawing the picture"), lambda: figure_file.draw_png(shown, width_mm=width)
        )
        job.succeeded.connect(self._on_drawn)
        self._start(job)
        return True

    def ask_and_save(self, suffix: str) -> None:
        """Ask for a file name and save there."""
        shown = self._source()
        if shown is None:
            self.failed.emit(self.tr("There is nothing to export yet."))
            return
        path = self._ask_for_path(f"{shown.name}.{suffix}", suffix)
        if path is not None:
            self.save_to(path)

    def add_actions(self, menu: QMenu) -> None:
        """Add to ``menu`` what the shown thing can be saved as."""
        is_table = isinstance(self._source(), Table)
        copy = menu.addAction(self.tr("Copy table") if is_table else self.tr("Copy picture"))
        copy.triggered.connect(self._on_copy_chosen)
        put_icon(copy, "copy")
        menu.addSeparator()
        for suffix in ("csv",) if is_table else figure_file.FORMATS:
            action = menu.addAction(self.tr("Export {}…").format(suffix.upper()))
            action.setData(suffix)
            action.triggered.connect(self._on_format_chosen)
            put_icon(action, _FORMAT_ICONS[suffix])
        comma = menu.addAction(self.tr("Export CSV with decimal commas…"))
        comma.setToolTip(
            self.tr("For spreadsheets of countries that write 0,5: semicolons between")
        )
        comma.triggered.connect(self._on_comma_chosen)
        put_icon(comma, "table")
        if not is_table:
            menu.addSeparator()
            size = menu.addAction(self.tr("Picture size: {}…").format(picture_size.chosen().words))
            size.triggered.connect(self._on_size_asked)
            put_icon(size, "ruler")

    def _ask_for_path(self, name: str, suffix: str) -> Path | None:
        place = QStandardPaths.StandardLocation.DocumentsLocation
        default = QStandardPaths.writableLocation(place)
        folder = Path(str(preferences.store().value("export/folder", default)))
        chosen, _ = QFileDialog.getSaveFileName(
            self._window,
            self.tr("Export {}").format(suffix.upper()),
            str((folder if folder.is_dir() else Path(default)) / name),
            f"{suffix.upper()} (*.{suffix})",
        )
        if not chosen:
            return None
        path = Path(chosen)
        preferences.store().setValue("export/folder", str(path.parent))
        has_ending = path.suffix.lower() == f".{suffix}"
        return path if has_ending else path.with_name(f"{path.name}.{suffix}")

    def _start(self, job: Job) -> None:
        job.failed.connect(self._on_failed)
        job.start()

    def _on_copy_chosen(self) -> None:
        self.copy()

    def _on_format_chosen(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.ask_and_save(str(action.data()))

    def _on_comma_chosen(self) -> None:
        shown = self._source()
        if shown is None:
            self.failed.emit(self.tr("There is nothing to export yet."))
            return
        path = self._ask_for_path(f"{shown.name}.csv", "csv")
        if path is not None:
            self.save_with_commas_to(path)

    def _on_size_asked(self) -> None:
        picture_size.ask(self._window)

    def _on_saved(self, path: object) -> None:
        self.saved.emit(path)

    def _on_drawn(self, png: object) -> None:
        if isinstance(png, bytes):
            QGuiApplication.clipboard().setImage(QImage.fromData(png))
            self.copied.emit()

    def _on_failed(self, error: object) -> None:
        if isinstance(error, MriFclError):
            self.failed.emit(str(error))
        else:
            self.failed.emit(self.tr("The export failed: {}").format(error))


class SpeakingExporter(Exporter):
    """An exporter of a view that has no line to say faults in: it opens a dialog."""

    def __init__(self, source: Source, window: QWidget) -> None:
        super().__init__(source, window)
        self.failed.connect(self._on_fault)

    def _on_fault(self, text: str) -> None:
        show_error(self._window, MriFclError(text))


class ExportButton(QToolButton):
    """A button *Export* with the menu PNG, SVG, CSV and copy (a table: CSV and copy).

    Signals
    -------
    saved(Path)
        A file is written.
    copied()
        The clipboard holds the picture or table.
    failed(str)
        Nothing was written; the text says why and what to do.
    """

    saved = Signal(object)
    copied = Signal()
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(self.tr("Export"))
        put_icon_beside(self, "download")
        self.setAccessibleName(self.tr("Export what is shown"))
        self.setToolTip(self.tr("Save what is shown as a file or copy it"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.exporter = Exporter(_nothing, self)
        self.exporter.saved.connect(self.saved)
        self.exporter.copied.connect(self.copied)
        self.exporter.failed.connect(self.failed)
        menu = QMenu(self)
        menu.aboutToShow.connect(self._on_menu_about_to_show)
        self.setMenu(menu)

    def set_source(self, source: Source) -> None:
        """Export what ``source`` returns: a Figure, a Table, or None for nothing."""
        self.exporter.set_source(source)

    def save_to(self, path: Path) -> bool:
        """Save to ``path`` without a dialog; tell whether it was begun."""
        return self.exporter.save_to(path)

    def copy(self) -> bool:
        """Copy to the clipboard; tell whether it was begun."""
        return self.exporter.copy()

    def _on_menu_about_to_show(self) -> None:
        self.menu().clear()
        self.exporter.add_actions(self.menu())


def table_as_text(table: Table) -> str:
    """Return a table as tab-separated text, as spreadsheets paste it."""
    return rows_as_text([table.columns, *table.rows])


def rows_as_text(rows: list[tuple[object, ...]]) -> str:
    """Return rows as tab-separated lines; no cell is a formula, none breaks a line."""
    return "\n".join(
        "\t".join(" ".join(text_file.csv_cell(value).split()) for value in row) for row in rows
    )


def _saving(shown: Figure | Table, path: Path) -> Callable[[], Operation[Path]]:
    if isinstance(shown, Table):
        return lambda: figure_file.save_table(shown, path)
    size = picture_size.chosen()
    return lambda: figure_file.save_figure(shown, path, width_mm=size.width_mm, dpi=size.dpi)


def _nothing() -> Figure | Table | None:
    return None
