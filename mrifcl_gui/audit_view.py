"""The audit of a split: what its parts share, the pairs that leak, and two slices side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.data.leakage_audit import LeakageAudit, LeakingPair, LeakingSlice, unfit_table
from core.data.split import PARTS, UnfitRow
from core.figure import Figure, Table
from core.tasks import SeenPair
from mrifcl_gui.config_form import alert_colour
from mrifcl_gui.export import Exporter
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.icons import put_icon, put_icon_beside
from mrifcl_gui.plane_drawing import BACKGROUND, FAINT_TEXT, TEXT
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.table_view import TableView
from mrifcl_gui.theme import HEADING, set_type
from mrifcl_gui.wrapped_label import WrappedLabel


class AuditView(QWidget):
    """Shows one audit and says what is asked for; it audits nothing itself.

    Signals
    -------
    compare_requested(), stop_requested(), keep_requested()
        Compare all slices, stop that, keep the split as a file.
    bring_requested(), draw_requested()
        Take the split from a file, or draw it again.
    pair_chosen(LeakingPair)
        To be answered with :meth:`show_pair`.
    failed(str)
        An export came to nothing.
    """

    compare_requested = Signal()
    stop_requested = Signal()
    keep_requested = Signal()
    bring_requested = Signal()
    draw_requested = Signal()
    pair_chosen = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._audit: LeakageAudit | None = None
        self._items = "slices"
        self._verdict = QLabel(self)
        self._verdict.setTextFormat(Qt.TextFormat.PlainText)
        self._verdict.setAccessibleName(self.tr("Verdict"))
        self._words, self._status = _plain_label(self), _plain_label(self)
        self._is_bad = False
        self.figure_view = FigureView(self)
        self.pairs = TableView(self)
        self.unfit = TableView(self)
        self.first, self.second = SlicePicture(self), SlicePicture(self)
        self._build_layout()
        self.pairs.view.selectionModel().currentRowChanged.connect(self._on_row_changed)
        for shown in (self.figure_view, self.pairs, self.unfit):
            shown.failed.connect(self.failed)
        self.clear(self.tr("No split to audit yet."))

    @property
    def audit(self) -> LeakageAudit | None:
        """What is shown."""
        return self._audit

    @property
    def verdict(self) -> str:
        """The line above everything."""
        return self._verdict.text()

    def set_takes_files(self, takes_files: bool, *, has_file: bool = False) -> None:
        """Offer to bring a split file and, where there is one, to draw the split again."""
        self.bring.setVisible(takes_files)
        self.draw.setVisible(takes_files and has_file)

    def set_items(self, items: str) -> None:
        """Say what is split: slices, or whole scans."""
        self._items = items

    def show_audit(self, audit: LeakageAudit) -> None:
        """Show what an audit found."""
        self._audit = audit
        if audit.leaks:
            verdict = self.tr("✕ The split leaks")
        elif audit.is_compared:
            verdict = self.tr("✓ No leak")
        else:
            verdict = self.tr("○ No leak so far – slices not compared yet")
        self._set_verdict(verdict, is_bad=audit.leaks)
        self._words.setText(self._words_of(audit))
        self.figure_view.show_figure(audit.figure())
        self._show_pairs(audit)
        self._show_unfit(audit.unfit)
        self.compare.setVisible(not audit.is_compared)
        self.compare.setProperty("primary", not audit.leaks)
        self._restyle(self.compare)
        self.export.setEnabled(True)
        self.keep.setEnabled(True)

    def show_fault(self, text: str, unfit: Sequence[UnfitRow] = ()) -> None:
        """Say why the split cannot be audited, with the rows of its file that do not fit."""
        self.clear("")
        self._set_verdict(self.tr("✕ The split cannot be used"), is_bad=True)
        self._words.setText(text)
        self._show_unfit(unfit)

    def show_pair(self, seen: SeenPair) -> None:
        """Show the two slices of a pair side by side."""
        self.first.show_slice(seen.first, _title_of(seen.pair.first))
        self.second.show_slice(seen.second, _title_of(seen.pair.second))

    def show_no_pair(self, text: str) -> None:
        """Say in place of the slices why they are not there."""
        self.first.show_text(text)
        self.second.show_text("")

    def show_work(self, text: str) -> None:
        """Say what goes on, with a button to stop it; nothing where ``text`` is empty."""
        self._status.setText(text)
        self.stop.setVisible(bool(text))
        self.compare.setEnabled(not text)

    def say(self, text: str) -> None:
        """Say what was done."""
        self._status.setText(text)

    def clear(self, text: str) -> None:
        """Show no audit, and ``text``."""
        self._audit = None
        self._set_verdict("", is_bad=False)
        self._words.clear()
        self.figure_view.clear_figure(text)
        self.pairs.clear_table("")
        self._show_unfit(())
        self.show_no_pair("")
        self.show_work("")
        self.compare.hide()
        self.export.setEnabled(False)
        self.keep.setEnabled(False)

    # Building

    def _build_layout(self) -> None:
        set_type(self._verdict, HEADING, bold=True)
        splitter = RememberedSplitter("audit", (600, 490), Qt.Orientation.Horizontal, self)
        splitter.setChildrenCollapsible(False)
        splitter.fill(self.figure_view, self._build_pairs())
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(self._verdict)
        layout.addWidget(self._words)
        layout.addWidget(splitter, 1)
        layout.addLayout(self._build_buttons())

    def _build_pairs(self) -> QWidget:
        self._tables = QTabWidget(self)
        self._tables.setDocumentMode(True)
        self._tables.addTab(self.pairs, self.tr("Pairs"))
        self._tables.addTab(self.unfit, self.tr("Rows of the split file"))
        pictures = QWidget(self)
        row = QHBoxLayout(pictures)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.first, 1)
        row.addWidget(self.second, 1)
        side = RememberedSplitter("audit pairs", (300, 320), Qt.Orientation.Vertical, self)
        side.setChildrenCollapsible(False)
        side.fill(self._tables, pictures)
        return side

    def _build_buttons(self) -> QHBoxLayout:
        self.compare = QPushButton(self.tr("Compare slices"), self)
        put_icon(self.compare, "scan-search")
        self.compare.setToolTip(
            self.tr(
                "Look at the pixels of every slice for equal and near-identical ones. Scans that "
                "are not cut yet are cut first, which takes a while for many volumes."
            )
        )
        self.compare.clicked.connect(self.compare_requested)
        self.keep = QPushButton(self.tr("Save split as CSV…"), self)
        put_icon(self.keep, "save")
        self.keep.setToolTip(
            self.tr("Keep this split as a file, to bring it again with the setting Split file")
        )
        self.keep.clicked.connect(self.keep_requested)
        self.bring = QPushButton(self.tr("Bring split file…"), self)
        put_icon(self.bring, "folder-open")
        self.bring.setToolTip(
            self.tr("Take the parts from a CSV with the columns subject and part")
        )
        self.bring.clicked.connect(self.bring_requested)
        self.bring.hide()
        self.draw = QPushButton(self.tr("Draw the split instead"), self)
        self.draw.clicked.connect(self.draw_requested)
        self.draw.hide()
        self.stop = QPushButton(self.tr("Stop"), self)
        put_icon(self.stop, "square")
        self.stop.setAccessibleName(self.tr("Stop comparing"))
        self.stop.clicked.connect(self.stop_requested)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.compare)
        row.addWidget(self.keep)
        row.addWidget(self.bring)
        row.addWidget(self.draw)
        row.addWidget(self._status, 1)
        row.addWidget(self.stop)
        row.addWidget(self._build_export())
        return row

    def _build_export(self) -> QToolButton:
        self.export = QToolButton(self)
        self.export.setText(self.tr("Export"))
        put_icon_beside(self.export, "download")
        self.export.setAccessibleName(self.tr("Export the audit"))
        self.export.setToolTip(self.tr("Save the figure, the matrix or the pairs, or copy them"))
        self.export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.exporters = {
            self.tr("Figure"): Exporter(self.figure_view.figure, self),
            self.tr("Matrix"): Exporter(self._matrix, self),
            self.tr("Pairs"): Exporter(self.pairs.table, self),
        }
        menu = QMenu(self)
        menu.aboutToShow.connect(self._on_menu_about_to_show)
        self.export.setMenu(menu)
        for exporter in self.exporters.values():
            exporter.failed.connect(self.failed)
            exporter.saved.connect(self._on_saved)
        return self.export

    # Showing

    def _set_verdict(self, text: str, *, is_bad: bool) -> None:
        self._is_bad = is_bad
        self._verdict.setText(text)
        own = QPalette()
        if is_bad:
            own.setColor(QPalette.ColorRole.WindowText, alert_colour(self))
        self._verdict.setPalette(own)

    def _words_of(self, audit: LeakageAudit) -> str:
        parts = ", ".join(
            self.tr("{part} {subjects} subjects with {n} {items}").format(
                part=part, subjects=audit.subjects[k], n=audit.slices[k], items=self._items
            )
            for k, part in enumerate(PARTS)
        )
        split = self.tr("Split {words}: {parts}.").format(words=audit.words, parts=parts)
        return " ".join(filter(None, (split, *audit.notices)))

    def _show_pairs(self, audit: LeakageAudit) -> None:
        if audit.pairs:
            self.pairs.show_table(audit.pairs_table())
        else:
            self.pairs.clear_table("")
        self._tables.setTabText(0, self.tr("Pairs ({n})").format(n=len(audit.pairs)))
        if audit.pairs:
            self.show_no_pair(self.tr("Choose a pair above to see its slices side by side"))
        elif audit.leaks and audit.is_compared:
            self.show_no_pair(self.tr("The slices are not here to be listed in pairs"))
        else:
            self.show_no_pair(self.tr("No pairs"))

    def _show_unfit(self, unfit: Sequence[UnfitRow]) -> None:
        self._tables.setTabVisible(1, bool(unfit))
        if unfit:
            self.unfit.show_table(unfit_table(unfit))
            self._tables.setTabText(1, self.tr("Rows that do not fit ({n})").format(n=len(unfit)))
            if self._audit is None:
                self._tables.setCurrentIndex(1)

    def _restyle(self, button: QPushButton) -> None:
        # A style sheet looks at properties only when a widget is polished.
        button.style().unpolish(button)
        button.style().polish(button)

    def _matrix(self) -> Figure | Table | None:
        return self._audit.matrix if self._audit is not None else None

    # Events

    def _on_row_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if self._audit is None or not current.isValid():
            return
        row = self.pairs.view.model().mapToSource(current).row()
        if row < len(self._audit.pairs):
            pair: LeakingPair = self._audit.pairs[row]
            self.show_no_pair(self.tr("Reading the slices…"))
            self.pair_chosen.emit(pair)

    def _on_menu_about_to_show(self) -> None:
        menu = self.export.menu()
        menu.clear()
        for title, exporter in self.exporters.items():
            exporter.add_actions(menu.addMenu(title))

    def _on_saved(self, path: object) -> None:
        self.say(self.tr("Saved {0}").format(getattr(path, "name", path)))

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ApplicationPaletteChange:
            self._set_verdict(self._verdict.text(), is_bad=self._is_bad)


class SlicePicture(QWidget):
    """One slice, as large as there is room, with its name below; or a line of text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def text(self) -> str:
        """The name below the slice, or the text in its place."""
        return self._text

    @property
    def has_slice(self) -> bool:
        """Whether a slice is shown."""
        return self._image is not None

    def show_slice(self, pixels: NDArray[np.uint8], title: str) -> None:
        """Show ``pixels`` (S, S)."""
        rows = np.ascontiguousarray(pixels)
        height, width = rows.shape
        # A copy, since Qt does not keep the array alive.
        grey = QImage.Format.Format_Grayscale8
        self._image = QImage(rows.data, width, height, width, grey).copy()
        self._say(title)

    def show_text(self, text: str) -> None:
        """Show ``text`` and no slice."""
        self._image = None
        self._say(text)

    def _say(self, text: str) -> None:
        self._text = text
        self.setAccessibleName(text)
        self.setToolTip(text)
        self.update()

    def sizeHint(self) -> QSize:
        """Return the wanted size."""
        return QSize(240, 270)

    def minimumSizeHint(self) -> QSize:
        """Return a size at which a head can still be told."""
        return QSize(120, 140)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the slice and its name."""
        del event
        painter = QPainter(self)
        area = QRectF(self.rect())
        painter.fillRect(area, BACKGROUND)
        painter.setPen(FAINT_TEXT)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        if self._image is None:
            painter.drawText(area.adjusted(12, 12, -12, -12), int(flags), self._text)
            painter.end()
            return
        line = 3 * self.fontMetrics().height() + 8
        side = max(1.0, min(area.width() - 8, area.height() - line - 8))
        left = (area.width() - side) / 2
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(left, 4, side, side), self._image)
        painter.setPen(TEXT)
        painter.drawText(QRectF(4, side + 6, area.width() - 8, line), int(flags), self._text)
        painter.end()


def _title_of(side: LeakingSlice) -> str:
    session = f", session {side.session}" if side.session else ""
    return f"{side.words}\nsubject {side.subject}{session}\n{side.part}"


def _plain_label(parent: QWidget) -> QLabel:
    label = WrappedLabel("", parent)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
