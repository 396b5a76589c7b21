"""Commands that analyse runs and tables, compare runs and write reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from core import figure_file, tasks
from core.cli.command_group import PrintPage, cli
from core.cli.options import NumberRange, json_option, path_type
from core.cli.run_records import claims_on, compare_row
from core.cli.terminal import drive, print_table, say
from core.report_contents import CONTENT_TITLES, TIME_LAPSES, ReportContents

if TYPE_CHECKING:
    from core.analysis.correlation import Method


_FILE_WORDS = {"report": "Report", "pdf": "PDF", "zip": "ZIP"}


@cli.command()
@click.argument("run", type=path_type)
@click.option(
    "--out",
    type=path_type,
    default=None,
    help="Folder for figures and tables.  [default: the run folder]",
)
@click.option(
    "--width",
    "width_mm",
    type=NumberRange(*figure_file.WIDTHS_MM),
    default=180,
    show_default=True,
    help="Width of the figures on paper in mm.",
)
@click.option(
    "--dpi",
    type=click.IntRange(*figure_file.RESOLUTIONS),
    default=300,
    show_default=True,
    help="Pixels an inch of the PNG.",
)
@json_option
def analyse(run: Path, out: Path | None, width_mm: float, dpi: int, json: bool) -> None:
    """Write all figures (PNG, SVG, CSV) and tables (CSV) of RUN."""
    files = drive(tasks.analyse(run, out, width_mm=width_mm, dpi=dpi))
    say(
        json,
        {"run": run, "figures": list(files.figures), "tables": list(files.tables)},
        [
            f"{len(files.figures)} figure files in {(out or run) / 'figures'}",
            f"{len(files.tables)} tables in {(out or run) / 'tables'}",
        ],
    )


@cli.command("maps")
@click.argument("run", type=path_type)
@click.option("--subject", required=True, help="Subject whose slices are mapped.")
@click.option(
    "--class",
    "shown",
    default="predicted",
    show_default=True,
    help="A class such as AD, 'predicted' or 'true'.",
)
@click.option(
    "--out", type=path_type, default=None, help="Folder to write into.  [default: RUN/maps]"
)
@json_option
def activation_maps(run: Path, subject: str, shown: str, out: Path | None, json: bool) -> None:
    """Write where RUN's network sees a class in a subject's slices: pictures, CSV and NIfTI."""
    from core import map_tasks

    folder = out or run / "maps"
    files = drive(map_tasks.write_maps(run, subject, shown, folder))
    say(
        json,
        {
            "run": run,
            "subject": subject,
            "class": shown,
            "method": files.method,
            "slices": files.slices,
            "figures": list(files.figures),
            "tables": list(files.tables),
            "volumes": list(files.volumes),
        },
        [
            f"{files.method} of {files.slices} slices in {folder}",
            *(f"Volume: {path}" for path in files.volumes),
        ],
    )


@cli.command()
@click.argument("runs", type=path_type, nargs=-1, required=True)
@click.option("--out", type=path_type, default=Path("comparison"), show_default=True)
@json_option
def compare(runs: tuple[Path, ...], out: Path, json: bool) -> None:
    """Put RUNS side by side in the form of the paper's Table 2."""
    table, files = drive(tasks.compare(runs, out))
    print_table(table)
    claims = claims_on(runs)
    say(
        json,
        {
            "rows": [compare_row(path) for path in runs],
            "claims": claims,
            "figures": list(files.figures),
            "tables": list(files.tables),
        },
        [
            *(f"{item['network']}: {item['claim']}: {item['verdict']}" for item in claims),
            f"Table 2: {out}",
        ],
    )


@cli.command()
@click.argument("run", type=path_type)
@click.option("--scans", default="", help="Only these scans: OAS1_0028_MR1,OAS1_0031_MR1.")
@click.option(
    "--part",
    type=click.Choice(["test", "validation", "train", "all"]),
    default="test",
    show_default=True,
)
@click.option(
    "--method", type=click.Choice(["pearson", "spearman"]), default="pearson", show_default=True
)
@click.option(
    "--out", type=path_type, default=None, help="Folder to write tables and figures into."
)
@json_option
def correlate(
    run: Path, scans: str, part: str, method: Method, out: Path | None, json: bool
) -> None:
    """Correlate the FCL's rows of RUN with each other and with chosen scans."""
    chosen = [name.strip() for name in scans.split(",") if name.strip()] or None
    tables, files = drive(tasks.correlate(run, scans=chosen, part=part, method=method, out=out))
    for table in tables:
        print_table(table)
    result = {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in tables
    }
    say(json, {"run": run, **result, "files": files}, [f"File: {path}" for path in files])


