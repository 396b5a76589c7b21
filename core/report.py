"""Figures, tables and one HTML page of a run or of several runs."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import atomic_file, figure_file
from core.analysis import (
    comparison,
    correlation,
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
from core.analysis.control_runs import shuffled_label_runs
from core.config import setting_fields
from core.errors import AnalysisError
from core.figure import Figure, Table
from core.progress import Notice, Operation, Progress
from core.run_folder import Run

_RESEARCH_ONLY = "Research use only, not a medical device."
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
img { max-width: 100%; } .warning { color: #b00020; font-weight: 600; }
.small { color: #555; font-size: .85rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
"""


@dataclass(frozen=True)
class AnalysisFiles:
    """What was written for a run: pictures (PNG, SVG and CSV each) and tables."""

    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


def run_figures(run: Run) -> Iterator[Callable[[], Figure]]:
    """Yield the makers of every figure of a run, the most telling first."""
    yield lambda: weights.fcl_scatter(run)
    yield lambda: null_figures.fcl_null(run)
    yield lambda: null_figures.nulls_figure(run, controls=shuffled_label_runs(run))
    yield lambda: weight_rows.rows_figure(run)
    if len(run.classes) > 2:
        yield lambda: weights.pair_matrix(run)
        yield lambda: null_figures.centred_rows_figure(run)
    yield lambda: features.feature_cloud(run)
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


def run_tables(run: Run) -> Iterator[Callable[[], Table]]:
    """Yield the makers of every table of a run."""
    yield lambda: evaluation.accuracy_table(run)
    yield lambda: scores.scores_table(run)
    yield lambda: scores.scores_table(run, unit="subject")
    yield lambda: scores.scores_table(run, unit="majority")
    yield lambda: scores.class_scores_table(run)
    yield lambda: scores.calibration_table(run)
    yield lambda: weights.fits_table(run)
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
    yield lambda: evaluation.confusion_table(run)
    yield lambda: weights.fcl_weights_table(run)


def write_analysis(run: Run, out: Path) -> Operation[AnalysisFiles]:
    """Write every figure (PNG, SVG, CSV) to ``out/figures`` and every table to ``out/tables``.

    A figure that this run's arrays do not allow is said in a Notice; the others go on.
    """
    figures, tables = list[Path](), list[Path]()
    makers = list(run_figures(run))
    for done, make in enumerate(makers):
        yield Progress("Drawing figures", done, len(makers))
        try:
            figures += figure_file.write_figure(make(), out / "figures")
        except AnalysisError as error:
            yield Notice(str(error))
    for make_table in run_tables(run):
        yield Progress("Writing tables", len(tables))
        try:
            table = make_table()
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
        yield Progress("Drawing figures", done, len(makers))
        try:
            figures += figure_file.write_figure(make(), out)
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


def write_html(runs: Sequence[Run], path: Path) -> Operation[Path]:
    """Write one page that holds everything of the runs: it opens in any browser, offline."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>MRI-FCL report</title><style>{_STYLE}</style></head><body>",
        f"<h1>MRI-FCL report</h1><p class='small'>{_RESEARCH_ONLY}</p>",
    ]
    if len(runs) > 1:
        parts += [
            "<h2>Runs compared</h2>",
            _table_html(comparison.table_2(runs)),
            _table_html(comparison.claims(runs)),
        ]
    for run in runs:
        parts.append(
            f"<h2>{html.escape(run.network_title)}, "
            f"{html.escape(run.regime_title.lower())} "
            f"<span class='small'>{html.escape(run.name)}</span></h2>"
        )
        if run.warning:
            parts.append(f"<p class='warning'>{html.escape(run.warning)}</p>")
        parts.append(_settings_html(run))
        makers = list(run_figures(run))
        for done, make in enumerate(makers):
            yield Progress(f"Report of {run.name}", done, len(makers))
            try:
                parts.append(_figure_html(make()))
            except AnalysisError as error:
                parts.append(f"<p class='small'>{html.escape(str(error))}</p>")
        for make_table in list(run_tables(run))[:-1]:
            try:
                parts.append(_table_html(make_table()))
            except AnalysisError as error:
                parts.append(f"<p class='small'>{html.escape(str(error))}</p>")
    parts.append("</body></html>")
    atomic_file.write_text(path, "\n".join(parts))
    return path


def _figure_html(figure: Figure) -> str:
    picture = base64.b64encode(figure_file.figure_png_bytes(figure, dpi=130)).decode("ascii")
    return (
        f"<h3>{html.escape(figure.title)}</h3>"
        f"<img alt='{html.escape(figure.title, quote=True)}' "
        f"src='data:image/png;base64,{picture}'>"
    )


def _settings_html(run: Run) -> str:
    cells = []
    for field in setting_fields():
        value = getattr(getattr(run.settings, field.group), field.name)
        if field.name == "mode":
            # A split file or a fold is not seen from the mode alone.
            cells.append(f"Split: <b>{html.escape(run.split_text)}</b>")
        elif not field.advanced and value not in (None, ""):
            cells.append(f"{html.escape(field.title)}: <b>{html.escape(str(value))}</b>")
    return f"<p class='small'>{' · '.join(cells)} · {html.escape(str(run.record['device']))}</p>"


def _table_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.rows
    )
    warning = f"<p class='warning'>{html.escape(table.warning)}</p>" if table.warning else ""
    return (
        f"<h3>{html.escape(table.title)}</h3>{warning}<table><tr>{head}</tr>{body}</table>"
        f"<p class='small'>{html.escape(table.caption)}</p>"
    )


def _cell(value: object) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
