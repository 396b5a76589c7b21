"""Sweeps of real, tiny runs: order, failures, interruption, the log and the table."""

import csv
import json

import pytest

from core import sweep as sweeps
from core import tasks
from core.errors import RunError, SettingsError
from core.plan import Plan, run_key
from core.plan_log import LoggedRun, PlanLog
from core.progress import EpochMetrics, RunStarted, SweepMoved
from core.run_folder import Run, list_runs
from core.run_lock import take_lock
from core.sweep import paper_plan, results_table, short_table, sweep
from tests.tiny_cohort import TINY, drive, make_cohort, tiny


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("cohort"))


def plan_of(*settings):
    return Plan(tuple(settings))


def states(rows):
    return [row.state for row in rows]


def stop_at(operation, matches):
    """Drive an operation until an event matches, then close it as a stop does."""
    for event in operation:
        if matches(event):
            operation.close()
            return
    raise AssertionError("nothing matched")


def test_that_runs_are_trained_in_order_and_tabled(scanned, tmp_path):
    plan = plan_of(tiny(seed=1), tiny(mode="slice"), tiny(mode="kfold", folds=3, fold=2))
    rows = drive(sweep(scanned.folder, plan, tmp_path / "runs"))
    assert states(rows) == ["finished"] * 3
    assert [row.settings for row in rows] == list(plan.runs)
    with (tmp_path / "runs" / "sweep.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["split"] for row in table] == ["subject", "slice", "kfold"]
    assert [row["fold"] for row in table] == ["", "", "2"]
    assert [row["seed"] for row in table] == ["1", "0", "0"]
    assert "Leaking split" in table[1]["warning"]
    assert results_table(rows).warning == (
        "Leaking split in 1 of 3 runs: their accuracies are inflated."
    )
    for row, line in zip(rows, table, strict=True):
        measured = Run(row.path).record["accuracy"]
        assert float(line["test_accuracy"]) == pytest.approx(measured["test"])
        assert float(line["test_accuracy_by_subject"]) == pytest.approx(measured["test_by_subject"])
        assert float(line["by_subject_low"]) <= measured["test_by_subject"]
        assert float(line["by_subject_high"]) >= measured["test_by_subject"]
        assert float(line["seconds"]) > 0
        assert line["run"] == row.path.name


def test_that_a_failing_run_stops_no_other_and_is_tried_again(scanned, tmp_path, monkeypatch):
    gone = tiny(network="vgg19", regime="frozen", weights=str(tmp_path / "gone.safetensors"))
    plan, runs = plan_of(gone, tiny()), tmp_path / "runs"
    rows = drive(sweep(scanned.folder, plan, runs))
    assert states(rows) == ["failed", "finished"]
    assert "gone.safetensors" in rows[0].text
    again = drive(sweep(scanned.folder, plan, runs))
    assert again[1].path == rows[1].path
    assert len(list(list_runs(runs))) == 1
    assert PlanLog(runs / "sweep.jsonl").entries()[0].state == "failed"


def test_that_an_error_nobody_foresaw_stops_no_other(scanned, tmp_path, monkeypatch):
    real = tasks.train

    def train(folder, settings, runs):
        if settings.training.seed == 1:
            raise ZeroDivisionError("by chance")
        return (yield from real(folder, settings, runs))

    monkeypatch.setattr(tasks, "train", train)
    rows = drive(sweep(scanned.folder, plan_of(tiny(seed=1), tiny(seed=2)), tmp_path / "runs"))
    assert states(rows) == ["failed", "finished"]
    assert rows[0].text == "It broke off: ZeroDivisionError: by chance."


def test_that_an_interrupted_sweep_goes_on_where_it_was(scanned, tmp_path):
    plan, runs = plan_of(tiny(seed=1), tiny(seed=2, epochs=6), tiny(seed=3)), tmp_path / "runs"
    n_started = []

    def third_epoch_of_the_second(event):
        n_started.extend([event] if isinstance(event, RunStarted) else [])
        return len(n_started) == 2 and isinstance(event, EpochMetrics) and event.epoch == 3

    stop_at(sweep(scanned.folder, plan, runs), third_epoch_of_the_second)
    first, second = list_runs(runs)
    assert (first.state, second.state) == ("finished", "stopped")
    log = PlanLog(runs / "sweep.jsonl").entries()
    assert [entry.state for entry in log] == ["finished", "stopped", "waiting"]

    trained, moved = [], []
    operation = sweep(scanned.folder, plan, runs)
    while True:
        try:
            event = next(operation)
        except StopIteration as stop:
            rows = stop.value
            break
        if isinstance(event, EpochMetrics) and event.epoch:
            trained.append(event.epoch)
        if isinstance(event, SweepMoved):
            moved.append((event.index, event.state))
    assert states(rows) == ["finished"] * 3
    assert rows[1].path == second.path
    assert trained == [4, 5, 6, 1, 2]
    assert (0, "running") not in moved
    unbroken = drive(tasks.train(scanned.folder, tiny(seed=2, epochs=6), tmp_path / "whole"))
    assert (rows[1].path / "features.npz").read_bytes() == (unbroken / "features.npz").read_bytes()


def test_that_a_kill_without_a_last_word_loses_nothing(scanned, tmp_path):
    plan, runs = plan_of(tiny(seed=1), tiny(seed=2)), tmp_path / "runs"
    rows = drive(sweep(scanned.folder, plan, runs))
    path = runs / "sweep.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # As a power cut leaves it: the end of the first run was never noted, a line is half there.
    started = next(n for n, line in enumerate(lines) if '"started"' in line)
    path.write_text("".join(lines[: started + 1]) + lines[started + 1][:20], encoding="utf-8")
    again = drive(sweep(scanned.folder, plan, runs))
    assert again[0].path == rows[0].path
    assert again[1].state == "finished"
    assert [entry.state for entry in PlanLog(path).entries()][1] == "finished"


def test_that_a_removed_run_is_trained_again(scanned, tmp_path):
    plan, runs = plan_of(tiny()), tmp_path / "runs"
    (row,) = drive(sweep(scanned.folder, plan, runs))
    row.path.rename(tmp_path / "elsewhere")
    (again,) = drive(sweep(scanned.folder, plan, runs))
    assert again.state == "finished"
    assert again.path.is_dir()


def test_that_a_begun_run_without_a_checkpoint_is_trained_anew(scanned, tmp_path):
    plan, runs = plan_of(tiny(epochs=4)), tmp_path / "runs"
    stop_at(
        sweep(scanned.folder, plan, runs),
        lambda event: isinstance(event, EpochMetrics) and event.epoch == 2,
    )
    (begun,) = list_runs(runs)
    for file in begun.path.glob("resume*.ckpt"):
        file.write_bytes(b"damaged")
    (row,) = drive(sweep(scanned.folder, plan, runs))
    assert row.state == "finished"
    assert row.path != begun.path


def test_that_two_sweeps_never_write_to_one_folder(scanned, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    lock = take_lock(runs)
    with pytest.raises(RunError, match="Another sweep"):
        drive(sweep(scanned.folder, plan_of(tiny()), runs))
    lock.release()
    assert states(drive(sweep(scanned.folder, plan_of(tiny()), runs))) == ["finished"]


def test_that_a_plan_that_grows_trains_only_what_is_new(scanned, tmp_path):
    runs = tmp_path / "runs"
    (first,) = drive(sweep(scanned.folder, plan_of(tiny(seed=1)), runs))
    rows = drive(sweep(scanned.folder, plan_of(tiny(seed=5), tiny(seed=1)), runs))
    assert rows[1].path == first.path
    assert len(list(list_runs(runs))) == 2


def test_that_other_differing_settings_have_columns(scanned, tmp_path):
    rows = drive(sweep(scanned.folder, plan_of(tiny(batch=8), tiny(batch=16)), tmp_path / "runs"))
    table = results_table(rows)
    assert table.columns[-1] == "batch"
    assert [row[-1] for row in table.rows] == [8, 16]
    (first, second) = short_table(rows).rows
    assert first[0] == "Custom CNN, from scratch, subject, seed 0"
    assert first[2] == "2 of 2"
    assert first[5] == f"{100 * table.rows[0][9]:.1f}"
    assert second[6].endswith("]")


def test_that_the_papers_rows_are_planned_for_each_seed_and_split():
    plan = paper_plan(TINY, [3, 7], seeds=[0, 1], splits=["subject", "slice"])
    assert [
        (run.split.mode, run.training.seed, run.training.network, run.epochs) for run in plan.runs
    ] == [
        (mode, seed, network, epochs)
        for mode in ("subject", "slice")
        for seed in (0, 1)
        for network, epochs in (("resnet101", 20), ("googlenet", 30))
    ]
    assert len(paper_plan(TINY, []).runs) == 12
    with pytest.raises(SettingsError, match="Split by"):
        paper_plan(TINY, [3], splits=["people"])


# The log


def test_that_the_log_gives_back_order_state_and_settings(tmp_path):
    log = PlanLog(tmp_path / "folder" / "queue.jsonl")
    assert log.entries() == []
    log.add(LoggedRun(key, tiny(seed=n), "c", ("AD",)) for n, key in enumerate("abcd"))
    log.start("b", "runs/one")
    log.end("b", "failed", "why")
    log.order(["d", "b"])
    log.remove(["a"])
    entries = log.entries()
    assert [entry.key for entry in entries] == ["d", "b", "c"]
    assert entries[1] == LoggedRun("b", tiny(seed=1), "c", ("AD",), "failed", "runs/one", "why")
    assert entries[0].settings == tiny(seed=3)


def test_that_damaged_lines_are_passed_over_and_never_glued_to_the_next(tmp_path):
    log = PlanLog(tmp_path / "queue.jsonl")
    log.add([LoggedRun("a", TINY)])
    with log.path.open("ab") as file:
        file.write(b'\n[1]\n{"event": "ended", "key": "zz", "state": "finished"}\n{"event": 3}\n')
        file.write(b'{"event": "ended", "key": "a", "state": "nonsense"}\n\xff\n{"event": "en')
    log.start("a", "one")
    (entry,) = log.entries()
    assert (entry.state, entry.run) == ("running", "one")
    assert json.loads(log.path.read_bytes().splitlines()[-1])["event"] == "started"


def test_that_a_log_that_cannot_be_written_or_read_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match="cannot be written"):
        PlanLog(tmp_path / "file" / "queue.jsonl").add([LoggedRun("a", TINY)])
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="cannot be read"):
        PlanLog(tmp_path / "folder").entries()


def test_that_every_cut_of_the_log_leaves_a_readable_state(tmp_path):
    log = PlanLog(tmp_path / "queue.jsonl")
    log.add([LoggedRun("a", TINY), LoggedRun("b", TINY)])
    log.start("a", "one")
    log.end("a", "finished")
    data = log.path.read_bytes()
    for n in range(0, len(data), 97):
        log.path.write_bytes(data[:n])
        log.end("b", "failed", "cut")
        found = {entry.key: entry.state for entry in log.entries()}
        assert found.get("b", "failed") == "failed"
        assert set(found) <= {"a", "b"}


def test_that_keys_of_the_log_are_those_of_the_plan(scanned, tmp_path):
    runs = tmp_path / "runs"
    drive(sweep(scanned.folder, plan_of(TINY), runs))
    (entry,) = PlanLog(runs / sweeps.LOG_FILE).entries()
    assert entry.key == run_key(TINY, scanned.cohort.identity)
