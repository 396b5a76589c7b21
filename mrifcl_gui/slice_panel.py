"""The slice behind a dot: who it is, what the network says, and where it looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core import map_tasks
from core.analysis import map_figures
from core.analysis.activation_map import SliceFacts, SliceMaps, contributions, facts_of
from core.analysis.map_volume import MapPictures, MapVolume
from core.errors import MriFclError
from core.figure import Figure
from core.progress import Operation
from core.run_folder import Run
from mrifcl_gui.export import ExportButton
from mrifcl_gui.figure_view import FigureView
from mrifcl_gui.icons import put_icon
from mrifcl_gui.job import Job
from mrifcl_gui.messages import text_of
from mrifcl_gui.selection import Selection
from mrifcl_gui.theme import scaled

_WIDTH = 320
# Computed at once, so that stepping on is quick.
_AHEAD = 8
_MOST_KEPT = 200
# Run, row, and feature where its map is asked for.
_Key = tuple[Path, int, int | None]


class SlicePanel(QWidget):
    """Shows the slice that is looked at, with the map of a class or of a feature over it.

    Signals
    -------
    job_started(Job)
        Long work to show in the task dock.
    problem(object)
        An exception to tell.
    viewer_requested(str, int)
        Show this scan, at this slice, in the viewer.
    overlay_requested(MapVolume or MapPictures, int)
        Lay this map over its scan in the viewer, at this slice.
    feature_requested()
        Show the slices that excite the chosen feature most.
    """

    job_started = Signal(object)
    problem = Signal(object)
    viewer_requested = Signal(str, int)
    overlay_requested = Signal(object, int)
    feature_requested = Signal()
    drawn = Signal()

    def __init__(self, selection: Selection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selection = selection
        self._job: Job | None = None
        self._stacking: Job | None = None
        self._asked: _Key | None = None
        self._kept: dict[_Key, SliceMaps] = {}
        self._figure: Figure | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show)
        self._build()
        selection.changed.connect(self._on_selection)
        self._on_selection()

    def figure(self) -> Figure | None:
        """Return the figure as it leaves: with its caption."""
        return self._figure

    # Building

    def _build(self) -> None:
        self.facts = QLabel(self)
        self.facts.setTextFormat(Qt.TextFormat.PlainText)
        self.facts.setWordWrap(True)
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.view = FigureView(self)
        self.feature_text = QLabel(self)
        self.feature_text.setWordWrap(True)
        self.feature_text.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 0, 8)
        layout.setSpacing(8)
        layout.addLayout(self._build_steps())
        layout.addWidget(self.facts)
        layout.addWidget(self.view, 1)
        layout.addLayout(self._build_options())
        layout.addWidget(self.feature_text)
        layout.addWidget(self._feature_button)
        layout.addLayout(self._build_buttons())
        self.setMinimumWidth(scaled(_WIDTH))

    def _build_steps(self) -> QHBoxLayout:
        self._place = QLabel(self)
        self._before = self._build_step("◀", self.tr("Previous chosen slice (Alt+Left)"))
        self._after = self._build_step("▶", self.tr("Next chosen slice (Alt+Right)"))
        self._before.clicked.connect(self.step_back)
        self._after.clicked.connect(self.step_on)
        heading = QLabel(self.tr("Slice"), self)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        row = QHBoxLayout()
        row.addWidget(heading)
        row.addStretch(1)
        for widget in (self._before, self._place, self._after):
            row.addWidget(widget)
        return row

    def _build_step(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    def _build_options(self) -> QVBoxLayout:
        self.shown = QComboBox(self)
        self.shown.setAccessibleName(self.tr("Map of"))
        self.shown.setToolTip(self.tr("Class or feature whose place in the slice the map shows"))
        self.shown.currentIndexChanged.connect(self._wish)
        self.map_tick = QCheckBox(self.tr("&Map of"), self)
        self.map_tick.setChecked(True)
        self.map_tick.setToolTip(self.tr("Show or hide the map"))
        self.map_tick.toggled.connect(self._wish)
        self.opacity = QSlider(Qt.Orientation.Horizontal, self)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(60)
        self.opacity.setAccessibleName(self.tr("Opacity of the map"))
        self.opacity.setToolTip(self.tr("How much the map covers the slice"))
        self.opacity.valueChanged.connect(self._wish)
        first = QHBoxLayout()
        first.addWidget(self.map_tick)
        first.addWidget(self.shown, 1)
        second = QHBoxLayout()
        second.addWidget(QLabel(self.tr("Opacity"), self))
        second.addWidget(self.opacity, 1)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addLayout(first)
        column.addLayout(second)
        self._feature_button = QPushButton(self.tr("Nine slices that excite it most"), self)
        self._feature_button.clicked.connect(self.feature_requested)
        return column

    def _build_buttons(self) -> QVBoxLayout:
        self.to_viewer = QPushButton(self.tr("Show in viewer"), self)
        put_icon(self.to_viewer, "eye")
        self.to_viewer.setToolTip(self.tr("Open the scan in Cohort at this slice"))
        self.to_viewer.clicked.connect(self._on_viewer)
        self.overlay = QPushButton(self.tr("Map in viewer"), self)
        self.overlay.setToolTip(
            self.tr("Lay the maps of all slices of the scan over it; hide them there with Space")
        )
        self.overlay.clicked.connect(self._on_overlay)
        self.nifti = QPushButton(self.tr("Save map as NIfTI…"), self)
        put_icon(self.nifti, "save")
        self.nifti.setToolTip(self.tr("The maps of all slices of the scan, on the scan's own grid"))
        self.nifti.clicked.connect(self._on_nifti)
        self.export = ExportButton(self)
        self.export.set_source(self.figure)
        self.export.failed.connect(self._on_failed_text)
        self.view.failed.connect(self._on_failed_text)
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.to_viewer)
        first.addWidget(self.overlay)
        second.addWidget(self.nifti)
        second.addWidget(self.export)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addLayout(first)
        column.addLayout(second)
        return column

    # Showing

    def step_on(self) -> None:
        """Look at the next chosen slice."""
        self._selection.step(1)

    def step_back(self) -> None:
        """Look at the previous chosen slice."""
        self._selection.step(-1)

    def _on_selection(self) -> None:
        self._fill_shown()
        self._write_facts()
        self._wish()

    def _fill_shown(self) -> None:
        """Offer the run's classes, and the feature where one is chosen."""
        run, channel = self._selection.run, self._selection.channel
        items = [("predicted", self.tr("predicted class")), ("true", self.tr("true class"))]
        items += [(name, name) for name in (run.classes if run is not None else ())]
        if channel is not None:
            items.append((f"feature {channel}", self.tr("feature {0}").format(channel)))
        before = [self.shown.itemData(i) for i in range(self.shown.count())]
        values = [value for value, _ in items]
        if values == before:
            return
        chosen = self.shown.currentData()
        with QSignalBlocker(self.shown):
            self.shown.clear()
            for value, words in items:
                self.shown.addItem(words, value)
            is_new = channel is not None and values[-1] not in before
            if is_new:
                chosen = values[-1]
            self.shown.setCurrentIndex(values.index(chosen) if chosen in values else 0)

    def _write_facts(self) -> None:
        selection = self._selection
        run, row, n = selection.run, selection.row, len(selection.rows)
        has_row = run is not None and row is not None
        self._place.setText(
            self.tr("{0} of {1}").format(selection.place + 1, n) if n else self.tr("none chosen")
        )
        for widget in (self._before, self._after):
            widget.setEnabled(n > 1)
        for control in (self.to_viewer, self.overlay, self.nifti, self.shown, self.export):
            control.setEnabled(has_row)
        self.facts.setText(_facts_text(run, facts_of(run, row)) if has_row else "")
        channel = selection.channel
        self.feature_text.setVisible(channel is not None)
        self._feature_button.setVisible(channel is not None)
        if channel is not None:
            self.feature_text.setText(_feature_text(run, row, channel))

    def _wish(self) -> None:
        self._later.start(0)

    @property
    def _channel(self) -> int | None:
        """The feature whose map is asked for, None for a class."""
        channel = self._selection.channel
        return channel if self.shown.currentData() == f"feature {channel}" else None

    def _show(self) -> None:
        """Draw the slice, from what is kept or after a job."""
        run, row = self._selection.run, self._selection.row
        if run is None or row is None:
            self._figure = None
            self.view.clear_figure(
                self.tr(
                    "Click a dot of a feature cloud, or hold Shift and draw around some: the "
                    "slices appear here.\n\nA click on a dot of the weights chooses a feature."
                )
            )
            return
        maps = self._kept.get((run.path, row, self._channel))
        if maps is not None:
            self._draw(run, maps)
        elif self._job is None:
            self._start_job(run, row)

    def _draw(self, run: Run, maps: SliceMaps) -> None:
        opacity = self.opacity.value() / 100 if self.map_tick.isChecked() else 0.0
        if self._channel is None:
            shown = str(self.shown.currentData())
            figure = map_figures.slice_figure(run, maps, shown=shown, opacity=opacity)
        else:
            figure = map_figures.channel_figure(
                run, maps, channel=self._channel, opacity=opacity, columns=1
            )
        self._figure = figure
        # In a narrow panel the words stand above and in the tip; they leave with the export.
        self.view.show_figure(replace(figure, caption="", title="", warning=maps.remark))
        self.view.setToolTip(figure.caption)
        self.drawn.emit()

    def _start_job(self, run: Run, row: int) -> None:
        rows, place, channel = self._selection.rows, self._selection.place, self._channel
        near = rows[place : place + _AHEAD]
        ahead = [r for r in near if (run.path, r, channel) not in self._kept]
        wanted = ahead or [row]
        self._asked = (run.path, row, channel)

        def operation() -> Operation[tuple[Run, int | None, list[SliceMaps]]]:
            if channel is None:
                maps = yield from map_tasks.activation_maps(run, wanted)
            else:
                maps = yield from map_tasks.channel_maps(run, wanted, channel)
            return run, channel, [maps.of_row(wanted_row) for wanted_row in wanted]

        job = Job(self.tr("Drawing maps"), operation, self)
        job.succeeded.connect(self._on_made)
        job.failed.connect(self._on_failed)
        job.cancelled.connect(self._on_cancelled)
        job.finished.connect(self._on_finished)
        self._job = job
        if len(wanted) > 1:
            self.job_started.emit(job)
        job.start()

    def _on_made(self, made: tuple[Run, int | None, list[SliceMaps]]) -> None:
        run, channel, found = made
        if len(self._kept) > _MOST_KEPT:
            self._kept.clear()
        for maps in found:
            self._kept[(run.path, int(maps.rows[0]), channel)] = maps
        self._wish()

    def _on_failed(self, error: BaseException) -> None:
        # Without its maps a slice has no picture: the sentence stands in its place.
        self._figure = None
        self.view.clear_figure(text_of(error))
        self.drawn.emit()
        if not isinstance(error, MriFclError):
            self.problem.emit(error)

    def _on_cancelled(self) -> None:
        self._figure = None
        self.view.clear_figure(self.tr("Stopped. Choose a slice to go on."))

    def _on_finished(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.deleteLater()
        run, row = self._selection.run, self._selection.row
        asked, self._asked = self._asked, None
        if run is not None and row is not None and asked != (run.path, row, self._channel):
            # Another slice was chosen meanwhile.
            self._wish()

    # Actions

    def _on_viewer(self) -> None:
        run, row = self._selection.run, self._selection.row
        if run is not None and row is not None:
            facts = facts_of(run, row)
            self.viewer_requested.emit(facts.scan, facts.number)

    def _on_overlay(self) -> None:
        self._stack(self._on_stacked)

    def _on_nifti(self) -> None:
        run, row = self._selection.run, self._selection.row
        if run is None or row is None:
            return
        name = f"map_{facts_of(run, row).scan}.nii.gz"
        chosen, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save map as NIfTI"), name, self.tr("NIfTI (*.nii.gz)")
        )
        if chosen:
            self.save_nifti(Path(chosen))

    def save_nifti(self, path: Path) -> None:
        """Write the map of the scan of the slice on the scan's grid."""
        self._stack(self._on_written, path)

    def _stack(self, on_success: object, path: Path | None = None) -> None:
        run, row = self._selection.run, self._selection.row
        if run is None or row is None or self._stacking is not None:
            return
        facts = facts_of(run, row)
        chosen = str(self.shown.currentData())
        shown = facts.predicted if chosen == "predicted" or self._channel is not None else chosen

        def operation() -> Operation[object]:
            if path is None:
                return (yield from map_tasks.map_of_scan(run, facts.scan, shown)), facts.number
            stacked = yield from map_tasks.map_volume(run, facts.scan, shown)
            return (yield from map_tasks.write_map_volume(run, stacked, path))

        job = Job(self.tr("Stacking maps of {0}").format(facts.scan), operation, self)
        job.succeeded.connect(on_success)
        job.failed.connect(self.problem)
        job.finished.connect(self._on_stacking_finished)
        job.finished.connect(job.deleteLater)
        self._stacking = job
        self.job_started.emit(job)
        job.start()

    def _on_stacked(self, made: tuple[MapVolume | MapPictures, int]) -> None:
        self.overlay_requested.emit(*made)

    def _on_written(self, path: Path) -> None:
        self.nifti.setToolTip(self.tr("Written: {0}").format(path))

    def _on_stacking_finished(self) -> None:
        self._stacking = None

    def _on_failed_text(self, text: str) -> None:
        self.problem.emit(MriFclError(text))