@cli.command("check-table")
@click.argument("percentages", nargs=-1)
@click.option("--n", type=click.IntRange(min=1), default=None, help="Cases, such as 504 slices.")
@json_option
def check_table(percentages: tuple[str, ...], n: int | None, json: bool) -> None:
    """Tell whether PERCENTAGES can be whole numbers out of N; without any, the paper's table."""
    from core.analysis import table_check

    if not percentages:
        table = table_check.paper_check()
        print_table(table)
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        say(json, {"rows": rows}, [table.caption])
        return
    if n is None:
        raise click.UsageError("Say of how many cases: --n 504")
    checks = [table_check.check_percentage(text, n) for text in percentages]
    say(
        json,
        {
            "checks": [
                {
                    "percentage": check.printed,
                    "n": check.n,
                    "possible": check.is_possible,
                    "counts": list(check.rounded or check.cut),
                    "rounded": bool(check.rounded),
                    "nearest": [list(near) for near in (check.below, check.above) if near],
                }
                for check in checks
            ]
        },
        [check.sentence() for check in checks],
    )


@cli.command()
@click.argument("table", type=path_type)
@click.option("--x", "x_name", default=None, help="Column of x.  [default: the first numeric one]")
@click.option("--y", "y_name", default=None, help="Column of y.  [default: the second]")
@click.option(
    "--permutations",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Shuffles of a permutation test of each degree; 9999 take some seconds.",
)
@click.option("--seed", default=0, show_default=True, help="Of the shuffles.")
@json_option
def fit(
    table: Path,
    x_name: str | None,
    y_name: str | None,
    permutations: int,
    seed: int,
    json: bool,
) -> None:
    """Fit any two columns of TABLE as the FCL weights are fitted."""
    from core.analysis.fit_choice import choose_fit
    from core.analysis.fit_permutation import permutation_test
    from core.analysis.fit_table import fit_record, fit_statistics
    from core.analysis.fitting import centring_text, fit_series
    from core.analysis.table_columns import read_columns

    x_used, y_used, x, y = read_columns(table, x=x_name, y=y_name)
    series = fit_series(x, y)
    test = (
        drive(permutation_test(x, y, permutations=permutations, seed=seed))
        if permutations
        else None
    )
    fits, choice = series.fits[1:], choose_fit(series)
    click.echo(f"{len(x)} points, x = {x_used}, y = {y_used}, r = {series.correlation:.4f}")
    for item in fits:
        click.echo(item.equation())
    click.echo(centring_text(fits[0].centre, fits[0].scale))
    print_table(fit_statistics(series, test))
    say(
        json,
        {
            "n": len(x),
            "x": x_used,
            "y": y_used,
            "x_mean": fits[0].centre,
            "x_std": fits[0].scale,
            "correlation": series.correlation,
            "fits": [fit_record(series, item.degree, test) for item in fits],
            "degree": choice.degree,
            "verdict": choice.words,
        },
        [*filter(None, [series.limit]), choice.words],
    )


@cli.command("time-lapse")
@click.argument("run", type=path_type)
@click.option(
    "--figure",
    type=click.Choice(TIME_LAPSES),
    default="scatter",
    show_default=True,
    help="What moves; the cloud is that of the validation part.",
)
@click.option(
    "--out",
    type=path_type,
    required=True,
    help="A .gif or .mp4 (needs ffmpeg), or .png, .svg or .csv for a strip of panels.",
)
@click.option(
    "--speed",
    type=NumberRange(0.1, 50),
    default=5.0,
    show_default=True,
    help="Epochs a second.",
)
@click.option("--epochs", default="", help="Epochs of a strip: 0,5,10.")
@json_option
def time_lapse(run: Path, figure: str, out: Path, speed: float, epochs: str, json: bool) -> None:
    """Write a figure of RUN over its epochs as a film or a strip of panels."""
    path = drive(tasks.time_lapse(run, figure, out, epochs_per_second=speed, strip_epochs=epochs))
    say(json, {"file": path}, [f"Time-lapse: {path}"])


@cli.command()
@click.argument("runs", type=path_type, nargs=-1, required=True)
@click.option("--out", type=path_type, default=Path("report.html"), show_default=True)
@click.option("--pdf", type=path_type, default=None, help="Print the page to this PDF too.")
@click.option(
    "--zip", "archive", type=path_type, default=None, help="Every figure and table in this ZIP too."
)
@click.option(
    "--leave-out",
    type=click.Choice([name for name in CONTENT_TITLES if name != "names_scans"]),
    multiple=True,
    help="What does not go in; may be given several times.",
)
@click.option(
    "--names-scans", is_flag=True, help="Figures and tables that name single scans go in too."
)
@json_option
@click.pass_obj
def report(
    print_page: PrintPage | None,
    runs: tuple[Path, ...],
    out: Path,
    pdf: Path | None,
    archive: Path | None,
    leave_out: tuple[str, ...],
    names_scans: bool,
    json: bool,
) -> None:
    """Write one HTML page with every figure and table of RUNS."""
    from core import report_page

    if pdf is not None and print_page is None:
        raise click.UsageError("PDF is printed by the program mri-fcl; call that.")
    contents = ReportContents(**dict.fromkeys(leave_out, False), names_scans=names_scans)
    page = drive(tasks.report_text(runs, contents))
    report_page.write_page(page, out)
    if pdf is not None and print_page is not None:
        print_page(page, pdf)
    if archive is not None:
        drive(tasks.report_zip(runs, archive, contents))
    files = {"report": out, "pdf": pdf, "zip": archive}
    written = {name: path for name, path in files.items() if path is not None}
    say(json, written, [f"{_FILE_WORDS[name]}: {path}" for name, path in written.items()])
