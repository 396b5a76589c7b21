"""The same tasks from a terminal."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table as TerminalTable

import core
from core import config, run_folder, tasks, text_file
from core.config import RunSettings, SettingField, setting_fields
from core.data.cohort import load_cohort
from core.data.findings import finding_record
from core.data.labels import parse_class_rules
from core.data.layout import LAYOUT_KINDS, LayoutKind
from core.errors import MriFclError, RunError
from core.figure import Table
from core.progress import BatchDone, EpochMetrics, Notice, Operation, Progress, RunStarted
from core.report_contents import CONTENT_TITLES, TIME_LAPSES, ReportContents
from core.run_folder import Run, read_record
from core.training.weights_entry import ENTRY_NAMES

if TYPE_CHECKING:
    from core.analysis.correlation import Method
    from core.plan import Plan
    from core.sweep import SweepRun
    from core.sweep_on_ray import RayPlace

T = TypeVar("T")
_console = Console(stderr=True, highlight=False)


PrintPage: TypeAlias = Callable[[str, Path], object]
_FILE_WORDS = {"report": "Report", "pdf": "PDF", "zip": "ZIP"}


class _Interrupted(Exception):
    """The user stopped the work."""


def is_command(arguments: list[str]) -> bool:
    """Tell whether the arguments are for the terminal: a sub-command or an option."""
    return bool(arguments) and (arguments[0] in cli.commands or arguments[0].startswith("-"))


def run_command(
    arguments: list[str], *, print_page: PrintPage | None = None
) -> tuple[int, list[Path]]:
    """Run one command; return its exit status and the paths to open a window on, if any.

    ``print_page`` prints an HTML page to a PDF; this package knows no window system.
    0 done, 1 failed with one plain sentence on stderr, 2 wrong usage, 130 stopped.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        window_on = cli.main(arguments, prog_name="mri-fcl", standalone_mode=False, obj=print_page)
    except click.exceptions.Exit as done:
        return done.exit_code, []
    except click.ClickException as error:
        error.show()
        return 2, []
    except MriFclError as error:
        _console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1, []
    except (_Interrupted, click.Abort):
        _console.print("Stopped. What was done so far is kept.")
        return 130, []
    return 0, window_on if isinstance(window_on, list) else []


def drive(operation: Operation[T]) -> T:
    """Run an operation with a progress bar on stderr; Ctrl+C stops it at its next step."""
    with ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=_console,
        transient=True,
        disable=not _console.is_terminal,
    ) as bar:
        line = bar.add_task("", total=None, note="")
        return _drive(operation, lambda event: _show(bar, line, event))


def _drive(operation: Operation[T], show: Callable[[object], None]) -> T:
    """Run an operation and show its events; Ctrl+C stops it at its next step."""
    stop: list[bool] = []
    previous = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    try:
        while True:
            event = next(operation)
            show(event)
            if stop:
                raise _Interrupted
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        operation.close()
        signal.signal(signal.SIGINT, previous)


def _show(bar: ProgressBar, line: Any, event: object) -> None:  # noqa: ANN401 - rich's task id
    if isinstance(event, Progress):
        bar.update(
            line, description=event.what, completed=event.done, total=event.total or None, note=""
        )
    elif isinstance(event, Notice):
        _console.print(event.text, markup=False, soft_wrap=True)
    elif isinstance(event, RunStarted):
        _console.print(f"Run folder: {event.path}", markup=False, soft_wrap=True)
    elif isinstance(event, BatchDone):
        bar.update(
            line,
            description=f"Training epoch {event.epoch}",
            completed=event.batch,
            total=event.batches,
            note=f"loss {event.loss:.3f}, {event.slices_per_second:.0f} slices/s",
        )
    elif isinstance(event, EpochMetrics) and event.epoch:
        _console.print(
            f"epoch {event.epoch:3d}   loss {event.train_loss:.4f} / {event.validation_loss:.4f}   "
            f"accuracy {_percent(event.train_accuracy)} / {_percent(event.validation_accuracy)}   "
            f"{event.seconds:.1f} s",
            markup=False,
        )


