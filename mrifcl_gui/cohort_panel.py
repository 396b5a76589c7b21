"""The cohort's place: which scans there are, how they look, and what the network will see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import (
    QAction,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QKeySequence,
    QUndoCommand,
    QUndoStack,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.data.cohort import Cohort, Scan
from core.data.cohort_checks import take_over
from core.data.findings import counted
from core.data.volume import Volume
from core.errors import CohortError
from core.figure import class_colour
from mrifcl_gui import preferences
from mrifcl_gui.class_mark import CLASS_MARKS
from mrifcl_gui.dropped_paths import drop_words, local_paths
from mrifcl_gui.elided_label import ElidedLabel
from mrifcl_gui.icons import name_icon, put_icon
from mrifcl_gui.problem_bar import ProblemBar
from mrifcl_gui.recent_check import Looked, RecentCheck
from mrifcl_gui.remembered_splitter import RememberedSplitter
from mrifcl_gui.scan_list import ScanList
from mrifcl_gui.scan_table import class_labels
from mrifcl_gui.scrolling_page import scrolling
from mrifcl_gui.slice_strip import SliceStrip
from mrifcl_gui.slice_viewer import SliceViewer, ViewerLayout
from mrifcl_gui.theme import GAP, alarm_colour, scaled
from mrifcl_gui.welcome_page import WelcomePage

# Narrower, three planes and a histogram cannot be told apart.
_VIEWER_WIDTH = 460
_MOST_NOTES = 3


@dataclasses.dataclass(frozen=True)
class _Awaited:
    """The slice, and the map, to go to once a scan is read."""

    key: str
    number: int
    plane: str
    values: NDArray[np.float32] | None = None
    words: str = ""


class CohortPanel(QWidget):
    """Shows a cohort with a viewer beside it, or how to get one.

    Files dropped anywhere on it come out as ``paths_dropped``. It loads nothing itself:
    whoever gets ``scan_selected`` answers with :meth:`show_volume` or
    :meth:`show_pictures`, and :meth:`show_strip`.
    """

    scan_selected = Signal(object)  # Scan
    cohort_changed = Signal(object)  # Cohort, after relabelling, leaving out, undo
    paths_dropped = Signal(list)  # of Path
    dragged_over = Signal(str)  # what a drop will do; empty when nothing is held over it
    open_folder_requested = Signal()
    demo_requested = Signal()
    recent_chosen = Signal(object)  # Path
    train_requested = Signal()
    audit_requested = Signal()
    compare_requested = Signal(object)  # Scan, to be answered with show_compared
    thumbnails_wanted = Signal(list)  # of Scan, to be answered with show_thumbnails
    cloud_requested = Signal(object)  # Scan, whose slice shall be found in the feature cloud
    check_requested = Signal()  # to be answered with set_checking and show_checked

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cohort: Cohort | None = None
        self._shown: Scan | None = None
        self._strip_words = ""
        self._awaited: _Awaited | None = None
        self._strip_of: tuple[NDArray[np.uint8], tuple[int, ...], Scan, str] | None = None
        self._notes: list[str] = []
        self._undo_stack = QUndoStack(self)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._build_welcome())
        self._stack.addWidget(self._build_page())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._problem = ProblemBar()
        column.addWidget(self._problem)
        column.addWidget(self._stack, 1)
        self._build_actions()
        CLASS_MARKS.changed.connect(self._on_class_colours)
        self.setAcceptDrops(True)

    @property
    def cohort(self) -> Cohort | None:
        """What is shown."""
        return self._cohort

    @property
    def has_problem(self) -> bool:
        """Whether a problem is said above everything."""
        return self._problem.isVisible()

    @property
    def viewer(self) -> SliceViewer:
        """The viewer, for its orientation preference."""
        return self._viewer

    @property
    def scan_list(self) -> ScanList:
        """The table side."""
        return self._scans

    @property
    def undo_stack(self) -> QUndoStack:
        """The changes of the cohort, for a window that undoes those of other places too."""
        return self._undo_stack

    @property
    def undo_action(self) -> QAction:
        """For the edit menu; its shortcut also holds within the panel."""
        return self._undo_action

    @property
    def redo_action(self) -> QAction:
        """For the edit menu; its shortcut also holds within the panel."""
        return self._redo_action

    @property
    def check_action(self) -> QAction:
        """For a menu: have all voxels of the cohort checked."""
        return self._check_action

    def show_cohort(self, cohort: Cohort) -> None:
        """Show a cohort and choose its first scan; changes can be undone from here on."""
        self.dismiss_problem()
        self._welcome.show_ready()
        self._stack.setCurrentIndex(1)
        if cohort == self._cohort:
            return  # our own change has come back
        self._undo_stack.clear()
        self._forget_scan()
        self._cohort = cohort
        self._write_notes([])
        self._scans.show_cohort(None)
        self._scans.show_cohort(cohort)
        self.set_checking(False)
        self._write_readiness()

    def show_volume(self, volume: Volume, scan: Scan) -> None:
        """Show the volume of ``scan``, unless another scan was chosen meanwhile."""
        if self._is_late(scan):
            return
        self._shown = scan
        self._viewer.show_volume(volume, _title(scan), is_flipped=scan.flipped)
        self._mark_slice()
        self._go_to_awaited()

    def show_thumbnails(
        self, scans: Sequence[Scan], pixels_of: Mapping[str, NDArray[np.uint8] | None]
    ) -> None:
        """Show small pictures (h, w) uint8 of scans, by key; None where one cannot be read."""
        self._scans.show_thumbnails(scans, pixels_of)

    def set_checking(self, is_checking: bool) -> None:
        """Say whether all voxels are being checked; one check at a time."""
        self._check_action.setEnabled(not is_checking and self._cohort is not None)
        self._check_action.setText(
            self.tr("Checking all voxels…") if is_checking else self.tr("Check all voxels")
        )

    def show_checked(self, checked: Cohort) -> None:
        """Show what the check of all voxels found; what was edited meanwhile stays."""
        if self._cohort is None or checked.root != self._cohort.root:
            return  # another cohort was opened meanwhile
        before = set(self._cohort.warnings)
        merged = take_over(checked, self._cohort)
        if merged != self._cohort:
            self._on_change_asked(self.tr("Check all voxels"), merged)
        news = len(set(merged.warnings) - before)
        n_scans = counted(len(checked.included_scans), "scan")
        read = self.tr("All voxels of {scans} were read").format(scans=n_scans)
        found = counted(news, "new finding") if news else self.tr("nothing new found")
        self._write_notes([f"{read}: {found}."])

    def show_notice(self, text: str) -> None:
        """Say below the table what came up while the scans were worked on."""
        if text not in self._notes:
            self._write_notes([*self._notes, text])

    def show_compared(self, volume: Volume, scan: Scan) -> None:
        """Show the volume of ``scan`` beside the one that is shown."""
        self._viewer.compare_with(volume, _title(scan))

    def show_pictures(self, pixels: NDArray[np.uint8], scan: Scan) -> None:
        """Show the ready-made slices (n, h, w) of ``scan``, unless another was chosen meanwhile."""
        if self._is_late(scan):
            return
        self._shown = scan
        numbers = scan.slice_numbers or tuple(range(1, len(pixels) + 1))
        self._viewer.show_pictures(pixels, numbers, _title(scan))
        self._mark_slice()
        self._go_to_awaited()

    def show_strip(
        self,
        pixels: NDArray[np.uint8],
        numbers: Sequence[int],
        scan: Scan,
        *,
        plane: str = "axial",
        are_layers: bool = False,
    ) -> None:
        """Show the slices of ``scan`` as the network sees them, or the layers of its cube.

        Parameters
        ----------
        pixels : ndarray, shape (n, h, w), uint8
        numbers : sequence of int
            Voxel index along ``plane`` of each slice, or number of each picture.
        scan : Scan
            Ignored unless it is the scan chosen now.
        plane : {"axial", "coronal", "sagittal"}
            Which slices of a volume they are.
        are_layers : bool
            Whether the network sees them all at once, as a cube.
        """
        if self._is_late(scan):
            return
        self._strip_words = (
            self.tr("As the network sees it: a cube of {n} layers, {label}")
            if are_layers
            else self.tr("As the network sees them: {n} slices, {label}")
        )
        self._strip_of = (pixels, tuple(int(number) for number in numbers), scan, plane)
        self._write_strip()
        self._strip_box.setVisible(True)
        # Ready-made slices need no second strip of the same.
        self._viewer.set_strip_visible(False)
        self._mark_slice()

    def show_slice_settings(self, text: str) -> None:
        """Say in the bottom line which slices are cut."""
        self._slices_label.setText(text)
        self._slices_label.setToolTip(text)

    def show_split(self, text: str, leaks: bool, *, is_compared: bool = True) -> None:
        """Say in the bottom line how subjects are split, and what the audit found.

        ``is_compared`` False says that the slices were not looked at yet.
        """
        if leaks:
            said = self.tr("Audit: leaks")
            tip = self.tr("Parts share subjects, scans or slices: test accuracy will be too high.")
        elif is_compared:
            said = self.tr("Audit: no leak")
            tip = self.tr("No subject and no slice is on two sides of the split.")
        else:
            said = self.tr("Audit: no leak so far")
            tip = self.tr("No subject is on two sides of the split. Slices are not compared yet.")
        self._write_split(text, said, tip, is_bad=leaks)

    def show_split_fault(self, text: str, fault: str) -> None:
        """Say in the bottom line that the split cannot be used."""
        self._write_split(text, self.tr("Audit: split fails"), fault, is_bad=True)

    def _write_split(self, text: str, said: str, tip: str, *, is_bad: bool) -> None:
        self._split_label.setText(text)
        self._split_label.setToolTip(text)
        self._audit.setVisible(True)
        self._audit.setText(said)
        put_icon(self._audit, "shield-alert" if is_bad else "shield-check")
        self._audit.setToolTip(f"{tip} {self.tr('Click for the whole audit.')}")
        self._audit.setProperty("leaks", is_bad)
        # The style sheet of the application hides a button's palette.
        red = f"color: {alarm_colour(self.palette()).name()}; font-weight: 600;"
        self._audit.setStyleSheet(red if is_bad else "")

    def show_busy(self, text: str) -> None:
        """Say what is being read: in the viewer, or on the welcome page before there is one."""
        self.dismiss_problem()
        if self._cohort is None:
            self._welcome.show_busy(text)
        else:
            self._shown = None
            self._viewer.show_busy(text)

    def show_problem(self, text: str) -> None:
        """Say what went wrong and what to do, above everything, until it is dismissed."""
        self._welcome.show_ready()
        if self._cohort is not None and self._shown is None:
            self._viewer.show_empty(self.tr("This scan cannot be shown"))
        self._problem.show_text(text)

    def dismiss_problem(self) -> None:
        """Take the problem away."""
        self._problem.hide()

    def show_recent(self) -> None:
        """List on the welcome page what was opened before; what is gone turns grey later."""
        paths = preferences.recent()
        self.set_recent(paths, gone=self._recent_check.gone)
        self._recent_check.look_for(paths)

    def set_recent(self, paths: Sequence[Path], *, gone: Collection[Path] = ()) -> None:
        """List what was opened before on the welcome page, the last one first."""
        self._welcome.set_recent(paths, gone=gone)

    def clear(self) -> None:
        """Forget the cohort and show the welcome page."""
        self._undo_stack.clear()
        self._cohort = None
        self._forget_scan()
        self._scans.show_cohort(None)
        self._write_notes([])
        self.set_checking(False)
        self.show_slice_settings("")
        self._split_label.setText("")
        self._audit.setVisible(False)
        self.dismiss_problem()
        self._welcome.show_ready()
        self._stack.setCurrentIndex(0)

    # Building

    def _build_welcome(self) -> QWidget:
        self._welcome = WelcomePage()
        self._welcome.open_folder_requested.connect(self.open_folder_requested)
        self._welcome.demo_requested.connect(self.demo_requested)
        self._welcome.recent_chosen.connect(self.recent_chosen)
        self._welcome.recent_removed.connect(self._on_recent_removed)
        self._recent_check = RecentCheck(self)
        self._recent_check.looked.connect(self._on_recent_looked)
        return self._welcome

    def _build_page(self) -> QWidget:
        self._scans = ScanList()
        self._scans.scan_selected.connect(self._on_scan_selected)
        self._scans.change_asked.connect(self._on_change_asked)
        self._scans.compare_asked.connect(self.compare_requested)
        self._scans.thumbnails_wanted.connect(self.thumbnails_wanted)
        self._scans.set_thumbnails_shown(preferences.shows_thumbnails())
        self._scans.thumbnails_toggled.connect(preferences.set_shows_thumbnails)
        splitter = RememberedSplitter("cohort", (500, 700), Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.fill(self._scans, self._build_viewer())
        splitter.setStretchFactor(0, 2)
        splitter.setStretchFactor(1, 3)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addWidget(splitter, 1)
        column.addLayout(self._build_bottom())
        return scrolling(page, width=880, height=520)

    def _build_viewer(self) -> QWidget:
        self._viewer = SliceViewer()
        self._viewer.crosshair_moved.connect(self._mark_slice)
        self._viewer.picture_changed.connect(self._mark_slice)
        self._viewer.flip_requested.connect(self._on_flip_requested)
        self._viewer.set_viewer_layout(ViewerLayout(*preferences.viewer_layout()))
        self._viewer.layout_changed.connect(self._on_layout_changed)
        self._viewer.failed.connect(self.show_problem)
        self._viewer.cloud_requested.connect(self._on_cloud_requested)
        self._strip = SliceStrip()
        self._strip.slice_chosen.connect(self._on_strip_chosen)
        self._strip_label = QLabel(self.tr("As the network sees them"))
        self._strip_box = QWidget()
        strip = QVBoxLayout(self._strip_box)
        strip.setContentsMargins(0, 0, 0, 0)
        strip.setSpacing(4)
        strip.addWidget(self._strip_label)
        strip.addWidget(self._strip)
        self._strip_box.setVisible(False)
        side = QWidget()
        side.setMinimumWidth(scaled(_VIEWER_WIDTH) + GAP)
        column = QVBoxLayout(side)
        column.setContentsMargins(8, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._viewer, 1)
        column.addWidget(self._strip_box)
        return side

    def _build_bottom(self) -> QHBoxLayout:
        self._slices_label = ElidedLabel()
        self._slices_label.setAccessibleName(self.tr("Slices"))
        self._split_label = ElidedLabel()
        self._split_label.setAccessibleName(self.tr("Split"))
        self._audit = QPushButton()
        self._audit.setAccessibleName(self.tr("Audit of the split"))
        put_icon(self._audit, "shield-check")
        self._audit.clicked.connect(self.audit_requested)
        self._audit.setVisible(False)
        self._train = QPushButton(self.tr("Train ›"))
        self._train.setAccessibleName(self.tr("Train"))
        self._train.setProperty("primary", True)
        put_icon(self._train, "brain-circuit")
        self._train.clicked.connect(self.train_requested)
        settings = QWidget()
        line = QHBoxLayout(settings)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(16)
        line.addWidget(self._slices_label, 1)
        line.addWidget(self._split_label, 1)
        line.addWidget(self._audit)
        self._obstacle = ElidedLabel()
        # What keeps one from training takes the place of the settings of the training.
        self._bottom = QStackedWidget()
        self._bottom.addWidget(settings)
        self._bottom.addWidget(self._obstacle)
        self._bottom.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(self._bottom, 1)
        row.addWidget(self._train)
        return row

    def _build_actions(self) -> None:
        self._undo_action = self._undo_stack.createUndoAction(self, self.tr("Undo"))
        self._undo_action.setShortcuts(QKeySequence.StandardKey.Undo)
        self._redo_action = self._undo_stack.createRedoAction(self, self.tr("Redo"))
        self._redo_action.setShortcuts(QKeySequence.StandardKey.Redo)
        self._check_action = QAction(self.tr("Check all voxels"), self)
        name_icon(self._check_action, "scan-search")
        self._check_action.setToolTip(
            self.tr(
                "Read every scan in full: the same scan under two names, an odd brightness, files "
                "that have changed"
            )
        )
        self._check_action.setEnabled(False)
        self._check_action.triggered.connect(self._on_check_asked)
        self._scans.check_button.setDefaultAction(self._check_action)
        for action in (self._undo_action, self._redo_action):
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            self.addAction(action)

    # Showing

    def _apply(self, cohort: Cohort) -> None:
        """Put a changed cohort in place and say so."""
        self._cohort = cohort
        self._scans.show_cohort(cohort)
        self._write_readiness()
        self._write_strip()
        shown = self._shown
        if shown is not None:
            self._viewer.set_title(_title(self._present(shown)))
        self.cohort_changed.emit(cohort)
        if shown is not None and self._present(shown).flipped != shown.flipped:
            self._forget_scan()
            self.scan_selected.emit(self._present(shown))

    def _present(self, scan: Scan) -> Scan:
        """Return ``scan`` as the cohort has it now."""
        scans = self._cohort.scans if self._cohort is not None else ()
        return next((now for now in scans if now.key == scan.key), scan)

    def _write_strip(self) -> None:
        if self._strip_of is None or self._cohort is None:
            return
        pixels, numbers, scan, _ = self._strip_of
        label = self._present(scan).label
        labels = class_labels(self._cohort)
        order = labels.index(label) if label in labels else 0
        self._strip_label.setText(self._strip_words.format(n=len(numbers), label=label))
        colour = class_colour(label, order)
        self._strip.show_slices(pixels, numbers, colour, self._strip.current)
        if scan.kind == "volume":
            self._viewer.set_network_slices(self._strip_of[3], numbers, colour)

    def _on_class_colours(self) -> None:
        self._write_strip()
        self._mark_slice()

    def _mark_slice(self) -> None:
        """Mark in the strip the slice that the viewer shows."""
        number = self._viewed_number()
        if self._strip_of is None or self._shown is None:
            return
        numbers = self._strip_of[1]
        self._strip.set_current(numbers.index(number) if number in numbers else None)

    def show_slice(self, key: str, number: int, *, plane: str = "axial") -> bool:
        """Choose a scan and, once it is read, its slice; return whether the cohort has it.

        ``number`` is that of a ready-made slice, or the voxel index along ``plane``.
        """
        return self._show_awaited(_Awaited(key, number, plane))

    def show_map(
        self, key: str, number: int, values: NDArray[np.float32], words: str, *, plane: str
    ) -> bool:
        """Lay a map (X, Y, Z) over a scan, which is chosen first; see :meth:`show_slice`."""
        return self._show_awaited(_Awaited(key, number, plane, values, words))

    def _show_awaited(self, awaited: _Awaited) -> bool:
        key = awaited.key
        scans = self._cohort.scans if self._cohort is not None else ()
        if not any(scan.key == key for scan in scans):
            return False
        self._awaited = awaited
        if self._shown is not None and self._shown.key == key:
            self._go_to_awaited()
        else:
            self._scans.filter_box.clear()
            self._scans.select(key)
        return True

    def _go_to_awaited(self) -> None:
        """Go to the slice, and lay over the map, that were asked for before the scan was read."""
        awaited, shown = self._awaited, self._shown
        if awaited is None or shown is None or awaited.key != shown.key:
            return
        self._awaited = None
        if shown.kind != "volume":
            self._viewer.set_picture_number(awaited.number)
        else:
            self._viewer.set_slice(awaited.plane, awaited.number)
        if awaited.values is not None:
            self._viewer.set_map(awaited.values, awaited.words)

    def _on_cloud_requested(self) -> None:
        if self._shown is not None:
            self.cloud_requested.emit(self._shown)

    def _viewed_number(self) -> int | None:
        if self._shown is None or self._strip_of is None:
            return None
        if self._shown.kind == "volume":
            return self._viewer.slice_index(self._strip_of[3])
        return self._viewer.picture_number()

    def _write_notes(self, texts: Sequence[str]) -> None:
        self._notes = list(texts)[-_MOST_NOTES:]
        self._scans.show_notes(self._notes)

    def _write_readiness(self) -> None:
        assert self._cohort is not None
        tip, ready = self.tr("Choose networks and train them on these scans"), True
        try:
            self._cohort.require_trainable()
        except CohortError as error:
            tip, ready = str(error), False
        self._train.setEnabled(ready)
        self._train.setToolTip(tip)
        self._obstacle.setText("" if ready else tip)
        self._obstacle.setToolTip(tip)
        self._bottom.setCurrentIndex(0 if ready else 1)

    def _forget_scan(self) -> None:
        self._shown = self._strip_of = None
        self._strip.clear()
        self._strip_box.setVisible(False)
        self._viewer.set_strip_visible(True)
        self._viewer.show_empty(self.tr("Choose a scan in the table"))

    def _is_late(self, scan: Scan) -> bool:
        """Tell whether ``scan`` was loaded for a choice that is no longer the present one."""
        selected = self._scans.selected_scan
        return selected is not None and selected.key != scan.key

    # Events

    def _on_check_asked(self) -> None:
        self.check_requested.emit()

    def _on_scan_selected(self, scan: Scan) -> None:
        if self._shown is not None and self._shown.key == scan.key:
            return
        self._forget_scan()
        self.scan_selected.emit(scan)

    def _on_change_asked(self, text: str, changed: Cohort) -> None:
        assert self._cohort is not None
        self._undo_stack.push(_CohortChange(text, self._cohort, changed, self._apply))

    def _on_flip_requested(self, flipped: bool) -> None:
        """Keep the choice with the scan and have the scan read anew."""
        if self._shown is None or self._cohort is None:
            return
        key = self._shown.key
        scans = [
            dataclasses.replace(scan, flipped=flipped) if scan.key == key else scan
            for scan in self._cohort.scans
        ]
        text = self.tr("Flip {scan}").format(scan=key)
        self._on_change_asked(text, self._cohort.with_scans(scans))

    def _on_recent_looked(self, looked: Looked) -> None:
        self._welcome.mark_gone(looked.path, looked.is_gone)

    def _on_recent_removed(self, path: Path) -> None:
        preferences.forget_recent(path)
        self.show_recent()

    def _on_layout_changed(self, layout: ViewerLayout) -> None:
        preferences.set_viewer_layout(layout.enlarged, layout.crosshair, layout.network_slices)

    def _on_strip_chosen(self, position: int) -> None:
        if self._strip_of is None or self._shown is None:
            return
        number = self._strip_of[1][position]
        if self._shown.kind == "volume":
            self._viewer.set_slice(self._strip_of[3], number)
        else:
            self._viewer.set_picture_number(number)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take local files and folders, nothing else."""
        if paths := local_paths(event.mimeData()):
            event.acceptProposedAction()
            self._welcome.set_dragged_over(True)
            self.dragged_over.emit("" if self._cohort is None else drop_words(paths))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Take the mark away."""
        self._welcome.set_dragged_over(False)
        self.dragged_over.emit("")
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand the paths on."""
        self._welcome.set_dragged_over(False)
        self.dragged_over.emit("")
        paths = local_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.paths_dropped.emit(paths)


class _CohortChange(QUndoCommand):
    """One change of the cohort, there and back."""

    def __init__(
        self, text: str, before: Cohort, after: Cohort, apply: Callable[[Cohort], None]
    ) -> None:
        super().__init__(text)
        self._before, self._after, self._apply = before, after, apply

    def redo(self) -> None:
        self._apply(self._after)

    def undo(self) -> None:
        self._apply(self._before)


def _title(scan: Scan) -> str:
    return f"{scan.key} · {scan.label}"