def _facts_text(run: Run, facts: SliceFacts) -> str:
    sign = "right" if facts.is_right else "wrong"
    part = {"train": "training"}.get(facts.part, facts.part)
    shares = "   ".join(
        f"{name} {100 * value:.1f} %"
        for name, value in zip(run.classes, facts.probability.tolist(), strict=True)
    )
    session = f", session {facts.session}" if facts.session else ""
    what = "whole volume" if run.settings.sees_cubes else f"slice {facts.number}"
    return (
        f"{facts.subject}{session}, {what} ({part})\n"
        f"true {facts.label}, predicted {facts.predicted}: {sign}\n{shares}"
    )


def _feature_text(run: Run | None, row: int | None, channel: int) -> str:
    if run is None:
        return ""
    weight, _ = run.fc_history.at()
    weights = ", ".join(
        f"{name} {value:.3g}"
        for name, value in zip(run.classes, weight[:, channel].tolist(), strict=True)
    )
    text = f"Feature {channel}: weights {weights}."
    if row is not None:
        added = contributions(run, row, channel)
        h = float(run.features.penultimate[row, channel])
        parts = ", ".join(
            f"{value:+.3g} to {name}"
            for name, value in zip(run.classes, added.tolist(), strict=True)
        )
        text += f" On this slice it is {h:.3g} and adds {parts}."
    return text.replace("-", "−")
