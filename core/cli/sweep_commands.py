"""Commands that train many runs: the paper's rows, a sweep, the leakage meter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core import tasks
from core.cli.command_group import cli
from core.cli.options import (
    ROW_SETTINGS,
    NumberRange,
    chosen_settings,
    json_option,
    path_type,
    preset_option,
    runs_option,
    settings_options,
)
from core.cli.run_records import compare_row
from core.cli.terminal import console, drive, drive_showing, print_table, say
from core.data.cohort import load_cohort
from core.errors import RunError

if TYPE_CHECKING:
    from core.plan import Plan
    from core.sweep import SweepRun
    from core.sweep_on_ray import RayPlace


@cli.command()
@click.argument("cohort", type=path_type)
@click.option("--rows", default="", help="Rows of Table 2 to train, from 1 to 12: 3,7.")
@click.option("--seeds", default="", help="Train each row for each of these seeds: 0-4.")
@click.option("--splits", default="", help="Train each row with each of these: subject,slice.")
@preset_option
@settings_options("slices", "split", "training", but=ROW_SETTINGS)
@runs_option
@json_option
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
        chosen_settings(options, preset),
        wanted,
        seeds=parse_numbers(seeds),
        splits=[name.strip() for name in splits.split(",") if name.strip()],
    )
    swept = _drive_sweep(cohort, plan, runs)
    trained = [row.path for row in swept if row.state == "finished" and row.path is not None]
    if not trained:
        raise RunError("No row could be trained. The sentences above say why.")
    table, _files = drive(tasks.compare(trained, runs / "comparison"))
    print_table(table)
    say(json, {"rows": [compare_row(path) for path in trained]}, [])


@cli.command("sweep")
@click.argument("plan_file", metavar="PLAN.toml", type=path_type)
@click.option(
    "--cohort", type=path_type, required=True, help="Cohort that all runs are trained on."
)
@runs_option
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
    type=NumberRange(0.1, 1024),
    default=1.0,
    show_default=True,
    help="With Ray: CPUs that each run takes.",
)
@click.option(
    "--gpus-per-run",
    type=NumberRange(0, 64),
    default=0.0,
    show_default=True,
    help="With Ray: GPUs that each run takes; 0.5 puts two on one.",
)
@json_option
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
        say(json, {"runs": len(plan.runs)}, [*sentences, *plan.left_out])
        return
    address = ray_address or ray_here
    place = RayPlace(address, cpus_per_run, gpus_per_run) if address else None
    swept = _drive_sweep(cohort, plan, runs, place)
    print_table(short_table(swept))
    table = results_table(swept)
    say(
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

    with SweepScreen(console, plan.runs) as screen:
        if place is None:
            return drive_showing(sweep(cohort, plan, runs), screen.show)
        from core.sweep_on_ray import sweep_on_ray

        return drive_showing(sweep_on_ray(cohort, plan, runs, place), screen.show)


@cli.command("leakage-meter")
@click.argument("cohort", type=path_type)
@preset_option
@settings_options("slices", "split", "training")
@click.option("--seeds", default=1, show_default=True, help="Runs of each split, by their seed.")
@click.option(
    "--shuffled", is_flag=True, help="Train again with shuffled labels: the control for chance."
)
@runs_option
@json_option
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

    chosen = chosen_settings(options, preset)
    load_cohort(cohort).require_trainable()
    meter = drive(leakage_meter(cohort, chosen, runs, seeds=seeds, with_shuffled=shuffled))
    files = write_meter(meter, runs)
    print_table(meter.table())
    say(
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
