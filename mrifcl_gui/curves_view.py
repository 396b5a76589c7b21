"""Loss and accuracy against the epoch, drawn while a network learns and afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QGraphicsScene,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from core.colours import GREEN
from core.figure import Figure, Symbol
from core.progress import BatchDone, EpochMetrics
from core.run_folder import History
from mrifcl_gui.class_mark import paint_symbol
from mrifcl_gui.config_form import AlertLabel
from mrifcl_gui.curves_figure import curves_figure
from mrifcl_gui.export import SpeakingExporter
from mrifcl_gui.wrapped_label import WrappedLabel

Array = NDArray[np.float64]

REDRAW_MS = 100
MOST_POINTS = 2000
# Above this a loss has left what a plot can show; it would flatten every honest value.
LARGEST_LOSS = 1e6
# Below this pyqtgraph's own transforms fail.
SMALLEST_TOP = 1e-9
LEAST_OF_TOP = 1e-6
MOST_SMOOTHING = 95  # per cent
_NAMES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")


def clean(x: Array, y: Array) -> tuple[Array, Array, NDArray[np.int32]]:
    """Drop the points that cannot be drawn, and say where the line breaks.

    pyqtgraph has crashed on not-a-number with ``connect="finite"`` (its issue #2486), and
    a missing value must not be bridged as if it were known.

    Returns
    -------
    x, y : ndarray, shape (m,)
        The finite points.
    connect : ndarray, shape (m,), int32
        1 where a point is joined to the next one.
    """
    keep = np.isfinite(x) & np.isfinite(y) & (np.abs(y) <= LARGEST_LOSS)
    places = np.flatnonzero(keep)
    connect = np.zeros(len(places), dtype=np.int32)
    connect[:-1] = np.diff(places) == 1
    return x[keep], y[keep], connect


def smooth(y: Array, weight: float) -> Array:
    """Return ``y`` (m,) as a running mean in which each value before counts ``weight`` as much.

    The first values are means of few, not pulled towards 0: Kingma & Ba (2015), Adam,
    section 3, correct a running mean so.
    """
    smoothed = np.empty(len(y))
    total = weights = 0.0
    for place, value in enumerate(y):
        total, weights = weight * total + value, weight * weights + 1.0
        smoothed[place] = total / weights
    return smoothed


def thin(*columns: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return every n-th entry of each column, and the last, so that few enough are drawn."""
    n = len(columns[0])
    if n <= MOST_POINTS:
        return columns
    step = -(-n // (MOST_POINTS - 1))
    places = np.append(np.arange(0, n - 1, step), n - 1)
    return tuple(column[places] for column in columns)


class CurvesView(QWidget):
    """Two plots side by side: loss, and accuracy in per cent, against the epoch.

    However fast events come, it is redrawn at most ten times a second, and only where
    something changed and it can be seen.
    """

    redrawn = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._epochs = 1
        self._columns: dict[str, list[float]] = {
            name: [] for name in ("epoch", *_NAMES, "learning_rate")
        }
        self._running = _RunningCurve()
        self._pointed_at = math.inf
        self._is_dirty = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._on_redraw_due)
        self.loss_plot = _EpochPlot(self.tr("Loss (nat)"), self)
        self.accuracy_plot = _EpochPlot(self.tr("Accuracy (%)"), self, high=100.0)
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._legend = _Legend(
            {
                "train": self.tr("Training"),
                "validation": self.tr("Validation"),
                "running_loss": self.tr("Training, this batch"),
            },
            self,
        )
        self.log_box = QCheckBox(self.tr("Log scale of loss"), self)
        self.smoothing = QSlider(Qt.Orientation.Horizontal, self)
        self._readout = WrappedLabel("", self)
        self._note = QLabel(self)
        self._alert = AlertLabel(self)
        self.exporter = SpeakingExporter(self.figure, self)
        self._build_layout()
        self._build_curves()
        self.setAccessibleName(self.tr("Curves of loss and accuracy"))
        self.loss_plot.pointed.connect(self._on_pointed)
        self.accuracy_plot.pointed.connect(self._on_pointed)
        self._apply_palette()
        self.start(1)

    def start(self, epochs: int) -> None:
        """Empty the plots for a run of ``epochs`` epochs."""
        self._epochs = max(1, epochs)
        self._running.clear()
        for column in self._columns.values():
            column.clear()
        for plot in (self.loss_plot, self.accuracy_plot):
            plot.set_epochs(self._epochs)
        self._legend.set_visible("running_loss", True)
        self._arrange_head()
        self._pointed_at = math.inf
        self._mark_dirty()

    def add_batch(self, event: BatchDone) -> None:
        """Add the running loss of one batch."""
        done = event.batch / event.batches if event.batches > 0 else 1.0
        self._running.add(event.epoch - 1 + done, event.loss)
        self._mark_dirty()

    def add_epoch(self, event: EpochMetrics) -> None:
        """Add what one epoch gave; values that are not a number leave a gap."""
        self._columns["epoch"].append(float(event.epoch))
        for name in (*_NAMES, "learning_rate"):
            self._columns[name].append(float(getattr(event, name)))
        if event.epoch > self._epochs:
            self._epochs = event.epoch
            for plot in (self.loss_plot, self.accuracy_plot):
                plot.set_epochs(self._epochs)
        self._mark_dirty()

    def show_history(self, history: History) -> None:
        """Show the curves of a run on disk."""
        self.start(int(history.epoch.max()) if len(history.epoch) else 1)
        # Batches are not kept on disk, so they need no place in the legend.
        self._legend.set_visible("running_loss", False)
        self._arrange_head()
        self.add_history(history)

    def add_history(self, history: History) -> None:
        """Add the epochs of a run on disk; more may follow them."""
        self._columns["epoch"].extend(history.epoch.astype(float))
        for name in (*_NAMES, "learning_rate"):
            self._columns[name].extend(getattr(history, name))
        self._mark_dirty()

    def set_note(self, text: str) -> None:
        """Show a sentence about the curves below them; empty takes it away."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def curve(self, name: str) -> tuple[Array, Array]:
        """Return what is drawn as ``name``: ``running_loss`` or a column of the history."""
        x, y = self._curves[name].getData()
        return (np.empty(0), np.empty(0)) if x is None else (x, y)

    def figure(self) -> Figure | None:
        """Return the curves as a figure to export; None before the first epoch."""
        return curves_figure(self._columns)

    def build_menu(self) -> QMenu:
        """Return a new context menu."""
        menu = QMenu(self)
        self.exporter.add_actions(menu)
        menu.setEnabled(self.exporter.has_content)
        return menu

    def _on_menu_requested(self, place: QPoint) -> None:
        plot = self.sender()
        menu = self.build_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if isinstance(plot, QWidget):
            menu.popup(plot.mapToGlobal(place))

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_curves"):
            self._apply_palette()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw at once what came while it was hidden."""
        super().showEvent(event)
        if self._is_dirty:
            self._redraw()

    def _build_layout(self) -> None:
        self._note.setTextFormat(Qt.TextFormat.PlainText)
        self._note.setWordWrap(True)
        self._note.hide()
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self._readout.setAccessibleName(self.tr("Values at the pointer"))
        plots = QHBoxLayout()
        plots.setSpacing(8)
        plots.addWidget(self.loss_plot)
        plots.addWidget(self.accuracy_plot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._build_head())
        layout.addLayout(plots, 1)
        layout.addWidget(self._readout)
        layout.addWidget(self._alert)
        layout.addWidget(self._note)

    def _build_head(self) -> QBoxLayout:
        label = QLabel(self.tr("Smoothing"), self)
        label.setBuddy(self.smoothing)
        self.smoothing.setRange(0, MOST_SMOOTHING)
        self.smoothing.setFixedWidth(96)
        self.smoothing.setAccessibleName(self.tr("Smoothing (per cent)"))
        self.smoothing.setToolTip(
            self.tr("Running mean over the epochs before; the values themselves stay, faint")
        )
        self.smoothing.valueChanged.connect(self._on_look_changed)
        self.log_box.setToolTip(
            self.tr("Shows small losses apart; a loss of 0 has no place on a log scale")
        )
        self.log_box.toggled.connect(self._on_look_changed)
        controls = QHBoxLayout()
        for widget in (label, self.smoothing, self.log_box):
            controls.addWidget(widget)
        controls.setSpacing(8)
        controls.addStretch(1)
        self._head.setSpacing(8)
        self._head.addWidget(self._legend, 1)
        self._head.addLayout(controls)
        for plot in (self.loss_plot, self.accuracy_plot):
            plot.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            plot.customContextMenuRequested.connect(self._on_menu_requested)
        return self._head

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the controls below the legend where both have no room side by side."""
        super().resizeEvent(event)
        self._arrange_head()

    def _arrange_head(self) -> None:
        controls = self._head.itemAt(1).sizeHint().width()
        is_wide = self._legend.whole_width() + self._head.spacing() + controls <= self.width()
        self._head.setDirection(
            QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom
        )

    def _build_curves(self) -> None:
        self._curves = {
            "running_loss": self.loss_plot.add_curve(),
            "train_loss": self.loss_plot.add_curve(),
            "validation_loss": self.loss_plot.add_curve(),
            "train_accuracy": self.accuracy_plot.add_curve(),
            "validation_accuracy": self.accuracy_plot.add_curve(),
        }
        self._smoothed = {
            name: (self.loss_plot if name.endswith("loss") else self.accuracy_plot).add_curve()
            for name in _NAMES
        }

    def _apply_palette(self) -> None:
        text = self.palette().color(QPalette.ColorRole.Text)
        for plot in (self.loss_plot, self.accuracy_plot):
            plot.apply_palette(self.palette())
        faint = pg.mkColor(text)
        faint.setAlpha(90)
        for name, curve in self._curves.items():
            if name == "running_loss":
                curve.setPen(pg.mkPen(faint, width=1))
                self._legend.set_look(name, faint, width=1)
                continue
            is_training = name.startswith("train")
            # Neither colour is a class's colour; the style tells them apart without colour.
            colour = text if is_training else pg.mkColor(GREEN)
            is_smoothed = self.smoothing.value() > 0
            own = QColor(colour)
            own.setAlpha(80 if is_smoothed else 255)
            curve.setPen(pg.mkPen(own, width=1 if is_smoothed else 2))
            self._smoothed[name].setPen(pg.mkPen(colour, width=2))
            curve.setSymbol(None if is_smoothed else "o" if is_training else "s")
            curve.setSymbolSize(5)
            curve.setSymbolPen(pg.mkPen(colour))
            curve.setSymbolBrush(pg.mkBrush(colour if is_training else self.palette().base()))
            fill = QColor(colour) if is_training else self.palette().color(QPalette.ColorRole.Base)
            symbol: Symbol = "circle" if is_training else "square"
            self._legend.set_look(
                "train" if is_training else "validation", colour, symbol=symbol, fill=fill
            )

    def _on_look_changed(self) -> None:
        self.loss_plot.set_log(self.log_box.isChecked())
        self._apply_palette()
        self._mark_dirty()

    def _mark_dirty(self) -> None:
        self._is_dirty = True
        if not self._timer.isActive():
            self._timer.start()

    def _on_redraw_due(self) -> None:
        if self._is_dirty and self.isVisible():
            self._redraw()

    def _redraw(self) -> None:
        self._is_dirty = False
        epoch = np.array(self._columns["epoch"])
        highest, lowest, n_dropped = 0.0, math.inf, 0
        is_log, weight = self.log_box.isChecked(), self.smoothing.value() / 100
        for name in _NAMES:
            x, y, connect = clean(epoch, np.array(self._columns[name]))
            if name.endswith("accuracy"):
                y = y * 100
            # Before training (epoch 0) nothing was measured on the training slices.
            n_dropped += int((epoch > 0).sum() - (x > 0).sum())
            if is_log and name.endswith("loss"):
                x, y, connect = clean(x, np.where(y > 0, y, np.nan))
            means = smooth(y, weight) if weight else y[:0]
            x, y, connect = thin(x, y, connect)
            self._curves[name].setData(x, y, connect=connect)
            n = len(means) and len(x)
            self._smoothed[name].setData(x[:n], *thin(means), connect=connect[:n])
            if name.endswith("loss") and len(y):
                highest, lowest = max(highest, float(y.max())), min(lowest, float(y.min()))
        x, y = self._running.points()
        x, y, connect = clean(x, np.where(y > 0, y, np.nan) if is_log else y)
        self._curves["running_loss"].setData(x, y, connect=connect)
        if len(y):
            highest, lowest = max(highest, float(y.max())), min(lowest, float(y.min()))
        high = highest * 1.05 if highest > SMALLEST_TOP else 1.0
        self.loss_plot.set_limits(min(lowest, high / 10), high)
        self._say_dropped(n_dropped)
        self._read_out()
        self.redrawn.emit()

    def _say_dropped(self, n_dropped: int) -> None:
        text = ""
        if n_dropped:
            text = self.tr(
                "{n} values are not a number or too large to draw; the lines have gaps there. "
                "If losses are missing, lower the learning rate."
            ).format(n=n_dropped)
        if self._alert.text() != text:
            self._alert.show_text(text)

    def _on_pointed(self, x: float) -> None:
        self._pointed_at = x if math.isfinite(x) else math.inf
        self._read_out()

    def _read_out(self) -> None:
        """Show the values of the epoch under the pointer; of the newest before any pointing."""
        epochs = np.array(self._columns["epoch"])
        if not len(epochs):
            self._readout.setText("")
            return
        at = int(np.abs(epochs - min(self._pointed_at, epochs.max())).argmin())
        loss = [_three_digits(self._columns[name][at]) for name in _NAMES[:2]]
        share = [_per_cent(self._columns[name][at]) for name in _NAMES[2:]]
        for plot in (self.loss_plot, self.accuracy_plot):
            plot.mark_epoch(float(epochs[at]) if math.isfinite(self._pointed_at) else None)
        rate = self._columns["learning_rate"][at]
        self._readout.setText(
            self.tr(
                "Epoch {epoch}:  loss {t} training, {v} validation;  "
                "accuracy {ta} training, {va} validation;  learning rate {rate}"
            ).format(
                epoch=int(epochs[at]),
                t=loss[0],
                v=loss[1],
                ta=share[0],
                va=share[1],
                rate=f"{rate:g}" if math.isfinite(rate) else "–",
            )
        )


def _three_digits(value: float) -> str:
    if not abs(value) <= LARGEST_LOSS:
        return "–"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"


def _per_cent(value: float) -> str:
    return f"{value * 100:.1f} %" if abs(value) <= LARGEST_LOSS else "–"


class _RunningCurve:
    """A growing line of at most ``MOST_POINTS`` points: when full, every second one goes."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._stride = 1
        self._n_seen = 0

    def clear(self) -> None:
        self._points.clear()
        self._stride, self._n_seen = 1, 0

    def add(self, x: float, y: float) -> None:
        if self._n_seen % self._stride == 0:
            self._points.append((x, y))
        self._n_seen += 1
        if len(self._points) > MOST_POINTS:
            del self._points[1::2]
            self._stride *= 2

    def points(self) -> tuple[Array, Array]:
        array = np.array(self._points, dtype=np.float64).reshape(-1, 2)
        return array[:, 0], array[:, 1]


@dataclass
class _Look:
    colour: QColor
    width: int
    symbol: Symbol | None
    fill: QColor


# Of the legend, px: a line's sample with the space behind it, and from one line to the next.
_SAMPLE, _GAP = 36, 24


class _Legend(QWidget):
    """What the lines are, in one row above both plots, where it hides none of them."""

    def __init__(self, names: dict[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names = names
        self._looks: dict[str, _Look] = {}
        self._hidden: set[str] = set()
        self.setObjectName("legend")
        self.setAccessibleName(", ".join(names.values()))
        self.setFixedHeight(self.fontMetrics().height() + 4)

    def set_look(
        self,
        key: str,
        colour: QColor,
        *,
        width: int = 2,
        symbol: Symbol | None = None,
        fill: QColor | None = None,
    ) -> None:
        """Draw the sample of one line like the line."""
        self._looks[key] = _Look(QColor(colour), width, symbol, QColor(fill or colour))
        self.update()

    def set_visible(self, key: str, visible: bool) -> None:
        """Name one line, or not."""
        (self._hidden.discard if visible else self._hidden.add)(key)
        self.update()

    def whole_width(self) -> float:
        """Return the width (px) at which every line's words are seen."""
        advance = self.fontMetrics().horizontalAdvance
        return 4 + sum(
            _SAMPLE + advance(words) + _GAP
            for key, words in self._names.items()
            if key not in self._hidden
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the samples and their words."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, middle = 4.0, self.height() / 2
        for key, words in self._names.items():
            if key in self._hidden or key not in self._looks:
                continue
            look = self._looks[key]
            painter.setPen(QPen(look.colour, look.width))
            painter.drawLine(QPointF(left, middle), QPointF(left + 28, middle))
            if look.symbol is not None:
                centre = QPointF(left + 14, middle)
                paint_symbol(painter, look.symbol, centre, size=9, colour=look.colour)
                paint_symbol(painter, look.symbol, centre, size=5, colour=look.fill)
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            width = self.fontMetrics().horizontalAdvance(words)
            area = QRectF(left + _SAMPLE, 0, width + 4, self.height())
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, words)
            left += _SAMPLE + width + _GAP
        painter.end()


class _EpochAxis(pg.AxisItem):
    """An axis whose ticks are whole numbers."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """Return the usual spacings that are whole; 1 where none is."""
        usual = super().tickSpacing(minVal, maxVal, size)
        whole = [
            (spacing, offset) for spacing, offset in usual if spacing >= 1 and spacing % 1 == 0
        ]
        return whole or [(1, 0)]


class _EpochPlot(pg.PlotWidget):
    """One plot against the epoch; a double click takes back any zooming."""

    pointed = Signal(float)

    def __init__(self, title: str, parent: QWidget | None, *, high: float = 1.0) -> None:
        super().__init__(parent, axisItems={"bottom": _EpochAxis("bottom")})
        # As in FigureView: an index of places may keep items that are gone.
        self.scene().setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._epochs, self._high, self._is_zoomed = 1, high, False
        self._low, self._is_log = 0.0, False
        self.setAccessibleName(title)
        self.setToolTip(self.tr("Wheel zooms, dragging moves, a double click resets"))
        self.setMinimumSize(160, 140)
        self.setMenuEnabled(False)
        item = self.getPlotItem()
        item.hideButtons()
        item.setLabel("bottom", self.tr("Epoch"))
        item.setLabel("left", title)
        item.showGrid(x=True, y=True, alpha=0.15)
        for side in ("bottom", "left"):
            item.getAxis(side).enableAutoSIPrefix(False)
        item.setContentsMargins(4, 8, 16, 4)
        if high == 100.0:
            item.getAxis("left").setTickSpacing(20, 10)
        self._mark = pg.InfiniteLine(angle=90)
        self._mark.hide()
        item.addItem(self._mark, ignoreBounds=True)
        item.getViewBox().sigRangeChangedManually.connect(self._on_zoomed)
        self.scene().sigMouseMoved.connect(self._on_mouse_moved)

    def add_curve(self) -> Any:  # noqa: ANN401 - pyqtgraph has no types
        """Add an empty line."""
        return self.getPlotItem().plot()

    def set_epochs(self, epochs: int) -> None:
        """Let the x axis end at ``epochs``."""
        self._epochs, self._is_zoomed = epochs, False
        self._fit()

    def set_limits(self, low: float, high: float) -> None:
        """Let the y axis end at ``high``, unless the user zoomed; ``low`` is for a log scale."""
        if (low, high) != (self._low, self._high):
            self._low, self._high = low, high
            if not self._is_zoomed:
                self._fit()

    def set_log(self, is_log: bool) -> None:
        """Draw y on a log scale or a linear one."""
        if is_log != self._is_log:
            self._is_log, self._is_zoomed = is_log, False
            self.getPlotItem().setLogMode(x=False, y=is_log)
            self._fit()

    def mark_epoch(self, epoch: float | None) -> None:
        """Draw a line at the epoch whose values are read out; None takes it away."""
        self._mark.setVisible(epoch is not None)
        if epoch is not None:
            self._mark.setPos(epoch)

    def apply_palette(self, palette: QPalette) -> None:
        """Take the colours of the window."""
        text = palette.color(QPalette.ColorRole.Text)
        self.setBackground(palette.color(QPalette.ColorRole.Base))
        for side in ("bottom", "left"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(text))
            axis.setTextPen(pg.mkPen(text))
        faint = QColor(text)
        faint.setAlpha(120)
        self._mark.setPen(pg.mkPen(faint, width=1, style=Qt.PenStyle.DashLine))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show everything again."""
        event.accept()
        self._is_zoomed = False
        self._fit()

    def _fit(self) -> None:
        # Enough room for the first and last number: with a grid, pyqtgraph leaves out
        # those that would reach over the end of the axis.
        self.setXRange(0, self._epochs, padding=0.03)
        if self._is_log:
            # A loss of nearly 0 would press all others together at the top.
            low = max(self._low, self._high * LEAST_OF_TOP)
            self.setYRange(math.log10(low), math.log10(self._high), padding=0.05)
        else:
            self.setYRange(0, self._high, padding=0.05)

    def _on_zoomed(self) -> None:
        self._is_zoomed = True

    def _on_mouse_moved(self, position: QPointF) -> None:
        self.pointed.emit(self.getPlotItem().getViewBox().mapSceneToView(position).x())
