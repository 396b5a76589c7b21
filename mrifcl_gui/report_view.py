"""The Report tab: what goes in, a preview, and its files: page, PDF, ZIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core import report_page, tasks
from core.progress import Operation, Progress
from core.report_contents import CONTENT_TITLES, ReportContents
from core.run_folder import Run
from mrifcl_gui.class_mark import CLASS_MARKS
from mrifcl_gui.icons import put_icon, put_icon_beside
from mrifcl_gui.job import Job
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.report_pdf import document_of, print_page

_PREVIEW_MARGIN = 60  # pixels: scroll bar and the page's own margins


class ReportView(QWidget):
    """Writes everything of the shown runs to files.

    Signals
    -------
    job_started(Job)
        Long work to show in the task dock.
    problem(object)
        An exception to tell.
    """

    job_started = Signal(object)
    problem = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: list[Run] = []
        self._written: Path | None = None
        # The page that was made last, and of what.
        self._page = ""
        self._page_of: tuple[object, ...] = ()
        self.ticks: dict[str, QCheckBox] = {}
        self.preview = QTextBrowser(self)
        self.preview.setOpenLinks(False)
        self.preview.setAccessibleName(self.tr("Preview of the report"))
        self.preview.setPlaceholderText(
            self.tr("Press Preview to see the page here. It takes a while: every figure is drawn.")
        )
        self._words = QLabel(self)
        self._words.setWordWrap(True)
        self._open = QPushButton(self.tr("Open"), self)
        put_icon(self._open, "folder-open")
        self._open.clicked.connect(self._on_open)
        self._open.hide()
        self._build()
        self._document = self.preview.document()
        CLASS_MARKS.changed.connect(self._forget_page)

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Offer the report of ``runs``, the one in front first."""
        self._runs = list(runs)
        self.setEnabled(bool(runs))
        self._words.clear()
        self._open.hide()
        self._forget_page()

    def contents(self) -> ReportContents:
        """Return what is ticked."""
        return ReportContents(**{name: tick.isChecked() for name, tick in self.ticks.items()})

    def show_written(self, text: str, path: Path) -> None:
        """Say what was written and offer to open it."""
        self._written = path
        self._words.setText(text)
        self._open.show()

    def show_preview(self) -> None:
        """Make the page in the background and show it."""
        page = self._page_maker()
        self._start(self.tr("Making the report"), page, self._on_page_made)

    def save_to(self, path: Path) -> None:
        """Write ``.html``, ``.pdf`` or ``.zip`` in the background, as the suffix says."""
        runs, contents = [run.path for run in self._runs], self.contents()
        page = self._page_maker()
        writers: dict[str, Callable[[], Operation[object]]] = {
            ".html": lambda: _write_page(page(), path),
            ".pdf": lambda: _print(page(), path),
            ".zip": lambda: tasks.report_zip(runs, path, contents),
        }
        title = self.tr("Writing the report {0}").format(path.name)
        self._start(title, writers[path.suffix.lower()], self._on_report_written)

    def _build(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        splitter = RememberedSplitter("report", (300, 700), Qt.Orientation.Horizontal, self)
        splitter.fill(self._build_side(), self.preview)
        splitter.setStretchFactor(1, 1)
        layout.addWidget(splitter)

    def _build_side(self) -> QWidget:
        side = QWidget(self)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 8, 0)
        intro = QLabel(
            self.tr(
                "Everything of the run in files: a page to read or send, or each figure and "
                "table by itself. With several runs open, all of them. Nothing leaves this "
                "computer."
            ),
            side,
        )
        intro.setWordWrap(True)
        column.addWidget(intro)
        column.addSpacing(8)
        usual = ReportContents()
        for field in fields(ReportContents):
            tick = QCheckBox(self.tr(CONTENT_TITLES[field.name]), side)
            tick.setToolTip(self.tr("Put it into the report, or leave it out"))
            tick.setChecked(getattr(usual, field.name))
            tick.toggled.connect(self._on_ticked)
            self.ticks[field.name] = tick
            column.addWidget(tick)
        column.addSpacing(8)
        for button in self._build_buttons(side):
            column.addWidget(button)
        column.addSpacing(8)
        column.addWidget(self._words)
        column.addWidget(self._open, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        return side

    def _build_buttons(self, side: QWidget) -> tuple[QWidget, ...]:
        preview = QPushButton(self.tr("Preview"), side)
        put_icon(preview, "eye")
        preview.setToolTip(self.tr("Show the page here; nothing is written"))
        preview.clicked.connect(self.show_preview)
        page = QPushButton(self.tr("Write the report page"), side)
        page.setProperty("primary", True)
        put_icon(page, "file-text")
        page.setToolTip(self.tr("One HTML page for any browser, report.html in the run's folder"))
        page.clicked.connect(self._on_page_asked)
        files = QPushButton(self.tr("Write all figures and tables"), side)
        put_icon(files, "image")
        files.setToolTip(
            self.tr("PNG, SVG and CSV of each figure, CSV of each table, into the run folder")
        )
        files.clicked.connect(self._on_files_asked)
        save = QToolButton(side)
        save.setText(self.tr("Save as"))
        put_icon_beside(save, "save")
        save.setToolTip(self.tr("One HTML page, a PDF, or a ZIP of everything, where you choose"))
        save.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        save.setSizePolicy(page.sizePolicy())
        menu = QMenu(save)
        for suffix, words in (
            ("html", self.tr("HTML page…")),
            ("pdf", self.tr("PDF…")),
            ("zip", self.tr("ZIP of all figures and tables…")),
        ):
            action = menu.addAction(words)
            action.setData(suffix)
            action.triggered.connect(self._on_save_chosen)
        save.setMenu(menu)
        return preview, page, save, files

    def _page_maker(self) -> Callable[[], Operation[str]]:
        """Return what gives the page of now; the one made last if it is the same."""
        paths, contents = tuple(run.path for run in self._runs), self.contents()
        if self._page and self._page_of == (paths, contents):
            page = self._page
            return lambda: _made(page)
        self._page, self._page_of = "", (paths, contents)
        return lambda: tasks.report_text(paths, contents)

    def _forget_page(self) -> None:
        self._page, self._page_of = "", ()
        self.preview.clear()

    def _start(
        self,
        title: str,
        operation: Callable[[], Operation[object]],
        on_success: Callable[[object], None],
    ) -> None:
        job = Job(title, operation, self)
        job.succeeded.connect(on_success)
        job.failed.connect(self.problem)
        job.finished.connect(job.deleteLater)
        self.job_started.emit(job)
        job.start()

    def _on_ticked(self) -> None:
        self._forget_page()

    def _on_page_made(self, page: object) -> None:
        now = (tuple(run.path for run in self._runs), self.contents())
        if self._page_of != now:
            return  # other runs or contents by now
        self._page = str(page)
        width = max(300, self.preview.viewport().width() - _PREVIEW_MARGIN)
        self._document = document_of(self._page, width=width)
        self._document.setParent(self.preview)
        self.preview.setDocument(self._document)

    def _on_page_asked(self) -> None:
        if self._runs:
            self.save_to(self._runs[0].path / "report.html")

    def _on_save_chosen(self) -> None:
        action = self.sender()
        if not isinstance(action, QAction) or not self._runs:
            return
        suffix = str(action.data())
        chosen, _ = QFileDialog.getSaveFileName(
            self,
            self.tr("Save the report"),
            str(self._runs[0].path / f"report.{suffix}"),
            f"{suffix.upper()} (*.{suffix})",
        )
        if chosen:
            path = Path(chosen)
            has_ending = path.suffix.lower() == f".{suffix}"
            self.save_to(path if has_ending else path.with_name(f"{path.name}.{suffix}"))

    def _on_files_asked(self) -> None:
        if self._runs:
            path = self._runs[0].path
            title = self.tr("Writing figures and tables")
            self._start(title, lambda: tasks.analyse(path), self._on_files_written)

    def _on_report_written(self, path: object) -> None:
        self.show_written(self.tr("Report written: {0}").format(path), Path(str(path)))

    def _on_files_written(self, _files: object) -> None:
        if self._runs:
            path = self._runs[0].path
            self.show_written(self.tr("Figures and tables written to {0}").format(path), path)

    def _on_open(self) -> None:
        if self._written is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written)))


def _made(page: str) -> Operation[str]:
    yield Progress("Making the report", 1, 1)
    return page


def _write_page(page: Operation[str], path: Path) -> Operation[Path]:
    text = yield from page
    report_page.write_page(text, path)
    return path


def _print(page: Operation[str], path: Path) -> Operation[Path]:
    text = yield from page
    yield Progress("Printing the pages")
    return print_page(text, path)