def _percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:5.1f} %"


def _say(json: bool, result: dict[str, Any], sentences: list[str]) -> None:
    for sentence in sentences:
        click.echo(sentence)
    if json:
        click.echo(text_file.json_text(result))


def _print_table(table: Table) -> None:
    shown = TerminalTable(title=table.title)
    for name in table.columns:
        shown.add_column(name)
    for row in table.rows:
        shown.add_row(
            *(
                "–"
                if value is None or value != value
                else f"{value:.4g}"
                if isinstance(value, float)
                else str(value)
                for value in row
            )
        )
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200).print(shown)


_Command = Callable[..., Any]
# What the 3-D CNN sees of a scan depends on these beside those of slices.
_CUBE_SETTINGS = ("network", "cube_size", "cube_mm")


def _settings_options(*names: str) -> Callable[[_Command], _Command]:
    """Add an option for every setting named, or in a group that is named.

    The fields say type, bounds and help.
    """

    def decorate(command: _Command) -> _Command:
        for field in reversed([f for f in setting_fields() if {f.group, f.name} & set(names)]):
            command = _option_of(field)(command)
        return command

    return decorate


def _option_of(field: SettingField) -> Callable[[_Command], _Command]:
    def parse(_context: click.Context, parameter: click.Parameter, value: str | None) -> Any:  # noqa: ANN401
        if value is None:
            return None
        try:
            return field.parse(value)
        except MriFclError as error:
            raise click.BadParameter(str(error), param=parameter) from error

    unit = f" [{field.unit}]" if field.unit else ""
    shown = "" if field.default in (None, "") else f" Default {field.default}."
    return click.option(
        f"--{field.option}",
        field.name,
        callback=parse,
        default=None,
        metavar="|".join(field.choices) or field.kind.__name__.upper(),
        help=f"{field.help}{unit}{shown}",
    )


def _chosen(options: dict[str, Any], preset: str = "recommended") -> RunSettings:
    base = config.change(RunSettings(), config.PRESETS[preset])
    return config.change(base, {key: value for key, value in options.items() if value is not None})


