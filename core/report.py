"""Figures and tables of a run or of several runs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import figure_file, time_lapse
from core.analysis import (
    clouds,
    collapse,
    comparison,
    correlation,
    dispersion,
    dispersion_figure,
    evaluation,
    features,
    leakage_meter,
    null_figures,
    pairing,
    paper_table,
    scan_correlation,
    scores,
    weight_rows,
    weights,
)
from core.analysis.clouds import CloudStyle
from core.analysis.control_runs import shuffled_label_runs
from core.errors import AnalysisError
from core.figure import Figure, Table
from core.progress import Notice, Operation, Progress, finished
from core.run_folder import Run


@dataclass(frozen=True)
class AnalysisFiles:
    """What was written for a run: pictures (PNG, SVG and CSV each) and tables."""

    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


def run_figures(run: Run) -> Iterator[Callable[[], Figure | Operation[Figure]]]:
    """Yield the makers of every figure of a run, the most telling first."""
    yield lambda: weights.fcl_scatter(run)
    yield lambda: null_figures.fcl_null(run)
    yield lambda: null_figures.nulls_figure(run, controls=shuffled_label_runs(run))
    yield lambda: weight_rows.rows_figure(run)
    if len(run.classes) > 2:
        yield lambda: weights.pair_matrix(run)
        yield lambda: null_figures.centred_rows_figure(run)
    yield lambda: clouds.logit_cloud(run, style=CloudStyle(densities=True))
    yield lambda: clouds.projected_cloud(run, "pca")
    yield lambda: clouds.projected_cloud(run, "lda")
    yield lambda: clouds.projected_cloud(run, "tsne")
    yield lambda: dispersion_figure.dispersion_figure([run])
    yield lambda: collapse.collapse_figure(run)
    yield lambda: correlation.row_correlation(run)
    yield lambda: scan_correlation.weight_scan_correlation(run)
    yield lambda: scan_correlation.scan_map(run)
    yield lambda: scores.scores_figure(run)
    yield lambda: scores.scores_figure(run, unit="subject")
    yield lambda: evaluation.confusion(run, by="slice")
    yield lambda: evaluation.confusion(run, by="subject")
    yield lambda: evaluation.confusion(run, by="majority")
    yield lambda: scores.roc(run)
    yield lambda: scores.roc(run, unit="subject")
    yield lambda: scores.calibration(run)
    yield lambda: evaluation.curves(run)
    yield lambda: null_figures.row_sum_drift_figure(run)


def run_tables(run: Run) -> Iterator[Callable[[], Table | Operation[Table]]]:
    """Yield the makers of every table of a run."""
    yield lambda: evaluation.accuracy_table(run)
    yield lambda: scores.scores_table(run)
    yield lambda: scores.scores_table(run, unit="subject")
    yield lambda: scores.scores_table(run, unit="majority")
    yield lambda: scores.class_scores_table(run)
    yield lambda: scores.calibration_table(run)
    yield lambda: weights.fits_table_with_permutations(run, permutations=999)
    yield lambda: null_figures.null_table(run)
    yield lambda: null_figures.nulls_table(run, controls=shuffled_label_runs(run))
    if len(run.classes) > 2:
        yield lambda: null_figures.centred_rows_table(run)
    yield lambda: weight_rows.rows_table(run)
    yield lambda: weight_rows.rows_by_epoch_table(run)
    yield lambda: correlation.row_correlation_table(run)
    yield lambda: scan_correlation.weight_class_correlation_table(run)
    yield lambda: scan_correlation.weight_scan_correlation_table(run)
    yield lambda: features.dispersion_table(run)
    yield lambda: dispersion.measures_table(run)
    yield lambda: dispersion.measures_table(run, space="penultimate")
    yield lambda: collapse.collapse_table(run)
    yield lambda: evaluation.confusion_table(run)
    yield lambda: weights.fcl_weights_table(run)


def write_analysis(
    run: Run, out: Path, *, width_mm: float = 180, dpi: int = 300
) -> Operation[AnalysisFiles]:
    """Write every figure (PNG, SVG, CSV) to ``out/figures`` and every table to ``out/tables``.

    ``width_mm`` is the figures' width on paper, ``dpi`` the resolution of their PNG.
    A figure that this run's arrays do not allow is said in a Notice; the others go on.
    """
    figures, tables = list[Path](), list[Path]()
    makers = list(run_figures(run))
    for done, make in enumerate(makers):
        progress = Progress("Drawing figures", done, len(makers))
        yield progress
        try:
            figure = yield from finished(make())
            figures += yield from figure_file.write_in_steps(
                figure, out / "figures", width_mm=width_mm, dpi=dpi, progress=progress
            )
        except AnalysisError as error:
            yield Notice(str(error))
    for make_table in run_tables(run):
        yield Progress("Writing tables", len(tables))
        try:
            table = yield from finished(make_table())
        except AnalysisError as error:
            yield Notice(str(error))
            continue
        path = out / "tables" / f"{table.name}.csv"
        table.write(path)
        tables.append(path)
    return AnalysisFiles(tuple(figures), tuple(tables))


def write_comparison(runs: Sequence[Run], out: Path) -> Operation[tuple[Table, AnalysisFiles]]:
    """Write Table 2 of several runs beside the paper's, and what it says of the claims."""
    yield Progress("Comparing runs", 0, len(runs))
    table = comparison.table_2(runs)
    tables, figures = list[Path](), list[Path]()
    for item in (table, *comparison_tables(runs)):
        tables.append(out / f"{item.name}.csv")
        item.write(tables[-1])
    makers = comparison_figures(runs)
    for done, make in enumerate(makers):
        progress = Progress("Drawing figures", done, len(makers))
        yield progress
        try:
            figures += yield from figure_file.write_in_steps(make(), out, progress=progress)
        except AnalysisError as error:
            yield Notice(str(error))
    return table, AnalysisFiles(tuple(figures), tuple(tables))


