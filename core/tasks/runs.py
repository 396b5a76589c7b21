"""Open runs, analyse and compare them, and write their reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data import cohort as cohort_file
from core.errors import MriFclError, RunError
from core.figure import Table
from core.progress import Notice, Operation, Progress
from core.report_contents import USUAL, ReportContents
from core.run_folder import Run
from core.run_lock import holder_of, in_use_sentence
from core.tasks.run_cohort import cohort_folder_of

if TYPE_CHECKING:
    from core.analysis.correlation import Method


def open_run(run_folder: Path) -> Operation[Run]:
    """Read a run; a stopped one gets its features first, where its cohort is still there."""
    run = Run(run_folder)
    yield Progress(f"Opening {run.name}")
    if not run.has_features:
        yield from _complete(run)
        run = Run(run_folder)
    if run.has_features:
        _ = run.features, run.fc_history, run.history
    return run


def _complete(run: Run) -> Operation[None]:
    if not run.record.get("epochs_done"):
        return
    holder = holder_of(run.path)
    if holder is not None:
        yield Notice(in_use_sentence(run.path, holder))
        return
    try:
        cohort = cohort_file.load_cohort(cohort_folder_of(run))
    except MriFclError as error:
        yield Notice(str(error))
        return
    yield Progress("Starting torch")
    from core.training import train as training

    yield from training.complete_features(run.path, cohort)


def analyse(
    run_folder: Path, out: Path | None = None, *, width_mm: float = 180, dpi: int = 300
) -> Operation[Any]:
    """Write all figures and tables of a run, into the run folder if ``out`` is not given.

    ``width_mm`` is the figures' width on paper, ``dpi`` the resolution of their PNG.
    """
    from core import report

    run = yield from open_run(run_folder)
    if not run.has_features:
        raise RunError(f"Run '{run.name}' has no features yet. Let its training end, or resume it.")
    folder = out or run_folder
    return (yield from report.write_analysis(run, folder, width_mm=width_mm, dpi=dpi))


def compare(run_folders: Sequence[Path], out: Path) -> Operation[Any]:
    """Write Table 2 of the runs beside the paper's."""
    from core import report

    return (yield from report.write_comparison([Run(path) for path in run_folders], out))


def correlate(
    run_folder: Path,
    *,
    scans: Sequence[str] | None = None,
    part: str = "test",
    method: Method = "pearson",
    out: Path | None = None,
) -> Operation[tuple[list[Table], list[Path]]]:
    """Correlate a run's FCL rows with each other and with scans; return tables and files.

    Figures and tables are written only where ``out`` is given.
    """
    from core import figure_file
    from core.analysis import correlation, scan_correlation

    run = yield from open_run(run_folder)
    yield Progress("Correlating")
    chosen: dict[str, Any] = {"part": part, "method": method, "scans": scans}
    tables = [
        correlation.row_correlation_table(run, method=method),
        scan_correlation.weight_class_correlation_table(run, **chosen),
        scan_correlation.weight_scan_correlation_table(run, **chosen),
    ]
    if out is None:
        return tables, []
    files = []
    for table in tables:
        files.append(out / f"{table.name}.csv")
        table.write(files[-1])
    for figure in (
        correlation.row_correlation(run, method=method),
        scan_correlation.weight_scan_correlation(run, **chosen),
        scan_correlation.scan_map(run, **chosen),
    ):
        yield Progress("Drawing figures")
        files += figure_file.write_figure(figure, out)
    return tables, files


def report_html(
    run_folders: Sequence[Path], path: Path, contents: ReportContents = USUAL
) -> Operation[Path]:
    """Write the report page of the runs."""
    from core import report_page

    runs = yield from _open_runs(run_folders)
    return (yield from report_page.write_html(runs, path, contents))


def report_text(run_folders: Sequence[Path], contents: ReportContents = USUAL) -> Operation[str]:
    """Return the report page of the runs as HTML."""
    from core import report_page

    runs = yield from _open_runs(run_folders)
    return (yield from report_page.page_html(runs, contents))


def report_zip(
    run_folders: Sequence[Path], path: Path, contents: ReportContents = USUAL
) -> Operation[Path]:
    """Write every figure and table of the runs into one ZIP."""
    from core import report_page

    runs = yield from _open_runs(run_folders)
    return (yield from report_page.write_zip(runs, path, contents))


def time_lapse(
    run_folder: Path,
    figure: str,
    path: Path,
    *,
    epochs_per_second: float = 5.0,
    strip_epochs: str = "",
) -> Operation[Path]:
    """Write one figure of a run over its epochs: GIF or MP4, or PNG, SVG or CSV of a strip.

    Parameters
    ----------
    figure : str
        One of :data:`core.report_contents.TIME_LAPSES`.
    strip_epochs : str
        Epochs of the strip (``0, 5, 10``); without it some, evenly over all.
    """
    from core import report
    from core import time_lapse as lapse

    run = yield from open_run(run_folder)
    make, epochs = report.time_lapse_of(run, figure)
    if path.suffix.lower().lstrip(".") in lapse.FORMATS:
        return (
            yield from lapse.save_time_lapse(
                make, epochs, path, frames_per_second=epochs_per_second
            )
        )
    chosen = (
        lapse.epochs_in(strip_epochs, epochs)
        if strip_epochs
        else lapse.chosen_epochs(epochs, lapse.STRIP_EPOCHS)
    )
    return (yield from lapse.save_strip(make, chosen, path))


def _open_runs(run_folders: Sequence[Path]) -> Operation[list[Run]]:
    runs = []
    for folder in run_folders:
        runs.append((yield from open_run(folder)))
    return runs
