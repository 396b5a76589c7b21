"""Joins the session to runs and their analysis, and a dot of a figure to its slice."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from core.analysis.comparison import PAPER_TABLE_2
from core.analysis.map_volume import MapPictures, MapVolume
from core.data.cohort import Scan
from core.errors import RunError
from core.run_folder import Run
from mrifcl_gui.analysis_tabs import AnalysisTabs
from mrifcl_gui.cohort_panel import CohortPanel
from mrifcl_gui.messages import show_error
from mrifcl_gui.run_marks import MARKS_FILE
from mrifcl_gui.runs_panel import RunsPanel
from mrifcl_gui.session import Session


class RunsLink(QObject):
    """Opens the runs that are asked for; goes from a dot to the brain and back.

    Parameters
    ----------
    window : QWidget
        What dialogs lie above.
    session : Session
    panel : RunsPanel
    analysis : AnalysisTabs
    cohort : CohortPanel
        Where a slice is shown in its brain.
    """

    place_wanted = Signal(str)

    def __init__(
        self,
        window: QWidget,
        session: Session,
        *,
        panel: RunsPanel,
        analysis: AnalysisTabs,
        cohort: CohortPanel,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._panel = panel
        self._analysis = analysis
        self._cohort = cohort
        self._comparing = False
        self._connect()

    def _connect(self) -> None:
        panel, session = self._panel, self._session
        panel.set_paper_rows(
            {
                (row.network, row.regime.removesuffix(" long"), row.regime.endswith("long")): (
                    row.train,
                    row.validation,
                    row.test,
                    row.seconds,
                )
                for row in PAPER_TABLE_2
            }
        )
        panel.analyse_requested.connect(session.open_runs)
        panel.compare_requested.connect(self._on_compare)
        panel.folder_requested.connect(self._on_folder)
        panel.train_requested.connect(self._on_train_place)
        panel.resume_requested.connect(session.resume)
        panel.marks.open(session.data_folder / MARKS_FILE)
        session.runs_changed.connect(self._on_runs_changed)
        session.runs_opened.connect(self._on_runs_opened)
        self._analysis.problem.connect(session.problem)
        self._analysis.runs_requested.connect(self._on_runs_place)
        self._analysis.runs_made.connect(session.refresh_runs)
        self._analysis.slice_panel.viewer_requested.connect(self._on_viewer_requested)
        self._analysis.slice_panel.overlay_requested.connect(self._on_overlay_requested)
        self._cohort.cloud_requested.connect(self._on_cloud_requested)
        session.problem.connect(self._on_problem)

    def _on_runs_changed(self, runs: list[Run]) -> None:
        # The folder of all data may be another one now.
        self._panel.marks.open(self._session.data_folder / MARKS_FILE)
        self._panel.show_runs(runs)

    def _on_runs_opened(self, runs: list[Run]) -> None:
        self._analysis.show_runs(runs)
        if self._comparing:
            self._analysis.show_comparison()
            self._comparing = False
        self.place_wanted.emit("analyse")

    def _on_compare(self, paths: list[Path]) -> None:
        self._comparing = True
        self._session.open_runs(paths)

    def _on_folder(self, path: Path) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    def _on_cloud_requested(self, scan: Scan) -> None:
        run, viewer = self._analysis.run, self._cohort.viewer
        if run is None:
            self._cohort.show_problem(
                self.tr("No run is open. Choose one in Runs and press Analyse, then try again.")
            )
            return
        is_volume = scan.kind == "volume"
        plane = run.settings.slices.plane
        number = viewer.slice_index(plane) if is_volume else viewer.picture_number()
        if self._analysis.choose_slice(scan.key, number or 0):
            self.place_wanted.emit("analyse")
            return
        self._cohort.show_problem(
            self.tr(
                "Run '{0}' has not seen the scan {1}. Open a run of this cohort in Analyse."
            ).format(run.name, scan.key)
        )

    def _on_viewer_requested(self, scan: str, number: int) -> None:
        if self._cohort.show_slice(scan, number, plane=self._plane_of_run()):
            self.place_wanted.emit("cohort")
        else:
            self._tell_other_cohort(scan)

    def _on_overlay_requested(self, stacked: MapVolume | MapPictures, number: int) -> None:
        words = self.tr("{0} of {1}, {2}").format(stacked.method, stacked.label, stacked.scan)
        is_there = self._cohort.show_map(
            stacked.scan, number, stacked.values, words, plane=self._plane_of_run()
        )
        if is_there:
            self.place_wanted.emit("cohort")
        else:
            self._tell_other_cohort(stacked.scan)

    def _plane_of_run(self) -> str:
        run = self._analysis.run
        return run.settings.slices.plane if run is not None else "axial"

    def _tell_other_cohort(self, scan: str) -> None:
        run = self._analysis.run
        name = run.record["cohort"]["name"] if run is not None else ""
        show_error(
            self._window,
            RunError(
                self.tr(
                    "The scan {0} is not in the cohort that is open. Open the cohort '{1}' of "
                    "the run first (File, Open cohort or run)."
                ).format(scan, name)
            ),
        )

    def _on_train_place(self) -> None:
        self.place_wanted.emit("train")

    def _on_runs_place(self) -> None:
        self.place_wanted.emit("runs")

    def _on_problem(self, _error: BaseException) -> None:
        self._comparing = False
