"""Commands that train runs and list them, and those about pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from core import run_folder, tasks
from core.cli.command_group import cli
from core.cli.options import (
    chosen_settings,
    json_option,
    path_type,
    preset_option,
    runs_option,
    settings_options,
)
from core.cli.run_records import say_run
from core.cli.terminal import drive, print_table, say
from core.figure import Table
from core.training.weights_entry import ENTRY_NAMES


@cli.command()
@click.argument("cohort", type=path_type)
@preset_option
@settings_options("slices", "split", "training")
@runs_option
@json_option
def train(cohort: Path, preset: str, runs: Path, json: bool, **options: Any) -> None:  # noqa: ANN401
    """Train one network on COHORT; everything about it goes into a new run folder."""
    path = drive(tasks.train(cohort, chosen_settings(options, preset), runs))
    say_run(path, json=json)


@cli.command()
@preset_option
@settings_options("slices", "training")
@json_option
def probe(preset: str, json: bool, **options: Any) -> None:  # noqa: ANN401 - settings by name
    """Measure by a few steps whether half precision is faster on this device."""
    result = drive(tasks.probe_precision(chosen_settings(options, preset)))
    say(
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
@click.argument("run", type=path_type)
@json_option
def resume(run: Path, json: bool) -> None:
    """Go on with a RUN that was stopped, crashed or killed, from its last whole epoch."""
    say_run(drive(tasks.resume(run)), json=json)


@cli.command("runs")
@click.argument("folder", type=path_type, default=Path("runs"))
@json_option
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
        print_table(Table("runs", f"Runs in {folder}", columns, rows))
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
    say(json, {"runs": records}, sentences or ([] if rows else [f"No runs in {folder}."]))


@cli.command()
@click.option(
    "--download",
    "names",
    multiple=True,
    type=click.Choice(ENTRY_NAMES),
    help="Fetch these weights; nothing is fetched without this option.",
)
@json_option
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
    print_table(Table("weights", f"Pretrained weights in {folder}", columns, tuple(rows)))
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
    say(json, {"folder": folder, "weights": records}, hint)
