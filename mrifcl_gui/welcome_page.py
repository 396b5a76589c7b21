"""What is seen before there is a cohort: where to drop scans, and what comes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPalette,
    QPen,
    QRadialGradient,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.colours import VERMILLION
from core.figure import class_colour, class_symbol
from mrifcl_gui.class_mark import CLASS_MARKS, paint_symbol
from mrifcl_gui.icons import put_icon
from mrifcl_gui.recent_list import RecentList
from mrifcl_gui.theme import SMALL, TITLE, VIEWER, scaled, set_type

_WIDTH = 960
# Seen on light and on dark; Mid all but vanishes on dark.
_FAINT = QPalette.ColorRole.PlaceholderText


class WelcomePage(QWidget):
    """A large drop area, the ways in, and three pictures of the results.

    The page shows the drop area; the panel it lies in takes the drops, anywhere.
    """

    open_folder_requested = Signal()
    demo_requested = Signal()
    recent_chosen = Signal(object)  # Path
    recent_removed = Signal(object)  # Path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(32, 32, 32, 32)
        column.setSpacing(24)
        column.addStretch(1)
        column.addWidget(self._build_drop_area())
        column.addLayout(self._build_outcomes())
        column.addWidget(self._build_recent())
        column.addStretch(2)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(_centred(content))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self.set_recent([])
        CLASS_MARKS.changed.connect(self._on_class_colours)

    def set_recent(self, paths: Sequence[Path], *, gone: Collection[Path] = ()) -> None:
        """List cohorts and runs opened before, the last one first; grey where ``gone``."""
        self._recent.show_paths(paths, gone=gone)

    def mark_gone(self, path: Path, is_gone: bool) -> None:
        """Turn the line of ``path`` grey, or black again."""
        self._recent.mark_gone(path, is_gone)

    def set_dragged_over(self, dragged_over: bool) -> None:
        """Mark the drop area while files are held over the panel."""
        self._drop_area.set_marked(dragged_over)

    def show_busy(self, text: str) -> None:
        """Say what is going on; nothing new can be opened meanwhile."""
        self._state.setText(text)
        self._set_enabled(False)

    def show_ready(self) -> None:
        """Wait for a folder again."""
        self._state.setText(
            self.tr("NIfTI, Analyze, MGH or DICOM scans, or JPEG, PNG and TIFF slices")
        )
        self._set_enabled(True)

    def _on_class_colours(self) -> None:
        for picture in self.findChildren(_OutcomePicture):
            picture.update()

    def _build_drop_area(self) -> QWidget:
        self._drop_area = _DropArea()
        heading = QLabel(self.tr("Drop a folder of MRI scans"))
        set_type(heading, TITLE, bold=True)
        hint = QLabel(self.tr("One sub-folder a class, such as AD and NC, or a table of labels"))
        self._state = QLabel()
        self._open = QPushButton(self.tr("Open folder…"))
        self._open.setProperty("primary", True)
        put_icon(self._open, "folder-open")
        self._open.setToolTip(self.tr("Choose a folder of scans, or a saved cohort"))
        self._open.clicked.connect(self.open_folder_requested)
        self._demo = QPushButton(self.tr("Open the demo cohort"))
        put_icon(self._demo, "flask-conical")
        self._demo.setToolTip(self.tr("Simulated scans of two classes, to try everything"))
        self._demo.clicked.connect(self.demo_requested)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self._open)
        buttons.addWidget(self._demo)
        buttons.addStretch(1)
        column = QVBoxLayout(self._drop_area)
        column.setContentsMargins(24, 32, 24, 32)
        column.setSpacing(8)
        for label in (heading, hint, self._state):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            column.addWidget(label)
        column.addSpacing(8)
        column.addLayout(buttons)
        self.show_ready()
        return self._drop_area

    def _build_outcomes(self) -> QHBoxLayout:
        captions: dict[_Outcome, str] = {
            "weights": self.tr("Final layer (FCL): what each class reads from a feature"),
            "cloud": self.tr("Feature cloud: do the classes part?"),
            "map": self.tr("Class map: where in the brain a decision comes from"),
        }
        row = QHBoxLayout()
        row.setSpacing(24)
        row.addStretch(1)
        for kind, caption in captions.items():
            row.addLayout(_captioned(_OutcomePicture(kind, caption), caption))
        row.addStretch(1)
        return row

    def _build_recent(self) -> QWidget:
        self._recent = RecentList()
        self._recent.chosen.connect(self.recent_chosen)
        self._recent.removed.connect(self.recent_removed)
        return self._recent

    def _set_enabled(self, enabled: bool) -> None:
        self._open.setEnabled(enabled)
        self._demo.setEnabled(enabled)
        # Built later than the first call.
        if hasattr(self, "_recent"):
            self._recent.setEnabled(enabled)


class _DropArea(QFrame):
    """A dashed frame, in the accent colour while something is held over it."""

    def __init__(self) -> None:
        super().__init__()
        self._is_marked = False
        self.setMinimumHeight(200)

    def set_marked(self, marked: bool) -> None:
        self._is_marked = marked
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role = QPalette.ColorRole.Highlight if self._is_marked else _FAINT
        colour = self.palette().color(role)
        if self._is_marked:
            fill = QColor(colour)
            fill.setAlpha(30)
            painter.setBrush(fill)
        painter.setPen(QPen(colour, 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(2, 2, -2, -2), 8, 8)
        painter.end()


_Outcome = Literal["weights", "cloud", "map"]


class _OutcomePicture(QWidget):
    """A small drawn example of a result; not data."""

    def __init__(self, kind: _Outcome, caption: str) -> None:
        super().__init__()
        self._kind = kind
        self.setAccessibleName(caption)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(216, 136)

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(self.palette().color(_FAINT), 1))
        painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
        painter.drawRoundedRect(area, 4, 4)
        paint = {"weights": self._paint_weights, "cloud": self._paint_cloud, "map": self._paint_map}
        paint[self._kind](painter, area.adjusted(10, 10, -10, -10))
        painter.end()

    def _paint_weights(self, painter: QPainter, area: QRectF) -> None:
        # Downwards, as the rows of two classes do (Khagi & Kwon 2022, Fig. 3).
        random = np.random.default_rng(3)
        along, across = random.normal(0, 0.19, 260), random.normal(0, 0.05, 260)
        grey = QColor(self.palette().color(QPalette.ColorRole.Text))
        grey.setAlpha(110)
        for u, v in zip(along, across, strict=True):
            point = _place(area, 0.5 + u - v, 0.5 + u + v)
            paint_symbol(painter, "circle", point, size=3.5, colour=grey)
        painter.setPen(QPen(QColor(VERMILLION), 2))
        painter.drawLine(_place(area, 0.04, 0.04), _place(area, 0.96, 0.96))

    def _paint_cloud(self, painter: QPainter, area: QRectF) -> None:
        random = np.random.default_rng(5)
        painter.setPen(QPen(self.palette().color(_FAINT), 1.5, Qt.PenStyle.DashLine))
        painter.drawLine(area.bottomLeft(), area.topRight())
        # The AD score runs to the right, the NC score up: each class on its side of y = x.
        for label, x, y in (("AD", 0.66, 0.7), ("NC", 0.34, 0.3)):
            colour = QColor(class_colour(label))
            colour.setAlpha(190)
            for dx, dy in random.normal(0, 0.11, (60, 2)):
                point = _place(area, x + dx, y + dy)
                paint_symbol(painter, class_symbol(label), point, size=5, colour=colour)

    def _paint_map(self, painter: QPainter, area: QRectF) -> None:
        centre = area.center()
        height = area.height() / 2
        outline, brain, folds, chambers = VIEWER.head
        head = QPainterPath()
        head.addEllipse(centre, height * 0.8, height)
        painter.setPen(QPen(QColor(outline), 2))
        painter.setBrush(QColor(brain))
        painter.drawPath(head)
        painter.setPen(QPen(QColor(folds), 1.5))
        painter.drawLine(centre + QPointF(0, -height), centre + QPointF(0, height))
        painter.setBrush(QColor(chambers))
        painter.setPen(Qt.PenStyle.NoPen)
        for side in (-1, 1):
            painter.drawEllipse(centre + QPointF(side * 9, -2), 5, 20)
        painter.setClipPath(head)
        for dx, dy, size, strength in ((-30, 14, 34, 220), (28, 18, 24, 150)):
            _paint_glow(painter, centre + QPointF(dx, dy), size, strength)
        painter.setClipping(False)


def _paint_glow(painter: QPainter, centre: QPointF, size: float, strength: int) -> None:
    glow = QRadialGradient(centre, size)
    for stop, colour, share in zip((0.0, 0.45, 1.0), VIEWER.glow, (1.0, 0.8, 0.0), strict=True):
        shade = QColor(colour)
        shade.setAlpha(round(strength * share))
        glow.setColorAt(stop, shade)
    painter.setBrush(glow)
    painter.drawEllipse(centre, size, size)


def _place(area: QRectF, x: float, y: float) -> QPointF:
    """Return the point at shares 0..1 of the area, kept inside."""
    x, y = min(max(x, 0.02), 0.98), min(max(y, 0.02), 0.98)
    return QPointF(area.left() + x * area.width(), area.top() + y * area.height())


def _centred(content: QWidget) -> QWidget:
    """Return ``content`` in the middle of a wider page."""
    content.setMaximumWidth(scaled(_WIDTH))
    page = QWidget()
    row = QHBoxLayout(page)
    row.setContentsMargins(0, 0, 0, 0)
    row.addStretch(1)
    row.addWidget(content, 100)
    row.addStretch(1)
    return page


def _captioned(picture: QWidget, caption: str) -> QVBoxLayout:
    label = QLabel(caption)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
    label.setFixedWidth(picture.sizeHint().width())
    set_type(label, SMALL)
    column = QVBoxLayout()
    column.setSpacing(8)
    column.addWidget(picture, 0, Qt.AlignmentFlag.AlignHCenter)
    column.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
    return column
