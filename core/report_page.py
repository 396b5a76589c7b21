"""The report of one run or of several: one page that opens anywhere, or a ZIP of its files."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

import core
from core import atomic_file, figure_file, report, text_file
from core.analysis import comparison
from core.config import setting_fields
from core.errors import AnalysisError, RunError
from core.figure import Figure, HeatMap, Layer, Scatter, Table
from core.progress import Operation, Progress, finished
from core.report_contents import USUAL, ReportContents
from core.run_folder import PARTS, Run

RESEARCH_ONLY = "Research use only, not a medical device."
# Longer tables are for a spreadsheet: they are in the ZIP alone.
_MOST_ROWS = 60
# Wider ones are turned, so that they fit on a page.
_MOST_COLUMNS = 9
_STYLE = """
body { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 15px;
       line-height: 1.5; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222222; background: #ffffff; }
h1 { font-size: 24px; } h2 { font-size: 19px; margin-top: 36px; }
h3 { font-size: 15px; margin-top: 24px; margin-bottom: 4px; }
img { max-width: 100%; height: auto; } .warning { color: #b00020; font-weight: 600; }
.small { color: #555555; font-size: 13px; }
.badge { color: #ffffff; border-radius: 4px; padding: 2px 8px; font-size: 13px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px;
        display: block; overflow-x: auto; }
th, td { padding: 3px 9px; border-bottom: 1px solid #dddddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
"""
_LIMITS = (
    "The numbers describe these slices, this split and this seed. Slices of one brain are much "
    "alike, so that the subjects are the sample, not the slices: read intervals by subject first. "
    "Where parts share subjects, scans or slices, accuracies are inflated and say nothing of new "
    "people.",
    "With softmax and cross-entropy, plain training draws the rows of the final layer apart along "
    "a line that follows from the initial weights alone; a correlation or a polynomial between "
    "two rows is evidence of the classes only beyond that null. With two classes, rows without "
    "their mean are mirror images by algebra. Logits grow with training, so that only scale-free "
    "measures compare clouds of different runs.",
    "Labels, ages and scanners of a cohort are often confounded, and a network may use any of "
    "them. Activation maps say where a network looked, not why. Another seed gives another run: "
    "one run is no ordering of regimes.",
)


def page_html(runs: Sequence[Run], contents: ReportContents = USUAL) -> Operation[str]:
    """Return one HTML page of the runs with its pictures inside; nothing else is needed to read it.

    What a run's arrays do not allow is said in place of the figure or table. No path of this
    computer is in it.

    Raises
    ------
    RunError
        If no run is given.
    """
    if not runs:
        raise RunError("A report needs at least one run. Choose a run.")
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>MRI-FCL report</title><style>{_STYLE}</style></head><body>"
        f"<h1>MRI-FCL report</h1><p class='small'>{RESEARCH_ONLY} Written by MRI-FCL "
        f"{html.escape(core.__version__)}.</p>"
    ]
    if len(runs) > 1:
        parts.append("<h2>Runs compared</h2>")
        parts += yield from _compared(runs, contents)
    for run in runs:
        parts.append(_heading(run))
        if contents.settings:
            parts.append(_settings_html(run))
        if contents.split:
            parts += _split_parts(run)
        if contents.versions:
            parts.append(_versions_html(run))
        parts += yield from _made(run, contents)
    parts.append("<h2>Limits</h2>")
    parts += [f"<p>{html.escape(words)}</p>" for words in _LIMITS]
    parts.append(f"<p><b>{RESEARCH_ONLY}</b></p></body></html>")
    return "\n".join(parts)


def write_html(
    runs: Sequence[Run], path: Path, contents: ReportContents = USUAL
) -> Operation[Path]:
    """Write the page of the runs: it opens in any browser, offline."""
    page = yield from page_html(runs, contents)
    write_page(page, path)
    return path


def write_page(page: str, path: Path) -> None:
    """Write a page that is made.

    Raises
    ------
    MriFclError
        If the file cannot be written.
    """
    with figure_file.plain_write_errors(path):
        atomic_file.write_text(path, page)


def write_zip(runs: Sequence[Run], path: Path, contents: ReportContents = USUAL) -> Operation[Path]:
    """Write one ZIP with each figure (PNG, SVG, CSV) and each table (CSV) of the runs.

    Each run has a folder of its name; what compares several is in ``comparison``. Without
    ``names_scans`` what names scans is left out, and dots have no ids.

    Raises
    ------
    RunError
        If no run is given.
    MriFclError
        If the file cannot be written.
    """
    if not runs:
        raise RunError("A report needs at least one run. Choose a run.")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        _add(files, "README.txt", f"Figures and tables of MRI-FCL. {RESEARCH_ONLY}\n".encode())
        for place, makers, names in _places(runs):
            for done, make in enumerate(makers):
                yield Progress(f"Packing {place}", done, len(makers))
                try:
                    made = yield from _finished(make)
                except AnalysisError:
                    continue
                if not _is_wanted(made, contents) or _names_scans(made, names, contents):
                    continue
                _add_made(files, place, made, keeps_ids=contents.names_scans)
    with figure_file.plain_write_errors(path):
        atomic_file.write_bytes(path, archive.getvalue())
    return path


_Made = Figure | Table
_Maker = Callable[[], Figure | Table | Operation[Figure] | Operation[Table]]


def _places(runs: Sequence[Run]) -> Iterator[tuple[str, list[_Maker], frozenset[str]]]:
    """Yield the folder, the makers and the scans' names of each run, then of all together."""
    taken: Counter[str] = Counter()
    for run in runs:
        taken[run.name] += 1
        place = run.name if taken[run.name] == 1 else f"{run.name}_{taken[run.name]}"
        yield place, [*report.run_figures(run), *report.run_tables(run)], _scan_names(run)
    if len(runs) > 1:
        makers: list[_Maker] = [lambda: comparison.table_2(runs)]
        makers += [_constant(table) for table in report.comparison_tables(runs)]
        makers += report.comparison_figures(runs)
        yield "comparison", makers, frozenset().union(*map(_scan_names, runs))


def _finished(make: _Maker) -> Operation[_Made]:
    # One type for what may be a figure or a table, at once or after a while.
    made: Any = make()
    result: _Made = yield from finished(made)
    return result


def _constant(table: Table) -> _Maker:
    return lambda: table


def _add_made(files: zipfile.ZipFile, place: str, made: Figure | Table, *, keeps_ids: bool) -> None:
    if isinstance(made, Table):
        text = text_file.csv_text(made.columns, made.rows)
        _add(files, f"{place}/tables/{made.name}.csv", text.encode())
        return
    figure = made if keeps_ids else _without_ids(made)
    contents = figure_file.figure_contents(figure)
    for suffix, content in zip(figure_file.FORMATS, contents, strict=True):
        _add(files, f"{place}/figures/{figure.name}.{suffix}", content)


def _add(files: zipfile.ZipFile, name: str, content: bytes) -> None:
    # Without the hour of writing, so that the same runs give the same file.
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    files.writestr(entry, content)


def _is_wanted(made: Figure | Table, contents: ReportContents) -> bool:
    return contents.tables if isinstance(made, Table) else contents.figures


def _scan_names(run: Run) -> frozenset[str]:
    if not run.has_features:
        return frozenset()
    features = run.features
    return frozenset(
        str(name) for names in (features.subject, features.scan) for name in set(names.tolist())
    )


def _names_scans(made: Figure | Table, names: frozenset[str], contents: ReportContents) -> bool:
    """Tell whether something must be left out because it prints the name of a scan."""
    if contents.names_scans:
        return False
    printed = "\n".join(set(_printed(made)))
    if not any(name in printed for name in names):
        return False
    # A name may stand beside a class or a session, but "1" is not named by "10".
    letter = "[^\\W_]"  # or a digit
    patterns = (rf"(?<!{letter}){re.escape(name)}(?!{letter})" for name in names)
    return any(re.search(pattern, printed) for pattern in patterns)


def _printed(made: Figure | Table) -> Iterator[str]:
    if isinstance(made, Table):
        for row in made.rows:
            yield from (cell for cell in row if isinstance(cell, str))
        return
    for panel in made.panels:
        yield from (*panel.x.categories, *panel.y.categories)
        for layer in panel.layers:
            yield layer.name
            if isinstance(layer, HeatMap):
                yield from (*layer.rows, *layer.columns)


def _without_ids(figure: Figure) -> Figure:
    def plain(layer: Layer) -> Layer:
        return dataclasses.replace(layer, ids=()) if isinstance(layer, Scatter) else layer

    panels = (
        dataclasses.replace(panel, layers=tuple(map(plain, panel.layers)))
        for panel in figure.panels
    )
    return dataclasses.replace(figure, panels=tuple(panels))


def _compared(runs: Sequence[Run], contents: ReportContents) -> Operation[list[str]]:
    parts = []
    *_, (_, makers, names) = _places(runs)
    for done, make in enumerate(makers):
        yield Progress("Comparing the runs", done, len(makers))
        parts.append((yield from _part(make, names, contents)))
    return parts


def _made(run: Run, contents: ReportContents) -> Operation[list[str]]:
    """Return the figures and tables of a run."""
    parts, names = [], _scan_names(run)
    figures = report.run_figures(run) if contents.figures else ()
    tables = report.run_tables(run) if contents.tables else ()
    makers: list[_Maker] = [*figures, *tables]
    for done, make in enumerate(makers):
        yield Progress(f"Report of {run.name}", done, len(makers))
        parts.append((yield from _part(make, names, contents)))
    return parts


def _part(make: _Maker, names: frozenset[str], contents: ReportContents) -> Operation[str]:
    try:
        made = yield from _finished(make)
    except AnalysisError as error:
        return f"<p class='small'>{html.escape(str(error))}</p>"
    if not _is_wanted(made, contents):
        return ""
    if _names_scans(made, names, contents):
        words = f"{made.title}: left out here, because it names scans."
        return f"<p class='small'>{html.escape(words)}</p>"
    return _table_html(made) if isinstance(made, Table) else _figure_html(made)


def _heading(run: Run) -> str:
    title = f"{run.network_title}, {run.regime_title.lower()}"
    warning = f"<p class='warning'>{html.escape(run.warning)}</p>" if run.warning else ""
    return f"<h2>{html.escape(title)}</h2><p class='small'>{html.escape(run.name)}</p>{warning}"


def _figure_html(figure: Figure) -> str:
    picture = base64.b64encode(figure_file.figure_png_bytes(figure, dpi=130)).decode("ascii")
    # Its title is in the picture.
    words = "; ".join([figure.title, *(badge.text for badge in figure.badges)])
    badges = "".join(
        f"<span class='badge' style='background: {badge.colour}'>{html.escape(badge.text)}</span> "
        for badge in figure.badges
    )
    return (
        f"<p>{badges}<img alt='{html.escape(words, quote=True)}' "
        f"src='data:image/png;base64,{picture}'></p>"
    )


def _settings_html(run: Run) -> str:
    rows = []
    for field in setting_fields():
        value = getattr(getattr(run.settings, field.group), field.name)
        if value is None:
            # Chosen by the program: the record has what was taken.
            value = run.record.get(field.name)
        if field.name == "mode":
            # A split file or a fold is not seen from the mode alone.
            rows.append(("Split", run.split_text))
        elif value not in (None, ""):
            rows.append((field.title, _without_folders(_cell(value))))
    rows.append(("Device", str(run.record.get("device", "unknown"))))
    words = " · ".join(
        f"{html.escape(title)}: <b>{html.escape(value)}</b>" for title, value in rows
    )
    return f"<h3>Settings</h3><p class='small'>{words}</p>"


def _without_folders(value: str) -> str:
    """Return a file's name without where it lies on this computer; other text as it is."""
    if not re.match(r"([A-Za-z]:)?[\\/]|~|\\\\", value):
        return value
    return PurePath(value.replace("\\", "/")).name


def _split_parts(run: Run) -> list[str]:
    parts = [f"<h3>Split and leakage</h3><p>{html.escape(_leakage_words(run))}</p>"]
    if run.has_features:
        parts.append(_plain_table(("part", "class", "subjects", "scans", "slices"), _counts(run)))
    return parts


def _leakage_words(run: Run) -> str:
    words = f"Split {run.split_text}. "
    if run.leaks:
        return words + run.warning
    words += "No subject, scan or slice is in more than one part."
    if not run.record.get("slices_compared", True):
        words += " Pixels of slices were not compared."
    return words


def _counts(run: Run) -> list[tuple[Any, ...]]:
    features, rows = run.features, []
    for part in PARTS:
        for k, label in enumerate(run.classes):
            own = (features.part == part) & (features.label == k)
            subjects, scans = set(features.subject[own]), set(features.scan[own])
            rows.append((part, label, len(subjects), len(scans), int(own.sum())))
    return rows


def _versions_html(run: Run) -> str:
    known = run.record.get("versions")
    versions = known if isinstance(known, dict) else {}
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"<p class='small'>Trained with {html.escape(words or 'versions that were not kept')}.</p>"
    )


def _table_html(table: Table) -> str:
    warning = f"<p class='warning'>{html.escape(table.warning)}</p>" if table.warning else ""
    caption = f"<p class='small'>{html.escape(table.caption)}</p>" if table.caption else ""
    head = f"<h3>{html.escape(table.title)}</h3>{warning}"
    if len(table.rows) > _MOST_ROWS:
        return f"{head}<p class='small'>{len(table.rows)} rows: in the ZIP of all tables.</p>"
    columns: tuple[str, ...] = tuple(name.replace("_", " ") for name in table.columns)
    rows = [tuple(map(_cell, row)) for row in table.rows]
    if len(columns) > _MOST_COLUMNS and len(rows) < len(columns):
        turned = list(zip(columns, *rows, strict=True))
        columns, rows = turned[0], turned[1:]
    return head + _plain_table(columns, rows) + caption


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
