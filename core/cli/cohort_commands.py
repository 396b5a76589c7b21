"""Commands that find scans, cut slices and split a cohort; and the demo."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from core import tasks
from core.cli.command_group import cli
from core.cli.options import (
    CUBE_SETTINGS,
    chosen_settings,
    json_option,
    path_type,
    seed_option,
    settings_options,
)
from core.cli.terminal import drive, print_table, say
from core.config import RunSettings
from core.data.findings import finding_record
from core.data.labels import parse_class_rules
from core.data.layout import LAYOUT_KINDS, LayoutKind


@cli.command()
@click.option(
    "--out",
    type=path_type,
    default=Path("mri-fcl-demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@click.option("--window", is_flag=True, help="Open the window on the result.")
@json_option
def demo(out: Path, window: bool, json: bool) -> list[Path]:
    """Simulate a cohort, train on it, analyse and report: a few minutes on two CPU cores."""
    from core.demo import run_demo

    began = time.monotonic()
    result = drive(run_demo(out))
    seconds = time.monotonic() - began
    say(
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
@click.argument("folder", type=path_type)
@click.option("--classes", default="", help="Take only these classes, in this order: AD,NC.")
@click.option(
    "--labels",
    type=path_type,
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
    type=path_type,
    default=None,
    help="Cohort to write; one of the same folder keeps what you changed in it.  "
    "[default: NAME.mrifcl]",
)
@json_option
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
    say(
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
@click.argument("cohort", type=path_type)
@json_option
def check(cohort: Path, json: bool) -> None:
    """Read every voxel of COHORT: same scans under two names, odd ones, files that have changed."""
    result = drive(tasks.check_stored(cohort))
    found = result.cohort.warnings
    say(
        json,
        {
            "cohort": result.folder,
            "scans": len(result.cohort.included_scans),
            "findings": [finding_record(item) for item in found],
        },
        [*found, f"{len(result.cohort.included_scans)} scans read: {len(found)} findings."],
    )


@cli.command("slices")
@click.argument("cohort", type=path_type)
@click.option("--out", type=path_type, required=True, help="Folder to write class folders into.")
@click.option(
    "--format",
    "picture_format",
    type=click.Choice(["png", "jpg"]),
    default="png",
    show_default=True,
)
@settings_options("slices")
@json_option
def export_slices(cohort: Path, out: Path, picture_format: str, json: bool, **options: Any) -> None:  # noqa: ANN401 - settings by name
    """Cut the scans of COHORT and write the slices as pictures."""
    settings = chosen_settings(options)
    count = drive(tasks.export_slices(cohort, settings.slices, out, picture_format=picture_format))
    say(json, {"slices": count, "folder": out}, [f"{count} slices written to {out}"])


@cli.command()
@click.argument("path", type=path_type)
@settings_options("slices", "split", *CUBE_SETTINGS)
@seed_option
@click.option(
    "--quick", is_flag=True, help="Cut no scans: compare slices only where they are cut already."
)
@click.option(
    "--out", type=path_type, default=None, help="Folder to write the tables into, as CSV."
)
@json_option
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
    result = drive(look(path, chosen_settings({**options, "seed": seed})))
    print_table(result.table())
    print_table(result.matrix)
    if result.unfit:
        print_table(result.unfit_table())
    files = tasks.write_audit(result, out) if out else []
    sentences = [f"Split {result.words}.", result.sentence(), result.advice()]
    say(
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
@click.argument("path", type=path_type)
@settings_options("slices", "split", *CUBE_SETTINGS)
@seed_option
@click.option("--out", type=path_type, default=Path("split.csv"), show_default=True)
@json_option
def keep_split(path: Path, seed: int, out: Path, json: bool, **options: Any) -> None:  # noqa: ANN401
    """Write the split of a RUN, or the one these options give a COHORT, as CSV.

    It is brought back with --split-file, into the window too.
    """
    kept = drive(tasks.keep_split(path, chosen_settings({**options, "seed": seed}), out))
    parts = ", ".join(
        f"{name} {kept.subjects[name]} subjects with {kept.slices[name]} slices"
        for name in kept.subjects
    )
    say(
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
