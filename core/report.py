"""Figures, tables and one HTML page of a run or of several runs."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import atomic_file, figure_file
from core.analysis import comparison, correlation, evaluation, features, weights
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
    yield lambda: weights.fcl_null(run)
    yield lambda: features.feature_cloud(run)
    yield lambda: correlation.row_correlation(run)
    yield lambda: correlation.weight_scan_correlation(run)
    yield lambda: evaluation.confusion(run, by="slice")
    yield lambda: evaluation.confusion(run, by="subject")
    yield lambda: evaluation.curves(run)
    yield lambda: weights.row_sum_drift_figure(run)


def run_tables(run: Run) -> Iterator[Callable[[], Table]]:
    """Yield the makers of every table of a run."""
    yield lambda: evaluation.accuracy_table(run)
    yield lambda: weights.fits_table(run)
    yield lambda: weights.null_table(run)
    yield lambda: correlation.row_correlation_table(run)
    yield lambda: correlation.weight_scan_correlation_table(run)
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
    table, claims = comparison.table_2(runs), comparison.claims(runs)
    tables, figures = list[Path](), list[Path]()
    for item in (table, claims):
        tables.append(out / f"{item.name}.csv")
        item.write(tables[-1])
    with_features = [run for run in runs if run.has_features][:4]
    if with_features:
        yield Progress("Drawing feature clouds", len(runs), len(runs))
        try:
            figures += figure_file.write_figure(features.feature_clouds(with_features), out)
        except AnalysisError as error:
            yield Notice(str(error))
    return table, AnalysisFiles(tuple(figures), tuple(tables))


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