_path = click.Path(path_type=Path)
_json_option = click.option(
    "--json", is_flag=True, help="Print the result as one JSON object on the last line."
)
_runs_option = click.option(
    "--out",
    "runs",
    type=_path,
    default=Path("runs"),
    show_default=True,
    help="Folder that the run folder is made in.",
)
_preset_option = click.option(
    "--preset",
    type=click.Choice(list(config.PRESETS)),
    default="recommended",
    show_default=True,
    help="Starting values; single options change them.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(core.__version__, prog_name="MRI-FCL")
def cli() -> None:
    """Train networks on brain MRI slices and study their final fully connected layer.

    Without a command the window opens: mri-fcl [FOLDER | COHORT | RUN]. Research use only.
    """


@cli.command()
@click.option(
    "--out",
    type=_path,
    default=Path("mri-fcl-demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@click.option("--window", is_flag=True, help="Open the window on the result.")
@_json_option
def demo(out: Path, window: bool, json: bool) -> list[Path]:
    """Simulate a cohort, train on it, analyse and report: a few minutes on two CPU cores."""
    from core.demo import run_demo

    began = time.monotonic()
    result = drive(run_demo(out))
    seconds = time.monotonic() - began
    _say(
        json,
        {
            "cohort": result.cohort,
            "runs": [result.by_subject, result.by_slice, *result.controls],
            "report": result.report,
            "seconds": seconds,
        },
        [*result.sentences(), f"Done in {seconds:.0f} s."],
    )
    return [result.cohort, result.by_subject] if window else []


def _layout_kind(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> str | None:
    return value and value.replace("-", "_")


@cli.command()
@click.argument("folder", type=_path)
@click.option("--classes", default="", help="Take only these classes, in this order: AD,NC.")
@click.option(
    "--labels",
    type=_path,
    default=None,
    help="CSV or TSV with a subject and a class column, where folders do not tell the class.",
)
@click.option(
    "--subject-pattern",
    default="",
    help="Regular expression with a group subject (and session, slice), tried on each file name.",
)
@click.option(
    "--layout",
    type=click.Choice([kind.replace("_", "-") for kind in LAYOUT_KINDS]),
    callback=_layout_kind,
    default=None,
    help="How the folder is laid out, where looking at it does not tell.",
)
@click.option(
    "--cdr",
    default="",
    metavar="RULES",
    help="OASIS-1: the least clinical dementia rating of each class; an empty class leaves its "
    "subjects out. Default 0=NC,0.5=MCI,1=AD.",
)
@click.option(
    "--key-file",
    is_flag=True,
    help="Write dicom_keys.csv into FOLDER: which DICOM patient (a hash of the id) got which key.",
)
@click.option(
    "--out",
    type=_path,
    default=None,
    help="Cohort to write; one of the same folder keeps what you changed in it.  "
    "[default: NAME.mrifcl]",
)
@_json_option
def scan(
    folder: Path,
    classes: str,
    labels: Path | None,
    subject_pattern: str,
    layout: LayoutKind | None,
    cdr: str,
    key_file: bool,
    out: Path | None,
    json: bool,
) -> None:
    """Find scans, subjects and classes in FOLDER and store them as a cohort."""
    target = out or Path(f"{folder.resolve().name}.mrifcl")
    wanted = [name.strip() for name in classes.split(",") if name.strip()]
    result = drive(
        tasks.scan(
            folder,
            out=target,
            classes=wanted,
            labels=labels,
            subject_pattern=subject_pattern,
            kind=layout,
            class_rules=parse_class_rules(cdr) if cdr else (),
            with_key_file=key_file,
        )
    )
    cohort, counts = result.cohort, result.cohort.counts()
    from core.data.findings import counted
    from core.data.scan_folder import expected_slices

    n_slices = expected_slices(cohort, RunSettings().slices.count)
    sentences = [
        f"{counted(len(cohort.subjects), 'subject')}, {counted(n_slices, 'slice')}, "
        + ("1 class: " if len(cohort.classes) == 1 else f"{len(cohort.classes)} classes: ")
        + ", ".join(
            f"{label} {counted(count['subjects'], 'subject')} in {counted(count['scans'], 'scan')}"
            for label, count in counts.items()
        )
        + "."
    ]
    sentences += cohort.warnings
    sentences += [f"Skipped {item.file}: {item.reason}" for item in cohort.skipped[:10]]
    if len(cohort.skipped) > 10:
        sentences.append(f"… and {len(cohort.skipped) - 10} more skipped files.")
    sentences.append(f"Cohort: {target}")
    _say(
        json,
        {
            "cohort": target,
            "classes": counts,
            "subjects": len(cohort.subjects),
            "scans": len(cohort.included_scans),
            "slices": n_slices,
            "skipped": [{"file": item.file, "reason": item.reason} for item in cohort.skipped],
            "warnings": cohort.warnings,
        },
        sentences,
    )


@cli.command()
@click.argument("cohort", type=_path)
@_json_option
def check(cohort: Path, json: bool) -> None:
    """Read every voxel of COHORT: same scans under two names, odd ones, files that have changed."""
    result = drive(tasks.check_stored(cohort))
    found = result.cohort.warnings
    _say(
        json,
        {
            "cohort": result.folder,
            "scans": len(result.cohort.included_scans),
            "findings": [finding_record(item) for item in found],
        },
        [*found, f"{len(result.cohort.included_scans)} scans read: {len(found)} findings."],
    )


@cli.command("slices")
@click.argument("cohort", type=_path)
@click.option("--out", type=_path, required=True, help="Folder to write class folders into.")
@click.option(
    "--format",
    "picture_format",
    type=click.Choice(["png", "jpg"]),
    default="png",
    show_default=True,
)
@_settings_options("slices")
@_json_option
def export_slices(cohort: Path, out: Path, picture_format: str, json: bool, **options: Any) -> None:  # noqa: ANN401 - settings by name
    """Cut the scans of COHORT and write the slices as pictures."""
    settings = _chosen(options)
    count = drive(tasks.export_slices(cohort, settings.slices, out, picture_format=picture_format))
    _say(json, {"slices": count, "folder": out}, [f"{count} slices written to {out}"])


_seed_option = click.option("--seed", default=0, show_default=True, help="Rules the split.")


@cli.command()
@click.argument("path", type=_path)
@_settings_options("slices", "split", *_CUBE_SETTINGS)
@_seed_option
@click.option(
    "--quick", is_flag=True, help="Cut no scans: compare slices only where they are cut already."
)
@click.option("--out", type=_path, default=None, help="Folder to write the tables into, as CSV.")
@_json_option
def audit(
    path: Path,
    seed: int,
    quick: bool,
    out: Path | None,
    json: bool,
    **options: Any,  # noqa: ANN401 - settings by name
) -> None:
    """Look for leakage in the split of a RUN, or the split these options give a COHORT."""
    look = tasks.audit_quickly if quick else tasks.audit
    result = drive(look(path, _chosen({**options, "seed": seed})))
    _print_table(result.table())
    _print_table(result.matrix)
    if result.unfit:
        _print_table(result.unfit_table())
    files = tasks.write_audit(result, out) if out else []
    sentences = [f"Split {result.words}.", result.sentence(), result.advice()]
    _say(
        json,
        {
            "split": result.mode,
            "split_words": result.words,
            "leaks": result.leaks,
            **result.record(),
            "tables": files,
        },
        [*filter(None, sentences), *(f"Table: {file}" for file in files)],
    )


@cli.command("split")
@click.argument("path", type=_path)
@_settings_options("slices", "split", *_CUBE_SETTINGS)
@_seed_option
@click.option("--out", type=_path, default=Path("split.csv"), show_default=True)
@_json_option
def keep_split(path: Path, seed: int, out: Path, json: bool, **options: Any) -> None:  # noqa: ANN401
    """Write the split of a RUN, or the one these options give a COHORT, as CSV.

    It is brought back with --split-file, into the window too.
    """
    kept = drive(tasks.keep_split(path, _chosen({**options, "seed": seed}), out))
    parts = ", ".join(
        f"{name} {kept.subjects[name]} subjects with {kept.slices[name]} slices"
        for name in kept.subjects
    )
    _say(
        json,
        {
            "split": kept.by,
            "split_words": kept.words,
            "file": out,
            "subjects": kept.subjects,
            "slices": kept.slices,
        },
        [f"Split {kept.words}: {parts}.", f"Split file: {out}"],
    )


@cli.command()
@click.argument("cohort", type=_path)
@_preset_option
@_settings_options("slices", "split", "training")
@_runs_option
@_json_option
def train(cohort: Path, preset: str, runs: Path, json: bool, **options: Any) -> None:  # noqa: ANN401
    """Train one network on COHORT; everything about it goes into a new run folder."""
    path = drive(tasks.train(cohort, _chosen(options, preset), runs))
    _say_run(path, json=json)


@cli.command()
@_preset_option
@_settings_options("slices", "training")
@_json_option
def probe(preset: str, json: bool, **options: Any) -> None:  # noqa: ANN401 - settings by name
    """Measure by a few steps whether half precision is faster on this device."""
    result = drive(tasks.probe_precision(_chosen(options, preset)))
    _say(
        json,
        {
            "network": result.settings.training.network,
            "batch": result.settings.batch,
            "device": result.device,
            "images_per_second": dict(result.rates),
            "best": result.best,
        },
        [f"{result.where()}:", result.sentence()],
    )


@cli.command()
@click.argument("run", type=_path)
@_json_option
def resume(run: Path, json: bool) -> None:
    """Go on with a RUN that was stopped, crashed or killed, from its last whole epoch."""
    _say_run(drive(tasks.resume(run)), json=json)


@cli.command("runs")
@click.argument("folder", type=_path, default=Path("runs"))
@_json_option
def list_runs(folder: Path, json: bool) -> None:
    """List the runs in FOLDER, oldest first: what each is, how far it got, who holds it."""
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder '{folder}'", param_hint="FOLDER")
    found = list(run_folder.list_runs(folder))
    columns = ("run", "network", "regime", "split", "epochs", "test accuracy", "state")
    rows = tuple(
        (
            run.name,
            run.network_title,
            run.regime_title,
            run.split_text,
            f"{run.record.get('epochs_done', 0)} of {run.settings.epochs}",
            run.test_accuracy,
            run.state_text,
        )
        for run in found
    )
    if rows:
        _print_table(Table("runs", f"Runs in {folder}", columns, rows))
    records = [
        {
            "run": run.path,
            "network": run.settings.training.network,
            "regime": run.settings.training.regime,
            "epochs": run.record.get("epochs_done", 0),
            "test_accuracy": run.test_accuracy,
            "state": run.state,
            "held_by": run.holder.host if run.holder is not None else None,
            "remarks": list(run.remarks),
        }
        for run in found
    ]
    sentences = [f"{run.name}: {remark}" for run in found for remark in run.remarks]
    sentences += [
        f"{run.name} was interrupted. To go on: mri-fcl resume {run.path}"
        for run in found
        if run.state == "interrupted" and run.record.get("epochs_done")
    ]
    _say(json, {"runs": records}, sentences or ([] if rows else [f"No runs in {folder}."]))


def _say_run(path: Path, *, json: bool) -> None:
    if not run_folder.is_run(path):
        return  # one of several processes of a training; the first has the run and says it
    run = Run(path)
    measured = run.record["accuracy"]
    sentences = [
        f"Accuracy: train {_percent(measured['train'])}, validation "
        f"{_percent(measured['validation'])}, test {_percent(measured['test'])} of slices, "
        f"{_percent(measured['test_by_subject'])} of subjects."
    ]
    if run.warning:
        sentences.append(run.warning)
    sentences.append(f"Run: {path}")
    _say(
        json,
        {
            "run": path,
            "state": run.state,
            "epochs": run.record["epochs_done"],
            "train_accuracy": measured["train"],
            "validation_accuracy": measured["validation"],
            "test_accuracy": measured["test"],
            "test_accuracy_by_subject": measured["test_by_subject"],
            "seconds": run.record["seconds"],
        },
        sentences,
    )


@cli.command()
@click.argument("run", type=_path)
@click.option(
    "--out",
    type=_path,
    default=None,
    help="Folder for figures and tables.  [default: the run folder]",
)
@_json_option
def analyse(run: Path, out: Path | None, json: bool) -> None:
    """Write all figures (PNG, SVG, CSV) and tables (CSV) of RUN."""
    files = drive(tasks.analyse(run, out))
    _say(
        json,
        {"run": run, "figures": list(files.figures), "tables": list(files.tables)},
        [
            f"{len(files.figures)} figure files in {(out or run) / 'figures'}",
            f"{len(files.tables)} tables in {(out or run) / 'tables'}",
        ],
    )


@cli.command("maps")
@click.argument("run", type=_path)
@click.option("--subject", required=True, help="Subject whose slices are mapped.")
@click.option(
    "--class",
    "shown",
    default="predicted",
    show_default=True,
    help="A class such as AD, 'predicted' or 'true'.",
)
@click.option("--out", type=_path, default=None, help="Folder to write into.  [default: RUN/maps]")
@_json_option
def activation_maps(run: Path, subject: str, shown: str, out: Path | None, json: bool) -> None:
    """Write where RUN's network sees a class in a subject's slices: pictures, CSV and NIfTI."""
    from core import map_tasks

    folder = out or run / "maps"
    files = drive(map_tasks.write_maps(run, subject, shown, folder))
    _say(
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
@click.argument("runs", type=_path, nargs=-1, required=True)
@click.option("--out", type=_path, default=Path("comparison"), show_default=True)
@_json_option
def compare(runs: tuple[Path, ...], out: Path, json: bool) -> None:
    """Put RUNS side by side in the form of the paper's Table 2."""
    table, files = drive(tasks.compare(runs, out))
    _print_table(table)
    claims = _claims(runs)
    _say(
        json,
        {
            "rows": [_compare_row(path) for path in runs],
            "claims": claims,
            "figures": list(files.figures),
            "tables": list(files.tables),
        },
        [
            *(f"{item['network']}: {item['claim']}: {item['verdict']}" for item in claims),
            f"Table 2: {out}",
        ],
    )


def _claims(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the paper's claims on the networks that the runs are of."""
    from core.analysis.comparison import claims

    read = [Run(path) for path in runs]
    table = claims(read)
    titles = {run.network_title for run in read}
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return [row for row in rows if row["network"] in titles]


def _compare_row(path: Path) -> dict[str, Any]:
    run, record = Run(path), read_record(path)
    measured = record.get("accuracy", {})
    return {
        "run": path,
        "network": run.settings.training.network,
        "regime": run.settings.training.regime,
        "epochs": record.get("epochs_done", 0),
        "train_accuracy": measured.get("train"),
        "validation_accuracy": measured.get("validation"),
        "test_accuracy": measured.get("test"),
        "seconds": record.get("seconds"),
    }


@cli.command()
@click.argument("cohort", type=_path)
@click.option("--rows", default="", help="Rows of Table 2 to train, from 1 to 12: 3,7.")
@click.option("--seeds", default="", help="Train each row for each of these seeds: 0-4.")
@click.option("--splits", default="", help="Train each row with each of these: subject,slice.")
@_preset_option
@_settings_options("slices", "split", "training")
@_runs_option
@_json_option
def paper(
    cohort: Path,
    rows: str,
    seeds: str,
    splits: str,
    preset: str,
    runs: Path,
    json: bool,
    **options: Any,  # noqa: ANN401 - settings by name
) -> None:
    """Train the paper's 12 rows, then print Table 2 beside the paper's.

    Started once more it goes on where it was: rows that are trained are not trained again.
    """
    from core.plan import parse_numbers
    from core.sweep import paper_plan

    try:
        wanted = [int(row) for row in rows.split(",") if row.strip()]
    except ValueError as error:
        raise click.BadParameter("give numbers from 1 to 12, such as 3,7") from error
    if any(not 1 <= row <= 12 for row in wanted):
        raise click.BadParameter("give numbers from 1 to 12, such as 3,7", param_hint="--rows")
    load_cohort(cohort).require_trainable()
    plan = paper_plan(
        _chosen(options, preset),
        wanted,
        seeds=parse_numbers(seeds),
        splits=[name.strip() for name in splits.split(",") if name.strip()],
    )
    swept = _drive_sweep(cohort, plan, runs)
    trained = [row.path for row in swept if row.state == "finished" and row.path is not None]
    if not trained:
        raise RunError("No row could be trained. The sentences above say why.")
    table, _files = drive(tasks.compare(trained, runs / "comparison"))
    _print_table(table)
    _say(json, {"rows": [_compare_row(path) for path in trained]}, [])


@cli.command("sweep")
@click.argument("plan_file", metavar="PLAN.toml", type=_path)
@click.option("--cohort", type=_path, required=True, help="Cohort that all runs are trained on.")
@_runs_option
@click.option("--list", "only_list", is_flag=True, help="Show the planned runs, train none.")
@click.option(
    "--ray",
    "ray_here",
    type=click.Choice(["local"]),
    default=None,
    help="Train several runs at once on this machine, by Ray.",
)
@click.option("--ray-address", default="", help="Train on this Ray cluster: auto, or HOST:PORT.")
@click.option(
    "--cpus-per-run",
    type=click.FloatRange(0.1, 1024),
    default=1.0,
    show_default=True,
    help="With Ray: CPUs that each run takes.",
)
@click.option(
    "--gpus-per-run",
    type=click.FloatRange(0, 64),
    default=0.0,
    show_default=True,
    help="With Ray: GPUs that each run takes; 0.5 puts two on one.",
)
@_json_option
def sweep_runs(
    plan_file: Path,
    cohort: Path,
    runs: Path,
    only_list: bool,
    ray_here: str | None,
    ray_address: str,
    cpus_per_run: float,
    gpus_per_run: float,
    json: bool,
) -> None:
    """Train the runs that PLAN.toml plans, one after another (or at once, with Ray).

    Interrupted, or started once more after a failure, it goes on where it was.
    """
    from core.plan import read_plan
    from core.sweep import results_table, run_title, short_table
    from core.sweep_on_ray import RayPlace

    plan = read_plan(plan_file)
    if only_list:
        sentences = [f"{n}  {run_title(run)}" for n, run in enumerate(plan.runs, start=1)]
        _say(json, {"runs": len(plan.runs)}, [*sentences, *plan.left_out])
        return
    address = ray_address or ray_here
    place = RayPlace(address, cpus_per_run, gpus_per_run) if address else None
    swept = _drive_sweep(cohort, plan, runs, place)
    _print_table(short_table(swept))
    table = results_table(swept)
    _say(
        json,
        {
            "table": runs / "sweep.csv",
            "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
        },
        [f"Table: {runs / 'sweep.csv'}"],
    )
    n_failed = sum(row.state != "finished" for row in swept)
    if n_failed:
        raise RunError(
            f"{n_failed} of {len(swept)} runs are not trained; the table says why. Start the "
            "same command again to try those once more."
        )


def _drive_sweep(
    cohort: Path, plan: Plan, runs: Path, place: RayPlace | None = None
) -> tuple[SweepRun, ...]:
    from core.sweep import sweep
    from core.sweep_screen import SweepScreen

    with SweepScreen(_console, plan.runs) as screen:
        if place is None:
            return _drive(sweep(cohort, plan, runs), screen.show)
        from core.sweep_on_ray import sweep_on_ray

        return _drive(sweep_on_ray(cohort, plan, runs, place), screen.show)


@cli.command("leakage-meter")
@click.argument("cohort", type=_path)
@_preset_option
@_settings_options("slices", "split", "training")
@click.option("--seeds", default=1, show_default=True, help="Runs of each split, by their seed.")
@click.option(
    "--shuffled", is_flag=True, help="Train again with shuffled labels: the control for chance."
)
@_runs_option
@_json_option
def measure_leakage(
    cohort: Path,
    preset: str,
    seeds: int,
    shuffled: bool,
    runs: Path,
    json: bool,
    **options: Any,  # noqa: ANN401 - settings by name
) -> None:
    """Train COHORT by slice and by subject alike: how many points of accuracy leakage adds."""
    from core.honesty import leakage_meter, write_meter

    chosen = _chosen(options, preset)
    load_cohort(cohort).require_trainable()
    meter = drive(leakage_meter(cohort, chosen, runs, seeds=seeds, with_shuffled=shuffled))
    files = write_meter(meter, runs)
    _print_table(meter.table())
    _say(
        json,
        {
            "runs": list(meter.runs),
            "meters": [
                {
                    "labels": "shuffled" if item.shuffled else "true",
                    "by_slice": item.by_slice,
                    "by_subject": item.by_subject,
                    "inflation": item.value,
                    "low": item.low,
                    "high": item.high,
                    "test_subjects": item.subjects,
                }
                for item in meter.found
            ],
            "files": files,
        },
        [*meter.sentences(), f"Leakage meter: {files[0].parent}"],
    )


@cli.command("check-table")
@click.argument("percentages", nargs=-1)
@click.option("--n", type=click.IntRange(min=1), default=None, help="Cases, such as 504 slices.")
@_json_option
def check_table(percentages: tuple[str, ...], n: int | None, json: bool) -> None:
    """Tell whether PERCENTAGES can be whole numbers out of N; without any, the paper's table."""
    from core.analysis import table_check

    if not percentages:
        table = table_check.paper_check()
        _print_table(table)
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        _say(json, {"rows": rows}, [table.caption])
        return
    if n is None:
        raise click.UsageError("Say of how many cases: --n 504")
    checks = [table_check.check_percentage(text, n) for text in percentages]
    _say(
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
@click.argument("run", type=_path)
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
@click.option("--out", type=_path, default=None, help="Folder to write tables and figures into.")
@_json_option
def correlate(
    run: Path, scans: str, part: str, method: Method, out: Path | None, json: bool
) -> None:
    """Correlate the FCL's rows of RUN with each other and with chosen scans."""
    chosen = [name.strip() for name in scans.split(",") if name.strip()] or None
    tables, files = drive(tasks.correlate(run, scans=chosen, part=part, method=method, out=out))
    for table in tables:
        _print_table(table)
    result = {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in tables
    }
    _say(json, {"run": run, **result, "files": files}, [f"File: {path}" for path in files])


@cli.command()
@click.option(
    "--download",
    "names",
    multiple=True,
    type=click.Choice(ENTRY_NAMES),
    help="Fetch these weights; nothing is fetched without this option.",
)
@_json_option
def weights(names: tuple[str, ...], json: bool) -> None:
    """List torchvision's pretrained weights and which are on this machine, or download some."""
    for name in names:
        drive(tasks.download_weights(name))
    folder, states = drive(tasks.list_weights())
    listed = [(s.entry, s.kind == "cache") for s in states if s.entry is not None]
    rows = [
        (entry.name, "yes" if is_here else "no", round(entry.megabytes), entry.url)
        for entry, is_here in listed
    ]
    columns = ("name", "here", "MB", "address")
    _print_table(Table("weights", f"Pretrained weights in {folder}", columns, tuple(rows)))
    missing = [entry.name for entry, is_here in listed if not is_here]
    records = [
        {
            "name": entry.name,
            "network": entry.network,
            "is_here": is_here,
            "megabytes": entry.megabytes,
            "file": entry.file_name,
            "url": entry.url,
        }
        for entry, is_here in listed
    ]
    hint = [f"To fetch one: mri-fcl weights --download {missing[0]}"] if missing else []
    _say(json, {"folder": folder, "weights": records}, hint)


@cli.command()
@click.argument("table", type=_path)
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
@_json_option
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
    _print_table(fit_statistics(series, test))
    _say(
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
@click.argument("run", type=_path)
@click.option(
    "--figure",
    type=click.Choice(TIME_LAPSES),
    default="scatter",
    show_default=True,
    help="What moves; the cloud is that of the validation part.",
)
@click.option(
    "--out",
    type=_path,
    required=True,
    help="A .gif or .mp4 (needs ffmpeg), or .png, .svg or .csv for a strip of panels.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 50),
    default=5.0,
    show_default=True,
    help="Epochs a second.",
)
@click.option("--epochs", default="", help="Epochs of a strip: 0,5,10.")
@_json_option
def time_lapse(run: Path, figure: str, out: Path, speed: float, epochs: str, json: bool) -> None:
    """Write a figure of RUN over its epochs as a film or a strip of panels."""
    path = drive(tasks.time_lapse(run, figure, out, epochs_per_second=speed, strip_epochs=epochs))
    _say(json, {"file": path}, [f"Time-lapse: {path}"])


@cli.command()
@click.argument("runs", type=_path, nargs=-1, required=True)
@click.option("--out", type=_path, default=Path("report.html"), show_default=True)
@click.option("--pdf", type=_path, default=None, help="Print the page to this PDF too.")
@click.option(
    "--zip", "archive", type=_path, default=None, help="Every figure and table in this ZIP too."
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
@_json_option
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
    _say(json, written, [f"{_FILE_WORDS[name]}: {path}" for name, path in written.items()])
