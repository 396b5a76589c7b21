"""Sweeps from the terminal: a plan file, its table, going on, and the paper's rows."""

import json

import pytest
from rich.console import Console

import main
from core.progress import BatchDone, EpochMetrics, Notice, Progress, SweepMoved
from core.run_folder import list_runs
from core.sweep_screen import SweepScreen
from tests.tiny_cohort import TINY_VALUES, make_cohort, tiny

PLAN = "\n".join(
    [
        "[settings]",
        *(f"{name} = {json.dumps(value)}" for name, value in TINY_VALUES.items()),
        "[grid]",
        'split = ["subject", "slice"]',
        'seed = "0-1"',
    ]
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("cohort")).folder


def last_json(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_that_a_plan_is_trained_tabled_and_not_trained_twice(cohort, tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN, encoding="utf-8")
    command = ["sweep", str(plan), "--cohort", str(cohort), "--out", str(tmp_path / "runs")]
    assert main.main([*command, "--list"]) == 0
    assert "Custom CNN, from scratch, slice, seed 1" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    assert main.main([*command, "--json"]) == 0
    rows = last_json(capsys)["rows"]
    assert [(row["split"], row["seed"], row["state"]) for row in rows] == [
        ("subject", 0, "finished"),
        ("subject", 1, "finished"),
        ("slice", 0, "finished"),
        ("slice", 1, "finished"),
    ]
    assert all(0 <= row["by_subject_low"] <= row["by_subject_high"] <= 1 for row in rows)
    assert (tmp_path / "runs" / "sweep.csv").is_file()
    before = [run.name for run in list_runs(tmp_path / "runs")]
    assert main.main([*command, "--json"]) == 0
    assert [row["run"] for row in last_json(capsys)["rows"]] == [row["run"] for row in rows]
    assert [run.name for run in list_runs(tmp_path / "runs")] == before


def test_that_a_failed_run_is_told_and_gives_status_1(cohort, tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        PLAN.replace('seed = "0-1"', "seed = 0")
        + '\n[[runs]]\nnetwork = "vgg19"\nregime = "frozen"\nweights = "gone.pth"\n',
        encoding="utf-8",
    )
    command = ["sweep", str(plan), "--cohort", str(cohort), "--out", str(tmp_path / "runs")]
    assert main.main(command) == 1
    said = capsys.readouterr()
    assert "1 of 3 runs are not trained" in said.err
    assert "gone.pth" in said.err
    assert "Traceback" not in said.err


def test_that_a_wrong_plan_is_refused_before_anything_is_made(cohort, tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text("[grid]\nnetwork = 'alexnet'\n", encoding="utf-8")
    command = ["sweep", str(plan), "--cohort", str(cohort), "--out", str(tmp_path / "runs")]
    assert main.main(command) == 1
    assert "'plan.toml', line 2: Network: alexnet" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_that_the_papers_rows_go_on_too(cohort, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("core.analysis.comparison.PAPER_TABLE_2", _tiny_rows())
    command = ["paper", str(cohort), "--rows", "2,3", "--seeds", "0-1", "--splits", "slice"]
    options = ["--size", "32", "--batch", "16", "--cnn-width", "2", "--out", str(tmp_path / "r")]
    assert main.main([*command, *options, "--json"]) == 0
    rows = last_json(capsys)["rows"]
    assert [(row["regime"], row["epochs"]) for row in rows] == [("scratch", 1), ("scratch", 2)] * 2
    assert main.main([*command, *options, "--json"]) == 0
    assert [row["run"] for row in last_json(capsys)["rows"]] == [row["run"] for row in rows]
    assert main.main(["paper", str(cohort), "--rows", "13", "--out", str(tmp_path / "r")]) == 2


def test_that_what_the_papers_rows_say_themselves_is_not_passed_over_in_silence(
    cohort, tmp_path, capsys
):
    for option in ("--epochs", "--network", "--regime", "--learning-rate"):
        assert main.main(["paper", str(cohort), option, "1", "--out", str(tmp_path / "r")]) == 2
        assert f"No such option '{option}'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def _tiny_rows():
    from core.analysis.comparison import PaperRow

    numbers = (0.9, 0.9, 0.9, 60)
    return (
        PaperRow("vgg19", "frozen", 1, *numbers),
        PaperRow("cnn2d", "scratch", 1, *numbers),
        PaperRow("cnn2d", "scratch long", 2, *numbers),
    )


# The screen


def metrics(epoch):
    nothing = float("nan")
    return EpochMetrics(epoch, 0.5, 0.5, 0.5, 0.75, 1e-3, 1.0, None, None, None, nothing)


def test_that_the_live_table_shows_states_epochs_and_what_runs(tmp_path):
    with (tmp_path / "screen").open("w", encoding="utf-8") as file:
        console = Console(file=file, force_terminal=True, width=120, height=30)
        with SweepScreen(console, [tiny(seed=n) for n in range(3)]) as screen:
            screen.show(SweepMoved(0, "finished"))
            screen.show(SweepMoved(1, "running"))
            screen.show(metrics(7))
            screen.show(BatchDone(8, 2, 5, 0.5, 100.0, 3.0))
            screen.show(SweepMoved(2, "failed", "No weights"))
            screen.show(Notice("A sentence"))
    text = (tmp_path / "screen").read_text(encoding="utf-8")
    assert "epoch 7, validation 75.0 %" in text
    assert "Epoch 8, batch 2 of 5" in text
    assert "3 runs: 1 running, 1 finished, 1 failed" in text
    assert "A sentence" in text


def test_that_without_a_terminal_each_change_is_one_line(tmp_path):
    with (tmp_path / "screen").open("w", encoding="utf-8") as file:
        console = Console(file=file, width=120)
        with SweepScreen(console, [tiny()]) as screen:
            screen.show(Progress("Cutting", 1, 2))
            screen.show(SweepMoved(0, "waiting"))
            screen.show(SweepMoved(0, "running"))
            screen.show(SweepMoved(0, "running", "epoch 1"))
            screen.show(SweepMoved(0, "finished"))
    lines = (tmp_path / "screen").read_text(encoding="utf-8").splitlines()
    assert lines == [
        f"1/1 Custom CNN, from scratch, subject, seed 0: {s}" for s in ("running", "finished")
    ]


def test_that_a_plan_longer_than_the_screen_shows_the_run_under_way(tmp_path):
    with (tmp_path / "screen").open("w", encoding="utf-8") as file:
        console = Console(file=file, force_terminal=True, width=120, height=16)
        with SweepScreen(console, [tiny(seed=n) for n in range(200)]) as screen:
            screen.show(SweepMoved(150, "running"))
    text = (tmp_path / "screen").read_text(encoding="utf-8")
    assert "seed 150" in text
    assert "seed 10 " not in text