def comparison_tables(runs: Sequence[Run]) -> list[Table]:
    """Return what several runs say beside Table 2: claims, the paper's rows, tests, leakage."""
    tables = [comparison.claims(runs), paper_table.paper_table(runs)]
    meters = [meter for run in runs[:1] for meter in leakage_meter.meters_of(runs, run.settings)]
    if meters:
        tables.append(leakage_meter.inflation_table(meters, leakage_meter.meter_warning(runs)))
    with_features = [run for run in runs if run.has_features]
    for number, other in enumerate(with_features[1:], start=2):
        # Runs of other splits or labels have nothing to be paired by.
        with contextlib.suppress(AnalysisError):
            test = pairing.paired_test(with_features[0], other)
            name = test.name if len(with_features) == 2 else f"{test.name}_1_{number}"
            tables.append(dataclasses.replace(test, name=name))
    return tables


def comparison_figures(runs: Sequence[Run]) -> list[Callable[[], Figure]]:
    """Return the makers of the figures of several runs."""
    with_features = [run for run in runs if run.has_features][:4]
    makers = list[Callable[[], Figure]]()
    if any(comparison.is_comparable(run) and comparison.paper_row(run) for run in runs):
        makers.append(lambda: paper_table.paper_figure(runs))
    if with_features:
        makers.append(lambda: features.feature_clouds(with_features))
    if len(with_features) > 1:
        makers.append(lambda: pairing.side_by_side(with_features))
    meters = [meter for run in runs[:1] for meter in leakage_meter.meters_of(runs, run.settings)]
    if meters:
        warning = leakage_meter.meter_warning(runs)
        makers.append(lambda: leakage_meter.inflation_figure(meters, warning))
    return makers


def time_lapse_of(run: Run, figure: str) -> tuple[time_lapse.Maker, tuple[int, ...]]:
    """Return the maker of a figure for an epoch, and the epochs that there are of it.

    Parameters
    ----------
    run : Run
    figure : str
        One of :data:`core.report_contents.TIME_LAPSES`.
    """
    stored = tuple(run.fc_history.epoch.tolist())
    lapses: dict[str, tuple[time_lapse.Maker, tuple[int, ...]]] = {
        "scatter": (lambda epoch: weights.fcl_scatter(run, epoch=epoch), stored),
        "null": (lambda epoch: null_figures.fcl_null(run, epoch=epoch), stored),
        "rows": (lambda epoch: weight_rows.rows_figure(run, epoch=epoch), stored),
        "correlation": (lambda epoch: correlation.row_correlation(run, epoch=epoch), stored),
        "cloud": (
            lambda epoch: clouds.logit_cloud(run, part="validation", epoch=epoch),
            run.epochs_of("validation"),
        ),
        "curves": (
            lambda epoch: time_lapse.mark_epoch(evaluation.curves(run), epoch),
            tuple(run.history.epoch.tolist()),
        ),
    }
    return lapses[figure]
